/*
 * test_cpuprofile.c - V8's format: read again, the tree is one, and times sum to the profile's.
 */
#include "exported.h"
#include "json_reader.h"
#include "windows.h"

extern const struct exporter_hooks cpuprofile_exporter;

static const struct json_value *export_json(const struct profile *profile, uint32_t measurement,
					    bool lines)
{
	struct bytes all = export_measurement(&cpuprofile_exporter, profile, measurement, lines);

	return json_read((const char *)all.bytes, all.size);
}

static const struct json_value *node_of(const struct json_value *file, unsigned long long id)
{
	const struct json_value *nodes = json_member(file, "nodes");

	cr_assert(id > 0 && id <= nodes->count, "node %llu of %zu", id, nodes->count);
	cr_assert_eq(json_whole(json_member(&nodes->items[id - 1], "id")), id);
	return &nodes->items[id - 1];
}

static const char *name_of(const struct json_value *file, unsigned long long id)
{
	return json_member(json_member(node_of(file, id), "callFrame"), "functionName")->text;
}

/* Every node but the first is the child of exactly one before it; the sum of the times. */
static unsigned long long check(const struct json_value *file)
{
	const struct json_value *nodes = json_member(file, "nodes");
	const struct json_value *samples = json_member(file, "samples");
	const struct json_value *deltas = json_member(file, "timeDeltas");
	unsigned char *seen = heap_zalloc(nodes->count + 1);
	unsigned long long sum = 0, hits = 0;

	cr_assert_str_eq(name_of(file, 1), "(root)");
	for (size_t i = 0; i < nodes->count; i++) {
		const struct json_value *children = json_member(&nodes->items[i], "children");

		hits += json_whole(json_member(&nodes->items[i], "hitCount"));
		for (size_t j = 0; j < children->count; j++) {
			unsigned long long id = json_whole(&children->items[j]);

			cr_assert(id > i + 1 && id <= nodes->count && !seen[id - 1]++, "node %llu",
				  id);
		}
	}
	for (size_t i = 1; i < nodes->count; i++)
		cr_assert(seen[i], "node %zu has no parent", i + 1);
	heap_free(seen);
	cr_assert_eq(samples->count, deltas->count);
	cr_assert_eq(samples->count, hits + 1);
	for (size_t i = 0; i < samples->count; i++) {
		node_of(file, json_whole(&samples->items[i]));
		sum += json_whole(&deltas->items[i]);
	}
	cr_assert_eq(sum, json_whole(json_member(file, "endTime")));
	return sum;
}

Test(cpuprofile, sums_are_the_profiles, .fini = remove_scratch)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct filled filled;
		struct profile *profile = hostile_profile(seed, &filled);
		const struct json_value *file =
			export_json(profile, measurement_of(profile), seed % 2);

		cr_assert_eq(check(file), filled.value / 1000);
		cr_assert_eq(json_member(file, "samples")->count, filled.count + 1);
		profile_free(profile);
	}
}

static const struct windows_note no_notes[] = { { NULL, NULL } };

Test(cpuprofile, a_sample_lasts_until_the_next)
{
	static const struct recording_sample samples[] = {
		{ 1, WINDOWS_CPU, MAIN_G, START_NS + 20, 7000, 0 },
		{ 1, WINDOWS_CPU, MAIN_F, START_NS + 10, 1500, 0 },
		{ 1, WINDOWS_CPU, MAIN_F, START_NS + 11, 1500, 0 },
	};
	struct profile *profile = windows_fold(samples, PROF_COUNT(samples), no_notes);
	const struct json_value *file = export_json(profile, measurement_of(profile), false);
	const struct json_value *ids = json_member(file, "samples");
	const struct json_value *deltas = json_member(file, "timeDeltas");
	const struct json_value *frame;

	cr_assert_eq(check(file), 10);
	cr_assert_eq(ids->count, 4);
	cr_expect_str_eq(name_of(file, json_whole(&ids->items[0])), "m.f");
	cr_expect_str_eq(name_of(file, json_whole(&ids->items[1])), "m.f");
	cr_expect_str_eq(name_of(file, json_whole(&ids->items[2])), "m.g");
	cr_expect_eq(json_whole(&deltas->items[1]), 1);
	cr_expect_eq(json_whole(&deltas->items[2]), 2, "3 microseconds are not lost");
	cr_expect_eq(json_whole(&deltas->items[3]), 7);
	frame = json_member(node_of(file, json_whole(&ids->items[2])), "callFrame");
	cr_expect_str_eq(json_member(frame, "url")->text, "/srv/service/app.py");
	cr_expect_eq(json_whole(json_member(frame, "lineNumber")), 19, "from 0");
	profile_free(profile);
}

