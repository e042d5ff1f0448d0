#include "exported.h"

#include "utf8.h"

extern const struct exporter_hooks collapsed_exporter;

/* Sum of the numbers, each line being "frames number" with nothing else in it. */
static uint64_t sum_lines(char *text)
{
	uint64_t sum = 0;
	char *line, *state = NULL;

	for (line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
		char *space = strrchr(line, ' '), *end;

		cr_assert_not_null(space, "%s", line);
		cr_assert_gt(space, line);
		sum += strtoull(space + 1, &end, 10);
		cr_assert_eq(*end, '\0', "%s", line);
		cr_assert_null(strstr(line, ";;"));
		cr_assert_neq(line[0], ';');
		cr_assert_neq(line[0], '#');
	}
	return sum;
}

Test(collapsed, sums_are_those_of_the_samples, .fini = remove_scratch)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct filled filled;
		struct profile *profile = hostile_profile(seed, &filled);
		struct bytes plain = export_to_memory(&collapsed_exporter, profile, false);
		struct bytes lines = export_to_memory(&collapsed_exporter, profile, true);

		cr_assert_leq(plain.size, lines.size, "lines only split");
		cr_assert_eq(sum_lines((char *)plain.bytes), filled.value);
		cr_assert_eq(sum_lines((char *)lines.bytes), filled.value);
		profile_free(profile);
	}
}

Test(collapsed, no_byte_is_a_control_or_invalid, .fini = remove_scratch)
{
	struct filled filled;
	struct profile *profile = hostile_profile(3, &filled);
	struct bytes all = export_to_memory(&collapsed_exporter, profile, false);
	size_t at = 0;

	while (at < all.size) {
		size_t n = utf8_character((char *)all.bytes + at, all.size - at);

		cr_assert_gt(n, 0);
		cr_assert(all.bytes[at] >= ' ' || all.bytes[at] == '\n');
		at += n;
	}
	cr_assert_not_null(strstr((char *)all.bytes, "a:b 12.a:b 12 (a:b 12:7) 1000\n"));
	cr_assert_not_null(strstr((char *)all.bytes, "[unnamed] 1000\n"));
	profile_free(profile);
}

/* A stack of two frames and a marker's; the first function is on line 3 or 4 of its file. */
static struct profile *small_profile(void)
{
	char *path = in_scratch("small");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);
	struct profile *profile = profile_new();
	struct recording_function marker = { .module = "",
					     .name = "[thread exit]",
					     .file = "",
					     .name_bytes = 13,
					     .kind = RECORDING_MARKER };
	uint32_t main = put_function(recording, "app", "main", "/srv/app.py", 1);
	uint32_t leaf = put_function(recording, "app", "A.leaf", "/srv/app.py", 9);
	uint32_t exit = recording_put_function(recording, &marker);

	for (uint32_t line = 3; line <= 4; line++) {
		uint32_t root = recording_put_node(recording, 0,
						   recording_put_frame(recording, main, line));
		uint32_t node = recording_put_node(recording, root,
						   recording_put_frame(recording, leaf, 12));

		recording_put_sample(recording, &(struct recording_sample){ line, 0, node, START_NS,
									    line, 0 });
	}
	recording_put_sample(
		recording,
		&(struct recording_sample){
			1, 0,
			recording_put_node(recording, 0, recording_put_frame(recording, exit, 0)),
			START_NS, 50, 0 });
	recording_put_sample(recording, &(struct recording_sample){ 1, 0, 0, START_NS, 60, 0 });
	flush_good(recording, START_NS);
	recording_free(recording);
	cr_assert_null(profile_add_file(profile, path));
	cr_assert_null(profile_finish(profile));
	return profile;
}

Test(collapsed, stacks_that_read_the_same_are_one_line, .fini = remove_scratch)
{
	struct profile *profile = small_profile();

	cr_assert_str_eq((char *)export_to_memory(&collapsed_exporter, profile, false).bytes,
			 "[no stack] 60\n"
			 "app.main (/srv/app.py:1);app.A.leaf (/srv/app.py:9) 7\n"
			 "[thread exit] 50\n");
	profile_free(profile);
}

Test(collapsed, lines_may_be_the_current_ones, .fini = remove_scratch)
{
	struct profile *profile = small_profile();
	char *text = (char *)export_to_memory(&collapsed_exporter, profile, true).bytes;

	cr_assert_not_null(
		strstr(text, "app.main (/srv/app.py:3);app.A.leaf (/srv/app.py:12) 3\n"));
	cr_assert_not_null(
		strstr(text, "app.main (/srv/app.py:4);app.A.leaf (/srv/app.py:12) 4\n"));
	profile_free(profile);
}

Test(collapsed, native_code_has_its_library, .fini = remove_scratch)
{
	struct profile *profile = native_profile();

	for (unsigned lines = 0; lines < 2; lines++)
		cr_assert_str_eq(
			(char *)export_to_memory(&collapsed_exporter, profile, lines).bytes,
			lines ? "main.main (/srv/main.py:2);eval (python3);hot (libfoo.so) 300\n"
				"main.main (/srv/main.py:2);eval (python3);[libfoo.so+0x1234] 400\n"
				"main.main (/srv/main.py:2);eval (python3);_ZN3foo3barEv (x:y z.so) 800\n"
				"main.main (/srv/main.py:2);eval (python3);a:b 1 (x:y z.so) 1600\n" :
				"main.main (/srv/main.py:1);eval (python3);hot (libfoo.so) 300\n"
				"main.main (/srv/main.py:1);eval (python3);[libfoo.so+0x1234] 400\n"
				"main.main (/srv/main.py:1);eval (python3);_ZN3foo3barEv (x:y z.so) 800\n"
				"main.main (/srv/main.py:1);eval (python3);a:b 1 (x:y z.so) 1600\n");
	profile_free(profile);
}
