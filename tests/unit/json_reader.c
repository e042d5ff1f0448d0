#include "json_reader.h"

#include <stdlib.h>
#include <string.h>

struct reader {
	const char *text, *at, *end;
};

static void read_value(struct reader *reader, struct json_value *value);

static void expect(struct reader *reader, bool is_good, const char *what)
{
	cr_assert(is_good, "no %s at byte %zu: %.60s", what, (size_t)(reader->at - reader->text),
		  reader->at);
}

static char peek(struct reader *reader)
{
	while (reader->at < reader->end && strchr(" \t\r\n", *reader->at))
		reader->at++;
	expect(reader, reader->at < reader->end, "more");
	return *reader->at;
}

static void read_word(struct reader *reader, const char *word)
{
	expect(reader,
	       (size_t)(reader->end - reader->at) >= strlen(word) &&
		       memcmp(reader->at, word, strlen(word)) == 0,
	       word);
	reader->at += strlen(word);
}

static void put_character(char **to, unsigned code)
{
	if (code < 0x80) {
		*(*to)++ = (char)code;
	} else if (code < 0x800) {
		*(*to)++ = (char)(0xc0 | code >> 6);
		*(*to)++ = (char)(0x80 | (code & 0x3f));
	} else {
		*(*to)++ = (char)(0xe0 | code >> 12);
		*(*to)++ = (char)(0x80 | (code >> 6 & 0x3f));
		*(*to)++ = (char)(0x80 | (code & 0x3f));
	}
}

static void read_escape(struct reader *reader, char **to)
{
	static const char from[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	const char *short_form = strchr(from, *reader->at);
	char digits[5] = "";
	char *end;

	if (*reader->at && short_form) {
		*(*to)++ = meant[short_form - from];
		reader->at++;
		return;
	}
	expect(reader, *reader->at == 'u' && reader->end - reader->at > 5, "escape");
	memcpy(digits, reader->at + 1, 4);
	put_character(to, (unsigned)strtoul(digits, &end, 16));
	expect(reader, end == digits + 4, "hexadecimal number");
	reader->at += 5;
}

static const char *read_text(struct reader *reader)
{
	char *text = malloc((size_t)(reader->end - reader->at) + 1), *to = text;

	read_word(reader, "\"");
	for (;;) {
		expect(reader, reader->at < reader->end && (unsigned char)*reader->at >= ' ',
		       "end of a text");
		if (*reader->at == '"')
			break;
		if (*reader->at != '\\') {
			*to++ = *reader->at++;
			continue;
		}
		reader->at++;
		read_escape(reader, &to);
	}
	reader->at++;
	*to = '\0';
	to = strdup(text);
	free(text);
	return to;
}

static void read_number(struct reader *reader, struct json_value *value)
{
	char *text = strndup(reader->at, strspn(reader->at, "-+.eE0123456789"));
	char *end;

	strtod(text, &end);
	expect(reader, *text && !*end && strspn(text, "-0123456789"), "number");
	expect(reader,
	       text[text[0] == '-'] != '0' || !strchr("0123456789", text[1 + (text[0] == '-')]) ||
		       !text[1 + (text[0] == '-')],
	       "number without zeros before it");
	value->kind = JSON_NUMBER;
	value->text = text;
	reader->at += strlen(text);
}

static void read_items(struct reader *reader, struct json_value *value, char last)
{
	size_t room = 0;

	reader->at++;
	if (peek(reader) == last) {
		reader->at++;
		return;
	}
	for (;;) {
		if (value->count == room) {
			room = room ? room * 2 : 8;
			value->items = realloc(value->items, room * sizeof(*value->items));
			value->keys = realloc(value->keys, room * sizeof(*value->keys));
		}
		peek(reader);
		if (last == '}') {
			value->keys[value->count] = read_text(reader);
			peek(reader);
			read_word(reader, ":");
		}
		read_value(reader, &value->items[value->count++]);
		if (peek(reader) == last)
			break;
		read_word(reader, ",");
	}
	reader->at++;
}

static void read_value(struct reader *reader, struct json_value *value)
{
	char first = peek(reader);

	*value = (struct json_value){ 0 };
	if (first == '{' || first == '[') {
		value->kind = first == '{' ? JSON_OBJECT : JSON_ARRAY;
		read_items(reader, value, first == '{' ? '}' : ']');
	} else if (first == '"') {
		value->kind = JSON_TEXT;
		value->text = read_text(reader);
	} else if (first == 't' || first == 'f') {
		value->kind = JSON_BOOL;
		value->text = first == 't' ? "true" : "false";
		read_word(reader, value->text);
	} else if (first == 'n') {
		read_word(reader, "null");
	} else {
		read_number(reader, value);
	}
}

const struct json_value *json_read(const char *text, size_t size_bytes)
{
	struct reader reader = { text, text, text + size_bytes };
	struct json_value *value = malloc(sizeof(*value));

	read_value(&reader, value);
	while (reader.at < reader.end && strchr(" \t\r\n", *reader.at))
		reader.at++;
	expect(&reader, reader.at == reader.end, "end");
	return value;
}

const struct json_value *json_member(const struct json_value *value, const char *key)
{
	const struct json_value *found = NULL;

	cr_assert_eq(value->kind, JSON_OBJECT, "no object with a %s", key);
	for (size_t i = 0; i < value->count; i++) {
		if (strcmp(value->keys[i], key) != 0)
			continue;
		cr_assert_null(found, "two of %s", key);
		found = &value->items[i];
	}
	cr_assert_not_null(found, "no %s", key);
	return found;
}

unsigned long long json_whole(const struct json_value *value)
{
	char *end;
	unsigned long long number;

	cr_assert_eq(value->kind, JSON_NUMBER);
	number = strtoull(value->text, &end, 10);
	cr_assert(*end == '\0' && value->text[0] != '-', "%s", value->text);
	return number;
}
