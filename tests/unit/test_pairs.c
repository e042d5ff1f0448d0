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
	pairs_release(&pairs);
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
		cr_assert_eq(pairs.rows[i].a, i);
	}
	cr_assert_eq(pairs.count, 200000);
	pairs_release(&pairs);
}
