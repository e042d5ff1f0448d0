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

#define NODES_MOST \
	(CALLTREE_NODES - CALLTREE_DEPTH / 2 - 2) /* one event makes no more than the rest */

/* In each event's way. */
#define HOT static inline __attribute__((always_inline))

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
HOT struct calls_interpreter *place_of(struct py_object *self);
HOT void enter(struct calls_interpreter *here, struct py_object *code, enum calltree_event of);
HOT void leave(struct calls_interpreter *here, struct py_object *code, enum calltree_end how);
static void c_leave(struct calls_interpreter *here, struct py_object *callable,
		    enum calltree_end how);
static struct calltree *own_tree(const struct calls_interpreter *here);
HOT struct calltree *observed(struct calls_interpreter *here, uint64_t now_ticks,
			      enum calltree_event of);
HOT bool is_own(const struct calltree *tree, const struct calls_interpreter *here,
		const struct thread *thread);
static struct calltree *tree_another(struct calls_interpreter *here, struct calls_thread *own,
				     const struct thread *thread);
static struct calltree *tree_take(struct calls_interpreter *here, struct calls_thread *own,
				  const struct thread *thread);
static struct calltree *tree_change(struct calls_interpreter *here, struct calls_thread *own,
				    const struct thread *thread);
static void tree_put(struct calls_interpreter *here, struct calltree *tree,
		     const struct thread *thread);
static void settle_before(struct calltree *tree);
HOT uintptr_t settle(struct calltree *tree, struct py_object *code);
static bool settle_caller(struct calltree *tree, struct py_object *code, uintptr_t *frame);
static bool settle_c(struct calltree *tree);
static void settle_anew(struct calltree *tree, const struct frames_link *at);
static uint32_t python_node(struct calltree *tree, uintptr_t code);
static void made(uintptr_t code);
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
	if (monitoring_has(count, 2))
		enter(place_of(self), arguments[0], CALLTREE_OF_PYTHON);
	return py._Py_NoneStruct;
}

static struct py_object *on_resume(struct py_object *self, struct py_object *const *arguments,
				   size_t count, struct py_object *names)
{
	(void)names;
	if (monitoring_has(count, 2))
		enter(place_of(self), arguments[0], CALLTREE_OF_GENERATOR);
	return py._Py_NoneStruct;
}

static struct py_object *on_return(struct py_object *self, struct py_object *const *arguments,
				   size_t count, struct py_object *names)
{
	(void)names;
	if (monitoring_has(count, 3))
		leave(place_of(self), arguments[0], CALLTREE_RETURN);
	return py._Py_NoneStruct;
}

static struct py_object *on_yield(struct py_object *self, struct py_object *const *arguments,
				  size_t count, struct py_object *names)
{
	(void)names;
	if (monitoring_has(count, 3))
		leave(place_of(self), arguments[0], CALLTREE_YIELD);
	return py._Py_NoneStruct;
}

static struct py_object *on_unwind(struct py_object *self, struct py_object *const *arguments,
				   size_t count, struct py_object *names)
{
	(void)names;
	if (monitoring_has(count, 3))
		leave(place_of(self), arguments[0], CALLTREE_UNWIND);
	return py._Py_NoneStruct;
}

