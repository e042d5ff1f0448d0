/*
 * test_profile_filter.c - a part of a recording: points, sums and errors are of it, windows are of all.
 */
#include "windows.h"

#include "estimate.h"
#include "profile_filter.h"

#include <math.h>

#define WINDOWS 4

static struct profile *fold(const char *path, const struct profile_filter *filter)
{
	struct profile *profile = profile_new();

	profile_keep_points(profile);
	cr_assert_null(filter ? profile_add_filtered(profile, path, filter) :
				profile_add_file(profile, path));
	cr_assert_null(profile_finish(profile));
	return profile;
}

static char *windows_file(void)
{
	char *path = in_scratch("windows.monprof");
	struct bytes all =
		windows_recording(1, windows_samples, PROF_COUNT(windows_samples), windows_notes);

	spill(path, all.bytes, all.size);
	return path;
}

static bool is_first(void *self, uint64_t tid, const char *name)
{
	(void)self;
	(void)name;
	return tid == 101;
}

static bool is_nobody(void *self, uint64_t pid)
{
	(void)self;
	return pid == 0;
}

static unsigned marks_f(void *self, const struct profile *profile,
			const struct profile_function *function)
{
	return strcmp(profile_string(profile, function->full), "m.f") == 0 ? *(unsigned *)self : 0;
}

static uint64_t value_of(const struct profile *profile)
{
	uint64_t value = 0;

	for (size_t i = 0; i < profile->sample_count; i++)
		value += profile->samples[i].value;
	return value;
}

/* The law of points: those of a sum add up to it. */
static void check_points(const struct profile *profile)
{
	uint64_t *values = heap_zalloc((profile->sample_count + 1) * sizeof(*values));

	for (size_t i = 0; i < profile->point_count; i++)
		values[profile->points[i].sample] += profile->points[i].value;
	for (size_t i = 0; i < profile->sample_count; i++)
		cr_assert_eq(values[i], profile->samples[i].value, "sum %zu", i);
	heap_free(values);
}

Test(profile_filter, all_is_all, .fini = remove_scratch)
{
	struct profile_filter filter = { .to_ns = UINT64_MAX, .note = "all" };
	char *path = windows_file();
	struct profile *part = fold(path, &filter), *whole = fold(path, NULL);

	cr_assert_eq(part->sample_count, whole->sample_count);
	cr_assert_arr_eq(part->samples, whole->samples,
			 whole->sample_count * sizeof(*whole->samples));
	cr_assert_eq(part->error_count, whole->error_count);
	for (size_t i = 0; i < whole->error_count; i++)
		cr_assert_float_eq(part->errors[i].error, whole->errors[i].error, 1e-9);
	cr_assert_eq(part->processes[0].start_monotonic_ns, START_NS);
	cr_assert_eq(part->processes[0].end_monotonic_ns, whole->processes[0].end_monotonic_ns);
	cr_assert_str_eq(profile_note_value(part, 0, "filter"), "all");
	profile_free(part);
	profile_free(whole);
}

Test(profile_filter, points_of_a_part_add_up_to_its_sums, .fini = remove_scratch)
{
	struct profile_filter filters[] = {
		{ .to_ns = UINT64_MAX, .thread = is_first, .note = "" },
		{ .from_ns = 2, .to_ns = 4, .note = "" },
		{ .to_ns = 2, .thread = is_first, .note = "" },
	};
	char *path = windows_file();
	struct profile *whole = fold(path, NULL);

	for (size_t i = 0; i < PROF_COUNT(filters); i++) {
		struct profile *part = fold(path, &filters[i]);

		cr_assert_gt(part->point_count, 0);
		cr_assert_lt(value_of(part), value_of(whole));
		check_points(part);
		profile_free(part);
	}
	profile_free(whole);
}

