/*
 * json.c - the profile as it is, for jq and whoever has no reader of protobuf.
 *
 *   {"format": "monprof", "version": 1, ..., "functions": [...], "frames": [...], "nodes": [...], "samples": [...]}
 *
 * Tables refer to each other by index from 0, null is none.  A node has its parent and its frame, and comes after its
 * parent: a stack is read from its innermost node up.  Only what samples of the measurement need is there.
 * Every row is a line, so that a program may read the file as it comes.
 */
#include "exporter.h"

#include <string.h>

#define FORMAT_VERSION 1

struct json_file {
	const struct profile *profile;
	uint32_t measurement;
	struct sink *sink;
	bool *needed; /* nodes, by id - 1 */
	struct proto_ids nodes, frames, functions;
	uint32_t *metrics; /* number of each metric within the measurement */
	bool has_rows; /* in the table that is being written */
};

static void json_write(const struct profile *profile, uint32_t measurement,
		       const struct exporter_settings *settings, struct sink *sink);
static bool find_needed(struct json_file *json);
static void write_head(struct json_file *json);
static void write_processes(struct json_file *json);
static void write_notes(struct json_file *json, uint32_t process);
static void write_threads(struct json_file *json);
static void write_metrics(struct json_file *json);
static void write_functions(struct json_file *json);
static void write_frames(struct json_file *json);
static void write_nodes(struct json_file *json);
static void write_samples(struct json_file *json);
static void write_sample(struct json_file *json, const struct profile_sample *sample);
static void write_errors(struct json_file *json);
static void write_losses(struct json_file *json);
static bool is_measured(const struct json_file *json, uint32_t metric);
static void begin_table(struct json_file *json, const char *name);
static void begin_row(struct json_file *json);
static void put_text(struct json_file *json, const char *key, uint32_t string);
static void put_quoted(struct json_file *json, const char *text);
static void put_index(struct json_file *json, const char *key, uint32_t id);
static void put_number(struct json_file *json, const char *key, uint64_t number);
static void release(struct json_file *json);

const struct exporter_hooks json_exporter = { .write = json_write };

static void json_write(const struct profile *profile, uint32_t measurement,
		       const struct exporter_settings *settings, struct sink *sink)
{
	struct json_file json = { .profile = profile, .measurement = measurement, .sink = sink };

	(void)settings; /* frames have their lines anyway */
	if (find_needed(&json)) {
		write_head(&json);
		write_processes(&json);
		write_threads(&json);
		write_metrics(&json);
		write_functions(&json);
		write_frames(&json);
		write_nodes(&json);
		write_samples(&json);
		write_errors(&json);
		write_losses(&json);
		sink_puts(sink, "]}\n");
	} else {
		sink_fail(sink, "no memory");
	}
	release(&json);
}

/* A frame's function is first needed with the frame, so that both are in the order of nodes. */
static bool find_needed(struct json_file *json)
{
	const struct profile *profile = json->profile;

	json->needed = heap_zalloc(profile->node_count + 1);
	json->metrics = heap_zalloc((profile->metric_count + 1) * sizeof(*json->metrics));
	if (!json->needed || !json->metrics || !proto_ids_init(&json->nodes, profile->node_count) ||
	    !proto_ids_init(&json->frames, profile->frame_count) ||
	    !proto_ids_init(&json->functions, profile->function_count))
		return false;
	for (size_t i = 0; i < profile->sample_count; i++) {
		const struct profile_sample *sample = &profile->samples[i];
		uint32_t node = is_measured(json, sample->metric) ? sample->node : 0;

		for (; node != 0 && !json->needed[node - 1]; node = profile->nodes[node - 1].parent)
			json->needed[node - 1] = true;
	}
	for (uint32_t id = 1; id <= profile->node_count; id++) {
		if (!json->needed[id - 1])
			continue;
		proto_id(&json->nodes, id);
		proto_id(&json->frames, profile->nodes[id - 1].frame);
	}
	for (uint32_t i = 0; i < json->frames.count; i++)
		proto_id(&json->functions, profile->frames[json->frames.rows[i] - 1].function);
	return true;
}

