#include "counts.h"

#include "options.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

Test(recording, everything_comes_back, .fini = remove_scratch)
{
	char *path = in_scratch("r.monprof");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);
	uint64_t losses[LOSS_COUNT] = { [LOSS_disk] = 12 };
	struct counts counts;
	uint32_t node = put_stack(recording, 3, 4);

	put_threads(recording);
	recording_put_mapping(recording,
			      &(struct recording_mapping){ 4096, 8192, 0, "/bin/x", "ab" });
	recording_put_sample(recording,
			     &(struct recording_sample){ 2, 0, node, START_NS + 5, 77, 0 });
	recording_put_sample(recording, &(struct recording_sample){ 3, 0, 0, START_NS + 2, 1, 0 });
	recording_put_note(recording, "cpu.achieved_hz", "99");
	recording_put_losses(recording, losses);
	flush_good(recording, START_NS + 9);
	cr_assert_eq(recording_samples(recording), 2);
	cr_assert_str_eq(recording_path(recording), path);
	recording_free(recording);

	counts = count_whole(path);
	cr_assert_eq(counts.heads, 1);
	cr_assert_eq(counts.summary.session, SESSION);
	cr_assert_eq(counts.summary.pid, 4242);
	cr_assert_eq(counts.summary.parent_pid, 4241);
	cr_assert_eq(counts.summary.start_monotonic_ns, START_NS);
	cr_assert_str_eq(counts.python, "3.13.1");
	cr_assert_str_eq(counts.setting, "100/100");
	cr_assert_eq(counts.settings, OPTION_COUNT);
	cr_assert_eq(counts.threads, 5);
	cr_assert_eq(counts.tid, 4005);
	cr_assert_eq(counts.mappings, 1);
	cr_assert_eq(counts.samples, 2);
	cr_assert_eq(counts.value, 78);
	cr_assert_eq(counts.last_thread, 3);
	cr_assert_eq(counts.last_ns, START_NS + 2);
	cr_assert_str_eq(counts.note, "cpu.achieved_hz=99");
	cr_assert_eq(counts.lost_disk, 12);
	cr_assert_eq(counts.losses, LOSS_COUNT);
	cr_assert_eq(counts.flushed_ns, START_NS + 9);
	cr_assert_eq(counts.nodes, 4);
}

/* The payload of the samples in a file that has one block of them. */
static struct bytes find_samples(struct bytes all)
{
	size_t at = RECORDING_HEADER_BYTES;

	while (at < all.size) {
		struct wire_cursor length = wire_cursor(all.bytes + at + 4, 4);
		size_t size = wire_get_fixed32(&length);

		if (all.bytes[at + 8] == RECORDING_BLOCK_SAMPLES)
			return (struct bytes){ all.bytes + at + RECORDING_BLOCK_BYTES, size };
		at += RECORDING_BLOCK_BYTES + size;
	}
	return (struct bytes){ NULL, 0 };
}

Test(recording, a_duration_takes_room_only_where_there_is_one, .fini = remove_scratch)
{
	/* flags, thread, node, time, value; what is as before is left out */
	static const uint8_t plain[] = { 1, 1, 0, 10, 3, 0, 0, 2, 4, 0, 0, 0, 5 };
	static const uint8_t timed[] = { 1, 1, 0, 10, 3, 4, 0, 2, 4, 63, 0, 0, 0, 5 };

	for (unsigned duration = 0; duration <= 63; duration += 63) {
		char *path = in_scratch(duration ? "timed" : "plain");
		struct recording_head head = make_head(path);
		struct recording *recording = recording_new(&head);
		struct bytes got;

		recording_put_sample(recording, &(struct recording_sample){ 1, 0, 0, 5, 3, 0 });
		recording_put_sample(recording,
				     &(struct recording_sample){ 1, 0, 0, 6, 4, duration });
		recording_put_sample(recording, &(struct recording_sample){ 1, 0, 0, 6, 5, 0 });
		flush_good(recording, START_NS);
		recording_free(recording);
		got = find_samples(slurp(path));
		cr_assert_eq(got.size, duration ? sizeof(timed) : sizeof(plain));
		cr_assert_arr_eq(got.bytes, duration ? timed : plain, got.size);
		cr_assert_eq(count_whole(path).value, 12);
	}
}

