/*
 * wire.h - bytes as recordings and protobuf have them: little endian, LEB128 varints.
 *
 *   struct wire_buffer   bytes that grow; after a failed allocation every put is a no-op
 *   struct wire_cursor   bytes that are read; after the first overrun every get gives 0
 *
 * Both latch, so callers write or read a whole message and look once.  Varints are those of protobuf
 * (protobuf.dev/programming-guides/encoding): seven bits a byte, low ones first, at most ten bytes.
 */
#ifndef WIRE_H
#define WIRE_H

#include "prof.h"

#define WIRE_VARINT_BYTES 10

struct wire_buffer {
	uint8_t *bytes;
	size_t size, capacity;
	bool failed;
};

struct wire_cursor {
	const uint8_t *at, *end;
	bool failed;
};

/* The wire types of protobuf. */
enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* One field of a protobuf message; `bytes` is empty where the type has none. */
struct wire_field {
	uint32_t number;
	enum wire_type type;
	uint64_t value; /* of a varint */
	struct wire_cursor bytes;
};

/* All zero is an empty buffer. drainer, tool */
void wire_release(struct wire_buffer *buffer);
/* Empty, keeps its memory and forgets a failure. drainer, tool */
void wire_clear(struct wire_buffer *buffer);
void wire_put(struct wire_buffer *buffer, const void *bytes, size_t size_bytes);
void wire_put_u8(struct wire_buffer *buffer, uint8_t value);
void wire_put_u32(struct wire_buffer *buffer, uint32_t value);
/* More capacity, for wire_reserve. drainer, tool */
bool wire_grow(struct wire_buffer *buffer, size_t size_bytes);
/* Fields of a protobuf message; a zero or an empty text is left out, as proto3 does. drainer, tool */
void wire_put_field(struct wire_buffer *buffer, uint32_t field, uint64_t value);
void wire_put_bytes_field(struct wire_buffer *buffer, uint32_t field, const void *bytes,
			  size_t size_bytes);

/* The next field of a message; false: its end, or what is no protobuf (the cursor has failed). any */
bool wire_next_field(struct wire_cursor *cursor, struct wire_field *field);

/* Signed numbers so that small ones of both signs are short. any */
static inline uint64_t wire_zigzag(uint64_t value)
{
	return value << 1 ^ (value >> 63 ? UINT64_MAX : 0);
}

static inline uint64_t wire_unzigzag(uint64_t value)
{
	return value >> 1 ^ (value & 1 ? UINT64_MAX : 0);
}

static inline void wire_write_u32(uint8_t *to, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

/* Write a varint to memory with room for WIRE_VARINT_BYTES; returns its length. any */
static inline size_t wire_varint_write(uint8_t *to, uint64_t value)
{
	size_t n = 0;

	while (value >= 0x80) {
		to[n++] = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	to[n++] = (uint8_t)value;
	return n;
}

/* Room for so many bytes more; false: no memory, now or before. drainer, tool */
static inline bool wire_reserve(struct wire_buffer *buffer, size_t size_bytes)
{
	return !buffer->failed &&
	       (size_bytes <= buffer->capacity - buffer->size || wire_grow(buffer, size_bytes));
}

static inline void wire_put_varint(struct wire_buffer *buffer, uint64_t value)
{
	if (wire_reserve(buffer, WIRE_VARINT_BYTES))
		buffer->size += wire_varint_write(buffer->bytes + buffer->size, value);
}

static inline struct wire_cursor wire_cursor(const void *bytes, size_t size_bytes)
{
	return (struct wire_cursor){ bytes, (const uint8_t *)bytes + size_bytes, false };
}

static inline size_t wire_left(const struct wire_cursor *cursor)
{
	return (size_t)(cursor->end - cursor->at);
}

static inline uint64_t wire_fail(struct wire_cursor *cursor)
{
	cursor->at = cursor->end;
	cursor->failed = true;
	return 0;
}

static inline uint8_t wire_get_u8(struct wire_cursor *cursor)
{
	if (cursor->at == cursor->end)
		return (uint8_t)wire_fail(cursor);
	return *cursor->at++;
}

static inline uint32_t wire_get_fixed32(struct wire_cursor *cursor)
{
	const uint8_t *at = cursor->at;

	if (wire_left(cursor) < 4)
		return (uint32_t)wire_fail(cursor);
	cursor->at += 4;
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint64_t wire_get_varint(struct wire_cursor *cursor)
{
	const uint8_t *at = cursor->at;
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 70 && at < cursor->end; shift += 7) {
		uint8_t byte = *at++;

		if (shift == 63 && byte > 1)
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			cursor->at = at;
			return value;
		}
	}
	return wire_fail(cursor);
}

/* A varint that must not be above `most`. any */
static inline uint32_t wire_get_u32(struct wire_cursor *cursor, uint32_t most)
{
	uint64_t value = wire_get_varint(cursor);

	return value <= most ? (uint32_t)value : (uint32_t)wire_fail(cursor);
}

/* The next size_bytes bytes, in place; NULL if there are fewer. any */
static inline const void *wire_get(struct wire_cursor *cursor, uint64_t size_bytes)
{
	const uint8_t *at = cursor->at;

	if (size_bytes > wire_left(cursor)) {
		wire_fail(cursor);
		return NULL;
	}
	cursor->at += size_bytes;
	return at;
}

#endif
