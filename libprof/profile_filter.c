/*
 * profile_filter.c - the hooks that stand before those of the fold.
 *
 * A thread may get its name after its samples: where threads are asked for, all of the recording is read for them
 * first.  What the functions of a stack are marked with is known of each node of the profile: its parent's marks, but
 * for the origin, and its own function's.
 */
#include "profile_filter.h"

#include "heap.h"
#include "pairs.h"
#include "profile_take.h"

#include <string.h>

struct filter_thread {
	uint64_t tid;
	uint32_t name; /* string of `names` */
	enum { THREAD_UNKNOWN, THREAD_KEPT, THREAD_LEFT_OUT } state;
};

#define MARKS_KNOWN 0x80

/* One recording. */
struct filter_reading {
	const struct profile_filter *filter;
	struct profile_maker *maker;
	const char *path;
	bool is_left_out, failed;
	uint64_t start_ns; /* CLOCK_MONOTONIC */
	struct pairs ids; /* (a thread's id, 0) */
	struct filter_thread *threads; /* by its id there - 1 */
	size_t thread_capacity;
	struct intern names;
	uint8_t *functions; /* marks by id - 1, MARKS_KNOWN among them, or 0 */
	uint8_t *nodes; /* marks by id - 1 */
	size_t function_count, function_capacity, node_count, node_capacity;
};

static void learn_thread(void *self, const struct recording_thread *thread);
static bool learn_step(void *self, uint64_t done_bytes, uint64_t all_bytes);
static struct filter_thread *find_thread(struct filter_reading *reading, uint32_t id);
static void pass_head(void *self, const struct recording_summary *summary);
static uint64_t later(uint64_t time_ns, uint64_t by_ns);
static void pass_setting(void *self, const char *name, const char *value, const char *preset);
static void pass_metric(void *self, uint32_t metric, const struct recording_metric *row);
static void pass_epoch(void *self);
static void pass_function(void *self, uint32_t id, const struct recording_function *function);
static void pass_frame(void *self, uint32_t id, uint32_t function, uint32_t line);
static void pass_place(void *self, uint32_t frame, uint32_t mapping, uint64_t address);
static void pass_node(void *self, uint32_t id, uint32_t parent, uint32_t frame);
static void pass_thread(void *self, const struct recording_thread *thread);
static void pass_mapping(void *self, const struct recording_mapping *mapping);
static void pass_sample(void *self, const struct recording_sample *sample);
static bool is_kept(struct filter_reading *reading, const struct recording_sample *sample);
static bool is_thread_kept(struct filter_reading *reading, uint32_t id);
static bool is_stack_kept(struct filter_reading *reading, uint32_t node);
static bool mark_next_node(struct filter_reading *reading);
static uint8_t marks_of(struct filter_reading *reading, uint32_t function);
static void pass_note(void *self, const char *key, const char *value);
static void pass_loss(void *self, const char *reason, const char *help, uint64_t count);
static void pass_flushed(void *self, uint64_t time_ns);
static bool pass_step(void *self, uint64_t done_bytes, uint64_t all_bytes);

static const struct recording_hooks learn_hooks = { .thread = learn_thread, .step = learn_step };
static const struct recording_hooks pass_hooks = {
	.head = pass_head,
	.setting = pass_setting,
	.metric = pass_metric,
	.epoch = pass_epoch,
	.function = pass_function,
	.frame = pass_frame,
	.place = pass_place,
	.node = pass_node,
	.thread = pass_thread,
	.mapping = pass_mapping,
	.sample = pass_sample,
	.note = pass_note,
	.loss = pass_loss,
	.flushed = pass_flushed,
	.step = pass_step,
};

errmsg profile_add_filtered(struct profile *profile, const char *path,
			    const struct profile_filter *filter)
{
	struct filter_reading reading = { .filter = filter, .maker = profile->maker, .path = path };
	bool is_cut = false;
	errmsg error = NULL;

	if (filter->thread)
		error = recording_read_file(path, &learn_hooks, &reading, &is_cut);
	if (!error)
		error = profile_add_through(profile, path, &pass_hooks, &reading);
	if (!error && reading.failed)
		error = "no memory";
	pairs_release(&reading.ids);
	intern_release(&reading.names);
	heap_free(reading.threads);
	heap_free(reading.functions);
	heap_free(reading.nodes);
	return error;
}

