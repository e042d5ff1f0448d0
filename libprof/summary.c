/*
 * summary.c - rows and steps once, sums for each metric.
 *
 * Totals are summed from the leaves up, for parents come before their children.  A row that is on a path
 * several times counts where it is outermost: the tree is walked with a count of each row on the path.
 */
#include "summary.h"

#include "heap.h"
#include "sort.h"

#include <string.h>

#define NO_CALLER "[no caller]"
#define NO_FILE "[no file]"
#define NO_MODULE "[no module]"
#define NO_NAME "[unnamed]"

static void add_threads(struct summary *summary);
static void add_nodes(struct summary *summary);
static uint32_t frame_row(struct summary *summary, uint32_t frame);
static const char *module_of(const struct profile *profile, const struct profile_function *row);
static uint32_t put_row(struct summary *summary, const struct summary_row *row);
static uint32_t put_step(struct summary *summary, uint32_t parent, uint32_t row);
static void clear(struct summary *summary, enum summary_side side);
static void add_samples(struct summary *summary, uint32_t metric);
static void add_steps(struct summary *summary);
static void enter(struct summary *summary, uint32_t step);
static uint32_t leave(struct summary *summary, uint32_t step);
static bool is_asked(const struct summary *summary, uint32_t row);
static int compare_rows(const void *a, const void *b);
static uint64_t add_up(uint64_t a, uint64_t b);

bool summary_begin(struct summary *summary, const struct profile *profile, enum summary_by by)
{
	size_t items = by == SUMMARY_THREAD ? profile->thread_count : profile->node_count;

	*summary = (struct summary){ .profile = profile, .by = by };
	summary->frame_rows = heap_zalloc((profile->frame_count + 1) * sizeof(uint32_t));
	summary->samples_steps = heap_zalloc((items + 1) * sizeof(uint32_t));
	if (!summary->frame_rows || !summary->samples_steps)
		summary->failed = true;
	else if (by == SUMMARY_THREAD)
		add_threads(summary);
	else
		add_nodes(summary);
	summary->none = put_row(summary, &(struct summary_row){ .name = NO_CALLER, .file = "" });
	if (!summary->failed)
		summary->depths = heap_zalloc((summary->row_count + 1) * sizeof(uint32_t));
	summary->failed |= !summary->depths;
	return !summary->failed;
}

void summary_release(struct summary *summary)
{
	intern_release(&summary->keys);
	pairs_release(&summary->paths);
	wire_release(&summary->text);
	heap_free(summary->rows);
	heap_free(summary->steps);
	heap_free(summary->frame_rows);
	heap_free(summary->samples_steps);
	heap_free(summary->depths);
	*summary = (struct summary){ 0 };
}

void summary_take(struct summary *summary, uint32_t metric, enum summary_side side)
{
	uint32_t step = summary->root;

	clear(summary, side);
	add_samples(summary, metric);
	add_steps(summary);
	while (step != 0) {
		enter(summary, step);
		if (summary->steps[step - 1].child != 0)
			step = summary->steps[step - 1].child;
		else
			step = leave(summary, step);
	}
}

uint32_t summary_row_of(const struct summary *summary, uint32_t step)
{
	const struct summary_step *at = &summary->steps[step - 1];
	uint32_t outer = at->parent ? summary->steps[at->parent - 1].row : 0;

	if (summary->side == SUMMARY_ALL)
		return at->row;
	if (summary->side == SUMMARY_CALLEES)
		return is_asked(summary, outer) ? at->row : 0;
	if (!is_asked(summary, at->row))
		return 0;
	return outer ? outer : summary->none;
}

uint32_t summary_step_of(const struct summary *summary, const struct profile_sample *sample)
{
	if (summary->by == SUMMARY_THREAD)
		return summary->samples_steps[sample->thread];
	return sample->node ? summary->samples_steps[sample->node - 1] : 0;
}

const struct summary_row **summary_sort(const struct summary *summary, size_t *count)
{
	const struct summary_row **sorted =
		heap_alloc((summary->row_count + (size_t)1) * sizeof(const struct summary_row *));

	*count = 0;
	for (uint32_t id = 1; sorted && id <= summary->row_count; id++)
		if (summary->rows[id - 1].self > 0 || summary->rows[id - 1].total > 0)
			sorted[(*count)++] = &summary->rows[id - 1];
	if (sorted && sort_items(sorted, *count, sizeof(const struct summary_row *), compare_rows))
		return sorted;
	heap_free(sorted);
	return NULL;
}

