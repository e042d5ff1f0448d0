/*
 * profile_text.c - what viewers show of a profile and of its threads.
 */
#include "profile.h"

#include "log.h"

#include <string.h>

#define NUMBERS_BYTES 64

static void put(struct wire_buffer *text, const char *more);

void profile_put_title(const struct profile *profile, uint32_t measurement,
		       struct wire_buffer *text)
{
	char numbers[NUMBERS_BYTES] = "";

	wire_clear(text);
	if (profile->process_count) {
		const char *program = profile_string(profile, profile->processes[0].program);

		put(text, profile_base_name(program));
		log_format(numbers, sizeof(numbers), " (pid %llu",
			   (unsigned long long)profile->processes[0].pid);
		put(text, numbers);
	}
	if (profile->process_count > 1) {
		log_format(numbers, sizeof(numbers), " and %llu more",
			   (unsigned long long)profile->process_count - 1);
		put(text, numbers);
	}
	put(text, profile->process_count ? "): " : "");
	put(text, profile_string(profile, measurement));
	wire_put_u8(text, '\0');
}

void profile_put_thread(const struct profile *profile, uint32_t thread, struct wire_buffer *text)
{
	const struct profile_thread *row = &profile->threads[thread];
	char numbers[NUMBERS_BYTES];

	wire_clear(text);
	put(text, row->name ? profile_string(profile, row->name) : "thread");
	log_format(numbers, sizeof(numbers), " (pid %llu",
		   (unsigned long long)profile->processes[row->process].pid);
	put(text, profile->process_count > 1 || !row->tid ? numbers : " (");
	log_format(numbers, sizeof(numbers), "%stid %llu", profile->process_count > 1 ? ", " : "",
		   (unsigned long long)row->tid);
	put(text, row->tid ? numbers : "");
	put(text, ")");
	wire_put_u8(text, '\0');
}

const char *profile_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void put(struct wire_buffer *text, const char *more)
{
	wire_put(text, more, strlen(more));
}
