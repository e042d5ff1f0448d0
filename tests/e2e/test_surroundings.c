/*
 * test_surroundings.c - where a program runs: little stack or memory, few descriptors, no /proc or that of others,
 * ids that are not the user's. It is the same with and without us, and the profile as right as it can be there.
 */
#include "common.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* surroundings.py KIND where `surround` leaves it, with us and without: the same end, the same output. */
static struct run *run_surrounded(const char *kind, void (*surround)(void), const char *flush)
{
	struct run *run = run_new(), *plain = run_new();

	plain->is_plain = true;
	plain->before_exec = run->before_exec = surround;
	run_go(plain, python_path(), run_program("surroundings.py"), kind, NULL);
	RUN_CHECK(plain, !*plain->err, "it cannot run there even without us");
	run_set(run, "MONPROF_FLUSH", flush);
	run_set(run, "MONPROF_CPU_HZ", run_often());
	run_go(run, python_path(), run_program("surroundings.py"), kind, NULL);
	run->before_exec = NULL;
	RUN_CHECK(run, run->status == plain->status, "without us: %s", run_ending(plain));
	RUN_CHECK(run, strcmp(run->out, plain->out) == 0, "stdout without us: %s", plain->out);
	run_free(plain);
	return run;
}

/* Whoever cannot have these surroundings is told so in one line. */
static void need(void (*surround)(void), const char *refusal)
{
	struct run *run = run_new();

	run->before_exec = surround;
	run_go(run, "/bin/true", NULL);
	if (run->status != 0)
		cr_skip_test("%s", refusal);
	run_free(run);
}

/* All time is there, nearly all of it in the threads that were to use it, and nobody says that some was lost. */
static void check_whole(struct run *run, const char *profile, unsigned wanted_ms)
{
	struct stacks *stacks = stacks_read(run, profile);

	RUN_CHECK(run, stacks_total(stacks) >= wanted_ms * MS, "time is missing; %s",
		  stacks_names(run, stacks));
	RUN_CHECK(run, stacks_with(stacks, "_bootstrap") >= wanted_ms * MS * 9 / 10,
		  "time of threads is missing; %s", stacks_names(run, stacks));
	RUN_CHECK(run, !strstr(stacks->comments, "lost.threads"), "threads without a timer:\n%s",
		  stacks->comments);
	stacks_free(stacks);
	/* What a thread used after its last tick is known as that thread's alone. */
	common_check(run, profile, "burn", "spin", wanted_ms / 2);
	run_free(run);
}

/* ---- limits ---- */

static void limit_stack(void)
{
	if (setrlimit(RLIMIT_STACK, &(struct rlimit){ 256 << 10, 256 << 10 }))
		_exit(124);
}

Test(surroundings, small_stacks)
{
	struct run *run = run_surrounded("small_stacks", limit_stack, "50ms");

	check_whole(run, run_check_good(run), 300);
}

static void limit_descriptors(void)
{
	if (setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 16, 16 }))
		_exit(124);
}

/* Perf events want one each, where they are permitted. */
Test(surroundings, few_descriptors)
{
	struct run *run = run_surrounded("few_descriptors", limit_descriptors, "50ms");

	check_whole(run, run_check_good(run), 980);
}

/* Neither can the profile be opened then, nor the stderr that is to tell of it. */
Test(surroundings, no_more_descriptors)
{
	struct run *run = run_surrounded("no_more_descriptors", NULL, "10ms");

	run_check_line(run, "Too many open files");
	RUN_CHECK(run, run_count(run, ".monprof") == 1, "there is no recording");
	common_check(run, run_export(run, run_file(run, ".monprof"), "exported"), "burn", "spin",
		     300);
	run_free(run);
}

Test(surroundings, no_more_descriptors_before_anything_is_written)
{
	struct run *run = run_surrounded("no_more_descriptors", NULL, "10s");

	run_check_line(run, "Too many open files");
	RUN_CHECK(run, run->file_count == 0, "files were left");
	run_free(run);
}

/* ---- /proc ---- */

static void own_mounts(void)
{
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		_exit(124);
}

static void empty_proc(void)
{
	own_mounts();
	if (mount("none", "/proc", "tmpfs", 0, NULL))
		_exit(124);
}

Test(surroundings, no_proc)
{
	struct run *run;

	need(empty_proc, "no mounts permitted here");
	run = run_surrounded("threads", empty_proc, "50ms");
	check_whole(run, run_check_good(run), 400);
}

/* A first process: what it becomes counts from 1, and /proc does not. */
static void other_ids(void)
{
	int status;
	pid_t first;

	if (unshare(CLONE_NEWPID))
		_exit(124);
	first = fork();
	if (first == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		return;
	}
	if (first < 0 || waitpid(first, &status, 0) != first)
		_exit(124);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 123);
}

Test(surroundings, proc_of_others)
{
	struct run *run;

	need(other_ids, "no namespaces of process ids permitted here");
	run = run_surrounded("threads", other_ids, "50ms");
	run_check_exit(run, 0);
	run_check_silent(run);
	check_whole(run, common_profile(run, 1), 400);
}

