/*
 * json.c - see json.h. Numbers are made by hand: a long timeline has tens of millions.
 */
#include "json.h"

#include "utf8.h"

#include <string.h>

#define NUMBER_BYTES 24 /* digits of 2^64, a point, a zero before it */
#define SEPARATORS 2

/* What stands for itself, and is most of every text: ASCII but for " & < > \ and what is no character. */
static const bool is_plain[256] = {
	[' ' ... '!'] = true, ['#' ... '%'] = true, ['\'' ... ';'] = true,
	['='] = true,	      ['?' ... '['] = true, [']' ... '~'] = true,
};

static void put_bracket(struct json *json, char bracket);
static void put_quoted(struct json *json, const char *bytes, size_t size_bytes, const char *end);
static size_t separate(struct json *json, char separators[SEPARATORS]);
static const char *escape_of(const char *at, size_t length, char *made);

void json_begin(struct json *json, char bracket)
{
	put_bracket(json, bracket);
	json->needs_comma = false;
}

void json_end(struct json *json, char bracket)
{
	json->needs_comma = false;
	put_bracket(json, bracket);
}

void json_key(struct json *json, const char *key)
{
	put_quoted(json, key, strlen(key), "\":");
	json->needs_comma = false;
}

void json_text(struct json *json, const char *text)
{
	json_bytes(json, text, strlen(text));
}

void json_bytes(struct json *json, const char *bytes, size_t size_bytes)
{
	put_quoted(json, bytes, size_bytes, "\"");
}

void json_number(struct json *json, uint64_t value)
{
	json_decimal(json, value, 0);
}

void json_decimal(struct json *json, uint64_t value, unsigned digits)
{
	char text[SEPARATORS + NUMBER_BYTES], *at = text + sizeof(text);
	char separators[SEPARATORS];

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
	for (size_t n = separate(json, separators); n > 0; n--)
		*--at = separators[n - 1];
	sink_put(json->sink, at, (size_t)(text + sizeof(text) - at));
}

void json_word(struct json *json, const char *word)
{
	char separators[SEPARATORS];

	sink_put(json->sink, separators, separate(json, separators));
	sink_puts(json->sink, word);
}

void json_line(struct json *json)
{
	json->needs_line = true;
}

static void put_bracket(struct json *json, char bracket)
{
	char text[SEPARATORS + 1];
	size_t n = separate(json, text);

	text[n] = bracket;
	sink_put(json->sink, text, n + 1);
}

/* end: its quote, and what comes behind that. */
static void put_quoted(struct json *json, const char *bytes, size_t size_bytes, const char *end)
{
	size_t from = 0, at = 0, n;
	char made[8], begin[SEPARATORS + 1];

	n = separate(json, begin);
	begin[n] = '"';
	sink_put(json->sink, begin, n + 1);
	while (at < size_bytes) {
		const char *escape;
		size_t length;

		if (is_plain[(unsigned char)bytes[at]]) {
			at++;
			continue;
		}
		length = utf8_character(bytes + at, size_bytes - at);
		escape = escape_of(bytes + at, length, made);
		at += length;
		if (!escape)
			continue;
		sink_put(json->sink, bytes + from, at - length - from);
		sink_puts(json->sink, escape);
		at += length == 0;
		from = at;
	}
	sink_put(json->sink, bytes + from, at - from);
	sink_puts(json->sink, end);
}

/* What goes before the next value or key. Few puts are what makes it fast. */
static size_t separate(struct json *json, char separators[SEPARATORS])
{
	size_t n = 0;

	if (json->needs_comma)
		separators[n++] = ',';
	if (json->needs_line)
		separators[n++] = '\n';
	json->needs_comma = true;
	json->needs_line = false;
	return n;
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
