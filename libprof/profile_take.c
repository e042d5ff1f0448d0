/*
 * profile_take.c - the fold, fact by fact.
 *
 *   recording's id --(maker's map, per epoch)--> profile's id --(intern by content)--> one row
 *
 * Functions, frames and nodes that are equal are one, across epochs and recordings.  Samples are summed
 * in a hash table keyed (metric, thread, node, duration), whose slots point into the array that exporters
 * read; beside it by window, for the errors of those metrics that turn out to have windows.  The first
 * failure latches in the maker and ends the profile.
 *
 * Sums of a big profile are not in any cache, and samples come in no order: a few wait until all of them know where
 * their sums are, so that the memory of many is fetched at a time.
 */
#include "profile_take.h"

#include "heap.h"
#include "text.h"
#include "utf8.h"

#include <string.h>

#define FIRST_SLOTS 1024
#define SETTING_PREFIX "MONPROF_"
#define UNNAMED "[unnamed]"

static void take_head(void *self, const struct recording_summary *summary);
static void take_setting(void *self, const char *name, const char *value, const char *preset);
static void take_metric(void *self, uint32_t metric, const struct recording_metric *row);
static void take_epoch(void *self);
static void take_function(void *self, uint32_t id, const struct recording_function *function);
static void take_frame(void *self, uint32_t id, uint32_t function, uint32_t line);
static void take_node(void *self, uint32_t id, uint32_t parent, uint32_t frame);
static void take_thread(void *self, const struct recording_thread *thread);
static void take_mapping(void *self, const struct recording_mapping *mapping);
static void take_sample(void *self, const struct recording_sample *sample);
static uint32_t recent_thread(struct profile_maker *maker, uint32_t id);
static void settle(struct profile_maker *maker);
static void add_sample(struct profile_maker *maker, const struct pending_sample *pending);
static void take_note(void *self, const char *key, const char *value);
static void take_loss(void *self, const char *reason, const char *help, uint64_t count);
static void take_flushed(void *self, uint64_t time_ns);
static bool take_step(void *self, uint64_t done_bytes, uint64_t all_bytes);
static uint32_t find_metric(struct profile_maker *maker, const struct recording_metric *row);
static uint32_t find_thread(struct profile_maker *maker, uint32_t id);
static uint64_t hash_sample(const struct profile_sample *sample);
static uint64_t add_up(uint64_t a, uint64_t b);
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
	.node = take_node,
	.thread = take_thread,
	.mapping = take_mapping,
	.sample = take_sample,
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
	maker->size_count = 0;
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

	settle(maker);
	maker->function_map.count = 0;
	maker->frame_map.count = 0;
	maker->node_map.count = 0;
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
	struct profile *profile = maker->profile;
	struct profile_frame row = { 0, line };

	if (maker->error)
		return;
	row.function = maker->function_map.ids[function - 1];
	if (profile_put_pair(maker, &maker->frames, row.function, row.line, &id)) {
		if (!GROW(profile->frames, maker->frame_capacity, profile->frame_count)) {
			profile_fail(maker, no_memory);
			return;
		}
		profile->frames[profile->frame_count++] = row;
	}
	map_id(maker, &maker->frame_map, id);
}

static void take_node(void *self, uint32_t id, uint32_t parent, uint32_t frame)
{
	struct profile_maker *maker = self;
	struct profile *profile = maker->profile;
	struct profile_node row;

	if (maker->error)
		return;
	row.parent = parent ? maker->node_map.ids[parent - 1] : 0;
	row.frame = maker->frame_map.ids[frame - 1];
	if (profile_put_pair(maker, &maker->nodes, row.parent, row.frame, &id)) {
		if (!GROW(profile->nodes, maker->node_capacity, profile->node_count)) {
			profile_fail(maker, no_memory);
			return;
		}
		profile->nodes[profile->node_count++] = row;
	}
	map_id(maker, &maker->node_map, id);
}

