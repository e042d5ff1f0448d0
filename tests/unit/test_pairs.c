#include <criterion/criterion.h>

#include "pairs.h"

Test(pairs, each_pair_has_one_dense_id)
{
	struct pairs pairs = { 0 };
	bool fresh;

	cr_assert_eq(pairs_put(&pairs, 1, 2, &fresh), 1);
	cr_assert(fresh);
	cr_assert_eq(pairs_put(&pairs, 2, 1, &fresh), 2);
	cr_assert(fresh);
	cr_assert_eq(pairs_put(&pairs, 0, 0, &fresh), 3);
	cr_assert_eq(pairs_put(&pairs, 1, 2, &fresh), 1);
	cr_assert_not(fresh);
	pairs_expect(&pairs, 3, 4);
	cr_assert_eq(pairs_find(&pairs, 3, 4), 0);
	cr_assert_eq(pairs_find(&pairs, 2, 1), 2);
	cr_assert_eq(pairs.count, 3);
	pairs_release(&pairs);
	pairs_expect(&pairs, 2, 1);
	cr_assert_eq(pairs_find(&pairs, 2, 1), 0);
	cr_assert_eq(pairs_bytes(&pairs), 0);
}

Test(pairs, a_long_chain_is_found_again)
{
	struct pairs pairs = { 0 };
	bool fresh;

	for (uint32_t i = 0; i < 200000; i++)
		cr_assert_eq(pairs_put(&pairs, i, i % 7, &fresh), i + 1);
	for (uint32_t i = 0; i < 200000; i++) {
		cr_assert_eq(pairs_put(&pairs, i, i % 7, &fresh), i + 1);
		cr_assert_not(fresh);
		cr_assert_eq(pairs_find(&pairs, i, i % 7), i + 1);
	}
	cr_assert_eq(pairs.count, 200000);
	pairs_release(&pairs);
}
