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
/* One event makes no more than the rest. */
#define NODES_MOST (CALLTREE_NODES - CALLTREE_DEPTH / 2 - 2)
#define PROBE_ROUNDS 4
#define PROBE_CALLS 64
#define CALIBRATION_ROUNDS 5
#define CALIBRATION_CALLS 400 /* as in the program below */

struct calls calls;

static struct py_object *on_start(struct py_object *self, struct py_object *const *arguments,
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
static uint64_t probe_ticks(void);
static void enter(struct py_object *code);
static void leave(struct py_object *code, enum calltree_end how);
static void c_leave(struct py_object *callable, enum calltree_end how);
static struct calltree *observed(uint64_t now_ticks, enum calltree_kind kind);
static bool is_own(const struct calltree *tree, const struct thread *thread);
static struct calltree *tree_take(struct calls_thread *own, const struct thread *thread);
static struct calltree *tree_change(struct calls_thread *own, const struct thread *thread);
static struct calltree *tree_free(void);
static void settle_before(struct calltree *tree);
static void settle(struct calltree *tree, const struct frames_link *at);
static void settle_anew(struct calltree *tree, const struct frames_link *at);
static uint32_t python_node(struct calltree *tree, uintptr_t code);
static bool code_is(uintptr_t code, struct py_object *object);

/* ---- the callbacks ---- */

void calls_events_set(struct monitoring *tool)
{
	tool->calls[MONITORING_PY_START] = on_start;
	tool->calls[MONITORING_PY_RESUME] = on_start;
	tool->calls[MONITORING_PY_THROW] = on_start;
	tool->calls[MONITORING_PY_RETURN] = on_return;
	tool->calls[MONITORING_PY_YIELD] = on_yield;
	tool->calls[MONITORING_PY_UNWIND] = on_unwind;
	tool->calls[MONITORING_CALL] = on_call;
	tool->calls[MONITORING_C_RETURN] = on_c_return;
	tool->calls[MONITORING_C_RAISE] = on_c_raise;
}

/* A program that finds our callbacks may call them with anything. */
static inline bool has(size_t count, size_t least)
{
	return (count & ~MONITORING_COUNT_FLAG) >= least;
}

static struct py_object *on_start(struct py_object *self, struct py_object *const *arguments,
				  size_t count, struct py_object *names)
{
	(void)self, (void)names;
	if (has(count, 2))
		enter(arguments[0]);
	return py._Py_NoneStruct;
}

static struct py_object *on_return(struct py_object *self, struct py_object *const *arguments,
				   size_t count, struct py_object *names)
{
	(void)self, (void)names;
	if (has(count, 3))
		leave(arguments[0], CALLTREE_RETURN);
	return py._Py_NoneStruct;
}

static struct py_object *on_yield(struct py_object *self, struct py_object *const *arguments,
				  size_t count, struct py_object *names)
{
	(void)self, (void)names;
	if (has(count, 3))
		leave(arguments[0], CALLTREE_YIELD);
	return py._Py_NoneStruct;
}

static struct py_object *on_unwind(struct py_object *self, struct py_object *const *arguments,
				   size_t count, struct py_object *names)
{
	(void)self, (void)names;
	if (has(count, 3))
		leave(arguments[0], CALLTREE_UNWIND);
	return py._Py_NoneStruct;
}

static struct py_object *on_call(struct py_object *self, struct py_object *const *arguments,
				 size_t count, struct py_object *names)
{
	uint64_t now = ticks_now();
	uint64_t key = has(count, 4) ? callee_key(arguments[2], arguments[3]) : 0;
	struct calltree *tree = key ? observed(now, CALLTREE_C) : NULL;
	struct calltree_callee callee = { .key = key, .kind = CALLTREE_C };
	struct frames_link at;
	bool is_new = false;
	uint32_t node;

	(void)self, (void)names;
	if (!tree)
		return py._Py_NoneStruct;
	calltree_pass(tree, now, calls.cost_ticks[CALLTREE_C]);
	if (!frames_top(&at) || !code_is(at.code, arguments[0])) {
		tree->lost++;
		return py._Py_NoneStruct;
	}
	settle(tree, &at);
	node = calltree_find(tree, key, 0);
	if (!node) {
		callee.id = callee_find(key, arguments[2], arguments[3]);
		node = calltree_node(tree, &callee, &is_new);
	}
	calltree_push(tree, node, at.frame, true);
	return py._Py_NoneStruct;
}

static struct py_object *on_c_return(struct py_object *self, struct py_object *const *arguments,
				     size_t count, struct py_object *names)
{
	(void)self, (void)names;
	if (has(count, 4))
		c_leave(arguments[2], CALLTREE_RETURN);
	return py._Py_NoneStruct;
}

static struct py_object *on_c_raise(struct py_object *self, struct py_object *const *arguments,
				    size_t count, struct py_object *names)
{
	(void)self, (void)names;
	if (has(count, 4))
		c_leave(arguments[2], CALLTREE_UNWIND);
	return py._Py_NoneStruct;
}

static void enter(struct py_object *code)
{
	uint64_t now = ticks_now();
	struct calltree *tree = observed(now, CALLTREE_PYTHON);
	struct frames_link at, caller;
	struct calltree_step *top;

	if (!tree)
		return;
	calltree_pass(tree, now, calls.cost_ticks[CALLTREE_PYTHON]);
	/* Some extensions raise events of their own for code objects without a frame. */
	if (!frames_top(&at) || !code_is(at.code, code)) {
		tree->lost++;
		return;
	}
	top = calltree_top(tree);
	caller = at;
	if (!frames_up(&caller)) {
		tree->depth = 0;
	} else if (!top || top->frame != caller.frame || top->key != caller.code) {
		if (!calltree_seek(tree, caller.frame, caller.code, caller.was_crossed))
			settle_anew(tree, &caller);
	}
	calltree_push(tree, python_node(tree, at.code), at.frame, true);
}

static void leave(struct py_object *code, enum calltree_end how)
{
	uint64_t now = ticks_now();
	struct calltree *tree = observed(now, CALLTREE_PYTHON);
	struct frames_link at;

	if (!tree)
		return;
	calltree_pass(tree, now, calls.cost_ticks[CALLTREE_PYTHON]);
	if (!frames_top(&at) || !code_is(at.code, code)) {
		tree->lost++;
		return;
	}
	settle(tree, &at);
	if (tree->depth)
		calltree_pop(tree, how);
}

static void c_leave(struct py_object *callable, enum calltree_end how)
{
	uint64_t now = ticks_now();
	struct calltree *tree;
	struct calltree_step *top;
	struct frames_link at;

	/* Under an evaluator of somebody's own (PEP 523) Python functions end like this, too. */
	if (!callee_key(callable, NULL))
		return;
	tree = observed(now, CALLTREE_C);
	if (!tree)
		return;
	calltree_pass(tree, now, calls.cost_ticks[CALLTREE_C]);
	if (!frames_top(&at)) {
		tree->lost++;
		return;
	}
	if (!calltree_seek(tree, at.frame, at.code, true))
		settle_anew(tree, &at);
	top = calltree_top(tree);
	if (top && top->is_c)
		calltree_pop(tree, how);
}

/* ---- where the thread is ---- */

/* The calling thread's tree in this window; NULL: it is not observed. */
static struct calltree *observed(uint64_t now_ticks, enum calltree_kind kind)
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
	if (!is_own(tree, thread))
		tree = tree && calls.mode == CALLS_ALWAYS ? tree_change(own, thread) :
							    tree_take(own, thread);
	else if (tree->node_count > NODES_MOST && calls.mode == CALLS_ALWAYS)
		tree = tree_change(own, thread);
	if (!tree) {
		atomic_fetch_add_explicit(&calls.missed, 1, memory_order_relaxed);
		return NULL;
	}
	tree->events[kind]++;
	/* The window is of the program's time, which stands still meanwhile. */
	calls.end_ticks += calls.cost_ticks[kind];
	return tree;
}

