/*
 * test_speedscope.c - what speedscope gets: read again, it sums to what the profile does.
 */
#include "exported.h"
#include "json_reader.h"
#include "windows.h"

extern const struct exporter_hooks speedscope_exporter;

static const struct json_value *export_json(const struct profile *profile, uint32_t measurement,
					    bool lines)
{
	struct bytes all = export_measurement(&speedscope_exporter, profile, measurement, lines);

	return json_read((const char *)all.bytes, all.size);
}

static const struct json_value *frames_of(const struct json_value *file)
{
	return json_member(json_member(file, "shared"), "frames");
}

/* As the viewer checks it: a weight a sample, frames that are there; the sum of a thread's profile. */
static unsigned long long check_profile(const struct json_value *file,
					const struct json_value *profile)
{
	const struct json_value *samples = json_member(profile, "samples");
	const struct json_value *weights = json_member(profile, "weights");
	unsigned long long sum = 0;

	cr_assert_str_eq(json_member(profile, "type")->text, "sampled");
	cr_assert_eq(json_whole(json_member(profile, "startValue")), 0);
	cr_assert_eq(samples->count, weights->count);
	for (size_t i = 0; i < samples->count; i++) {
		cr_assert_gt(samples->items[i].count, 0, "an empty stack is left out of sums");
		for (size_t j = 0; j < samples->items[i].count; j++)
			cr_assert_lt(json_whole(&samples->items[i].items[j]),
				     frames_of(file)->count);
		sum += json_whole(&weights->items[i]);
	}
	cr_assert_eq(json_whole(json_member(profile, "endValue")), sum);
	return sum;
}

Test(speedscope, sums_are_the_profiles, .fini = remove_scratch)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct filled filled;
		struct profile *profile = hostile_profile(seed, &filled);
		const struct json_value *file =
			export_json(profile, measurement_of(profile), seed % 2);
		const struct json_value *profiles = json_member(file, "profiles");
		unsigned long long sum = 0;

		cr_assert_eq(profiles->count, 5);
		for (size_t i = 0; i < profiles->count; i++)
			sum += check_profile(file, &profiles->items[i]);
		cr_assert_eq(sum, filled.value);
		profile_free(profile);
	}
}

static bool has_frame(const struct json_value *file, const char *name)
{
	for (size_t i = 0; i < frames_of(file)->count; i++)
		if (strcmp(json_member(&frames_of(file)->items[i], "name")->text, name) == 0)
			return true;
	return false;
}

Test(speedscope, hostile_names_are_there, .fini = remove_scratch)
{
	struct filled filled;
	struct profile *profile = hostile_profile(1, &filled);
	const struct json_value *file = export_json(profile, measurement_of(profile), false);

	cr_expect(has_frame(file, "a;b 12.a;b 12"));
	cr_expect(has_frame(file, "</script><!--.</script><!--"));
	cr_expect(has_frame(file, "\"quoted\\.\"quoted\\"));
	cr_expect(has_frame(file, "new\nline\rand\ttab.new\nline\rand\ttab"));
	cr_expect(has_frame(file, "[unnamed]"));
	profile_free(profile);
}

static const struct windows_note no_notes[] = { { NULL, NULL } };

static const char *frame_name(const struct json_value *file, const struct json_value *index)
{
	return json_member(&frames_of(file)->items[json_whole(index)], "name")->text;
}

