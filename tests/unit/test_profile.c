#include "recordings.h"

static struct profile *fold(const char *const *paths, size_t count)
{
	struct profile *profile = profile_new();

	for (size_t i = 0; i < count; i++)
		cr_assert_null(profile_add_file(profile, paths[i]));
	cr_assert_null(profile_finish(profile));
	return profile;
}

static struct filled make(const char *path, uint64_t session, uint64_t seed, unsigned samples)
{
	struct recording_head head = make_head(path);
	struct recording *recording;
	struct filled filled;

	head.session = session;
	head.pid = (pid_t)session;
	recording = recording_new(&head);
	put_threads(recording);
	filled = fill(recording, seed, samples);
	flush_good(recording, START_NS + 1000000000u);
	recording_free(recording);
	return filled;
}

static struct filled sum(const struct profile *profile)
{
	struct filled filled = { 0 };

	for (size_t i = 0; i < profile->sample_count; i++) {
		filled.count += profile->samples[i].count;
		filled.value += profile->samples[i].value;
	}
	return filled;
}

/* What the header promises of every profile. */
static void check_invariants(const struct profile *profile)
{
	for (size_t i = 0; i < profile->node_count; i++) {
		cr_assert_leq(profile->nodes[i].parent, i);
		cr_assert_leq(profile->nodes[i].frame, profile->frame_count);
		cr_assert_gt(profile->nodes[i].frame, 0);
	}
	for (size_t i = 0; i < profile->frame_count; i++) {
		cr_assert_leq(profile->frames[i].function, profile->function_count);
		cr_assert_gt(profile->frames[i].function, 0);
	}
	for (size_t i = 0; i < profile->sample_count; i++) {
		const struct profile_sample *a = &profile->samples[i], *b = a + 1;

		cr_assert_leq(a->node, profile->node_count);
		cr_assert_lt(a->thread, profile->thread_count);
		cr_assert_lt(a->metric, profile->metric_count);
		if (i + 1 < profile->sample_count)
			cr_assert(a->metric < b->metric ||
				  (a->metric == b->metric &&
				   (a->thread < b->thread ||
				    (a->thread == b->thread && a->node < b->node))));
	}
}

Test(profile, sums_are_those_of_the_samples, .fini = remove_scratch)
{
	for (unsigned seed = 1; seed <= 20; seed++) {
		char name[32];
		const char *path;
		struct filled in, out;
		struct profile *profile;

		snprintf(name, sizeof(name), "%u.monprof", seed);
		path = in_scratch(name);
		in = make(path, seed, seed, seed * 100);
		profile = fold(&path, 1);
		check_invariants(profile);
		out = sum(profile);
		cr_assert_eq(in.count, out.count);
		cr_assert_eq(in.value, out.value);
		cr_assert_leq(profile->sample_count, 5 * 20 * 12);
		profile_free(profile);
	}
}

Test(profile, several_recordings_share_what_is_equal, .fini = remove_scratch)
{
	const char *paths[] = { in_scratch("a"), in_scratch("b") };
	struct filled a = make(paths[0], 1, 7, 300), b = make(paths[1], 2, 7, 300), both;
	struct profile *one = fold(paths, 1), *two = fold(paths, 2);

	check_invariants(two);
	both = sum(two);
	cr_assert_eq(both.count, a.count + b.count);
	cr_assert_eq(both.value, a.value + b.value);
	cr_assert_eq(two->process_count, 2);
	cr_assert_eq(two->thread_count, 2 * one->thread_count);
	cr_assert_eq(two->function_count, one->function_count);
	cr_assert_eq(two->node_count, one->node_count);
	cr_assert_eq(two->metric_count, one->metric_count);
	profile_free(one);
	profile_free(two);
}

