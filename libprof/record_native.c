/*
 * record_native.c - the C stack of the interrupted thread, copied as it lies.
 */
#include "record_native.h"

#include "thread_stack.h"

#define RED_ZONE_BYTES 128
#define LOOP_BYTES \
	1024 /* of the interpreter's C frame, above its entry frame; seen: 144 and 160 (3.12 to 3.15) */
#define ROUND 8

static struct {
	enum record_native_mode mode;
	uint32_t stack_bytes;
} natives;

void record_native_limit(enum record_native_mode mode, uint32_t stack_bytes)
{
	natives.mode = mode;
	natives.stack_bytes = stack_bytes & ~(uint32_t)(ROUND - 1);
}

enum record_native_mode record_native_wanted(void)
{
	return natives.mode;
}

uint32_t record_native_most(void)
{
	if (natives.mode == RECORD_NATIVE_NO)
		return 0;
	return (uint32_t)sizeof(struct record_native) + RED_ZONE_BYTES + natives.stack_bytes;
}

uint32_t record_native_put(struct thread *thread, struct record_native *native, uint32_t room,
			   const void *context, uintptr_t entry)
{
	uintptr_t pointer = os_stack_pointer(context), begin, end;
	uint64_t size;

	if (room < sizeof(*native) + RED_ZONE_BYTES)
		return 0;
	if (!thread_stack_holds(thread, pointer, &end) ||
	    (entry && natives.mode == RECORD_NATIVE_LEAF && (entry < pointer || entry >= end))) {
		thread_lose(thread, LOSS_native_stack);
		return 0;
	}
	if (entry && natives.mode == RECORD_NATIVE_LEAF && end - entry > LOOP_BYTES)
		end = entry + LOOP_BYTES;
	begin = thread_stack_below(thread, pointer, RED_ZONE_BYTES);
	size = end - pointer < natives.stack_bytes ? end - pointer : natives.stack_bytes;
	size += pointer - begin;
	if (size > room - sizeof(*native))
		size = room - sizeof(*native);
	size &= ~(uint64_t)(ROUND - 1);
	os_registers_take(context, &native->registers);
	native->begin = begin;
	native->stack_bytes = (uint32_t)size;
	native->unused = 0;
	os_stack_copy(native->stack, native->begin, size);
	return (uint32_t)(sizeof(*native) + size);
}
