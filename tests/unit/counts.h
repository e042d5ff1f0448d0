/*
 * counts.h - what a reading of a recording gave, counted; each hook checks what the reader promises.
 */
#ifndef COUNTS_H
#define COUNTS_H

#include "recordings.h"

/* What a reading gave, counted. */
struct counts {
	uint64_t heads, settings, metrics, epochs, functions, frames, nodes, threads, mappings,
		samples, value, notes, losses, flushes, places;
	uint32_t last_frame, last_mapping;
	uint64_t last_address;
	uint64_t lost_disk;
	uint32_t last_thread, last_metric, last_node, last_duration;
	uint64_t last_ns, flushed_ns;
	struct recording_summary summary;
	char python[32], note[64], setting[64], thread_name[32], function[64];
	uint64_t tid;
};

static void on_head(void *self, const struct recording_summary *summary)
{
	struct counts *counts = self;

	counts->heads++;
	counts->summary = *summary;
	snprintf(counts->python, sizeof(counts->python), "%s", summary->python);
}

static void on_setting(void *self, const char *name, const char *value, const char *preset)
{
	struct counts *counts = self;

	counts->settings++;
	if (strcmp(name, "CPU_HZ") == 0)
		snprintf(counts->setting, sizeof(counts->setting), "%s/%s", value, preset);
}

static void on_metric(void *self, uint32_t metric, const struct recording_metric *row)
{
	struct counts *counts = self;

	cr_assert_eq(metric, counts->metrics++);
	if (metric == 0)
		cr_assert_str_eq(row->collector, "cpu");
}

static void on_epoch(void *self)
{
	struct counts *counts = self;

	counts->epochs++;
	counts->functions = counts->frames = counts->nodes = 0;
}

static void on_function(void *self, uint32_t id, const struct recording_function *function)
{
	struct counts *counts = self;

	cr_assert_eq(id, ++counts->functions);
	cr_assert_eq(function->name[function->name_bytes], '\0');
	cr_assert_eq(function->module[function->module_bytes], '\0');
	cr_assert_eq(function->file[function->file_bytes], '\0');
	snprintf(counts->function, sizeof(counts->function), "%s", function->name);
}

static void on_frame(void *self, uint32_t id, uint32_t function, uint32_t line)
{
	struct counts *counts = self;

	(void)line;
	cr_assert_eq(id, ++counts->frames);
	cr_assert(function >= 1 && function <= counts->functions);
}

/* Nodes come after the places of their frames. */
static void on_place(void *self, uint32_t frame, uint32_t mapping, uint64_t address)
{
	struct counts *counts = self;

	counts->places++;
	cr_assert(frame >= 1 && frame <= counts->frames);
	cr_assert(mapping >= 1 && mapping <= counts->mappings);
	counts->last_frame = frame;
	counts->last_mapping = mapping;
	counts->last_address = address;
}

static void on_node(void *self, uint32_t id, uint32_t parent, uint32_t frame)
{
	struct counts *counts = self;

	cr_assert_eq(id, ++counts->nodes);
	cr_assert_lt(parent, id);
	cr_assert(frame >= 1 && frame <= counts->frames);
}

static void on_thread(void *self, const struct recording_thread *thread)
{
	struct counts *counts = self;

	counts->threads++;
	counts->tid = thread->tid;
	snprintf(counts->thread_name, sizeof(counts->thread_name), "%s", thread->name);
}

static void on_mapping(void *self, const struct recording_mapping *mapping)
{
	struct counts *counts = self;

	counts->mappings++;
	cr_assert_lt(mapping->start, mapping->end);
}

static void on_sample(void *self, const struct recording_sample *sample)
{
	struct counts *counts = self;

	counts->samples++;
	counts->value += sample->value;
	counts->last_thread = sample->thread;
	counts->last_metric = sample->metric;
	counts->last_node = sample->node;
	counts->last_ns = sample->time_ns;
	counts->last_duration = sample->duration;
	cr_assert_leq(sample->node, counts->nodes);
	cr_assert_lt(sample->metric, counts->metrics);
	cr_assert_gt(sample->thread, 0);
}

static void on_note(void *self, const char *key, const char *value)
{
	struct counts *counts = self;

	counts->notes++;
	snprintf(counts->note, sizeof(counts->note), "%s=%s", key, value);
}

static void on_loss(void *self, const char *reason, const char *help, uint64_t count)
{
	struct counts *counts = self;

	counts->losses++;
	cr_assert_gt(strlen(help), 0);
	if (strcmp(reason, "disk") == 0)
		counts->lost_disk = count;
}

static void on_flushed(void *self, uint64_t time_ns)
{
	struct counts *counts = self;

	counts->flushes++;
	counts->flushed_ns = time_ns;
}

static const struct recording_hooks hooks = {
	on_head,   on_setting, on_metric, on_epoch, on_function, on_frame,   on_place, on_node,
	on_thread, on_mapping, on_sample, on_note,  on_loss,	 on_flushed, NULL,
};

static UNUSED errmsg count(const void *bytes, size_t size, struct counts *counts, size_t *good)
{
	*counts = (struct counts){ 0 };
	return recording_read(bytes, size, &hooks, counts, good);
}

static UNUSED struct counts count_whole(const char *path)
{
	struct bytes all = slurp(path);
	struct counts counts;
	size_t good;

	cr_assert_null(count(all.bytes, all.size, &counts, &good));
	cr_assert_eq(good, all.size);
	return counts;
}

#endif
