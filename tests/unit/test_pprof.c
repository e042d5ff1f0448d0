#include "exported.h"

#include "../../cli/pprof_read.h"
#include "utf8.h"

extern const struct exporter_hooks pprof_exporter;

/* What a reading of the file gave. */
struct sums {
	uint64_t count, value, samples, functions, duration_ns, time_ns;
	unsigned types;
	char first_type[32], default_type[32], comments[4096];
	bool saw_module;
};

static void on_comment(void *self, const char *text)
{
	struct sums *sums = self;

	strncat(sums->comments, text, sizeof(sums->comments) - strlen(sums->comments) - 2);
	strcat(sums->comments, "\n");
}

static void on_span(void *self, uint64_t time_ns, uint64_t duration_ns)
{
	struct sums *sums = self;

	sums->time_ns = time_ns;
	sums->duration_ns = duration_ns;
}

static void on_type(void *self, const char *type, const char *unit, bool is_default)
{
	struct sums *sums = self;

	if (sums->types++ == 0)
		snprintf(sums->first_type, sizeof(sums->first_type), "%s/%s", type, unit);
	if (is_default)
		snprintf(sums->default_type, sizeof(sums->default_type), "%s/%s", type, unit);
}

static uint32_t on_mapping(void *self, const struct pprof_mapping *mapping)
{
	(void)self;
	return *mapping->file ? 1 : 0;
}

static uint32_t on_function(void *self, const struct pprof_function *function)
{
	struct sums *sums = self;
	const char *name = function->name;
	size_t length = strlen(name);

	cr_assert_gt(length, 0);
	for (size_t at = 0, next; at < length; at += next) {
		next = utf8_character(name + at, length - at);
		cr_assert_gt(next, 0);
	}
	sums->saw_module |= strcmp(name, "<module>.<module>") == 0 &&
			    strcmp(function->file, "<module>") == 0;
	return (uint32_t)++sums->functions;
}

static void on_sample(void *self, const struct pprof_sample *sample)
{
	struct sums *sums = self;

	sums->samples++;
	sums->count += sample->values[0];
	sums->value += sample->values[1];
	for (size_t i = 0; i < sample->depth; i++)
		cr_assert(sample->frames[i].function >= 1 &&
			  sample->frames[i].function <= sums->functions);
}

static const struct pprof_hooks hooks = { on_comment, on_span,	   on_type,
					  on_mapping, on_function, on_sample };

Test(pprof, sums_are_those_of_the_samples, .fini = remove_scratch)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct filled filled;
		struct profile *profile = hostile_profile(seed, &filled);
		struct bytes all = export_to_memory(&pprof_exporter, profile, false);
		struct sums sums = { 0 };

		cr_assert_null(pprof_read(all.bytes, all.size, &hooks, &sums));
		cr_assert_eq(sums.count, filled.count);
		cr_assert_eq(sums.value, filled.value);
		cr_assert_leq(sums.samples, profile->sample_count);
		cr_assert_eq(sums.functions, profile->function_count);
		cr_assert(sums.saw_module);
		profile_free(profile);
	}
}

Test(pprof, the_head_says_what_it_is, .fini = remove_scratch)
{
	struct filled filled;
	struct profile *profile = hostile_profile(1, &filled);
	struct bytes all = export_to_memory(&pprof_exporter, profile, false);
	struct sums sums = { 0 };

	cr_assert_null(pprof_read(all.bytes, all.size, &hooks, &sums));
	cr_assert_str_eq(sums.first_type, "samples/count");
	cr_assert_str_eq(sums.default_type, "cpu/nanoseconds");
	cr_assert_eq(sums.types, 2);
	cr_assert_eq(sums.time_ns, 1700000000000000000u);
	cr_assert_eq(sums.duration_ns, 3000000000u);
	cr_assert_str_eq(sums.comments, "libmonprof " PROF_VERSION " CPython 3.13.1\n"
					"period.cpu=10000000\n");
	profile_free(profile);
}

/* Field by field: what stricter readers want and pprof_read does not look at. */
struct message {
	struct bytes plain;
	uint64_t ids[16]; /* last id of each table */
	uint64_t period;
	unsigned mappings, default_seen, units;
	bool system_name;
};