Test(cpuprofile, threads_follow_each_other_below_their_names)
{
	static const struct recording_sample samples[] = {
		{ 2, WINDOWS_CPU, MAIN_F, START_NS + 10, 1000, 0 },
		{ 1, WINDOWS_CPU, MAIN_F, START_NS + 11, 2000, 0 },
		{ 2, WINDOWS_CPU, NO_NODE, START_NS + 12, 4000, 0 },
	};
	struct profile *profile = windows_fold(samples, PROF_COUNT(samples), no_notes);
	const struct json_value *file = export_json(profile, measurement_of(profile), false);
	const struct json_value *threads = json_member(node_of(file, 1), "children");
	unsigned long long last;

	cr_assert_eq(check(file), 7);
	cr_assert_eq(threads->count, 2);
	cr_expect_str_eq(name_of(file, json_whole(&threads->items[0])), "thread (tid 101)");
	cr_expect_str_eq(name_of(file, json_whole(&threads->items[1])), "thread (tid 102)");
	last = json_whole(&json_member(file, "samples")->items[2]);
	cr_expect_eq(last, json_whole(&threads->items[1]), "without a stack it is the thread's");
	profile_free(profile);
}

/* Of calls, their time; nothing but counts is as if each took a microsecond. */
Test(cpuprofile, it_takes_the_metric_that_is_a_time)
{
	static const struct recording_sample counts[] = {
		{ 1, WINDOWS_CALLS, MAIN_F, START_NS + 10, 5, 3 },
	};
	struct profile *profile =
		windows_fold(windows_samples, PROF_COUNT(windows_samples), no_notes);
	uint32_t calls = profile->metrics[WINDOWS_CALLS].collector;

	cr_expect_eq(check(export_json(profile, calls, false)), 110);
	profile_free(profile);
	profile = windows_fold(counts, PROF_COUNT(counts), no_notes);
	cr_expect_eq(check(export_json(profile, calls, false)), 5);
	profile_free(profile);
}

/* main, eval, its four callees: wherever in them, with and without lines. */
Test(cpuprofile, native_functions_are_one_node, .fini = remove_scratch)
{
	struct profile *profile = native_profile();

	for (unsigned lines = 0; lines < 2; lines++) {
		const struct json_value *file =
			export_json(profile, measurement_of(profile), lines);
		const struct json_value *frame;

		check(file);
		cr_assert_eq(json_member(file, "nodes")->count, 7);
		cr_expect_str_eq(name_of(file, 2), "main.main");
		cr_expect_str_eq(name_of(file, 3), "eval");
		cr_expect_str_eq(name_of(file, 4), "hot");
		cr_expect_eq(json_whole(json_member(node_of(file, 4), "hitCount")), 2);
		cr_expect_str_eq(name_of(file, 5), "[libfoo.so+0x1234]");
		frame = json_member(node_of(file, 4), "callFrame");
		cr_expect_str_eq(json_member(frame, "url")->text, "/usr/lib/libfoo.so");
		cr_expect_str_eq(json_member(frame, "lineNumber")->text, "-1");
		frame = json_member(node_of(file, 2), "callFrame");
		cr_expect_eq(json_whole(json_member(frame, "lineNumber")), lines);
	}
	profile_free(profile);
}
