/*
 * test_rotation.c - programs that outlast their recordings: all parts together are the whole, each says what is
 * its own, and nothing of it reaches the program.
 *
 * What programs have called is printed ("CALLER CALLEE COUNT"); the parts are read as collapsed text, which holds
 * the calls alone, and through pprof where remarks are asked for.
 */
#include "calls.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PARTS_MOST 64

static const char *const steps[] = { "one", "two", "three", "four" };

/* ---- all parts of a run ---- */

struct parts {
	struct stacks *parts[PARTS_MOST];
	size_t count;
};

static struct parts read_parts(struct run *run, const char *suffix)
{
	struct parts all = { .count = run_count(run, suffix) };

	RUN_CHECK(run, all.count <= PARTS_MOST, "%zu files *%s", all.count, suffix);
	for (size_t i = 0; i < all.count; i++)
		all.parts[i] = stacks_read(run, run_file_at(run, suffix, i));
	return all;
}

static void free_parts(struct parts *all)
{
	for (size_t i = 0; i < all->count; i++)
		stacks_free(all->parts[i]);
}

static struct run *run_rotating(const char *rate, const char *export)
{
	struct run *run = run_calls(rate);

	run_set(run, "MONPROF_ROTATE", "1s");
	run_set(run, "MONPROF_FLUSH", "100ms");
	run_set(run, "MONPROF_EXPORT", export);
	/* Room for all that comes while our own thread waits for a processor. */
	run_set(run, "MONPROF_RING", "16M");
	return run;
}

/* What the program, and those that it became, told of a step. */
static uint64_t told_of(const char *out, const char *step)
{
	uint64_t told = 0;
	unsigned long long count;
	char callee[128];

	for (const char *line = out; line && *line; line = strchr(line, '\n') + 1)
		if (sscanf(line, "walk %127s %llu", callee, &count) == 2 && !strcmp(callee, step))
			told += count;
	return told;
}

/* Each count that was told is the sum of all parts'; how many parts there are. */
static size_t check_sums(struct run *run, const char *out, const char *suffix)
{
	struct parts all = read_parts(run, suffix);
	size_t count = all.count;

	for (size_t step = 0; step < sizeof(steps) / sizeof(steps[0]); step++) {
		uint64_t calls = 0, told = told_of(out, steps[step]);

		for (size_t i = 0; i < all.count; i++)
			calls += stacks_leaf(all.parts[i], "walk", steps[step]);
		RUN_CHECK(run, told && calls == told, "%llu calls of %s, the program made %llu",
			  (unsigned long long)calls, steps[step], (unsigned long long)told);
	}
	free_parts(&all);
	return count;
}

