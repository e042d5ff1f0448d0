/*
 * report_data.c - the tables of a report as JSON or CSV.
 */
#include "calls.h"
#include "data.h"
#include "heap.h"
#include "report.h"

static const char *const *keys_of(const struct report_wish *wish);
static void put_table(const struct report_wish *wish, struct report_part *part, struct data *data);
static void put_calls(struct report_part *part, const struct report_wish *wish, struct data *data);
static void put_rows(const struct report_wish *wish, const struct summary *summary,
		     struct data *data);
static void put_steps(const struct report_wish *wish, const struct summary *summary,
		      struct data *data);
static void put_name(const struct summary *summary, const struct summary_row *row,
		     struct data *data);
static size_t most(const struct report_wish *wish);

void report_data(const struct report_wish *wish, const struct report_input *input,
		 struct report_part *parts, size_t count, struct sink *sink)
{
	struct data data = {
		.sink = sink,
		.is_csv = wish->format == REPORT_CSV,
		.keys = keys_of(wish),
	};
	struct table facts = { .sink = sink_memory(false), .width = TABLE_ENDLESS };
	const void *bytes;
	size_t size_bytes;

	if (!facts.sink) {
		sink_fail(sink, "no memory");
		return;
	}
	report_facts(&facts, input);
	bytes = sink_bytes(facts.sink, &size_bytes);
	data_begin(&data, bytes, size_bytes, summary_duration(input->profile));
	for (size_t i = 0; i < count; i++)
		if (!wish->name || *summary_asked(&parts[i].summary))
			put_table(wish, &parts[i], &data);
	data_end(&data);
	sink_close(facts.sink);
}

static const char *const *keys_of(const struct report_wish *wish)
{
	static const char *const rows[] = { "self", "total", "name", "file", "line", NULL };
	static const char *const threads[] = { "self", "total", "name", "pid", "tid", NULL };
	static const char *const steps[] = { "id",   "parent", "depth", "self", "total",
					     "name", "file",   "line",	NULL };

	if (wish->form == REPORT_CALLS)
		return calls_keys;
	if (wish->form == REPORT_TREE)
		return steps;
	return wish->by == SUMMARY_THREAD ? threads : rows;
}

static void put_table(const struct report_wish *wish, struct report_part *part, struct data *data)
{
	const struct profile *profile = part->summary.profile;
	const struct profile_metric *metric = &profile->metrics[part->metric];
	struct summary *summary = &part->summary;

	summary_take(summary, part->metric, wish->side);
	data_table(data, &(struct data_table){
				 .measurement = profile_string(profile, metric->name),
				 .unit = profile_string(profile, metric->unit),
				 .value = wish->side == SUMMARY_ALL ? summary->value :
								      summary->asked_total,
				 .samples = wish->side == SUMMARY_ALL ? summary->samples : 0,
			 });
	if (wish->form == REPORT_CALLS)
		put_calls(part, wish, data);
	else if (wish->form == REPORT_TREE)
		put_steps(wish, summary, data);
	else
		put_rows(wish, summary, data);
	data_table_end(data);
}

static void put_calls(struct report_part *part, const struct report_wish *wish, struct data *data)
{
	struct calls calls = { 0 };

	if (calls_take(&calls, &part->summary, wish->side))
		calls_data(&calls, data, most(wish));
	else
		sink_fail(data->sink, "no memory");
	calls_release(&calls);
}

static void put_rows(const struct report_wish *wish, const struct summary *summary,
		     struct data *data)
{
	size_t count;
	const struct summary_row **rows = summary_sort(summary, &count);

	for (size_t i = 0; rows && i < count && i < most(wish); i++) {
		data_row(data);
		data_number(data, rows[i]->self);
		data_number(data, rows[i]->total);
		put_name(summary, rows[i], data);
		data_row_end(data);
	}
	if (!rows)
		sink_fail(data->sink, "no memory");
	heap_free(rows);
}

/* All of them, parents first. */
static void put_steps(const struct report_wish *wish, const struct summary *summary,
		      struct data *data)
{
	uint32_t *depths = heap_zalloc(((size_t)summary->step_count + 1) * sizeof(*depths));

	if (!depths)
		sink_fail(data->sink, "no memory");
	for (uint32_t id = 1; depths && id <= summary->step_count; id++) {
		const struct summary_step *step = &summary->steps[id - 1];

		depths[id] = depths[step->parent] + 1;
		if (step->total == 0 || (wish->depth > 0 && depths[id] > wish->depth))
			continue;
		data_row(data);
		data_number(data, id);
		data_number(data, step->parent);
		data_number(data, depths[id]);
		data_number(data, step->self);
		data_number(data, step->total);
		put_name(summary, &summary->rows[step->row - 1], data);
		data_row_end(data);
	}
	heap_free(depths);
}

static void put_name(const struct summary *summary, const struct summary_row *row,
		     struct data *data)
{
	data_text(data, row->name);
	if (summary->by == SUMMARY_THREAD)
		data_number(data, row->pid);
	else
		data_text(data, row->file);
	data_line(data, row->number);
}

static size_t most(const struct report_wish *wish)
{
	return wish->rows ? wish->rows : SIZE_MAX;
}
