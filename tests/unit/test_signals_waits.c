/*
 * test_signals_waits.c - signals taken by waiting for them, and calls that wait with a mask.
 */
#include "twin.h"

#include "real.h"
#include "signals_state.h"

#include <semaphore.h>
#include <sys/time.h>

void __real_signals_wait_begin(void);
void __wrap_signals_wait_begin(void);

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
	raise(SIGUSR1);
	raise(SIGURG);
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

/* ---- a tick comes first, where it is blocked: the kernel drops all others of its kind ---- */

static bool ticks_first;
static sem_t waits_now, was_sent;
static int (*libc_sigtimedwait)(const sigset_t *, siginfo_t *, const struct timespec *);

void __wrap_signals_wait_begin(void)
{
	__real_signals_wait_begin();
	if (ticks_first)
		tick();
}

static void waits_behind_a_tick(void)
{
	sigset_t set = set_of(SIGURG, SIGUSR1);
	siginfo_t info;
	int signo = 0;

	ticks_first = true;
	mask(SIG_BLOCK, SIGURG, SIGUSR1);
	raise(SIGURG);
	note_info("raised", sigwaitinfo(&set, &info), &info);
	kill(getpid(), SIGURG);
	note_info("killed", sigwaitinfo(&set, &info), &info);
	raise(SIGUSR1);
	raise(SIGURG);
	note("sigwait %d", sigwait(&set, &signo));
	note("took %d", signo);
	note("sigwait %d", sigwait(&set, &signo));
	note("took %d", signo);
	note_pending("none left");
}

/* What is held is not taken: the kernel looks at the time first. */
static void waits_for_no_time(void)
{
	static const struct timespec times[] = { { 0, 1000000000 }, { 0, -1 }, { -1, 0 } };
	sigset_t set = set_of(SIGURG, 0);
	siginfo_t info;

	mask(SIG_BLOCK, SIGURG, 0);
	raise(SIGURG);
	for (size_t i = 0; i < 3; i++) {
		note("sigtimedwait %d", sigtimedwait(&set, &info, &times[i]));
		note("errno %d", errno);
	}
	note_pending("still there");
}

static int wait_after_all(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
	tick();
	sem_post(&waits_now);
	sem_wait(&was_sent);
	real.sigtimedwait = libc_sigtimedwait;
	return libc_sigtimedwait(set, info, timeout);
}

static void *wait_behind_a_tick(void *argument)
{
	sigset_t set = set_of(SIGURG, 0);
	int signo = 0;

	(void)argument;
	if (run.taken) {
		libc_sigtimedwait = real.sigtimedwait;
		real.sigtimedwait = wait_after_all;
	} else {
		sem_post(&waits_now);
	}
	note("sigwait %d", sigwait(&set, &signo));
	note("took %d", signo);
	return NULL;
}

/* It is sent when the thread has looked, and not yet begun to wait. */
static void sent_behind_a_tick(void)
{
	pthread_t thread;

	sem_init(&waits_now, 0, 0);
	sem_init(&was_sent, 0, 0);
	mask(SIG_BLOCK, SIGURG, 0);
	thread = spawn(NULL, wait_behind_a_tick, NULL);
	sem_wait(&waits_now);
	kill(getpid(), SIGURG);
	sem_post(&was_sent);
	pthread_join(thread, NULL);
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

static void on_alarm(int signo)
{
	note("signal %d", signo);
}

/* What is pending when a call lets it through ends the call; a tick does not. */
static void waits_in_spite_of_a_tick(void)
{
	int (*const calls[])(const sigset_t *) = { wait_suspend, wait_ppoll, wait_pselect,
						   wait_epoll, wait_epoll2 };
	const struct itimerval soon = { .it_value = { 0, 20000 } };
	const uint64_t bit = UINT64_C(1) << (SIGURG - 1);
	sigset_t none;

	sigemptyset(&none);
	signal(SIGALRM, on_alarm);
	for (unsigned i = 0; i < PROF_COUNT(calls); i++) {
		for (int is_handled = 0; is_handled < 2; is_handled++) {
			mask(SIG_BLOCK, SIGALRM, is_handled ? 0 : SIGURG);
			signal(SIGURG, is_handled ? on_signal : SIG_DFL);
			os_sigmask(SIG_BLOCK, &bit, NULL);
			if (run.taken)
				tick();
			if (calls[i] == wait_suspend)
				setitimer(ITIMER_REAL, &soon, NULL);
			note("call %u: %d", i, calls[i](&none));
			os_sigmask(SIG_UNBLOCK, &bit, NULL);
			mask(SIG_SETMASK, SIGUSR2, 0);
		}
	}
}

SAME(signals_waits, waits)
SAME(signals_waits, waits_in_a_thread)
SAME(signals_waits, waits_behind_a_tick)
SAME(signals_waits, waits_for_no_time)
SAME(signals_waits, sent_behind_a_tick)
SAME(signals_waits, taken_by_another_thread)
SAME(signals_waits, suspends)
SAME(signals_waits, polls)
SAME(signals_waits, selects)
SAME(signals_waits, waits_for_epoll)
SAME(signals_waits, pauses)
SAME(signals_waits, waits_in_spite_of_a_tick)
