/*
 * fuzz_recording.c - any bytes as a recording, through the fold and out of every exporter.
 *
 * A checksum would stop nearly every input at its first block, so it is put right first, and a head,
 * metrics with windows and native frames stand before it: what is fuzzed is what lies behind them.  Inputs that begin
 * with an odd byte are taken as they are.
 */
#include "exporter.h"
#include "recording_format.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Five numbers and three texts; four texts a row; key and value. */
#define HEAD "\1\2\3\4\5\1x\0\1y\0\1z\0"
#define METRIC_ROWS "\3cpu\0\3cpu\0\2ns\0\1n\0\5calls\0\5calls\0\5count\0\0\0"
/* Start, end, offset, file, build id; name, file; no module, name, file, no line, native; frame, mapping, address. */
#define MAPPINGS "\1\7\0\4/x/y\0\2ab\0\10\20\1\4/x/z\0\0\0"
#define STRINGS "\1f\0\4/x/y\0\12[z+0x1234]\0"
#define FUNCTIONS "\0\1\2\0\2\0\3\2\0\2"
#define FRAMES "\1\0\1\0\2\0"
#define PLACES "\1\1\3\2\1\5\3\2\11"
#define NOTES "\15windows.calls\0\0013\0\21scale.calls.calls\0\0037.5\0"

#define EXPORTER(name, suffix, help) extern const struct exporter_hooks name##_exporter;
#include "../../exporters/exporters.def"
#undef EXPORTER

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static const struct exporter_hooks *const exporters[] = {
#define EXPORTER(name, suffix, help) &name##_exporter,
#include "../../exporters/exporters.def"
#undef EXPORTER
};

static void put_block(struct wire_buffer *file, uint8_t type, const void *bytes, size_t size_bytes);
static void fold(const uint8_t *bytes, size_t size_bytes);
static void check_profile(const struct profile *profile);
static void export_all(const struct profile *profile);
static size_t put_right(uint8_t *bytes, size_t size_bytes);
static void need(bool truth);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	struct wire_buffer file = { 0 };

	if (size_bytes > 0 && data[0] & 1) {
		fold(data, size_bytes);
		return 0;
	}
	wire_put(&file, RECORDING_MAGIC, RECORDING_MAGIC_BYTES);
	wire_put_u32(&file, RECORDING_VERSION_MAJOR << 16 | RECORDING_VERSION_MINOR);
	put_block(&file, RECORDING_BLOCK_HEAD, HEAD, sizeof(HEAD) - 1);
	put_block(&file, RECORDING_BLOCK_METRICS, METRIC_ROWS, sizeof(METRIC_ROWS) - 1);
	put_block(&file, RECORDING_BLOCK_NOTES, NOTES, sizeof(NOTES) - 1);
	put_block(&file, RECORDING_BLOCK_MAPPINGS, MAPPINGS, sizeof(MAPPINGS) - 1);
	put_block(&file, RECORDING_BLOCK_STRINGS, STRINGS, sizeof(STRINGS) - 1);
	put_block(&file, RECORDING_BLOCK_FUNCTIONS, FUNCTIONS, sizeof(FUNCTIONS) - 1);
	put_block(&file, RECORDING_BLOCK_FRAMES, FRAMES, sizeof(FRAMES) - 1);
	put_block(&file, RECORDING_BLOCK_PLACES, PLACES, sizeof(PLACES) - 1);
	wire_put(&file, data, size_bytes);
	fold(file.bytes, put_right(file.bytes, file.size));
	wire_release(&file);
	return 0;
}

/* Without a checksum: put_right gives it one. */
static void put_block(struct wire_buffer *file, uint8_t type, const void *bytes, size_t size_bytes)
{
	wire_put_u32(file, 0);
	wire_put_u32(file, (uint32_t)size_bytes);
	wire_put_u8(file, type);
	wire_put(file, bytes, size_bytes);
}

static void fold(const uint8_t *bytes, size_t size_bytes)
{
	struct profile *profile = profile_new();
	errmsg error = profile_add_bytes(profile, bytes, size_bytes);

	if (!error) {
		need(profile_finish(profile) == NULL);
		check_profile(profile);
		export_all(profile);
	}
	profile_free(profile);
}

/* What profile.h promises to exporters. */
static void check_profile(const struct profile *profile)
{
	for (size_t i = 0; i < profile->node_count; i++) {
		need(profile->nodes[i].parent <= i);
		need(profile->nodes[i].frame - 1 < profile->frame_count);
	}
	for (size_t i = 0; i < profile->frame_count; i++) {
		need(profile->frames[i].function - 1 < profile->function_count);
		need(profile->frames[i].mapping <= profile->mapping_count);
	}
	for (size_t i = 0; i < profile->mapping_count; i++)
		need(profile->mappings[i].process < profile->process_count);
	for (size_t i = 0; i < profile->sample_count; i++) {
		need(profile->samples[i].node <= profile->node_count);
		need(profile->samples[i].thread < profile->thread_count);
		need(profile->samples[i].metric < profile->metric_count);
		need(profile->samples[i].value <= INT64_MAX);
		need(profile->samples[i].duration <= RECORDING_DURATION_MAX);
	}
	for (size_t i = 0; i < profile->error_count; i++) {
		need(profile->errors[i].function - 1 < profile->function_count);
		need(profile->errors[i].process < profile->process_count);
		need(profile->errors[i].metric < profile->metric_count);
		need(profile->errors[i].error > 0 && profile->errors[i].error < 1e300);
	}
}

static void export_all(const struct profile *profile)
{
	struct exporter_settings settings = { .lines = true };

	for (size_t i = 0; i < PROF_COUNT(exporters) * profile->metric_count; i++) {
		const struct exporter_hooks *hooks = exporters[i % PROF_COUNT(exporters)];
		size_t metric = i / PROF_COUNT(exporters);
		struct sink *sink = sink_memory(hooks->gzip);

		hooks->write(profile, profile->metrics[metric].collector, &settings, sink);
		need(sink_close(sink) == NULL);
	}
}

/* Give each block that is there the checksum it needs; returns where the last one ends. */
static size_t put_right(uint8_t *bytes, size_t size_bytes)
{
	size_t at = RECORDING_HEADER_BYTES;
	uint32_t seed = RECORDING_VERSION_MAJOR << 16 | RECORDING_VERSION_MINOR;

	while (size_bytes - at >= RECORDING_BLOCK_BYTES) {
		uint8_t *block = bytes + at;
		size_t left = size_bytes - at - RECORDING_BLOCK_BYTES;
		/* Two bytes of length are enough, and keep most inputs within their bounds. */
		size_t length = block[4] | (size_t)block[5] << 8;

		length = length < left ? length : left;
		wire_write_u32(block + 4, (uint32_t)length);
		seed = XXH32(block + RECORDING_CHECKSUM_BYTES,
			     RECORDING_BLOCK_BYTES - RECORDING_CHECKSUM_BYTES + length, seed);
		wire_write_u32(block, seed);
		at += RECORDING_BLOCK_BYTES + length;
	}
	return at;
}

static void need(bool truth)
{
	if (!truth)
		abort();
}
