#include "exported.h"
#include "windows.h"

#include "../../cli/pprof_read.h"

extern const struct exporter_hooks pprof_exporter;

/* Every sample of a measurement `calls`, told apart by its leaf, thread and duration. */
struct timed {
	struct {
		const char *leaf;
		uint64_t tid, duration, calls, time, error;
		bool has_error;
	} rows[64];
	size_t count;
	const char *names[64];
	uint32_t functions;
};

static void ignore_text(void *self, const char *text)
{
	(void)self;
	(void)text;
}

static void ignore_span(void *self, uint64_t time_ns, uint64_t duration_ns)
{
	(void)self;
	(void)time_ns;
	(void)duration_ns;
}

static void check_type(void *self, const char *type, const char *unit, bool is_default)
{
	(void)self;
	cr_assert_str_eq(unit, strcmp(type, "calls") == 0 ? "count" : "nanoseconds");
	cr_assert_eq(is_default, strcmp(type, "calls") == 0);
}

static uint32_t ignore_mapping(void *self, const struct pprof_mapping *mapping)
{
	(void)self;
	(void)mapping;
	return 0;
}

static uint32_t keep_name(void *self, const struct pprof_function *function)
{
	struct timed *timed = self;

	timed->names[timed->functions] = keep(strdup(function->name));
	return ++timed->functions;
}

static void keep_sample(void *self, const struct pprof_sample *sample)
{
	struct timed *timed = self;
	size_t at = timed->count++;

	cr_assert_lt(at, PROF_COUNT(timed->rows));
	timed->rows[at].leaf = timed->names[sample->frames[0].function - 1];
	timed->rows[at].calls = sample->values[0];
	timed->rows[at].time = sample->values[1];
	for (size_t i = 0; i < sample->label_count; i++) {
		const struct pprof_label *label = &sample->labels[i];

		if (strcmp(label->key, "thread_id") == 0)
			timed->rows[at].tid = label->number;
		if (strcmp(label->key, "duration") == 0) {
			cr_assert_str_eq(label->unit, "nanoseconds");
			cr_assert_gt(label->number, 0);
			timed->rows[at].duration = label->number;
		}
		if (strcmp(label->key, "error") == 0) {
			cr_assert_str_eq(label->unit, "count");
			timed->rows[at].error = label->number;
			timed->rows[at].has_error = true;
		}
	}
}

static struct bytes export_calls(const struct profile *profile)
{
	return export_measurement(&pprof_exporter, profile,
				  profile->metrics[WINDOWS_CALLS].collector, false);
}

static struct profile *fold_calls(const struct windows_note *notes)
{
	struct bytes all =
		windows_recording(1, windows_samples, PROF_COUNT(windows_samples), notes);
	struct profile *profile = profile_new();

	cr_assert_null(profile_add_bytes(profile, all.bytes, all.size));
	cr_assert_null(profile_finish(profile));
	return profile;
}

static struct timed read_calls(const struct profile *profile)
{
	static const struct pprof_hooks timed_hooks = { ignore_text,	ignore_span, check_type,
							ignore_mapping, keep_name,   keep_sample };
	struct bytes all = export_calls(profile);
	struct timed timed = { 0 };

	cr_assert_null(pprof_read(all.bytes, all.size, &timed_hooks, &timed));
	return timed;
}

Test(pprof_calls, a_stack_has_its_calls_and_its_time_in_one_sample)
{
	static const struct windows_note none[] = { { NULL, NULL } };
	struct profile *profile = fold_calls(none);
	struct timed timed = read_calls(profile);
	unsigned whole = 0;

	for (size_t i = 0; i < timed.count; i++) {
		cr_assert_not(timed.rows[i].has_error);
		/* Durations are of calls: the time is beside the calls that have none. */
		if (strcmp(timed.rows[i].leaf, "m.f") == 0 && timed.rows[i].calls == 1) {
			cr_assert_eq(timed.rows[i].time, 11000);
			whole++;
		}
	}
	cr_assert_eq(whole, 1);
	/* main > f in two threads, twice each, main > g, main > g > f, main > f > len: twice each */
	cr_assert_eq(timed.count, 10);
	profile_free(profile);
}

Test(pprof_calls, a_duration_is_a_label)
{
	static const struct windows_note none[] = { { NULL, NULL } };
	struct profile *profile = fold_calls(none);
	struct timed timed = read_calls(profile);
	uint64_t with_duration = 0;

	for (size_t i = 0; i < timed.count; i++) {
		if (timed.rows[i].duration == 0)
			continue;
		with_duration += timed.rows[i].calls;
		cr_assert_eq(timed.rows[i].time, 0);
		if (strcmp(timed.rows[i].leaf, "m.g") == 0)
			cr_assert_eq(timed.rows[i].duration, 1 << 14);
		if (strcmp(timed.rows[i].leaf, "builtins.len") == 0)
			cr_assert_eq(timed.rows[i].duration, 1 << 5);
	}
	cr_assert_eq(with_duration, 7 + 2 + 2 + 4 + 8);
	profile_free(profile);
}

