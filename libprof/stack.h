/*
 * stack.h - from raw records to the recording: frames named, stacks interned, threads announced.
 *
 * The drainer's understanding half: it knows symbols and the recording, and no thread but as the owner
 * of a ring.
 */
#ifndef STACK_H
#define STACK_H

#include "prof.h"
#include "record.h"
#include "recording.h"

/* Where records go from now on; forgets all that was cached. drainer */
void stack_begin(struct recording *recording);
/* Understand one record of a thread and append it to the recording. drainer */
void stack_add(struct thread *thread, const struct record *record);
/* One frame more on the stack `parent` (0: none), as it was at time_ns; 0: no memory. Good for one epoch.
   drainer */
uint32_t stack_node(uint32_t parent, const struct frame *frame, uint64_t time_ns);
uint32_t stack_epoch(void);
/* Append a sample of such a stack. drainer */
void stack_sample(const struct recording_sample *sample);
/* The stack that is one marker; 0: no memory. drainer */
uint32_t stack_marker(enum frame_marker marker);
/* Has a sample been added since stack_begin? What threads used last is none, unless that is far more
   than falls between two ticks. drainer */
bool stack_any(void);
/* Give the caches back. drainer */
void stack_release(void);

#endif
