/*
 * test_signals_calls.c - the program cannot tell whether we hold the signal.
 *
 * Each scenario is a small program that notes what it sees.  It runs in two children: in plain libc,
 * and with the signal taken and a tick sent at every note.  Both logs, and how both children ended, must
 * be the same.
 */
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

static struct {
	bool taken; /* the signal is held in this run */
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

static bool hook_tick(const siginfo_t *info, void *context)
{
	cr_assert_not_null(context);
	if (info->si_code != SI_TIMER || info->si_value.sival_ptr != COOKIE)
		return false;
	run.ticks++;
	return true;
}

static struct signals_thread *hook_self(void)
{
	return own.profiled ? &own.signals : NULL;
}

static bool hook_ours(void)
{
	return true;
}

static const struct signals_hooks hooks = { hook_tick, hook_self, hook_ours };

static void note(const char *format, ...) PROF_PRINTF(1, 2);

/* Also from handlers: vsnprintf of plain numbers is safe enough there. */
static void note(const char *format, ...)
{
	siginfo_t info = { .si_signo = signals_number(), .si_code = SI_TIMER };
	char line[256];
	va_list values;
	int length;

	va_start(values, format);
	length = vsnprintf(line, sizeof(line) - 1, format, values);
	va_end(values);
	line[length++] = '\n';
	cr_assert_eq(write(run.log, line, (size_t)length), length);
	info.si_value.sival_ptr = COOKIE;
	if (run.taken && own.profiled)
		cr_assert_eq(os_tgqueue(os_gettid(), signals_number(), &info), 0);
}

static const char *set_text(const sigset_t *set)
{
	static _Thread_local char text[256];
	size_t length = 0;

	text[0] = '\0';
	for (int signo = 1; signo < NSIG; signo++)
		if (sigismember(set, signo) == 1)
			length += (size_t)sprintf(text + length, "%d ", signo);
	return text;
}

static void note_mask(const char *where)
{
	sigset_t set;

	cr_assert_eq(pthread_sigmask(SIG_BLOCK, NULL, &set), 0);
	note("%s: mask %s", where, set_text(&set));
}

static void note_pending(const char *where)
{
	sigset_t set;

	cr_assert_eq(sigpending(&set), 0);
	note("%s: pending %s", where, set_text(&set));
}

static void note_action(const char *where)
{
	struct sigaction act;

	cr_assert_eq(sigaction(SIGURG, NULL, &act), 0);
	note("%s: handler %s flags %x mask %s", where,
	     act.sa_handler == SIG_DFL ? "default" : act.sa_handler == SIG_IGN ? "ignore" : "own",
	     (unsigned)act.sa_flags & ~0x04000000U, set_text(&act.sa_mask));
}

static sigset_t set_of(int a, int b)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, a);
	if (b)
		sigaddset(&set, b);
	return set;
}

static void mask(int how, int a, int b)
{
	sigset_t set = set_of(a, b), old;

	sigemptyset(&old);
	note("mask how %d: %d, before: %s", how, pthread_sigmask(how, &set, &old), set_text(&old));
}

static void on_signal(int signo)
{
	note_mask("in the handler");
	note("handler: signal %d", signo);
	run.handled++;
}

static void on_info(int signo, siginfo_t *info, void *context)
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

static void handle(void (*plain)(int), int flags, int masked)
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

static void *started(void *argument)
{
	struct start start = *(struct start *)argument;

	free(argument);
	if (run.taken) {
		own.profiled = true;
		signals_thread_begin(&own.signals, start.blocked);
	}
	return start.run(start.argument);
}

static pthread_t spawn(const pthread_attr_t *attr, void *(*function)(void *), void *argument)
{
	struct start *start = malloc(sizeof(*start));
	pthread_t thread;

	*start = (struct start){ function, argument, signals_inherited(attr) };
	cr_assert_eq(pthread_create(&thread, attr, started, start), 0);
	return thread;
}

