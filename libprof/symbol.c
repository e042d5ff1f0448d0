/*
 * symbol.c - code address and time -> function, file, line; outlives the code object.
 *
 * One hash table of entries by address.  An entry holds for   reach < time <= death:
 *
 *   live    death is the end of time; made by the drainer when it first meets the address
 *   dead    death is when the watcher's callback ran; in a queue, in order of death, until the
 *           rings are drained past it
 *
 * The callback and the drainer share one lock, so an object with its bit set in the filter cannot
 * be freed while the drainer reads it.  A death that could not be kept (no memory, too many, an
 * interpreter's watcher gone) moves `reach`: for records of before it nothing is named any more,
 * and entries made later hold only after it.  So a name is right or missing, never another
 * object's.
 *
 * Entries are freed by the drainer alone (symbol_drained), so what it was given stays.
 */
#include "symbol.h"

#include "code.h"
#include "heap.h"
#include "mark.h"
#include "os.h"
#include "pyapi.h"
#include "site.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define ALIVE UINT64_MAX
#define LIVE_MAX 131072 /* known live entries; one more, and all are forgotten once drained */
#define DEAD_MAX 16384 /* entries made at a death; beyond them deaths are lost until drained */
#define BUCKETS_MIN 1024
#define INTERPRETERS_MAX 64
#define LINES_LOG2 10

struct entry {
	struct symbol symbol;
	uintptr_t code;
	uint64_t reach_ns, death_ns;
	struct entry *chained; /* in its bucket */
	struct entry *later; /* in the queue of the dead */
	char bytes[];
};

/* One line that was looked up: tables are long, and a hot loop asks for the same places. */
struct line {
	uintptr_t instruction;
	uint32_t serial, line;
};

/* An interpreter's watcher. */
struct watch {
	struct py_interpreter *interpreter;
	int watcher;
};

static struct {
	pthread_mutex_t lock; /* rank: symbol; guards all but lines and closed_ns */
	struct entry **buckets;
	size_t bucket_count, live_count, dead_count;
	struct entry *oldest, *newest; /* the queue of the dead */
	uint64_t reach_ns;
	uint32_t serial;
	/* left by symbol_reset to the drainer */
	struct entry **left_buckets;
	size_t left_count;
	/* written by symbol_close, read by symbol_find: what was sampled later is unknown */
	_Atomic uint64_t closed_ns;
	struct watch watches[INTERPRETERS_MAX];
	/* the drainer's */
	struct line lines[1u << LINES_LOG2];
} state = { .lock = PTHREAD_MUTEX_INITIALIZER, .closed_ns = ALIVE };

static struct watch *watch_of(struct py_interpreter *interpreter);
static void clear_watcher(int watcher);
static int on_code_event(enum pyapi_code_event event, struct py_object *code);
static void bury(uintptr_t code);
static struct entry *find(uintptr_t code, uint64_t time_ns);
static struct entry *make(uintptr_t code);
static struct entry *read_entry(uintptr_t code);
static bool put(struct entry *entry);
static void retire(struct entry *entry, uint64_t now_ns);
static void retire_all(uint64_t now_ns);
static struct entry *take_drained(uint64_t time_ns);
static void leave_all(void);
static void free_table(struct entry **buckets, size_t bucket_count);

errmsg symbol_watch(void)
{
	struct py_interpreter *interpreter = py.PyInterpreterState_Get();
	struct watch *watch = watch_of(interpreter);
	if (watch)
		return NULL;
	/* Outside of the lock: a call into CPython may free code, which calls back */
	int watcher = py.PyCode_AddWatcher(on_code_event);
	pthread_mutex_lock(&state.lock);
	for (size_t i = 0; i < INTERPRETERS_MAX && !watch; i++)
		if (!state.watches[i].interpreter)
			watch = &state.watches[i];
	if (watch && watcher >= 0)
		*watch = (struct watch){ interpreter, watcher };
	pthread_mutex_unlock(&state.lock);
	if (watcher < 0)
		py.PyErr_Clear();
	else if (!watch)
		clear_watcher(watcher);
	return watch && watcher >= 0 ? NULL : "no code watcher is free: stacks cannot be named";
}

void symbol_unwatch(void)
{
	struct watch *watch = watch_of(py.PyInterpreterState_Get());
	if (watch)
		clear_watcher(watch->watcher);
	pthread_mutex_lock(&state.lock);
	if (watch)
		watch->interpreter = NULL;
	/* Whose code the live entries are is not known: all are read again if alive */
	state.reach_ns = os_monotonic_ns();
	retire_all(state.reach_ns);
	pthread_mutex_unlock(&state.lock);
}

/* An interpreter's own watch is changed under its GIL only, so it stays as it is found. */
static struct watch *watch_of(struct py_interpreter *interpreter)
{
	struct watch *found = NULL;
	pthread_mutex_lock(&state.lock);
	for (size_t i = 0; i < INTERPRETERS_MAX && !found; i++)
		if (state.watches[i].interpreter == interpreter)
			found = &state.watches[i];
	pthread_mutex_unlock(&state.lock);
	return found;
}

