/*
 * test_settings.c - each option does what it says; one that is wrong is named in one line and the
 * program never notices.
 */
#include "common.h"

#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* burn.py under one setting. */
static struct run *run_set_to(const char *name, const char *value)
{
	struct run *run = run_new();

	run_set(run, name, value);
	run_go(run, python_path(), run_program("burn.py"), NULL);
	run_check_exit(run, 0);
	RUN_CHECK(run, strcmp(run->out, "done\n") == 0, "stdout differs");
	return run;
}

static const char *const wrong[][3] = {
	/* variable, value, what the line has to say */
	{ "MONPROF_CPU_HZ", "0", "MONPROF_CPU_HZ" },
	{ "MONPROF_CPU_HZ", "10001", "MONPROF_CPU_HZ" },
	{ "MONPROF_CPU_HZ", "fast", "MONPROF_CPU_HZ" },
	{ "MONPROF_CPU_CLOCK", "atomic", "MONPROF_CPU_CLOCK" },
	{ "MONPROF_DEPTH", "-1", "MONPROF_DEPTH" },
	{ "MONPROF_DEPTH", "12x", "MONPROF_DEPTH" },
	{ "MONPROF_LINES", "maybe", "MONPROF_LINES" },
	{ "MONPROF_FLUSH", "5", "MONPROF_FLUSH" },
	{ "MONPROF_FLUSH", "1ms", "MONPROF_FLUSH" },
	{ "MONPROF_KEEP", "2", "MONPROF_KEEP" },
	{ "MONPROF_EXIT_WAIT", "soon", "MONPROF_EXIT_WAIT" },
	{ "MONPROF_SIGNAL", "NOPE", "MONPROF_SIGNAL" },
	{ "MONPROF_CHILDREN", "some", "MONPROF_CHILDREN" },
	{ "MONPROF_RING", "128", "MONPROF_RING" },
	{ "MONPROF_RING", "1k", "MONPROF_RING" },
	{ "MONPROF_STRICT", "very", "MONPROF_STRICT" },
	{ "MONPROF_QUIET", "very", "MONPROF_QUIET" },
	{ "MONPROF_COLLECT", "cpuu", "cpu" },
	{ "MONPROF_EXPORT", "pdf", "MONPROF_EXPORT" },
	{ "MONPROF_EXPORT", "pprof,pdf", "pdf" },
	{ "MONPROF_DEPHT", "5", "MONPROF_DEPTH" },
	{ "MONPROF_CPU_HERTZ", "5", "MONPROF_CPU_HZ" },
	{ "MONPROF", "maybe", "MONPROF" },
};

Test(settings, wrong_ones_are_named)
{
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct run *run = run_new();

		run_set(run, wrong[i][0], wrong[i][1]);
		run_go(run, python_path(), "-c", "print('done')", NULL);
		run_check_exit(run, 0);
		RUN_CHECK(run, strcmp(run->out, "done\n") == 0, "%s=%s: stdout differs",
			  wrong[i][0], wrong[i][1]);
		RUN_CHECK(run, strstr(run->err, wrong[i][0]), "%s=%s: not named", wrong[i][0],
			  wrong[i][1]);
		run_check_line(run, wrong[i][2]);
		run_free(run);
	}
}

Test(settings, a_wrong_one_falls_back)
{
	struct run *run = run_set_to("MONPROF_DEPTH", "deep");

	run_check_line(run, "MONPROF_DEPTH");
	common_check(run, common_profile(run, run->pid), "burn", "spin", 300);
	run_free(run);
}

Test(settings, strict)
{
	struct run *run = run_new();

	run_set(run, "MONPROF_STRICT", "yes");
	run_set(run, "MONPROF_DEPTH", "deep");
	run_go(run, python_path(), run_program("burn.py"), NULL);
	run_check_exit(run, 0);
	RUN_CHECK(run, strstr(run->err, "MONPROF_DEPTH") && strstr(run->err, "MONPROF_STRICT"),
		  "stderr does not say what is wrong, and what follows");
	RUN_CHECK(run, run->file_count == 0, "files were left");
	run_free(run);
}

Test(settings, quiet)
{
	struct run *run = run_new();

	run_set(run, "MONPROF_QUIET", "yes");
	run_set(run, "MONPROF_DEPTH", "deep");
	run_go(run, python_path(), run_program("burn.py"), NULL);
	common_check_burnt(run);
	run_free(run);
}

