/*
 * test_foreign.c - what is no Python that we know: nothing is measured, nothing is said (one line for a
 * Python that is too old), nothing is different.
 */
#include "common.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>

static void check_untouched(char *const argv[])
{
	struct run *run = run_new(), *plain = run_new();

	plain->is_plain = true;
	run_args(plain, argv);
	run_args(run, argv);
	RUN_CHECK(run, run->status == plain->status, "without us: %s", run_ending(plain));
	RUN_CHECK(run, strcmp(run->out, plain->out) == 0, "stdout without us: %s", plain->out);
	run_check_silent(run);
	RUN_CHECK(run, run->file_count == 0, "files were left");
	run_free(plain);
	run_free(run);
}

Test(foreign, programs_without_python)
{
	static char *const programs[][5] = {
		{ "/bin/true" },
		{ "/bin/false" },
		{ "/bin/sh", "-c", "echo a | tr a b; exit 3" },
		{ "/usr/bin/env", "-i", "/bin/echo", "x" },
		{ "/bin/ls", "/" },
		{ "/usr/bin/sort", "/etc/passwd" },
		{ "/usr/bin/perl", "-e", "print 6 * 7; exec 'true'" },
	};

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		check_untouched(programs[i]);
}

Test(foreign, settings_say_nothing_there)
{
	struct run *run = run_new();

	run_set(run, "MONPROF_CPU_HZ", "nonsense");
	run_set(run, "MONPROF_NO_SUCH", "1");
	run_go(run, "/bin/true", NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	run_free(run);
}

/* A Python of pyenv, or of PATH; NULL: none. */
static const char *old_python(struct run *run)
{
	const char *home = getenv("HOME"), *found = NULL;
	glob_t paths;

	if (glob(run_text(run, "%s/.pyenv/versions/3.11.*/bin/python3.11", home ? home : "/root"),
		 0, NULL, &paths) == 0)
		found = run_text(run, "%s", paths.gl_pathv[0]);
	globfree(&paths);
	return found;
}

Test(foreign, python_too_old)
{
	struct run *run = run_new();
	const char *python = old_python(run);

	if (!python)
		cr_skip_test("no Python 3.11");
	run_go(run, python, run_program("burn.py"), NULL);
	run_check_exit(run, 0);
	run_check_line(run, "3.11");
	RUN_CHECK(run, strcmp(run->out, "done\n") == 0, "stdout differs");
	RUN_CHECK(run, run->file_count == 0, "files were left");
	run_free(run);
}

Test(foreign, python_too_old_and_told_to_be_quiet)
{
	struct run *run = run_new();
	const char *python = old_python(run);

	if (!python)
		cr_skip_test("no Python 3.11");
	run_set(run, "MONPROF_QUIET", "yes");
	run_go(run, python, run_program("burn.py"), NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	run_free(run);
}

Test(foreign, too_short_for_a_sample)
{
	struct run *run = run_new();

	run_set(run, "MONPROF_CPU_HZ", "1");
	run_go(run, python_path(), "-S", "-E", "-c", "pass", NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	RUN_CHECK(run, run->file_count == 0, "files were left");
	run_free(run);
}
