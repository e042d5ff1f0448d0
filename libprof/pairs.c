/*
 * pairs.c - open addressing, linear, at most 3/4 full.
 */
#include "pairs.h"

#include "heap.h"

#define FIRST_SLOTS 64

static uint32_t *find_slot(const struct pairs *pairs, uint32_t a, uint32_t b);
static size_t hash(uint32_t a, uint32_t b);
static bool make_room(struct pairs *pairs);
static bool grow_slots(struct pairs *pairs);

void pairs_release(struct pairs *pairs)
{
	heap_free(pairs->slots);
	heap_free(pairs->rows);
	*pairs = (struct pairs){ 0 };
}

uint32_t pairs_put(struct pairs *pairs, uint32_t a, uint32_t b, bool *fresh)
{
	uint32_t *slot;

	*fresh = false;
	if (!make_room(pairs))
		return 0;
	slot = find_slot(pairs, a, b);
	if (*slot != 0)
		return *slot;
	pairs->rows[pairs->count++] = (struct pair){ a, b };
	*slot = pairs->count;
	*fresh = true;
	return *slot;
}

size_t pairs_bytes(const struct pairs *pairs)
{
	return pairs->slot_count * sizeof(*pairs->slots) + pairs->capacity * sizeof(*pairs->rows);
}

/* The slot that holds the pair, or the free one where it belongs. */
static uint32_t *find_slot(const struct pairs *pairs, uint32_t a, uint32_t b)
{
	size_t mask = pairs->slot_count - 1;

	for (size_t i = hash(a, b) & mask;; i = (i + 1) & mask) {
		uint32_t id = pairs->slots[i];

		if (id == 0 || (pairs->rows[id - 1].a == a && pairs->rows[id - 1].b == b))
			return &pairs->slots[i];
	}
}

/* The high bits of a product depend on all bits of its factors; splitmix64's multiplier. */
static size_t hash(uint32_t a, uint32_t b)
{
	uint64_t mixed = ((uint64_t)a << 32 | b) * 0xbf58476d1ce4e5b9u;

	mixed = (mixed ^ mixed >> 29) * 0xbf58476d1ce4e5b9u;
	return (size_t)(mixed >> 32);
}

/* Room for one more pair and its slot, before anything is changed. */
static bool make_room(struct pairs *pairs)
{
	void *rows = pairs->rows;

	if (pairs->count == UINT32_MAX)
		return false;
	if (pairs->count >= pairs->slot_count / 4 * 3 && !grow_slots(pairs))
		return false;
	if (!heap_grow(&rows, &pairs->capacity, (size_t)pairs->count + 1, sizeof(*pairs->rows)))
		return false;
	pairs->rows = rows;
	return true;
}

static bool grow_slots(struct pairs *pairs)
{
	size_t count = pairs->slot_count ? pairs->slot_count * 2 : FIRST_SLOTS;
	uint32_t *slots = heap_zalloc(count * sizeof(*slots));

	if (!slots)
		return false;
	for (uint32_t id = 1; id <= pairs->count; id++) {
		size_t i = hash(pairs->rows[id - 1].a, pairs->rows[id - 1].b) & (count - 1);

		while (slots[i] != 0)
			i = (i + 1) & (count - 1);
		slots[i] = id;
	}
	heap_free(pairs->slots);
	pairs->slots = slots;
	pairs->slot_count = count;
	return true;
}
