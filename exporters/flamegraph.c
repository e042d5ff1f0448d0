/*
 * flamegraph.c - one page of HTML that holds everything: our page (flamegraph/), and the profile as JSON.
 *
 *   profile's node -> (parent step, page's frame) -> step        one tree over all threads
 *   profile's sample -> (step, thread) -> cell -> a value for each column
 *
 * A base is folded in after the profile, into the same tree: its threads are more threads, its metrics are found
 * by their names, and the page does the comparing.
 *
 * A column is a metric's value or, where its samples have a name, their count.  Numbers go into flat
 * arrays, strings in once; the page adds up totals and builds the trees that it shows.  A frame is a
 * function, or with MONPROF_LINES one of its lines.
 */
#include "flamegraph.h"

#include <string.h>

/* One of the profiles, while it is folded in. */
struct fold {
	struct flamegraph *page;
	const struct profile *profile;
	uint32_t first_thread; /* what its thread 0 is in the page */
	uint32_t *frame_ids; /* by profile's frame id - 1; 0: not made yet */
	uint32_t *node_steps; /* by profile's node id - 1; 0: not needed */
	uint32_t *value_columns, *count_columns; /* by metric; UINT32_MAX: none */
};

static void flamegraph_write(const struct profile *profile, uint32_t measurement,
			     const struct exporter_settings *settings, struct sink *sink);
static void make_columns(struct flamegraph *page);
static void add_columns(struct flamegraph *page, bool is_count);
static void fold(struct flamegraph *page, const struct profile *profile, uint32_t first_thread);
static bool make_tables(struct fold *fold);
static uint32_t find_column(const struct fold *fold, const struct profile_metric *metric,
			    bool is_count);
static bool is_same(const struct fold *fold, uint32_t ours, uint32_t theirs);
static void mark_needed(struct fold *fold);
static void make_steps(struct fold *fold);
static uint32_t frame_id(struct fold *fold, uint32_t frame);
static uint32_t put_text(struct flamegraph *page, const char *text);
static uint32_t put_step(struct flamegraph *page, uint32_t parent, uint32_t frame);
static void add_samples(struct fold *fold);
static uint32_t sample_step(struct fold *fold, const struct profile_sample *sample);
static uint32_t put_cell(struct flamegraph *page, uint32_t step, uint32_t thread);
static void add_value(struct flamegraph *page, uint32_t cell, uint32_t column, uint64_t value);
static void release(struct flamegraph *page);

const struct exporter_hooks flamegraph_exporter = { .compares = true, .write = flamegraph_write };

static void flamegraph_write(const struct profile *profile, uint32_t measurement,
			     const struct exporter_settings *settings, struct sink *sink)
{
	struct flamegraph page = {
		.profile = profile, .measurement = measurement, .settings = settings, .sink = sink
	};

	make_columns(&page);
	if (!page.failed)
		fold(&page, profile, 0);
	if (!page.failed && settings->base)
		fold(&page, settings->base, (uint32_t)profile->thread_count);
	page.step_rows = pairs_rows(&page.steps);
	page.cell_rows = pairs_rows(&page.cells);
	page.failed |= !page.step_rows || !page.cell_rows;
	if (!page.failed)
		flamegraph_put(&page);
	if (page.failed)
		sink_fail(sink, "no memory");
	release(&page);
}

/* Values first: the first column is what the page opens with. */
static void make_columns(struct flamegraph *page)
{
	page->columns = heap_zalloc((2 * page->profile->metric_count + 1) * sizeof(*page->columns));
	page->failed = !page->columns;
	if (page->failed)
		return;
	add_columns(page, false);
	add_columns(page, true);
}

static void add_columns(struct flamegraph *page, bool is_count)
{
	const struct profile *profile = page->profile;

	for (size_t i = 0; i < profile->metric_count; i++) {
		const struct profile_metric *metric = &profile->metrics[i];

		if (metric->collector == page->measurement &&
		    (!is_count || metric->count_name != 0))
			page->columns[page->column_count++] = (struct column){ metric, is_count };
	}
}

static void fold(struct flamegraph *page, const struct profile *profile, uint32_t first_thread)
{
	struct fold fold = { .page = page, .profile = profile, .first_thread = first_thread };

	if (make_tables(&fold)) {
		mark_needed(&fold);
		make_steps(&fold);
		add_samples(&fold);
	}
	heap_free(fold.frame_ids);
	heap_free(fold.node_steps);
	heap_free(fold.value_columns);
	heap_free(fold.count_columns);
}

static bool make_tables(struct fold *fold)
{
	const struct profile *profile = fold->profile;
	size_t metrics = profile->metric_count + 1;

	fold->frame_ids = heap_zalloc((profile->frame_count + 1) * sizeof(*fold->frame_ids));
	fold->node_steps = heap_zalloc((profile->node_count + 1) * sizeof(*fold->node_steps));
	fold->value_columns = heap_alloc(metrics * sizeof(*fold->value_columns));
	fold->count_columns = heap_alloc(metrics * sizeof(*fold->count_columns));
	if (!fold->frame_ids || !fold->node_steps || !fold->value_columns || !fold->count_columns) {
		fold->page->failed = true;
		return false;
	}
	for (size_t i = 0; i < profile->metric_count; i++) {
		fold->value_columns[i] = find_column(fold, &profile->metrics[i], false);
		fold->count_columns[i] = find_column(fold, &profile->metrics[i], true);
	}
	return true;
}

