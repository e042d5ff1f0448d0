/*
 * test_recording_damage.c - every block of a recording damaged in turn, and recordings of versions to come, as the
 * command's users meet them.
 *
 * What is before the damage is shown, to the last unit, with a line that says that there was more; or there is
 * nothing to show, and a line says that.
 */
#include "command.h"

#define BLOCKS_MAX 80
#define FLUSHES 3
#define SCALE 3
#define FORMATS "pprof,collapsed,flamegraph,speedscope,cpuprofile,gecko,json,text"

enum damage {
	FLIP_CHECKSUM,
	FLIP_LENGTH,
	FLIP_LENGTH_HIGH,
	FLIP_TYPE,
	FLIP_PAYLOAD,
	FLIP_END,
	CUT_BEFORE,
	CUT_WITHIN,
	REPEAT,
	REMOVE,
	SWAP,
	DAMAGES
};

/* A recording, where its blocks are, and what it says up to each of them. */
struct whole {
	struct bytes all;
	size_t starts[BLOCKS_MAX + 1], count;
	uint64_t cpu_ns[BLOCKS_MAX + 1], calls[BLOCKS_MAX + 1];
};

static uint32_t metric_of(const char *collector, const char *metric)
{
	static const struct recording_metric rows[] = {
#define METRIC(collector, name, unit, count_name, help) { #collector, #name, unit, count_name },
#include "../../collectors/collectors.def"
#undef METRIC
	};
	uint32_t row = 0;

	while (strcmp(rows[row].collector, collector) != 0 || strcmp(rows[row].name, metric) != 0)
		row++;
	return row;
}

/* As a program leaves it that counts calls in windows: what they stand for is a note. */
static void put_calls(struct recording *recording, unsigned flush, uint64_t *calls)
{
	for (unsigned i = 1; i <= 5; i++) {
		struct recording_sample sample = {
			.thread = 1 + i % 2,
			.metric = metric_of("calls", "calls"),
			.node = put_stack(recording, i * 7 + flush, i),
			.time_ns = START_NS + flush * 1000000u,
			.value = i * 100 + flush,
			.duration = i % 3,
		};

		*calls += sample.value * SCALE;
		recording_put_sample(recording, &sample);
	}
}

/* A library comes with each flush. */
static void put_places(struct recording *recording, unsigned flush, uint64_t *cpu_ns)
{
	uint32_t mapping = recording_put_mapping(
		recording, &(struct recording_mapping){ flush * 4096, flush * 4096 + 4096, 0,
							"/bin/x", "ab" });
	uint32_t node = 0;

	for (uint32_t i = 1; i <= mapping; i++)
		node = recording_put_node(
			recording, node, put_native(recording, "f", "/bin/x", i, i * 4096 + flush));
	recording_put_sample(recording, &(struct recording_sample){ 1, 0, node, START_NS, 7, 0 });
	*cpu_ns += 7;
}

static struct whole make_whole(void)
{
	struct recording_head head = make_head(in_scratch("whole.monprof"));
	struct recording *recording = recording_new(&head);
	uint64_t cpu_ns[FLUSHES + 1] = { 0 }, calls[FLUSHES + 1] = { 0 };
	uint64_t losses[LOSS_COUNT] = { 1, 2, 3 };
	struct whole whole = { .count = 0 };
	unsigned samples = 0;

