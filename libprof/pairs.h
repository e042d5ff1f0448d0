/*
 * pairs.h - intern.h for pairs of numbers, in a third of the memory: frames and stack nodes.
 *
 * Ids start at 1 and count up; 0 means "none".
 */
#ifndef PAIRS_H
#define PAIRS_H

#include "prof.h"

struct pair {
	uint32_t a, b;
};

struct pairs {
	uint32_t *slots; /* ids, open addressing; 0 is free */
	size_t slot_count;
	struct pair *rows; /* rows[id - 1] */
	size_t capacity;
	uint32_t count;
};

/* All zero is an empty table. drainer, tool */
void pairs_release(struct pairs *pairs);
/* Id of (a, b), put there if it is new (*fresh). 0: no memory. drainer, tool */
uint32_t pairs_put(struct pairs *pairs, uint32_t a, uint32_t b, bool *fresh);
/* All memory held. drainer, tool */
size_t pairs_bytes(const struct pairs *pairs);

#endif