static void check_message(struct message *message, const struct wire_field *outer)
{
	struct wire_cursor cursor = outer->bytes;
	struct wire_field field;
	bool has_id = outer->number == 3 || outer->number == 4 || outer->number == 5;

	while (wire_next_field(&cursor, &field)) {
		if (has_id && field.number == 1)
			cr_assert_eq(field.value, ++message->ids[outer->number],
				     "ids are not dense");
		if (outer->number == 5 && field.number == 3)
			message->system_name = true;
		if (outer->number == 2 && field.number == 3) {
			struct wire_cursor label = field.bytes;
			unsigned key = 0, text = 0, unit = 0;

			while (wire_next_field(&label, &field)) {
				key += field.number == 1;
				text += field.number == 2;
				unit += field.number == 4;
			}
			cr_assert_eq(key, 1);
			cr_assert_eq(text + unit, 1, "a text, or a number with its unit");
			message->units += unit;
		}
	}
	cr_assert_not(cursor.failed);
	message->mappings += outer->number == 3;
}

Test(pprof, the_rules_of_strict_readers_are_kept, .fini = remove_scratch)
{
	struct filled filled;
	struct profile *profile = hostile_profile(2, &filled);
	struct message message = { .plain = inflate_bytes(
					   export_to_memory(&pprof_exporter, profile, false)) };
	struct wire_cursor cursor = wire_cursor(message.plain.bytes, message.plain.size);
	struct wire_field field;
	bool first_string = true;

	while (wire_next_field(&cursor, &field)) {
		if (field.number == 6 && first_string) {
			cr_assert_eq(wire_left(&field.bytes), 0,
				     "the first string is the empty one");
			first_string = false;
		}
		if (field.number == 12)
			message.period = field.value;
		if (field.type == WIRE_BYTES && field.number != 6)
			check_message(&message, &field);
	}
	cr_assert_not(cursor.failed);
	cr_assert_not(message.system_name);
	cr_assert_eq(message.mappings, 2, "the executable and [python]");
	cr_assert_eq(message.period, 10000000);
	cr_assert_gt(message.units, 0);
	profile_free(profile);
}

Test(pprof, threads_that_look_alike_are_one, .fini = remove_scratch)
{
	char *path = in_scratch("r");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);
	struct profile *profile = profile_new();
	struct sums sums = { 0 };
	struct bytes all;
	uint32_t node = put_stack(recording, 1, 3);

	for (uint32_t id = 1; id <= 3; id++) {
		recording_put_thread(recording,
				     &(struct recording_thread){ id, 5000, id < 3 ? "w" : "x" });
		recording_put_sample(recording,
				     &(struct recording_sample){ id, 0, node, START_NS, 10, 0 });
	}
	flush_good(recording, START_NS);
	cr_assert_null(profile_add_file(profile, path));
	cr_assert_null(profile_finish(profile));
	cr_assert_eq(profile->sample_count, 3);
	all = export_to_memory(&pprof_exporter, profile, false);
	cr_assert_null(pprof_read(all.bytes, all.size, &hooks, &sums));
	cr_assert_eq(sums.samples, 2);
	cr_assert_eq(sums.value, 30);
	profile_free(profile);
	recording_free(recording);
}

Test(pprof, losses_and_a_torn_tail_are_remarked, .fini = remove_scratch)
{
	char *path = in_scratch("r");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);
	uint64_t losses[LOSS_COUNT] = { [LOSS_ring_full] = 17 };
	struct profile *profile = profile_new();
	struct sums sums = { 0 };
	struct bytes all;

	fill(recording, 1, 3);
	recording_put_losses(recording, losses);
	flush_good(recording, START_NS);
	recording_free(recording);
	all = slurp(path);
	cr_assert_null(profile_add_bytes(profile, all.bytes, all.size - 1));
	cr_assert_null(profile_finish(profile));
	all = export_to_memory(&pprof_exporter, profile, false);
	cr_assert_null(pprof_read(all.bytes, all.size, &hooks, &sums));
	cr_assert_not_null(strstr(sums.comments, "lost.ring_full=17 ("));
	cr_assert_not_null(strstr(sums.comments, "torn tail"));
	profile_free(profile);
}

