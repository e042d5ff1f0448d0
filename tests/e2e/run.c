/*
 * run.c - see run.h.  Layout of a run's root:
 *
 *   /tmp/monprof-e2e.XXXXXX/     scripts, out, err, tool.out
 *                          cwd/  where the program runs: what is in it, the program or we left there
 */
#include "run.h"

#include "sums.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void start(struct run *run, char *const argv[]);
static void become_program(struct run *run, char *const argv[]);
static void collect(struct run *run, double limit_s);
static void end_all(void);
static void check_alive(struct run *run, double deadline_s, const char *awaited);
static void collect_args(char **argv, size_t room, va_list args);
static char *tool(struct run *run, int *status, char *const argv[]);
static char *pprof(struct run *run, const char *option, const char *file);
static char *slurp(const char *path);
static double now_s(void);

struct run *run_new(void)
{
	struct run *run = calloc(1, sizeof(*run));

	cr_assert_not_null(run);
	run->limit_s = 30;
	run->terminal = -1;
	strcpy(run->root, "/tmp/monprof-e2e.XXXXXX");
	cr_assert_not_null(mkdtemp(run->root), "mkdtemp: %s", strerror(errno));
	cr_assert_eq(chmod(run->root, 0755), 0);
	snprintf(run->dir, sizeof(run->dir), "%s/cwd", run->root);
	cr_assert_eq(mkdir(run->dir, 0755), 0, "mkdir %s: %s", run->dir, strerror(errno));
	run->out = run->err = "";
	/* Orphans of the program become ours, so that a daemon can be waited for. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (char **entry = environ; *entry; entry++) {
		if (strncmp(*entry, "MONPROF", 7) == 0 || strncmp(*entry, "PYTHON", 6) == 0)
			run_set(run, run_text(run, "%.*s", (int)strcspn(*entry, "="), *entry),
				NULL);
	}
	run_set(run, "HOME", run->root);
	run_set(run, "LANG", "C.UTF-8");
	run_set(run, "LC_ALL", "C.UTF-8");
	run_set(run, "PPROF_TMPDIR", run->root);
	run_set(run, "PYTHONDONTWRITEBYTECODE", "1");
	run_set(run, "MONPROF_CPU_HZ", "200");
	return run;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	remove(path);
	return 0;
}

void run_free(struct run *run)
{
	nftw(run->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	for (size_t i = 0; i < run->text_count; i++)
		free(run->texts[i]);
	for (size_t i = 0; i < run->file_count; i++)
		free(run->files[i]);
	free(run);
}

void run_set(struct run *run, const char *name, const char *value)
{
	size_t length = strlen(name);
	unsigned i;

	for (i = 0; i < RUN_ENV_MAX - 1 && run->env[i]; i++) {
		if (strncmp(run->env[i], name, length) == 0 &&
		    (run->env[i][length] == '=' || !run->env[i][length]))
			break;
	}
	cr_assert(i < RUN_ENV_MAX - 1, "too many variables");
	/* A bare name is one to take away. */
	run->env[i] = value ? run_text(run, "%s=%s", name, value) : run_text(run, "%s", name);
}

char *run_text(struct run *run, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	cr_assert(vasprintf(&text, format, args) >= 0);
	va_end(args);
	cr_assert(run->text_count < sizeof(run->texts) / sizeof(run->texts[0]), "too many texts");
	run->texts[run->text_count++] = text;
	return text;
}

void run_forget(struct run *run, size_t text_count)
{
	run->raw_count = 0; /* they are texts, too */
	while (run->text_count > text_count)
		free(run->texts[--run->text_count]);
}

const char *run_write(struct run *run, const char *name, const char *text)
{
	char *path = run_text(run, "%s/%s", run->root, name);
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file, "%s: %s", path, strerror(errno));
	fputs(text, file);
	cr_assert_eq(fclose(file), 0, "%s: %s", path, strerror(errno));
	return path;
}

const char *run_program(const char *name)
{
	static char path[8][4096];
	static unsigned next;
	char relative[512], *found = path[next++ % 8];

	snprintf(relative, sizeof(relative), "tests/programs/%s", name);
	cr_assert_not_null(realpath(relative, found), "%s is not there: run from the top directory",
			   relative);
	return found;
}

