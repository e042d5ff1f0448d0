/*
 * test_places.c - descriptors, directories, disks and users: what the program does to its own does not
 * reach the profile, and what happens to the profile does not reach the program.
 */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static struct run *run_places(const char *kind, const char *argument)
{
	struct run *run = run_new(), *plain = run_new();

	plain->is_plain = true;
	run_go(plain, python_path(), run_program("places.py"), kind, argument, NULL);
	run_set(run, "MONPROF_FLUSH", "50ms");
	run_go(run, python_path(), run_program("places.py"), kind, argument, NULL);
	RUN_CHECK(run, run->status == plain->status, "without us: %s", run_ending(plain));
	RUN_CHECK(run, strcmp(run->out, plain->out) == 0, "stdout without us: %s", plain->out);
	run_free(plain);
	return run;
}

static void check_profile(struct run *run, const char *function)
{
	run_check_silent(run);
	RUN_CHECK(run, run->file_count == 1, "wanted one file");
	common_check(run, common_profile(run, run->pid), function, "spin", 300);
	run_free(run);
}

Test(places, another_directory)
{
	check_profile(run_places("chdir", NULL), "kind_chdir");
}

Test(places, every_descriptor_closed)
{
	check_profile(run_places("close_all", NULL), "kind_close_all");
}

Test(places, descriptors_closed_often)
{
	check_profile(run_places("close_often", NULL), "kind_close_often");
}

Test(places, every_descriptor_in_use)
{
	check_profile(run_places("no_descriptors", NULL), "kind_no_descriptors");
}

Test(places, few_descriptors_allowed)
{
	struct run *run = run_new();

	/* What starts a Python in a tree of its own may want more than that. */
	run_set(run, "MONPROF", "off");
	run_go(run, python_path(), run_program("places.py"), "few_descriptors",
	       run_program("burn.py"), NULL);
	common_check_burnt(run);
	run_free(run);
}

Test(places, creation_mask)
{
	struct run *run = run_places("umask", NULL);

	/* It may be that nobody but us can read it; it has to be there. */
	check_profile(run, "kind_umask");
}

Test(places, environment_changed)
{
	check_profile(run_places("environment", NULL), "kind_environment");
}

Test(places, descriptors_in_use_at_the_end)
{
	check_profile(run_places("busy_exit", NULL), "kind_busy_exit");
}

Test(places, another_root_and_user)
{
	struct run *run = run_new();
	const char *profile;

	if (geteuid() != 0)
		cr_skip_test("only root may chroot");
	run_set(run, "MONPROF_FLUSH", "50ms");
	run_go(run, python_path(), run_program("places.py"), "chroot", run->root, NULL);
	run_check_exit(run, 0);
	RUN_CHECK(run, run->file_count >= 1, "nothing was left");
	profile = common_profile(run, run->pid);
	/* It may not write here any more: then one line names what stays behind. */
	if (run_count(run, ".pb.gz") == 0) {
		run_check_line(run, run_file(run, ".monprof"));
		profile = run_export(run, run_file(run, ".monprof"), "exported");
	}
	common_check(run, profile, "kind_chroot", "spin", 300);
	run_free(run);
}

/* One line with what could not be written and why; the program is as it was. */
static void check_refused(struct run *run, const char *name, int reason)
{
	run_check_exit(run, 0);
	run_check_line(run, name);
	RUN_CHECK(run, strstr(run->err, strerror(reason)), "stderr does not say \"%s\"",
		  strerror(reason));
}

Test(places, directory_that_is_not_there)
{
	struct run *run = run_new();

	run_set(run, "MONPROF_OUTPUT", "no/such/place");
	run_go(run, python_path(), run_program("burn.py"), NULL);
	check_refused(run, "no/such/place", ENOENT);
	RUN_CHECK(run, run->file_count == 0, "files were left");
	run_free(run);
}

Test(places, directory_that_is_a_file)
{
	struct run *run = run_new();

	run_write(run, "file", "mine");
	run_set(run, "MONPROF_OUTPUT", "../file/monprof");
	run_go(run, python_path(), run_program("burn.py"), NULL);
	check_refused(run, "file/monprof", ENOTDIR);
	run_free(run);
}

static void become_nobody(void)
{
	if (setgid(65534) || setuid(65534))
		_exit(124);
}

Test(places, directory_of_another_user)
{
	struct run *run = run_new();
	int status;

	if (geteuid() != 0)
		cr_skip_test("only root can become somebody else");
	run->before_exec = become_nobody;
	run_set(run, "MONPROF", "off");
	run_go(run, python_path(), "-c", "pass", NULL);
	if (run->status != 0)
		cr_skip_test("%s is not for everybody", python_path());
	run_tool(run, &status, "true", NULL);
	run_set(run, "MONPROF", "on");
	cr_assert_eq(chmod(run->root, 0777), 0);
	run_go(run, python_path(), "-c", COMMON_BURN, NULL);
	check_refused(run, "monprof.", EACCES);
	run_free(run);
}

Test(places, directory_removed)
{
	struct run *run = run_new();

	run_go(run, python_path(), run_program("places.py"), "directory_gone", NULL);
	check_refused(run, "monprof.", ENOENT);
	run_free(run);
}

static const char *disk;

/* A disk of 64k of its own on the working directory. */
static void small_disk(void)
{
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", disk, "tmpfs", 0, "size=64k") || chdir(disk))
		_exit(124);
}

/* Nothing can be written to the working directory. */
static void read_only_disk(void)
{
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount(disk, disk, NULL, MS_BIND, NULL) ||
	    mount(NULL, disk, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) || chdir(disk))
		_exit(124);
}

static struct run *run_on_disk(const char *kind, const char *flush)
{
	struct run *run = run_new();

	disk = run->dir;
	run->before_exec = small_disk;
	run_go(run, "/bin/true", NULL);
	if (run->status != 0)
		cr_skip_test("no mounts permitted here");
	if (python_in_chroot(run))
		cr_skip_test("a Python in a tree of its own does not see this mount");
	run_set(run, "MONPROF_FLUSH", flush);
	run_go(run, python_path(), run_program("places.py"), kind, NULL);
	return run;
}

Test(places, full_disk)
{
	struct run *run = run_on_disk("fill", "10s"); /* so none comes before it is full */

	check_refused(run, "monprof.", ENOSPC);
	run_free(run);
}

Test(places, small_disk_is_enough)
{
	struct run *run = run_on_disk("nothing", "50ms");

	run_check_exit(run, 0);
	run_check_silent(run);
	run_free(run);
}

Test(places, read_only_disk)
{
	struct run *run = run_new();

	disk = run->dir;
	run->before_exec = read_only_disk;
	run_go(run, "/bin/true", NULL);
	if (run->status != 0)
		cr_skip_test("no mounts permitted here");
	run_set(run, "MONPROF_FLUSH", "50ms");
	run_go(run, python_path(), run_program("burn.py"), NULL);
	check_refused(run, "monprof.", EROFS);
	RUN_CHECK(run, strcmp(run->out, "done\n") == 0, "stdout differs");
	RUN_CHECK(run, run->file_count == 0, "files were left");
	run_free(run);
}

/* It fills up while we write: what was measured until then is no reason to disturb anybody. */
Test(places, file_size_limit)
{
	struct run *run = run_new();

	run_go(run, python_path(), "-c",
	       "import resource, signal\n"
	       "resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))\n" COMMON_BURN
	       "print(signal.getsignal(signal.SIGXFSZ))",
	       NULL);
	check_refused(run, "monprof.", EFBIG);
	run_free(run);
}