static void check_exact(const char *kind)
{
	struct run *run = run_rotating("100%", "collapsed");
	size_t parts;

	run_go(run, python_path(), "-W", "ignore", run_program("rotation.py"), kind, "2.2", NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	RUN_CHECK(run, run_count(run, ".monprof") == 0, "a recording is left");
	parts = check_sums(run, run->out, ".calls.collapsed");
	RUN_CHECK(run, parts > 1, "it is all one");
	run_free(run);
}

/* ---- exact counts ---- */

Test(rotation_exact, one_thread)
{
	check_exact("walk");
}

Test(rotation_exact, threads)
{
	check_exact("threads");
}

/* Its children call nothing that they tell. */
Test(rotation_exact, a_thread_works_while_another_forks)
{
	check_exact("thread_forks");
}

/* Each writes the parts that are its own. */
Test(rotation_exact, parent_and_child)
{
	check_exact("child_goes_on");
}

/* What is exported takes longer than a flush, and is done while the next parts are recorded. */
Test(rotation_exact, while_much_is_exported)
{
	static const char *const suffixes[] = { ".calls.pb.gz", ".calls.html",
						".calls.speedscope.json" };
	struct run *run = run_rotating("100%", "pprof,flamegraph,speedscope,collapsed");
	size_t parts;

	if (!run_is_full())
		cr_skip_test(
			"only in a full run: its many exports take as long as all other tests here");
	run_set(run, "ROTATION_DIGITS", "6");
	run_go(run, python_path(), run_program("rotation.py"), "threads", "3", NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	parts = check_sums(run, run->out, ".calls.collapsed");
	RUN_CHECK(run, parts > 1 && run->file_count == 4 * parts, "%zu files of %zu parts",
		  run->file_count, parts);
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		RUN_CHECK(run, run_count(run, suffixes[i]) == parts, "not %zu files *%s", parts,
			  suffixes[i]);
	run_free(run);
}

/* Names that other processes have taken are left to them. */
Test(rotation_exact, parent_and_child_under_one_name)
{
	struct run *run = run_rotating("100%", "collapsed");

	run_set(run, "MONPROF_OUTPUT", "part");
	run_go(run, python_path(), run_program("rotation.py"), "child_goes_on", "2.2", NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	RUN_CHECK(run, check_sums(run, run->out, ".calls.collapsed") > 2, "few parts");
	run_free(run);
}

/* Python warns of a fork where another thread is: ours is none of them. */
Test(rotation_exact, forks_without_a_warning)
{
	struct run *run = run_rotating("100%", "collapsed");

	run_go(run, python_path(), "-W", "error", run_program("rotation.py"), "forks", "2.2", NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	for (size_t i = 0; i < run->file_count; i++)
		RUN_CHECK(run, !strstr(run->files[i], ".tmp"), "%s is left", run->files[i]);
	run_free(run);
}

/* ---- parts ---- */

/* They are put where a run does not read each of them in all formats. */
Test(rotation_parts, closed_by_size_and_summed)
{
	struct run *run = run_rotating("100%", "none"), *sum = run_new();
	char *files[RUN_ARGS_MAX] = {
		(char *)run_tested("MONPROF_CLI"), "export", "-f", "collapsed", "-o",
	};
	struct stat status = { 0 };
	off_t last_bytes = 1 << 20;
	size_t parts = 0;

	run_set(run, "MONPROF_ROTATE", "1M");
	run_set(run, "ROTATION_DIGITS", "6");
	run_set(run, "MONPROF_OUTPUT", "../part%n-%p");
	run_go(run, python_path(), run_program("rotation.py"), "threads", "2.2", NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	files[5] = run_text(run, "%s/sum.calls.collapsed", sum->dir);
	for (;; parts++) {
		char *path = run_text(run, "%s/part%zu-%d.monprof", run->root, parts + 1, run->pid);

		if (stat(path, &status) != 0)
			break;
		/* The last one ends with the program; others at the flush that finds them too large. */
		RUN_CHECK(run, last_bytes >= 1 << 20, "a part of %ld bytes", (long)last_bytes);
		RUN_CHECK(run, parts + 7 < RUN_ARGS_MAX, "too many parts");
		last_bytes = status.st_size;
		files[6 + parts] = path;
	}
	RUN_CHECK(run, parts > 1, "%zu parts", parts);
	sum->is_plain = true;
	run_set(sum, "MONPROF_COLLECT", "calls");
	run_args(sum, files);
	run_check_exit(sum, 0);
	RUN_CHECK(sum, check_sums(sum, run->out, ".collapsed") == 1, "not one sum");
	run_free(sum);
	run_free(run);
}

static double remark(struct run *run, const struct stacks *stacks, const char *key)
{
	return atof(comment_of(run, stacks, key));
}

static uint64_t calls_in(const struct stacks *stacks)
{
	uint64_t calls = 0;

	for (size_t i = 0; i < stacks->count; i++)
		calls += stacks->stacks[i].count;
	return calls;
}

Test(rotation_parts, each_says_its_own_events)
{
	struct run *run = run_rotating("100%", "pprof");
	struct parts all;

	run_go(run, python_path(), run_program("rotation.py"), "walk", "3.2", NULL);
	run_check_exit(run, 0);
	all = read_parts(run, ".calls.pb.gz");
	RUN_CHECK(run, all.count > 2, "%zu parts", all.count);
	for (size_t i = 0; i < all.count; i++) {
		struct stacks *part = all.parts[i];

		/* Most begin and end in it. */
		RUN_CHECK(run, remark(run, part, "calls.events") < 2.5 * (double)calls_in(part),
			  "%llu calls of\n%s", (unsigned long long)calls_in(part), part->comments);
		RUN_CHECK(run, remark(run, part, "calls.lost") == 0, "some are lost:\n%s",
			  part->comments);
	}
	free_parts(&all);
	run_free(run);
}

/* Each part's CPU time is its own, and that of all is what the program used. */
Test(rotation_parts, each_says_its_own_time)
{
	struct run *run = run_rotating("0%", "pprof");
	uint64_t burnt_ns = 0;
	struct parts all;

	run_set(run, "MONPROF_COLLECT", "cpu");
	run_go(run, python_path(), run_program("burn.py"), "2.5", NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	all = read_parts(run, ".cpu.pb.gz");
	RUN_CHECK(run, all.count > 2, "%zu parts", all.count);
	for (size_t i = 0; i < all.count; i++) {
		double used_ns = remark(run, all.parts[i], "process.cpu_ns");
		double found_ns = (double)stacks_total(all.parts[i]);

		/* What has been since the program's start would be three times of it. */
		RUN_CHECK(run, used_ns < 1.5 * found_ns + 200 * MS,
			  "%.0f ns, %.0f are found in\n%s", used_ns, found_ns,
			  all.parts[i]->comments);
		burnt_ns += stacks_with(all.parts[i], "burn");
	}
	RUN_CHECK(run, burnt_ns >= 2500 * MS * 9 / 10 && burnt_ns <= 2500 * MS * 11 / 10,
		  "%llu ns in burn, wanted 2.5 s", (unsigned long long)burnt_ns);
	free_parts(&all);
	run_free(run);
}

/* Of each part what windows saw of it stands for all of it. */
Test(rotation_parts, estimates_add_up)
{
	struct run *run = run_rotating("20%", "pprof");
	char caller[128], callee[128];
	unsigned long long wanted;
	struct parts all;

	run_go(run, python_path(), run_program("counts.py"), "steady", NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	all = read_parts(run, ".calls.pb.gz");
	RUN_CHECK(run, all.count > 2, "%zu parts", all.count);
	for (size_t i = 0; i < all.count; i++)
		RUN_CHECK(run,
			  remark(run, all.parts[i], "windows.calls") < 150 &&
				  remark(run, all.parts[i], "scale.calls.calls") > 1,
			  "not of one part:\n%s", all.parts[i]->comments);
	for (const char *line = run->out; *line; line = strchr(line, '\n') + 1) {
		uint64_t calls = 0;

		RUN_CHECK(run, sscanf(line, "%127s %127s %llu", caller, callee, &wanted) == 3,
			  "not a count: %s", line);
		for (size_t i = 0; i < all.count; i++)
			calls += calls_of(all.parts[i], caller, callee);
		RUN_CHECK(run, calls * 10 > wanted * 8 && calls * 10 < wanted * 12,
			  "%llu calls of %s, the program made %llu", (unsigned long long)calls,
			  callee, wanted);
	}
	free_parts(&all);
	run_free(run);
}

/* Who sleeps leaves nothing, however often it is time for another recording. */
Test(rotation_parts, no_file_without_a_sample)
{
	struct run *run = run_rotating("100%", "pprof");

	run_set(run, "MONPROF_COLLECT", "cpu,calls");
	run_go(run, python_path(), run_program("rotation.py"), "sleep", "2.5", NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	/* Its start, and its end. */
	RUN_CHECK(run, run_count(run, ".calls.pb.gz") <= 2 && run_count(run, ".cpu.pb.gz") <= 2,
		  "files of nothing");
	run_free(run);
}

/* ---- ends ---- */

Test(rotation_ends, at_once)
{
	struct run *run = run_rotating("100%", "collapsed");

	run_go(run, python_path(), run_program("rotation.py"), "os_exit", "2", NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	RUN_CHECK(run, run_count(run, ".monprof") == 0, "a recording is left");
	RUN_CHECK(run, check_sums(run, run->out, ".calls.collapsed") > 1, "it is all one");
	run_free(run);
}

/* What was recorded then stays a recording, as after every exec. */
Test(rotation_ends, another_program)
{
	struct run *run = run_rotating("100%", "collapsed");
	size_t parts;

	run_go(run, python_path(), run_program("rotation.py"), "exec", "1.5", NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	parts = run_count(run, ".calls.collapsed");
	RUN_CHECK(run, parts >= 3, "%zu parts of two programs", parts);
	RUN_CHECK(run, run_count(run, ".monprof") == 1, "wanted the first one's last recording");
	run_monprof(run, 0, "export", run_file(run, ".monprof"), "-f", "collapsed", NULL);
	run_list(run);
	RUN_CHECK(run, run_count(run, ".calls.collapsed") == parts + 1, "it was not exported");
	run_free(run);
}

Test(rotation_ends, killed)
{
	struct run *run = run_rotating("100%", "pprof");
	const char *recording;
	size_t parts;

	run_start(run, python_path(), run_program("rotation.py"), "busy", "0.1", "/no such file",
		  NULL);
	run_await_file(run, ".2.calls.pb.gz");
	run_await_file(run, ".3.monprof");
	kill(run->pid, SIGKILL);
	run_wait(run);
	run_check_signal(run, SIGKILL);
	/* run_wait has had pprof read the profiles; what was under work has no name of a profile. */
	parts = run_count(run, ".calls.pb.gz");
	recording = run_file_at(run, ".monprof", run_count(run, ".monprof") - 1);
	RUN_CHECK(run, parts >= 2 && recording, "%zu parts", parts);
	run_monprof(run, 0, "report", recording, NULL);
	run_free(run);
}

/* A line for the file, one for its recording, and one for the recording that cannot be. */
Test(rotation_ends, directory_that_is_gone)
{
	struct run *run = run_rotating("100%", "pprof");
	unsigned lines = 0;
	const char *moved;

	run_go(run, python_path(), run_program("rotation.py"), "no_directory", "1.5", NULL);
	run_check_exit(run, 0);
	for (const char *at = run->err; (at = strchr(at, '\n')); at++)
		lines++;
	RUN_CHECK(run, lines > 0 && lines <= 3, "%u lines", lines);
	moved = run_text(run, "%s.moved", run->dir);
	RUN_CHECK(run, rename(moved, run->dir) == 0, "%s: %s", moved, strerror(errno));
	run_look(run);
	RUN_CHECK(run, run_count(run, ".calls.pb.gz") > 0, "the first part is gone");
	run_free(run);
}
