/*
 * test_ticks.c - the cheap clock runs as fast as CLOCK_MONOTONIC says.
 */
#include "ticks.h"

#include <criterion/criterion.h>

Test(ticks, without_a_counter_a_tick_is_a_nanosecond)
{
	uint64_t before_ns = os_monotonic_ns(), now = ticks_now(), after_ns = os_monotonic_ns();

	cr_expect(before_ns <= now && now <= after_ns);
	cr_expect_eq(ticks_to_ns(123456789), 123456789);
	cr_expect_eq(ticks_from_ns(123456789), 123456789);
}

Test(ticks, measured_it_agrees_with_the_kernels)
{
	uint64_t begun_ns, begun, ns, ticked_ns;

	ticks_start();
	ticks_measure();
	begun_ns = os_monotonic_ns();
	begun = ticks_now();
	do
		ns = os_monotonic_ns() - begun_ns;
	while (ns < 20000000);
	ticked_ns = ticks_to_ns(ticks_now() - begun);
	cr_expect_geq(ticked_ns, ns * 99 / 100);
	cr_expect_leq(ns, (os_monotonic_ns() - begun_ns) * 101 / 100);
}

Test(ticks, there_and_back)
{
	ticks_start();
	ticks_measure();
	for (uint64_t ns = 1000; ns < UINT64_C(100000000000000); ns *= 7) {
		uint64_t back = ticks_to_ns(ticks_from_ns(ns));

		cr_expect(back <= ns && ns - back <= 1 + ns / 1000000);
	}
}
