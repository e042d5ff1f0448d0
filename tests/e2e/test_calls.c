/*
 * test_calls.c - calls counted by sys.monitoring: exact where every call is observed, an estimate where windows
 * are, and the program as it would be without us.
 *
 * Programs print what they have called ("CALLER CALLEE COUNT"); the profile is read through pprof.
 */
#include "calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void check_exact_with(const char *kind, const char *option, const char *variable,
			     const char *value)
{
	struct run *run = run_calls("100%");
	struct stacks *stacks;

	run_set(run, variable, value);
	run_go(run, python_path(), option, run_program("counts.py"), kind, NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	RUN_CHECK(run, run->file_count == 1 && run_count(run, ".calls.pb.gz") == 1,
		  "wanted one file");
	stacks = stacks_read(run, run_file(run, ".calls.pb.gz"));
	RUN_CHECK(run, strcmp(stacks->sample_types, "calls/count[dflt] time/nanoseconds") == 0,
		  "sample types: %s", stacks->sample_types);
	RUN_CHECK(run, strncmp(comment_of(run, stacks, "calls.lost"), "0\n", 2) == 0,
		  "some are lost:\n%s", stacks->comments);
	RUN_CHECK(run, check_told(run, stacks, "", 0) > 0, "it told nothing");
	stacks_free(stacks);
	run_free(run);
}

static void check_exact(const char *kind)
{
	check_exact_with(kind, "-B", "PYTHON_JIT", NULL);
}

Test(calls_exact, plain)
{
	check_exact("plain");
}

/* What is cut is not below its caller any more. */
Test(calls_exact, recursion)
{
	check_exact_with("recursion", "-B", "MONPROF_DEPTH", "2000");
}

Test(calls_exact, deep_stacks_are_cut)
{
	struct run *run = run_calls("100%");
	struct stacks *stacks;
	uint64_t calls = 0;

	run_set(run, "MONPROF_DEPTH", "100");
	run_go(run, python_path(), run_program("counts.py"), "recursion", NULL);
	run_check_exit(run, 0);
	stacks = stacks_read(run, run_file(run, ".calls.pb.gz"));
	for (size_t i = 0; i < stacks->count; i++) {
		const struct stack *stack = &stacks->stacks[i];
		size_t cut = stack->depth && strcmp(stack->frames[0]->name, "[cut]") == 0;

		RUN_CHECK(run, stack->depth <= 100 + cut, "%zu frames", stack->depth);
		if (stack->depth && stacks_is(stack->frames[stack->depth - 1], "down"))
			calls += stack->count;
	}
	RUN_CHECK(run, calls == 5 * 301, "%llu calls of down", (unsigned long long)calls);
	RUN_CHECK(run, stacks_with(stacks, "[cut]"), "nothing is cut");
	stacks_free(stacks);
	run_free(run);
}

Test(calls_exact, exceptions)
{
	check_exact("exceptions");
}

Test(calls_exact, generators)
{
	check_exact("generators");
}

Test(calls_exact, coroutines)
{
	check_exact("async");
}

Test(calls_exact, ways_to_call)
{
	check_exact("ways");
}

Test(calls_exact, callbacks_from_c)
{
	check_exact("callbacks");
}

Test(calls_exact, functions_of_c)
{
	check_exact("c");
}

Test(calls_exact, threads)
{
	check_exact("threads");
}

Test(calls_exact, threads_that_end_at_once)
{
	check_exact("many");
}

Test(calls_exact, threads_one_after_another)
{
	check_exact("short");
}

/* What is open at a flush goes on after it. */
Test(calls_exact, over_flushes)
{
	struct run *run = run_calls("100%");
	struct stacks *stacks;

	run_set(run, "MONPROF_FLUSH", "30ms");
	run_go(run, python_path(), run_program("counts.py"), "slowly", NULL);
	run_check_exit(run, 0);
	stacks = stacks_read(run, run_file(run, ".calls.pb.gz"));
	RUN_CHECK(run, check_told(run, stacks, "", 0) == 3, "it told less");
	stacks_free(stacks);
	run_free(run);
}

/* Parent and child each have what they called themselves. */
Test(calls_exact, fork)
{
	struct run *run = run_calls("100%");
	unsigned long long pids[2] = { 0, 0 };
	unsigned count = 0;

	run_go(run, python_path(), run_program("counts.py"), "fork", NULL);
	run_check_exit(run, 0);
	RUN_CHECK(run, run_count(run, ".calls.pb.gz") == 2, "wanted two files");
	for (const char *line = run->out; line && *line; line = strchr(line, '\n') + 1) {
		unsigned long long pid = strtoull(line, NULL, 10);

		if (pid != pids[0] && pid != pids[1])
			pids[count++ % 2] = pid;
	}
	RUN_CHECK(run, count == 2, "wanted two processes");
	for (unsigned i = 0; i < 2; i++) {
		const char *path = run_text(run, "%s/monprof.%llu.calls.pb.gz", run->dir, pids[i]);
		struct stacks *stacks = stacks_read(run, path);

		check_told(run, stacks, run_text(run, "%llu ", pids[i]), 0);
		stacks_free(stacks);
	}
	run_free(run);
}

/* Where perf is to know of Python functions, each is called through C. */
static void check_perf(const char *kind)
{
	struct run *run = run_new();
	int status;

	/* It writes there, and nobody else would remove it. */
	if (strcmp(run_tool(run, &status, python_path(), "-Xperf", "-c",
			    "import sys, os; print(sys.is_stack_trampoline_active());"
			    "os.unlink(f'/tmp/perf-{os.getpid()}.map')",
			    NULL),
		   "True\n") != 0)
		cr_skip_test("this Python has no -X perf");
	run_free(run);
	check_exact_with(kind, "-Xperf", "PYTHON_JIT", NULL);
}

Test(calls_exact, under_perf_callbacks_from_c)
{
	if (!run_is_full())
		cr_skip_test("for a full run");
	check_perf("callbacks");
}

Test(calls_exact, under_perf_generators)
{
	if (!run_is_full())
		cr_skip_test("for a full run");
	check_perf("generators");
}

Test(calls_exact, under_perf_ways_to_call)
{
	if (!run_is_full())
		cr_skip_test("for a full run");
	check_perf("ways");
}

Test(calls_exact, under_jit)
{
	if (!run_is_full())
		cr_skip_test("for a full run");
	check_exact_with("generators", "-B", "PYTHON_JIT", "1");
	check_exact_with("ways", "-B", "PYTHON_JIT", "1");
}

Test(calls_exact, under_dev)
{
	if (!run_is_full())
		cr_skip_test("for a full run");
	check_exact_with("callbacks", "-Xdev", "PYTHONMALLOC", "debug");
	check_exact_with("threads", "-Xdev", "PYTHONMALLOC", "debug");
}

/* ---- programs made up ---- */

#define SEEDS (run_is_full() ? 3u : 1u)

/* The command of a run that fails says its seed. */
static void check_random(const char *count)
{
	unsigned first = (unsigned)time(NULL) % 100000 * SEEDS;

	for (unsigned seed = first; seed < first + SEEDS; seed++) {
		struct run *run = run_calls("100%");
		struct stacks *stacks;

		run_go(run, python_path(), run_program("random_calls.py"),
		       run_text(run, "%u", seed), count, NULL);
		run_check_exit(run, 0);
		run_check_silent(run);
		stacks = stacks_read(run, run_file(run, ".calls.pb.gz"));
		RUN_CHECK(run, check_told(run, stacks, "", 0) > 0, "it told nothing");
		stacks_free(stacks);
		run_free(run);
	}
}

Test(calls_random, as_they_count_themselves)
{
	check_random("own");
}

Test(calls_random, as_cprofile_counts)
{
	check_random("cprofile");
}

/* ---- windows ---- */

Test(calls_windows, steady)
{
	struct run *run = run_calls("20%");
	struct stacks *stacks;

	run_go(run, python_path(), run_program("counts.py"), "steady", NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	stacks = stacks_read(run, run_file(run, ".calls.pb.gz"));
	RUN_CHECK(run, atoi(comment_of(run, stacks, "windows.calls")) > 20, "few windows:\n%s",
		  stacks->comments);
	RUN_CHECK(run, atof(comment_of(run, stacks, "scale.calls.calls")) > 1, "no scale:\n%s",
		  stacks->comments);
	RUN_CHECK(run, check_told(run, stacks, "", 20) == 3, "it told less");
	stacks_free(stacks);
	run_free(run);
}

/* Windows pass while nothing runs. */
Test(calls_windows, idle)
{
	struct run *run = run_calls("20%");
	struct stacks *stacks;

	run_go(run, python_path(), run_program("counts.py"), "idle", NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	stacks = stacks_read(run, run_file(run, ".calls.pb.gz"));
	RUN_CHECK(run, atoi(comment_of(run, stacks, "windows.calls")) > 5, "few windows:\n%s",
		  stacks->comments);
	/* It is called 1,000 times: each is there with its chance, a fifth. */
	RUN_CHECK(run, calls_of(stacks, "idle", "leaf") < 3000, "%llu calls of leaf",
		  (unsigned long long)calls_of(stacks, "idle", "leaf"));
	stacks_free(stacks);
	run_free(run);
}

/* As often on and off as can be, among threads: nothing breaks. How threads share time is not what is asked. */
Test(calls_windows, stress, .timeout = 300)
{
	const char *given = getenv("TEST_STRESS");
	const char *seconds = given && *given ? given : "5";
	struct run *run = run_calls("50%");
	struct stacks *stacks;

	run->limit_s += (unsigned)atoi(seconds);
	run_set(run, "MONPROF_COLLECT", "cpu,sites,calls");
	run_set(run, "MONPROF_CALLS_WINDOW", "100us");
	run_set(run, "MONPROF_BUDGET", "100%"); /* it may cost what it costs */
	run_set(run, "STRESS_SECONDS", seconds);
	run_go(run, python_path(), run_program("counts.py"), "stress", NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	stacks = stacks_read(run, run_file(run, ".calls.pb.gz"));
	RUN_CHECK(run, atoi(comment_of(run, stacks, "windows.calls")) > 50, "few windows:\n%s",
		  stacks->comments);
	RUN_CHECK(run, check_told(run, stacks, "", 60) == 5, "it told less");
	stacks_free(stacks);
	run_free(run);
}

/* ---- options ---- */

Test(calls_options, python_only)
{
	struct run *run = run_calls("100%");
	struct stacks *stacks;

	run_set(run, "MONPROF_CALLS_EVENTS", "py");
	run_go(run, python_path(), run_program("counts.py"), "callbacks", NULL);
	run_check_exit(run, 0);
	stacks = stacks_read(run, run_file(run, ".calls.pb.gz"));
	RUN_CHECK(run, calls_of(stacks, "callbacks", "key_of") == 116, "%llu calls of key_of",
		  (unsigned long long)calls_of(stacks, "callbacks", "key_of"));
	for (size_t i = 0; i < stacks->frame_count; i++) {
		RUN_CHECK(run,
			  !stacks->frames[i] || !stacks_is(stacks->frames[i], "builtins.sorted"),
			  "a frame of C: %s", stacks->frames[i]->name);
	}
	stacks_free(stacks);
	run_free(run);
}

/* What the program is shown says nothing: the original does, which is still there. */
static void check_holder(struct run *run, const char *wanted)
{
	static const char program[] =
		"import gc, sys\n"
		"assert sys.monitoring.get_tool(2) is None\n"
		"functions = [f for f in gc.get_objects() if type(f) is type(len)]\n"
		"names = {f(2) for f in functions if f.__name__ == 'get_tool'}\n"
		"print(*(names - {None} or {None}))\n";

	run_go(run, python_path(), "-c", program, NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	RUN_CHECK(run, strcmp(run->out, run_text(run, "%s\n", wanted)) == 0, "wanted %s", wanted);
	run_free(run);
}

Test(calls_options, holds_the_profilers_id)
{
	check_holder(run_calls("100%"), "monprof");
	check_holder(run_calls("1%"), "monprof");
}

Test(calls_options, rate_0_claims_nothing)
{
	check_holder(run_calls("0%"), "None");
}

Test(calls_options, with_cpu)
{
	struct run *run = run_calls("100%");

	run_set(run, "MONPROF_COLLECT", "cpu,calls");
	run_go(run, python_path(), run_program("burn.py"), "1", NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	RUN_CHECK(run,
		  run->file_count == 2 && run_count(run, ".cpu.pb.gz") == 1 &&
			  run_count(run, ".calls.pb.gz") == 1,
		  "wanted two files");
	common_check(run, run_file(run, ".cpu.pb.gz"), "burn", "spin", 900);
	run_free(run);
}
