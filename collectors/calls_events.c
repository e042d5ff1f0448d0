/*
 * calls_events.c - what the collector `calls` does in a callback of sys.monitoring.
 *
 *   enter   PY_START PY_RESUME PY_THROW       the frame is the current one; its caller must be on top
 *   leave   PY_RETURN PY_YIELD PY_UNWIND      the frame is the current one, and must be on top
 *   CALL, C_RETURN, C_RAISE                   the frame is the caller's; only calls of C functions count
 *
 * The GIL of an interpreter keeps its callbacks apart. Each finds its thread's tree in this interpreter, lets
 * the time pass, brings the cursor to where the thread really is, and moves it. Nothing here fails, allocates
 * from Python or runs Python code.
 */
#include "calls.h"

/* In each event's way; and beside it, with what it takes to call other functions. */
#define HOT static inline __attribute__((always_inline))
#define COLD static __attribute__((noinline)) void

static struct py_object *on_start(struct py_object *self, struct py_object *const *arguments,
				  size_t count, struct py_object *names);
static struct py_object *on_resume(struct py_object *self, struct py_object *const *arguments,
				   size_t count, struct py_object *names);
static struct py_object *on_return(struct py_object *self, struct py_object *const *arguments,
				   size_t count, struct py_object *names);
static struct py_object *on_yield(struct py_object *self, struct py_object *const *arguments,
				  size_t count, struct py_object *names);
static struct py_object *on_unwind(struct py_object *self, struct py_object *const *arguments,
				   size_t count, struct py_object *names);
static struct py_object *on_call(struct py_object *self, struct py_object *const *arguments,
				 size_t count, struct py_object *names);
static struct py_object *on_c_return(struct py_object *self, struct py_object *const *arguments,
				     size_t count, struct py_object *names);
static struct py_object *on_c_raise(struct py_object *self, struct py_object *const *arguments,
				    size_t count, struct py_object *names);
HOT bool is_wanted(size_t count, size_t least);
HOT struct calls_interpreter *place_of(struct py_object *self);
HOT void enter(struct calls_interpreter *here, struct py_object *code, enum calltree_event of);
HOT void leave(struct calls_interpreter *here, struct py_object *code, enum calltree_end how);
HOT void call(struct calls_interpreter *here, struct py_object *const *arguments, uint64_t key);
HOT void c_leave(struct calls_interpreter *here, struct py_object *callable, enum calltree_end how);
HOT uint64_t counter(void);
HOT struct calltree *expected(const struct calls_interpreter *here, uint64_t now_ticks);
HOT struct calltree_step *expected_top(struct calltree *tree, uintptr_t frame);
HOT void passed(struct calls_interpreter *here, struct calltree *tree, uint32_t top,
		uint64_t now_ticks, enum calltree_event of);
COLD enter_anew(struct calls_interpreter *here, struct py_object *code, uint64_t now,
		enum calltree_event of, uintptr_t frame);
COLD leave_anew(struct calls_interpreter *here, struct py_object *code, uint64_t now,
		enum calltree_end how);
COLD call_anew(struct calls_interpreter *here, struct py_object *const *arguments, uint64_t now,
	       uint64_t key, uintptr_t frame);
COLD c_leave_anew(struct calls_interpreter *here, struct py_object *callable, uint64_t now,
		  enum calltree_end how);
static uint64_t now_of(uint64_t counted);
static void site_begin(struct calls_interpreter *here, struct calltree *tree,
		       struct py_object *code, uint64_t now);
static struct calltree *own_tree(const struct calls_interpreter *here);
static uintptr_t settle(struct calltree *tree, struct py_object *code);
static bool settle_caller(struct calltree *tree, struct py_object *code, uintptr_t *frame);
static bool settle_c(struct calltree *tree);
static void settle_anew(struct calltree *tree, const struct frames_link *at);
static bool code_is(uintptr_t code, struct py_object *object);

/* ---- the callbacks ---- */

void calls_events_set(struct monitoring *tool)
{
	tool->calls[MONITORING_PY_START] = on_start;
	tool->calls[MONITORING_PY_RESUME] = on_resume;
	tool->calls[MONITORING_PY_THROW] = on_resume;
	tool->calls[MONITORING_PY_RETURN] = on_return;
	tool->calls[MONITORING_PY_YIELD] = on_yield;
	tool->calls[MONITORING_PY_UNWIND] = on_unwind;
	tool->calls[MONITORING_CALL] = on_call;
	tool->calls[MONITORING_C_RETURN] = on_c_return;
	tool->calls[MONITORING_C_RAISE] = on_c_raise;
}

