/*
 * flamegraph.h - what the flame graph's page is made of, between its fold and its text.
 */
#ifndef FLAMEGRAPH_H
#define FLAMEGRAPH_H

#include "exporter.h"

/* What makes frames equal; strings are ids of `texts`, 0 is "". */
struct page_frame {
	uint32_t module, name, file, line, origin;
};

struct column {
	const struct profile_metric *metric;
	bool is_count;
};

struct flamegraph {
	const struct profile
		*profile; /* its threads are numbered as they are; those of the base follow */
	uint32_t measurement;
	const struct exporter_settings *settings;
	struct sink *sink;
	bool failed; /* no memory */

	struct intern texts, frames;
	struct pairs steps; /* (parent step, frame) */
	struct pairs cells; /* (step, thread) */
	struct pair *step_rows, *cell_rows; /* all of them, once they are known */
	uint32_t no_stack; /* step; 0: not made yet */
	struct column *columns;
	uint32_t column_count;
	uint64_t *values; /* by (cell - 1) * column_count + column */
	size_t value_capacity;
};

/* Sums stop there: numbers of the page are signed. */
static inline uint64_t flamegraph_add(uint64_t a, uint64_t b)
{
	return b > INT64_MAX - a ? INT64_MAX : a + b;
}

/* The page, from its first byte to its last. drainer, tool */
void flamegraph_put(struct flamegraph *page);

#endif
