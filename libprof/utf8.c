/*
 * utf8.c - which bytes are characters: table 3-7 of the Unicode standard.
 */
#include "utf8.h"

#define REPLACEMENT "\xef\xbf\xbd"
#define SURROGATE_BYTES 3

static bool is_tail(uint8_t byte);
static size_t character_bytes(uint8_t first);
static bool is_surrogate(const uint8_t *bytes, size_t size_bytes);

size_t utf8_character(const char *text, size_t size_bytes)
{
	const uint8_t *bytes = (const uint8_t *)text;
	size_t n = size_bytes ? character_bytes(bytes[0]) : 0;

	if (n == 0 || n > size_bytes)
		return 0;
	for (size_t i = 1; i < n; i++)
		if (!is_tail(bytes[i]))
			return 0;
	if ((bytes[0] == 0xe0 && bytes[1] < 0xa0) || (bytes[0] == 0xf0 && bytes[1] < 0x90) ||
	    (bytes[0] == 0xf4 && bytes[1] > 0x8f) || is_surrogate(bytes, size_bytes))
		return 0;
	return n;
}

void utf8_put(struct wire_buffer *buffer, const char *bytes, size_t size_bytes)
{
	size_t good = 0, at = 0;

	while (at < size_bytes) {
		size_t n = utf8_character(bytes + at, size_bytes - at);

		if (n > 0) {
			at += n;
			continue;
		}
		wire_put(buffer, bytes + good, at - good);
		wire_put(buffer, REPLACEMENT, sizeof(REPLACEMENT) - 1);
		if (is_surrogate((const uint8_t *)bytes + at, size_bytes - at))
			at += SURROGATE_BYTES;
		else
			at++;
		good = at;
	}
	wire_put(buffer, bytes + good, at - good);
}

static bool is_tail(uint8_t byte)
{
	return (byte & 0xc0) == 0x80;
}

/* 0: cannot begin a character. */
static size_t character_bytes(uint8_t first)
{
	if (first < 0x80)
		return first != 0;
	if (first < 0xc2)
		return 0;
	if (first < 0xe0)
		return 2;
	if (first < 0xf0)
		return 3;
	return first < 0xf5 ? 4 : 0;
}

static bool is_surrogate(const uint8_t *bytes, size_t size_bytes)
{
	return size_bytes >= SURROGATE_BYTES && bytes[0] == 0xed && bytes[1] >= 0xa0 &&
	       is_tail(bytes[1]) && is_tail(bytes[2]);
}
