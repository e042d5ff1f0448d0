/*
 * profile_view.c - the rows of a summary become the functions of a profile.
 *
 *   rows  -> functions, each with one frame
 *   steps -> nodes; a step of its parent's row is its parent's node
 */
#include "profile_view.h"

#include "heap.h"
#include "profile_take.h"
#include "sort.h"

#include <string.h>

struct view {
	struct profile *profile;
	struct summary summary;
	uint32_t *ids; /* of functions, by row id - 1; 0: none */
	struct profile_function *functions; /* by id - 1 */
	struct profile_frame *frames; /* the same */
	uint32_t count; /* of both */
	struct pairs paths; /* (parent node, frame) -> node */
	struct profile_node *made; /* by node - 1 */
	uint32_t *nodes; /* by step id - 1 */
};

/* The profile's, and where it was among them. */
struct moved_sample {
	struct profile_sample sample;
	uint32_t was;
};

static bool make_functions(struct view *view);
static bool take_function(struct view *view, uint32_t row, uint32_t function);
static void join_function(struct profile_function *row, const struct profile_function *function);
static bool make_nodes(struct view *view);
static bool move_samples(struct view *view);
static void merge_samples(struct profile *profile, const struct moved_sample *moved, uint32_t *now);
static bool move_errors(struct view *view);
static void merge_errors(struct profile *profile);
static void replace_tables(struct view *view);
static uint64_t add_up(uint64_t a, uint64_t b);

errmsg profile_view_by(struct profile *profile, enum summary_by by)
{
	struct view view = { .profile = profile };
	bool is_done = summary_begin(&view.summary, profile, by) && make_functions(&view) &&
		       make_nodes(&view) && move_samples(&view) && move_errors(&view);

	if (is_done)
		replace_tables(&view);
	summary_release(&view.summary);
	heap_free(view.ids);
	heap_free(view.functions);
	heap_free(view.frames);
	heap_free(view.made);
	heap_free(view.nodes);
	pairs_release(&view.paths);
	return is_done ? NULL : "no memory";
}

static bool make_functions(struct view *view)
{
	struct profile *profile = view->profile;
	size_t count = view->summary.row_count;

	view->ids = heap_zalloc((count + 1) * sizeof(*view->ids));
	view->functions = heap_zalloc((count + 1) * sizeof(*view->functions));
	view->frames = heap_zalloc((count + 1) * sizeof(*view->frames));
	if (!view->ids || !view->functions || !view->frames)
		return false;
	for (size_t i = 0; i < profile->frame_count; i++) {
		uint32_t row = view->summary.frame_rows[i];

		if (row != 0 && !take_function(view, row, profile->frames[i].function))
			return false;
	}
	return true;
}

static bool take_function(struct view *view, uint32_t row, uint32_t function)
{
	struct profile *profile = view->profile;
	const struct profile_function *taken = &profile->functions[function - 1];
	const char *text = view->summary.rows[row - 1].name;
	uint32_t *id = &view->ids[row - 1], name;

	if (*id != 0) {
		join_function(&view->functions[*id - 1], taken);
		return true;
	}
	name = intern_put(&profile->strings, text, strlen(text), NULL);
	*id = ++view->count;
	view->frames[*id - 1] = (struct profile_frame){ .function = *id };
	view->functions[*id - 1] = (struct profile_function){
		.name = name,
		.full = name,
		.file = taken->file,
		.kind = taken->kind,
	};
	return name != 0;
}

/* What functions of one row do not agree in is not known of it. */
static void join_function(struct profile_function *row, const struct profile_function *function)
{
	if (row->file != function->file)
		row->file = 0;
	if (row->kind != function->kind)
		row->kind = RECORDING_PYTHON;
}