Test(recording, a_duration_of_no_class_is_lost, .fini = remove_scratch)
{
	char *path = in_scratch("r");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);
	uint64_t lost = 0;

	recording_put_sample(recording, &(struct recording_sample){ 1, 0, 0, START_NS, 1, 64 });
	recording_put_sample(recording, &(struct recording_sample){ 1, 0, 0, START_NS, 1, 63 });
	cr_assert_null(recording_flush(recording, START_NS, &lost));
	cr_assert_eq(lost, 1);
	cr_assert_eq(count_whole(path).last_duration, 63);
	recording_free(recording);
}

Test(recording, nothing_is_created_before_there_is_a_sample, .fini = remove_scratch)
{
	char *path = in_scratch("r.monprof");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);

	put_threads(recording);
	put_stack(recording, 1, 5);
	recording_put_note(recording, "k", "v");
	flush_good(recording, START_NS + 1);
	cr_assert_not(recording_created(recording));
	cr_assert_neq(access(path, F_OK), 0);
	fill(recording, 1, 1);
	flush_good(recording, START_NS + 2);
	cr_assert(recording_created(recording));
	cr_assert_eq(count_whole(path).threads, 5);
	cr_assert_eq(count_whole(path).flushes, 1);
	recording_free(recording);
}

Test(recording, a_sample_costs_less_than_sixteen_bytes, .fini = remove_scratch)
{
	char *path = in_scratch("r.monprof");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);
	struct bytes before, after;
	uint32_t nodes[500];

	for (unsigned i = 0; i < 500; i++)
		nodes[i] = put_stack(recording, i, 25);
	recording_put_sample(recording,
			     &(struct recording_sample){ 1, 0, nodes[0], START_NS, 1, 0 });
	flush_good(recording, START_NS);
	before = slurp(path);
	for (unsigned i = 0; i < 10000; i++)
		recording_put_sample(recording,
				     &(struct recording_sample){
					     1 + i / 25 % 4, 0, nodes[i * 7 % 500],
					     START_NS + i % 25 * 10000000u + i / 100 * 250000000u,
					     10000000 + i, 0 });
	flush_good(recording, START_NS);
	after = slurp(path);
	cr_assert_lt((after.size - before.size) / 10000.0, 16.0);
	recording_free(recording);
}

Test(recording, rows_are_sent_once, .fini = remove_scratch)
{
	char *path = in_scratch("r.monprof");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);
	uint32_t function = put_function(recording, "m", "f", "x.py", 3);

	cr_assert_eq(put_function(recording, "m", "f", "x.py", 3), function);
	cr_assert_neq(put_function(recording, "m", "f", "x.py", 4), function);
	cr_assert_eq(recording_put_frame(recording, function, 5),
		     recording_put_frame(recording, function, 5));
	recording_put_note(recording, "k", "v");
	recording_put_sample(recording, &(struct recording_sample){ 1, 0, 0, START_NS, 1, 0 });
	flush_good(recording, START_NS);
	recording_put_note(recording, "k", "v");
	recording_put_sample(recording, &(struct recording_sample){ 1, 0, 0, START_NS, 1, 0 });
	flush_good(recording, START_NS);
	cr_assert_eq(count_whole(path).notes, 1);
	cr_assert_eq(count_whole(path).functions, 2);
	recording_free(recording);
}

