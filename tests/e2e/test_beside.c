/*
 * test_beside.c - other libraries in the same process, and programs of another kind below it.
 */
#include "common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A library of Debian's, where a Python in a tree of its own sees it, too; NULL: there is none. */
static const char *copied(struct run *run, const char *path)
{
	const char *from = run_text(run, "/usr/lib/x86_64-linux-gnu/%s", path);
	const char *to = run_text(run, "%s/beside.so", run->root);
	int status;

	if (access(from, R_OK) != 0)
		return NULL;
	run_tool(run, &status, "cp", "-L", from, to, NULL);
	RUN_CHECK(run, status == 0, "cp %s", from);
	return to;
}

static const char *beside(struct run *run, const char *other, bool is_first)
{
	const char *ours = run_tested("LIBMONPROF");

	return is_first ? run_text(run, "%s:%s", other, ours) : run_text(run, "%s:%s", ours, other);
}

/* ---- clocks that are not true ---- */

static void check_clocks(const char *path, const char *time, const char *out)
{
	for (unsigned is_first = 0; is_first < (run_is_full() ? 2 : 1); is_first++) {
		struct run *run = run_new();
		const char *faketime = copied(run, path);

		if (!faketime)
			cr_skip_test("no libfaketime here (Debian's package faketime)");
		run->preload = beside(run, faketime, is_first);
		run_set(run, "MONPROF_CPU_HZ", "1000");
		run_set(run, "FAKETIME", time);
		run_go(run, python_path(), run_program("beside.py"), "clocks", NULL);
		RUN_CHECK(run, strcmp(run->out, out) == 0, "wanted %s", out);
		common_check(run, run_check_good(run), "work", "spin", 300);
		run_free(run);
	}
}

Test(beside, clocks_of_another_year)
{
	check_clocks("faketime/libfaketime.so.1", "@2001-06-01 00:00:00", "2001 False\n");
}

Test(beside, clocks_that_stand_still)
{
	check_clocks("faketime/libfaketime.so.1", "2001-06-01 00:00:00", "2001 True\n");
}

/* Whoever asks for the time holds a lock meanwhile. */
Test(beside, clocks_with_a_lock)
{
	check_clocks("faketime/libfaketimeMT.so.1", "@2001-06-01 00:00:00", "2001 False\n");
}
