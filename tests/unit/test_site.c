/*
 * test_site.c - the table of call sites: what was added is found, what died is not, the room comes back; and
 * samples of sites with several callees are divided, once enough is known of those.
 */
#include "site.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define TELLS 16
#define ROWS_MOST ((1u << 18) - 1)
#define SECOND SITE_IDS
#define THIRD (SITE_IDS * SITE_IDS)

static uint64_t now_ns = 1000;

uint64_t __wrap_os_monotonic_ns(void);
uint64_t __wrap_os_monotonic_ns(void)
{
	return now_ns;
}

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

/* ---- several callees ---- */

#define BOTH (9 + 5 * SECOND)
#define CALL_NS 30 /* that each call counts for beside its own time */
#define WINDOWS 10 /* that are enough */
#define CALLS 100 /* where all are seen */

/* A site with two callees, 9 and 5. */
static void add_both(void)
{
	site_add(CODE(0), AT(0, 0), 9);
	site_add(CODE(0), AT(0, 0), 5);
	now_ns++;
}

static void call(uint32_t callee, unsigned times, uint32_t window, uint64_t own_ns)
{
	while (times--) {
		uint32_t begun = site_call(CODE(0), AT(0, 0), callee, window);

		cr_assert_neq(begun, 0);
		site_end(begun, own_ns - CALL_NS);
	}
}

static void windows(uint32_t from, uint32_t to, unsigned nines, unsigned fives)
{
	for (uint32_t window = from; window < to; window++) {
		call(9, nines, window, 1000);
		call(5, fives, window, 1000);
	}
}

/* Of so many samples, those of callee 9; -1: they are not divided. */
static int nines_of(unsigned count)
{
	int nines = 0;

	for (unsigned i = 0; i < count; i++) {
		uint64_t chosen = site_choose(AT(0, 0), BOTH, now_ns, 4000 + i % 3);

		if (chosen == BOTH)
			return -1;
		cr_assert(chosen == 9 || chosen == 5);
		nines += chosen == 9;
	}
	return nines;
}

Test(site, nobody_who_sees_calls_nothing_divided)
{
	add_both();
	cr_assert_eq(site_call(CODE(0), AT(0, 0), 9, 1), 0);
	cr_assert_eq(nines_of(1), -1);
}

Test(site, one_callee_is_not_timed)
{
	site_mix_start(false);
	cr_assert_eq(site_call(CODE(0), AT(0, 0), 9, 1), 0);
	cr_assert_eq(site_find(AT(0, 0)), 9, "but learnt");
	cr_assert_eq(site_call(CODE(0), AT(0, 0), 9, 1), 0);
	cr_assert_eq(site_call(CODE(0), AT(0, 0), 0, 1), 0);
	cr_assert_eq(site_find(AT(0, 0)), 9);
	cr_assert_eq(site_choose(AT(0, 0), 9, now_ns, 1), 9);
	cr_assert_eq(site_choose(AT(0, 1), BOTH, now_ns, 1), BOTH);
}

Test(site, a_callee_that_comes_late_is_learnt)
{
	site_mix_start(false);
	for (unsigned i = 0; i < TELLS; i++)
		site_add(CODE(0), AT(0, 0), 9);
	cr_assert_neq(site_call(CODE(0), AT(0, 0), 5, 1), 0);
	cr_assert_eq(site_find(AT(0, 0)), BOTH);
}

Test(site, samples_are_divided_as_windows_tell)
{
	site_mix_start(false);
	add_both();
	/* A window is over when the next one begins. */
	windows(1, WINDOWS + 1, 30, 70);
	cr_assert_eq(nines_of(1), -1);
	windows(WINDOWS + 1, WINDOWS + 2, 30, 70);
	cr_assert_eq(nines_of(1000), 300);
}

Test(site, at_any_moment_none_is_far_behind)
{
	int nines = 0;

	site_mix_start(false);
	add_both();
	windows(1, 50, 30, 70);
	for (int i = 1; i < 200; i++) {
		nines += nines_of(1);
		cr_assert(abs(10 * nines - 3 * i) <= 10, "%d of %d", nines, i);
	}
}

