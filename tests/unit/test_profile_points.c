/*
 * test_profile_points.c - samples with their times: all are there, in order, and add up to the sums.
 */
#include "windows.h"

static struct profile *fold(const struct bytes *recordings, size_t count)
{
	struct profile *profile = profile_new();

	profile_keep_points(profile);
	for (size_t i = 0; i < count; i++)
		cr_assert_null(profile_add_bytes(profile, recordings[i].bytes, recordings[i].size));
	cr_assert_null(profile_finish(profile));
	return profile;
}

static bool is_after(const struct profile *profile, const struct profile_point *a,
		     const struct profile_point *b)
{
	const struct profile_sample *left = &profile->samples[a->sample];
	const struct profile_sample *right = &profile->samples[b->sample];

	if (left->metric != right->metric)
		return left->metric > right->metric;
	if (left->thread != right->thread)
		return left->thread > right->thread;
	return a->time_ns > b->time_ns;
}

static void check_points(const struct profile *profile)
{
	uint64_t *values = heap_zalloc((profile->sample_count + 1) * sizeof(*values));
	uint64_t *counts = heap_zalloc((profile->sample_count + 1) * sizeof(*counts));

	for (size_t i = 0; i < profile->point_count; i++) {
		const struct profile_point *point = &profile->points[i];

		cr_assert_lt(point->sample, profile->sample_count);
		values[point->sample] += point->value;
		counts[point->sample]++;
		cr_assert(i == 0 || !is_after(profile, point - 1, point), "point %zu", i);
	}
	for (size_t i = 0; i < profile->sample_count; i++) {
		cr_assert_eq(values[i], profile->samples[i].value, "sum %zu", i);
		cr_assert_eq(counts[i], profile->samples[i].count, "sum %zu", i);
	}
	heap_free(values);
	heap_free(counts);
}

Test(profile_points, all_samples_are_there_in_order, .fini = remove_scratch)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct recording_head head = make_head(in_scratch("random.monprof"));
		struct recording *recording = recording_new(&head);
		struct filled filled;
		struct profile *profile;
		struct bytes all;

		put_threads(recording);
		filled = fill(recording, seed, (unsigned)seed * 100);
		flush_good(recording, START_NS + 1000000000u);
		recording_free(recording);
		all = slurp(in_scratch("random.monprof"));
		profile = fold(&all, 1);
		cr_assert_eq(profile->point_count, filled.count);
		check_points(profile);
		profile_free(profile);
		unlink(in_scratch("random.monprof"));
	}
}

/* 10.5 times each: rounded one by one they would be too many. */
Test(profile_points, estimates_add_up_to_the_scaled_sums)
{
	static const struct windows_note notes[] = { { "scale.calls.calls", "10.5" },
						     { "scale.calls.time", "10.5" },
						     { "windows.calls", "4" },
						     { NULL, NULL } };
	static const struct recording_sample samples[] = {
		{ 1, WINDOWS_CALLS, MAIN_F, START_NS + 1, 1, 0 },
		{ 1, WINDOWS_CALLS, MAIN_F, START_NS + 3, 1, 0 },
		{ 1, WINDOWS_CALLS, MAIN_F, START_NS + 2, 1, 0 },
	};
	struct bytes all = windows_recording(1, samples, PROF_COUNT(samples), notes);
	struct profile *profile = fold(&all, 1);

	cr_assert_eq(profile->sample_count, 1);
	cr_assert_eq(profile->samples[0].value, 32, "31.5");
	cr_assert_eq(profile->point_count, 3);
	for (unsigned i = 0; i < 3; i++)
		cr_expect_eq(profile->points[i].time_ns, START_NS + 1 + i);
	check_points(profile);
	profile_free(profile);
}

Test(profile_points, recordings_of_several_processes_and_metrics)
{
	struct bytes both[] = {
		windows_recording(1, windows_samples, PROF_COUNT(windows_samples),
				  (struct windows_note[]){ { "scale.calls.calls", "1.3" },
							   { NULL, NULL } }),
		windows_recording(2, windows_samples, PROF_COUNT(windows_samples),
				  (struct windows_note[]){ { "scale.calls.calls", "7.7" },
							   { NULL, NULL } }),
	};
	struct profile *profile = fold(both, 2);

	cr_assert_eq(profile->point_count, 2 * PROF_COUNT(windows_samples));
	check_points(profile);
	profile_free(profile);
}

Test(profile_points, nobody_who_did_not_ask_pays)
{
	struct bytes all = windows_recording(1, windows_samples, PROF_COUNT(windows_samples),
					     (struct windows_note[]){ { NULL, NULL } });
	struct profile *profile = profile_new();

	cr_assert_null(profile_add_bytes(profile, all.bytes, all.size));
	cr_assert_null(profile_finish(profile));
	cr_assert_null(profile->points);
	cr_assert_eq(profile->point_count, 0);
	profile_free(profile);
}
