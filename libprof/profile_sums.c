/*
 * profile_sums.c - samples -> their sums.
 *
 *   slots[hash of (metric, thread, node, duration)] -> samples[], the array that exporters read
 *
 * Sums of a big profile are not in any cache, and samples come in no order: a few wait until all of them know where
 * their sums are, so that the memory of many is fetched at a time.  A slot has some bits of the hash, so that mostly
 * the one sum is fetched that is looked for.
 */
#include "profile_take.h"

#include "heap.h"

#define FIRST_SLOTS 1024

static uint32_t recent_thread(struct profile_maker *maker, uint32_t id);
static void locate(struct profile_maker *maker);
static void add_sample(struct profile_maker *maker, const struct pending_sample *pending);
static struct profile_sample *find_sum(struct profile_maker *maker,
				       const struct profile_sample *key, uint64_t hash);
static size_t first_slot(const struct profile_maker *maker, uint64_t hash);
static struct sum_slot *next_slot(const struct profile_maker *maker, size_t i, uint64_t hash);
static uint64_t hash_sample(const struct profile_sample *sample);
static uint64_t add_up(uint64_t a, uint64_t b);

static const char no_memory[] = "no memory";

void profile_take_sample(void *self, const struct recording_sample *sample)
{
	struct profile_maker *maker = self;

	if (maker->error)
		return;
	if (sample->thread == RECORDING_THREAD_PROCESS && sample->node == 0) {
		profile_settle_samples(maker);
		profile_take_size(maker, sample);
		return;
	}
	if (sample->node != 0 && sample->node <= maker->node_map.count)
		__builtin_prefetch(&maker->node_map.rows[sample->node - 1]);
	maker->pending[maker->pending_count++] = (struct pending_sample){
		.key = {
			.metric = maker->metric_map.ids[sample->metric],
			.thread = recent_thread(maker, sample->thread),
			.node = sample->node,
			.duration = sample->duration,
		},
		.time_ns = sample->time_ns,
		.value = sample->value,
	};
	if (maker->pending_count == PROFILE_PENDING)
		profile_settle_samples(maker);
}

static uint32_t recent_thread(struct profile_maker *maker, uint32_t id)
{
	size_t at = id % PROFILE_RECENT;

	if (maker->recent[at].id != id) {
		maker->recent[at].index = profile_find_thread(maker, id);
		maker->recent[at].id = id;
	}
	return maker->recent[at].index;
}

void profile_settle_samples(struct profile_maker *maker)
{
	profile_settle_nodes(maker);
	if (!maker->error)
		locate(maker);
	for (size_t i = 0; i < maker->pending_count && !maker->error; i++)
		add_sample(maker, &maker->pending[i]);
	maker->pending_count = 0;
}

/* Two rounds, each of which asks for the memory that the next one reads. */
static void locate(struct profile_maker *maker)
{
	struct pending_sample *end = maker->pending + maker->pending_count;

	for (struct pending_sample *at = maker->pending; at < end; at++) {
		if (at->key.node != 0) {
			const struct mapped_node *node = &maker->node_map.rows[at->key.node - 1];

			at->key.node = node->id;
			at->observed = profile_find_observed(maker, at->key.metric, node->function);
		}
		at->hash = hash_sample(&at->key);
		if (maker->slot_count > 0)
			__builtin_prefetch(&maker->slots[first_slot(maker, at->hash)]);
	}
	for (struct pending_sample *at = maker->pending; at < end && maker->slot_count > 0; at++) {
		const struct sum_slot *slot =
			next_slot(maker, first_slot(maker, at->hash), at->hash);

		if (at->observed != 0)
			__builtin_prefetch(&maker->observed[at->observed - 1]);
		if (slot->sum != 0)
			__builtin_prefetch(&maker->profile->samples[slot->sum - 1]);
	}
}

static void add_sample(struct profile_maker *maker, const struct pending_sample *pending)
{
	struct profile_sample *sum = find_sum(maker, &pending->key, pending->hash);

	if (!sum)
		return;
	sum->count++;
	sum->value = add_up(sum->value, pending->value);
	if (maker->keeps_points)
		profile_take_point(maker, (size_t)(sum - maker->profile->samples), pending);
	if (pending->observed != 0)
		profile_observe(maker, pending);
}

struct profile_sample *profile_find_sample(struct profile_maker *maker,
					   const struct profile_sample *key)
{
	return find_sum(maker, key, hash_sample(key));
}

static struct profile_sample *find_sum(struct profile_maker *maker,
				       const struct profile_sample *key, uint64_t hash)
{
	struct profile *profile = maker->profile;
	struct sum_slot *slot;

	if (profile->sample_count >= maker->slot_count / 4 * 3 &&
	    !profile_index_samples(maker, maker->slot_count ? maker->slot_count * 2 : FIRST_SLOTS))
		return NULL;
	slot = next_slot(maker, first_slot(maker, hash), hash);
	while (slot->sum != 0) {
		struct profile_sample *sum = &profile->samples[slot->sum - 1];

		if (sum->node == key->node && sum->thread == key->thread &&
		    sum->metric == key->metric && sum->duration == key->duration)
			return sum;
		slot = next_slot(maker, (size_t)(slot - maker->slots) + 1, hash);
	}
	if (!GROW(profile->samples, maker->sample_capacity, profile->sample_count)) {
		profile_fail(maker, no_memory);
		return NULL;
	}
	profile->samples[profile->sample_count++] = *key;
	*slot = (struct sum_slot){ (uint32_t)profile->sample_count, (uint32_t)hash };
	return &profile->samples[profile->sample_count - 1];
}

bool profile_index_samples(struct profile_maker *maker, size_t count)
{
	struct profile *profile = maker->profile;
	struct sum_slot *slots = heap_zalloc(count * sizeof(*slots));

	if (!slots) {
		profile_fail(maker, no_memory);
		return false;
	}
	for (size_t s = 0; s < profile->sample_count; s++) {
		uint64_t hash = hash_sample(&profile->samples[s]);
		size_t i = (size_t)(hash >> 32) & (count - 1);

		while (slots[i].sum != 0)
			i = (i + 1) & (count - 1);
		slots[i] = (struct sum_slot){ (uint32_t)s + 1, (uint32_t)hash };
	}
	heap_free(maker->slots);
	maker->slots = slots;
	maker->slot_count = count;
	return true;
}

static size_t first_slot(const struct profile_maker *maker, uint64_t hash)
{
	return (size_t)(hash >> 32) & (maker->slot_count - 1);
}

/* From this one on, the first that may hold what has this hash, or is free. */
static struct sum_slot *next_slot(const struct profile_maker *maker, size_t i, uint64_t hash)
{
	size_t mask = maker->slot_count - 1;

	for (i &= mask;; i = (i + 1) & mask) {
		struct sum_slot *slot = &maker->slots[i];

		if (slot->sum == 0 || slot->tag == (uint32_t)hash)
			return slot;
	}
}

/* The upper half says where, the lower one is the tag. */
static uint64_t hash_sample(const struct profile_sample *sample)
{
	uint64_t hash = (uint64_t)sample->thread << 32 | sample->node;

	hash ^= ((uint64_t)sample->metric << 8 | sample->duration) * 0xff51afd7ed558ccdu;
	hash *= 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 32;
}

/* Values are signed in every format that we write. */
static uint64_t add_up(uint64_t a, uint64_t b)
{
	return b > INT64_MAX - a ? INT64_MAX : a + b;
}
