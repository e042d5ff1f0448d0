/*
 * test_calls_interpreters.c - calls in sub-interpreters, with a GIL of their own and with main's: exact where every
 * call is observed, an estimate where windows are, whenever interpreters come and go.
 */
#include "calls.h"

static struct run *go(const char *rate, const char *kind, const char *gil)
{
	struct run *run = run_calls(rate);

	/* 3.14 and newer warn of interpreters that are left at the end. */
	run_go(run, python_path(), "-Wignore", run_program("interpreter_calls.py"), kind, gil,
	       NULL);
	return run;
}

static void check_exact(const char *kind, const char *gil, unsigned lines)
{
	struct run *run = go("100%", kind, gil);
	struct stacks *stacks;

	run_check_exit(run, 0);
	run_check_silent(run);
	stacks = stacks_read(run, run_file(run, ".calls.pb.gz"));
	RUN_CHECK(run, strncmp(comment_of(run, stacks, "calls.lost"), "0\n", 2) == 0,
		  "some are lost:\n%s", stacks->comments);
	RUN_CHECK(run, check_told(run, stacks, "", 0) == lines, "wanted %u counts", lines);
	stacks_free(stacks);
	run_free(run);
}

Test(calls_interpreters, one)
{
	check_exact("one", "own", 4);
}

Test(calls_interpreters, one_with_main_s_gil)
{
	check_exact("one", "shared", 4);
}

Test(calls_interpreters, one_ends_and_one_stays)
{
	check_exact("ends", "own", 8);
}

Test(calls_interpreters, one_ends_and_one_stays_with_main_s_gil)
{
	check_exact("ends", "shared", 8);
}

Test(calls_interpreters, several_at_the_same_time)
{
	check_exact("threads", "own", 8);
}

Test(calls_interpreters, several_that_take_turns)
{
	check_exact("threads", "shared", 8);
}

Test(calls_interpreters, a_thread_in_more_than_it_keeps_in_mind)
{
	check_exact("wanders", "own", 22);
}

/* All ids, where we hold one: that interpreter is no longer observed, the others are. */
Test(calls_interpreters, a_program_that_takes_the_ids_of_one)
{
	struct run *run = go("100%", "taken", "own");
	struct stacks *stacks;

	run_check_exit(run, 0);
	run_check_line(run, "tool id in a sub-interpreter");
	stacks = stacks_read(run, run_file(run, ".calls.pb.gz"));
	RUN_CHECK(run, check_told(run, stacks, "", 0) == 4, "wanted four counts");
	RUN_CHECK(run, calls_of(stacks, "taken_many", "*") == 0, "they are somebody else's");
	stacks_free(stacks);
	run_free(run);
}

static void check_windows(const char *gil)
{
	struct run *run = go("50%", "busy", gil);
	struct stacks *stacks;

	run_check_exit(run, 0);
	run_check_silent(run);
	stacks = stacks_read(run, run_file(run, ".calls.pb.gz"));
	RUN_CHECK(run, atoi(comment_of(run, stacks, "windows.calls")) > 1,
		  "no window was written beside one that calls nothing:\n%s", stacks->comments);
	RUN_CHECK(run, calls_of(stacks, "left_many", "left_leaf") > 0, "none in the first");
	RUN_CHECK(run, calls_of(stacks, "right_many", "right_leaf") > 0, "none in the second");
	RUN_CHECK(run, calls_of(stacks, "left_many", "right_leaf") == 0, "one calls the other");
	stacks_free(stacks);
	run_free(run);
}

Test(calls_interpreters, windows)
{
	check_windows("own");
}

Test(calls_interpreters, windows_with_main_s_gil)
{
	check_windows("shared");
}

/* A window that only the main one was asked for keeps nobody from the next one. A machine under load may leave one or
   two without a window in their short lives; such a window kept most from theirs. */
static void check_late(const char *gil)
{
	struct run *run = go("50%", "late", gil);
	char caller[16], callee[16];
	struct stacks *stacks;
	unsigned unseen = 0;

	run_check_exit(run, 0);
	run_check_silent(run);
	stacks = stacks_read(run, run_file(run, ".calls.pb.gz"));
	for (unsigned i = 0; i < 10; i++) {
		snprintf(caller, sizeof(caller), "late%u_many", i);
		snprintf(callee, sizeof(callee), "late%u_leaf", i);
		unseen += calls_of(stacks, caller, callee) == 0;
	}
	RUN_CHECK(run, unseen <= 2, "of 10 interpreters, %u were not seen to call anything",
		  unseen);
	stacks_free(stacks);
	run_free(run);
}

Test(calls_interpreters, those_that_come_while_a_window_waits)
{
	check_late("own");
}

Test(calls_interpreters, those_that_come_while_a_window_waits_with_main_s_gil)
{
	check_late("shared");
}

static void check_churn(const char *gil)
{
	struct run *run = go("99%", "churn", gil);

	run_check_exit(run, 0);
	run_check_silent(run);
	run_free(run);
}

Test(calls_interpreters, coming_and_going_while_windows_are_open)
{
	check_churn("own");
}

Test(calls_interpreters, coming_and_going_with_main_s_gil)
{
	check_churn("shared");
}