static struct py_object *on_start(struct py_object *self, struct py_object *const *arguments,
				  size_t count, struct py_object *names)
{
	(void)names;
	if (is_wanted(count, 2))
		enter(place_of(self), arguments[0], CALLTREE_OF_PYTHON);
	return py._Py_NoneStruct;
}

static struct py_object *on_resume(struct py_object *self, struct py_object *const *arguments,
				   size_t count, struct py_object *names)
{
	(void)names;
	if (is_wanted(count, 2))
		enter(place_of(self), arguments[0], CALLTREE_OF_GENERATOR);
	return py._Py_NoneStruct;
}

static struct py_object *on_return(struct py_object *self, struct py_object *const *arguments,
				   size_t count, struct py_object *names)
{
	(void)names;
	if (is_wanted(count, 3))
		leave(place_of(self), arguments[0], CALLTREE_RETURN);
	return py._Py_NoneStruct;
}

static struct py_object *on_yield(struct py_object *self, struct py_object *const *arguments,
				  size_t count, struct py_object *names)
{
	(void)names;
	if (is_wanted(count, 3))
		leave(place_of(self), arguments[0], CALLTREE_YIELD);
	return py._Py_NoneStruct;
}

static struct py_object *on_unwind(struct py_object *self, struct py_object *const *arguments,
				   size_t count, struct py_object *names)
{
	(void)names;
	if (is_wanted(count, 3))
		leave(place_of(self), arguments[0], CALLTREE_UNWIND);
	return py._Py_NoneStruct;
}

static struct py_object *on_call(struct py_object *self, struct py_object *const *arguments,
				 size_t count, struct py_object *names)
{
	uint64_t key = is_wanted(count, 4) ? callee_key(arguments[2], arguments[3]) : 0;

	(void)names;
	if (key)
		call(place_of(self), arguments, key);
	return py._Py_NoneStruct;
}

static struct py_object *on_c_return(struct py_object *self, struct py_object *const *arguments,
				     size_t count, struct py_object *names)
{
	(void)names;
	if (is_wanted(count, 4))
		c_leave(place_of(self), arguments[2], CALLTREE_RETURN);
	return monitoring_call_ends();
}

static struct py_object *on_c_raise(struct py_object *self, struct py_object *const *arguments,
				    size_t count, struct py_object *names)
{
	(void)names;
	if (is_wanted(count, 4))
		c_leave(place_of(self), arguments[2], CALLTREE_UNWIND);
	return py._Py_NoneStruct;
}

/* After the end not even the counter is read: strict seccomp, prctl(2), forbids it, and may have been the end. */
HOT bool is_wanted(size_t count, size_t least)
{
	return monitoring_has(count, least) &&
	       !atomic_load_explicit(&calls.is_stopped, memory_order_relaxed);
}

/* NULL: it has ended, or its tool has moved. */
HOT struct calls_interpreter *place_of(struct py_object *self)
{
	return (struct calls_interpreter *)monitoring_tool(self);
}

/*
 * ---- what nearly every event is ----
 *
 * All is looked at first: the window goes on, the thread is in the tree that it was in, the cursor where the stack
 * is, and what is called was called last time.  Then it is written down; no function is called.  If anything is
 * otherwise, nothing has been written, and the event goes the long way.
 */

HOT void enter(struct calls_interpreter *here, struct py_object *code, enum calltree_event of)
{
	uint64_t now = counter();
	struct calltree *tree = expected(here, now);
	uintptr_t frame = tree ? frames_innermost() : 0, caller;
	const struct calltree_step *top;
	uint32_t node;

	if (!frame || !code_is(frames_code(frame), code))
		return enter_anew(here, code, now, of, 0);
	caller = frames_previous(frame);
	top = expected_top(tree, caller);
	if (!top || top->key != frames_code(caller))
		return enter_anew(here, code, now, of, 0);
	node = tree->nodes[top->node].last;
	if (tree->nodes[node].key != (uintptr_t)code ||
	    tree->nodes[node].id != frames_code_version((uintptr_t)code))
		return enter_anew(here, code, now, of, frame);
	passed(here, tree, top->node, now, of);
	calltree_begins(tree, node,
			(struct calltree_step){ .frame = frame, .key = (uintptr_t)code });
}

