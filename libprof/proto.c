/*
 * proto.c - messages inside messages; protobuf.dev/programming-guides/encoding.
 */
#include "proto.h"

#include "heap.h"

#include <string.h>

void proto_release(struct proto *proto)
{
	intern_release(&proto->strings);
	wire_release(&proto->message);
	wire_release(&proto->inner);
}

void proto_end(struct proto *proto, uint32_t field)
{
	struct wire_buffer *message = &proto->message;
	uint8_t lead[2 * WIRE_VARINT_BYTES];
	size_t n = wire_varint_write(lead, (uint64_t)field << 3 | WIRE_BYTES);

	n += wire_varint_write(lead + n, message->size);
	sink_put(proto->sink, lead, n);
	sink_put(proto->sink, message->bytes, message->size);
	proto->failed |= message->failed;
	wire_clear(message);
}

void proto_end_inner(struct proto *proto, uint32_t field)
{
	wire_put_bytes_field(&proto->message, field, proto->inner.bytes, proto->inner.size);
	proto->failed |= proto->inner.failed;
	wire_clear(&proto->inner);
}

void proto_number(struct proto *proto, uint32_t field, uint64_t value)
{
	uint8_t bytes[2 * WIRE_VARINT_BYTES];
	size_t n = wire_varint_write(bytes, (uint64_t)field << 3 | WIRE_VARINT);

	n += wire_varint_write(bytes + n, value);
	sink_put(proto->sink, bytes, n);
}

uint64_t proto_string(struct proto *proto, const char *text)
{
	uint32_t id;

	if (text[0] == '\0')
		return 0;
	id = intern_put(&proto->strings, text, strlen(text), NULL);
	proto->failed |= id == 0;
	return id;
}

void proto_strings(struct proto *proto, uint32_t field)
{
	for (uint32_t id = 0; id <= proto->strings.count; id++) {
		size_t size_bytes;
		const void *bytes = intern_get(&proto->strings, id, &size_bytes);

		wire_put(&proto->message, bytes, size_bytes);
		proto_end(proto, field);
	}
}

void proto_text(struct proto *proto, const char *text)
{
	wire_put(&proto->inner, text, strlen(text));
}

uint64_t proto_text_end(struct proto *proto)
{
	uint64_t index = 0;

	wire_put_u8(&proto->inner, 0);
	if (!proto->inner.failed)
		index = proto_string(proto, (const char *)proto->inner.bytes);
	proto->failed |= proto->inner.failed;
	wire_clear(&proto->inner);
	return index;
}

bool proto_ids_init(struct proto_ids *ids, size_t row_count)
{
	ids->ids = heap_zalloc((row_count + 1) * sizeof(*ids->ids));
	ids->rows = heap_alloc((row_count + 1) * sizeof(*ids->rows));
	return ids->ids && ids->rows;
}

void proto_ids_release(struct proto_ids *ids)
{
	heap_free(ids->ids);
	heap_free(ids->rows);
}

void proto_ids_clear(struct proto_ids *ids)
{
	while (ids->count > 0)
		ids->ids[ids->rows[--ids->count] - 1] = 0;
}

uint32_t proto_id(struct proto_ids *ids, uint32_t row)
{
	uint32_t *id = &ids->ids[row - 1];

	if (*id == 0) {
		ids->rows[ids->count] = row;
		*id = ++ids->count;
	}
	return *id;
}
