/*
 * test_no_memory.c - each allocation of the cold half fails once: nothing falls over, and what comes
 * out is either right or said to be wrong.
 */
#include "exported.h"
#include "windows.h"

extern const struct exporter_hooks pprof_exporter, collapsed_exporter, flamegraph_exporter;

void *__real_heap_alloc(size_t size_bytes);
void *__real_heap_zalloc(size_t size_bytes);
char *__real_heap_strdup(const char *text);
bool __real_heap_grow(void **items, size_t *capacity, size_t needed, size_t item_bytes);
void *__wrap_heap_alloc(size_t size_bytes);
void *__wrap_heap_zalloc(size_t size_bytes);
char *__wrap_heap_strdup(const char *text);
bool __wrap_heap_grow(void **items, size_t *capacity, size_t needed, size_t item_bytes);

static struct {
	unsigned left; /* allocations until one fails; 0: none does */
	bool failed;
} memory;

static bool fails(void)
{
	if (memory.left == 0 || --memory.left > 0)
		return false;
	memory.failed = true;
	return true;
}

void *__wrap_heap_alloc(size_t size_bytes)
{
	return fails() ? NULL : __real_heap_alloc(size_bytes);
}

void *__wrap_heap_zalloc(size_t size_bytes)
{
	return fails() ? NULL : __real_heap_zalloc(size_bytes);
}

char *__wrap_heap_strdup(const char *text)
{
	return fails() ? NULL : __real_heap_strdup(text);
}

/* Only where it would have to allocate. */
bool __wrap_heap_grow(void **items, size_t *capacity, size_t needed, size_t item_bytes)
{
	if (needed > *capacity && fails())
		return false;
	return __real_heap_grow(items, capacity, needed, item_bytes);
}

/* The n-th allocation from now on fails; says of the one before whether it did. */
static bool fail_next(unsigned n)
{
	bool failed = memory.failed;

	memory.left = n;
	memory.failed = false;
	return failed;
}

/* Three samples in code of three libraries, as far as there is memory for them. */
static void put_libraries(struct recording *recording, unsigned first)
{
	for (unsigned i = 0; i < 3; i++) {
		char file[64];
		uint64_t start = (first * 3 + i + 1) * 4096;
		uint32_t mapping, frame, node;

		/* Longer than what is there, so that each needs more. */
		snprintf(file, sizeof(file), "/usr/lib/%0*u.so", 20 + (int)i, first * 3 + i);
		mapping = recording_put_mapping(
			recording, &(struct recording_mapping){ start, start + 4096, 0, file, "" });
		frame = mapping ? put_native(recording, "f", file, mapping, start + 5) : 0;
		node = frame ? recording_put_node(recording, 0, frame) : 0;
		recording_put_sample(recording,
				     &(struct recording_sample){ 1, 0, node, START_NS, 1, 0 });
	}
}

/* Whatever was lost, what is there is of its own library. */
static void check_libraries(const struct profile *profile)
{
	for (size_t i = 0; i < profile->frame_count; i++) {
		const struct profile_frame *frame = &profile->frames[i];
		const struct profile_mapping *mapping = &profile->mappings[frame->mapping - 1];

		if (!frame->mapping)
			continue;
		cr_assert_eq(mapping->file, profile->functions[frame->function - 1].file);
		cr_assert(frame->address >= mapping->start && frame->address < mapping->end);
	}
}

Test(no_memory, a_recording_says_what_it_lost, .fini = remove_scratch)
{
	char *path = in_scratch("r");
	unsigned n = 0;
	bool failed;

	do {
		struct recording_head head = make_head(path);
		struct recording *recording;
		uint64_t lost, all_lost = 0;

		fail_next(++n);
		recording = recording_new(&head);
		for (unsigned i = 0; recording && i < 2; i++) {
			put_threads(recording);
			recording_put_note(recording, "key", i ? "second" : "first");
			put_libraries(recording, i);
			fill(recording, i + 1, 37);
			recording_flush(recording, START_NS, &lost);
			all_lost += lost;
		}
		failed = fail_next(0);
		if (recording) {
			struct profile *profile = profile_new();
			uint64_t count = 0;

			recording_flush(recording, START_NS, &lost);
			all_lost += lost;
			if (recording_created(recording))
				cr_assert_null(profile_add_file(profile, path));
			cr_assert_null(profile_finish(profile));
			cr_assert_not(profile->cut);
			for (size_t i = 0; i < profile->sample_count; i++)
				count += profile->samples[i].count;
			cr_assert_eq(count + all_lost, 80, "allocation %u", n);
			check_libraries(profile);
			profile_free(profile);
		}
		recording_free(recording);
		unlink(path);
	} while (failed);
	cr_assert_gt(n, 30);
}

