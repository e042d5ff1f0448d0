#include "counts.h"

#include <errno.h>

/* Lengths of the file after each whole block, from its header on. */
static size_t block_ends(struct bytes all, size_t *ends)
{
	size_t at = RECORDING_HEADER_BYTES, n = 0;

	while (at < all.size) {
		struct wire_cursor length = wire_cursor(all.bytes + at + 4, 4);

		at += RECORDING_BLOCK_BYTES + wire_get_fixed32(&length);
		ends[n++] = at;
	}
	return n;
}

static struct bytes small_recording(void)
{
	char *path = in_scratch("small.monprof");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);
	uint64_t losses[LOSS_COUNT] = { 1, 2, 3 };

	put_threads(recording);
	recording_put_mapping(recording,
			      &(struct recording_mapping){ 4096, 8192, 0, "/bin/x", "ab" });
	for (unsigned i = 0; i < 3; i++) {
		cr_assert_neq(put_native(recording, "f", "/bin/x", 1, 5000 + i), 0);
		fill(recording, i + 1, 8);
		recording_put_note(recording, "k", i % 2 ? "v" : "w");
		losses[0]++;
		recording_put_losses(recording, losses);
		flush_good(recording, START_NS + i);
	}
	recording_free(recording);
	return slurp(path);
}

Test(recording_read, every_truncation_is_read_up_to_its_last_whole_block, .fini = remove_scratch)
{
	struct bytes all = small_recording();
	size_t ends[256], n = block_ends(all, ends), block = 0;

	cr_assert_gt(n, 20);
	cr_assert_eq(ends[n - 1], all.size);
	for (size_t size = 0; size <= all.size; size++) {
		/* An exact copy: a read beyond it is seen by the sanitizer. */
		uint8_t *cut = malloc(size + !size);
		struct counts counts;
		size_t good;
		errmsg error;

		memcpy(cut, all.bytes, size);
		error = count(cut, size, &counts, &good);
		while (block < n && ends[block] <= size)
			block++;
		if (block == 0) {
			cr_assert_not_null(error, "%zu bytes", size);
		} else {
			cr_assert_null(error, "%zu bytes", size);
			cr_assert_eq(good, ends[block - 1], "%zu bytes", size);
		}
		free(cut);
	}
}

Test(recording_read, every_flipped_byte_is_survived_and_noticed, .fini = remove_scratch)
{
	struct bytes all = small_recording();
	struct counts whole, counts;
	size_t good;

	cr_assert_null(count(all.bytes, all.size, &whole, &good));
	for (size_t i = 0; i < all.size; i++) {
		uint8_t kept = all.bytes[i];

		for (unsigned bit = 0; bit < 8; bit++) {
			errmsg error;

			all.bytes[i] = kept ^ (uint8_t)(1u << bit);
			error = count(all.bytes, all.size, &counts, &good);
			cr_assert_leq(counts.samples, whole.samples);
			if (i >= RECORDING_HEADER_BYTES)
				cr_assert(error || good <= i, "byte %zu bit %u went unnoticed", i,
					  bit);
		}
		all.bytes[i] = kept;
	}
}

Test(recording_read, a_later_minor_version_and_unknown_blocks_are_read)
{
	struct wire_buffer file = { 0 }, payload = { 0 };
	struct counts counts;
	size_t good;

	raw_begin(&file, RECORDING_VERSION_MAJOR << 16 | 7);
	raw_head(&file, 5);
	wire_put(&payload, "whatever this is", 16);
	raw_block(&file, 200, &payload);
	RAW(&payload, START_NS + 3);
	raw_block(&file, RECORDING_BLOCK_FLUSH, &payload);
	cr_assert_null(count(file.bytes, file.size, &counts, &good));
	cr_assert_eq(good, file.size);
	cr_assert_eq(counts.summary.version & 0xffff, 7);
	cr_assert_eq(counts.flushed_ns, START_NS + 3);
	wire_release(&file);
	wire_release(&payload);
}

Test(recording_read, a_later_major_version_is_refused_in_words)
{
	struct wire_buffer file = { 0 };
	struct counts counts;
	size_t good;

	raw_begin(&file, (RECORDING_VERSION_MAJOR + 1) << 16);
	raw_head(&file, 5);
	cr_assert_not_null(strstr(count(file.bytes, file.size, &counts, &good), "newer"));
	cr_assert_eq(counts.heads, 0);
	wire_release(&file);
}

