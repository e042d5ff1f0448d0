/*
 * heap.h - our own heap: a private jemalloc, started on first use, never the program's malloc.
 *
 * The library links Debian's libjemalloc_pic.a under a prefix of its own, without its constructor and
 * blind to MALLOC_CONF.  The program's heap, its malloc hooks and its fork locks never meet ours.
 *
 * In a forked child it is as it was: sound if no thread was inside it, and else never to be used again.
 */
#ifndef HEAP_H
#define HEAP_H

#include "prof.h"

/* Like malloc, calloc, realloc, free; NULL when memory cannot be had. heap_realloc(NULL, n) allocates.
   drainer, setup, tool, callback under `symbol` */
void *heap_alloc(size_t size_bytes) __attribute__((malloc));
void *heap_zalloc(size_t size_bytes) __attribute__((malloc));
void *heap_realloc(void *block, size_t size_bytes);
void heap_free(void *block);
/* NULL when memory cannot be had. As heap_alloc */
char *heap_strdup(const char *text) __attribute__((malloc));
/* Grow *items (of item_bytes each) so that `needed` fit, doubling; false leaves all as it was.
   As heap_alloc */
bool heap_grow(void **items, size_t *capacity, size_t needed, size_t item_bytes);
/* Give the memory that is free back to the kernel. drainer */
void heap_trim(void);

#endif