static void *note_thread(void *name)
{
	note_mask(name);
	return NULL;
}

/* ---- disposition ---- */

static void actions(void)
{
	note_action("start");
	handle(NULL, SA_SIGINFO | SA_NODEFER | SA_ONSTACK, SIGUSR2);
	note_action("siginfo");
	handle(on_signal, (int)(SA_RESTART | SA_RESETHAND), SIGKILL);
	note_action("plain");
	note("signal was own: %d", signal(SIGURG, SIG_IGN) == on_signal);
	note_action("signal");
	note("ignored before: %d", signal(SIGURG, on_signal) == SIG_IGN);
	note_action("signal again");
	note("siginterrupt %d", siginterrupt(SIGURG, 1));
	note_action("interrupts");
	signal(SIGURG, on_signal);
	note_action("signal that interrupts");
	siginterrupt(SIGURG, 0);
	note_action("restarts");
	note("signal of an error: %d %d", signal(SIGURG, SIG_ERR) == SIG_ERR, errno);
	note("sysv: %d", sysv_signal(SIGURG, on_signal) == on_signal);
	note_action("sysv");
	note("sigignore: %d", sigignore(SIGURG));
	note_action("sigignore");
	note("other: %d", signal(SIGUSR1, on_signal) == SIG_DFL);
	raise(SIGUSR1);
}

static void system_v(void)
{
	note("set: %d", sigset(SIGURG, on_signal) == SIG_DFL);
	note_action("set");
	note("hold: %d", sigset(SIGURG, SIG_HOLD) == on_signal);
	note_mask("held");
	raise(SIGURG);
	note_pending("held");
	note("set again: %d", sigset(SIGURG, on_signal) == SIG_HOLD);
	note_mask("let go");
	note("sighold %d", sighold(SIGURG));
	raise(SIGURG);
	note("handled %d", run.handled);
	note("sigrelse %d", sigrelse(SIGURG));
	note("handled %d", run.handled);
	note("hold of held: %d", sigset(SIGURG, SIG_HOLD) == on_signal);
	note("hold of held: %d", sigset(SIGURG, SIG_HOLD) == SIG_HOLD);
}

static void reset_hand(void)
{
	handle(on_signal, (int)SA_RESETHAND, 0);
	raise(SIGURG);
	note_action("after one");
	raise(SIGURG);
	note("handled %d", run.handled);
	sysv_signal(SIGURG, on_signal);
	raise(SIGURG);
	raise(SIGURG);
	note("handled %d", run.handled);
}

/* ---- mask and handler ---- */

static void blocked(void)
{
	handle(NULL, SA_SIGINFO, 0);
	mask(SIG_BLOCK, SIGURG, SIGUSR1);
	raise(SIGURG);
	note_pending("blocked");
	mask(SIG_BLOCK, SIGUSR2, 0);
	mask(SIG_UNBLOCK, SIGUSR1, 0);
	note("handled %d", run.handled);
	mask(SIG_UNBLOCK, SIGURG, 0);
	note("handled %d", run.handled);
	note_pending("unblocked");
	mask(SIG_SETMASK, SIGURG, SIGHUP);
	cr_assert_eq(sigqueue(getpid(), SIGURG, (union sigval){ .sival_int = 7 }), 0);
	cr_assert_eq(kill(getpid(), SIGURG), 0);
	note_pending("queued");
	mask(SIG_SETMASK, SIGHUP, 0);
	note("handled %d", run.handled);
	note_mask("at the end");
	mask(77, SIGURG, 0);
	note("sigprocmask: %d %d", sigprocmask(77, &(sigset_t){ 0 }, NULL), errno);
}

static void ignored_while_blocked(void)
{
	handle(on_signal, 0, 0);
	mask(SIG_BLOCK, SIGURG, 0);
	raise(SIGURG);
	kill(getpid(), SIGURG);
	note_pending("before");
	signal(SIGURG, SIG_IGN);
	note_pending("ignored");
	signal(SIGURG, on_signal);
	mask(SIG_UNBLOCK, SIGURG, 0);
	note("handled %d", run.handled);
}

