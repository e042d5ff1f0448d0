/*
 * gecko.c - Firefox Profiler's "processed profile": threads beside each other on one clock.
 *
 *   thread (of the measurement's first metric)
 *     samples ---> stackTable ---> frameTable ---> funcTable ---> strings, libs    (gecko_tables.c)
 *
 * Each thread has tables of its own, of what it uses; strings are shared.  A sample stands at the time when it was
 * taken and weighs what it measured: of CPU time, what the thread used since the sample before, which is its
 * CPU delta, too.  Processes that were folded together keep their own time of day.
 *
 * Counters and markers are in gecko_marks.c.
 *
 * Version 57 of the format: viewers read older versions than their own, never newer ones.
 */
#include "gecko.h"

#include <string.h>

#define FORMAT_VERSION 57
#define GECKO_VERSION 32
#define NS_PER_MS 1000000

static void gecko_write(const struct profile *profile, uint32_t measurement,
			const struct exporter_settings *settings, struct sink *sink);
static bool begin(struct gecko *gecko);
static void write_meta(struct gecko *gecko);
static void write_categories(struct gecko *gecko);
static void write_threads(struct gecko *gecko);
static void write_thread(struct gecko *gecko, const struct profile_run *run);
static void take_stacks(struct gecko *gecko, const struct profile_run *run);
static void take_stack(struct gecko *gecko, uint32_t node);
static void write_lifetime(struct gecko *gecko, const struct profile_run *run);
static bool has_ended(const struct gecko *gecko, const struct profile_run *run);
static void write_samples(struct gecko *gecko, const struct profile_run *run);
static void write_deltas(struct gecko *gecko, const struct profile_run *run);
static const char *weight_type(const struct gecko *gecko);
static void write_strings(struct gecko *gecko);
static void release(struct gecko *gecko);

const struct exporter_hooks gecko_exporter = { .points = true, .write = gecko_write };

static void gecko_write(const struct profile *profile, uint32_t measurement,
			const struct exporter_settings *settings, struct sink *sink)
{
	struct gecko gecko = {
		.profile = profile,
		.json.sink = sink,
		.measurement = measurement,
	};
	struct json *json = &gecko.json;

	(void)settings; /* lines are beside functions there, never in their place */
	if (begin(&gecko)) {
		json_begin(json, '{');
		write_meta(&gecko);
		gecko_write_libraries(&gecko);
		gecko_put_names(json, "pages", NULL);
		gecko_write_counters(&gecko);
		write_threads(&gecko);
		write_strings(&gecko);
		json_end(json, '}');
		sink_puts(sink, "\n");
	}
	if (gecko.failed)
		sink_fail(sink, "no memory");
	release(&gecko);
}

static bool begin(struct gecko *gecko)
{
	const struct profile *profile = gecko->profile;
	struct profile_run run = { 0 };

	gecko->failed = !proto_ids_init(&gecko->nodes, profile->node_count) ||
			!proto_ids_init(&gecko->frames, profile->frame_count) ||
			!proto_ids_init(&gecko->functions, profile->function_count);
	gecko->failed = gecko->failed || !gecko_find_libraries(gecko);
	if (profile_next_run(profile, gecko->measurement, &run))
		gecko->metric = run.metric;
	gecko->start_realtime_ns = UINT64_MAX;
	for (size_t i = 0; i < profile->process_count; i++) {
		if (profile->processes[i].start_realtime_ns < gecko->start_realtime_ns)
			gecko->start_realtime_ns = profile->processes[i].start_realtime_ns;
	}
	return !gecko->failed;
}

