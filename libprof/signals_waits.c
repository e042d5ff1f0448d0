/*
 * signals_waits.c - the interposed calls that wait for signals, or with a mask of their own.
 *
 *   taking        sigwait sigwaitinfo sigtimedwait sigpending
 *   waiting       sigsuspend sigpause ppoll pselect epoll_pwait epoll_pwait2: a mask for one call
 *
 * In none of them the program meets a tick: one that is taken is ours, and one that ends the call is no
 * reason to return.
 */
#include "os.h"
#include "real.h"
#include "signals_state.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)

/* Declared by no header, or only for programs of another standard. */
int __sigpause(int sig_or_mask, int is_signo);
int signals_bsd_sigpause(int mask) __asm__("sigpause");
int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		const sigset_t *mask, size_t fds_bytes);

/* A call that waits with a mask of its own. */
struct wait {
	struct signals_thread *self; /* NULL: not profiled, or no mask */
	const struct timespec *timeout; /* of the next try, NULL: none */
	struct timespec left;
	uint64_t end_ns;
	bool is_masked; /* there is something to be undone */
	bool was_waiting; /* in a handler, out of such a call */
	bool was_blocked; /* virtually */
	bool was_kernel_blocked;
};

static int call_suspend_without(int sig_or_mask, bool is_signo);
static int call_wait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout);
static int call_take(struct signals_thread *self, const sigset_t *set, siginfo_t *info);
static bool call_pending(void);
static void call_time_left(struct timespec *left, uint64_t end_ns);
static uint64_t call_end_ns(const struct timespec *timeout);
static struct wait call_begin(const sigset_t *mask, const struct timespec *timeout);
static bool call_again(struct wait *wait, int result);
static int call_timeout_ms(const struct timespec *timeout);
static void call_end(const struct wait *wait);

/* ---- taking ---- */

PROF_EXPORT int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
	if (!signals_self() || sigismember(set, signals_number()) != 1)
		return real_get()->sigtimedwait(set, info, timeout);
	return call_wait(set, info, timeout);
}

PROF_EXPORT int sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
	if (!signals_self() || sigismember(set, signals_number()) != 1)
		return real_get()->sigwaitinfo(set, info);
	return call_wait(set, info, NULL);
}

PROF_EXPORT int sigwait(const sigset_t *set, int *signo)
{
	int taken;

	if (!signals_self() || sigismember(set, signals_number()) != 1)
		return real_get()->sigwait(set, signo);
	do
		taken = call_wait(set, NULL, NULL);
	while (taken < 0 && errno == EINTR);
	if (taken < 0)
		return errno;
	*signo = taken;
	return 0;
}

PROF_EXPORT int sigpending(sigset_t *set)
{
	struct signals_thread *self = signals_self();
	int result = real_get()->sigpending(set);

	if (!self || result != 0)
		return result;
	if (signals_pending(self) || (sigismember(set, signals_number()) == 1 && call_pending()))
		sigaddset(set, signals_number());
	else
		sigdelset(set, signals_number());
	return 0;
}

/* ---- waiting with a mask ---- */

PROF_EXPORT int sigsuspend(const sigset_t *mask)
{
	struct wait wait = call_begin(mask, NULL);
	int result;

	do
		result = real_get()->sigsuspend(mask);
	while (call_again(&wait, result));
	call_end(&wait);
	return result;
}

/* As X/Open has it; the BSD one, with a mask, is below. */
PROF_EXPORT int sigpause(int signo)
{
	return signals_self() ? call_suspend_without(signo, true) :
				real_get()->__sigpause(signo, 1);
}

PROF_EXPORT int signals_bsd_sigpause(int mask)
{
	return signals_self() ? call_suspend_without(mask, false) : real_get()->__sigpause(mask, 0);
}

PROF_EXPORT int __sigpause(int sig_or_mask, int is_signo)
{
	return signals_self() ? call_suspend_without(sig_or_mask, is_signo != 0) :
				real_get()->__sigpause(sig_or_mask, is_signo);
}

PROF_EXPORT int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		      const sigset_t *mask)
{
	struct wait wait = call_begin(mask, timeout);
	int result;

	do
		result = real_get()->ppoll(fds, count, wait.timeout, mask);
	while (call_again(&wait, result));
	call_end(&wait);
	return result;
}

