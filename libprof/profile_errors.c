/*
 * profile_errors.c - how far off totals may be: what each window counted, by metric and innermost function, and
 * how much it saw; at a recording's end, when its notes are known, the errors.
 */
#include "profile_take.h"

#include "heap.h"
#include "text.h"

#include <string.h>

static const struct estimate_sizes *size_of(struct profile_maker *maker, uint32_t metric);
static void take_error(struct profile_maker *maker, uint32_t id);

static const char no_memory[] = "no memory";

/* The process's, and of no stack: how much a window saw. */
void profile_take_size(struct profile_maker *maker, const struct recording_sample *sample)
{
	uint32_t metric = maker->metric_map.ids[sample->metric];

	if (size_of(maker, metric))
		estimate_size(&maker->sizes[metric], sample->time_ns, sample->value);
}

static const struct estimate_sizes *size_of(struct profile_maker *maker, uint32_t metric)
{
	while (maker->size_count <= metric) {
		if (!GROW(maker->sizes, maker->size_capacity, maker->size_count)) {
			profile_fail(maker, no_memory);
			return NULL;
		}
		maker->sizes[maker->size_count++] = (struct estimate_sizes){ 0 };
	}
	return &maker->sizes[metric];
}

/* Whether the collector has windows is known only at the end: notes come last. */
void profile_observe(struct profile_maker *maker, const struct profile_sample *key,
		     const struct recording_sample *sample)
{
	const struct profile *profile = maker->profile;
	uint32_t frame = profile->nodes[key->node - 1].frame, id;

	if (profile_put_pair(maker, &maker->observed, key->metric,
			     profile->frames[frame - 1].function, &id)) {
		if (!GROW(maker->estimates, maker->estimate_capacity, id - 1)) {
			profile_fail(maker, no_memory);
			return;
		}
		maker->estimates[id - 1] = (struct estimate){ 0 };
	}
	if (!maker->error && size_of(maker, key->metric))
		estimate_add(&maker->estimates[id - 1], &maker->sizes[key->metric], sample->time_ns,
			     sample->value);
}

void profile_take_errors(struct profile_maker *maker)
{
	for (uint32_t id = 1; id <= maker->observed.count && !maker->error; id++)
		take_error(maker, id);
	pairs_release(&maker->observed);
}

static void take_error(struct profile_maker *maker, uint32_t id)
{
	struct profile *profile = maker->profile;
	const struct pair *key = &maker->observed.rows[id - 1];
	uint32_t collector = profile->metrics[key->a].collector;
	const char *windows = profile_collector_note(profile, maker->process, "windows", collector);
	static const struct estimate_sizes even;
	const char *doubt, *sizes;
	struct text_quantity count;
	double error, scale;

	if (!text_quantity(windows, &count) || count.whole == 0)
		return;
	if (!size_of(maker, key->a))
		return;
	scale = profile_scale(profile, maker->process, key->a);
	sizes = profile_collector_note(profile, maker->process, "sizes", collector);
	error = estimate_error(&maker->estimates[id - 1],
			       strcmp(sizes, "even") == 0 ? &even : &maker->sizes[key->a],
			       count.whole, scale);
	doubt = profile_collector_note(profile, maker->process, "doubt", collector);
	if (*doubt) {
		double off =
			estimate_scale(doubt) * scale * estimate_sum(&maker->estimates[id - 1]);

		error = estimate_root(error * error + off * off);
	}
	if (!(error > 0))
		return;
	if (!GROW(profile->errors, maker->error_capacity, profile->error_count)) {
		profile_fail(maker, no_memory);
		return;
	}
	profile->errors[profile->error_count++] =
		(struct profile_error){ key->a, maker->process, key->b, error };
}
