/*
 * calls_cost.c - what an event costs, its dispatch by CPython and the slower code around it included.
 *
 *   at the start     small programs of ours, with the events and without: the difference is the cost
 *   at a window's    the work that a callback does, on a tree of its own, shows how much faster or slower
 *   end              the machine has become; costs are taken to follow it
 */
#include "calls.h"

#include <string.h>

#define PROBE_ROUNDS 4
#define PROBE_CALLS 64
#define CALIBRATION_ROUNDS 4

static uint64_t probe_ticks(struct calltree *probe);
static uint64_t run_ticks(struct py_object *globals, const char *name);
static void events_so_far(uint64_t events[CALLTREE_EVENTS]);
static uint64_t cost_of(unsigned kind, uint64_t ticks, const uint64_t *events,
			const uint64_t *before);
static struct py_object *calibration_globals(void);

void calls_events_calibrate(struct calls_interpreter *here)
{
	static const char *const names[CALLTREE_EVENTS] = { "python", "c", "generator" };
	struct py_object *raised = py.PyErr_GetRaisedException();
	struct py_object *globals = calibration_globals();
	uint64_t without[CALLTREE_EVENTS] = { 0 };
	struct calls_thread *own = thread_own(thread_self(), COLLECTOR_calls);

	for (unsigned kind = 0; globals && kind < CALLTREE_EVENTS; kind++)
		without[kind] = run_ticks(globals, names[kind]);
	calls.calibrating = thread_self();
	calls_period_begin(0);
	calls_observe(here);
	for (unsigned kind = 0; globals && kind < CALLTREE_EVENTS; kind++) {
		uint64_t before[CALLTREE_EVENTS], after[CALLTREE_EVENTS], with;

		events_so_far(before);
		with = run_ticks(globals, names[kind]);
		events_so_far(after);
		if (with > without[kind] && with != UINT64_MAX)
			calls.cost_start_ticks[kind] =
				cost_of(kind, with - without[kind], after, before);
	}
	calls.probe_start_ticks = probe_ticks(here->probe);
	memcpy(calls.cost_ticks, calls.cost_start_ticks, sizeof(calls.cost_ticks));
	monitoring_set(&here->tool, 0);
	calls_shut(here);
	atomic_store(&here->state, CALLS_NONE);
	if (globals && calls.mode == CALLS_WINDOWS)
		calls_switch_calibrate(here, globals);
	calls.calibrating = NULL;
	if (own->tree) {
		calls_tree_give(own->tree);
		own->tree = NULL;
	}
	if (globals) {
		py.PyDict_Clear(globals);
		py.Py_DecRef(globals);
	}
	py.PyErr_Clear();
	py.PyErr_SetRaisedException(raised);
}

static void events_so_far(uint64_t events[CALLTREE_EVENTS])
{
	const struct calls_thread *own = thread_own(thread_self(), COLLECTOR_calls);

	memset(events, 0, CALLTREE_EVENTS * sizeof(*events));
	if (calls.mode == CALLS_PERIOD)
		calls_period_events(events);
	else if (own->tree)
		memcpy(events, own->tree->events, sizeof(own->tree->events));
}

/* A round's ticks more than without, less what its events of other kinds cost, for each event of this kind. */
static uint64_t cost_of(unsigned kind, uint64_t ticks, const uint64_t *events,
			const uint64_t *before)
{
	uint64_t others = 0, own = (events[kind] - before[kind]) / CALIBRATION_ROUNDS;

	for (unsigned of = 0; of < kind; of++)
		others +=
			(events[of] - before[of]) / CALIBRATION_ROUNDS * calls.cost_start_ticks[of];
	return own && ticks > others ? (ticks - others) / own : 0;
}

static struct py_object *calibration_globals(void)
{
	/* As programs call: with arguments, recursively, what CPython has instructions of its own for. */
	static const char text[] = "def fib(n):\n return n if n < 2 else fib(n - 1) + fib(n - 2)\n"
				   "def python(times):\n fib(9)\n"
				   "def c(times):\n many = []\n for i in times:\n"
				   "  for j in times:\n   many.append(j)\n   len(many)\n"
				   "   isinstance(j, int)\n   ord('a')\n"
				   "  abs(i); abs(i); abs(i); abs(i)\n"
				   "def steps(times):\n for i in times:\n  yield i\n"
				   "def generator(times):\n for i in range(6):\n"
				   "  for j in steps(times): pass\n"
				   "times = range(4)\n"
				   /* Nearly nothing; and much that is not executed. */
				   "def small(n): pass\n"
				   "def large(n):\n if n is n: return\n"
				   " n = n.n(n) + n; n = n.n(n) + n; n = n.n(n) + n\n"
				   " n = n.n(n) + n; n = n.n(n) + n; n = n.n(n) + n\n"
				   " n = n.n(n) + n; n = n.n(n) + n; n = n.n(n) + n\n"
				   " n = n.n(n) + n; n = n.n(n) + n; n = n.n(n) + n\n"
				   "small_code = small.__code__\nlarge_code = large.__code__\n";
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

double calls_events_slowness(struct calls_interpreter *here)
{
	return here->probe ? (double)probe_ticks(here->probe) / (double)calls.probe_start_ticks : 1;
}

/* The same work as a callback does, on a tree of its own: how fast is the machine just now? */
static uint64_t probe_ticks(struct calltree *probe)
{
	const struct calltree_callee callee = { .key = 1, .kind = CALLTREE_C };
	uint64_t least = UINT64_MAX;

	if (!probe)
		return 1;
	for (unsigned round = 0; round < PROBE_ROUNDS; round++) {
		uint64_t begun = ticks_now(), spent;
		bool is_new;

		calltree_begin(probe, begun);
		for (unsigned i = 0; i < PROBE_CALLS; i++) {
			calltree_pass(probe, ticks_now(), 0);
			calltree_push(probe, calltree_node(probe, &callee, &is_new), 1, true);
			calltree_pop(probe, CALLTREE_RETURN);
		}
		spent = ticks_now() - begun;
		calltree_clear(probe);
		if (spent < least)
			least = spent;
	}
	return least;
}
