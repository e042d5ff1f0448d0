/*
 * test_profile_view.c - files and modules for functions: sums, points and errors stay, stacks get shorter.
 */
#include "exported.h"
#include "windows.h"

#include "profile_view.h"

static struct profile *windows_profile(void)
{
	struct bytes all =
		windows_recording(1, windows_samples, PROF_COUNT(windows_samples), windows_notes);
	struct profile *profile = profile_new();

	profile_keep_points(profile);
	cr_assert_null(profile_add_bytes(profile, all.bytes, all.size));
	cr_assert_null(profile_finish(profile));
	return profile;
}

static const char *frame_name(const struct profile *profile, uint32_t frame)
{
	uint32_t function = profile->frames[frame - 1].function;

	return profile_string(profile, profile->functions[function - 1].full);
}

/* "outer;inner" */
static const char *stack_text(const struct profile *profile, uint32_t node)
{
	static char text[1024];
	char rest[1024];

	text[0] = '\0';
	for (; node != 0; node = profile->nodes[node - 1].parent) {
		snprintf(rest, sizeof(rest), "%s", text);
		snprintf(text, sizeof(text), "%s%s%.800s",
			 frame_name(profile, profile->nodes[node - 1].frame), *rest ? ";" : "",
			 rest);
	}
	return text;
}

static uint64_t sum_of(const struct profile *profile, const char *metric, const char *stack)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < profile->sample_count; i++) {
		const struct profile_sample *sample = &profile->samples[i];
		uint32_t name = profile->metrics[sample->metric].name;

		if (strcmp(profile_string(profile, name), metric) == 0 &&
		    (!stack || strcmp(stack_text(profile, sample->node), stack) == 0))
			sum += sample->value;
	}
	return sum;
}

/* What every reader of a profile relies on. */
static void check_profile(const struct profile *profile)
{
	uint64_t *values = heap_zalloc((profile->sample_count + 1) * sizeof(*values));
	uint64_t *counts = heap_zalloc((profile->sample_count + 1) * sizeof(*counts));
	struct profile_run run = { 0 };
	size_t points = 0;

	for (size_t i = 0; i < profile->node_count; i++) {
		const struct profile_node *node = &profile->nodes[i];

		cr_assert_leq(node->parent, i);
		cr_assert(node->frame > 0 && node->frame <= profile->frame_count);
		cr_assert(node->parent == 0 ||
				  profile->nodes[node->parent - 1].frame != node->frame,
			  "one file after itself");
	}
	for (size_t i = 0; i < profile->frame_count; i++)
		cr_assert_leq(profile->frames[i].function, profile->function_count);
	for (size_t i = 0; i < profile->function_count; i++) {
		cr_assert_eq(profile->functions[i].module, 0);
		cr_assert_eq(profile->functions[i].full, profile->functions[i].name);
	}
	while (profile_next_run(profile, 0, &run)) {
		for (size_t i = run.begin; i < run.end; i++, points++) {
			values[profile->points[i].sample] += profile->points[i].value;
			counts[profile->points[i].sample]++;
			cr_assert(i == run.begin ||
				  profile->points[i].time_ns >= profile->points[i - 1].time_ns);
		}
	}
	cr_assert_eq(points, profile->point_count);
	for (size_t i = 0; i < profile->sample_count; i++) {
		const struct profile_sample *sum = &profile->samples[i];

		cr_assert_eq(values[i], sum->value, "sum %zu", i);
		cr_assert_eq(counts[i], sum->count, "sum %zu", i);
		cr_assert(i == 0 || sum->metric != sum[-1].metric ||
				  sum->thread != sum[-1].thread || sum->node != sum[-1].node ||
				  sum->duration != sum[-1].duration,
			  "sums %zu and before are one", i);
	}
	heap_free(values);
	heap_free(counts);
}

