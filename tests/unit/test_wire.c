#include <criterion/criterion.h>

#include "wire.h"

#include <string.h>

static const uint64_t numbers[] = { 0, 1, 127, 128, 300, UINT32_MAX, 1ull << 63, UINT64_MAX };

Test(wire, varints_come_back)
{
	struct wire_buffer buffer = { 0 };
	struct wire_cursor cursor;

	for (size_t i = 0; i < PROF_COUNT(numbers); i++)
		wire_put_varint(&buffer, numbers[i]);
	cursor = wire_cursor(buffer.bytes, buffer.size);
	for (size_t i = 0; i < PROF_COUNT(numbers); i++)
		cr_assert_eq(wire_get_varint(&cursor), numbers[i]);
	cr_assert_eq(wire_left(&cursor), 0);
	cr_assert_not(cursor.failed);
	wire_release(&buffer);
}

Test(wire, varints_are_as_protobuf_has_them)
{
	struct wire_buffer buffer = { 0 };

	wire_put_varint(&buffer, 300);
	cr_assert_eq(buffer.size, 2);
	cr_assert_eq(memcmp(buffer.bytes, "\xac\x02", 2), 0);
	wire_release(&buffer);
}

Test(wire, a_cut_or_overlong_varint_fails_and_stays_failed)
{
	static const uint8_t cut[] = { 0x80, 0x80 };
	static const uint8_t overlong[] = { 0xff, 0xff, 0xff, 0xff, 0xff,
					    0xff, 0xff, 0xff, 0xff, 0x02 };
	struct wire_cursor cursor = wire_cursor(cut, sizeof(cut));

	cr_assert_eq(wire_get_varint(&cursor), 0);
	cr_assert(cursor.failed);
	cr_assert_eq(wire_get_u8(&cursor), 0);
	cursor = wire_cursor(overlong, sizeof(overlong));
	wire_get_varint(&cursor);
	cr_assert(cursor.failed);
}

Test(wire, lengths_beyond_the_end_give_nothing)
{
	struct wire_cursor cursor = wire_cursor("abc", 3);

	cr_assert_not_null(wire_get(&cursor, 3));
	cr_assert_null(wire_get(&cursor, 1));
	cursor = wire_cursor("abc", 3);
	cr_assert_null(wire_get(&cursor, UINT64_MAX));
	cr_assert_eq(wire_get_fixed32(&cursor), 0);
	cr_assert(cursor.failed);
}

Test(wire, bounds_of_small_numbers_are_kept)
{
	struct wire_cursor cursor = wire_cursor("\x05\x05", 2);

	cr_assert_eq(wire_get_u32(&cursor, 5), 5);
	cr_assert_eq(wire_get_u32(&cursor, 4), 0);
	cr_assert(cursor.failed);
}

Test(wire, zigzag_keeps_small_differences_short)
{
	for (size_t i = 0; i < PROF_COUNT(numbers); i++)
		cr_assert_eq(wire_unzigzag(wire_zigzag(numbers[i])), numbers[i]);
	cr_assert_eq(wire_zigzag((uint64_t)-1), 1);
	cr_assert_eq(wire_zigzag(1), 2);
}

Test(wire, fields_of_zero_are_left_out)
{
	struct wire_buffer buffer = { 0 };

	wire_put_field(&buffer, 3, 0);
	wire_put_bytes_field(&buffer, 3, "", 0);
	cr_assert_eq(buffer.size, 0);
	wire_put_field(&buffer, 3, 5);
	wire_put_bytes_field(&buffer, 4, "xy", 2);
	cr_assert_eq(buffer.size, 6);
	cr_assert_eq(memcmp(buffer.bytes, "\x18\x05\x22\x02xy", 6), 0);
	wire_release(&buffer);
}
