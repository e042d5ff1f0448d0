/*
 * mark.h - which code objects have ever been put into a ring: a filter without false negatives.
 *
 * record_stack sets the bit before it publishes the record; whoever sees a code object die can tell for
 * free that nobody sampled it.
 */
#ifndef MARK_H
#define MARK_H

#include "prof.h"

/* This code object has been sampled; before the record is published. signal */
void mark_set(uintptr_t code);
/* Has it, or one with the same bit? any */
bool mark_get(uintptr_t code);
/* None has. setup */
void mark_reset(void);

#endif
