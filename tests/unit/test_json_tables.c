#include "exported.h"
#include "windows.h"

#include "utf8.h"

extern const struct exporter_hooks json_exporter;

static struct profile *read_profile(struct bytes recording)
{
	struct profile *profile = profile_new();

	cr_assert_null(profile_add_bytes(profile, recording.bytes, recording.size));
	cr_assert_null(profile_finish(profile));
	return profile;
}

/* What jq prints for a filter and a file; the test is skipped where there is no jq. */
static char *run_jq(const char *command_line, struct bytes all)
{
	char command[4096];
	char *output = in_scratch("output");

	if (system("command -v jq >/dev/null 2>&1") != 0)
		cr_skip_test("no jq here");
	spill(in_scratch("monprof.1234.cpu.json"), all.bytes, all.size);
	snprintf(command, sizeof(command), "cd '%s' && %s >'%s' 2>&1", scratch(), command_line,
		 output);
	cr_assert_eq(system(command), 0, "%s: %s", command, (char *)slurp(output).bytes);
	return (char *)slurp(output).bytes;
}

Test(json_tables, tables_are_those_of_the_profile, .fini = remove_scratch)
{
	static const struct recording_sample samples[] = {
		{ 1, WINDOWS_CPU, MAIN, START_NS, 7, 0 },
		{ 2, WINDOWS_CALLS, MAIN_F_LEN, START_NS, 3, 4 },
		{ 2, WINDOWS_CALLS, 0, START_NS, 2, 0 },
	};
	static const struct windows_note notes[] = { { "windows.calls", "0" }, { NULL, NULL } };
	struct profile *profile =
		read_profile(windows_recording(1, samples, PROF_COUNT(samples), notes));
	struct bytes all = export_measurement(&json_exporter, profile,
					      profile->metrics[WINDOWS_CALLS].collector, false);

	cr_assert_str_eq(strstr((char *)all.bytes, "\"threads\""),
			 "\"threads\":[\n"
			 "{\"process\":0,\"tid\":101,\"name\":\"\"},\n"
			 "{\"process\":0,\"tid\":102,\"name\":\"\"}],\n"
			 "\"metrics\":[\n"
			 "{\"name\":\"calls\",\"unit\":\"count\",\"count\":\"\"},\n"
			 "{\"name\":\"time\",\"unit\":\"nanoseconds\",\"count\":\"\"}],\n"
			 "\"mappings\":[],\n"
			 "\"functions\":[\n"
			 "{\"name\":\"m.main\",\"module\":\"m\",\"qualname\":\"main\","
			 "\"file\":\"/srv/service/app.py\",\"line\":1,\"kind\":\"python\"},\n"
			 "{\"name\":\"m.f\",\"module\":\"m\",\"qualname\":\"f\","
			 "\"file\":\"/srv/service/app.py\",\"line\":10,\"kind\":\"python\"},\n"
			 "{\"name\":\"builtins.len\",\"module\":\"builtins\",\"qualname\":\"len\","
			 "\"file\":\"\",\"line\":0,\"kind\":\"native\"}],\n"
			 "\"frames\":[\n"
			 "{\"function\":0,\"line\":2},\n"
			 "{\"function\":1,\"line\":11},\n"
			 "{\"function\":2,\"line\":0}],\n"
			 "\"nodes\":[\n"
			 "{\"frame\":0,\"parent\":null},\n"
			 "{\"frame\":1,\"parent\":0},\n"
			 "{\"frame\":2,\"parent\":1}],\n"
			 "\"samples\":[\n"
			 "{\"metric\":0,\"thread\":1,\"node\":null,\"value\":2,\"count\":1},\n"
			 "{\"metric\":0,\"thread\":1,\"node\":2,\"value\":3,\"count\":1,"
			 "\"duration_least_ns\":8}],\n"
			 "\"errors\":[],\n"
			 "\"losses\":[]}\n");
	profile_free(profile);
}

Test(json_tables, it_is_text_whatever_the_names_are, .fini = remove_scratch)
{
	struct filled filled;
	struct profile *profile = hostile_profile(3, &filled);
	struct bytes all = export_to_memory(&json_exporter, profile, false);
	size_t at = 0;

	while (at < all.size) {
		size_t n = utf8_character((char *)all.bytes + at, all.size - at);

		cr_assert_gt(n, 0);
		cr_assert(all.bytes[at] >= ' ' || all.bytes[at] == '\n');
		at += n;
	}
	cr_assert_not_null(
		strstr((char *)all.bytes, "{\"name\":\"\\\"quoted\\\\.\\\"quoted\\\\\""));
	cr_assert_not_null(strstr((char *)all.bytes, "new\\nline\\u000dand\\ttab"));
	profile_free(profile);
}

