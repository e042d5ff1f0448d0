/*
 * json.c - the profile as it is, for jq and whoever has no reader of protobuf.
 *
 *   {"format": "monprof", "version": 1, ..., "functions": [...], "frames": [...], "nodes": [...], "samples": [...]}
 *
 * Tables refer to each other by index from 0, null is none.  A node has its parent and its frame, and comes after its
 * parent: a stack is read from its innermost node up.  A frame of native code has its address in a mapping.  Only what
 * samples of the measurement need is there.
 * Every row is a line, so that a program may read the file as it comes.
 */
#include "exporter.h"

#include <string.h>

#define FORMAT_VERSION 1

struct tables {
	const struct profile *profile;
	uint32_t measurement;
	struct json json;
	bool *needed; /* nodes, by id - 1 */
	struct proto_ids nodes, frames, functions, mappings;
	uint32_t *metrics; /* number of each metric within the measurement */
};

static void json_write(const struct profile *profile, uint32_t measurement,
		       const struct exporter_settings *settings, struct sink *sink);
static bool find_needed(struct tables *tables);
static void write_head(struct tables *tables);
static void write_processes(struct tables *tables);
static void write_notes(struct tables *tables, uint32_t process);
static void write_threads(struct tables *tables);
static void write_metrics(struct tables *tables);
static void write_mappings(struct tables *tables);
static void write_functions(struct tables *tables);
static void write_frames(struct tables *tables);
static void write_nodes(struct tables *tables);
static void write_samples(struct tables *tables);
static void write_sample(struct tables *tables, const struct profile_sample *sample);
static void write_errors(struct tables *tables);
static void write_losses(struct tables *tables);
static bool is_measured(const struct tables *tables, uint32_t metric);
static struct json *begin_table(struct tables *tables, const char *name);
static void begin_row(struct json *json);
static void put_string(struct tables *tables, const char *key, uint32_t string);
static void put_index(struct json *json, const char *key, uint32_t id);
static void release(struct tables *tables);

const struct exporter_hooks json_exporter = { .write = json_write };

static void json_write(const struct profile *profile, uint32_t measurement,
		       const struct exporter_settings *settings, struct sink *sink)
{
	struct tables tables = {
		.profile = profile,
		.measurement = measurement,
		.json.sink = sink,
	};

	(void)settings; /* frames have their lines anyway */
	if (find_needed(&tables)) {
		json_begin(&tables.json, '{');
		write_head(&tables);
		write_processes(&tables);
		write_threads(&tables);
		write_metrics(&tables);
		write_mappings(&tables);
		write_functions(&tables);
		write_frames(&tables);
		write_nodes(&tables);
		write_samples(&tables);
		write_errors(&tables);
		write_losses(&tables);
		json_end(&tables.json, '}');
		sink_puts(sink, "\n");
	} else {
		sink_fail(sink, "no memory");
	}
	release(&tables);
}

/* A frame's function is first needed with the frame, so that both are in the order of nodes. */
static bool find_needed(struct tables *tables)
{
	const struct profile *profile = tables->profile;

	tables->needed = heap_zalloc(profile->node_count + 1);
	tables->metrics = heap_zalloc((profile->metric_count + 1) * sizeof(*tables->metrics));
	if (!tables->needed || !tables->metrics ||
	    !proto_ids_init(&tables->nodes, profile->node_count) ||
	    !proto_ids_init(&tables->frames, profile->frame_count) ||
	    !proto_ids_init(&tables->functions, profile->function_count) ||
	    !proto_ids_init(&tables->mappings, profile->mapping_count))
		return false;
	for (size_t i = 0; i < profile->sample_count; i++) {
		const struct profile_sample *sample = &profile->samples[i];
		uint32_t node = is_measured(tables, sample->metric) ? sample->node : 0;

		for (; node != 0 && !tables->needed[node - 1];
		     node = profile->nodes[node - 1].parent)
			tables->needed[node - 1] = true;
	}
	for (uint32_t id = 1; id <= profile->node_count; id++) {
		if (!tables->needed[id - 1])
			continue;
		proto_id(&tables->nodes, id);
		proto_id(&tables->frames, profile->nodes[id - 1].frame);
	}
	for (uint32_t i = 0; i < tables->frames.count; i++) {
		const struct profile_frame *row = &profile->frames[tables->frames.rows[i] - 1];

		proto_id(&tables->functions, row->function);
		if (row->mapping)
			proto_id(&tables->mappings, row->mapping);
	}
	return true;
}

