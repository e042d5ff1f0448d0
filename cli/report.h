/*
 * report.h - what the tables of `monprof report` share: files in, what is known of the run out.
 */
#ifndef REPORT_H
#define REPORT_H

#include "calls.h"
#include "cli.h"

#define REPORT_COLUMNS_MOST 10000

/* What was asked for. */
struct report_wish {
	char **files;
	size_t file_count;
	size_t rows;
	unsigned width; /* columns */
	bool calls; /* a table of calls */
	enum calls_side side;
	const char *name; /* of the function whose callers or callees are asked for */
};

/* Is it a recording, by its first bytes? tool */
bool report_is_recording(const char *path);
/* Sum recordings; NULL after a line on stderr. tool */
struct profile *report_sum(char **files, size_t count);
/* All bytes of a file. tool */
errmsg report_read_file(const char *path, struct wire_buffer *bytes);
/* Print versions, notes, losses of a profile; one line of any text. tool */
void report_facts(const struct profile *profile);
void report_line(const char *key, const char *separator, const char *value);
/* From the first start to the last end. tool */
uint64_t report_duration(const struct profile *profile);

/* monprof report --calls. tool */
int report_calls(const struct report_wish *wish);

#endif
