/*
 * test_calls_period.c - the collector `calls` where one event in so many is recorded: whose, with which value,
 * and what becomes of those that cannot be kept. The interpreter, frames, callees and the way into the ring are
 * made up.
 */
#include "../../collectors/calls.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define CODE 0x7000u
#define CALLEE 9

static struct monitoring tool;
static struct thread self = { .entered_ns = 1234 };
static struct thread *entered; /* what is entered */
static uint64_t objects[4]; /* None, nothing, callable, its first argument */
static struct py_object *const none = (struct py_object *)&objects[0];
static uint64_t random_seed = 12345, key = 5;
static uintptr_t at_code;
static bool is_full;
static unsigned leaves;

/* The records. */
static struct {
	uint64_t count, sum, last, least, most;
	struct frame leaf; /* of the last one; all zero: none */
} put;

uint64_t __wrap_os_random(void);
uint64_t __wrap_os_random(void)
{
	return random_seed;
}

uint64_t __wrap_callee_key(struct py_object *callable, struct py_object *first);
uint64_t __wrap_callee_key(struct py_object *callable, struct py_object *first)
{
	cr_assert_eq(callable, (struct py_object *)&objects[2]);
	cr_assert_eq(first, (struct py_object *)&objects[3]);
	return key;
}

uint32_t __wrap_callee_find(uint64_t found, struct py_object *callable, struct py_object *first);
uint32_t __wrap_callee_find(uint64_t found, struct py_object *callable, struct py_object *first)
{
	(void)callable, (void)first;
	cr_assert_eq(found, key);
	return CALLEE;
}

static unsigned begun, made; /* calls that may wait, and those that have been made at their end */

bool __wrap_monitoring_call_begins(struct py_object *callable);
bool __wrap_monitoring_call_begins(struct py_object *callable)
{
	cr_assert_eq(callable, (struct py_object *)&objects[2]);
	begun++;
	return false;
}

struct py_object *__wrap_monitoring_make_call(void);
struct py_object *__wrap_monitoring_make_call(void)
{
	made++;
	return NULL;
}

struct thread *__wrap_thread_enter(void);
struct thread *__wrap_thread_enter(void)
{
	return entered;
}

void __wrap_thread_leave_callback(struct thread *thread);
void __wrap_thread_leave_callback(struct thread *thread)
{
	cr_assert_eq(thread, &self);
	leaves++;
}

bool __wrap_record_call(struct thread *thread, enum metric metric, uint64_t time_ns, uint64_t value,
			const struct frame *leaf);
bool __wrap_record_call(struct thread *thread, enum metric metric, uint64_t time_ns, uint64_t value,
			const struct frame *leaf)
{
	cr_assert_eq(thread, &self);
	cr_assert_eq(metric, METRIC_calls_calls);
	cr_assert_eq(time_ns, 1234);
	if (is_full)
		return false;
	put.last = value;
	put.sum += value;
	put.leaf = leaf ? *leaf : (struct frame){ 0, 0 };
	/* The first one comes at any moment. */
	if (put.count && (value < put.least || !put.least))
		put.least = value;
	if (put.count && value > put.most)
		put.most = value;
	put.count++;
	return true;
}

/* A thread state whose frame has a code: all that a glance reads. */
static struct {
	uintptr_t frame_code, frame_previous, state_interpreter, state_frame;
} memory;

static struct py_thread_state *thread_state(void)
{
	memory.state_frame = (uintptr_t)&memory;
	memory.frame_code = at_code;
	return (struct py_thread_state *)&memory;
}

static void set_up(void)
{
	struct frames_layout layout = {
		.tstate_interp = offsetof(__typeof__(memory), state_interpreter),
		.tstate_frame = offsetof(__typeof__(memory), state_frame),
		.frame_code = offsetof(__typeof__(memory), frame_code),
		.frame_previous = offsetof(__typeof__(memory), frame_previous),
	};

	py._Py_NoneStruct = none;
	py._PyThreadState_GetCurrent = thread_state;
	frames_layout_set(&layout);
	entered = &self;
	at_code = CODE;
	calls_period_set(&tool);
	setenv("MONPROF_CALLS_PERIOD", "100", 1);
	cr_assert(options_load());
	calls.mode = CALLS_PERIOD;
	calls_period_begin(100);
}

TestSuite(calls_period, .init = set_up);

