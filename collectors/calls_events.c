/*
 * calls_events.c - what the collector `calls` does in a callback of sys.monitoring.
 *
 *   enter   PY_START PY_RESUME PY_THROW       the frame is the current one; its caller must be on top
 *   leave   PY_RETURN PY_YIELD PY_UNWIND      the frame is the current one, and must be on top
 *   CALL, C_RETURN, C_RAISE                   the frame is the caller's; only calls of C functions count
 *
 * The GIL keeps callbacks apart. Each finds its thread's tree, lets the time pass, brings the cursor to where
 * the thread really is, and moves it. Nothing here fails, allocates from Python or runs Python code.
 */
#include "calls.h"

#define THREADS_LOOKED_AT 32
#define NODES_MOST \
	(CALLTREE_NODES - CALLTREE_DEPTH / 2 - 2) /* one event makes no more than the rest */

/* In each event's way. */
#define HOT static inline __attribute__((always_inline))

struct calls calls;

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
HOT void enter(struct py_object *code, enum calltree_event of);
HOT void leave(struct py_object *code, enum calltree_end how);
static void c_leave(struct py_object *callable, enum calltree_end how);
static struct calltree_step *c_top(void);
static struct calltree *own_tree(void);
HOT struct calltree *observed(uint64_t now_ticks, enum calltree_event of);
static inline bool is_own(const struct calltree *tree, const struct thread *thread);
static struct calltree *tree_another(struct calls_thread *own, const struct thread *thread);
static struct calltree *tree_take(struct calls_thread *own, const struct thread *thread);
static struct calltree *tree_change(struct calls_thread *own, const struct thread *thread);
static struct calltree *tree_free(void);
static void settle_before(struct calltree *tree);
HOT uintptr_t settle(struct calltree *tree, struct py_object *code);
static bool settle_caller(struct calltree *tree, struct py_object *code, uintptr_t *frame);
static bool settle_c(struct calltree *tree);
static void settle_anew(struct calltree *tree, const struct frames_link *at);
static uint32_t python_node(struct calltree *tree, uintptr_t code);
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
	(void)self, (void)names;
	if (monitoring_has(count, 2))
		enter(arguments[0], CALLTREE_OF_PYTHON);
	return py._Py_NoneStruct;
}

static struct py_object *on_resume(struct py_object *self, struct py_object *const *arguments,
				   size_t count, struct py_object *names)
{
	(void)self, (void)names;
	if (monitoring_has(count, 2))
		enter(arguments[0], CALLTREE_OF_GENERATOR);
	return py._Py_NoneStruct;
}

static struct py_object *on_return(struct py_object *self, struct py_object *const *arguments,
				   size_t count, struct py_object *names)
{
	(void)self, (void)names;
	if (monitoring_has(count, 3))
		leave(arguments[0], CALLTREE_RETURN);
	return py._Py_NoneStruct;
}

static struct py_object *on_yield(struct py_object *self, struct py_object *const *arguments,
				  size_t count, struct py_object *names)
{
	(void)self, (void)names;
	if (monitoring_has(count, 3))
		leave(arguments[0], CALLTREE_YIELD);
	return py._Py_NoneStruct;
}

static struct py_object *on_unwind(struct py_object *self, struct py_object *const *arguments,
				   size_t count, struct py_object *names)
{
	(void)self, (void)names;
	if (monitoring_has(count, 3))
		leave(arguments[0], CALLTREE_UNWIND);
	return py._Py_NoneStruct;
}

static struct py_object *on_call(struct py_object *self, struct py_object *const *arguments,
				 size_t count, struct py_object *names)
{
	uint64_t key = monitoring_has(count, 4) ? callee_key(arguments[2], arguments[3]) : 0;
	uint64_t now = key ? ticks_now() : 0;
	struct calltree *tree = key ? observed(now, CALLTREE_OF_C) : NULL;
	struct calltree_callee callee = { .key = key, .kind = CALLTREE_C };
	bool is_new = false;
	uintptr_t frame;
	uint32_t node;

	(void)self, (void)names;
	if (!tree)
		return py._Py_NoneStruct;
	calltree_pass(tree, now, calls.cost_ticks[CALLTREE_OF_C]);
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
	if (calls.has_sites)
		calls_site_begin(tree, arguments[0], now);
	return py._Py_NoneStruct;
}

static struct py_object *on_c_return(struct py_object *self, struct py_object *const *arguments,
				     size_t count, struct py_object *names)
{
	(void)self, (void)names;
	if (monitoring_has(count, 4))
		c_leave(arguments[2], CALLTREE_RETURN);
	return py._Py_NoneStruct;
}

static struct py_object *on_c_raise(struct py_object *self, struct py_object *const *arguments,
				    size_t count, struct py_object *names)
{
	(void)self, (void)names;
	if (monitoring_has(count, 4))
		c_leave(arguments[2], CALLTREE_UNWIND);
	return py._Py_NoneStruct;
}