static void write_meta(struct gecko *gecko)
{
	static const char *const units[][2] = { { "time", "ms" },
						{ "eventDelay", "ms" },
						{ "threadCPUDelta", "ns" } };
	const struct profile *profile = gecko->profile;
	uint64_t period = gecko_is_time(gecko) ? profile_period(profile, gecko->measurement) : 0;
	struct json *json = &gecko->json;

	profile_put_title(profile, gecko->measurement, &gecko->text);
	gecko->failed |= gecko->text.failed;
	json_key(json, "meta");
	json_begin(json, '{');
	json_key(json, "interval");
	json_decimal(json, period ? period : NS_PER_MS, GECKO_NS_DIGITS);
	json_key(json, "startTime");
	json_decimal(json, gecko->start_realtime_ns, GECKO_NS_DIGITS);
	json_put_number(json, "processType", 0);
	json_put_text(json, "product", gecko->failed ? "" : (const char *)gecko->text.bytes);
	json_put_number(json, "stackwalk", 0);
	json_put_number(json, "version", GECKO_VERSION);
	json_put_number(json, "preprocessedProfileVersion", FORMAT_VERSION);
	json_put_word(json, "symbolicated", "true");
	json_put_text(json, "importedFrom", "libmonprof " PROF_VERSION);
	json_put_text(json, "platform", "Linux");
	write_categories(gecko);
	json_key(json, "extensions");
	json_begin(json, '{');
	gecko_put_names(json, "id", NULL);
	gecko_put_names(json, "name", NULL);
	gecko_put_names(json, "baseURL", NULL);
	json_put_number(json, "length", 0);
	json_end(json, '}');
	gecko_write_schemas(gecko);
	json_key(json, "sampleUnits");
	json_begin(json, '{');
	for (size_t i = 0; i < PROF_COUNT(units); i++)
		json_put_text(json, units[i][0], units[i][1]);
	json_end(json, '}');
	json_put_word(json, "usesOnlyOneStackType", gecko->libraries.count ? "false" : "true");
	json_put_word(json, "sourceCodeIsNotOnSearchfox", "true");
	json_put_word(json, "keepProfileThreadOrder", "true");
	json_end(json, '}');
}

/* One for each origin, in its order; a grey one is the viewer's default. */
static void write_categories(struct gecko *gecko)
{
	static const char *const colors[PROFILE_ORIGINS] = {
		[PROFILE_PROGRAM] = "orange", [PROFILE_STANDARD] = "green",
		[PROFILE_PACKAGE] = "blue",   [PROFILE_C] = "purple",
		[PROFILE_NATIVE] = "red",     [PROFILE_MARKER] = "grey",
	};
	static const char *const other[] = { "Other", NULL };
	struct json *json = &gecko->json;

	json_key(json, "categories");
	json_begin(json, '[');
	for (unsigned origin = 0; origin < PROFILE_ORIGINS; origin++) {
		json_begin(json, '{');
		json_put_text(json, "name", profile_origin_name(origin));
		json_put_text(json, "color", colors[origin] ? colors[origin] : "darkgrey");
		gecko_put_names(json, "subcategories", other);
		json_end(json, '}');
	}
	json_end(json, ']');
}

static void write_threads(struct gecko *gecko)
{
	struct profile_run run = { 0 };

	json_line(&gecko->json);
	json_key(&gecko->json, "threads");
	json_begin(&gecko->json, '[');
	while (!gecko->failed && gecko_next_thread(gecko, &run)) {
		json_line(&gecko->json);
		write_thread(gecko, &run);
	}
	json_end(&gecko->json, ']');
}

bool gecko_next_thread(const struct gecko *gecko, struct profile_run *run)
{
	while (profile_next_run(gecko->profile, gecko->measurement, run))
		if (run->metric == gecko->metric)
			return true;
	return false;
}

static void write_thread(struct gecko *gecko, const struct profile_run *run)
{
	const struct profile *profile = gecko->profile;
	const struct profile_thread *thread = &profile->threads[run->thread];
	const struct profile_process *process = &profile->processes[thread->process];
	struct json *json = &gecko->json;
	char pid[24];

	take_stacks(gecko, run);
	log_format(pid, sizeof(pid), "%llu", (unsigned long long)process->pid);
	json_begin(json, '{');
	json_put_text(json, "name",
		      thread->name ? profile_string(profile, thread->name) : "thread");
	json_put_word(json, "isMainThread", thread->tid == process->pid ? "true" : "false");
	json_put_text(json, "pid", pid);
	json_put_number(json, "tid", thread->tid);
	json_put_text(json, "processType", "default");
	json_put_text(json, "processName", profile_string(profile, process->program));
	write_lifetime(gecko, run);
	write_samples(gecko, run);
	gecko_write_tables(gecko);
	gecko_write_markers(gecko, run);
	json_end(json, '}');
}

