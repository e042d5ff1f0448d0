/*
 * command.h - build/monprof run on files of the scratch directory: what it printed, how it ended.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include "recordings.h"

#include <sys/wait.h>

/* What a run of build/monprof gave. */
struct run {
	int status;
	char *out, *error;
};

/* The command under test: beside the directory of tests that this one is in. */
static UNUSED const char *monprof(void)
{
	static char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 32);

	cr_assert_gt(n, 0);
	path[n] = '\0';
	for (unsigned i = 0; i < 3; i++)
		*strrchr(path, '/') = '\0';
	return strcat(path, "/monprof");
}

static UNUSED struct run run(const char *arguments)
{
	char *out = in_scratch("stdout"), *error = in_scratch("stderr"), command[8192];
	struct run run;
	int status;

	snprintf(command, sizeof(command), "cd '%s' && '%s' %s >'%s' 2>'%s'", scratch(), monprof(),
		 arguments, out, error);
	status = system(command);
	cr_assert(WIFEXITED(status), "%s", command);
	run.status = WEXITSTATUS(status);
	run.out = (char *)slurp(out).bytes;
	run.error = (char *)slurp(error).bytes;
	return run;
}

/* A usage error: exit 2, nothing on stdout, the argument named on stderr. */
static UNUSED void check_usage(const char *arguments, const char *named)
{
	struct run got = run(arguments);

	cr_assert_eq(got.status, 2, "%s: %d", arguments, got.status);
	cr_assert_str_eq(got.out, "", "%s", arguments);
	cr_assert_not_null(strstr(got.error, named), "%s: %s", arguments, got.error);
}

/* A failure: exit 1, the file and the reason named. */
static UNUSED void check_failure(const char *arguments, const char *file, const char *reason)
{
	struct run got = run(arguments);

	cr_assert_eq(got.status, 1, "%s: %d", arguments, got.status);
	cr_assert_not_null(strstr(got.error, file), "%s: %s", arguments, got.error);
	cr_assert_not_null(strstr(got.error, reason), "%s: %s", arguments, got.error);
}

#endif