HOT void leave(struct calls_interpreter *here, struct py_object *code, enum calltree_end how)
{
	uint64_t now = counter();
	struct calltree *tree = expected(here, now);
	uintptr_t frame = tree ? frames_innermost() : 0;
	const struct calltree_step *top = frame ? expected_top(tree, frame) : NULL;

	if (!top || !code_is(top->key, code) || !code_is(frames_code(frame), code))
		return leave_anew(here, code, now, how);
	passed(here, tree, top->node, now,
	       how == CALLTREE_YIELD ? CALLTREE_OF_GENERATOR : CALLTREE_OF_PYTHON);
	calltree_pop(tree, how);
}

HOT void call(struct calls_interpreter *here, struct py_object *const *arguments, uint64_t key)
{
	uint64_t now = counter();
	struct calltree *tree = expected(here, now);
	uintptr_t frame = tree ? frames_innermost() : 0;
	const struct calltree_step *top = frame ? expected_top(tree, frame) : NULL;
	uint32_t node;

	if (!top || !code_is(top->key, arguments[0]) || !code_is(frames_code(frame), arguments[0]))
		return call_anew(here, arguments, now, key, 0);
	node = tree->nodes[top->node].last;
	if (tree->nodes[node].key != key)
		return call_anew(here, arguments, now, key, frame);
	passed(here, tree, top->node, now, CALLTREE_OF_C);
	calltree_begins(tree, node,
			(struct calltree_step){
				.frame = frame,
				.key = calltree_c_key((uintptr_t)arguments[2]),
				.is_c = true,
			});
	if (calls.has_sites)
		site_begin(here, tree, arguments[0], now);
}

HOT void c_leave(struct calls_interpreter *here, struct py_object *callable, enum calltree_end how)
{
	uint64_t now = counter();
	struct calltree *tree = expected(here, now);
	uintptr_t frame = tree ? frames_innermost() : 0;
	const struct calltree_step *top = frame ? expected_top(tree, frame) : NULL;

	if (!top || top->key != calltree_c_key((uintptr_t)callable) || top->site)
		return c_leave_anew(here, callable, now, how);
	passed(here, tree, top->node, now, CALLTREE_OF_C);
	calltree_pop(tree, how);
}

/* ticks_now, where that is a counter; where it is not, no window is open to the short way. */
HOT uint64_t counter(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	return 0;
#endif
}

HOT struct calltree *expected(const struct calls_interpreter *here, uint64_t now_ticks)
{
	struct thread *thread = thread_self();
	const struct calls_thread *own;

	if (!thread || !here)
		return NULL;
	own = thread_own(thread, COLLECTOR_calls);
	if (own->window != atomic_load_explicit(&here->open, memory_order_relaxed) ||
	    now_ticks >= atomic_load_explicit(&here->end_ticks, memory_order_relaxed) ||
	    here->events_left == 0)
		return NULL;
	return own->tree;
}

/* The call on top, if it is this frame's, with room above it. */
HOT struct calltree_step *expected_top(struct calltree *tree, uintptr_t frame)
{
	uint32_t below = tree->depth - 1;

	return below < CALLTREE_DEPTH - 1 && tree->steps[below].frame == frame ?
		       &tree->steps[below] :
		       NULL;
}

HOT void passed(struct calls_interpreter *here, struct calltree *tree, uint32_t top,
		uint64_t now_ticks, enum calltree_event of)
{
	uint64_t cost_ticks = here->cost_ticks[of];

	here->events_left--;
	tree->events[of]++;
	/* The window is of the program's time, which stands still meanwhile. */
	atomic_store_explicit(&here->end_ticks,
			      atomic_load_explicit(&here->end_ticks, memory_order_relaxed) +
				      cost_ticks,
			      memory_order_relaxed);
	calltree_pass_in(tree, top, now_ticks, cost_ticks);
}

/* ---- and all others ---- */

