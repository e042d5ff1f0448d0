/*
 * table.h - self and total of every function: stacks in, a table for the terminal out.
 */
#ifndef TABLE_H
#define TABLE_H

#include "exporter.h"
#include "prof.h"

struct table_row;

struct table {
	struct intern keys; /* name NUL file -> id of a row */
	struct table_row *rows; /* by id - 1 */
	size_t row_capacity;
	uint64_t stacks; /* that have been added */
	uint64_t value; /* of all stacks */
	bool failed; /* no memory */
	struct wire_buffer text;
};

/* All zero is an empty table. tool */
void table_release(struct table *table);
/* Id of a function; 0: no memory. tool */
uint32_t table_function(struct table *table, const char *name, const char *file, uint64_t line);
/* One stack, ids leaf first; a function counts once in its total however often it is there. tool */
void table_stack(struct table *table, const uint32_t *functions, size_t depth, uint64_t value);
/* Print the `most` hottest rows, at most `width` columns wide; sorts. tool */
void table_print(struct table *table, const char *unit, size_t most, unsigned width);
/* "1.234 s", "12.5 MiB", "1234" into buffer, which is returned. tool */
const char *table_quantity(uint64_t value, const char *unit, char *buffer, size_t size_bytes);
/* Print a foreign text in at most `columns` columns, nothing of it controls the terminal. Returns the
   columns used. tool */
unsigned table_text(const char *text, unsigned columns);
/* "name (dir/file.py:12)" in at most `columns` columns; where there is no room the directory goes first, then
   the file. tool */
void table_name(const char *name, const char *file, uint64_t line, unsigned columns);

#endif
