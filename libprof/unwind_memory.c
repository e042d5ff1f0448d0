/*
 * unwind_memory.c - lines of memory, each in the one place that its address gives.
 */
#include "unwind_memory.h"

#include "os.h"

#include <string.h>

static const struct unwind_line *find_line(struct unwind_memory *memory, uint64_t address);

bool unwind_memory_read(struct unwind_memory *memory, uint64_t address, void *to, size_t size_bytes)
{
	unsigned char *next = to;

	while (size_bytes > 0) {
		size_t at = address % UNWIND_LINE_BYTES, n = UNWIND_LINE_BYTES - at;
		const struct unwind_line *line = find_line(memory, address - at);

		if (!line)
			return false;
		if (n > size_bytes)
			n = size_bytes;
		memcpy(next, line->bytes + at, n);
		next += n;
		address += n;
		size_bytes -= n;
	}
	return true;
}

static const struct unwind_line *find_line(struct unwind_memory *memory, uint64_t address)
{
	struct unwind_line *line = &memory->lines[address / UNWIND_LINE_BYTES % UNWIND_LINES];

	if (address != 0 && line->address == address)
		return line;
	line->address = 0;
	if (address == 0 || !os_read(line->bytes, (uintptr_t)address, UNWIND_LINE_BYTES))
		return NULL;
	line->address = address;
	return line;
}
