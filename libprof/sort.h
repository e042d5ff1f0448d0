/*
 * sort.h - stable sorts in our own heap: libc's qsort may call the program's malloc.
 *
 * sort_items is a merge sort by any order.  Many items whose order is one of small numbers are sorted in a time that grows
 * with their count alone: by each number in turn, the least significant first.
 */
#ifndef SORT_H
#define SORT_H

#include "prof.h"
#include "watch.h"

/* Negative, zero, positive as a is before, equal to, after b. */
typedef int sort_compare(const void *a, const void *b);

/* Sort `count` items of item_bytes each; false, and as it was, when memory cannot be had. drainer, tool */
bool sort_items(void *items, size_t count, size_t item_bytes, sort_compare *compare);
/* The same in steps that somebody watches; NULL, no memory, or WATCH_STOPPED: then they are in any order. drainer, tool */
errmsg sort_watched(void *items, size_t count, size_t item_bytes, sort_compare *compare,
		    const struct watch *watch);

struct sort {
	char *items, *spare; /* both have room for all; each sort_by may exchange them */
	size_t count, item_bytes;
	struct watch watch;
};

/* By the uint32_t at this offset of each, all of them below `limit`; NULL, no memory, or WATCH_STOPPED: then `items` are as
   they were. drainer, tool */
errmsg sort_by(struct sort *sort, size_t offset, size_t limit);

#endif
