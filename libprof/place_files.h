/*
 * place_files.h - the files that are made of a session's recordings.
 *
 *   place_files_add --> [ complete recordings, the oldest first ] --place_files_export--> files
 *                                      a recording that goes on --place_files_dump----> files
 *
 * Work on a recording may be long, and rings are to be emptied meanwhile: `breathe` is called every few
 * milliseconds.  Where it says no, what was made of that recording is removed, and the work is to be done again.
 */
#ifndef PLACE_FILES_H
#define PLACE_FILES_H

#include "disk.h"
#include "drain.h"
#include "output.h"

/* Of one recording. */
struct place_names {
	uint64_t session; /* the recording's id */
	uint64_t start_realtime_ns;
	unsigned sequence;
	const char *base; /* of the files that are made of it */
	const char *recording;
	const char *other_recording; /* if somebody takes that name before it is created */
	char texts[3 * OUTPUT_PATH_BYTES]; /* these, one after the other: so few pages are touched */
};

/* Nothing is to be made of anything yet; what an earlier session left stays. setup */
void place_files_begin(bool shows_summary);
/* A recording with these names, which lies at `path`, is complete. drainer */
void place_files_add(const struct place_names *names, const char *path);
/* Export what is complete as MONPROF_EXPORT says; a recording is removed if every file was written and it is not to be
   kept, and stays otherwise, with one line for each problem. What `breathe` (NULL: none) stops comes next time. drainer */
void place_files_export(drain_breathe *breathe);
/* How many times its size what is made of a recording is, at most, as far as is known; 1 or more. drainer */
double place_files_growth(void);
/* Export the recording that goes on and was asked for (dump_take), and answer. drainer */
void place_files_dump(const struct place_names *names, drain_breathe *breathe);

#endif
