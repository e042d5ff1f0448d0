/*
 * recording_source.h - the bytes of a recording for its reader: all of them, or a file's through a window.
 */
#ifndef RECORDING_SOURCE_H
#define RECORDING_SOURCE_H

#include "prof.h"

struct recording_source {
	int fd; /* -1: the window is all there is */
	uint64_t size;
	const uint8_t *window;
	uint8_t *memory; /* of the window, if it is ours */
	size_t window_bytes, capacity;
	uint64_t window_start;
	bool no_memory;
};

/* size_bytes bytes from `at`, good until the next call; NULL where there are fewer, or no memory. drainer, tool */
const uint8_t *recording_source_get(struct recording_source *source, uint64_t at,
				    uint64_t size_bytes);
/* The descriptor stays open. drainer, tool */
void recording_source_release(struct recording_source *source);

#endif
