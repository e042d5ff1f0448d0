/*
 * test_calls_write.c - what windows saw, weighted and written: made-up trees, clocks and windows. A tick is a
 * nanosecond here.
 */
#include "../../collectors/calls.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define BEGUN 1000000
#define PLANNED 5000
#define SAMPLES 64

static struct calltree *tree;
static struct calls_interpreter *const one = &calls.interpreters[CALLS_MAIN];
static struct recording_sample samples[SAMPLES], size;
static struct frame frames[SAMPLES];
static uint32_t parents[SAMPLES], sample_count, node_count, epoch_now, renewed_at;

static uint64_t depth = 512;

uint64_t __real_option_number(enum option_id id);
uint64_t __wrap_option_number(enum option_id id);
uint64_t __wrap_option_number(enum option_id id)
{
	return id == OPTION_DEPTH ? depth : __real_option_number(id);
}

static uint32_t on_node(uint32_t parent, const struct frame *frame, uint64_t time_ns)
{
	cr_assert_lt(node_count, SAMPLES);
	cr_expect(time_ns == 7 || frame->code == FRAME_CUT);
	frames[node_count] = *frame;
	parents[node_count] = parent;
	return ++node_count;
}

static uint32_t on_epoch(void)
{
	return epoch_now;
}

static void on_sample(const struct recording_sample *sample)
{
	if (sample->node == 0) {
		cr_expect_eq(sample->thread, RECORDING_THREAD_PROCESS);
		size = *sample;
		return;
	}
	cr_assert_lt(sample_count, SAMPLES);
	samples[sample_count++] = *sample;
	if (sample_count == renewed_at)
		epoch_now++;
}

static const struct collector_writer writer = { on_node, on_epoch, on_sample };

static void set_up(void)
{
	tree = calloc(1, sizeof(*tree));
	cr_assert_not_null(tree);
	calls.trees[0] = tree;
	calls.tree_count = 1;
	calls.mode = CALLS_WINDOWS;
	one->begun_ns = BEGUN;
	one->begun_ticks = BEGUN;
	calls.begun_cpu_ns = 100;
	one->planned_ticks = PLANNED;
	one->end_ticks = BEGUN + PLANNED;
	one->closed_ticks = BEGUN + PLANNED + 1;
	one->closed_cpu_ns = 100 + PLANNED;
	one->slowness = one->slowness_taken = calls_plan.slowness = 1;
	one->state = CALLS_OVER;
	one->window = calls_window_number(9, one);
	calls_plan.is_asked = true;
	calls_plan.number = 9;
	calls_plan.window_ns = PLANNED;
	calls_plan.rate_ppm = calls_plan.wanted_ppm = 10000;
	calls_plan.rarity = 1;
	calls_plan.random = 0x9e3779b97f4a7c15;
	calltree_begin(tree, BEGUN);
	tree->state = CALLS_TREE_USED;
	tree->thread = 3;
	tree->owner = one->window;
	tree->begun_ns = BEGUN;
}

static void tear_down(void)
{
	free(tree);
}

TestSuite(calls_write, .init = set_up, .fini = tear_down);

/* A call of `key` that is not over. */
static uint32_t enter(uint64_t key, enum calltree_kind kind, uint64_t ticks)
{
	struct calltree_callee callee = { key, 4, kind };
	bool is_new;
	uint32_t node;

	calltree_pass(tree, tree->last_ticks + ticks, 0);
	node = calltree_node(tree, &callee, &is_new);
	if (is_new)
		tree->nodes[node].made_ns = 7;
	calltree_push(tree, node, key, true);
	return node;
}

static void leave(uint64_t ticks)
{
	calltree_pass(tree, tree->last_ticks + ticks, 0);
	calltree_pop(tree, CALLTREE_RETURN);
}

static uint64_t sum(enum metric metric, uint32_t node, uint32_t duration)
{
	uint64_t value = 0;

	for (uint32_t i = 0; i < sample_count; i++)
		if (samples[i].metric == metric && samples[i].node == node &&
		    samples[i].duration == duration)
			value += samples[i].value;
	return value;
}

