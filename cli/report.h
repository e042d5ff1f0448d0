/*
 * report.h - what the files of `monprof report` share: files in, what is wanted, names.
 */
#ifndef REPORT_H
#define REPORT_H

#include "cli.h"
#include "filter.h"
#include "summary.h"
#include "table.h"

enum report_form { REPORT_TABLE, REPORT_TREE, REPORT_CALLS };
enum report_format { REPORT_TEXT, REPORT_JSON, REPORT_CSV };

/* What was asked for. */
struct report_wish {
	char **files;
	size_t file_count;
	enum report_form form;
	enum report_format format;
	enum summary_by by;
	enum summary_side side;
	const char *name; /* of the function whose callers or callees are asked for */
	size_t rows; /* 0: not said */
	unsigned depth; /* 0: all */
	struct filter filter; /* of recordings */
};

/* Recordings, summed, or a pprof file. */
struct report_input {
	struct profile *profile;
	struct wire_buffer comments; /* of a pprof file: texts with their NUL */
	bool is_pprof;
};

/* One measurement of it. */
struct report_part {
	struct summary summary;
	uint32_t metric;
	bool is_calls; /* a table of calls can be made of it */
};

/* Is it a recording, by its first bytes? tool */
bool report_is_recording(const char *path);
/* NULL, or what is wrong with *file. Is to be released in any case. tool */
errmsg report_open(struct report_input *input, const struct report_wish *wish, const char **file);
void report_release(struct report_input *input);
/* The sums of the parts being of all, ask each for the rows of this name, or whose name ends in it behind a dot.
   CLI_USAGE after a line on stderr, which names the nearest one, if no part has exactly one. tool */
int report_ask(struct report_part *parts, size_t count, const struct report_wish *wish);
/* The same tables, for programs. tool */
void report_data(const struct report_wish *wish, const struct report_input *input,
		 struct report_part *parts, size_t count, struct sink *sink);
/* Print what is known of the run. tool */
void report_facts(const struct table *table, const struct report_input *input);

#endif
