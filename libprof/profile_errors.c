/*
 * profile_errors.c - how far off totals may be: what each window counted, by metric and innermost function, and
 * how much it saw; at a recording's end, when its notes are known, the errors.
 */
#include "profile_take.h"

#include "heap.h"
#include "text.h"

#include <string.h>

static struct observed_metric *observed_metric(struct profile_maker *maker, uint32_t metric);
static bool reach_function(struct profile_maker *maker, struct observed_metric *of,
			   uint32_t function);
static void take_error(struct profile_maker *maker, const struct observed *key);

static const char no_memory[] = "no memory";

/* The process's, and of no stack: how much a window saw. */
void profile_take_size(struct profile_maker *maker, const struct recording_sample *sample)
{
	struct observed_metric *metric =
		observed_metric(maker, maker->metric_map.ids[sample->metric]);

	if (metric)
		estimate_size(&metric->sizes, sample->time_ns, sample->value);
}

static struct observed_metric *observed_metric(struct profile_maker *maker, uint32_t metric)
{
	while (maker->metric_count <= metric) {
		if (!GROW(maker->metrics, maker->observed_metric_capacity, maker->metric_count)) {
			profile_fail(maker, no_memory);
			return NULL;
		}
		maker->metrics[maker->metric_count++] = (struct observed_metric){ 0 };
	}
	return &maker->metrics[metric];
}

uint32_t profile_find_observed(struct profile_maker *maker, uint32_t metric, uint32_t function)
{
	struct observed_metric *of = observed_metric(maker, metric);
	uint32_t *id;

	if (!of || !reach_function(maker, of, function))
		return 0;
	id = &of->ids[function - 1];
	if (*id != 0)
		return *id;
	if (!GROW(maker->observed, maker->observed_capacity, maker->observed_count)) {
		profile_fail(maker, no_memory);
		return 0;
	}
	maker->observed[maker->observed_count++] = (struct observed){ metric, function, { 0 } };
	return *id = (uint32_t)maker->observed_count;
}

static bool reach_function(struct profile_maker *maker, struct observed_metric *of,
			   uint32_t function)
{
	size_t known = of->id_capacity;

	if (function <= known)
		return true;
	if (!GROW(of->ids, of->id_capacity, function)) {
		profile_fail(maker, no_memory);
		return false;
	}
	memset(of->ids + known, 0, (of->id_capacity - known) * sizeof(*of->ids));
	return true;
}

/* Whether the collector has windows is known only at the end: notes come last. */
void profile_observe(struct profile_maker *maker, const struct pending_sample *sample)
{
	estimate_add(&maker->observed[sample->observed - 1].estimate,
		     &maker->metrics[sample->key.metric].sizes, sample->time_ns, sample->value);
}

/* The next recording begins with none. */
void profile_take_errors(struct profile_maker *maker)
{
	for (size_t i = 0; i < maker->observed_count && !maker->error; i++)
		take_error(maker, &maker->observed[i]);
	maker->observed_count = 0;
	for (size_t i = 0; i < maker->metric_count; i++) {
		struct observed_metric *metric = &maker->metrics[i];

		metric->sizes = (struct estimate_sizes){ 0 };
		if (metric->ids)
			memset(metric->ids, 0, metric->id_capacity * sizeof(*metric->ids));
	}
}

void profile_release_observed(struct profile_maker *maker)
{
	for (size_t i = 0; i < maker->metric_count; i++)
		heap_free(maker->metrics[i].ids);
	heap_free(maker->metrics);
	heap_free(maker->observed);
}

static void take_error(struct profile_maker *maker, const struct observed *key)
{
	struct profile *profile = maker->profile;
	uint32_t collector = profile->metrics[key->metric].collector;
	const char *windows = profile_collector_note(profile, maker->process, "windows", collector);
	static const struct estimate_sizes even;
	const char *doubt, *sizes;
	struct text_quantity count;
	double error, scale;

	if (!text_quantity(windows, &count) || count.whole == 0)
		return;
	scale = profile_scale(profile, maker->process, key->metric);
	sizes = profile_collector_note(profile, maker->process, "sizes", collector);
	error = estimate_error(&key->estimate,
			       strcmp(sizes, "even") == 0 ? &even :
							    &maker->metrics[key->metric].sizes,
			       count.whole, scale);
	doubt = profile_collector_note(profile, maker->process, "doubt", collector);
	if (*doubt) {
		double off = estimate_scale(doubt) * scale * estimate_sum(&key->estimate);

		error = estimate_root(error * error + off * off);
	}
	if (!(error > 0))
		return;
	if (!GROW(profile->errors, maker->error_capacity, profile->error_count)) {
		profile_fail(maker, no_memory);
		return;
	}
	profile->errors[profile->error_count++] =
		(struct profile_error){ key->metric, maker->process, key->function, error };
}