Test(calls_write, calls_durations_and_time_down_to_the_end)
{
	enter(0x1000, CALLTREE_PYTHON, 0);
	enter(5, CALLTREE_C, 100);
	leave(40);
	enter(5, CALLTREE_C, 60);
	calls_write(&writer);
	cr_assert_eq(node_count, 2);
	cr_expect_eq(frames[0].code, 0x1000);
	cr_expect_eq(parents[0], 0);
	cr_expect_eq(frames[1].code, 4, "a C function is its callee's id");
	cr_expect_eq(frames[1].instruction, FRAME_CALLEE);
	cr_expect_eq(parents[1], 1);
	cr_expect_eq(sum(METRIC_calls_calls, 1, 0), 1);
	cr_expect_eq(sum(METRIC_calls_calls, 2, 6), 1, "40 ns");
	cr_expect_eq(sum(METRIC_calls_calls, 2, 0), 1, "not over yet");
	cr_expect_eq(sum(METRIC_calls_time, 1, 0), 100 + 60);
	cr_expect_eq(sum(METRIC_calls_time, 2, 0), 40 + PLANNED - 200, "until the window's end");
	cr_expect_eq(samples[0].thread, 3);
	cr_expect_eq(samples[0].time_ns, BEGUN);
	cr_expect(size.value == PLANNED || size.value == PLANNED - 1, "it was closed a tick later");
	cr_expect_eq(size.time_ns, BEGUN);
	cr_expect_eq(one->state, CALLS_NONE);
	cr_expect_eq(tree->state, CALLS_TREE_FREE);
	cr_expect_eq(tree->node_count, 0);
	cr_expect_eq(calls_plan.windows, 1);
	cr_expect_gt(calls_plan.next_ns, BEGUN + PLANNED);
}

/* Calls 0x1001, 0x1002, ... each by the one before. */
static void check_depth(uint32_t limit, uint32_t least_kept)
{
	const uint32_t calls_made = 9;

	depth = limit;
	for (uint32_t i = 1; i <= calls_made; i++)
		enter(0x1000 + i, CALLTREE_PYTHON, 1);
	calls_write(&writer);
	for (uint32_t i = 1; i <= calls_made; i++) {
		uint32_t at = calls.ids[CALLTREE_FIRST + i - 1], kept = 0;

		for (; at && frames[at - 1].code != FRAME_CUT; at = parents[at - 1])
			cr_expect_eq(frames[at - 1].code, 0x1000 + i - kept++);
		cr_expect_eq(at != 0, kept < i, "what is left out is marked");
		cr_expect_leq(kept, limit);
		cr_expect_geq(kept, i < least_kept ? i : least_kept);
		cr_expect_eq(sum(METRIC_calls_calls, calls.ids[CALLTREE_FIRST + i - 1], 0), 1);
	}
}

Test(calls_write, what_is_no_deeper_than_the_limit_is_whole)
{
	check_depth(10, 9);
	cr_assert_leq(node_count, 9 + 4 + 2, "and some leaf-most parts");
}

Test(calls_write, what_is_deeper_has_its_leaf_most_frames)
{
	check_depth(4, 3);
}

Test(calls_write, odd_limits_hold)
{
	check_depth(3, 2);
}

Test(calls_write, a_window_cut_short_counts_for_all_of_it)
{
	for (unsigned i = 0; i < 10; i++) {
		enter(0x1000, CALLTREE_PYTHON, 0);
		leave(100);
	}
	one->is_cut = true;
	one->closed_ticks = BEGUN + 999;
	one->closed_cpu_ns = 100 + 999;
	calls_write(&writer);
	cr_expect_eq(sum(METRIC_calls_calls, 1, 7), 50);
	cr_expect_eq(sum(METRIC_calls_time, 1, 0), 5000);
	cr_expect(size.value >= 4990 && size.value <= PLANNED, "%lu", size.value);
}

Test(calls_write, rounding_is_carried_on)
{
	for (unsigned i = 0; i < 10; i++) {
		enter(0x1000 + i, CALLTREE_PYTHON, 0);
		leave(0);
	}
	one->is_cut = true;
	one->closed_ticks = BEGUN + 1999; /* each counts for 2.5 */
	calls_write(&writer);
	uint64_t all = 0;
	for (uint32_t i = 0; i < sample_count; i++)
		all += samples[i].metric == METRIC_calls_calls ? samples[i].value : 0;
	cr_expect(all == 25 || all == 24, "%lu", all);
}