/* The last name that is one holds, as in the fold. */
static void learn_thread(void *self, const struct recording_thread *thread)
{
	struct filter_reading *reading = self;
	struct filter_thread *row = find_thread(reading, thread->id);
	size_t name_bytes = strlen(thread->name);

	if (!row)
		return;
	row->tid = thread->tid;
	if (name_bytes == 0)
		return;
	row->name = intern_put(&reading->names, thread->name, name_bytes, NULL);
	reading->failed |= row->name == 0;
}

/* The first of two readings. */
static bool learn_step(void *self, uint64_t done_bytes, uint64_t all_bytes)
{
	struct filter_reading *reading = self;

	return watch_step(&reading->maker->profile->watch, reading->path, done_bytes,
			  2 * all_bytes);
}

/* NULL: no memory. */
static struct filter_thread *find_thread(struct filter_reading *reading, uint32_t id)
{
	bool is_fresh = false;
	uint32_t row = pairs_put(&reading->ids, id, 0, &is_fresh);

	if (row == 0 || (is_fresh && !GROW(reading->threads, reading->thread_capacity, row - 1))) {
		reading->failed = true;
		return NULL;
	}
	if (is_fresh)
		reading->threads[row - 1] = (struct filter_thread){ 0 };
	return &reading->threads[row - 1];
}

/* The part is a run of its own: it begins and ends where it was cut. */
static void pass_head(void *self, const struct recording_summary *summary)
{
	struct filter_reading *reading = self;
	const struct profile_filter *filter = reading->filter;
	struct recording_summary part = *summary;

	reading->is_left_out = filter->process && !filter->process(filter->self, summary->pid);
	if (reading->is_left_out)
		return;
	reading->start_ns = summary->start_monotonic_ns;
	part.start_monotonic_ns = later(part.start_monotonic_ns, filter->from_ns);
	part.start_realtime_ns = later(part.start_realtime_ns, filter->from_ns);
	profile_take_hooks.head(reading->maker, &part);
	profile_take_hooks.note(reading->maker, "filter", filter->note);
}

static uint64_t later(uint64_t time_ns, uint64_t by_ns)
{
	return by_ns > UINT64_MAX - time_ns ? UINT64_MAX : time_ns + by_ns;
}

static void pass_setting(void *self, const char *name, const char *value, const char *preset)
{
	struct filter_reading *reading = self;

	if (!reading->is_left_out)
		profile_take_hooks.setting(reading->maker, name, value, preset);
}

static void pass_metric(void *self, uint32_t metric, const struct recording_metric *row)
{
	struct filter_reading *reading = self;

	if (!reading->is_left_out)
		profile_take_hooks.metric(reading->maker, metric, row);
}

static void pass_epoch(void *self)
{
	struct filter_reading *reading = self;

	if (!reading->is_left_out)
		profile_take_hooks.epoch(reading->maker);
}

static void pass_function(void *self, uint32_t id, const struct recording_function *function)
{
	struct filter_reading *reading = self;

	if (!reading->is_left_out)
		profile_take_hooks.function(reading->maker, id, function);
}

static void pass_frame(void *self, uint32_t id, uint32_t function, uint32_t line)
{
	struct filter_reading *reading = self;

	if (!reading->is_left_out)
		profile_take_hooks.frame(reading->maker, id, function, line);
}

static void pass_place(void *self, uint32_t frame, uint32_t mapping, uint64_t address)
{
	struct filter_reading *reading = self;

	if (!reading->is_left_out)
		profile_take_hooks.place(reading->maker, frame, mapping, address);
}

static void pass_node(void *self, uint32_t id, uint32_t parent, uint32_t frame)
{
	struct filter_reading *reading = self;

	if (!reading->is_left_out)
		profile_take_hooks.node(reading->maker, id, parent, frame);
}

static void pass_thread(void *self, const struct recording_thread *thread)
{
	struct filter_reading *reading = self;

	if (!reading->is_left_out && is_thread_kept(reading, thread->id))
		profile_take_hooks.thread(reading->maker, thread);
}

static void pass_mapping(void *self, const struct recording_mapping *mapping)
{
	struct filter_reading *reading = self;

	if (!reading->is_left_out)
		profile_take_hooks.mapping(reading->maker, mapping);
}

static void pass_sample(void *self, const struct recording_sample *sample)
{
	struct filter_reading *reading = self;

	if (!reading->is_left_out && is_kept(reading, sample))
		profile_take_hooks.sample(reading->maker, sample);
}

