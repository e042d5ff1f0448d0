/*
 * site.c - the table of call sites.
 *
 *   buckets ---> row ---> row ---> 0          by address, chained
 *                 |
 *                 +-- a site's address is its instruction's: callees
 *                 +-- a code object's is its own: the list of its sites' rows (`next`)
 *
 * One mapping, made for the first row, whose pages are had as they are used: rows are taken from the front,
 * and those that are given back are taken first.  Those who change it hold the lock.  A handler looks
 * without one: a row has its callees before its address, and loses its address first; a chain that is
 * changed under the handler's feet leads it astray, but never out of the table and never to what is not
 * there, and it gives up after some steps.
 */
#include "site.h"

#include "os.h"
#include "site_mix.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define BUCKETS_LOG2 15
#define ROWS (1u << 18)
#define STEPS_MAX 64
#define TIMES_ENOUGH 16 /* of sites that are 30:70, one in 300 has shown one callee alone by then */

struct row {
	_Atomic uintptr_t address; /* 0: free */
	_Atomic uint64_t callees;
	_Atomic uint32_t chained; /* next in its bucket */
	_Atomic uint32_t mix; /* of several callees; 0: there is none */
	uint32_t next; /* of the same code, or free */
	uint32_t times; /* that it told */
};

struct table {
	_Atomic uint32_t buckets[1u << BUCKETS_LOG2];
	struct row rows[ROWS]; /* the first stands for none */
};

static struct {
	pthread_mutex_t lock; /* rank: site; guards all but what handlers read */
	struct table *_Atomic table;
	uint32_t used; /* rows from the front */
	uint32_t free; /* the first of those given back */
	_Atomic uint64_t lost;
} state = { .lock = PTHREAD_MUTEX_INITIALIZER };

static struct row *row_look(uintptr_t instruction);
static unsigned place_of(uint64_t callees, uint64_t callee);
static bool begins_with(uint64_t now, uint64_t callees);
static uint32_t row_make(uintptr_t code, uintptr_t instruction);
static bool table_make(void);
static uint32_t row_take(struct table *table, uintptr_t address);
static void row_drop(struct table *table, uint32_t index);
static uint32_t row_find(struct table *table, uintptr_t address);
static _Atomic uint32_t *bucket_of(struct table *table, uintptr_t address);
static uint64_t add_callee(uint64_t callees, uint64_t callee);
static void row_mix(struct row *row, uint64_t callees);
static unsigned count_of(uint64_t callees);

