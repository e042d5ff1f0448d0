/*
 * test_signals.c - signals of the program go on as without us: no call comes back early, no handler, mask or
 * stack is another, whoever else uses our signal.
 */
#include "common.h"

#include <stdarg.h>
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

/* The same as without us, silently, and the burning is in the profile: it is all that counts. */
static void check_same(struct run *run, unsigned wanted_ms, ...) __attribute__((sentinel));

static void check_same(struct run *run, unsigned wanted_ms, ...)
{
	struct run *plain = run_new();
	char *argv[RUN_ARGS_MAX];
	size_t count = 0;
	va_list args;

	va_start(args, wanted_ms);
	while ((argv[count] = va_arg(args, char *)))
		count++;
	va_end(args);
	plain->is_plain = true;
	run_args(plain, argv);
	run_args(run, argv);
	RUN_CHECK(run, run->status == plain->status, "without us: %s", run_ending(plain));
	RUN_CHECK(run, strcmp(run->out, plain->out) == 0, "stdout without us:\n%s", plain->out);
	RUN_CHECK(run, strcmp(run->err, plain->err) == 0, "stderr without us:\n%s", plain->err);
	common_check(run, run_file(run, ".cpu.pb.gz"), "burn", "spin", wanted_ms);
	run_free(plain);
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

/* ---- a Go runtime, whose scheduler sends our signal ---- */

static void check_go(bool is_before)
{
	struct run *run = run_new();
	const char *tested = run_tested("LIBMONPROF");
	const char *library = run_text(run, "%.*s/tests/go_library.so",
				       (int)(strrchr(tested, '/') - tested), tested);

	if (access(library, R_OK) != 0)
		cr_skip_test("%s is not there: no Go", library);
	if (is_before)
		run->preload = run_text(run, "%s %s", tested, library);
	check_same(run, 300, python_path(), run_program("go_host.py"), library, NULL);
	run_free(run);
}

Test(signals_go, loaded_before_the_start)
{
	check_go(true);
}

Test(signals_go, loaded_after_the_start)
{
	check_go(false);
}
