/*
 * signals_action.h - the disposition of our signal as the program has set it: one a process.
 */
#ifndef SIGNALS_ACTION_H
#define SIGNALS_ACTION_H

#include "prof.h"

#include <signal.h>

/* Mask bits as the kernel has them: bit signo - 1. */
struct signals_action {
	uintptr_t handler;
	int flags;
	uint64_t mask;
};

/* A consistent copy; returns its version. any */
uint32_t signals_action_read(struct signals_action *action);
/* The same for one delivery, which spends a SA_RESETHAND; false: there is no handler. signal */
bool signals_action_take(struct signals_action *action);
/* Under the lock. any */
void signals_action_write(const struct sigaction *act);
/* With all signals blocked, so that no handler on this thread can want the lock; returns the mask that
   unlock puts back. any */
uint64_t signals_action_lock(void);
void signals_action_unlock(uint64_t mask);
/* In the child of a fork: the thread that held the lock is gone. setup */
void signals_action_after_fork(void);

#endif
