/*
 * filter.h - which part of recordings is wanted: the flags that `export` and `report` share.
 *
 * Of several values of one flag any will do; of several flags all have to agree.
 */
#ifndef FILTER_H
#define FILTER_H

#include "args.h"
#include "prof.h"
#include "profile_filter.h"
#include "wire.h"

#include <regex.h>

enum filter_flag {
	FILTER_FROM,
	FILTER_TO,
	FILTER_THREAD,
	FILTER_LABEL,
	FILTER_FOCUS,
	FILTER_IGNORE,
	FILTER_ORIGIN,
	FILTER_LIBRARY,
	FILTER_FLAGS
};

/* Rows of a command's flags, from `first` on. */
#define FILTER_ROW(place, name) [place] = { name, '\0', true }
#define FILTER_ROWS(first)                                                                \
	FILTER_ROW((first) + FILTER_FROM, "from"), FILTER_ROW((first) + FILTER_TO, "to"), \
		FILTER_ROW((first) + FILTER_THREAD, "thread"),                            \
		FILTER_ROW((first) + FILTER_LABEL, "label"),                              \
		FILTER_ROW((first) + FILTER_FOCUS, "focus"),                              \
		FILTER_ROW((first) + FILTER_IGNORE, "ignore"),                            \
		FILTER_ROW((first) + FILTER_ORIGIN, "origin"),                            \
		FILTER_ROW((first) + FILTER_LIBRARY, "library")

enum filter_kind {
	FILTER_NAME_OR_ID, /* of a thread */
	FILTER_PID,
	FILTER_THREAD_NAME,
	FILTER_THREAD_ID,
	FILTER_LIBRARY_NAME,
	FILTER_KINDS
};

struct filter_word {
	enum filter_kind kind;
	const char *text;
	uint64_t number;
	bool is_number;
};

/* Of functions' names (regex(7)). */
struct filter_pattern {
	struct filter_pattern *next;
	enum profile_mark mark;
	regex_t regex;
};

/* All zero is none. */
struct filter {
	bool is_used;
	uint64_t from_ns, to_ns; /* to_ns 0: the end */
	struct filter_word *words;
	size_t word_count, word_capacity;
	bool has[FILTER_KINDS];
	struct filter_pattern *patterns;
	unsigned origins; /* bits by enum profile_origin; 0: all */
	unsigned needed; /* enum profile_mark */
	struct wire_buffer note; /* the flags as they were given */
	struct profile_filter rows; /* made of all that */
};

/* A flag with its value: CLI_GOOD, or CLI_USAGE after its line. tool */
int filter_take(struct filter *filter, enum filter_flag flag, const char *value);
/* All flags are there: CLI_GOOD, or another status after its line. tool */
int filter_finish(struct filter *filter);
void filter_release(struct filter *filter);
/* profile_add_file, or profile_add_filtered if there is a filter; a torn tail has its line. tool */
errmsg filter_add_file(const struct filter *filter, struct profile *profile, const char *path);

/* Why there is no sample. tool */
const char *filter_nothing(const struct filter *filter);

#endif
