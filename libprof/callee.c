/*
 * callee.c - the table of callees: key -> id -> name.
 *
 *   slots   key, id      open addressing; an id, once there, stays, and so does what it stands for; the first of
 *                        them are the few of most programs, on few pages
 *   rows    by id: where its two texts begin
 *   arena   texts that end with NUL
 *
 * One mapping, made when the first row is wanted, whose pages are had as they are used.  Anyone looks up and
 * adds, at any time, without a lock (each interpreter may have a GIL of its own): who adds takes a row and the
 * room for its texts, fills them, takes the key's slot, and publishes the id there.  Of several that add the same
 * key one is the first; the rows of the others stay unused.  A fork amid all this costs a row at most.
 */
#include "callee_object.h"

#include "os.h"

#include <stdatomic.h>

#define SLOTS (2 * (CALLEE_MAX + 1)) /* a power of two */
#define SLOTS_FIRST 1024 /* the same */
#define STEPS_FIRST 8 /* among those, before all are looked at */
#define ARENA_BYTES (4u << 20)
#define NO_NAME "[C]"

struct slot {
	_Atomic uint64_t key; /* 0: free */
	_Atomic uint32_t id; /* 0: not yet */
};

struct row {
	uint32_t module, name; /* in the arena */
	uintptr_t function;
};

/* What a row is made of. */
struct described {
	struct callee_text module, name;
	uintptr_t function;
};

struct table {
	struct slot slots[SLOTS];
	struct row rows[CALLEE_MAX];
	char arena[ARENA_BYTES];
};

static struct {
	struct table *_Atomic table;
	_Atomic uint32_t count; /* of rows that are taken */
	_Atomic uint32_t used_bytes; /* of the arena */
	_Atomic bool is_full; /* the next row had no room */
} state;

static struct slot *slot_of(struct table *table, uint64_t key);
static void describe(struct py_object *callable, struct described *described);
static uint32_t insert(uint64_t key, const struct described *described);
static struct table *table_made(void);
static uint32_t row_of(struct table *table, const struct described *described);
static bool take(_Atomic uint32_t *used, uint32_t more, uint32_t most, uint32_t *first);

errmsg callee_start(void)
{
	return callee_check();
}

uint32_t callee_find(uint64_t key, struct py_object *callable, struct py_object *self)
{
	struct described described;
	struct table *table = atomic_load_explicit(&state.table, memory_order_acquire);
	uint32_t id = table ? atomic_load_explicit(&slot_of(table, key)->id, memory_order_acquire) :
			      0;

	(void)self;
	if (id || atomic_load_explicit(&state.is_full, memory_order_relaxed))
		return id;
	describe(callable, &described);
	return insert(key, &described);
}

bool callee_name(uint32_t id, struct callee *callee)
{
	struct table *table = atomic_load_explicit(&state.table, memory_order_acquire);

	if (!id || id > atomic_load_explicit(&state.count, memory_order_acquire))
		return false;
	callee->module = table->arena + table->rows[id - 1].module;
	callee->name = table->arena + table->rows[id - 1].name;
	callee->function = table->rows[id - 1].function;
	return true;
}

/* Where the key is, or would be. */
static struct slot *slot_of(struct table *table, uint64_t key)
{
	struct slot *slot;

	for (uint64_t at = key >> 40, steps = 0;; at++, steps++) {
		uint64_t there;

		slot = &table->slots[at % (steps < STEPS_FIRST ? SLOTS_FIRST : SLOTS)];
		there = atomic_load_explicit(&slot->key, memory_order_relaxed);
		if (there == 0 || there == key)
			return slot;
	}
}

static void describe(struct py_object *callable, struct described *described)
{
	struct py_object *pending = py.PyErr_GetRaisedException();
	struct callee_text *name = &described->name;
	struct callee_object object;

	described->module.used = name->used = 0;
	described->function = 0;
	if (callee_layout.is_proven) {
		callee_object_take(callable, &object);
		callee_describe(&object, &described->module, name);
		if (object.kind == CALLEE_FUNCTION || object.kind == CALLEE_METHOD)
			described->function = (uintptr_t)object.method->call;
		else if (object.kind == CALLEE_INSTANCE)
			described->function =
				callee_word(callee_type_of(object.object), CALLEE_TYPE_CALL);
	}
	if (!name->used) {
		memcpy(name->bytes, NO_NAME, sizeof(NO_NAME) - 1);
		name->used = sizeof(NO_NAME) - 1;
	}
	/* In the place of what looking may have left */
	py.PyErr_SetRaisedException(pending);
}

/* 0: no memory, or no room. */
static uint32_t insert(uint64_t key, const struct described *described)
{
	struct table *table = table_made();
	uint32_t id = table ? row_of(table, described) : 0, earlier = 0;
	struct slot *slot;
	uint64_t there;

	if (!id)
		return 0;
	/* Who takes a slot has a row, and there are more slots than rows: one is free. */
	do {
		slot = slot_of(table, key);
		there = 0;
	} while (!atomic_compare_exchange_strong(&slot->key, &there, key) && there != key);
	/* Pairs with those that look it up: its row is complete. */
	return atomic_compare_exchange_strong(&slot->id, &earlier, id) ? id : earlier;
}

static struct table *table_made(void)
{
	struct table *table = atomic_load_explicit(&state.table, memory_order_acquire), *made;

	if (table)
		return table;
	made = os_pages_map(sizeof(*made));
	if (!made || atomic_compare_exchange_strong(&state.table, &table, made))
		return made;
	os_pages_unmap(made, sizeof(*made));
	return table;
}

/* A row of these texts: its id; 0: no room. */
static uint32_t row_of(struct table *table, const struct described *described)
{
	const struct callee_text *module = &described->module, *name = &described->name;
	/* The byte after each is the mapping's zero */
	uint32_t bytes = (uint32_t)(module->used + name->used + 2), row, at;

	if (!take(&state.used_bytes, bytes, ARENA_BYTES, &at) ||
	    !take(&state.count, 1, CALLEE_MAX, &row)) {
		atomic_store_explicit(&state.is_full, true, memory_order_relaxed);
		return 0;
	}
	table->rows[row] = (struct row){ at, at + (uint32_t)module->used + 1, described->function };
	memcpy(table->arena + at, module->bytes, module->used);
	memcpy(table->arena + table->rows[row].name, name->bytes, name->used);
	return row + 1;
}

/* The first of so many; false: they would be too many, and none is taken. */
static bool take(_Atomic uint32_t *used, uint32_t more, uint32_t most, uint32_t *first)
{
	*first = atomic_load_explicit(used, memory_order_relaxed);
	do {
		if (most - *first < more)
			return false;
	} while (!atomic_compare_exchange_weak(used, first, *first + more));
	return true;
}
