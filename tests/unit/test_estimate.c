#include <criterion/criterion.h>

#include "estimate.h"

#include <math.h>

/* Nothing is said of them. */
static const struct estimate_sizes sizes;

static bool near(double a, double b)
{
	return fabs(a - b) <= 1e-12 * fabs(b);
}

static struct estimate of_windows(const uint64_t *values, size_t count)
{
	struct estimate estimate = { 0 };

	for (size_t i = 0; i < count; i++)
		estimate_add(&estimate, &sizes, 1000 + i, values[i]);
	return estimate;
}

/* Numbers worked out by hand. */
Test(estimate, the_error_is_the_spread_between_windows)
{
	struct estimate estimate = of_windows((uint64_t[]){ 6, 6 }, 2);
	double of_4 = estimate_widening(4);

	/* 6 6 0 0: 4/3 * (72 - 144/4) = 48 */
	cr_assert(near(estimate_error(&estimate, &sizes, 4, 1), of_4 * 6.928203230275509));
	cr_assert(near(estimate_error(&estimate, &sizes, 4, 10.5), of_4 * 72.74613391789285));
	estimate = of_windows((uint64_t[]){ 2, 0, 2 }, 3);
	/* 2 0 2 0: 4/3 * (8 - 16/4) = 16/3 */
	cr_assert(near(estimate_error(&estimate, &sizes, 4, 1), of_4 * 2.309401076758503));
	estimate = of_windows((uint64_t[]){ 5, 5, 5 }, 3);
	cr_assert_eq(estimate_error(&estimate, &sizes, 3, 1000), 0);
}

/* Student's t, by the tables, over 1.96. */
Test(estimate, few_windows_are_worth_less)
{
	static const struct {
		double windows, t;
	} rows[] = { { 4, 3.182446 },  { 5, 2.776445 },	 { 8, 2.364624 },  { 12, 2.200985 },
		     { 21, 2.085963 }, { 61, 2.000298 }, { 1e6, 1.959966 } };

	for (size_t i = 0; i < PROF_COUNT(rows); i++)
		cr_expect_float_eq(estimate_widening(rows[i].windows) * 1.959964, rows[i].t,
				   rows[i].t * 0.01, "%g windows", rows[i].windows);
	cr_expect_eq(estimate_widening(1), 1);
	cr_expect_gt(estimate_widening(2), 4);
}

/* Windows that saw twice as much counted twice as much: that is no spread. */
Test(estimate, counts_that_follow_the_size_are_sure)
{
	static const uint64_t seen[] = { 100, 300, 200, 50 };
	struct estimate_sizes known = { 0 };
	struct estimate sure = { 0 }, unsure = { 0 }, rare = { 0 };
	double of_4 = estimate_widening(4);

	for (size_t i = 0; i < 4; i++) {
		estimate_size(&known, 1000 + i, seen[i]);
		estimate_add(&sure, &known, 1000 + i, seen[i] * 7);
		estimate_add(&unsure, &known, 1000 + i, 10);
		if (i == 1)
			estimate_add(&rare, &known, 1000 + i, 6);
	}
	cr_assert_lt(estimate_error(&sure, &known, 4, 1), 1e-3);
	/* r = 40/650; 4/3 * (400 - 2 r 6500 + r^2 142500) */
	cr_assert(near(estimate_error(&unsure, &known, 4, 1), of_4 * 13.645266354512895));
	/* r = 6/650; twice the root of 4/3 * (36 - 2 r 1800 + r^2 142500) */
	cr_assert(near(estimate_error(&rare, &known, 4, 2), of_4 * 8.917770305347346));
	cr_assert_eq(estimate_sum(&unsure), 40);
}

Test(estimate, a_window_is_what_has_its_time)
{
	struct estimate pieces = { 0 }, whole = of_windows((uint64_t[]){ 6, 7 }, 2);

	for (unsigned i = 1; i <= 3; i++)
		estimate_add(&pieces, &sizes, 1000, i);
	estimate_add(&pieces, &sizes, 900, 7);
	cr_assert_eq(pieces.windows, 2);
	cr_assert_eq(estimate_error(&pieces, &sizes, 9, 1), estimate_error(&whole, &sizes, 9, 1));
}

Test(estimate, a_window_at_time_zero_counts_too)
{
	struct estimate estimate = { 0 };

	estimate_add(&estimate, &sizes, 0, 3);
	estimate_add(&estimate, &sizes, 1, 5);
	/* 3 5: 2/1 * (34 - 64/2) = 4 */
	cr_assert(near(estimate_error(&estimate, &sizes, 2, 1), estimate_widening(2) * 2));
	cr_assert_eq(estimate.windows, 2);
}

Test(estimate, too_few_windows_are_not_believed)
{
	struct estimate estimate = of_windows((uint64_t[]){ 3, 5 }, 2);

	cr_assert(near(estimate_error(&estimate, &sizes, 1, 1), estimate_widening(2) * 2),
		  "there were two");
	estimate = of_windows((uint64_t[]){ 7 }, 1);
	cr_assert_eq(estimate_error(&estimate, &sizes, 1, 10), 70, "one window shows no spread");
	estimate = (struct estimate){ 0 };
	cr_assert_eq(estimate_error(&estimate, &sizes, 0, 10), 0);
	cr_assert_eq(estimate_error(&estimate, &sizes, 5, 10), 0);
}

Test(estimate, a_scale_is_a_number_above_zero)
{
	static const struct {
		const char *text;
		double scale;
	} rows[] = {
		{ "97.5312", 97.5312 },
		{ "1", 1 },
		{ "0.25", 0.25 },
		{ "100", 100 },
		{ "", 1 },
		{ "0", 1 },
		{ "0.0", 1 },
		{ "-3", 1 },
		{ "x", 1 },
		{ "5%", 1 },
		{ "1e3", 1 },
		{ "nan", 1 },
		{ "99999999999999999999999", 1 },
	};

	for (size_t i = 0; i < PROF_COUNT(rows); i++)
		cr_assert(near(estimate_scale(rows[i].text), rows[i].scale), "%s", rows[i].text);
}

Test(estimate, scaled_values_are_the_nearest_whole_numbers)
{
	cr_assert_eq(estimate_whole(3, 1.5), 5);
	cr_assert_eq(estimate_whole(3, 1.4), 4);
	cr_assert_eq(estimate_whole(1, 0.4), 0);
	cr_assert_eq(estimate_whole(0, 97.5), 0);
	cr_assert_eq(estimate_whole(9007199254740993u, 1), 9007199254740993u, "without a double");
	cr_assert_eq(estimate_whole(UINT64_MAX, 1), INT64_MAX);
	cr_assert_eq(estimate_whole(INT64_MAX, 2), INT64_MAX);
	cr_assert_eq(estimate_whole(INT64_MAX, 1.0001), INT64_MAX);
	cr_assert_eq(estimate_up(72.0000001), 73);
	cr_assert_eq(estimate_up(72), 72);
	cr_assert_eq(estimate_up(0), 0);
	cr_assert_eq(estimate_up(1e300), INT64_MAX);
}

Test(estimate, the_root_is_the_root)
{
	for (double square = 1e-30; square < 1e60; square *= 7.3)
		cr_assert_float_eq(estimate_root(square) * estimate_root(square) / square, 1,
				   1e-15);
	cr_assert_eq(estimate_root(144), 12);
	cr_assert_eq(estimate_root(0), 0);
	cr_assert_eq(estimate_root(-1), 0);
	cr_assert_eq(estimate_root((double)NAN), 0);
}