/* frame: 0, or the cursor is known to be at its caller. */
COLD enter_anew(struct calls_interpreter *here, struct py_object *code, uint64_t now,
		enum calltree_event of, uintptr_t frame)
{
	struct calltree *tree;
	uint32_t node;

	now = now_of(now);
	tree = calls_tree_observed(here, now, of);
	if (!tree)
		return;
	calltree_pass(tree, now, here->cost_ticks[of]);
	if (!frame && !settle_caller(tree, code, &frame)) {
		tree->lost++;
		return;
	}
	node = calltree_find(tree, (uintptr_t)code, frames_code_version((uintptr_t)code));
	if (!node)
		node = calls_entered(here, tree, (uintptr_t)code);
	calltree_push(tree, node, frame, true);
}

COLD leave_anew(struct calls_interpreter *here, struct py_object *code, uint64_t now,
		enum calltree_end how)
{
	enum calltree_event of = how == CALLTREE_YIELD ? CALLTREE_OF_GENERATOR : CALLTREE_OF_PYTHON;
	struct calltree *tree;

	now = now_of(now);
	tree = calls_tree_observed(here, now, of);
	if (!tree)
		return;
	calltree_pass(tree, now, here->cost_ticks[of]);
	if (!settle(tree, code)) {
		tree->lost++;
		return;
	}
	if (tree->depth)
		calltree_pop(tree, how);
}

/* frame: 0, or the cursor is known to be at it. */
COLD call_anew(struct calls_interpreter *here, struct py_object *const *arguments, uint64_t now,
	       uint64_t key, uintptr_t frame)
{
	struct calltree_callee callee = { .key = key, .kind = CALLTREE_C };
	struct calltree *tree;
	bool is_new = false;
	uint32_t node;

	now = now_of(now);
	tree = calls_tree_observed(here, now, CALLTREE_OF_C);
	if (!tree)
		return;
	calltree_pass(tree, now, here->cost_ticks[CALLTREE_OF_C]);
	if (!frame)
		frame = settle(tree, arguments[0]);
	if (!frame) {
		tree->lost++;
		return;
	}
	node = calltree_find(tree, key, 0);
	if (!node) {
		uint64_t begun = ticks_now();

		callee.id = callee_find(key, arguments[2], arguments[3]);
		node = calltree_node(tree, &callee, &is_new);
		calls_worked(here, tree, begun);
	}
	calltree_push(tree, node, frame, true);
	if (!tree->depth)
		return;
	calltree_top(tree)->key = calltree_c_key((uintptr_t)arguments[2]);
	/* It is to come here the next time, too. */
	if (monitoring_call_begins(arguments[2]))
		tree->nodes[tree->nodes[node].parent].last = 0;
	site_begin(here, tree, arguments[0], now);
}

/* Sites are the main interpreter's. */
static void site_begin(struct calls_interpreter *here, struct calltree *tree,
		       struct py_object *code, uint64_t now)
{
	if (calls.has_sites && here == &calls.interpreters[CALLS_MAIN])
		calls_site_begin(here, tree, code, now);
}

COLD c_leave_anew(struct calls_interpreter *here, struct py_object *callable, uint64_t now,
		  enum calltree_end how)
{
	uint64_t told_ticks = 0;
	struct calltree *tree = own_tree(here);
	struct calltree_step *top = tree ? calltree_top(tree) : NULL;
	uintptr_t key = calltree_c_key((uintptr_t)callable);

	/* Under an evaluator of somebody's own (PEP 523) Python functions end like this, too. */
	if (!(top && top->is_c && top->key == key) && !callee_key(callable, NULL))
		return;
	now = now_of(now);
	/* Before the window is over, perhaps by this event. */
	if (top && top->is_c && top->site)
		told_ticks = calls_site_end(here, tree, now);
	tree = calls_tree_observed(here, now, CALLTREE_OF_C);
	if (!tree)
		return;
	calltree_pass(tree, now, here->cost_ticks[CALLTREE_OF_C]);
	tree->last_ticks += told_ticks;
	top = calltree_top(tree);
	if ((!top || !top->is_c || top->frame != frames_glance().frame) && !settle_c(tree)) {
		tree->lost++;
		return;
	}
	top = calltree_top(tree);
	if (top && top->is_c)
		calltree_pop(tree, how);
}

