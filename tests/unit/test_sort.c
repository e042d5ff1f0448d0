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
