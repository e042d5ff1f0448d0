/*
 * test_ends.c - ends in the worst moments: out of a signal handler while a lock of ours is held, while the disk
 * hangs, in a crash, of interpreters; and what still runs while all is taken down is in the profile.
 */
#include "common.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define LATE "the end of the program waits no longer"

/* Beside much else, too, it is over by then or never. */
static struct run *new_run(void)
{
	struct run *run = run_new();

	run->limit_s = 240;
	return run;
}

/* Built here: between.c, which stands between the library and libc. */
static void between(struct run *run)
{
	const char *library = run_text(run, "%s/between.so", run->root);
	int status;
	char *said = run_tool(run, &status, "cc", "-O1", "-g", "-shared", "-fPIC", "-pthread", "-o",
			      library, run_program("between.c"), NULL);

	RUN_CHECK(run, status == 0, "cc: %s", said);
	run->preload = run_text(run, "%s %s", run_tested("LIBMONPROF"), library);
}

/* With us and without: the same output and the same end. */
static struct run *run_same(const char *option, const char *program, const char *kind,
			    const char *argument)
{
	struct run *run = new_run(), *plain = new_run();

	plain->is_plain = true;
	run_set(run, "MONPROF_FLUSH", "50ms");
	run_go(plain, python_path(), option, run_program(program), kind, argument, NULL);
	run_go(run, python_path(), option, run_program(program), kind, argument, NULL);
	RUN_CHECK(run, run->status == plain->status, "without us: %s", run_ending(plain));
	RUN_CHECK(run, strcmp(run->out, plain->out) == 0, "stdout without us: %s", plain->out);
	RUN_CHECK(run, strcmp(run->err, plain->err) == 0, "stderr without us: %s", plain->err);
	run_free(plain);
	return run;
}

static void check_below(struct run *run, const char *caller, unsigned wanted_ms)
{
	common_check(run, common_profile(run, run->pid), caller, "spin", wanted_ms);
}

/* ---- locks ---- */

/*
 * A handler calls _exit at the n-th place where a thread of the program's takes a lock of ours. That lock
 * is never given back: our own thread may wait for it for ever, the process may not.
 */
static bool ends_at_place(unsigned place, const char *preload)
{
	struct run *run = new_run();
	const char *output = run_text(run, "%s/left", run->root);
	const char *recording = run_text(run, "%s.monprof", output);
	bool was_there;
	int status;

	run->preload = preload;
	run_set(run, "MONPROF_CPU_HZ", run_often());
	run_set(run, "MONPROF_FLUSH", "20ms");
	run_set(run, "MONPROF_EXIT_WAIT", "50ms");
	/* Out of where every file is read in every format. */
	run_set(run, "MONPROF_OUTPUT", output);
	run_set(run, "BETWEEN_PLACE", run_text(run, "%u", place));
	run_go(run, python_path(), run_program("locks.py"), NULL);
	/* It may be met after the last line of the program, too. */
	was_there = run->status != 0;
	run_check_exit(run, was_there ? 9 : 0);
	RUN_CHECK(run, was_there || *run->out, "it did not get that far");
	if (*run->err)
		run_check_line(run, LATE);
	if (access(recording, F_OK) == 0) {
		char *said = run_tool(run, &status, run_tested("MONPROF_CLI"), "report", recording,
				      NULL);

		/* It may have nothing in it yet. */
		RUN_CHECK(run, status == 0 || strstr(said, "there is no sample in it"),
			  "monprof report %s: %s", recording, said);
	}
	run_free(run);
	return was_there;
}

Test(ends, out_of_a_handler_while_a_lock_is_held)
{
	unsigned step = run_is_full() ? 1 : 8, last = 0;
	struct run *home = new_run();

	between(home);
	/*
	 * How many there are depends on what is sampled: in one run more than in another. The eighth is in each, and
	 * where our heap is libc's, as under a sanitizer, it is the last that is.
	 */
	for (unsigned place = 1; place <= last + 3 * step; place = (place / step + 1) * step) {
		if (ends_at_place(place, home->preload))
			last = place;
	}
	cr_assert_geq(last, 8, "the last place that was met is number %u", last);
	run_free(home);
}

/* ---- a disk that hangs ---- */

/* The program makes this file, and our thread hangs in its next write until it is gone. */
static struct run *run_hanging(const char *kind, const char *wait)
{
	struct run *run = new_run();

