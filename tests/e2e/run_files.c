/*
 * run_files.c - what a run left in its directory.
 */
#include "run.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void read_profiles(struct run *run);
static void set_calls_aside(struct run *run);
static bool has(const struct run *run, const char *name);
static bool ends_with(const char *text, const char *suffix);

void run_look(struct run *run)
{
	run_list(run);
	read_profiles(run);
	if (!has(run, "MONPROF_COLLECT"))
		set_calls_aside(run);
}

/* Whether a short program meets a window of calls is chance. */
static void set_calls_aside(struct run *run)
{
	size_t kept = 0;

	for (size_t i = 0; i < run->file_count; i++) {
		if (ends_with(run->files[i], ".calls.pb.gz") ||
		    ends_with(run->files[i], ".calls.collapsed"))
			free(run->files[i]);
		else
			run->files[kept++] = run->files[i];
	}
	run->file_count = kept;
}

static bool has(const struct run *run, const char *name)
{
	size_t length = strlen(name);

	for (unsigned i = 0; i < RUN_ENV_MAX && run->env[i]; i++) {
		if (strncmp(run->env[i], name, length) == 0 && run->env[i][length] == '=')
			return true;
	}
	return false;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void run_list(struct run *run)
{
	DIR *dir = opendir(run->dir);
	struct dirent *entry;

	for (size_t i = 0; i < run->file_count; i++)
		free(run->files[i]);
	run->file_count = 0;
	while (dir && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		cr_assert(run->file_count < RUN_FILES_MAX, "too many files in %s", run->dir);
		run->files[run->file_count++] = strdup(entry->d_name);
	}
	if (dir)
		closedir(dir);
	qsort(run->files, run->file_count, sizeof(run->files[0]), by_name);
}

static void read_profiles(struct run *run)
{
	for (size_t i = 0; i < run->file_count; i++) {
		if (ends_with(run->files[i], ".pb.gz"))
			run_pprof(run, "-raw", run_text(run, "%s/%s", run->dir, run->files[i]));
	}
}

size_t run_count(const struct run *run, const char *suffix)
{
	size_t count = 0;

	for (size_t i = 0; i < run->file_count; i++)
		count += ends_with(run->files[i], suffix);
	return count;
}

const char *run_file(struct run *run, const char *suffix)
{
	return run_file_at(run, suffix, 0);
}

const char *run_file_at(struct run *run, const char *suffix, size_t n)
{
	for (size_t i = 0; i < run->file_count; i++) {
		if (ends_with(run->files[i], suffix) && n-- == 0)
			return run_text(run, "%s/%s", run->dir, run->files[i]);
	}
	return NULL;
}

const char *run_export(struct run *run, const char *recording, const char *name)
{
	char *out = run_text(run, "%s/%s.pb.gz", run->dir, name);

	run_monprof(run, 0, "export", recording, "-f", "pprof", "-o", out, NULL);
	run_look(run);
	return access(out, F_OK) == 0 ? out : run_text(run, "%s/%s.cpu.pb.gz", run->dir, name);
}

static bool ends_with(const char *text, const char *suffix)
{
	size_t length = strlen(text), end = strlen(suffix);

	return length >= end && strcmp(text + length - end, suffix) == 0;
}
