/*
 * test_pprof_profile.c - a pprof file as a profile: ours gives what it was made of, those of others and damaged ones
 * are as good as they can be.
 */
#include "exported.h"

#include "../../cli/pprof_profile.h"

#define NATIVE_FRAMES 8 /* of native_profile, those with a sample */

extern const struct exporter_hooks pprof_exporter, collapsed_exporter, json_exporter;

static struct profile *read_good(struct bytes all)
{
	struct wire_buffer comments = { 0 };
	struct profile *profile;

	cr_assert_null(pprof_profile(all.bytes, all.size, &profile, &comments));
	wire_release(&comments);
	return profile;
}

static const struct profile_function *find_function(const struct profile *profile, const char *name)
{
	for (size_t i = 0; i < profile->function_count; i++)
		if (strcmp(profile_string(profile, profile->functions[i].full), name) == 0)
			return &profile->functions[i];
	cr_assert(false, "no function %s", name);
	return NULL;
}

static void check_function(const struct profile *profile, const char *name, const char *file,
			   enum profile_origin origin)
{
	const struct profile_function *function = find_function(profile, name);

	cr_assert_str_eq(profile_string(profile, function->file), file, "%s", name);
	cr_assert_eq(profile_origin(profile, function), origin, "%s", name);
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Stacks may come in another order. */
static char *sorted(struct bytes all)
{
	char *lines[64], *text = keep(calloc(1, all.size + 1)), *state = NULL;
	size_t count = 0;

	for (char *line = strtok_r((char *)all.bytes, "\n", &state); line;
	     line = strtok_r(NULL, "\n", &state)) {
		cr_assert_lt(count, PROF_COUNT(lines));
		lines[count++] = line;
	}
	qsort(lines, count, sizeof(*lines), compare_lines);
	for (size_t i = 0; i < count; i++)
		strcat(strcat(text, lines[i]), "\n");
	return text;
}

/* Equal mappings of a profile are one already. */
Test(pprof_profile, native_frames_are_where_they_were, .fini = remove_scratch)
{
	struct profile *profile = native_profile();
	struct bytes all = export_to_memory(&pprof_exporter, profile, false);
	struct profile *back = read_good(all);
	struct bytes again = export_to_memory(&pprof_exporter, back, false);

	cr_assert_eq(back->mapping_count, profile->mapping_count);
	cr_assert_eq(back->frame_count, NATIVE_FRAMES);
	check_function(back, "hot", "/usr/lib/libfoo.so", PROFILE_NATIVE);
	check_function(back, "[libfoo.so+0x1234]", "/usr/lib/libfoo.so", PROFILE_NATIVE);
	check_function(back, "main.main", "/srv/main.py", PROFILE_PROGRAM);
	cr_assert_str_eq(sorted(export_to_memory(&collapsed_exporter, back, false)),
			 sorted(export_to_memory(&collapsed_exporter, profile, false)));
	for (size_t i = 0; i < back->frame_count; i++) {
		const struct profile_frame *frame = &back->frames[i];
		const struct profile_mapping *mapping = &back->mappings[frame->mapping - 1];

		if (frame->mapping == 0)
			cr_assert_eq(frame->address, 0);
		else
			cr_assert(frame->address >= mapping->start &&
				  frame->address < mapping->end && mapping->offset == 0x1000);
	}
	profile_free(back);
	back = read_good(again);
	check_function(back, "hot", "/usr/lib/libfoo.so", PROFILE_NATIVE);
	cr_assert_eq(back->frame_count, NATIVE_FRAMES);
	profile_free(back);
	profile_free(profile);
}

static void put_message(struct wire_buffer *file, uint32_t field, struct wire_buffer *message)
{
	wire_put_bytes_field(file, field, message->bytes, message->size);
	wire_clear(message);
}

static void put_numbers(struct wire_buffer *file, uint32_t field, const uint64_t *numbers,
			size_t count)
{
	struct wire_buffer message = { 0 };

	for (size_t i = 0; i < count; i++)
		wire_put_field(&message, (uint32_t)i + 1, numbers[i]);
	put_message(file, field, &message);
	wire_release(&message);
}

#define PUT(file, field, ...)                                       \
	put_numbers(file, field, (const uint64_t[]){ __VA_ARGS__ }, \
		    sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))

