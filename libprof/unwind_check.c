/*
 * unwind_check.c - call frame instructions and the expressions in them (DWARF 5, 6.4.2 and 2.5): only their form.
 *
 * A row says what follows an opcode: r register, n number (LEB128), b expression with its length, 1 2 4 8 bytes.  What
 * has no row is refused: it divides, jumps, or is not written for x86-64.
 */
#include "unwind_check.h"

#include <string.h>

#define REGISTERS 17 /* rip is the last */
#define UNDEFINED 0x07
#define INSTRUCTION_BYTES_MAX 65536

struct span {
	struct unwind_memory *memory;
	uint64_t at, end;
};

static const char *const instructions[64] = {
	[0x00] = "",  [0x02] = "1",  [0x03] = "2",  [0x04] = "4",  [0x05] = "rn", [0x06] = "r",
	[0x07] = "r", [0x08] = "r",  [0x09] = "rr", [0x0a] = "",   [0x0b] = "",	  [0x0c] = "rn",
	[0x0d] = "r", [0x0e] = "n",  [0x0f] = "b",  [0x10] = "rb", [0x11] = "rn", [0x12] = "rn",
	[0x13] = "n", [0x14] = "rn", [0x15] = "rn", [0x16] = "rb", [0x2e] = "n",  [0x2f] = "rn",
};

/* Constants, what is done with one or two of them, and registers with an offset. */
static const char *const operations[256] = {
	[0x03] = "8",	       [0x06] = "",  [0x08] = "1",	   [0x09] = "1", [0x0a] = "2",
	[0x0b] = "2",	       [0x0c] = "4", [0x0d] = "4",	   [0x0e] = "8", [0x0f] = "8",
	[0x10] = "n",	       [0x11] = "n", [0x12 ... 0x13] = "", /* dup drop */
	[0x16] = "", /* swap */
	[0x1a] = "", /* and */
	[0x1c] = "", /* minus */
	[0x1e ... 0x22] = "", /* mul neg not or plus */
	[0x23] = "n", /* plus a constant */
	[0x24 ... 0x27] = "", /* shl shr shra xor */
	[0x29 ... 0x2e] = "", /* comparisons */
	[0x30 ... 0x4f] = "", /* 0 to 31 */
	[0x70 ... 0x80] = "n", /* rax to rip */
	[0x96] = "",
};

static bool says_bottom(struct span span);
static bool check_instruction(struct span *span);
static bool check_operands(struct span *span, const char *form);
static bool check_expression(struct span *span);
static bool take_number(struct span *span, uint64_t *number);
static bool take_byte(struct span *span, uint8_t *byte);
static bool skip(struct span *span, uint64_t n);

bool unwind_check(struct unwind_memory *memory, uint64_t start, uint64_t end, bool *is_bottom)
{
	struct span span = { memory, start, end };

	*is_bottom = false;
	if (start > end || end - start > INSTRUCTION_BYTES_MAX)
		return false;
	while (span.at < span.end) {
		*is_bottom |= says_bottom(span);
		if (!check_instruction(&span))
			return false;
	}
	return true;
}

/* DW_CFA_undefined of the return address: the outermost frame (System V ABI, AMD64, 3.4.1, of _start). */
static bool says_bottom(struct span span)
{
	uint8_t opcode, number;

	return take_byte(&span, &opcode) && opcode == UNDEFINED && take_byte(&span, &number) &&
	       number == REGISTERS - 1;
}

/* The two high bits may be the opcode: advance, offset, restore; then the others are its operand. */
static bool check_instruction(struct span *span)
{
	uint8_t byte, low;

	if (!take_byte(span, &byte))
		return false;
	low = byte & 63;
	switch (byte >> 6) {
	case 0:
		return instructions[low] && check_operands(span, instructions[low]);
	case 1:
		return true;
	case 2:
		return low < REGISTERS && check_operands(span, "n");
	default:
		return low < REGISTERS;
	}
}

static bool check_operands(struct span *span, const char *form)
{
	uint64_t number;

	for (; *form; form++) {
		switch (*form) {
		case 'r':
			if (!take_number(span, &number) || number >= REGISTERS)
				return false;
			break;
		case 'n':
			if (!take_number(span, &number))
				return false;
			break;
		case 'b':
			if (!check_expression(span))
				return false;
			break;
		default:
			if (!skip(span, (uint64_t)(*form - '0')))
				return false;
		}
	}
	return true;
}

static bool check_expression(struct span *span)
{
	struct span inner = *span;
	uint64_t length;
	uint8_t operation;

	if (!take_number(span, &length))
		return false;
	inner.at = span->at;
	if (!skip(span, length))
		return false;
	inner.end = span->at;
	while (inner.at < inner.end) {
		if (!take_byte(&inner, &operation) || !operations[operation] ||
		    !check_operands(&inner, operations[operation]))
			return false;
	}
	return true;
}

static bool take_number(struct span *span, uint64_t *number)
{
	uint8_t byte;

	*number = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		if (!take_byte(span, &byte))
			return false;
		*number |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return true;
	}
	return false;
}

static bool take_byte(struct span *span, uint8_t *byte)
{
	return span->at < span->end && unwind_memory_read(span->memory, span->at++, byte, 1);
}

static bool skip(struct span *span, uint64_t n)
{
	if (n > span->end - span->at)
		return false;
	span->at += n;
	return true;
}
