/*
 * profile_take.c - the fold, fact by fact.
 *
 *   recording's id --(maker's map, per epoch)--> profile's id --(intern by content)--> one row
 *
 * Functions, frames and nodes that are equal are one, across epochs and recordings: nodes in profile_nodes.c.  Samples
 * are summed by (metric, thread, node, duration) in profile_sums.c, and by window in profile_errors.c, for the errors of
 * those metrics that turn out to have windows.  The first failure latches in the maker and ends the profile.
 */
#include "profile_take.h"

#include "heap.h"
#include "text.h"
#include "utf8.h"

#include <string.h>

#define SETTING_PREFIX "MONPROF_"
#define UNNAMED "[unnamed]"

static void take_head(void *self, const struct recording_summary *summary);
static void take_setting(void *self, const char *name, const char *value, const char *preset);
static void take_metric(void *self, uint32_t metric, const struct recording_metric *row);
static void take_epoch(void *self);
static void take_function(void *self, uint32_t id, const struct recording_function *function);
static void take_frame(void *self, uint32_t id, uint32_t function, uint32_t line);
static uint32_t put_frame(struct profile_maker *maker, const struct profile_frame *row, uint32_t a,
			  uint32_t b);
static void take_place(void *self, uint32_t frame, uint32_t mapping, uint64_t address);
static void take_thread(void *self, const struct recording_thread *thread);
static void take_mapping(void *self, const struct recording_mapping *mapping);
static void take_note(void *self, const char *key, const char *value);
static void take_loss(void *self, const char *reason, const char *help, uint64_t count);
static void take_flushed(void *self, uint64_t time_ns);
static bool take_step(void *self, uint64_t done_bytes, uint64_t all_bytes);
static uint32_t find_metric(struct profile_maker *maker, const struct recording_metric *row);
static uint32_t put_text(struct profile_maker *maker, const char *text);
static uint32_t put_bytes(struct profile_maker *maker, const char *bytes, size_t size_bytes);
static uint32_t put_full_name(struct profile_maker *maker, uint32_t module, uint32_t name);
static uint32_t put_scratch(struct profile_maker *maker);
static void map_id(struct profile_maker *maker, struct id_map *map, uint32_t id);
static bool put_row(struct profile_maker *maker, struct intern *intern, const void *key,
		    size_t key_bytes, uint32_t *id);

const struct recording_hooks profile_take_hooks = {
	.head = take_head,
	.setting = take_setting,
	.metric = take_metric,
	.epoch = take_epoch,
	.function = take_function,
	.frame = take_frame,
	.place = take_place,
	.node = profile_take_node,
	.thread = take_thread,
	.mapping = take_mapping,
	.sample = profile_take_sample,
	.note = take_note,
	.loss = take_loss,
	.flushed = take_flushed,
	.step = take_step,
};

static const char no_memory[] = "no memory";

void profile_take_end(struct profile_maker *maker)
{
	take_epoch(maker);
	profile_take_errors(maker);
	maker->metric_map.count = 0;
	memset(maker->recent, 0, sizeof(maker->recent));
}

static void take_head(void *self, const struct recording_summary *summary)
{
	struct profile_maker *maker = self;
	struct profile *profile = maker->profile;

	for (size_t i = 0; i < profile->process_count; i++)
		if (profile->processes[i].session == summary->session &&
		    profile->processes[i].pid == summary->pid)
			profile_fail(maker, "the same recording was given twice");
	if (maker->error)
		return;
	if (!GROW(profile->processes, maker->process_capacity, profile->process_count)) {
		profile_fail(maker, no_memory);
		return;
	}
	maker->process = (uint32_t)profile->process_count;
	maker->first_mapping = profile->mapping_count;
	profile->processes[profile->process_count++] = (struct profile_process){
		.pid = summary->pid,
		.parent_pid = summary->parent_pid,
		.session = summary->session,
		.start_realtime_ns = summary->start_realtime_ns,
		.start_monotonic_ns = summary->start_monotonic_ns,
		.end_monotonic_ns = summary->start_monotonic_ns,
		.program = put_text(maker, summary->program),
		.python = put_text(maker, summary->python),
		.writer = put_text(maker, summary->writer),
	};
}

/* What the user changed is worth a remark; the defaults are in the manual. */
static void take_setting(void *self, const char *name, const char *value, const char *preset)
{
	struct profile_maker *maker = self;
	char key[64] = SETTING_PREFIX;
	size_t size_bytes = strlen(name) + 1;

	if (strcmp(value, preset) == 0 || size_bytes > sizeof(key) - strlen(key))
		return;
	memcpy(key + strlen(key), name, size_bytes);
	take_note(maker, key, value);
}

static void take_metric(void *self, uint32_t metric, const struct recording_metric *row)
{
	struct profile_maker *maker = self;
	uint32_t index;

	(void)metric;
	if (maker->error)
		return;
	index = find_metric(maker, row);
	map_id(maker, &maker->metric_map, index);
}