static void on_nested(int signo)
{
	int depth = run.handled++;

	note("enter %d", depth);
	if (depth == 0) {
		raise(signo);
		note_pending("raised");
	}
	note("leave %d", depth);
}

static void nested(void)
{
	handle(on_nested, 0, SIGUSR1);
	raise(SIGURG);
	run.handled = 0;
	handle(on_nested, SA_NODEFER, SIGUSR1);
	raise(SIGURG);
	mask(SIG_BLOCK, SIGUSR2, 0);
	handle(on_signal, SA_NODEFER, SIGUSR1);
	raise(SIGURG);
	note_mask("at the end");
}

static void on_unblocking(int signo)
{
	int depth = run.handled++;

	note("enter %d", depth);
	if (depth == 0) {
		raise(signo);
		mask(SIG_UNBLOCK, signo, 0);
		mask(SIG_BLOCK, signo, 0);
	}
	note_mask("leave");
}

static void unblocks_itself(void)
{
	handle(on_unblocking, 0, 0);
	raise(SIGURG);
	note_mask("at the end");
}

static void on_other(int signo)
{
	sigset_t all, old;

	raise(SIGURG);
	note_mask("in the other");
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	note_mask("restored");
	note("leave %d, handled %d", signo, run.handled);
}

/* Another signal's handler with ours in its mask. */
static void in_anothers_mask(void)
{
	struct sigaction act = { .sa_handler = on_other, .sa_mask = set_of(SIGURG, 0) };

	handle(on_signal, 0, 0);
	sigaction(SIGUSR1, &act, NULL);
	raise(SIGUSR1);
	note_mask("after it");
	raise(SIGURG);
}

static void on_jumping(int signo)
{
	run.handled++;
	siglongjmp(run.jump, signo);
}

static void jumps_out(void)
{
	handle(on_jumping, 0, SIGUSR1);
	note("jumped with %d", sigsetjmp(run.jump, 1));
	note_mask("after the jump");
	if (run.handled < 3)
		raise(SIGURG);
}

static void on_returning(int signo, siginfo_t *info, void *context)
{
	(void)info;
	sigaddset(&((ucontext_t *)context)->uc_sigmask, signo);
	run.handled++;
}

static void returns_blocked(void)
{
	struct sigaction act = { .sa_sigaction = on_returning, .sa_flags = SA_SIGINFO };

	sigaction(SIGURG, &act, NULL);
	raise(SIGURG);
	note_mask("after it");
	raise(SIGURG);
	note("handled %d", run.handled);
	mask(SIG_UNBLOCK, SIGURG, 0);
	note("handled %d", run.handled);
}

/* ---- taking ---- */

static void note_info(const char *where, int taken, const siginfo_t *info)
{
	int error = errno;

	if (taken > 0)
		note("%s: %d, code %d", where, taken, info->si_code);
	else
		note("%s: %d, error %d", where, taken, error);
}

static void waits(void)
{
	const struct timespec at_once = { 0, 0 }, soon = { 0, 20000000 };
	sigset_t set = set_of(SIGURG, SIGUSR1), full;
	siginfo_t info;
	int signo = 0;

	mask(SIG_BLOCK, SIGURG, SIGUSR1);
	note_info("none", sigtimedwait(&set, &info, &at_once), &info);
	note_info("none soon", sigtimedwait(&set, &info, &soon), &info);
	raise(SIGURG);
	note_info("raised", sigwaitinfo(&set, &info), &info);
	sigqueue(getpid(), SIGURG, (union sigval){ .sival_int = 5 });
	note_info("queued", sigtimedwait(&set, &info, &soon), &info);
	note("value %d", info.si_value.sival_int);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGURG);
	note("sigwait %d", sigwait(&set, &signo));
	note("took %d", signo);
	note_pending("one left");
	sigfillset(&full);
	note("sigwait %d", sigwait(&full, &signo));
	note("took %d", signo);
	note_pending("none left");
	note_mask("unchanged");
	note_info("bad time", sigtimedwait(&set, &info, &(struct timespec){ 0, -1 }), &info);
}