static void clear_watcher(int watcher)
{
	if (py.PyCode_ClearWatcher(watcher) < 0)
		py.PyErr_Clear();
}

/* Must not fail, and keeps a pending exception: no Python API is called. */
static int on_code_event(enum pyapi_code_event event, struct py_object *code)
{
	/* In a copy of the program, whoever held a lock need not be there any more. */
	if (event != PYAPI_CODE_DESTROY || os_memory_is_copy())
		return 0;
	site_forget((uintptr_t)code);
	if (mark_get((uintptr_t)code)) {
		int saved_errno = errno;
		bury((uintptr_t)code);
		errno = saved_errno;
	}
	return 0;
}

static void bury(uintptr_t code)
{
	pthread_mutex_lock(&state.lock);
	uint64_t now_ns = os_monotonic_ns();
	struct entry *entry = find(code, ALIVE);
	/* After the end nothing of it will be asked for, and reading it is a system call */
	bool open = atomic_load_explicit(&state.closed_ns, memory_order_acquire) == ALIVE;
	if (!entry && open && state.dead_count < DEAD_MAX)
		entry = make(code);
	if (entry)
		retire(entry, now_ns);
	else
		state.reach_ns = now_ns;
	pthread_mutex_unlock(&state.lock);
}

const struct symbol *symbol_find(uintptr_t code, uint64_t time_ns)
{
	if (time_ns > atomic_load_explicit(&state.closed_ns, memory_order_acquire))
		return NULL;
	pthread_mutex_lock(&state.lock);
	struct entry *entry = find(code, time_ns);
	bool open = atomic_load_explicit(&state.closed_ns, memory_order_acquire) == ALIVE;
	if (!entry && open && time_ns > state.reach_ns) {
		if (state.live_count >= LIVE_MAX)
			retire_all(os_monotonic_ns());
		entry = make(code);
	}
	pthread_mutex_unlock(&state.lock);
	return entry ? &entry->symbol : NULL;
}

void symbol_keep(uintptr_t code)
{
	pthread_mutex_lock(&state.lock);
	if (!find(code, ALIVE) && state.live_count < LIVE_MAX)
		make(code);
	pthread_mutex_unlock(&state.lock);
}

uint32_t symbol_line(const struct symbol *symbol, uintptr_t instruction)
{
	uint64_t key = (symbol->serial ^ (uint64_t)instruction) * 0x9e3779b97f4a7c15u;
	struct line *line = &state.lines[key >> (64 - LINES_LOG2)];
	if (line->serial == symbol->serial && line->instruction == instruction)
		return line->line;
	intptr_t offset = (intptr_t)(instruction - symbol->instructions);
	if (offset > INT_MAX || offset < INT_MIN)
		return 0;
	line->serial = symbol->serial;
	line->instruction = instruction;
	line->line = (uint32_t)frames_line(symbol->linetable, symbol->linetable_bytes,
					   (int)symbol->first_line, (int)offset);
	return line->line;
}

void symbol_drained(uint64_t time_ns)
{
	struct entry *entry;
	free_table(state.left_buckets, state.left_count);
	state.left_buckets = NULL;
	state.left_count = 0;
	do {
		pthread_mutex_lock(&state.lock);
		entry = take_drained(time_ns);
		pthread_mutex_unlock(&state.lock);
		heap_free(entry);
	} while (entry);
}

void symbol_close(void)
{
	atomic_store_explicit(&state.closed_ns, os_monotonic_ns(), memory_order_release);
}

bool symbol_reset(void)
{
	/* If a thread that is gone held the lock, the table may be half changed: leave it */
	bool is_whole = pthread_mutex_trylock(&state.lock) == 0;
	if (is_whole)
		leave_all();
	pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;
	memcpy(&state.lock, &fresh, sizeof(fresh));
	state.buckets = NULL;
	state.bucket_count = state.live_count = state.dead_count = 0;
	state.oldest = state.newest = NULL;
	state.reach_ns = os_monotonic_ns();
	atomic_store_explicit(&state.closed_ns, ALIVE, memory_order_release);
	for (size_t i = 0; i < INTERPRETERS_MAX; i++)
		if (state.watches[i].interpreter != py.PyInterpreterState_Main())
			state.watches[i].interpreter = NULL;
	mark_reset();
	return is_whole;
}

/* To touch them here, in a forked child, would copy all that memory while the program waits. */
static void leave_all(void)
{
	if (state.left_buckets) {
		free_table(state.buckets, state.bucket_count);
		return;
	}
	state.left_buckets = state.buckets;
	state.left_count = state.bucket_count;
}

static struct entry **bucket_of(uintptr_t code)
{
	uint64_t hash = (uint64_t)code * 0x9e3779b97f4a7c15u;
	return &state.buckets[(hash >> 32) & (state.bucket_count - 1)];
}

