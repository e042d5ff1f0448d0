/*
 * test_recording_places.c - frames of native code: where they are, and the numbers of mappings.
 */
#include "counts.h"

#include <signal.h>
#include <sys/resource.h>

static uint32_t put_library(struct recording *recording, unsigned which)
{
	char file[32];

	snprintf(file, sizeof(file), "/usr/lib/%u.so", which);
	return recording_put_mapping(recording,
				     &(struct recording_mapping){ which * 4096, which * 4096 + 4096,
								  0, file, "ab" });
}

static void put_stack_of(struct recording *recording, uint32_t frame)
{
	recording_put_sample(recording, &(struct recording_sample){
						1, 0, recording_put_node(recording, 0, frame),
						START_NS, 1, 0 });
}

Test(recording_places, a_place_is_a_frame_of_its_own, .fini = remove_scratch)
{
	struct recording_head head = make_head(in_scratch("r"));
	struct recording *recording = recording_new(&head);
	uint32_t mapping = put_library(recording, 1), frame, function;
	struct recording_function row = { "", "f", "/usr/lib/1.so", 0, 1, 13, 0, RECORDING_NATIVE };
	struct counts counts;

	cr_assert_eq(mapping, 1);
	cr_assert_eq(put_library(recording, 2), 2);
	function = recording_put_function(recording, &row);
	frame = recording_put_place(recording, function, 1, 4100);
	cr_assert_neq(frame, 0);
	cr_assert_eq(recording_put_place(recording, function, 1, 4100), frame);
	cr_assert_neq(recording_put_place(recording, function, 1, 4101), frame);
	cr_assert_neq(recording_put_place(recording, function, 2, 4100), frame);
	cr_assert_neq(recording_put_frame(recording, function, 0), frame, "nowhere");
	put_stack_of(recording, recording_put_place(recording, function, 2, UINT64_MAX));
	flush_good(recording, START_NS);
	recording_free(recording);
	counts = count_whole(head.path);
	cr_assert_eq(counts.frames, 5);
	cr_assert_eq(counts.places, 4);
	cr_assert_eq(counts.last_frame, 5);
	cr_assert_eq(counts.last_mapping, 2);
	cr_assert_eq(counts.last_address, UINT64_MAX);
	cr_assert_eq(counts.summary.version, RECORDING_VERSION_MAJOR << 16 | 1);
}

Test(recording_places, what_was_never_put_has_none, .fini = remove_scratch)
{
	struct recording_head head = make_head(in_scratch("r"));
	struct recording *recording = recording_new(&head);
	uint32_t function = put_function(recording, "", "f", "/usr/lib/1.so", 0);

	cr_assert_eq(recording_put_place(recording, function, 0, 1), 0);
	cr_assert_eq(recording_put_place(recording, function, 1, 1), 0);
	cr_assert_eq(put_library(recording, 1), 1);
	cr_assert_neq(recording_put_place(recording, function, 1, 1), 0);
	cr_assert_eq(recording_put_place(recording, function, 2, 1), 0);
	cr_assert_eq(recording_put_place(recording, function + 1, 1, 1), 0);
	cr_assert_eq(recording_put_place(recording, 0, 1, 1), 0);
	recording_free(recording);
}

/* To its readers such a frame is one without a line. */
Test(recording_places, a_reader_of_before_sees_frames, .fini = remove_scratch)
{
	struct recording_head head = make_head(in_scratch("r"));
	struct recording *recording = recording_new(&head);
	struct recording_hooks before = hooks;
	struct counts counts = { 0 };
	bool is_cut;

	put_library(recording, 1);
	put_stack_of(recording, put_native(recording, "f", "/usr/lib/1.so", 1, 4100));
	flush_good(recording, START_NS);
	recording_free(recording);
	before.place = NULL;
	cr_assert_null(recording_read_file(head.path, &before, &counts, &is_cut));
	cr_assert_not(is_cut);
	cr_assert_eq(counts.frames, 1);
	cr_assert_eq(counts.nodes, 1);
	cr_assert_eq(counts.samples, 1);
}

