/*
 * session.h - the only file that knows the order of things: start, stop, fork, exec.
 *
 *   NONE --start--> RUNNING --end--> ENDING ----> OVER
 *     |                |
 *     +--- OFF         +-- fork: the child begins a session of its own from Python's after-fork hook
 *
 * preload tells it what happens in the process; it tells everyone else what to do.
 */
#ifndef SESSION_H
#define SESSION_H

#include "prof.h"
#include "pyapi.h"
#include "thread.h"

#include <pthread.h>

#define SESSION_EXIT_NS UINT64_C(2000000000) /* what _exit waits at most */

/* A CPython is here (a dlopen handle, or RTLD_DEFAULT): listen until it is time to start. setup, or before
   CPython is initialised */
void session_listen(void *python);
/* A session runs in this very process: not in a vfork child, not in a forked one that has none. any */
bool session_ours(void);
/* Was there a session when this memory was last ours alone? True in forked and vforked children too. any */
bool session_known(void);

/* A slot for a thread that the caller is about to create with these attributes (or NULL), this start routine
   and its argument; NULL: create it as if we were not here. birth */
struct thread *session_thread_reserve(const pthread_attr_t *attributes, void *(*routine)(void *),
				      const void *argument);
/* The new thread is this one. birth */
void session_thread_begin(struct thread *thread);
/* The program goes on without us: what was measured is exported, and nothing of ours makes a system call in it any
   more. False: there is no session. any but signal */
bool session_leave(void);

/* The process ends now, perhaps out of a signal handler; waits for MONPROF_EXIT_WAIT, and at most SESSION_EXIT_NS.
   exit */
void session_exit(void);
/* The process ends, not out of a signal handler: ELF destructor. exit */
void session_finish(void);
/* The calling thread tries an exec; it failed, errno is kept. exit */
void session_exec_begin(void);
void session_exec_failed(void);
/* Our thread may never be started again: once its children get a pid namespace of their own, a process may have no new
   thread (clone(2), EINVAL). The recording is brought up to date. fork */
void session_save(void);
/* Our thread must not be counted for a moment, nor hold anything (fork, unshare, setns); and after it, in the
   same process. fork */
void session_step_aside(void);
void session_come_back(void);

#endif