Test(calls_write, quiet_windows_saw_the_closer)
{
	enter(0x1000, CALLTREE_PYTHON, 0);
	one->closer = tree;
	one->closed_ticks = BEGUN + UINT64_C(1000000000);
	one->closed_cpu_ns = 100 + UINT64_C(500000000); /* half of the time at work */
	calls_write(&writer);
	/* 1 s with windows of 5 us, 1 % of the time: some 2,000 */
	cr_expect(calls_plan.windows > 1700 && calls_plan.windows < 2300, "%lu",
		  calls_plan.windows);
	cr_expect_eq(sum(METRIC_calls_time, 1, 0), calls_plan.windows * PLANNED);
	cr_expect_eq(calls_plan.planned_ns, calls_plan.windows * PLANNED);
	cr_expect(size.value >= calls_plan.windows * PLANNED / 2 - 1000 &&
			  size.value <= calls_plan.windows * PLANNED / 2 + 1000,
		  "%lu", size.value);
}

Test(calls_write, a_program_that_lost_its_processor_worked_before_the_end)
{
	enter(0x1000, CALLTREE_PYTHON, 0);
	leave(PLANNED / 2);
	one->closer = tree;
	one->opened_ticks = BEGUN;
	one->opened_cpu_ns = 100;
	one->opening_ticks = one->opening_cpu_ns = 100;
	one->end_ticks += 100;
	one->closed_ticks = BEGUN + PLANNED * 10;
	one->closed_cpu_ns = 100 + PLANNED / 2 + 100;
	tree->events[CALLTREE_OF_PYTHON] = 50;
	calls_write(&writer);
	cr_expect(size.value <= PLANNED / 2 && size.value > PLANNED / 2 - PLANNED / 50,
		  "all but what a call or so later takes: %lu", size.value);
}

/* The same, read by our thread long after the end, because it had lost its processor, too. */
Test(calls_write, late_readings_do_not_thin_out_what_came_before_the_last_event)
{
	enter(0x1000, CALLTREE_PYTHON, 0);
	leave(PLANNED / 2);
	tree->events[CALLTREE_OF_PYTHON] = 50;
	calls_plan.end_seen_ticks = BEGUN + PLANNED * 8;
	calls_plan.end_cpu_ns = 100 + PLANNED / 2;
	one->closed_ticks = BEGUN + PLANNED * 10;
	one->closed_cpu_ns = 100 + PLANNED / 2;
	calls_write(&writer);
	cr_expect(size.value <= PLANNED / 2 && size.value > PLANNED / 2 - PLANNED / 50, "%lu",
		  size.value);
}

/* Often, then one C call until long after the end: the processor was never lost. */
Test(calls_write, a_long_call_after_many_short_ones_is_the_windows_up_to_its_end)
{
	enter(0x1000, CALLTREE_PYTHON, 0);
	leave(PLANNED / 2);
	tree->events[CALLTREE_OF_PYTHON] = 50;
	one->closed_ticks = BEGUN + PLANNED * 3;
	one->closed_cpu_ns = 100 + PLANNED * 3;
	calls_plan.rate_ppm = 1; /* no other window falls in between */
	calls_write(&writer);
	cr_expect(size.value >= PLANNED - 2 && size.value <= PLANNED + 2, "%lu", size.value);
}

/* Elapsed time would be all of the window, and more. */
Test(calls_write, waiting_for_a_processor_while_a_window_is_opened_or_closed_is_no_cost)
{
	enter(0x1000, CALLTREE_PYTHON, 0);
	one->opening_ticks = 10 * PLANNED;
	one->opening_cpu_ns = 30;
	one->end_ticks += 10 * PLANNED;
	one->closed_ticks = one->end_ticks + 1;
	one->opened_cpu_ns = 100;
	one->reading_cpu_ns = 20;
	one->closing_cpu_ns = 70;
	one->closed_cpu_ns = 100 + PLANNED + 30 + 20;
	calls_write(&writer);
	cr_expect(size.value >= PLANNED - 2 && size.value <= PLANNED + 2, "%lu", size.value);
	cr_expect_eq(calls_plan.cost_ns, 30 + 70);
	cr_expect_eq(calls_plan.switching_ns, 30 + 70);
}

/* Whoever began the window came late to reading the clock. */
Test(calls_write, the_begin_is_not_later_than_the_opening)
{
	enter(0x1000, CALLTREE_PYTHON, 0);
	one->opening_ticks = one->opening_cpu_ns = 10;
	one->end_ticks += 10;
	one->opened_ticks = BEGUN;
	one->opened_cpu_ns = 100;
	calls.begun_cpu_ns = 100 + PLANNED / 2;
	one->closed_ticks = one->end_ticks + 1;
	one->closed_cpu_ns = 100 + PLANNED + 10;
	calls_write(&writer);
	cr_expect(size.value >= PLANNED - 2 && size.value <= PLANNED + 2, "%lu", size.value);
}

