/*
 * place.h - what and where this session is: ids, times, paths, the executable; and when one recording follows another.
 *
 *   place_begin --> recording --place_is_full--> place_next, place_close --> next recording --> ...
 *                                                                 |
 *                                                                 v
 *                                                          place_files_export
 */
#ifndef PLACE_H
#define PLACE_H

#include "collector.h"
#include "drain.h"
#include "prof.h"
#include "recording.h"

/* Find all of it for the calling process; *head points into it. Again in each forked child. NULL, or what
   is wrong with MONPROF_OUTPUT. setup */
errmsg place_begin(struct recording_head *head);
/* The executable's pieces, for the recording. any */
const struct recording_mapping *place_mappings(unsigned *count);
/* Directory that relative names start from, and where the recording goes. any */
const char *place_cwd(void);
const char *place_recording(void);
/* MONPROF_FLUSH, and no longer than MONPROF_ROTATE. any */
uint64_t place_flush_ns(void);
/* MONPROF_EXIT_WAIT, and no more than that. any */
uint64_t place_wait_ns(uint64_t most_ns);
/* MONPROF_RING, made a power of two that holds a few records of this many bytes, and two of those with so much more of
   native stacks. any */
uint32_t place_ring_bytes(uint32_t record_bytes, uint32_t native_bytes);
/* Has the recording, of so many bytes, lasted as long or become as large as MONPROF_ROTATE and MONPROF_DISK say? Makes
   room on disk for what it has. drainer */
bool place_is_full(uint64_t time_ns, uint64_t recording_bytes);
/* Name the next recording, as of now; that it is there, place_close says. is_used: this one has a file. NULL, or what
   is wrong. drainer */
errmsg place_next(bool is_used, struct recording_head *head);
/* This recording is complete (NULL: has no file), and goes on in the one that has been named, if any. drainer */
void place_close(const char *path);
/* Export the recording, which is up to date and goes on, for whoever asked for it (dump_take). drainer */
void place_dump(drain_breathe *breathe);

#endif
