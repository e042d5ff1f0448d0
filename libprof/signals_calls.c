/*
 * signals_calls.c - the interposed calls: what the program does with signals, with ours made virtual.
 *
 *   disposition   sigaction signal sysv_signal sigset sigignore siginterrupt
 *   mask          pthread_sigmask sigprocmask sighold sigrelse sigset
 *   where         signalfd; sigaltstack: ours is to run where it has room
 *
 * Each first asks whether it is about our signal, in a profiled thread of our process; if not, it is a
 * straight pass to libc.  The semantics of the old calls are those of glibc's manual.
 */
#include "log.h"
#include "os.h"
#include "real.h"
#include "signals_state.h"
#include "text.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/signalfd.h>

/* Declared by no header, or only for programs of another standard. */
sighandler_t bsd_signal(int signo, sighandler_t handler);

static struct {
	_Atomic bool interrupts; /* siginterrupt(3) was told so, for signal() to come */
	_Atomic bool has_said; /* that a signalfd gets none */
} calls;

static sighandler_t call_signal(int signo, sighandler_t handler, int flags, bool masks_itself);
static int call_mask(struct signals_thread *self, int how, const sigset_t *set, sigset_t *old);
static bool call_was_blocked(struct signals_thread *self);
static void call_born(struct signals_thread *self, int how, const sigset_t *set);
static void call_say_missing(void);
static int call_mask_one(int how, int signo);

/* ---- disposition ---- */

PROF_EXPORT int sigaction(int signo, const struct sigaction *act, struct sigaction *old)
{
	if (!signals_own(signo))
		return real_get()->sigaction(signo, act, old);
	signals_disposition(act, old);
	return 0;
}

PROF_EXPORT sighandler_t signal(int signo, sighandler_t handler)
{
	if (!signals_own(signo) || handler == SIG_ERR)
		return real_get()->signal(signo, handler);
	return call_signal(signo, handler, atomic_load(&calls.interrupts) ? 0 : SA_RESTART, true);
}

PROF_EXPORT sighandler_t bsd_signal(int signo, sighandler_t handler)
{
	return signal(signo, handler);
}

PROF_EXPORT sighandler_t ssignal(int signo, sighandler_t handler)
{
	return signal(signo, handler);
}

PROF_EXPORT sighandler_t sysv_signal(int signo, sighandler_t handler)
{
	if (!signals_own(signo) || handler == SIG_ERR)
		return real_get()->sysv_signal(signo, handler);
	return call_signal(signo, handler, (int)SA_RESETHAND | SA_NODEFER | SA_INTERRUPT, false);
}

PROF_EXPORT sighandler_t __sysv_signal(int signo, sighandler_t handler)
{
	return sysv_signal(signo, handler);
}

PROF_EXPORT sighandler_t sigset(int signo, sighandler_t handler)
{
	sighandler_t old;
	bool was_blocked;

	if (!signals_own(signo) || handler == SIG_ERR)
		return real_get()->sigset(signo, handler);
	if (handler == SIG_HOLD) {
		struct sigaction act;

		was_blocked = call_mask_one(SIG_BLOCK, signo);
		signals_disposition(NULL, &act);
		return was_blocked ? SIG_HOLD : act.sa_handler;
	}
	old = call_signal(signo, handler, 0, false);
	was_blocked = call_mask_one(SIG_UNBLOCK, signo);
	return was_blocked ? SIG_HOLD : old;
}

PROF_EXPORT int sigignore(int signo)
{
	if (!signals_own(signo))
		return real_get()->sigignore(signo);
	call_signal(signo, SIG_IGN, 0, false);
	return 0;
}

PROF_EXPORT int siginterrupt(int signo, int interrupts)
{
	struct sigaction act;

	if (!signals_own(signo))
		return real_get()->siginterrupt(signo, interrupts);
	atomic_store(&calls.interrupts, interrupts != 0);
	signals_disposition(NULL, &act);
	act.sa_flags &= ~SA_RESTART;
	act.sa_flags |= interrupts ? 0 : SA_RESTART;
	signals_disposition(&act, NULL);
	return 0;
}

/* ---- mask ---- */

PROF_EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	struct signals_thread *self = signals_self();

	if (!self)
		return real_get()->pthread_sigmask(how, set, old);
	return call_mask(self, how, set, old);
}

PROF_EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	struct signals_thread *self = signals_self();
	int error;

	if (!self)
		return real_get()->sigprocmask(how, set, old);
	error = call_mask(self, how, set, old);
	if (!error)
		return 0;
	errno = error;
	return -1;
}

PROF_EXPORT int sighold(int signo)
{
	if (!signals_own(signo))
		return real_get()->sighold(signo);
	call_mask_one(SIG_BLOCK, signo);
	return 0;
}

