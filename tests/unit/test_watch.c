/*
 * test_watch.c - whoever watches is told often and truly; whoever does not, changes nothing.
 */
#include "recordings.h"

#include "output.h"
#include "profile_filter.h"

#define SAMPLES 30000
#define STEP_BYTES (16u << 10) /* of recording_read.c */
#define PUT_BYTES (64u << 10) /* of sink.c */
#define ROW_BYTES 64 /* no row of this recording is longer */

struct seen {
	const char *path;
	uint64_t done_bytes, all_bytes, longest_bytes;
	unsigned steps, stops_at; /* stops_at 0: never */
};

static bool see(void *self, const char *path, uint64_t done_bytes, uint64_t all_bytes)
{
	struct seen *seen = self;

	cr_assert_str_eq(path, seen->path);
	cr_assert_geq(done_bytes, seen->done_bytes);
	if (done_bytes - seen->done_bytes > seen->longest_bytes)
		seen->longest_bytes = done_bytes - seen->done_bytes;
	seen->done_bytes = done_bytes;
	seen->all_bytes = all_bytes;
	seen->steps++;
	return seen->steps != seen->stops_at;
}

/* Its blocks of samples and of stacks are longer than a step. */
static char *long_recording(void)
{
	char *path = in_scratch("long.monprof");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);

	put_threads(recording);
	for (unsigned i = 0; i < SAMPLES; i++)
		recording_put_sample(recording, &(struct recording_sample){
							.thread = 1 + i % 5,
							.node = put_stack(recording, i + 1, 5),
							.time_ns = START_NS + i,
							.value = 1000 + i,
						});
	flush_good(recording, START_NS + SAMPLES);
	recording_free(recording);
	return path;
}

static uint64_t size_of(const char *path)
{
	struct stat status;

	cr_assert_eq(stat(path, &status), 0);
	return (uint64_t)status.st_size;
}

static struct profile *watched(struct seen *seen)
{
	struct profile *profile = profile_new();

	profile_watch(profile, (struct watch){ see, seen });
	return profile;
}

Test(watch, reading_is_told_in_small_steps_up_to_the_end, .fini = remove_scratch)
{
	struct seen seen = { .path = long_recording() };
	struct profile *profile = watched(&seen);
	uint64_t size_bytes = size_of(seen.path);

	cr_assert_gt(size_bytes, 20 * STEP_BYTES);
	cr_assert_null(profile_add_file(profile, seen.path));
	cr_assert_eq(seen.done_bytes, size_bytes);
	cr_assert_eq(seen.all_bytes, size_bytes);
	cr_assert_leq(seen.longest_bytes, STEP_BYTES + ROW_BYTES);
	profile_free(profile);
}

struct finishing {
	unsigned steps, stops_at;
};

static bool see_finishing(void *self, const char *path, uint64_t done_bytes, uint64_t all_bytes)
{
	struct finishing *seen = self;

	(void)done_bytes;
	(void)all_bytes;
	return path || ++seen->steps != seen->stops_at;
}

static struct finishing finish(const char *path, bool keeps_points, unsigned stops_at)
{
	struct finishing seen = { .stops_at = stops_at };
	struct profile *profile = profile_new();

	if (keeps_points)
		profile_keep_points(profile);
	profile_watch(profile, (struct watch){ see_finishing, &seen });
	cr_assert_null(profile_add_file(profile, path));
	cr_assert_eq(seen.steps, 0);
	cr_assert_eq(profile_finish(profile), stops_at ? WATCH_STOPPED : NULL);
	profile_free(profile);
	return seen;
}

Test(watch, finishing_is_told_too_and_stops_anywhere, .fini = remove_scratch)
{
	char *path = long_recording();

	for (unsigned points = 0; points < 2; points++) {
		unsigned all = finish(path, points, 0).steps;

		cr_assert_geq(all, points ? 8 : 2);
		for (unsigned i = 1; i <= all; i++)
			cr_assert_eq(finish(path, points, i).steps, i, "nobody is asked again");
	}
}

