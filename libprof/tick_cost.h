/*
 * tick_cost.h - what the kernel takes to deliver one signal to a thread and to take the thread back from it.
 */
#ifndef TICK_COST_H
#define TICK_COST_H

#include "prof.h"

#include <signal.h>

/* Measure it, once in a process and for its children, by signals that the calling thread sends to itself. setup */
void tick_cost_measure(void);
/* Is this signal one of them? signal */
bool tick_cost_is_own(const siginfo_t *info);
/* 0: not measured. any */
uint64_t tick_cost_ns(void);

#endif