static void *wait_in_thread(void *argument)
{
	sigset_t set;
	int signo = 0;

	(void)argument;
	sigfillset(&set);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(sigwait(&set, &signo), 0);
		note("thread took %d", signo);
		cr_assert_eq(write(run.pipe[1], "", 1), 1);
	}
	return NULL;
}

/* The classic daemon: everything blocked, one thread takes all signals. */
static void waits_in_a_thread(void)
{
	static const int signals[] = { SIGURG, SIGTERM, SIGURG };
	sigset_t full;
	pthread_t thread;
	char byte;

	cr_assert_eq(pipe(run.pipe), 0);
	sigfillset(&full);
	pthread_sigmask(SIG_BLOCK, &full, NULL);
	thread = spawn(NULL, wait_in_thread, NULL);
	for (size_t i = 0; i < PROF_COUNT(signals); i++) {
		kill(getpid(), signals[i]);
		cr_assert_eq(read(run.pipe[0], &byte, 1), 1);
	}
	pthread_join(thread, NULL);
	note_pending("nothing");
}

static void *take_here(void *argument)
{
	(void)argument;
	note_pending("in the thread");
	mask(SIG_UNBLOCK, SIGURG, 0);
	note("handled %d", run.handled);
	return NULL;
}

/* One sent to the process goes to whoever unblocks it. */
static void taken_by_another_thread(void)
{
	handle(NULL, SA_SIGINFO, 0);
	mask(SIG_BLOCK, SIGURG, 0);
	kill(getpid(), SIGURG);
	note_pending("in main");
	pthread_join(spawn(NULL, take_here, NULL), NULL);
	note_pending("in main again");
	raise(SIGURG);
	pthread_join(spawn(NULL, take_here, NULL), NULL);
	note_pending("main's own");
}

/* ---- waiting with a mask ---- */

static int wait_suspend(const sigset_t *set)
{
	return sigsuspend(set);
}

static int wait_ppoll(const sigset_t *set)
{
	return ppoll(NULL, 0, &(struct timespec){ 0, 1000000 }, set);
}

static int wait_pselect(const sigset_t *set)
{
	return pselect(0, NULL, NULL, NULL, &(struct timespec){ 0, 1000000 }, set);
}

static int wait_epoll(const sigset_t *set)
{
	int fd = epoll_create1(0), result, error;
	struct epoll_event event;

	result = epoll_pwait(fd, &event, 1, 1, set);
	error = errno;
	close(fd);
	errno = error;
	return result;
}

static int wait_epoll2(const sigset_t *set)
{
	int fd = epoll_create1(0), result, error;
	struct epoll_event event;

	result = epoll_pwait2(fd, &event, 1, &(struct timespec){ 0, 1000000 }, set);
	error = errno;
	close(fd);
	errno = error;
	return result;
}

static void masked_wait(int (*wait)(const sigset_t *), bool ends)
{
	sigset_t usr2 = set_of(SIGUSR2, 0), both = set_of(SIGUSR2, SIGURG);
	int result;

	handle(on_signal, SA_RESTART, SIGHUP);
	mask(SIG_BLOCK, SIGURG, SIGUSR1);
	raise(SIGURG);
	result = wait(&usr2);
	note("pending: %d %d, handled %d", result, result < 0 ? errno : 0, run.handled);
	note_mask("afterwards");
	note_pending("afterwards");
	if (!ends)
		return;
	raise(SIGURG);
	result = wait(&both);
	note("blocked: %d, handled %d", result, run.handled);
	result = wait(NULL);
	note("no mask: %d, handled %d", result, run.handled);
	mask(SIG_SETMASK, SIGUSR1, 0);
	note("handled %d", run.handled);
	result = wait(&both);
	note("blocks for its time: %d", result);
	result = wait(&usr2);
	note("nothing to do with us: %d", result);
	note_mask("at the end");
}

