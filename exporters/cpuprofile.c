/*
 * cpuprofile.c - V8's .cpuprofile: Chrome's DevTools, VS Code, speedscope, Firefox Profiler.
 *
 *   (thread, stack)  ->  a path of nodes below (root), which are of functions or, with lines, of lines
 *   samples          ->  each thread's in order of time, one thread after the other
 *
 * The format has one thread and one clock: the clock here is what is measured (of calls: their time), so that a
 * sample is as long as it counts, and threads follow each other.  Where there are several, each has a node below
 * (root) with its name.  A sample lasts until the next one, so the last is followed by an empty one.
 *
 * Format: chromedevtools.github.io/devtools-protocol, Profiler.Profile; times in microseconds.
 */
#include "exporter.h"

#include <string.h>

#define ROOT 1 /* id of (root); that of a step is its number behind it */
#define UNIT_NS 1000

struct cpuprofile {
	const struct profile *profile;
	const struct exporter_settings *settings;
	struct json json;
	bool failed; /* no memory */
	uint32_t measurement, metric;
	uint32_t thread_count;
	uint64_t divisor;
	struct pairs steps; /* (parent's id, what it is of: see key_of) */
	uint32_t *node_ids; /* by profile's node id - 1, of the thread that is written; 0: not yet */
	uint32_t *path;
	size_t path_capacity;
	uint32_t *samples; /* id by point of the metric */
	uint64_t *hits; /* by id */
	struct pair *rows; /* of all steps */
	uint32_t *children, *first_child; /* ids by parent; where a parent's begin, by its id */
	struct wire_buffer text;
};

static void cpuprofile_write(const struct profile *profile, uint32_t measurement,
			     const struct exporter_settings *settings, struct sink *sink);
static void choose_metric(struct cpuprofile *cpuprofile);
static void take_samples(struct cpuprofile *cpuprofile);
static void take_run(struct cpuprofile *cpuprofile, const struct profile_run *run);
static uint32_t id_of(struct cpuprofile *cpuprofile, uint32_t base, uint32_t node);
static uint32_t put_step(struct cpuprofile *cpuprofile, uint32_t parent, uint32_t key);
static uint32_t key_of(const struct cpuprofile *cpuprofile, uint32_t frame);
static uint32_t thread_key(uint32_t thread);
static void sort_children(struct cpuprofile *cpuprofile);
static void write_nodes(struct cpuprofile *cpuprofile);
static void write_node(struct cpuprofile *cpuprofile, uint32_t id, uint32_t key);
static void write_call_frame(struct cpuprofile *cpuprofile, const char *name, const char *url,
			     uint32_t line);
static void write_samples(struct cpuprofile *cpuprofile);
static void write_deltas(struct cpuprofile *cpuprofile);
static void release(struct cpuprofile *cpuprofile);

const struct exporter_hooks cpuprofile_exporter = { .points = true, .write = cpuprofile_write };

static void cpuprofile_write(const struct profile *profile, uint32_t measurement,
			     const struct exporter_settings *settings, struct sink *sink)
{
	struct cpuprofile cpuprofile = {
		.profile = profile,
		.settings = settings,
		.json.sink = sink,
		.measurement = measurement,
	};
	struct json *json = &cpuprofile.json;

	choose_metric(&cpuprofile);
	take_samples(&cpuprofile);
	sort_children(&cpuprofile);
	if (!cpuprofile.failed) {
		json_begin(json, '{');
		write_nodes(&cpuprofile);
		write_samples(&cpuprofile);
		write_deltas(&cpuprofile);
		json_end(json, '}');
		sink_puts(sink, "\n");
	}
	if (cpuprofile.failed)
		sink_fail(sink, "no memory");
	release(&cpuprofile);
}

/* The first that is a time; where none is, the first, as if each unit took a microsecond. */
static void choose_metric(struct cpuprofile *cpuprofile)
{
	const struct profile *profile = cpuprofile->profile;
	struct profile_run run = { 0 };
	bool is_any = false;

	while (!cpuprofile->divisor && profile_next_run(profile, cpuprofile->measurement, &run)) {
		const char *unit = profile_string(profile, profile->metrics[run.metric].unit);

		if (strcmp(unit, "nanoseconds") == 0)
			cpuprofile->divisor = UNIT_NS;
		if (!is_any || cpuprofile->divisor)
			cpuprofile->metric = run.metric;
		is_any = true;
	}
	if (!cpuprofile->divisor)
		cpuprofile->divisor = 1;
	run = (struct profile_run){ 0 };
	while (profile_next_run(profile, cpuprofile->measurement, &run))
		cpuprofile->thread_count += run.metric == cpuprofile->metric;
}

