/*
 * run.c - monprof run [OPTIONS] [--] COMMAND [ARGUMENT...]
 *
 * --cpu-hz=1000 becomes MONPROF_CPU_HZ=1000, checked first by the rules of its row; libmonprof.so goes to
 * the front of LD_PRELOAD; then the command takes our place.  There is nothing here that the two
 * environment variables alone do not do.
 */
#include "cli.h"

#include "log.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY "libmonprof.so"

static int set_options(int argc, char **argv, int *command);
static int set_option(char *argument, char *following, bool *took_following);
static int store_option(enum option_id id, const char *flag, const char *text);
static int unknown_option(const char *flag);
static const char *find_library(char *path);
static int preload(const char *library);

int cli_run(int argc, char **argv)
{
	char path[PATH_MAX];
	const char *library;
	int command = 1;
	int status = set_options(argc, argv, &command);

	if (status != CLI_GOOD)
		return status;
	if (command == argc)
		return cli_usage("run: which program? COMMAND is missing");
	library = find_library(path);
	if (!library)
		return cli_fail(LIBRARY, "not found beside monprof or in ../lib");
	status = preload(library);
	if (status != CLI_GOOD)
		return status;
	execvp(argv[command], argv + command);
	return cli_fail(argv[command], strerror(errno));
}

static int set_options(int argc, char **argv, int *command)
{
	int i = 1;

	while (i < argc && argv[i][0] == '-') {
		bool took_following = false;
		int status;

		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		status = set_option(argv[i], argv[i + 1], &took_following);
		if (status != CLI_GOOD)
			return status;
		i += took_following ? 2 : 1;
	}
	*command = i;
	return CLI_GOOD;
}

static int set_option(char *argument, char *following, bool *took_following)
{
	size_t name_bytes = strcspn(argument, "=");
	enum option_id id = OPTION_COUNT;

	if (strncmp(argument, "--", 2) == 0)
		id = cli_option(argument + 2, name_bytes - 2);
	if (id == OPTION_COUNT)
		return unknown_option(argument);
	if (argument[name_bytes] == '=')
		return store_option(id, argument, argument + name_bytes + 1);
	if (option_row(id)->type == OPTION_TYPE_YESNO)
		return store_option(id, argument, "yes");
	if (!following)
		return cli_usage("option '%s' needs a value", argument);
	*took_following = true;
	return store_option(id, argument, following);
}

static int store_option(enum option_id id, const char *flag, const char *text)
{
	struct option_value value;
	char error[512], name[64];

	if (option_parse(option_row(id), text, &value, error, sizeof(error)))
		return cli_usage("%.*s: %s", (int)strcspn(flag, "="), flag, error);
	log_format(name, sizeof(name), "MONPROF_%s", option_row(id)->name);
	return setenv(name, text, 1) == 0 ? CLI_GOOD : cli_fail(name, strerror(errno));
}

static int unknown_option(const char *flag)
{
	size_t dashes = strspn(flag, "-");
	char name[64], nearest[64];

	log_format(name, sizeof(name), "%.*s", (int)strcspn(flag + dashes, "="), flag + dashes);
	for (char *c = name; *c != '\0'; c++)
		*c = *c == '-' ? '_' : *c;
	return cli_usage("unknown option '%s'; the nearest is %s", flag,
			 cli_option_name(option_find(option_nearest(name)), nearest,
					 sizeof(nearest)));
}

/* Beside this executable (a build), or in ../lib of it (an installation); NULL: neither. */
static const char *find_library(char *path)
{
	static const char *const places[] = { LIBRARY, "../lib/" LIBRARY };
	char directory[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", directory, sizeof(directory) - 1);
	char *slash;

	if (n <= 0)
		return NULL;
	directory[n] = '\0';
	slash = strrchr(directory, '/');
	if (!slash)
		return NULL;
	slash[1] = '\0';
	for (size_t i = 0; i < PROF_COUNT(places); i++) {
		char wanted[PATH_MAX + 32];

		snprintf(wanted, sizeof(wanted), "%s%s", directory, places[i]);
		if (realpath(wanted, path))
			return path;
	}
	return NULL;
}

static int preload(const char *library)
{
	const char *others = getenv("LD_PRELOAD");
	size_t room = strlen(library) + (others ? strlen(others) : 0) + 2;
	char *value = heap_alloc(room);
	int status;

	/* ld.so splits the list at both, and has no way to quote them. */
	if (strpbrk(library, " :")) {
		heap_free(value);
		return cli_fail(library, "LD_PRELOAD takes no path with a space or a colon");
	}
	if (!value)
		return cli_fail("LD_PRELOAD", "no memory");
	snprintf(value, room, "%s%s%s", library, others && *others ? ":" : "",
		 others ? others : "");
	status = setenv("LD_PRELOAD", value, 1) == 0 ? CLI_GOOD :
						       cli_fail("LD_PRELOAD", strerror(errno));
	heap_free(value);
	return status;
}
