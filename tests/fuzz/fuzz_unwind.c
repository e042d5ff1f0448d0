/*
 * fuzz_unwind.c - unwind tables, code and a stack that are all made up.
 *
 * Memory begins with .eh_frame_hdr; entries lie wherever its rows say.  By its first byte the input is all of this
 * memory, or only the instructions of the one entry of a table that is sound.  The second half of the memory is the
 * stack too, and every few bytes are taken for code, as interrupted and as returned to.
 */
#include "os.h"
#include "unwind.h"

#include <stdlib.h>
#include <string.h>

#define MEMORY_START 0x10000
#define PCS 16
#define STEPS 64
#define ENTRY_LENGTH 48 /* where its length stands */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);
bool __wrap_os_read(void *to, uintptr_t from, size_t n);

static const uint8_t *memory;
static size_t memory_bytes;

static uint8_t *take_all(const uint8_t *bytes, size_t size_bytes);
static uint8_t *take_instructions(const uint8_t *bytes, size_t size_bytes);
static void walk(uint64_t pc, bool is_return, const struct unwind_stack *stack);
static void need(bool truth);

/* Beyond its end memory is zero up to the next page, as the kernel has it. */
bool __wrap_os_read(void *to, uintptr_t from, size_t n)
{
	size_t at = from - MEMORY_START, whole = (memory_bytes + 4095) / 4096 * 4096;

	if (from < MEMORY_START || at > whole || n > whole - at)
		return false;
	memset(to, 0, n);
	if (at < memory_bytes)
		memcpy(to, memory + at, n < memory_bytes - at ? n : memory_bytes - at);
	return true;
}

static bool find(uint64_t pc, struct unwind_table *table)
{
	(void)pc;
	*table = (struct unwind_table){ 0, UINT64_MAX, 0, MEMORY_START, memory_bytes };
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	struct unwind_stack stack;
	uint8_t *copy;

	need(unwind_start() == NULL);
	unwind_begin(find);
	if (size_bytes == 0)
		return 0;
	copy = (bytes[0] & 1 ? take_instructions : take_all)(bytes + 1, size_bytes - 1);
	memory = copy;
	size_bytes = memory_bytes;
	stack = (struct unwind_stack){ MEMORY_START + size_bytes / 2, copy + size_bytes / 2,
				       size_bytes - size_bytes / 2 };
	for (size_t i = 0; i < PCS; i++) {
		uint64_t pc = MEMORY_START + i * size_bytes / PCS;

		walk(pc, false, &stack);
		walk(pc, true, &stack);
	}
	unwind_forget();
	unwind_release();
	free(copy);
	return 0;
}

/* A copy of its own, so that a read beyond it is seen. */
static uint8_t *take_all(const uint8_t *bytes, size_t size_bytes)
{
	uint8_t *copy = malloc(size_bytes + 1);

	memcpy(copy, bytes, size_bytes);
	memory_bytes = size_bytes;
	return copy;
}

static uint8_t *take_instructions(const uint8_t *bytes, size_t size_bytes)
{
	static const uint8_t frame[] = {
		/* The header: one row, the code begins where the header does */
		1, 0x1b, 3, 0x3b, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, ENTRY_LENGTH, 0, 0, 0,
		/* What is common: "zR", pcs relative in 4 bytes; cfa = rsp + 8, pc at cfa - 8 */
		24, 0, 0, 0, 0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b, 12, 7, 8, 0x90, 1, 0,
		0, 0, 0, 0, 0,
		/* The entry: length, back to what is common, where the code begins, how long it is */
		0, 0, 0, 0, 32, 0, 0, 0, 0xc8, 0xff, 0xff, 0xff, 0, 0x10, 0, 0, 0
	};
	uint32_t length = (uint32_t)(sizeof(frame) - ENTRY_LENGTH - 4 + size_bytes);
	uint8_t *copy = malloc(sizeof(frame) + size_bytes);

	memcpy(copy, frame, sizeof(frame));
	memcpy(copy + ENTRY_LENGTH, &length, sizeof(length));
	memcpy(copy + sizeof(frame), bytes, size_bytes);
	memory_bytes = sizeof(frame) + size_bytes;
	return copy;
}

static void walk(uint64_t pc, bool is_return, const struct unwind_stack *stack)
{
	struct unwind_registers registers = { .pc = pc, .is_return = is_return }, before;
	enum unwind_result result = UNWIND_OK;

	for (size_t i = 0; i < UNWIND_REGISTERS; i++)
		registers.general[i] = stack->begin + i * 8;
	registers.general[UNWIND_RSP] = stack->begin;
	for (int i = 0; i < STEPS && result == UNWIND_OK; i++) {
		before = registers;
		result = unwind_step(&registers, stack);
		need(result <= UNWIND_UNKNOWN);
		if (result != UNWIND_OK)
			need(memcmp(&before, &registers, sizeof(before)) == 0);
		else
			need(registers.pc != 0 &&
			     registers.general[UNWIND_RSP] >= before.general[UNWIND_RSP]);
		unwind_function(registers.pc);
	}
}

static void need(bool truth)
{
	if (!truth)
		abort();
}
