/*
 * code.c - a code object and its strings, read raw.
 *
 * One read for the code object, two for each string: its head, its data.  A str keeps 1, 2 or 4
 * bytes a character (PEP 393), behind a short head if it is ASCII, a longer one if it is not,
 * elsewhere if it is of a subclass.  frames_layout.c has seen to it that heads fit into
 * FRAMES_HEAD_BYTES.
 */
#include "code.h"

#include "frames.h"
#include "os.h"

#include <string.h>

static size_t encode(const char *from, unsigned kind, size_t length, char *to);

static uintptr_t word_at(const char *head, size_t offset)
{
	uintptr_t word;
	memcpy(&word, head + offset, sizeof(word));
	return word;
}

static uint32_t half_at(const char *head, size_t offset)
{
	uint32_t half;
	memcpy(&half, head + offset, sizeof(half));
	return half;
}

bool code_read(uintptr_t address, struct code *code)
{
	const struct frames_layout *layout = frames_layout();
	char head[FRAMES_HEAD_BYTES];
	size_t size_bytes = layout->code_instructions;
	if (!size_bytes || !os_read(head, address, size_bytes) ||
	    word_at(head, layout->object_type) != layout->code_type)
		return false;
	code->qualname = word_at(head, layout->code_qualname);
	code->filename = word_at(head, layout->code_filename);
	code->linetable = word_at(head, layout->code_linetable);
	code->first_line = half_at(head, layout->code_firstlineno);
	/* An int there; no line is below 0 */
	if (code->first_line > INT32_MAX)
		code->first_line = 0;
	code->instructions = address + size_bytes;
	return true;
}

bool code_text(uintptr_t object, struct code_data *data)
{
	const struct frames_layout *layout = frames_layout();
	char head[FRAMES_HEAD_BYTES];
	size_t head_bytes = layout->unicode_compact_data + sizeof(uintptr_t);
	/* An ASCII string's data may end before a long head does */
	if (!os_read(head, object, layout->unicode_ascii_data))
		return false;
	uint32_t state = half_at(head, layout->unicode_state) >> layout->unicode_kind_shift;
	bool compact = state & 8, ascii = state & 16;
	unsigned kind = state & 7;
	if (kind != 1 && kind != 2 && kind != 4)
		return false;
	data->length = word_at(head, layout->unicode_length);
	data->kind = ascii ? 0 : kind;
	data->data = object + (ascii ? layout->unicode_ascii_data : layout->unicode_compact_data);
	if (!compact) {
		if (!os_read(head, object, head_bytes))
			return false;
		data->data = word_at(head, layout->unicode_compact_data);
	}
	/* Bytes of UTF-8 that a character may take: 1 for ASCII, 2, 3, 4 */
	size_t width = ascii ? 1 : kind == 1 ? 2 : kind == 2 ? 3 : 4;
	if (data->length > CODE_TEXT_MAX / width)
		data->length = CODE_TEXT_MAX / width;
	data->room_bytes = data->length * width;
	return true;
}

bool code_bytes(uintptr_t object, struct code_data *data)
{
	const struct frames_layout *layout = frames_layout();
	uintptr_t size_bytes;
	if (!os_read(&size_bytes, object + layout->bytes_size, sizeof(size_bytes)))
		return false;
	data->length = size_bytes < CODE_LINETABLE_MAX ? size_bytes : CODE_LINETABLE_MAX;
	data->kind = 0;
	data->data = object + layout->bytes_data;
	data->room_bytes = data->length;
	return true;
}

bool code_copy(const struct code_data *data, char *to, size_t *size_bytes)
{
	size_t raw_bytes = data->length * (data->kind ? data->kind : 1);
	/* Raw characters go to the end of the room: writing never overtakes reading */
	char *raw = to + data->room_bytes - raw_bytes;
	if (raw_bytes && !os_read(raw, data->data, raw_bytes))
		return false;
	*size_bytes = data->kind ? encode(raw, data->kind, data->length, to) : raw_bytes;
	return true;
}

static size_t encode(const char *from, unsigned kind, size_t length, char *to)
{
	unsigned char *out = (unsigned char *)to;
	for (size_t i = 0; i < length; i++) {
		uint32_t c = 0;
		/* little-endian, as is every layout in the table */
		memcpy(&c, from + i * kind, kind);
		if (c < 0x80) {
			*out++ = (unsigned char)c;
		} else if (c < 0x800) {
			*out++ = (unsigned char)(0xc0 | c >> 6);
			*out++ = (unsigned char)(0x80 | (c & 0x3f));
		} else if (c < 0x10000) {
			*out++ = (unsigned char)(0xe0 | c >> 12);
			*out++ = (unsigned char)(0x80 | (c >> 6 & 0x3f));
			*out++ = (unsigned char)(0x80 | (c & 0x3f));
		} else {
			*out++ = (unsigned char)(0xf0 | (c >> 18 & 7));
			*out++ = (unsigned char)(0x80 | (c >> 12 & 0x3f));
			*out++ = (unsigned char)(0x80 | (c >> 6 & 0x3f));
			*out++ = (unsigned char)(0x80 | (c & 0x3f));
		}
	}
	return (size_t)(out - (unsigned char *)to);
}