Test(site, division_is_by_time)
{
	site_mix_start(false);
	add_both();
	for (uint32_t window = 1; window < 50; window++) {
		call(9, 1, window, 90000);
		call(5, 100, window, 100);
	}
	cr_assert_eq(nines_of(1000), 900);
}

Test(site, a_call_counts_even_if_it_takes_no_time)
{
	site_mix_start(false);
	add_both();
	for (uint32_t window = 1; window < 50; window++) {
		call(9, 30, window, CALL_NS);
		call(5, 70, window, CALL_NS);
	}
	cr_assert_eq(nines_of(100), 30);
}

Test(site, a_cluster_in_few_windows_proves_nothing)
{
	site_mix_start(false);
	add_both();
	windows(1, 100, 0, 50);
	windows(100, 104, 3, 50);
	windows(104, 200, 0, 50);
	cr_assert_eq(nines_of(1), -1,
		     "of what is met in four windows nobody knows how long it may take");
	windows(200, 202, 3, 50);
	cr_assert_eq(nines_of(1000), 2, "1500 in 11000000");
}

Test(site, windows_that_differ_have_to_be_many)
{
	site_mix_start(false);
	add_both();
	/* Standard error of a share of one half: a half over the square root of their number. */
	for (uint32_t window = 1; window < 380; window += 2) {
		windows(window, window + 1, 10, 0);
		windows(window + 1, window + 2, 0, 10);
	}
	cr_assert_eq(nines_of(1), -1);
	for (uint32_t window = 381; window < 420; window += 2) {
		windows(window, window + 1, 10, 0);
		windows(window + 1, window + 2, 0, 10);
	}
	windows(421, 422, 5, 5);
	cr_assert_eq(nines_of(1000), 500);
}

Test(site, a_mix_that_changes_is_followed)
{
	int nines;

	site_mix_start(false);
	add_both();
	windows(1, 100, 30, 70);
	nines = nines_of(1000);
	windows(100, 199, 90, 10);
	nines += nines_of(1000);
	/* Over all: 60 of 100. The window that is open is not in it. */
	cr_assert(nines >= 1195 && nines <= 1200, "%d", nines);
}

Test(site, ends_that_are_not_seen_leave_it_unknown)
{
	site_mix_start(false);
	add_both();
	for (uint32_t window = 1; window < 50; window++) {
		windows(window, window + 1, 10, 10);
		cr_assert_neq(site_call(CODE(0), AT(0, 0), 9, window), 0);
	}
	cr_assert_eq(nines_of(1), -1);
	windows(50, 150, 10, 10);
	cr_assert_eq(nines_of(1000), 500);
}

Test(site, always_observed_a_hundred_calls_will_do)
{
	site_mix_start(true);
	add_both();
	call(9, 30, 1, 1000);
	cr_assert_eq(nines_of(1), -1);
	call(5, 97, 1, 1000);
	cr_assert_eq(nines_of(1), -1, "told after so many calls, or one that is long");
	call(5, 1, 1, 1000);
	cr_assert_eq(nines_of(128), 30);
	call(9, 1, 1, 1000000);
	cr_assert_gt(nines_of(128), 100);
}

Test(site, a_third_callee_has_to_be_seen_too)
{
	site_mix_start(false);
	add_both();
	windows(1, 50, 30, 70);
	cr_assert_geq(nines_of(1), 0);
	site_add(CODE(0), AT(0, 0), 5);
	cr_assert_geq(nines_of(1), 0, "it has told that before");
	site_add(CODE(0), AT(0, 0), 7);
	cr_assert_eq(nines_of(1), -1);
	windows(51, 100, 30, 70);
	cr_assert_eq(nines_of(1), -1);
	for (uint32_t window = 100; window < 200; window++)
		call(7, 100, window, 1000);
	windows(200, 300, 30, 70);
	windows(300, 400, 30, 70);
	windows(400, 401, 30, 70);
	cr_assert_eq(site_choose(AT(0, 0), BOTH + 8 * THIRD, now_ns, 1), BOTH + 8 * THIRD,
		     "this one is none of them");
}

