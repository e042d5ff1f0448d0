/*
 * sums.c - each format read by its own rules, strictly where it is JSON.
 */
#include "sums.h"

#include "../unit/json_reader.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LARGEST_BYTES \
	(256          \
	 << 10) /* of a recording: that is what a program of seconds leaves, and read in a moment */
#define NS_PER_MS 1e6
#define CELL_HEAD 2 /* node and thread, before one value for each column */

static void check_recording(struct run *run, const char *recording, const char *base);
static bool has_measurement(struct run *run, const char *base, const char *measurement);
static uint64_t sum_of_pprof(struct run *run, const char *path, bool is_calls);
static const struct json_value *read_json(struct run *run, const char *path);
static uint64_t sum_of_json(const struct json_value *file);
static uint64_t sum_of_collapsed(const char *text);
static uint64_t sum_of_speedscope(const struct json_value *file);
static uint64_t sum_of_gecko(const struct json_value *file);
static uint64_t sum_of_page(const char *text);
static uint64_t sum_of(const struct json_value *numbers);

void sums_check(struct run *run)
{
	for (size_t i = 0; i < run_count(run, ".monprof"); i++) {
		const char *recording = run_file_at(run, ".monprof", i);
		struct stat status;

		if (stat(recording, &status) == 0 && status.st_size <= LARGEST_BYTES)
			check_recording(run, recording, run_text(run, "%s/sums%zu", run->root, i));
	}
}

static void check_recording(struct run *run, const char *recording, const char *base)
{
	static const char *const measurements[] = { "cpu", "calls" };
	/* With several recordings of one program the base is that of all files. */
	const char *out = run_text(run, "%s.all", base);
	int status;

	run_tool(run, &status, getenv("MONPROF_CLI"), "export", recording, "-o", out, "-f",
		 "pprof,json,collapsed,speedscope,gecko,flamegraph", NULL);
	for (size_t i = 0; status == 0 && i < 2; i++) {
		const char *of = run_text(run, "%s.%s", out, measurements[i]);
		uint64_t json;

		if (!has_measurement(run, out, measurements[i]))
			continue;
		json = sum_of_json(read_json(run, run_text(run, "%s.json", of)));
		/* Where there is time but no call, speedscope's first profile is that of the time. */
		if (!json)
			continue;
#define SAME(format, sum)                                                                     \
	RUN_CHECK(run, (sum) == json, "%s: %s of %s has %llu, json %llu", recording, #format, \
		  measurements[i], (unsigned long long)(sum), (unsigned long long)json)
		SAME(pprof, sum_of_pprof(run, run_text(run, "%s.pb.gz", of), i == 1));
		SAME(collapsed, sum_of_collapsed(run_read(run, run_text(run, "%s.collapsed", of))));
		SAME(speedscope,
		     sum_of_speedscope(read_json(run, run_text(run, "%s.speedscope.json", of))));
		SAME(gecko, sum_of_gecko(read_json(run, run_text(run, "%s.gecko.json", of))));
		SAME(flamegraph, sum_of_page(run_read(run, run_text(run, "%s.html", of))));
#undef SAME
	}
}

static bool has_measurement(struct run *run, const char *base, const char *measurement)
{
	struct stat status;

	return stat(run_text(run, "%s.%s.json", base, measurement), &status) == 0;
}

/* Lines between "Samples:" and "Locations" that are "  1  10000000: 7 8 9 "; names, which may be anything, come
   later. */
static uint64_t sum_of_pprof(struct run *run, const char *path, bool is_calls)
{
	char *raw = run_pprof(run, "-raw", path), *end = strstr(raw, "\nLocations\n");
	uint64_t sum = 0;

	for (char *at = strstr(raw, "Samples:\n"); at && at < end; at = strchr(at + 1, '\n')) {
		uint64_t count = strtoull(at, &at, 10), value = strtoull(at, &at, 10);

		if (*at == ':')
			sum += is_calls ? count : value;
	}
	return sum;
}

static const struct json_value *read_json(struct run *run, const char *path)
{
	char *text = run_read(run, path);

	return json_read(text, strlen(text));
}

static uint64_t sum_of_json(const struct json_value *file)
{
	const struct json_value *samples = json_member(file, "samples");
	uint64_t sum = 0;

	for (size_t i = 0; i < samples->count; i++)
		if (json_whole(json_member(&samples->items[i], "metric")) == 0)
			sum += json_whole(json_member(&samples->items[i], "value"));
	return sum;
}

static uint64_t sum_of_collapsed(const char *text)
{
	uint64_t sum = 0;

	for (; *text; text += strcspn(text, "\n") + 1) {
		size_t length = strcspn(text, "\n"), digits = 0;

		while (digits < length && text[length - digits - 1] != ' ')
			digits++;
		sum += strtoull(text + length - digits, NULL, 10);
	}
	return sum;
}

/* Profiles of the first metric: "MainThread (tid 1): cpu". */
static uint64_t sum_of_speedscope(const struct json_value *file)
{
	const struct json_value *profiles = json_member(file, "profiles");
	const char *first = strrchr(json_member(&profiles->items[0], "name")->text, ':');
	uint64_t sum = 0;

	for (size_t i = 0; i < profiles->count; i++)
		if (strcmp(strrchr(json_member(&profiles->items[i], "name")->text, ':'), first) ==
		    0)
			sum += sum_of(json_member(&profiles->items[i], "weights"));
	return sum;
}

static uint64_t sum_of_gecko(const struct json_value *file)
{
	const struct json_value *threads = json_member(file, "threads");
	uint64_t sum = 0;

	for (size_t i = 0; i < threads->count; i++) {
		const struct json_value *samples = json_member(&threads->items[i], "samples");
		const struct json_value *weights = json_member(samples, "weight");

		if (strcmp(json_member(samples, "weightType")->text, "tracing-ms") != 0) {
			sum += sum_of(weights);
			continue;
		}
		for (size_t k = 0; k < weights->count; k++)
			sum += (uint64_t)(strtod(weights->items[k].text, NULL) * NS_PER_MS + 0.5);
	}
	return sum;
}

static uint64_t sum_of_page(const char *text)
{
	static const char head[] = "<script type=\"application/json\" id=\"data\">";
	const char *data = strstr(text, head) + sizeof(head) - 1;
	const struct json_value *file = json_read(data, (size_t)(strstr(data, "</script>") - data));
	const struct json_value *cells = json_member(file, "cells");
	size_t stride = CELL_HEAD + json_member(file, "columns")->count;
	uint64_t sum = 0;

	for (size_t i = CELL_HEAD; i < cells->count; i += stride)
		sum += json_whole(&cells->items[i]);
	return sum;
}

static uint64_t sum_of(const struct json_value *numbers)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < numbers->count; i++)
		sum += json_whole(&numbers->items[i]);
	return sum;
}
