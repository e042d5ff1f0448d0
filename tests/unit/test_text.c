#include "command.h"
#include "exported.h"

#include "columns.h"

extern const struct exporter_hooks text_exporter;

/* The two tables of the report, one after the other. */
Test(text, it_is_the_report_as_a_file, .fini = remove_scratch)
{
	struct filled filled;
	struct profile *profile = hostile_profile(1, &filled);
	const char *text = (char *)export_to_memory(&text_exporter, profile, false).bytes;
	const char *table, *tree;

	profile_free(profile);
	setenv("COLUMNS", "100", 1);
	table = run("report hostile1 -n 50").out;
	tree = strstr(run("report hostile1 --tree -n 100").out, "\n      self ");
	cr_assert_not_null(tree);
	cr_assert_eq(strncmp(text, table, strlen(table)), 0, "%s", text);
	cr_assert_str_eq(text + strlen(table), tree);
}

Test(text, lines_of_tables_have_their_width_and_nothing_else, .fini = remove_scratch)
{
	struct filled filled;
	struct profile *profile = hostile_profile(2, &filled);
	char *text = (char *)export_to_memory(&text_exporter, profile, false).bytes;
	char *line, *state = NULL;

	profile_free(profile);
	for (const char *c = text; *c != '\0'; c++)
		cr_assert((uint8_t)*c >= ' ' || *c == '\n');
	line = strstr(text, "\n      self ");
	cr_assert_not_null(line);
	for (line = strtok_r(line, "\n", &state); line; line = strtok_r(NULL, "\n", &state))
		cr_assert_leq(columns_count(line), 100, "%s", line);
}

Test(text, native_code_has_its_library, .fini = remove_scratch)
{
	struct profile *profile = native_profile();
	char *text = (char *)export_to_memory(&text_exporter, profile, false).bytes;

	cr_assert_not_null(strstr(text, " hot (libfoo.so)\n"));
	cr_assert_not_null(strstr(text, " eval (python3)\n"));
	cr_assert_not_null(strstr(text, " [libfoo.so+0x1234]\n"));
	cr_assert_not_null(strstr(text, " main.main (/srv/main.py:1)\n"));
	profile_free(profile);
}
