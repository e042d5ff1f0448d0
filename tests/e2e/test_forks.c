/*
 * test_forks.c - forks of every kind and any number: the program is as it was, and is not warned of a thread
 * that is not its own; each child that goes on as Python has its profile.
 */
#include "common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* tests/programs/forks.py KIND COUNT under these settings, with and without us: the same. */
static struct run *run_forks(const char *kind, unsigned count, const char *const settings[][2])
{
	struct run *run = run_new(), *plain = run_new();
	const char *number = run_text(run, "%u", count);

	plain->is_plain = true;
	/* Of what is left by those that exec before anything was called there is nothing to compare. */
	run_set(run, "MONPROF_COLLECT", "cpu");
	run_set(run, "MONPROF_CPU_HZ", settings ? run_often() : "200");
	plain->limit_s = run->limit_s = 120;
	for (size_t i = 0; settings && settings[i][0]; i++)
		run_set(run, settings[i][0], settings[i][1]);
	run_go(plain, python_path(), "-W", "ignore", run_program("forks.py"), kind, number, NULL);
	run_go(run, python_path(), "-W", "ignore", run_program("forks.py"), kind, number, NULL);
	RUN_CHECK(run, run->status == plain->status, "without us: %s", run_ending(plain));
	RUN_CHECK(run, strcmp(run->out, plain->out) == 0, "stdout without us: %s", plain->out);
	RUN_CHECK(run, strcmp(run->err, plain->err) == 0, "stderr without us: %s", plain->err);
	run_free(plain);
	return run;
}

/* As many as a full run has, or a quick one. */
static unsigned some(unsigned full, unsigned quick)
{
	return run_is_full() ? full : quick;
}

static const char *const at_once[][2] = { { "MONPROF_FLUSH", "10ms" }, { NULL, NULL } };
static const char *const exporting[][2] = { { "MONPROF_ROTATE", "1s" },
					    { "MONPROF_EXPORT", "pprof,speedscope,json" },
					    { "MONPROF_CHILDREN", "no" },
					    { NULL, NULL } };

Test(forks, while_it_samples_and_flushes)
{
	struct run *run = run_forks("main", some(100, 30), at_once);

	common_check(run, common_profile(run, run->pid), "burn", "spin", 300);
	run_free(run);
}

Test(forks, in_a_thread_while_others_come_and_go)
{
	struct run *run = run_forks("thread", some(100, 30), at_once);

	common_check(run, common_profile(run, run->pid), "burn", "spin", 300);
	run_free(run);
}

