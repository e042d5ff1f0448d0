/*
 * test_dump.c - monprof dump: a program's profile while it runs, as it is then.
 *
 * Programs print what they have called until now ("walk CALLEE COUNT") before they wait or go on.
 */
#include "calls.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct run *run_asked(void)
{
	struct run *run = run_calls("100%");

	run_set(run, "MONPROF_RING", "16M");
	run_set(run, "MONPROF_FLUSH", "100ms");
	return run;
}

/* Start it; it goes on until `end` is there. */
static const char *start(struct run *run, const char *kind)
{
	const char *end = run_text(run, "%s/end", run->root);

	run_start(run, python_path(), run_program("rotation.py"), kind, "0.3", end, NULL);
	run_await(run, "ready");
	return end;
}

static void finish(struct run *run, const char *end)
{
	cr_assert_eq(mkdir(end, 0700), 0, "%s: %s", end, strerror(errno));
	run_wait(run);
	run_check_exit(run, 0);
	run_check_silent(run);
}

/* What the command says, to both outputs; the program that runs keeps its own. */
static char *dump(struct run *run, int wanted_exit, const char *arguments)
{
	char said[8192];
	FILE *pipe = popen(run_text(run, "exec 2>&1; '%s' dump %s", run_tested("MONPROF_CLI"),
				    arguments),
			   "r");
	size_t size = pipe ? fread(said, 1, sizeof(said) - 1, pipe) : 0;
	int status = pipe ? pclose(pipe) : -1;

	said[size] = '\0';
	RUN_CHECK(run, WIFEXITED(status) && WEXITSTATUS(status) == wanted_exit,
		  "dump %s: wait status %#x, wanted exit %d; it said:\n%s", arguments,
		  (unsigned)status, wanted_exit, said);
	return run_text(run, "%s", said);
}

/* Its one line, which names a file as it is named in the directory; the path. */
static const char *check_named(struct run *run, const char *said, const char *name)
{
	const char *path = run_text(run, "%s/%s", run->dir, name);

	RUN_CHECK(run, strstr(said, run_text(run, "/%s\n", name)), "no %s in: %s", name, said);
	RUN_CHECK(run, access(path, R_OK) == 0, "%s: %s", path, strerror(errno));
	return path;
}

static void check_no_request(struct run *run)
{
	run_list(run);
	RUN_CHECK(run, run_count(run, ".dump") == 0, "a request is left");
}

/* The program's counts, exactly. */
static void check_counts(struct run *run, const char *path)
{
	static const char *const steps[] = { "one", "two", "three", "four" };
	const char *out = run_read(run, run_text(run, "%s/out", run->root));
	struct stacks *stacks = stacks_read(run, path);
	unsigned long long told;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		const char *line = strstr(out, run_text(run, "walk %s ", steps[i]));

		RUN_CHECK(run, line && sscanf(line, "walk %*s %llu", &told) == 1, "no %s",
			  steps[i]);
		RUN_CHECK(run, stacks_leaf(stacks, "walk", steps[i]) == told,
			  "%llu calls of %s, the program made %llu",
			  (unsigned long long)stacks_leaf(stacks, "walk", steps[i]), steps[i],
			  told);
	}
	stacks_free(stacks);
}

Test(dump, all_that_was_called_until_then)
{
	struct run *run = run_asked();
	const char *end, *said;

	run_set(run, "MONPROF_COLLECT", "cpu,calls");
	end = start(run, "waits");
	said = dump(run, 0, run_text(run, "-f collapsed %d", run->pid));
	check_named(run, said, run_text(run, "monprof.%d.dump1.cpu.collapsed", run->pid));
	check_counts(run, check_named(run, said,
				      run_text(run, "monprof.%d.dump1.calls.collapsed", run->pid)));
	/* Again, in the program's own format. */
	said = dump(run, 0, run_text(run, "%d", run->pid));
	check_named(run, said, run_text(run, "monprof.%d.dump2.cpu.pb.gz", run->pid));
	check_named(run, said, run_text(run, "monprof.%d.dump2.calls.pb.gz", run->pid));
	check_no_request(run);
	finish(run, end);
	/* And the program's own profile is what it would have been. */
	run_monprof(run, 0, "report",
		    run_text(run, "%s/monprof.%d.calls.pb.gz", run->dir, run->pid), NULL);
	run_free(run);
}

