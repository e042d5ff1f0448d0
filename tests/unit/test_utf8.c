#include <criterion/criterion.h>

#include "utf8.h"

#include <string.h>

#define BAD "\xef\xbf\xbd"

static void check(const char *from, size_t size, const char *wanted)
{
	struct wire_buffer buffer = { 0 };

	utf8_put(&buffer, from, size);
	wire_put_u8(&buffer, 0);
	cr_assert_str_eq((char *)buffer.bytes, wanted);
	wire_release(&buffer);
}

#define CHECK(from, wanted) check(from, sizeof(from) - 1, wanted)

Test(utf8, what_is_valid_stays)
{
	CHECK("", "");
	CHECK("plain", "plain");
	CHECK("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\x8d", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\x8d");
	CHECK("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf",
	      "\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf");
}

Test(utf8, what_is_not_is_replaced)
{
	CHECK("a\0b", "a" BAD "b");
	CHECK("\xff", BAD);
	CHECK("a\x80z", "a" BAD "z");
	CHECK("\xed\xb2\x80", BAD); /* a lone surrogate, as surrogatepass writes it */
	CHECK("\xed\xa0\x80x", BAD "x");
	CHECK("\xc0\xaf", BAD BAD);
	CHECK("\xe0\x80\x80", BAD BAD BAD);
	CHECK("\xf4\x90\x80\x80", BAD BAD BAD BAD);
	CHECK("cut \xe2\x82", "cut " BAD BAD);
	CHECK("cut \xed\xa0", "cut " BAD BAD);
}

Test(utf8, no_sequence_of_three_bytes_comes_out_invalid)
{
	for (unsigned i = 0; i < 1u << 24; i += 37) {
		char bytes[3] = { (char)(i >> 16), (char)(i >> 8), (char)i };
		struct wire_buffer buffer = { 0 };
		size_t at = 0, n;

		utf8_put(&buffer, bytes, sizeof(bytes));
		while (at < buffer.size) {
			n = utf8_character((char *)buffer.bytes + at, buffer.size - at);
			cr_assert_gt(n, 0, "%06x", i);
			at += n;
		}
		wire_release(&buffer);
	}
}
