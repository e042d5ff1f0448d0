/*
 * estimate.c - sums by window, their scale, their error.
 */
#include "estimate.h"

#include "text.h"

static double totalled(const struct estimate *estimate, double *squares);

void estimate_add(struct estimate *estimate, uint64_t time_ns, uint64_t value)
{
	if (estimate->windows == 0 || estimate->time_ns != time_ns) {
		estimate->sum = totalled(estimate, &estimate->squares);
		estimate->open = 0;
		estimate->time_ns = time_ns;
		estimate->windows++;
	}
	estimate->open += (double)value;
}

double estimate_error(const struct estimate *estimate, uint64_t windows, double scale)
{
	double squares, sum = totalled(estimate, &squares);
	double count = (double)(windows > estimate->windows ? windows : estimate->windows);

	if (count <= 1)
		return scale * sum;
	return scale * estimate_root(count / (count - 1) * (squares - sum * sum / count));
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

/* Both sums with the open window. */
static double totalled(const struct estimate *estimate, double *squares)
{
	*squares = estimate->squares + estimate->open * estimate->open;
	return estimate->sum + estimate->open;
}
