/*
 * pairs.c - open addressing, linear, at most 3/4 full.
 *
 * A slot holds the pair itself: looking one up mostly touches one line of memory, which pairs_expect fetches ahead.
 */
#include "pairs.h"

#include "heap.h"

#define FIRST_SLOTS 64

static struct pair *find_slot(const struct pairs *pairs, uint32_t a, uint32_t b);
static size_t hash(uint32_t a, uint32_t b);
static bool grow_slots(struct pairs *pairs);

void pairs_release(struct pairs *pairs)
{
	heap_free(pairs->slots);
	*pairs = (struct pairs){ 0 };
}

uint32_t pairs_put(struct pairs *pairs, uint32_t a, uint32_t b, bool *fresh)
{
	struct pair *slot;

	*fresh = false;
	if (pairs->count == UINT32_MAX)
		return 0;
	if (pairs->count >= pairs->slot_count / 4 * 3 && !grow_slots(pairs))
		return 0;
	slot = find_slot(pairs, a, b);
	if (slot->id == 0) {
		*slot = (struct pair){ a, b, ++pairs->count };
		*fresh = true;
	}
	return slot->id;
}

uint32_t pairs_find(const struct pairs *pairs, uint32_t a, uint32_t b)
{
	return pairs->slot_count ? find_slot(pairs, a, b)->id : 0;
}

void pairs_expect(const struct pairs *pairs, uint32_t a, uint32_t b)
{
	if (pairs->slot_count)
		__builtin_prefetch(&pairs->slots[hash(a, b) & (pairs->slot_count - 1)]);
}

struct pair *pairs_rows(const struct pairs *pairs)
{
	struct pair *rows = heap_alloc(((size_t)pairs->count + 1) * sizeof(*rows));

	for (size_t i = 0; rows && i < pairs->slot_count; i++)
		if (pairs->slots[i].id != 0)
			rows[pairs->slots[i].id - 1] = pairs->slots[i];
	return rows;
}

size_t pairs_bytes(const struct pairs *pairs)
{
	return pairs->slot_count * sizeof(*pairs->slots);
}

/* The slot that holds the pair, or the free one where it belongs. */
static struct pair *find_slot(const struct pairs *pairs, uint32_t a, uint32_t b)
{
	size_t mask = pairs->slot_count - 1;

	for (size_t i = hash(a, b) & mask;; i = (i + 1) & mask) {
		struct pair *slot = &pairs->slots[i];

		if (slot->id == 0 || (slot->a == a && slot->b == b))
			return slot;
	}
}

/* The high bits of a product depend on all bits of its factors; splitmix64's multiplier. */
static size_t hash(uint32_t a, uint32_t b)
{
	uint64_t mixed = ((uint64_t)a << 32 | b) * 0xbf58476d1ce4e5b9u;

	mixed = (mixed ^ mixed >> 29) * 0xbf58476d1ce4e5b9u;
	return (size_t)(mixed >> 32);
}

static bool grow_slots(struct pairs *pairs)
{
	struct pairs grown = { .count = pairs->count };

	grown.slot_count = pairs->slot_count ? pairs->slot_count * 2 : FIRST_SLOTS;
	grown.slots = heap_zalloc(grown.slot_count * sizeof(*grown.slots));
	if (!grown.slots)
		return false;
	for (size_t i = 0; i < pairs->slot_count; i++) {
		const struct pair *pair = &pairs->slots[i];

		if (pair->id != 0)
			*find_slot(&grown, pair->a, pair->b) = *pair;
	}
	heap_free(pairs->slots);
	*pairs = grown;
	return true;
}