Test(pprof, several_metrics_of_a_measurement_share_a_sample)
{
	static const char *const rows[][4] = {
		{ "heap", "alloc_space", "bytes", "alloc_objects" },
		{ "other", "other", "count", "" },
		{ "heap", "inuse_space", "bytes", "inuse_objects" },
	};
	struct wire_buffer file = { 0 }, payload = { 0 };
	struct profile *profile = profile_new();
	struct sums sums = { 0 };
	struct bytes all;

	raw_begin(&file, RECORDING_VERSION_MAJOR << 16);
	raw_head(&file, 5);
	for (unsigned i = 0; i < 3; i++)
		for (unsigned j = 0; j < 4; j++)
			raw_text(&payload, rows[i][j]);
	raw_block(&file, RECORDING_BLOCK_METRICS, &payload);
	/* flags, thread, metric, node, time, value */
	RAW(&payload, 3 - 2, 1, 0, 0, 100, 0, 0, 0, 50, 2, 1, 0, 0, 9999, 2, 2, 0, 0, 30);
	raw_block(&file, RECORDING_BLOCK_SAMPLES, &payload);
	cr_assert_null(profile_add_bytes(profile, file.bytes, file.size));
	cr_assert_null(profile_finish(profile));
	all = export_to_memory(&pprof_exporter, profile, false);
	cr_assert_null(pprof_read(all.bytes, all.size, &hooks, &sums));
	cr_assert_eq(sums.types, 4);
	cr_assert_str_eq(sums.first_type, "alloc_objects/count");
	cr_assert_str_eq(sums.default_type, "alloc_space/bytes", "the first metric");
	cr_assert_eq(sums.samples, 1);
	cr_assert_eq(sums.count, 2);
	cr_assert_eq(sums.value, 150);
	profile_free(profile);
	wire_release(&file);
	wire_release(&payload);
}

static uint32_t on_any_function(void *self, const struct pprof_function *function)
{
	struct sums *sums = self;

	sums->saw_module |= strlen(function->name) + strlen(function->file) > 0;
	return (uint32_t)++sums->functions;
}

static void on_any_sample(void *self, const struct pprof_sample *sample)
{
	struct sums *sums = self;

	for (size_t i = 0; i < sample->depth; i++)
		sums->samples += sample->frames[i].function;
	sums->value += sample->values[0];
}

Test(pprof, every_truncation_and_every_flipped_byte_is_survived, .fini = remove_scratch)
{
	struct profile *profile = profile_new();
	char *path = in_scratch("r");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);
	struct bytes plain;
	struct pprof_hooks quiet = hooks;

	quiet.function = on_any_function;
	quiet.sample = on_any_sample;
	fill(recording, 1, 5);
	flush_good(recording, START_NS);
	recording_free(recording);
	cr_assert_null(profile_add_file(profile, path));
	cr_assert_null(profile_finish(profile));
	plain = inflate_bytes(export_to_memory(&pprof_exporter, profile, false));
	for (size_t i = 0; i < plain.size; i++) {
		uint8_t kept = plain.bytes[i];
		uint8_t *cut = malloc(i + 1);
		struct sums sums = { 0 };

		memcpy(cut, plain.bytes, i);
		pprof_read(cut, i, &quiet, &sums);
		free(cut);
		plain.bytes[i] = kept ^ 0x55;
		sums = (struct sums){ 0 };
		pprof_read(plain.bytes, plain.size, &quiet, &sums);
		plain.bytes[i] = kept;
	}
	profile_free(profile);
}

Test(pprof, the_real_one_reads_it, .fini = remove_scratch)
{
	struct filled filled;
	struct profile *profile = hostile_profile(1, &filled);
	struct bytes all = export_to_memory(&pprof_exporter, profile, false);
	char *text = run_pprof("-raw", all), wanted[64];

	cr_assert_not_null(strstr(text, "PeriodType: cpu nanoseconds\nPeriod: 10000000\n"));
	cr_assert_not_null(strstr(text, "samples/count cpu/nanoseconds[dflt]"));
	cr_assert_not_null(strstr(text, "libmonprof " PROF_VERSION));
	text = run_pprof("-top -nodecount=1000 -nodefraction=0 -unit=ns", all);
	cr_assert_not_null(strstr(text, "File: python3"));
	cr_assert_not_null(strstr(text, "Type: cpu"));
	cr_assert_not_null(strstr(text, "<module>.<module>"));
	cr_assert_not_null(strstr(text, "[unnamed]"));
	snprintf(wanted, sizeof(wanted), "Total samples = %lluns",
		 (unsigned long long)filled.value);
	cr_assert_not_null(strstr(text, wanted), "%s not in %.600s", wanted, text);
	text = run_pprof("-tags", all);
	cr_assert_not_null(strstr(text, "thread_id: Total"));
	cr_assert_not_null(strstr(text, "4001"));
	cr_assert_not_null(strstr(text, "MainThread"));
	cr_assert_not_null(strstr(text, "pid: Total"));
	text = run_pprof("-traces", all);
	cr_assert_not_null(strstr(text, "Class"));
	profile_free(profile);
}
