/*
 * collector.h - the door for collectors/: what a collector is and all that it may call.
 *
 * One file, one row in collectors.def (name, help, metrics with units, options), and one
 * `const struct collector_hooks NAME_collector` here declared by registry.  A hook that is NULL is
 * skipped.  A collector keeps what it knows of a thread in thread_own(thread, COLLECTOR_name).
 */
#ifndef COLLECTOR_H
#define COLLECTOR_H

#include "frames.h"
#include "log.h"
#include "options.h"
#include "os.h"
#include "prof.h"
#include "record.h"
#include "signals.h"
#include "thread.h"

enum collector_id {
#define COLLECTOR(name, help) COLLECTOR_##name,
#include "../collectors/collectors.def"
#undef COLLECTOR
	COLLECTOR_COUNT
};
_Static_assert(COLLECTOR_COUNT <= THREAD_COLLECTORS_MAX, "thread_own has no room");

/* Appends one remark to the recording: key and value. */
typedef void collector_note(const char *key, const char *value);

struct collector_hooks {
	/* Read options, measure what has to be known. NULL, or why it stays off. setup */
	errmsg (*start)(void);
	/* The session's descriptors are ours alone: perf events may be opened. drainer */
	void (*drainer_begin)(bool own_descriptors);
	/* A thread has begun: in it, or (thread->foreign) from the drainer. birth, drainer */
	void (*thread_begin)(struct thread *thread);
	/* It ends, in it. death */
	void (*thread_end)(struct thread *thread);
	/* It ended unseen, or is dead: give back what the kernel holds. drainer */
	void (*thread_gone)(struct thread *thread);
	/* Is this tick mine? Then take it. signal */
	bool (*tick)(const siginfo_t *info, void *context);
	/* Every pass of the drainer: re-arm, jitter. drainer */
	void (*pass)(uint64_t time_ns);
	/* At each flush: what is worth saying beside the samples. drainer */
	void (*flush)(uint64_t time_ns, collector_note *note);
	/* What the kernel spent on this collector's ticks, but for delivering their signals; ns. drainer */
	uint64_t (*kernel_ns)(void);
	/* At the end: what was measured for the whole process and no thread has recorded. own_ns: CPU time of
	   the profiler's own threads. drainer */
	uint64_t (*remainder)(enum metric metric, uint64_t own_ns);
	/* No tick may come from now on. exit, any thread */
	void (*stop)(void);
	/* The drainer is about to end (park): its descriptors go with it. drainer */
	void (*drainer_end)(void);
	/* In the child of a fork: timers are gone. setup */
	void (*after_fork)(void);
};

#endif