Test(recording, ids_that_were_never_given_are_refused, .fini = remove_scratch)
{
	char *path = in_scratch("r.monprof");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);
	uint64_t lost;

	cr_assert_eq(recording_put_frame(recording, 0, 1), 0);
	cr_assert_eq(recording_put_frame(recording, 1, 1), 0);
	cr_assert_eq(recording_put_node(recording, 0, 1), 0);
	cr_assert_eq(recording_put_node(recording, 5, 0), 0);
	recording_put_sample(recording, &(struct recording_sample){ 1, 0, 9, START_NS, 1, 0 });
	recording_put_sample(recording, &(struct recording_sample){ 1, 999, 0, START_NS, 1, 0 });
	recording_put_sample(recording, &(struct recording_sample){ 0, 0, 0, START_NS, 1, 0 });
	cr_assert_null(recording_flush(recording, START_NS, &lost));
	cr_assert_eq(lost, 3);
	cr_assert_not(recording_created(recording));
	recording_free(recording);
}

Test(recording, stacks_have_a_greatest_depth, .fini = remove_scratch)
{
	char *path = in_scratch("r.monprof");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);
	uint32_t frame = recording_put_frame(recording, put_function(recording, "", "f", "", 1), 1);
	uint32_t node = 0, depth = 0, next;

	while ((next = recording_put_node(recording, node, frame)) != 0) {
		node = next;
		depth++;
	}
	cr_assert_eq(depth, RECORDING_DEPTH_MAX);
	recording_put_sample(recording, &(struct recording_sample){ 1, 0, node, START_NS, 1, 0 });
	flush_good(recording, START_NS);
	cr_assert_eq(count_whole(path).nodes, RECORDING_DEPTH_MAX);
	recording_free(recording);
}

Test(recording, full_tables_begin_a_new_epoch, .fini = remove_scratch)
{
	char *path = in_scratch("r.monprof");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);
	uint32_t first = recording_epoch(recording);
	uint64_t value = 0;
	unsigned i;
	struct counts counts;

	for (i = 0; recording_epoch(recording) < first + 2; i++) {
		uint32_t frame =
			recording_put_frame(recording, put_function(recording, "", "f", "", i), i);
		uint32_t node = recording_put_node(recording, 0, frame);

		cr_assert_neq(node, 0);
		recording_put_sample(recording,
				     &(struct recording_sample){ 1, 0, node, START_NS + i, i, 0 });
		value += i;
	}
	flush_good(recording, START_NS);
	counts = count_whole(path);
	cr_assert_eq(counts.samples, i);
	cr_assert_eq(counts.value, value);
	cr_assert_eq(counts.epochs, 2);
	recording_free(recording);
}

Test(recording, many_samples_are_written_before_the_flush, .fini = remove_scratch)
{
	char *path = in_scratch("r.monprof");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);

	for (unsigned i = 0; i < 100000; i++)
		recording_put_sample(recording,
				     &(struct recording_sample){ 1, 0, 0, START_NS + i * 1000000u,
								 1000000 + i, 0 });
	cr_assert(recording_created(recording));
	cr_assert_gt(count_whole(path).samples, 50000);
	flush_good(recording, START_NS);
	cr_assert_eq(count_whole(path).samples, 100000);
	recording_free(recording);
}