	for (unsigned flush = 1; flush <= FLUSHES; flush++) {
		char windows[8];

		cpu_ns[flush] = cpu_ns[flush - 1] + fill(recording, flush, 8).value;
		calls[flush] = calls[flush - 1];
		put_calls(recording, flush, &calls[flush]);
		put_threads(recording);
		put_places(recording, flush, &cpu_ns[flush]);
		snprintf(windows, sizeof(windows), "%u", flush);
		recording_put_note(recording, "windows.calls", windows);
		recording_put_note(recording, "scale.calls.calls", "3.0");
		recording_put_note(recording, "period.cpu", "10000000");
		losses[0]++;
		recording_put_losses(recording, losses);
		flush_good(recording, START_NS + flush * 1000000000u);
	}
	recording_free(recording);
	whole.all = slurp(head.path);
	for (size_t at = RECORDING_HEADER_BYTES; at < whole.all.size;) {
		struct wire_cursor length = wire_cursor(whole.all.bytes + at + 4, 4);

		cr_assert_lt(whole.count, BLOCKS_MAX);
		whole.starts[whole.count] = at;
		whole.cpu_ns[whole.count] = cpu_ns[samples];
		whole.calls[whole.count++] = calls[samples];
		samples += whole.all.bytes[at + 8] == RECORDING_BLOCK_SAMPLES;
		at += RECORDING_BLOCK_BYTES + wire_get_fixed32(&length);
	}
	cr_assert_eq(samples, FLUSHES);
	whole.starts[whole.count] = whole.all.size;
	whole.cpu_ns[whole.count] = cpu_ns[FLUSHES];
	whole.calls[whole.count] = calls[FLUSHES];
	return whole;
}

static void put_blocks(struct wire_buffer *to, const struct whole *whole, size_t from, size_t until)
{
	wire_put(to, whole->all.bytes + whole->starts[from],
		 whole->starts[until] - whole->starts[from]);
}

/* The recording with this damage done to its block k. Returns how many blocks of it are good. */
static size_t damage(const struct whole *whole, enum damage damage, size_t k,
		     struct wire_buffer *to)
{
	static const size_t flipped[] = {
		[FLIP_LENGTH] = 4, [FLIP_LENGTH_HIGH] = 7, [FLIP_TYPE] = 8
	};
	size_t start = whole->starts[k], end = whole->starts[k + 1];

	wire_clear(to);
	wire_put(to, whole->all.bytes, start);
	switch (damage) {
	case CUT_BEFORE:
		return k;
	case CUT_WITHIN:
		wire_put(to, whole->all.bytes + start, (end - start) / 2);
		return k;
	case REPEAT:
		put_blocks(to, whole, k, k + 1);
		put_blocks(to, whole, k, whole->count);
		return k + 1;
	case REMOVE:
		put_blocks(to, whole, k + 1, whole->count);
		return k;
	case SWAP:
		put_blocks(to, whole, k + 1, k + 2);
		put_blocks(to, whole, k, k + 1);
		put_blocks(to, whole, k + 2, whole->count);
		return k;
	default:
		wire_put(to, whole->all.bytes + start, whole->all.size - start);
		to->bytes[damage == FLIP_PAYLOAD ? start + (end - start + RECORDING_BLOCK_BYTES) / 2 :
			  damage == FLIP_END	 ? end - 1 :
						   start + flipped[damage]] ^= 0x40;
		return k;
	}
}

/* What the report says of a measurement; 0 where it is not there. */
static uint64_t reported(const struct run *run, const char *measurement)
{
	const char *at = strstr(run->out, measurement), *value = at ? strstr(at, "\"value\":") : at;

	return value ? strtoull(value + strlen("\"value\":"), NULL, 10) : 0;
}

static void check_lines(const struct run *run, const char *what)
{
	for (const char *line = run->error; *line; line = strchr(line, '\n') + 1)
		cr_assert_eq(strncmp(line, "monprof: d.monprof: ", 20), 0, "%s: %s", what,
			     run->error);
}

static void check_numbers(const struct whole *whole, size_t good, bool is_cut, const char *what)
{
	struct run got = run("report --format=json d.monprof");

	check_lines(&got, what);
	if (whole->cpu_ns[good] == 0) {
		cr_assert_eq(got.status, 1, "%s: %d", what, got.status);
		cr_assert_neq(*got.error, '\0', "%s", what);
		return;
	}
	cr_assert_eq(got.status, 0, "%s: %d, %s", what, got.status, got.error);
	cr_assert_eq(reported(&got, "\"cpu\""), whole->cpu_ns[good], "%s: %s", what, got.out);
	cr_assert_eq(reported(&got, "\"calls\""), whole->calls[good], "%s: %s", what, got.out);
	cr_assert_eq(strstr(got.error, "torn tail") != NULL, is_cut, "%s: %s", what, got.error);
	cr_assert_eq(strstr(got.out, "torn tail") != NULL, is_cut, "%s", what);
}

