/*
 * drain.h - our own thread: rings in, recording out; the clock of everything periodic.
 *
 *            drain_start                      drain_park
 *   IDLE ----> RESTING ----> RUNNING ------------------> PARKED ---> (drain_start) RESTING
 *                 |             |      drain_finish        |
 *                 +-------------+-----------> DONE <-------+
 *                  drain_forget                drain_forget
 *
 * A thread rests before it begins, until there is something to be done: a process that ends, forks or execs at once,
 * or forks often, pays for no more than the thread itself.
 *
 * A session has one recording after the other, if hooks->is_full says so: the one is closed, the next begun, and the
 * first one exported while the rings go on being emptied into the second.
 *
 * The thread has all signals blocked and a table of descriptors of its own.  Whoever asks it for
 * something sets a bit, wakes it and waits within a bound, holding no lock.  It reaches collectors and
 * exporters only through the hooks that session hands it.
 */
#ifndef DRAIN_H
#define DRAIN_H

#include "collector.h"
#include "prof.h"
#include "recording.h"

/* What long work in a hook calls every few milliseconds: rings are emptied meanwhile. False: stop, our thread is to
   go. drainer */
typedef bool drain_breathe(void);

struct drain_hooks {
	/* The thread has started, again perhaps. drainer */
	void (*begin)(bool own_descriptors);
	/* It is about to end and its descriptors with it. drainer */
	void (*end)(void);
	/* It is parked; whoever wanted that waits for it, or has just given up. drainer */
	void (*parked)(void);
	/* Every pass. drainer */
	void (*pass)(uint64_t time_ns);
	/* After it: what collectors kept outside of the rings. drainer */
	void (*write)(const struct collector_writer *writer);
	/* When the next pass is wanted at the latest; since when code that was met is still to be named.
	   UINT64_MAX: no matter. drainer */
	uint64_t (*due_ns)(void);
	uint64_t (*holds_ns)(void);
	/* Every flush, before the recording is written: remarks. drainer */
	void (*flush)(uint64_t time_ns, collector_note *note);
	/* A thread found from outside. drainer */
	void (*adopted)(struct thread *thread);
	/* A thread that is dead, or alive at the end: its last words. drainer */
	void (*gone)(struct thread *thread);
	/* No other thread of the process runs, and nobody else would notice: true if that is the end. drainer */
	bool (*alone)(void);
	/* At the end, after all last words: what of this metric belongs to no thread. own_ns: CPU time of our
	   own threads. drainer */
	uint64_t (*remainder)(enum metric metric, uint64_t own_ns);
	/* After a flush that left a recording of so many bytes: is it time for another one? drainer */
	bool (*is_full)(uint64_t time_ns, uint64_t recording_bytes);
	/* What the next recording is; is_used: this one has a file. drainer */
	errmsg (*next)(bool is_used, struct recording_head *head);
	/* The recording is complete and closed (NULL: it has no file); if there is a next one, that is written now.
	   drainer */
	void (*close)(const char *path);
	/* What is told by `flush` counts from now on. drainer */
	void (*renew)(uint64_t time_ns);
	/* Make of all complete recordings what the user wants; where `breathe` stops it, it is asked for again. drainer */
	void (*finish)(drain_breathe *breathe);
	/* Does somebody want this recording exported as it is now? Then it is brought up to date, and `dump` exports it.
	   drainer */
	bool (*is_asked)(const char *path);
	void (*dump)(drain_breathe *breathe);
};

struct drain_settings {
	uint64_t flush_ns;
	uint32_t ring_bytes;
	bool waits; /* parked from the beginning: drain_start is called when the process has shown that it goes on */
	struct recording_head head; /* what it points to must stay */
	const struct recording_mapping *mappings;
	unsigned mapping_count;
	struct drain_hooks hooks;
};

/* First start of a session. setup */
errmsg drain_begin(const struct drain_settings *settings);
/* Start the thread if it is parked; harmless otherwise. Where it says DRAIN_NO_ROOM it may be tried again: there are as
   many threads as may be, for now (pthread_create(3), EAGAIN). setup, burst, exit */
errmsg drain_start(void);
extern const char DRAIN_NO_ROOM[];
/* End the thread, keep the work; true when the kernel no longer counts it. fork, exit */
bool drain_park(uint64_t timeout_ns);
/* Bring the recording up to date; false when it took too long. exit */
bool drain_flush(uint64_t timeout_ns);
/* Last pass, last flush, hooks->finish; false when it took too long, or is parked: it finishes as soon as it
   is started. exit */
bool drain_finish(uint64_t timeout_ns);
/* The same, and where it is parked, start it (not out of a signal handler). exit */
bool drain_end(uint64_t timeout_ns, bool may_start);
/* Nothing was taken yet, nobody takes anything any more, and the thread has not begun, or does not run: it never will.
   False: there is something to be finished. exit */
bool drain_forget(void);
/* any */
bool drain_is_parked(void);
/* While it is parked: is there a file? exit */
bool drain_has_file(void);
/* CPU time of our own threads in this session. drainer */
uint64_t drain_cpu_ns(void);
/* Of that: in `finish` and `dump`. drainer */
uint64_t drain_export_ns(void);
/* Nobody's any more: in the child of a fork. False: it was at work, and has left in the middle of it what is never to
   be touched again, the heap first of all. setup */
bool drain_after_fork(void);
/* Kernel id of the thread, 0 when there is none. any */
pid_t drain_tid(void);

#endif