/* A row that is wrong ends the reading before its block, whatever its checksum says. */
static void check_refused(uint8_t type, struct wire_buffer *payload, const char *what)
{
	struct wire_buffer file = { 0 }, tables = { 0 };
	struct counts counts;
	size_t good, before;

	raw_begin(&file, RECORDING_VERSION_MAJOR << 16);
	raw_head(&file, 5);
	for (unsigned i = 0; i < 4; i++)
		raw_text(&tables, "cpu");
	raw_block(&file, RECORDING_BLOCK_METRICS, &tables);
	raw_text(&tables, "name");
	raw_block(&file, RECORDING_BLOCK_STRINGS, &tables);
	RAW(&tables, 0, 1, 0, 7, 0);
	raw_block(&file, RECORDING_BLOCK_FUNCTIONS, &tables);
	RAW(&tables, 1, 8);
	raw_block(&file, RECORDING_BLOCK_FRAMES, &tables);
	RAW(&tables, 1, 2, 0, 0, 0, 0, 0);
	raw_block(&file, RECORDING_BLOCK_MAPPINGS, &tables);
	RAW(&tables, 1, 1, 1);
	raw_block(&file, RECORDING_BLOCK_PLACES, &tables);
	RAW(&tables, 0, 1);
	raw_block(&file, RECORDING_BLOCK_NODES, &tables);
	before = file.size;
	raw_block(&file, type, payload);
	cr_assert_null(count(file.bytes, file.size, &counts, &good));
	cr_assert_eq(good, before, "%s", what);
	wire_release(&file);
	wire_release(&tables);
}

Test(recording_read, ids_out_of_bounds_end_the_reading)
{
	struct wire_buffer payload = { 0 };

	RAW(&payload, 2, 1, 0, 7, 0);
	check_refused(RECORDING_BLOCK_FUNCTIONS, &payload, "string 2 of 1");
	RAW(&payload, 0, 1, 0, 7, 3);
	check_refused(RECORDING_BLOCK_FUNCTIONS, &payload, "kind 3");
	RAW(&payload, 2, 1);
	check_refused(RECORDING_BLOCK_FRAMES, &payload, "function 2 of 1");
	RAW(&payload, 0, 1);
	check_refused(RECORDING_BLOCK_FRAMES, &payload, "function 0");
	RAW(&payload, 0, 1, 1);
	check_refused(RECORDING_BLOCK_PLACES, &payload, "a place of frame 0");
	RAW(&payload, 2, 1, 1);
	check_refused(RECORDING_BLOCK_PLACES, &payload, "a place of frame 2 of 1");
	RAW(&payload, 1, 0, 1);
	check_refused(RECORDING_BLOCK_PLACES, &payload, "a place in mapping 0");
	RAW(&payload, 1, 2, 1);
	check_refused(RECORDING_BLOCK_PLACES, &payload, "a place in mapping 2 of 1");
	RAW(&payload, 1, 1);
	check_refused(RECORDING_BLOCK_PLACES, &payload, "a place without an address");
	RAW(&payload, 2, 1);
	check_refused(RECORDING_BLOCK_NODES, &payload, "parent before the first");
	RAW(&payload, 0, 2);
	check_refused(RECORDING_BLOCK_NODES, &payload, "frame 2 of 1");
	RAW(&payload, 1, 0);
	check_refused(RECORDING_BLOCK_NODES, &payload, "frame 0");
	RAW(&payload, 1, 1, 2, 0, 0);
	check_refused(RECORDING_BLOCK_SAMPLES, &payload, "node 2 of 1");
	RAW(&payload, 3, 1, 1, 1, 0, 0);
	check_refused(RECORDING_BLOCK_SAMPLES, &payload, "metric 1 of 1");
	RAW(&payload, 0, 1, 0, 0);
	check_refused(RECORDING_BLOCK_SAMPLES, &payload, "no thread");
	RAW(&payload, 9, 1, 1, 0, 0);
	check_refused(RECORDING_BLOCK_SAMPLES, &payload, "unknown flag");
	RAW(&payload, 5, 1, 1, 0, 0);
	check_refused(RECORDING_BLOCK_SAMPLES, &payload, "a duration that is not there");
	RAW(&payload, 5, 1, 1, 0, 0, RECORDING_DURATION_MAX + 1);
	check_refused(RECORDING_BLOCK_SAMPLES, &payload, "a duration that no class is for");
	RAW(&payload, 1, 1, 1, 0);
	check_refused(RECORDING_BLOCK_SAMPLES, &payload, "cut in the middle");
	RAW(&payload, 1u << 30);
	check_refused(RECORDING_BLOCK_STRINGS, &payload, "a length beyond the end");
	RAW(&payload, 1, 'x', 'y');
	check_refused(RECORDING_BLOCK_STRINGS, &payload, "no NUL");
	RAW(&payload, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0);
	check_refused(RECORDING_BLOCK_HEAD, &payload, "a second head");
	wire_release(&payload);
}

