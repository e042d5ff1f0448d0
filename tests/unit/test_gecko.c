/*
 * test_gecko.c - Firefox Profiler's format: tables fit each other, and weights sum to the profile's.
 */
#include "exported.h"
#include "json_reader.h"
#include "windows.h"

extern const struct exporter_hooks gecko_exporter;

static const struct json_value *export_json(const struct profile *profile, uint32_t measurement)
{
	struct bytes all = export_measurement(&gecko_exporter, profile, measurement, false);

	return json_read((const char *)all.bytes, all.size);
}

static const struct json_value *item(const struct json_value *table, const char *column, size_t i)
{
	const struct json_value *values = json_member(table, column);

	cr_assert_lt(i, values->count, "%s %zu", column, i);
	return &values->items[i];
}

/* All columns of a table are of its length; which that is. */
static size_t check_table(const struct json_value *table)
{
	size_t length = json_whole(json_member(table, "length"));

	for (size_t i = 0; i < table->count; i++)
		cr_assert(table->items[i].kind != JSON_ARRAY || table->items[i].count == length,
			  "%s", table->keys[i]);
	return length;
}

/* A number below `count`, or null. */
static void check_index(const struct json_value *value, size_t count)
{
	cr_assert(value->kind == JSON_NULL || json_whole(value) < count);
}

/* Nanoseconds of a number of milliseconds. */
static unsigned long long as_ns(const struct json_value *value)
{
	char *point;
	unsigned long long ns = strtoull(value->text, &point, 10) * 1000000, unit = 100000;

	if (*point == '.')
		for (point++; *point; point++, unit /= 10)
			ns += (unsigned long long)(*point - '0') * unit;
	return ns;
}

static void check_tables(const struct json_value *file, const struct json_value *thread)
{
	const struct json_value *strings = json_member(json_member(file, "shared"), "stringArray");
	const struct json_value *categories = json_member(json_member(file, "meta"), "categories");
	const struct json_value *stacks = json_member(thread, "stackTable");
	const struct json_value *frames = json_member(thread, "frameTable");
	const struct json_value *functions = json_member(thread, "funcTable");
	size_t stack_count = check_table(stacks), frame_count = check_table(frames);
	size_t function_count = check_table(functions);

	for (size_t i = 0; i < stack_count; i++) {
		check_index(item(stacks, "frame", i), frame_count);
		check_index(item(stacks, "prefix", i), i);
	}
	for (size_t i = 0; i < frame_count; i++) {
		check_index(item(frames, "func", i), function_count);
		cr_assert_lt(json_whole(item(frames, "category", i)), categories->count);
	}
	for (size_t i = 0; i < function_count; i++) {
		check_index(item(functions, "name", i), strings->count);
		check_index(item(functions, "fileName", i), strings->count);
	}
	check_table(json_member(thread, "resourceTable"));
	check_table(json_member(thread, "nativeSymbols"));
	check_table(json_member(thread, "markers"));
}

/* In order of time, of stacks that are there; the sum of the weights, of times in nanoseconds. */
static unsigned long long check_thread(const struct json_value *file,
				       const struct json_value *thread, bool is_time)
{
	const struct json_value *samples = json_member(thread, "samples");
	size_t stack_count = json_whole(json_member(json_member(thread, "stackTable"), "length"));
	unsigned long long sum = 0, last_ns = 0;

	check_tables(file, thread);
	for (size_t i = 0; i < check_table(samples); i++) {
		unsigned long long ns = as_ns(item(samples, "time", i));

		check_index(item(samples, "stack", i), stack_count);
		cr_assert_geq(ns, last_ns);
		last_ns = ns;
		sum += is_time ? as_ns(item(samples, "weight", i)) :
				 json_whole(item(samples, "weight", i));
	}
	return sum;
}

Test(gecko, sums_are_the_profiles, .fini = remove_scratch)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct filled filled;
		struct profile *profile = hostile_profile(seed, &filled);
		const struct json_value *file = export_json(profile, measurement_of(profile));
		const struct json_value *threads = json_member(file, "threads");
		unsigned long long sum = 0, deltas = 0;

		cr_assert_eq(json_whole(json_member(json_member(file, "meta"),
						    "preprocessedProfileVersion")),
			     57);
		cr_assert_eq(threads->count, 5);
		for (size_t i = 0; i < threads->count; i++) {
			const struct json_value *samples =
				json_member(&threads->items[i], "samples");

			sum += check_thread(file, &threads->items[i], true);
			for (size_t j = 0; j < check_table(samples); j++)
				deltas += json_whole(item(samples, "threadCPUDelta", j));
		}
		cr_assert_eq(sum, filled.value);
		cr_assert_eq(deltas, filled.value);
		profile_free(profile);
	}
}

