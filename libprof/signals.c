/*
 * signals.c - the handler, the virtual disposition, and what is virtually pending.
 *
 *   kernel --> signals_handler --> hooks->tick: ours, done
 *                              --> virtually blocked: hold   (thread's slot, or the process's)
 *                              --> else deliver              (the program's handler, or the default)
 *
 * Held signals go back to the kernel by rt_tgsigqueueinfo with their own siginfo as soon as they are
 * unblocked, so that it is always the kernel who delivers: with a true context, in its own order.
 *
 * The program's handler runs with the very mask it would have had, our signal's bit included: ticks wait
 * meanwhile, and a siglongjmp out of it restores the right mask.
 */
#include "signals.h"

#include "log.h"
#include "os.h"
#include "real.h"
#include "signals_action.h"
#include "signals_state.h"
#include "text.h"

#include <stdatomic.h>
#include <string.h>
#include <ucontext.h>

#define WAITERS 8
#define STACK_BYTES 4096 /* of all our functions in a handler, the frames and what libc needs */

typedef void signals_function(int, siginfo_t *, void *);

enum held { HELD_NONE, HELD_BUSY, HELD_READY };

static struct {
	_Atomic int signo; /* release by start; 0: every call passes through */
	_Atomic bool lost; /* taken from us by a raw system call for the second time */
	bool retaken; /* drainer */
	_Atomic bool has_small_stacks;
	const struct signals_hooks *hooks;

	_Atomic uint32_t era; /* how often it was set to "ignore", which drops what is pending */

	/* one signal sent to the process while the thread that got it had it virtually blocked */
	_Atomic uint32_t held; /* enum held; READY is a release of held_info */
	siginfo_t held_info;
	_Atomic pid_t waiters[WAITERS]; /* threads in sigwait for it */
} signals;

static void signals_handler(int signo, siginfo_t *info, void *context);
static void signals_note_cut(const ucontext_t *context);
static void signals_hold(struct signals_thread *self, const siginfo_t *info);
static void signals_pass_on(void);
static bool signals_is_wake(const siginfo_t *info);
static void signals_deliver(struct signals_thread *self, siginfo_t *info, ucontext_t *context);
static void signals_die(const siginfo_t *info);
static void signals_requeue(const siginfo_t *info);
static bool signals_pending_own(const struct signals_thread *self);
static bool signals_take_own(struct signals_thread *self, siginfo_t *info);
static bool signals_take_held(siginfo_t *info);
static void signals_install(void);
static bool signals_ignored(uintptr_t handler);

errmsg signals_start(int signo, const struct signals_hooks *hooks)
{
	int current = atomic_load_explicit(&signals.signo, memory_order_acquire);
	struct signals_thread *self;
	struct sigaction found;

	real_load();
	if (current && current != signo)
		return "another signal is held already";
	if (!current) {
		if (os_sigaction(signo, NULL, &found) != 0)
			return "the kernel does not know the signal";
		signals_action_write(&found);
	}
	signals.hooks = hooks;
	signals.retaken = false;
	atomic_store_explicit(&signals.lost, false, memory_order_relaxed);
	atomic_store_explicit(&signals.signo, signo, memory_order_release);
	signals_install();
	self = hooks->self();
	if (self)
		signals_thread_begin(self, signals_blocked());
	return NULL;
}

void signals_stop(void)
{
	int signo = signals_number();
	struct signals_thread *self;
	struct sigaction act, found;
	uint64_t bit = signals_bit();

	if (!signo)
		return;
	self = signals.hooks->self();
	if (self && atomic_load_explicit(&self->blocked, memory_order_relaxed)) {
		os_sigmask(SIG_BLOCK, &bit, NULL);
		signals_release(self);
		atomic_store_explicit(&self->blocked, false, memory_order_relaxed);
	}
	signals_disposition(NULL, &act);
	/* What somebody has put there past libc stays. */
	if (os_sigaction(signo, NULL, &found) == 0 && found.sa_sigaction == signals_handler)
		os_sigaction(signo, &act, NULL);
	atomic_store_explicit(&signals.signo, 0, memory_order_release);
}

