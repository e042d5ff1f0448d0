#include "estimate.h"
#include "windows.h"

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
				    (a->thread == b->thread &&
				     (a->node < b->node ||
				      (a->node == b->node && a->duration < b->duration))))));
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
				     &(struct recording_sample){ 1, 0, node, START_NS, 3, 0 });
		same += 3;
		function = put_function(recording, "m", "other", "other.py", i);
		node = recording_put_node(recording, 0,
					  recording_put_frame(recording, function, i));
		recording_put_sample(recording,
				     &(struct recording_sample){ 1, 0, node, START_NS, 1, 0 });
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
	recording_put_sample(recording, &(struct recording_sample){ 1, 0, 0, START_NS, 1, 0 });
	recording_put_sample(recording, &(struct recording_sample){ 7, 0, 0, START_NS, 1, 0 });
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

static struct profile *fold_windows(const struct windows_note *notes)
{
	struct bytes all =
		windows_recording(1, windows_samples, PROF_COUNT(windows_samples), notes);
	struct profile *profile = profile_new();

	cr_assert_null(profile_add_bytes(profile, all.bytes, all.size));
	cr_assert_null(profile_finish(profile));
	cr_assert_not(profile->cut);
	check_invariants(profile);
	return profile;
}

/* The value of the one sample that is all this; thread: index. */
static uint64_t value_of(const struct profile *profile, uint32_t thread, uint32_t metric,
			 uint32_t node, uint32_t duration)
{
	uint64_t value = 0;
	unsigned found = 0;

	for (size_t i = 0; i < profile->sample_count; i++) {
		const struct profile_sample *sample = &profile->samples[i];

		if (sample->thread != thread || sample->metric != metric || sample->node != node ||
		    sample->duration != duration)
			continue;
		value = sample->value;
		found++;
	}
	cr_assert_eq(found, 1, "thread %u metric %u node %u duration %u: %u", thread, metric, node,
		     duration, found);
	return value;
}

/* As four windows' would be with many. */
static double error_of(const struct profile *profile, uint32_t process, uint32_t metric,
		       uint32_t function)
{
	double error = 0;
	unsigned found = 0;

	for (size_t i = 0; i < profile->error_count; i++) {
		const struct profile_error *row = &profile->errors[i];

		if (row->metric != metric || row->function != function || row->process != process)
			continue;
		error = row->error;
		found++;
	}
	cr_assert_leq(found, 1);
	return error / estimate_widening(4);
}

Test(profile, durations_are_kept_apart)
{
	static const struct windows_note none[] = { { NULL, NULL } };
	struct profile *profile = fold_windows(none);

	cr_assert_eq(value_of(profile, 0, WINDOWS_CALLS, MAIN_F, 11), 3 + 4);
	cr_assert_eq(value_of(profile, 0, WINDOWS_CALLS, MAIN_F, 0), 1);
	cr_assert_eq(value_of(profile, 1, WINDOWS_CALLS, MAIN_F, 11), 2);
	cr_assert_eq(value_of(profile, 0, WINDOWS_CALLS, MAIN_G_F, 12), 2);
	cr_assert_eq(value_of(profile, 0, WINDOWS_TIME, MAIN_G, 0), 90000);
	cr_assert_eq(profile->error_count, 0, "without windows there is no error");
	profile_free(profile);
}

Test(profile, a_scale_multiplies_its_metric_alone)
{
	static const struct windows_note time_alone[] = { { "scale.calls.time", "3" },
							  { "scale.calls", "5" },
							  { "windows.calls", "4" },
							  { NULL, NULL } };
	struct profile *profile = fold_windows(windows_notes);

	cr_assert_eq(value_of(profile, 0, WINDOWS_CALLS, MAIN_F, 11), 74, "7 * 10.5 = 73.5");
	cr_assert_eq(value_of(profile, 0, WINDOWS_CALLS, MAIN_F, 0), 11, "1 * 10.5");
	cr_assert_eq(value_of(profile, 0, WINDOWS_CALLS, MAIN_F_LEN, 6), 84);
	cr_assert_eq(value_of(profile, 0, WINDOWS_TIME, MAIN_G, 0), 945000);
	cr_assert_eq(value_of(profile, 0, WINDOWS_CPU, MAIN_F, 0), 10000000);
	profile_free(profile);
	profile = fold_windows(time_alone);
	cr_assert_eq(value_of(profile, 0, WINDOWS_CALLS, MAIN_F, 11), 7);
	cr_assert_eq(value_of(profile, 0, WINDOWS_TIME, MAIN_G, 0), 270000);
	cr_assert_float_eq(error_of(profile, 0, WINDOWS_CALLS, FUNCTION_LEN), 8, 1e-9);
	cr_assert_float_eq(error_of(profile, 0, WINDOWS_TIME, FUNCTION_LEN), 3 * 400, 1e-9);
	profile_free(profile);
}

/* Worked out by hand from the table in windows.h. */
Test(profile, errors_are_those_of_the_spread_between_windows)
{
	struct profile *profile = fold_windows(windows_notes);

	/* 6 6 0 0 in both threads and under both callers: 10.5 * sqrt(48) */
	cr_assert_float_eq(error_of(profile, 0, WINDOWS_CALLS, FUNCTION_F), 72.746133917893, 1e-9);
	/* 2 0 2 0 */
	cr_assert_float_eq(error_of(profile, 0, WINDOWS_CALLS, FUNCTION_G), 24.248711305964, 1e-9);
	/* 0 8 0 0: 4/3 * (64 - 16) = 64 */
	cr_assert_float_eq(error_of(profile, 0, WINDOWS_CALLS, FUNCTION_LEN), 84, 1e-9);
	/* 40000 0 50000 0: 4/3 * (41e8 - 81e8/4) = 27666666666.67... */
	cr_assert_float_eq(error_of(profile, 0, WINDOWS_TIME, FUNCTION_G), 10.5 * 52599.112793531,
			   1e-3);
	cr_assert_eq(error_of(profile, 0, WINDOWS_CPU, FUNCTION_F), 0, "cpu has no windows");
	cr_assert_eq(error_of(profile, 0, WINDOWS_CALLS, FUNCTION_MAIN), 0, "a leaf's alone");
	cr_assert_eq(profile->error_count, 6);
	for (size_t i = 1; i < profile->error_count; i++) {
		const struct profile_error *row = &profile->errors[i];

		cr_assert(row[-1].metric < row->metric ||
			  (row[-1].metric == row->metric && row[-1].function < row->function));
	}
	profile_free(profile);
}

