/*
 * test_site.c - the table of call sites: what was added is found, what died is not, the room comes back.
 */
#include "site.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>

#define TELLS 16
#define ROWS_MOST ((1u << 18) - 1)
#define SECOND SITE_IDS
#define THIRD (SITE_IDS * SITE_IDS)

/* Code objects as a heap has them, each with room for 64 instructions and more. */
#define CODE(i) (UINT64_C(0x7f0000000000) + 1024 * (uintptr_t)(i))
#define AT(i, n) (CODE(i) + 200 + 2 * (uintptr_t)(n))

Test(site, what_was_never_added_is_not_known)
{
	cr_assert_eq(site_find(AT(0, 0)), 0);
	site_forget(CODE(0));
	site_add(CODE(0), AT(0, 0), 7);
	cr_assert_eq(site_find(AT(0, 1)), 0);
	cr_assert_eq(site_find(CODE(0)), 0, "code is no site");
}

Test(site, each_site_has_its_own_callee)
{
	for (unsigned i = 0; i < 1000; i++) {
		for (unsigned n = 0; n < 5; n++)
			site_add(CODE(i), AT(i, n), 1 + i * 5 + n);
	}
	for (unsigned i = 0; i < 1000; i++) {
		for (unsigned n = 0; n < 5; n++)
			cr_assert_eq(site_find(AT(i, n)), 1 + i * 5 + n);
	}
	cr_assert_eq(site_lost(), 0);
}

Test(site, several_callees_are_kept_in_order)
{
	cr_assert_not(site_add(CODE(0), AT(0, 0), 9));
	cr_assert_not(site_add(CODE(0), AT(0, 0), 5));
	cr_assert_not(site_add(CODE(0), AT(0, 0), 9));
	cr_assert_eq(site_find(AT(0, 0)), 9 + 5 * SECOND);
	cr_assert_not(site_add(CODE(0), AT(0, 0), 65535));
	cr_assert_eq(site_find(AT(0, 0)), 9 + 5 * SECOND + 65535 * THIRD);
	cr_assert(site_add(CODE(0), AT(0, 0), 6), "there is no more to be told");
	cr_assert_eq(site_find(AT(0, 0)), 9 + 5 * SECOND + 65535 * THIRD + SITE_MORE);
}

Test(site, it_need_not_tell_for_ever)
{
	for (unsigned i = 1; i < TELLS; i++)
		cr_assert_not(site_add(CODE(0), AT(0, 0), 9), "time %u", i);
	cr_assert(site_add(CODE(0), AT(0, 0), 9));
	cr_assert(site_add(CODE(0), AT(0, 0), 9));
	/* Neither one whose callees have no id */
	for (unsigned i = 1; i < TELLS; i++)
		cr_assert_not(site_add(CODE(0), AT(0, 1), 0));
	cr_assert(site_add(CODE(0), AT(0, 1), 0));
	cr_assert_eq(site_find(AT(0, 1)), 0);
}

Test(site, code_that_dies_takes_its_sites_along)
{
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned n = 0; n < 50; n++)
			site_add(CODE(i), AT(i, n), 1 + i);
	}
	site_forget(CODE(1));
	for (unsigned n = 0; n < 50; n++) {
		cr_assert_eq(site_find(AT(0, n)), 1);
		cr_assert_eq(site_find(AT(1, n)), 0);
		cr_assert_eq(site_find(AT(2, n)), 3);
	}
	/* Another one at its address begins anew. */
	cr_assert_not(site_add(CODE(1), AT(1, 7), 8));
	cr_assert_eq(site_find(AT(1, 7)), 8);
	cr_assert_eq(site_find(AT(1, 6)), 0);
}

Test(site, a_million_codes_that_die_need_no_room)
{
	for (unsigned i = 0; i < 1000000; i++) {
		site_add(CODE(i), AT(i, 0), 1);
		site_add(CODE(i), AT(i, 1), 2);
		if (i >= 100)
			site_forget(CODE(i - 100));
	}
	cr_assert_eq(site_lost(), 0);
	cr_assert_eq(site_find(AT(999999, 1)), 2);
	cr_assert_eq(site_find(AT(999899, 1)), 0);
}

Test(site, a_full_table_says_so_and_takes_what_is_freed)
{
	unsigned i;

	/* Two rows each: one is left over. */
	for (i = 0; i < ROWS_MOST / 2; i++)
		site_add(CODE(i), AT(i, 0), 1);
	cr_assert_eq(site_lost(), 0);
	for (unsigned n = 0; n < 2; n++)
		cr_assert(site_add(CODE(i), AT(i, 0), 1), "asked again, it would be in vain again");
	cr_assert_eq(site_lost(), 2);
	cr_assert_eq(site_find(AT(i, 0)), 0);
	cr_assert_eq(site_find(AT(i - 1, 0)), 1);
	site_forget(CODE(0));
	cr_assert_not(site_add(CODE(i), AT(i, 0), 1));
	cr_assert_eq(site_find(AT(i, 0)), 1);
}

Test(site, a_child_goes_on_with_what_is_known)
{
	site_add(CODE(0), AT(0, 0), 9);
	site_after_fork();
	cr_assert_eq(site_find(AT(0, 0)), 9);
	site_add(CODE(0), AT(0, 1), 8);
	cr_assert_eq(site_find(AT(0, 1)), 8);
}

static _Atomic bool is_over;

/* The callee is always 1 + the code's number. */
static void *look(void *wrong)
{
	while (!atomic_load(&is_over)) {
		for (unsigned i = 0; i < 64; i++) {
			uint64_t found = site_find(AT(i, i % 8));

			if (found && found != 1 + i)
				atomic_fetch_add((_Atomic unsigned *)wrong, 1);
		}
	}
	return NULL;
}

Test(site, who_looks_while_it_changes_finds_what_is_there_or_nothing)
{
	static _Atomic unsigned wrong;
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, look, &wrong), 0);
	for (unsigned round = 0; round < 20000; round++) {
		unsigned i = round % 64;

		for (unsigned n = 0; n < 8; n++)
			site_add(CODE(i), AT(i, n), 1 + i);
		site_forget(CODE((round + 31) % 64));
	}
	atomic_store(&is_over, true);
	pthread_join(thread, NULL);
	cr_assert_eq(wrong, 0);
}
