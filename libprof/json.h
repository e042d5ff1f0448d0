/*
 * json.h - JSON (RFC 8259) on its way to a sink: commas are put where they belong, texts are quoted.
 *
 * What is not UTF-8 in a text is U+FFFD.  What could end a script element, or a line of JavaScript, is written
 * as an escape, so that JSON may stand in a page as it is.
 */
#ifndef JSON_H
#define JSON_H

#include "prof.h"
#include "sink.h"

/* All zero but for the sink is the beginning of a value. */
struct json {
	struct sink *sink;
	bool needs_comma, needs_line;
};

/* '{' or '[', '}' or ']'. drainer, tool */
void json_begin(struct json *json, char bracket);
void json_end(struct json *json, char bracket);
/* Of the member whose value comes next. drainer, tool */
void json_key(struct json *json, const char *key);
void json_text(struct json *json, const char *text);
void json_bytes(struct json *json, const char *bytes, size_t size_bytes);
void json_number(struct json *json, uint64_t value);
/* value / 10^digits, without zeros at its end. drainer, tool */
void json_decimal(struct json *json, uint64_t value, unsigned digits);
/* true, false, null, or a number that is written already. drainer, tool */
void json_word(struct json *json, const char *word);
/* What comes next is on a line of its own. drainer, tool */
void json_line(struct json *json);

/* A text by itself, for those who put commas themselves. drainer, tool */
static inline void json_quote(struct sink *sink, const char *bytes, size_t size_bytes)
{
	struct json json = { .sink = sink };

	json_bytes(&json, bytes, size_bytes);
}

/* Members. drainer, tool */
static inline void json_put_text(struct json *json, const char *key, const char *text)
{
	json_key(json, key);
	json_text(json, text);
}

static inline void json_put_number(struct json *json, const char *key, uint64_t value)
{
	json_key(json, key);
	json_number(json, value);
}

static inline void json_put_word(struct json *json, const char *key, const char *word)
{
	json_key(json, key);
	json_word(json, word);
}

#endif