static void take_samples(struct cpuprofile *cpuprofile)
{
	const struct profile *profile = cpuprofile->profile;
	struct profile_run run = { 0 };

	cpuprofile->node_ids =
		heap_alloc((profile->node_count + 1) * sizeof(*cpuprofile->node_ids));
	cpuprofile->samples = heap_alloc((profile->point_count + 1) * sizeof(*cpuprofile->samples));
	cpuprofile->failed = !cpuprofile->node_ids || !cpuprofile->samples;
	while (!cpuprofile->failed && profile_next_run(profile, cpuprofile->measurement, &run)) {
		if (run.metric == cpuprofile->metric)
			take_run(cpuprofile, &run);
	}
}

static void take_run(struct cpuprofile *cpuprofile, const struct profile_run *run)
{
	const struct profile *profile = cpuprofile->profile;
	uint32_t base = ROOT;

	memset(cpuprofile->node_ids, 0, profile->node_count * sizeof(*cpuprofile->node_ids));
	if (cpuprofile->thread_count > 1)
		base = put_step(cpuprofile, ROOT, thread_key(run->thread));
	for (size_t at = run->begin; at < run->end && !cpuprofile->failed; at++) {
		const struct profile_sample *sum = &profile->samples[profile->points[at].sample];

		cpuprofile->samples[at] = id_of(cpuprofile, base, sum->node);
	}
}

/* Of the thread's node; its path is made as far as it is not there. */
static uint32_t id_of(struct cpuprofile *cpuprofile, uint32_t base, uint32_t node)
{
	const struct profile *profile = cpuprofile->profile;
	uint32_t id = base;
	size_t depth = 0;

	for (; node != 0; node = profile->nodes[node - 1].parent) {
		void *path = cpuprofile->path;

		if (cpuprofile->node_ids[node - 1] != 0) {
			id = cpuprofile->node_ids[node - 1];
			break;
		}
		if (!heap_grow(&path, &cpuprofile->path_capacity, depth + 1,
			       sizeof(*cpuprofile->path))) {
			cpuprofile->failed = true;
			return 0;
		}
		cpuprofile->path = path;
		cpuprofile->path[depth++] = node;
	}
	while (depth > 0) {
		node = cpuprofile->path[--depth];
		id = put_step(cpuprofile, id, key_of(cpuprofile, profile->nodes[node - 1].frame));
		cpuprofile->node_ids[node - 1] = id;
	}
	return id;
}

static uint32_t put_step(struct cpuprofile *cpuprofile, uint32_t parent, uint32_t key)
{
	bool is_new;
	uint32_t step = pairs_put(&cpuprofile->steps, parent, key, &is_new);

	cpuprofile->failed |= step == 0;
	return step + ROOT;
}

/* A function's id or, with lines, a frame's; native code has none, and its functions are numbered behind the frames. */
static uint32_t key_of(const struct cpuprofile *cpuprofile, uint32_t frame)
{
	const struct profile *profile = cpuprofile->profile;
	const struct profile_frame *row = &profile->frames[frame - 1];

	if (!cpuprofile->settings->lines)
		return row->function;
	return row->mapping ? (uint32_t)profile->frame_count + row->function : frame;
}

static uint32_t thread_key(uint32_t thread)
{
	return UINT32_MAX - thread;
}

/* Parents come before their children, so children of one stay in the order of their ids. */
static void sort_children(struct cpuprofile *cpuprofile)
{
	uint32_t count = cpuprofile->steps.count;
	uint32_t *first, *next;

	if (cpuprofile->failed)
		return;
	cpuprofile->children = heap_alloc((count + 1) * sizeof(uint32_t));
	cpuprofile->first_child = first = heap_zalloc((count + ROOT + 3) * sizeof(uint32_t));
	cpuprofile->rows = pairs_rows(&cpuprofile->steps);
	cpuprofile->failed = !cpuprofile->children || !first || !cpuprofile->rows;
	if (cpuprofile->failed)
		return;
	/* Counted two behind, summed one behind: filling moves each to its own place. */
	for (uint32_t step = 0; step < count; step++)
		first[cpuprofile->rows[step].a + 2]++;
	for (uint32_t id = 1; id < count + ROOT + 3; id++)
		first[id] += first[id - 1];
	next = first + 1;
	for (uint32_t step = 0; step < count; step++)
		cpuprofile->children[next[cpuprofile->rows[step].a]++] = step + 1 + ROOT;
}

