/*
 * flamegraph.c - one page of HTML that holds everything: our page (flamegraph/), and the profile as JSON.
 *
 *   profile's node -> (parent step, page's frame) -> step        one tree over all threads
 *   profile's sample -> (step, thread) -> cell -> a value for each column
 *
 * A column is a metric's value or, where its samples have a name, their count.  Numbers go into flat
 * arrays, strings in once; the page adds up totals and builds the trees that it shows.  A frame is a
 * function, or with MONPROF_LINES one of its lines.
 */
#include "flamegraph.h"

#include <string.h>

static void flamegraph_write(const struct profile *profile, uint32_t measurement,
			     const struct exporter_settings *settings, struct sink *sink);
static bool make_tables(struct flamegraph *page);
static void make_columns(struct flamegraph *page);
static uint32_t add_column(struct flamegraph *page, const struct profile_metric *metric,
			   bool is_count);
static void mark_needed(struct flamegraph *page);
static void make_steps(struct flamegraph *page);
static uint32_t frame_id(struct flamegraph *page, uint32_t frame);
static uint32_t put_text(struct flamegraph *page, const char *text);
static uint32_t put_step(struct flamegraph *page, uint32_t parent, uint32_t frame);
static void add_samples(struct flamegraph *page);
static uint32_t sample_step(struct flamegraph *page, const struct profile_sample *sample);
static void add_value(struct flamegraph *page, uint32_t cell, uint32_t column, uint64_t value);
static void release(struct flamegraph *page);

const struct exporter_hooks flamegraph_exporter = { .gzip = false, .write = flamegraph_write };

static void flamegraph_write(const struct profile *profile, uint32_t measurement,
			     const struct exporter_settings *settings, struct sink *sink)
{
	struct flamegraph page = {
		.profile = profile, .measurement = measurement, .settings = settings, .sink = sink
	};

	if (make_tables(&page)) {
		make_columns(&page);
		mark_needed(&page);
		make_steps(&page);
		add_samples(&page);
	}
	if (!page.failed)
		flamegraph_put(&page);
	if (page.failed)
		sink_fail(sink, "no memory");
	release(&page);
}

static bool make_tables(struct flamegraph *page)
{
	const struct profile *profile = page->profile;
	size_t metrics = profile->metric_count + 1;

	page->frame_ids = heap_zalloc((profile->frame_count + 1) * sizeof(*page->frame_ids));
	page->node_steps = heap_zalloc((profile->node_count + 1) * sizeof(*page->node_steps));
	page->columns = heap_zalloc(2 * metrics * sizeof(*page->columns));
	page->value_columns = heap_alloc(metrics * sizeof(*page->value_columns));
	page->count_columns = heap_alloc(metrics * sizeof(*page->count_columns));
	page->failed = !page->frame_ids || !page->node_steps || !page->columns ||
		       !page->value_columns || !page->count_columns;
	return !page->failed;
}

/* Values first: the first column is what the page opens with. */
static void make_columns(struct flamegraph *page)
{
	const struct profile *profile = page->profile;

	for (size_t i = 0; i < profile->metric_count; i++)
		page->value_columns[i] = add_column(page, &profile->metrics[i], false);
	for (size_t i = 0; i < profile->metric_count; i++)
		page->count_columns[i] = add_column(page, &profile->metrics[i], true);
}

static uint32_t add_column(struct flamegraph *page, const struct profile_metric *metric,
			   bool is_count)
{
	if (metric->collector != page->measurement || (is_count && metric->count_name == 0))
		return UINT32_MAX;
	page->columns[page->column_count] = (struct column){ metric, is_count };
	return page->column_count++;
}

/* Nodes under which there is a sample; parents come before their children. */
static void mark_needed(struct flamegraph *page)
{
	const struct profile *profile = page->profile;

	for (size_t i = 0; i < profile->sample_count; i++) {
		const struct profile_sample *sample = &profile->samples[i];

		if (page->value_columns[sample->metric] != UINT32_MAX && sample->node != 0)
			page->node_steps[sample->node - 1] = UINT32_MAX;
	}
	for (size_t id = profile->node_count; id > 0; id--) {
		uint32_t parent = profile->nodes[id - 1].parent;

		if (page->node_steps[id - 1] != 0 && parent != 0)
			page->node_steps[parent - 1] = UINT32_MAX;
	}
}