static void limit_file(uint64_t bytes)
{
	struct rlimit limit = { bytes, RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

Test(recording, a_full_disk_leaves_whole_blocks_and_is_counted, .fini = remove_scratch)
{
	char *path = in_scratch("r.monprof");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);
	struct bytes before;
	uint32_t epoch;
	uint64_t lost;
	errmsg error;

	put_threads(recording);
	fill(recording, 1, 50);
	flush_good(recording, START_NS + 1);
	before = slurp(path);

	recording_put_thread(recording, &(struct recording_thread){ 9, 4009, "late" });
	recording_put_note(recording, "k", "v");
	fill(recording, 2, 50);
	epoch = recording_epoch(recording);
	limit_file(before.size + 100);
	error = recording_flush(recording, START_NS + 2, &lost);
	cr_assert_str_eq(error, strerror(EFBIG));
	cr_assert_eq(lost, 50);
	cr_assert_neq(recording_epoch(recording), epoch);
	cr_assert_eq(slurp(path).size, before.size);
	cr_assert_eq(count_whole(path).samples, 50);

	/* Room again: what is not a sample has been kept. */
	limit_file(RLIM_INFINITY);
	fill(recording, 3, 20);
	flush_good(recording, START_NS + 3);
	cr_assert_eq(count_whole(path).samples, 70);
	cr_assert_eq(count_whole(path).threads, 6);
	cr_assert_str_eq(count_whole(path).thread_name, "late");
	cr_assert_str_eq(count_whole(path).note, "k=v");
	recording_free(recording);
}

Test(recording, a_disk_that_is_full_from_the_start_gets_no_file, .fini = remove_scratch)
{
	char *path = in_scratch("r.monprof");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);
	uint64_t lost;

	fill(recording, 1, 50);
	limit_file(10);
	cr_assert_not_null(recording_flush(recording, START_NS, &lost));
	cr_assert_eq(lost, 50);
	cr_assert_neq(access(path, F_OK), 0);
	cr_assert_not(recording_created(recording));
	limit_file(RLIM_INFINITY);
	fill(recording, 2, 10);
	flush_good(recording, START_NS);
	cr_assert_eq(count_whole(path).samples, 10);
	recording_free(recording);
}

Test(recording, a_name_that_is_taken_stays_as_it_is, .fini = remove_scratch)
{
	char *path = in_scratch("r.monprof");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);
	uint64_t lost;

	spill(path, "mine", 4);
	fill(recording, 1, 5);
	cr_assert_str_eq(recording_flush(recording, START_NS, &lost), strerror(EEXIST));
	cr_assert_eq(lost, 5);
	cr_assert_eq(slurp(path).size, 4);
	recording_free(recording);
}

Test(recording, a_directory_that_vanished_is_an_error_and_no_more, .fini = remove_scratch)
{
	char *directory = in_scratch("d"), *path = in_scratch("d/r.monprof");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);
	uint64_t lost;

	fill(recording, 1, 5);
	cr_assert_str_eq(recording_flush(recording, START_NS, &lost), strerror(ENOENT));
	cr_assert_eq(lost, 5);
	cr_assert_eq(mkdir(directory, 0777), 0);
	fill(recording, 2, 7);
	flush_good(recording, START_NS);
	cr_assert_eq(count_whole(path).samples, 7);
	recording_free(recording);
}

Test(recording, reopening_goes_on_where_it_was, .fini = remove_scratch)
{
	char *path = in_scratch("r.monprof");
	struct recording_head head = make_head(path);
	struct recording *recording;

	head.reopen = true;
	recording = recording_new(&head);
	for (unsigned i = 1; i <= 4; i++) {
		int fd;

		fill(recording, i, 10);
		flush_good(recording, START_NS);
		fd = open("/dev/null", O_RDONLY);
		cr_assert_leq(fd, 10, "a descriptor stayed open");
		close(fd);
		cr_assert_eq(count_whole(path).samples, 10 * i);
	}
	recording_free(recording);
}

Test(recording, a_detached_one_finds_its_file_again, .fini = remove_scratch)
{
	char *path = in_scratch("r.monprof");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);

	fill(recording, 1, 10);
	flush_good(recording, START_NS);
	recording_detach(recording);
	fill(recording, 2, 10);
	flush_good(recording, START_NS);
	cr_assert_eq(count_whole(path).samples, 20);
	recording_free(recording);
}

