/*
 * run.h - one program, run as a user would run it, and everything that it left behind.
 *
 *   run_new -> (run_set, run_write ...) -> run_start .. run_wait -> look at it -> run_free
 *
 * The program gets a fresh directory to run in, an environment without MONPROF_* and PYTHON*, the
 * library as LD_PRELOAD unless is_plain, files for its output, a process group and a time limit.  Its
 * orphans are waited for too: the test is their subreaper.  When it has ended, every pprof file in the
 * directory has been read by the real pprof; those of calls, which the default makes too, are not listed
 * where the test did not choose what is measured.  run_free removes the directory; a test that fails never
 * gets there, and its message names it.
 *
 * TEST_PYTHON, LIBMONPROF, MONPROF_CLI and PPROF name what is tested; all are absolute.  TEST_STRESS: how many
 * seconds a stress lasts, 5.  TEST_MODE: what of many combinations is left out in a `quick` run.
 */
#ifndef RUN_H
#define RUN_H

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define RUN_ENV_MAX 64
#define RUN_FILES_MAX 256
#define RUN_ARGS_MAX 24
#define RUN_RAW_MAX 4

struct run {
	/* may be changed before run_start */
	bool is_plain; /* without the library */
	const char *preload; /* instead of it, NULL: LIBMONPROF */
	unsigned limit_s; /* 30 */
	const char *input; /* what stdin holds, NULL: nothing */
	const char *directory; /* where it starts, NULL: the fresh directory */
	int terminal; /* this descriptor is its stderr; -1: a file is */
	void (*before_exec)(void); /* in the child */

	/* known from run_new on */
	char root[40]; /* scripts, output, tools' homes */
	char dir[48]; /* the program's working directory */

	/* known after run_start */
	pid_t pid;
	char command[512];

	/* known after run_wait */
	int status; /* as wait(2) gives it */
	char *out, *err;
	char *files[RUN_FILES_MAX]; /* names in dir, sorted */
	size_t file_count;

	char *env[RUN_ENV_MAX];
	char *texts[1024]; /* what run_text made */
	size_t text_count;
	/* what pprof -raw said of some files, which takes it seconds */
	struct {
		ino_t file;
		struct timespec changed;
		char *text;
	} raw[RUN_RAW_MAX];
	size_t raw_count;
};

/* A run in a fresh directory; samples 200 times a second, which every kernel's tick can do. */
struct run *run_new(void);
void run_free(struct run *run);

/* An environment variable of the program; value NULL takes it away. */
void run_set(struct run *run, const char *name, const char *value);
/* A string that lives as long as the run. */
char *run_text(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Free those made since text_count was this. */
void run_forget(struct run *run, size_t text_count);
/* Write a file outside of the working directory, for scripts; its absolute path. */
const char *run_write(struct run *run, const char *name, const char *text);
/* Absolute path of tests/programs/<name>. */
const char *run_program(const char *name);

void run_start(struct run *run, ...) __attribute__((sentinel));
void run_wait(struct run *run);
/* Both. */
void run_go(struct run *run, ...) __attribute__((sentinel));
void run_args(struct run *run, char *const argv[]);
/* Wait until its stdout holds the text. */
void run_await(struct run *run, const char *text);
/* Wait until its directory holds a file whose name ends so and that has a size. */
void run_await_file(struct run *run, const char *suffix);
/* Text of a file, absolute or in the working directory; NULL if there is none. */
char *run_read(struct run *run, const char *name);
/* List the directory anew. */
void run_list(struct run *run);
/* And have pprof read what is there. */
void run_look(struct run *run);

/* How many files' names end so; the first of them, absolute, NULL if there is none. */
size_t run_count(const struct run *run, const char *suffix);
const char *run_file(struct run *run, const char *suffix);
/* The n-th one, from 0. */
const char *run_file_at(struct run *run, const char *suffix, size_t n);

/* Run one of our own tools to its end, without the library; its stdout, *status as wait(2). stderr is
   appended to what it writes to stdout. */
char *run_tool(struct run *run, int *status, ...) __attribute__((sentinel));
/* The command, its exit status being what the test wants: its output. */
char *run_monprof(struct run *run, int wanted_exit, ...) __attribute__((sentinel));
/* Export a recording as <name>.pb.gz: the path of its profile of CPU time, whatever else is in it. */
const char *run_export(struct run *run, const char *recording, const char *name);
/* pprof over a file, which must succeed: `option` is -raw, -top, ... */
char *run_pprof(struct run *run, const char *option, const char *file);

/* All that a failed test wants to say about the run. */
const char *run_story(struct run *run);
/* "exit 3", "signal 15" */
const char *run_ending(struct run *run);

#define RUN_CHECK(run, condition, format, ...) \
	cr_assert((condition), format "\n%s" __VA_OPT__(, ) __VA_ARGS__, run_story(run))

/* Ended with this exit status, or by this signal, and wrote nothing to stderr. */
void run_check_exit(struct run *run, int exit_status);
void run_check_signal(struct run *run, int signal);
void run_check_silent(struct run *run);
/* Exit status 0, nothing on stderr, and one profile: monprof.<pid>.cpu.pb.gz, no other file. Its path. */
const char *run_check_good(struct run *run);
/* stderr is one line that holds the text. */
void run_check_line(struct run *run, const char *text);

/* All combinations are wanted, not the telling ones alone. */
bool run_is_full(void);
/* Does this kernel permit perf events, here? */
bool run_may_perf(void);
/* As MONPROF_CPU_HZ: far above the tick where perf events are permitted, else the rate of run_new. */
const char *run_often(void);
/* The environment of the tests. */
const char *run_tested(const char *name);

#endif
