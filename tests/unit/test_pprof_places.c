/*
 * test_pprof_places.c - native frames in profile.proto, field by field and as the real pprof reads them.
 */
#include "exported.h"

extern const struct exporter_hooks pprof_exporter;

/* Where this is in the text: there it has to be. */
static const char *line_with(const char *text, const char *what)
{
	const char *at = strstr(text, what);

	cr_assert_not_null(at, "%s not in %s", what, text);
	return at;
}

/* The number of the mapping with this in its line, as "M=2 ". */
static const char *mapping_of(const char *text, const char *file)
{
	static char number[16];
	const char *at = line_with(line_with(text, "\nMappings\n"), file);

	while (at[-1] != '\n')
		at--;
	snprintf(number, sizeof(number), "M=%d ", atoi(at));
	return number;
}

static void check_location(const char *text, const char *address, const char *file,
			   const char *name)
{
	char wanted[128];

	snprintf(wanted, sizeof(wanted), ": %s %s%s", address, mapping_of(text, file), name);
	line_with(text, wanted);
}

static bool has_functions(const char *text, const char *file)
{
	const char *at = line_with(line_with(text, "\nMappings\n"), file);
	const char *mark = strstr(at, "[FN]"), *end = strchr(at, '\n');

	return mark && mark < end;
}

Test(pprof_places, the_real_one_sees_addresses_in_mappings, .fini = remove_scratch)
{
	struct profile *profile = native_profile();
	struct bytes all = export_to_memory(&pprof_exporter, profile, false);
	char *text = run_pprof("-symbolize=none -raw", all);

	check_location(text, "0x100500", "/usr/bin/python3", "eval");
	check_location(text, "0x100501", "/usr/bin/python3", "eval");
	check_location(text, "0x200000", "/usr/lib/libfoo.so", "hot");
	check_location(text, "0x200002", "/usr/lib/libfoo.so", "hot");
	check_location(text, "0x200234", "/usr/lib/libfoo.so", "[libfoo.so+0x1234]");
	check_location(text, "0x300100", "/opt/x;y", "_ZN3foo3barEv");
	check_location(text, "0x0", "[python]", "main.main /srv/main.py:2");
	line_with(text, "\n1: 0x100000/0x108000/0x1000 /usr/bin/python3");
	line_with(text, "0x200000/0x208000/0x1000 /usr/lib/libfoo.so abcd");
	line_with(text, "0x0/0x0/0x0 [python]");
	profile_free(profile);
}

/* pprof looks for names in the files of those that do not say so. */
Test(pprof_places, a_mapping_has_functions_if_all_have_names, .fini = remove_scratch)
{
	struct profile *profile = native_profile();
	struct bytes all = export_to_memory(&pprof_exporter, profile, false);
	char *text = run_pprof("-symbolize=none -raw", all);

	cr_assert(has_functions(text, "/usr/bin/python3"));
	cr_assert_not(has_functions(text, "/usr/lib/libfoo.so"), "one has none");
	cr_assert(has_functions(text, "z.so"), "after a newline");
	profile_free(profile);
}

Test(pprof_places, the_real_one_keeps_our_names, .fini = remove_scratch)
{
	struct profile *profile = native_profile();
	struct bytes all = export_to_memory(&pprof_exporter, profile, false);
	char *text = run_pprof("-top -nodefraction=0 -unit=ns", all);

	line_with(text, "     300ns");
	line_with(text, "hot\n");
	line_with(text, "eval\n");
	line_with(text, "[libfoo.so+0x1234]\n");
	line_with(text, "foo::bar\n");
	line_with(text, "main.main\n");
	profile_free(profile);
}

static unsigned count_mappings(struct bytes plain)
{
	struct wire_cursor cursor = wire_cursor(plain.bytes, plain.size);
	struct wire_field field;
	unsigned count = 0;

	while (wire_next_field(&cursor, &field))
		count += field.number == 3;
	cr_assert_not(cursor.failed);
	return count;
}

/* Of processes that were forked: the executable, the library at its two addresses, [python]. */
Test(pprof_places, equal_mappings_are_one, .fini = remove_scratch)
{
	struct profile *profile = profile_new();
	struct bytes all;

	for (unsigned i = 1; i <= 3; i++) {
		struct recording_head head = make_head(in_scratch(i == 1 ? "a" :
								  i == 2 ? "b" :
									   "c"));
		struct recording *recording;
		uint64_t start = i < 3 ? 0x200000 : 0x500000;
		uint32_t mapping, node;

		head.session = i;
		recording = recording_new(&head);
		mapping = recording_put_mapping(recording,
						&(struct recording_mapping){ start, start + 4096, 0,
									     "/usr/lib/a.so", "" });
		node = recording_put_node(recording, 0,
					  put_native(recording, "f", "/usr/lib/a.so", mapping,
						     start + 5));
		recording_put_sample(recording,
				     &(struct recording_sample){ 1, 0, node, START_NS, 5, 0 });
		flush_good(recording, START_NS);
		recording_free(recording);
		cr_assert_null(profile_add_file(profile, head.path));
	}
	cr_assert_null(profile_finish(profile));
	cr_assert_eq(profile->mapping_count, 3);
	all = export_to_memory(&pprof_exporter, profile, false);
	cr_assert_eq(count_mappings(inflate_bytes(all)), 4);
	line_with(run_pprof("-top -unit=ns", all), "15ns   100%   100%");
	profile_free(profile);
}