Test(pprof_calls, the_error_of_a_function_is_said_once_on_its_biggest_sample)
{
	static const struct {
		const char *leaf;
		uint64_t error, calls;
	} wanted[] = {
		{ "m.f", 118, 74 }, /* 72.7 * 1.612; of 7 * 10.5 calls of the 1 us class */
		{ "m.g", 40, 42 },
		{ "builtins.len", 136, 84 },
	};
	struct profile *profile = fold_calls(windows_notes);
	struct timed timed = read_calls(profile);
	unsigned found = 0;

	for (size_t i = 0; i < timed.count; i++) {
		if (!timed.rows[i].has_error)
			continue;
		for (size_t j = 0; j < PROF_COUNT(wanted); j++) {
			if (strcmp(timed.rows[i].leaf, wanted[j].leaf) != 0)
				continue;
			cr_assert_eq(timed.rows[i].error, wanted[j].error, "%s", wanted[j].leaf);
			cr_assert_eq(timed.rows[i].calls, wanted[j].calls, "%s", wanted[j].leaf);
			found++;
		}
	}
	cr_assert_eq(found, PROF_COUNT(wanted));
	profile_free(profile);
}

Test(pprof_calls, errors_of_processes_add_up_as_errors_do)
{
	struct bytes a =
		windows_recording(1, windows_samples, PROF_COUNT(windows_samples), windows_notes);
	struct bytes b =
		windows_recording(2, windows_samples, PROF_COUNT(windows_samples), windows_notes);
	struct profile *profile = profile_new();
	struct timed timed;
	uint64_t error = 0;

	cr_assert_null(profile_add_bytes(profile, a.bytes, a.size));
	cr_assert_null(profile_add_bytes(profile, b.bytes, b.size));
	cr_assert_null(profile_finish(profile));
	timed = read_calls(profile);
	for (size_t i = 0; i < timed.count; i++)
		if (strcmp(timed.rows[i].leaf, "m.f") == 0)
			error += timed.rows[i].error;
	cr_assert_eq(error, 166, "72.746 * 1.612 * sqrt(2) = 165.9");
	profile_free(profile);
}

/* Sample types: what is not measured is none. */
Test(pprof_calls, calls_alone_have_no_column_of_times, .fini = remove_scratch)
{
	static const struct recording_sample samples[] = {
		{ 1, WINDOWS_CALLS, MAIN_F, START_NS + 1, 1000, 0 },
		{ 1, WINDOWS_CALLS, MAIN_G, START_NS + 2, 1100, 0 },
		{ 1, WINDOWS_CPU, MAIN_F, START_NS + 3, 10000000, 0 },
		{ 1, WINDOWS_CALLS, MAIN_F, START_NS + 4, 900, 0 },
	};
	static const struct windows_note notes[] = { { "windows.calls", "3" },
						     { "period.calls", "1000" },
						     { NULL, NULL } };
	struct bytes all = windows_recording(1, samples, PROF_COUNT(samples), notes);
	struct profile *profile = profile_new();
	char *text;

	cr_assert_null(profile_add_bytes(profile, all.bytes, all.size));
	cr_assert_null(profile_finish(profile));
	text = run_pprof("-raw", export_calls(profile));
	cr_assert_not_null(strstr(text, "\ncalls/count[dflt]\n"), "%s", text);
	cr_assert_not_null(strstr(text, "PeriodType: calls count\nPeriod: 1000\n"), "%s", text);
	/* sqrt(3 / 2 * (1000^2 + 900^2 - 1900^2 / 3)) = 953.9, of three: times 2.129 */
	cr_assert_not_null(strstr(text, " 1900: "), "%s", text);
	cr_assert_not_null(strstr(text, "error:[2031 count]"), "%s", text);
	text = run_pprof("-top", export_calls(profile));
	cr_assert_not_null(strstr(text, "of 3000 total"), "%s", text);
	profile_free(profile);
}

Test(pprof_calls, the_real_one_reads_calls, .fini = remove_scratch)
{
	struct profile *profile = fold_calls(windows_notes);
	struct bytes all = export_calls(profile);
	char *text = run_pprof("-raw", all);

	cr_assert_not_null(strstr(text, "calls/count[dflt] time/nanoseconds"));
	cr_assert_not_null(strstr(text, "duration:[1024 nanoseconds] error:[118 count]"), "%s",
			   text);
	cr_assert_not_null(strstr(text, "PeriodType:  \n"), "%.100s", text);
	text = run_pprof("-top", all);
	cr_assert_not_null(strstr(text, "Type: calls"));
	/* f 74 + 11 + 21 + 21, len 84, g 42 */
	cr_assert_not_null(strstr(text, "of 253 total"), "%s", text);
	cr_assert_not_null(strstr(text, "127 50.20% 50.20%"), "%s", text);
	text = run_pprof("-top -sample_index=time", all);
	cr_assert_not_null(strstr(text, "Type: time"));
	cr_assert_not_null(strstr(text, "945us"), "%s", text);
	text = run_pprof("-tags", all);
	cr_assert_not_null(strstr(text, "duration: Total"));
	cr_assert_not_null(strstr(text, "1.02us"), "%s", text);
	/* The classes of 1 and 2 us; those of 32 ns and 16 us are outside. */
	text = run_pprof("-top -tagfocus=duration=1us:10us", all);
	cr_assert_not_null(strstr(text, "m.f"));
	cr_assert_null(strstr(text, "builtins.len"), "%s", text);
	cr_assert_not_null(strstr(text, "of 253 total"));
	cr_assert_not_null(strstr(text, "116 45.85%"), "74 + 21 + 21: %s", text);
	text = run_pprof("-top -tagfocus=1us:10us", all);
	cr_assert_not_null(strstr(text, "116 45.85%"), "%s", text);
	text = run_pprof("-traces", all);
	cr_assert_not_null(strstr(text, "builtins.len"));
	profile_free(profile);
}