/* No thread of ours is there before Python goes on in a child; what came before is in its profile all the same. */
Test(forks, what_a_child_does_first)
{
	struct run *run = run_new();
	struct stacks *stacks;
	unsigned long long cpu_ns;
	int pid;

	run_set(run, "MONPROF_COLLECT", "cpu");
	run_go(run, python_path(), run_program("forks.py"), "straight", NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	RUN_CHECK(run, sscanf(run->out, "%d %llu", &pid, &cpu_ns) == 2, "it printed else");
	stacks = stacks_read(run, common_profile(run, pid));
	RUN_CHECK(run, stacks_total(stacks) >= cpu_ns * 9 / 10, "of %llu ns there are %llu", cpu_ns,
		  (unsigned long long)stacks_total(stacks));
	stacks_free(stacks);
	run_free(run);
}

/* What is asked again and again while a fork's call is not over ends some time, or the program never would. */
Test(forks, that_are_never_over)
{
	static const char *const kinds[] = {
		"python_ends_in_c", "python_ends_in_a_hook", "parent_ends_in_a_hook",
		"hooks_take_long",  "ends_at_once",	     "goes_nowhere",
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct run *run = run_new(), *plain = run_new();

		plain->is_plain = true;
		run_set(run, "MONPROF_CPU_HZ", "1000");
		run_go(plain, python_path(), run_program("fork_ends.py"), kinds[i], NULL);
		run_go(run, python_path(), run_program("fork_ends.py"), kinds[i], NULL);
		run_check_exit(run, 0);
		run_check_silent(run);
		RUN_CHECK(run, strcmp(run->out, plain->out) == 0, "stdout without us: %s",
			  plain->out);
		run_free(plain);
		run_free(run);
	}
}

Test(forks, a_child_that_never_goes_on)
{
	struct run *run = run_new();

	run_go(run, python_path(), run_program("fork_ends.py"), "ends_after_long", NULL);
	run_check_exit(run, 0);
	run_check_line(run, "ended in the C function that it began with");
	RUN_CHECK(run, strcmp(run->out, "child 768\n") == 0, "it ended otherwise");
	RUN_CHECK(run, run_count(run, ".monprof") == 0, "a recording was left");
	run_free(run);
}

/* An export that is under way is given up for a fork, and made again: none is lost. */
Test(forks, while_it_exports)
{
	struct run *run = run_forks("exports", some(3, 1), exporting);
	unsigned long long burnt = 0;

	for (size_t i = 0; i < run_count(run, ".cpu.pb.gz"); i++) {
		size_t texts = run->text_count;
		struct stacks *stacks = stacks_read(run, run_file_at(run, ".cpu.pb.gz", i));

		burnt += stacks_with(stacks, "burn");
		stacks_free(stacks);
		run_forget(run, texts);
	}
	RUN_CHECK(run, run_count(run, ".monprof") == 0, "a recording was left");
	RUN_CHECK(run, run_count(run, ".cpu.pb.gz") >= 2, "it was not rotated");
	RUN_CHECK(run, burnt >= 270 * MS, "%llu ns in burn, wanted 300 ms", burnt);
	run_free(run);
}

Test(forks, no_warning_of_a_thread_that_is_ours)
{
	struct run *run = run_new();

	run->limit_s = 120;
	run_set(run, "MONPROF_CHILDREN", "no");
	run_go(run, python_path(), run_program("forks.py"), "warned",
	       run_text(run, "%u", some(100, 20)), NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	RUN_CHECK(run, strcmp(run->out, "warnings 0\n") == 0, "there are some");
	run_free(run);
}

Test(forks, what_is_inherited_every_way)
{
	struct run *run = run_forks("ways", 0, NULL);

	common_check(run, common_profile(run, run->pid), "burn", "spin", 300);
	run_free(run);
}

Test(forks, in_children_that_have_just_begun)
{
	struct run *run = run_forks("generations", 3, NULL);

	RUN_CHECK(run, run_count(run, ".cpu.pb.gz") == 4, "wanted four profiles");
	for (size_t i = 0; i < 4; i++)
		common_check(run, run_file_at(run, ".cpu.pb.gz", i), "burn", "spin", 200);
	run_free(run);
}

Test(forks, in_a_sub_interpreter)
{
	struct run *run = run_forks("sub_interpreter", some(20, 5), at_once);

	common_check(run, common_profile(run, run->pid), "burn", "spin", 300);
	run_free(run);
}

Test(forks, past_libc)
{
	struct run *run = run_forks("clone", some(20, 10), at_once);

	common_check(run, common_profile(run, run->pid), "burn", "spin", 300);
	run_free(run);
}

/* Our thread may hold a lock of CPython's, which nobody would give back in the copy. */
Test(forks, past_libc_no_thread_of_ours_is_there)
{
	struct run *run = run_forks("clone_alone", 0, at_once);

	common_check(run, common_profile(run, run->pid), "burn", "spin", 300);
	run_free(run);
}

Test(forks, past_libc_in_the_same_memory)
{
	struct run *run = run_forks("clone_in_memory", 30, at_once);

	common_check(run, common_profile(run, run->pid), "burn", "spin", 270);
	run_free(run);
}

Test(forks, namespaces)
{
	struct run *run = run_forks("namespaces", some(20, 10), at_once);

	common_check(run, common_profile(run, run->pid), "burn", "spin", 300);
	run_free(run);
}

/* No thread may be started any more: one line says so, and what was recorded until then is there. A child may have
   the number of its parent. */
Test(forks, in_a_pid_namespace)
{
	struct run *run = run_new();
	const char *recording = run_text(run, "%s/monprof.1.monprof", run->dir);

	run_set(run, "MONPROF_FLUSH", "10s");
	run_set(run, "MONPROF_COLLECT", "cpu");
	run_go(run, python_path(), run_program("forks.py"), "first_process", NULL);
	run_check_exit(run, 0);
	if (!strstr(run->out, "unshare None"))
		cr_skip_test("no pid namespace permitted here: %s", run->out);
	RUN_CHECK(run, strstr(run->out, "ended 0\nended 0\n"), "a child ended otherwise");
	RUN_CHECK(run, strstr(run->err, "the recording ends here"), "nobody was told");
	common_check(run,
		     run_export(run, run_text(run, "%s/monprof.%d.monprof", run->dir, run->pid),
				"parent"),
		     "burn", "spin", 200);
	common_check(run, run_export(run, recording, "child"), "burn", "spin", 200);
	common_check(run, common_profile(run, 1), "burn", "spin", 200);
	run_free(run);
}

/* Each worker has its profile, or the recording that one leaves who is killed. */
Test(forks, a_server_with_workers_that_are_restarted)
{
	struct run *run = run_new();
	unsigned workers = 0;

	run->limit_s = 120;
	run_set(run, "MONPROF_FLUSH", "20ms");
	run_set(run, "MONPROF_COLLECT", "cpu");
	/* Each worker is to be seen well: of 200 ms a tick in a hundred is much. */
	run_set(run, "MONPROF_CPU_HZ", "1000");
	run_go(run, python_path(), run_program("forks.py"), "server",
	       run_text(run, "%u", some(8, 4)), NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	for (const char *at = run->out; (at = strstr(at, "child ")); workers++) {
		size_t texts = run->text_count;
		int pid = atoi(at += strlen("child "));
		const char *profile = common_profile(run, pid);
		const char *recording = run_text(run, "%s/monprof.%d.monprof", run->dir, pid);
		bool is_killed = run_read(run, recording) != NULL;

		if (is_killed)
			profile = run_export(run, recording, run_text(run, "of.%d", pid));
		common_check(run, profile, "worker", "spin", is_killed ? 50 : 200);
		run_forget(run, texts);
	}
	RUN_CHECK(run, workers == some(12, 6), "%u workers", workers);
	common_check(run, common_profile(run, run->pid), "burn", "spin", 300);
	run_free(run);
}
