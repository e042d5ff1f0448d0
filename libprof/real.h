/*
 * real.h - the next definition of every libc function that we interpose; the rows are in real.def.
 *
 * All are found at once, at the first call of any of them: another library's constructor may run
 * before ours.  What an older libc does not have is NULL.  Callers write real_get()->name(...).
 */
#ifndef REAL_H
#define REAL_H

#include "prof.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/types.h>

struct real {
#define REAL(type, name, arguments) type(*name) arguments;
#include "real.def"
#undef REAL
	_Atomic bool loaded; /* release; all above are set and stay */
};
extern struct real real;

/* Find them all; again does nothing. dlsym(3): not from a handler. setup, or the first call */
void real_load(void);

/* Set by the interposed dlopen, which can do no more than that. */
extern _Atomic bool real_dlopened;
/* Have `look` called by the first interposed call after a dlopen. setup */
void real_on_dlopen(void (*look)(void));
void real_look(void);

/* any, once one call has been made */
static inline const struct real *real_get(void)
{
	if (!atomic_load_explicit(&real.loaded, memory_order_acquire))
		real_load();
	if (atomic_load_explicit(&real_dlopened, memory_order_relaxed))
		real_look();
	return &real;
}

#endif
