/*
 * fuzz_output.c - names of files from any pattern, any directory and any program, into room of any size.
 *
 * The input is the room, then the three texts, each up to its NUL.
 */
#include "output.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static char *take_text(const uint8_t **bytes, size_t *size_bytes);
static void need(bool truth);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	struct output_names names = { .start_realtime_ns = UINT64_MAX, .pid = UINT64_MAX };
	char *pattern, *directory, *program, *path, *again;

	if (size_bytes < 2)
		return 0;
	size_t room = 1 + (bytes[0] | (size_t)bytes[1] << 8) % OUTPUT_PATH_BYTES;
	bytes += 2;
	size_bytes -= 2;
	names.pattern = pattern = take_text(&bytes, &size_bytes);
	names.directory = directory = take_text(&bytes, &size_bytes);
	names.program = program = take_text(&bytes, &size_bytes);
	names.sequence = UINT32_MAX;
	path = malloc(room);
	again = malloc(room);
	if (!output_expand(&names, path, room)) {
		need(memchr(path, '\0', room) != NULL && *path != '\0');
		need(path[strlen(path) - 1] != '/');
		names.sequence = 1;
		/* Only with a %n do names differ by it */
		if (!output_expand(&names, again, room))
			need(output_counts(pattern) || strcmp(path, again) == 0);
	}
	free(pattern);
	free(directory);
	free(program);
	free(path);
	free(again);
	return 0;
}

static char *take_text(const uint8_t **bytes, size_t *size_bytes)
{
	size_t n = strnlen((const char *)*bytes, *size_bytes);
	char *text = malloc(n + 1);

	memcpy(text, *bytes, n);
	text[n] = '\0';
	*bytes += n;
	*size_bytes -= n;
	if (*size_bytes > 0) {
		++*bytes;
		--*size_bytes;
	}
	return text;
}

static void need(bool truth)
{
	if (!truth)
		abort();
}
