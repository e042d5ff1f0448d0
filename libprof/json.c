/*
 * json.c - see json.h. Numbers are made by hand: a long timeline has tens of millions.
 */
#include "json.h"

#include "utf8.h"

#include <string.h>

#define NUMBER_BYTES 24 /* digits of 2^64, a point, a zero before it */

static void comma(struct json *json);
static const char *escape_of(const char *at, size_t length, char *made);

void json_begin(struct json *json, char bracket)
{
	comma(json);
	sink_put(json->sink, &bracket, 1);
	json->needs_comma = false;
}

void json_end(struct json *json, char bracket)
{
	json->needs_comma = false;
	comma(json);
	sink_put(json->sink, &bracket, 1);
}

void json_key(struct json *json, const char *key)
{
	json_text(json, key);
	sink_put(json->sink, ":", 1);
	json->needs_comma = false;
}

void json_text(struct json *json, const char *text)
{
	json_bytes(json, text, strlen(text));
}

void json_bytes(struct json *json, const char *bytes, size_t size_bytes)
{
	size_t from = 0, at = 0;
	char made[8];

	comma(json);
	sink_put(json->sink, "\"", 1);
	while (at < size_bytes) {
		size_t length = utf8_character(bytes + at, size_bytes - at);
		const char *escape = escape_of(bytes + at, length, made);

		at += length;
		if (!escape)
			continue;
		sink_put(json->sink, bytes + from, at - length - from);
		sink_puts(json->sink, escape);
		at += length == 0;
		from = at;
	}
	sink_put(json->sink, bytes + from, at - from);
	sink_put(json->sink, "\"", 1);
}

void json_number(struct json *json, uint64_t value)
{
	json_decimal(json, value, 0);
}

void json_decimal(struct json *json, uint64_t value, unsigned digits)
{
	char text[NUMBER_BYTES], *at = text + sizeof(text);

	comma(json);
	for (; digits > 0 && value % 10 == 0; digits--)
		value /= 10;
	for (bool has_point = digits > 0; has_point || value > 0 || at == text + sizeof(text);) {
		*--at = (char)('0' + value % 10);
		value /= 10;
		if (has_point && --digits == 0) {
			*--at = '.';
			has_point = false;
			*--at = (char)('0' + value % 10);
			value /= 10;
		}
	}
	sink_put(json->sink, at, (size_t)(text + sizeof(text) - at));
}

void json_word(struct json *json, const char *word)
{
	comma(json);
	sink_puts(json->sink, word);
}

void json_line(struct json *json)
{
	json->needs_line = true;
}

static void comma(struct json *json)
{
	if (json->needs_comma)
		sink_put(json->sink, ",", 1);
	if (json->needs_line)
		sink_put(json->sink, "\n", 1);
	json->needs_comma = true;
	json->needs_line = false;
}

/* NULL: the character of so many bytes stands for itself. `made`: room for one that has no short form. */
static const char *escape_of(const char *at, size_t length, char *made)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char byte = (unsigned char)*at;

	if (length == 0)
		return "\\ufffd";
	if (byte == '"')
		return "\\\"";
	if (byte == '\\')
		return "\\\\";
	if (byte == '\n')
		return "\\n";
	if (byte == '\t')
		return "\\t";
	if (byte < ' ' || byte == 0x7f || byte == '<' || byte == '>' || byte == '&') {
		memcpy(made, "\\u00", 4);
		made[4] = hex[byte >> 4];
		made[5] = hex[byte & 15];
		made[6] = '\0';
		return made;
	}
	/* U+2028 and U+2029 end a line of JavaScript. */
	if (length == 3 && byte == 0xe2 && at[1] == '\x80' && (at[2] == '\xa8' || at[2] == '\xa9'))
		return at[2] == '\xa8' ? "\\u2028" : "\\u2029";
	return NULL;
}
