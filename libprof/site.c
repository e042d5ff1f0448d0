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

static uint32_t row_make(uintptr_t code, uintptr_t instruction);
static bool table_make(void);
static uint32_t row_take(struct table *table, uintptr_t address);
static void row_drop(struct table *table, uint32_t index);
static uint32_t row_find(struct table *table, uintptr_t address);
static _Atomic uint32_t *bucket_of(struct table *table, uintptr_t address);
static uint64_t add_callee(uint64_t callees, uint64_t callee);

bool site_add(uintptr_t code, uintptr_t instruction, uint32_t callee)
{
	bool is_enough = true;
	struct table *table;
	struct row *row;
	uint32_t index;

	pthread_mutex_lock(&state.lock);
	index = row_make(code, instruction);
	table = atomic_load_explicit(&state.table, memory_order_relaxed);
	if (index) {
		uint64_t callees;

		row = &table->rows[index];
		callees = add_callee(atomic_load_explicit(&row->callees, memory_order_relaxed),
				     callee);
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
	struct table *table = atomic_load_explicit(&state.table, memory_order_acquire);
	uint32_t index;

	if (!table)
		return 0;
	index = atomic_load_explicit(bucket_of(table, instruction), memory_order_acquire);
	for (unsigned steps = 0; index && steps < STEPS_MAX; steps++) {
		struct row *row = &table->rows[index];

		if (atomic_load_explicit(&row->address, memory_order_acquire) == instruction) {
			uint64_t callees =
				atomic_load_explicit(&row->callees, memory_order_acquire);

			/* Still its own? */
			return atomic_load_explicit(&row->address, memory_order_relaxed) ==
					       instruction ?
				       callees :
				       0;
		}
		index = atomic_load_explicit(&row->chained, memory_order_acquire);
	}
	return 0;
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

	/* A thread that is gone was in the middle of it: what it left may not be whole. */
	if (pthread_mutex_trylock(&state.lock) != 0) {
		atomic_store(&state.table, NULL);
		state.used = state.free = 0;
	}
	memcpy(&state.lock, &fresh, sizeof(fresh));
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
