/*
 * gecko_marks.c - Firefox Profiler's markers and counters: what is seen beside the samples of a timeline.
 *
 *   counter   a process's values, of all its threads, in even steps of time; what a step stands for is its slope
 *   marker    a window of observation in which a thread was seen: its beginning, as its length is not recorded
 *
 * The values of a counter, and those of all markers, add up to those of the samples.
 */
#include "gecko.h"

#include <string.h>

#define STEP_SAMPLES 10 /* of which a counter's step is to have about so many */
#define STEPS_MOST 1000
#define NS_PER_MS 1000000
#define SCALE_UNIT 1000000
#define SCALE_DIGITS 6

/* A process's points, which follow each other. */
struct counter {
	uint32_t process, thread; /* thread: the first's place in the file */
	size_t begin, end, times; /* times: at so many different ones the busiest thread was seen */
};

static size_t count_times(const struct gecko *gecko, const struct profile_run *run);
static void write_counter(struct gecko *gecko, const struct counter *counter);
static uint64_t span_of(const struct gecko *gecko, const struct counter *counter,
			uint64_t start_ns);
static uint64_t step_of(const struct gecko *gecko, const struct counter *counter, uint64_t span_ns);
static void write_about(struct gecko *gecko, const struct counter *counter, uint64_t step_ns);
static bool has_windows(const struct gecko *gecko, uint32_t process);
static void write_window(struct gecko *gecko, uint32_t process, uint64_t value);
static size_t window_end(const struct gecko *gecko, const struct profile_run *run, size_t at);

void gecko_write_counters(struct gecko *gecko)
{
	const struct profile *profile = gecko->profile;
	struct profile_run run = { 0 };
	struct counter counter = { 0 };
	uint32_t threads = 0;

	json_line(&gecko->json);
	json_key(&gecko->json, "counters");
	json_begin(&gecko->json, '[');
	while (gecko_next_thread(gecko, &run)) {
		uint32_t process = profile->threads[run.thread].process;
		size_t times = count_times(gecko, &run);

		if (threads > 0 && process != counter.process)
			write_counter(gecko, &counter);
		if (threads == 0 || process != counter.process)
			counter = (struct counter){ process, threads, run.begin, run.end, 0 };
		counter.end = run.end;
		counter.times = times > counter.times ? times : counter.times;
		threads++;
	}
	if (threads > 0)
		write_counter(gecko, &counter);
	json_end(&gecko->json, ']');
}

void gecko_write_schemas(struct gecko *gecko)
{
	static const char *const places[] = { "marker-chart", "marker-table", "timeline-overview" };
	static const char *const fields[][3] = {
		{ "value", "What it stands for", "decimal" },
		{ "scale", "Each that it saw stands for", "decimal" },
	};
	struct json *json = &gecko->json;

	json_key(json, "markerSchema");
	json_begin(json, '[');
	json_begin(json, '{');
	json_put_text(json, "name", "window");
	json_put_text(json, "tableLabel", "{marker.data.value}");
	json_put_text(json, "chartLabel", "{marker.data.value}");
	json_key(json, "display");
	json_begin(json, '[');
	for (size_t i = 0; i < PROF_COUNT(places); i++)
		json_text(json, places[i]);
	json_end(json, ']');
	json_key(json, "fields");
	json_begin(json, '[');
	for (size_t i = 0; i < PROF_COUNT(fields); i++) {
		json_begin(json, '{');
		json_put_text(json, "key", fields[i][0]);
		json_put_text(json, "label", fields[i][1]);
		json_put_text(json, "format", fields[i][2]);
		json_end(json, '}');
	}
	json_end(json, ']');
	json_end(json, '}');
	json_end(json, ']');
}

void gecko_write_markers(struct gecko *gecko, const struct profile_run *run)
{
	const struct profile *profile = gecko->profile;
	uint32_t process = profile->threads[run->thread].process, name;
	size_t count = has_windows(gecko, process) ? count_times(gecko, run) : 0;
	size_t end = count ? run->end : run->begin;
	struct json *json = &gecko->json;
	char word[24];

	json_line(json);
	json_key(json, "markers");
	json_begin(json, '{');
	json_key(json, "data");
	json_begin(json, '[');
	for (size_t at = run->begin, next; at < end; at = next) {
		uint64_t value = 0;

		next = window_end(gecko, run, at);
		for (size_t i = at; i < next; i++)
			value += profile->points[i].value;
		write_window(gecko, process, value);
	}
	json_end(json, ']');
	name = count ? gecko_string(gecko, "Window of observation") : 0;
	log_format(word, sizeof(word), "%u", name);
	gecko_put_same(gecko, "name", count, word);
	json_key(json, "startTime");
	json_begin(json, '[');
	for (size_t at = run->begin; at < end; at = window_end(gecko, run, at))
		json_decimal(json, gecko_time(gecko, process, profile->points[at].time_ns),
			     GECKO_NS_DIGITS);
	json_end(json, ']');
	gecko_put_same(gecko, "endTime", count, "null");
	gecko_put_same(gecko, "phase", count, "0");
	log_format(word, sizeof(word), "%u", (unsigned)PROFILE_MARKER);
	gecko_put_same(gecko, "category", count, word);
	json_put_number(json, "length", count);
	json_end(json, '}');
}