	between(run);
	run_set(run, "MONPROF_FLUSH", "20ms");
	run_set(run, "MONPROF_EXIT_WAIT", wait);
	run_set(run, "BETWEEN_DISK", run_text(run, "%s/hangs", run->root));
	/* A fork cannot wait for our thread to be gone, and CPython counts it. */
	run_go(run, python_path(), "-Wignore", run_program("hanging_disk.py"), kind, NULL);
	return run;
}

static void check_late(struct run *run, int exit_status)
{
	const char *recording = run_text(run, "%s/monprof.%d.monprof", run->dir, run->pid);

	run_check_exit(run, exit_status);
	run_check_line(run,
		       run_text(run,
				LATE " for the profile: if it is not there, its recording is, %s",
				recording));
	common_check(run, run_export(run, recording, "exported"), "before", "spin", 290);
	run_free(run);
}

Test(ends, on_a_disk_that_hangs)
{
	check_late(run_hanging("normal", "100ms"), 0);
	if (!run_is_full())
		return;
	check_late(run_hanging("fast_exit", "100ms"), 4);
	check_late(run_hanging("fast_exit_in_a_thread", "100ms"), 5);
}

/* The normal end may wait for very long; a handler that comes meanwhile may not, and has the last word. */
Test(ends, twice_on_a_disk_that_hangs)
{
	if (!run_is_full())
		cr_skip_test("for a full run");
	check_late(run_hanging("fast_exit_beside_the_end", "1h"), SIGALRM);
}

Test(ends, exec_on_a_disk_that_hangs)
{
	if (!run_is_full())
		cr_skip_test("for a full run");

	struct run *run = run_hanging("exec", "10s");

	run_check_exit(run, 0);
	run_check_silent(run);
	RUN_CHECK(run, strcmp(run->out, "done\n") == 0, "stdout differs");
	run_free(run);
}

/* It comes to itself: nothing of what was measured meanwhile is lost. Of the child nothing is known. */
Test(ends, forks_on_a_disk_that_hangs)
{
	if (!run_is_full())
		cr_skip_test("for a full run");

	struct run *run = run_hanging("forks", "10s");

	run_check_exit(run, 0);
	run_check_line(run, "our own thread was busy at the fork: not profiled");
	check_below(run, "before", 300);
	check_below(run, "meanwhile", 300);
	RUN_CHECK(run, run_count(run, ".cpu.pb.gz") == 1, "a child's profile");
	run_free(run);
}

/* ---- crashes ---- */

static void no_core(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
}

/* Everything but numbers of threads, and C's stack (3.14): a call that is observed goes another way there. */
static const char *without_numbers(struct run *run, const char *text)
{
	const char *stack = strstr(text, "Current thread's C stack trace");
	char *copy =
		run_text(run, "%.*s", (int)(stack ? (size_t)(stack - text) : strlen(text)), text);
	char *to = copy;

	for (const char *at = copy; *at; at++) {
		if (strncmp(at, "0x", 2) == 0)
			at += 1 + strspn(at + 2, "0123456789abcdef");
		else
			*to++ = *at;
	}
	*to = '\0';
	return copy;
}

static void check_crash(const char *option, const char *kind, bool has_profile)
{
	struct run *run = new_run(), *plain = new_run();

	plain->is_plain = true;
	plain->before_exec = run->before_exec = no_core;
	run_set(run, "MONPROF_FLUSH", "20ms");
	run_go(plain, python_path(), option, run_program("teardown.py"), kind, NULL);
	run_go(run, python_path(), option, run_program("teardown.py"), kind, NULL);
	RUN_CHECK(run, run->status == plain->status, "without us: %s", run_ending(plain));
	RUN_CHECK(run,
		  strcmp(without_numbers(run, run->err), without_numbers(plain, plain->err)) == 0,
		  "stderr without us: %s", plain->err);
	if (has_profile)
		check_below(run, "burn", 300);
	else
		common_check(run, run_export(run, run_file(run, ".monprof"), "exported"), "burn",
			     "spin", 250);
	run_free(plain);
	run_free(run);
}

Test(ends, crash)
{
	check_crash("-Xfaulthandler", "crash", false);
	if (!run_is_full())
		return;
	check_crash("-u", "crash", false);
	check_crash("-u", "watchdog", true);
}

/* ---- killed ---- */

