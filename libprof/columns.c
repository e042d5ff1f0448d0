/*
 * columns.c - a character's row of columns.def, by bisection.
 */
#include "columns.h"

#include "utf8.h"

#include <string.h>

enum columns_kind { COLUMNS_ZERO, COLUMNS_WIDE, COLUMNS_FORMAT, COLUMNS_PLAIN };

struct range {
	uint32_t first, last;
	enum columns_kind kind;
};

static uint32_t decode(const char *text, size_t n);
static enum columns_kind kind_of(uint32_t character);

static const struct range ranges[] = {
#define ZERO(first, last) { first, last, COLUMNS_ZERO },
#define WIDE(first, last) { first, last, COLUMNS_WIDE },
#define FORMAT(first, last) { first, last, COLUMNS_FORMAT },
#include "columns.def"
#undef ZERO
#undef WIDE
#undef FORMAT
};

struct columns_character columns_next(const char *text)
{
	size_t n = utf8_character(text, strnlen(text, 4));
	struct columns_character next = { .bytes = n ? n : 1, .columns = 1 };
	uint32_t character = n ? decode(text, n) : 0;
	enum columns_kind kind = kind_of(character);

	/* C0, DEL, C1 */
	if (character < ' ' || (character >= 0x7f && character < 0xa0) || kind == COLUMNS_FORMAT)
		return next;
	next.is_printable = true;
	if (kind != COLUMNS_PLAIN)
		next.columns = kind == COLUMNS_WIDE ? 2 : 0;
	return next;
}

unsigned columns_count(const char *text)
{
	unsigned columns = 0;

	while (*text != '\0') {
		struct columns_character next = columns_next(text);

		columns += next.columns;
		text += next.bytes;
	}
	return columns;
}

static uint32_t decode(const char *text, size_t n)
{
	static const uint8_t first_bits[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t character = (uint8_t)text[0] & first_bits[n];

	for (size_t i = 1; i < n; i++)
		character = character << 6 | ((uint8_t)text[i] & 0x3f);
	return character;
}

static enum columns_kind kind_of(uint32_t character)
{
	size_t low = 0, high = PROF_COUNT(ranges);

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (character > ranges[middle].last)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < PROF_COUNT(ranges) && character >= ranges[low].first)
		return ranges[low].kind;
	return COLUMNS_PLAIN;
}
