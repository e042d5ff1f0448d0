/*
 * test_signals.c - signals of the program go on as without us: no call comes back early, no handler, mask or
 * stack is another, whoever else uses our signal.
 */
#include "common.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what tests share ---- */

/* tests/programs/<name>.c as a library in the run's root. */
static const char *library_of(struct run *run, const char *name)
{
	const char *library = run_text(run, "%s/%s.so", run->root, name);
	int status;
	char *said = run_tool(run, &status, "cc", "-std=gnu11", "-O1", "-shared", "-fPIC",
			      "-pthread", "-o", library, run_program(run_text(run, "%s.c", name)),
			      NULL);

	RUN_CHECK(run, status == 0, "cc %s.c: %s", name, said);
	return library;
}

/* ---- calls that return early ---- */

static const char early_none[] = "nanosleep 0\npoll 0\nselect 0\nepoll_wait 0\nsem_timedwait 0\n"
				 "recv 0\nppoll 0\npselect 0\nepoll_pwait 0\n";

/* In threads that were sampled all the time. */
static struct run *run_early(const char *hz, const char *clock)
{
	struct run *run = run_new();
	struct stacks *stacks;
	uint64_t samples = 0;

	run_set(run, "MONPROF_CPU_HZ", hz);
	run_set(run, "MONPROF_CPU_CLOCK", clock);
	run_go(run, python_path(), run_program("early.py"), library_of(run, "early"), "1", "100",
	       "200000", NULL);
	run_check_exit(run, 0);
	stacks = stacks_read(run, run_file(run, ".cpu.pb.gz"));
	for (size_t i = 0; i < stacks->count; i++) {
		if (*stacks->stacks[i].thread_name &&
		    strstr(early_none, stacks->stacks[i].thread_name))
			samples += stacks->stacks[i].count;
	}
	RUN_CHECK(run, samples > 9, "only %llu samples of the threads that wait; %s",
		  (unsigned long long)samples, stacks_names(run, stacks));
	stacks_free(stacks);
	return run;
}

static void check_early(const char *hz, const char *clock)
{
	struct run *run = run_early(hz, clock);

	RUN_CHECK(run, strcmp(run->out, early_none) == 0, "%s Hz, %s: some came back early", hz,
		  clock);
	run_free(run);
}

Test(signals_early, none_at_1000_hz)
{
	check_early("1000", "auto");
}

Test(signals_early, none_by_the_tick_alone)
{
	check_early("1000", "tick");
}

Test(signals_early, none_by_perf_at_any_rate)
{
	if (!run_is_full())
		cr_skip_test("only in a full run: the same as at 1000 Hz, which is beside it");
	check_early("100", "perf");
	check_early("250", "perf");
}

/* The clock that does harm, which who asks for it accepts, shows that the others would be seen to. */
Test(signals_early, some_by_the_monotonic_clock)
{
	struct run *run = run_early("1000", "monotonic");

	RUN_CHECK(run, strncmp(run->out, "nanosleep 0\n", 12) != 0, "none came back early");
	run_free(run);
}
