/*
 * recording_format.h - the bytes of a recording, for its writer and its reader; monprof-recording(5).
 *
 *   magic (8)  version (4)  block  block  ...
 *
 *   block:  checksum (4)  length of payload (4)  type (1)  payload
 *           `------------ XXH32 of all that follows it; its seed is the checksum of the block before, and
 *                         the version for the first, so that no block can be missing, be there twice or
 *                         change its place
 *
 * Numbers of fixed size are little endian, all others are varints.  A text is its length, its bytes and
 * a NUL that the length does not count.
 */
#ifndef RECORDING_FORMAT_H
#define RECORDING_FORMAT_H

#include "prof.h"

#define RECORDING_MAGIC "\211monprof"
#define RECORDING_MAGIC_BYTES 8
#define RECORDING_HEADER_BYTES 12
#define RECORDING_BLOCK_BYTES 9 /* before the payload */
#define RECORDING_CHECKSUM_BYTES 4

/* Readers refuse a major version above their own; a minor one may add types of blocks, which readers
   skip.  2: a sample may have a duration.  3: checksums have seeds; before, it was 0.  3.1: frames
   may have places. */
#define RECORDING_VERSION_MAJOR 3
#define RECORDING_VERSION_MINOR 1
#define RECORDING_CHAINED_MAJOR 3 /* from here on checksums have seeds */

/* In this order, but for two, a flush writes them, so that what is referred to comes first: notes and losses come
   before the samples that they explain, mappings first of all, and places between frames and nodes. */
enum recording_block {
	RECORDING_BLOCK_HEAD = 1,
	RECORDING_BLOCK_SETTINGS,
	RECORDING_BLOCK_METRICS,
	RECORDING_BLOCK_EPOCH,
	RECORDING_BLOCK_STRINGS,
	RECORDING_BLOCK_FUNCTIONS,
	RECORDING_BLOCK_FRAMES,
	RECORDING_BLOCK_NODES,
	RECORDING_BLOCK_THREADS,
	RECORDING_BLOCK_MAPPINGS,
	RECORDING_BLOCK_SAMPLES,
	RECORDING_BLOCK_NOTES,
	RECORDING_BLOCK_LOSSES,
	RECORDING_BLOCK_FLUSH,
	RECORDING_BLOCK_PLACES,
	RECORDING_BLOCK_END
};

/* First byte of a sample: what differs from the sample before it and is therefore there. */
#define RECORDING_SAMPLE_THREAD 1
#define RECORDING_SAMPLE_METRIC 2
#define RECORDING_SAMPLE_DURATION 4 /* what is not there is 0, whatever the sample before had */
#define RECORDING_SAMPLE_FLAGS 7

#endif