HOT void enter(struct py_object *code, enum calltree_event of)
{
	uint64_t now = ticks_now();
	struct calltree *tree = observed(now, of);
	const struct calltree_step *top;
	struct frames_glance at;

	if (!tree)
		return;
	calltree_pass(tree, now, calls.cost_ticks[of]);
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

HOT void leave(struct py_object *code, enum calltree_end how)
{
	enum calltree_event of = how == CALLTREE_YIELD ? CALLTREE_OF_GENERATOR : CALLTREE_OF_PYTHON;
	uint64_t now = ticks_now();
	struct calltree *tree = observed(now, of);

	if (!tree)
		return;
	calltree_pass(tree, now, calls.cost_ticks[of]);
	if (!settle(tree, code)) {
		tree->lost++;
		return;
	}
	if (tree->depth)
		calltree_pop(tree, how);
}

static void c_leave(struct py_object *callable, enum calltree_end how)
{
	uint64_t now = ticks_now(), told_ticks = 0;
	struct calltree_step *top = c_top();
	struct calltree *tree;
	struct frames_glance at;

	/* Under an evaluator of somebody's own (PEP 523) Python functions end like this, too. */
	if (!(top && top->key == (uintptr_t)callable) && !callee_key(callable, NULL))
		return;
	/* Before the window is over, perhaps by this event. */
	if (top && top->site)
		told_ticks = calls_site_end(own_tree(), now);
	tree = observed(now, CALLTREE_OF_C);
	if (!tree)
		return;
	calltree_pass(tree, now, calls.cost_ticks[CALLTREE_OF_C]);
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

/* The C call that the calling thread was last seen in; NULL: none. */
static struct calltree_step *c_top(void)
{
	struct calltree *tree = own_tree();
	struct calltree_step *top = tree ? calltree_top(tree) : NULL;

	return top && top->is_c ? top : NULL;
}

static struct calltree *own_tree(void)
{
	struct thread *thread = thread_self();
	struct calls_thread *own = thread ? thread_own(thread, COLLECTOR_calls) : NULL;

	return own && is_own(own->tree, thread) ? own->tree : NULL;
}

/* ---- where the thread is ---- */

/* The calling thread's tree in this window; NULL: it is not observed. */
HOT struct calltree *observed(uint64_t now_ticks, enum calltree_event of)
{
	struct thread *thread = thread_self();
	struct calls_thread *own;
	struct calltree *tree;

	if (atomic_load_explicit(&calls.state, memory_order_relaxed) != CALLS_OPEN ||
	    atomic_load_explicit(&calls.is_stopped, memory_order_relaxed))
		return NULL;
	if (now_ticks >= calls.end_ticks || calls.events_left-- == 0) {
		calls_window_end(now_ticks);
		return NULL;
	}
	if (!thread) {
		atomic_fetch_add_explicit(&calls.missed, 1, memory_order_relaxed);
		return NULL;
	}
	own = thread_own(thread, COLLECTOR_calls);
	tree = own->tree;
	if (!is_own(tree, thread) || (tree->node_count > NODES_MOST && calls.mode == CALLS_ALWAYS))
		tree = tree_another(own, thread);
	if (!tree) {
		atomic_fetch_add_explicit(&calls.missed, 1, memory_order_relaxed);
		return NULL;
	}
	tree->events[of]++;
	/* The window is of the program's time, which stands still meanwhile. */
	calls.end_ticks += calls.cost_ticks[of];
	return tree;
}

/* A tree of an earlier window may be another thread's by now. */
static inline bool is_own(const struct calltree *tree, const struct thread *thread)
{
	return tree && tree->thread == thread->serial &&
	       atomic_load_explicit(&tree->window, memory_order_relaxed) ==
		       atomic_load_explicit(&calls.window, memory_order_relaxed);
}

static struct calltree *tree_another(struct calls_thread *own, const struct thread *thread)
{
	return own->tree && calls.mode == CALLS_ALWAYS ? tree_change(own, thread) :
							 tree_take(own, thread);
}

/* Its first event in this window: until now it was where that event found it. */
static struct calltree *tree_take(struct calls_thread *own, const struct thread *thread)
{
	struct calltree *tree = tree_free();

	/* Threads may come faster than the drainer looks. */
	while (!tree && calls_tree_add())
		tree = tree_free();
	own->tree = tree;
	if (!tree)
		return NULL;
	calltree_begin(tree, atomic_load_explicit(&calls.begun_ticks, memory_order_relaxed));
	tree->thread = thread->serial;
	tree->begun_ns = calls.begun_ns;
	atomic_store_explicit(&tree->window, calls.window, memory_order_relaxed);
	settle_before(tree);
	return tree;
}

/* Observed always: what was seen so far is the drainer's, and the thread goes on in another tree. */
static struct calltree *tree_change(struct calls_thread *own, const struct thread *thread)
{
	struct calltree *old = own->tree, *tree = tree_free();

	if (!tree) {
		atomic_store_explicit(&old->window, calls.window, memory_order_relaxed);
		return old;
	}
	tree->thread = thread->serial;
	tree->begun_ns = os_monotonic_ns();
	calltree_move(tree, old, tree->begun_ns);
	atomic_store_explicit(&tree->window, calls.window, memory_order_relaxed);
	own->tree = tree;
	/* Pairs with the drainer's look at it. */
	atomic_store_explicit(&old->state, CALLS_TREE_FULL, memory_order_release);
	return tree;
}

static struct calltree *tree_free(void)
{
	uint32_t count = atomic_load_explicit(&calls.tree_count, memory_order_acquire);

	for (uint32_t i = 0; i < count; i++) {
		struct calltree *tree = atomic_load_explicit(&calls.trees[i], memory_order_acquire);
		uint32_t is_free = CALLS_TREE_FREE;

		if (tree && atomic_compare_exchange_strong_explicit(
				    &tree->state, &is_free, CALLS_TREE_USED, memory_order_acquire,
				    memory_order_relaxed))
			return tree;
	}
	return NULL;
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
		/* From now on its death is heard of. */
		mark_set(code);
		tree->nodes[node].made_ns = os_monotonic_ns();
	}
	return node;
}

static bool code_is(uintptr_t code, struct py_object *object)
{
	return code == (uintptr_t)object;
}

/* ---- windows ---- */

void calls_window_stamp(void)
{
	uint64_t not_yet = 0;

	if (atomic_compare_exchange_strong(&calls.begun_ticks, &not_yet, ticks_now()))
		atomic_store(&calls.begun_cpu_ns, calls_cpu_ns());
}

uint64_t calls_cpu_ns(void)
{
	pid_t drainer = atomic_load(&calls.drainer);
	struct thread *thread = NULL;
	uint64_t own_ns = 0;

	/* The process's clock has other running threads' time as of the last tick; looking at theirs brings it
	   up to date. */
	for (unsigned i = 0; i < THREADS_LOOKED_AT && (thread = thread_next(thread)); i++)
		os_thread_cpu_of(atomic_load(&thread->tid), &own_ns);
	own_ns = 0;
	if (drainer)
		os_thread_cpu_of(drainer, &own_ns);
	return os_process_cpu_ns() - own_ns - atomic_load(&calls.drainer_earlier_ns);
}

void calls_window_open(uint64_t now_ticks)
{
	struct thread *thread = thread_self();
	struct calltree *tree = NULL;
	struct frames_link at;

	calls_window_stamp();
	calls.end_ticks = calls.begun_ticks + calls.planned_ticks;
	if (now_ticks >= calls.end_ticks) {
		calls_window_end(now_ticks);
		return;
	}
	calls.opened_ticks = now_ticks > calls.begun_ticks ? now_ticks : calls.begun_ticks;
	calls.opened_cpu_ns = calls_cpu_ns();
	/* From here on callbacks count. */
	atomic_store_explicit(&calls.state, CALLS_OPEN, memory_order_relaxed);
	if (!monitoring_set(&calls.tool, calls.events)) {
		atomic_store(&calls.is_lost, true);
		calls_window_end(now_ticks);
		return;
	}
	/* A pending call runs where a function begins, before or after its event: that call came after the
	   window's begin, too. */
	if (thread && frames_top(&at) && frames_begins(&at)) {
		tree = tree_take(thread_own(thread, COLLECTOR_calls), thread);
		if (tree)
			calltree_push(tree, python_node(tree, at.code), at.frame, true);
	}
	/* What that took is not the program's time. */
	calls.opening_ticks = ticks_now() - calls.opened_ticks;
	calls.end_ticks += calls.opening_ticks;
	if (tree)
		tree->last_ticks += calls.opening_ticks;
}

void calls_window_end(uint64_t now_ticks)
{
	struct thread *thread = thread_self();
	struct calls_thread *own = thread ? thread_own(thread, COLLECTOR_calls) : NULL;
	bool is_open = atomic_load_explicit(&calls.state, memory_order_relaxed) == CALLS_OPEN;

	if (own && !is_own(own->tree, thread))
		tree_take(own, thread);
	calls.closer = own ? own->tree : NULL;
	calls.is_cut = now_ticks < calls.end_ticks;
	calls.closed_ticks = now_ticks;
	calls.closed_cpu_ns = calls_cpu_ns();
	calls.closing_ticks = ticks_now() - now_ticks;
	calls.slowness = is_open ? calls_events_slowness() : 1;
	if (own)
		own->tree = NULL;
	if (is_open && !monitoring_set(&calls.tool, 0))
		atomic_store(&calls.is_lost, true);
	/* Pairs with the drainer's look at it: nothing of the window is touched any more. */
	atomic_store_explicit(&calls.state, CALLS_OVER, memory_order_release);
}
