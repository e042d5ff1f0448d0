/*
 * recording_block.h - whole blocks out of payloads, for the writer of recordings.
 *
 * A payload is gathered in a buffer of its own; a block is that payload with its length before it.  The first
 * block of a file comes with its header, its settings and its metrics.  Checksums, which depend on the
 * blocks before, come last.
 */
#ifndef RECORDING_BLOCK_H
#define RECORDING_BLOCK_H

#include "recording.h"
#include "wire.h"

/* A text: its length, its bytes, a NUL; NULL is the empty text. drainer, tool */
void recording_block_text(struct wire_buffer *payload, const char *text);
void recording_block_bytes(struct wire_buffer *payload, const char *bytes, size_t size_bytes);
/* Append a payload as a block of this type, without a checksum; what has failed in the one fails the other.
   drainer, tool */
void recording_block_put(struct wire_buffer *out, unsigned type, const struct wire_buffer *payload);
/* Append what every file begins with: header, head, settings, metrics. False: no memory. drainer, tool */
bool recording_block_head(struct wire_buffer *out, const struct recording_head *head);
/* The seed of the first checksum of a file of this version. drainer, tool */
uint32_t recording_block_seed(uint32_t version);
/* The checksum of a block with a payload of `length` bytes; it is the seed of the next one's. drainer, tool */
uint32_t recording_block_checksum(const uint8_t *block, uint32_t length, uint32_t seed);
/* Give whole blocks their checksums; the last of them, or the seed if there is none. drainer, tool */
uint32_t recording_block_chain(uint8_t *blocks, size_t size_bytes, uint32_t seed);

#endif