Test(recording_read, a_thread_that_nobody_announced_is_announced)
{
	struct wire_buffer file = { 0 }, payload = { 0 };
	struct counts counts;
	size_t good;

	raw_begin(&file, RECORDING_VERSION_MAJOR << 16);
	raw_head(&file, 5);
	for (unsigned i = 0; i < 4; i++)
		raw_text(&payload, "cpu");
	raw_block(&file, RECORDING_BLOCK_METRICS, &payload);
	RAW(&payload, 1, 6, 0, 0, 1, 0, 0, 0, 1);
	raw_block(&file, RECORDING_BLOCK_SAMPLES, &payload);
	cr_assert_null(count(file.bytes, file.size, &counts, &good));
	cr_assert_eq(counts.samples, 2);
	cr_assert_eq(counts.threads, 1);
	cr_assert_eq(counts.tid, 0);
	wire_release(&file);
	wire_release(&payload);
}

Test(recording_read, a_duration_is_that_of_one_sample)
{
	struct wire_buffer file = { 0 }, payload = { 0 };
	struct counts counts;
	size_t good;

	/* The format of the version before is this one without durations. */
	raw_begin(&file, 1 << 16);
	raw_head(&file, 5);
	for (unsigned i = 0; i < 4; i++)
		raw_text(&payload, "cpu");
	raw_block(&file, RECORDING_BLOCK_METRICS, &payload);
	RAW(&payload, 1 | 4, 6, 0, 0, 1, RECORDING_DURATION_MAX);
	raw_block(&file, RECORDING_BLOCK_SAMPLES, &payload);
	cr_assert_null(count(file.bytes, file.size, &counts, &good));
	cr_assert_eq(counts.last_duration, RECORDING_DURATION_MAX);
	RAW(&payload, 1 | 4, 6, 0, 0, 1, 7, 0, 0, 0, 1);
	raw_block(&file, RECORDING_BLOCK_SAMPLES, &payload);
	cr_assert_null(count(file.bytes, file.size, &counts, &good));
	cr_assert_eq(good, file.size);
	cr_assert_eq(counts.samples, 3);
	cr_assert_eq(counts.last_duration, 0, "a sample without one has none");
	wire_release(&file);
	wire_release(&payload);
}

Test(recording_read, a_file_is_read_as_its_bytes_are, .fini = remove_scratch)
{
	char *path = in_scratch("r.monprof");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);
	struct counts counts = { 0 };
	struct filled filled = fill(recording, 1, 60000); /* more than one window */
	struct bytes all;
	bool is_cut = true;

	flush_good(recording, START_NS);
	recording_free(recording);
	cr_assert_null(recording_read_file(path, &hooks, &counts, &is_cut));
	cr_assert_not(is_cut);
	cr_assert_eq(counts.samples, filled.count);
	cr_assert_eq(counts.value, filled.value);

	all = slurp(path);
	spill(path, all.bytes, all.size - 1);
	counts = (struct counts){ 0 };
	cr_assert_null(recording_read_file(path, &hooks, &counts, &is_cut));
	cr_assert(is_cut);
	cr_assert_eq(counts.samples, filled.count, "only the mark of the flush is cut off");
}

Test(recording_read, what_is_no_recording_is_refused, .fini = remove_scratch)
{
	struct counts counts = { 0 };
	bool is_cut;
	size_t good;

	cr_assert_not_null(recording_read_file("/dev/null", &hooks, &counts, &is_cut));
	cr_assert_not_null(recording_read_file(scratch(), &hooks, &counts, &is_cut));
	cr_assert_str_eq(recording_read_file("/nonexistent", &hooks, &counts, &is_cut),
			 strerror(ENOENT));
	cr_assert_not_null(count("", 0, &counts, &good));
	cr_assert_not_null(count("\211monprof\1\0\1\0", 12, &counts, &good));
	cr_assert_eq(counts.heads, 0);
}
