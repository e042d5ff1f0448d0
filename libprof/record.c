/*
 * record.c - the only way into a ring.
 *
 * record_stack walks the calling thread's stack straight into the ring's own bytes: nothing is copied,
 * nothing is on the stack.  What is not sure is not published.
 */
#include "record.h"

#include "mark.h"
#include "os.h"

#include <string.h>

struct record_gate record_gate;

static struct {
	uint32_t depth;
} records = { .depth = 512 };

/* What a sample is to be. */
struct wish {
	enum metric metric;
	uint64_t time_ns, value;
	uintptr_t pc;
	bool is_call;
	const struct frame *leaf; /* of a call */
};

static bool put_stack(struct thread *thread, const struct wish *wish);
static size_t put_leaf(struct record *record, const struct wish *wish, size_t walked);
static bool gate_knows(uintptr_t interpreter);
static void record_head(struct record *record, uint32_t metric, uint64_t time_ns, uint64_t value);
static void record_commit(struct thread *thread, struct record *record, size_t depth);

bool record_stack(struct thread *thread, enum metric metric, uint64_t time_ns, uint64_t value,
		  uintptr_t pc)
{
	const struct wish wish = { .metric = metric, .time_ns = time_ns, .value = value, .pc = pc };

	return put_stack(thread, &wish);
}

bool record_call(struct thread *thread, enum metric metric, uint64_t time_ns, uint64_t value,
		 const struct frame *leaf)
{
	const struct wish wish = { metric, time_ns, value, 0, true, leaf };

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
	record->frames[0].code = marker;
	record->frames[0].instruction = 0;
	record_commit(thread, record, 1);
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
	for (size_t i = 0; i < depth; i++)
		mark_set(frames[i].code);
	memcpy(record->frames, frames, depth * sizeof(*frames));
	record_head(record, RECORD_START, os_monotonic_ns(), 0);
	record_commit(thread, record, depth);
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
	uint32_t finalizing =
		atomic_load_explicit(&record_gate.finalizing_tid, memory_order_acquire);
	uint32_t leaves = wish->leaf != NULL, most = record_bytes(records.depth + leaves);
	struct record *record;
	size_t depth, room;
	uintptr_t interpreter;
	uint32_t got;
	enum frames_result result;

	if (finalizing &&
	    finalizing != (uint32_t)atomic_load_explicit(&thread->tid, memory_order_relaxed))
		return record_put(thread, wish->metric, wish->time_ns, wish->value,
				  FRAME_FINALIZING);
	record = ring_begin(&thread->ring, record_bytes(1 + leaves), most, &got);
	if (!record) {
		thread_lose(thread, LOSS_ring_full);
		return false;
	}
	room = (got - sizeof(*record)) / sizeof(struct frame) - leaves;
	result = frames_walk(record->frames + leaves, room, wish->pc, &depth, &interpreter);
	if (result == FRAMES_NONE)
		return record_put(thread, wish->metric, wish->time_ns, wish->value,
				  FRAME_NO_PYTHON);
	if (result == FRAMES_UNSURE || (result == FRAMES_CUT && got < most)) {
		thread_lose(thread, result == FRAMES_UNSURE ? LOSS_unsure : LOSS_ring_full);
		return false;
	}
	if (!gate_knows(interpreter)) {
		thread_lose(thread, LOSS_unknown_interpreter);
		return record_put(thread, wish->metric, wish->time_ns, wish->value, FRAME_UNKNOWN);
	}
	if (wish->is_call)
		depth = put_leaf(record, wish, depth);
	for (size_t i = leaves; i < depth; i++) {
		if (record->frames[i].instruction != FRAME_CALLEE)
			mark_set(record->frames[i].code);
	}
	record_head(record, wish->metric, wish->time_ns, wish->value);
	if (result == FRAMES_CUT) {
		record->cut = 1;
		thread_lose(thread, LOSS_cut);
	}
	record_commit(thread, record, depth);
	return true;
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
	record->unused = 0;
	record->time_ns = time_ns;
	record->value = value;
}

static void record_commit(struct thread *thread, struct record *record, size_t depth)
{
	record->depth = (uint32_t)depth;
	record->size_bytes = record_bytes((uint32_t)depth);
	ring_commit(&thread->ring, record->size_bytes);
}