Test(profile, epochs_fold_into_one, .fini = remove_scratch)
{
	const char *path = in_scratch("r");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);
	struct profile *profile;
	uint32_t epoch = recording_epoch(recording);
	uint64_t same = 0;

	for (unsigned i = 0; recording_epoch(recording) < epoch + 3; i++) {
		uint32_t function = put_function(recording, "m", "same", "same.py", 1);
		uint32_t node = recording_put_node(recording, 0,
						   recording_put_frame(recording, function, 2));

		recording_put_sample(recording,
				     &(struct recording_sample){ 1, 0, node, START_NS, 3 });
		same += 3;
		function = put_function(recording, "m", "other", "other.py", i);
		node = recording_put_node(recording, 0,
					  recording_put_frame(recording, function, i));
		recording_put_sample(recording,
				     &(struct recording_sample){ 1, 0, node, START_NS, 1 });
	}
	flush_good(recording, START_NS);
	profile = fold(&path, 1);
	check_invariants(profile);
	cr_assert_eq(profile->samples[0].value, same);
	cr_assert_str_eq(profile_string(profile, profile->functions[0].full), "m.same");
	profile_free(profile);
	recording_free(recording);
}

Test(profile, the_same_recording_twice_is_refused, .fini = remove_scratch)
{
	const char *path = in_scratch("r");
	struct profile *profile = profile_new();

	make(path, 1, 1, 10);
	cr_assert_null(profile_add_file(profile, path));
	cr_assert_not_null(profile_add_file(profile, path));
	cr_assert_not_null(profile_finish(profile));
	profile_free(profile);
}

Test(profile, names_are_qualified_and_fit_for_viewers, .fini = remove_scratch)
{
	static const struct {
		const char *module, *name, *full;
	} rows[] = {
		{ "json.encoder", "JSONEncoder.encode", "json.encoder.JSONEncoder.encode" },
		{ "", "alone", "alone" },
		{ "app", "<module>", "app.<module>" },
		{ "app", "a;b 12", "app.a;b 12" },
		{ "app", "\"\\\n", "app.\"\\\n" },
		{ "app", "lone \xed\xa0\x80.", "app.lone \xef\xbf\xbd." },
		{ "app", "", "app.[unnamed]" },
		{ "", "", "[unnamed]" },
		{ "\xff", "f", "\xef\xbf\xbd.f" },
	};
	const char *path = in_scratch("r");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);
	struct recording_function marker = { .name = "[thread exit]",
					     .name_bytes = 13,
					     .kind = RECORDING_MARKER };
	struct recording_function zero = {
		.module = "", .name = "a\0b", .name_bytes = 3, .file = ""
	};
	struct profile *profile;

	for (size_t i = 0; i < PROF_COUNT(rows); i++)
		put_function(recording, rows[i].module, rows[i].name, "f.py", 1);
	recording_put_function(recording, &marker);
	recording_put_function(recording, &zero);
	fill(recording, 1, 1);
	flush_good(recording, START_NS);
	profile = fold(&path, 1);
	for (size_t i = 0; i < PROF_COUNT(rows); i++)
		cr_assert_str_eq(profile_string(profile, profile->functions[i].full), rows[i].full);
	cr_assert_str_eq(profile_string(profile, profile->functions[PROF_COUNT(rows)].full),
			 "[thread exit]");
	cr_assert_str_eq(profile_string(profile, profile->functions[PROF_COUNT(rows) + 1].full),
			 "a\xef\xbf\xbd"
			 "b");
	cr_assert_str_eq(profile_string(profile, 0), "");
	profile_free(profile);
	recording_free(recording);
}

Test(profile, a_name_of_a_hundred_kilobytes_is_kept, .fini = remove_scratch)
{
	const char *path = in_scratch("r");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);
	char *name = heap_zalloc(100001);
	struct profile *profile;

	memset(name, 'n', 100000);
	put_function(recording, "", name, "f.py", 1);
	fill(recording, 1, 1);
	flush_good(recording, START_NS);
	profile = fold(&path, 1);
	cr_assert_str_eq(profile_string(profile, profile->functions[0].full), name);
	profile_free(profile);
	recording_free(recording);
	heap_free(name);
}

