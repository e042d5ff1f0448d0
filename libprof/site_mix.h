/*
 * site_mix.h - how a call site with several callees divides its time among them, as far as it is known;
 * private to site.c.
 *
 *   callback   site_mix_call, site_mix_end    calls under observation, and the time that each took
 *      |         at each window's end: is it known well enough? Then shares, in one word
 *      v
 *   drainer    site_mix_choose                whole samples, each to whom most is owed
 *
 * Shares are of time, for that is what samples are of: one sort takes as long as a million len.  A mix
 * lives as long as its site has several callees; its number is then another's.  Rows of one interpreter,
 * under its GIL; the drainer reads what is published.
 */
#ifndef SITE_MIX_H
#define SITE_MIX_H

#include "site.h"

/* One for a site with so many callees; 0: no room, or not started. callback, under the sites' lock */
uint32_t site_mix_take(unsigned callees);
/* There are more now; 0: more than are told apart, so nothing will be known. callback, under the lock */
void site_mix_widen(uint32_t mix, unsigned callees);
/* callback, under the lock */
void site_mix_drop(uint32_t mix);
/* The callee in this place is called, in this window of observation. callback */
void site_mix_call(uint32_t mix, unsigned place, uint32_t window);
/* A call of it is over, that took so much CPU time. callback */
void site_mix_end(uint32_t mix, unsigned place, uint64_t own_ns);
/* Whose is this sample, taken then? Its place, or UINT_MAX: not known well enough. drainer */
unsigned site_mix_choose(uint32_t mix, uint64_t time_ns, uint64_t value);
/* In the child of a fork; its samples are divided anew. is_whole: nobody else was at it. setup */
void site_mix_after_fork(bool is_whole);

#endif
