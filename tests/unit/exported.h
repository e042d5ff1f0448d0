/*
 * exported.h - for the tests of exporters: a profile of hostile names and random samples, and what the
 * exporters make of it in memory.
 */
#ifndef EXPORTED_H
#define EXPORTED_H

#include "recordings.h"

#include "exporter.h"

#include <zlib.h>

#define DEBIAN_PPROF "/usr/lib/go-1.19/pkg/tool/linux_amd64/pprof"

static const char *const hostile_names[] = {
	"<module>",
	"a;b 12",
	"\"quoted\\",
	"new\nline\rand\ttab",
	"lone\xed\xa0\x80surrogate",
	"\xff\xfe",
	"",
	"caf\xc3\xa9 \xf0\x9f\x90\x8d",
	"</script><!--",
	"50% %s %n",
	"x 1;y 2",
	" ",
	"\x1b[31mred",
	"\xe2\x80\xae\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d", /* right to left */
};

static UNUSED uint32_t measurement_of(const struct profile *profile)
{
	return profile->metrics[0].collector;
}

/* Random samples and one of each hostile name; *filled: their sums. */
static UNUSED struct profile *hostile_profile(uint64_t seed, struct filled *filled)
{
	char name[40];
	char *path, *long_name = heap_zalloc(100001);
	struct recording_head head;
	struct recording *recording;
	struct profile *profile = profile_new();

	profile_keep_points(profile);
	snprintf(name, sizeof(name), "hostile%llu", (unsigned long long)seed);
	path = in_scratch(name);
	head = make_head(path);
	recording = recording_new(&head);
	put_threads(recording);
	recording_put_note(recording, "period.cpu", "10000000");
	*filled = fill(recording, seed, 2000);
	memset(long_name, 'n', 100000);
	for (size_t i = 0; i <= PROF_COUNT(hostile_names); i++) {
		const char *text = i < PROF_COUNT(hostile_names) ? hostile_names[i] : long_name;
		uint32_t function = put_function(recording, text, text, text, 7);
		uint32_t node = recording_put_node(recording, 0,
						   recording_put_frame(recording, function, 9));

		recording_put_sample(recording,
				     &(struct recording_sample){ 1, 0, node, START_NS, 1000, 0 });
		filled->count++;
		filled->value += 1000;
	}
	flush_good(recording, START_NS + 3000000000u);
	recording_free(recording);
	cr_assert_null(profile_add_file(profile, path));
	cr_assert_null(profile_finish(profile));
	heap_free(long_name);
	return profile;
}

/* main.main (/srv/main.py:2) calls code of the executable and of two libraries, one of hostile names:
 *
 *   main -> eval (1) -> hot (2)                        100
 *                    -> hot (2), elsewhere             200
 *                    -> [libfoo.so+0x1234] (2)         400
 *        -> eval (1), elsewhere -> _ZN3foo3barEv (3)   800
 *                               -> a;b\n1 (3)          1600
 *
 * Numbers are those of mappings.
 */
#define NATIVE_VALUE 3100

static UNUSED struct profile *native_profile(void)
{
	static const char *const files[] = { "/usr/bin/python3", "/usr/lib/libfoo.so",
					     "/opt/x;y\nz.so" };
	static const struct {
		const char *name;
		uint32_t mapping;
		uint64_t address;
	} leaves[] = {
		{ "hot", 2, 0x1000 },
		{ "hot", 2, 0x1002 },
		{ "[libfoo.so+0x1234]", 2, 0x1234 },
		{ "_ZN3foo3barEv", 3, 0x1100 },
		{ "a;b\n1", 3, 0x1200 },
	};
	struct recording_head head = make_head(in_scratch("native"));
	struct recording *recording = recording_new(&head);
	struct profile *profile = profile_new();
	uint32_t root = recording_put_node(
		recording, 0,
		recording_put_frame(recording,
				    put_function(recording, "main", "main", "/srv/main.py", 1), 2));

	profile_keep_points(profile);
	for (unsigned i = 0; i < PROF_COUNT(files); i++)
		recording_put_mapping(
			recording, &(struct recording_mapping){ (i + 1) * 0x100000,
								(i + 1) * 0x100000 + 0x8000, 0x1000,
								files[i], i == 1 ? "abcd" : "" });
	for (unsigned i = 0; i < PROF_COUNT(leaves); i++) {
		uint32_t eval = put_native(recording, "eval", files[0], 1, 0x100500 + i / 3);
		uint32_t leaf = put_native(
			recording, leaves[i].name, files[leaves[i].mapping - 1], leaves[i].mapping,
			leaves[i].mapping * 0x100000 + leaves[i].address - 0x1000);
		uint32_t node = recording_put_node(recording,
						   recording_put_node(recording, root, eval), leaf);

		recording_put_sample(recording, &(struct recording_sample){
							1, 0, node, START_NS + i, 100u << i, 0 });
	}
	flush_good(recording, START_NS + 1000000);
	recording_free(recording);
	cr_assert_null(profile_add_file(profile, head.path));
	cr_assert_null(profile_finish(profile));
	return profile;
}

static UNUSED struct bytes export_measurement(const struct exporter_hooks *hooks,
					      const struct profile *profile, uint32_t measurement,
					      bool lines)
{
	struct exporter_settings settings = { .lines = lines };
	struct sink *sink = sink_memory(hooks->gzip);
	struct bytes all;
	const void *bytes;

	hooks->write(profile, measurement, &settings, sink);
	bytes = sink_bytes(sink, &all.size);
	all.bytes = keep(malloc(all.size + 1));
	memcpy(all.bytes, bytes, all.size);
	all.bytes[all.size] = '\0';
	cr_assert_null(sink_close(sink));
	return all;
}

static UNUSED struct bytes export_to_memory(const struct exporter_hooks *hooks,
					    const struct profile *profile, bool lines)
{
	return export_measurement(hooks, profile, measurement_of(profile), lines);
}

/* What is in a gzip stream. */
static UNUSED struct bytes inflate_bytes(struct bytes packed)
{
	size_t room = packed.size * 1000;
	struct bytes plain = { keep(malloc(room)), 0 };
	z_stream stream = { .next_in = packed.bytes,
			    .avail_in = (unsigned)packed.size,
			    .next_out = plain.bytes,
			    .avail_out = (unsigned)room };

	cr_assert_eq(inflateInit2(&stream, 15 + 16), Z_OK);
	cr_assert_eq(inflate(&stream, Z_FINISH), Z_STREAM_END);
	inflateEnd(&stream);
	plain.size = stream.total_out;
	return plain;
}

/* What pprof prints; the test is skipped where there is no pprof. */
static UNUSED char *run_pprof(const char *arguments, struct bytes all)
{
	const char *pprof = getenv("PPROF");
	char *path = in_scratch("p.pb.gz"), *output = in_scratch("output");
	char command[2048];

	if (!pprof || !*pprof)
		pprof = DEBIAN_PPROF;
	if (access(pprof, X_OK) != 0)
		cr_skip_test("no pprof here: set PPROF");
	spill(path, all.bytes, all.size);
	setenv("HOME", scratch(), 1);
	setenv("PPROF_TMPDIR", scratch(), 1);
	snprintf(command, sizeof(command), "'%s' %s '%s' >'%s' 2>&1", pprof, arguments, path,
		 output);
	cr_assert_eq(system(command), 0, "%s: %s", command, (char *)slurp(output).bytes);
	return (char *)slurp(output).bytes;
}

#endif
