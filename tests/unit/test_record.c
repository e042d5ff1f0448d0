/*
 * test_record.c - what a record looks like in its ring and when there is none, with a walk of our own.
 */
#include "mark.h"
#include "os.h"
#include "record.h"

#include <criterion/criterion.h>
#include <string.h>
#include <ucontext.h>

#define RING_BYTES 1024
#define INTERPRETER 0x1000u
#define CODE(i) (0x7f0000001000u + 0x100u * (i))
#define INSTRUCTION(i) (CODE(i) + 0x40u)
#define DEPTH 12

/* The stack that frames_walk finds. */
static struct {
	uint32_t depth;
	enum frames_result result;
	uintptr_t interpreter;
	unsigned walks;
	size_t limit;
	uintptr_t pc;
	bool calls_c; /* the leaf is a callee */
} stack = { .depth = 3, .interpreter = INTERPRETER };

/* Interrupted at 3333. */
static ucontext_t interrupted;

static struct thread *thread;
static unsigned marks;
static uint32_t used_before;

enum frames_result __wrap_frames_walk(struct frame *frames, size_t limit, uintptr_t pc,
				      size_t *count, uintptr_t *interpreter);
enum frames_result __wrap_frames_walk(struct frame *frames, size_t limit, uintptr_t pc,
				      size_t *count, uintptr_t *interpreter)
{
	stack.walks++;
	stack.limit = limit;
	stack.pc = pc;
	*interpreter = stack.interpreter;
	for (*count = 0; *count < stack.depth && *count < limit; ++*count) {
		frames[*count].code = CODE(*count);
		frames[*count].instruction = INSTRUCTION(*count);
	}
	if (stack.calls_c)
		frames[0] = (struct frame){ CODE(99), FRAME_CALLEE };
	return stack.depth > limit ? FRAMES_CUT : stack.result;
}

void __real_mark_set(uintptr_t code);
void __wrap_mark_set(uintptr_t code);
void __wrap_mark_set(uintptr_t code)
{
	cr_assert_eq(ring_used(&thread->ring), used_before, "before it is published");
	marks++;
	__real_mark_set(code);
}

static void on_ending(struct thread *ended)
{
	(void)ended;
}

static void set_up(void)
{
	cr_assert_null(threads_start(RING_BYTES, on_ending));
	thread = thread_reserve();
	cr_assert_not_null(thread);
	thread_begin(thread);
	memset(thread->ring.data, 0xee, RING_BYTES);
	record_limit(DEPTH);
#if defined(__x86_64__)
	interrupted.uc_mcontext.gregs[REG_RIP] = 3333;
#else
	interrupted.uc_mcontext.pc = 3333;
#endif
	atomic_store(&record_gate.interpreters[0], INTERPRETER + 1);
	atomic_store(&record_gate.interpreters[RECORD_INTERPRETERS - 1], INTERPRETER);
}

TestSuite(record, .init = set_up);

static bool sample(void)
{
	used_before = ring_used(&thread->ring);
	return record_stack(thread, METRIC_cpu_cpu, 1111, 2222, &interrupted);
}

static uint64_t lost(enum loss reason)
{
	return atomic_load(&thread->losses[reason]);
}

static uint64_t lost_in_all(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < LOSS_COUNT; i++)
		sum += atomic_load(&thread->losses[i]);
	return sum;
}

/* The oldest record, if its head is that of `sample`. */
static const struct record *first(uint32_t depth)
{
	const struct record *record = ring_peek(&thread->ring);

	cr_assert_not_null(record);
	cr_expect_eq(record->size_bytes, record_bytes(depth));
	cr_expect_eq(record->metric, METRIC_cpu_cpu);
	cr_expect_eq(record->depth, depth);
	cr_expect_eq(record->native_bytes, 0);
	cr_expect_eq(record->time_ns, 1111);
	cr_expect_eq(record->value, 2222);
	return record;
}

static void expect_marker(enum frame_marker marker)
{
	const struct record *record = first(1);

	cr_expect_eq(record->frames[0].code, marker);
	cr_expect_eq(record->frames[0].instruction, 0);
	cr_expect_eq(record->cut, 0);
	ring_next(&thread->ring);
	cr_expect_null(ring_peek(&thread->ring), "no other");
}