/* What the program knows to be on disk is in what is made of the recording, but for a few periods of 5 ms. */
static void check_killed(unsigned after_ms)
{
	struct run *run = new_run();
	struct stacks *stacks;
	unsigned told_ms;
	const char *at;

	run_set(run, "MONPROF_FLUSH", "50ms");
	run_start(run, python_path(), run_program("killed.py"), NULL);
	run_await(run, "\n");
	usleep(after_ms * 1000);
	kill(run->pid, SIGKILL);
	run_wait(run);
	run_check_signal(run, SIGKILL);
	run_check_silent(run);
	/* The last whole line. */
	at = strrchr(run->out, '\n');
	while (at > run->out && at[-1] != '\n')
		at--;
	told_ms = (unsigned)atoi(at);
	RUN_CHECK(run, run->file_count == 1, "wanted one file");
	stacks = stacks_read(run, run_export(run, run_file(run, ".monprof"), "exported"));
	RUN_CHECK(run, stacks_with(stacks, "work") + 25 * MS >= told_ms * MS,
		  "%llu ns in work, %u ms were on disk; %s",
		  (unsigned long long)stacks_with(stacks, "work"), told_ms,
		  stacks_names(run, stacks));
	stacks_free(stacks);
	run_free(run);
}

Test(ends, killed_at_any_moment)
{
	unsigned kills = run_is_full() ? 6 : 2;

	srand((unsigned)getpid());
	while (kills--)
		check_killed((unsigned)rand() % 300);
}

/* ---- teardown ---- */

Test(ends, what_runs_at_the_end_is_in_the_profile)
{
	struct run *run = run_same("-u", "teardown.py", "work", NULL);

	check_below(run, "at_exit_work", 300);
	check_below(run, "finalized", 300);
	check_below(run, "Keeper.__del__", 600);
	run_free(run);
}

Test(ends, exits_in_threads)
{
	if (!run_is_full())
		cr_skip_test("for a full run");

	struct run *run = run_same("-u", "teardown.py", "exits_in_threads", NULL);

	run_check_exit(run, 6);
	check_below(run, "leave", 400);
	run_free(run);
}

Test(ends, daemons_that_never_rest)
{
	if (!run_is_full())
		cr_skip_test("for a full run");

	struct run *run = run_same("-u", "teardown.py", "daemons", NULL);

	check_below(run, "at_exit_work", 300);
	run_free(run);
}

/* ---- interpreters ---- */

Test(ends, of_interpreters)
{
	static const struct {
		const char *kind, *gil;
		int exit_status;
	} rows[] = {
		{ "sub", "own", 0 },
		{ "sub_many", "shared", 0 },
		{ "sub_thread", "own", 0 },
		{ "sub_fast_exit", "shared", 7 },
	};

	for (size_t i = 0; i < (run_is_full() ? sizeof(rows) / sizeof(rows[0]) : 1); i++) {
		struct run *run = run_same("-Wignore", "teardown.py", rows[i].kind, rows[i].gil);

		run_check_exit(run, rows[i].exit_status);
		check_below(run, "burn", 200);
		run_free(run);
	}
}

/* Python comes and goes three times: the first life is profiled, the others are as if we were not there. */
Test(ends, of_python_but_not_of_the_program)
{
	if (!run_is_full())
		cr_skip_test("for a full run");

	struct run *run = new_run(), *plain = new_run();
	const char *host = python_host(run, "again.c", NULL);
	const char *code = run_text(run, "import sys; sys.path.insert(0, '%.*s'); import life",
				    (int)strlen(run_program("life.py")) - 8,
				    run_program("life.py"));

	if (!host)
		cr_skip_test("%s has no headers or no shared library", python_path());
	plain->is_plain = true;
	run_go(plain, host, "3", code, NULL);
	run_go(run, host, "3", code, NULL);
	RUN_CHECK(run, run->status == plain->status, "without us: %s", run_ending(plain));
	RUN_CHECK(run, strcmp(run->out, plain->out) == 0, "stdout without us: %s", plain->out);
	RUN_CHECK(run, strcmp(run->err, plain->err) == 0, "stderr without us: %s", plain->err);
	run_check_exit(run, 0);
	check_below(run, "burn", 300);
	run_free(plain);
	run_free(run);
}

/* ---- exec ---- */

/* Each image has the pid of the one before, and leaves what it measured. */
Test(ends, exec_of_itself)
{
	struct run *run = new_run();
	size_t recordings;

	run_go(run, python_path(), run_program("teardown.py"), "exec", "2", NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	recordings = run_count(run, ".monprof");
	RUN_CHECK(run, recordings == 2, "%zu recordings, wanted 2", recordings);
	for (size_t i = 0; i < recordings; i++)
		common_check(run,
			     run_export(run, run_file_at(run, ".monprof", i),
					run_text(run, "exported%zu", i)),
			     "burn", "spin", 300);
	check_below(run, "burn", 300);
	run_free(run);
}
