/*
 * wire.c - bytes that grow, fields that are read.
 *
 * One failed allocation latches: what is in the buffer then is not whole, and its owner throws it
 * away.
 */
#include "wire.h"

#include "heap.h"

#include <string.h>

void wire_release(struct wire_buffer *buffer)
{
	heap_free(buffer->bytes);
	*buffer = (struct wire_buffer){ 0 };
}

void wire_clear(struct wire_buffer *buffer)
{
	buffer->size = 0;
	buffer->failed = false;
}

void wire_put(struct wire_buffer *buffer, const void *bytes, size_t size_bytes)
{
	if (size_bytes == 0 || !wire_reserve(buffer, size_bytes))
		return;
	memcpy(buffer->bytes + buffer->size, bytes, size_bytes);
	buffer->size += size_bytes;
}

bool wire_grow(struct wire_buffer *buffer, size_t size_bytes)
{
	void *bytes = buffer->bytes;

	if (size_bytes > SIZE_MAX / 2 - buffer->size ||
	    !heap_grow(&bytes, &buffer->capacity, buffer->size + size_bytes, 1)) {
		buffer->failed = true;
		return false;
	}
	buffer->bytes = bytes;
	return true;
}

void wire_put_u8(struct wire_buffer *buffer, uint8_t value)
{
	wire_put(buffer, &value, 1);
}

void wire_put_u32(struct wire_buffer *buffer, uint32_t value)
{
	uint8_t bytes[4];

	wire_write_u32(bytes, value);
	wire_put(buffer, bytes, sizeof(bytes));
}

void wire_put_field(struct wire_buffer *buffer, uint32_t field, uint64_t value)
{
	if (value == 0)
		return;
	wire_put_varint(buffer, (uint64_t)field << 3 | WIRE_VARINT);
	wire_put_varint(buffer, value);
}

void wire_put_bytes_field(struct wire_buffer *buffer, uint32_t field, const void *bytes,
			  size_t size_bytes)
{
	if (size_bytes == 0)
		return;
	wire_put_varint(buffer, (uint64_t)field << 3 | WIRE_BYTES);
	wire_put_varint(buffer, size_bytes);
	wire_put(buffer, bytes, size_bytes);
}

bool wire_next_field(struct wire_cursor *cursor, struct wire_field *field)
{
	uint64_t tag, size_bytes;
	const void *bytes;

	if (wire_left(cursor) == 0)
		return false;
	tag = wire_get_varint(cursor);
	*field = (struct wire_field){ .number = (uint32_t)(tag >> 3),
				      .type = (enum wire_type)(tag & 7),
				      .bytes = wire_cursor(cursor->at, 0) };
	switch (field->type) {
	case WIRE_VARINT:
		field->value = wire_get_varint(cursor);
		break;
	case WIRE_FIXED64:
		wire_get(cursor, 8);
		break;
	case WIRE_FIXED32:
		wire_get(cursor, 4);
		break;
	case WIRE_BYTES:
		size_bytes = wire_get_varint(cursor);
		bytes = wire_get(cursor, size_bytes);
		if (bytes)
			field->bytes = wire_cursor(bytes, (size_t)size_bytes);
		break;
	default:
		wire_fail(cursor);
	}
	return !cursor->failed;
}
