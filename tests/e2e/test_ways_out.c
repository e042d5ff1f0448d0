/*
 * test_ways_out.c - however a program ends, it ends as it would have without us, and what was measured
 * is there: as a profile, or as a recording that the command finishes.
 */
#include "common.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* ends.py WAY without and with us: the same stdout, stderr and status. */
static struct run *run_both(const char *way, const char *argument)
{
	struct run *run = run_new(), *plain = run_new();

	plain->is_plain = true;
	run_go(plain, python_path(), run_program("ends.py"), way, argument, NULL);
	run_go(run, python_path(), run_program("ends.py"), way, argument, NULL);
	RUN_CHECK(run, strcmp(run_ending(run), run_ending(plain)) == 0, "without us: %s",
		  run_ending(plain));
	RUN_CHECK(run, strcmp(run->out, plain->out) == 0, "stdout without us: %s", plain->out);
	RUN_CHECK(run, strcmp(run->err, plain->err) == 0, "stderr without us: %s", plain->err);
	run_free(plain);
	return run;
}

/* The one file is the profile, with the 0.3 s that were used before the end. */
static void check_profile(struct run *run)
{
	RUN_CHECK(run, run->file_count == 1, "wanted one file");
	common_check(run, common_profile(run, run->pid), "before", "spin", 300);
}

/* The one file is the recording; what the command makes of it has the CPU time of `function`. */
static void check_recording(struct run *run, const char *function, unsigned wanted_ms)
{
	const char *recording = run_text(run, "%s/monprof.%d.monprof", run->dir, run->pid);

	RUN_CHECK(run, run->file_count == 1 && run_read(run, recording), "wanted the one file %s",
		  recording);
	common_check(run, run_export(run, recording, "exported"), function, "spin", wanted_ms);
}

/* Wait until the recording of a running program has samples of the function. */
static void await_recorded(struct run *run, const char *function)
{
	bool is_there = false;

	run_await_file(run, ".monprof");
	for (unsigned tries = 0; !is_there; tries++) {
		size_t texts = run->text_count;
		int status;
		char *report = run_tool(run, &status, run_tested("MONPROF_CLI"), "report",
					run_file(run, ".monprof"), NULL);

		RUN_CHECK(run, WIFEXITED(status) && WEXITSTATUS(status) <= 1,
			  "monprof report: wait status %#x, %s", (unsigned)status, report);
		is_there = status == 0 && strstr(report, function);
		RUN_CHECK(run, is_there || tries < 500, "%s was never recorded; report says: %s",
			  function, report);
		run_forget(run, texts);
		usleep(20000);
	}
}

Test(ways_out, normal)
{
	struct run *run = run_both("normal", NULL);

	check_profile(run);
	run_free(run);
}

Test(ways_out, system_exit)
{
	struct run *run = run_both("exit", NULL);

	run_check_exit(run, 3);
	check_profile(run);
	run_free(run);
}

Test(ways_out, system_exit_with_message)
{
	struct run *run = run_both("message", NULL);

	run_check_exit(run, 1);
	RUN_CHECK(run, strcmp(run->err, "bye\n") == 0, "stderr differs");
	check_profile(run);
	run_free(run);
}

Test(ways_out, uncaught_exception)
{
	struct run *run = run_both("raise", NULL);

	run_check_exit(run, 1);
	RUN_CHECK(run, strstr(run->err, "ValueError: on purpose"), "no traceback");
	check_profile(run);
	run_free(run);
}

Test(ways_out, fast_exit_from_main)
{
	struct run *run = run_both("_exit", NULL);

	run_check_exit(run, 4);
	check_profile(run);
	run_free(run);
}

Test(ways_out, fast_exit_from_a_thread)
{
	struct run *run = run_both("_exit_thread", NULL);

	run_check_exit(run, 5);
	check_profile(run);
	run_free(run);
}

Test(ways_out, c_library)
{
	static const char *const ways[] = { "exit", "_Exit", "quick_exit" };

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct run *run = run_both("libc", ways[i]);

		run_check_exit(run, 6);
		check_profile(run);
		run_free(run);
	}
}

Test(ways_out, keyboard_interrupt)
{
	struct run *run = run_new();

	run_start(run, python_path(), run_program("ends.py"), "sleep", NULL);
	run_await(run, "ready");
	kill(run->pid, SIGINT);
	run_wait(run);
	run_check_signal(run, SIGINT);
	RUN_CHECK(run, strstr(run->err, "\nKeyboardInterrupt\n") && !strstr(run->err, "monprof["),
		  "stderr is not Python's own");
	check_profile(run);
	run_free(run);
}

static void no_core(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
}

/* The program uses the CPU until the signal ends it. */
static struct run *run_until_killed(const char *way, int signal)
{
	struct run *run = run_new();

	run->before_exec = no_core;
	run_set(run, "MONPROF_FLUSH", "50ms");
	run_start(run, python_path(), run_program("ends.py"), way, NULL);
	run_await(run, "ready");
	await_recorded(run, "end_forever");
	kill(run->pid, signal);
	run_wait(run);
	run_check_silent(run);
	return run;
}

static void check_killed(int signal)
{
	struct run *run = run_until_killed("forever", signal);

	run_check_signal(run, signal);
	check_recording(run, "before", 290);
	run_free(run);
}

Test(ways_out, terminated)
{
	check_killed(SIGTERM);
}

Test(ways_out, killed)
{
	check_killed(SIGKILL);
}

Test(ways_out, crashed)
{
	check_killed(SIGSEGV);
}

Test(ways_out, terminated_with_handler)
{
	struct run *run = run_until_killed("handler", SIGTERM);

	run_check_exit(run, 7);
	common_check(run, common_profile(run, run->pid), "before", "spin", 300);
	run_free(run);
}

Test(ways_out, fast_exit_from_a_handler)
{
	struct run *run = run_until_killed("_exit_handler", SIGTERM);

	run_check_exit(run, 8);
	common_check(run, common_profile(run, run->pid), "before", "spin", 300);
	run_free(run);
}

Test(ways_out, aborted)
{
	struct run *run = run_new();

	run->before_exec = no_core;
	run_set(run, "MONPROF_FLUSH", "20ms");
	run_go(run, python_path(), run_program("ends.py"), "abort", NULL);
	run_check_signal(run, SIGABRT);
	run_check_silent(run);
	check_recording(run, "before", 200);
	run_free(run);
}

Test(ways_out, exec_of_another_python)
{
	struct run *run = run_new();
	const char *first, *second;
	struct stacks *stacks;

	run_go(run, python_path(), run_program("ends.py"), "exec", run_program("burn.py"), NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	RUN_CHECK(run, strcmp(run->out, "done\n") == 0, "stdout differs");
	second = common_profile(run, run->pid);
	first = run_text(run, "%s/monprof.%d.monprof", run->dir, run->pid);
	RUN_CHECK(run, run->file_count == 2 && run_read(run, first), "wanted %s and %s", first,
		  second);
	common_check(run, second, "burn.<module>", "spin", 300);
	stacks = stacks_read(run, second);
	RUN_CHECK(run, !stacks_with(stacks, "before"), "the second has stacks of the first: %s",
		  stacks_names(run, stacks));
	stacks_free(stacks);
	common_check(run, run_export(run, first, "first"), "before", "spin", 300);
	run_free(run);
}

Test(ways_out, exec_that_fails)
{
	struct run *run = run_both("exec_missing", NULL);

	run_check_exit(run, 0);
	check_profile(run);
	common_check(run, common_profile(run, run->pid), "after", "spin", 300);
	run_free(run);
}