static void write_head(struct json_file *json)
{
	const struct profile *profile = json->profile;

	sink_format(json->sink,
		    "{\"format\":\"monprof\",\"version\":%d,\"measurement\":", FORMAT_VERSION);
	put_quoted(json, profile_string(profile, json->measurement));
	sink_format(json->sink, ",\"cut\":%s", profile->cut ? "true" : "false");
	put_number(json, "duration_ns", summary_duration(profile));
}

static void write_processes(struct json_file *json)
{
	const struct profile *profile = json->profile;

	sink_puts(json->sink, ",\n\"processes\":[");
	json->has_rows = false;
	for (uint32_t i = 0; i < profile->process_count; i++) {
		const struct profile_process *row = &profile->processes[i];

		begin_row(json);
		sink_format(json->sink, "{\"pid\":%llu", (unsigned long long)row->pid);
		put_number(json, "parent_pid", row->parent_pid);
		sink_format(json->sink, ",\"session\":\"%016llx\"",
			    (unsigned long long)row->session);
		put_text(json, "program", row->program);
		put_text(json, "python", row->python);
		put_text(json, "writer", row->writer);
		put_number(json, "start_realtime_ns", row->start_realtime_ns);
		put_number(json, "duration_ns", row->end_monotonic_ns - row->start_monotonic_ns);
		write_notes(json, i);
		sink_puts(json->sink, "}");
	}
}

static void write_notes(struct json_file *json, uint32_t process)
{
	const struct profile *profile = json->profile;
	bool is_first = true;

	sink_puts(json->sink, ",\"notes\":{");
	for (size_t i = 0; i < profile->note_count; i++) {
		const struct profile_note *note = &profile->notes[i];

		if (note->process != process)
			continue;
		if (!is_first)
			sink_puts(json->sink, ",");
		is_first = false;
		put_quoted(json, profile_string(profile, note->key));
		sink_puts(json->sink, ":");
		put_quoted(json, profile_string(profile, note->value));
	}
	sink_puts(json->sink, "}");
}

static void write_threads(struct json_file *json)
{
	const struct profile *profile = json->profile;

	begin_table(json, "threads");
	for (size_t i = 0; i < profile->thread_count; i++) {
		begin_row(json);
		sink_format(json->sink, "{\"process\":%u", profile->threads[i].process);
		put_number(json, "tid", profile->threads[i].tid);
		put_text(json, "name", profile->threads[i].name);
		sink_puts(json->sink, "}");
	}
}

/* The first one is what viewers show. */
static void write_metrics(struct json_file *json)
{
	const struct profile *profile = json->profile;
	uint32_t count = 0;

	begin_table(json, "metrics");
	for (uint32_t i = 0; i < profile->metric_count; i++) {
		const struct profile_metric *metric = &profile->metrics[i];

		if (!is_measured(json, i))
			continue;
		json->metrics[i] = count++;
		begin_row(json);
		sink_puts(json->sink, "{\"name\":");
		put_quoted(json, profile_string(profile, metric->name));
		put_text(json, "unit", metric->unit);
		put_text(json, "count", metric->count_name);
		sink_puts(json->sink, "}");
	}
}

static void write_functions(struct json_file *json)
{
	static const char *const kinds[] = {
		[RECORDING_PYTHON] = "python",
		[RECORDING_MARKER] = "marker",
		[RECORDING_NATIVE] = "native",
	};
	const struct profile *profile = json->profile;

	begin_table(json, "functions");
	for (uint32_t i = 0; i < json->functions.count; i++) {
		const struct profile_function *row =
			&profile->functions[json->functions.rows[i] - 1];

		begin_row(json);
		sink_puts(json->sink, "{\"name\":");
		put_quoted(json, profile_string(profile, row->full));
		put_text(json, "module", row->module);
		put_text(json, "qualname", row->name);
		put_text(json, "file", row->file);
		put_number(json, "line", row->first_line);
		sink_format(json->sink, ",\"kind\":\"%s\"}", kinds[row->kind]);
	}
}

static void write_frames(struct json_file *json)
{
	begin_table(json, "frames");
	for (uint32_t i = 0; i < json->frames.count; i++) {
		const struct profile_frame *row = &json->profile->frames[json->frames.rows[i] - 1];

		begin_row(json);
		sink_format(json->sink, "{\"function\":%u",
			    proto_id(&json->functions, row->function) - 1);
		put_number(json, "line", row->line);
		sink_puts(json->sink, "}");
	}
}

