/*
 * budget.h - what we cost the program, and how far rates go down so that it stays within MONPROF_BUDGET.
 *
 *   flush: own time, program's time ---> cost at full rates, smoothed ---> factor ---> collectors' rates
 *                                                                            |
 *                                             1 as long as that fits, else budget / cost, down to 1/64
 *
 * The cost is that of handlers and their signals, callbacks, events, switching them and our own thread, as a
 * share of the CPU time that the process used.  Where it used less than a tenth of the time that passed, its
 * share is of that tenth: what a sleeping program costs is no slowdown.  Rates that the user set stay as they
 * are, unless the budget was set too; then one line says that it is exceeded.
 */
#ifndef BUDGET_H
#define BUDGET_H

#include "collector.h"

/* Cost and factor; all zero is the begin. */
struct budget_rate {
	double cost; /* at full rates, as a share of the budget; smoothed */
	double factor; /* that rates have; 0: not yet */
};

/* The next factor, after a stretch in which we cost this part of the budget (1: all of it). drainer */
double budget_next(struct budget_rate *rate, double spent);

/* From now on, in this process. setup */
void budget_begin(void);
/* What is noted counts from now on. drainer */
void budget_renew(void);
/* What we have cost beside our handlers and callbacks; CPU time, ns, since budget_begin. */
struct budget_own {
	uint64_t kernel_ns; /* what the kernel and the interpreter spent on our behalf */
	uint64_t thread_ns; /* our own threads */
	uint64_t export_ns; /* of that: what no lower rate would spare */
};
/* Note our cost so far, and have rates follow it. drainer */
void budget_flush(uint64_t time_ns, const struct budget_own *own, collector_note *note);

#endif