/* How much a window saw is no sample: it is what all windows are weighed by. */
static bool is_kept(struct filter_reading *reading, const struct recording_sample *sample)
{
	uint64_t since_start_ns =
		sample->time_ns > reading->start_ns ? sample->time_ns - reading->start_ns : 0;

	if (sample->thread == RECORDING_THREAD_PROCESS && sample->node == 0)
		return true;
	return since_start_ns >= reading->filter->from_ns &&
	       since_start_ns < reading->filter->to_ns && is_thread_kept(reading, sample->thread) &&
	       is_stack_kept(reading, sample->node);
}

static bool is_thread_kept(struct filter_reading *reading, uint32_t id)
{
	const struct profile_filter *filter = reading->filter;
	struct filter_thread *thread = filter->thread ? find_thread(reading, id) : NULL;
	const char *name;

	if (!thread)
		return !filter->thread;
	if (thread->state == THREAD_UNKNOWN) {
		name = intern_get(&reading->names, thread->name, NULL);
		thread->state = filter->thread(filter->self, thread->tid, name ? name : "") ?
					THREAD_KEPT :
					THREAD_LEFT_OUT;
	}
	return thread->state == THREAD_KEPT;
}

/* `node` is the recording's. */
static bool is_stack_kept(struct filter_reading *reading, uint32_t node)
{
	const struct profile_filter *filter = reading->filter;
	uint32_t id;

	if (!filter->function)
		return true;
	if (node == 0)
		return filter->needed == 0;
	profile_settle_nodes(reading->maker);
	if (reading->maker->error)
		return true;
	id = reading->maker->node_map.rows[node - 1].id;
	while (reading->node_count < id)
		if (!mark_next_node(reading))
			return false;
	return !(reading->nodes[id - 1] & PROFILE_IGNORED) &&
	       (reading->nodes[id - 1] & filter->needed) == filter->needed;
}

/* Parents come first. False: no memory. */
static bool mark_next_node(struct filter_reading *reading)
{
	const struct profile *profile = reading->maker->profile;
	const struct profile_node *node = &profile->nodes[reading->node_count];
	uint8_t marks = marks_of(reading, profile->frames[node->frame - 1].function);

	if (!GROW(reading->nodes, reading->node_capacity, reading->node_count))
		reading->failed = true;
	if (reading->failed)
		return false;
	if (node->parent != 0)
		marks |= reading->nodes[node->parent - 1] & (uint8_t)~PROFILE_OF_ORIGIN;
	reading->nodes[reading->node_count++] = marks;
	return true;
}

/* Each function is asked about once. */
static uint8_t marks_of(struct filter_reading *reading, uint32_t function)
{
	const struct profile_filter *filter = reading->filter;
	const struct profile *profile = reading->maker->profile;

	while (reading->function_count < function) {
		if (!GROW(reading->functions, reading->function_capacity,
			  reading->function_count)) {
			reading->failed = true;
			return 0;
		}
		reading->functions[reading->function_count++] = 0;
	}
	if (reading->functions[function - 1] == 0)
		reading->functions[function - 1] =
			(uint8_t)(filter->function(filter->self, profile,
						   &profile->functions[function - 1]) |
				  MARKS_KNOWN);
	return reading->functions[function - 1];
}

static void pass_note(void *self, const char *key, const char *value)
{
	struct filter_reading *reading = self;

	if (!reading->is_left_out)
		profile_take_hooks.note(reading->maker, key, value);
}

static void pass_loss(void *self, const char *reason, const char *help, uint64_t count)
{
	struct filter_reading *reading = self;

	if (!reading->is_left_out)
		profile_take_hooks.loss(reading->maker, reason, help, count);
}

static void pass_flushed(void *self, uint64_t time_ns)
{
	struct filter_reading *reading = self;
	uint64_t end_ns = later(reading->start_ns, reading->filter->to_ns);

	if (!reading->is_left_out)
		profile_take_hooks.flushed(reading->maker, time_ns < end_ns ? time_ns : end_ns);
}

static bool pass_step(void *self, uint64_t done_bytes, uint64_t all_bytes)
{
	struct filter_reading *reading = self;
	uint64_t before_bytes = reading->filter->thread ? all_bytes : 0;

	return watch_step(&reading->maker->profile->watch, reading->path, before_bytes + done_bytes,
			  before_bytes + all_bytes);
}
