/*
 * calls_switch.c - what a window costs beyond its events and the switch itself: what is met there for the
 * first time.
 *
 *   switch on            CPython instruments the code that runs at once, all other when it is next entered
 *     | first call of f  f's code is walked; at the start it is measured what that takes for a small and a large one
 *     | a new node       our own work, and pages that nobody has touched yet: measured as it happens
 *   switch off           the code is walked again when it is next entered: not in the window, but a cost
 *
 * None of it is the program's time: the window lasts longer by it, as it does by what events cost.
 */
#include "calls.h"

#include <string.h>

#define ROUNDS 4
#define SWITCH_BITS 16 /* of its number, below the 48 of an address */
#define MET_BITS 10
#define HASH      \
	UINT64_C( \
		0x9e3779b97f4a7c15) /* 2^64 over the golden ratio: Knuth's multiplicative hashing */
#define MAKING_NS 4000 /* a node that takes longer waits for a processor */
#define UNITS_MOST 1000000

static uint64_t first_ticks(struct calls_interpreter *here, struct py_object *function);
static uint64_t run_ticks(struct py_object *function);
_Static_assert(1 << MET_BITS == CALLS_MET, "the hash has a place for each");
static void lengthen(struct calls_interpreter *here, uint64_t ticks);
static bool meet(struct calls_interpreter *here, uintptr_t code);
static uint64_t units_of(uintptr_t code);

/* ---- at the start ---- */

void calls_switch_calibrate(struct calls_interpreter *here, struct py_object *globals)
{
	struct py_object *small = py.PyDict_GetItemString(globals, "small");
	struct py_object *large = py.PyDict_GetItemString(globals, "large");
	uintptr_t small_code = (uintptr_t)py.PyDict_GetItemString(globals, "small_code");
	uintptr_t large_code = (uintptr_t)py.PyDict_GetItemString(globals, "large_code");

	if (small && large && small_code && large_code)
		calls.walk = calls_walk_fit(first_ticks(here, small), units_of(small_code),
					    first_ticks(here, large), units_of(large_code));
}

/* How much longer it takes right after the switch than when it is called again, each the least of some rounds.
   There is no window, so callbacks do next to nothing. */
static uint64_t first_ticks(struct calls_interpreter *here, struct py_object *function)
{
	uint64_t first = UINT64_MAX, later = UINT64_MAX;

	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t ticks;

		run_ticks(function);
		if (!monitoring_set(&here->tool, calls.events))
			return 0;
		ticks = run_ticks(function);
		first = ticks < first ? ticks : first;
		ticks = run_ticks(function);
		later = ticks < later ? ticks : later;
		monitoring_set(&here->tool, 0);
	}
	return first > later ? first - later : 0;
}

static uint64_t run_ticks(struct py_object *function)
{
	uint64_t begun = ticks_now(), spent;
	struct py_object *result =
		py.PyObject_CallFunctionObjArgs(function, py._Py_NoneStruct, (void *)NULL);

	spent = ticks_now() - begun;
	if (result)
		py.Py_DecRef(result);
	return result ? spent : UINT64_MAX;
}

struct calls_walk calls_walk_fit(uint64_t small_ticks, uint64_t small_units, uint64_t large_ticks,
				 uint64_t large_units)
{
	struct calls_walk walk = { (double)small_ticks, 0 };

	if (large_ticks <= small_ticks || large_units <= small_units)
		return walk;
	walk.unit_ticks = (double)(large_ticks - small_ticks) / (double)(large_units - small_units);
	walk.code_ticks -= walk.unit_ticks * (double)small_units;
	if (walk.code_ticks < 0)
		walk.code_ticks = 0;
	return walk;
}

/* ---- in a window ---- */

void calls_switched(struct calls_interpreter *here)
{
	here->switches++;
	here->walked_ticks = here->making_ticks = 0;
}

void calls_met(struct calls_interpreter *here, uintptr_t code)
{
	meet(here, code);
}

uint32_t calls_entered(struct calls_interpreter *here, struct calltree *tree, uintptr_t code)
{
	uint64_t begun = ticks_now();
	uint32_t node = calls_python_node(tree, code);

	calls_worked(here, tree, begun);
	if (calls.mode == CALLS_WINDOWS && meet(here, code)) {
		double ticks =
			calls.walk.code_ticks + calls.walk.unit_ticks * (double)units_of(code);
		uint64_t walked = (uint64_t)(ticks * here->slowness_taken);

		/* Before the event: it has passed as the caller's. */
		calltree_take_back(tree, walked);
		here->walked_ticks += walked;
		lengthen(here, walked);
	}
	return node;
}

void calls_worked(struct calls_interpreter *here, struct calltree *tree, uint64_t begun_ticks)
{
	uint64_t taken = ticks_now() - begun_ticks, most = ticks_from_ns(MAKING_NS);

	if (calls.mode != CALLS_WINDOWS)
		return;
	taken = taken < most ? taken : most;
	tree->last_ticks += taken;
	here->making_ticks += taken;
	lengthen(here, taken);
}

void calls_took(struct calls_interpreter *here, struct calltree *tree, uint64_t cpu_ns)
{
	uint64_t taken = ticks_from_ns(cpu_ns);

	tree->last_ticks += taken;
	here->making_ticks += taken;
	lengthen(here, taken);
}

/* Its GIL is held: nobody else moves the end. */
static void lengthen(struct calls_interpreter *here, uint64_t ticks)
{
	atomic_store_explicit(&here->end_ticks,
			      atomic_load_explicit(&here->end_ticks, memory_order_relaxed) + ticks,
			      memory_order_relaxed);
}

/* For the first time since the switch? One that was forgotten for another is met again. */
static bool meet(struct calls_interpreter *here, uintptr_t code)
{
	uint64_t *met = &here->met[code / sizeof(void *) * HASH >> (64 - MET_BITS)];
	uint64_t now = (uint64_t)code << SWITCH_BITS | (uint16_t)here->switches;
	bool is_first = *met != now;

	*met = now;
	return is_first;
}

/* ob_size, where every object of variable size has it. */
static uint64_t units_of(uintptr_t code)
{
	uint64_t units;

	memcpy(&units, (const char *)code + frames_layout()->bytes_size, sizeof(units));
	return units < UNITS_MOST ? units : UNITS_MOST;
}
