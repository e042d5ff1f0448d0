/*
 * json_reader.h - JSON read strictly (RFC 8259), for tests of what we write.
 */
#ifndef JSON_READER_H
#define JSON_READER_H

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#ifndef UNUSED
#define UNUSED __attribute__((unused))
#endif

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_TEXT, JSON_ARRAY, JSON_OBJECT };

struct json_value {
	enum json_kind kind;
	const char *text; /* of a text: decoded, with NUL; of a number: as it is written */
	size_t count; /* of an array, an object */
	struct json_value *items;
	const char **keys; /* of an object */
};

struct json_reader {
	const char *text, *at, *end;
};

static UNUSED void json_read_value(struct json_reader *reader, struct json_value *value);

static UNUSED void json_expect(struct json_reader *reader, bool is_good, const char *what)
{
	cr_assert(is_good, "no %s at byte %zu: %.60s", what, (size_t)(reader->at - reader->text),
		  reader->at);
}

static UNUSED char json_peek(struct json_reader *reader)
{
	while (reader->at < reader->end && strchr(" \t\r\n", *reader->at))
		reader->at++;
	json_expect(reader, reader->at < reader->end, "more");
	return *reader->at;
}

static UNUSED void json_read_word(struct json_reader *reader, const char *word)
{
	json_expect(reader,
		    (size_t)(reader->end - reader->at) >= strlen(word) &&
			    memcmp(reader->at, word, strlen(word)) == 0,
		    word);
	reader->at += strlen(word);
}

static UNUSED void json_put_character(char **to, unsigned code)
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

static UNUSED void json_read_escape(struct json_reader *reader, char **to)
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
	json_expect(reader, *reader->at == 'u' && reader->end - reader->at > 5, "escape");
	memcpy(digits, reader->at + 1, 4);
	json_put_character(to, (unsigned)strtoul(digits, &end, 16));
	json_expect(reader, end == digits + 4, "hexadecimal number");
	reader->at += 5;
}

static UNUSED const char *json_read_text(struct json_reader *reader)
{
	char *text = malloc((size_t)(reader->end - reader->at) + 1), *to = text;

	json_read_word(reader, "\"");
	for (;;) {
		json_expect(reader, reader->at < reader->end && (unsigned char)*reader->at >= ' ',
			    "end of a text");
		if (*reader->at == '"')
			break;
		if (*reader->at != '\\') {
			*to++ = *reader->at++;
			continue;
		}
		reader->at++;
		json_read_escape(reader, &to);
	}
	reader->at++;
	*to = '\0';
	to = strdup(text);
	free(text);
	return to;
}

static UNUSED void json_read_number(struct json_reader *reader, struct json_value *value)
{
	char *text = strndup(reader->at, strspn(reader->at, "-+.eE0123456789"));
	const char *digits = text + (*text == '-');
	char *end;

	strtod(text, &end);
	json_expect(reader, *text && !*end && strspn(text, "-0123456789"), "number");
	json_expect(reader, *digits != '0' || !isdigit((unsigned char)digits[1]),
		    "number without zeros before it");
	value->kind = JSON_NUMBER;
	value->text = text;
	reader->at += strlen(text);
}

static UNUSED void json_read_items(struct json_reader *reader, struct json_value *value, char last)
{
	size_t room = 0;

	reader->at++;
	if (json_peek(reader) == last) {
		reader->at++;
		return;
	}
	for (;;) {
		if (value->count == room) {
			room = room ? room * 2 : 8;
			value->items = realloc(value->items, room * sizeof(*value->items));
			value->keys = realloc(value->keys, room * sizeof(*value->keys));
		}
		json_peek(reader);
		if (last == '}') {
			value->keys[value->count] = json_read_text(reader);
			json_peek(reader);
			json_read_word(reader, ":");
		}
		json_read_value(reader, &value->items[value->count++]);
		if (json_peek(reader) == last)
			break;
		json_read_word(reader, ",");
	}
	reader->at++;
}

static UNUSED void json_read_value(struct json_reader *reader, struct json_value *value)
{
	char first = json_peek(reader);

	*value = (struct json_value){ 0 };
	if (first == '{' || first == '[') {
		value->kind = first == '{' ? JSON_OBJECT : JSON_ARRAY;
		json_read_items(reader, value, first == '{' ? '}' : ']');
	} else if (first == '"') {
		value->kind = JSON_TEXT;
		value->text = json_read_text(reader);
	} else if (first == 't' || first == 'f') {
		value->kind = JSON_BOOL;
		value->text = first == 't' ? "true" : "false";
		json_read_word(reader, value->text);
	} else if (first == 'n') {
		json_read_word(reader, "null");
	} else {
		json_read_number(reader, value);
	}
}

/* A whole text; the test fails at what is no JSON. It stays until the test's process ends. */
static UNUSED const struct json_value *json_read(const char *text, size_t size_bytes)
{
	/* What is reachable is no leak to the sanitizer. */
	static struct json_root {
		struct json_root *before;
		struct json_value value;
	} * last;
	struct json_reader reader = { text, text, text + size_bytes };
	struct json_root *root = malloc(sizeof(*root));

	root->before = last;
	last = root;
	json_read_value(&reader, &root->value);
	while (reader.at < reader.end && strchr(" \t\r\n", *reader.at))
		reader.at++;
	json_expect(&reader, reader.at == reader.end, "end");
	return &root->value;
}

/* The member; the test fails if there is none, or more than one. */
static UNUSED const struct json_value *json_member(const struct json_value *value, const char *key)
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

/* A whole number. */
static UNUSED unsigned long long json_whole(const struct json_value *value)
{
	char *end;
	unsigned long long number;

	cr_assert_eq(value->kind, JSON_NUMBER);
	number = strtoull(value->text, &end, 10);
	cr_assert(*end == '\0' && value->text[0] != '-', "%s", value->text);
	return number;
}

#endif