static struct py_object *on_call(struct py_object *self, struct py_object *const *arguments,
				 size_t count, struct py_object *names)
{
	uint64_t key = monitoring_has(count, 4) ? callee_key(arguments[2], arguments[3]) : 0;
	struct calls_interpreter *here = place_of(self);
	uint64_t now = key ? ticks_now() : 0;
	struct calltree *tree = key ? observed(here, now, CALLTREE_OF_C) : NULL;
	struct calltree_callee callee = { .key = key, .kind = CALLTREE_C };
	bool is_new = false;
	uintptr_t frame;
	uint32_t node;

	(void)names;
	if (!tree)
		return py._Py_NoneStruct;
	calltree_pass(tree, now, here->cost_ticks[CALLTREE_OF_C]);
	frame = settle(tree, arguments[0]);
	if (!frame) {
		tree->lost++;
		return py._Py_NoneStruct;
	}
	node = calltree_find(tree, key, 0);
	if (!node) {
		callee.id = callee_find(key, arguments[2], arguments[3]);
		node = calltree_node(tree, &callee, &is_new);
	}
	calltree_push(tree, node, frame, true);
	if (!tree->depth)
		return py._Py_NoneStruct;
	calltree_top(tree)->key = (uintptr_t)arguments[2];
	/* Sites are the main interpreter's. */
	if (calls.has_sites && here == &calls.interpreters[CALLS_MAIN])
		calls_site_begin(here, tree, arguments[0], now);
	return py._Py_NoneStruct;
}

static struct py_object *on_c_return(struct py_object *self, struct py_object *const *arguments,
				     size_t count, struct py_object *names)
{
	(void)names;
	if (monitoring_has(count, 4))
		c_leave(place_of(self), arguments[2], CALLTREE_RETURN);
	return py._Py_NoneStruct;
}

static struct py_object *on_c_raise(struct py_object *self, struct py_object *const *arguments,
				    size_t count, struct py_object *names)
{
	(void)names;
	if (monitoring_has(count, 4))
		c_leave(place_of(self), arguments[2], CALLTREE_UNWIND);
	return py._Py_NoneStruct;
}

/* NULL: it has ended, or its tool has moved. */
HOT struct calls_interpreter *place_of(struct py_object *self)
{
	return (struct calls_interpreter *)monitoring_tool(self);
}

HOT void enter(struct calls_interpreter *here, struct py_object *code, enum calltree_event of)
{
	uint64_t now = ticks_now();
	struct calltree *tree = observed(here, now, of);
	const struct calltree_step *top;
	struct frames_glance at;

	if (!tree)
		return;
	calltree_pass(tree, now, here->cost_ticks[of]);
	at = frames_glance();
	top = calltree_top(tree);
	if ((!code_is(at.code, code) || !top || top->frame != at.previous ||
	     top->key != frames_code(at.previous) || top->is_c) &&
	    !settle_caller(tree, code, &at.frame)) {
		tree->lost++;
		return;
	}
	calltree_push(tree, python_node(tree, (uintptr_t)code), at.frame, true);
}