/* Parents before their children. */
static void take_stacks(struct gecko *gecko, const struct profile_run *run)
{
	const struct profile *profile = gecko->profile;

	proto_ids_clear(&gecko->nodes);
	proto_ids_clear(&gecko->frames);
	proto_ids_clear(&gecko->functions);
	for (size_t at = run->begin; at < run->end && !gecko->failed; at++)
		take_stack(gecko, profile->samples[profile->points[at].sample].node);
	for (uint32_t i = 0; i < gecko->nodes.count; i++)
		proto_id(&gecko->frames, profile->nodes[gecko->nodes.rows[i] - 1].frame);
	for (uint32_t i = 0; i < gecko->frames.count; i++)
		proto_id(&gecko->functions, profile->frames[gecko->frames.rows[i] - 1].function);
}

static void take_stack(struct gecko *gecko, uint32_t node)
{
	size_t depth = 0;

	for (; node != 0 && gecko->nodes.ids[node - 1] == 0;
	     node = gecko->profile->nodes[node - 1].parent) {
		void *path = gecko->path;

		if (!heap_grow(&path, &gecko->path_capacity, depth + 1, sizeof(*gecko->path))) {
			gecko->failed = true;
			return;
		}
		gecko->path = path;
		gecko->path[depth++] = node;
	}
	while (depth > 0)
		proto_id(&gecko->nodes, gecko->path[--depth]);
}

static void write_lifetime(struct gecko *gecko, const struct profile_run *run)
{
	uint32_t process = gecko->profile->threads[run->thread].process;
	const struct profile_process *of = &gecko->profile->processes[process];
	uint64_t last_ns = gecko->profile->points[run->end - 1].time_ns;
	struct json *json = &gecko->json;

	json_key(json, "processStartupTime");
	json_decimal(json, gecko_time(gecko, process, of->start_monotonic_ns), GECKO_NS_DIGITS);
	json_key(json, "processShutdownTime");
	if (of->end_monotonic_ns)
		json_decimal(json, gecko_time(gecko, process, of->end_monotonic_ns),
			     GECKO_NS_DIGITS);
	else
		json_word(json, "null");
	json_key(json, "registerTime");
	json_decimal(json, gecko_time(gecko, process, of->start_monotonic_ns), GECKO_NS_DIGITS);
	json_key(json, "unregisterTime");
	if (has_ended(gecko, run))
		json_decimal(json, gecko_time(gecko, process, last_ns), GECKO_NS_DIGITS);
	else
		json_word(json, "null");
	gecko_put_names(json, "pausedRanges", NULL);
}

/* What a thread used since its last sample is recorded when it ends. */
static bool has_ended(const struct gecko *gecko, const struct profile_run *run)
{
	const struct profile *profile = gecko->profile;
	uint32_t node = profile->samples[profile->points[run->end - 1].sample].node;
	const struct profile_function *function;

	if (node == 0)
		return false;
	function =
		&profile->functions[profile->frames[profile->nodes[node - 1].frame - 1].function -
				    1];
	return function->kind == RECORDING_MARKER &&
	       strcmp(profile_string(profile, function->full), "[thread exit]") == 0;
}

uint64_t gecko_time(const struct gecko *gecko, uint32_t process, uint64_t monotonic_ns)
{
	const struct profile_process *of = &gecko->profile->processes[process];
	uint64_t into_ns =
		monotonic_ns > of->start_monotonic_ns ? monotonic_ns - of->start_monotonic_ns : 0;

	return of->start_realtime_ns - gecko->start_realtime_ns + into_ns;
}

