/*
 * test_no_harm.c - the program is the same with and without us: what it prints, how it ends, what it
 * sees of its own process.
 */
#include "common.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The first line in which two texts differ. */
static const char *difference(struct run *run, const char *ours, const char *theirs)
{
	while (*ours && *theirs) {
		size_t length = strcspn(ours, "\n"), other = strcspn(theirs, "\n");

		if (length != other || strncmp(ours, theirs, length) != 0)
			break;
		ours += length + (ours[length] == '\n');
		theirs += other + (theirs[other] == '\n');
	}
	return run_text(run, "\n    with:    %.*s\n    without: %.*s", (int)strcspn(ours, "\n"),
			ours, (int)strcspn(theirs, "\n"), theirs);
}

static void check_same(struct run *run, struct run *plain)
{
	RUN_CHECK(run, run->status == plain->status, "without us: %s", run_ending(plain));
	RUN_CHECK(run, strcmp(run->out, plain->out) == 0, "stdout differs:%s",
		  difference(run, run->out, plain->out));
	RUN_CHECK(run, strcmp(run->err, plain->err) == 0, "stderr differs:%s",
		  difference(run, run->err, plain->err));
	RUN_CHECK(run, run_count(run, ".monprof") == 0, "a recording was left");
}

/* python OPTION tests/programs/PROGRAM ARGUMENT, with and without, as often as can be sampled. */
static void check_program(const char *option, const char *program, const char *argument)
{
	struct run *run = run_new(), *plain = run_new();

	if (access(run_text(run, "tests/programs/%s", program), R_OK))
		cr_skip_test("%s is not there", program);
	plain->is_plain = true;
	plain->directory = run->dir;
	run_set(run, "HOME", "/tmp");
	run_set(plain, "HOME", "/tmp");
	run_set(run, "PPROF_TMPDIR", NULL);
	run_set(plain, "PPROF_TMPDIR", NULL);
	run_set(run, "MONPROF_CPU_HZ", run_often());
	run_set(plain, "MONPROF_CPU_HZ", run_often());
	run_go(plain, python_path(), option, run_program(program), argument, NULL);
	run_go(run, python_path(), option, run_program(program), argument, NULL);
	check_same(run, plain);
	RUN_CHECK(run, run_count(run, ".cpu.pb.gz") >= 1, "there is no profile");
	run_free(plain);
	run_free(run);
}

Test(no_harm, what_a_process_sees)
{
	check_program("-u", "state.py", NULL);
}

Test(no_harm, json)
{
	check_program("-u", "misc.py", "json");
}

Test(no_harm, asyncio)
{
	check_program("-u", "misc.py", "asyncio");
}

Test(no_harm, signals)
{
	check_program("-u", "misc.py", "signals");
}

Test(no_harm, files)
{
	check_program("-u", "misc.py", "files");
}

Test(no_harm, other_profilers)
{
	check_program("-u", "misc.py", "profilers");
}

Test(no_harm, deep_recursion)
{
	check_program("-u", "misc.py", "deep");
}

Test(no_harm, small_stacks)
{
	check_program("-u", "misc.py", "stack_small");
}

Test(no_harm, alternate_stack)
{
	check_program("-u", "misc.py", "alternate_stack");
}

Test(no_harm, warnings)
{
	check_program("-Xdev", "misc.py", "warnings");
}

Test(no_harm, everything_is_an_error)
{
	check_program("-Werror", "misc.py", "json");
}

Test(no_harm, the_signal_as_the_program_sees_it)
{
	check_program("-u", "signals_urg.py", NULL);
}

Test(no_harm, fork_with_hooks_in_python)
{
	check_program("-u", "fork_hooks.py", NULL);
}

Test(no_harm, what_programs_inherit_of_our_signal)
{
	check_program("-u", "spawn_signals.py", NULL);
}

Test(no_harm, system_calls_are_not_cut_short)
{
	struct run *run = run_new();

	run_set(run, "MONPROF_CPU_HZ", run_often());
	run_go(run, python_path(), run_program("calls.py"), NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	RUN_CHECK(run,
		  strcmp(run->out,
			 "nanosleep 0\npoll 0\nselect 0\nepoll_wait 0\nrecv 0\nslept True\n") == 0,
		  "one was cut short");
	run_free(run);
}

/* The walk of the interpreter's frames, checked from inside against what Python says of itself. */
Test(no_harm, frames_are_those_of_python)
{
	struct run *run = run_new();
	const char *tested = run_tested("LIBMONPROF");
	/* Built with it: the sanitizers' builds have their own */
	const char *library = run_text(run, "%.*s/tests/frames_check.so",
				       (int)(strrchr(tested, '/') - tested), tested);

	if (access(library, R_OK) != 0)
		cr_skip_test("%s is not there", library);
	/* It takes more thread-local room than a library gets that comes late. */
	run->preload = library;
	run_go(run, python_path(), run_program("frames_check.py"), library, NULL);
	run_check_exit(run, 0);
	run_free(run);
}