static void event(enum monitoring_event which)
{
	struct py_object *const arguments[] = {
		(struct py_object *)(uintptr_t)CODE,
		NULL,
		(struct py_object *)&objects[2],
		(struct py_object *)&objects[3],
	};
	size_t count = which == MONITORING_CALL ? 4 : 2;

	cr_assert_eq(tool.calls[which](NULL, arguments, count | MONITORING_COUNT_FLAG, NULL), none);
}

static void events(enum monitoring_event which, unsigned times)
{
	while (times--)
		event(which);
}

/* Until a record has been put. */
static void until_put(enum monitoring_event which)
{
	uint64_t before = put.count;

	for (unsigned times = 0; put.count == before; times++) {
		cr_assert_lt(times, 1000);
		event(which);
	}
}

static const char *note_wanted;
static char note_value[32];

static void take_note(const char *name, const char *value)
{
	if (strcmp(name, note_wanted) == 0)
		memcpy(note_value, value, strlen(value) + 1);
}

static uint64_t note_of(const char *wanted)
{
	note_wanted = wanted;
	note_value[0] = '\0';
	calls_flush(0, take_note);
	cr_assert(note_value[0], "no remark %s", wanted);
	return strtoull(note_value, NULL, 10);
}

Test(calls_period, wants_no_event_where_calls_of_python_end)
{
	for (unsigned i = 0; i < MONITORING_EVENTS; i++)
		cr_expect_eq(tool.calls[i] != NULL,
			     i == MONITORING_PY_START || i == MONITORING_PY_RESUME ||
				     i == MONITORING_PY_THROW || i == MONITORING_CALL ||
				     i == MONITORING_C_RETURN);
}

/* What switches on events of the program's own is made at the end of its call. */
Test(calls_period, calls_that_wait_are_made_at_their_end)
{
	struct py_object *arguments[4] = { none, none, none, none };

	events(MONITORING_CALL, 3);
	cr_expect_eq(begun, 3);
	cr_expect_eq(tool.calls[MONITORING_C_RETURN](NULL, arguments, 4, NULL), none);
	cr_expect_eq(made, 0);
	monitoring_waiting = 1;
	cr_expect_null(tool.calls[MONITORING_C_RETURN](NULL, arguments, 4, NULL), "it has raised");
	cr_expect_eq(made, 1);
	cr_expect_eq(note_of("calls.events"), 3, "an end is none");
}

Test(calls_period, values_and_the_rest_are_all_events)
{
	events(MONITORING_PY_START, 5000);
	events(MONITORING_PY_RESUME, 2000);
	events(MONITORING_PY_THROW, 1000);
	events(MONITORING_CALL, 2012);
	cr_expect_eq(put.sum + calls_period_rest(), 10012);
	cr_expect_lt(calls_period_rest(), 150);
	cr_expect_eq(leaves, put.count);
	cr_expect_eq(note_of("calls.events"), 10012);
	cr_expect_eq(note_of("calls.lost"), 0);
	cr_expect_eq(note_of("windows.calls"), put.count);
	cr_expect_eq(note_of("period.calls"), 100);
	cr_expect_eq(note_of("calls.achieved_period"), 10012 / put.count);
}

Test(calls_period, kinds_are_told_apart_for_their_cost)
{
	uint64_t seen[CALLTREE_EVENTS];

	events(MONITORING_PY_START, 5);
	events(MONITORING_PY_RESUME, 2);
	events(MONITORING_PY_THROW, 1);
	events(MONITORING_CALL, 4);
	calls_period_events(seen);
	cr_expect_eq(seen[CALLTREE_OF_PYTHON], 5);
	cr_expect_eq(seen[CALLTREE_OF_GENERATOR], 3);
	cr_expect_eq(seen[CALLTREE_OF_C], 4);
}

/* Over the widths of both kinds of period, even and odd, every distance comes, and their mean is the period. */
Test(calls_period, distances_are_spread_evenly_about_the_period)
{
	static const uint64_t periods[] = { 2, 3, 10, 101 };

	for (unsigned i = 0; i < PROF_COUNT(periods); i++) {
		uint64_t period = periods[i];

		memset(&put, 0, sizeof(put));
		calls_period_begin(period);
		events(MONITORING_PY_START, 200000);
		cr_expect_eq(put.least, period - (period | 1) / 2);
		cr_expect_eq(put.most, period + (period | 1) / 2);
		/* 3 standard errors of the mean at least; the seed is always the same */
		cr_expect(put.sum / (double)put.count > 0.98 * (double)period &&
				  put.sum / (double)put.count < 1.02 * (double)period,
			  "period %lu: %lu in %lu", period, put.sum, put.count);
	}
}

