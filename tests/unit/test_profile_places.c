/*
 * test_profile_places.c - native frames in the fold: each keeps its place, and its recording's mappings.
 */
#include "recordings.h"

#include "profile_filter.h"

static const char libfoo[] = "/usr/lib/libfoo.so";

static uint32_t put_mapping(struct recording *recording, uint64_t start, const char *file)
{
	return recording_put_mapping(recording, &(struct recording_mapping){ start, start + 4096, 0,
									     file, "abcd" });
}

/* main -> f at two places in the library, which lies at `start`, 5 and 7. */
static const char *make(const char *name, uint64_t session, uint64_t start)
{
	struct recording_head head = make_head(in_scratch(name));
	struct recording *recording;
	uint32_t mapping, root;

	head.session = session;
	recording = recording_new(&head);
	put_mapping(recording, 1 << 20, "/usr/bin/python3");
	mapping = put_mapping(recording, start, libfoo);
	root = recording_put_node(
		recording, 0,
		recording_put_frame(recording, put_function(recording, "", "main", "/m.py", 1), 3));
	for (unsigned i = 0; i < 3; i++) {
		uint32_t frame = put_native(recording, "f", libfoo, mapping, start + 5 + i % 2);
		struct recording_sample sample = {
			1, 0, recording_put_node(recording, root, frame), START_NS, 5 + i % 2 * 2, 0
		};

		recording_put_sample(recording, &sample);
	}
	flush_good(recording, START_NS);
	recording_free(recording);
	return head.path;
}

static const struct profile_frame *innermost(const struct profile *profile, size_t sample)
{
	return &profile->frames[profile->nodes[profile->samples[sample].node - 1].frame - 1];
}

/* Of the samples of one recording, from the first on. */
static void check(const struct profile *profile, size_t first, uint32_t process, uint64_t start)
{
	for (size_t i = 0; i < 2; i++) {
		const struct profile_frame *frame = innermost(profile, first + i);
		const struct profile_function *function = &profile->functions[frame->function - 1];
		const struct profile_mapping *mapping = &profile->mappings[frame->mapping - 1];

		cr_assert_eq(profile->samples[first + i].value, i ? 7 : 10);
		cr_assert_neq(frame->mapping, 0);
		cr_assert_eq(frame->address, start + 5 + i);
		cr_assert_eq(frame->line, 0);
		cr_assert_str_eq(profile_string(profile, function->full), "f");
		cr_assert_eq(profile_origin(profile, function), PROFILE_NATIVE);
		cr_assert_eq(mapping->process, process);
		cr_assert_eq(mapping->start, start);
		cr_assert_str_eq(profile_string(profile, mapping->file), libfoo);
		cr_assert_str_eq(profile_string(profile, mapping->build_id), "abcd");
	}
	cr_assert_eq(profile->frames[0].mapping, 0, "main is nowhere");
}

Test(profile_places, frames_at_two_places_are_two, .fini = remove_scratch)
{
	struct profile *profile = profile_new();

	cr_assert_null(profile_add_file(profile, make("r", 1, 4096)));
	cr_assert_null(profile_finish(profile));
	cr_assert_eq(profile->sample_count, 2);
	cr_assert_eq(profile->mapping_count, 2);
	cr_assert_eq(profile->function_count, 2, "they are of one function");
	check(profile, 0, 0, 4096);
	profile_free(profile);
}

Test(profile_places, each_recording_has_its_own_mappings, .fini = remove_scratch)
{
	struct profile *profile = profile_new();

	cr_assert_null(profile_add_file(profile, make("r", 1, 4096)));
	cr_assert_null(profile_add_file(profile, make("s", 2, 40960)));
	cr_assert_null(profile_finish(profile));
	cr_assert_eq(profile->mapping_count, 4);
	cr_assert_eq(profile->function_count, 2);
	check(profile, 0, 0, 4096);
	check(profile, 2, 1, 40960);
	profile_free(profile);
}

/* At the same addresses, too: another process is another place. */
Test(profile_places, equal_addresses_of_two_processes_are_two_places, .fini = remove_scratch)
{
	struct profile *profile = profile_new();

	cr_assert_null(profile_add_file(profile, make("r", 1, 4096)));
	cr_assert_null(profile_add_file(profile, make("s", 2, 4096)));
	cr_assert_null(profile_finish(profile));
	check(profile, 0, 0, 4096);
	check(profile, 2, 1, 4096);
	profile_free(profile);
}

static bool is_second(void *self, uint64_t pid)
{
	unsigned *seen = self;

	(void)pid;
	return (*seen)++ > 0;
}

Test(profile_places, a_filter_passes_them_on, .fini = remove_scratch)
{
	unsigned seen = 0;
	struct profile_filter filter = {
		.to_ns = UINT64_MAX, .process = is_second, .self = &seen, .note = "the second"
	};
	struct profile *profile = profile_new();

	cr_assert_null(profile_add_filtered(profile, make("r", 1, 4096), &filter));
	cr_assert_null(profile_add_filtered(profile, make("s", 2, 40960), &filter));
	cr_assert_null(profile_finish(profile));
	cr_assert_eq(profile->mapping_count, 2);
	check(profile, 0, 0, 40960);
	profile_free(profile);
}

/* A place may come for any frame, and again: the last one holds, and nodes of before keep theirs. */
Test(profile_places, any_frame_may_get_one, .fini = remove_scratch)
{
	struct wire_buffer file = { 0 }, payload = { 0 };
	struct profile *profile = profile_new();

	raw_begin(&file, RECORDING_VERSION_MAJOR << 16 | 1);
	raw_head(&file, 5);
	for (unsigned i = 0; i < 4; i++)
		raw_text(&payload, "cpu");
	raw_block(&file, RECORDING_BLOCK_METRICS, &payload);
	RAW(&payload, 0, 0, 0, 0, RECORDING_PYTHON);
	raw_block(&file, RECORDING_BLOCK_FUNCTIONS, &payload);
	RAW(&payload, 1, 8);
	raw_block(&file, RECORDING_BLOCK_FRAMES, &payload);
	RAW(&payload, 0, 1);
	raw_block(&file, RECORDING_BLOCK_NODES, &payload);
	RAW(&payload, 9, 2, 0, 0, 0, 0, 0);
	raw_block(&file, RECORDING_BLOCK_MAPPINGS, &payload);
	RAW(&payload, 1, 1, 77, 1, 1, 78);
	raw_block(&file, RECORDING_BLOCK_PLACES, &payload);
	RAW(&payload, 0, 1, 1, 1);
	raw_block(&file, RECORDING_BLOCK_NODES, &payload);
	RAW(&payload, 1, 1, 2, 0, 1, 0, 3, 0, 1);
	raw_block(&file, RECORDING_BLOCK_SAMPLES, &payload);
	cr_assert_null(profile_add_bytes(profile, file.bytes, file.size));
	cr_assert_null(profile_finish(profile));
	cr_assert_not(profile->cut);
	cr_assert_eq(profile->sample_count, 2);
	for (size_t i = 0; i < 2; i++) {
		cr_assert_eq(innermost(profile, i)->line, 8);
		cr_assert_eq(innermost(profile, i)->mapping, 1);
		cr_assert_eq(innermost(profile, i)->address, 78);
	}
	profile_free(profile);
	wire_release(&file);
	wire_release(&payload);
}