static void expect_frames(const struct record *record)
{
	for (uint32_t i = 0; i < record->depth; i++) {
		cr_expect_eq(record->frames[i].code, CODE(i));
		cr_expect_eq(record->frames[i].instruction, INSTRUCTION(i));
	}
}

/* Leave this much room at the end of the ring, and none before it. */
static void leave_room(uint32_t room)
{
	uint32_t got = 0, *piece = ring_begin(&thread->ring, 8, RING_BYTES - room, &got);

	cr_assert_eq(got, RING_BYTES - room);
	*piece = got;
	ring_commit(&thread->ring, got);
}

Test(record, is_made_of_its_head_and_its_frames)
{
	cr_expect_eq(record_bytes(0), sizeof(struct record));
	cr_expect_eq(record_bytes(1), sizeof(struct record) + sizeof(struct frame));
	cr_expect_eq(record_bytes(7) - record_bytes(6), sizeof(struct frame));
	cr_expect_eq(record_bytes(1) % 8, 0);
}

Test(record, a_callee_is_no_code)
{
	stack.calls_c = true;
	cr_assert(sample());
	cr_assert_eq(marks, 2);
	cr_assert_not(mark_get(CODE(99)));
	cr_assert_eq(first(3)->frames[0].code, CODE(99));
}

Test(record, holds_the_stack_leaf_first)
{
	const struct record *record;

	cr_expect(sample());
	record = first(3);
	cr_expect_eq(record->cut, 0);
	expect_frames(record);
	cr_expect_eq(ring_used(&thread->ring), record_bytes(3), "not more than it needs");
	cr_expect_eq(stack.pc, 3333);
	cr_expect_eq(stack.limit, DEPTH);
	cr_expect_eq(lost_in_all(), 0);
}

Test(record, its_codes_are_marked_before_it_is_seen)
{
	for (unsigned i = 0; i < 3; i++)
		cr_assert_not(mark_get(CODE(i)));
	cr_expect(sample());
	cr_expect_eq(marks, 3);
	for (unsigned i = 0; i < 3; i++)
		cr_expect(mark_get(CODE(i)));
}

Test(record, is_cut_at_the_limit)
{
	const struct record *record;

	record_limit(5);
	stack.depth = 5;
	cr_expect(sample());
	cr_expect_eq(first(5)->cut, 0, "it fits");
	ring_next(&thread->ring);
	stack.depth = 6;
	cr_expect(sample());
	record = first(5);
	cr_expect_eq(record->cut, 1);
	expect_frames(record);
	cr_expect_eq(stack.limit, 5);
	cr_expect_eq(lost(LOSS_cut), 1);
	cr_expect_eq(lost_in_all(), 1);
}

Test(record, is_not_cut_for_want_of_room)
{
	leave_room(record_bytes(4));
	stack.depth = 5;
	cr_expect_not(sample());
	cr_expect_eq(stack.limit, 4);
	cr_expect_eq(ring_used(&thread->ring), RING_BYTES - record_bytes(4));
	cr_expect_eq(lost(LOSS_ring_full), 1);
	cr_expect_eq(lost_in_all(), 1);
	cr_expect_eq(marks, 0);
	ring_next(&thread->ring);
	cr_expect(sample());
	expect_frames(first(5));
}

Test(record, uses_what_room_there_is)
{
	leave_room(record_bytes(3) + 8);
	cr_expect(sample());
	ring_next(&thread->ring);
	cr_expect_eq(stack.limit, 3);
	expect_frames(first(3));
	cr_expect_eq(lost_in_all(), 0);
}

Test(record, is_dropped_when_the_ring_is_full)
{
	leave_room(record_bytes(1) - 8);
	cr_expect_not(sample());
	cr_expect_eq(stack.walks, 0);
	cr_expect_not(record_put(thread, METRIC_cpu_cpu, 1111, 2222, FRAME_THREAD_EXIT));
	cr_expect_eq(lost(LOSS_ring_full), 2);
	cr_expect_eq(lost_in_all(), 2);
	ring_next(&thread->ring);
	cr_expect_null(ring_peek(&thread->ring));
}

Test(record, is_dropped_when_it_is_not_sure)
{
	stack.result = FRAMES_UNSURE;
	cr_expect_not(sample());
	cr_expect_null(ring_peek(&thread->ring));
	cr_expect_eq(lost(LOSS_unsure), 1);
	cr_expect_eq(lost_in_all(), 1);
	cr_expect_eq(marks, 0);
	stack.result = FRAMES_OK;
	cr_expect(sample());
	expect_frames(first(3));
}

