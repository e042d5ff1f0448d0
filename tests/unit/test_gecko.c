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
	const struct json_value *resources = json_member(thread, "resourceTable");
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
		if (strcmp(item(functions, "resource", i)->text, "-1") != 0)
			check_index(item(functions, "resource", i), check_table(resources));
	}
	for (size_t i = 0; i < check_table(resources); i++) {
		check_index(item(resources, "lib", i), json_member(file, "libs")->count);
		check_index(item(resources, "name", i), strings->count);
	}
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

/* Its values add up to those of its process's samples; from its start on, in order of time, none twice. */
static unsigned long long check_counter(const struct json_value *file,
					const struct json_value *counter, bool is_time)
{
	const struct json_value *samples = json_member(counter, "samples");
	const struct json_value *threads = json_member(file, "threads");
	size_t thread = json_whole(json_member(counter, "mainThreadIndex"));
	unsigned long long sum = 0, last_ns = 0;

	cr_assert_lt(thread, threads->count);
	cr_assert_str_eq(json_member(counter, "pid")->text,
			 json_member(&threads->items[thread], "pid")->text);
	for (size_t i = 0; i < check_table(samples); i++) {
		unsigned long long ns = as_ns(item(samples, "time", i));

		cr_assert(i == 0 || ns > last_ns);
		last_ns = ns;
		sum += is_time ? as_ns(item(samples, "count", i)) :
				 json_whole(item(samples, "count", i));
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
		cr_assert_eq(json_member(file, "counters")->count, 1);
		cr_assert_eq(check_counter(file, &json_member(file, "counters")->items[0], true),
			     filled.value);
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

static const struct json_value *threads_of(const struct profile *profile, uint32_t measurement)
{
	return json_member(export_json(profile, measurement), "threads");
}

Test(gecko, windows_are_marked_where_a_thread_was_seen_in_them)
{
	struct profile *profile =
		windows_fold(windows_samples, PROF_COUNT(windows_samples), windows_notes);
	const struct json_value *file =
		export_json(profile, profile->metrics[WINDOWS_CALLS].collector);
	const struct json_value *threads = json_member(file, "threads"), *schema;
	size_t windows[] = { 3, 1 };

	for (size_t i = 0; i < PROF_COUNT(windows); i++) {
		const struct json_value *markers = json_member(&threads->items[i], "markers");
		unsigned long long sum = 0;

		cr_assert_eq(check_table(markers), windows[i]);
		for (size_t j = 0; j < windows[i]; j++) {
			const struct json_value *data = item(markers, "data", j);

			cr_expect_eq(as_ns(item(markers, "startTime", j)),
				     START_NS + 1 + j - profile->processes[0].start_monotonic_ns);
			cr_expect_eq(item(markers, "endTime", j)->kind, JSON_NULL);
			cr_expect_eq(json_whole(item(markers, "phase", j)), 0);
			cr_expect_str_eq(string_at(file, item(markers, "name", j)),
					 "Window of observation");
			cr_expect_str_eq(json_member(data, "scale")->text, "10.5");
			sum += json_whole(json_member(data, "value"));
		}
		cr_expect_eq(sum, check_thread(file, &threads->items[i], false));
	}
	schema = &json_member(json_member(file, "meta"), "markerSchema")->items[0];
	cr_expect_str_eq(json_member(schema, "name")->text, "window");
	cr_expect_eq(check_counter(file, &json_member(file, "counters")->items[0], false),
		     check_thread(file, &threads->items[0], false) +
			     check_thread(file, &threads->items[1], false));
	/* Of CPU time there are none. */
	threads = threads_of(profile, profile->metrics[WINDOWS_CPU].collector);
	cr_expect_eq(check_table(json_member(&threads->items[0], "markers")), 0);
	profile_free(profile);
}

Test(gecko, what_is_not_seen_in_windows_has_none)
{
	static const struct windows_note always[] = { { "windows.calls", "0" }, { NULL, NULL } };
	static const struct windows_note periodic[] = { { "windows.calls", "9" },
							{ "period.calls", "1000" },
							{ NULL, NULL } };
	static const struct windows_note *const kinds[] = { always, periodic };

	for (size_t i = 0; i < PROF_COUNT(kinds); i++) {
		struct profile *profile =
			windows_fold(windows_samples, PROF_COUNT(windows_samples), kinds[i]);
		const struct json_value *threads =
			threads_of(profile, profile->metrics[WINDOWS_CALLS].collector);

		cr_expect_eq(check_table(json_member(&threads->items[0], "markers")), 0);
		profile_free(profile);
	}
}

Test(gecko, a_counter_is_even_steps_of_time)
{
	static const struct windows_note periods[] = { { "period.cpu", "1000000" },
						       { NULL, NULL } };
	static const char *const times[] = { "0", "10", "20", "25" };
	static const char *const counts[] = { "0", "7", "0", "0.5" };
	static const struct recording_sample samples[] = {
		{ 1, WINDOWS_CPU, MAIN_F, START_NS + 1, 4000000, 0 },
		{ 2, WINDOWS_CPU, MAIN_F, START_NS + 9999999, 3000000, 0 },
		{ 1, WINDOWS_CPU, MAIN_F, START_NS + 25000000, 500000, 0 },
	};
	struct profile *profile = windows_fold(samples, PROF_COUNT(samples), periods);
	const struct json_value *file = export_json(profile, measurement_of(profile));
	const struct json_value *counter = &json_member(file, "counters")->items[0];
	const struct json_value *steps = json_member(counter, "samples");

	cr_expect_str_eq(json_member(counter, "name")->text, "cpu (ms)");
	cr_expect_str_eq(json_member(counter, "description")->text,
			 "of all threads, in each 10 ms");
	cr_assert_eq(check_table(steps), PROF_COUNT(times));
	for (size_t i = 0; i < PROF_COUNT(times); i++) {
		cr_expect_str_eq(item(steps, "time", i)->text, times[i]);
		cr_expect_str_eq(item(steps, "count", i)->text, counts[i]);
	}
	profile_free(profile);
}

/* Times and values of anybody's recording. */
Test(gecko, a_counter_survives_any_times)
{
	static const struct windows_note none[] = { { NULL, NULL } };
	static const uint64_t times[][2] = {
		{ 0, 1 },
		{ START_NS, START_NS },
		{ START_NS - 1, START_NS + 1 },
		{ START_NS, UINT64_MAX },
		{ START_NS + 1, START_NS + 1000000000001 },
	};

	for (size_t i = 0; i < PROF_COUNT(times); i++) {
		const struct recording_sample samples[] = {
			{ 1, WINDOWS_CALLS, MAIN_F, times[i][0], 3, 0 },
			{ 1, WINDOWS_CALLS, MAIN_F, times[i][1], 4, 0 },
		};
		struct profile *profile = windows_fold(samples, PROF_COUNT(samples), none);
		const struct json_value *counters =
			json_member(export_json(profile, profile->metrics[WINDOWS_CALLS].collector),
				    "counters");
		const struct json_value *steps = json_member(&counters->items[0], "samples");
		uint64_t sum = 0;

		cr_assert_leq(check_table(steps), 1002);
		for (size_t j = 0; j < check_table(steps); j++)
			sum += json_whole(item(steps, "count", j));
		cr_expect_eq(sum, 7);
		profile_free(profile);
	}
}

/* A counter for each process, which refers to a thread of its own. */
Test(gecko, each_process_has_its_counter)
{
	static const struct recording_sample samples[] = {
		{ 1, WINDOWS_CPU, MAIN_F, START_NS + 1000000, 5, 0 },
		{ 2, WINDOWS_CPU, MAIN_F, START_NS + 2000000, 6, 0 },
	};
	static const struct windows_note none[] = { { NULL, NULL } };
	struct profile *profile = profile_new();
	const struct json_value *file, *counters;

	profile_keep_points(profile);
	for (uint64_t session = 1; session <= 3; session++) {
		struct bytes all = windows_recording(session, samples, 2, none);

		cr_assert_null(profile_add_bytes(profile, all.bytes, all.size));
	}
	cr_assert_null(profile_finish(profile));
	for (unsigned i = 0; i < 3; i++)
		profile->processes[i].pid = 100 + i;
	file = export_json(profile, measurement_of(profile));
	counters = json_member(file, "counters");
	cr_assert_eq(counters->count, 3);
	for (unsigned i = 0; i < 3; i++) {
		cr_expect_eq(check_counter(file, &counters->items[i], true), 11);
		cr_expect_eq(json_whole(json_member(&counters->items[i], "mainThreadIndex")),
			     2 * i);
	}
	profile_free(profile);
}

Test(gecko, a_thread_ends_with_what_it_used_last)
{
	static const struct recording_sample samples[] = {
		{ 1, WINDOWS_CPU, MAIN_F, START_NS + 1000000, 5, 0 },
		{ 2, WINDOWS_CPU, MAIN_F, START_NS + 2000000, 6, 0 },
		{ 2, WINDOWS_CPU, MAIN_F_LEN, START_NS + 3000000, 6, 0 },
	};
	struct profile *profile = windows_fold(samples, PROF_COUNT(samples), notes);
	struct profile_function *last = NULL;
	const struct json_value *threads = threads_of(profile, measurement_of(profile));

	cr_expect_eq(json_member(&threads->items[1], "unregisterTime")->kind, JSON_NULL);
	for (size_t i = 0; i < profile->function_count; i++)
		if (strcmp(profile_string(profile, profile->functions[i].name), "len") == 0)
			last = &profile->functions[i];
	cr_assert_not_null(last);
	last->kind = RECORDING_MARKER;
	last->full = intern_put(&profile->strings, "[thread exit]", 13, NULL);
	threads = threads_of(profile, measurement_of(profile));
	cr_expect_eq(json_member(&threads->items[0], "unregisterTime")->kind, JSON_NULL);
	cr_expect_eq(as_ns(json_member(&threads->items[1], "unregisterTime")), 3000000);
	profile_free(profile);
}

static const char *string_of(const struct json_value *file, const struct json_value *index)
{
	const struct json_value *strings = json_member(json_member(file, "shared"), "stringArray");

	return index->kind == JSON_NULL ? NULL : strings->items[json_whole(index)].text;
}

Test(gecko, native_functions_are_of_their_libraries, .fini = remove_scratch)
{
	struct profile *profile = native_profile();
	const struct json_value *file = export_json(profile, measurement_of(profile));
	const struct json_value *thread = &json_member(file, "threads")->items[0];
	const struct json_value *functions = json_member(thread, "funcTable");
	const struct json_value *resources = json_member(thread, "resourceTable");
	const struct json_value *libraries = json_member(file, "libs");
	unsigned native = 0;

	cr_assert_eq(check_thread(file, thread, true), NATIVE_VALUE);
	cr_assert_eq(libraries->count, 3);
	cr_expect_str_eq(json_member(&libraries->items[1], "name")->text, "libfoo.so");
	cr_expect_str_eq(json_member(&libraries->items[1], "path")->text, "/usr/lib/libfoo.so");
	cr_expect_str_eq(json_member(&libraries->items[1], "codeId")->text, "abcd");
	cr_assert_eq(check_table(functions), 6, "each once");
	for (size_t i = 0; i < 6; i++) {
		const char *name = string_of(file, item(functions, "name", i));
		const char *path = string_of(file, item(functions, "fileName", i));
		size_t resource;

		if (strcmp(name, "main.main") == 0) {
			cr_expect_str_eq(path, "/srv/main.py");
			cr_expect_str_eq(item(functions, "isJS", i)->text, "true");
			continue;
		}
		native++;
		resource = json_whole(item(functions, "resource", i));
		cr_expect_null(path, "%s", name);
		cr_expect_str_eq(item(functions, "isJS", i)->text, "false");
		path = string_of(file, item(resources, "name", resource));
		cr_expect_str_eq(path, strcmp(name, "eval") == 0	   ? "python3" :
				       strstr(name, "hot") || *name == '[' ? "libfoo.so" :
									     "x;y\nz.so");
	}
	cr_assert_eq(native, 5);
	cr_expect_str_eq(json_member(json_member(file, "meta"), "usesOnlyOneStackType")->text,
			 "false");
	profile_free(profile);
}