static void write_nodes(struct json_file *json)
{
	begin_table(json, "nodes");
	for (uint32_t i = 0; i < json->nodes.count; i++) {
		const struct profile_node *row = &json->profile->nodes[json->nodes.rows[i] - 1];

		begin_row(json);
		sink_format(json->sink, "{\"frame\":%u", proto_id(&json->frames, row->frame) - 1);
		put_index(json, "parent", row->parent ? proto_id(&json->nodes, row->parent) : 0);
		sink_puts(json->sink, "}");
	}
}

static void write_samples(struct json_file *json)
{
	const struct profile *profile = json->profile;

	begin_table(json, "samples");
	for (size_t i = 0; i < profile->sample_count; i++)
		if (is_measured(json, profile->samples[i].metric))
			write_sample(json, &profile->samples[i]);
}

static void write_sample(struct json_file *json, const struct profile_sample *sample)
{
	begin_row(json);
	sink_format(json->sink, "{\"metric\":%u,\"thread\":%u", json->metrics[sample->metric],
		    sample->thread);
	put_index(json, "node", sample->node ? proto_id(&json->nodes, sample->node) : 0);
	put_number(json, "value", sample->value);
	put_number(json, "count", sample->count);
	if (sample->duration != 0)
		put_number(json, "duration_least_ns", (uint64_t)1 << (sample->duration - 1));
	sink_puts(json->sink, "}");
}

/* Of a function that no stack has there is nothing to say. */
static void write_errors(struct json_file *json)
{
	const struct profile *profile = json->profile;

	begin_table(json, "errors");
	for (size_t i = 0; i < profile->error_count; i++) {
		const struct profile_error *row = &profile->errors[i];

		if (!is_measured(json, row->metric) || json->functions.ids[row->function - 1] == 0)
			continue;
		begin_row(json);
		sink_format(json->sink, "{\"metric\":%u,\"process\":%u,\"function\":%u",
			    json->metrics[row->metric], row->process,
			    proto_id(&json->functions, row->function) - 1);
		put_number(json, "error", estimate_up(row->error));
		sink_puts(json->sink, "}");
	}
}

static void write_losses(struct json_file *json)
{
	const struct profile *profile = json->profile;

	begin_table(json, "losses");
	for (size_t i = 0; i < profile->loss_count; i++) {
		begin_row(json);
		sink_format(json->sink, "{\"count\":%llu",
			    (unsigned long long)profile->losses[i].count);
		put_text(json, "reason", profile->losses[i].reason);
		put_text(json, "help", profile->losses[i].help);
		sink_puts(json->sink, "}");
	}
}

static bool is_measured(const struct json_file *json, uint32_t metric)
{
	return json->profile->metrics[metric].collector == json->measurement;
}

/* After the end of the one before. */
static void begin_table(struct json_file *json, const char *name)
{
	sink_format(json->sink, "],\n\"%s\":[", name);
	json->has_rows = false;
}

static void begin_row(struct json_file *json)
{
	sink_puts(json->sink, json->has_rows ? ",\n" : "\n");
	json->has_rows = true;
}

static void put_text(struct json_file *json, const char *key, uint32_t string)
{
	sink_format(json->sink, ",\"%s\":", key);
	put_quoted(json, profile_string(json->profile, string));
}

static void put_quoted(struct json_file *json, const char *text)
{
	json_quote(json->sink, text, strlen(text));
}

static void put_index(struct json_file *json, const char *key, uint32_t id)
{
	if (id != 0)
		sink_format(json->sink, ",\"%s\":%u", key, id - 1);
	else
		sink_format(json->sink, ",\"%s\":null", key);
}

static void put_number(struct json_file *json, const char *key, uint64_t number)
{
	sink_format(json->sink, ",\"%s\":%llu", key, (unsigned long long)number);
}

static void release(struct json_file *json)
{
	heap_free(json->needed);
	heap_free(json->metrics);
	proto_ids_release(&json->nodes);
	proto_ids_release(&json->frames);
	proto_ids_release(&json->functions);
}