static bool make_nodes(struct view *view)
{
	const struct summary *summary = &view->summary;

	view->nodes = heap_zalloc((summary->step_count + (size_t)1) * sizeof(*view->nodes));
	view->made = heap_alloc((summary->step_count + (size_t)1) * sizeof(*view->made));
	if (!view->nodes || !view->made)
		return false;
	for (uint32_t i = 0; i < summary->step_count; i++) {
		const struct summary_step *step = &summary->steps[i];
		struct profile_node row = {
			.parent = step->parent ? view->nodes[step->parent - 1] : 0,
			.frame = view->ids[step->row - 1],
		};
		bool is_fresh = false;

		if (row.parent != 0 && view->made[row.parent - 1].frame == row.frame)
			view->nodes[i] = row.parent;
		else
			view->nodes[i] = pairs_put(&view->paths, row.parent, row.frame, &is_fresh);
		if (view->nodes[i] == 0)
			return false;
		if (is_fresh)
			view->made[view->nodes[i] - 1] = row;
	}
	return true;
}

static bool move_samples(struct view *view)
{
	struct profile *profile = view->profile;
	size_t count = profile->sample_count;
	struct moved_sample *moved = heap_alloc((count + 1) * sizeof(*moved));
	uint32_t *now = heap_alloc((count + 1) * sizeof(*now));
	bool is_done = moved && now;

	for (size_t i = 0; is_done && i < count; i++) {
		uint32_t step = summary_step_of(&view->summary, &profile->samples[i]);

		moved[i] = (struct moved_sample){ profile->samples[i], (uint32_t)i };
		moved[i].sample.node = step ? view->nodes[step - 1] : 0;
	}
	is_done = is_done && sort_items(moved, count, sizeof(*moved), profile_compare_samples);
	if (is_done)
		merge_samples(profile, moved, now);
	for (size_t i = 0; is_done && i < profile->point_count; i++)
		profile->points[i].sample = now[profile->points[i].sample];
	heap_free(moved);
	heap_free(now);
	return is_done;
}

/* `now`: where each is, by where it was. */
static void merge_samples(struct profile *profile, const struct moved_sample *moved, uint32_t *now)
{
	size_t count = profile->sample_count;

	profile->sample_count = 0;
	for (size_t i = 0; i < count; i++) {
		struct profile_sample *sum = &profile->samples[profile->sample_count];

		if (i > 0 && profile_compare_samples(sum - 1, &moved[i].sample) == 0) {
			sum--;
			sum->count += moved[i].sample.count;
			sum->value = add_up(sum->value, moved[i].sample.value);
		} else {
			*sum = moved[i].sample;
			profile->sample_count++;
		}
		now[moved[i].was] = (uint32_t)(sum - profile->samples);
	}
}

static bool move_errors(struct view *view)
{
	struct profile *profile = view->profile;
	uint32_t *ids = heap_zalloc((profile->function_count + 1) * sizeof(*ids));
	bool is_done = ids != NULL;

	for (size_t i = 0; is_done && i < profile->frame_count; i++)
		if (view->summary.frame_rows[i] != 0)
			ids[profile->frames[i].function - 1] =
				view->ids[view->summary.frame_rows[i] - 1];
	for (size_t i = 0; is_done && i < profile->error_count; i++)
		profile->errors[i].function = ids[profile->errors[i].function - 1];
	is_done = is_done && sort_items(profile->errors, profile->error_count,
					sizeof(*profile->errors), profile_compare_errors);
	heap_free(ids);
	if (is_done)
		merge_errors(profile);
	return is_done;
}

static void merge_errors(struct profile *profile)
{
	size_t count = profile->error_count;

	profile->error_count = 0;
	for (size_t i = 0; i < count; i++) {
		struct profile_error *sum = &profile->errors[profile->error_count];

		if (profile->error_count > 0 &&
		    profile_compare_errors(sum - 1, &profile->errors[i]) == 0) {
			sum[-1].error += profile->errors[i].error;
		} else {
			*sum = profile->errors[i];
			profile->error_count++;
		}
	}
}

static void replace_tables(struct view *view)
{
	struct profile *profile = view->profile;

	heap_free(profile->nodes);
	heap_free(profile->functions);
	heap_free(profile->frames);
	profile->nodes = view->made;
	profile->functions = view->functions;
	profile->frames = view->frames;
	profile->node_count = view->paths.count;
	profile->function_count = view->count;
	profile->frame_count = view->count;
	view->made = NULL;
	view->functions = NULL;
	view->frames = NULL;
}

/* Values are signed in every format that we write. */
static uint64_t add_up(uint64_t a, uint64_t b)
{
	return b > INT64_MAX - a ? INT64_MAX : a + b;
}
