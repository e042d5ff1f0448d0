/*
 * profile.h - the fold: one or more recordings, summed by (metric, process, thread, stack, duration).
 *
 * Read-only to exporters.  Strings are in one table (UTF-8, hostile bytes already replaced by U+FFFD),
 * ids are dense from 1, nodes come after their parents.  A measurement is all metrics of one collector.
 *
 * What was only observed in windows is an estimate of the whole: values are multiplied by their metric's
 * scale, and `errors` says how far they may be off.
 */
#ifndef PROFILE_H
#define PROFILE_H

#include "intern.h"
#include "prof.h"
#include "recording.h"
#include "watch.h"
#include "wire.h"

struct profile_function {
	uint32_t module, name, file; /* strings; full = "module.qualname", or the marker's name */
	uint32_t full;
	uint32_t first_line;
	enum recording_function_kind kind;
};
/* Whose code it is. */
enum profile_origin {
	PROFILE_PROGRAM,
	PROFILE_STANDARD, /* the standard library */
	PROFILE_PACKAGE, /* site-packages, dist-packages */
	PROFILE_C, /* a function of C, known by its name */
	PROFILE_NATIVE, /* of an executable or a library, known by its file */
	PROFILE_MARKER, /* ours: "[thread exit]" and its like */
	PROFILE_ORIGINS,
};
struct profile_frame {
	uint32_t function, line;
	uint32_t mapping; /* index + 1; 0: it has no place */
	uint64_t address; /* of its process, in that mapping */
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
/* Sum of all samples of one stack and class of durations in one thread for one metric. */
struct profile_sample {
	uint32_t metric, thread, node; /* metric and thread are indexes from 0 */
	uint32_t duration; /* as in recording_sample */
	uint64_t count, value; /* count: of samples that were recorded; value: scaled */
};
/* A sample as it was recorded, part of the sum samples[sample]. */
struct profile_point {
	uint64_t time_ns; /* CLOCK_MONOTONIC of its process */
	uint64_t value; /* scaled; those of a sum add up to its value */
	uint32_t sample;
};
/* The points of one thread and metric, in order of time. */
struct profile_run {
	uint32_t metric, thread;
	size_t begin, end;
	uint64_t value; /* their sum */
};
/* Standard error of the sum of the values of all samples whose innermost function this is. */
struct profile_error {
	uint32_t metric, process, function; /* metric and process are indexes from 0 */
	double error; /* above 0, finite, in the unit of the metric */
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
	struct profile_sample *samples; /* sorted by metric, process, thread, node, duration */
	struct profile_point *points; /* where they were asked for: sorted by metric, thread, time */
	struct profile_error *errors; /* sorted by metric, function, process */
	struct profile_note *notes;
	struct profile_loss *losses;
	size_t function_count, frame_count, node_count, process_count, thread_count, mapping_count,
		metric_count, sample_count, point_count, error_count, note_count, loss_count;
	bool cut; /* a recording ended in a torn tail */
	struct watch watch; /* of the work on it */
	struct profile_maker *maker; /* of profile.c while recordings are added */
};

/* NULL: no memory. drainer, tool */
struct profile *profile_new(void);
void profile_free(struct profile *profile);
/* Keep the time of each sample, at 24 bytes each; before anything is added. drainer, tool */
void profile_keep_points(struct profile *profile);
/* Whom to tell while it is read from files, finished, and written to others (output.h). drainer, tool */
void profile_watch(struct profile *profile, struct watch watch);
/* Fold in one recording from a file; NULL, or what is wrong with it. drainer, tool */
errmsg profile_add_file(struct profile *profile, const char *path);
errmsg profile_add_bytes(struct profile *profile, const void *bytes, size_t size_bytes);
/* Sort and finish; nothing is added after it. NULL or no memory. drainer, tool */
errmsg profile_finish(struct profile *profile);
/* The next run of a measurement's metrics, after the one that is there, or the first (all zero); false: no more.
   drainer, tool */
bool profile_next_run(const struct profile *profile, uint32_t measurement, struct profile_run *run);
/* What viewers show of a profile, "python3.12 (pid 4242): cpu", and of a thread, "MainThread (tid 4242)". They
   replace what is in the buffer, and end with NUL. drainer, tool */
void profile_put_title(const struct profile *profile, uint32_t measurement,
		       struct wire_buffer *text);
void profile_put_thread(const struct profile *profile, uint32_t thread, struct wire_buffer *text);
/* A string by id; "" for 0. drainer, tool */
const char *profile_string(const struct profile *profile, uint32_t id);
/* Value of a note of a process, "" if there is none. drainer, tool */
const char *profile_note_value(const struct profile *profile, uint32_t process, const char *key);
/* What each counted unit of a metric stands for: the process's note scale.<collector>.<metric>; 1 where there is
   none. drainer, tool */
double profile_scale(const struct profile *profile, uint32_t process, uint32_t metric);
/* The same for the note `<what>.<collector>`; collector is a string. drainer, tool */
const char *profile_collector_note(const struct profile *profile, uint32_t process,
				   const char *what, uint32_t collector);
/* What a sample of a measurement stands for, in the unit of its first metric; 0: it is not taken at a period.
   drainer, tool */
uint64_t profile_period(const struct profile *profile, uint32_t measurement);
/* Whose code a function is, by where its file lies. drainer, tool */
enum profile_origin profile_origin(const struct profile *profile,
				   const struct profile_function *function);
/* A path without its directories. any */
const char *profile_base_name(const char *path);
/* "standard library". any */
const char *profile_origin_name(enum profile_origin origin);

#endif