/* The entry that holds at that time; ALIVE: the live one. */
static struct entry *find(uintptr_t code, uint64_t time_ns)
{
	struct entry *best = NULL;
	if (!state.bucket_count)
		return NULL;
	for (struct entry *entry = *bucket_of(code); entry; entry = entry->chained) {
		if (entry->code != code || time_ns <= entry->reach_ns || time_ns > entry->death_ns)
			continue;
		if (!best || entry->death_ns < best->death_ns)
			best = entry;
	}
	return best;
}

/* A live entry for the object that is at this address now; NULL: none there, or no memory. */
static struct entry *make(uintptr_t code)
{
	struct entry *entry = read_entry(code);
	if (!entry)
		return NULL;
	entry->code = code;
	entry->reach_ns = state.reach_ns;
	entry->death_ns = ALIVE;
	entry->later = NULL;
	entry->symbol.serial = ++state.serial;
	if (!put(entry)) {
		heap_free(entry);
		return NULL;
	}
	state.live_count++;
	return entry;
}

static struct entry *read_entry(uintptr_t address)
{
	struct code code;
	struct code_data name, file, lines;
	size_t name_bytes, file_bytes, lines_bytes;
	if (!code_read(address, &code) || !code_text(code.qualname, &name) ||
	    !code_text(code.filename, &file) || !code_bytes(code.linetable, &lines))
		return NULL;
	struct entry *entry = heap_alloc(sizeof(*entry) + name.room_bytes + file.room_bytes +
					 lines.room_bytes + 2);
	if (!entry)
		return NULL;
	char *name_at = entry->bytes;
	char *file_at = name_at + name.room_bytes + 1;
	char *lines_at = file_at + file.room_bytes + 1;
	if (!code_copy(&name, name_at, &name_bytes) || !code_copy(&file, file_at, &file_bytes) ||
	    !code_copy(&lines, lines_at, &lines_bytes)) {
		heap_free(entry);
		return NULL;
	}
	name_at[name_bytes] = file_at[file_bytes] = '\0';
	entry->symbol = (struct symbol){
		.name = name_at,
		.file = file_at,
		.name_bytes = (uint32_t)name_bytes,
		.file_bytes = (uint32_t)file_bytes,
		.first_line = code.first_line,
		.instructions = code.instructions,
		.linetable = (const uint8_t *)lines_at,
		.linetable_bytes = (uint32_t)lines_bytes,
	};
	return entry;
}

/* Into the table, which grows so that buckets stay short. */
static bool put(struct entry *entry)
{
	size_t count = state.live_count + state.dead_count, old_count = state.bucket_count;
	if (count >= old_count) {
		size_t grown_count = old_count ? old_count * 2 : BUCKETS_MIN;
		struct entry **old = state.buckets;
		struct entry **grown = heap_zalloc(grown_count * sizeof(*grown));
		if (!grown && !old)
			return false;
		state.buckets = grown ? grown : old;
		state.bucket_count = grown ? grown_count : old_count;
		for (size_t i = 0; grown && i < old_count; i++) {
			while (old[i]) {
				struct entry *moved = old[i], **to = bucket_of(moved->code);
				old[i] = moved->chained;
				moved->chained = *to;
				*to = moved;
			}
		}
		if (grown)
			heap_free(old);
	}
	struct entry **bucket = bucket_of(entry->code);
	entry->chained = *bucket;
	*bucket = entry;
	return true;
}

/* A live entry's object dies: into the queue. */
static void retire(struct entry *entry, uint64_t now_ns)
{
	entry->death_ns = now_ns;
	if (state.newest)
		state.newest->later = entry;
	else
		state.oldest = entry;
	state.newest = entry;
	state.live_count--;
	state.dead_count++;
}

static void retire_all(uint64_t now_ns)
{
	for (size_t i = 0; i < state.bucket_count; i++)
		for (struct entry *entry = state.buckets[i]; entry; entry = entry->chained)
			if (entry->death_ns == ALIVE)
				retire(entry, now_ns);
}

/* The oldest dead entry out of queue and table, if it died before time_ns. */
static struct entry *take_drained(uint64_t time_ns)
{
	struct entry *entry = state.oldest;
	if (!entry || entry->death_ns >= time_ns)
		return NULL;
	state.oldest = entry->later;
	if (!state.oldest)
		state.newest = NULL;
	struct entry **link = bucket_of(entry->code);
	while (*link != entry)
		link = &(*link)->chained;
	*link = entry->chained;
	state.dead_count--;
	return entry;
}

static void free_table(struct entry **buckets, size_t bucket_count)
{
	for (size_t i = 0; i < bucket_count; i++) {
		while (buckets[i]) {
			struct entry *entry = buckets[i];
			buckets[i] = entry->chained;
			heap_free(entry);
		}
	}
	heap_free(buckets);
}