static struct run export_to(const char *directory)
{
	char arguments[256];

	snprintf(arguments, sizeof(arguments), "export -f " FORMATS " -o %s/x d.monprof",
		 directory);
	return run(arguments);
}

/* What is there when nothing follows the good blocks but a torn one. */
static void make_reference(const struct whole *whole, size_t good)
{
	char command[512];

	spill(in_scratch("d.monprof"), whole->all.bytes, whole->starts[good] + 1);
	snprintf(command, sizeof(command), "cd '%s' && rm -rf torn && mkdir torn", scratch());
	cr_assert_eq(system(command), 0);
	export_to("torn");
}

/* The files are those, to the last byte. */
static void check_files(const struct whole *whole, size_t good, const char *what)
{
	char command[512];
	struct run got;

	snprintf(command, sizeof(command), "cd '%s' && rm -rf got && mkdir got", scratch());
	cr_assert_eq(system(command), 0);
	got = export_to("got");
	check_lines(&got, what);
	cr_assert_eq(got.status, whole->cpu_ns[good] == 0, "%s: %d, %s", what, got.status,
		     got.error);
	cr_assert_neq(*got.error, '\0', "%s", what);
	snprintf(command, sizeof(command), "cd '%s' && diff -r torn got >&2", scratch());
	cr_assert_eq(system(command), 0, "%s", what);
}

static void check_block(const struct whole *whole, size_t k)
{
	size_t referred = SIZE_MAX;

	for (unsigned kind = 0; kind < DAMAGES; kind++) {
		struct wire_buffer file = { 0 };
		char what[64];
		size_t good;
		bool is_flushed, is_cut;

		if (kind == SWAP && k + 1 == whole->count)
			continue;
		good = damage(whole, kind, k, &file);
		is_flushed = good > 0 &&
			     whole->all.bytes[whole->starts[good - 1] + 8] == RECORDING_BLOCK_FLUSH;
		is_cut = file.size > whole->starts[good] || !is_flushed;
		snprintf(what, sizeof(what), "block %zu, damage %u", k, kind);
		if (is_cut && (k + kind) % 5 == 0) {
			if (referred != good)
				make_reference(whole, good);
			referred = good;
			spill(in_scratch("d.monprof"), file.bytes, file.size);
			check_files(whole, good, what);
		}
		spill(in_scratch("d.monprof"), file.bytes, file.size);
		check_numbers(whole, good, is_cut, what);
		wire_release(&file);
	}
}

Test(recording_damage, what_is_before_it_is_shown_and_the_rest_is_missed, .fini = remove_scratch)
{
	struct whole whole = make_whole();

	cr_assert_gt(whole.count, 3 + FLUSHES * 8);
	for (size_t k = 0; k < whole.count; k++)
		check_block(&whole, k);
}

Test(recording_damage, a_table_for_programs_has_its_line_beside_it, .fini = remove_scratch)
{
	struct whole whole = make_whole();
	struct run got;

	spill(in_scratch("d.monprof"), whole.all.bytes, whole.all.size - 1);
	got = run("report --format=csv d.monprof");
	cr_assert_eq(got.status, 0);
	cr_assert_not_null(strstr(got.error, "d.monprof: ends in a torn tail"));
}

/* None of it is another recording, of an earlier version, say, without a word. */
Test(recording_damage, every_bit_of_the_header_counts, .fini = remove_scratch)
{
	struct whole whole = make_whole();

	for (unsigned bit = 0; bit < 8 * RECORDING_HEADER_BYTES; bit++) {
		struct run got;

		whole.all.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		spill(in_scratch("d.monprof"), whole.all.bytes, whole.all.size);
		whole.all.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		got = run("export -f collapsed -o x d.monprof");
		cr_assert_eq(got.status, 1, "bit %u", bit);
		cr_assert_str_eq(got.out, "", "bit %u", bit);
		check_lines(&got, "header");
		cr_assert_eq(strchr(got.error, '\n')[1], '\0', "bit %u: %s", bit, got.error);
	}
}