static void take_epoch(void *self)
{
	struct profile_maker *maker = self;

	profile_settle_samples(maker);
	maker->function_map.count = 0;
	maker->frame_map.count = 0;
	maker->node_map.count = maker->node_map.pending_count = 0;
}

static void take_function(void *self, uint32_t id, const struct recording_function *function)
{
	struct profile_maker *maker = self;
	struct profile *profile = maker->profile;
	struct profile_function row = {
		.module = put_bytes(maker, function->module, function->module_bytes),
		.name = put_bytes(maker, function->name, function->name_bytes),
		.file = put_bytes(maker, function->file, function->file_bytes),
		.first_line = function->first_line,
		.kind = function->kind,
	};

	(void)id;
	if (function->kind == RECORDING_MARKER)
		row.module = 0;
	if (put_row(maker, &maker->functions, &row, sizeof(row), &id)) {
		if (!GROW(profile->functions, maker->function_capacity, profile->function_count)) {
			profile_fail(maker, no_memory);
			return;
		}
		row.full = put_full_name(maker, row.module, row.name);
		profile->functions[profile->function_count++] = row;
	}
	map_id(maker, &maker->function_map, id);
}

static void take_frame(void *self, uint32_t id, uint32_t function, uint32_t line)
{
	struct profile_maker *maker = self;
	struct profile_frame row = { .line = line };

	if (maker->error)
		return;
	row.function = maker->function_map.ids[function - 1];
	id = put_frame(maker, &row, row.function, row.line);
	map_id(maker, &maker->frame_map, id);
}

/* The id of this content; 0: no memory. */
static uint32_t put_frame(struct profile_maker *maker, const struct profile_frame *row, uint32_t a,
			  uint32_t b)
{
	struct profile *profile = maker->profile;
	uint32_t id;

	if (profile_put_pair(maker, &maker->frames, a, b, &id)) {
		if (!GROW(profile->frames, maker->frame_capacity, profile->frame_count)) {
			profile_fail(maker, no_memory);
			return 0;
		}
		profile->frames[profile->frame_count++] = *row;
	}
	return id;
}

/* Of a frame that has come without it: from here on the frame is another one. */
static void take_place(void *self, uint32_t frame, uint32_t mapping, uint64_t address)
{
	struct profile_maker *maker = self;
	struct place_key key = { .address = address };
	struct profile_frame row;
	uint32_t place;

	if (maker->error)
		return;
	row = maker->profile->frames[maker->frame_map.ids[frame - 1] - 1];
	row.mapping = key.mapping = (uint32_t)maker->first_mapping + mapping;
	row.address = address;
	key.function = row.function;
	key.line = row.line;
	put_row(maker, &maker->places, &key, sizeof(key), &place);
	if (!maker->error)
		maker->frame_map.ids[frame - 1] = put_frame(maker, &row, 0, place);
}

static void take_thread(void *self, const struct recording_thread *thread)
{
	struct profile_maker *maker = self;
	uint32_t index = profile_find_thread(maker, thread->id);
	struct profile_thread *row;

	if (maker->error)
		return;
	row = &maker->profile->threads[index];
	row->tid = thread->tid;
	if (thread->name[0] != '\0')
		row->name = put_text(maker, thread->name);
}

static void take_mapping(void *self, const struct recording_mapping *mapping)
{
	struct profile_maker *maker = self;
	struct profile *profile = maker->profile;

	if (maker->error)
		return;
	if (!GROW(profile->mappings, maker->mapping_capacity, profile->mapping_count)) {
		profile_fail(maker, no_memory);
		return;
	}
	profile->mappings[profile->mapping_count++] = (struct profile_mapping){
		.process = maker->process,
		.start = mapping->start,
		.end = mapping->end,
		.offset = mapping->offset,
		.file = put_text(maker, mapping->file),
		.build_id = put_text(maker, mapping->build_id),
	};
}

static void take_note(void *self, const char *key, const char *value)
{
	struct profile_maker *maker = self;
	struct profile *profile = maker->profile;
	struct process_key note = { maker->process, put_text(maker, key) };
	uint32_t id;

	if (put_row(maker, &maker->notes, &note, sizeof(note), &id)) {
		if (!GROW(profile->notes, maker->note_capacity, profile->note_count)) {
			profile_fail(maker, no_memory);
			return;
		}
		profile->notes[profile->note_count++] =
			(struct profile_note){ .process = note.process, .key = note.id };
	}
	if (!maker->error)
		profile->notes[id - 1].value = put_text(maker, value);
}

