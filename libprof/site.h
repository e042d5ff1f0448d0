/*
 * site.h - call sites: which C functions the instruction at this address has been seen to call.
 *
 *   callback   site_add: a CALL event of sys.monitoring says whom
 *   handler    site_find: a walk of the stack asks where C code was called from
 *   watcher    site_forget: the code object dies, and its sites with it
 *
 * A table of our own memory, bounded, as large as the number of sites of code that lives.  The handler
 * asks while the code is on its own thread's stack, so what it finds is never another code's, whoever has
 * had the address before.  A forked child inherits the table with the sites that tell no more.
 */
#ifndef SITE_H
#define SITE_H

#include "prof.h"

#define SITE_CALLEES 3 /* that are told apart at one site */

/*
 * What a site calls: ids of callees, 16 bits each, in the order in which they were met, 0 where there are no
 * more; SITE_MORE in the highest 16 bits: others, too.  One id alone is that number.
 */
#define SITE_IDS (UINT64_C(1) << 16)
#define SITE_MORE (SITE_IDS * SITE_IDS * SITE_IDS)

/*
 * The instruction, of this code, calls this one (0: no id was to be had). True: it need not tell again. Code
 * of one interpreter only, under its GIL. callback
 */
bool site_add(uintptr_t code, uintptr_t instruction, uint32_t callee);
/* 0: nothing is known. signal */
uint64_t site_find(uintptr_t instruction);
/* The code object dies. callback */
void site_forget(uintptr_t code);
/* Sites that found no room. any */
uint64_t site_lost(void);
/* In the child of a fork: another thread may have been at it. setup */
void site_after_fork(void);

#endif