Test(settings, off)
{
	static const char *const words[] = { "off", "no", "0" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct run *run = run_set_to("MONPROF", words[i]);

		run_check_silent(run);
		RUN_CHECK(run, run->file_count == 0, "MONPROF=%s: files were left", words[i]);
		run_free(run);
	}
}

Test(settings, nothing_to_collect)
{
	struct run *run = run_set_to("MONPROF_COLLECT", "none");

	run_check_line(run, "MONPROF_COLLECT");
	RUN_CHECK(run, run->file_count == 0, "files were left");
	run_free(run);
}

Test(settings, keep)
{
	struct run *run = run_set_to("MONPROF_KEEP", "yes");

	run_check_silent(run);
	RUN_CHECK(run,
		  run->file_count == 2 &&
			  run_read(run, run_text(run, "monprof.%d.monprof", run->pid)),
		  "wanted the recording beside the profile");
	common_check(run, common_profile(run, run->pid), "burn", "spin", 300);
	run_free(run);
}

Test(settings, two_formats_with_one_sum)
{
	struct run *run = run_set_to("MONPROF_EXPORT", "pprof,collapsed");
	struct stacks *pprof, *collapsed;

	run_check_silent(run);
	RUN_CHECK(run, run->file_count == 2, "wanted two files");
	pprof = stacks_read(run, common_profile(run, run->pid));
	collapsed =
		stacks_read(run, run_text(run, "%s/monprof.%d.cpu.collapsed", run->dir, run->pid));
	RUN_CHECK(run, stacks_total(pprof) == stacks_total(collapsed), "pprof %llu, collapsed %llu",
		  (unsigned long long)stacks_total(pprof),
		  (unsigned long long)stacks_total(collapsed));
	RUN_CHECK(run, stacks_self(pprof, "burn.spin") == stacks_self(collapsed, "burn.spin"),
		  "burn.spin differs");
	stacks_free(pprof);
	stacks_free(collapsed);
	run_free(run);
}

Test(settings, no_format_keeps_the_recording)
{
	struct run *run = run_set_to("MONPROF_EXPORT", "none");

	run_check_silent(run);
	RUN_CHECK(run, run->file_count == 1 && run_count(run, ".monprof") == 1,
		  "wanted the recording alone");
	run_free(run);
}

static void check_output(const char *pattern, const char *wanted)
{
	struct run *run = run_set_to("MONPROF_OUTPUT", pattern);
	char *name = run_text(run, "%s", wanted);
	char *pid = strstr(name, "PID");

	run_check_silent(run);
	if (pid)
		name = run_text(run, "%.*s%d%s", (int)(pid - name), name, run->pid, pid + 3);
	RUN_CHECK(run, run->file_count == 1 && strcmp(run->files[0], name) == 0, "wanted %s", name);
	run_free(run);
}

Test(settings, output_names)
{
	struct run *run = run_new();
	const char *program =
		python_value(run, "os.path.basename(os.path.realpath(sys.executable))");
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	check_output("fixed", "fixed.cpu.pb.gz");
	check_output("a.%p.b", "a.PID.b.cpu.pb.gz");
	check_output("%h-%e", run_text(run, "%s-%s.cpu.pb.gz", host, program));
	check_output("x%n", "x0.cpu.pb.gz");
	check_output("%z%", "%z%.cpu.pb.gz");
	run_free(run);
}

