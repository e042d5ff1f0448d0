/*
 * test_json.c - JSON as it is written, read again.
 */
#include "json.h"
#include "json_reader.h"

#include <string.h>

static struct sink *sink;
static struct json json;

static void set_up(void)
{
	sink = sink_memory(false);
	json = (struct json){ .sink = sink };
}

static void tear_down(void)
{
	sink_close(sink);
}

TestSuite(json, .init = set_up, .fini = tear_down);

static void expect(const char *wanted)
{
	size_t size;
	const char *bytes = sink_bytes(sink, &size);

	cr_assert_eq(size, strlen(wanted), "%.*s", (int)size, bytes);
	cr_assert_arr_eq(bytes, wanted, size, "%.*s", (int)size, bytes);
}

Test(json, commas_are_where_they_belong)
{
	json_begin(&json, '{');
	json_key(&json, "a");
	json_begin(&json, '[');
	json_end(&json, ']');
	json_put_number(&json, "b", 1);
	json_line(&json);
	json_put_word(&json, "c", "null");
	json_key(&json, "d");
	json_begin(&json, '[');
	json_number(&json, 1);
	json_begin(&json, '{');
	json_end(&json, '}');
	json_text(&json, "x");
	json_line(&json);
	json_end(&json, ']');
	json_end(&json, '}');
	expect("{\"a\":[],\"b\":1,\n\"c\":null,\"d\":[1,{},\"x\"\n]}");
}

Test(json, numbers)
{
	json_begin(&json, '[');
	json_number(&json, 0);
	json_number(&json, 7);
	json_number(&json, 10);
	json_number(&json, UINT64_MAX);
	json_decimal(&json, 0, 6);
	json_decimal(&json, 1, 6);
	json_decimal(&json, 1000000, 6);
	json_decimal(&json, 10500000, 6);
	json_decimal(&json, 123456789, 6);
	json_decimal(&json, 20, 1);
	json_decimal(&json, UINT64_MAX, 6);
	json_end(&json, ']');
	expect("[0,7,10,18446744073709551615,0,0.000001,1,10.5,123.456789,2,"
	       "18446744073709.551615]");
}

Test(json, texts_come_back_as_they_were)
{
	static const char *const texts[] = {
		"",
		"plain",
		"\"quoted\\",
		"a\nb\tc\rd\x01\x1f\x7f",
		"</script><!-- & -->",
		"caf\xc3\xa9 \xf0\x9f\x90\x8d \xe2\x80\xa8 \xe2\x80\xa9 \xe2\x80\xaa",
	};
	const struct json_value *value;
	const char *bytes;
	size_t size;

	json_begin(&json, '[');
	for (size_t i = 0; i < PROF_COUNT(texts); i++)
		json_text(&json, texts[i]);
	json_end(&json, ']');
	bytes = sink_bytes(sink, &size);
	value = json_read(bytes, size);
	cr_assert_eq(value->count, PROF_COUNT(texts));
	for (size_t i = 0; i < PROF_COUNT(texts); i++)
		cr_expect_str_eq(value->items[i].text, texts[i]);
	for (size_t i = 0; i < size; i++)
		cr_assert(!strchr("<>&\n", bytes[i]), "byte %zu", i);
}

Test(json, every_character_of_ascii_comes_back)
{
	const struct json_value *value;
	const char *bytes;
	size_t size;

	json_begin(&json, '[');
	for (int i = 1; i < 128; i++)
		json_bytes(&json, &(char){ (char)i }, 1);
	json_end(&json, ']');
	bytes = sink_bytes(sink, &size);
	value = json_read(bytes, size);
	cr_assert_eq(value->count, 127);
	for (size_t i = 0; i < value->count; i++) {
		cr_expect_eq(strlen(value->items[i].text), 1);
		cr_expect_eq(value->items[i].text[0], (char)(i + 1));
	}
}

Test(json, bytes_that_are_no_text_are_replaced)
{
	json_begin(&json, '[');
	json_bytes(&json, "a\xff\0b\xed\xa0\x80", 7);
	json_bytes(&json, "\xe2\x80", 2);
	json_end(&json, ']');
	expect("[\"a\\ufffd\\ufffdb\\ufffd\\ufffd\\ufffd\",\"\\ufffd\\ufffd\"]");
}
