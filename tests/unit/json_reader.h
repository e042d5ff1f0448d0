/*
 * json_reader.h - JSON read strictly (RFC 8259), for tests of what we write.
 */
#ifndef JSON_READER_H
#define JSON_READER_H

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stddef.h>

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_TEXT, JSON_ARRAY, JSON_OBJECT };

struct json_value {
	enum json_kind kind;
	const char *text; /* of a text: decoded, with NUL; of a number: as it is written */
	size_t count; /* of an array, an object */
	struct json_value *items;
	const char **keys; /* of an object */
};

/* A whole text; the test fails at what is no JSON. It stays until the test's process ends. */
const struct json_value *json_read(const char *text, size_t size_bytes);
/* The member; the test fails if there is none, or more than one. */
const struct json_value *json_member(const struct json_value *value, const char *key);
/* A whole number. */
unsigned long long json_whole(const struct json_value *value);

#endif