static bool is_any(void *self, uint64_t tid, const char *name)
{
	(void)self;
	(void)tid;
	(void)name;
	return true;
}

Test(watch, a_file_that_is_read_twice_is_twice_as_long, .fini = remove_scratch)
{
	struct profile_filter filter = { .to_ns = UINT64_MAX, .note = "all", .thread = is_any };
	struct seen seen = { .path = long_recording() };
	struct profile *profile = watched(&seen);

	cr_assert_null(profile_add_filtered(profile, seen.path, &filter));
	cr_assert_eq(seen.done_bytes, 2 * size_of(seen.path));
	cr_assert_eq(seen.all_bytes, seen.done_bytes);
	cr_assert_leq(seen.longest_bytes, STEP_BYTES + ROW_BYTES);
	profile_free(profile);
}

Test(watch, what_cannot_be_read_has_no_steps, .fini = remove_scratch)
{
	struct seen seen = { .path = in_scratch("other") };
	struct profile *profile = watched(&seen);

	spill(seen.path, "something else", 14);
	cr_assert_not_null(profile_add_file(profile, seen.path));
	cr_assert_eq(seen.steps, 0);
	profile_free(profile);
}

/* Puts more than a step at once, and then bit by bit. */
static void write_all(const struct profile *profile, uint32_t measurement,
		      const struct exporter_settings *settings, struct sink *sink)
{
	static const char zeros[PUT_BYTES * 2 + 5];

	(void)profile;
	(void)measurement;
	(void)settings;
	sink_put(sink, zeros, sizeof(zeros));
	for (unsigned i = 0; i < PUT_BYTES; i++)
		sink_puts(sink, "abc");
}

Test(watch, writing_is_told_in_small_steps, .fini = remove_scratch)
{
	for (unsigned gzip = 0; gzip < 2; gzip++) {
		struct exporter_hooks hooks = { .gzip = gzip, .write = write_all };
		struct exporter exporter = { "all", ".all", "all", &hooks };
		struct seen seen = { .path = in_scratch(gzip ? "packed" : "plain") };
		struct profile *profile = watched(&seen);
		char *alone = in_scratch(gzip ? "packed-alone" : "plain-alone");
		struct bytes with, without;

		cr_assert_null(output_write_file(profile, NULL, &exporter, 0, seen.path));
		cr_assert_eq(seen.steps, 5);
		cr_assert_eq(seen.longest_bytes, PUT_BYTES);
		cr_assert_eq(seen.all_bytes, 0);
		profile_watch(profile, (struct watch){ 0 });
		cr_assert_null(output_write_file(profile, NULL, &exporter, 0, alone));
		cr_assert_eq(seen.steps, 5);
		with = slurp(seen.path);
		without = slurp(alone);
		cr_assert_eq(with.size, without.size);
		cr_assert_arr_eq(with.bytes, without.bytes, with.size);
		profile_free(profile);
	}
}

Test(watch, reading_stops_where_it_is_told_to, .fini = remove_scratch)
{
	struct seen seen = { .path = long_recording(), .stops_at = 2 };
	struct profile *profile = watched(&seen);

	cr_assert_eq(profile_add_file(profile, seen.path), WATCH_STOPPED);
	cr_assert_eq(seen.steps, 2, "nobody is asked again");
	profile_free(profile);
}

Test(watch, writing_stops_and_leaves_no_file, .fini = remove_scratch)
{
	char *path = in_scratch("stopped");
	struct seen seen = { .path = path, .stops_at = 1 };
	struct sink *sink = sink_open(path, false);

	sink_watch(sink, (struct watch){ see, &seen });
	write_all(NULL, 0, NULL, sink);
	cr_assert_eq(sink_close(sink), WATCH_STOPPED);
	cr_assert_neq(access(path, F_OK), 0);
}
