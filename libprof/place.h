/*
 * place.h - what and where this session is: ids, times, paths, the executable; and at its end the files
 * that are made of its recording.
 */
#ifndef PLACE_H
#define PLACE_H

#include "collector.h"
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
/* MONPROF_RING, made a power of two that holds a few records of this many bytes. any */
uint32_t place_ring_bytes(uint32_t record_bytes);
/* The recording is complete: export it as MONPROF_EXPORT says; it is removed if every file was written
   and it is not to be kept, and stays otherwise, with one line for each problem. drainer */
void place_export(const char *path);

#endif
