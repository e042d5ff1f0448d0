#include "mark.h"

#include <criterion/criterion.h>

/* Addresses as a heap gives them: no order, multiples of 16. */
static uintptr_t address(uint64_t i)
{
	i = (i + 1) * 0xbf58476d1ce4e5b9u;
	i = (i ^ i >> 31) * 0x94d049bb133111ebu;
	return 0x7f0000000000 + ((i ^ i >> 29) & 0xfffffff0);
}

Test(mark, what_was_set_is_set)
{
	for (unsigned i = 0; i < 10000; i++)
		mark_set(address(i));
	for (unsigned i = 0; i < 10000; i++)
		cr_assert(mark_get(address(i)));
}

Test(mark, most_of_what_was_not_set_is_not)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < 1000; i++)
		mark_set(address(i));
	for (unsigned i = 1000; i < 11000; i++)
		wrong += mark_get(address(i));
	cr_assert_lt(wrong, 500, "%u of 10000, 152 in theory", wrong);
}

Test(mark, reset_forgets_all)
{
	mark_set(address(0));
	mark_reset();
	cr_assert_not(mark_get(address(0)));
}
