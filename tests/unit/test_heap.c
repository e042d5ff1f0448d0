#include "heap.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

Test(heap, gives_memory_that_can_be_written)
{
	for (size_t size_bytes = 1; size_bytes <= 1u << 22; size_bytes *= 3) {
		unsigned char *block = heap_alloc(size_bytes);

		cr_assert_not_null(block);
		memset(block, 0xa5, size_bytes);
		cr_assert_eq(block[size_bytes - 1], 0xa5);
		heap_free(block);
	}
}

Test(heap, zeroes_memory_that_was_used_before)
{
	for (int i = 0; i < 100; i++) {
		unsigned char *block = heap_alloc(1000), *zeroed;

		memset(block, 0xff, 1000);
		heap_free(block);
		zeroed = heap_zalloc(1000);
		for (size_t at = 0; at < 1000; at++)
			cr_assert_eq(zeroed[at], 0);
		heap_free(zeroed);
	}
}

Test(heap, keeps_the_bytes_of_a_block_that_grows)
{
	char *block = heap_realloc(NULL, 8);

	strcpy(block, "1234567");
	for (size_t size_bytes = 16; size_bytes <= 1u << 20; size_bytes *= 2) {
		block = heap_realloc(block, size_bytes);
		cr_assert_str_eq(block, "1234567");
	}
	heap_free(block);
}

Test(heap, refuses_what_cannot_be_had)
{
	volatile size_t too_much = SIZE_MAX / 2;

	cr_assert_null(heap_alloc(too_much));
	cr_assert_null(heap_zalloc(too_much));
	cr_assert_null(heap_realloc(NULL, too_much));
}

Test(heap, copies_a_string)
{
	char text[] = "module.name";
	char *copy = heap_strdup(text);

	text[0] = 'M';
	cr_assert_str_eq(copy, "module.name");
	heap_free(copy);
	heap_free(NULL);
}

Test(heap, grows_by_doubling_and_only_when_needed)
{
	void *items = NULL, *before;
	size_t capacity = 0;

	cr_assert(heap_grow(&items, &capacity, 1, sizeof(int)));
	cr_assert_eq(capacity, 8);
	before = items;
	cr_assert(heap_grow(&items, &capacity, 8, sizeof(int)));
	cr_assert_eq(items, before);
	((int *)items)[7] = 77;
	cr_assert(heap_grow(&items, &capacity, 33, sizeof(int)));
	cr_assert_eq(capacity, 64);
	cr_assert_eq(((int *)items)[7], 77);
	heap_free(items);
}

Test(heap, leaves_all_as_it_was_where_it_cannot_grow)
{
	void *items = heap_alloc(8 * 16), *before = items;
	size_t capacity = 8;

	cr_assert_not(heap_grow(&items, &capacity, SIZE_MAX, 1));
	cr_assert_not(heap_grow(&items, &capacity, SIZE_MAX / 8, 16));
	cr_assert_not(heap_grow(&items, &capacity, SIZE_MAX / 64, 16));
	cr_assert_eq(items, before);
	cr_assert_eq(capacity, 8);
	heap_free(items);
}

/* In a forked child, where only this thread goes on, and no other was inside. */
Test(heap, works_in_a_forked_child)
{
	char *kept = heap_strdup("kept");
	pid_t child = fork();
	int status;

	if (child == 0) {
		char *block = heap_alloc(5000);

		_exit(block && strcmp(kept, "kept") == 0 ? 7 : 1);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	heap_free(kept);
}

#if !defined(HEAP_LIBC)
int mpj_mallctl(const char *name, void *old, size_t *old_bytes, void *new_value, size_t new_bytes);

static void option(const char *name, void *value, size_t size_bytes)
{
	size_t got = size_bytes;

	cr_assert_eq(mpj_mallctl(name, value, &got, NULL, 0), 0, "%s", name);
}

Test(heap, never_meets_the_program_heap)
{
	size_t before = mallinfo2().uordblks;
	void *block = heap_alloc(60000);

	cr_assert_eq(mallinfo2().uordblks, before);
	heap_free(block);
}

/* MALLOC_CONF is the program's; the settings are the ones that heap.c gives, all of them understood. */
Test(heap, is_blind_to_the_environment)
{
	unsigned int arenas = 0;
	bool threads = true, caches = true;
	ssize_t decay_ms = 0, muzzy_ms = 1;

	setenv("MALLOC_CONF", "narenas:7,tcache:true,dirty_decay_ms:1234", 1);
	heap_free(heap_alloc(1));
	option("opt.narenas", &arenas, sizeof(arenas));
	option("opt.background_thread", &threads, sizeof(threads));
	option("opt.tcache", &caches, sizeof(caches));
	option("opt.dirty_decay_ms", &decay_ms, sizeof(decay_ms));
	option("opt.muzzy_decay_ms", &muzzy_ms, sizeof(muzzy_ms));
	cr_assert_eq(arenas, 1);
	cr_assert_not(threads);
	cr_assert_not(caches);
	cr_assert_eq(decay_ms, 500);
	cr_assert_eq(muzzy_ms, 0);
}

Test(heap, gives_free_memory_back)
{
	void *blocks[64];
	size_t dirty = 1, size_bytes = sizeof(dirty);
	uint64_t epoch = 1;

	for (size_t i = 0; i < 64; i++) {
		blocks[i] = heap_alloc(100000);
		memset(blocks[i], 1, 100000);
	}
	for (size_t i = 0; i < 64; i++)
		heap_free(blocks[i]);
	heap_trim();
	cr_assert_eq(mpj_mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch)), 0);
	cr_assert_eq(mpj_mallctl("stats.arenas.0.pdirty", &dirty, &size_bytes, NULL, 0), 0);
	cr_assert_eq(dirty, 0);
}
#endif

static pthread_barrier_t refused;

static void *ask_too(void *block)
{
	pthread_barrier_wait(&refused);
	*(void **)block = heap_alloc(10);
	return NULL;
}

/* Not even what jemalloc begins with is left: some room for the stack to grow. */
static void limit_address_space(void)
{
	unsigned long pages = 0;
	FILE *statm = fopen("/proc/self/statm", "r");

	cr_assert_eq(fscanf(statm, "%lu", &pages), 1);
	fclose(statm);
	setrlimit(RLIMIT_AS, &(struct rlimit){ pages * 4096 + (256 << 10), RLIM_INFINITY });
}

/* jemalloc itself lets every other thread wait for ever then. */
Test(heap, start_without_memory, .timeout = 60)
{
	void *block = &block, *first;
	pthread_t thread;

#ifdef HEAP_LIBC
	cr_skip_test("the heap is libc's");
#endif
	pthread_barrier_init(&refused, NULL, 2);
	cr_assert_eq(pthread_create(&thread, NULL, ask_too, &block), 0);
	limit_address_space();
	first = heap_alloc(10);
	setrlimit(RLIMIT_AS, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY });
	pthread_barrier_wait(&refused);
	pthread_join(thread, NULL);
	cr_assert_null(first);
	cr_assert_null(block);
	cr_assert_null(heap_zalloc(10));
	cr_assert_null(heap_realloc(NULL, 10));
	heap_trim();
}