void signals_thread_begin(struct signals_thread *self, bool blocked)
{
	uint64_t bit = signals_bit(), before = 0;

	/* First held, whatever it turns out to be: something may be pending in the kernel. */
	atomic_store_explicit(&self->blocked, true, memory_order_relaxed);
	os_sigmask(SIG_UNBLOCK, &bit, &before);
	self->born_mask = before & ~bit;
	if (blocked || (before & bit))
		return;
	atomic_store_explicit(&self->blocked, false, memory_order_relaxed);
	signals_release(self);
}

bool signals_blocked(void)
{
	struct signals_thread *self = signals_self();

	return self && atomic_load_explicit(&self->blocked, memory_order_relaxed);
}

bool signals_inherited(const pthread_attr_t *attr)
{
	sigset_t set;

	if (attr && real_get()->pthread_attr_getsigmask_np &&
	    real.pthread_attr_getsigmask_np(attr, &set) == 0)
		return signals_number() && sigismember(&set, signals_number()) == 1;
	return signals_blocked();
}

bool signals_check(void)
{
	struct sigaction found, program;
	int signo = signals_number();
	char name[16];

	if (!signo || atomic_load_explicit(&signals.lost, memory_order_relaxed))
		return false;
	if (os_sigaction(signo, NULL, &found) != 0 || found.sa_sigaction == signals_handler)
		return true;
	/* A thread is in the middle of an exec or a spawn, which inherit what is ignored. */
	signals_disposition(NULL, &program);
	if (found.sa_handler == SIG_IGN && program.sa_handler == SIG_IGN)
		return true;
	text_signal_print((uint64_t)signo, name, sizeof(name));
	if (signals.retaken) {
		atomic_store_explicit(&signals.lost, true, memory_order_relaxed);
		log_line("SIG%s was taken from us again, past libc: sampling is off "
			 "(MONPROF_SIGNAL names another)",
			 name);
		return false;
	}
	signals.retaken = true;

	uint64_t mask = signals_action_lock();

	signals_action_write(&found);
	signals_install();
	signals_action_unlock(mask);
	log_line("SIG%s was taken from us, past libc: taken back, what is not ours is passed on",
		 name);
	return true;
}

void signals_exec_begin(void)
{
	struct signals_thread *self = signals_self();
	struct sigaction ignore = { .sa_handler = SIG_IGN }, found;
	struct signals_action action;
	uint64_t bit = signals_bit();
	int signo = signals_number();

	if (!signo)
		return;
	signals_action_read(&action);
	if (action.handler == (uintptr_t)SIG_IGN && os_sigaction(signo, NULL, &found) == 0 &&
	    found.sa_sigaction == signals_handler)
		os_sigaction(signo, &ignore, NULL);
	if (self && atomic_load_explicit(&self->blocked, memory_order_relaxed)) {
		os_sigmask(SIG_BLOCK, &bit, NULL);
		signals_release(self);
	}
}

void signals_exec_failed(void)
{
	struct signals_thread *self = signals_self();
	uint64_t bit = signals_bit();

	if (signals_own(signals_number()))
		signals_install();
	if (self && atomic_load_explicit(&self->blocked, memory_order_relaxed))
		os_sigmask(SIG_UNBLOCK, &bit, NULL);
}

void signals_after_fork(void)
{
	struct signals_thread *self = signals_number() ? signals.hooks->self() : NULL;

	signals_action_after_fork();
	atomic_store_explicit(&signals.held, HELD_NONE, memory_order_relaxed);
	for (unsigned i = 0; i < WAITERS; i++)
		atomic_store_explicit(&signals.waiters[i], 0, memory_order_relaxed);
	if (self)
		atomic_store_explicit(&self->pending, false, memory_order_relaxed);
}

int signals_number(void)
{
	return atomic_load_explicit(&signals.signo, memory_order_acquire);
}

/* ---- for the interposed calls ---- */

