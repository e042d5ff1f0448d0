/*
 * signals_action.c - the disposition of our signal as the program has set it.
 *
 *   slots[version % 2]   current: read by handlers on any thread, never written
 *   the other            written under a lock with all signals blocked, then made current
 *
 * A reader copies the current slot and looks whether it still is; a handler cannot meet a writer on its
 * own thread.  SA_RESETHAND is spent by noting which version has been delivered, without the lock.
 */
#include "signals_action.h"

#include "os.h"

#include <stdatomic.h>
#include <string.h>

/* What the kernel keeps of sa_flags (since 5.11): a program may read back what it set. */
#define ACTION_FLAGS                                                                       \
	(SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER | \
	 (int)SA_RESETHAND)

static struct {
	_Atomic bool locked;
	_Atomic uint32_t version;
	_Atomic uint32_t reset_version; /* this version was SA_RESETHAND, and has been delivered */
	struct {
		_Atomic uintptr_t handler;
		_Atomic int flags;
		_Atomic uint64_t mask;
	} slots[2];
} disposition PROF_TOGETHER;

uint32_t signals_action_read(struct signals_action *action)
{
	uint32_t version;

	do {
		version = atomic_load_explicit(&disposition.version, memory_order_acquire);
		action->handler = atomic_load_explicit(&disposition.slots[version % 2].handler,
						       memory_order_relaxed);
		action->flags = atomic_load_explicit(&disposition.slots[version % 2].flags,
						     memory_order_relaxed);
		action->mask = atomic_load_explicit(&disposition.slots[version % 2].mask,
						    memory_order_relaxed);
		/* Partner: the fence in signals_action_write. */
		atomic_thread_fence(memory_order_acquire);
	} while (atomic_load_explicit(&disposition.version, memory_order_relaxed) != version);
	if (version && atomic_load(&disposition.reset_version) == version)
		action->handler = (uintptr_t)SIG_DFL;
	return version;
}

bool signals_action_take(struct signals_action *action)
{
	uint32_t version = signals_action_read(action);

	if (action->handler == (uintptr_t)SIG_DFL || action->handler == (uintptr_t)SIG_IGN)
		return false;
	if ((action->flags & (int)SA_RESETHAND) &&
	    atomic_exchange(&disposition.reset_version, version) == version)
		action->handler = (uintptr_t)SIG_DFL;
	return action->handler != (uintptr_t)SIG_DFL;
}

void signals_action_write(const struct sigaction *act)
{
	uint32_t next = atomic_load_explicit(&disposition.version, memory_order_relaxed) + 1;
	uint64_t mask;

	memcpy(&mask, &act->sa_mask, sizeof(mask));
	mask &= ~(UINT64_C(1) << (SIGKILL - 1) | UINT64_C(1) << (SIGSTOP - 1));
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&disposition.slots[next % 2].handler, (uintptr_t)act->sa_handler,
			      memory_order_relaxed);
	atomic_store_explicit(&disposition.slots[next % 2].flags, act->sa_flags & ACTION_FLAGS,
			      memory_order_relaxed);
	atomic_store_explicit(&disposition.slots[next % 2].mask, mask, memory_order_relaxed);
	atomic_store_explicit(&disposition.version, next, memory_order_release);
}

uint64_t signals_action_lock(void)
{
	const uint64_t all = OS_SIGNALS_ALL;
	uint64_t mask = 0;

	os_sigmask(SIG_SETMASK, &all, &mask);
	while (atomic_exchange_explicit(&disposition.locked, true, memory_order_acquire))
		;
	return mask;
}

void signals_action_unlock(uint64_t mask)
{
	atomic_store_explicit(&disposition.locked, false, memory_order_release);
	os_sigmask(SIG_SETMASK, &mask, NULL);
}

void signals_action_after_fork(void)
{
	atomic_store_explicit(&disposition.locked, false, memory_order_relaxed);
}
