/*
 * collapsed.c - one line a stack: "root;...;leaf N", as flamegraph.pl, inferno and speedscope read it.
 *
 *   profile's node -> (parent's line, text of the frame) -> line node -> sum
 *
 * Nodes whose frames read the same are one line, whatever thread they ran in and however long they took.  N
 * is of the first metric of the measurement.  The last space of a line separates it, ';' the frames, a
 * newline the lines; there is no comment and no escape in the format, so those characters are replaced in
 * names.
 */
#include "exporter.h"

#include <string.h>

struct collapsed {
	const struct profile *profile;
	const struct exporter_settings *settings;
	struct sink *sink;
	bool failed; /* no memory */
	struct intern texts;
	struct pairs steps; /* (parent step, text) */
	struct pair *rows; /* of all steps */
	uint32_t *frame_texts; /* by profile's frame id - 1; 0: not made yet */
	uint32_t *node_steps; /* by profile's node id - 1; 0: not needed */
	uint64_t *sums; /* by step id; 0 is the empty stack */
	uint32_t *stack; /* steps of the line that is written, leaf first */
	size_t stack_capacity;
	struct wire_buffer text;
};

static void collapsed_write(const struct profile *profile, uint32_t measurement,
			    const struct exporter_settings *settings, struct sink *sink);
static bool make_tables(struct collapsed *collapsed);
static uint32_t main_metric(const struct profile *profile, uint32_t measurement);
static void mark_needed(struct collapsed *collapsed, uint32_t metric);
static void make_steps(struct collapsed *collapsed);
static uint32_t frame_text(struct collapsed *collapsed, uint32_t frame);
static void put_clean(struct wire_buffer *buffer, const char *text);
static void add_samples(struct collapsed *collapsed, uint32_t metric);
static void write_lines(struct collapsed *collapsed);
static void write_stack(struct collapsed *collapsed, uint32_t leaf);
static void release(struct collapsed *collapsed);

const struct exporter_hooks collapsed_exporter = { .gzip = false, .write = collapsed_write };

static void collapsed_write(const struct profile *profile, uint32_t measurement,
			    const struct exporter_settings *settings, struct sink *sink)
{
	struct collapsed collapsed = { .profile = profile, .settings = settings, .sink = sink };
	uint32_t metric = main_metric(profile, measurement);

	if (make_tables(&collapsed)) {
		mark_needed(&collapsed, metric);
		make_steps(&collapsed);
		collapsed.sums =
			heap_zalloc(((size_t)collapsed.steps.count + 1) * sizeof(*collapsed.sums));
		collapsed.rows = pairs_rows(&collapsed.steps);
		collapsed.failed |= !collapsed.sums || !collapsed.rows;
	}
	if (!collapsed.failed) {
		add_samples(&collapsed, metric);
		write_lines(&collapsed);
	}
	if (collapsed.failed)
		sink_fail(sink, "no memory");
	release(&collapsed);
}

static bool make_tables(struct collapsed *collapsed)
{
	const struct profile *profile = collapsed->profile;

	collapsed->frame_texts =
		heap_zalloc((profile->frame_count + 1) * sizeof(*collapsed->frame_texts));
	collapsed->node_steps =
		heap_zalloc((profile->node_count + 1) * sizeof(*collapsed->node_steps));
	collapsed->failed = !collapsed->frame_texts || !collapsed->node_steps;
	return !collapsed->failed;
}

/* The first one of the measurement, as in pprof; a number that no sample has if there is none. */
static uint32_t main_metric(const struct profile *profile, uint32_t measurement)
{
	for (size_t i = 0; i < profile->metric_count; i++)
		if (profile->metrics[i].collector == measurement)
			return (uint32_t)i;
	return UINT32_MAX;
}

/* Nodes under which there is a sample; parents come before their children. */
static void mark_needed(struct collapsed *collapsed, uint32_t metric)
{
	const struct profile *profile = collapsed->profile;

	for (size_t i = 0; i < profile->sample_count; i++) {
		const struct profile_sample *sample = &profile->samples[i];

		if (sample->metric == metric && sample->node != 0)
			collapsed->node_steps[sample->node - 1] = UINT32_MAX;
	}
	for (size_t id = profile->node_count; id > 0; id--) {
		uint32_t parent = profile->nodes[id - 1].parent;

		if (collapsed->node_steps[id - 1] != 0 && parent != 0)
			collapsed->node_steps[parent - 1] = UINT32_MAX;
	}
}