PROF_EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
			    const sigset_t *mask, size_t fds_bytes)
{
	struct wait wait = call_begin(mask, timeout);
	int result;

	do
		result = real_get()->__ppoll_chk(fds, count, wait.timeout, mask, fds_bytes);
	while (call_again(&wait, result));
	call_end(&wait);
	return result;
}

PROF_EXPORT int pselect(int count, fd_set *reads, fd_set *writes, fd_set *excepts,
			const struct timespec *timeout, const sigset_t *mask)
{
	struct wait wait = call_begin(mask, timeout);
	int result;

	do
		result = real_get()->pselect(count, reads, writes, excepts, wait.timeout, mask);
	while (call_again(&wait, result));
	call_end(&wait);
	return result;
}

PROF_EXPORT int epoll_pwait(int fd, struct epoll_event *events, int count, int timeout_ms,
			    const sigset_t *mask)
{
	struct timespec timeout = { timeout_ms / 1000, timeout_ms % 1000 * 1000000L };
	struct wait wait = call_begin(mask, timeout_ms < 0 ? NULL : &timeout);
	int result;

	do
		result = real_get()->epoll_pwait(fd, events, count, call_timeout_ms(wait.timeout),
						 mask);
	while (call_again(&wait, result));
	call_end(&wait);
	return result;
}

PROF_EXPORT int epoll_pwait2(int fd, struct epoll_event *events, int count,
			     const struct timespec *timeout, const sigset_t *mask)
{
	const struct real *next = real_get();
	struct wait wait;
	int result;

	if (!next->epoll_pwait2) {
		errno = ENOSYS;
		return -1;
	}
	wait = call_begin(mask, timeout);
	do
		result = next->epoll_pwait2(fd, events, count, wait.timeout, mask);
	while (call_again(&wait, result));
	call_end(&wait);
	return result;
}

/* ---- how ---- */

static int call_suspend_without(int sig_or_mask, bool is_signo)
{
	sigset_t set;

	if (is_signo) {
		sigprocmask(SIG_BLOCK, NULL, &set);
		if (sigdelset(&set, sig_or_mask) != 0)
			return -1;
	} else {
		uint32_t low = (uint32_t)sig_or_mask;

		sigemptyset(&set);
		memcpy(&set, &low, sizeof(low));
	}
	return sigsuspend(&set);
}

/*
 * For the time of the wait our signal is blocked in the kernel, which then keeps what arrives between
 * the look at what is held and the wait itself. Ticks that are taken this way are not the program's; but
 * the kernel keeps one of a kind, so that behind each there may have been a wake.
 */
static int call_wait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
	struct signals_thread *self = signals_self();
	uint64_t bit = signals_bit(), before = 0, end_ns = call_end_ns(timeout);
	struct timespec left = timeout ? *timeout : (struct timespec){ 0, 0 };
	siginfo_t taken;
	int result = 0;

	/* EINVAL, whatever is pending. */
	if (timeout && (timeout->tv_sec < 0 || (unsigned long)timeout->tv_nsec >= SECOND_NS))
		return real_get()->sigtimedwait(set, info, timeout);
	os_sigmask(SIG_BLOCK, &bit, &before);
	signals_wait_begin();
	do {
		if (timeout && result == signals_number())
			call_time_left(&left, end_ns);
		result = call_take(self, set, &taken);
		if (!result)
			result = real_get()->sigtimedwait(set, &taken, timeout ? &left : NULL);
	} while (result == signals_number() && signals_tick(&taken));
	signals_wait_end();
	if (!(before & bit))
		os_sigmask(SIG_UNBLOCK, &bit, NULL);
	if (result > 0 && info)
		*info = taken;
	return result;
}

/*
 * What is held, or what the kernel has that comes before it: the least number is taken first. Not by way of the
 * kernel, which would drop it where a tick is pending. 0: nothing is held.
 */
static int call_take(struct signals_thread *self, const sigset_t *set, siginfo_t *info)
{
	const struct timespec at_once = { 0, 0 };
	sigset_t first;
	int result;

	if (!signals_pending(self))
		return 0;
	sigemptyset(&first);
	for (int signo = 1; signo <= signals_number(); signo++) {
		if (sigismember(set, signo) == 1)
			sigaddset(&first, signo);
	}
	result = real_get()->sigtimedwait(&first, info, &at_once);
	if (result > 0)
		return result;
	if (!signals_take(self, info))
		return 0;
	/* As libc tells of those that it takes. */
	if (info->si_code == SI_TKILL)
		info->si_code = SI_USER;
	return signals_number();
}

