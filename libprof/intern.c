/*
 * intern.c - bytes -> small dense id.
 *
 *   slots    open addressing, linear, at most 3/4 full; a slot holds an id, 0 is free
 *   entries  entries[id - 1]: where the bytes are, how many, 32 bits of their hash
 *   chunks   the bytes themselves, each followed by a NUL, aligned to 8; never moved
 *
 * A hit is compared byte for byte: equal hashes prove nothing.
 */
#include "intern.h"

#include "heap.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define FIRST_SLOTS 64
#define CHUNK_BYTES ((size_t)16 << 10)
#define ALIGNMENT 8

struct intern_entry {
	const char *bytes;
	uint32_t size_bytes;
	uint32_t hash;
};

struct intern_chunk {
	struct intern_chunk *next;
	size_t used, capacity;
	_Alignas(ALIGNMENT) char bytes[];
};

static uint32_t *find_slot(const struct intern *intern, const void *bytes, size_t size_bytes,
			   uint32_t hash);
static bool make_room(struct intern *intern);
static bool grow_slots(struct intern *intern);
static const char *keep_bytes(struct intern *intern, const void *bytes, size_t size_bytes);
static struct intern_chunk *add_chunk(struct intern *intern, size_t least);

void intern_init(struct intern *intern)
{
	*intern = (struct intern){ 0 };
}

void intern_release(struct intern *intern)
{
	struct intern_chunk *chunk = intern->chunks;

	while (chunk) {
		struct intern_chunk *next = chunk->next;

		heap_free(chunk);
		chunk = next;
	}
	heap_free(intern->slots);
	heap_free(intern->entries);
	intern_init(intern);
}

uint32_t intern_put(struct intern *intern, const void *bytes, size_t size_bytes, bool *fresh)
{
	uint32_t hash = (uint32_t)XXH3_64bits(bytes, size_bytes);
	uint32_t *slot;
	const char *kept;

	if (fresh)
		*fresh = false;
	if (size_bytes > UINT32_MAX - ALIGNMENT || !make_room(intern))
		return 0;
	slot = find_slot(intern, bytes, size_bytes, hash);
	if (*slot != 0)
		return *slot;
	kept = keep_bytes(intern, bytes, size_bytes);
	if (!kept)
		return 0;
	intern->entries[intern->count++] =
		(struct intern_entry){ kept, (uint32_t)size_bytes, hash };
	*slot = intern->count;
	if (fresh)
		*fresh = true;
	return *slot;
}

uint32_t intern_find(const struct intern *intern, const void *bytes, size_t size_bytes)
{
	if (intern->slot_count == 0)
		return 0;
	return *find_slot(intern, bytes, size_bytes, (uint32_t)XXH3_64bits(bytes, size_bytes));
}

const void *intern_get(const struct intern *intern, uint32_t id, size_t *size_bytes)
{
	if (id == 0 || id > intern->count) {
		if (size_bytes)
			*size_bytes = 0;
		return NULL;
	}
	if (size_bytes)
		*size_bytes = intern->entries[id - 1].size_bytes;
	return intern->entries[id - 1].bytes;
}

/* The slot that holds these bytes, or the free one where they belong. */
static uint32_t *find_slot(const struct intern *intern, const void *bytes, size_t size_bytes,
			   uint32_t hash)
{
	size_t mask = intern->slot_count - 1;

	for (size_t i = hash & mask;; i = (i + 1) & mask) {
		uint32_t id = intern->slots[i];
		const struct intern_entry *entry;

		if (id == 0)
			return &intern->slots[i];
		entry = &intern->entries[id - 1];
		if (entry->hash == hash && entry->size_bytes == size_bytes &&
		    (size_bytes == 0 || memcmp(entry->bytes, bytes, size_bytes) == 0))
			return &intern->slots[i];
	}
}

/* Room for one more entry and its slot, before anything is changed. */
static bool make_room(struct intern *intern)
{
	size_t before = intern->entry_capacity;
	void *entries = intern->entries;

	if (intern->count == UINT32_MAX)
		return false;
	if (intern->count >= intern->slot_count / 4 * 3 && !grow_slots(intern))
		return false;
	if (!heap_grow(&entries, &intern->entry_capacity, (size_t)intern->count + 1,
		       sizeof(struct intern_entry)))
		return false;
	intern->entries = entries;
	intern->bytes += (intern->entry_capacity - before) * sizeof(struct intern_entry);
	return true;
}

static bool grow_slots(struct intern *intern)
{
	size_t count = intern->slot_count ? intern->slot_count * 2 : FIRST_SLOTS;
	uint32_t *slots = heap_zalloc(count * sizeof(*slots));

	if (!slots)
		return false;
	for (uint32_t id = 1; id <= intern->count; id++) {
		size_t i = intern->entries[id - 1].hash & (count - 1);

		while (slots[i] != 0)
			i = (i + 1) & (count - 1);
		slots[i] = id;
	}
	intern->bytes += (count - intern->slot_count) * sizeof(*slots);
	heap_free(intern->slots);
	intern->slots = slots;
	intern->slot_count = count;
	return true;
}

static const char *keep_bytes(struct intern *intern, const void *bytes, size_t size_bytes)
{
	size_t needed = (size_bytes + 1 + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	struct intern_chunk *chunk = intern->chunks;
	char *kept;

	if (!chunk || chunk->capacity - chunk->used < needed)
		chunk = add_chunk(intern, needed);
	if (!chunk)
		return NULL;
	kept = chunk->bytes + chunk->used;
	if (size_bytes > 0)
		memcpy(kept, bytes, size_bytes);
	kept[size_bytes] = '\0';
	chunk->used += needed;
	return kept;
}

static struct intern_chunk *add_chunk(struct intern *intern, size_t least)
{
	size_t capacity = CHUNK_BYTES - sizeof(struct intern_chunk);
	struct intern_chunk *chunk;

	/* Chunks grow with the table, so a small table stays small and a big one is few pieces. */
	if (intern->chunks && intern->bytes / 8 > capacity)
		capacity = intern->bytes / 8 & ~(size_t)(ALIGNMENT - 1);
	if (capacity < least)
		capacity = least;
	chunk = heap_alloc(sizeof(*chunk) + capacity);
	if (!chunk)
		return NULL;
	*chunk = (struct intern_chunk){ .next = intern->chunks, .capacity = capacity };
	intern->chunks = chunk;
	intern->bytes += sizeof(*chunk) + capacity;
	return chunk;
}
