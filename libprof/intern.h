/*
 * intern.h - bytes -> small dense id, each once: strings, functions, frames, stack nodes.
 *
 * Ids start at 1 and count up; 0 means "none".  Open addressing over XXH3, bytes kept in chunks that
 * never move, so that a pointer from intern_get stays good until intern_release.
 */
#ifndef INTERN_H
#define INTERN_H

#include "prof.h"

struct intern {
	uint32_t *slots; /* ids; 0 is free */
	size_t slot_count;
	struct intern_entry *entries; /* entries[id - 1] */
	size_t entry_capacity;
	uint32_t count;
	struct intern_chunk *chunks;
	size_t bytes; /* all memory held */
};

/* All zero is an empty table too. drainer, tool, callback under `symbol` */
void intern_init(struct intern *intern);
void intern_release(struct intern *intern);
/* Id of these bytes, put there if they are new (*fresh). 0: no memory. As intern_init */
uint32_t intern_put(struct intern *intern, const void *bytes, size_t size_bytes, bool *fresh);
/* The id, or 0 if they were never put. As intern_init */
uint32_t intern_find(const struct intern *intern, const void *bytes, size_t size_bytes);
/* The bytes of an id (a NUL follows them); NULL for an id that was never given. As intern_init */
const void *intern_get(const struct intern *intern, uint32_t id, size_t *size_bytes);

#endif