Test(record, of_an_interpreter_that_is_not_known)
{
	stack.interpreter = INTERPRETER + 2;
	cr_expect(sample());
	expect_marker(FRAME_UNKNOWN);
	cr_expect_eq(lost(LOSS_unknown_interpreter), 1);
	cr_expect_eq(lost_in_all(), 1);
	cr_expect_eq(marks, 0);
	atomic_store(&record_gate.interpreters[7], stack.interpreter);
	cr_expect(sample());
	expect_frames(first(3));
	cr_expect_eq(lost_in_all(), 1);
}

Test(record, of_an_interpreter_that_is_not_known_any_more)
{
	atomic_store(&record_gate.interpreters[RECORD_INTERPRETERS - 1], 0);
	cr_expect(sample());
	expect_marker(FRAME_UNKNOWN);
}

Test(record, without_python)
{
	stack.result = FRAMES_NONE;
	stack.depth = 0;
	stack.interpreter = 0;
	cr_expect(sample());
	expect_marker(FRAME_NO_PYTHON);
	cr_expect_eq(lost_in_all(), 0);
}

Test(record, of_another_thread_than_the_one_that_finalizes)
{
	atomic_store(&record_gate.finalizing_tid, (uint32_t)os_gettid() + 1);
	cr_expect(sample());
	cr_expect_eq(stack.walks, 0, "its state may be gone");
	expect_marker(FRAME_FINALIZING);
	cr_expect_eq(lost_in_all(), 0);
}

Test(record, of_the_thread_that_finalizes)
{
	atomic_store(&record_gate.finalizing_tid, (uint32_t)os_gettid());
	cr_expect(sample());
	expect_frames(first(3));
}

Test(record, put_holds_one_marker)
{
	for (enum frame_marker marker = FRAME_THREAD_EXIT; marker < FRAME_MARKER_END; marker++) {
		cr_expect(record_put(thread, METRIC_cpu_cpu, 1111, 2222, marker));
		expect_marker(marker);
	}
	cr_expect_eq(stack.walks, 0);
}

Test(record, many_go_round_the_ring)
{
	for (unsigned i = 0; i < 1000; i++) {
		stack.depth = 1 + i % DEPTH;
		cr_assert(sample());
		expect_frames(first(stack.depth));
		ring_next(&thread->ring);
	}
	cr_expect_eq(lost_in_all(), 0);
}

/* ---- calls ---- */

static bool call(const struct frame *leaf)
{
	used_before = ring_used(&thread->ring);
	return record_call(thread, METRIC_cpu_cpu, 1111, 2222, leaf);
}

static void expect_leaf(const struct record *record, const struct frame *leaf)
{
	cr_expect_eq(record->frames[0].code, leaf->code);
	cr_expect_eq(record->frames[0].instruction, leaf->instruction);
	for (uint32_t i = 1; i < record->depth; i++)
		cr_expect_eq(record->frames[i].code, CODE(i - 1));
}

static const struct frame callee = { 77, FRAME_CALLEE }, unknown = { FRAME_UNKNOWN, 0 };

Test(record, a_call_of_python_is_the_stack)
{
	cr_expect(call(NULL));
	expect_frames(first(3));
	cr_expect_eq(stack.pc, 0);
	cr_expect_eq(stack.limit, DEPTH);
	cr_expect_eq(marks, 3);
}

Test(record, a_call_of_python_is_not_one_of_the_callee_that_its_place_is_known_for)
{
	const struct record *record;

	stack.calls_c = true;
	cr_expect(call(NULL));
	record = first(2);
	cr_expect_eq(record->frames[0].code, CODE(1));
	cr_expect_eq(record->frames[1].code, CODE(2));
	cr_expect_eq(marks, 2);
}

Test(record, a_call_of_c_has_its_callee_as_leaf)
{
	cr_expect(call(&callee));
	expect_leaf(first(4), &callee);
	cr_expect_eq(marks, 3, "a callee is no code");
	cr_expect_eq(lost_in_all(), 0);
}

Test(record, a_call_of_c_has_one_leaf)
{
	const struct record *record;

	stack.calls_c = true;
	cr_expect(call(&callee));
	record = first(3);
	cr_expect_eq(record->frames[0].code, callee.code);
	cr_expect_eq(record->frames[1].code, CODE(1));
	cr_expect_eq(record->frames[2].code, CODE(2));
	cr_expect_eq(marks, 2);
}