/* A tree of an earlier window may be another thread's by now. */
static bool is_own(const struct calltree *tree, const struct thread *thread)
{
	return tree && tree->thread == thread->serial &&
	       atomic_load_explicit(&tree->window, memory_order_relaxed) ==
		       atomic_load_explicit(&calls.window, memory_order_relaxed);
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

/* Bring the cursor to this frame, which is the thread's innermost and in no C call. */
static void settle(struct calltree *tree, const struct frames_link *at)
{
	const struct calltree_step *top = calltree_top(tree);

	if (top && top->frame == at->frame && top->key == at->code && !top->is_c)
		return;
	if (!calltree_seek(tree, at->frame, at->code, false))
		settle_anew(tree, at);
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
	bool is_new;
	uint32_t node = calltree_node(tree, &callee, &is_new);

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

void calls_window_open(void)
{
	struct thread *thread = thread_self();
	struct frames_link at;
	uint64_t now = ticks_now();

	calls_window_stamp();
	calls.end_ticks = calls.begun_ticks + calls.planned_ticks;
	if (now >= calls.end_ticks) {
		calls_window_end(now);
		return;
	}
	/* From here on callbacks count. */
	atomic_store_explicit(&calls.state, CALLS_OPEN, memory_order_relaxed);
	if (!monitoring_set(&calls.tool, calls.events)) {
		atomic_store(&calls.is_lost, true);
		calls_window_end(now);
		return;
	}
	/* What that took is not the program's time. */
	calls.opening_ticks = ticks_now() - now;
	calls.end_ticks += calls.opening_ticks;
	/* A pending call runs where a function begins, before or after its event: that call came after the
	   window's begin, too. */
	if (thread && frames_top(&at) && frames_begins(&at)) {
		struct calls_thread *own = thread_own(thread, COLLECTOR_calls);
		struct calltree *tree = tree_take(own, thread);

		if (tree)
			calltree_push(tree, python_node(tree, at.code), at.frame, true);
	}
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
	calls.slowness = is_open ? calls_events_slowness() : 1;
	if (own)
		own->tree = NULL;
	if (is_open && !monitoring_set(&calls.tool, 0))
		atomic_store(&calls.is_lost, true);
	/* Pairs with the drainer's look at it: nothing of the window is touched any more. */
	atomic_store_explicit(&calls.state, CALLS_OVER, memory_order_release);
}

/* ---- what an event costs ---- */

double calls_events_slowness(void)
{
	return (double)probe_ticks() / (double)calls.probe_start_ticks;
}

/* The same work as a callback does, on a tree of its own: how fast is the machine just now? */
static uint64_t probe_ticks(void)
{
	const struct calltree_callee callee = { .key = 1, .kind = CALLTREE_C };
	uint64_t least = UINT64_MAX;

	if (!calls.probe)
		return 1;
	for (unsigned round = 0; round < PROBE_ROUNDS; round++) {
		uint64_t begun = ticks_now(), spent;
		bool is_new;

		calltree_begin(calls.probe, begun);
		for (unsigned i = 0; i < PROBE_CALLS; i++) {
			calltree_pass(calls.probe, ticks_now(), 0);
			calltree_push(calls.probe, calltree_node(calls.probe, &callee, &is_new), 1,
				      true);
			calltree_pop(calls.probe, CALLTREE_RETURN);
		}
		spent = ticks_now() - begun;
		calltree_clear(calls.probe);
		if (spent < least)
			least = spent;
	}
	return least;
}

/* Runs `text`'s function of this name; ticks, the least of some rounds. */
static uint64_t run_ticks(struct py_object *globals, const char *name)
{
	struct py_object *function = py.PyDict_GetItemString(globals, name);
	struct py_object *range = py.PyDict_GetItemString(globals, "times");
	uint64_t least = UINT64_MAX;

	for (unsigned round = 0; function && range && round < CALIBRATION_ROUNDS; round++) {
		uint64_t begun = ticks_now(), spent;
		struct py_object *result =
			py.PyObject_CallFunctionObjArgs(function, range, (void *)NULL);

		spent = ticks_now() - begun;
		if (result && spent < least)
			least = spent;
		if (result)
			py.Py_DecRef(result);
	}
	py.PyErr_Clear();
	return least;
}

static struct py_object *calibration_globals(void)
{
	static const char text[] = "def f():\n pass\n"
				   "def python(times):\n for i in times:\n  f()\n"
				   "def c(times, g=abs):\n for i in times:\n  g(0)\n"
				   "times = range(400)\n";
	struct py_object *file = py.PyUnicode_FromString("<monprof>");
	struct py_object *globals = py.PyDict_New();
	struct py_object *code =
		file ? py.Py_CompileStringObject(text, file, PYAPI_FILE_INPUT, NULL, -1) : NULL;
	struct py_object *result = code && globals ? py.PyEval_EvalCode(code, globals, globals) :
						     NULL;

	if (file)
		py.Py_DecRef(file);
	if (code)
		py.Py_DecRef(code);
	if (result)
		py.Py_DecRef(result);
	return globals;
}

void calls_events_calibrate(void)
{
	static const char *const names[] = { "python", "c" };
	struct py_object *raised = py.PyErr_GetRaisedException();
	struct py_object *globals = calibration_globals();
	uint64_t without[2] = { 0, 0 };
	struct calls_thread *own = thread_own(thread_self(), COLLECTOR_calls);

	for (unsigned kind = 0; globals && kind < 2; kind++)
		without[kind] = run_ticks(globals, names[kind]);
	calls.end_ticks = calls.events_left = CALLS_NEVER;
	calls.begun_ticks = ticks_now();
	calls.cost_ticks[0] = calls.cost_ticks[1] = 0;
	atomic_store(&calls.state, CALLS_OPEN);
	monitoring_set(&calls.tool, calls.events);
	for (unsigned kind = 0; globals && kind < 2; kind++) {
		uint64_t with = run_ticks(globals, names[kind]);

		if (with != UINT64_MAX && with > without[kind])
			calls.cost_ticks[kind] = (with - without[kind]) / (2 * CALIBRATION_CALLS);
		calls.cost_start_ticks[kind] = calls.cost_ticks[kind];
	}
	calls.probe_start_ticks = probe_ticks();
	monitoring_set(&calls.tool, 0);
	atomic_store(&calls.state, CALLS_NONE);
	if (own->tree) {
		calltree_clear(own->tree);
		atomic_store(&own->tree->state, CALLS_TREE_FREE);
		own->tree = NULL;
	}
	if (globals) {
		py.PyDict_Clear(globals);
		py.Py_DecRef(globals);
	}
	py.PyErr_Clear();
	py.PyErr_SetRaisedException(raised);
}