Test(recording, a_detached_one_never_writes_to_another_file, .fini = remove_scratch)
{
	char *path = in_scratch("r.monprof"), *moved = in_scratch("moved");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);
	struct bytes all;
	uint64_t lost;

	fill(recording, 1, 10);
	flush_good(recording, START_NS);
	all = slurp(path);
	cr_assert_eq(rename(path, moved), 0);

	recording_detach(recording);
	fill(recording, 2, 10);
	cr_assert_not_null(recording_flush(recording, START_NS, &lost), "it was made anew");
	cr_assert_eq(lost, 10);
	cr_assert_neq(access(path, F_OK), 0);

	spill(path, all.bytes, all.size); /* the same bytes, another inode */
	fill(recording, 3, 10);
	cr_assert_not_null(recording_flush(recording, START_NS, &lost));
	cr_assert_eq(slurp(path).size, all.size);

	/* The same inode, but somebody wrote over it. */
	cr_assert_eq(rename(moved, path), 0);
	memset(all.bytes, 'x', all.size);
	spill(path, all.bytes, all.size);
	fill(recording, 4, 10);
	cr_assert_not_null(recording_flush(recording, START_NS, &lost));
	recording_free(recording);
}

Test(recording, renewed_it_goes_on_in_another_file, .fini = remove_scratch)
{
	char *first = in_scratch("r.monprof"), *second = in_scratch("s.monprof");
	struct recording_head head = make_head(first);
	struct recording *recording = recording_new(&head);
	uint64_t losses[LOSS_COUNT] = { [LOSS_disk] = 12 };
	uint32_t epoch = recording_epoch(recording);
	struct counts counts;

	put_threads(recording);
	recording_put_sample(recording,
			     &(struct recording_sample){ 2, 0, put_stack(recording, 3, 4),
							 START_NS + 5, 77, 0 });
	recording_put_note(recording, "only", "in the first");
	recording_put_losses(recording, losses);
	flush_good(recording, START_NS + 9);
	head.path = second;
	head.start_monotonic_ns = START_NS + 10;
	cr_assert(recording_renew(recording, &head));
	cr_assert_neq(recording_epoch(recording), epoch, "ids of before hold no more");
	cr_assert_not(recording_created(recording));
	cr_assert_eq(recording_bytes(recording), 0);
	recording_put_sample(recording,
			     &(struct recording_sample){ 2, 0, put_stack(recording, 3, 4),
							 START_NS + 15, 5, 0 });
	flush_good(recording, START_NS + 19);
	cr_assert_eq(recording_samples(recording), 2, "of both");
	cr_assert_str_eq(recording_path(recording), second);
	recording_free(recording);
	counts = count_whole(first);
	cr_assert_eq(counts.value, 77);
	cr_assert_eq(counts.lost_disk, 12);
	counts = count_whole(second);
	cr_assert_eq(counts.heads, 1);
	cr_assert_eq(counts.summary.start_monotonic_ns, START_NS + 10);
	cr_assert_eq(counts.value, 5);
	cr_assert_eq(counts.last_ns, START_NS + 15);
	cr_assert_eq(counts.notes, 0);
	cr_assert_eq(counts.losses, 0, "none yet");
	cr_assert_eq(counts.epochs, 0, "a file begins with one");
	cr_assert_eq(counts.nodes, 4);
}

Test(recording, what_waits_when_it_is_renewed_is_lost_and_counted, .fini = remove_scratch)
{
	char *first = in_scratch("r.monprof"), *second = in_scratch("s.monprof");
	struct recording_head head = make_head(first);
	struct recording *recording = recording_new(&head);
	uint64_t lost = 0;

	put_threads(recording);
	recording_put_sample(recording, &(struct recording_sample){ 2, 0, 0, START_NS + 5, 77, 0 });
	head.path = second;
	cr_assert(recording_renew(recording, &head));
	recording_put_sample(recording, &(struct recording_sample){ 2, 0, 0, START_NS + 6, 5, 0 });
	cr_assert_null(recording_flush(recording, START_NS + 7, &lost));
	cr_assert_eq(lost, 1);
	recording_free(recording);
	cr_assert_neq(access(first, F_OK), 0);
	cr_assert_eq(count_whole(second).value, 5);
}
