/*
 * test_ring.c - the ring against a model that knows of every byte whether it is taken.
 */
#include "ring.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#define SIZE 256u
#define STEPS 200000u
#define RECORDS 1000000u
#define PIECES 64u

static _Alignas(8) unsigned char memory[SIZE];
static struct ring ring;

static void fresh(void)
{
	memset(memory, 0xee, sizeof(memory));
	ring_init(&ring, memory, SIZE);
}

TestSuite(ring, .init = fresh);

/* A record: its size, then bytes that tell of what they are. */
static void fill(void *piece, uint32_t size_bytes, unsigned char seed)
{
	memset(piece, seed, size_bytes);
	memcpy(piece, &size_bytes, sizeof(size_bytes));
}

static bool intact(const void *piece, uint32_t size_bytes, unsigned char seed)
{
	const unsigned char *bytes = piece;
	uint32_t size;

	memcpy(&size, piece, sizeof(size));
	for (uint32_t i = sizeof(size); i < size_bytes; i++) {
		if (bytes[i] != seed)
			return false;
	}
	return size == size_bytes;
}

static void put(uint32_t size_bytes, unsigned char seed)
{
	uint32_t got = 0;
	void *piece = ring_begin(&ring, size_bytes, size_bytes, &got);

	cr_assert_not_null(piece);
	cr_assert_eq(got, size_bytes);
	fill(piece, size_bytes, seed);
	ring_commit(&ring, size_bytes);
}

static void get(uint32_t size_bytes, unsigned char seed)
{
	const void *record = ring_peek(&ring);

	cr_assert_not_null(record);
	cr_assert(intact(record, size_bytes, seed));
	ring_next(&ring);
}

Test(ring, a_new_one_is_empty)
{
	put(64, 1);
	fresh();
	cr_expect_null(ring_peek(&ring));
	cr_expect_eq(ring_used(&ring), 0);
}

Test(ring, what_came_first_goes_first)
{
	put(16, 1);
	put(32, 2);
	put(8, 3);
	cr_expect_eq(ring_used(&ring), 56);
	get(16, 1);
	cr_expect_eq(ring_used(&ring), 40);
	get(32, 2);
	get(8, 3);
	cr_expect_null(ring_peek(&ring));
	cr_expect_eq(ring_used(&ring), 0);
}

Test(ring, nothing_is_seen_before_the_commit)
{
	uint32_t got;
	void *piece = ring_begin(&ring, 16, 64, &got);

	fill(piece, 16, 7);
	cr_expect_null(ring_peek(&ring));
	cr_expect_eq(ring_used(&ring), 0);
	ring_commit(&ring, 16);
	get(16, 7);
}

Test(ring, a_piece_that_was_not_committed_is_given_again)
{
	uint32_t got;
	void *piece;

	put(200, 1);
	get(200, 1);
	piece = ring_begin(&ring, 100, 100, &got);
	cr_assert_eq(piece, memory, "behind a pad");
	cr_expect_null(ring_peek(&ring));
	cr_expect_eq(ring_begin(&ring, 16, 16, &got), memory + 200, "the pad is forgotten");
	fill(memory + 200, 16, 2);
	ring_commit(&ring, 16);
	cr_expect_eq(ring_used(&ring), 16);
	get(16, 2);
}

Test(ring, peek_waits_for_next)
{
	const void *first;

	put(16, 1);
	put(16, 2);
	first = ring_peek(&ring);
	cr_expect_eq(ring_peek(&ring), first);
	cr_expect_eq(ring_used(&ring), 32);
	ring_next(&ring);
	get(16, 2);
}

Test(ring, is_full_to_its_last_byte)
{
	uint32_t got = 0;

	put(248, 1);
	cr_expect_null(ring_begin(&ring, 16, 16, &got));
	put(8, 2);
	cr_expect_eq(ring_used(&ring), SIZE);
	cr_expect_null(ring_begin(&ring, 8, SIZE, &got));
	cr_expect_eq(got, 0);
	get(248, 1);
	get(8, 2);
	cr_expect_null(ring_peek(&ring));
	put(SIZE, 3);
	get(SIZE, 3);
}

Test(ring, a_record_that_would_wrap_is_behind_a_pad)
{
	put(200, 1);
	put(8, 2);
	get(200, 1);
	put(120, 3);
	cr_expect_eq(ring_used(&ring), 8 + 48 + 120, "the pad is in use");
	get(8, 2);
	cr_expect_eq(ring_peek(&ring), memory);
	cr_expect_eq(ring_used(&ring), 120, "and given back when it is met");
	get(120, 3);
	cr_expect_null(ring_peek(&ring));
}

Test(ring, as_much_as_there_is_between_least_and_most)
{
	uint32_t got = 0;

	put(192, 1);
	cr_expect_eq(ring_begin(&ring, 8, SIZE, &got), memory + 192);
	cr_expect_eq(got, 64);
	cr_expect_eq(ring_begin(&ring, 8, 40, &got), memory + 192);
	cr_expect_eq(got, 40);
	cr_expect_eq(ring_begin(&ring, 64, 64, &got), memory + 192);
	cr_expect_null(ring_begin(&ring, 72, SIZE, &got));
	get(192, 1);
	cr_expect_eq(ring_begin(&ring, 8, SIZE, &got), memory, "the longer of two");
	cr_expect_eq(got, 192);
	cr_expect_eq(ring_begin(&ring, 8, 64, &got), memory + 192, "no pad without need");
	cr_expect_null(ring_begin(&ring, 200, SIZE, &got), "empty, but in two pieces");
}

