/*
 * calls.c - add up, sort, line up.
 *
 * A row is a function, or in the tables of callers and callees the other end of a call.  Time of a row is its
 * own in the first, and with all that it called in the others.  Whatever is inclusive counts once a stack.
 */
#include "calls.h"

#include "estimate.h"
#include "heap.h"
#include "sort.h"

#include <stdio.h>
#include <string.h>

#define COLLECTOR "calls"
#define COUNT "calls"
#define TIME "time"
#define NUMBERS_COLUMNS 57 /* what stands before the function */
#define FUNCTION_COLUMNS 20 /* at least, however narrow the terminal */
#define CLASSES (RECORDING_DURATION_MAX + 1)
#define ROOT_OF_TWO 1.4142135623730951

struct calls_row {
	const struct summary_row *row;
	uint64_t calls, self_ns, total_ns;
	uint64_t classes[CLASSES]; /* calls by duration; those of class 0 are not known */
	double squares; /* of standard errors */
};

static uint32_t find_metric(const struct profile *profile, const char *name);
static void take_times(struct calls *calls);
static void take_counts(struct calls *calls);
static bool take_errors(struct calls *calls);
static void keep_shown(struct calls *calls);
static int compare_rows(const void *a, const void *b);
static void print_title(const struct calls *calls, const struct table *table);
static void print_row(const struct calls *calls, const struct table *table,
		      const struct calls_row *row);
static void print_share(const struct calls *calls, const struct table *table,
			const struct calls_row *row);
static uint64_t error_of(const struct calls_row *row);
static double percentile_of(const struct calls_row *row, double share);
static double mean_of(const struct calls *calls, const struct calls_row *row);
static void print_time(const struct table *table, double time_ns);
static void put_time(struct data *data, double time_ns);

/* Not known. */
static const double unknown = -1;

static const double shares[] = { 0.5, 0.9, 0.99 };

const char *const calls_keys[] = { "calls",  "error",  "self_ns", "total_ns", "mean_ns", "p50_ns",
				   "p90_ns", "p99_ns", "name",	  "file",     "line",	 NULL };

bool calls_are_in(const struct profile *profile, uint32_t measurement)
{
	uint32_t count = find_metric(profile, COUNT);

	return count != CALLS_NONE && profile->metrics[count].collector == measurement;
}

bool calls_take(struct calls *calls, struct summary *summary, enum summary_side side)
{
	calls->summary = summary;
	calls->side = side;
	calls->count = find_metric(summary->profile, COUNT);
	calls->time = find_metric(summary->profile, TIME);
	calls->row_count = summary->row_count;
	calls->rows = heap_zalloc((calls->row_count + 1) * sizeof(*calls->rows));
	if (!calls->rows)
		return false;
	for (size_t i = 0; i < calls->row_count; i++)
		calls->rows[i].row = &summary->rows[i];
	if (calls->time != CALLS_NONE)
		take_times(calls);
	take_counts(calls);
	if (side == SUMMARY_ALL && !take_errors(calls))
		return false;
	keep_shown(calls);
	return sort_items(calls->rows, calls->row_count, sizeof(*calls->rows), compare_rows);
}

void calls_release(struct calls *calls)
{
	heap_free(calls->rows);
}

void calls_print(const struct calls *calls, const struct table *table)
{
	static const char *const heads[][3] = {
		[SUMMARY_ALL] = { "+-", "time", "function" },
		[SUMMARY_CALLERS] = { "%", "total", "caller" },
		[SUMMARY_CALLEES] = { "%", "total", "callee" },
	};
	const char *const *head = heads[calls->side];

	print_title(calls, table);
	table_paint(table, TABLE_STRONG);
	sink_format(table->sink, "%11s %8s %6s %6s %6s %6s %6s  %s\n", "calls", head[0], head[1],
		    "mean", "p50", "p90", "p99", head[2]);
	table_paint(table, TABLE_PLAIN);
	for (size_t i = 0; i < calls->row_count && i < table->most; i++)
		print_row(calls, table, &calls->rows[i]);
	table_rest(table, calls->row_count);
}

