/*
 * test_registry.c - the rows are those of the tables.
 */
#include "registry.h"

#include <criterion/criterion.h>
#include <string.h>

Test(registry, a_collector_stands_in_the_row_of_its_id)
{
#define COLLECTOR(id, text)                                               \
	extern const struct collector_hooks id##_collector;               \
	cr_expect_str_eq(registry_collectors[COLLECTOR_##id].name, #id);  \
	cr_expect_str_eq(registry_collectors[COLLECTOR_##id].help, text); \
	cr_expect_eq(registry_collectors[COLLECTOR_##id].hooks, &id##_collector);
#include "../../collectors/collectors.def"
#undef COLLECTOR
}

Test(registry, exporters_stand_in_order_and_end)
{
	const struct exporter *row = registry_exporters;

#define EXPORTER(id, end, text)                           \
	extern const struct exporter_hooks id##_exporter; \
	cr_expect_str_eq(row->name, #id);                 \
	cr_expect_str_eq(row->suffix, end);               \
	cr_expect_str_eq(row->help, text);                \
	cr_expect_eq(row->hooks, &id##_exporter);         \
	cr_expect_not_null(row++->hooks->write);
#include "../../exporters/exporters.def"
#undef EXPORTER
	cr_expect_null(row->name);
}

/* What a LIST option's bits mean is what the registry's rows are. */
Test(registry, rows_are_the_bits_of_the_options)
{
	const struct option *collectors = option_row(OPTION_COLLECT);
	char word[32];

	for (unsigned row = 0; row < COLLECTOR_COUNT; row++)
		cr_expect_str_eq(option_word(collectors, row, word, sizeof(word)),
				 registry_collectors[row].name);
	cr_expect_null(option_word(collectors, COLLECTOR_COUNT, word, sizeof(word)));
}
