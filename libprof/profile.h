/*
 * profile.h - the fold: one or more recordings, summed by (metric, process, thread, stack).
 *
 * Read-only to exporters.  Strings are in one table (UTF-8, hostile bytes already replaced by U+FFFD),
 * ids are dense from 1, nodes come after their parents.  A measurement is all metrics of one collector.
 */
#ifndef PROFILE_H
#define PROFILE_H

#include "intern.h"
#include "prof.h"
#include "recording.h"

struct profile_function {
	uint32_t module, name, file; /* strings; full = "module.qualname", or the marker's name */
	uint32_t full;
	uint32_t first_line;
	enum recording_function_kind kind;
};
struct profile_frame {
	uint32_t function, line;
};
struct profile_node {
	uint32_t parent, frame; /* parent 0: a root */
};
struct profile_process {
	uint64_t pid, parent_pid, session;
	uint64_t start_realtime_ns, start_monotonic_ns, end_monotonic_ns;
	uint32_t program, python, writer; /* strings */
};
struct profile_thread {
	uint32_t process; /* index from 0 */
	uint64_t tid;
	uint32_t name; /* string, 0 none */
};
struct profile_mapping {
	uint32_t process; /* index from 0 */
	uint64_t start, end, offset;
	uint32_t file, build_id; /* strings */
};
struct profile_metric {
	uint32_t collector, name, unit, count_name; /* strings; count_name 0: none */
};
/* Sum of all samples of one stack in one thread for one metric. */
struct profile_sample {
	uint32_t metric, thread, node; /* metric and thread are indexes from 0 */
	uint64_t count, value;
};
struct profile_note {
	uint32_t process; /* index from 0 */
	uint32_t key, value; /* strings */
};
struct profile_loss {
	uint32_t reason, help; /* strings */
	uint64_t count;
};

struct profile {
	struct intern strings; /* id -> bytes */
	/* table[id - 1] for functions, frames, nodes; table[index] for the rest */
	struct profile_function *functions;
	struct profile_frame *frames;
	struct profile_node *nodes;
	struct profile_process *processes;
	struct profile_thread *threads;
	struct profile_mapping *mappings;
	struct profile_metric *metrics;
	struct profile_sample *samples; /* sorted by metric, process, thread, node */
	struct profile_note *notes;
	struct profile_loss *losses;
	size_t function_count, frame_count, node_count, process_count, thread_count, mapping_count,
		metric_count, sample_count, note_count, loss_count;
	bool cut; /* a recording ended in a torn tail */
	struct profile_maker *maker; /* of profile.c while recordings are added */
};

/* NULL: no memory. drainer, tool */
struct profile *profile_new(void);
void profile_free(struct profile *profile);
/* Fold in one recording from a file; NULL, or what is wrong with it. drainer, tool */
errmsg profile_add_file(struct profile *profile, const char *path);
errmsg profile_add_bytes(struct profile *profile, const void *bytes, size_t size_bytes);
/* Sort and finish; nothing is added after it. NULL or no memory. drainer, tool */
errmsg profile_finish(struct profile *profile);
/* A string by id; "" for 0. drainer, tool */
const char *profile_string(const struct profile *profile, uint32_t id);
/* Value of a note of a process, "" if there is none. drainer, tool */
const char *profile_note_value(const struct profile *profile, uint32_t process, const char *key);

#endif