const char *summary_asked(const struct summary *summary)
{
	for (uint32_t i = 0; i < summary->row_count; i++)
		if (summary->rows[i].asked)
			return summary->rows[i].name;
	return "";
}

uint32_t summary_metric(const struct profile *profile, uint32_t measurement)
{
	uint32_t metric = 0;

	while (profile->metrics[metric].collector != measurement)
		metric++;
	return metric;
}

uint64_t summary_duration(const struct profile *profile)
{
	uint64_t start_ns = UINT64_MAX, end_ns = 0;

	for (size_t i = 0; i < profile->process_count; i++) {
		const struct profile_process *process = &profile->processes[i];
		uint64_t ended_ns = process->start_realtime_ns + process->end_monotonic_ns -
				    process->start_monotonic_ns;

		start_ns = process->start_realtime_ns < start_ns ? process->start_realtime_ns :
								   start_ns;
		end_ns = ended_ns > end_ns ? ended_ns : end_ns;
	}
	return end_ns > start_ns ? end_ns - start_ns : 0;
}

static void add_threads(struct summary *summary)
{
	const struct profile *profile = summary->profile;

	for (size_t i = 0; i < profile->thread_count && !summary->failed; i++) {
		const struct profile_thread *thread = &profile->threads[i];
		struct summary_row row = {
			.name = thread->name ? profile_string(profile, thread->name) : NO_NAME,
			.file = "",
			.number = thread->tid,
			.pid = profile->processes[thread->process].pid,
		};

		summary->samples_steps[i] = put_step(summary, 0, put_row(summary, &row));
	}
}

static void add_nodes(struct summary *summary)
{
	const struct profile *profile = summary->profile;

	for (size_t i = 0; i < profile->node_count && !summary->failed; i++) {
		const struct profile_node *node = &profile->nodes[i];
		uint32_t parent = node->parent ? summary->samples_steps[node->parent - 1] : 0;

		summary->samples_steps[i] =
			put_step(summary, parent, frame_row(summary, node->frame));
	}
}

static uint32_t frame_row(struct summary *summary, uint32_t frame)
{
	const struct profile *profile = summary->profile;
	const struct profile_frame *at = &profile->frames[frame - 1];
	const struct profile_function *function = &profile->functions[at->function - 1];
	const char *file = profile_string(profile, function->file);
	struct summary_row row = {
		.name = profile_string(profile, function->full),
		.file = file,
		.is_native = profile_origin(profile, function) == PROFILE_NATIVE,
	};

	if (summary->frame_rows[frame - 1] != 0)
		return summary->frame_rows[frame - 1];
	if (summary->by == SUMMARY_FUNCTION)
		row.number = function->first_line;
	else if (summary->by == SUMMARY_LINE)
		row.number = at->line;
	else if (summary->by == SUMMARY_FILE)
		row = (struct summary_row){ .name = *file ? file : NO_FILE, .file = "" };
	else
		row = (struct summary_row){ .name = module_of(profile, function), .file = "" };
	return summary->frame_rows[frame - 1] = put_row(summary, &row);
}

/* A marker is of no module: it stands for itself. Native code has its library for one. */
static const char *module_of(const struct profile *profile, const struct profile_function *row)
{
	const char *module = profile_string(profile, row->module);

	if (row->kind == RECORDING_MARKER)
		return profile_string(profile, row->full);
	if (profile_origin(profile, row) == PROFILE_NATIVE)
		return profile_base_name(profile_string(profile, row->file));
	return *module ? module : NO_MODULE;
}

static uint32_t put_row(struct summary *summary, const struct summary_row *row)
{
	size_t name_bytes = strlen(row->name) + 1;
	const char *key;
	bool fresh = false;
	uint32_t id = 0;
	void *rows = summary->rows;

	wire_clear(&summary->text);
	wire_put(&summary->text, row->name, name_bytes);
	wire_put(&summary->text, row->file, strlen(row->file) + 1);
	wire_put_varint(&summary->text, row->number);
	wire_put_varint(&summary->text, row->pid);
	if (!summary->text.failed)
		id = intern_put(&summary->keys, summary->text.bytes, summary->text.size, &fresh);
	if (id != 0 && !fresh)
		return id;
	if (id == 0 || !heap_grow(&rows, &summary->row_capacity, id, sizeof(*summary->rows))) {
		summary->failed = true;
		return 0;
	}
	summary->rows = rows;
	key = intern_get(&summary->keys, id, NULL);
	summary->rows[id - 1] = *row;
	summary->rows[id - 1].name = key;
	summary->rows[id - 1].file = key + name_bytes;
	summary->row_count = id;
	return id;
}