Test(calls_write, c_calls_of_two_threads_use_two_processors)
{
	enter(0x1000, CALLTREE_PYTHON, 0);
	one->closer = tree;
	one->closed_ticks = BEGUN + PLANNED + PLANNED / 2;
	one->closed_cpu_ns = 100 + PLANNED * 3;
	calls_write(&writer);
	cr_expect_eq(size.value, PLANNED * 2);
}

Test(calls_write, what_events_cost_is_not_the_programs_time)
{
	enter(0x1000, CALLTREE_PYTHON, 0);
	one->end_ticks = BEGUN + PLANNED + 2000;
	one->closed_ticks = one->end_ticks + 1;
	one->closed_cpu_ns = 100 + PLANNED + 2000;
	one->opening_ticks = one->opening_cpu_ns = 500;
	one->opened_cpu_ns = 100;
	one->slowness = 2; /* so the other 1,500 were 3,000 */
	calls.cost_start_ticks[CALLTREE_C] = 10;
	calls_write(&writer);
	cr_expect(size.value >= PLANNED + 2000 - 3502 && size.value <= PLANNED + 2000 - 3498, "%lu",
		  size.value);
	cr_expect_eq(calls_plan.cost_ns, 3500);
	cr_expect_eq(calls.cost_ticks[CALLTREE_C], 20, "from now on");
}

Test(calls_write, costs_that_cannot_be_are_bounded)
{
	enter(0x1000, CALLTREE_PYTHON, 0);
	one->end_ticks = BEGUN + PLANNED * 100;
	one->is_cut = true;
	one->closed_ticks = BEGUN + 2000;
	one->closed_cpu_ns = 100 + 2000;
	calls_write(&writer);
	cr_expect(size.value > 0 && size.value <= PLANNED, "%lu", size.value);
	cr_expect_eq(sum(METRIC_calls_calls, 1, 0), (uint64_t)calls_plan.weight);
}

Test(calls_write, a_window_of_a_lower_rate_stands_for_more)
{
	enter(0x1000, CALLTREE_PYTHON, 0);
	calls_plan.rarity = 4;
	calls_write(&writer);
	cr_expect_eq(sum(METRIC_calls_calls, 1, 0), 4);
	cr_expect_float_eq((double)size.value, 4.0 * PLANNED, 8, "its size, too: %lu", size.value);
	cr_expect_float_eq(calls_plan.observed_cpu_ns, 4.0 * PLANNED, 8);
	cr_expect_float_eq(calls_plan.planned_weight_ns, 4.0 * PLANNED, 1);
	cr_expect_eq(calls_plan.planned_ns, PLANNED);
}

Test(calls_write, the_next_window_stands_for_what_its_rate_says)
{
	calls_plan.rate_ppm = 2500;
	enter(0x1000, CALLTREE_PYTHON, 0);
	calls_write(&writer);
	cr_expect_float_eq(calls_plan.next_rarity, 4, 1e-9, "%g", calls_plan.next_rarity);
}

Test(calls_write, in_a_new_epoch_nodes_are_put_again)
{
	for (unsigned i = 0; i < 3; i++) {
		enter(0x1000 + i, CALLTREE_PYTHON, 0);
		leave(0);
	}
	renewed_at = 1;
	calls_write(&writer);
	cr_expect_eq(node_count, 6);
	cr_expect_eq(samples[0].node, 1);
	cr_expect_eq(samples[1].node, 5);
	cr_expect_eq(samples[2].node, 6);
}

Test(calls_write, at_the_end_an_open_window_is_written_and_its_tree_left_alone)
{
	enter(0x1000, CALLTREE_PYTHON, 0);
	one->state = CALLS_OPEN;
	calls.is_stopped = true;
	calls_write(&writer);
	cr_expect_eq(sum(METRIC_calls_calls, 1, 0), 1);
	cr_expect_eq(tree->state, CALLS_TREE_NONE);
	cr_expect_eq(tree->depth, 1, "a callback may still be in it");
	sample_count = 0;
	calls_write(&writer);
	cr_expect_eq(sample_count, 0, "once");
}

Test(calls_write, a_window_without_a_clock_says_nothing)
{
	enter(0x1000, CALLTREE_PYTHON, 0);
	calls.begun_cpu_ns = 0;
	calls_write(&writer);
	cr_expect_eq(sample_count, 0);
	cr_expect_eq(calls_plan.windows, 0);
	cr_expect_eq(tree->state, CALLS_TREE_FREE);
	cr_expect_eq(tree->node_count, 0);
}

