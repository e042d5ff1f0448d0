/*
 * data.h - tables for other programs: JSON (RFC 8259) or CSV (RFC 4180).
 *
 *   JSON   {"facts": ["...", ...], "duration_ns": N, "tables": [{"measurement": ..., "rows": [{...}, ...]}, ...]}
 *   CSV    one header, then the rows of all tables; the first field says of which measurement one is
 *
 * Every table has the same keys, and every row a value for each, in their order.
 */
#ifndef DATA_H
#define DATA_H

#include "prof.h"
#include "sink.h"

struct data {
	struct sink *sink;
	bool is_csv;
	const char *const *keys; /* of a row; ended by NULL */
	const char *measurement, *unit; /* of the table */
	unsigned tables, rows,
		fields; /* that have been written; rows and fields of the innermost */
};

struct data_table {
	const char *measurement, *unit; /* first metric's name and unit */
	uint64_t value, samples; /* of all that is shown; samples 0: not counted */
};

/* Facts are lines of text, each with its newline. tool */
void data_begin(struct data *data, const char *facts, size_t facts_bytes, uint64_t duration_ns);
void data_end(struct data *data);
void data_table(struct data *data, const struct data_table *table);
void data_table_end(struct data *data);
/* Between both, the fields of a row; none: not known; a line that is 0 is not known. tool */
void data_row(struct data *data);
void data_number(struct data *data, uint64_t number);
void data_text(struct data *data, const char *text);
void data_none(struct data *data);
void data_line(struct data *data, uint64_t line);
void data_row_end(struct data *data);

#endif