static void write_head(struct tables *tables)
{
	const struct profile *profile = tables->profile;
	struct json *json = &tables->json;

	json_put_text(json, "format", "monprof");
	json_put_number(json, "version", FORMAT_VERSION);
	put_string(tables, "measurement", tables->measurement);
	json_put_word(json, "cut", profile->cut ? "true" : "false");
	json_put_number(json, "duration_ns", summary_duration(profile));
}

static void write_processes(struct tables *tables)
{
	const struct profile *profile = tables->profile;
	struct json *json = begin_table(tables, "processes");

	for (uint32_t i = 0; i < profile->process_count; i++) {
		const struct profile_process *row = &profile->processes[i];
		char session[24];

		log_format(session, sizeof(session), "%016llx", (unsigned long long)row->session);
		begin_row(json);
		json_put_number(json, "pid", row->pid);
		json_put_number(json, "parent_pid", row->parent_pid);
		json_put_text(json, "session", session);
		put_string(tables, "program", row->program);
		put_string(tables, "python", row->python);
		put_string(tables, "writer", row->writer);
		json_put_number(json, "start_realtime_ns", row->start_realtime_ns);
		json_put_number(json, "duration_ns",
				row->end_monotonic_ns - row->start_monotonic_ns);
		write_notes(tables, i);
		json_end(json, '}');
	}
	json_end(json, ']');
}

static void write_notes(struct tables *tables, uint32_t process)
{
	const struct profile *profile = tables->profile;
	struct json *json = &tables->json;

	json_key(json, "notes");
	json_begin(json, '{');
	for (size_t i = 0; i < profile->note_count; i++) {
		const struct profile_note *note = &profile->notes[i];

		if (note->process == process)
			put_string(tables, profile_string(profile, note->key), note->value);
	}
	json_end(json, '}');
}

static void write_threads(struct tables *tables)
{
	const struct profile *profile = tables->profile;
	struct json *json = begin_table(tables, "threads");

	for (size_t i = 0; i < profile->thread_count; i++) {
		begin_row(json);
		json_put_number(json, "process", profile->threads[i].process);
		json_put_number(json, "tid", profile->threads[i].tid);
		put_string(tables, "name", profile->threads[i].name);
		json_end(json, '}');
	}
	json_end(json, ']');
}

/* The first one is what viewers show. */
static void write_metrics(struct tables *tables)
{
	const struct profile *profile = tables->profile;
	struct json *json = begin_table(tables, "metrics");
	uint32_t count = 0;

	for (uint32_t i = 0; i < profile->metric_count; i++) {
		const struct profile_metric *metric = &profile->metrics[i];

		if (!is_measured(tables, i))
			continue;
		tables->metrics[i] = count++;
		begin_row(json);
		put_string(tables, "name", metric->name);
		put_string(tables, "unit", metric->unit);
		put_string(tables, "count", metric->count_name);
		json_end(json, '}');
	}
	json_end(json, ']');
}

static void write_mappings(struct tables *tables)
{
	const struct profile *profile = tables->profile;
	struct json *json = begin_table(tables, "mappings");

	for (uint32_t i = 0; i < tables->mappings.count; i++) {
		const struct profile_mapping *row =
			&profile->mappings[tables->mappings.rows[i] - 1];

		begin_row(json);
		json_put_number(json, "process", row->process);
		json_put_number(json, "start", row->start);
		json_put_number(json, "end", row->end);
		json_put_number(json, "offset", row->offset);
		put_string(tables, "file", row->file);
		put_string(tables, "build_id", row->build_id);
		json_end(json, '}');
	}
	json_end(json, ']');
}

static void write_functions(struct tables *tables)
{
	static const char *const kinds[] = {
		[RECORDING_PYTHON] = "python",
		[RECORDING_MARKER] = "marker",
		[RECORDING_NATIVE] = "native",
	};
	const struct profile *profile = tables->profile;
	struct json *json = begin_table(tables, "functions");

	for (uint32_t i = 0; i < tables->functions.count; i++) {
		const struct profile_function *row =
			&profile->functions[tables->functions.rows[i] - 1];

		begin_row(json);
		put_string(tables, "name", row->full);
		put_string(tables, "module", row->module);
		put_string(tables, "qualname", row->name);
		put_string(tables, "file", row->file);
		json_put_number(json, "line", row->first_line);
		json_put_text(json, "kind", kinds[row->kind]);
		json_end(json, '}');
	}
	json_end(json, ']');
}

