/*
 * profile_points.c - samples with their times, for those who draw a timeline.
 *
 *   as recorded: the sum that each is part of, by the order in which sums were met
 *     -> that sum's place among the sorted ones
 *     -> one run for each (metric, thread), in order of time
 *     -> scaled, so that those of a sum add up to it
 *
 * A thread's samples come nearly in order of time, whoever wrote them: each run is sorted by itself.
 */
#include "profile_take.h"

#include "heap.h"
#include "sort.h"

#include <string.h>

/* All samples of one metric in one thread. */
struct run {
	size_t begin, end;
};

static bool follow_sums(struct profile *profile, const struct profile_sample *taken);
static bool part_into_runs(struct profile *profile);
static uint32_t number_runs(const struct profile *profile, uint32_t *run_of);
static bool place_in_runs(struct profile *profile, struct profile_point *placed, struct run *runs,
			  uint32_t run_count, const uint32_t *run_of);
static bool sort_runs(struct profile *profile);
static bool scale_points(struct profile *profile);
static int compare_times(const void *a, const void *b);

void profile_take_point(struct profile_maker *maker, size_t sum,
			const struct pending_sample *sample)
{
	struct profile *profile = maker->profile;

	if (!GROW(profile->points, maker->point_capacity, profile->point_count)) {
		profile_fail(maker, "no memory");
		return;
	}
	profile->points[profile->point_count++] = (struct profile_point){
		.time_ns = sample->time_ns,
		.value = sample->value,
		.sample = (uint32_t)sum,
	};
}

errmsg profile_finish_points(struct profile *profile, const struct profile_sample *taken)
{
	bool is_done = follow_sums(profile, taken) && part_into_runs(profile) &&
		       sort_runs(profile) && scale_points(profile);

	if (!is_done)
		profile_fail(profile->maker, "no memory");
	return profile->maker->error;
}

bool profile_next_run(const struct profile *profile, uint32_t measurement, struct profile_run *run)
{
	const struct profile_sample *sums = profile->samples, *first;
	const struct profile_point *points = profile->points;
	size_t at = run->end;

	while (at < profile->point_count && measurement &&
	       profile->metrics[sums[points[at].sample].metric].collector != measurement)
		at++;
	if (at == profile->point_count)
		return false;
	first = &sums[points[at].sample];
	*run = (struct profile_run){ first->metric, first->thread, at, at, 0 };
	while (run->end < profile->point_count &&
	       sums[points[run->end].sample].metric == run->metric &&
	       sums[points[run->end].sample].thread == run->thread)
		run->value += points[run->end++].value;
	return true;
}

/* `taken`: the sums before they were sorted. */
static bool follow_sums(struct profile *profile, const struct profile_sample *taken)
{
	struct profile_maker *maker = profile->maker;
	uint32_t *now = heap_alloc(profile->sample_count * sizeof(*now));
	bool is_done = now && profile_index_samples(maker, maker->slot_count);

	for (size_t i = 0; is_done && i < profile->sample_count && profile_step(profile, i); i++)
		now[i] = (uint32_t)(profile_find_sample(maker, &taken[i]) - profile->samples);
	is_done = is_done && !maker->error;
	for (size_t i = 0; is_done && i < profile->point_count && profile_step(profile, i); i++)
		profile->points[i].sample = now[profile->points[i].sample];
	heap_free(now);
	return is_done && !maker->error;
}

static bool part_into_runs(struct profile *profile)
{
	uint32_t *run_of = heap_alloc(profile->sample_count * sizeof(*run_of));
	uint32_t run_count = run_of ? number_runs(profile, run_of) : 0;
	struct run *runs = heap_zalloc((run_count + 1) * sizeof(*runs));
	struct profile_point *placed = heap_alloc(profile->point_count * sizeof(*placed));
	bool is_done = run_of && runs && placed &&
		       place_in_runs(profile, placed, runs, run_count, run_of);

	if (is_done) {
		heap_free(profile->points);
		profile->points = placed;
	} else {
		heap_free(placed);
	}
	heap_free(run_of);
	heap_free(runs);
	return is_done;
}

/* By sum; they are sorted by metric and thread. How many there are. */
static uint32_t number_runs(const struct profile *profile, uint32_t *run_of)
{
	uint32_t run = 0;

	for (size_t i = 0; i < profile->sample_count; i++) {
		const struct profile_sample *sum = &profile->samples[i];

		if (i > 0 && (sum->metric != sum[-1].metric || sum->thread != sum[-1].thread))
			run++;
		run_of[i] = run;
	}
	return run + 1;
}

static bool place_in_runs(struct profile *profile, struct profile_point *placed, struct run *runs,
			  uint32_t run_count, const uint32_t *run_of)
{
	for (size_t i = 0; i < profile->point_count && profile_step(profile, i); i++)
		runs[run_of[profile->points[i].sample] + 1].begin++;
	if (profile->maker->error)
		return false;
	for (uint32_t run = 0; run < run_count; run++) {
		runs[run + 1].begin += runs[run].begin;
		runs[run].end = runs[run].begin;
	}
	for (size_t i = 0; i < profile->point_count && profile_step(profile, i); i++) {
		const struct profile_point *point = &profile->points[i];

		placed[runs[run_of[point->sample]].end++] = *point;
	}
	return !profile->maker->error;
}

static bool sort_runs(struct profile *profile)
{
	struct profile_run run = { 0 };
	errmsg error = NULL;

	while (!error && profile_next_run(profile, 0, &run))
		error = sort_watched(&profile->points[run.begin], run.end - run.begin,
				     sizeof(*profile->points), compare_times, &profile->watch);
	profile_fail(profile->maker, error);
	return !error;
}

/* Each gets what its sum grows by with it: the last one's is the sum. */
static bool scale_points(struct profile *profile)
{
	struct progress {
		uint64_t taken, scaled;
	} *progress = heap_zalloc(profile->sample_count * sizeof(*progress));
	uint32_t metric = UINT32_MAX, process = 0;
	double scale = 1;
	bool is_done;

	for (size_t i = 0; progress && i < profile->point_count && profile_step(profile, i); i++) {
		struct profile_point *point = &profile->points[i];
		const struct profile_sample *sum = &profile->samples[point->sample];
		struct progress *so_far = &progress[point->sample];
		uint32_t of = profile->threads[sum->thread].process;

		if (sum->metric != metric || of != process)
			scale = profile_scale(profile, of, sum->metric);
		metric = sum->metric;
		process = of;
		so_far->taken = point->value > INT64_MAX - so_far->taken ?
					INT64_MAX :
					so_far->taken + point->value;
		point->value = estimate_whole(so_far->taken, scale) - so_far->scaled;
		so_far->scaled += point->value;
	}
	is_done = progress != NULL;
	heap_free(progress);
	return is_done;
}

static int compare_times(const void *a, const void *b)
{
	const struct profile_point *left = a, *right = b;

	return left->time_ns < right->time_ns ? -1 : left->time_ns > right->time_ns;
}