/* The program has changed its directory, works, and goes on in another recording each second. */
Test(dump, of_one_recording_after_the_other)
{
	struct run *run = run_asked();
	const char *end;

	run_set(run, "MONPROF_ROTATE", "1s");
	run_set(run, "MONPROF_EXPORT", "collapsed");
	end = start(run, "busy");
	for (unsigned i = 0; i < 4; i++) {
		const char *said = dump(run, 0, run_text(run, "--wait 20s %d", run->pid));
		const char *name = strrchr(said, '/');

		RUN_CHECK(run, name && strstr(name, ".dump") && strstr(name, ".calls.collapsed\n"),
			  "it said: %s", said);
	}
	check_no_request(run);
	finish(run, end);
	RUN_CHECK(run, run_count(run, ".monprof") == 0, "a recording is left");
	run_free(run);
}

Test(dump, of_a_program_that_is_stopped)
{
	struct run *run = run_asked();
	const char *end = start(run, "waits"), *said;

	kill(run->pid, SIGSTOP);
	said = dump(run, 1, run_text(run, "--wait 1s %d", run->pid));
	RUN_CHECK(run, strstr(said, "does not answer"), "it said: %s", said);
	check_no_request(run);
	kill(run->pid, SIGCONT);
	dump(run, 0, run_text(run, "%d", run->pid));
	finish(run, end);
	run_free(run);
}

Test(dump, of_a_program_that_ends_meanwhile)
{
	struct run *run = run_asked();
	const char *said;

	start(run, "waits");
	kill(run->pid, SIGSTOP);
	/* It is asked, and then it is gone. */
	said = dump(run, 1,
		    run_text(run, "%d & sleep 0.5; kill -9 %d; wait $!", run->pid, run->pid));
	RUN_CHECK(run,
		  strstr(said, "there is no such process") || strstr(said, "it is not profiled"),
		  "it said: %s", said);
	check_no_request(run);
	run_wait(run);
	run_free(run);
}

Test(dump, of_what_is_not_profiled)
{
	struct run *run = run_asked();
	const char *end, *said;

	run->is_plain = true;
	end = start(run, "waits");
	said = dump(run, 1, run_text(run, "%d", run->pid));
	RUN_CHECK(run, strstr(said, "it is not profiled"), "it said: %s", said);
	finish(run, end);
	said = dump(run, 1, run_text(run, "%d", run->pid));
	RUN_CHECK(run, strstr(said, "there is no such process"), "it said: %s", said);
	run_free(run);
}

static void become_nobody(void)
{
	if (setgid(65534) || setuid(65534))
		_exit(124);
}

/* Root asks; and nobody asks root's. */
Test(dump, of_another_users_program)
{
	struct run *run = run_asked();
	const char *end, *said;
	struct stat status;

	if (geteuid() != 0)
		cr_skip_test("only root can become somebody else");
	cr_assert_eq(chmod(run->root, 0777), 0);
	cr_assert_eq(chmod(run->dir, 0777), 0);
	run->before_exec = become_nobody;
	run_set(run, "MONPROF", "off");
	run_go(run, python_path(), "-c", "pass", NULL);
	if (run->status != 0)
		cr_skip_test("%s is not for everybody", python_path());
	cr_assert_eq(unlink(run_text(run, "%s/out", run->root)), 0);
	cr_assert_eq(unlink(run_text(run, "%s/err", run->root)), 0);
	run_set(run, "MONPROF", "on");
	end = start(run, "waits");
	said = dump(run, 0, run_text(run, "-f collapsed %d", run->pid));
	said = check_named(run, said, run_text(run, "monprof.%d.dump1.calls.collapsed", run->pid));
	RUN_CHECK(run, stat(said, &status) == 0 && status.st_uid == 65534, "whose is %s", said);
	check_counts(run, said);
	check_no_request(run);
	finish(run, end);
	run_free(run);
}

/* Names are the other process's: what they would have a terminal do is not done. */
Test(dump, names_for_a_terminal)
{
	static const char terminal[] = "import pty, sys\npty.spawn(sys.argv[1:])\n";
	struct run *run = run_asked();
	const char *end;
	char *said;
	int status;

	run_set(run, "MONPROF_OUTPUT", "a\033[2Jb");
	end = start(run, "busy");
	said = run_tool(run, &status, python_path(), "-c", terminal, run_tested("MONPROF_CLI"),
			"dump", run_text(run, "%d", run->pid), NULL);
	RUN_CHECK(run, strstr(said, "/a?[2Jb.dump1.calls.pb.gz") && !strchr(said, '\033'),
		  "it said: %s", said);
	check_named(run, dump(run, 0, run_text(run, "%d", run->pid)),
		    "a\033[2Jb.dump2.calls.pb.gz");
	finish(run, end);
	run_free(run);
}