bool signals_own(int signo)
{
	return signo != 0 && signo == signals_number() &&
	       !atomic_load_explicit(&signals.lost, memory_order_relaxed) && signals.hooks->ours();
}

struct signals_thread *signals_self(void)
{
	struct signals_thread *self = signals_number() ? signals.hooks->self() : NULL;

	return self && signals.hooks->ours() ? self : NULL;
}

uint64_t signals_bit(void)
{
	int signo = signals_number();

	return signo ? UINT64_C(1) << (signo - 1) : 0;
}

/*
 * A Go runtime has its threads born with everything blocked and lets all through by a system call. Of our bit
 * nothing is seen, the kernel has not blocked it; but of no other bit that is left blocked at birth the kernel
 * knows nothing unless somebody unblocked it, and handlers of signals only add to the mask.
 */
void signals_meet_mask(struct signals_thread *self, uint64_t kernel_mask)
{
	if (self->born_mask & ~kernel_mask) {
		self->born_mask = 0;
		signals_set_blocked(self, false);
	}
}

bool signals_handled(void)
{
	struct signals_action action;

	signals_action_read(&action);
	return action.handler != (uintptr_t)SIG_DFL && action.handler != (uintptr_t)SIG_IGN;
}

void signals_meet_stack(size_t size_bytes)
{
	uint64_t mask;

	if (size_bytes >= os_signal_frame_bytes() + STACK_BYTES)
		return;
	atomic_store_explicit(&signals.has_small_stacks, true, memory_order_relaxed);
	if (!signals_own(signals_number()))
		return;
	mask = signals_action_lock();
	signals_install();
	signals_action_unlock(mask);
}

void signals_disposition(const struct sigaction *act, struct sigaction *old)
{
	struct signals_action before;
	uint64_t mask = signals_action_lock();

	signals_action_read(&before);
	if (act) {
		signals_action_write(act);
		if (signals_ignored((uintptr_t)act->sa_handler)) {
			uint32_t ready = HELD_READY;

			atomic_fetch_add_explicit(&signals.era, 1, memory_order_relaxed);
			atomic_compare_exchange_strong(&signals.held, &ready, HELD_NONE);
		}
		signals_install();
	}
	signals_action_unlock(mask);
	if (old) {
		memset(old, 0, sizeof(*old));
		old->sa_handler = (sighandler_t)before.handler;
		old->sa_flags = before.flags;
		memcpy(&old->sa_mask, &before.mask, sizeof(before.mask));
	}
}

bool signals_pending(struct signals_thread *self)
{
	return signals_pending_own(self) || atomic_load(&signals.held) == HELD_READY;
}

void signals_release(struct signals_thread *self)
{
	siginfo_t info;

	if (signals_take_own(self, &info))
		signals_requeue(&info);
	if (signals_take_held(&info))
		signals_requeue(&info);
}

bool signals_take(struct signals_thread *self, siginfo_t *info)
{
	return signals_take_own(self, info) || signals_take_held(info);
}

void signals_set_blocked(struct signals_thread *self, bool is_blocked)
{
	atomic_store_explicit(&self->blocked, is_blocked, memory_order_relaxed);
	/* The kernel delivers it as soon as its own mask allows. */
	if (!is_blocked && signals_pending(self))
		signals_release(self);
}

void signals_wait_begin(void)
{
	pid_t tid = os_gettid();

	/* With all slots taken, a signal for the process stays held until one of them waits again. */
	for (unsigned i = 0; i < WAITERS; i++) {
		pid_t none = 0;

		if (atomic_compare_exchange_strong(&signals.waiters[i], &none, tid))
			return;
	}
}

void signals_wait_end(void)
{
	pid_t tid = os_gettid();

	for (unsigned i = 0; i < WAITERS; i++) {
		pid_t own = tid;

		if (atomic_compare_exchange_strong(&signals.waiters[i], &own, 0))
			return;
	}
}

bool signals_tick(const siginfo_t *info)
{
	/* No frame was interrupted, and there is no context: a program counter of 0 says so. */
	static ucontext_t nowhere;

	return signals_is_wake(info) || signals.hooks->tick(info, &nowhere);
}

