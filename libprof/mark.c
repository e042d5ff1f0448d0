/*
 * mark.c - which code objects have been sampled: a filter of 65,536 bits by hash of the address.
 *
 * Set by handlers, read by the watcher's callback.  Relaxed is enough: the thread that sampled a code
 * object had it on its stack, so whatever hands the object on to the thread that frees it (the GIL,
 * a reference count) orders the bit before the callback.  A bit stays set; a false one costs a name.
 */
#include "mark.h"

#include <stdatomic.h>

#define BITS_LOG2 16
#define WORD_BITS 64

static struct {
	_Atomic uint64_t words[(1u << BITS_LOG2) / WORD_BITS];
} state;

static uint32_t bit_of(uintptr_t code)
{
	/* Fibonacci hashing: the top bits of a product with 2^64 / golden ratio */
	return (uint32_t)((uint64_t)code * 0x9e3779b97f4a7c15u >> (64 - BITS_LOG2));
}

void mark_set(uintptr_t code)
{
	uint32_t bit = bit_of(code);
	uint64_t mask = 1ull << bit % WORD_BITS;
	_Atomic uint64_t *word = &state.words[bit / WORD_BITS];
	if (!(atomic_load_explicit(word, memory_order_relaxed) & mask))
		atomic_fetch_or_explicit(word, mask, memory_order_relaxed);
}

bool mark_get(uintptr_t code)
{
	uint32_t bit = bit_of(code);
	uint64_t word = atomic_load_explicit(&state.words[bit / WORD_BITS], memory_order_relaxed);
	return word >> bit % WORD_BITS & 1;
}

void mark_reset(void)
{
	/* Only where there are any: what is written is copied, in a forked child. */
	for (size_t i = 0; i < PROF_COUNT(state.words); i++) {
		if (atomic_load_explicit(&state.words[i], memory_order_relaxed))
			atomic_store_explicit(&state.words[i], 0, memory_order_relaxed);
	}
}