Test(json_tables, jq_finds_every_name_and_the_sum, .fini = remove_scratch)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct filled filled;
		struct profile *profile = hostile_profile(seed, &filled);
		struct bytes all = export_to_memory(&json_exporter, profile, false);
		char wanted[64];

		snprintf(wanted, sizeof(wanted), "%llu %llu true\n",
			 (unsigned long long)filled.value, (unsigned long long)filled.count);
		cr_assert_str_eq(
			run_jq("jq -r '\"\\([.samples[].value] | add) \\([.samples[].count] | add) "
			       "\\([.nodes | to_entries[] | .value.parent == null or "
			       ".value.parent < .key] | all)\"' monprof.1234.cpu.json",
			       all),
			wanted);
		cr_assert_str_eq(run_jq("jq -r '[.functions[] | select(.file == \"</script><!--\")]"
					" | length' monprof.1234.cpu.json",
					all),
				 "1\n");
		profile_free(profile);
	}
}

/* The commands of the manual, as they stand there; its first line begins with jq, its last one ends the block. */
static char *manual_command(unsigned which)
{
	char path[4096], *text, *end;
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);

	cr_assert_gt(n, 0);
	path[n] = '\0';
	*strstr(path, "/build/") = '\0';
	text = (char *)slurp(strcat(path, "/man/monprof.1.in")).bytes;
	for (unsigned i = 0; i <= which; i++) {
		text = strstr(text + 1, "\njq -r ");
		cr_assert_not_null(text);
	}
	end = strstr(text + 1, "\njq -r ");
	if (!end)
		end = strstr(text, "\n.Ed");
	*end = '\0';
	return text + 1;
}

Test(json_tables, the_commands_of_the_manual_work, .fini = remove_scratch)
{
	static const struct recording_sample samples[] = {
		{ 1, WINDOWS_CPU, MAIN, START_NS, 7, 0 },
		{ 2, WINDOWS_CPU, MAIN_F, START_NS, 30, 0 },
		{ 1, WINDOWS_CPU, MAIN_F_F, START_NS, 5, 0 },
		{ 1, WINDOWS_CPU, 0, START_NS, 1, 0 },
	};
	static const struct windows_note none[] = { { NULL, NULL } };
	struct profile *profile =
		read_profile(windows_recording(1, samples, PROF_COUNT(samples), none));
	struct bytes all = export_to_memory(&json_exporter, profile, false);

	cr_assert_str_eq(run_jq(manual_command(0), all), "35\tm.f\n7\tm.main\n");
	cr_assert_str_eq(run_jq(manual_command(1), all), "13\t\n30\t\n");
	profile_free(profile);
}

Test(json_tables, native_frames_have_addresses, .fini = remove_scratch)
{
	struct profile *profile = native_profile();
	struct bytes all = export_to_memory(&json_exporter, profile, false);
	const char *text = (char *)all.bytes;

	cr_assert_not_null(strstr(text, "\"mappings\":[\n"
					"{\"process\":0,\"start\":1048576,\"end\":1081344,"
					"\"offset\":4096,\"file\":\"/usr/bin/python3\","
					"\"build_id\":\"\"},\n"
					"{\"process\":0,\"start\":2097152,\"end\":2129920,"
					"\"offset\":4096,\"file\":\"/usr/lib/libfoo.so\","
					"\"build_id\":\"abcd\"},\n"));
	cr_assert_not_null(strstr(text, "\"frames\":[\n"
					"{\"function\":0,\"line\":2},\n"
					"{\"function\":1,\"line\":0,\"mapping\":0,"
					"\"address\":1049856},\n"
					"{\"function\":2,\"line\":0,\"mapping\":1,"
					"\"address\":2097152},\n"
					"{\"function\":2,\"line\":0,\"mapping\":1,"
					"\"address\":2097154},\n"));
	cr_assert_str_eq(run_jq("jq -r '. as $p | [.frames[] | select(.mapping != null) | "
				"$p.mappings[.mapping].file == $p.functions[.function].file] | "
				"\"\\(length) \\(all)\"' monprof.1234.cpu.json",
				all),
			 "7 true\n");
	profile_free(profile);
}
