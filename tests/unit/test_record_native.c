/*
 * test_record_native.c - what is copied of a C stack, and where nothing is: on a stack that is known to end there,
 * with a context of our own.
 */
#include "mark.h"
#include "os.h"
#include "record.h"
#include "record_native.h"
#include "thread_stack.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#ifdef __x86_64__

#define RING_BYTES 16384
#define DEPTH 4
#define INTERPRETER 0x1000u
#define STACK_BYTES 4096u
#define RED_ZONE 128u
#define LOOP_BYTES 1024u
#define CODE(i) (0x7f0000001000u + 0x100u * (i))

/* What frames_walk finds: a Python frame, and the entry frame of its activation; 0: no entry frame. */
static struct {
	enum frames_result result;
	uintptr_t entry;
} python;

static struct thread *thread;
static unsigned char *stack; /* nothing is mapped behind it */
static ucontext_t interrupted;

enum frames_result __wrap_frames_walk(struct frame *frames, size_t limit, uintptr_t pc,
				      size_t *count, uintptr_t *interpreter);
enum frames_result __wrap_frames_walk(struct frame *frames, size_t limit, uintptr_t pc,
				      size_t *count, uintptr_t *interpreter)
{
	(void)limit;
	(void)pc;
	*interpreter = INTERPRETER;
	*count = 0;
	if (python.result == FRAMES_NONE)
		return FRAMES_NONE;
	frames[(*count)++] = (struct frame){ CODE(0), CODE(0) + 64 };
	if (python.entry)
		frames[(*count)++] = (struct frame){ python.entry, FRAME_ENTRY };
	return python.result;
}

static uint64_t now_ns = 1;

uint64_t __wrap_os_monotonic_ns(void);
uint64_t __wrap_os_monotonic_ns(void)
{
	return now_ns;
}

static void on_ending(struct thread *ended)
{
	(void)ended;
}

static uintptr_t at(size_t offset)
{
	return (uintptr_t)stack + offset;
}

static void set_pointer(uintptr_t pointer)
{
	interrupted.uc_mcontext.gregs[REG_RSP] = (greg_t)pointer;
}

