/*
 * native.h - the C stack of a sample and its Python stack, made one.
 *
 *   record_native's copy --> unwind.h, frame by frame --+
 *                                                       +--> native_merge --> one stack, leaf first --> stack.c
 *   record's Python frames, with their entry frames ----+
 *
 * An activation of the interpreter keeps its entry frame within its own C frame.  So the Python frames that end with
 * an entry frame belong where the C frame is in which that lies: sp <= entry < the caller's sp.  The C frame itself,
 * the interpreter's loop, is what those Python frames are, and is left out.
 *
 * Where unwinding ends too early the frames that are sure stay, "[cut]" or "[unknown]" stands for those that are
 * missing, and a count says why.
 */
#ifndef NATIVE_H
#define NATIVE_H

#include "prof.h"
#include "record.h"
#include "recording.h"

/* As MONPROF_NATIVE says; loads libunwind. NULL, or why there will be no native frames. setup */
errmsg native_start(void);
/* A library has been closed: what was known of mappings until now may be wrong. any */
void native_closed(void);
/* Before the rings are emptied: is what is known of mappings and stacks still so? drainer */
void native_pass(uint64_t time_ns);
/*
 * The stack of a record, leaf first: Python frames, markers, callees and FRAME_NATIVE; NULL: no memory. It holds until
 * the next call. What is missing is counted. drainer
 */
struct frame *native_merge(struct thread *thread, const struct record *record, size_t *depth);

/* The recording's frame for an address in native code at that time; 0: no memory, or nothing is known to have been
   there. drainer */
uint32_t native_place(struct recording *recording, uintptr_t pc, uint64_t time_ns);
/* Ids of frames begin anew; and those of mappings. drainer */
void native_forget_frames(void);
void native_forget_mappings(void);
/* Give all back. drainer */
void native_release(void);

#endif