/* What the clock showed when the event began. */
static uint64_t now_of(uint64_t counted)
{
	return ticks_clock.has_counter ? counted : ticks_now();
}

/* The tree that the calling thread was last in, here and in this window; NULL: none. */
static struct calltree *own_tree(const struct calls_interpreter *here)
{
	struct thread *thread = here ? thread_self() : NULL;
	struct calls_thread *own = thread ? thread_own(thread, COLLECTOR_calls) : NULL;

	return own && calls_is_own(own->tree, here, thread) ? own->tree : NULL;
}

/* ---- where the thread is ---- */

/* The stack as it was before the event that is under way, or before the pending call. */
void calls_settle_before(struct calltree *tree)
{
	struct frames_link at;

	tree->depth = 0;
	if (!frames_top(&at) || (frames_begins(&at) && !frames_up(&at)))
		return;
	settle_anew(tree, &at);
}

/* Bring the cursor to the thread's innermost frame, which is of this code and in no C call. 0: it is not. */
static uintptr_t settle(struct calltree *tree, struct py_object *code)
{
	const struct calltree_step *top = calltree_top(tree);
	struct frames_glance glance = frames_glance();
	struct frames_link at;

	if (top && top->frame == glance.frame && code_is(glance.code, code) &&
	    code_is(top->key, code) && !top->is_c)
		return glance.frame;
	if (!frames_top(&at) || !code_is(at.code, code))
		return 0;
	if (!calltree_seek(tree, at.frame, at.code, false))
		settle_anew(tree, &at);
	return at.frame;
}

/* Bring it to the frame that called the innermost one, if that is of this code. */
static bool settle_caller(struct calltree *tree, struct py_object *code, uintptr_t *frame)
{
	struct frames_link at;

	/* Some extensions raise events of their own for code objects without a frame. */
	if (!frames_top(&at) || !code_is(at.code, code))
		return false;
	*frame = at.frame;
	if (!frames_up(&at))
		tree->depth = 0;
	else if (!calltree_seek(tree, at.frame, at.code, at.was_crossed))
		settle_anew(tree, &at);
	return true;
}

/* Bring it to a C call of the innermost frame, or to the frame itself. */
static bool settle_c(struct calltree *tree)
{
	struct frames_link at;

	if (!frames_top(&at))
		return false;
	if (!calltree_seek(tree, at.frame, at.code, true))
		settle_anew(tree, &at);
	return true;
}

/* The cursor knows nothing of it (calls from before the window, another stack): take the real stack, its
   leaf-most part where it is very deep. */
static void settle_anew(struct calltree *tree, const struct frames_link *at)
{
	struct frames_link link = *at;
	uint32_t depth = 0;

	do {
		struct calltree_step *step = &tree->steps[CALLTREE_DEPTH - ++depth];

		step->frame = link.frame;
		step->key = link.code;
	} while (depth < CALLTREE_DEPTH / 2 && frames_up(&link));
	tree->depth = 0;
	for (; depth; depth--) {
		const struct calltree_step *step = &tree->steps[CALLTREE_DEPTH - depth];
		uintptr_t frame = step->frame;

		calls_met(calls_interpreter_of(atomic_load(&tree->owner)), step->key);
		calltree_push(tree, calls_python_node(tree, step->key), frame, false);
	}
}

uint32_t calls_python_node(struct calltree *tree, uintptr_t code)
{
	struct calltree_callee callee = { code, frames_code_version(code), CALLTREE_PYTHON };
	bool is_new = false;
	uint32_t node = calltree_find(tree, callee.key, callee.id);

	if (!node)
		node = calltree_node(tree, &callee, &is_new);
	if (is_new) {
		calls_made(code);
		tree->nodes[node].made_ns = os_monotonic_ns();
	}
	return node;
}

/* From now on its death is heard of. Where names of all that lives are read anew, at the end of an interpreter,
   what was met before and is not written yet would have none. */
void calls_made(uintptr_t code)
{
	if (calls.calibrating && calls.calibrating == thread_self())
		return;
	mark_set(code);
	if (calls.mode == CALLS_ALWAYS ||
	    atomic_load_explicit(&calls.has_others, memory_order_relaxed))
		symbol_keep(code);
}

static bool code_is(uintptr_t code, struct py_object *object)
{
	return code == (uintptr_t)object;
}