Test(no_memory, a_profile_is_whole_or_refused, .fini = remove_scratch)
{
	char *path = in_scratch("r");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);
	struct filled filled = fill(recording, 1, 300);
	uint64_t losses[LOSS_COUNT] = { 5, 6 };
	unsigned n = 0;
	bool failed;

	put_threads(recording);
	recording_put_losses(recording, losses);
	flush_good(recording, START_NS);
	do {
		struct profile *profile;
		errmsg error = "no memory";
		uint64_t value = 0;

		fail_next(++n);
		profile = profile_new();
		if (profile)
			error = profile_add_file(profile, path);
		if (profile && !error)
			error = profile_finish(profile);
		failed = fail_next(0);
		for (size_t i = 0; !error && i < profile->sample_count; i++)
			value += profile->samples[i].value;
		if (!error) {
			cr_assert_eq(value, filled.value, "allocation %u", n);
			cr_assert_not(profile->cut, "allocation %u", n);
		} else {
			cr_assert(failed, "refused without a reason: %s", error);
		}
		profile_free(profile);
	} while (failed);
	cr_assert_gt(n, 30);
	recording_free(recording);
}

Test(no_memory, errors_are_all_there_or_refused)
{
	struct bytes all =
		windows_recording(1, windows_samples, PROF_COUNT(windows_samples), windows_notes);
	unsigned n = 0;
	bool failed;

	do {
		struct profile *profile;
		errmsg error = "no memory";

		fail_next(++n);
		profile = profile_new();
		if (profile)
			error = profile_add_bytes(profile, all.bytes, all.size);
		if (profile && !error)
			error = profile_finish(profile);
		failed = fail_next(0);
		if (!error)
			cr_assert_eq(profile->error_count, 6, "allocation %u", n);
		else
			cr_assert(failed, "refused without a reason: %s", error);
		profile_free(profile);
	} while (failed);
	cr_assert_gt(n, 30);
}

static void check_exporter(const struct exporter_hooks *hooks, const struct profile *profile,
			   uint32_t measurement)
{
	struct exporter_settings settings = { .lines = true };
	struct bytes wanted = export_measurement(hooks, profile, measurement, true);
	unsigned n = 0;
	bool failed;

	do {
		struct sink *sink;
		const void *bytes;
		size_t size;

		fail_next(++n);
		sink = sink_memory(hooks->gzip);
		if (sink) {
			hooks->write(profile, measurement, &settings, sink);
			bytes = sink_bytes(sink, &size);
			failed = fail_next(0);
			if (!sink_failed(sink)) {
				cr_assert_eq(size, wanted.size, "allocation %u", n);
				cr_assert_eq(memcmp(bytes, wanted.bytes, size), 0);
			}
			sink_close(sink);
		} else {
			failed = fail_next(0);
			cr_assert(failed);
		}
	} while (failed);
	cr_assert_gt(n, 10);
}

static void check_hostile(const struct exporter_hooks *hooks)
{
	struct filled filled;
	struct profile *profile = hostile_profile(1, &filled);

	check_exporter(hooks, profile, measurement_of(profile));
	profile_free(profile);
}

Test(no_memory, pprof_of_calls_is_whole_or_refused)
{
	struct bytes all =
		windows_recording(1, windows_samples, PROF_COUNT(windows_samples), windows_notes);
	struct profile *profile = profile_new();

	cr_assert_null(profile_add_bytes(profile, all.bytes, all.size));
	cr_assert_null(profile_finish(profile));
	check_exporter(&pprof_exporter, profile, profile->metrics[WINDOWS_CALLS].collector);
	profile_free(profile);
}

Test(no_memory, pprof_is_whole_or_refused, .fini = remove_scratch)
{
	check_hostile(&pprof_exporter);
}

Test(no_memory, collapsed_is_whole_or_refused, .fini = remove_scratch)
{
	check_hostile(&collapsed_exporter);
}

Test(no_memory, flamegraph_is_whole_or_says_so, .fini = remove_scratch)
{
	check_hostile(&flamegraph_exporter);
}
