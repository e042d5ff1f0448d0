/*
 * test_children.c - a child that goes on as Python has a profile of its own; one that does not pays
 * nothing; no fork is any different from what it was.
 */
#include "common.h"

#include <stdlib.h>
#include <string.h>

static struct run *run_children(const char *kind)
{
	struct run *run = run_new();

	/* One that is killed leaves what was flushed. */
	run_set(run, "MONPROF_FLUSH", "20ms");
	run_go(run, python_path(), run_program("children.py"), kind, NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	return run;
}

static void check_one(struct run *run, const char *profile, const char *wanted,
		      const char *unwanted)
{
	struct stacks *stacks;

	common_check(run, profile, wanted, "spin", 400);
	stacks = stacks_read(run, profile);
	RUN_CHECK(run, !stacks_with(stacks, unwanted), "%s: %s is not of this process; %s", profile,
		  unwanted, stacks_names(run, stacks));
	stacks_free(stacks);
}

/* Each child that named itself has its profile, and the parent has its own. */
static void check_family(struct run *run, unsigned wanted_children)
{
	unsigned children = 0;

	check_one(run, common_profile(run, run->pid), "parent_work", "child_work");
	for (const char *at = run->out; (at = strstr(at, "child ")); children++) {
		at += strlen("child ");
		check_one(run, common_profile(run, atoi(at)), "child_work", "parent_work");
	}
	RUN_CHECK(run, children == wanted_children, "%u children, wanted %u", children,
		  wanted_children);
	RUN_CHECK(run, run_count(run, ".monprof") == 0, "a recording was left");
}

static void check_kind(const char *kind, unsigned wanted_children)
{
	struct run *run = run_children(kind);

	check_family(run, wanted_children);
	run_free(run);
}

Test(children, fork)
{
	struct run *run = run_children("fork");

	check_family(run, 1);
	/* What the parent did after the fork is there as well: 0.2 and 0.1 s. */
	common_check(run, common_profile(run, run->pid), "kind_fork", "spin", 300);
	run_free(run);
}

Test(children, fork_fast_exit)
{
	check_kind("fork_fast_exit", 1);
}

Test(children, fork_of_fork)
{
	check_kind("fork_of_fork", 2);
}

Test(children, fork_and_exec)
{
	check_kind("fork_exec", 1);
}

Test(children, subprocess)
{
	check_kind("subprocess", 1);
}

Test(children, subprocess_with_preexec)
{
	check_kind("preexec", 1);
}

Test(children, posix_spawn)
{
	check_kind("spawn_posix", 1);
}

Test(children, shell)
{
	check_kind("system", 0);
}

Test(children, multiprocessing_fork)
{
	check_kind("mp_fork", 2);
}

Test(children, multiprocessing_spawn)
{
	check_kind("mp_spawn", 2);
}

Test(children, multiprocessing_forkserver)
{
	check_kind("mp_forkserver", 2);
}

/* Two workers; which does how much is theirs. */
static void check_pool(const char *kind)
{
	struct run *run = run_children(kind);

	common_check(run, common_profile(run, run->pid), "parent_work", "spin", 400);
	for (const char *at = run->out; (at = strstr(at, "child "));) {
		at += strlen("child ");
		common_check(run, common_profile(run, atoi(at)), "child_work", "spin", 400);
	}
	run_free(run);
}

Test(children, pool)
{
	check_pool("pool");
}

Test(children, executor)
{
	check_pool("executor");
}

/* A thread forks: Python itself warns of that, so stderr is compared with what it is without us. */
Test(children, fork_in_thread)
{
	struct run *run = run_new(), *plain = run_new();

	plain->is_plain = true;
	run_go(plain, python_path(), "-W", "ignore", run_program("children.py"), "fork_in_thread",
	       NULL);
	run_go(run, python_path(), "-W", "ignore", run_program("children.py"), "fork_in_thread",
	       NULL);
	run_check_exit(run, 0);
	RUN_CHECK(run, strcmp(run->err, plain->err) == 0, "stderr without us: %s", plain->err);
	check_one(run, common_profile(run, atoi(run->out + 6)), "child_work", "no such function");
	run_free(plain);
	run_free(run);
}

Test(children, fifty_forks_without_a_warning)
{
	struct run *run = run_new();

	run_go(run, python_path(), "-W", "error", run_program("children.py"), "fork_loop", NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	common_check(run, common_profile(run, run->pid), "burn", "spin", 400);
	run_free(run);
}

/* A process ends with its last thread; one of ours is none. Python warns of the fork in a thread. */
Test(children, last_thread_returns)
{
	struct run *run = run_new();

	run_go(run, python_path(), "-W", "ignore", run_program("children.py"),
	       "last_thread_returns", NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	check_family(run, 1);
	run_free(run);
}

Test(children, change_user_after_a_fork)
{
	check_kind("change_user", 1);
}

Test(children, not_wanted)
{
	static const char *const kinds[] = { "fork", "subprocess", "python_by_shell", "mp_spawn" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct run *run = run_new();

		run_set(run, "MONPROF_CHILDREN", "no");
		run_go(run, python_path(), run_program("children.py"), kinds[i], NULL);
		check_one(run, run_check_good(run), "parent_work", "child_work");
		run_free(run);
	}
}

Test(children, daemon)
{
	struct run *run = run_new();

	run_go(run, python_path(), run_program("children.py"), "daemon", NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	RUN_CHECK(run, strncmp(run->out, "child ", 6) == 0, "no daemon");
	common_check(run, common_profile(run, atoi(run->out + 6)), "kind_daemon", "spin", 400);
	run_free(run);
}

/* The parent's end is as hard as any. */
Test(children, daemon_by_libc)
{
	struct run *run = run_new();

	run_go(run, python_path(), run_program("children.py"), "daemon_by_libc", NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	common_check(run,
		     run_export(run, run_text(run, "%s/monprof.%d.monprof", run->dir, run->pid),
				"left"),
		     "parent_work", "spin", 400);
	run_free(run);
}

Test(children, killed)
{
	struct run *run = run_children("killed_child");
	const char *recording =
		run_text(run, "%s/monprof.%d.monprof", run->dir, atoi(run->out + strlen("child ")));

	check_one(run, common_profile(run, run->pid), "parent_work", "child_work");
	common_check(run, run_export(run, recording, "child"), "child_work", "spin", 120);
	run_free(run);
}
