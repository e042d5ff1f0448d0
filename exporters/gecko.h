/*
 * gecko.h - what the parts of Firefox Profiler's format share.
 */
#ifndef GECKO_H
#define GECKO_H

#include "exporter.h"

#define GECKO_NS_DIGITS 6 /* of nanoseconds in milliseconds */

struct gecko {
	const struct profile *profile;
	struct json json;
	bool failed; /* no memory */
	uint32_t measurement, metric;
	uint64_t start_realtime_ns; /* of the process that began first */
	struct intern strings; /* index + 1 */
	struct proto_ids nodes, frames, functions; /* of the thread that is written; index + 1 */
	struct intern libraries; /* files, as string's ids; index + 1 */
	uint32_t *library_of; /* by function id - 1: the same; 0: none */
	struct proto_ids resources; /* libraries of the thread that is written; index + 1 */
	uint32_t *path;
	size_t path_capacity;
	struct wire_buffer text;
};

/* The next thread with samples of the metric, in the order in which threads are written. drainer, tool */
bool gecko_next_thread(const struct gecko *gecko, struct profile_run *run);
/* Nanoseconds since the file's start. drainer, tool */
uint64_t gecko_time(const struct gecko *gecko, uint32_t process, uint64_t monotonic_ns);
/* A value of the metric, times in milliseconds. drainer, tool */
void gecko_put_value(struct gecko *gecko, uint64_t value);
bool gecko_is_time(const struct gecko *gecko);
/* Index of a string in the file's table. drainer, tool */
uint32_t gecko_string(struct gecko *gecko, const char *text);
/* A column of `count` times the same word. drainer, tool */
void gecko_put_same(struct gecko *gecko, const char *key, size_t count, const char *word);

/* A list of names, or an empty one (NULL). drainer, tool */
void gecko_put_names(struct json *json, const char *key, const char *const *names);

/* Of gecko_tables.c: the libraries of the file, to be found before all; its member "libs"; the tables of a thread.
   False: no memory. drainer, tool */
bool gecko_find_libraries(struct gecko *gecko);
void gecko_write_libraries(struct gecko *gecko);
void gecko_write_tables(struct gecko *gecko);
/* Of gecko_marks.c: the members "counters" of the file, "markerSchema" of its meta, "markers" of a thread.
   drainer, tool */
void gecko_write_counters(struct gecko *gecko);
void gecko_write_schemas(struct gecko *gecko);
void gecko_write_markers(struct gecko *gecko, const struct profile_run *run);

#endif
