/*
 * callee.c - the table of callees: key -> id -> name.
 *
 *   slots   key, id      open addressing; an id, once there, stays, and so does what it stands for
 *   rows    by id: where its two texts begin
 *   arena   texts that end with NUL
 *
 * One mapping, made when the first row is wanted, whose pages are had as they are used.  Anyone looks up,
 * at any time, without a lock: a row is complete before its id is published.  Threads that add exclude
 * each other (each interpreter may have a GIL of its own), and whoever finds another at it goes away.
 */
#include "callee_object.h"

#include "os.h"

#include <stdatomic.h>

#define SLOTS (2 * (CALLEE_MAX + 1)) /* a power of two */
#define ARENA_BYTES (4u << 20)
#define NO_NAME "[C]"

struct slot {
	_Atomic uint64_t key;
	_Atomic uint32_t id; /* 0: free */
};

struct row {
	uint32_t module, name; /* in the arena */
};

struct table {
	struct slot slots[SLOTS];
	struct row rows[CALLEE_MAX];
	char arena[ARENA_BYTES];
};

static struct {
	struct table *_Atomic table;
	atomic_flag is_busy;
	_Atomic uint32_t count; /* of rows */
	uint32_t used_bytes; /* of the arena */
	_Atomic bool is_full; /* the next row had no room */
} state = { .is_busy = ATOMIC_FLAG_INIT };

static struct slot *slot_of(struct table *table, uint64_t key);
static void describe(struct py_object *callable, struct callee_text *module,
		     struct callee_text *name);
static uint32_t insert(uint64_t key, const struct callee_text *module,
		       const struct callee_text *name);
static uint32_t put(struct table *table, const struct callee_text *text);

errmsg callee_start(void)
{
	return callee_check();
}

void callee_after_fork(void)
{
	atomic_flag_clear(&state.is_busy);
}

uint32_t callee_find(uint64_t key, struct py_object *callable, struct py_object *self)
{
	struct callee_text module, name;
	struct table *table = atomic_load_explicit(&state.table, memory_order_acquire);
	uint32_t id = table ? atomic_load_explicit(&slot_of(table, key)->id, memory_order_acquire) :
			      0;

	(void)self;
	if (id || atomic_load_explicit(&state.is_full, memory_order_relaxed))
		return id;
	module.used = name.used = 0;
	describe(callable, &module, &name);
	if (atomic_flag_test_and_set_explicit(&state.is_busy, memory_order_acquire))
		return 0;
	id = insert(key, &module, &name);
	atomic_flag_clear_explicit(&state.is_busy, memory_order_release);
	return id;
}

bool callee_name(uint32_t id, struct callee *callee)
{
	struct table *table = atomic_load_explicit(&state.table, memory_order_acquire);

	if (!id || id > atomic_load_explicit(&state.count, memory_order_acquire))
		return false;
	callee->module = table->arena + table->rows[id - 1].module;
	callee->name = table->arena + table->rows[id - 1].name;
	return true;
}

/* Where the key is, or would be. */
static struct slot *slot_of(struct table *table, uint64_t key)
{
	struct slot *slot;

	for (uint64_t at = key >> 40;; at++) {
		slot = &table->slots[at % SLOTS];
		if (!atomic_load_explicit(&slot->id, memory_order_acquire) ||
		    atomic_load_explicit(&slot->key, memory_order_relaxed) == key)
			return slot;
	}
}

static void describe(struct py_object *callable, struct callee_text *module,
		     struct callee_text *name)
{
	struct py_object *pending = py.PyErr_GetRaisedException();
	struct callee_object object;

	if (callee_layout.is_proven) {
		callee_object_take(callable, &object);
		callee_describe(&object, module, name);
	}
	if (!name->used) {
		memcpy(name->bytes, NO_NAME, sizeof(NO_NAME) - 1);
		name->used = sizeof(NO_NAME) - 1;
	}
	/* In the place of what looking may have left */
	py.PyErr_SetRaisedException(pending);
}

/* 0: no memory, or no room. */
static uint32_t insert(uint64_t key, const struct callee_text *module,
		       const struct callee_text *name)
{
	struct table *table = atomic_load_explicit(&state.table, memory_order_relaxed);
	uint32_t count = atomic_load_explicit(&state.count, memory_order_relaxed), id;
	struct slot *slot;

	if (!table) {
		table = os_pages_map(sizeof(*table));
		if (!table)
			return 0;
		atomic_store_explicit(&state.table, table, memory_order_release);
	}
	slot = slot_of(table, key);
	id = atomic_load_explicit(&slot->id, memory_order_relaxed);
	if (id)
		return id;
	if (count == CALLEE_MAX || ARENA_BYTES - state.used_bytes < module->used + name->used + 2) {
		atomic_store_explicit(&state.is_full, true, memory_order_relaxed);
		return 0;
	}
	table->rows[count].module = put(table, module);
	table->rows[count].name = put(table, name);
	atomic_store_explicit(&state.count, count + 1, memory_order_release);
	atomic_store_explicit(&slot->key, key, memory_order_relaxed);
	atomic_store_explicit(&slot->id, count + 1, memory_order_release);
	return count + 1;
}

static uint32_t put(struct table *table, const struct callee_text *text)
{
	uint32_t at = state.used_bytes;

	memcpy(table->arena + at, text->bytes, text->used);
	/* The byte after it is the mapping's zero */
	state.used_bytes += (uint32_t)text->used + 1;
	return at;
}
