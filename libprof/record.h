/*
 * record.h - what one record is, and the only way into a ring.
 *
 * "Add this value, for this metric, to this stack, at this time."  It owns nothing and holds no strings:
 * a stack is raw (code, instruction) pairs, leaf first.
 */
#ifndef RECORD_H
#define RECORD_H

#include "frames.h"
#include "prof.h"
#include "thread.h"

#define RECORD_INTERPRETERS 64
#define RECORD_FIRST 0 /* the interpreter in which the session began */
#define RECORD_START \
	UINT16_MAX /* in place of a metric: no sample, but what the thread starts with */

enum metric {
#define METRIC(collector, name, unit, count_name, help) METRIC_##collector##_##name,
#include "../collectors/collectors.def"
#undef METRIC
	METRIC_COUNT
};

struct record {
	uint32_t size_bytes; /* of all, a multiple of 8; ring's */
	uint16_t metric; /* or RECORD_START */
	uint16_t cut; /* the root end did not fit */
	uint32_t depth;
	uint32_t native_bytes; /* of a struct record_native behind the frames; 0: there is none */
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	uint64_t value;
	struct frame frames[];
};

/* Walks must know: whose states are gone, which interpreters are set up. session sets it. */
struct record_gate {
	_Atomic uintptr_t interpreters[RECORD_INTERPRETERS]; /* whose code is watched; 0: free */
	_Atomic uint32_t finalizing_tid; /* != 0: only this thread may be walked (3.12) */
};
extern struct record_gate record_gate;

/*
 * Put a sample with the calling thread's Python stack, and its C stack where that is wanted (record_native.h).
 * context: the handler's third argument.
 * False: dropped and counted; the caller keeps the value for its next sample. signal
 */
bool record_stack(struct thread *thread, enum metric metric, uint64_t time_ns, uint64_t value,
		  const void *context);
/*
 * The same for a call that a callback is told of. leaf: what is called, where that is no Python function (a
 * callee, a marker), NULL where it is the innermost frame itself; it stands where the walk would put what
 * site.h knows of the innermost instruction. callback
 */
bool record_call(struct thread *thread, enum metric metric, uint64_t time_ns, uint64_t value,
		 const struct frame *leaf);
/* Put a sample whose stack is one marker. As record_stack, death */
bool record_put(struct thread *thread, enum metric metric, uint64_t time_ns, uint64_t value,
		enum frame_marker marker);
/*
 * Say what a thread that does not run yet starts with: its function, and what that is called from. Adds
 * nothing to any sum. At most THREAD_START_FRAMES; the code is alive, and of this interpreter. Nothing is
 * said where that cannot be named. birth
 */
void record_start(struct thread *thread, uintptr_t interpreter, const struct frame *frames,
		  size_t depth);
/* Frames that record_stack keeps from now on. setup */
void record_limit(uint32_t depth);
/* Largest record that this depth makes, in bytes. any */
uint32_t record_bytes(uint32_t depth);

#endif
