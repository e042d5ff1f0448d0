/*
 * thread.h - one profiled thread: birth, death, enter, leave, its ring, its losses.
 *
 *   FREE --(birth: CAS)--> LIVE --(death)--> DEAD --(drainer has emptied the ring)--> FREE
 *
 * Threads live in a table of slots that never move; a slot keeps its memory for its next thread.  A
 * cookie (magic, slot, generation) names a thread to the kernel; whoever comes back with a cookie of
 * ours is ours, whether its thread still exists or not.
 */
#ifndef THREAD_H
#define THREAD_H

#include "frames.h"
#include "prof.h"
#include "ring.h"
#include "signals.h"

#include <stdatomic.h>
#include <sys/types.h>

#define THREADS_MAX 16384
#define THREAD_OWN_BYTES 64 /* of each collector in each thread */
#define THREAD_COLLECTORS_MAX 8
#define THREAD_START_FRAMES 4 /* the function, and what threading calls it from */

enum thread_state { THREAD_FREE, THREAD_BORN, THREAD_LIVE, THREAD_DEAD };

struct thread {
	/* written at birth */
	uint32_t slot;
	_Atomic uint32_t generation; /* of the slot; one more each time that it is free again */
	_Atomic uint32_t state; /* enum thread_state */
	_Atomic pid_t tid;
	uint32_t serial; /* within the session, from 1; names the thread in the recording */
	_Atomic bool foreign; /* found in /proc: its own thread has not met us yet */
	bool inherited; /* foreign, and older than the session */
	void *(*start)(void *); /* handed from the creator to the new thread */
	void *start_argument;
	bool start_blocked;
	bool is_last; /* no other thread of the table was left when this one ended */

	/* written by the thread itself */
	_Alignas(PROF_CACHE_LINE) _Atomic uint32_t inside; /* in a handler or a callback of ours */
	int saved_errno;
	uint64_t entered_ns;
	_Atomic uint64_t own_ns; /* spent in our handlers and callbacks */
	_Atomic uint64_t entries;
	_Atomic uint64_t callbacks; /* of them */
	_Atomic uint64_t losses[LOSS_COUNT];
	struct signals_thread signals;
	_Atomic uintptr_t stack_asked,
		stack_self; /* a stack pointer that is on no stack we know, and pthread_self() */
	char name[16]; /* the kernel's, taken at death */

	/* written at birth, or by the drainer for a thread that asks; stack_end is the release */
	size_t stack_bytes; /* as its creator says */
	_Atomic uintptr_t stack_begin, stack_end; /* 0: not known */

	/* written by a callback that holds the GIL; python_name_known is its release */
	_Atomic bool python_name_known;
	char python_name[64];

	/* collectors' own, by row */
	_Alignas(PROF_CACHE_LINE) unsigned char own[THREAD_COLLECTORS_MAX][THREAD_OWN_BYTES];

	struct ring ring;

	/* written by the drainer */
	bool announced; /* the recording knows it */
	bool seen; /* in /proc/self/task, this time */
	uint32_t nameless_passes; /* of the drainer, without a Python name */
	uint32_t start_node,
		start_epoch; /* stack down to the function that it runs, in the recording */
	bool start_is_told; /* by its creator, not found in a sample */
	struct {
		uint64_t time_ns;
		uint32_t depth; /* 0: the creator did not tell */
		uint32_t serial; /* of the leaf's symbol */
		struct frame frames[THREAD_START_FRAMES];
	} told;
	char known_name[64]; /* as last written */
};

/*
 * Rings of ring_bytes (a power of two) from now on. `ending` is called by a thread that ends, while it
 * still is itself. setup
 */
errmsg threads_start(uint32_t ring_bytes, void (*ending)(struct thread *thread));

/* A slot for a thread about to be created; NULL when there is none. The new thread makes it its own with
   thread_begin, or the creator gives it back with thread_cancel. birth */
struct thread *thread_reserve(void);
void thread_cancel(struct thread *thread);
/* The calling thread becomes this one. birth */
void thread_begin(struct thread *thread);
/* A thread found from outside; NULL when there is no slot. drainer */
struct thread *thread_adopt(pid_t tid);
/* A thread that ended unseen. drainer */
void thread_lost(struct thread *thread);
/* DEAD and its ring is empty: the slot is free again. drainer */
void thread_recycle(struct thread *thread);

/* The calling thread's own, or NULL. any */
extern _Thread_local struct thread *thread_current __attribute__((tls_model("initial-exec")));
static inline struct thread *thread_self(void)
{
	return thread_current;
}
/* Every slot that is LIVE or DEAD, in order; thread_next(NULL) is the first. any */
struct thread *thread_next(const struct thread *thread);
/* In the child of a fork: only the calling thread is left, with an empty ring. setup */
void threads_after_fork(void);

/* What the kernel gives back with a tick. any */
uintptr_t thread_cookie(const struct thread *thread);
/* Is it a cookie of ours at all? any */
bool thread_cookie_ours(uintptr_t cookie);

/* Enter a handler or callback on the calling thread: saves errno, notes the time. NULL: not a profiled
   thread, or already inside. signal, callback */
struct thread *thread_enter(void);
/* The same for a tick with a cookie: a foreign thread meets itself here. NULL: not this thread's. signal */
struct thread *thread_enter_tick(uintptr_t cookie);
void thread_leave(struct thread *thread);
/* The same for a callback, which no signal has brought. callback */
void thread_leave_callback(struct thread *thread);
/* Count one loss; thread NULL: of no thread in particular. any */
void thread_lose(struct thread *thread, enum loss reason);
/* Nobody enters from now on. any */
void threads_close(void);
/* Wait until no other thread is inside, at most timeout_ns; false if one still is. exit */
bool threads_quiet(uint64_t timeout_ns);
/* What all threads of the session lost, spent and took so far, those that are gone too. drainer */
struct threads_sums {
	uint64_t losses[LOSS_COUNT];
	uint64_t own_ns; /* in our handlers and callbacks */
	uint64_t entries; /* of them */
	uint64_t callbacks; /* of those, not of handlers */
};
void threads_sum(struct threads_sums *sums);
/* A collector's own bytes in a thread. any */
static inline void *thread_own(struct thread *thread, unsigned collector)
{
	return thread->own[collector];
}

#endif