static void make_steps(struct collapsed *collapsed)
{
	const struct profile *profile = collapsed->profile;

	for (size_t i = 0; i < profile->node_count && !collapsed->failed; i++) {
		const struct profile_node *node = &profile->nodes[i];
		uint32_t parent;
		bool fresh;

		if (collapsed->node_steps[i] == 0)
			continue;
		parent = node->parent ? collapsed->node_steps[node->parent - 1] : 0;
		collapsed->node_steps[i] = pairs_put(&collapsed->steps, parent,
						     frame_text(collapsed, node->frame), &fresh);
		collapsed->failed |= collapsed->node_steps[i] == 0;
	}
}

/* "module.qualname (file:line)", "name (library)"; what has no file, or is one or says it, is its name alone. */
static uint32_t frame_text(struct collapsed *collapsed, uint32_t frame)
{
	const struct profile *profile = collapsed->profile;
	const struct profile_frame *row = &profile->frames[frame - 1];
	const struct profile_function *function = &profile->functions[row->function - 1];
	uint32_t line = collapsed->settings->lines ? row->line : function->first_line;
	uint32_t *id = &collapsed->frame_texts[frame - 1];
	const char *name = profile_string(profile, function->full);
	const char *file = profile_string(profile, function->file);
	bool is_native = profile_origin(profile, function) == PROFILE_NATIVE;
	char number[16] = "";

	if (*id != 0)
		return *id;
	wire_clear(&collapsed->text);
	put_clean(&collapsed->text, name);
	if (function->kind != RECORDING_MARKER && function->file != 0 &&
	    function->file != function->full && !(is_native && name[0] == '[')) {
		if (is_native)
			file = profile_base_name(file);
		else if (line != 0 || function->first_line != 0)
			log_format(number, sizeof(number), ":%u", line);
		wire_put(&collapsed->text, " (", 2);
		put_clean(&collapsed->text, file);
		wire_put(&collapsed->text, number, strlen(number));
		wire_put(&collapsed->text, ")", 1);
	}
	if (!collapsed->text.failed)
		*id = intern_put(&collapsed->texts, collapsed->text.bytes, collapsed->text.size,
				 NULL);
	collapsed->failed |= *id == 0;
	return *id;
}

static void put_clean(struct wire_buffer *buffer, const char *text)
{
	size_t start = buffer->size;

	wire_put(buffer, text, strlen(text));
	for (size_t i = start; i < buffer->size; i++) {
		uint8_t *byte = &buffer->bytes[i];

		if (*byte == ';')
			*byte = ':';
		else if (*byte < ' ' || *byte == 0x7f)
			*byte = ' ';
	}
}

static void add_samples(struct collapsed *collapsed, uint32_t metric)
{
	const struct profile *profile = collapsed->profile;

	for (size_t i = 0; i < profile->sample_count; i++) {
		const struct profile_sample *sample = &profile->samples[i];
		uint64_t *sum;

		if (sample->metric != metric)
			continue;
		sum = &collapsed->sums[sample->node ? collapsed->node_steps[sample->node - 1] : 0];
		*sum = sample->value > INT64_MAX - *sum ? INT64_MAX : *sum + sample->value;
	}
}

static void write_lines(struct collapsed *collapsed)
{
	if (collapsed->sums[0] > 0)
		sink_format(collapsed->sink, "[no stack] %llu\n",
			    (unsigned long long)collapsed->sums[0]);
	for (uint32_t step = 1; step <= collapsed->steps.count && !collapsed->failed; step++) {
		if (collapsed->sums[step] == 0)
			continue;
		write_stack(collapsed, step);
		sink_format(collapsed->sink, " %llu\n", (unsigned long long)collapsed->sums[step]);
	}
}

static void write_stack(struct collapsed *collapsed, uint32_t leaf)
{
	size_t depth = 0;

	for (uint32_t step = leaf; step != 0; depth++) {
		void *stack = collapsed->stack;

		if (!heap_grow(&stack, &collapsed->stack_capacity, depth + 1,
			       sizeof(*collapsed->stack))) {
			collapsed->failed = true;
			return;
		}
		collapsed->stack = stack;
		collapsed->stack[depth] = step;
		step = collapsed->rows[step - 1].a;
	}
	while (depth-- > 0) {
		uint32_t text_id = collapsed->rows[collapsed->stack[depth] - 1].b;
		size_t size_bytes;
		const void *text = intern_get(&collapsed->texts, text_id, &size_bytes);

		sink_put(collapsed->sink, text, size_bytes);
		if (depth > 0)
			sink_put(collapsed->sink, ";", 1);
	}
}

static void release(struct collapsed *collapsed)
{
	intern_release(&collapsed->texts);
	pairs_release(&collapsed->steps);
	heap_free(collapsed->rows);
	heap_free(collapsed->frame_texts);
	heap_free(collapsed->node_steps);
	heap_free(collapsed->sums);
	heap_free(collapsed->stack);
	wire_release(&collapsed->text);
}
