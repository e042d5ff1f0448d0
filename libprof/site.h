/*
 * site.h - call sites: which C functions the instruction at this address has been seen to call.
 *
 *   callback   site_add: a CALL event of sys.monitoring says whom
 *   handler    site_find: a walk of the stack asks where C code was called from
 *   callback   site_call, site_end: of those with several, whom it calls how often, and how long that takes
 *   drainer    site_choose: whose is a sample that such a site is the leaf of
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

/* All calls (is_exact), or those in windows, will be seen by site_call. setup */
void site_mix_start(bool is_exact);
/* The same as site_add, by a call that is observed in this window, whatever the site has told before. Not 0: give
   that to site_end when the call is over. callback */
uint32_t site_call(uintptr_t code, uintptr_t instruction, uint32_t callee, uint32_t window);
/* CPU time that the callee itself took. callback */
void site_end(uint32_t call, uint64_t own_ns);
/* Of the callees that site_find said at time_ns, the one whose sample this is; all of them, where it is not
   known well enough how the site divides its time. drainer */
uint64_t site_choose(uintptr_t instruction, uint64_t callees, uint64_t time_ns, uint64_t value);
/* The code object dies. callback */
void site_forget(uintptr_t code);
/* Sites that found no room. any */
uint64_t site_lost(void);
/* In the child of a fork: another thread may have been at it. setup */
void site_after_fork(void);

#endif