Test(profile, exact_counts_have_no_error)
{
	static const struct windows_note zero[] = { { "windows.calls", "0" }, { NULL, NULL } };
	static const struct windows_note junk[] = { { "windows.calls", "many" },
						    { "windows", "4" },
						    { "windows.call", "4" },
						    { NULL, NULL } };
	struct profile *profile = fold_windows(zero);

	cr_assert_eq(profile->error_count, 0);
	profile_free(profile);
	profile = fold_windows(junk);
	cr_assert_eq(profile->error_count, 0);
	profile_free(profile);
}

Test(profile, the_last_value_of_a_scale_holds)
{
	static const struct windows_note notes[] = { { "scale.calls.calls", "3" },
						     { "windows.calls", "100" },
						     { "scale.calls.calls", "2" },
						     { "windows.calls", "4" },
						     { NULL, NULL } };
	struct profile *profile = fold_windows(notes);

	cr_assert_eq(value_of(profile, 0, WINDOWS_CALLS, MAIN_F, 11), 14);
	cr_assert_float_eq(error_of(profile, 0, WINDOWS_CALLS, FUNCTION_LEN), 2 * 8, 1e-9);
	profile_free(profile);
}

Test(profile, each_process_has_its_own_scale_and_errors)
{
	static const struct windows_note other[] = { { "scale.calls.calls", "2" },
						     { "windows.calls", "2" },
						     { NULL, NULL } };
	/* The same times as in the first recording. */
	static const struct recording_sample samples[] = {
		{ 1, WINDOWS_CALLS, MAIN_F, START_NS + 3, 5, 11 },
		{ 1, WINDOWS_CALLS, MAIN_F, START_NS + 4, 9, 11 },
	};
	struct bytes a =
		windows_recording(1, windows_samples, PROF_COUNT(windows_samples), windows_notes);
	struct bytes b = windows_recording(2, samples, PROF_COUNT(samples), other);
	struct profile *profile = profile_new();

	cr_assert_null(profile_add_bytes(profile, a.bytes, a.size));
	cr_assert_null(profile_add_bytes(profile, b.bytes, b.size));
	cr_assert_null(profile_finish(profile));
	check_invariants(profile);
	cr_assert_eq(value_of(profile, 0, WINDOWS_CALLS, MAIN_F, 11), 74);
	cr_assert_eq(value_of(profile, 2, WINDOWS_CALLS, MAIN_F, 11), 28);
	cr_assert_float_eq(error_of(profile, 0, WINDOWS_CALLS, FUNCTION_F), 72.746133917893, 1e-9);
	/* 5 9: 2 * (106 - 98) = 16 */
	cr_assert_float_eq(error_of(profile, 1, WINDOWS_CALLS, FUNCTION_F),
			   2 * 4 * estimate_widening(2) / estimate_widening(4), 1e-9);
	profile_free(profile);
}

/* So many that their places in any table collide. */
Test(profile, each_scaled_sum_is_right_to_half_a_count)
{
	static uint64_t sums[3][MAIN_F_LEN + 1][RECORDING_DURATION_MAX + 1];
	static struct recording_sample samples[6000];
	static const struct windows_note notes[] = { { "scale.calls.calls", "97.5312" },
						     { "windows.calls", "6000" },
						     { NULL, NULL } };
	struct profile *profile = profile_new();
	struct bytes all;
	uint64_t seed = 5, raw = 0;
	double sum = 0;

	for (size_t i = 0; i < PROF_COUNT(samples); i++) {
		samples[i] = (struct recording_sample){
			.thread = 1 + (uint32_t)(next_random(&seed) % 3),
			.metric = WINDOWS_CALLS,
			.node = 1 + (uint32_t)(next_random(&seed) % MAIN_F_LEN),
			.time_ns = START_NS + i,
			.value = next_random(&seed) % 50,
			.duration = (uint32_t)(next_random(&seed) % (RECORDING_DURATION_MAX + 1)),
		};
		sums[samples[i].thread - 1][samples[i].node][samples[i].duration] +=
			samples[i].value;
		raw += samples[i].value;
	}
	all = windows_recording(1, samples, PROF_COUNT(samples), notes);
	cr_assert_null(profile_add_bytes(profile, all.bytes, all.size));
	cr_assert_null(profile_finish(profile));
	check_invariants(profile);
	for (size_t i = 0; i < profile->sample_count; i++) {
		const struct profile_sample *sample = &profile->samples[i];
		uint64_t wanted = sums[sample->thread][sample->node][sample->duration];

		cr_assert_float_eq((double)sample->value, (double)wanted * 97.5312, 0.5);
		sum += (double)sample->value;
	}
	cr_assert_float_eq(sum, (double)raw * 97.5312, 0.5 * (double)profile->sample_count);
	cr_assert_eq(profile->error_count, FUNCTION_LEN, "one for each leaf");
	profile_free(profile);
}