void run_go(struct run *run, ...)
{
	char *argv[RUN_ARGS_MAX];
	va_list args;

	va_start(args, run);
	collect_args(argv, RUN_ARGS_MAX, args);
	va_end(args);
	start(run, argv);
	run_wait(run);
}

void run_start(struct run *run, ...)
{
	char *argv[RUN_ARGS_MAX];
	va_list args;

	va_start(args, run);
	collect_args(argv, RUN_ARGS_MAX, args);
	va_end(args);
	start(run, argv);
}

void run_args(struct run *run, char *const argv[])
{
	start(run, argv);
	run_wait(run);
}

static void collect_args(char **argv, size_t room, va_list args)
{
	size_t count = 0;

	do {
		cr_assert(count < room, "too many arguments");
		argv[count] = va_arg(args, char *);
	} while (argv[count++]);
}

static void start(struct run *run, char *const argv[])
{
	size_t used = 0;

	for (size_t i = 0; argv[i] && used < sizeof(run->command); i++)
		used += (size_t)snprintf(run->command + used, sizeof(run->command) - used, "%s%s",
					 i ? " " : "", argv[i]);
	if (run->input)
		run_write(run, "in", run->input);
	run->pid = fork();
	cr_assert(run->pid >= 0, "fork: %s", strerror(errno));
	if (run->pid == 0)
		become_program(run, argv);
}

static int reopen(const char *path, int flags, int descriptor)
{
	int opened = open(path, flags, 0644);

	return opened < 0 ? -1 : dup2(opened, descriptor);
}

/* TEST_RUNTIME is what wants to be in a process from its start, with us and without: a sanitizer. It comes
   after us, or it would hand us its own thread starts instead of Python's. */
static void set_preload(struct run *run)
{
	const char *runtime = getenv("TEST_RUNTIME") ? getenv("TEST_RUNTIME") : "";
	const char *ours = run->preload ? run->preload : run_tested("LIBMONPROF");

	unsetenv("LD_PRELOAD");
	if (*runtime || !run->is_plain)
		putenv(run_text(run, "LD_PRELOAD=%s%s%s", run->is_plain ? "" : ours,
				*runtime ? " " : "", runtime));
}

static void become_program(struct run *run, char *const argv[])
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (chdir(run->root) || reopen(run->input ? "in" : "/dev/null", O_RDONLY, 0) ||
	    reopen("out", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 1) != 1)
		_exit(125);
	if (run->terminal >= 0)
		dup2(run->terminal, 2);
	else if (reopen("err", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 2) != 2)
		_exit(125);
	if (chdir(run->directory ? run->directory : run->dir))
		_exit(125);
	close_range(3, ~0U, 0);
	/* glibc's putenv takes a bare name away. */
	for (unsigned i = 0; run->env[i]; i++)
		putenv(run->env[i]);
	if (run->before_exec)
		run->before_exec();
	set_preload(run);
	execvp(argv[0], argv);
	_exit(126);
}

void run_wait(struct run *run)
{
	collect(run, run->limit_s);
	run->out = run_read(run, run_text(run, "%s/out", run->root));
	run->err = run_read(run, run_text(run, "%s/err", run->root));
	if (!run->err)
		run->err = "";
	run_look(run);
	sums_check(run);
}

/* Wait for the program and for all that came of it. */
static void collect(struct run *run, double limit_s)
{
	double deadline_s = now_s() + limit_s;
	int status;
	pid_t pid;

	for (;;) {
		pid = waitpid(-1, &status, WNOHANG);
		if (pid == run->pid)
			run->status = status;
		if (pid < 0 && errno == ECHILD)
			return;
		if (pid == 0 && now_s() > deadline_s) {
			kill(-run->pid, SIGKILL);
			end_all();
			run->out = run_read(run, run_text(run, "%s/out", run->root));
			run->err = run_read(run, run_text(run, "%s/err", run->root));
			RUN_CHECK(run, false, "not over after %.0f s", limit_s);
		}
		if (pid == 0)
			usleep(2000);
	}
}

/* Kill every child of ours until there is none: killed ones leave us theirs. */
static void end_all(void)
{
	while (waitpid(-1, NULL, WNOHANG) >= 0) {
		DIR *proc = opendir("/proc");
		struct dirent *entry;

		while (proc && (entry = readdir(proc))) {
			char path[300], *text, *after;

			snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
			if (entry->d_name[0] < '0' || entry->d_name[0] > '9' ||
			    !(text = slurp(path)))
				continue;
			after = strrchr(text, ')');
			if (after && strlen(after) > 4 && atoi(after + 4) == getpid())
				kill(atoi(entry->d_name), SIGKILL);
			free(text);
		}
		if (proc)
			closedir(proc);
		usleep(2000);
	}
}

