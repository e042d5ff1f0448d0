/*
 * pairs.h - intern.h for pairs of numbers, in a third of the memory: frames and stack nodes.
 *
 * Ids start at 1 and count up; 0 means "none".  An id leads back to its pair only in pairs_rows' list.
 */
#ifndef PAIRS_H
#define PAIRS_H

#include "prof.h"

struct pair {
	uint32_t a, b;
	uint32_t id; /* 0: the slot is free */
};

struct pairs {
	struct pair *slots; /* open addressing */
	size_t slot_count;
	uint32_t count;
};

/* All zero is an empty table. drainer, tool */
void pairs_release(struct pairs *pairs);
/* Id of (a, b), put there if it is new (*fresh). 0: no memory. drainer, tool */
uint32_t pairs_put(struct pairs *pairs, uint32_t a, uint32_t b, bool *fresh);
/* Id of (a, b); 0: it is not there. drainer, tool */
uint32_t pairs_find(const struct pairs *pairs, uint32_t a, uint32_t b);
/* (a, b) will be looked for soon: fetch the memory that it takes. drainer, tool */
void pairs_expect(const struct pairs *pairs, uint32_t a, uint32_t b);
/* All pairs, by id - 1, to be freed with heap_free; NULL: no memory. drainer, tool */
struct pair *pairs_rows(const struct pairs *pairs);
/* All memory held. drainer, tool */
size_t pairs_bytes(const struct pairs *pairs);

#endif
