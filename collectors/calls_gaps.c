/*
 * calls_gaps.c - when the next window begins: at exponentially spaced random moments, so that a program's own
 * rhythm cannot fall in with them, as rarely as the rate says.
 */
#include "calls.h"

#define NS_PER_S UINT64_C(1000000000)
#define PPM 1000000
#define RANDOM_END 9007199254740992.0 /* 2^53: of calls_random */
/* CPython 3.13+ allows 16.7 million changes of events in an interpreter's life; two a window. */
#define CHANGES_FREE UINT64_C(1000000)
#define GAP_LATER_NS (NS_PER_S / 2) /* times the millions that are gone */

static double gap_mean_ns(uint64_t rate_ppm);
static double exponential(void);
static uint64_t gap_least_ns(void);

void calls_next(uint64_t end_ns)
{
	double window = (double)calls_plan.window_ns;

	calls_plan.next_ns = end_ns + calls_gap_ns();
	calls_plan.next_rarity = (gap_mean_ns(calls_plan.rate_ppm) + window) /
				 (gap_mean_ns(calls_plan.wanted_ppm) + window);
}

/* A program's own rhythm cannot fall in with it. */
uint64_t calls_gap_ns(void)
{
	double mean = gap_mean_ns(calls_plan.rate_ppm);
	double least = (double)gap_least_ns();

	return (uint64_t)(exponential() * (mean > least ? mean : least));
}

static double gap_mean_ns(uint64_t rate_ppm)
{
	return (double)calls_plan.window_ns * (PPM - (double)rate_ppm) / (double)rate_ppm;
}

/* Of mean 1, by von Neumann's comparisons (Various Techniques Used in Connection with Random Digits, 1951): no
   logarithm, and so no libm. */
static double exponential(void)
{
	for (unsigned whole = 0;; whole++) {
		uint64_t first = calls_random(&calls_plan.random), last = first, next;
		bool is_odd = true;

		for (; (next = calls_random(&calls_plan.random)) < last; last = next)
			is_odd = !is_odd;
		if (is_odd)
			return whole + (double)first / RANDOM_END;
	}
}

static uint64_t gap_least_ns(void)
{
	return calls_plan.changes < CHANGES_FREE ?
		       0 :
		       GAP_LATER_NS * (calls_plan.changes / CHANGES_FREE);
}