/* Time order, equal neighbours joined, root first. */
Test(speedscope, stacks_are_in_order_of_time)
{
	static const struct recording_sample samples[] = {
		{ 1, WINDOWS_CPU, MAIN_F, START_NS + 30, 5, 0 },
		{ 1, WINDOWS_CPU, MAIN_F, START_NS + 10, 1, 0 },
		{ 1, WINDOWS_CPU, MAIN_G, START_NS + 20, 7, 0 },
		{ 1, WINDOWS_CPU, MAIN_F, START_NS + 11, 2, 0 },
		{ 2, WINDOWS_CPU, NO_NODE, START_NS + 11, 40, 0 },
	};
	struct profile *profile = windows_fold(samples, PROF_COUNT(samples), no_notes);
	const struct json_value *file = export_json(profile, measurement_of(profile), false);
	const struct json_value *threads = json_member(file, "profiles"), *stacks, *weights;

	cr_assert_eq(threads->count, 2);
	cr_expect_eq(json_whole(json_member(file, "activeProfileIndex")), 1, "it has most");
	stacks = json_member(&threads->items[0], "samples");
	weights = json_member(&threads->items[0], "weights");
	cr_assert_eq(stacks->count, 3);
	cr_expect_str_eq(frame_name(file, &stacks->items[0].items[0]), "m.main");
	cr_expect_str_eq(frame_name(file, &stacks->items[0].items[1]), "m.f");
	cr_expect_str_eq(frame_name(file, &stacks->items[1].items[1]), "m.g");
	cr_expect_str_eq(frame_name(file, &stacks->items[2].items[1]), "m.f");
	cr_expect_eq(json_whole(&weights->items[0]), 3);
	cr_expect_eq(json_whole(&weights->items[1]), 7);
	cr_expect_eq(json_whole(&weights->items[2]), 5);
	cr_expect_str_eq(json_member(&threads->items[0], "unit")->text, "nanoseconds");
	stacks = json_member(&threads->items[1], "samples");
	cr_expect_str_eq(frame_name(file, &stacks->items[0].items[0]), "[no stack]");
	profile_free(profile);
}

Test(speedscope, each_metric_of_a_measurement_is_there)
{
	struct profile *profile =
		windows_fold(windows_samples, PROF_COUNT(windows_samples), no_notes);
	const struct json_value *file =
		export_json(profile, profile->metrics[WINDOWS_CALLS].collector, false);
	const struct json_value *profiles = json_member(file, "profiles");

	cr_assert_eq(profiles->count, 4, "two threads, two metrics");
	cr_expect_str_eq(json_member(&profiles->items[0], "unit")->text, "none");
	cr_expect_str_eq(json_member(&profiles->items[2], "unit")->text, "nanoseconds");
	cr_expect_eq(check_profile(file, &profiles->items[0]), 22);
	cr_expect_eq(check_profile(file, &profiles->items[1]), 2);
	profile_free(profile);
}

Test(speedscope, lines_are_frames_where_they_are_wanted)
{
	static const struct recording_sample samples[] = {
		{ 1, WINDOWS_CPU, MAIN_F, START_NS + 10, 1, 0 },
	};
	struct profile *profile = windows_fold(samples, PROF_COUNT(samples), no_notes);
	const struct json_value *file = export_json(profile, measurement_of(profile), true);
	const struct json_value *stack =
		&json_member(&json_member(file, "profiles")->items[0], "samples")->items[0];
	const struct json_value *leaf = &frames_of(file)->items[json_whole(&stack->items[1])];

	cr_expect_str_eq(json_member(leaf, "file")->text, "/srv/service/app.py");
	cr_expect_eq(json_whole(json_member(leaf, "line")), 11);
	file = export_json(profile, measurement_of(profile), false);
	stack = &json_member(&json_member(file, "profiles")->items[0], "samples")->items[0];
	leaf = &frames_of(file)->items[json_whole(&stack->items[1])];
	cr_expect_eq(json_whole(json_member(leaf, "line")), 10);
	profile_free(profile);
}

/* Wherever in it they are, with and without lines. */
Test(speedscope, native_functions_are_one_frame, .fini = remove_scratch)
{
	struct profile *profile = native_profile();

	for (unsigned lines = 0; lines < 2; lines++) {
		const struct json_value *file =
			export_json(profile, measurement_of(profile), lines);
		const struct json_value *run = &json_member(file, "profiles")->items[0];
		const struct json_value *stacks = json_member(run, "samples"), *eval;

		cr_assert_eq(check_profile(file, run), NATIVE_VALUE);
		cr_assert_eq(frames_of(file)->count, 7, "six functions and [no stack]");
		cr_assert_eq(stacks->count, 5);
		cr_expect_str_eq(frame_name(file, &stacks->items[0].items[1]), "eval");
		cr_expect_str_eq(frame_name(file, &stacks->items[0].items[2]), "hot");
		cr_expect_str_eq(frame_name(file, &stacks->items[1].items[2]), "hot");
		cr_expect_str_eq(frame_name(file, &stacks->items[2].items[2]),
				 "[libfoo.so+0x1234]");
		eval = &frames_of(file)->items[json_whole(&stacks->items[3].items[1])];
		cr_expect_str_eq(json_member(eval, "file")->text, "/usr/bin/python3");
		cr_expect_eq(eval->count, 2, "and no line");
	}
	profile_free(profile);
}