/*
 * The kernel has our signal pending, because a handler blocks it there. A tick is taken; the
 * program's is put back.
 */
static bool call_pending(void)
{
	const struct timespec at_once = { 0, 0 };
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signals_number());
	if (real_get()->sigtimedwait(&set, &info, &at_once) != signals_number() ||
	    signals_tick(&info))
		return false;
	if (os_tgqueue(os_gettid(), signals_number(), &info) != 0)
		os_tgkill(os_gettid(), signals_number());
	return true;
}

/* UINT64_MAX: never, or in centuries. */
static uint64_t call_end_ns(const struct timespec *timeout)
{
	if (!timeout || timeout->tv_sec < 0 || (uint64_t)timeout->tv_sec > UINT32_MAX)
		return UINT64_MAX;
	return os_monotonic_ns() + (uint64_t)timeout->tv_sec * SECOND_NS +
	       (uint64_t)timeout->tv_nsec;
}

/* None left: a wait of no length still takes what is pending. */
static void call_time_left(struct timespec *left, uint64_t end_ns)
{
	uint64_t now_ns = os_monotonic_ns();
	uint64_t left_ns = end_ns > now_ns ? end_ns - now_ns : 0;

	left->tv_sec = (time_t)(left_ns / SECOND_NS);
	left->tv_nsec = (long)(left_ns % SECOND_NS);
}

/*
 * From here until the kernel has put the call's own mask in place our signal is blocked there, so that
 * the call itself is what it interrupts. Nobody who handles it, and nothing changed: a straight pass.
 */
static struct wait call_begin(const sigset_t *mask, const struct timespec *timeout)
{
	struct wait wait = { .self = mask ? signals_self() : NULL, .timeout = timeout };
	uint64_t bit = signals_bit(), before = 0, waiting_mask;

	if (!wait.self)
		return wait;
	wait.was_waiting = atomic_exchange(&wait.self->is_waiting, true);
	wait.end_ns = call_end_ns(timeout);
	atomic_store_explicit(&wait.self->cut_short, false, memory_order_relaxed);
	wait.was_blocked = atomic_load_explicit(&wait.self->blocked, memory_order_relaxed);
	wait.is_masked = wait.was_blocked || signals_handled() ||
			 sigismember(mask, signals_number()) == 1;
	if (!wait.is_masked)
		return wait;
	os_sigmask(SIG_BLOCK, &bit, &before);
	wait.was_kernel_blocked = before & bit;
	memcpy(&waiting_mask, mask, sizeof(waiting_mask));
	atomic_store_explicit(&wait.self->waiting_mask, waiting_mask, memory_order_relaxed);
	signals_set_blocked(wait.self, false);
	return wait;
}

/*
 * A tick that came while our signal was blocked, here or in a handler of the program, is let through by
 * the call's own mask, and ends it: no business of the program's, it waits on for the rest of its time.
 */
static bool call_again(struct wait *wait, int result)
{
	if (result >= 0 || errno != EINTR || !wait->self ||
	    !atomic_load_explicit(&wait->self->cut_short, memory_order_relaxed))
		return false;
	atomic_store_explicit(&wait->self->cut_short, false, memory_order_relaxed);
	if (wait->timeout) {
		call_time_left(&wait->left, wait->end_ns);
		wait->timeout = &wait->left;
	}
	return true;
}

/* Never less than what is left. */
static int call_timeout_ms(const struct timespec *timeout)
{
	return timeout ? (int)(timeout->tv_sec * 1000 + (timeout->tv_nsec + 999999) / 1000000) : -1;
}

/* Keeps errno: it is the call's. */
static void call_end(const struct wait *wait)
{
	uint64_t bit = signals_bit();

	if (wait->self)
		atomic_store(&wait->self->is_waiting, wait->was_waiting);
	if (!wait->is_masked)
		return;
	atomic_store_explicit(&wait->self->blocked, wait->was_blocked, memory_order_relaxed);
	if (!wait->was_kernel_blocked)
		os_sigmask(SIG_UNBLOCK, &bit, NULL);
}