/* ---- the handler ---- */

static void signals_handler(int signo, siginfo_t *info, void *context)
{
	struct signals_thread *self = signals.hooks->self();

	(void)signo;
	if (self)
		signals_meet_mask(self, *(const uint64_t *)&((ucontext_t *)context)->uc_sigmask);
	if (signals.hooks->tick(info, context)) {
		signals_note_cut(context);
		if (atomic_load_explicit(&signals.held, memory_order_relaxed) != HELD_READY)
			return;
		/* Another thread could not take it; here it is welcome, once this handler returns. */
		self = signals.hooks->self();
		if (self && !atomic_load_explicit(&self->blocked, memory_order_relaxed))
			signals_release(self);
		return;
	}
	if (signals_is_wake(info)) {
		signals_note_cut(context);
		return; /* no longer waiting */
	}
	if (self && atomic_load_explicit(&self->blocked, memory_order_relaxed))
		signals_hold(self, info);
	else
		signals_deliver(self, info, context);
}

/*
 * Our signal is in the mask to return to where a waiting call has let it through. Where the handler of another
 * signal is to run too, that is what was interrupted here, and not the call.
 */
static void signals_note_cut(const ucontext_t *context)
{
	struct signals_thread *self = signals.hooks->self();
	const uint64_t *return_mask = (const uint64_t *)&context->uc_sigmask;

	if (self && (*return_mask & signals_bit()) && os_was_interrupted(context))
		atomic_store_explicit(&self->cut_short, true, memory_order_relaxed);
}

/* Standard signals do not queue: a second one of a kind is lost, as in the kernel. */
static void signals_hold(struct signals_thread *self, const siginfo_t *info)
{
	uint32_t none = HELD_NONE;

	if (info->si_code == SI_TKILL) {
		if (signals_pending_own(self))
			return;
		self->pending_info = *info;
		atomic_store_explicit(&self->pending_era,
				      atomic_load_explicit(&signals.era, memory_order_relaxed),
				      memory_order_relaxed);
		atomic_store_explicit(&self->pending, true, memory_order_relaxed);
		return;
	}
	if (!atomic_compare_exchange_strong(&signals.held, &none, HELD_BUSY))
		return;
	signals.held_info = *info;
	atomic_store(&signals.held, HELD_READY);
	signals_pass_on();
}

/*
 * To the threads in sigwait, the first of which takes it. They enter the list before they look at `held`;
 * here it is the other way round. The kernel lets nobody forge another thread's kill, so it is a wake
 * that is sent, and the signal itself stays where it is.
 */
static void signals_pass_on(void)
{
	siginfo_t wake;

	memset(&wake, 0, sizeof(wake));
	wake.si_code = SI_QUEUE;
	wake.si_value.sival_ptr = &signals;
	for (unsigned i = 0; i < WAITERS; i++) {
		pid_t tid = atomic_load(&signals.waiters[i]);

		/* Refused: cancelled while it waited, its thread is gone. */
		if (tid && os_tgqueue(tid, signals_number(), &wake) != 0)
			atomic_compare_exchange_strong(&signals.waiters[i], &tid, 0);
	}
}

static bool signals_is_wake(const siginfo_t *info)
{
	return info->si_code == SI_QUEUE && info->si_value.sival_ptr == &signals;
}

/*
 * Our signal is in the mask to return to only where a waiting call (ppoll, sigsuspend) let it through for
 * its own time; what the kernel saved is then the mask before that call.
 */