PROF_EXPORT int sigrelse(int signo)
{
	if (!signals_own(signo))
		return real_get()->sigrelse(signo);
	call_mask_one(SIG_UNBLOCK, signo);
	return 0;
}

/* ---- where ---- */

PROF_EXPORT int signalfd(int fd, const sigset_t *mask, int flags)
{
	sigset_t kept;

	if (!signals_own(signals_number()))
		return real_get()->signalfd(fd, mask, flags);
	if (sigismember(mask, signals_number()) == 1 && sigismember(mask, SIGSTKFLT) != 1)
		call_say_missing();
	/* It would read our ticks, wherever they wait. */
	kept = *mask;
	sigdelset(&kept, signals_number());
	return real_get()->signalfd(fd, &kept, flags);
}

/* No tick may come between the new stack and our knowing of it. */
PROF_EXPORT int sigaltstack(const stack_t *stack, stack_t *old)
{
	uint64_t bit = signals_bit(), before = 0;
	int result;

	if (!stack)
		return real_get()->sigaltstack(stack, old);
	os_sigmask(SIG_BLOCK, &bit, &before);
	result = real_get()->sigaltstack(stack, old);
	if (result == 0 && !(stack->ss_flags & SS_DISABLE))
		signals_meet_stack(stack->ss_size);
	if (!(before & bit))
		os_sigmask(SIG_UNBLOCK, &bit, NULL);
	return result;
}

/* ---- how ---- */

static sighandler_t call_signal(int signo, sighandler_t handler, int flags, bool masks_itself)
{
	struct sigaction act, old;

	memset(&act, 0, sizeof(act));
	act.sa_handler = handler;
	act.sa_flags = flags;
	if (masks_itself)
		sigaddset(&act.sa_mask, signo);
	signals_disposition(&act, &old);
	return old.sa_handler;
}

/*
 * The virtual bit is set before the kernel's mask changes and cleared after it, so that nothing gets
 * through that the program may not see. 0 or an error number.
 */
static int call_mask(struct signals_thread *self, int how, const sigset_t *set, sigset_t *old)
{
	int signo = signals_number(), error;
	bool was_blocked = call_was_blocked(self);
	bool names_it = set && sigismember(set, signo) == 1;
	bool blocks = names_it && (how == SIG_BLOCK || how == SIG_SETMASK);
	bool unblocks = set &&
			((how == SIG_SETMASK && !names_it) || (how == SIG_UNBLOCK && names_it));
	uint64_t bit = signals_bit();
	sigset_t kernel_set, kernel_old;

	if (set) {
		kernel_set = *set;
		if (blocks) {
			sigdelset(&kernel_set, signo);
			signals_set_blocked(self, true);
		}
	}
	error = real_get()->pthread_sigmask(how, set ? &kernel_set : NULL, &kernel_old);
	if (error)
		return error; /* for a `how` that there is not: nothing has been changed */
	call_born(self, how, set);
	if (blocks && !was_blocked && sigismember(&kernel_old, signo) == 1) {
		/* In a handler with our signal in its mask: left to the kernel, as the return undoes it. */
		os_sigmask(SIG_BLOCK, &bit, NULL);
		signals_set_blocked(self, false);
	} else if (unblocks) {
		signals_set_blocked(self, false);
	}
	if (old) {
		*old = kernel_old;
		if (was_blocked)
			sigaddset(old, signo);
	}
	return 0;
}

/* As it is now: a thread that was born with signals blocked may have changed that past libc. */
static bool call_was_blocked(struct signals_thread *self)
{
	uint64_t kernel_mask;

	if (self->born_mask) {
		os_sigmask(SIG_BLOCK, NULL, &kernel_mask);
		signals_meet_mask(self, kernel_mask);
	}
	return atomic_load_explicit(&self->blocked, memory_order_relaxed);
}

static void call_born(struct signals_thread *self, int how, const sigset_t *set)
{
	uint64_t bits = 0;

	if (set)
		memcpy(&bits, set, sizeof(bits));
	if (set && how == SIG_SETMASK)
		self->born_mask &= bits;
	else if (how == SIG_UNBLOCK)
		self->born_mask &= ~bits;
}

/* Who names a signal that nothing sends has named them all, and does not mean ours. */
static void call_say_missing(void)
{
	char name[16];

	if (atomic_exchange(&calls.has_said, true))
		return;
	text_signal_print((uint64_t)signals_number(), name, sizeof(name));
	log_line("SIG%s does not come to the program's signalfd (MONPROF_SIGNAL names another)",
		 name);
}

/* Block or unblock our signal alone; 1 if it was blocked. A thread without a virtual mask has a real one. */
static int call_mask_one(int how, int signo)
{
	struct signals_thread *self = signals_self();
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, signo);
	sigemptyset(&old);
	if (self)
		call_mask(self, how, &set, &old);
	else
		real_get()->pthread_sigmask(how, &set, &old);
	return sigismember(&old, signo);
}
