/*
 * profile_take.h - what profile.c keeps while recordings are read, and the hooks that fill it.
 */
#ifndef PROFILE_TAKE_H
#define PROFILE_TAKE_H

#include "estimate.h"
#include "pairs.h"
#include "profile.h"
#include "wire.h"

struct id_map {
	uint32_t *ids; /* ids[recording's id - 1] */
	size_t count, capacity;
};

struct process_key {
	uint32_t process, id; /* id: a thread's, or a string */
};

struct place_key {
	uint64_t address;
	uint32_t mapping, function, line, none;
};

struct process_loss {
	uint32_t reason, help;
	uint64_t count;
};

#define PROFILE_PENDING 64
#define PROFILE_RECENT 64
#define PROFILE_STEP_ITEMS 16384

struct mapped_node {
	uint32_t id, function; /* the profile's, and its innermost function */
};

struct node_map {
	struct mapped_node *rows; /* rows[recording's id - 1] */
	size_t count, capacity;
	/* those that come next; parent: the recording's */
	struct profile_node pending[PROFILE_PENDING];
	size_t pending_count;
};

/* A sample on its way into its sum. */
struct pending_sample {
	struct profile_sample key; /* node: at first the recording's */
	uint64_t time_ns, value, hash;
	uint32_t observed; /* id; 0: of no stack */
};

struct sum_slot {
	uint32_t sum; /* index + 1 */
	uint32_t tag; /* of its hash */
};

/* What the windows of a recording say of a metric and an innermost function. */
struct observed {
	uint32_t metric, function;
	struct estimate estimate;
};

/* The same of a metric. */
struct observed_metric {
	struct estimate_sizes sizes;
	uint32_t *ids; /* of observed, by function - 1; 0: none yet */
	size_t id_capacity;
};

struct profile_maker {
	struct profile *profile;
	errmsg error;
	struct wire_buffer text; /* scratch */
	const char *path; /* of the file that is being read; NULL: none */

	/* content -> id */
	struct intern functions, places;
	struct pairs frames, nodes; /* (function, line) or (0, place), (parent, frame) */
	struct intern threads, notes, loss_keys; /* by process_key; index + 1 */
	size_t function_capacity, frame_capacity, node_capacity, process_capacity, thread_capacity,
		mapping_capacity, metric_capacity, sample_capacity, note_capacity;

	/* the recording that is being read */
	uint32_t process;
	size_t first_mapping; /* index of the one that it numbers 1 */
	struct id_map function_map, frame_map; /* of its epoch */
	struct node_map node_map; /* the same */
	struct id_map metric_map; /* by row + 1 */
	struct {
		uint32_t id, index; /* id 0: none */
	} recent[PROFILE_RECENT]; /* threads, each where its id's remainder says */
	struct observed *observed; /* by its id - 1 */
	struct observed_metric *metrics; /* by metric */
	size_t observed_count, observed_capacity, error_capacity;
	size_t metric_count, observed_metric_capacity;

	struct process_loss *losses;
	size_t loss_count, loss_capacity;

	struct sum_slot *slots; /* open addressing, 3/4 full at most */
	size_t slot_count;
	struct pending_sample pending[PROFILE_PENDING];
	size_t pending_count;

	bool keeps_points;
	size_t point_capacity;
};

/* recording_read's self is the maker. drainer, tool */
extern const struct recording_hooks profile_take_hooks;
/* A recording has been read: what its ids meant means nothing to the next one. drainer, tool */
void profile_take_end(struct profile_maker *maker);

/* profile_add_file through hooks that stand before the maker's. drainer, tool */
errmsg profile_add_through(struct profile *profile, const char *path,
			   const struct recording_hooks *hooks, void *self);

/* Makes room for one more item; false: no memory. */
#define GROW(array, capacity, count)                                                            \
	__extension__({                                                                         \
		void *items_ = (array);                                                         \
		bool grown_ =                                                                   \
			heap_grow(&items_, &(capacity), (size_t)(count) + 1, sizeof(*(array))); \
                                                                                                \
		(array) = items_;                                                               \
		grown_;                                                                         \
	})

/* Hooks of profile_nodes.c and profile_sums.c, and what makes everything of theirs known that still waits. drainer, tool */
void profile_take_node(void *self, uint32_t id, uint32_t parent, uint32_t frame);
void profile_settle_nodes(struct profile_maker *maker);
void profile_take_sample(void *self, const struct recording_sample *sample);
void profile_settle_samples(struct profile_maker *maker);

/* Helpers of these files. The first error stays. drainer, tool */
void profile_fail(struct profile_maker *maker, errmsg error);
/* Before each item of a long loop of finishing; false: stop, and that is the error. drainer, tool */
static inline bool profile_step(const struct profile *profile, size_t item)
{
	if (item % PROFILE_STEP_ITEMS != 0 || watch_step(&profile->watch, NULL, 0, 0))
		return true;
	profile_fail(profile->maker, WATCH_STOPPED);
	return false;
}
/* The id of a pair of ids; true: it is new. drainer, tool */
bool profile_put_pair(struct profile_maker *maker, struct pairs *pairs, uint32_t a, uint32_t b,
		      uint32_t *id);
/* Index of a thread of this recording, made if there is none. drainer, tool */
uint32_t profile_find_thread(struct profile_maker *maker, uint32_t id);
/* The sum of these four, made if there is none; NULL: no memory. drainer, tool */
struct profile_sample *profile_find_sample(struct profile_maker *maker,
					   const struct profile_sample *key);
/* The table of sums again, whatever order they are in now; false: no memory. drainer, tool */
bool profile_index_samples(struct profile_maker *maker, size_t slot_count);
/* The orders of a finished profile's samples and errors. drainer, tool */
int profile_compare_samples(const void *a, const void *b);
int profile_compare_errors(const void *a, const void *b);
/* One sample of a sum (index) as it was recorded; once the sums are sorted and scaled, all of them. drainer, tool */
void profile_take_point(struct profile_maker *maker, size_t sum,
			const struct pending_sample *sample);
errmsg profile_finish_points(struct profile *profile, const struct profile_sample *taken);
/* How much a window saw; what it counted; what follows from all. drainer, tool */
void profile_take_size(struct profile_maker *maker, const struct recording_sample *sample);
uint32_t profile_find_observed(struct profile_maker *maker, uint32_t metric, uint32_t function);
void profile_observe(struct profile_maker *maker, const struct pending_sample *sample);
void profile_take_errors(struct profile_maker *maker);
void profile_release_observed(struct profile_maker *maker);

#endif
