/*
 * test_accounting.c - the profile's sum is the CPU time that the kernel says the process used. What a
 * Python uses before it can be measured, and after, is known to be small beside 2 s; exact figures are
 * the benchmarks'.
 */
#include "common.h"

#include <stdlib.h>
#include <string.h>

static void check_sum(const char *threads, const char *hz)
{
	struct run *run = run_new();
	struct stacks *stacks;
	double used_ns, found_ns;

	run_set(run, "MONPROF_CPU_HZ", hz);
	run_go(run, python_path(), run_program("account.py"), threads, "2", NULL);
	stacks = stacks_read(run, run_check_good(run));
	used_ns = atof(run->out) * 1e9;
	found_ns = (double)stacks_total(stacks);
	RUN_CHECK(run, found_ns > used_ns * 0.95 && found_ns < used_ns * 1.05,
		  "%.0f ns in the profile, the process used %.0f", found_ns, used_ns);
	RUN_CHECK(run, (double)stacks_with(stacks, "work") > found_ns * 0.85,
		  "only %.0f of them in work; %s", (double)stacks_with(stacks, "work"),
		  stacks_names(run, stacks));
	stacks_free(stacks);
	run_free(run);
}

Test(accounting, one_thread)
{
	check_sum("1", run_often());
}

Test(accounting, four_threads)
{
	check_sum("4", run_often());
}

Test(accounting, one_thread_seldom)
{
	check_sum("1", "20");
}

/* How often a thread is asked does not change what it has used. */
Test(accounting, samples_and_rate_are_told)
{
	struct run *run = run_new();
	struct stacks *stacks;
	uint64_t samples = 0;

	run_set(run, "MONPROF_CPU_HZ", "100");
	run_go(run, python_path(), run_program("burn.py"), "1", NULL);
	stacks = stacks_read(run, run_check_good(run));
	for (size_t i = 0; i < stacks->count; i++)
		samples += stacks->stacks[i].count;
	RUN_CHECK(run, samples >= 50 && samples <= 150, "%llu samples of 1 s at 100 Hz",
		  (unsigned long long)samples);
	RUN_CHECK(run, strcmp(stacks->sample_types, "samples/count cpu/nanoseconds[dflt]") == 0,
		  "sample types: %s", stacks->sample_types);
	stacks_free(stacks);
	run_free(run);
}
