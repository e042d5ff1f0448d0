/*
 * report_ask.c - which function a name means: the one that has it, or the one whose name ends in it.
 */
#include "report.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

static size_t ask(struct summary *summary, const char *name);
static bool is_shown(const struct summary_row *row);
static bool ends_in(const char *name, const char *end);
static int refuse(const struct report_part *parts, size_t count, const struct report_wish *wish,
		  bool is_ambiguous);
static const char *find_nearest(const struct report_part *parts, size_t count, const char *name);

int report_ask(struct report_part *parts, size_t count, const struct report_wish *wish)
{
	bool is_ambiguous = false, is_found = false;

	for (size_t i = 0; i < count; i++) {
		size_t matches = ask(&parts[i].summary, wish->name);

		is_found |= matches == 1;
		is_ambiguous |= matches > 1;
	}
	if (is_found && !is_ambiguous)
		return CLI_GOOD;
	return refuse(parts, count, wish, is_ambiguous);
}

/* How many different names it is. */
static size_t ask(struct summary *summary, const char *name)
{
	const char *match = NULL;
	size_t matches = 0;
	bool is_exact = false;

	for (uint32_t i = 0; i < summary->row_count; i++)
		is_exact |= is_shown(&summary->rows[i]) && strcmp(summary->rows[i].name, name) == 0;
	for (uint32_t i = 0; i < summary->row_count; i++) {
		struct summary_row *row = &summary->rows[i];

		row->asked = is_shown(row) &&
			     (is_exact ? strcmp(row->name, name) == 0 : ends_in(row->name, name));
		if (row->asked && (!match || strcmp(row->name, match) != 0))
			matches++;
		if (row->asked)
			match = row->name;
	}
	return matches;
}

static bool is_shown(const struct summary_row *row)
{
	return row->self > 0 || row->total > 0;
}

/* "json.loads" ends in "loads", not in "oads". */
static bool ends_in(const char *name, const char *end)
{
	size_t name_bytes = strlen(name), end_bytes = strlen(end);

	return end_bytes > 0 && name_bytes > end_bytes && name[name_bytes - end_bytes - 1] == '.' &&
	       strcmp(name + name_bytes - end_bytes, end) == 0;
}

static int refuse(const struct report_part *parts, size_t count, const struct report_wish *wish,
		  bool is_ambiguous)
{
	const char *nearest = find_nearest(parts, count, wish->name);
	char asked[TEXT_SHOWN_BYTES], shown[TEXT_SHOWN_BYTES];

	fprintf(stderr, "monprof: --%s %s: %s; the nearest is %s\n",
		wish->side == SUMMARY_CALLERS ? "callers" : "callees",
		text_shown(wish->name, strlen(wish->name), asked),
		is_ambiguous ? "the end of several names" : "no such function",
		text_shown(nearest, strlen(nearest), shown));
	return CLI_USAGE;
}

/* By its whole name, or by what is behind its last dot; of those that are as near the one that used most. */
static const char *find_nearest(const struct report_part *parts, size_t count, const char *name)
{
	const char *nearest = "";
	unsigned least = UINT32_MAX;
	uint64_t most = 0;

	for (size_t part = 0; part < count; part++) {
		const struct summary *summary = &parts[part].summary;

		for (uint32_t i = 0; i < summary->row_count; i++) {
			const struct summary_row *row = &summary->rows[i];
			const char *dot = strrchr(row->name, '.');
			unsigned distance = text_distance(name, row->name);
			unsigned behind = dot ? text_distance(name, dot + 1) : distance;

			if (behind < distance)
				distance = behind;
			if (ends_in(row->name, name))
				distance = 0;
			if (!is_shown(row) || distance > least ||
			    (distance == least && row->self <= most))
				continue;
			least = distance;
			most = row->self;
			nearest = row->name;
		}
	}
	return nearest;
}
