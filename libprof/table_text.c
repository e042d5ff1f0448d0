/*
 * table_text.c - the pieces of a line: texts, names, quantities, shares, colours.
 */
#include "columns.h"
#include "log.h"
#include "table.h"

#include <string.h>

void table_facts(const struct table *table, const struct profile *profile)
{
	for (size_t i = 0; i < profile->process_count; i++) {
		const struct profile_process *process = &profile->processes[i];

		sink_format(table->sink, "pid %llu: %s, CPython ", (unsigned long long)process->pid,
			    profile_string(profile, process->writer));
		table_line(table, profile_string(profile, process->python), ", ",
			   profile_string(profile, process->program));
	}
	for (size_t i = 0; i < profile->note_count; i++)
		table_line(table, profile_string(profile, profile->notes[i].key), "=",
			   profile_string(profile, profile->notes[i].value));
	for (size_t i = 0; i < profile->loss_count; i++) {
		sink_format(table->sink,
			    "lost %llu: ", (unsigned long long)profile->losses[i].count);
		table_line(table, profile_string(profile, profile->losses[i].reason), ": ",
			   profile_string(profile, profile->losses[i].help));
	}
	if (profile->cut)
		sink_puts(table->sink,
			  "a recording ended in a torn tail: what came after is not here\n");
}

void table_line(const struct table *table, const char *key, const char *separator,
		const char *value)
{
	table_text(table, key, TABLE_ENDLESS);
	sink_puts(table->sink, separator);
	table_text(table, value, TABLE_ENDLESS);
	sink_puts(table->sink, "\n");
}

unsigned table_text(const struct table *table, const char *text, unsigned columns)
{
	unsigned all = columns_count(text), used = 0;
	unsigned kept = all <= columns ? all : columns > 3 ? columns - 3 : 0;

	while (*text != '\0') {
		struct columns_character next = columns_next(text);

		if (used + next.columns > kept)
			break;
		if (next.is_printable)
			sink_put(table->sink, text, next.bytes);
		else
			sink_puts(table->sink, "?");
		text += next.bytes;
		used += next.columns;
	}
	/* A wide character that did not fit leaves a column more. */
	for (; all > columns && used < columns; used++)
		sink_puts(table->sink, ".");
	return used;
}

void table_name(const struct table *table, enum summary_by by, const struct summary_row *row,
		unsigned columns)
{
	const char *slash = strrchr(row->file, '/'), *file = row->file;
	char place[64] = "";
	unsigned rest, used;

	if (by == SUMMARY_THREAD)
		log_format(place, sizeof(place), "pid %llu, thread %llu)",
			   (unsigned long long)row->pid, (unsigned long long)row->number);
	else if (row->is_native && row->name[0] != '[')
		log_format(place, sizeof(place), ")");
	else if (!row->is_native && *file != '\0')
		log_format(place, sizeof(place), ":%llu)", (unsigned long long)row->number);
	rest = (unsigned)strlen(place) + 2;
	if (slash &&
	    (row->is_native || columns_count(row->name) + columns_count(file) + rest > columns))
		file = slash + 1;
	used = table_text(table, row->name, columns);
	if (place[0] == '\0' || used + columns_count(file) + rest > columns)
		return;
	table_paint(table, TABLE_FAINT);
	sink_puts(table->sink, " (");
	table_text(table, file, columns);
	sink_puts(table->sink, place);
	table_paint(table, TABLE_PLAIN);
}

void table_paint(const struct table *table, enum table_paint paint)
{
	static const char *const codes[] = {
		[TABLE_PLAIN] = "\x1b[0m",
		[TABLE_STRONG] = "\x1b[1m",
		[TABLE_FAINT] = "\x1b[2m",
		[TABLE_HOT] = "\x1b[31m",
	};

	if (table->is_coloured)
		sink_puts(table->sink, codes[paint]);
}

void table_percent(const struct table *table, uint64_t part, uint64_t whole, int columns)
{
	double share = whole ? (double)part / (double)whole : 0;
	uint64_t hundredths = (uint64_t)(share * 10000 + 0.5);
	char text[TABLE_QUANTITY_BYTES];

	log_format(text, sizeof(text), "%llu.%02llu%%", (unsigned long long)hundredths / 100,
		   (unsigned long long)hundredths % 100);
	sink_format(table->sink, "%*s", columns, text);
}

const char *table_quantity(uint64_t value, const char *unit, char *buffer)
{
	static const struct {
		const char *unit, *shown;
		uint64_t size;
	} scales[] = {
		{ "nanoseconds", "s", 1000000000 }, { "nanoseconds", "ms", 1000000 },
		{ "nanoseconds", "us", 1000 },	    { "nanoseconds", "ns", 1 },
		{ "bytes", "GiB", 1u << 30 },	    { "bytes", "MiB", 1u << 20 },
		{ "bytes", "KiB", 1u << 10 },	    { "bytes", "B", 1 },
	};

	for (size_t i = 0; i < PROF_COUNT(scales); i++) {
		uint64_t size = scales[i].size, whole = value / size, hundredths;
		size_t n;

		if (strcmp(scales[i].unit, unit) != 0 || (size > 1 && whole == 0))
			continue;
		hundredths = (value % size * 100 + size / 2) / size;
		whole += hundredths / 100;
		n = log_format(buffer, TABLE_QUANTITY_BYTES, "%llu", (unsigned long long)whole);
		if (size > 1)
			n += log_format(buffer + n, TABLE_QUANTITY_BYTES - n, ".%02llu",
					(unsigned long long)hundredths % 100);
		log_format(buffer + n, TABLE_QUANTITY_BYTES - n, " %s", scales[i].shown);
		return buffer;
	}
	log_format(buffer, TABLE_QUANTITY_BYTES, "%llu", (unsigned long long)value);
	return buffer;
}

void table_rest(const struct table *table, size_t count)
{
	if (count > table->most)
		sink_format(table->sink, "... and %zu more\n", count - table->most);
}