static void put_location(struct wire_buffer *file, uint64_t id, uint64_t mapping, uint64_t address,
			 uint64_t function)
{
	struct wire_buffer message = { 0 }, line = { 0 };

	wire_put_field(&message, 1, id);
	wire_put_field(&message, 2, mapping);
	wire_put_field(&message, 3, address);
	wire_put_field(&line, 1, function);
	wire_put_field(&line, 2, 7);
	put_message(&message, 4, &line);
	put_message(file, 4, &message);
	wire_release(&line);
	wire_release(&message);
}

/* As of a Go program that calls C: mappings after the locations, ids that are not dense, and some of nothing. */
Test(pprof_profile, files_of_others_are_read)
{
	static const char *const strings[] = { "",	    "cpu",    "nanoseconds",  "main.f",
					       "/src/f.go", "memcpy", "/lib/libc.so", "deadbeef",
					       "nowhere" };
	struct wire_buffer file = { 0 };
	struct profile *profile;
	const struct profile_frame *frame;

	PUT(&file, 1, 1, 2);
	/* (location, value) */
	for (uint64_t location = 10; location <= 15; location++)
		PUT(&file, 2, location, 100);
	put_location(&file, 10, 30, 0x400100, 20);
	put_location(&file, 11, 31, 0x700123, 21);
	put_location(&file, 12, 99, 0x900123, 22);
	put_location(&file, 13, UINT64_MAX, UINT64_MAX, 21);
	put_location(&file, 14, 0, 0, 98);
	PUT(&file, 5, 20, 3, 3, 4, 1);
	PUT(&file, 5, 21, 5, 5, 0, 0);
	PUT(&file, 5, 22, 8, 8, 0, UINT64_MAX);
	PUT(&file, 3, 30, 0x400000, 0x500000, 0, 77777, UINT64_MAX);
	PUT(&file, 3, 31, 0x700000, 0x800000, 0x1000, 6, 7);
	PUT(&file, 3, 31, 1, 2, 3, 4, 5);
	wire_put(&file, "\x32", 2); /* "" */
	for (size_t i = 1; i < PROF_COUNT(strings); i++)
		wire_put_bytes_field(&file, 6, strings[i], strlen(strings[i]));
	profile = read_good((struct bytes){ file.bytes, file.size });
	cr_assert_eq(profile->sample_count, 6);
	cr_assert_eq(profile->mapping_count, 2, "the second of an id is none");
	check_function(profile, "main.f", "/src/f.go", PROFILE_PROGRAM);
	check_function(profile, "memcpy", "/lib/libc.so", PROFILE_NATIVE);
	check_function(profile, "nowhere", "", PROFILE_C);
	frame = &profile->frames[1];
	cr_assert_eq(frame->address, 0x700123);
	cr_assert_str_eq(profile_string(profile, profile->mappings[frame->mapping - 1].build_id),
			 "deadbeef");
	for (size_t i = 2; i < profile->frame_count; i++)
		cr_assert_eq(profile->frames[i].mapping, 0, "frame %zu", i);
	profile_free(profile);
	wire_release(&file);
}

/* All indexes of what is read are in range: exporters look at each. */
Test(pprof_profile, every_flipped_byte_is_survived, .fini = remove_scratch)
{
	struct profile *profile = native_profile();
	struct bytes plain = inflate_bytes(export_to_memory(&pprof_exporter, profile, false));
	unsigned good = 0;

	profile_free(profile);
	for (size_t i = 0; i < plain.size; i++) {
		struct wire_buffer comments = { 0 };
		uint8_t kept = plain.bytes[i];

		plain.bytes[i] ^= 1 << i % 8;
		if (!pprof_profile(plain.bytes, plain.size, &profile, &comments) &&
		    profile->sample_count > 0) {
			export_to_memory(&collapsed_exporter, profile, true);
			export_to_memory(&json_exporter, profile, true);
			export_to_memory(&pprof_exporter, profile, true);
			good++;
		}
		profile_free(profile);
		wire_release(&comments);
		plain.bytes[i] = kept;
	}
	cr_assert_gt(good, 0);
}
