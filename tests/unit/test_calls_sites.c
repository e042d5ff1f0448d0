/*
 * test_calls_sites.c - what a call site is told of a C call: its CPU time, without that of what it called and of
 * looking at clocks. A thread, its frame and the clocks are made up; a tick is a nanosecond.
 */
#include "../../collectors/calls.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define HERE (&calls.interpreters[CALLS_MAIN])
#define CODE 0x7000u
#define INSTRUCTION 0x7100u
#define CALLEE 3
#define LONG 20000
#define LOOK 300 /* what the system call takes */

static struct {
	struct {
		uintptr_t previous, instruction, code;
	} frame;
	struct {
		uintptr_t interpreter, frame;
	} thread;
} made;

static struct calltree *tree;
static uint64_t now, cpu_ns, told_ns;
static unsigned looks, tells;
static uint32_t wants = 5;

void *fake_current(void);
void *fake_current(void)
{
	return &made.thread;
}

uint64_t __wrap_os_monotonic_ns(void);
uint64_t __wrap_os_monotonic_ns(void)
{
	return now;
}

uint64_t __wrap_os_thread_cpu_ns(void);
uint64_t __wrap_os_thread_cpu_ns(void)
{
	looks++;
	now += LOOK;
	return cpu_ns;
}

uint32_t __wrap_site_call(uintptr_t code, uintptr_t instruction, uint32_t callee, uint32_t window);
uint32_t __wrap_site_call(uintptr_t code, uintptr_t instruction, uint32_t callee, uint32_t window)
{
	cr_assert_eq(code, CODE);
	cr_assert_eq(instruction, INSTRUCTION);
	cr_assert_eq(callee, CALLEE);
	cr_assert_eq(window, 7);
	return wants;
}

void __wrap_site_end(uint32_t call, uint64_t own_ns);
void __wrap_site_end(uint32_t call, uint64_t own_ns)
{
	cr_assert_eq(call, wants);
	told_ns = own_ns;
	tells++;
}

static void set_up(void)
{
	static const struct frames_layout layout = {
		.tstate_interp = 0,
		.tstate_frame = sizeof(uintptr_t),
		.frame_previous = 0,
		.frame_instruction = sizeof(uintptr_t),
		.frame_code = 2 * sizeof(uintptr_t),
	};

	frames_layout_set(&layout);
	py._PyThreadState_GetCurrent = (void *)fake_current;
	made.thread.interpreter = made.thread.frame = (uintptr_t)&made.frame;
	made.frame.instruction = INSTRUCTION;
	made.frame.code = CODE;
	tree = calloc(1, sizeof(*tree));
	cr_assert_not_null(tree);
	now = 1000000;
	cpu_ns = 500;
	calltree_begin(tree, now);
	tree->owner = 7;
	HERE->state = CALLS_OPEN;
	HERE->end_ticks = now * 2;
	HERE->cost_ticks[CALLTREE_OF_C] = 40;
}

static void tear_down(void)
{
	free(tree);
}

TestSuite(calls_sites, .init = set_up, .fini = tear_down);

static void begin(void)
{
	struct calltree_callee callee = { 99, CALLEE, CALLTREE_C };
	bool is_new;

	calltree_pass(tree, now, 0);
	calltree_push(tree, calltree_node(tree, &callee, &is_new), (uintptr_t)&made.frame, true);
	calls_site_begin(HERE, tree, (struct py_object *)(uintptr_t)CODE, now);
}

/* After so many ns of the clocks. */
static uint64_t end(uint64_t wall, uint64_t cpu)
{
	now += wall;
	cpu_ns += cpu;
	return calls_site_end(HERE, tree, now);
}

Test(calls_sites, a_short_call_is_told_by_ticks)
{
	begin();
	cr_assert_eq(looks, 1, "nobody had looked yet");
	cr_assert_eq(end(500, 0), 0);
	cr_assert_eq(told_ns, 500 - 40, "less what the event costs");
	calltree_pop(tree, CALLTREE_RETURN);
	begin();
	end(30, 0);
	cr_assert_eq(told_ns, 0);
	cr_assert_eq(looks, 1);
	cr_assert_eq(tells, 2);
}

Test(calls_sites, looking_is_not_the_programs_time)
{
	uint64_t end_ticks = HERE->end_ticks;

	begin();
	cr_assert_eq(HERE->end_ticks, end_ticks + LOOK);
	cr_assert_eq(tree->last_ticks, now);
	cr_assert_eq(end(LONG + 40, LONG + 40), LOOK, "whoever is told takes it off");
	cr_assert_eq(HERE->end_ticks, end_ticks + 2 * LOOK);
	cr_assert_eq(told_ns, LONG);
}

Test(calls_sites, of_a_long_call_what_it_worked_counts)
{
	begin();
	end(4 * LONG + 40, LONG + 10);
	cr_assert_eq(told_ns, LONG);
	cr_assert_eq(looks, 2);
}

Test(calls_sites, what_it_called_is_not_its_own)
{
	begin();
	calltree_pass(tree, now += 100, 0);
	calltree_push(tree, CALLTREE_LOST, 1, true);
	calltree_pass(tree, now += 7000, 0);
	calltree_pop(tree, CALLTREE_RETURN);
	end(240, 0);
	cr_assert_eq(told_ns, 300);
}

Test(calls_sites, earlier_calls_of_the_same_are_not_its_own)
{
	begin();
	calltree_pass(tree, now += 5000, 0);
	calltree_pop(tree, CALLTREE_RETURN);
	begin();
	end(140, 0);
	cr_assert_eq(told_ns, 100);
}

Test(calls_sites, one_callee_alone_costs_nothing)
{
	wants = 0;
	begin();
	cr_assert_eq(looks, 0);
	cr_assert_eq(calltree_top(tree)->site, 0);
}

Test(calls_sites, an_end_that_was_not_seen_is_not_told)
{
	begin();
	HERE->state = CALLS_OVER;
	end(140, 0);
	HERE->state = CALLS_OPEN;
	made.thread.frame = (uintptr_t)&made.thread;
	end(140, 0);
	cr_assert_eq(tells, 0);
	made.thread.frame = (uintptr_t)&made.frame;
	end(140, 0);
	cr_assert_eq(tells, 1);
	cr_assert_eq(calltree_top(tree)->site, 0, "once");
}
