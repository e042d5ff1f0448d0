/*
 * table.h - a summary lined up for people: rows or an indented tree, into a sink.
 *
 * Numbers first, names last and cut to what is left of the line.  Nothing of a foreign text controls a terminal:
 * what cannot be printed is '?'.  Widths are those of columns.h.
 */
#ifndef TABLE_H
#define TABLE_H

#include "prof.h"
#include "sink.h"
#include "summary.h"

#define TABLE_ENDLESS 10000 /* columns of a line that is as long as it needs to be */

struct table {
	struct sink *sink;
	unsigned width; /* columns */
	size_t most; /* rows */
	unsigned depth; /* levels of a tree; 0: all */
	bool is_coloured; /* by escape sequences */
	bool has_blocks; /* bars are of block characters, not of '#' and '-' */
};

enum table_paint { TABLE_PLAIN, TABLE_STRONG, TABLE_FAINT, TABLE_HOT };

/* Versions, notes, losses. drainer, tool */
void table_facts(const struct table *table, const struct profile *profile);
/* "cpu: 1.20 s in 120 samples, over 3.00 s", what is asked for included. drainer, tool */
void table_title(const struct table *table, const struct summary *summary, uint32_t metric);
/* The rows with the biggest self. drainer, tool */
void table_rows(const struct table *table, const struct summary *summary, uint32_t metric);
/* The `most` steps with the biggest totals, each under its caller; what is left out is counted. drainer, tool */
void table_tree(const struct table *table, const struct summary *summary, uint32_t metric);

/* One line of any text. drainer, tool */
void table_line(const struct table *table, const char *key, const char *separator,
		const char *value);
/* A foreign text in at most `columns` columns. Returns the columns used. drainer, tool */
unsigned table_text(const struct table *table, const char *text, unsigned columns);
/* "name (dir/file.py:12)", "name (library.so)", "[library.so+0x1f]" in at most `columns` columns; where there is no room the directory goes first, then
   the file. drainer, tool */
void table_name(const struct table *table, enum summary_by by, const struct summary_row *row,
		unsigned columns);
/* From here on; nothing where there is no colour. drainer, tool */
void table_paint(const struct table *table, enum table_paint paint);
/* part / whole as "12.34%" in `columns` columns. drainer, tool */
void table_percent(const struct table *table, uint64_t part, uint64_t whole, int columns);
/* "1.23 s", "12.50 MiB", "1234" into buffer, which is returned. any */
#define TABLE_QUANTITY_BYTES 32
const char *table_quantity(uint64_t value, const char *unit, char *buffer);
/* "... and 12 more" where there are more rows than are shown. drainer, tool */
void table_rest(const struct table *table, size_t count);

#endif