bool site_add(uintptr_t code, uintptr_t instruction, uint32_t callee)
{
	bool is_enough = true;
	struct table *table;
	struct row *row;
	uint32_t index;

	/* Nobody may be there any more who would give the lock back. */
	if (os_memory_is_copy())
		return true;
	pthread_mutex_lock(&state.lock);
	index = row_make(code, instruction);
	table = atomic_load_explicit(&state.table, memory_order_relaxed);
	if (index) {
		uint64_t before, callees;

		row = &table->rows[index];
		before = atomic_load_explicit(&row->callees, memory_order_relaxed);
		callees = add_callee(before, callee);
		if (callees != before && callees != callee)
			row_mix(row, callees);
		atomic_store_explicit(&row->callees, callees, memory_order_release);
		is_enough = row->times + 1 >= TIMES_ENOUGH || callees & SITE_MORE;
		row->times += row->times < TIMES_ENOUGH;
	} else {
		atomic_fetch_add_explicit(&state.lost, 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&state.lock);
	return is_enough;
}

uint64_t site_find(uintptr_t instruction)
{
	struct row *row = row_look(instruction);
	uint64_t callees;

	if (!row)
		return 0;
	callees = atomic_load_explicit(&row->callees, memory_order_acquire);
	/* Still its own? */
	return atomic_load_explicit(&row->address, memory_order_relaxed) == instruction ? callees :
											  0;
}

uint32_t site_call(uintptr_t code, uintptr_t instruction, uint32_t callee, uint32_t window)
{
	uint64_t callees = callee ? site_find(instruction) : 0;
	unsigned place = place_of(callees, callee);
	struct row *row;
	uint32_t mix;

	/* Most sites have one; and what is not told apart, or had no room once, is not looked for again. */
	if (!callee || callees == callee ||
	    (place == SITE_CALLEES && (callees & SITE_MORE || (!callees && site_lost()))))
		return 0;
	if (place == SITE_CALLEES) {
		site_add(code, instruction, callee);
		place = place_of(site_find(instruction), callee);
	}
	row = row_look(instruction);
	mix = row ? atomic_load_explicit(&row->mix, memory_order_relaxed) : 0;
	if (!mix || place == SITE_CALLEES)
		return 0;
	site_mix_call(mix, place, window);
	return mix * (SITE_CALLEES + 1) + place;
}

void site_end(uint32_t call, uint64_t own_ns)
{
	site_mix_end(call / (SITE_CALLEES + 1), call % (SITE_CALLEES + 1), own_ns);
}

uint64_t site_choose(uintptr_t instruction, uint64_t callees, uint64_t time_ns, uint64_t value)
{
	struct row *row = callees < SITE_IDS ? NULL : row_look(instruction);
	uint64_t now = row ? site_find(instruction) : 0;
	uint32_t mix = row ? atomic_load_explicit(&row->mix, memory_order_relaxed) : 0;
	unsigned place = mix && begins_with(now, callees) ? site_mix_choose(mix, time_ns, value) :
							    UINT_MAX;

	if (place == UINT_MAX)
		return callees;
	while (place--)
		now /= SITE_IDS;
	/* Nothing, if it was given back in between. */
	return now % SITE_IDS ? now % SITE_IDS : callees;
}

void site_forget(uintptr_t code)
{
	struct table *table = atomic_load_explicit(&state.table, memory_order_acquire);

	if (!table)
		return;
	pthread_mutex_lock(&state.lock);
	for (uint32_t index = row_find(table, code), next; index; index = next) {
		next = table->rows[index].next;
		row_drop(table, index);
	}
	pthread_mutex_unlock(&state.lock);
}

uint64_t site_lost(void)
{
	return atomic_load_explicit(&state.lost, memory_order_relaxed);
}

void site_after_fork(void)
{
	pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;

	bool is_whole = pthread_mutex_trylock(&state.lock) == 0;

	/* A thread that is gone was in the middle of it: what it left may not be whole. */
	if (!is_whole) {
		atomic_store(&state.table, NULL);
		state.used = state.free = 0;
	}
	site_mix_after_fork(is_whole);
	memcpy(&state.lock, &fresh, sizeof(fresh));
}

/* Its row, for those who hold no lock: the row may be given back, and be another's, at any time. */
static struct row *row_look(uintptr_t instruction)
{
	struct table *table = atomic_load_explicit(&state.table, memory_order_acquire);
	uint32_t index;

	if (!table)
		return NULL;
	index = atomic_load_explicit(bucket_of(table, instruction), memory_order_acquire);
	for (unsigned steps = 0; index && steps < STEPS_MAX; steps++) {
		struct row *row = &table->rows[index];

		if (atomic_load_explicit(&row->address, memory_order_acquire) == instruction)
			return row;
		index = atomic_load_explicit(&row->chained, memory_order_acquire);
	}
	return NULL;
}

/* SITE_CALLEES: it is none of those that are told apart. */
static unsigned place_of(uint64_t callees, uint64_t callee)
{
	unsigned place = 0;

	while (place < SITE_CALLEES && callees % SITE_IDS != callee) {
		callees /= SITE_IDS;
		place++;
	}
	return place;
}

/* Some may have been added since. */
static bool begins_with(uint64_t now, uint64_t callees)
{
	for (; callees && callees % SITE_IDS == now % SITE_IDS; callees /= SITE_IDS)
		now /= SITE_IDS;
	return !callees;
}

/* The instruction's row, new perhaps; 0: no room. */
static uint32_t row_make(uintptr_t code, uintptr_t instruction)
{
	struct table *table;
	uint32_t index, head;

	if (!table_make())
		return 0;
	table = atomic_load_explicit(&state.table, memory_order_relaxed);
	index = row_find(table, instruction);
	if (index)
		return index;
	head = row_find(table, code);
	if (!head)
		head = row_take(table, code);
	index = head ? row_take(table, instruction) : 0;
	if (index) {
		table->rows[index].next = table->rows[head].next;
		table->rows[head].next = index;
	}
	return index;
}

static bool table_make(void)
{
	struct table *table = atomic_load_explicit(&state.table, memory_order_relaxed);

	if (table)
		return true;
	table = os_pages_map(sizeof(*table));
	state.used = 1;
	state.free = 0;
	atomic_store_explicit(&state.table, table, memory_order_release);
	return table != NULL;
}

static uint32_t row_take(struct table *table, uintptr_t address)
{
	uint32_t index = state.free;
	_Atomic uint32_t *bucket = bucket_of(table, address);
	struct row *row;

	if (!index && state.used == ROWS)
		return 0;
	if (!index)
		index = state.used++;
	row = &table->rows[index];
	state.free = state.free ? row->next : 0;
	row->next = row->times = 0;
	atomic_store_explicit(&row->mix, 0, memory_order_relaxed);
	atomic_store_explicit(&row->callees, 0, memory_order_relaxed);
	atomic_store_explicit(&row->chained, atomic_load_explicit(bucket, memory_order_relaxed),
			      memory_order_relaxed);
	atomic_store_explicit(&row->address, address, memory_order_release);
	atomic_store_explicit(bucket, index, memory_order_release);
	return index;
}

static void row_drop(struct table *table, uint32_t index)
{
	struct row *row = &table->rows[index];
	_Atomic uint32_t *link =
		bucket_of(table, atomic_load_explicit(&row->address, memory_order_relaxed));

	atomic_store_explicit(&row->address, 0, memory_order_release);
	while (atomic_load_explicit(link, memory_order_relaxed) != index)
		link = &table->rows[atomic_load_explicit(link, memory_order_relaxed)].chained;
	atomic_store_explicit(link, atomic_load_explicit(&row->chained, memory_order_relaxed),
			      memory_order_release);
	if (atomic_load_explicit(&row->mix, memory_order_relaxed))
		site_mix_drop(atomic_load_explicit(&row->mix, memory_order_relaxed));
	row->next = state.free;
	state.free = index;
}

static uint32_t row_find(struct table *table, uintptr_t address)
{
	uint32_t index = atomic_load_explicit(bucket_of(table, address), memory_order_relaxed);

	while (index &&
	       atomic_load_explicit(&table->rows[index].address, memory_order_relaxed) != address)
		index = atomic_load_explicit(&table->rows[index].chained, memory_order_relaxed);
	return index;
}

static _Atomic uint32_t *bucket_of(struct table *table, uintptr_t address)
{
	/* Fibonacci hashing: the top bits of a product with 2^64 / golden ratio */
	return &table->buckets[(uint64_t)address * 0x9e3779b97f4a7c15u >> (64 - BUCKETS_LOG2)];
}

static uint64_t add_callee(uint64_t callees, uint64_t callee)
{
	if (!callee)
		return callees;
	for (uint64_t place = 1; place < SITE_MORE; place *= SITE_IDS) {
		uint64_t known = callees / place % SITE_IDS;

		if (known == callee)
			return callees;
		if (!known)
			return callees + callee * place;
	}
	return callees | SITE_MORE;
}

/* It has several callees now, or more. */
static void row_mix(struct row *row, uint64_t callees)
{
	uint32_t mix = atomic_load_explicit(&row->mix, memory_order_relaxed);

	if (mix)
		site_mix_widen(mix, count_of(callees));
	else
		atomic_store_explicit(&row->mix, site_mix_take(count_of(callees)),
				      memory_order_relaxed);
}

/* 0: some are not told apart. */
static unsigned count_of(uint64_t callees)
{
	unsigned count = 0;

	for (; callees < SITE_MORE && callees; callees /= SITE_IDS)
		count++;
	return count;
}