Test(settings, output_elsewhere)
{
	struct run *run = run_new();
	const char *path = run_text(run, "%s/there", run->root);

	run_set(run, "MONPROF_OUTPUT", path);
	run_go(run, python_path(), run_program("burn.py"), NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	RUN_CHECK(run, run->file_count == 0, "files were left here");
	common_check(run, run_text(run, "%s.cpu.pb.gz", path), "burn", "spin", 300);
	run_free(run);
}

/* A name that is taken is never replaced: the session's id goes before the measurement. */
Test(settings, output_taken)
{
	struct run *run = run_new();
	const char *other;

	run_write(run, "cwd/fixed.cpu.collapsed", "mine");
	run_set(run, "MONPROF_EXPORT", "collapsed");
	run_set(run, "MONPROF_OUTPUT", "fixed");
	run_go(run, python_path(), run_program("burn.py"), NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	RUN_CHECK(run, strcmp(run_read(run, "fixed.cpu.collapsed"), "mine") == 0,
		  "what was there is not");
	RUN_CHECK(run, run->file_count == 2, "wanted a second file");
	other = run->files[strcmp(run->files[0], "fixed.cpu.collapsed") == 0];
	RUN_CHECK(run,
		  strspn(other + 6, "0123456789abcdef") == 8 &&
			  strcmp(other + 14, ".cpu.collapsed") == 0,
		  "wanted fixed.<session>.cpu.collapsed");
	common_check(run, run_text(run, "%s/%s", run->dir, other), "burn", "spin", 300);
	run_free(run);
}

/* The recording's name is taken, by a session that was killed with the same process id. */
Test(settings, recording_taken)
{
	struct run *run = run_new();

	run_write(run, "cwd/fixed.monprof", "mine");
	run_set(run, "MONPROF_OUTPUT", "fixed");
	run_go(run, python_path(), run_program("burn.py"), NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	RUN_CHECK(run,
		  run_read(run, "fixed.monprof") && !strcmp(run_read(run, "fixed.monprof"), "mine"),
		  "what was there is not");
	RUN_CHECK(run, run->file_count == 2, "wanted the profile beside it");
	common_check(run, run_file(run, ".cpu.pb.gz"), "burn", "spin", 300);
	run_free(run);
}

Test(settings, clocks)
{
	static const char *const clocks[] = { "tick", "monotonic" };

	for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		struct run *run = run_set_to("MONPROF_CPU_CLOCK", clocks[i]);

		common_check_burnt(run);
		run_free(run);
	}
}

/* Where perf's events are refused, one line says so and the tick goes on. */
Test(settings, clock_of_perf)
{
	struct run *run = run_new();

	run_set(run, "MONPROF_CPU_CLOCK", "perf");
	run_set(run, "MONPROF_CPU_HZ", "1000");
	run_go(run, python_path(), run_program("burn.py"), NULL);
	run_check_exit(run, 0);
	if (*run->err)
		run_check_line(run, "perf");
	common_check(run, common_profile(run, run->pid), "burn", "spin", 300);
	run_free(run);
}

/* Nobody waits: what is not done by then stays behind as a recording, which one line names. */
Test(settings, no_wait_at_the_end)
{
	struct run *run = run_new();

	run_set(run, "MONPROF_EXIT_WAIT", "0s");
	run_set(run, "MONPROF_FLUSH", "20ms");
	run_go(run, python_path(), run_program("burn.py"), NULL);
	run_check_exit(run, 0);
	RUN_CHECK(run, strcmp(run->out, "done\n") == 0, "stdout differs");
	/* It may be done by chance, before or after the line. */
	if (run_count(run, ".monprof") || run->err[0])
		run_check_line(run, run_text(run, "monprof.%d.monprof", run->pid));
	if (!run_count(run, ".monprof"))
		common_check(run, common_profile(run, run->pid), "burn", "spin", 300);
	run_free(run);
}

Test(settings, rates)
{
	static const struct {
		const char *hz, *seconds; /* two dozen samples or more */
	} rates[] = { { "10", "3" }, { "100", "1.2" }, { "250", "1.2" } };

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct run *run = run_new();

		run_set(run, "MONPROF_CPU_HZ", rates[i].hz);
		run_go(run, python_path(), run_program("burn.py"), rates[i].seconds, NULL);
		common_check(run, run_check_good(run), "burn", "spin", 300);
		run_free(run);
	}
}

Test(settings, signals)
{
	static const char *const names[] = { "PROF", "SIGUSR2", "RTMIN+3", "40" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct run *run = run_set_to("MONPROF_SIGNAL", names[i]);

		if (strchr(names[i], '+') && *run->err) {
			run_free(run);
			continue;
		}
		common_check_burnt(run);
		run_free(run);
	}
}

Test(settings, small_ring)
{
	struct run *run = run_new();

	run_set(run, "MONPROF_RING", "16k");
	run_set(run, "MONPROF_CPU_HZ", run_often());
	run_go(run, python_path(), run_program("stack.py"), "tree", "0.5", NULL);
	common_check(run, run_check_good(run), "kind_tree", "spin", 500);
	run_free(run);
}

Test(settings, summary_on_a_terminal)
{
	struct run *run = run_new();
	char said[8192];
	ssize_t size;
	int master, slave;

	cr_assert_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
	run->terminal = slave;
	run_go(run, python_path(), run_program("burn.py"), NULL);
	run_check_exit(run, 0);
	close(slave);
	size = read(master, said, sizeof(said) - 1);
	said[size > 0 ? size : 0] = '\0';
	RUN_CHECK(run, strstr(said, run_text(run, "monprof.%d.cpu.pb.gz", run->pid)),
		  "the summary does not name the file: %s", said);
	RUN_CHECK(run, strcmp(run->out, "done\n") == 0, "stdout differs");
	run_free(run);
}