static uint32_t find_column(const struct fold *fold, const struct profile_metric *metric,
			    bool is_count)
{
	const struct flamegraph *page = fold->page;

	for (uint32_t i = 0; i < page->column_count; i++) {
		const struct column *column = &page->columns[i];

		if (column->is_count == is_count &&
		    is_same(fold, column->metric->collector, metric->collector) &&
		    is_same(fold, column->metric->name, metric->name) &&
		    is_same(fold, column->metric->unit, metric->unit))
			return i;
	}
	return UINT32_MAX;
}

/* A string of the profile that is shown, and one of the profile that is folded in. */
static bool is_same(const struct fold *fold, uint32_t ours, uint32_t theirs)
{
	return strcmp(profile_string(fold->page->profile, ours),
		      profile_string(fold->profile, theirs)) == 0;
}

/* Nodes under which there is a sample; parents come before their children. */
static void mark_needed(struct fold *fold)
{
	const struct profile *profile = fold->profile;

	for (size_t i = 0; i < profile->sample_count; i++) {
		const struct profile_sample *sample = &profile->samples[i];

		if (fold->value_columns[sample->metric] != UINT32_MAX && sample->node != 0)
			fold->node_steps[sample->node - 1] = UINT32_MAX;
	}
	for (size_t id = profile->node_count; id > 0; id--) {
		uint32_t parent = profile->nodes[id - 1].parent;

		if (fold->node_steps[id - 1] != 0 && parent != 0)
			fold->node_steps[parent - 1] = UINT32_MAX;
	}
}

static void make_steps(struct fold *fold)
{
	const struct profile *profile = fold->profile;

	for (size_t i = 0; i < profile->node_count && !fold->page->failed; i++) {
		const struct profile_node *node = &profile->nodes[i];
		uint32_t parent;

		if (fold->node_steps[i] == 0)
			continue;
		parent = node->parent ? fold->node_steps[node->parent - 1] : 0;
		fold->node_steps[i] = put_step(fold->page, parent, frame_id(fold, node->frame));
	}
}

static uint32_t frame_id(struct fold *fold, uint32_t frame)
{
	const struct profile *profile = fold->profile;
	const struct profile_frame *row = &profile->frames[frame - 1];
	const struct profile_function *function = &profile->functions[row->function - 1];
	const char *module = profile_string(profile, function->module);
	uint32_t *id = &fold->frame_ids[frame - 1];
	struct page_frame key = {
		.module = put_text(fold->page, module),
		/* The full name is "module.name", or the name alone. */
		.name = put_text(fold->page, profile_string(profile, function->full) +
						     (*module ? strlen(module) + 1 : 0)),
		.file = put_text(fold->page, profile_string(profile, function->file)),
		.line = fold->page->settings->lines && row->line ? row->line : function->first_line,
		.origin = profile_origin(profile, function),
	};

	if (*id == 0)
		*id = intern_put(&fold->page->frames, &key, sizeof(key), NULL);
	fold->page->failed |= *id == 0;
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

static void add_samples(struct fold *fold)
{
	const struct profile *profile = fold->profile;

	for (size_t i = 0; i < profile->sample_count && !fold->page->failed; i++) {
		const struct profile_sample *sample = &profile->samples[i];
		uint32_t cell;

		if (fold->value_columns[sample->metric] == UINT32_MAX)
			continue;
		cell = put_cell(fold->page, sample_step(fold, sample),
				fold->first_thread + sample->thread);
		add_value(fold->page, cell, fold->value_columns[sample->metric], sample->value);
		add_value(fold->page, cell, fold->count_columns[sample->metric], sample->count);
	}
}

static uint32_t sample_step(struct fold *fold, const struct profile_sample *sample)
{
	struct page_frame key = { .origin = PROFILE_MARKER };
	struct flamegraph *page = fold->page;
	uint32_t frame;

	if (sample->node != 0)
		return fold->node_steps[sample->node - 1];
	if (page->no_stack == 0) {
		key.name = put_text(page, "[no stack]");
		frame = intern_put(&page->frames, &key, sizeof(key), NULL);
		page->failed |= frame == 0;
		page->no_stack = put_step(page, 0, frame);
	}
	return page->no_stack;
}

/* The cell of a step in a thread, all zero if it is new. */
static uint32_t put_cell(struct flamegraph *page, uint32_t step, uint32_t thread)
{
	void *values = page->values;
	bool is_fresh;
	uint32_t cell = pairs_put(&page->cells, step, thread, &is_fresh);

	page->failed |= cell == 0 ||
			!heap_grow(&values, &page->value_capacity,
				   (size_t)cell * page->column_count, sizeof(*page->values));
	page->values = values;
	if (is_fresh && !page->failed)
		memset(&page->values[(size_t)(cell - 1) * page->column_count], 0,
		       page->column_count * sizeof(*page->values));
	return cell;
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
	heap_free(page->step_rows);
	heap_free(page->cell_rows);
	heap_free(page->columns);
	heap_free(page->values);
}
