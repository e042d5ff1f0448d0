/*
 * unwind.h - one frame up a C stack that was copied earlier.
 *
 *   pc --table of rules--> rule --applied to--> registers, copy of the stack --> registers of the caller
 *    |                       ^
 *    +-- unwind_probe.c -----+   libunwind is asked once for each pc, see there
 *
 * A rule says where the caller's registers are, as constants from the registers of the frame: true for that pc
 * whenever it is met.  So a step costs a look into a table and a few loads from the copy.  x86-64 only.
 *
 * One thread at a time; our own is the only one that calls.
 */
#ifndef UNWIND_H
#define UNWIND_H

#include "prof.h"

/* As DWARF counts: rax rdx rcx rbx rsi rdi rbp rsp r8 to r15. */
enum { UNWIND_RBX = 3, UNWIND_RBP = 6, UNWIND_RSP = 7, UNWIND_REGISTERS = 16 };

struct unwind_registers {
	uint64_t pc;
	uint64_t general[UNWIND_REGISTERS]; /* 0: it is not known any more */
	/* pc is a return address: it belongs to the call before it. False for what a signal has interrupted. */
	bool is_return;
};

/* A copy of memory: bytes[0] stood at address `begin`. What lies below rsp is looked at too (the red zone: in an
   epilogue rbp may be popped already where tables say that it is still there), so 128 bytes of it belong in. */
struct unwind_stack {
	uint64_t begin;
	const unsigned char *bytes;
	size_t size_bytes;
};

enum unwind_result {
	UNWIND_OK,
	UNWIND_BOTTOM, /* there is no caller */
	UNWIND_CUT, /* it lies outside of the copy */
	UNWIND_UNKNOWN, /* no rule leads from here to the caller */
};

/* Executable memory and its .eh_frame_hdr, at run-time addresses. */
struct unwind_table {
	uint64_t start, end, base;
	uint64_t frame_header, frame_header_bytes; /* 0: none */
};
/* What is mapped at pc; false: nothing that is known. */
typedef bool unwind_find(uint64_t pc, struct unwind_table *table);

/* Load libunwind: NULL, or why there is none. Again does nothing. setup: the loader allocates */
errmsg unwind_start(void);
/* From now on tables are found by `find`. After unwind_start has said NULL. drainer: what libunwind opens at its first
   use belongs in our own table of descriptors */
void unwind_begin(unwind_find *find);
/* From a frame to its caller; all of `registers` is as it was unless UNWIND_OK. drainer */
enum unwind_result unwind_step(struct unwind_registers *registers,
			       const struct unwind_stack *stack);
/* Where the function begins that has an instruction at `address` (of a return address: less 1), by its entry in the
   tables; 0: none. drainer */
uint64_t unwind_function(uint64_t address);
/* Other files are mapped now: rules are asked for anew. drainer */
void unwind_forget(void);
/* Give back all memory but libunwind's. drainer */
void unwind_release(void);

#endif