/* ---- the limits of a cgroup ---- */

static char group[64]; /* its directory */

static bool group_put(const char *name, const char *text)
{
	char path[128];
	int fd;
	bool is_put;

	snprintf(path, sizeof(path), "%s/%s", group, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	is_put = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return is_put;
}

/* A group of our own with this limit, cgroups(7): of version 2 where that has the controller, else of its version 1. */
static void group_make(const char *controller, const char *limit, const char *old_limit,
		       const char *most)
{
	const char *const versions[][2] = { { "", limit }, { controller, old_limit } };

	for (size_t i = 0; i < 2; i++) {
		snprintf(group, sizeof(group), "/sys/fs/cgroup/%s/monprof-test.%d", versions[i][0],
			 getpid());
		if (mkdir(group, 0755) != 0)
			continue;
		if (group_put(versions[i][1], most)) {
			group_put("memory.swap.max", "0");
			return;
		}
		rmdir(group);
	}
	cr_skip_test("no cgroup with such a limit can be made here");
}

static void group_of_memory(void)
{
	group_make("memory", "memory.max", "memory.limit_in_bytes", "67108864");
}

static void group_join(void)
{
	if (!group_put("cgroup.procs", "0"))
		_exit(124);
}

Test(surroundings, little_memory)
{
	struct run *run;

	group_of_memory();
	run = run_surrounded("memory", group_join, "50ms");
	rmdir(group);
	common_check_burnt(run);
	run_free(run);
}

/* Whoever takes more is killed; what was sampled until then is there. */
Test(surroundings, too_little_memory)
{
	struct run *run;

	group_of_memory();
	run = run_surrounded("too_much_memory", group_join, "20ms");
	rmdir(group);
	run_check_signal(run, SIGKILL);
	run_check_silent(run);
	common_check(run, run_export(run, run_file(run, ".monprof"), "killed"), "burn", "spin",
		     270);
	run_free(run);
}

/* Two threads of all processes: while a child runs ours cannot be started again. */
Test(surroundings, few_processes)
{
	struct run *run;

	group_make("pids", "pids.max", "pids.max", "2");
	run = run_surrounded("few_processes", group_join, "50ms");
	rmdir(group);
	common_check(run, run_check_good(run), "burn", "spin", 600);
	run_free(run);
}

/* ---- set-user-id and set-group-id ---- */

/* A directory where the dynamic linker trusts what is set-user-id, and a library in it that nobody uses. */
#define TRUSTED "/usr/lib/x86_64-linux-gnu/libBrokenLocale.so.1"

static const char *trusted;

static void trust(void)
{
	own_mounts();
	if (mount(trusted, TRUSTED, NULL, MS_BIND, NULL))
		_exit(124);
}

/* burn.py by a copy of this Python that has this mode. */
static struct run *run_with_mode(const char *mode)
{
	struct run *run = run_new();
	const char *copy = run_text(run, "%s/python", run->root);
	const char *library = run_text(run, "%s/trusted.so", run->root);
	int status;

	if (geteuid() != 0)
		cr_skip_test("only root may give a program away");
	run_tool(run, &status, "install", "-m", "4755", run_tested("LIBMONPROF"), library, NULL);
	RUN_CHECK(run, status == 0, "install %s", library);
	run_tool(run, &status, "chmod", "711", run->root, NULL);
	run_tool(run, &status, "chmod", "777", run->dir, NULL);
	if (access(TRUSTED, R_OK) != 0 || python_in_chroot(run)) {
		run->preload = library;
	} else {
		trusted = library;
		need(trust, "no mounts permitted here");
		run->before_exec = trust;
		run->preload = "libBrokenLocale.so.1";
	}
	run_set(run, "MONPROF", "off"); /* until it goes on as the copy */
	run_go(run, python_path(), run_program("surroundings.py"), "set_id", mode,
	       run_program("burn.py"), copy, NULL);
	return run;
}

static void check_idle(const char *mode)
{
	struct statvfs where;
	struct run *run;

	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) || statvfs("/tmp", &where) ||
	    where.f_flag & ST_NOSUID)
		cr_skip_test("no program's ids are its own here (no_new_privs, nosuid)");
	run = run_with_mode(mode);
	if (WIFEXITED(run->status) && WEXITSTATUS(run->status) == 127)
		cr_skip_test("%s is not for everybody", python_path());
	run_check_exit(run, 0);
	run_check_silent(run);
	RUN_CHECK(run, strcmp(run->out, "done\n") == 0, "stdout differs");
	RUN_CHECK(run, run->file_count == 0, "files were left");
	run_free(run);
}

Test(surroundings, set_user_id)
{
	check_idle("4755");
}

Test(surroundings, set_group_id)
{
	check_idle("2755");
}

/* That this is no chance: the same copy without it. */
Test(surroundings, neither)
{
	struct run *run = run_with_mode("755");

	common_check_burnt(run);
	run_free(run);
}