static void make_steps(struct flamegraph *page)
{
	const struct profile *profile = page->profile;

	for (size_t i = 0; i < profile->node_count && !page->failed; i++) {
		const struct profile_node *node = &profile->nodes[i];
		uint32_t parent;

		if (page->node_steps[i] == 0)
			continue;
		parent = node->parent ? page->node_steps[node->parent - 1] : 0;
		page->node_steps[i] = put_step(page, parent, frame_id(page, node->frame));
	}
}

static uint32_t frame_id(struct flamegraph *page, uint32_t frame)
{
	const struct profile *profile = page->profile;
	const struct profile_frame *row = &profile->frames[frame - 1];
	const struct profile_function *function = &profile->functions[row->function - 1];
	const char *module = profile_string(profile, function->module);
	uint32_t *id = &page->frame_ids[frame - 1];
	struct page_frame key = {
		.module = put_text(page, module),
		/* The full name is "module.name", or the name alone. */
		.name = put_text(page, profile_string(profile, function->full) +
					       (*module ? strlen(module) + 1 : 0)),
		.file = put_text(page, profile_string(profile, function->file)),
		.line = page->settings->lines && row->line ? row->line : function->first_line,
		.origin = profile_origin(profile, function),
	};

	if (*id == 0)
		*id = intern_put(&page->frames, &key, sizeof(key), NULL);
	page->failed |= *id == 0;
	return *id;
}

static uint32_t put_text(struct flamegraph *page, const char *text)
{
	uint32_t id = *text ? intern_put(&page->texts, text, strlen(text), NULL) : 0;

	page->failed |= *text && id == 0;
	return id;
}

static uint32_t put_step(struct flamegraph *page, uint32_t parent, uint32_t frame)
{
	bool is_fresh;
	uint32_t step = pairs_put(&page->steps, parent, frame, &is_fresh);

	page->failed |= step == 0;
	return step;
}

static void add_samples(struct flamegraph *page)
{
	const struct profile *profile = page->profile;

	for (size_t i = 0; i < profile->sample_count && !page->failed; i++) {
		const struct profile_sample *sample = &profile->samples[i];
		bool is_fresh;
		uint32_t cell;

		if (page->value_columns[sample->metric] == UINT32_MAX)
			continue;
		cell = pairs_put(&page->cells, sample_step(page, sample), sample->thread,
				 &is_fresh);
		page->failed |= cell == 0;
		if (is_fresh && !page->failed) {
			size_t size = (size_t)cell * page->column_count;
			void *values = page->values;

			page->failed |= !heap_grow(&values, &page->value_capacity, size,
						   sizeof(*page->values));
			page->values = values;
		}
		if (is_fresh && !page->failed)
			memset(&page->values[(size_t)(cell - 1) * page->column_count], 0,
			       page->column_count * sizeof(*page->values));
		add_value(page, cell, page->value_columns[sample->metric], sample->value);
		add_value(page, cell, page->count_columns[sample->metric], sample->count);
	}
}

static uint32_t sample_step(struct flamegraph *page, const struct profile_sample *sample)
{
	struct page_frame key = { .origin = PROFILE_MARKER };
	uint32_t frame;

	if (sample->node != 0)
		return page->node_steps[sample->node - 1];
	if (page->no_stack == 0) {
		key.name = put_text(page, "[no stack]");
		frame = intern_put(&page->frames, &key, sizeof(key), NULL);
		page->failed |= frame == 0;
		page->no_stack = put_step(page, 0, frame);
	}
	return page->no_stack;
}

static void add_value(struct flamegraph *page, uint32_t cell, uint32_t column, uint64_t value)
{
	uint64_t *sum;

	if (page->failed || column == UINT32_MAX)
		return;
	sum = &page->values[(size_t)(cell - 1) * page->column_count + column];
	*sum = flamegraph_add(*sum, value);
}

static void release(struct flamegraph *page)
{
	intern_release(&page->texts);
	intern_release(&page->frames);
	pairs_release(&page->steps);
	pairs_release(&page->cells);
	heap_free(page->frame_ids);
	heap_free(page->node_steps);
	heap_free(page->columns);
	heap_free(page->value_columns);
	heap_free(page->count_columns);
	heap_free(page->values);
}