HOT void leave(struct calls_interpreter *here, struct py_object *code, enum calltree_end how)
{
	enum calltree_event of = how == CALLTREE_YIELD ? CALLTREE_OF_GENERATOR : CALLTREE_OF_PYTHON;
	uint64_t now = ticks_now();
	struct calltree *tree = observed(here, now, of);

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

static void c_leave(struct calls_interpreter *here, struct py_object *callable,
		    enum calltree_end how)
{
	uint64_t now = ticks_now(), told_ticks = 0;
	struct calltree *tree = own_tree(here);
	struct calltree_step *top = tree ? calltree_top(tree) : NULL;
	struct frames_glance at;

	/* Under an evaluator of somebody's own (PEP 523) Python functions end like this, too. */
	if (!(top && top->is_c && top->key == (uintptr_t)callable) && !callee_key(callable, NULL))
		return;
	/* Before the window is over, perhaps by this event. */
	if (top && top->is_c && top->site)
		told_ticks = calls_site_end(here, tree, now);
	tree = observed(here, now, CALLTREE_OF_C);
	if (!tree)
		return;
	calltree_pass(tree, now, here->cost_ticks[CALLTREE_OF_C]);
	tree->last_ticks += told_ticks;
	at = frames_glance();
	top = calltree_top(tree);
	if ((!top || !top->is_c || top->frame != at.frame) && !settle_c(tree)) {
		tree->lost++;
		return;
	}
	top = calltree_top(tree);
	if (top && top->is_c)
		calltree_pop(tree, how);
}

/* The tree that the calling thread was last in, here and in this window; NULL: none. */
static struct calltree *own_tree(const struct calls_interpreter *here)
{
	struct thread *thread = here ? thread_self() : NULL;
	struct calls_thread *own = thread ? thread_own(thread, COLLECTOR_calls) : NULL;

	return own && is_own(own->tree, here, thread) ? own->tree : NULL;
}

/* ---- where the thread is ---- */

/* The calling thread's tree in this window; NULL: it is not observed. */
HOT struct calltree *observed(struct calls_interpreter *here, uint64_t now_ticks,
			      enum calltree_event of)
{
	struct thread *thread = thread_self();
	struct calls_thread *own;
	struct calltree *tree;
	uint64_t end_ticks;

	if (!here || atomic_load_explicit(&here->state, memory_order_relaxed) != CALLS_OPEN ||
	    atomic_load_explicit(&calls.is_stopped, memory_order_relaxed))
		return NULL;
	end_ticks = atomic_load_explicit(&here->end_ticks, memory_order_relaxed);
	if (now_ticks >= end_ticks || here->events_left-- == 0) {
		if (now_ticks < end_ticks || !calls_window_follow(here, now_ticks)) {
			calls_window_end(here, now_ticks);
			return NULL;
		}
		end_ticks = atomic_load_explicit(&here->end_ticks, memory_order_relaxed);
	}
	if (!thread) {
		atomic_fetch_add_explicit(&calls.missed, 1, memory_order_relaxed);
		return NULL;
	}
	own = thread_own(thread, COLLECTOR_calls);
	tree = own->tree;
	if (!is_own(tree, here, thread) ||
	    (tree->node_count > NODES_MOST && calls.mode == CALLS_ALWAYS))
		tree = tree_another(here, own, thread);
	if (!tree) {
		atomic_fetch_add_explicit(&calls.missed, 1, memory_order_relaxed);
		return NULL;
	}
	tree->events[of]++;
	/* The window is of the program's time, which stands still meanwhile. */
	atomic_store_explicit(&here->end_ticks, end_ticks + here->cost_ticks[of],
			      memory_order_relaxed);
	return tree;
}

HOT bool is_own(const struct calltree *tree, const struct calls_interpreter *here,
		const struct thread *thread)
{
	uint32_t window;

	if (!tree)
		return false;
	window = atomic_load_explicit(&here->window, memory_order_relaxed);
	return atomic_load_explicit(&tree->owner, memory_order_relaxed) ==
	       calls_owner(thread, window);
}

/* The thread comes from another interpreter, or this is its first event in the window. */
static struct calltree *tree_another(struct calls_interpreter *here, struct calls_thread *own,
				     const struct thread *thread)
{
	for (unsigned i = 0; i < CALLS_TREES_LEFT; i++) {
		struct calltree *tree = own->left[i];

		if (!tree || !calls_is_still(tree, thread) ||
		    calls_interpreter_of(atomic_load(&tree->owner)) != here)
			continue;
		own->left[i] = own->tree;
		own->tree = tree;
		break;
	}
	if (own->tree && calls_is_still(own->tree, thread) &&
	    calls_interpreter_of(atomic_load(&own->tree->owner)) == here)
		return calls.mode == CALLS_ALWAYS ? tree_change(here, own, thread) : own->tree;
	return tree_take(here, own, thread);
}

/* Its first event in this window: until now it was where that event found it. */
static struct calltree *tree_take(struct calls_interpreter *here, struct calls_thread *own,
				  const struct thread *thread)
{
	struct calltree *tree = calls_tree_get();

	/* Threads may come faster than the drainer looks. */
	while (!tree && calls_tree_add())
		tree = calls_tree_get();
	calls_tree_leave(own, thread, tree);
	own->tree = tree;
	if (!tree)
		return NULL;
	calltree_begin(tree, atomic_load_explicit(&here->begun_ticks, memory_order_relaxed));
	tree->end_ticks = tree->last_ticks + here->planned_ticks;
	tree->begun_ns = atomic_load_explicit(&here->begun_ns, memory_order_relaxed);
	tree_put(here, tree, thread);
	settle_before(tree);
	return tree;
}

/* Observed always: what was seen so far is the drainer's, and the thread goes on in another tree. */
static struct calltree *tree_change(struct calls_interpreter *here, struct calls_thread *own,
				    const struct thread *thread)
{
	struct calltree *old = own->tree, *tree;

	if (is_own(old, here, thread) && old->node_count <= NODES_MOST)
		return old;
	tree = calls_tree_get();
	if (!tree) {
		tree_put(here, old, thread);
		return old;
	}
	tree->begun_ns = os_monotonic_ns();
	calltree_move(tree, old, tree->begun_ns);
	for (uint32_t i = CALLTREE_FIRST; i < tree->node_count; i++) {
		if (tree->nodes[i].kind == CALLTREE_PYTHON)
			made((uintptr_t)tree->nodes[i].key);
	}
	tree_put(here, tree, thread);
	own->tree = tree;
	/* Pairs with the drainer's look at it. */
	atomic_store_explicit(&old->state, CALLS_TREE_FULL, memory_order_release);
	return tree;
}

static void tree_put(struct calls_interpreter *here, struct calltree *tree,
		     const struct thread *thread)
{
	uint32_t window = atomic_load_explicit(&here->window, memory_order_relaxed);

	tree->thread = thread->serial;
	atomic_store_explicit(&tree->owner, calls_owner(thread, window), memory_order_relaxed);
}

/* The stack as it was before the event that is under way, or before the pending call. */
static void settle_before(struct calltree *tree)
{
	struct frames_link at;

	tree->depth = 0;
	if (!frames_top(&at) || (frames_begins(&at) && !frames_up(&at)))
		return;
	settle_anew(tree, &at);
}

/* Bring the cursor to the thread's innermost frame, which is of this code and in no C call. 0: it is not. */
HOT uintptr_t settle(struct calltree *tree, struct py_object *code)
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

		calltree_push(tree, python_node(tree, step->key), frame, false);
	}
}

