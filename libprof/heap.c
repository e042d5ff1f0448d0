/*
 * heap.c - the private jemalloc behind heap.h.
 *
 * jemalloc.sh makes one object of Debian's archive in which every name begins with mpj_.  It has no
 * constructor, so the first call starts it.  It reads its settings from mpj_malloc_conf below and from
 * nowhere else: one arena, no caches per thread, free pages back to the kernel soon, because a
 * profiler's few megabytes must stay few.
 *
 * What it would ask of the process beside memory and mutexes ends in the stubs at the end of this file:
 * no environment, no files, no break, no fork handlers, no unwinder, no libm.
 *
 * With HEAP_LIBC (sanitizer builds) the same functions are libc's, so that the sanitizer sees each block.
 */
#include "heap.h"

#include "os.h"

#include <stdatomic.h>
#include <string.h>

#ifdef HEAP_LIBC
#include <stdlib.h>
#define HEAP(name) name
#else
#define HEAP(name) mpj_##name
#endif

enum { HEAP_NONE, HEAP_STARTING, HEAP_STARTED, HEAP_FAILED };

static struct {
	/* Of the first allocation of any thread. Where that failed, every other thread would wait inside of jemalloc for
	   ever: there is no heap then, for good. */
	_Atomic uint32_t state;
} heap;

#ifndef HEAP_LIBC
#pragma GCC visibility push(hidden)
void *mpj_malloc(size_t size_bytes);
void *mpj_calloc(size_t count, size_t size_bytes);
void *mpj_realloc(void *block, size_t size_bytes);
void mpj_free(void *block);
int mpj_mallctl(const char *name, void *old, size_t *old_bytes, void *new_value, size_t new_bytes);

extern const char *mpj_malloc_conf;
extern void (*mpj_malloc_message)(void *self, const char *text);
#pragma GCC visibility pop

const char *mpj_malloc_conf = "narenas:1,tcache:false,background_thread:false,dss:disabled,"
			      "dirty_decay_ms:500,muzzy_decay_ms:0,oversize_threshold:0,"
			      "metadata_thp:disabled,thp:never,lg_extent_max_active_fit:2";

/* jemalloc's remarks are for its developers. */
static void heap_message(void *self, const char *text)
{
	(void)self;
	(void)text;
}
#endif

static bool heap_begin(void)
{
	uint32_t none = HEAP_NONE, state = atomic_load_explicit(&heap.state, memory_order_acquire);

	if (state == HEAP_STARTED)
		return true;
	if (atomic_compare_exchange_strong(&heap.state, &none, HEAP_STARTING)) {
		void *first;

#ifndef HEAP_LIBC
		mpj_malloc_message = heap_message;
#endif
		first = HEAP(malloc)(1);
		HEAP(free)(first);
		/* Pairs with the loads: it is whole before others use it. */
		atomic_store_explicit(&heap.state, first ? HEAP_STARTED : HEAP_FAILED,
				      memory_order_release);
	}
	while ((state = atomic_load_explicit(&heap.state, memory_order_acquire)) == HEAP_STARTING)
		os_yield();
	return state == HEAP_STARTED;
}

void *heap_alloc(size_t size_bytes)
{
	return heap_begin() ? HEAP(malloc)(size_bytes) : NULL;
}

void *heap_zalloc(size_t size_bytes)
{
	return heap_begin() ? HEAP(calloc)(1, size_bytes) : NULL;
}

void *heap_realloc(void *block, size_t size_bytes)
{
	return heap_begin() ? HEAP(realloc)(block, size_bytes) : NULL;
}

void heap_free(void *block)
{
	if (block)
		HEAP(free)(block);
}

char *heap_strdup(const char *text)
{
	size_t size_bytes = strlen(text) + 1;
	char *copy = heap_alloc(size_bytes);

	if (copy)
		memcpy(copy, text, size_bytes);
	return copy;
}

bool heap_grow(void **items, size_t *capacity, size_t needed, size_t item_bytes)
{
	size_t grown = *capacity ? *capacity : 8;
	size_t size_bytes;
	void *moved;

	if (needed <= *capacity)
		return true;
	while (grown < needed) {
		if (__builtin_mul_overflow(grown, 2, &grown))
			return false;
	}
	if (__builtin_mul_overflow(grown, item_bytes, &size_bytes))
		return false;
	moved = heap_realloc(*items, size_bytes);
	if (!moved)
		return false;
	*items = moved;
	*capacity = grown;
	return true;
}

#ifdef HEAP_LIBC

void heap_trim(void)
{
}

#else

void heap_trim(void)
{
	/* 4096 is MALLCTL_ARENAS_ALL. */
	if (atomic_load_explicit(&heap.state, memory_order_acquire) == HEAP_STARTED)
		mpj_mallctl("arena.4096.purge", NULL, NULL, NULL, 0);
}

/* What jemalloc asks of the process and does not get; the list is STUBS of jemalloc.sh. */
__attribute__((used)) static long heap_none(void)
{
	return 0;
}

__attribute__((used)) static long heap_refused(void)
{
	return -1;
}

#define HEAP_STUB(name, answer) long mpj_##name(void) __attribute__((alias(#answer)));
HEAP_STUB(secure_getenv, heap_none)
HEAP_STUB(_Unwind_Backtrace, heap_none)
HEAP_STUB(_Unwind_GetIP, heap_none)
HEAP_STUB(pthread_atfork, heap_none)
HEAP_STUB(atexit, heap_none)
HEAP_STUB(exp, heap_none)
HEAP_STUB(log, heap_none)
HEAP_STUB(round, heap_none)
HEAP_STUB(getpid, heap_none)
HEAP_STUB(gettimeofday, heap_none)
HEAP_STUB(strcpy, heap_none)
HEAP_STUB(dlsym, heap_none)
HEAP_STUB(__ctype_b_loc, heap_none)
HEAP_STUB(_exit, heap_none)
HEAP_STUB(pthread_sigmask, heap_none)
HEAP_STUB(sigfillset, heap_none)
HEAP_STUB(pthread_getname_np, heap_none)
HEAP_STUB(pthread_setname_np, heap_none)
HEAP_STUB(pthread_cond_init, heap_none)
HEAP_STUB(pthread_cond_signal, heap_none)
HEAP_STUB(pthread_cond_timedwait, heap_none)
HEAP_STUB(pthread_cond_wait, heap_none)
HEAP_STUB(strerror_r, heap_none)
HEAP_STUB(readlink, heap_refused)
HEAP_STUB(sbrk, heap_refused)
HEAP_STUB(creat, heap_refused)
HEAP_STUB(open, heap_refused)
HEAP_STUB(pthread_create, heap_refused)
HEAP_STUB(pthread_join, heap_refused)
HEAP_STUB(sched_setaffinity, heap_refused)

#endif