void calls_data(const struct calls *calls, struct data *data, size_t most)
{
	for (size_t i = 0; i < calls->row_count && i < most; i++) {
		const struct calls_row *row = &calls->rows[i];

		data_row(data);
		data_number(data, row->calls);
		if (calls->side == SUMMARY_ALL)
			data_number(data, error_of(row));
		else
			data_none(data);
		put_time(data, calls->has_times ? (double)row->self_ns : unknown);
		put_time(data, calls->has_times ? (double)row->total_ns : unknown);
		put_time(data, mean_of(calls, row));
		for (size_t share = 0; share < PROF_COUNT(shares); share++)
			put_time(data, percentile_of(row, shares[share]));
		data_text(data, row->row->name);
		data_text(data, row->row->file);
		data_line(data, row->row->number);
		data_row_end(data);
	}
}

static uint32_t find_metric(const struct profile *profile, const char *name)
{
	for (size_t i = 0; i < profile->metric_count; i++)
		if (strcmp(profile_string(profile, profile->metrics[i].collector), COLLECTOR) ==
			    0 &&
		    strcmp(profile_string(profile, profile->metrics[i].name), name) == 0)
			return (uint32_t)i;
	return CALLS_NONE;
}

static void take_times(struct calls *calls)
{
	summary_take(calls->summary, calls->time, calls->side);
	calls->has_times = calls->summary->value > 0;
	for (size_t i = 0; i < calls->row_count; i++) {
		calls->rows[i].self_ns = calls->rows[i].row->self;
		calls->rows[i].total_ns = calls->rows[i].row->total;
		calls->time_ns += calls->rows[i].self_ns;
	}
}

static void take_counts(struct calls *calls)
{
	const struct summary *summary = calls->summary;
	const struct profile *profile = summary->profile;

	summary_take(calls->summary, calls->count, calls->side);
	for (size_t i = 0; i < calls->row_count; i++) {
		calls->rows[i].calls = calls->rows[i].row->self;
		calls->calls += calls->rows[i].calls;
	}
	for (size_t i = 0; i < profile->sample_count; i++) {
		const struct profile_sample *sample = &profile->samples[i];
		uint32_t step = summary_step_of(summary, sample);
		uint32_t row = step ? summary_row_of(summary, step) : 0;

		if (sample->metric == calls->count && row != 0)
			calls->rows[row - 1].classes[sample->duration] += sample->value;
	}
}

static bool take_errors(struct calls *calls)
{
	const struct summary *summary = calls->summary;
	const struct profile *profile = summary->profile;
	uint32_t *rows = heap_zalloc((profile->function_count + 1) * sizeof(*rows));

	for (size_t i = 0; rows && i < profile->frame_count; i++)
		if (summary->frame_rows[i] != 0)
			rows[profile->frames[i].function - 1] = summary->frame_rows[i];
	for (size_t i = 0; rows && i < profile->error_count; i++) {
		const struct profile_error *error = &profile->errors[i];
		uint32_t row = rows[error->function - 1];

		if (error->metric == calls->count && row != 0)
			calls->rows[row - 1].squares += error->error * error->error;
	}
	heap_free(rows);
	return rows != NULL;
}

static void keep_shown(struct calls *calls)
{
	size_t kept = 0;

	for (size_t i = 0; i < calls->row_count; i++)
		if (calls->rows[i].calls > 0 || calls->rows[i].total_ns > 0)
			calls->rows[kept++] = calls->rows[i];
	calls->row_count = kept;
}

static int compare_rows(const void *a, const void *b)
{
	const struct calls_row *left = a, *right = b;

	if (left->calls != right->calls)
		return left->calls > right->calls ? -1 : 1;
	if (left->total_ns != right->total_ns)
		return left->total_ns > right->total_ns ? -1 : 1;
	return strcmp(left->row->name, right->row->name);
}

