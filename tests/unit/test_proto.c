#include <criterion/criterion.h>

#include "proto.h"

#include <string.h>

/* What the sink got: compared with bytes by hand, after protobuf.dev/programming-guides/encoding. */
static void check_bytes(struct proto *proto, const void *wanted, size_t wanted_bytes)
{
	size_t size_bytes;
	const void *bytes = sink_bytes(proto->sink, &size_bytes);

	cr_assert_not(proto->failed);
	cr_assert_eq(size_bytes, wanted_bytes);
	cr_assert_arr_eq(bytes, wanted, size_bytes);
	cr_assert_null(sink_close(proto->sink));
	proto_release(proto);
}

Test(proto, messages_lie_in_messages)
{
	/* field 2 { field 1: 150, field 3 { field 1: 7 } }, field 2 {}, field 9: 0 */
	static const uint8_t wanted[] = { 0x12, 7, 0x08, 0x96, 0x01, 0x1a, 2,
					  0x08, 7, 0x12, 0,    0x48, 0 };
	struct proto proto = { .sink = sink_memory(false) };

	wire_put_field(&proto.message, 1, 150);
	wire_put_field(&proto.inner, 1, 7);
	proto_end_inner(&proto, 3);
	proto_end(&proto, 2);
	proto_end(&proto, 2);
	proto_number(&proto, 9, 0);
	check_bytes(&proto, wanted, sizeof(wanted));
}

Test(proto, strings_are_said_once_and_the_first_is_empty)
{
	static const uint8_t wanted[] = { 0x32, 0, 0x32, 1, 'a', 0x32, 3, 'b', '=', 'c' };
	struct proto proto = { .sink = sink_memory(false) };

	cr_assert_eq(proto_string(&proto, ""), 0);
	cr_assert_eq(proto_string(&proto, "a"), 1);
	proto_text(&proto, "b");
	proto_text(&proto, "=");
	proto_text(&proto, "c");
	cr_assert_eq(proto_text_end(&proto), 2);
	cr_assert_eq(proto_string(&proto, "a"), 1);
	cr_assert_eq(proto_string(&proto, "b=c"), 2);
	cr_assert_eq(proto_text_end(&proto), 0, "a text of no pieces");
	proto_strings(&proto, 6);
	check_bytes(&proto, wanted, sizeof(wanted));
}

Test(proto, ids_count_up_in_order_of_use)
{
	struct proto_ids ids = { 0 };

	cr_assert(proto_ids_init(&ids, 5));
	cr_assert_eq(proto_id(&ids, 4), 1);
	cr_assert_eq(proto_id(&ids, 1), 2);
	cr_assert_eq(proto_id(&ids, 4), 1);
	cr_assert_eq(proto_id(&ids, 5), 3);
	cr_assert_eq(ids.count, 3);
	cr_assert_eq(ids.rows[0], 4);
	cr_assert_eq(ids.rows[1], 1);
	cr_assert_eq(ids.rows[2], 5);
	proto_ids_release(&ids);
}