static const struct windows_note notes[] = { { "period.cpu", "2500000" }, { NULL, NULL } };

static const char *string_at(const struct json_value *file, const struct json_value *index)
{
	const struct json_value *strings = json_member(json_member(file, "shared"), "stringArray");

	cr_assert_lt(json_whole(index), strings->count);
	return strings->items[json_whole(index)].text;
}

Test(gecko, a_sample_is_where_it_was_taken)
{
	static const struct recording_sample samples[] = {
		{ 1, WINDOWS_CPU, MAIN_F, START_NS + 1500000, 10000001, 0 },
		{ 1, WINDOWS_CPU, NO_NODE, START_NS + 2000000, 7, 0 },
	};
	struct profile *profile = windows_fold(samples, PROF_COUNT(samples), notes);
	const struct json_value *file = export_json(profile, measurement_of(profile));
	const struct json_value *meta = json_member(file, "meta");
	const struct json_value *thread = &json_member(file, "threads")->items[0];
	const struct json_value *taken = json_member(thread, "samples");
	size_t stack, frame, function;

	cr_expect_str_eq(json_member(meta, "interval")->text, "2.5");
	cr_expect_eq(as_ns(json_member(meta, "startTime")),
		     profile->processes[0].start_realtime_ns);
	cr_expect_eq(as_ns(item(taken, "time", 0)),
		     START_NS + 1500000 - profile->processes[0].start_monotonic_ns);
	cr_expect_str_eq(item(taken, "weight", 0)->text, "10.000001");
	cr_expect_str_eq(json_member(taken, "weightType")->text, "tracing-ms");
	cr_expect_eq(item(taken, "stack", 1)->kind, JSON_NULL);
	stack = json_whole(item(taken, "stack", 0));
	frame = json_whole(item(json_member(thread, "stackTable"), "frame", stack));
	function = json_whole(item(json_member(thread, "frameTable"), "func", frame));
	cr_expect_eq(json_whole(item(json_member(thread, "frameTable"), "line", frame)), 11);
	cr_expect_str_eq(string_at(file, item(json_member(thread, "funcTable"), "name", function)),
			 "m.f");
	cr_expect_str_eq(string_at(file,
				   item(json_member(thread, "funcTable"), "fileName", function)),
			 "/srv/service/app.py");
	cr_expect_eq(json_whole(item(json_member(thread, "funcTable"), "lineNumber", function)),
		     10);
	profile_free(profile);
}

Test(gecko, counts_weigh_what_they_are)
{
	struct profile *profile = windows_fold(windows_samples, PROF_COUNT(windows_samples), notes);
	const struct json_value *file =
		export_json(profile, profile->metrics[WINDOWS_CALLS].collector);
	const struct json_value *threads = json_member(file, "threads");

	cr_assert_eq(threads->count, 2, "of the first metric alone");
	cr_expect_eq(check_thread(file, &threads->items[0], false), 22);
	cr_expect_eq(check_thread(file, &threads->items[1], false), 2);
	cr_expect_str_eq(
		json_member(json_member(&threads->items[0], "samples"), "weightType")->text,
		"samples");
	profile_free(profile);
}

/* Two processes that began at different times are that far apart. */
Test(gecko, processes_keep_their_own_time)
{
	static const struct recording_sample samples[] = {
		{ 1, WINDOWS_CPU, MAIN_F, START_NS + 1000000, 5, 0 },
	};
	static const struct windows_note none[] = { { NULL, NULL } };
	struct profile *profile = profile_new();
	const struct json_value *threads;
	unsigned long long times[2];

	profile_keep_points(profile);
	for (uint64_t session = 1; session <= 2; session++) {
		struct bytes all = windows_recording(session, samples, 1, none);

		cr_assert_null(profile_add_bytes(profile, all.bytes, all.size));
	}
	cr_assert_null(profile_finish(profile));
	profile->processes[0].start_realtime_ns += 3000000;
	threads = json_member(export_json(profile, measurement_of(profile)), "threads");
	cr_assert_eq(threads->count, 2);
	for (unsigned i = 0; i < 2; i++)
		times[i] = as_ns(item(json_member(&threads->items[i], "samples"), "time", 0));
	cr_expect_eq(times[0], times[1] + 3000000);
	cr_expect_eq(as_ns(json_member(&threads->items[0], "processStartupTime")), 3000000);
	cr_expect_eq(as_ns(json_member(&threads->items[1], "processStartupTime")), 0);
	profile_free(profile);
}
