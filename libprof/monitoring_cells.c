/*
 * monitoring_cells.c - PyInterpreterState.monitoring_callables, found by what we have just put there.
 *
 *   interpreter ... | tool 0: event 0, 1, ... | tool 1 ... |        an object or NULL each
 *                            ^ cells of tool 1; an event's by its number
 *
 * Where that is in an interpreter is different in each version, so its memory is searched, with fault-tolerant
 * reads, first where it was in the version's builds that we know, and what is found must follow when a callback
 * is taken away and put back.
 */
#include "monitoring_cells.h"

#include "os.h"

#include <stdatomic.h>
#include <string.h>

#define PAGE_BYTES 4096
#define CHUNK_BYTES (2 * PAGE_BYTES) /* on stacks that may be small */
#define CHUNKS_MOST 128 /* an interpreter has 100 to 400 KB */
#define EVENTS_MOST 32 /* as bits of a number */
#define CHUNKS_NEAR 2 /* around a place: all tools' cells have less than a page */

static _Atomic uintptr_t found_at; /* in an interpreter, the last time; 0: never */

static uintptr_t usual_place(void);
static uintptr_t search(struct monitoring_module *module, const struct monitoring *tool, long id,
			uintptr_t address, unsigned chunks);
static size_t read_pages(uintptr_t *words, uintptr_t from);
static bool match(const struct monitoring_module *module, const struct monitoring *tool,
		  uintptr_t cells);
static unsigned cell_index(const struct monitoring_module *module, unsigned event);
static uintptr_t cell_of(const struct monitoring_module *module, uintptr_t cells, unsigned event);
static uintptr_t cell_read(uintptr_t cell);
static bool follows(struct monitoring_module *module, const struct monitoring *tool, long id,
		    uintptr_t cells);
static bool swap(struct monitoring_module *module, long id, unsigned event,
		 struct py_object *callback);
static unsigned first_event(const struct monitoring *tool);

uintptr_t monitoring_cells_find(struct monitoring_module *module, const struct monitoring *tool,
				long id)
{
	uintptr_t interpreter = (uintptr_t)py.PyInterpreterState_Get(), cells = 0;
	uintptr_t hint = atomic_load_explicit(&found_at, memory_order_relaxed);

	/* Those of other tools and other interpreters are where they were found before. */
	if (!hint)
		hint = usual_place();
	if (hint)
		cells = search(module, tool, id, interpreter + hint, CHUNKS_NEAR);
	if (!cells)
		cells = search(module, tool, id, interpreter, CHUNKS_MOST);
	if (cells)
		atomic_store_explicit(&found_at, cells - interpreter, memory_order_relaxed);
	return cells;
}

/* In 3.12.1, 3.13.0 and .15, 3.14.8, 3.15.0, with a GIL; 0: not known. */
static uintptr_t usual_place(void)
{
	switch (pyapi_version() >> 16) {
	case 0x030c:
		return 382056;
	case 0x030d:
		return 193448;
	case 0x030e:
		return 223584;
	case 0x030f:
		return 223856;
	}
	return 0;
}

/* In so many chunks of memory, from the one before this address' page on. */
static uintptr_t search(struct monitoring_module *module, const struct monitoring *tool, long id,
			uintptr_t address, unsigned chunks)
{
	uintptr_t words[CHUNK_BYTES / sizeof(uintptr_t)], cells;
	uintptr_t chunk = (address & ~(uintptr_t)(PAGE_BYTES - 1)) - PAGE_BYTES;
	unsigned first = first_event(tool);
	uintptr_t wanted = (uintptr_t)tool->callbacks[first];

	for (unsigned i = 0; i < chunks; i++, chunk += CHUNK_BYTES) {
		size_t bytes = read_pages(words, chunk);

		for (size_t at = 0; at < bytes / sizeof(*words); at++) {
			cells = chunk + at * sizeof(*words) - cell_of(module, 0, first);
			if (words[at] == wanted && match(module, tool, cells) &&
			    follows(module, tool, id, cells))
				return cells;
		}
	}
	return 0;
}

/* As many pages as there are, from the first on. */
static size_t read_pages(uintptr_t *words, uintptr_t from)
{
	size_t bytes = 0;

	if (os_read(words, from, CHUNK_BYTES))
		return CHUNK_BYTES;
	while (bytes < CHUNK_BYTES &&
	       os_read(words + bytes / sizeof(*words), from + bytes, PAGE_BYTES))
		bytes += PAGE_BYTES;
	return bytes;
}

bool monitoring_cells_hold(const struct monitoring_module *module, const struct monitoring *tool,
			   uintptr_t cells)
{
	bool are_there = true;

	for (unsigned i = 0; are_there && i < MONITORING_EVENTS; i++)
		are_there = !tool->callbacks[i] ||
			    memcmp((const void *)cell_of(module, cells, i), &tool->callbacks[i],
				   sizeof(tool->callbacks[i])) == 0;
	return are_there;
}

/* The same, where there may be no memory at all. */
static bool match(const struct monitoring_module *module, const struct monitoring *tool,
		  uintptr_t cells)
{
	uintptr_t row[EVENTS_MOST];
	unsigned last = 0;
	bool do_match;

	for (unsigned i = 0; i < MONITORING_EVENTS; i++)
		last = cell_index(module, i) > last ? cell_index(module, i) : last;
	do_match = os_read(row, cells, (last + 1) * sizeof(*row));
	for (unsigned i = 0; do_match && i < MONITORING_EVENTS; i++)
		do_match = !tool->callbacks[i] ||
			   row[cell_index(module, i)] == (uintptr_t)tool->callbacks[i];
	return do_match;
}

static unsigned cell_index(const struct monitoring_module *module, unsigned event)
{
	return (unsigned)__builtin_ctz(module->bits[event]);
}

static uintptr_t cell_of(const struct monitoring_module *module, uintptr_t cells, unsigned event)
{
	return cells + cell_index(module, event) * sizeof(uintptr_t);
}

static uintptr_t cell_read(uintptr_t cell)
{
	uintptr_t word;

	return os_read(&word, cell, sizeof(word)) ? word : 0;
}

/* What is there goes with the tool's callback, and comes back. */
static bool follows(struct monitoring_module *module, const struct monitoring *tool, long id,
		    uintptr_t cells)
{
	unsigned event = first_event(tool);
	uintptr_t cell = cell_of(module, cells, event), empty = 1;

	if (swap(module, id, event, py._Py_NoneStruct))
		empty = cell_read(cell);
	return swap(module, id, event, tool->callbacks[event]) && empty == 0 &&
	       cell_read(cell) == (uintptr_t)tool->callbacks[event];
}

static bool swap(struct monitoring_module *module, long id, unsigned event,
		 struct py_object *callback)
{
	struct py_object *before = monitoring_module_swap(module, id, event, callback);

	if (before)
		py.Py_DecRef(before);
	return before != NULL;
}

static unsigned first_event(const struct monitoring *tool)
{
	unsigned event = 0;

	while (event < MONITORING_EVENTS - 1 && !tool->callbacks[event])
		event++;
	return event;
}