static void take_thread(void *self, const struct recording_thread *thread)
{
	struct profile_maker *maker = self;
	uint32_t index = find_thread(maker, thread->id);
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

static void take_sample(void *self, const struct recording_sample *sample)
{
	struct profile_maker *maker = self;

	if (maker->error)
		return;
	if (sample->thread == RECORDING_THREAD_PROCESS && sample->node == 0) {
		settle(maker);
		profile_take_size(maker, sample);
		return;
	}
	maker->pending[maker->pending_count++] = (struct pending_sample){
		.key = {
			.metric = maker->metric_map.ids[sample->metric],
			.thread = recent_thread(maker, sample->thread),
			.node = sample->node,
			.duration = sample->duration,
		},
		.sample = *sample,
	};
	if (maker->pending_count == PROFILE_PENDING)
		settle(maker);
}

static uint32_t recent_thread(struct profile_maker *maker, uint32_t id)
{
	size_t at = id % PROFILE_RECENT;

	if (maker->recent[at].id != id) {
		maker->recent[at].index = find_thread(maker, id);
		maker->recent[at].id = id;
	}
	return maker->recent[at].index;
}

/* Three rounds, each of which asks for the memory that the next one reads. */
static void settle(struct profile_maker *maker)
{
	struct pending_sample *end = maker->pending + maker->pending_count;
	const struct profile *profile = maker->profile;
	size_t mask = maker->slot_count - 1;

	for (struct pending_sample *at = maker->pending; at < end; at++) {
		at->key.node = at->key.node ? maker->node_map.ids[at->key.node - 1] : 0;
		if (maker->slot_count > 0)
			__builtin_prefetch(&maker->slots[hash_sample(&at->key) & mask]);
	}
	for (struct pending_sample *at = maker->pending; at < end && maker->slot_count > 0; at++) {
		uint32_t slot = maker->slots[hash_sample(&at->key) & mask];

		if (slot != 0)
			__builtin_prefetch(&profile->samples[slot - 1]);
		if (at->key.node != 0)
			__builtin_prefetch(&profile->nodes[at->key.node - 1]);
	}
	for (struct pending_sample *at = maker->pending; at < end; at++)
		add_sample(maker, at);
	maker->pending_count = 0;
}

static void add_sample(struct profile_maker *maker, const struct pending_sample *pending)
{
	struct profile_sample *sum = maker->error ? NULL :
						    profile_find_sample(maker, &pending->key);

	if (!sum)
		return;
	sum->count++;
	sum->value = add_up(sum->value, pending->sample.value);
	if (maker->keeps_points)
		profile_take_point(maker, (size_t)(sum - maker->profile->samples),
				   &pending->sample);
	if (pending->key.node != 0)
		profile_observe(maker, &pending->key, &pending->sample);
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

/* Index of a thread of this recording. */
static uint32_t find_thread(struct profile_maker *maker, uint32_t id)
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

struct profile_sample *profile_find_sample(struct profile_maker *maker,
					   const struct profile_sample *key)
{
	struct profile *profile = maker->profile;
	size_t mask, i;

	if (profile->sample_count >= maker->slot_count / 2 &&
	    !profile_index_samples(maker, maker->slot_count ? maker->slot_count * 2 : FIRST_SLOTS))
		return NULL;
	mask = maker->slot_count - 1;
	for (i = hash_sample(key) & mask; maker->slots[i] != 0; i = (i + 1) & mask) {
		struct profile_sample *sample = &profile->samples[maker->slots[i] - 1];

		if (sample->node == key->node && sample->thread == key->thread &&
		    sample->metric == key->metric && sample->duration == key->duration)
			return sample;
	}
	if (!GROW(profile->samples, maker->sample_capacity, profile->sample_count)) {
		profile_fail(maker, no_memory);
		return NULL;
	}
	profile->samples[profile->sample_count++] = *key;
	maker->slots[i] = (uint32_t)profile->sample_count;
	return &profile->samples[profile->sample_count - 1];
}

static uint64_t hash_sample(const struct profile_sample *sample)
{
	uint64_t hash = (uint64_t)sample->thread << 32 | sample->node;

	hash ^= ((uint64_t)sample->metric << 8 | sample->duration) * 0xff51afd7ed558ccdu;
	hash *= 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 32;
}

bool profile_index_samples(struct profile_maker *maker, size_t count)
{
	struct profile *profile = maker->profile;
	uint32_t *slots = heap_zalloc(count * sizeof(*slots));

	if (!slots) {
		profile_fail(maker, no_memory);
		return false;
	}
	for (size_t s = 0; s < profile->sample_count; s++) {
		size_t i = hash_sample(&profile->samples[s]) & (count - 1);

		while (slots[i] != 0)
			i = (i + 1) & (count - 1);
		slots[i] = (uint32_t)s + 1;
	}
	heap_free(maker->slots);
	maker->slots = slots;
	maker->slot_count = count;
	return true;
}

/* Values are signed in every format that we write. */
static uint64_t add_up(uint64_t a, uint64_t b)
{
	return b > INT64_MAX - a ? INT64_MAX : a + b;
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
