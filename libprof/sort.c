/*
 * sort.c - bottom-up merge sort: runs of 1, 2, 4, ... items, merged from one array into the other; and counting sort:
 * how many items have a lower number is where the first one of a number belongs.
 */
#include "sort.h"

#include "heap.h"

#include <string.h>

#define STEP_ITEMS 16384

struct merge {
	const char *left, *left_end, *right, *right_end;
	size_t item_bytes;
	sort_compare *compare;
	const struct watch *watch;
	size_t step_bytes; /* to be merged until the next step */
	bool is_stopped;
};

static bool is_going_on(const struct sort *sort, size_t item);
static uint32_t number_at(const struct sort *sort, size_t item, size_t offset);
static errmsg place_all(struct sort *sort, size_t offset, size_t *places, size_t limit);
static bool is_sorted(const char *items, size_t all_bytes, size_t item_bytes,
		      sort_compare *compare);
static void merge_pass(const char *from, char *to, size_t run_bytes, size_t all_bytes,
		       struct merge *merge);
static char *merge_runs(struct merge *merge, char *to);
static size_t bytes_of_both(const struct merge *merge);
static void step(struct merge *merge, size_t bytes);

bool sort_items(void *items, size_t count, size_t item_bytes, sort_compare *compare)
{
	return !sort_watched(items, count, item_bytes, compare, &(struct watch){ 0 });
}

errmsg sort_watched(void *items, size_t count, size_t item_bytes, sort_compare *compare,
		    const struct watch *watch)
{
	struct merge merge = {
		.item_bytes = item_bytes,
		.compare = compare,
		.watch = watch,
		.step_bytes = STEP_ITEMS * item_bytes,
	};
	size_t all_bytes = count * item_bytes;
	char *from = items, *to, *spare;

	if (is_sorted(items, all_bytes, item_bytes, compare))
		return NULL;
	spare = to = heap_alloc(all_bytes);
	if (!spare)
		return "no memory";
	for (size_t run_bytes = item_bytes; run_bytes < all_bytes; run_bytes *= 2) {
		char *merged = to;

		merge_pass(from, to, run_bytes, all_bytes, &merge);
		if (merge.is_stopped)
			break;
		to = from;
		from = merged;
	}
	if (from == spare)
		memcpy(items, spare, all_bytes);
	heap_free(spare);
	return merge.is_stopped ? WATCH_STOPPED : NULL;
}

errmsg sort_by(struct sort *sort, size_t offset, size_t limit)
{
	size_t *places = heap_zalloc((limit + 1) * sizeof(*places));
	errmsg error = NULL;
	size_t i = 0;

	if (!places)
		return "no memory";
	while (i < sort->count && is_going_on(sort, i))
		places[number_at(sort, i++, offset) + 1]++;
	if (i < sort->count)
		error = WATCH_STOPPED;
	else if (i > 0 && places[number_at(sort, 0, offset) + 1] < sort->count)
		error = place_all(sort, offset, places, limit);
	heap_free(places);
	return error;
}

static bool is_going_on(const struct sort *sort, size_t item)
{
	return item % STEP_ITEMS != 0 || watch_step(&sort->watch, NULL, 0, 0);
}

static uint32_t number_at(const struct sort *sort, size_t item, size_t offset)
{
	uint32_t number;

	memcpy(&number, sort->items + item * sort->item_bytes + offset, sizeof(number));
	return number;
}

/* places[number + 1]: how many there are of it. */
static errmsg place_all(struct sort *sort, size_t offset, size_t *places, size_t limit)
{
	char *items = sort->items;

	for (size_t number = 1; number < limit; number++)
		places[number] += places[number - 1];
	for (size_t i = 0; i < sort->count; i++) {
		if (!is_going_on(sort, i))
			return WATCH_STOPPED;
		memcpy(sort->spare + places[number_at(sort, i, offset)]++ * sort->item_bytes,
		       items + i * sort->item_bytes, sort->item_bytes);
	}
	sort->items = sort->spare;
	sort->spare = items;
	return NULL;
}

/* Samples mostly come in order. */
static bool is_sorted(const char *items, size_t all_bytes, size_t item_bytes, sort_compare *compare)
{
	for (size_t at = item_bytes; at < all_bytes; at += item_bytes)
		if (compare(items + at - item_bytes, items + at) > 0)
			return false;
	return true;
}

static void merge_pass(const char *from, char *to, size_t run_bytes, size_t all_bytes,
		       struct merge *merge)
{
	for (size_t at = 0; at < all_bytes && !merge->is_stopped; at += 2 * run_bytes) {
		size_t left = all_bytes - at < run_bytes ? all_bytes - at : run_bytes;
		size_t right = all_bytes - at - left;

		if (right > run_bytes)
			right = run_bytes;
		merge->left = from + at;
		merge->left_end = merge->right = merge->left + left;
		merge->right_end = merge->right + right;
		to = merge_runs(merge, to);
	}
}

static char *merge_runs(struct merge *merge, char *to)
{
	size_t safe_bytes;

	while (!merge->is_stopped && (safe_bytes = bytes_of_both(merge)) > 0) {
		for (char *end = to + safe_bytes; to < end; to += merge->item_bytes) {
			const char **from = merge->compare(merge->left, merge->right) <= 0 ?
						    &merge->left :
						    &merge->right;

			memcpy(to, *from, merge->item_bytes);
			*from += merge->item_bytes;
		}
		step(merge, safe_bytes);
	}

	size_t left = (size_t)(merge->left_end - merge->left);
	size_t right = (size_t)(merge->right_end - merge->right);

	memcpy(to, merge->left, left);
	memcpy(to + left, merge->right, right);
	return to + left + right;
}

/* So much can be merged without a look at whether a run has ended: what the shorter one has, but not more than up to the next step. */
static size_t bytes_of_both(const struct merge *merge)
{
	size_t left = (size_t)(merge->left_end - merge->left);
	size_t right = (size_t)(merge->right_end - merge->right);
	size_t bytes = left < right ? left : right;

	return bytes < merge->step_bytes ? bytes : merge->step_bytes;
}

static void step(struct merge *merge, size_t bytes)
{
	merge->step_bytes -= bytes;
	if (merge->step_bytes > 0)
		return;
	merge->step_bytes = STEP_ITEMS * merge->item_bytes;
	merge->is_stopped = !watch_step(merge->watch, NULL, 0, 0);
}