Test(profile_view, files_in_place_of_functions)
{
	struct profile *before = windows_profile(), *after = windows_profile();

	cr_assert_null(profile_view_by(after, SUMMARY_FILE));
	check_profile(after);
	cr_assert_eq(sum_of(after, "calls", "/srv/service/app.py"),
		     sum_of(before, "calls", NULL) -
			     sum_of(before, "calls", "m.main;m.f;builtins.len"));
	cr_assert_eq(sum_of(after, "calls", "/srv/service/app.py;[no file]"),
		     sum_of(before, "calls", "m.main;m.f;builtins.len"));
	cr_assert_eq(sum_of(after, "time", NULL), sum_of(before, "time", NULL));
	cr_assert_eq(after->function_count, 2);
	cr_assert_eq(after->node_count, 2);
	profile_free(before);
	profile_free(after);
}

Test(profile_view, modules_in_place_of_functions)
{
	struct profile *before = windows_profile(), *after = windows_profile();

	cr_assert_null(profile_view_by(after, SUMMARY_MODULE));
	check_profile(after);
	cr_assert_eq(sum_of(after, "calls", "m") + sum_of(after, "calls", "m;builtins"),
		     sum_of(before, "calls", NULL));
	cr_assert_eq(sum_of(after, "calls", "m;builtins"),
		     sum_of(before, "calls", "m.main;m.f;builtins.len"));
	for (size_t i = 0; i < after->function_count; i++) {
		const struct profile_function *row = &after->functions[i];
		bool is_c = strcmp(profile_string(after, row->full), "builtins") == 0;

		cr_assert_eq(profile_origin(after, row), is_c ? PROFILE_C : PROFILE_PROGRAM);
		cr_assert_str_eq(profile_string(after, row->file),
				 is_c ? "" : "/srv/service/app.py");
	}
	profile_free(before);
	profile_free(after);
}

/* One for each metric and process: what its functions' were. */
Test(profile_view, errors_are_at_most_the_sum_of_those_of_functions)
{
	struct profile *before = windows_profile(), *after = windows_profile();

	cr_assert_null(profile_view_by(after, SUMMARY_MODULE));
	cr_assert_gt(before->error_count, after->error_count);
	for (size_t i = 0; i < after->error_count; i++) {
		const struct profile_error *error = &after->errors[i];
		const char *module =
			profile_string(after, after->functions[error->function - 1].full);
		double sum = 0;

		for (size_t j = 0; j < before->error_count; j++) {
			const struct profile_error *one = &before->errors[j];
			uint32_t of = before->functions[one->function - 1].module;

			if (one->metric == error->metric &&
			    strcmp(profile_string(before, of), module) == 0)
				sum += one->error;
		}
		cr_assert_float_eq(error->error, sum, 1e-6 * sum);
		cr_assert(i == 0 || error->metric != error[-1].metric ||
			  error->function != error[-1].function);
	}
	profile_free(before);
	profile_free(after);
}

Test(profile_view, any_profile_keeps_its_sums, .fini = remove_scratch)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		for (unsigned by = SUMMARY_FILE; by <= SUMMARY_MODULE; by++) {
			struct filled filled;
			struct profile *profile = hostile_profile(seed, &filled);
			uint64_t value = 0, count = 0;

			cr_assert_null(profile_view_by(profile, (enum summary_by)by));
			check_profile(profile);
			for (size_t i = 0; i < profile->sample_count; i++) {
				value += profile->samples[i].value;
				count += profile->samples[i].count;
			}
			cr_assert_eq(value, filled.value);
			cr_assert_eq(count, filled.count);
			profile_free(profile);
			remove_scratch();
			mkdir(scratch(), 0700);
		}
	}
}

Test(profile_view, nothing_stays_nothing)
{
	struct profile *profile = profile_new();

	cr_assert_null(profile_finish(profile));
	cr_assert_null(profile_view_by(profile, SUMMARY_MODULE));
	cr_assert_eq(profile->sample_count + profile->node_count + profile->function_count, 0);
	profile_free(profile);
}
