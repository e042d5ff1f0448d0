/*
 * estimate.c - sums by window, their scale, their error.
 */
#include "estimate.h"

#include "text.h"

void estimate_size(struct estimate_sizes *sizes, uint64_t time_ns, uint64_t size)
{
	sizes->time_ns = time_ns;
	sizes->last = (double)size;
	sizes->sum += (double)size;
	sizes->squares += (double)size * (double)size;
}

void estimate_add(struct estimate *estimate, const struct estimate_sizes *sizes, uint64_t time_ns,
		  uint64_t value)
{
	if (estimate->windows == 0 || estimate->time_ns != time_ns) {
		estimate->sum += estimate->open;
		estimate->squares += estimate->open * estimate->open;
		estimate->products += estimate->open * estimate->open_size;
		estimate->open = 0;
		estimate->open_size = sizes->time_ns == time_ns ? sizes->last : 0;
		estimate->time_ns = time_ns;
		estimate->windows++;
	}
	estimate->open += (double)value;
}

double estimate_sum(const struct estimate *estimate)
{
	return estimate->sum + estimate->open;
}

double estimate_error(const struct estimate *estimate, const struct estimate_sizes *sizes,
		      uint64_t windows, double scale)
{
	double sum = estimate_sum(estimate);
	double squares = estimate->squares + estimate->open * estimate->open;
	double products = estimate->products + estimate->open * estimate->open_size;
	double count = (double)(windows > estimate->windows ? windows : estimate->windows);
	double spread;

	if (count <= 1)
		return scale * sum;
	spread = squares - sum * sum / count;
	if (sizes->sum > 0) {
		double rate = sum / sizes->sum;

		spread = squares - 2 * rate * products + rate * rate * sizes->squares;
	}
	return estimate_widening(count) * scale * estimate_root(count / (count - 1) * spread);
}

/* The 97.5 % quantile of Student's t over that of the normal distribution, by the first terms of Cornish and
   Fisher's expansion (Abramowitz and Stegun, 26.7.5). */
double estimate_widening(double windows)
{
	const double z2 = 1.959964 * 1.959964, free = windows - 1;
	double first = (z2 + 1) / 4;
	double second = ((5 * z2 + 16) * z2 + 3) / 96;
	double third = (((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384;

	if (!(free >= 1))
		return 1;
	return 1 + (first + (second + third / free) / free) / free;
}

double estimate_scale(const char *text)
{
	struct text_quantity quantity;
	const char *rest = text_quantity(text, &quantity);
	double scale;

	if (!rest || *rest != '\0')
		return 1;
	scale = (double)quantity.whole + (double)quantity.fraction / (double)quantity.scale;
	return scale > 0 ? scale : 1;
}

uint64_t estimate_whole(uint64_t value, double scale)
{
	double scaled = (double)value * scale;

	/* A double does not hold every whole number. */
	if (scale == 1)
		return value < INT64_MAX ? value : INT64_MAX;
	return scaled < (double)INT64_MAX ? (uint64_t)(scaled + 0.5) : INT64_MAX;
}

uint64_t estimate_up(double number)
{
	uint64_t whole = number < (double)INT64_MAX ? (uint64_t)number : INT64_MAX;

	return whole < INT64_MAX && (double)whole < number ? whole + 1 : whole;
}

/* Newton's method from above, where each step is a smaller one until rounding ends it. */
double estimate_root(double square)
{
	double root = square > 1 ? square : 1, next;

	if (!(square > 0))
		return 0;
	while ((next = (root + square / root) / 2) < root)
		root = next;
	return root;
}