Test(recording_places, numbers_of_mappings_outlive_epochs, .fini = remove_scratch)
{
	struct recording_head head = make_head(in_scratch("r"));
	struct recording *recording = recording_new(&head);
	uint32_t first = recording_epoch(recording), mapping = put_library(recording, 1);
	struct counts counts;

	for (unsigned i = 0; recording_epoch(recording) < first + 2; i++) {
		uint32_t frame = put_native(recording, "f", "/usr/lib/1.so", mapping, 4096 + i);

		cr_assert_neq(frame, 0);
		put_stack_of(recording, frame);
	}
	cr_assert_eq(put_library(recording, 2), 2);
	put_stack_of(recording, put_native(recording, "f", "/usr/lib/2.so", 2, 8192));
	flush_good(recording, START_NS);
	recording_free(recording);
	counts = count_whole(head.path);
	cr_assert_eq(counts.epochs, 2);
	cr_assert_eq(counts.mappings, 2);
	cr_assert_eq(counts.last_mapping, 2);
	cr_assert_eq(counts.last_frame, counts.frames);
}

static void limit_file(uint64_t bytes)
{
	struct rlimit limit = { bytes, RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Their samples are gone, they are not: others of later count on their numbers. */
Test(recording_places, numbers_of_mappings_outlive_a_full_disk, .fini = remove_scratch)
{
	struct recording_head head = make_head(in_scratch("r"));
	struct recording *recording = recording_new(&head);
	struct profile *profile = profile_new();
	uint64_t lost;

	put_library(recording, 1);
	put_stack_of(recording, put_native(recording, "f", "/usr/lib/1.so", 1, 4100));
	flush_good(recording, START_NS);
	for (unsigned i = 2; i <= 4; i++) {
		cr_assert_eq(put_library(recording, i), i);
		put_stack_of(recording, put_native(recording, "f", "/x.so", i, i * 4096));
		limit_file(slurp(head.path).size + 9);
		cr_assert_not_null(recording_flush(recording, START_NS, &lost));
		cr_assert_eq(lost, 1);
	}
	limit_file(RLIM_INFINITY);
	put_stack_of(recording, put_native(recording, "f", "/usr/lib/3.so", 3, 3 * 4096 + 7));
	flush_good(recording, START_NS);
	put_stack_of(recording, put_native(recording, "f", "/usr/lib/4.so", 4, 4 * 4096 + 7));
	flush_good(recording, START_NS);
	recording_free(recording);
	cr_assert_eq(count_whole(head.path).mappings, 4, "each once");
	cr_assert_null(profile_add_file(profile, head.path));
	cr_assert_null(profile_finish(profile));
	for (size_t i = 0; i < profile->node_count; i++) {
		const struct profile_frame *frame = &profile->frames[profile->nodes[i].frame - 1];

		cr_assert_eq(profile->mappings[frame->mapping - 1].file,
			     profile->functions[frame->function - 1].file);
	}
	cr_assert_eq(profile->node_count, 3);
	profile_free(profile);
}

Test(recording_places, in_another_file_they_begin_anew, .fini = remove_scratch)
{
	struct recording_head head = make_head(in_scratch("r"));
	struct recording *recording = recording_new(&head);
	uint32_t function;

	put_library(recording, 1);
	put_stack_of(recording, put_native(recording, "f", "/usr/lib/1.so", 1, 4100));
	flush_good(recording, START_NS);
	put_library(recording, 2);
	head.path = in_scratch("s");
	cr_assert(recording_renew(recording, &head));
	function = put_function(recording, "", "f", "/usr/lib/3.so", 0);
	cr_assert_eq(recording_put_place(recording, function, 1, 1), 0);
	cr_assert_eq(put_library(recording, 3), 1);
	put_stack_of(recording, put_native(recording, "f", "/usr/lib/3.so", 1, 3 * 4096));
	flush_good(recording, START_NS);
	recording_free(recording);
	cr_assert_eq(count_whole(head.path).mappings, 1);
	cr_assert_eq(count_whole(head.path).places, 1);
}
