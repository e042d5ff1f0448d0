/*
 * test_budget.c - rates go down where profiling costs more than MONPROF_BUDGET; what is measured stays true.
 */
#include "common.h"

#include <stdlib.h>
#include <string.h>

/* Asks for more than the budget allows: at a budget that small anything is too much. */
static struct run *run_budget(const char *collect, const char *budget)
{
	struct run *run = run_new();

	run_set(run, "MONPROF_COLLECT", collect);
	run_set(run, "MONPROF_BUDGET", budget);
	run_set(run, "MONPROF_FLUSH", "250ms");
	return run;
}

static double number_of(struct run *run, const struct stacks *stacks, const char *key)
{
	const char *at = strstr(stacks->comments, run_text(run, "Comment: %s=", key));

	RUN_CHECK(run, at, "no remark %s in\n%s", key, stacks->comments);
	return atof(strchr(at, '=') + 1);
}

static uint64_t samples_in(const struct stacks *stacks)
{
	uint64_t samples = 0;

	for (size_t i = 0; i < stacks->count; i++)
		samples += stacks->stacks[i].count;
	return samples;
}

static unsigned long long calls_of(const struct stacks *stacks, const char *function)
{
	unsigned long long calls = 0;

	for (size_t i = 0; i < stacks->count; i++) {
		const struct stack *stack = &stacks->stacks[i];

		if (stack->depth && stacks_is(stack->frames[stack->depth - 1], function))
			calls += stack->count;
	}
	return calls;
}

Test(budget, cpu_rate_goes_down_and_sums_stay_exact)
{
	struct run *run = run_budget("cpu", "0.01%");
	struct stacks *stacks;
	double used_ns, found_ns;

	run_go(run, python_path(), run_program("account.py"), "1", "3", NULL);
	stacks = stacks_read(run, run_check_good(run));
	used_ns = atof(run->out) * 1e9;
	found_ns = (double)stacks_total(stacks);
	RUN_CHECK(run, number_of(run, stacks, "budget.least_rate_ppm") < 500000, "not lowered:\n%s",
		  stacks->comments);
	/* 200 Hz are 600, of which a second's worth comes before the rate has gone down. */
	RUN_CHECK(run, samples_in(stacks) < 450, "%llu samples",
		  (unsigned long long)samples_in(stacks));
	RUN_CHECK(run, found_ns > used_ns * 0.95 && found_ns < used_ns * 1.05,
		  "%.0f ns in the profile, the process used %.0f", found_ns, used_ns);
	stacks_free(stacks);
	run_free(run);
}

Test(budget, a_rate_that_was_set_is_kept)
{
	struct run *run = run_budget("cpu", NULL);
	struct stacks *stacks;

	run_set(run, "MONPROF_CPU_HZ", run_often());
	run_go(run, python_path(), run_program("account.py"), "1", "2", NULL);
	stacks = stacks_read(run, run_check_good(run));
	RUN_CHECK(run, number_of(run, stacks, "budget.least_rate_ppm") == 1000000, "lowered:\n%s",
		  stacks->comments);
	stacks_free(stacks);
	run_free(run);
}

/* What each window then stands for is test_calls_write.c's matter. */
Test(budget, calls_are_observed_more_rarely)
{
	struct run *run = run_budget("calls", "0.5%");
	struct stacks *stacks;

	run_set(run, "MONPROF_CALLS_RATE", "20%");
	run_set(run, "MONPROF_CALLS_WINDOW", "1ms");
	run_go(run, python_path(), run_program("counts.py"), "at_one_pace", NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	stacks = stacks_read(run, run_file(run, ".calls.pb.gz"));
	RUN_CHECK(run, number_of(run, stacks, "budget.least_rate_ppm") < 500000, "not lowered:\n%s",
		  stacks->comments);
	RUN_CHECK(run, number_of(run, stacks, "calls.observed_ppm") < 150000,
		  "observed as if there was no budget:\n%s", stacks->comments);
	RUN_CHECK(run, calls_of(stacks, "busy") > 0, "nothing counted:\n%s", stacks->comments);
	stacks_free(stacks);
	run_free(run);
}