static void suspends(void)
{
	masked_wait(wait_suspend, false);
}

static void polls(void)
{
	masked_wait(wait_ppoll, true);
}

static void selects(void)
{
	masked_wait(wait_pselect, true);
}

static void waits_for_epoll(void)
{
	masked_wait(wait_epoll, true);
	run.handled = 0;
	masked_wait(wait_epoll2, true);
}

static void pauses(void)
{
	handle(on_signal, 0, 0);
	mask(SIG_BLOCK, SIGURG, SIGUSR1);
	raise(SIGURG);
	note("sigpause %d", sigpause(SIGURG));
	note("errno %d handled %d", errno, run.handled);
	note_mask("afterwards");
}

/* ---- system calls, processes ---- */

static void on_count(int signo)
{
	(void)signo;
	run.handled++;
}

struct interrupter {
	pthread_t victim;
	_Atomic bool done;
};

/* Again and again: nobody can know when the victim is in its read. */
static void *interrupt_until_done(void *argument)
{
	struct interrupter *interrupter = argument;

	while (!interrupter->done) {
		pthread_kill(interrupter->victim, SIGURG);
		usleep(1000);
	}
	return NULL;
}

static void *interrupt_thrice(void *argument)
{
	struct interrupter *interrupter = argument;

	while (run.handled < 3) {
		pthread_kill(interrupter->victim, SIGURG);
		usleep(1000);
	}
	cr_assert_eq(write(run.pipe[1], "", 1), 1);
	return NULL;
}

static void interrupts(void)
{
	struct interrupter interrupter = { .victim = pthread_self() };
	pthread_t thread;
	ssize_t got;
	char byte;

	cr_assert_eq(pipe(run.pipe), 0);
	handle(on_count, 0, 0);
	thread = spawn(NULL, interrupt_until_done, &interrupter);
	got = read(run.pipe[0], &byte, 1);
	note("without SA_RESTART: %d %d", (int)got, got < 0 ? errno : 0);
	interrupter.done = true;
	pthread_join(thread, NULL);

	run.handled = 0;
	handle(on_count, SA_RESTART, 0);
	thread = spawn(NULL, interrupt_thrice, &interrupter);
	got = read(run.pipe[0], &byte, 1);
	note("with SA_RESTART: %d", (int)got);
	pthread_join(thread, NULL);
}

static void threads_inherit(void)
{
	pthread_attr_t attr;
	sigset_t set = set_of(SIGURG, SIGUSR1);

	pthread_join(spawn(NULL, note_thread, "unblocked"), NULL);
	pthread_attr_init(&attr);
	pthread_attr_setsigmask_np(&attr, &set);
	pthread_join(spawn(&attr, note_thread, "by attribute"), NULL);
	mask(SIG_BLOCK, SIGURG, SIGUSR2);
	pthread_join(spawn(NULL, note_thread, "blocked"), NULL);
	sigemptyset(&set);
	pthread_attr_setsigmask_np(&attr, &set);
	pthread_join(spawn(&attr, note_thread, "unblocked by attribute"), NULL);
	pthread_attr_destroy(&attr);
}

static void end_of(const char *where, pid_t child)
{
	int status = -1;

	cr_assert_eq(waitpid(child, &status, 0), child);
	note("%s: child ended with %x", where, (unsigned)status);
}

static void forks(void)
{
	pid_t child;

	handle(on_signal, 0, 0);
	mask(SIG_BLOCK, SIGURG, 0);
	raise(SIGURG);
	child = fork();
	if (child == 0) {
		if (run.taken)
			signals_after_fork();
		note_mask("child");
		note_pending("child");
		raise(SIGURG);
		mask(SIG_UNBLOCK, SIGURG, 0);
		_exit(run.handled);
	}
	end_of("fork", child);
	note_pending("parent");
}

