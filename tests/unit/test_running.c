/*
 * test_running.c - a mask chooses whose hooks run; answers are summed up.
 */
#include "running.h"

#include "registry.h"

#include <criterion/criterion.h>
#include <string.h>

#define BOTH (1u << COLLECTOR_cpu | 1u << COLLECTOR_calls)

static char called[64];
static bool first_takes, second_wants, second_follows;

static void say(const char *what)
{
	strcat(called, what);
}

static void first_thread_begin(struct thread *thread)
{
	cr_expect_null(thread);
	say("a");
}

static void second_thread_begin(struct thread *thread)
{
	cr_expect_null(thread);
	say("b");
}

static bool first_tick(const siginfo_t *info, void *context)
{
	cr_expect_null(info);
	cr_expect_null(context);
	say("t");
	return first_takes;
}

static bool second_tick(const siginfo_t *info, void *context)
{
	(void)info, (void)context;
	say("u");
	return true;
}

static uint64_t seven(void)
{
	return 7;
}

static uint64_t five(void)
{
	return 5;
}

static uint64_t remainder_of(enum metric metric, uint64_t own_ns)
{
	return metric == METRIC_cpu_cpu ? own_ns * 2 : 0;
}

static bool rate(double factor)
{
	cr_expect_eq(factor, 0.5);
	say("r");
	return second_follows;
}

static bool wants(unsigned interpreter)
{
	cr_expect_eq(interpreter, 7);
	return second_wants;
}

static void stop(void)
{
	say("s");
}

static void begun(unsigned interpreter)
{
	cr_expect_eq(interpreter, 7);
	say("i");
}

static void asked(unsigned interpreter)
{
	cr_expect_eq(interpreter, 8);
	say("j");
}

static const struct collector_hooks first = {
	.thread_begin = first_thread_begin,
	.tick = first_tick,
	.due_ns = seven,
	.holds_ns = seven,
	.cost_ns = seven,
	.remainder = remainder_of,
};
static const struct collector_hooks second = {
	.thread_begin = second_thread_begin,
	.tick = second_tick,
	.due_ns = five,
	.cost_ns = five,
	.interpreter_begin = begun,
	.interpreter_end = asked,
	.wants_burst = wants,
	.burst_asked = asked,
	.burst = begun,
	.rate = rate,
	.stop = stop,
};
const struct collector registry_collectors[COLLECTOR_COUNT] = {
	[COLLECTOR_cpu] = { "cpu", "", &first },
	[COLLECTOR_calls] = { "calls", "", &second },
};

Test(running, those_of_the_mask_in_order_of_rows)
{
	running_thread_begin(NULL);
	cr_expect_str_eq(called, "", "none has been chosen");
	running_select(BOTH);
	running_thread_begin(NULL);
	running_stop();
	cr_expect_str_eq(called, "abs", "a hook that is NULL is skipped");
	running_select(1u << COLLECTOR_calls);
	running_thread_begin(NULL);
	cr_expect_str_eq(called, "absb");
}

Test(running, interpreters_are_handed_on)
{
	running_select(BOTH);
	running_interpreter_begin(7);
	running_interpreter_end(8);
	running_burst_asked(8);
	running_burst(7);
	cr_expect_str_eq(called, "ijji");
}

Test(running, the_first_that_takes_a_tick_has_it)
{
	cr_expect_not(running_tick(NULL, NULL));
	running_select(BOTH);
	first_takes = true;
	cr_expect(running_tick(NULL, NULL));
	cr_expect_str_eq(called, "t");
	first_takes = false;
	cr_expect(running_tick(NULL, NULL));
	cr_expect_str_eq(called, "ttu");
}

Test(running, answers_are_summed_up)
{
	cr_expect_eq(running_due_ns(), UINT64_MAX);
	cr_expect_eq(running_cost_ns(), 0);
	running_select(BOTH);
	cr_expect_eq(running_due_ns(), 5, "the earliest");
	cr_expect_eq(running_holds_ns(), 7);
	cr_expect_eq(running_cost_ns(), 12);
	cr_expect_eq(running_remainder(METRIC_cpu_cpu, 300), 600);
	cr_expect_eq(running_remainder(METRIC_calls_calls, 300), 0);
	cr_expect_not(running_wants_burst(7));
	second_wants = true;
	cr_expect(running_wants_burst(7));
	cr_expect_not(running_rate(0.5));
	second_follows = true;
	cr_expect(running_rate(0.5));
	cr_expect_str_eq(called, "rr");
	cr_expect_eq(running_kept_cost_ns(), 0);
	second_follows = false;
	cr_expect_not(running_rate(0.5));
	cr_expect_eq(running_kept_cost_ns(), 5, "the second's");
	running_select(1u << COLLECTOR_cpu);
	cr_expect_not(running_rate(0.5));
	cr_expect_eq(running_cost_ns(), 7);
	cr_expect_not(running_wants_burst(7));
}