static void set_up(void)
{
	cr_assert_null(threads_start(RING_BYTES, on_ending));
	thread = thread_reserve();
	cr_assert_not_null(thread);
	thread_begin(thread);
	record_limit(DEPTH);
	atomic_store(&record_gate.interpreters[0], INTERPRETER);
	stack = mmap(NULL, 3 * STACK_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(stack, MAP_FAILED);
	stack += STACK_BYTES;
	cr_assert_eq(mprotect(stack, STACK_BYTES, PROT_READ | PROT_WRITE), 0);
	for (size_t i = 0; i < STACK_BYTES; i++)
		stack[i] = (unsigned char)(i * 7);
	atomic_store(&thread->stack_begin, at(0));
	atomic_store(&thread->stack_end, at(STACK_BYTES));
	for (int i = 0; i < NGREG; i++)
		interrupted.uc_mcontext.gregs[i] = 1000 + i;
	set_pointer(at(1024));
	python.result = FRAMES_OK;
	python.entry = at(2048);
}

TestSuite(record_native, .init = set_up);

/* The record of a sample. */
static const struct record *sample(enum record_native_mode mode, uint32_t stack_bytes)
{
	record_native_limit(mode, stack_bytes);
	cr_assert(record_stack(thread, METRIC_cpu_cpu, 1, 2, &interrupted));
	return ring_peek(&thread->ring);
}

static const struct record_native *native_of(const struct record *record)
{
	cr_assert(record->native_bytes);
	cr_assert_eq(record->size_bytes, record_bytes(record->depth) + record->native_bytes);
	cr_assert_eq(record->size_bytes % 8, 0);
	return (const struct record_native *)&record->frames[record->depth];
}

static void expect_copy(const struct record_native *native, size_t bytes)
{
	cr_expect_eq(native->begin, at(1024 - RED_ZONE));
	cr_expect_eq(native->stack_bytes, bytes + RED_ZONE);
	cr_expect_arr_eq(native->stack, stack + 1024 - RED_ZONE, native->stack_bytes);
}

static uint64_t lost(enum loss reason)
{
	return atomic_load(&thread->losses[reason]);
}

Test(record_native, leaf_ends_with_the_innermost_activation)
{
	expect_copy(native_of(sample(RECORD_NATIVE_LEAF, 65536)), 1024 + LOOP_BYTES);
	ring_next(&thread->ring);
	python.entry = at(STACK_BYTES - 8);
	expect_copy(native_of(sample(RECORD_NATIVE_LEAF, 65536)), STACK_BYTES - 1024);
}

Test(record_native, yes_ends_with_the_stack)
{
	expect_copy(native_of(sample(RECORD_NATIVE_YES, 65536)), STACK_BYTES - 1024);
}

Test(record_native, is_no_longer_than_wanted)
{
	expect_copy(native_of(sample(RECORD_NATIVE_YES, 2000)), 2000);
}

Test(record_native, of_no_python_frame_all_is_wanted)
{
	const struct record *record;

	python.result = FRAMES_NONE;
	record = sample(RECORD_NATIVE_LEAF, 65536);
	cr_expect_eq(record->depth, 1);
	cr_expect_eq(record->frames[0].code, FRAME_NO_PYTHON);
	expect_copy(native_of(record), STACK_BYTES - 1024);
}

Test(record_native, has_the_registers)
{
	const struct record_native *native = native_of(sample(RECORD_NATIVE_LEAF, 65536));

	cr_expect_eq(native->registers.pc, 1000 + REG_RIP);
	cr_expect_eq(native->registers.general[0], 1000 + REG_RAX);
	cr_expect_eq(native->registers.general[1], 1000 + REG_RDX);
	cr_expect_eq(native->registers.general[3], 1000 + REG_RBX);
	cr_expect_eq(native->registers.general[6], 1000 + REG_RBP);
	cr_expect_eq(native->registers.general[7], at(1024));
	cr_expect_eq(native->registers.general[15], 1000 + REG_R15);
}

Test(record_native, nothing_is_taken_where_none_is_wanted)
{
	cr_expect_eq(sample(RECORD_NATIVE_NO, 65536)->native_bytes, 0);
	cr_expect_eq(lost(LOSS_native_stack), 0);
}

Test(record_native, of_another_stack_nothing_is_read)
{
	set_pointer(at(STACK_BYTES + 8));
	cr_expect_eq(sample(RECORD_NATIVE_YES, 65536)->native_bytes, 0);
	ring_next(&thread->ring);
	set_pointer(at(0) - 8);
	cr_expect_eq(sample(RECORD_NATIVE_YES, 65536)->native_bytes, 0);
	ring_next(&thread->ring);
	atomic_store(&thread->stack_end, 0);
	set_pointer(at(1024));
	cr_expect_eq(sample(RECORD_NATIVE_YES, 65536)->native_bytes, 0);
	cr_expect_eq(lost(LOSS_native_stack), 3);
}

Test(record_native, the_red_zone_may_not_be_mapped)
{
	const struct record_native *native;

	set_pointer(at(8));
	native = native_of(sample(RECORD_NATIVE_LEAF, 65536));
	cr_expect_eq(native->begin, at(0));
	cr_expect_eq(native->stack_bytes, 2048 + LOOP_BYTES);
}

Test(record_native, an_entry_frame_elsewhere_ends_nothing)
{
	python.entry = at(1016);
	cr_expect_eq(sample(RECORD_NATIVE_LEAF, 65536)->native_bytes, 0);
	ring_next(&thread->ring);
	python.entry = at(STACK_BYTES);
	cr_expect_eq(sample(RECORD_NATIVE_LEAF, 65536)->native_bytes, 0);
	cr_expect_eq(lost(LOSS_native_stack), 2);
}

/* Frames matter more: what does not fit any more is cut. */
Test(record_native, takes_what_room_there_is)
{
	uint32_t room = record_bytes(DEPTH + 1) + (uint32_t)sizeof(struct record_native) + 512, got;
	uint32_t *piece = ring_begin(&thread->ring, 8, RING_BYTES - room, &got);

	cr_assert_not_null(piece);
	*piece = RING_BYTES - room;
	ring_commit(&thread->ring, RING_BYTES - room);
	record_native_limit(RECORD_NATIVE_LEAF, 65536);
	cr_assert(record_stack(thread, METRIC_cpu_cpu, 1, 2, &interrupted));
	ring_next(&thread->ring);
	expect_copy(native_of(ring_peek(&thread->ring)), 512 - RED_ZONE + (DEPTH - 1) * 16);
}

/* ---- where stacks are ---- */

static void *look_from_a_thread(void *unused)
{
	struct thread *own = thread_reserve();
	pthread_attr_t attributes;
	uintptr_t end, here = (uintptr_t)&end;
	void *begin;
	size_t size;

	(void)unused;
	thread_stack_reserve(own, NULL);
	thread_begin(own);
	thread_stack_begin(own);
	cr_expect(thread_stack_holds(own, here, &end));
	cr_expect_gt(end, here);
	cr_assert_eq(pthread_getattr_np(pthread_self(), &attributes), 0);
	pthread_attr_getstack(&attributes, &begin, &size);
	pthread_attr_destroy(&attributes);
	cr_expect_leq(end, (uintptr_t)begin + size);
	cr_expect_geq(atomic_load(&own->stack_begin), (uintptr_t)begin, "what is not its own");
	cr_expect_lt(atomic_load(&own->stack_begin), (uintptr_t)begin + 65536, "it is all of it");
	return NULL;
}

Test(record_native, a_new_thread_knows_its_stack)
{
	pthread_t id;

	cr_assert_eq(pthread_create(&id, NULL, look_from_a_thread, NULL), 0);
	pthread_join(id, NULL);
}

static void *look_as_a_stranger(void *unused)
{
	struct thread *own = thread_reserve();
	uintptr_t end, here = (uintptr_t)&end;

	(void)unused;
	thread_begin(own);
	cr_expect_not(thread_stack_holds(own, here, &end));
	thread_stack_look();
	cr_expect(thread_stack_holds(own, here, &end));
	cr_expect_eq(end, (uintptr_t)pthread_self());
	return NULL;
}

Test(record_native, others_are_looked_for)
{
	pthread_t id;

	cr_assert_eq(pthread_create(&id, NULL, look_as_a_stranger, NULL), 0);
	pthread_join(id, NULL);
}

Test(record_native, the_main_thread_s_grows)
{
	uintptr_t end, here = (uintptr_t)&end;

	atomic_store(&thread->stack_begin, 0);
	atomic_store(&thread->stack_end, 0);
	cr_expect_not(thread_stack_holds(thread, here, &end));
	thread_stack_look();
	cr_expect(thread_stack_holds(thread, here, &end));
	atomic_store(&thread->stack_begin, here + 1);
	cr_expect_not(thread_stack_holds(thread, here, &end));
	thread_stack_look();
	cr_expect_not(thread_stack_holds(thread, here, &end),
		      "looks are not made one after the other");
	now_ns += 1000000000;
	thread_stack_look();
	cr_expect(thread_stack_holds(thread, here, &end));
}

#endif