Test(profile, the_last_note_and_the_last_loss_hold, .fini = remove_scratch)
{
	const char *paths[] = { in_scratch("a"), in_scratch("b") };
	struct profile *profile;

	for (unsigned i = 0; i < 2; i++) {
		struct recording_head head = make_head(paths[i]);
		uint64_t losses[LOSS_COUNT] = { [LOSS_ring_full] = 5 + i };
		struct recording *recording;

		head.session = i;
		recording = recording_new(&head);
		fill(recording, 1, 1);
		recording_put_note(recording, "key", "early");
		recording_put_losses(recording, losses);
		flush_good(recording, START_NS);
		losses[LOSS_ring_full] *= 10;
		recording_put_note(recording, "key", i ? "second" : "first");
		recording_put_losses(recording, losses);
		flush_good(recording, START_NS);
		recording_free(recording);
	}
	profile = fold(paths, 2);
	cr_assert_str_eq(profile_note_value(profile, 0, "key"), "first");
	cr_assert_str_eq(profile_note_value(profile, 1, "key"), "second");
	cr_assert_str_eq(profile_note_value(profile, 2, "key"), "");
	cr_assert_eq(profile->note_count, 2);
	cr_assert_eq(profile->loss_count, 1, "losses of 0 are none");
	cr_assert_eq(profile->losses[0].count, 110);
	cr_assert_str_eq(profile_string(profile, profile->losses[0].reason), "ring_full");
	profile_free(profile);
}

Test(profile, a_thread_may_get_its_name_later, .fini = remove_scratch)
{
	const char *path = in_scratch("r");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);
	struct profile *profile;

	recording_put_thread(recording, &(struct recording_thread){ 1, 4001, "python3" });
	recording_put_thread(recording, &(struct recording_thread){ 1, 4001, "worker" });
	recording_put_thread(recording, &(struct recording_thread){ 1, 4001, "" });
	recording_put_sample(recording, &(struct recording_sample){ 1, 0, 0, START_NS, 1 });
	recording_put_sample(recording, &(struct recording_sample){ 7, 0, 0, START_NS, 1 });
	flush_good(recording, START_NS);
	profile = fold(&path, 1);
	cr_assert_eq(profile->thread_count, 2);
	cr_assert_str_eq(profile_string(profile, profile->threads[0].name), "worker");
	cr_assert_eq(profile->threads[0].tid, 4001);
	cr_assert_eq(profile->threads[1].tid, 0);
	profile_free(profile);
	recording_free(recording);
}

Test(profile, settings_that_differ_become_notes)
{
	struct wire_buffer file = { 0 }, payload = { 0 };
	struct profile *profile = profile_new();

	raw_begin(&file, RECORDING_VERSION_MAJOR << 16);
	raw_head(&file, 5);
	raw_text(&payload, "CPU_HZ");
	raw_text(&payload, "250");
	raw_text(&payload, "100");
	raw_text(&payload, "DEPTH");
	raw_text(&payload, "512");
	raw_text(&payload, "512");
	raw_block(&file, RECORDING_BLOCK_SETTINGS, &payload);
	cr_assert_null(profile_add_bytes(profile, file.bytes, file.size));
	cr_assert_null(profile_finish(profile));
	cr_assert_str_eq(profile_note_value(profile, 0, "MONPROF_CPU_HZ"), "250");
	cr_assert_eq(profile->note_count, 1);
	cr_assert_eq(profile->sample_count, 0);
	profile_free(profile);
	wire_release(&file);
	wire_release(&payload);
}

Test(profile, sums_never_leave_the_range_of_signed_numbers)
{
	struct wire_buffer file = { 0 }, payload = { 0 };
	struct profile *profile = profile_new();

	raw_begin(&file, RECORDING_VERSION_MAJOR << 16);
	raw_head(&file, 5);
	for (unsigned i = 0; i < 4; i++)
		raw_text(&payload, "cpu");
	raw_block(&file, RECORDING_BLOCK_METRICS, &payload);
	RAW(&payload, 1, 1, 0, 0, UINT64_MAX, 0, 0, 0, UINT64_MAX);
	raw_block(&file, RECORDING_BLOCK_SAMPLES, &payload);
	cr_assert_null(profile_add_bytes(profile, file.bytes, file.size));
	cr_assert_null(profile_finish(profile));
	cr_assert_eq(profile->samples[0].count, 2);
	cr_assert_eq(profile->samples[0].value, INT64_MAX);
	profile_free(profile);
	wire_release(&file);
	wire_release(&payload);
}

Test(profile, a_torn_tail_is_remarked, .fini = remove_scratch)
{
	const char *path = in_scratch("r");
	struct profile *profile = profile_new();
	struct bytes all;

	make(path, 1, 1, 100);
	all = slurp(path);
	cr_assert_null(profile_add_bytes(profile, all.bytes, all.size - 3));
	cr_assert_null(profile_finish(profile));
	cr_assert(profile->cut);
	cr_assert_eq(sum(profile).count, 100);
	profile_free(profile);
}
