#include "recordings.h"

#include "sort.h"

struct item {
	uint32_t key, place;
};

static int compare(const void *a, const void *b)
{
	const struct item *left = a, *right = b;

	return left->key < right->key ? -1 : left->key > right->key;
}

static int compare_both(const void *a, const void *b)
{
	const struct item *left = a, *right = b;

	if (left->key != right->key)
		return compare(a, b);
	return left->place < right->place ? -1 : left->place > right->place;
}

Test(sort, every_length_is_ordered_and_stable)
{
	uint64_t seed = 11;

	for (size_t count = 0; count < 300; count++) {
		struct item items[300];
		uint64_t sum = 0;

		for (size_t i = 0; i < count; i++) {
			items[i] =
				(struct item){ (uint32_t)(next_random(&seed) % 20), (uint32_t)i };
			sum += items[i].key;
		}
		cr_assert(sort_items(items, count, sizeof(items[0]), compare));
		for (size_t i = 0; i < count; i++) {
			sum -= items[i].key;
			if (i == 0)
				continue;
			cr_assert_leq(items[i - 1].key, items[i].key);
			if (items[i - 1].key == items[i].key)
				cr_assert_lt(items[i - 1].place, items[i].place);
		}
		cr_assert_eq(sum, 0);
	}
}

struct steps {
	unsigned count, since; /* comparisons since the last step */
	unsigned longest;
	unsigned most; /* after so many it says no */
};

static struct steps steps;

static int compare_counting(const void *a, const void *b)
{
	steps.since++;
	return compare(a, b);
}

static bool step(void *self, const char *path, uint64_t done_bytes, uint64_t all_bytes)
{
	cr_assert_eq(self, &steps);
	cr_assert_null(path);
	cr_assert_eq(done_bytes + all_bytes, 0);
	if (steps.since > steps.longest)
		steps.longest = steps.since;
	steps.since = 0;
	return ++steps.count != steps.most;
}

Test(sort, a_long_one_is_done_in_steps)
{
	static struct item items[200001];
	size_t count = PROF_COUNT(items);
	struct watch watch = { step, &steps };
	uint64_t seed = 12;

	for (size_t i = 0; i < count; i++)
		items[i] = (struct item){ (uint32_t)(next_random(&seed) % 5000), (uint32_t)i };
	cr_assert_null(sort_watched(items, count, sizeof(items[0]), compare_counting, &watch));
	for (size_t i = 1; i < count; i++)
		cr_assert(items[i - 1].key < items[i].key || (items[i - 1].key == items[i].key &&
							      items[i - 1].place < items[i].place));
	/* 18 passes, and most items are compared in each; the steps are of 16384 items. */
	cr_assert_gt(steps.count, 150);
	cr_assert_leq(steps.longest, 20000);
}

Test(sort, one_that_is_stopped_keeps_its_items)
{
	static struct item items[100003];
	static bool is_there[PROF_COUNT(items)];
	size_t count = PROF_COUNT(items);
	struct watch watch = { step, &steps };

	for (unsigned most = 1; most < 60; most += 7) {
		uint64_t seed = most;

		for (size_t i = 0; i < count; i++) {
			items[i] = (struct item){ (uint32_t)next_random(&seed), (uint32_t)i };
			is_there[i] = false;
		}
		steps = (struct steps){ .most = most };
		cr_assert_str_eq(sort_watched(items, count, sizeof(items[0]), compare_counting,
					      &watch),
				 WATCH_STOPPED);
		cr_assert_eq(steps.count, most);
		for (size_t i = 0; i < count; i++) {
			cr_assert(!is_there[items[i].place]);
			is_there[items[i].place] = true;
		}
	}
}

Test(sort, by_numbers_the_last_one_counts_most)
{
	struct item items[1000], spare[1000], expected[1000];
	struct sort sort = { .items = (char *)items,
			     .spare = (char *)spare,
			     .count = PROF_COUNT(items),
			     .item_bytes = sizeof(items[0]) };
	uint64_t seed = 12;

	for (size_t i = 0; i < PROF_COUNT(items); i++)
		items[i] = (struct item){ (uint32_t)(next_random(&seed) % 20),
					  (uint32_t)(next_random(&seed) % 1000) };
	memcpy(expected, items, sizeof(items));
	cr_assert(sort_items(expected, PROF_COUNT(expected), sizeof(expected[0]), compare_both));
	cr_assert_null(sort_by(&sort, offsetof(struct item, place), 1000));
	cr_assert_eq((void *)sort.items, (void *)spare);
	cr_assert_null(sort_by(&sort, offsetof(struct item, key), 20));
	cr_assert_arr_eq(sort.items, expected, sizeof(expected));
}

Test(sort, by_a_number_that_all_have_moves_nothing)
{
	struct item items[] = { { 7, 2 }, { 7, 1 } }, spare[2];
	struct sort sort = { .items = (char *)items,
			     .spare = (char *)spare,
			     .count = 2,
			     .item_bytes = sizeof(items[0]) };

	cr_assert_null(sort_by(&sort, offsetof(struct item, key), 8));
	cr_assert_eq((void *)sort.items, (void *)items);
	cr_assert_eq(items[0].place, 2);
	sort.count = 0;
	cr_assert_null(sort_by(&sort, offsetof(struct item, key), 0));
}

Test(sort, by_numbers_in_steps_that_may_stop_it)
{
	static struct item items[40000], spare[40000];
	struct sort sort = { .items = (char *)items,
			     .spare = (char *)spare,
			     .count = PROF_COUNT(items),
			     .item_bytes = sizeof(items[0]),
			     .watch = { step, &steps } };

	for (size_t i = 0; i < PROF_COUNT(items); i++)
		items[i] = (struct item){ i % 3, (uint32_t)i };
	/* Of 16384 items each: three steps to count them, three to place them. */
	for (unsigned most = 1; most <= 6; most++) {
		steps = (struct steps){ .most = most };
		cr_assert_str_eq(sort_by(&sort, offsetof(struct item, key), 3), WATCH_STOPPED);
		cr_assert_eq((void *)sort.items, (void *)items);
		cr_assert_eq(items[1].place, 1);
	}
	steps = (struct steps){ .most = 7 };
	cr_assert_null(sort_by(&sort, offsetof(struct item, key), 3));
	cr_assert_eq(steps.count, 6);
	cr_assert_eq(((struct item *)(void *)sort.items)[1].place, 3);
}
