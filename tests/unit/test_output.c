#include "recordings.h"

#include "output.h"

#include <sys/utsname.h>

static const struct output_names names = {
	.directory = "/var/tmp",
	.pattern = "monprof.%p",
	.start_realtime_ns = 1700000000123456789u,
	.pid = 1234,
	.sequence = 3,
	.program = "/usr/bin/python3.13",
};

static void check(const char *pattern, const char *wanted)
{
	struct output_names given = names;
	char path[OUTPUT_PATH_BYTES];

	given.pattern = pattern;
	cr_assert_null(output_expand(&given, path, sizeof(path)), "%s", pattern);
	cr_assert_str_eq(path, wanted);
}

Test(output, patterns_expand)
{
	struct utsname system;
	char wanted[512];

	check("monprof.%p", "/var/tmp/monprof.1234");
	check("/abs/%e-%n", "/abs/python3.13-3");
	check("%t", "/var/tmp/1700000000");
	check("100%%", "/var/tmp/100%");
	check("%x%", "/var/tmp/%x%");
	check("sub/dir/%p%p", "/var/tmp/sub/dir/12341234");
	uname(&system);
	snprintf(wanted, sizeof(wanted), "/var/tmp/%s", system.nodename);
	check("%h", wanted);
}

Test(output, names_that_cannot_be_are_refused)
{
	struct output_names given = names;
	char path[32], long_pattern[200];

	given.pattern = "dir/";
	cr_assert_not_null(output_expand(&given, path, sizeof(path)));
	given.pattern = "";
	cr_assert_not_null(output_expand(&given, path, sizeof(path)));
	memset(long_pattern, 'x', sizeof(long_pattern) - 1);
	long_pattern[sizeof(long_pattern) - 1] = '\0';
	given.pattern = long_pattern;
	cr_assert_not_null(output_expand(&given, path, sizeof(path)));
	cr_assert_lt(strlen(path), sizeof(path));
}

/* Two exporters that say which they are. */
static void write_first(const struct profile *profile, uint32_t measurement,
			const struct exporter_settings *settings, struct sink *sink)
{
	(void)settings;
	sink_puts(sink, profile_string(profile, measurement));
}

static void write_failing(const struct profile *profile, uint32_t measurement,
			  const struct exporter_settings *settings, struct sink *sink)
{
	(void)profile;
	(void)measurement;
	(void)settings;
	sink_fail(sink, "no memory");
}

static const struct exporter_hooks first_hooks = { .gzip = false, .write = write_first };
static const struct exporter_hooks failing_hooks = { .gzip = false, .write = write_failing };
static const struct exporter exporters[] = {
	{ "first", ".1", "", &first_hooks },
	{ "failing", ".2", "", &failing_hooks },
	{ NULL, NULL, NULL, NULL },
};

struct reports {
	unsigned count, failed;
	char last[OUTPUT_PATH_BYTES];
};

static void report(void *self, const char *path, errmsg error)
{
	struct reports *reports = self;

	reports->count++;
	reports->failed += error != NULL;
	snprintf(reports->last, sizeof(reports->last), "%s", path);
}

static unsigned write_all(const struct profile *profile, uint64_t mask, const char *base,
			  struct reports *reports)
{
	return output_write(profile, &(struct output_files){
					     .exporters = exporters,
					     .mask = mask,
					     .base = base,
					     .session = SESSION,
					     .report = report,
					     .self = reports,
				     });
}

/* Samples of the first and third of three metrics, whose collectors have these names. */
static struct profile *make(const char *first, const char *second, const char *third)
{
	const char *collectors[] = { first, second, third };
	struct wire_buffer file = { 0 }, payload = { 0 };
	struct profile *profile = profile_new();

	raw_begin(&file, RECORDING_VERSION_MAJOR << 16);
	raw_head(&file, 5);
	for (unsigned i = 0; i < 3; i++) {
		raw_text(&payload, collectors[i]);
		raw_text(&payload, "name");
		raw_text(&payload, "unit");
		raw_text(&payload, "");
	}
	raw_block(&file, RECORDING_BLOCK_METRICS, &payload);
	RAW(&payload, 1, 1, 0, 0, 5, 2, 2, 0, 0, 5);
	raw_block(&file, RECORDING_BLOCK_SAMPLES, &payload);
	cr_assert_null(profile_add_bytes(profile, file.bytes, file.size));
	cr_assert_null(profile_finish(profile));
	wire_release(&file);
	wire_release(&payload);
	return profile;
}

Test(output, one_file_for_each_measurement_with_samples, .fini = remove_scratch)
{
	struct profile *profile = make("cpu", "idle", "wall");
	struct reports reports = { 0 };

	cr_assert_eq(write_all(profile, 1, in_scratch("m.1"), &reports), 0);
	cr_assert_eq(reports.count, 2);
	cr_assert_str_eq((char *)slurp(in_scratch("m.1.cpu.1")).bytes, "cpu");
	cr_assert_str_eq((char *)slurp(in_scratch("m.1.wall.1")).bytes, "wall");
	cr_assert_neq(access(in_scratch("m.1.idle.1"), F_OK), 0);
	profile_free(profile);
}

Test(output, failures_are_counted_and_reported, .fini = remove_scratch)
{
	struct profile *profile = make("cpu", "cpu", "cpu");
	struct reports reports = { 0 };

	cr_assert_eq(write_all(profile, 3, in_scratch("m"), &reports), 1);
	cr_assert_eq(reports.count, 2);
	cr_assert_eq(reports.failed, 1);
	cr_assert_str_eq(reports.last, in_scratch("m.cpu.2"));
	profile_free(profile);
}

Test(output, a_taken_name_gets_the_session, .fini = remove_scratch)
{
	struct profile *profile = make("cpu", "cpu", "cpu");
	struct reports reports = { 0 };
	char *base = in_scratch("m");

	spill(in_scratch("m.cpu.1"), "theirs", 6);
	cr_assert_eq(write_all(profile, 1, base, &reports), 0);
	cr_assert_str_eq(reports.last, in_scratch("m.55667788.cpu.1"));
	cr_assert_eq(write_all(profile, 1, base, &reports), 0);
	cr_assert_str_eq(reports.last, in_scratch("m.55667788-2.cpu.1"));
	cr_assert_str_eq((char *)slurp(in_scratch("m.cpu.1")).bytes, "theirs");
	profile_free(profile);
}

Test(output, a_measurement_never_leads_out_of_its_directory, .fini = remove_scratch)
{
	struct profile *profile = make("../../x y", "", "\n");
	struct reports reports = { 0 };

	cr_assert_eq(write_all(profile, 1, in_scratch("m"), &reports), 0);
	cr_assert_eq(access(in_scratch("m.______x_y.1"), F_OK), 0);
	cr_assert_eq(access(in_scratch("m._.1"), F_OK), 0);
	profile_free(profile);
}
