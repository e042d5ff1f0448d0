/*
 * speedscope.c - speedscope's own format: one "sampled" profile a thread and metric, in order of time.
 *
 *   points of a thread   s1 s1 s2 s1   ->   samples [s1 s2 s1], weights [w1 + w1, w2, w1]
 *   frames               a function each; with lines, a line each, but for native code, which has none
 *
 * Stacks are root first.  Samples that follow each other and are of the same stack are one: they look the same
 * and sum the same.  The view that opens is the thread that has most of the first metric.
 *
 * Format: speedscope.app/file-format-schema.json.
 */
#include "exporter.h"

#include <string.h>

struct speedscope {
	const struct profile *profile;
	const struct exporter_settings *settings;
	struct json json;
	bool failed; /* no memory */
	uint32_t measurement;
	uint32_t *frames; /* by frame id - 1: index in the file + 1; 0: not used */
	uint32_t *functions; /* by function id - 1: the same where lines do not count */
	uint32_t frame_count;
	uint32_t *stack; /* of one sample, leaf first */
	size_t stack_capacity;
	struct wire_buffer text;
};

static void speedscope_write(const struct profile *profile, uint32_t measurement,
			     const struct exporter_settings *settings, struct sink *sink);
static bool make_tables(struct speedscope *speedscope);
static void write_head(struct speedscope *speedscope);
static void write_frames(struct speedscope *speedscope);
static void write_frame(struct speedscope *speedscope, uint32_t frame);
static void write_profiles(struct speedscope *speedscope);
static void write_run(struct speedscope *speedscope, const struct profile_run *run);
static void write_stacks(struct speedscope *speedscope, const struct profile_run *run);
static void write_weights(struct speedscope *speedscope, const struct profile_run *run);
static size_t same_stack(const struct profile *profile, size_t begin, size_t end);
static uint32_t node_of(const struct profile *profile, size_t point);
static void write_stack(struct speedscope *speedscope, uint32_t node);
static const char *unit_of(const char *unit);
static const char *text_of(struct speedscope *speedscope);
static void release(struct speedscope *speedscope);

const struct exporter_hooks speedscope_exporter = { .points = true, .write = speedscope_write };

static void speedscope_write(const struct profile *profile, uint32_t measurement,
			     const struct exporter_settings *settings, struct sink *sink)
{
	struct speedscope speedscope = {
		.profile = profile,
		.settings = settings,
		.json.sink = sink,
		.measurement = measurement,
	};

	if (make_tables(&speedscope)) {
		json_begin(&speedscope.json, '{');
		write_head(&speedscope);
		write_frames(&speedscope);
		write_profiles(&speedscope);
		json_end(&speedscope.json, '}');
		sink_puts(sink, "\n");
	}
	if (speedscope.failed)
		sink_fail(sink, "no memory");
	release(&speedscope);
}

/* Frames are numbered in the order of the profile's, those without a sample too: a file has few of them. */
static bool make_tables(struct speedscope *speedscope)
{
	const struct profile *profile = speedscope->profile;

	speedscope->frames = heap_zalloc((profile->frame_count + 1) * sizeof(*speedscope->frames));
	speedscope->functions =
		heap_zalloc((profile->function_count + 1) * sizeof(*speedscope->functions));
	speedscope->failed = !speedscope->frames || !speedscope->functions;
	for (size_t i = 0; !speedscope->failed && i < profile->frame_count; i++) {
		uint32_t *of_function = &speedscope->functions[profile->frames[i].function - 1];
		bool is_line = speedscope->settings->lines && !profile->frames[i].mapping;

		if (is_line || *of_function == 0)
			*of_function = ++speedscope->frame_count;
		speedscope->frames[i] = *of_function;
	}
	return !speedscope->failed;
}

static void write_head(struct speedscope *speedscope)
{
	struct json *json = &speedscope->json;
	struct profile_run run = { 0 };
	uint64_t most = 0;
	size_t active = 0, count = 0;
	uint32_t metric = UINT32_MAX;

	while (profile_next_run(speedscope->profile, speedscope->measurement, &run)) {
		metric = metric == UINT32_MAX ? run.metric : metric;
		if (run.metric == metric && run.value > most) {
			most = run.value;
			active = count;
		}
		count++;
	}
	profile_put_title(speedscope->profile, speedscope->measurement, &speedscope->text);
	json_put_text(json, "$schema", "https://www.speedscope.app/file-format-schema.json");
	json_put_text(json, "exporter", "libmonprof@" PROF_VERSION);
	json_put_text(json, "name", text_of(speedscope));
	json_put_number(json, "activeProfileIndex", active);
	json_line(json);
}

static void write_frames(struct speedscope *speedscope)
{
	const struct profile *profile = speedscope->profile;
	struct json *json = &speedscope->json;
	uint32_t written = 0;

	json_key(json, "shared");
	json_begin(json, '{');
	json_key(json, "frames");
	json_begin(json, '[');
	for (uint32_t i = 0; i < profile->frame_count; i++) {
		if (speedscope->frames[i] <= written)
			continue;
		written++;
		json_line(json);
		write_frame(speedscope, i + 1);
	}
	json_line(json);
	json_begin(json, '{');
	json_put_text(json, "name", "[no stack]");
	json_end(json, '}');
	json_end(json, ']');
	json_end(json, '}');
}

