/*
 * prof.h - the map of the house.
 *
 *   TAKEN in the program's threads                 UNDERSTOOD in our own thread, or in the command
 *   never waits                                    may allocate (private heap), lock, do I/O
 *
 *   signal handler   --+
 *   monitoring event --+-> thread_enter -> record_put -> [ring] -> drain -> symbol, intern
 *   allocation hook  --+                                               -> recording -> profile
 *                                                                      -> exporter -> sink
 *
 * Facts are taken in a thread, carried by its ring, understood by the drainer, kept in a recording,
 * summed into a profile, written by an exporter.  Data never flows back.
 *
 * Every function in a header ends its comment with the context in which it may be called:
 *
 *   signal        a handler, on any thread, perhaps on a nearly full stack: atomics, the own ring,
 *                 the frame walk, the vdso clock, one system call (the thread's CPU clock)
 *   birth, death  a thread starts or ends: signal's, mmap, own lists, timers
 *   callback      GIL held: signal's, Python API that runs no Python code; under `symbol` also the
 *                 private heap and intern
 *   drainer       our thread: private heap, locks, files; never wants the GIL, never the program's
 *                 malloc
 *   setup         start, atexit callback, main's Clear, after-fork in a child; GIL held: everything
 *                 but files
 *   exit, fork    way out: atomics, stop ticks, wake and await the drainer within a bound; no malloc,
 *                 no lock of ours
 *   tool          the command line tool, one thread
 *   any           all of these
 *
 * Locks, outermost first: GIL, interpreters, symbol, recording, log; the heap's own are innermost.
 */
#ifndef PROF_H
#define PROF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROF_VERSION "0.1.0"
#define PROF_EXPORT __attribute__((visibility("default")))
#define PROF_PRINTF(text, first) __attribute__((format(printf, text, first)))
#define PROF_CACHE_LINE 64
/* What every process writes as soon as it begins or forks. It lies together: a page that is written after a fork is
   copied, and while it is the program waits. */
#define PROF_TOGETHER __attribute__((section("prof_together")))
#define PROF_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What set-up returns: NULL, or one static sentence (no newline) that its one caller logs. */
typedef const char *errmsg;

/* Why something that should have been measured was not; the rows are in losses.def. */
enum loss {
#define LOSS(name, help) LOSS_##name,
#include "losses.def"
#undef LOSS
	LOSS_COUNT
};

#endif
