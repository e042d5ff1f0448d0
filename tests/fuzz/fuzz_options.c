/*
 * fuzz_options.c - option_parse survives any text for any row; what it takes, option_print writes, and
 * option_parse takes again with the same value; what it refuses is one printable sentence.
 */
#include "options.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static void check(enum option_id id, const char *text)
{
	char error[256], printed[8192];
	struct option_value value, again;

	memset(error, '#', sizeof(error));
	if (option_parse(option_row(id), text, &value, error, sizeof(error))) {
		if (!memchr(error, '\0', sizeof(error)) || strncmp(error, "MONPROF_", 8) != 0)
			abort();
		for (const char *at = error; *at; at++)
			if (*at < ' ' || *at > '~')
				abort();
		return;
	}
	option_print(id, &value, printed, sizeof(printed));
	if (option_parse(option_row(id), printed, &again, error, sizeof(error)))
		abort();
	if (again.number != value.number)
		abort();
	if (option_row(id)->type == OPTION_TYPE_TEXT && strcmp(again.text, value.text) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	char *text;

	if (size_bytes > 4096)
		return 0;
	text = malloc(size_bytes + 1);
	memcpy(text, bytes, size_bytes);
	text[size_bytes] = '\0';
	for (unsigned id = 0; id < OPTION_COUNT; id++)
		check((enum option_id)id, text);
	/* A name, too: the nearest one is there, and is itself when it is a name. */
	enum option_id found = option_find(text);
	enum option_id nearest = option_find(option_nearest(text));

	if (nearest == OPTION_COUNT || (found != OPTION_COUNT && nearest != found))
		abort();
	free(text);
	return 0;
}
