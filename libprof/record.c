/*
 * record.c - the only way into a ring.
 *
 * record_stack walks the calling thread's stack straight into the ring's own bytes: nothing is copied,
 * nothing is on the stack.  What is not sure is not published.
 */
#include "record.h"

#include "mark.h"
#include "os.h"
#include "record_native.h"

#include <string.h>

struct record_gate record_gate;

static struct {
	uint32_t depth;
} records = { .depth = 512 };

/* What a sample is to be. */
struct wish {
	enum metric metric;
	uint64_t time_ns, value;
	const void *context; /* of a handler */
	bool is_call;
	const struct frame *leaf; /* of a call */
};

static bool put_stack(struct thread *thread, const struct wish *wish);
static bool is_finalized(struct thread *thread);
static size_t put_leaf(struct record *record, const struct wish *wish, size_t walked);
static bool gate_knows(uintptr_t interpreter);
static void record_head(struct record *record, uint32_t metric, uint64_t time_ns, uint64_t value);
static void put_native(struct thread *thread, struct record *record, const void *context,
		       uint32_t got);
static void record_commit(struct thread *thread, struct record *record);

bool record_stack(struct thread *thread, enum metric metric, uint64_t time_ns, uint64_t value,
		  const void *context)
{
	const struct wish wish = { metric, time_ns, value, context, false, NULL };

	return put_stack(thread, &wish);
}

bool record_call(struct thread *thread, enum metric metric, uint64_t time_ns, uint64_t value,
		 const struct frame *leaf)
{
	const struct wish wish = { metric, time_ns, value, NULL, true, leaf };

	return put_stack(thread, &wish);
}

bool record_put(struct thread *thread, enum metric metric, uint64_t time_ns, uint64_t value,
		enum frame_marker marker)
{
	uint32_t size = record_bytes(1), got;
	struct record *record = ring_begin(&thread->ring, size, size, &got);

	if (!record) {
		thread_lose(thread, LOSS_ring_full);
		return false;
	}
	record_head(record, metric, time_ns, value);
	record->depth = 1;
	record->frames[0] = (struct frame){ marker, 0 };
	record_commit(thread, record);
	return true;
}

void record_start(struct thread *thread, uintptr_t interpreter, const struct frame *frames,
		  size_t depth)
{
	uint32_t size = record_bytes(THREAD_START_FRAMES), got;
	struct record *record;

	if (!depth || depth > THREAD_START_FRAMES || !gate_knows(interpreter))
		return;
	/* Its thread is the producer; until it runs, and handed on by its creation, that is we. */
	record = ring_begin(&thread->ring, size, size, &got);
	if (!record)
		return;
	memcpy(record->frames, frames, depth * sizeof(*frames));
	record_head(record, RECORD_START, os_monotonic_ns(), 0);
	record->depth = (uint32_t)depth;
	record_commit(thread, record);
}

void record_limit(uint32_t depth)
{
	records.depth = depth;
}

uint32_t record_bytes(uint32_t depth)
{
	return (uint32_t)(sizeof(struct record) + depth * sizeof(struct frame));
}

static bool put_stack(struct thread *thread, const struct wish *wish)
{
	uint32_t leaves = wish->leaf != NULL, native_bytes = record_native_most(), got;
	uint32_t others = leaves + (native_bytes != 0); /* a leaf, and one entry frame more */
	uint32_t frames_bytes = record_bytes(records.depth + others);
	struct record *record;
	size_t depth, room;
	uintptr_t interpreter;
	enum frames_result result;

	if (is_finalized(thread))
		return record_put(thread, wish->metric, wish->time_ns, wish->value,
				  FRAME_FINALIZING);
	record = ring_begin(&thread->ring, record_bytes(1 + others), frames_bytes + native_bytes,
			    &got);
	if (!record) {
		thread_lose(thread, LOSS_ring_full);
		return false;
	}
	room = got < frames_bytes ? (got - sizeof(*record)) / sizeof(struct frame) - others :
				    records.depth;
	result = frames_walk(record->frames + leaves, room,
			     wish->context ? os_program_counter(wish->context) : 0, &depth,
			     &interpreter);
	if (result == FRAMES_UNSURE || (result == FRAMES_CUT && room < records.depth)) {
		thread_lose(thread, result == FRAMES_UNSURE ? LOSS_unsure : LOSS_ring_full);
		return false;
	}
	if (result == FRAMES_NONE) {
		record->frames[0] = (struct frame){ FRAME_NO_PYTHON, 0 };
		depth = 1;
	} else if (!gate_knows(interpreter)) {
		thread_lose(thread, LOSS_unknown_interpreter);
		return record_put(thread, wish->metric, wish->time_ns, wish->value, FRAME_UNKNOWN);
	} else if (wish->is_call) {
		depth = put_leaf(record, wish, depth);
	}
	record_head(record, wish->metric, wish->time_ns, wish->value);
	if (result == FRAMES_CUT) {
		record->cut = 1;
		thread_lose(thread, LOSS_cut);
	}
	record->depth = (uint32_t)depth;
	if (wish->context)
		put_native(thread, record, wish->context, got);
	record_commit(thread, record);
	return true;
}

/* 3.12 frees the states of others before the last event: their frames may be gone. */
static bool is_finalized(struct thread *thread)
{
	uint32_t finalizing =
		atomic_load_explicit(&record_gate.finalizing_tid, memory_order_acquire);

	return finalizing &&
	       finalizing != (uint32_t)atomic_load_explicit(&thread->tid, memory_order_relaxed);
}

/* The call's leaf, or none, in place of the one that the walk knows. How many frames there are. */
static size_t put_leaf(struct record *record, const struct wish *wish, size_t walked)
{
	size_t leaves = wish->leaf != NULL;
	struct frame *frames = record->frames + leaves;

	if (frames[0].instruction == FRAME_CALLEE)
		memmove(frames, frames + 1, --walked * sizeof(*frames));
	if (wish->leaf)
		record->frames[0] = *wish->leaf;
	return leaves + walked;
}

static bool gate_knows(uintptr_t interpreter)
{
	for (unsigned i = 0; i < RECORD_INTERPRETERS; i++) {
		uintptr_t known =
			atomic_load_explicit(&record_gate.interpreters[i], memory_order_acquire);

		if (known == interpreter)
			return true;
	}
	return false;
}

static void record_head(struct record *record, uint32_t metric, uint64_t time_ns, uint64_t value)
{
	record->metric = (uint16_t)metric;
	record->cut = 0;
	record->native_bytes = 0;
	record->time_ns = time_ns;
	record->value = value;
}

/* Behind the frames, in what is left of the `got` bytes: the C stack of the handler's context. */
static void put_native(struct thread *thread, struct record *record, const void *context,
		       uint32_t got)
{
	uint32_t used = record_bytes(record->depth);
	uintptr_t entry = 0;

	if (!record_native_most())
		return;
	for (size_t i = 0; i < record->depth && !entry; i++) {
		if (record->frames[i].instruction == FRAME_ENTRY)
			entry = record->frames[i].code;
	}
	record->native_bytes =
		record_native_put(thread, (struct record_native *)((unsigned char *)record + used),
				  got - used, context, entry);
}

static void record_commit(struct thread *thread, struct record *record)
{
	for (size_t i = 0; i < record->depth; i++) {
		if (frame_is_code(&record->frames[i]))
			mark_set(record->frames[i].code);
	}
	record->size_bytes = record_bytes(record->depth) + record->native_bytes;
	ring_commit(&thread->ring, record->size_bytes);
}