static uint32_t python_node(struct calltree *tree, uintptr_t code)
{
	struct calltree_callee callee = { code, frames_code_version(code), CALLTREE_PYTHON };
	bool is_new = false;
	uint32_t node = calltree_find(tree, callee.key, callee.id);

	if (!node)
		node = calltree_node(tree, &callee, &is_new);
	if (is_new) {
		made(code);
		tree->nodes[node].made_ns = os_monotonic_ns();
	}
	return node;
}

/* From now on its death is heard of. Where names of all that lives are read anew, at the end of an interpreter,
   what was met before and is not written yet would have none. */
static void made(uintptr_t code)
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

/* ---- windows ---- */

void calls_window_open(struct calls_interpreter *here, uint64_t now_ticks)
{
	struct thread *thread = thread_self();
	struct calltree *tree = NULL;
	struct frames_link at;
	uint64_t begun_ticks, end_ticks, begun_cpu_ns = os_thread_cpu_ns();

	calls_window_stamp(here);
	begun_ticks = atomic_load(&here->begun_ticks);
	end_ticks = begun_ticks + here->planned_ticks;
	atomic_store(&here->end_ticks, end_ticks);
	if (now_ticks >= end_ticks) {
		calls_window_end(here, now_ticks);
		return;
	}
	here->opened_ticks = now_ticks > begun_ticks ? now_ticks : begun_ticks;
	here->opened_cpu_ns = calls_cpu_ns();
	/* From here on callbacks count. */
	atomic_store_explicit(&here->state, CALLS_OPEN, memory_order_relaxed);
	if (!monitoring_set(&here->tool, calls.events)) {
		atomic_store(&here->is_lost, true);
		calls_window_end(here, now_ticks);
		return;
	}
	/* A pending call runs where a function begins, before or after its event: that call came after the
	   window's begin, too. */
	if (thread && frames_top(&at) && frames_begins(&at)) {
		tree = tree_take(here, thread_own(thread, COLLECTOR_calls), thread);
		if (tree)
			calltree_push(tree, python_node(tree, at.code), at.frame, true);
	}
	/* What that took is not the program's time. */
	here->opening_ticks = ticks_now() - here->opened_ticks;
	here->opening_cpu_ns = os_thread_cpu_ns() - begun_cpu_ns;
	atomic_store(&here->end_ticks, end_ticks + here->opening_ticks);
	if (tree)
		tree->last_ticks += here->opening_ticks;
}

