/*
 * ring.h - single producer, single consumer, bytes: one thread's samples on their way to the drainer.
 *
 *      tail (consumer)                      head (producer)
 *        v                                    v
 *   [....|record|record|pad|record|record.....|............]     both only grow; index = & mask
 *
 * The producer writes a record in place, in one contiguous piece, and publishes it by storing head
 * (release); the consumer reads it in place and gives it back by storing tail (release).  A record
 * never wraps: the rest of the buffer is skipped by a pad.  Every piece starts with its size in a
 * uint32_t, a multiple of 8; RING_PAD in the size marks a pad.
 *
 * The producer is a signal handler of the thread, or the thread itself with the handler kept out.
 */
#ifndef RING_H
#define RING_H

#include "prof.h"

#include <stdatomic.h>

struct ring {
	/* written once */
	unsigned char *data;
	uint32_t mask; /* size - 1, size a power of two */
	/* written by the producer; head is paired with ring_peek's acquire */
	_Alignas(PROF_CACHE_LINE) _Atomic uint32_t head;
	uint32_t pad; /* bytes skipped before the piece that ring_begin gave */
	/* written by the consumer; tail is paired with ring_begin's acquire */
	_Alignas(PROF_CACHE_LINE) _Atomic uint32_t tail;
};

#define RING_PAD 0x80000000u

/* data: size_bytes of memory, a power of two. any */
void ring_init(struct ring *ring, void *data, uint32_t size_bytes);
/*
 * The longest contiguous free piece of at least `least` and at most `most` bytes; NULL if there is none.
 * Nothing is visible to the consumer before ring_commit. signal
 */
void *ring_begin(struct ring *ring, uint32_t least, uint32_t most, uint32_t *got);
/* Publish the first size_bytes (a multiple of 8, > 0) of the piece that ring_begin gave. signal */
void ring_commit(struct ring *ring, uint32_t size_bytes);
/* The oldest record, NULL if empty; it stays until ring_next. drainer */
const void *ring_peek(struct ring *ring);
void ring_next(struct ring *ring);
/* Bytes in use, of how many. any */
uint32_t ring_used(const struct ring *ring);

#endif
