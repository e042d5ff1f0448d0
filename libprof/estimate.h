/*
 * estimate.h - from what was observed in some windows of time to the whole, and how far off that may be.
 *
 *   x1 x2 ... xN   what was counted in each of N windows, most of them 0 for most functions
 *   u1 u2 ... uN   how much of what is scaled by each window saw (CPU time); all the same where nothing is said
 *   total          scale * sum(x)
 *   error          t(N) * scale * sqrt(N / (N - 1) * sum((x - r u)^2))     r = sum(x) / sum(u)
 *
 * The second is the standard error of the first, a ratio estimate: the spread between windows says how much
 * another choice of windows would have changed it.  A few windows show their spread badly: t(N) makes 1.96
 * errors either way the interval that holds the truth in 95 of 100 cases with any number of them.  Pure functions; no libm, which the library is not linked with.
 */
#ifndef ESTIMATE_H
#define ESTIMATE_H

#include "prof.h"

/* Values by window; all zero is none. */
struct estimate {
	uint64_t time_ns; /* of the open window, which tells it from others */
	double open, open_size; /* its sum so far, and its size */
	double sum, squares, products; /* of those before it; with their sizes */
	uint64_t windows; /* with a value, the open one too */
};

/* Sizes of all windows, those without a value too; all zero is none. */
struct estimate_sizes {
	uint64_t time_ns; /* of the last one */
	double last, sum, squares;
};

/* A window begins that saw so much. drainer, tool */
void estimate_size(struct estimate_sizes *sizes, uint64_t time_ns, uint64_t size);
/* Windows come one after the other; sizes: of the window of this time, if it is the last. drainer, tool */
void estimate_add(struct estimate *estimate, const struct estimate_sizes *sizes, uint64_t time_ns,
		  uint64_t value);
/* Sum of all values. drainer, tool */
double estimate_sum(const struct estimate *estimate);
/* Standard error of the scaled total of `windows` windows, or of as many as had a value if that is more.  One
   window shows no spread: then the error is as big as the total. drainer, tool */
double estimate_error(const struct estimate *estimate, const struct estimate_sizes *sizes,
		      uint64_t windows, double scale);

/* What the error of so many windows is multiplied by: near 1 for many, 1.1 for twelve. drainer, tool */
double estimate_widening(double windows);

/* The factor that a text like "97.5312" stands for; 1 for what is no number above 0. drainer, tool */
double estimate_scale(const char *text);
/* value * scale to the nearest whole number, at most INT64_MAX. drainer, tool */
uint64_t estimate_whole(uint64_t value, double scale);
/* The next whole number that is not below, at most INT64_MAX. drainer, tool */
uint64_t estimate_up(double number);
/* Square root; 0 of what is not above 0. drainer, tool */
double estimate_root(double square);

#endif