/* One sample of 7 of a metric that this version may not know. */
static void put_sample(struct wire_buffer *file, const char *collector, const char *metric,
		       const char *unit)
{
	struct wire_buffer payload = { 0 };

	raw_text(&payload, collector);
	raw_text(&payload, metric);
	raw_text(&payload, unit);
	raw_text(&payload, "");
	raw_block(file, RECORDING_BLOCK_METRICS, &payload);
	RAW(&payload, RECORDING_SAMPLE_THREAD, 1, 0, wire_zigzag(START_NS), 7);
	raw_block(file, RECORDING_BLOCK_SAMPLES, &payload);
	wire_release(&payload);
}

static void put_flush(struct wire_buffer *file)
{
	struct wire_buffer payload = { 0 };

	RAW(&payload, START_NS + 1000000000u);
	raw_block(file, RECORDING_BLOCK_FLUSH, &payload);
	wire_release(&payload);
}

Test(recording_damage, a_newer_format_is_refused_in_one_line, .fini = remove_scratch)
{
	static const char *const commands[] = { "export d.monprof", "export -f json -o - d.monprof",
						"report d.monprof",
						"report --format=csv d.monprof" };
	struct wire_buffer file = { 0 };

	raw_begin(&file, (RECORDING_VERSION_MAJOR + 1) << 16);
	raw_head(&file, 5);
	put_sample(&file, "cpu", "cpu", "nanoseconds");
	put_flush(&file);
	spill(in_scratch("d.monprof"), file.bytes, file.size);
	for (size_t i = 0; i < PROF_COUNT(commands); i++) {
		struct run got = run(commands[i]);

		cr_assert_eq(got.status, 1, "%s", commands[i]);
		cr_assert_str_eq(got.out, "", "%s", commands[i]);
		cr_assert_str_eq(got.error, "monprof: d.monprof: written by a newer libmonprof, "
					    "whose format this one cannot read\n");
	}
	wire_release(&file);
}

Test(recording_damage, what_is_new_in_a_later_minor_version_is_passed_over, .fini = remove_scratch)
{
	struct wire_buffer file = { 0 }, payload = { 0 };
	struct run got;

	raw_begin(&file, RECORDING_VERSION_MAJOR << 16 | 9);
	raw_head(&file, 5);
	wire_put(&payload, "whatever this is", 16);
	raw_block(&file, 77, &payload);
	put_sample(&file, "gpu", "energy", "microjoules");
	wire_put(&payload, "and this", 8);
	raw_block(&file, RECORDING_BLOCK_END, &payload);
	put_flush(&file);
	spill(in_scratch("d.monprof"), file.bytes, file.size);
	got = run("report --format=json d.monprof");
	cr_assert_eq(got.status, 0);
	cr_assert_str_eq(got.error, "");
	cr_assert_eq(reported(&got, "\"energy\",\"unit\":\"microjoules\""), 7, "%s", got.out);
	got = run("export -f " FORMATS " d.monprof");
	cr_assert_eq(got.status, 0);
	cr_assert_str_eq(got.error, "");
	wire_release(&file);
	wire_release(&payload);
}

Test(recording_damage, earlier_formats_are_read, .fini = remove_scratch)
{
	for (uint32_t major = 1; major < RECORDING_VERSION_MAJOR; major++) {
		struct wire_buffer file = { 0 };
		struct run got;

		raw_begin(&file, major << 16);
		raw_head(&file, 5);
		put_sample(&file, "cpu", "cpu", "nanoseconds");
		put_flush(&file);
		spill(in_scratch("d.monprof"), file.bytes, file.size);
		got = run("report --format=json d.monprof");
		cr_assert_eq(got.status, 0, "%u: %s", major, got.error);
		cr_assert_str_eq(got.error, "");
		cr_assert_eq(reported(&got, "\"cpu\""), 7);
		wire_release(&file);
	}
}