/* Whatever the seed, the first record is one of the first events, each as often as another. */
Test(calls_period, the_first_event_has_its_chance_too)
{
	unsigned first[4] = { 0 };

	for (unsigned round = 0; round < 4000; round++) {
		random_seed = (round + 1) * UINT64_C(0x9e3779b97f4a7c15);
		memset(&put, 0, sizeof(put));
		calls_period_begin(4);
		until_put(MONITORING_PY_START);
		cr_assert(put.last >= 1 && put.last <= 4);
		first[put.last - 1]++;
	}
	for (unsigned i = 0; i < PROF_COUNT(first); i++)
		cr_expect(first[i] > 800 && first[i] < 1200, "%u: %u", i, first[i]);
}

Test(calls_period, python_functions_are_their_own_frame)
{
	until_put(MONITORING_PY_START);
	cr_expect_eq(put.leaf.code | put.leaf.instruction, 0);
	until_put(MONITORING_PY_RESUME);
	cr_expect_eq(put.leaf.code | put.leaf.instruction, 0);
}

Test(calls_period, code_without_a_frame_is_unknown)
{
	at_code = CODE + 16;
	until_put(MONITORING_PY_START);
	cr_expect_eq(put.leaf.code, FRAME_UNKNOWN);
	cr_expect_eq(put.leaf.instruction, 0);
}

Test(calls_period, functions_of_c_are_a_callee)
{
	until_put(MONITORING_CALL);
	cr_expect_eq(put.leaf.code, CALLEE);
	cr_expect_eq(put.leaf.instruction, FRAME_CALLEE);
}

Test(calls_period, calls_of_python_are_counted_where_they_start)
{
	key = 0;
	events(MONITORING_CALL, 1000);
	cr_expect_eq(put.count, 0);
	cr_expect_eq(calls_period_rest(), 0);
}

/* One more period with each. */
Test(calls_period, what_cannot_be_kept_goes_with_the_next_ones)
{
	is_full = true;
	events(MONITORING_PY_START, 1000);
	cr_expect_eq(put.count, 0);
	cr_expect_eq(calls_period_rest(), 1000);
	cr_expect_geq(note_of("calls.lost"), 6);
	cr_expect_eq(leaves, note_of("calls.lost"));
	is_full = false;
	for (unsigned i = 0; i < 4; i++) {
		until_put(MONITORING_PY_START);
		cr_expect_eq(put.last, 200);
		cr_expect_geq(calls_period_rest(), 500);
	}
	events(MONITORING_PY_START, 3000);
	cr_expect_leq(put.last, 150, "all of it has gone");
	cr_expect_lt(calls_period_rest(), 150);
	cr_expect_eq(put.sum + calls_period_rest(), note_of("calls.events"));
}

Test(calls_period, a_thread_that_we_are_already_in_is_not_disturbed)
{
	entered = NULL;
	events(MONITORING_PY_START, 1000);
	cr_expect_eq(put.count + leaves, 0);
	cr_expect_geq(note_of("calls.lost"), 6);
	cr_expect_eq(calls_period_rest(), 1000);
}

Test(calls_period, at_the_end_nothing_is_counted)
{
	events(MONITORING_PY_START, 1000);
	memset(&put, 0, sizeof(put));
	atomic_store(&calls.is_stopped, true);
	events(MONITORING_PY_START, 1000);
	events(MONITORING_CALL, 1000);
	cr_expect_eq(put.count, 0);
	cr_expect_eq(note_of("calls.events"), 1000);
}

Test(calls_period, period_0_counts_alone)
{
	calls_period_begin(0);
	events(MONITORING_PY_START, 1000);
	cr_expect_eq(put.count, 0);
	cr_expect_eq(calls_period_rest(), 1000);
	cr_expect_eq(note_of("calls.achieved_period"), 0);
	calls_period_begin(10);
	cr_expect_eq(calls_period_rest(), 0, "it began anew");
}

/* A program that finds our callbacks may call them with anything. */
Test(calls_period, calls_with_too_little_are_nothing)
{
	for (unsigned i = 0; i < MONITORING_EVENTS; i++) {
		if (tool.calls[i])
			cr_expect_eq(tool.calls[i](NULL, NULL, i == MONITORING_CALL ? 3 : 1, NULL),
				     none);
	}
	cr_expect_eq(calls_period_rest(), 0);
}
