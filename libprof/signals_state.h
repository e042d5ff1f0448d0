/*
 * signals_state.h - what the interposed calls (signals_calls.c, signals_waits.c) ask of signals.c.
 */
#ifndef SIGNALS_STATE_H
#define SIGNALS_STATE_H

#include "signals.h"

/* Is this the signal that we hold, in the process that we hold it in? any */
bool signals_own(int signo);
/* The calling thread's part, NULL unless it is profiled and the process is ours. any */
struct signals_thread *signals_self(void);
/* Read and replace the virtual disposition, as sigaction(2) does. any */
void signals_disposition(const struct sigaction *act, struct sigaction *old);
/* The calling thread's kernel mask is this one: where the program has changed it past libc, what it wants of our
   signal is what the kernel has. any */
void signals_meet_mask(struct signals_thread *self, uint64_t kernel_mask);
/* Is a signal pending for the calling thread, its own or the process's? any */
bool signals_pending(struct signals_thread *self);
/* Block or unblock it virtually in the calling thread; unblocked, it gets what has been held. any */
void signals_set_blocked(struct signals_thread *self, bool is_blocked);
/* Hand what is pending for the calling thread to the kernel: it is delivered before this returns, or as
   soon as the kernel's mask lets it through. any */
void signals_release(struct signals_thread *self);
/* Take it instead: false, there is none. any */
bool signals_take(struct signals_thread *self, siginfo_t *info);
/* The program has set an alternate stack of this size. any */
void signals_meet_stack(size_t size_bytes);
/* Has the program a handler of its own? any */
bool signals_handled(void);
/* Our signal as a kernel mask bit. any */
uint64_t signals_bit(void);
/* The calling thread waits for our signal (sigwait): what arrives for the process wakes it. any */
void signals_wait_begin(void);
void signals_wait_end(void);
/* Is what sigwait took from the kernel our tick, or our wake? Then it has been taken, and what is held is to be
   looked at again. any */
bool signals_tick(const siginfo_t *info);

#endif