/*
 * Who waits until an interpreter is busy, to begin the next window, would see it busier than it is. So windows
 * begin without it, and since it would have closed the earlier one, nothing has been called in it.
 */
bool calls_window_follow(struct calls_interpreter *here, uint64_t now_ticks)
{
	uint32_t number = atomic_load_explicit(&calls.asked, memory_order_acquire);
	uint32_t missed = number - atomic_load(&here->window) / CALLS_INTERPRETERS;
	uint64_t begun_ticks = atomic_load(&calls.asked_ticks);
	uint64_t end_ticks = atomic_load(&here->end_ticks);
	struct thread *thread = thread_self();
	struct calls_thread *own = thread ? thread_own(thread, COLLECTOR_calls) : NULL;

	if (missed == 0 || calls.mode != CALLS_WINDOWS || now_ticks < begun_ticks ||
	    now_ticks >= begun_ticks + here->planned_ticks)
		return false;
	/* The thread was where it is in all that it has missed. */
	if (own && !is_own(own->tree, here, thread))
		tree_another(here, own, thread);
	if (own && own->tree) {
		if (own->tree->last_ticks < end_ticks)
			calltree_pass(own->tree, end_ticks, 0);
		calltree_pass(own->tree, end_ticks + (missed - 1) * here->planned_ticks, 0);
	}
	here->carried_ticks += end_ticks - atomic_load(&here->begun_ticks) - here->planned_ticks;
	here->opening_ticks = here->opening_cpu_ns = 0;
	here->events_left = option_number(OPTION_CALLS_BURST);
	atomic_store(&here->begun_ns, atomic_load(&calls.asked_ns));
	atomic_store(&here->begun_ticks, begun_ticks);
	atomic_store(&here->end_ticks, begun_ticks + here->planned_ticks);
	atomic_store(&here->window, calls_window_number(number, here));
	return true;
}

void calls_window_end(struct calls_interpreter *here, uint64_t now_ticks)
{
	struct thread *thread = thread_self();
	struct calls_thread *own = thread ? thread_own(thread, COLLECTOR_calls) : NULL;
	bool is_open = atomic_load_explicit(&here->state, memory_order_relaxed) == CALLS_OPEN;
	/* Our thread wakes for the window's end too, and may take the processor just now: elapsed time says nothing. */
	uint64_t begun_cpu_ns = os_thread_cpu_ns();

	if (own && !is_own(own->tree, here, thread))
		tree_another(here, own, thread);
	here->closer = own ? own->tree : NULL;
	here->is_cut = now_ticks < atomic_load(&here->end_ticks);
	here->closed_ticks = now_ticks;
	here->closed_cpu_ns = calls_cpu_ns();
	here->reading_cpu_ns = os_thread_cpu_ns() - begun_cpu_ns;
	here->slowness = is_open ? calls_events_slowness(here) : 1;
	if (own)
		own->tree = NULL;
	if (is_open && !monitoring_set(&here->tool, 0))
		atomic_store(&here->is_lost, true);
	here->closing_cpu_ns = os_thread_cpu_ns() - begun_cpu_ns;
	/* Pairs with the drainer's look at it: nothing of the window is touched any more. */
	atomic_store_explicit(&here->state, CALLS_OVER, memory_order_release);
}
