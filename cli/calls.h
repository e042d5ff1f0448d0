/*
 * calls.h - how often every function was called and how long that took: for `monprof report --calls`.
 *
 * Metrics `calls` and `time` of the collector `calls`, put together row by row of a summary.
 */
#ifndef CALLS_H
#define CALLS_H

#include "data.h"
#include "summary.h"
#include "table.h"

struct calls_row;

struct calls {
	struct summary *summary;
	uint32_t count, time; /* metrics; CALLS_NONE: not measured */
	enum summary_side side;
	struct calls_row *rows; /* most called first */
	size_t row_count;
	uint64_t calls, time_ns; /* of what is shown */
	bool has_times; /* false: only calls were measured */
};

#define CALLS_NONE UINT32_MAX

/* Keys of the rows that calls_data writes. */
extern const char *const calls_keys[];

/* Can calls be made of this measurement? tool */
bool calls_are_in(const struct profile *profile, uint32_t measurement);
/* Sum one side; the summary is by function. False: no memory. tool */
bool calls_take(struct calls *calls, struct summary *summary, enum summary_side side);
void calls_release(struct calls *calls);
void calls_print(const struct calls *calls, const struct table *table);
/* At most `most` rows. tool */
void calls_data(const struct calls *calls, struct data *data, size_t most);

#endif
