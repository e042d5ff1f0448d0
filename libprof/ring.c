/*
 * ring.c - single producer, single consumer, bytes (see ring.h for the picture).
 *
 * head and tail are free-running 32-bit counters: their difference is what is in use, and they may
 * wrap as long as the ring is smaller than 2 GiB.
 */
#include "ring.h"

void ring_init(struct ring *ring, void *data, uint32_t size_bytes)
{
	ring->data = data;
	ring->mask = size_bytes - 1;
	ring->pad = 0;
	atomic_store_explicit(&ring->head, 0, memory_order_relaxed);
	atomic_store_explicit(&ring->tail, 0, memory_order_release);
}

void *ring_begin(struct ring *ring, uint32_t least, uint32_t most, uint32_t *got)
{
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	/* Pairs with ring_next: the consumer has finished reading what it gave back. */
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
	uint32_t unused = ring->mask + 1 - (head - tail);
	uint32_t index = head & ring->mask;
	uint32_t to_end = ring->mask + 1 - index;
	uint32_t piece = unused < to_end ? unused : to_end;

	ring->pad = 0;
	if (piece < most && unused > to_end && unused - to_end > to_end) {
		ring->pad = to_end;
		piece = unused - to_end;
		index = 0;
	}
	if (piece < least)
		return NULL;
	*got = piece < most ? piece : most;
	return ring->data + index;
}

void ring_commit(struct ring *ring, uint32_t size_bytes)
{
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

	if (ring->pad)
		*(uint32_t *)(void *)(ring->data + (head & ring->mask)) = ring->pad | RING_PAD;
	/* Pairs with ring_peek: the record is whole before it is seen. */
	atomic_store_explicit(&ring->head, head + ring->pad + size_bytes, memory_order_release);
	ring->pad = 0;
}

const void *ring_peek(struct ring *ring)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
	const uint32_t *size;

	if (tail == head)
		return NULL;
	size = (const void *)(ring->data + (tail & ring->mask));
	if (!(*size & RING_PAD))
		return size;
	/* A pad is published together with the record behind it. */
	atomic_store_explicit(&ring->tail, tail + (*size & ~RING_PAD), memory_order_release);
	return ring->data;
}

void ring_next(struct ring *ring)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	const uint32_t *size = (const void *)(ring->data + (tail & ring->mask));

	atomic_store_explicit(&ring->tail, tail + *size, memory_order_release);
}

uint32_t ring_used(const struct ring *ring)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);

	return atomic_load_explicit(&ring->head, memory_order_acquire) - tail;
}
