/*
 * table.c - one line a row: self, total, the bar that shows both, the name.
 */
#include "table.h"

#include "heap.h"
#include "log.h"

#define NUMBERS_COLUMNS 40 /* what stands before the bar */
#define NAME_COLUMNS 24 /* at least, however narrow the line */
#define BAR_LEAST 8
#define BAR_MOST 20
#define BAR_SHARE 10 /* of the line one in so many columns */
#define BAR_WIDTH_LEAST 72 /* of the line */
#define HOT_SHARE 10 /* one in so many of the whole */

static void print_row(const struct table *table, const struct summary *summary,
		      const struct summary_row *row, const char *unit);
static unsigned bar_columns(const struct table *table);
static void print_bar(const struct table *table, const struct summary_row *row, uint64_t whole);
static uint64_t whole_of(const struct summary *summary);

void table_title(const struct table *table, const struct summary *summary, uint32_t metric)
{
	static const char *const sides[] = {
		[SUMMARY_ALL] = "",
		[SUMMARY_CALLERS] = " of ",
		[SUMMARY_CALLEES] = " from ",
	};
	const struct profile *profile = summary->profile;
	const char *unit = profile_string(profile, profile->metrics[metric].unit);
	uint64_t duration_ns = summary_duration(profile);
	char text[TABLE_QUANTITY_BYTES];

	sink_puts(table->sink, "\n");
	table_paint(table, TABLE_STRONG);
	table_text(table, profile_string(profile, profile->metrics[metric].name), TABLE_ENDLESS);
	sink_puts(table->sink, sides[summary->side]);
	if (summary->side != SUMMARY_ALL)
		table_text(table, summary_asked(summary), TABLE_ENDLESS);
	table_paint(table, TABLE_PLAIN);
	sink_format(table->sink, ": %s", table_quantity(whole_of(summary), unit, text));
	if (summary->side == SUMMARY_CALLEES)
		sink_format(table->sink, ", %s of it its own",
			    table_quantity(summary->asked_self, unit, text));
	else if (summary->side == SUMMARY_ALL && summary->samples > 0)
		sink_format(table->sink, " in %llu samples", (unsigned long long)summary->samples);
	if (duration_ns > 0)
		sink_format(table->sink, ", over %s",
			    table_quantity(duration_ns, "nanoseconds", text));
	sink_puts(table->sink, "\n");
}

void table_rows(const struct table *table, const struct summary *summary, uint32_t metric)
{
	static const char *const heads[] = {
		[SUMMARY_FUNCTION] = "function", [SUMMARY_LINE] = "line",
		[SUMMARY_FILE] = "file",	 [SUMMARY_MODULE] = "module",
		[SUMMARY_THREAD] = "thread",
	};
	static const char *const sides[] = {
		[SUMMARY_CALLERS] = "caller",
		[SUMMARY_CALLEES] = "callee",
	};
	const struct profile *profile = summary->profile;
	const char *unit = profile_string(profile, profile->metrics[metric].unit);
	unsigned bar = bar_columns(table);
	size_t count;
	const struct summary_row **rows = summary_sort(summary, &count);

	table_paint(table, TABLE_STRONG);
	sink_format(table->sink, "%10s %7s %11s %7s  %*s%s\n", "self", "%", "total", "%",
		    (int)(bar ? bar + 2 : 0), "",
		    summary->side == SUMMARY_ALL ? heads[summary->by] : sides[summary->side]);
	table_paint(table, TABLE_PLAIN);
	for (size_t i = 0; rows && i < count && i < table->most; i++)
		print_row(table, summary, rows[i], unit);
	if (rows)
		table_rest(table, count);
	else
		sink_fail(table->sink, "no memory");
	heap_free(rows);
}

static void print_row(const struct table *table, const struct summary *summary,
		      const struct summary_row *row, const char *unit)
{
	uint64_t whole = whole_of(summary);
	unsigned bar = bar_columns(table), columns = NAME_COLUMNS;
	unsigned used = NUMBERS_COLUMNS + (bar ? bar + 2 : 0);
	bool is_hot = row->self >= whole / HOT_SHARE && row->self > 0;
	char text[TABLE_QUANTITY_BYTES];

	if (table->width > used + columns)
		columns = table->width - used;
	if (is_hot)
		table_paint(table, TABLE_HOT);
	sink_format(table->sink, "%10s ", table_quantity(row->self, unit, text));
	table_percent(table, row->self, whole, 7);
	if (is_hot)
		table_paint(table, TABLE_PLAIN);
	sink_format(table->sink, " %11s ", table_quantity(row->total, unit, text));
	table_percent(table, row->total, whole, 7);
	sink_puts(table->sink, "  ");
	if (bar > 0)
		print_bar(table, row, whole);
	table_name(table, summary->by, row, columns);
	sink_puts(table->sink, "\n");
}

/* Where a line has no end nobody looks at bars. */
static unsigned bar_columns(const struct table *table)
{
	unsigned columns = table->width / BAR_SHARE;

	if (table->width < BAR_WIDTH_LEAST || table->width >= TABLE_ENDLESS)
		return 0;
	return columns < BAR_LEAST ? BAR_LEAST : columns > BAR_MOST ? BAR_MOST : columns;
}

/* Self, and up to total what others used under it. */
static void print_bar(const struct table *table, const struct summary_row *row, uint64_t whole)
{
	unsigned columns = bar_columns(table);
	double scale = whole ? (double)columns / (double)whole : 0;
	unsigned self = (unsigned)((double)row->self * scale + 0.5);
	unsigned total = (unsigned)((double)row->total * scale + 0.5);

	table_paint(table, TABLE_HOT);
	for (unsigned i = 0; i < columns; i++) {
		if (i == self)
			table_paint(table, TABLE_PLAIN);
		if (i >= self && i >= total)
			sink_puts(table->sink, " ");
		else if (table->has_blocks)
			sink_puts(table->sink, i < self ? "\u2588" : "\u2591");
		else
			sink_puts(table->sink, i < self ? "#" : "-");
	}
	table_paint(table, TABLE_PLAIN);
	sink_puts(table->sink, "  ");
}

static uint64_t whole_of(const struct summary *summary)
{
	return summary->side == SUMMARY_ALL ? summary->value : summary->asked_total;
}