static void take_loss(void *self, const char *reason, const char *help, uint64_t count)
{
	struct profile_maker *maker = self;
	struct process_key key = { maker->process, put_text(maker, reason) };
	uint32_t id;

	if (put_row(maker, &maker->loss_keys, &key, sizeof(key), &id)) {
		if (!GROW(maker->losses, maker->loss_capacity, maker->loss_count)) {
			profile_fail(maker, no_memory);
			return;
		}
		maker->losses[maker->loss_count++] =
			(struct process_loss){ key.id, put_text(maker, help), 0 };
	}
	if (!maker->error)
		maker->losses[id - 1].count = count;
}

static void take_flushed(void *self, uint64_t time_ns)
{
	struct profile_maker *maker = self;
	struct profile_process *process;

	if (maker->error)
		return;
	process = &maker->profile->processes[maker->process];
	if (time_ns > process->end_monotonic_ns)
		process->end_monotonic_ns = time_ns;
}

static bool take_step(void *self, uint64_t done_bytes, uint64_t all_bytes)
{
	struct profile_maker *maker = self;

	return watch_step(&maker->profile->watch, maker->path, done_bytes, all_bytes);
}

/* Index of the metric of this name, made if there is none. */
static uint32_t find_metric(struct profile_maker *maker, const struct recording_metric *row)
{
	struct profile *profile = maker->profile;
	struct profile_metric metric = {
		put_text(maker, row->collector),
		put_text(maker, row->name),
		put_text(maker, row->unit),
		put_text(maker, row->count_name),
	};

	for (size_t i = 0; i < profile->metric_count; i++)
		if (memcmp(&profile->metrics[i], &metric, sizeof(metric)) == 0)
			return (uint32_t)i;
	if (!GROW(profile->metrics, maker->metric_capacity, profile->metric_count)) {
		profile_fail(maker, no_memory);
		return 0;
	}
	profile->metrics[profile->metric_count] = metric;
	return (uint32_t)profile->metric_count++;
}

uint32_t profile_find_thread(struct profile_maker *maker, uint32_t id)
{
	struct profile *profile = maker->profile;
	struct process_key key = { maker->process, id };
	uint32_t row_id;

	if (put_row(maker, &maker->threads, &key, sizeof(key), &row_id)) {
		if (!GROW(profile->threads, maker->thread_capacity, profile->thread_count)) {
			profile_fail(maker, no_memory);
			return 0;
		}
		profile->threads[profile->thread_count++] =
			(struct profile_thread){ .process = maker->process };
	}
	return maker->error ? 0 : row_id - 1;
}

static uint32_t put_text(struct profile_maker *maker, const char *text)
{
	return put_bytes(maker, text, strlen(text));
}

static uint32_t put_bytes(struct profile_maker *maker, const char *bytes, size_t size_bytes)
{
	wire_clear(&maker->text);
	utf8_put(&maker->text, bytes, size_bytes);
	return put_scratch(maker);
}

static uint32_t put_full_name(struct profile_maker *maker, uint32_t module, uint32_t name)
{
	const char *module_text = profile_string(maker->profile, module);
	const char *name_text = profile_string(maker->profile, name);

	wire_clear(&maker->text);
	if (module_text[0] != '\0') {
		wire_put(&maker->text, module_text, strlen(module_text));
		wire_put(&maker->text, ".", 1);
	}
	if (name_text[0] == '\0')
		name_text = UNNAMED;
	wire_put(&maker->text, name_text, strlen(name_text));
	return put_scratch(maker);
}

static uint32_t put_scratch(struct profile_maker *maker)
{
	uint32_t id;

	if (maker->text.failed)
		profile_fail(maker, no_memory);
	if (maker->error || maker->text.size == 0)
		return 0;
	id = intern_put(&maker->profile->strings, maker->text.bytes, maker->text.size, NULL);
	if (id == 0)
		profile_fail(maker, no_memory);
	return id;
}

static void map_id(struct profile_maker *maker, struct id_map *map, uint32_t id)
{
	if (maker->error)
		return;
	if (!GROW(map->ids, map->capacity, map->count)) {
		profile_fail(maker, no_memory);
		return;
	}
	map->ids[map->count++] = id;
}

/* True: this is a new row, its id is the count of rows with it. */
static bool put_row(struct profile_maker *maker, struct intern *intern, const void *key,
		    size_t key_bytes, uint32_t *id)
{
	bool fresh = false;

	*id = maker->error ? 0 : intern_put(intern, key, key_bytes, &fresh);
	if (*id == 0)
		profile_fail(maker, no_memory);
	return fresh;
}

/* The same for a pair. */
bool profile_put_pair(struct profile_maker *maker, struct pairs *pairs, uint32_t a, uint32_t b,
		      uint32_t *id)
{
	bool fresh = false;

	*id = maker->error ? 0 : pairs_put(pairs, a, b, &fresh);
	if (*id == 0)
		profile_fail(maker, no_memory);
	return fresh;
}

void profile_fail(struct profile_maker *maker, errmsg error)
{
	if (!maker->error)
		maker->error = error;
}