Test(record, a_call_of_what_has_no_frame_has_a_marker_as_leaf)
{
	cr_expect(call(&unknown));
	expect_leaf(first(4), &unknown);
	cr_expect_eq(marks, 3);
}

Test(record, a_leaf_is_beyond_the_limit)
{
	stack.depth = DEPTH;
	cr_expect(call(&callee));
	expect_leaf(first(DEPTH + 1), &callee);
	cr_expect_eq(first(DEPTH + 1)->cut, 0);
	ring_next(&thread->ring);
	stack.depth = DEPTH + 1;
	cr_expect(call(&callee));
	expect_leaf(first(DEPTH + 1), &callee);
	cr_expect_eq(first(DEPTH + 1)->cut, 1);
	cr_expect_eq(lost(LOSS_cut), 1);
	ring_next(&thread->ring);
	record_limit(1);
	stack.calls_c = true;
	cr_expect(call(&callee));
	expect_leaf(first(1), &callee);
}

Test(record, a_call_that_does_not_fit_is_dropped)
{
	leave_room(record_bytes(2) - 8);
	cr_expect_not(call(&callee));
	cr_expect_eq(stack.walks, 0);
	cr_expect_eq(lost(LOSS_ring_full), 1);
	cr_expect_eq(lost_in_all(), 1);
	ring_next(&thread->ring);
	cr_expect_null(ring_peek(&thread->ring));
}

Test(record, a_call_is_not_cut_for_want_of_room)
{
	leave_room(record_bytes(3));
	cr_expect_not(call(&callee), "three frames and a leaf");
	cr_expect_eq(stack.limit, 2);
	cr_expect_eq(lost(LOSS_ring_full), 1);
	cr_expect_eq(lost_in_all(), 1);
	cr_expect_eq(marks, 0);
}

Test(record, a_call_where_there_is_no_stack_is_a_marker)
{
	atomic_store(&record_gate.finalizing_tid, (uint32_t)os_gettid() + 1);
	cr_expect(call(&callee));
	expect_marker(FRAME_FINALIZING);
	atomic_store(&record_gate.finalizing_tid, 0);
	stack.interpreter = INTERPRETER + 2;
	cr_expect(call(&callee));
	expect_marker(FRAME_UNKNOWN);
}

/* ---- what a thread starts with ---- */

static const struct frame start[] = {
	{ CODE(0), INSTRUCTION(0) },
	{ CODE(1), INSTRUCTION(1) },
	{ CODE(2), INSTRUCTION(2) },
};

Test(record, a_start_is_no_sample)
{
	const struct record *record;

	record_start(thread, INTERPRETER, start, PROF_COUNT(start));
	record = ring_peek(&thread->ring);
	cr_assert_not_null(record);
	cr_expect_eq(record->metric, RECORD_START);
	cr_expect_geq(RECORD_START, METRIC_COUNT);
	cr_expect_eq(record->value, 0);
	cr_expect_eq(record->size_bytes, record_bytes(3));
	cr_expect_eq(record->depth, 3);
	cr_expect_eq(record->cut, 0);
	expect_frames(record);
	cr_expect_eq(marks, 3);
	for (unsigned i = 0; i < 3; i++)
		cr_expect(mark_get(CODE(i)));
	cr_expect_eq(lost_in_all(), 0);
	ring_next(&thread->ring);
	cr_expect(sample(), "samples follow it");
	first(3);
}

Test(record, a_start_that_cannot_be_named_is_not_told)
{
	static const struct frame deep[THREAD_START_FRAMES + 1] = { { CODE(0), INSTRUCTION(0) } };

	record_start(thread, INTERPRETER + 2, start, PROF_COUNT(start));
	record_start(thread, INTERPRETER, start, 0);
	record_start(thread, INTERPRETER, deep, PROF_COUNT(deep));
	cr_expect_null(ring_peek(&thread->ring));
	cr_expect_eq(marks, 0);
	leave_room(record_bytes(THREAD_START_FRAMES) - 8);
	used_before = ring_used(&thread->ring);
	record_start(thread, INTERPRETER, start, PROF_COUNT(start));
	cr_expect_eq(ring_used(&thread->ring), used_before);
	cr_expect_eq(lost_in_all(), 0, "no sample was");
}