static uint32_t put_step(struct summary *summary, uint32_t parent, uint32_t row)
{
	void *steps = summary->steps;
	bool fresh = false;
	uint32_t id = row ? pairs_put(&summary->paths, parent, row, &fresh) : 0;
	uint32_t *first;

	if (id != 0 && !fresh)
		return id;
	if (id == 0 || !heap_grow(&steps, &summary->step_capacity, id, sizeof(*summary->steps))) {
		summary->failed = true;
		return 0;
	}
	summary->steps = steps;
	first = parent ? &summary->steps[parent - 1].child : &summary->root;
	summary->steps[id - 1] =
		(struct summary_step){ .parent = parent, .row = row, .sibling = *first };
	*first = id;
	summary->step_count = id;
	return id;
}

static void clear(struct summary *summary, enum summary_side side)
{
	summary->side = side;
	summary->value = summary->stackless = summary->samples = 0;
	summary->asked_self = summary->asked_total = 0;
	for (uint32_t i = 0; i < summary->row_count; i++)
		summary->rows[i].self = summary->rows[i].total = 0;
	for (uint32_t i = 0; i < summary->step_count; i++)
		summary->steps[i].self = summary->steps[i].total = 0;
}

static void add_samples(struct summary *summary, uint32_t metric)
{
	const struct profile *profile = summary->profile;
	bool is_counted = profile->metrics[metric].count_name != 0;

	for (size_t i = 0; i < profile->sample_count; i++) {
		const struct profile_sample *sample = &profile->samples[i];
		uint32_t step;
		uint64_t *self;

		if (sample->metric != metric)
			continue;
		step = summary_step_of(summary, sample);
		self = step ? &summary->steps[step - 1].self : &summary->stackless;
		*self = add_up(*self, sample->value);
		summary->value = add_up(summary->value, sample->value);
		if (is_counted)
			summary->samples += sample->count;
	}
}

static void add_steps(struct summary *summary)
{
	for (uint32_t id = summary->step_count; id > 0; id--) {
		struct summary_step *step = &summary->steps[id - 1];
		uint64_t *outer = step->parent ? &summary->steps[step->parent - 1].total : NULL;

		step->total = add_up(step->total, step->self);
		if (outer)
			*outer = add_up(*outer, step->total);
	}
}

static void enter(struct summary *summary, uint32_t step)
{
	const struct summary_step *at = &summary->steps[step - 1];
	uint32_t id = summary_row_of(summary, step);

	if (id != 0) {
		struct summary_row *row = &summary->rows[id - 1];

		row->self = add_up(row->self, at->self);
		if (summary->depths[id]++ == 0)
			row->total = add_up(row->total, at->total);
	}
	if (is_asked(summary, at->row)) {
		summary->asked_self = add_up(summary->asked_self, at->self);
		if (summary->depths[0]++ == 0)
			summary->asked_total = add_up(summary->asked_total, at->total);
	}
}

/* A step without children, and all above it that it is the last child of. The next step; 0: it was the last. */
static uint32_t leave(struct summary *summary, uint32_t step)
{
	while (step != 0) {
		const struct summary_step *at = &summary->steps[step - 1];

		summary->depths[0] -= is_asked(summary, at->row);
		if (summary_row_of(summary, step) != 0)
			summary->depths[summary_row_of(summary, step)]--;
		if (at->sibling != 0)
			return at->sibling;
		step = at->parent;
	}
	return 0;
}

static bool is_asked(const struct summary *summary, uint32_t row)
{
	return row != 0 && summary->rows[row - 1].asked;
}

static int compare_rows(const void *a, const void *b)
{
	const struct summary_row *left = *(const struct summary_row *const *)a;
	const struct summary_row *right = *(const struct summary_row *const *)b;
	int order;

	if (left->self != right->self)
		return left->self > right->self ? -1 : 1;
	if (left->total != right->total)
		return left->total > right->total ? -1 : 1;
	order = strcmp(left->name, right->name);
	if (order == 0)
		order = strcmp(left->file, right->file);
	if (order != 0 || left->number == right->number)
		return order;
	return left->number < right->number ? -1 : 1;
}

/* Values are signed in every format that we write. */
static uint64_t add_up(uint64_t a, uint64_t b)
{
	return b > INT64_MAX - a ? INT64_MAX : a + b;
}
