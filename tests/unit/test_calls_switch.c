/*
 * test_calls_switch.c - what is met for the first time in a window, with made-up code. A tick is a nanosecond here.
 */
#include "../../collectors/calls.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define PLANNED 5000
#define UNITS 100
#define SPENT 700
#define WALK (20 + 3 * UNITS)

static struct calltree *tree;
static struct calls_interpreter *const here = &calls.interpreters[CALLS_MAIN];
/* Of code objects all that is looked at. */
static struct {
	uint64_t head[2], units, version;
} codes[2] = { { .units = UNITS, .version = 1 }, { .units = UNITS, .version = 2 } };

static void set_up(void)
{
	struct frames_layout layout = { .bytes_size = 16, .code_version = 24 };

	frames_layout_set(&layout);
	tree = calloc(1, sizeof(*tree));
	cr_assert_not_null(tree);
	calls.mode = CALLS_WINDOWS;
	calls.walk = (struct calls_walk){ 20, 3 };
	here->slowness_taken = 1;
	here->end_ticks = PLANNED;
	calls_switched(here);
	calltree_begin(tree, 0);
	tree->owner = calls_window_number(1, here);
}

static void tear_down(void)
{
	free(tree);
}

TestSuite(calls_switch, .init = set_up, .fini = tear_down);

/* Is called from where the thread is, some time later, and returns at once. */
static void call(unsigned code)
{
	uint32_t node;

	calltree_pass(tree, tree->last_ticks + SPENT, 0);
	node = calls_entered(here, tree, (uintptr_t)&codes[code]);
	calltree_push(tree, node, 1, true);
	calltree_pop(tree, CALLTREE_RETURN);
}

static void check_walks(uint64_t count)
{
	cr_expect_eq(here->walked_ticks, count * WALK);
	cr_expect_eq(here->end_ticks, PLANNED + here->walked_ticks + here->making_ticks,
		     "the window lasts longer by it");
}

Test(calls_switch, first_call_is_walked_through)
{
	call(0);
	check_walks(1);
	cr_expect_eq(tree->nodes[CALLTREE_ROOT].self_ticks, SPENT - WALK, "not its caller's time");
	cr_expect_eq(tree->clock, SPENT - WALK);
	call(1);
	check_walks(2);
}

Test(calls_switch, later_calls_are_not)
{
	call(0);
	call(0);
	check_walks(1);
	/* Another node of the same code. */
	calltree_push(tree, calls_entered(here, tree, (uintptr_t)&codes[1]), 2, true);
	call(0);
	check_walks(2);
}

Test(calls_switch, after_the_next_switch_it_is_again)
{
	call(0);
	here->end_ticks = PLANNED;
	calls_switched(here);
	check_walks(0);
	call(0);
	check_walks(1);
}

Test(calls_switch, what_ran_at_the_switch_is_not)
{
	calls_met(here, (uintptr_t)&codes[0]);
	call(0);
	check_walks(0);
	call(1);
	check_walks(1);
}

Test(calls_switch, slow_machine_walks_slowly)
{
	here->slowness_taken = 2;
	call(0);
	check_walks(2);
}

Test(calls_switch, observed_always_is_never_switched)
{
	calls.mode = CALLS_ALWAYS;
	call(0);
	check_walks(0);
	cr_expect_eq(here->making_ticks, 0);
}

Test(calls_switch, our_own_work_is_no_time_of_the_callee)
{
	calls_took(here, tree, 90);
	cr_expect_eq(here->making_ticks, 90);
	check_walks(0);
	calltree_pass(tree, 100, 0);
	cr_expect_eq(tree->clock, 10);
}

Test(calls_switch, waiting_for_a_processor_is_not_our_work)
{
	calls_worked(here, tree, ticks_now() - 1000000);
	cr_expect_leq(here->making_ticks, 10000);
	cr_expect_gt(here->making_ticks, 0);
	check_walks(0);
}

Test(calls_switch, a_walk_has_a_fixed_part_and_one_by_size)
{
	struct calls_walk walk = calls_walk_fit(50, 10, 350, 110);

	cr_expect_float_eq(walk.unit_ticks, 3, 1e-9);
	cr_expect_float_eq(walk.code_ticks, 20, 1e-9);
}

Test(calls_switch, a_walk_that_could_not_be_measured_is_cheap)
{
	struct calls_walk walk = calls_walk_fit(50, 10, 40, 110);

	cr_expect_float_eq(walk.unit_ticks, 0, 1e-9);
	cr_expect_float_eq(walk.code_ticks, 50, 1e-9);
	walk = calls_walk_fit(10, 10, 1010, 110);
	cr_expect_float_eq(walk.unit_ticks, 10, 1e-9);
	cr_expect_float_eq(walk.code_ticks, 0, 1e-9, "never less than nothing");
	walk = calls_walk_fit(0, 10, 0, 110);
	cr_expect_float_eq(walk.unit_ticks + walk.code_ticks, 0, 1e-9);
}