static void signals_deliver(struct signals_thread *self, siginfo_t *info, ucontext_t *context)
{
	uint64_t *return_mask = (uint64_t *)&context->uc_sigmask;
	uint64_t bit = signals_bit(), mask = *return_mask;
	bool is_waiting = self && (mask & bit);
	struct signals_action action;

	if (!signals_action_take(&action)) {
		if (!signals_ignored(action.handler))
			signals_die(info);
		return;
	}
	if (is_waiting)
		mask = atomic_load_explicit(&self->waiting_mask, memory_order_relaxed);
	mask |= action.mask | (action.flags & SA_NODEFER ? 0 : bit);
	os_sigmask(SIG_SETMASK, &mask, NULL);
	if (action.flags & SA_SIGINFO)
		((signals_function *)action.handler)(signals_number(), info, context);
	else
		((sighandler_t)action.handler)(signals_number());
	if (!self)
		return;
	/* What the handler did to the mask ends with it, but for what it wrote into its context. */
	atomic_store_explicit(&self->blocked, !is_waiting && (*return_mask & bit),
			      memory_order_relaxed);
	if (!is_waiting)
		*return_mask &= ~bit;
	if (!atomic_load_explicit(&self->blocked, memory_order_relaxed) && signals_pending(self))
		signals_release(self);
}

/* The default action, by the kernel itself, when the handler returns. */
static void signals_die(const siginfo_t *info)
{
	struct sigaction act = { .sa_handler = SIG_DFL };

	os_sigaction(signals_number(), &act, NULL);
	signals_requeue(info);
}

static void signals_requeue(const siginfo_t *info)
{
	/* The queue of the user may be full; a plain one needs no place in it. */
	if (os_tgqueue(os_gettid(), signals_number(), info) != 0)
		os_tgkill(os_gettid(), signals_number());
}

static bool signals_pending_own(const struct signals_thread *self)
{
	return atomic_load_explicit(&self->pending, memory_order_relaxed) &&
	       atomic_load_explicit(&self->pending_era, memory_order_relaxed) ==
		       atomic_load_explicit(&signals.era, memory_order_relaxed);
}

static bool signals_take_own(struct signals_thread *self, siginfo_t *info)
{
	if (!signals_pending_own(self))
		return false;
	*info = self->pending_info;
	atomic_store_explicit(&self->pending, false, memory_order_relaxed);
	return true;
}

static bool signals_take_held(siginfo_t *info)
{
	uint32_t ready = HELD_READY;

	if (!atomic_compare_exchange_strong(&signals.held, &ready, HELD_BUSY))
		return false;
	*info = signals.held_info;
	atomic_store(&signals.held, HELD_NONE);
	return true;
}

/* ---- the kernel's disposition ---- */

/*
 * SA_RESTART is the program's where it has a handler: it may count on EINTR. Our own ticks do not care:
 * none of them arrives inside a system call. SA_ONSTACK, as there may be little room on the ordinary stack, and
 * threads of a Go runtime need it; not where an alternate stack is too small for us, and the program itself does
 * not want to be there.
 */
static void signals_install(void)
{
	const uint64_t faults = UINT64_C(1) << (SIGSEGV - 1) | UINT64_C(1) << (SIGBUS - 1) |
				UINT64_C(1) << (SIGILL - 1) | UINT64_C(1) << (SIGFPE - 1) |
				UINT64_C(1) << (SIGTRAP - 1);
	const uint64_t mask = ~faults;
	struct signals_action action;
	struct sigaction act;

	signals_action_read(&action);
	memset(&act, 0, sizeof(act));
	act.sa_sigaction = signals_handler;
	act.sa_flags = SA_SIGINFO;
	if (!atomic_load_explicit(&signals.has_small_stacks, memory_order_relaxed) ||
	    (action.flags & SA_ONSTACK))
		act.sa_flags |= SA_ONSTACK;
	if (action.handler == (uintptr_t)SIG_DFL || action.handler == (uintptr_t)SIG_IGN)
		act.sa_flags |= SA_RESTART;
	else
		act.sa_flags |= action.flags & SA_RESTART;
	memcpy(&act.sa_mask, &mask, sizeof(mask));
	os_sigaction(signals_number(), &act, NULL);
}

/* Does the kernel drop our signal with this disposition? */
static bool signals_ignored(uintptr_t handler)
{
	int signo = signals_number();

	return handler == (uintptr_t)SIG_IGN ||
	       (handler == (uintptr_t)SIG_DFL && (signo == SIGURG || signo == SIGWINCH));
}