Test(site, what_is_not_told_apart_is_not_divided)
{
	site_mix_start(false);
	add_both();
	windows(1, 50, 30, 70);
	site_add(CODE(0), AT(0, 0), 7);
	site_add(CODE(0), AT(0, 0), 8);
	windows(50, 100, 30, 70);
	for (uint32_t window = 100; window < 200; window++)
		call(7, 50, window, 1000);
	cr_assert_eq(site_call(CODE(0), AT(0, 0), 8, 200), 0);
	windows(200, 300, 30, 70);
	cr_assert_eq(nines_of(1), -1);
}

/* The address is another's now, which calls the same. */
Test(site, samples_of_code_that_died_are_not_divided_by_its_heir)
{
	uint64_t then_ns;

	site_mix_start(false);
	add_both();
	windows(1, 50, 30, 70);
	then_ns = now_ns++;
	for (unsigned i = 0; i < 1000; i++)
		cr_assert_neq(site_choose(AT(0, 0), BOTH, then_ns, 4000), BOTH);
	site_forget(CODE(0));
	cr_assert_eq(site_choose(AT(0, 0), BOTH, then_ns, 1), BOTH);
	add_both();
	windows(1, 50, 50, 50);
	cr_assert_eq(site_choose(AT(0, 0), BOTH, then_ns, 1), BOTH);
	cr_assert_eq(nines_of(1000), 500, "and its own begin anew");
	/* Nor is it, if it calls something else. */
	site_forget(CODE(0));
	site_add(CODE(0), AT(0, 0), 5);
	site_add(CODE(0), AT(0, 0), 9);
	now_ns++;
	windows(1, 50, 50, 50);
	cr_assert_eq(nines_of(1), -1);
}

Test(site, room_for_mixes_is_bounded_and_comes_back)
{
	const unsigned most = 4095;

	site_mix_start(false);
	for (unsigned i = 0; i <= most; i++) {
		site_add(CODE(i), AT(i, 0), 9);
		site_add(CODE(i), AT(i, 0), 5);
		cr_assert_eq(site_call(CODE(i), AT(i, 0), 5, 1) != 0, i < most, "%u", i);
	}
	cr_assert_eq(site_find(AT(most, 0)), BOTH, "both are shown");
	site_forget(CODE(7));
	site_forget(CODE(most));
	site_add(CODE(most), AT(most, 0), 9);
	cr_assert_neq(site_call(CODE(most), AT(most, 0), 5, 1), 0);
}

Test(site, a_child_divides_its_own_samples)
{
	site_mix_start(false);
	add_both();
	windows(1, 50, 30, 70);
	cr_assert_eq(nines_of(1), 0);
	site_after_fork();
	cr_assert_eq(nines_of(1), 0, "nothing is owed to 9 yet");
	cr_assert_eq(nines_of(1000), 300);
}

static void *choose(void *wrong)
{
	while (!atomic_load(&is_over)) {
		for (unsigned i = 0; i < 64; i++) {
			uint64_t chosen = site_choose(AT(i, 0), BOTH, UINT64_MAX - 1, 10);

			if (chosen != 9 && chosen != 5 && chosen != BOTH)
				atomic_fetch_add((_Atomic unsigned *)wrong, 1);
		}
	}
	return NULL;
}

Test(site, who_divides_while_it_changes_chooses_one_or_none)
{
	static _Atomic unsigned wrong;
	pthread_t thread;

	site_mix_start(true);
	cr_assert_eq(pthread_create(&thread, NULL, choose, &wrong), 0);
	for (unsigned round = 0; round < 20000; round++) {
		unsigned i = round % 64;

		site_add(CODE(i), AT(i, 0), 9);
		for (unsigned n = 0; n < 200; n++) {
			uint32_t begun = site_call(CODE(i), AT(i, 0), n % 3 ? 9 : 5, round);

			if (begun)
				site_end(begun, n);
		}
		site_forget(CODE((round + 31) % 64));
	}
	atomic_store(&is_over, true);
	pthread_join(thread, NULL);
	cr_assert_eq(wrong, 0);
}
