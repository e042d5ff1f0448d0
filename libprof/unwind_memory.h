/*
 * unwind_memory.h - words of the process for who asks for one at a time: tables and code, read tolerantly and kept.
 *
 * libunwind reads a table byte by byte, each time the aligned word around it; without the kept lines that would be a
 * system call each.
 */
#ifndef UNWIND_MEMORY_H
#define UNWIND_MEMORY_H

#include "prof.h"

#define UNWIND_LINE_BYTES 1024 /* divides a page: a line can be read as a whole or not at all */
#define UNWIND_LINES 256

struct unwind_memory {
	struct unwind_line {
		uint64_t address; /* 0: free */
		unsigned char bytes[UNWIND_LINE_BYTES];
	} lines[UNWIND_LINES]; /* by address */
};

/* All zero keeps nothing. False: it cannot be read. drainer */
bool unwind_memory_read(struct unwind_memory *memory, uint64_t address, void *to,
			size_t size_bytes);

#endif