static void write_nodes(struct cpuprofile *cpuprofile)
{
	const struct profile *profile = cpuprofile->profile;
	struct json *json = &cpuprofile->json;
	struct profile_run run = { 0 };

	cpuprofile->hits =
		heap_zalloc((cpuprofile->steps.count + ROOT + 1) * sizeof(*cpuprofile->hits));
	cpuprofile->failed = !cpuprofile->hits;
	while (!cpuprofile->failed && profile_next_run(profile, cpuprofile->measurement, &run)) {
		for (size_t at = run.begin; run.metric == cpuprofile->metric && at < run.end; at++)
			cpuprofile->hits[cpuprofile->samples[at]]++;
	}
	json_key(json, "nodes");
	json_begin(json, '[');
	for (uint32_t step = 0; step <= cpuprofile->steps.count && !cpuprofile->failed; step++) {
		json_line(json);
		write_node(cpuprofile, step + ROOT, step ? cpuprofile->rows[step - 1].b : 0);
	}
	json_end(json, ']');
}

static void write_node(struct cpuprofile *cpuprofile, uint32_t id, uint32_t key)
{
	const struct profile *profile = cpuprofile->profile;
	struct json *json = &cpuprofile->json;
	bool is_thread = key > UINT32_MAX - profile->thread_count;
	bool is_frame = cpuprofile->settings->lines && key && key <= profile->frame_count;
	const struct profile_frame *frame = is_frame ? &profile->frames[key - 1] : NULL;
	uint32_t function = key;

	if (frame)
		function = frame->function;
	else if (cpuprofile->settings->lines)
		function -= (uint32_t)profile->frame_count;
	json_begin(json, '{');
	json_put_number(json, "id", id);
	if (key == 0) {
		write_call_frame(cpuprofile, "(root)", "", 0);
	} else if (is_thread) {
		profile_put_thread(profile, UINT32_MAX - key, &cpuprofile->text);
		cpuprofile->failed |= cpuprofile->text.failed;
		if (!cpuprofile->failed)
			write_call_frame(cpuprofile, (const char *)cpuprofile->text.bytes, "", 0);
	} else {
		const struct profile_function *row = &profile->functions[function - 1];

		write_call_frame(cpuprofile, profile_string(profile, row->full),
				 profile_string(profile, row->file),
				 frame ? frame->line : row->first_line);
	}
	json_put_number(json, "hitCount", cpuprofile->hits[id]);
	json_key(json, "children");
	json_begin(json, '[');
	for (uint32_t at = cpuprofile->first_child[id]; at < cpuprofile->first_child[id + 1]; at++)
		json_number(json, cpuprofile->children[at]);
	json_end(json, ']');
	json_end(json, '}');
}

/* Lines count from 0 there; -1 is none. */
static void write_call_frame(struct cpuprofile *cpuprofile, const char *name, const char *url,
			     uint32_t line)
{
	struct json *json = &cpuprofile->json;

	json_key(json, "callFrame");
	json_begin(json, '{');
	json_put_text(json, "functionName", name);
	json_put_text(json, "scriptId", "0");
	json_put_text(json, "url", url);
	json_key(json, "lineNumber");
	if (line)
		json_number(json, line - 1);
	else
		json_word(json, "-1");
	json_put_word(json, "columnNumber", line ? "0" : "-1");
	json_end(json, '}');
}

static void write_samples(struct cpuprofile *cpuprofile)
{
	struct json *json = &cpuprofile->json;
	struct profile_run run = { 0 };

	json_line(json);
	json_key(json, "samples");
	json_begin(json, '[');
	while (profile_next_run(cpuprofile->profile, cpuprofile->measurement, &run)) {
		for (size_t at = run.begin; run.metric == cpuprofile->metric && at < run.end; at++)
			json_number(json, cpuprofile->samples[at]);
	}
	json_number(json, ROOT);
	json_end(json, ']');
}

/* Each is the end of the sample before it, as a whole number, rounded so that their sum is. */
static void write_deltas(struct cpuprofile *cpuprofile)
{
	struct json *json = &cpuprofile->json;
	struct profile_run run = { 0 };
	uint64_t sum = 0;

	json_line(json);
	json_key(json, "timeDeltas");
	json_begin(json, '[');
	json_number(json, 0);
	while (profile_next_run(cpuprofile->profile, cpuprofile->measurement, &run)) {
		for (size_t at = run.begin; run.metric == cpuprofile->metric && at < run.end;
		     at++) {
			uint64_t begin = sum / cpuprofile->divisor;

			sum += cpuprofile->profile->points[at].value;
			json_number(json, sum / cpuprofile->divisor - begin);
		}
	}
	json_end(json, ']');
	json_line(json);
	json_put_number(json, "startTime", 0);
	json_put_number(json, "endTime", sum / cpuprofile->divisor);
}

static void release(struct cpuprofile *cpuprofile)
{
	pairs_release(&cpuprofile->steps);
	heap_free(cpuprofile->node_ids);
	heap_free(cpuprofile->path);
	heap_free(cpuprofile->samples);
	heap_free(cpuprofile->hits);
	heap_free(cpuprofile->rows);
	heap_free(cpuprofile->children);
	heap_free(cpuprofile->first_child);
	wire_release(&cpuprofile->text);
}