Test(ring, the_shorter_piece_at_the_start_is_not_taken)
{
	uint32_t got = 0;

	put(32, 1);
	put(128, 2);
	get(32, 1);
	cr_expect_eq(ring_begin(&ring, 8, SIZE, &got), memory + 160);
	cr_expect_eq(got, 96);
	cr_expect_null(ring_begin(&ring, 104, SIZE, &got));
}

Test(ring, the_counters_may_wrap)
{
	uint32_t before = UINT32_MAX - 3 * SIZE + 1;

	atomic_store(&ring.head, before);
	atomic_store(&ring.tail, before);
	for (unsigned i = 0; i < 100; i++) {
		put(72, (unsigned char)i);
		put(24, (unsigned char)(i + 1));
		cr_assert_leq(ring_used(&ring), SIZE);
		get(72, (unsigned char)i);
		get(24, (unsigned char)(i + 1));
	}
	cr_expect_lt(atomic_load(&ring.head), before, "it did");
	cr_expect_null(ring_peek(&ring));
}

/* Which bytes are taken, and what the records are that take them. */
static struct {
	bool taken[SIZE];
	uint32_t write;
	struct {
		uint32_t start, size, pad;
		unsigned char seed;
	} pieces[PIECES];
	uint32_t first, count;
	uint64_t random;
} model;

static uint32_t model_random(uint32_t below)
{
	model.random = model.random * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(model.random >> 33) % below;
}

static uint32_t model_free(uint32_t from, uint32_t to)
{
	uint32_t i = from;

	while (i < to && !model.taken[i])
		i++;
	return i - from;
}

static uint32_t model_used(void)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < SIZE; i++)
		used += model.taken[i];
	return used;
}

static void model_put(void)
{
	uint32_t least = 8 * (1 + model_random(16)), most = least + 8 * model_random(20);
	uint32_t here = model_free(model.write, SIZE), got = 0, longest, start, size;
	uint32_t there = here == SIZE - model.write ? model_free(0, model.write) : 0;
	bool skips = here < most && there > here;
	unsigned char *piece = ring_begin(&ring, least, most, &got);

	longest = skips ? there : here;
	cr_assert_eq(piece != NULL, longest >= least && longest > 0);
	if (!piece)
		return;
	start = skips ? 0 : model.write;
	cr_assert_eq(piece, memory + start);
	cr_assert_eq(got, longest < most ? longest : most);
	memset(piece, 0xdd, got); /* all of it is ours */
	if (model_random(8) == 0)
		return;
	size = least + 8 * model_random((got - least) / 8 + 1);
	unsigned char seed = (unsigned char)model_random(256);
	uint32_t row = (model.first + model.count++) % PIECES;

	fill(piece, size, seed);
	ring_commit(&ring, size);
	if (skips)
		memset(model.taken + model.write, true, here);
	memset(model.taken + start, true, size);
	model.pieces[row].start = start;
	model.pieces[row].size = size;
	model.pieces[row].pad = skips ? here : 0;
	model.pieces[row].seed = seed;
	model.write = (start + size) % SIZE;
}

static void model_get(void)
{
	uint32_t row = model.first % PIECES, start = model.pieces[row].start;
	uint32_t size = model.pieces[row].size, pad = model.pieces[row].pad;
	const void *record = ring_peek(&ring);

	cr_assert_eq(record != NULL, model.count > 0);
	if (!record)
		return;
	cr_assert_eq(record, memory + start);
	cr_assert(intact(record, size, model.pieces[row].seed));
	memset(model.taken + SIZE - pad, false, pad);
	cr_assert_eq(ring_used(&ring), model_used());
	ring_next(&ring);
	memset(model.taken + start, false, size);
	model.first++;
	model.count--;
}

Test(ring, does_what_the_model_does)
{
	uint32_t eager = 1;

	model.random = 42;
	for (unsigned step = 0; step < STEPS; step++) {
		if (step % 1000 == 0)
			eager = 1 + model_random(3); /* of 4: mostly empty, even, mostly full */
		if (model_random(4) < eager)
			model_put();
		else
			model_get();
		cr_assert_eq(ring_used(&ring), model_used());
	}
}

static void *produce(void *argument)
{
	(void)argument;
	for (uint32_t i = 0; i < RECORDS; i++) {
		uint32_t size = 8 + 8 * (i % 7), got;
		uint32_t *piece;

		while (!(piece = ring_begin(&ring, size, size, &got)))
			sched_yield();
		piece[0] = size;
		for (uint32_t word = 1; word < size / sizeof(*piece); word++)
			piece[word] = i;
		ring_commit(&ring, size);
	}
	return NULL;
}

Test(ring, two_threads_lose_nothing)
{
	pthread_t producer;

	cr_assert_eq(pthread_create(&producer, NULL, produce, NULL), 0);
	for (uint32_t i = 0; i < RECORDS; i++) {
		const uint32_t *record;
		uint32_t size = 8 + 8 * (i % 7), wrong = 0;

		while (!(record = ring_peek(&ring)))
			sched_yield();
		wrong += record[0] != size;
		for (uint32_t word = 1; word < size / sizeof(*record); word++)
			wrong += record[word] != i;
		cr_assert_eq(wrong, 0, "record %u is torn", i);
		ring_next(&ring);
	}
	pthread_join(producer, NULL);
	cr_expect_null(ring_peek(&ring));
}