static void write_samples(struct gecko *gecko, const struct profile_run *run)
{
	const struct profile *profile = gecko->profile;
	uint32_t process = profile->threads[run->thread].process;
	struct json *json = &gecko->json;

	json_line(json);
	json_key(json, "samples");
	json_begin(json, '{');
	json_key(json, "stack");
	json_begin(json, '[');
	for (size_t at = run->begin; at < run->end; at++) {
		uint32_t node = profile->samples[profile->points[at].sample].node;

		if (node)
			json_number(json, gecko->nodes.ids[node - 1] - 1);
		else
			json_word(json, "null");
	}
	json_end(json, ']');
	json_key(json, "time");
	json_begin(json, '[');
	for (size_t at = run->begin; at < run->end; at++)
		json_decimal(json, gecko_time(gecko, process, profile->points[at].time_ns),
			     GECKO_NS_DIGITS);
	json_end(json, ']');
	json_key(json, "weight");
	json_begin(json, '[');
	for (size_t at = run->begin; at < run->end; at++)
		gecko_put_value(gecko, profile->points[at].value);
	json_end(json, ']');
	json_put_text(json, "weightType", weight_type(gecko));
	write_deltas(gecko, run);
	json_put_number(json, "length", run->end - run->begin);
	json_end(json, '}');
}

void gecko_put_value(struct gecko *gecko, uint64_t value)
{
	json_decimal(&gecko->json, value, gecko_is_time(gecko) ? GECKO_NS_DIGITS : 0);
}

/* Of CPU time: its graph of how busy a thread was. */
static void write_deltas(struct gecko *gecko, const struct profile_run *run)
{
	const struct profile *profile = gecko->profile;
	struct json *json = &gecko->json;

	if (strcmp(profile_string(profile, gecko->measurement), "cpu") != 0)
		return;
	json_key(json, "threadCPUDelta");
	json_begin(json, '[');
	for (size_t at = run->begin; at < run->end; at++)
		json_number(json, profile->points[at].value);
	json_end(json, ']');
}

static const char *weight_type(const struct gecko *gecko)
{
	const struct profile *profile = gecko->profile;
	const char *unit = profile_string(profile, profile->metrics[gecko->metric].unit);

	if (gecko_is_time(gecko))
		return "tracing-ms";
	return strcmp(unit, "bytes") == 0 ? unit : "samples";
}

bool gecko_is_time(const struct gecko *gecko)
{
	const struct profile *profile = gecko->profile;

	return strcmp(profile_string(profile, profile->metrics[gecko->metric].unit),
		      "nanoseconds") == 0;
}

void gecko_put_same(struct gecko *gecko, const char *key, size_t count, const char *word)
{
	json_key(&gecko->json, key);
	json_begin(&gecko->json, '[');
	while (count-- > 0)
		json_word(&gecko->json, word);
	json_end(&gecko->json, ']');
}

uint32_t gecko_string(struct gecko *gecko, const char *text)
{
	uint32_t id = intern_put(&gecko->strings, text, strlen(text), NULL);

	gecko->failed |= id == 0;
	return id ? id - 1 : 0;
}

static void write_strings(struct gecko *gecko)
{
	struct json *json = &gecko->json;

	json_line(json);
	json_key(json, "shared");
	json_begin(json, '{');
	json_key(json, "stringArray");
	json_begin(json, '[');
	for (uint32_t id = 1; id <= gecko->strings.count; id++)
		json_text(json, intern_get(&gecko->strings, id, NULL));
	json_end(json, ']');
	json_end(json, '}');
}

void gecko_put_names(struct json *json, const char *key, const char *const *names)
{
	json_key(json, key);
	json_begin(json, '[');
	for (; names && *names; names++)
		json_text(json, *names);
	json_end(json, ']');
}

static void release(struct gecko *gecko)
{
	intern_release(&gecko->strings);
	proto_ids_release(&gecko->nodes);
	proto_ids_release(&gecko->frames);
	proto_ids_release(&gecko->functions);
	intern_release(&gecko->libraries);
	heap_free(gecko->library_of);
	proto_ids_release(&gecko->resources);
	heap_free(gecko->path);
	wire_release(&gecko->text);
}
