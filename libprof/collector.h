/*
 * collector.h - the door for collectors/: what a collector is and all that it may call.
 *
 * One file, one row in collectors.def (name, help, metrics with units, options), and one
 * `const struct collector_hooks NAME_collector` here declared by registry.  A hook that is NULL is
 * skipped.  A collector keeps what it knows of a thread in thread_own(thread, COLLECTOR_name).
 */
#ifndef COLLECTOR_H
#define COLLECTOR_H

#include "callee.h"
#include "calltree.h"
#include "frames.h"
#include "frames_glance.h"
#include "heap.h"
#include "log.h"
#include "mark.h"
#include "monitoring.h"
#include "options.h"
#include "os.h"
#include "prof.h"
#include "record.h"
#include "recording.h"
#include "signals.h"
#include "site.h"
#include "symbol.h"
#include "thread.h"
#include "ticks.h"

enum collector_id {
#define COLLECTOR(name, help) COLLECTOR_##name,
#include "../collectors/collectors.def"
#undef COLLECTOR
	COLLECTOR_COUNT
};
_Static_assert(COLLECTOR_COUNT <= THREAD_COLLECTORS_MAX, "thread_own has no room");

/* Appends one remark to the recording: key and value. */
typedef void collector_note(const char *key, const char *value);

/* The way into the recording past the rings, for what a collector kept in memory of its own. */
struct collector_writer {
	/* The stack `parent` (0: none) and one frame more, as it was at time_ns; 0: it cannot be kept. Good for
	   one epoch. drainer */
	uint32_t (*node)(uint32_t parent, const struct frame *frame, uint64_t time_ns);
	uint32_t (*epoch)(void);
	void (*sample)(const struct recording_sample *sample);
};

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
	/* After it, the rings are empty: what else there is for the recording. drainer */
	void (*write)(const struct collector_writer *writer);
	/* When the next pass is wanted at the latest. CLOCK_MONOTONIC, UINT64_MAX: no matter. drainer */
	uint64_t (*due_ns)(void);
	/* Code that has been met since then is still to be named; UINT64_MAX: none. drainer */
	uint64_t (*holds_ns)(void);
	/* Another interpreter than RECORD_FIRST is there, or ends, and this is it; numbers are used again, and below
	   RECORD_INTERPRETERS. The GIL is its own, perhaps. callback; setup */
	void (*interpreter_begin)(unsigned interpreter);
	void (*interpreter_end)(unsigned interpreter);
	/* Is there something to be done under the GIL of this interpreter? Then `burst` is called soon, in a thread
	   that runs Python there, between two instructions. drainer */
	bool (*wants_burst)(unsigned interpreter);
	/* It has been asked for: no thread passes another call there before it. drainer */
	void (*burst_asked)(unsigned interpreter);
	void (*burst)(unsigned interpreter); /* burst */
	/* At each flush: what is worth saying beside the samples. drainer */
	void (*flush)(uint64_t time_ns, collector_note *note);
	/* Another recording begins: what is said at flushes counts from now on. drainer */
	void (*renew)(uint64_t time_ns);
	/* What it cost the program, but for its handlers and the delivery of their signals: the kernel for its ticks,
	   the interpreter for its events; ns. drainer */
	uint64_t (*cost_ns)(void);
	/* To stay within the budget, have this part (up to 1) of the rate that the options say; false: the user
	   set it, and it is kept (collector_keeps). drainer */
	bool (*rate)(double factor);
	/* At the end: what was measured for the whole process and no thread has recorded. own_ns: CPU time of
	   the profiler's own threads. drainer */
	uint64_t (*remainder)(enum metric metric, uint64_t own_ns);
	/* No tick may come from now on. exit, any thread */
	void (*stop)(void);
	/* Nothing will be measured in this process: give back what CPython holds. setup */
	void (*leave)(void);
	/* The drainer is about to end (park): its descriptors go with it. drainer */
	void (*drainer_end)(void);
	/* In the child of a fork: timers are gone. setup */
	void (*after_fork)(void);
};

/* A rate that the user set is lowered only if the budget was set, too. any */
static inline bool collector_keeps(enum option_id rate)
{
	return option_value(rate)->given && !option_value(OPTION_BUDGET)->given;
}

#endif