/*
 * m.f in the third to the fourth nanosecond: 4 and 2 calls in the second of four windows, 0 in the others; each call
 * stands for 10.5. The error of such a sum, by hand: the formula of estimate.h with x = 0, 6, 0, 0.
 */
Test(profile_filter, windows_are_those_of_the_whole, .fini = remove_scratch)
{
	struct profile_filter filter = { .from_ns = 2, .to_ns = 3, .note = "" };
	struct profile *part = fold(windows_file(), &filter);
	double spread = sqrt((double)WINDOWS / (WINDOWS - 1) * (36 - 36.0 / WINDOWS));
	double wanted = estimate_widening(WINDOWS) * 10.5 * spread;
	bool is_found = false;

	for (size_t i = 0; i < part->error_count; i++) {
		const struct profile_error *error = &part->errors[i];
		uint32_t name = part->functions[error->function - 1].full;
		uint32_t metric = part->metrics[error->metric].name;

		if (strcmp(profile_string(part, name), "m.f") != 0 ||
		    strcmp(profile_string(part, metric), "calls") != 0)
			continue;
		is_found = true;
		cr_assert_float_eq(error->error, wanted, 1e-6 * wanted, "%g, wanted %g",
				   error->error, wanted);
	}
	cr_assert(is_found);
	profile_free(part);
}

/* m.f is in some stacks alone, above m.g in one and below builtins.len in another. */
Test(profile_filter, stacks_with_a_function_and_those_without_are_all, .fini = remove_scratch)
{
	unsigned focused = PROFILE_FOCUSED, ignored = PROFILE_IGNORED;
	struct profile_filter with = { .to_ns = UINT64_MAX,
				       .function = marks_f,
				       .needed = PROFILE_FOCUSED,
				       .self = &focused,
				       .note = "" };
	struct profile_filter without = {
		.to_ns = UINT64_MAX, .function = marks_f, .self = &ignored, .note = ""
	};
	char *path = windows_file();
	struct profile *all = fold(path, NULL), *in = fold(path, &with),
		       *out = fold(path, &without);

	cr_assert_eq(in->point_count + out->point_count, PROF_COUNT(windows_samples));
	cr_assert_eq(out->point_count, 4, "those of m.g alone");
	cr_assert_eq(value_of(in) + value_of(out), value_of(all));
	check_points(in);
	check_points(out);
	cr_assert_lt(out->error_count, all->error_count, "nothing of m.f is left");
	profile_free(in);
	profile_free(out);
	profile_free(all);
}

Test(profile_filter, a_process_that_is_left_out_leaves_nothing, .fini = remove_scratch)
{
	struct profile_filter filter = { .to_ns = UINT64_MAX, .process = is_nobody, .note = "" };
	struct profile *part = fold(windows_file(), &filter);

	cr_assert_eq(part->process_count, 0);
	cr_assert_eq(part->sample_count, 0);
	cr_assert_eq(part->note_count, 0);
	cr_assert_eq(part->loss_count, 0);
	profile_free(part);
}

Test(profile_filter, a_part_begins_and_ends_where_it_was_cut, .fini = remove_scratch)
{
	static const struct {
		uint64_t from_ns, to_ns, start_ns, end_ns;
	} rows[] = {
		{ 100, 200, 100, 200 },
		{ 100, UINT64_MAX, 100, 2000000000 },
		{ 0, 3000000000, 0, 2000000000 },
		{ 3000000000, UINT64_MAX, 3000000000, 3000000000 },
	};
	char *path = windows_file();

	for (size_t i = 0; i < PROF_COUNT(rows); i++) {
		struct profile_filter filter = { rows[i].from_ns, rows[i].to_ns, .note = "" };
		struct profile *part = fold(path, &filter);

		cr_expect_eq(part->processes[0].start_monotonic_ns, START_NS + rows[i].start_ns);
		cr_expect_eq(part->processes[0].end_monotonic_ns, START_NS + rows[i].end_ns);
		profile_free(part);
	}
}
