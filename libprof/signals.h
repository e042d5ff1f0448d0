/*
 * signals.h - our one signal, twice: as the kernel has it and as the program sees it.
 *
 *   kernel    disposition: our handler (SA_SIGINFO|SA_RESTART|SA_ONSTACK, all signals blocked in it);
 *             never blocked in a profiled thread
 *   program   a virtual disposition (one a process) and a virtual mask bit (one a thread), which
 *             the interposed calls read and write as if we were not there
 *
 * A signal that is not our tick goes to the program's virtual handler with the mask it would have had,
 * or stays pending (one siginfo a thread, one a process) until it is virtually unblocked.  Until
 * signals_start() and in a process that is not ours (vfork), every interposed call is a straight pass
 * to libc.
 *
 * Interposed in signals_calls.c and signals_waits.c: sigaction signal bsd_signal ssignal sysv_signal
 * __sysv_signal sigset sigaltstack
 * sigignore siginterrupt sigprocmask pthread_sigmask sighold sigrelse sigpause sigsuspend sigwait
 * sigwaitinfo sigtimedwait sigpending signalfd ppoll __ppoll_chk pselect epoll_pwait epoll_pwait2
 *
 * What the program can still see of us, for this one signal: a poll, sleep or other call that SA_RESTART
 * does not restart returns EINTR though the signal is ignored or virtually blocked; a signalfd never
 * gets it; a change of the mask bit made inside another signal's handler outlasts that handler; one sent
 * to the process while the main thread blocks it waits until another thread wants it or is ticked;
 * handlers run on the alternate stack where there is one that can hold them.
 */
#ifndef SIGNALS_H
#define SIGNALS_H

#include "prof.h"

#include <pthread.h>
#include <signal.h>

/* The per-thread part; lives in struct thread, all zero at birth. Written by its own thread only. */
struct signals_thread {
	_Atomic bool blocked; /* virtually */
	_Atomic bool pending; /* arrived from elsewhere while virtually blocked */
	_Atomic uint32_t pending_era; /* void once the disposition has been set to "ignore" since */
	_Atomic uint64_t waiting_mask; /* of the ppoll, sigsuspend, ... that it is in */
	_Atomic bool is_waiting; /* in such a call; read by the drainer */
	_Atomic bool cut_short; /* that call, by nothing but a tick */
	uint64_t born_mask; /* blocked since its birth, as far as libc has been told */
	siginfo_t pending_info;
};

/* What session supplies; the core below never names those above it. */
struct signals_hooks {
	/* Is it our tick? Then it has been taken. signal */
	bool (*tick)(const siginfo_t *info, void *context);
	/* The calling thread's part, NULL when the thread is not ours. any */
	struct signals_thread *(*self)(void);
	/* The calling process is the one that the session belongs to. any */
	bool (*ours)(void);
};

/* Take signal `signo`: reads the disposition of the program, makes it the virtual one, installs our
   handler; the calling thread begins if it is ours. Again (a forked child's own session): new hooks,
   what the program set stays. setup */
errmsg signals_start(int signo, const struct signals_hooks *hooks);
/* Give the program's own disposition and mask to the kernel for good: a forked child, of one thread, that
   will not be profiled. From now on every call passes straight through. No tick may come any more. any */
void signals_stop(void);
/* A thread that inherited its parent's kernel mask: virtually blocked if `blocked` says so or the kernel
   mask does, kernel mask unblocked for our signal. Called by the new thread, and by each thread at
   start. birth */
void signals_thread_begin(struct signals_thread *self, bool blocked);
/* Is our signal virtually blocked in the calling thread? any */
bool signals_blocked(void);
/* Will it be in a thread that is about to be created with attr (may be NULL)? any */
bool signals_inherited(const pthread_attr_t *attr);
/* Does the kernel still have our handler? Takes it back the first time, with one line: what it found there
   gets what is not our tick. Gives up the second: false from then on. drainer */
bool signals_check(void);
/* Give the kernel what an exec by the calling thread hands on: "ignored", the program's own mask, what is
   pending; undo if it failed. In a process that is not ours (vfork) "ignored" only. exit */
void signals_exec_begin(void);
void signals_exec_failed(void);
/* In the child of a fork: pending ticks are gone, the virtual state stays. setup */
void signals_after_fork(void);
/* Number of the signal, 0 before signals_start. any */
int signals_number(void);

#endif