static void print_title(const struct calls *calls, const struct table *table)
{
	static const char *const titles[] = {
		[SUMMARY_ALL] = "calls",
		[SUMMARY_CALLERS] = "calls of ",
		[SUMMARY_CALLEES] = "calls from ",
	};
	const struct summary *summary = calls->summary;
	uint64_t duration_ns = summary_duration(summary->profile);
	char text[TABLE_QUANTITY_BYTES];

	sink_puts(table->sink, "\n");
	table_paint(table, TABLE_STRONG);
	sink_puts(table->sink, titles[calls->side]);
	if (calls->side != SUMMARY_ALL)
		table_text(table, summary_asked(summary), TABLE_ENDLESS);
	table_paint(table, TABLE_PLAIN);
	sink_format(table->sink, ": %llu", (unsigned long long)calls->calls);
	if (calls->side == SUMMARY_ALL && calls->has_times)
		sink_format(table->sink, " in %s",
			    table_quantity(calls->time_ns, "nanoseconds", text));
	if (duration_ns > 0)
		sink_format(table->sink, ", over %s",
			    table_quantity(duration_ns, "nanoseconds", text));
	sink_puts(table->sink, "\n");
}

static void print_row(const struct calls *calls, const struct table *table,
		      const struct calls_row *row)
{
	uint64_t shown_ns = calls->side == SUMMARY_ALL ? row->self_ns : row->total_ns;
	unsigned columns = FUNCTION_COLUMNS;

	if (table->width > NUMBERS_COLUMNS + columns)
		columns = table->width - NUMBERS_COLUMNS;
	sink_format(table->sink, "%11llu", (unsigned long long)row->calls);
	print_share(calls, table, row);
	print_time(table, calls->has_times ? (double)shown_ns : unknown);
	print_time(table, mean_of(calls, row));
	for (size_t i = 0; i < PROF_COUNT(shares); i++)
		print_time(table, percentile_of(row, shares[i]));
	sink_puts(table->sink, "  ");
	table_name(table, SUMMARY_FUNCTION, row->row, columns);
	sink_puts(table->sink, "\n");
}

/* The error of all calls, or the share of these calls in all. */
static void print_share(const struct calls *calls, const struct table *table,
			const struct calls_row *row)
{
	sink_puts(table->sink, " ");
	if (calls->side != SUMMARY_ALL)
		table_percent(table, row->calls, calls->calls, 8);
	else if (row->squares > 0)
		sink_format(table->sink, "%8llu", (unsigned long long)error_of(row));
	else
		sink_format(table->sink, "%8s", "");
}

static uint64_t error_of(const struct calls_row *row)
{
	return row->squares > 0 ? estimate_up(estimate_root(row->squares)) : 0;
}

/* The geometric middle of the class that this share of the calls reaches. */
static double percentile_of(const struct calls_row *row, double share)
{
	double known = 0, passed = 0, low_ns = 0.5;

	for (unsigned i = 1; i < CLASSES; i++)
		known += (double)row->classes[i];
	if (known <= 0)
		return unknown;
	for (unsigned i = 1; i < CLASSES && passed < share * known; i++) {
		passed += (double)row->classes[i];
		low_ns *= 2;
	}
	return low_ns * ROOT_OF_TWO;
}

static double mean_of(const struct calls *calls, const struct calls_row *row)
{
	if (!calls->has_times || row->calls == 0)
		return unknown;
	return (double)row->total_ns / (double)row->calls;
}

/* Three digits: 45ns 1.23us 12.3ms 123s. */
static void print_time(const struct table *table, double time_ns)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	unsigned unit = 0;
	char text[32] = "-";
	int decimals;

	for (; unit + 1 < PROF_COUNT(units) && time_ns >= 999.5; unit++)
		time_ns /= 1000;
	decimals = time_ns < 9.995 ? 2 : time_ns < 99.95 ? 1 : 0;
	if (time_ns >= 0)
		snprintf(text, sizeof(text), "%.*f%s", unit ? decimals : 0, time_ns, units[unit]);
	sink_format(table->sink, " %6s", text);
}

static void put_time(struct data *data, double time_ns)
{
	if (time_ns < 0)
		data_none(data);
	else
		data_number(data, (uint64_t)(time_ns + 0.5));
}
