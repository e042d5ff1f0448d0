/*
 * frames_line.c - the line of an instruction, from a code object's location table.
 *
 * The table is a run of entries, each for 1 to 8 code units of 2 bytes.  An entry's first byte, and
 * only that, has its highest bit set:
 *
 *   1 kkkk lll    kind, length in code units - 1
 *   kind 0-9      line as before                 (columns in one more byte)
 *   kind 10-12    line + 0, 1, 2                 (columns in two more bytes)
 *   kind 13, 14   line + a signed varint that follows; 14: more varints (end line, columns)
 *   kind 15       no line
 *
 * A varint comes in 6-bit pieces, lowest first, bit 6 set while more follow; a signed one has its
 * sign in bit 0.  PyCode_Addr2Line says the same, but may not be called without the GIL, and in
 * 3.13+ not from a handler at all (it reads tables of sys.monitoring that may be half made).
 */
#include "frames.h"

enum kind { KIND_ONE_LINE = 10, KIND_ONE_LINE_LAST = 12, KIND_LONG = 14, KIND_NONE = 15 };

static int line_delta(const uint8_t *entry, const uint8_t *end);

int frames_line(const uint8_t *linetable, size_t size_bytes, int firstlineno, int offset)
{
	const uint8_t *entry = linetable, *end = linetable + size_bytes;
	unsigned line = (unsigned)firstlineno; /* wraps where the table is nonsense */
	int64_t entry_end = 0;
	if (offset < 0)
		return firstlineno;
	while (entry < end) {
		unsigned kind = *entry >> 3 & 15;
		line += (unsigned)line_delta(entry, end);
		entry_end += 2 * ((*entry & 7) + 1);
		if (offset < entry_end)
			return kind == KIND_NONE || (int)line < 0 ? 0 : (int)line;
		do
			entry++;
		while (entry < end && !(*entry & 0x80));
	}
	return 0;
}

static int line_delta(const uint8_t *entry, const uint8_t *end)
{
	unsigned kind = *entry >> 3 & 15, value = 0, shift = 0;
	if (kind >= KIND_ONE_LINE && kind <= KIND_ONE_LINE_LAST)
		return (int)kind - KIND_ONE_LINE;
	if (kind < KIND_ONE_LINE || kind > KIND_LONG)
		return 0;
	while (++entry < end && shift < 32) {
		value |= (*entry & 63u) << shift;
		shift += 6;
		if (!(*entry & 64))
			break;
	}
	return value & 1 ? -(int)(value >> 1) : (int)(value >> 1);
}