static void write_frame(struct speedscope *speedscope, uint32_t frame)
{
	const struct profile *profile = speedscope->profile;
	const struct profile_frame *row = &profile->frames[frame - 1];
	const struct profile_function *function = &profile->functions[row->function - 1];
	uint32_t line = speedscope->settings->lines ? row->line : function->first_line;
	struct json *json = &speedscope->json;

	json_begin(json, '{');
	json_put_text(json, "name", profile_string(profile, function->full));
	if (function->file)
		json_put_text(json, "file", profile_string(profile, function->file));
	if (function->file && line)
		json_put_number(json, "line", line);
	json_end(json, '}');
}

static void write_profiles(struct speedscope *speedscope)
{
	struct json *json = &speedscope->json;
	struct profile_run run = { 0 };

	json_line(json);
	json_key(json, "profiles");
	json_begin(json, '[');
	while (!speedscope->failed &&
	       profile_next_run(speedscope->profile, speedscope->measurement, &run)) {
		json_line(json);
		write_run(speedscope, &run);
	}
	json_end(json, ']');
}

static void write_run(struct speedscope *speedscope, const struct profile_run *run)
{
	const struct profile *profile = speedscope->profile;
	const struct profile_metric *metric = &profile->metrics[run->metric];
	struct json *json = &speedscope->json;

	profile_put_thread(profile, run->thread, &speedscope->text);
	speedscope->text.size--;
	wire_put(&speedscope->text, ": ", 2);
	wire_put(&speedscope->text, profile_string(profile, metric->name),
		 strlen(profile_string(profile, metric->name)) + 1);
	json_begin(json, '{');
	json_put_text(json, "type", "sampled");
	json_put_text(json, "name", text_of(speedscope));
	json_put_text(json, "unit", unit_of(profile_string(profile, metric->unit)));
	json_put_number(json, "startValue", 0);
	json_put_number(json, "endValue", run->value);
	write_stacks(speedscope, run);
	write_weights(speedscope, run);
	json_end(json, '}');
}

static void write_stacks(struct speedscope *speedscope, const struct profile_run *run)
{
	const struct profile *profile = speedscope->profile;
	struct json *json = &speedscope->json;

	json_key(json, "samples");
	json_begin(json, '[');
	for (size_t at = run->begin; at < run->end && !speedscope->failed;
	     at = same_stack(profile, at, run->end))
		write_stack(speedscope, node_of(profile, at));
	json_end(json, ']');
}

static void write_weights(struct speedscope *speedscope, const struct profile_run *run)
{
	const struct profile *profile = speedscope->profile;
	struct json *json = &speedscope->json;

	json_key(json, "weights");
	json_begin(json, '[');
	for (size_t at = run->begin; at < run->end;) {
		size_t end = same_stack(profile, at, run->end);
		uint64_t weight = 0;

		for (; at < end; at++)
			weight += profile->points[at].value;
		json_number(json, weight);
	}
	json_end(json, ']');
}

/* The first point after `begin` that is of another stack. */
static size_t same_stack(const struct profile *profile, size_t begin, size_t end)
{
	size_t at = begin + 1;

	while (at < end && node_of(profile, at) == node_of(profile, begin))
		at++;
	return at;
}

static uint32_t node_of(const struct profile *profile, size_t point)
{
	return profile->samples[profile->points[point].sample].node;
}

/* An empty stack would be left out of the viewer's sums: what has none says so. */
static void write_stack(struct speedscope *speedscope, uint32_t node)
{
	const struct profile *profile = speedscope->profile;
	struct json *json = &speedscope->json;
	size_t depth = 0;

	for (; node != 0; node = profile->nodes[node - 1].parent) {
		void *stack = speedscope->stack;

		if (!heap_grow(&stack, &speedscope->stack_capacity, depth + 1,
			       sizeof(*speedscope->stack))) {
			speedscope->failed = true;
			return;
		}
		speedscope->stack = stack;
		speedscope->stack[depth++] =
			speedscope->frames[profile->nodes[node - 1].frame - 1] - 1;
	}
	json_begin(json, '[');
	if (depth == 0)
		json_number(json, speedscope->frame_count);
	while (depth > 0)
		json_number(json, speedscope->stack[--depth]);
	json_end(json, ']');
}

/* Those that it has names for. */
static const char *unit_of(const char *unit)
{
	return strcmp(unit, "nanoseconds") == 0 || strcmp(unit, "bytes") == 0 ? unit : "none";
}

static const char *text_of(struct speedscope *speedscope)
{
	speedscope->failed |= speedscope->text.failed;
	return speedscope->text.failed ? "" : (const char *)speedscope->text.bytes;
}

static void release(struct speedscope *speedscope)
{
	heap_free(speedscope->frames);
	heap_free(speedscope->functions);
	heap_free(speedscope->stack);
	wire_release(&speedscope->text);
}