/* A child that will not be profiled goes on without us. */
static void forks_and_stops(void)
{
	pid_t child;

	handle(NULL, SA_SIGINFO, SIGUSR1);
	mask(SIG_BLOCK, SIGURG, 0);
	child = fork();
	if (child == 0) {
		if (run.taken) {
			signals_after_fork();
			raise(SIGURG);
			signals_stop();
			run.taken = false;
		} else {
			raise(SIGURG);
		}
		note_action("child");
		note_mask("child");
		note_pending("child");
		mask(SIG_UNBLOCK, SIGURG, 0);
		_exit(run.handled);
	}
	end_of("fork", child);
}

/* SigPnd, SigBlk, SigIgn of the new program. */
static void exec_status(const char *path)
{
	char command[64];

	snprintf(command, sizeof(command), "exec grep -E 'Sig(Pnd|Blk|Ign)' /proc/self/status >&%d",
		 run.log);
	if (run.taken)
		signals_exec_begin();
	execl(path, "sh", "-c", command, NULL);
	if (run.taken)
		signals_exec_failed();
}

static void exec_in_child(bool fails_first)
{
	pid_t child = fork();

	if (child == 0) {
		if (run.taken)
			signals_after_fork();
		if (fails_first) {
			exec_status("/nonexistent/sh");
			note_mask("failed");
			note_action("failed");
		}
		raise(SIGURG);
		exec_status("/bin/sh");
		_exit(1);
	}
	end_of("exec", child);
}

static void execs(void)
{
	handle(on_signal, 0, 0);
	exec_in_child(false);
	exec_in_child(true);
	mask(SIG_BLOCK, SIGURG, 0);
	exec_in_child(false);
	exec_in_child(true);
	mask(SIG_UNBLOCK, SIGURG, 0);
	signal(SIGURG, SIG_IGN);
	exec_in_child(true);
}

static void ignores_by_default(void)
{
	raise(SIGURG);
	kill(getpid(), SIGURG);
	mask(SIG_BLOCK, SIGURG, 0);
	kill(getpid(), SIGURG);
	note_pending("default");
	mask(SIG_UNBLOCK, SIGURG, 0);
	note_pending("gone");
}

/* ---- both runs ---- */

static int run_child(void (*scenario)(void), bool taken, int log)
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

static size_t run_scenario(void (*scenario)(void), bool taken, char *text, size_t capacity)
{
	FILE *file = tmpfile();
	size_t length;
	int status = run_child(scenario, taken, dup(fileno(file)));

	rewind(file);
	length = fread(text, 1, capacity - 64, file);
	fclose(file);
	return length + (size_t)sprintf(text + length, "ended with %x\n", (unsigned)status);
}

static void same_in_both(void (*scenario)(void))
{
	static char plain[32768], taken[32768];

	run_scenario(scenario, false, plain, sizeof(plain));
	run_scenario(scenario, true, taken, sizeof(taken));
	cr_expect(strstr(plain, "ended with 0\n"), "plain libc:\n%s", plain);
	cr_expect_str_eq(taken, plain, "plain libc:\n%s\nwith the signal taken:\n%s", plain, taken);
}

#define SAME(scenario)                      \
	Test(signals_calls, scenario)       \
	{                                   \
		same_in_both(scenario);     \
	}

SAME(actions)
SAME(system_v)
SAME(reset_hand)
SAME(blocked)
SAME(ignored_while_blocked)
SAME(nested)
SAME(unblocks_itself)
SAME(in_anothers_mask)
SAME(jumps_out)
SAME(returns_blocked)
SAME(waits)
SAME(waits_in_a_thread)
SAME(taken_by_another_thread)
SAME(suspends)
SAME(polls)
SAME(selects)
SAME(waits_for_epoll)
SAME(pauses)
SAME(interrupts)
SAME(threads_inherit)
SAME(forks)
SAME(forks_and_stops)
SAME(execs)
SAME(ignores_by_default)
