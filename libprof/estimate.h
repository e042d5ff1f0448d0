/*
 * estimate.h - from what was observed in some windows of time to the whole, and how far off that may be.
 *
 *   x1 x2 ... xN   what was counted in each of N windows, most of them 0 for most functions
 *   total          scale * sum(x)
 *   error          scale * sqrt(N / (N - 1) * (sum(x^2) - sum(x)^2 / N))
 *
 * The second is the standard error of the first: the spread between windows says how much another choice of
 * windows would have changed it.  Pure functions; no libm, which the library is not linked with.
 */
#ifndef ESTIMATE_H
#define ESTIMATE_H

#include "prof.h"

/* Values by window; all zero is none. */
struct estimate {
	uint64_t time_ns; /* of the open window, which tells it from others */
	double open; /* its sum so far */
	double sum, squares; /* of those before it */
	uint64_t windows; /* with a value, the open one too */
};

/* Windows come one after the other. drainer, tool */
void estimate_add(struct estimate *estimate, uint64_t time_ns, uint64_t value);
/* Standard error of the scaled total of `windows` windows, or of as many as had a value if that is more.  One
   window shows no spread: then the error is as big as the total. drainer, tool */
double estimate_error(const struct estimate *estimate, uint64_t windows, double scale);

/* The factor that a text like "97.5312" stands for; 1 for what is no number above 0. drainer, tool */
double estimate_scale(const char *text);
/* value * scale to the nearest whole number, at most INT64_MAX. drainer, tool */
uint64_t estimate_whole(uint64_t value, double scale);
/* The next whole number that is not below, at most INT64_MAX. drainer, tool */
uint64_t estimate_up(double number);
/* Square root; 0 of what is not above 0. drainer, tool */
double estimate_root(double square);

#endif
