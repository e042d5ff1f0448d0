#include "code.h"
#include "frames.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Objects of a layout of our own; a str's long head is 24 bytes longer than its short one. */
struct text_object {
	uint64_t length;
	uint32_t state; /* kind 3 bits, compact, ascii, from bit 4 on */
	uint32_t padding;
	union {
		char ascii[32];
		struct {
			uint64_t more[3];
			union {
				char bytes[64];
				const void *elsewhere;
			} data;
		} other;
	} body;
};

struct bytes_object {
	uint64_t padding;
	uint64_t size;
	char data[16];
};

struct code_object {
	const void *type;
	const void *linetable, *qualname, *filename;
	int32_t first_line, padding;
	char instructions[8];
};

enum { COMPACT = 8, ASCII = 16 };
static uint64_t code_type;

static void set_up(void)
{
	struct frames_layout layout = {
		.code_filename = offsetof(struct code_object, filename),
		.code_qualname = offsetof(struct code_object, qualname),
		.code_linetable = offsetof(struct code_object, linetable),
		.code_firstlineno = offsetof(struct code_object, first_line),
		.code_instructions = offsetof(struct code_object, instructions),
		.object_type = offsetof(struct code_object, type),
		.unicode_state = offsetof(struct text_object, state),
		.unicode_length = offsetof(struct text_object, length),
		.unicode_ascii_data = offsetof(struct text_object, body.ascii),
		.unicode_compact_data = offsetof(struct text_object, body.other.data),
		.unicode_kind_shift = 4,
		.bytes_size = offsetof(struct bytes_object, size),
		.bytes_data = offsetof(struct bytes_object, data),
		.code_type = (uintptr_t)&code_type,
	};

	frames_layout_set(&layout);
}

TestSuite(code, .init = set_up);

static bool reads_as(const struct text_object *text, const char *expected)
{
	struct code_data data;
	char *room;
	size_t size_bytes;
	bool same;

	if (!code_text((uintptr_t)text, &data))
		return false;
	room = malloc(data.room_bytes + 1);
	same = code_copy(&data, room, &size_bytes) && size_bytes == strlen(expected) &&
	       memcmp(room, expected, size_bytes) == 0;
	free(room);
	return same;
}

static struct text_object text(uint64_t length, unsigned state, const void *raw, size_t raw_bytes)
{
	struct text_object made = { .length = length, .state = state << 4 };

	memcpy(state & ASCII ? made.body.ascii : made.body.other.data.bytes, raw, raw_bytes);
	return made;
}

Test(code, reads_text_of_every_kind)
{
	struct text_object ascii = text(5, 1 | COMPACT | ASCII, "plain", 5);
	struct text_object latin = text(4, 1 | COMPACT, "caf\xe9", 4);
	struct text_object wide = text(3, 2 | COMPACT, (uint16_t[]){ 0x3a9, 0x2713, 'x' }, 6);
	struct text_object wider = text(2, 4 | COMPACT, (uint32_t[]){ 0x1d4ab, 0x7f }, 8);
	struct text_object surrogate = text(1, 2 | COMPACT, (uint16_t[]){ 0xdcff }, 2);
	struct text_object empty = text(0, 1 | COMPACT | ASCII, "", 0);

	cr_assert(reads_as(&ascii, "plain"));
	cr_assert(reads_as(&latin, "caf\u00e9"));
	cr_assert(reads_as(&wide, "\u03a9\u2713x"));
	cr_assert(reads_as(&wider, "\U0001d4ab\x7f"));
	cr_assert(reads_as(&surrogate, "\xed\xb3\xbf"));
	cr_assert(reads_as(&empty, ""));
}

Test(code, reads_text_that_lies_elsewhere)
{
	static const uint16_t raw[] = { 'a', 0x3a9 };
	struct text_object made = { .length = 2, .state = 2 << 4 };

	made.body.other.data.elsewhere = raw;
	cr_assert(reads_as(&made, "a\u03a9"));
	made.body.other.data.elsewhere = (void *)16;
	cr_assert_not(reads_as(&made, "a\u03a9"));
}

Test(code, cuts_long_text)
{
	static uint32_t raw[40000];
	struct text_object made = { .length = PROF_COUNT(raw), .state = 4 << 4 };
	struct code_data data;
	char *room;
	size_t size_bytes;

	for (size_t i = 0; i < PROF_COUNT(raw); i++)
		raw[i] = 0x1d4ab;
	made.body.other.data.elsewhere = raw;
	cr_assert(code_text((uintptr_t)&made, &data));
	cr_assert_leq(data.room_bytes, CODE_TEXT_MAX);
	room = malloc(data.room_bytes);
	cr_assert(code_copy(&data, room, &size_bytes));
	cr_assert_eq(size_bytes, CODE_TEXT_MAX / 4 * 4);
	for (size_t i = 0; i < size_bytes; i += 4)
		cr_assert_eq(memcmp(room + i, "\U0001d4ab", 4), 0);
	free(room);
	made.length = UINT64_MAX;
	cr_assert(code_text((uintptr_t)&made, &data));
	cr_assert_leq(data.room_bytes, CODE_TEXT_MAX);
}

Test(code, refuses_what_is_no_text)
{
	struct text_object made = text(5, 3 | COMPACT, "plain", 5);
	struct code_data data;

	cr_assert_not(code_text((uintptr_t)&made, &data));
	cr_assert_not(code_text(16, &data));
	cr_assert_not(code_bytes(16, &data));
}

Test(code, reads_bytes)
{
	struct bytes_object made = { .size = 4, .data = "\x80\0\xff!" };
	struct code_data data;
	char room[4];
	size_t size_bytes;

	cr_assert(code_bytes((uintptr_t)&made, &data));
	cr_assert_eq(data.room_bytes, 4);
	cr_assert(code_copy(&data, room, &size_bytes));
	cr_assert_eq(size_bytes, 4);
	cr_assert_eq(memcmp(room, made.data, 4), 0);
	made.size = UINT64_MAX;
	cr_assert(code_bytes((uintptr_t)&made, &data));
	cr_assert_eq(data.room_bytes, CODE_LINETABLE_MAX);
}

Test(code, reads_code_objects_and_nothing_else)
{
	struct code_object made = { &code_type, &made, &code_type, made.instructions, 17, 0, "" };
	struct code code;

	cr_assert(code_read((uintptr_t)&made, &code));
	cr_assert_eq(code.linetable, (uintptr_t)&made);
	cr_assert_eq(code.qualname, (uintptr_t)&code_type);
	cr_assert_eq(code.filename, (uintptr_t)made.instructions);
	cr_assert_eq(code.instructions, (uintptr_t)made.instructions);
	cr_assert_eq(code.first_line, 17);
	made.first_line = -5;
	cr_assert(code_read((uintptr_t)&made, &code));
	cr_assert_eq(code.first_line, 0, "no line is below 0");
	made.type = &made;
	cr_assert_not(code_read((uintptr_t)&made, &code));
	cr_assert_not(code_read(16, &code));
	frames_layout_set(&(struct frames_layout){ 0 });
	cr_assert_not(code_read((uintptr_t)&made, &code));
}
