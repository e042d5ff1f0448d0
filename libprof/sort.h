/*
 * sort.h - a stable merge sort in our own heap: libc's qsort may call the program's malloc.
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

#endif
