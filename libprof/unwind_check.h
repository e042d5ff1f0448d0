/*
 * unwind_check.h - are the instructions of an unwind table such that libunwind can be let at them?
 *
 * It indexes with register numbers that it has not looked at, and divides by what it is given.  Tables are written by
 * compilers, and the program's exceptions rely on them; but a mapping may go while it is read.
 */
#ifndef UNWIND_CHECK_H
#define UNWIND_CHECK_H

#include "unwind_memory.h"

/* Instructions in [start, end): all of them known, whole, and of registers that there are. *is_bottom: one says that
   there is no return address. drainer */
bool unwind_check(struct unwind_memory *memory, uint64_t start, uint64_t end, bool *is_bottom);

#endif
