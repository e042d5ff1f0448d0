/*
 * twin.h - runs a small program twice: the program cannot tell whether we hold the signal.
 *
 * Each scenario is a small program that notes what it sees.  It runs in two children: in plain libc,
 * and with the signal taken and a tick sent at every note.  Both logs, and how both children ended, must
 * be the same.
 */
#ifndef TWIN_H
#define TWIN_H

#include "os.h"
#include "prof.h"
#include "signals.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

/* What the old calls' users see is part of the contract. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#define COOKIE ((void *)0x5eed)

/* Takes both objects from the archive, also where a sanitizer's library has most of their names. */
int __sigpause(int sig_or_mask, int is_signo);
static int (*const interposed)(int) __attribute__((used)) = sighold;
static int (*const waiting)(int, int) __attribute__((used)) = __sigpause;

static struct {
	bool taken; /* the signal is held in this run */
	bool foreign; /* the process is not the session's */
	int log;
	_Atomic unsigned ticks;
	_Atomic int handled;
	sigjmp_buf jump;
	int pipe[2];
} run;

static _Thread_local struct {
	bool profiled;
	struct signals_thread signals;
} own;

static inline bool hook_tick(const siginfo_t *info, void *context)
{
	cr_assert_not_null(context);
	if (info->si_code != SI_TIMER || info->si_value.sival_ptr != COOKIE)
		return false;
	run.ticks++;
	return true;
}

static inline struct signals_thread *hook_self(void)
{
	return own.profiled ? &own.signals : NULL;
}

static inline bool hook_ours(void)
{
	return !run.foreign;
}

static const struct signals_hooks hooks = { hook_tick, hook_self, hook_ours };

/* Send a tick to the calling thread. */
static inline void tick(void)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_code = SI_TIMER;
	info.si_value.sival_ptr = COOKIE;
	cr_assert_eq(os_tgqueue(os_gettid(), signals_number(), &info), 0);
}

static void note(const char *format, ...) PROF_PRINTF(1, 2);

/* Also from handlers: vsnprintf of plain numbers is safe enough there. */
static void note(const char *format, ...)
{
	char line[256];
	va_list values;
	uint64_t kernel_mask = 0;
	int length;

	va_start(values, format);
	length = vsnprintf(line, sizeof(line) - 1, format, values);
	va_end(values);
	line[length++] = '\n';
	cr_assert_eq(write(run.log, line, (size_t)length), length);
	/* Where the kernel blocks the signal a tick would wait, and a raised one merge with it. */
	os_sigmask(SIG_BLOCK, NULL, &kernel_mask);
	if (run.taken && own.profiled && !(kernel_mask >> (SIGURG - 1) & 1))
		tick();
}

static inline const char *set_text(const sigset_t *set)
{
	static _Thread_local char text[256];
	size_t length = 0;

	text[0] = '\0';
	for (int signo = 1; signo < NSIG; signo++)
		if (sigismember(set, signo) == 1)
			length += (size_t)sprintf(text + length, "%d ", signo);
	return text;
}

static inline void note_mask(const char *where)
{
	sigset_t set;

	cr_assert_eq(pthread_sigmask(SIG_BLOCK, NULL, &set), 0);
	note("%s: mask %s", where, set_text(&set));
}

static inline void note_pending(const char *where)
{
	sigset_t set;

	cr_assert_eq(sigpending(&set), 0);
	note("%s: pending %s", where, set_text(&set));
}

static inline void note_action(const char *where)
{
	struct sigaction act;

	cr_assert_eq(sigaction(SIGURG, NULL, &act), 0);
	note("%s: handler %s flags %x mask %s", where,
	     act.sa_handler == SIG_DFL ? "default" :
	     act.sa_handler == SIG_IGN ? "ignore" :
					 "own",
	     (unsigned)act.sa_flags & ~0x04000000U, set_text(&act.sa_mask));
}

static inline sigset_t set_of(int a, int b)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, a);
	if (b)
		sigaddset(&set, b);
	return set;
}

static inline void mask(int how, int a, int b)
{
	sigset_t set = set_of(a, b), old;

	sigemptyset(&old);
	note("mask how %d: %d, before: %s", how, pthread_sigmask(how, &set, &old), set_text(&old));
}

static inline void on_signal(int signo)
{
	note_mask("in the handler");
	note("handler: signal %d", signo);
	run.handled++;
}

static inline void on_info(int signo, siginfo_t *info, void *context)
{
	ucontext_t *back = context;
	sigset_t set;

	sigemptyset(&set);
	memcpy(&set, &back->uc_sigmask, 8);
	note("handler: signal %d code %d pid %d value %d, returns to %s", signo, info->si_code,
	     info->si_pid == getpid(), info->si_code == SI_QUEUE ? info->si_value.sival_int : 0,
	     set_text(&set));
	note_mask("in the handler");
	run.handled++;
}

static inline void handle(void (*plain)(int), int flags, int masked)
{
	struct sigaction act = { .sa_flags = flags };

	if (plain)
		act.sa_handler = plain;
	else
		act.sa_sigaction = on_info;
	sigemptyset(&act.sa_mask);
	if (masked)
		sigaddset(&act.sa_mask, masked);
	cr_assert_eq(sigaction(SIGURG, &act, NULL), 0);
}

/* ---- threads as the library sees them ---- */

struct start {
	void *(*run)(void *);
	void *argument;
	bool blocked;
};

static inline void *started(void *argument)
{
	struct start start = *(struct start *)argument;

	free(argument);
	if (run.taken) {
		own.profiled = true;
		signals_thread_begin(&own.signals, start.blocked);
	}
	return start.run(start.argument);
}

static inline pthread_t spawn(const pthread_attr_t *attr, void *(*function)(void *), void *argument)
{
	struct start *start = malloc(sizeof(*start));
	pthread_t thread;

	*start = (struct start){ function, argument, signals_inherited(attr) };
	cr_assert_eq(pthread_create(&thread, attr, started, start), 0);
	return thread;
}

static inline void *note_thread(void *name)
{
	note_mask(name);
	return NULL;
}

/* ---- both runs ---- */

static inline int run_child(void (*scenario)(void), bool taken, int log)
{
	pid_t child = fork();
	int status = -1;

	if (child == 0) {
		alarm(20); /* a scenario that hangs is one that fails */
		run.log = log;
		run.taken = taken;
		own.profiled = taken;
		if (taken)
			cr_assert_null(signals_start(SIGURG, &hooks));
		scenario();
		if (taken && run.ticks == 0)
			_exit(99);
		_exit(0);
	}
	close(log);
	cr_assert_eq(waitpid(child, &status, 0), child);
	return status;
}

static inline size_t run_scenario(void (*scenario)(void), bool taken, char *text, size_t capacity)
{
	FILE *file = tmpfile();
	size_t length;
	int status = run_child(scenario, taken, dup(fileno(file)));

	rewind(file);
	length = fread(text, 1, capacity - 64, file);
	fclose(file);
	return length + (size_t)sprintf(text + length, "ended with %x\n", (unsigned)status);
}

static inline void same_in_both(void (*scenario)(void))
{
	static char plain[32768], taken[32768];

	run_scenario(scenario, false, plain, sizeof(plain));
	run_scenario(scenario, true, taken, sizeof(taken));
	cr_expect(strstr(plain, "ended with 0\n"), "plain libc:\n%s", plain);
	cr_expect_str_eq(taken, plain, "plain libc:\n%s\nwith the signal taken:\n%s", plain, taken);
}

#define SAME(suite, scenario)           \
	Test(suite, scenario)           \
	{                               \
		same_in_both(scenario); \
	}

#endif