Test(calls_write, observed_always_full_trees_are_written_and_used_ones_at_the_end)
{
	calls.mode = CALLS_ALWAYS;
	one->state = CALLS_OPEN;
	enter(0x1000, CALLTREE_PYTHON, 0);
	calls_write(&writer);
	cr_expect_eq(sample_count, 0, "its thread is still in it");
	tree->state = CALLS_TREE_FULL;
	calls_plan.weight = 1;
	calls_write(&writer);
	cr_expect_eq(sum(METRIC_calls_calls, 1, 0), 1);
	cr_expect_eq(tree->state, CALLS_TREE_FREE);
	calltree_begin(tree, BEGUN);
	tree->state = CALLS_TREE_USED;
	enter(0x1000, CALLTREE_PYTHON, 0);
	calls.is_stopped = true;
	sample_count = 0;
	calls_write(&writer);
	cr_expect_eq(sample_count, 1);
	cr_expect_eq(tree->state, CALLS_TREE_NONE);
}

/* The process may stop in the middle of a pass, and there is a last one, which finds threads gone. */
Test(calls_write, observed_always_the_last_pass_but_one_may_be_the_last_that_writes)
{
	static struct thread thread = { .serial = 3 };
	struct calls_thread *own = thread_own(&thread, COLLECTOR_calls);

	calls.mode = CALLS_ALWAYS;
	one->state = CALLS_OPEN;
	enter(0x1000, CALLTREE_PYTHON, 0);
	tree->owner = calls_owner(&thread, one->window);
	own->tree = tree;
	calls.is_stopped = true;
	calls_plan.weight = 1;
	calls_write(&writer);
	cr_expect_eq(sample_count, 1);
	calls_thread_gone(&thread);
	calls_write(&writer);
	cr_expect_eq(sample_count, 1, "its thread's end has it written twice");
}

Test(calls_write, cpu_time_read_at_the_end_is_what_the_window_saw)
{
	enter(0x1000, CALLTREE_PYTHON, 0);
	one->closer = tree;
	calls_plan.end_seen_ticks =
		BEGUN + PLANNED; /* all of it at work, and half of what follows */
	calls_plan.end_cpu_ns = 100 + PLANNED;
	one->closed_ticks = BEGUN + PLANNED + UINT64_C(1000000000);
	one->closed_cpu_ns = calls_plan.end_cpu_ns + UINT64_C(500000000);
	calls_write(&writer);
	cr_expect(size.value >= PLANNED + (calls_plan.windows - 1) * PLANNED / 2 - 1000 &&
			  size.value <= PLANNED + (calls_plan.windows - 1) * PLANNED / 2 + 1000,
		  "%lu of %lu windows", size.value, calls_plan.windows);
}

Test(calls_write, cpu_time_read_a_little_late_is_of_a_longer_time)
{
	enter(0x1000, CALLTREE_PYTHON, 0);
	calls_plan.end_seen_ticks = BEGUN + 2 * PLANNED;
	calls_plan.end_cpu_ns = 100 + PLANNED;
	one->closed_ticks = BEGUN + 3 * PLANNED;
	one->closed_cpu_ns = calls_plan.end_cpu_ns;
	calls_plan.rate_ppm = 1; /* no other window falls in between */
	calls_write(&writer);
	cr_expect(size.value >= PLANNED / 2 - 2 && size.value <= PLANNED / 2 + 2, "%lu",
		  size.value);
}

Test(calls_write, clocks_that_stand_against_their_order_say_nothing)
{
	enter(0x1000, CALLTREE_PYTHON, 0);
	calls_plan.end_seen_ticks = BEGUN + PLANNED;
	calls_plan.end_cpu_ns = 100 + 3000;
	one->closed_ticks = BEGUN + 1000 * PLANNED;
	one->closed_cpu_ns = 100 + 2990;
	calls_write(&writer);
	cr_expect_eq(size.value, 3000);
}

Test(calls_write, first_meetings_are_no_time_of_the_program_and_cost_more_than_the_window_saw)
{
	one->walked_ticks = 300;
	one->making_ticks = 40;
	one->end_ticks += 340;
	one->closed_ticks += 340;
	one->closed_cpu_ns += 340;
	enter(0x1000, CALLTREE_PYTHON, 0);
	calls_write(&writer);
	cr_expect(size.value == PLANNED || size.value == PLANNED - 1, "it was closed a tick later");
	cr_expect_eq(calls_plan.switching_ns, 300 + 300 + 40, "walked through again afterwards");
	cr_expect_eq(calls_plan.cost_ns, 300 + 300 + 40);
}
