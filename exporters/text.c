/*
 * text.c - the report as a file: what is known of the run, the functions, the tree of calls.
 *
 * Of the first metric of the measurement, as `monprof report` on 100 columns of a terminal that knows nothing but ASCII;
 * names stay UTF-8.
 */
#include "exporter.h"

#define WIDTH_COLUMNS 100
#define ROWS 50
#define BRANCHES 100

static void text_write(const struct profile *profile, uint32_t measurement,
		       const struct exporter_settings *settings, struct sink *sink);

const struct exporter_hooks text_exporter = { .write = text_write };

static void text_write(const struct profile *profile, uint32_t measurement,
		       const struct exporter_settings *settings, struct sink *sink)
{
	struct table table = { .sink = sink, .width = WIDTH_COLUMNS, .most = ROWS };
	uint32_t metric = summary_metric(profile, measurement);
	struct summary summary;

	(void)settings; /* rows are functions */
	if (summary_begin(&summary, profile, SUMMARY_FUNCTION)) {
		summary_take(&summary, metric, SUMMARY_ALL);
		table_facts(&table, profile);
		table_title(&table, &summary, metric);
		table_rows(&table, &summary, metric);
		sink_puts(sink, "\n");
		table.most = BRANCHES;
		table_tree(&table, &summary, metric);
	} else {
		sink_fail(sink, "no memory");
	}
	summary_release(&summary);
}