void run_await(struct run *run, const char *text)
{
	double deadline_s = now_s() + run->limit_s;
	char path[64];

	snprintf(path, sizeof(path), "%s/out", run->root);
	for (;;) {
		char *out = slurp(path);
		bool is_there = out && strstr(out, text);

		free(out);
		if (is_there)
			return;
		check_alive(run, deadline_s, text);
		usleep(2000);
	}
}

/* What is awaited may still come. */
static void check_alive(struct run *run, double deadline_s, const char *awaited)
{
	siginfo_t ended = { .si_pid = 0 };
	bool is_alive = waitid(P_PID, (id_t)run->pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
			ended.si_pid == 0;

	if (is_alive && now_s() < deadline_s)
		return;
	run->out = run_read(run, run_text(run, "%s/out", run->root));
	run->err = run_read(run, run_text(run, "%s/err", run->root));
	RUN_CHECK(run, false, "%s before \"%s\" was there", is_alive ? "time is up" : "it ended",
		  awaited);
}

void run_await_file(struct run *run, const char *suffix)
{
	double deadline_s = now_s() + run->limit_s;

	for (;;) {
		struct stat status;
		const char *path;

		run_list(run);
		path = run_file(run, suffix);
		if (path && stat(path, &status) == 0 && status.st_size > 0)
			return;
		check_alive(run, deadline_s, suffix);
		usleep(2000);
	}
}

char *run_read(struct run *run, const char *name)
{
	char *text = slurp(name[0] == '/' ? name : run_text(run, "%s/%s", run->dir, name));
	char *copy;

	if (!text)
		return NULL;
	copy = run_text(run, "%s", text);
	free(text);
	return copy;
}

char *run_tool(struct run *run, int *status, ...)
{
	char *argv[RUN_ARGS_MAX];
	va_list args;

	va_start(args, status);
	collect_args(argv, RUN_ARGS_MAX, args);
	va_end(args);
	return tool(run, status, argv);
}

/* As a run of its own, in the same root; a tool is never the program that is waited for. */
static char *tool(struct run *run, int *status, char *const argv[])
{
	struct run other = *run;

	other.is_plain = true;
	other.input = NULL;
	other.directory = NULL;
	other.before_exec = NULL;
	other.terminal = -1;
	unlink(run_text(run, "%s/out", run->root));
	unlink(run_text(run, "%s/err", run->root));
	other.pid = fork();
	cr_assert(other.pid >= 0, "fork: %s", strerror(errno));
	if (other.pid == 0)
		become_program(&other, argv);
	for (unsigned waited_ms = 0;; waited_ms += 2) {
		if (waitpid(other.pid, status, WNOHANG) == other.pid)
			break;
		if (waited_ms > 60000) {
			kill(-other.pid, SIGKILL);
			RUN_CHECK(run, false, "%s %s is not over after 60 s", argv[0], argv[1]);
		}
		usleep(2000);
	}
	return run_text(run, "%s%s", run_read(run, run_text(run, "%s/out", run->root)),
			run_read(run, run_text(run, "%s/err", run->root)));
}

char *run_monprof(struct run *run, int wanted_exit, ...)
{
	char *argv[RUN_ARGS_MAX] = { (char *)run_tested("MONPROF_CLI") };
	char *output;
	va_list args;
	int status;

	va_start(args, wanted_exit);
	collect_args(argv + 1, RUN_ARGS_MAX - 1, args);
	va_end(args);
	output = tool(run, &status, argv);
	RUN_CHECK(run, WIFEXITED(status) && WEXITSTATUS(status) == wanted_exit,
		  "monprof %s %s: wait status %#x, wanted exit %d; it said:\n%s", argv[1],
		  argv[2] ? argv[2] : "", (unsigned)status, wanted_exit, output);
	return output;
}

char *run_pprof(struct run *run, const char *option, const char *file)
{
	struct stat status = { 0 };
	char *output;

	if (strcmp(option, "-raw") != 0 || stat(file, &status) != 0)
		return pprof(run, option, file);
	for (size_t i = 0; i < run->raw_count; i++) {
		if (run->raw[i].file == status.st_ino &&
		    run->raw[i].changed.tv_sec == status.st_ctim.tv_sec &&
		    run->raw[i].changed.tv_nsec == status.st_ctim.tv_nsec)
			return run->raw[i].text;
	}
	output = pprof(run, option, file);
	if (run->raw_count < RUN_RAW_MAX) {
		run->raw[run->raw_count].file = status.st_ino;
		run->raw[run->raw_count].changed = status.st_ctim;
		run->raw[run->raw_count++].text = output;
	}
	return output;
}

static char *pprof(struct run *run, const char *option, const char *file)
{
	int status;
	/* What lies in another root it would look for in vain. */
	char *argv[] = { (char *)run_tested("PPROF"), (char *)"-symbolize=none", (char *)option,
			 (char *)file, NULL };
	char *output = tool(run, &status, argv);
	char *complaint = run_read(run, run_text(run, "%s/err", run->root));

	RUN_CHECK(run, status == 0 && complaint && !*complaint,
		  "pprof %s %s: wait status %#x; it said:\n%s", option, file, (unsigned)status,
		  output);
	return output;
}

const char *run_ending(struct run *run)
{
	if (WIFSIGNALED(run->status))
		return run_text(run, "signal %d", WTERMSIG(run->status));
	return run_text(run, "exit %d", WEXITSTATUS(run->status));
}

const char *run_story(struct run *run)
{
	char *files = run_text(run, "%s", "");

	for (size_t i = 0; i < run->file_count && i < 20; i++)
		files = run_text(run, "%s %s", files, run->files[i]);
	return run_text(run,
			"  program: %s\n  in: %s (kept)\n  ended: %s\n  files:%s\n"
			"  stdout: %.2000s\n  stderr: %.3000s",
			run->command, run->dir, run_ending(run), files, run->out ? run->out : "",
			run->err ? run->err : "");
}

void run_check_exit(struct run *run, int exit_status)
{
	RUN_CHECK(run, WIFEXITED(run->status) && WEXITSTATUS(run->status) == exit_status,
		  "wanted exit %d, got %s", exit_status, run_ending(run));
}

void run_check_signal(struct run *run, int signal)
{
	RUN_CHECK(run, WIFSIGNALED(run->status) && WTERMSIG(run->status) == signal,
		  "wanted signal %d, got %s", signal, run_ending(run));
}

void run_check_silent(struct run *run)
{
	RUN_CHECK(run, !*run->err, "stderr is not empty");
}

const char *run_check_good(struct run *run)
{
	run_check_exit(run, 0);
	run_check_silent(run);
	RUN_CHECK(run,
		  run->file_count == 1 &&
			  strcmp(run->files[0], run_text(run, "monprof.%d.cpu.pb.gz", run->pid)) ==
				  0,
		  "wanted the one file monprof.%d.cpu.pb.gz", run->pid);
	return run_file(run, ".cpu.pb.gz");
}

void run_check_line(struct run *run, const char *text)
{
	const char *end = strchr(run->err, '\n');

	RUN_CHECK(run, end && !end[1] && strstr(run->err, text),
		  "wanted one line on stderr with \"%s\"", text);
}

bool run_is_full(void)
{
	const char *mode = getenv("TEST_MODE");

	return !mode || strcmp(mode, "quick") != 0;
}

bool run_may_perf(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_TASK_CLOCK,
		.sample_period = 1000000,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};
	long event = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	if (event < 0)
		return false;
	close((int)event);
	return true;
}

const char *run_often(void)
{
	return run_may_perf() ? "1000" : "200";
}

const char *run_tested(const char *name)
{
	const char *value = getenv(name);

	cr_assert(value && value[0] == '/', "%s must be set to an absolute path", name);
	return value;
}

static char *slurp(const char *path)
{
	FILE *file = fopen(path, "r");
	size_t size = 0, room = 0;
	char *text = NULL;

	if (!file)
		return NULL;
	do {
		room = room ? room * 2 : 4096;
		text = realloc(text, room + 1);
		cr_assert_not_null(text);
		size += fread(text + size, 1, room - size, file);
	} while (size == room);
	fclose(file);
	text[size] = '\0';
	return text;
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
