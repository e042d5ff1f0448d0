/*
 * recording_block.c - texts, blocks, and the blocks that say whose recording it is.
 */
#include "recording_block.h"

#include "options.h"
#include "recording_format.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SETTING_BYTES 512

static void put_head(struct wire_buffer *payload, const struct recording_head *head);
static void put_settings(struct wire_buffer *payload);
static void put_metrics(struct wire_buffer *payload);

void recording_block_text(struct wire_buffer *payload, const char *text)
{
	recording_block_bytes(payload, text, text ? strlen(text) : 0);
}

void recording_block_bytes(struct wire_buffer *payload, const char *bytes, size_t size_bytes)
{
	wire_put_varint(payload, size_bytes);
	wire_put(payload, bytes, size_bytes);
	wire_put_u8(payload, 0);
}

void recording_block_put(struct wire_buffer *out, unsigned type, const struct wire_buffer *payload)
{
	wire_put_u32(out, 0);
	wire_put_u32(out, (uint32_t)payload->size);
	wire_put_u8(out, (uint8_t)type);
	wire_put(out, payload->bytes, payload->size);
	out->failed |= payload->failed;
}

bool recording_block_head(struct wire_buffer *out, const struct recording_head *head)
{
	struct wire_buffer payload = { 0 };

	wire_put(out, RECORDING_MAGIC, RECORDING_MAGIC_BYTES);
	wire_put_u32(out, RECORDING_VERSION_MAJOR << 16 | RECORDING_VERSION_MINOR);
	put_head(&payload, head);
	recording_block_put(out, RECORDING_BLOCK_HEAD, &payload);
	wire_clear(&payload);
	put_settings(&payload);
	recording_block_put(out, RECORDING_BLOCK_SETTINGS, &payload);
	wire_clear(&payload);
	put_metrics(&payload);
	recording_block_put(out, RECORDING_BLOCK_METRICS, &payload);
	wire_release(&payload);
	return !out->failed;
}

uint32_t recording_block_seed(uint32_t version)
{
	return version >> 16 < RECORDING_CHAINED_MAJOR ? 0 : version;
}

uint32_t recording_block_checksum(const uint8_t *block, uint32_t length, uint32_t seed)
{
	const size_t head_bytes = RECORDING_BLOCK_BYTES - RECORDING_CHECKSUM_BYTES;

	return XXH32(block + RECORDING_CHECKSUM_BYTES, head_bytes + length, seed);
}

uint32_t recording_block_chain(uint8_t *blocks, size_t size_bytes, uint32_t seed)
{
	const uint8_t *end = blocks + size_bytes;

	while (blocks < end) {
		struct wire_cursor cursor = wire_cursor(blocks + RECORDING_CHECKSUM_BYTES, 4);
		uint32_t length = wire_get_fixed32(&cursor);

		seed = recording_block_checksum(blocks, length, seed);
		wire_write_u32(blocks, seed);
		blocks += RECORDING_BLOCK_BYTES + (size_t)length;
	}
	return seed;
}

static void put_head(struct wire_buffer *payload, const struct recording_head *head)
{
	wire_put_varint(payload, head->session);
	wire_put_varint(payload, (uint64_t)head->pid);
	wire_put_varint(payload, (uint64_t)head->parent_pid);
	wire_put_varint(payload, head->start_realtime_ns);
	wire_put_varint(payload, head->start_monotonic_ns);
	recording_block_text(payload, head->program);
	recording_block_text(payload, head->python);
	recording_block_text(payload, "libmonprof " PROF_VERSION);
}

static void put_settings(struct wire_buffer *payload)
{
	for (unsigned id = 0; id < OPTION_COUNT; id++) {
		const struct option *row = option_row((enum option_id)id);
		const struct option_value *value = option_value((enum option_id)id);
		char text[SETTING_BYTES];

		const char *shown = row->preset;

		if (value->given && row->type == OPTION_TYPE_TEXT)
			shown = value->text;
		else if (value->given &&
			 option_print((enum option_id)id, value, text, sizeof(text)))
			shown = text;
		recording_block_text(payload, row->name);
		recording_block_text(payload, shown);
		recording_block_text(payload, row->preset);
	}
}

static void put_metrics(struct wire_buffer *payload)
{
	static const struct recording_metric rows[] = {
#define METRIC(collector, name, unit, count_name, help) { #collector, #name, unit, count_name },
#include "../collectors/collectors.def"
#undef METRIC
	};

	for (unsigned i = 0; i < PROF_COUNT(rows); i++) {
		recording_block_text(payload, rows[i].collector);
		recording_block_text(payload, rows[i].name);
		recording_block_text(payload, rows[i].unit);
		recording_block_text(payload, rows[i].count_name);
	}
}
