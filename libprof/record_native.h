/*
 * record_native.h - what a record holds of the C stack: registers, and a bounded copy.
 *
 *   | record | frames ... | pc, registers | stack, from 128 bytes below the stack pointer upwards ... |
 *
 * Taken by the handler out of the interrupted thread's own stack, and only where that is sure to be mapped:
 * between the stack pointer and the end of a stack whose bounds are known (thread_stack.h).  The 128 bytes
 * below are the red zone (System V ABI, AMD64, 3.2.2): in a function's last instructions its saved registers lie
 * there, popped already.  Nothing is looked at; unwinding is the drainer's.
 */
#ifndef RECORD_NATIVE_H
#define RECORD_NATIVE_H

#include "os.h"
#include "prof.h"
#include "thread.h"

enum record_native_mode {
	RECORD_NATIVE_NO,
	RECORD_NATIVE_LEAF, /* up to the innermost activation of the interpreter, and that */
	RECORD_NATIVE_YES, /* all of it */
};

struct record_native {
	struct os_registers registers;
	uint64_t begin; /* address of the first byte of stack */
	uint32_t stack_bytes;
	uint32_t unused;
	unsigned char stack[];
};

/* What is copied from now on, stack_bytes at most. setup */
void record_native_limit(enum record_native_mode mode, uint32_t stack_bytes);
/* any */
enum record_native_mode record_native_wanted(void);
/* The largest piece that record_native_put makes; 0: nothing is wanted. signal */
uint32_t record_native_most(void);
/*
 * Copy the stack of a handler's context into `room` bytes. entry: address of the innermost entry frame, 0 for
 * none. Bytes used, a multiple of 8; 0, and counted: it is not known to be a stack of this thread's. signal
 */
uint32_t record_native_put(struct thread *thread, struct record_native *native, uint32_t room,
			   const void *context, uintptr_t entry);

#endif