static void write_frames(struct tables *tables)
{
	struct json *json = begin_table(tables, "frames");

	for (uint32_t i = 0; i < tables->frames.count; i++) {
		const struct profile_frame *row =
			&tables->profile->frames[tables->frames.rows[i] - 1];

		begin_row(json);
		json_put_number(json, "function", proto_id(&tables->functions, row->function) - 1);
		json_put_number(json, "line", row->line);
		if (row->mapping) {
			json_put_number(json, "mapping",
					proto_id(&tables->mappings, row->mapping) - 1);
			json_put_number(json, "address", row->address);
		}
		json_end(json, '}');
	}
	json_end(json, ']');
}

static void write_nodes(struct tables *tables)
{
	struct json *json = begin_table(tables, "nodes");

	for (uint32_t i = 0; i < tables->nodes.count; i++) {
		const struct profile_node *row = &tables->profile->nodes[tables->nodes.rows[i] - 1];

		begin_row(json);
		json_put_number(json, "frame", proto_id(&tables->frames, row->frame) - 1);
		put_index(json, "parent", row->parent ? proto_id(&tables->nodes, row->parent) : 0);
		json_end(json, '}');
	}
	json_end(json, ']');
}

static void write_samples(struct tables *tables)
{
	const struct profile *profile = tables->profile;
	struct json *json = begin_table(tables, "samples");

	for (size_t i = 0; i < profile->sample_count; i++)
		if (is_measured(tables, profile->samples[i].metric))
			write_sample(tables, &profile->samples[i]);
	json_end(json, ']');
}

static void write_sample(struct tables *tables, const struct profile_sample *sample)
{
	struct json *json = &tables->json;

	begin_row(json);
	json_put_number(json, "metric", tables->metrics[sample->metric]);
	json_put_number(json, "thread", sample->thread);
	put_index(json, "node", sample->node ? proto_id(&tables->nodes, sample->node) : 0);
	json_put_number(json, "value", sample->value);
	json_put_number(json, "count", sample->count);
	if (sample->duration != 0)
		json_put_number(json, "duration_least_ns", (uint64_t)1 << (sample->duration - 1));
	json_end(json, '}');
}

/* Of a function that no stack has there is nothing to say. */
static void write_errors(struct tables *tables)
{
	const struct profile *profile = tables->profile;
	struct json *json = begin_table(tables, "errors");

	for (size_t i = 0; i < profile->error_count; i++) {
		const struct profile_error *row = &profile->errors[i];

		if (!is_measured(tables, row->metric) ||
		    tables->functions.ids[row->function - 1] == 0)
			continue;
		begin_row(json);
		json_put_number(json, "metric", tables->metrics[row->metric]);
		json_put_number(json, "process", row->process);
		json_put_number(json, "function", proto_id(&tables->functions, row->function) - 1);
		json_put_number(json, "error", estimate_up(row->error));
		json_end(json, '}');
	}
	json_end(json, ']');
}

static void write_losses(struct tables *tables)
{
	const struct profile *profile = tables->profile;
	struct json *json = begin_table(tables, "losses");

	for (size_t i = 0; i < profile->loss_count; i++) {
		begin_row(json);
		json_put_number(json, "count", profile->losses[i].count);
		put_string(tables, "reason", profile->losses[i].reason);
		put_string(tables, "help", profile->losses[i].help);
		json_end(json, '}');
	}
	json_end(json, ']');
}

static bool is_measured(const struct tables *tables, uint32_t metric)
{
	return tables->profile->metrics[metric].collector == tables->measurement;
}

static struct json *begin_table(struct tables *tables, const char *name)
{
	struct json *json = &tables->json;

	json_line(json);
	json_key(json, name);
	json_begin(json, '[');
	return json;
}

static void begin_row(struct json *json)
{
	json_line(json);
	json_begin(json, '{');
}

static void put_string(struct tables *tables, const char *key, uint32_t string)
{
	json_put_text(&tables->json, key, profile_string(tables->profile, string));
}

static void put_index(struct json *json, const char *key, uint32_t id)
{
	if (id != 0)
		json_put_number(json, key, id - 1);
	else
		json_put_word(json, key, "null");
}

static void release(struct tables *tables)
{
	heap_free(tables->needed);
	heap_free(tables->metrics);
	proto_ids_release(&tables->nodes);
	proto_ids_release(&tables->frames);
	proto_ids_release(&tables->functions);
	proto_ids_release(&tables->mappings);
}