static size_t count_times(const struct gecko *gecko, const struct profile_run *run)
{
	size_t count = 0;

	for (size_t at = run->begin; at < run->end; at = window_end(gecko, run, at))
		count++;
	return count;
}

static void write_counter(struct gecko *gecko, const struct counter *counter)
{
	uint64_t start_ns = gecko->profile->processes[counter->process].start_monotonic_ns;
	uint64_t span_ns = span_of(gecko, counter, start_ns);
	uint64_t step_ns = step_of(gecko, counter, span_ns);
	size_t count = (size_t)((span_ns - 1) / step_ns) + 1;
	uint64_t *sums = heap_zalloc(count * sizeof(*sums));
	struct json *json = &gecko->json;

	if (!sums) {
		gecko->failed = true;
		return;
	}
	for (size_t i = counter->begin; i < counter->end; i++) {
		const struct profile_point *point = &gecko->profile->points[i];
		uint64_t step = point->time_ns > start_ns ? (point->time_ns - start_ns) / step_ns :
							    0;

		sums[step < count ? step : count - 1] += point->value;
	}
	write_about(gecko, counter, step_ns);
	json_key(json, "samples");
	json_begin(json, '{');
	json_key(json, "time");
	json_begin(json, '[');
	for (size_t i = 0; i <= count; i++)
		json_decimal(json,
			     gecko_time(gecko, counter->process,
					start_ns + (i < count ? i * step_ns : span_ns)),
			     GECKO_NS_DIGITS);
	json_end(json, ']');
	json_key(json, "count");
	json_begin(json, '[');
	json_number(json, 0);
	for (size_t i = 0; i < count; i++)
		gecko_put_value(gecko, sums[i]);
	json_end(json, ']');
	json_put_number(json, "length", count + 1);
	json_end(json, '}');
	json_end(json, '}');
	heap_free(sums);
}

/* From there to the last of its points. */
static uint64_t span_of(const struct gecko *gecko, const struct counter *counter, uint64_t start_ns)
{
	uint64_t last_ns = start_ns + 1;

	for (size_t i = counter->begin; i < counter->end; i++)
		if (gecko->profile->points[i].time_ns > last_ns)
			last_ns = gecko->profile->points[i].time_ns;
	return last_ns - start_ns < INT64_MAX ? last_ns - start_ns : INT64_MAX;
}

/* A sample stands for what happened since the one before: steps that have only one or two of them would show when
   samples were taken. */
static uint64_t step_of(const struct gecko *gecko, const struct counter *counter, uint64_t span_ns)
{
	uint64_t between_ns = span_ns / (counter->times ? counter->times : 1);
	uint64_t step_ns;

	if (gecko_is_time(gecko) && profile_period(gecko->profile, gecko->measurement))
		between_ns = profile_period(gecko->profile, gecko->measurement);
	step_ns = between_ns < span_ns / STEP_SAMPLES ? between_ns * STEP_SAMPLES : span_ns;
	if (step_ns < span_ns / STEPS_MOST)
		step_ns = span_ns / STEPS_MOST;
	if (step_ns < NS_PER_MS)
		step_ns = NS_PER_MS;
	return (step_ns / NS_PER_MS + (step_ns % NS_PER_MS != 0)) * NS_PER_MS;
}

static void write_about(struct gecko *gecko, const struct counter *counter, uint64_t step_ns)
{
	const struct profile *profile = gecko->profile;
	struct json *json = &gecko->json;
	char text[128];

	json_line(json);
	json_begin(json, '{');
	log_format(text, sizeof(text), gecko_is_time(gecko) ? "%s (ms)" : "%s",
		   profile_string(profile, profile->metrics[gecko->metric].name));
	json_put_text(json, "name", text);
	json_put_text(json, "category", profile_string(profile, gecko->measurement));
	log_format(text, sizeof(text), "of all threads, in each %llu ms",
		   (unsigned long long)(step_ns / NS_PER_MS));
	json_put_text(json, "description", text);
	log_format(text, sizeof(text), "%llu",
		   (unsigned long long)profile->processes[counter->process].pid);
	json_put_text(json, "pid", text);
	json_put_number(json, "mainThreadIndex", counter->thread);
}

/* Where one in so many is recorded there are none, though each record counts as one. */
static bool has_windows(const struct gecko *gecko, uint32_t process)
{
	const struct profile *profile = gecko->profile;
	const char *windows =
		profile_collector_note(profile, process, "windows", gecko->measurement);

	return windows[0] != '\0' && strcmp(windows, "0") != 0 &&
	       profile_collector_note(profile, process, "period", gecko->measurement)[0] == '\0';
}

static void write_window(struct gecko *gecko, uint32_t process, uint64_t value)
{
	struct json *json = &gecko->json;
	double scale = profile_scale(gecko->profile, process, gecko->metric);

	json_begin(json, '{');
	json_put_text(json, "type", "window");
	json_key(json, "value");
	gecko_put_value(gecko, value);
	json_key(json, "scale");
	json_decimal(json, estimate_whole(SCALE_UNIT, scale), SCALE_DIGITS);
	json_end(json, '}');
}

/* Where the points of one time end. */
static size_t window_end(const struct gecko *gecko, const struct profile_run *run, size_t at)
{
	const struct profile_point *points = gecko->profile->points;
	uint64_t time_ns = points[at].time_ns;

	while (at < run->end && points[at].time_ns == time_ns)
		at++;
	return at;
}
