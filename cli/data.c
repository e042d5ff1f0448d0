/*
 * data.c - commas, quotes and brackets.
 */
#include "data.h"

#include "json.h"

#include <string.h>

static void put_facts(struct data *data, const char *facts, size_t facts_bytes);
static void put_text(struct data *data, const char *text);
static void csv_text(struct sink *sink, const char *text);
static void begin_field(struct data *data);

void data_begin(struct data *data, const char *facts, size_t facts_bytes, uint64_t duration_ns)
{
	if (data->is_csv) {
		sink_puts(data->sink, "measurement,unit");
		for (size_t i = 0; data->keys[i]; i++)
			sink_format(data->sink, ",%s", data->keys[i]);
		sink_puts(data->sink, "\r\n");
		return;
	}
	sink_puts(data->sink, "{\"facts\":[");
	put_facts(data, facts, facts_bytes);
	sink_format(data->sink, "],\n\"duration_ns\":%llu,\n\"tables\":[",
		    (unsigned long long)duration_ns);
}

void data_end(struct data *data)
{
	if (!data->is_csv)
		sink_puts(data->sink, "]}\n");
}

void data_table(struct data *data, const struct data_table *table)
{
	data->measurement = table->measurement;
	data->unit = table->unit;
	data->rows = 0;
	if (data->is_csv)
		return;
	sink_puts(data->sink, data->tables++ ? ",\n{\"measurement\":" : "\n{\"measurement\":");
	json_quote(data->sink, table->measurement, strlen(table->measurement));
	sink_puts(data->sink, ",\"unit\":");
	json_quote(data->sink, table->unit, strlen(table->unit));
	sink_format(data->sink, ",\"value\":%llu", (unsigned long long)table->value);
	if (table->samples > 0)
		sink_format(data->sink, ",\"samples\":%llu", (unsigned long long)table->samples);
	sink_puts(data->sink, ",\"rows\":[");
}

void data_table_end(struct data *data)
{
	if (!data->is_csv)
		sink_puts(data->sink, "]}");
}

void data_row(struct data *data)
{
	data->fields = 0;
	if (data->is_csv) {
		put_text(data, data->measurement);
		sink_puts(data->sink, ",");
		put_text(data, data->unit);
	} else {
		sink_puts(data->sink, data->rows++ ? ",\n{" : "\n{");
	}
}

void data_number(struct data *data, uint64_t number)
{
	begin_field(data);
	sink_format(data->sink, "%llu", (unsigned long long)number);
}

void data_text(struct data *data, const char *text)
{
	begin_field(data);
	put_text(data, text);
}

void data_none(struct data *data)
{
	begin_field(data);
	if (!data->is_csv)
		sink_puts(data->sink, "null");
}

void data_line(struct data *data, uint64_t line)
{
	if (line > 0)
		data_number(data, line);
	else
		data_none(data);
}

void data_row_end(struct data *data)
{
	sink_puts(data->sink, data->is_csv ? "\r\n" : "}");
}

static void put_facts(struct data *data, const char *facts, size_t facts_bytes)
{
	const char *end = facts + facts_bytes, *newline;
	bool is_first = true;

	for (; facts < end; facts = newline + 1) {
		newline = memchr(facts, '\n', (size_t)(end - facts));
		sink_puts(data->sink, is_first ? "\n" : ",\n");
		is_first = false;
		json_quote(data->sink, facts, (size_t)(newline - facts));
	}
}

static void put_text(struct data *data, const char *text)
{
	if (data->is_csv)
		csv_text(data->sink, text);
	else
		json_quote(data->sink, text, strlen(text));
}

/* A spreadsheet takes what begins with = + - @ for a formula; RFC 4180 knows nothing of that, and the name is
   what it is. */
static void csv_text(struct sink *sink, const char *text)
{
	if (text[strcspn(text, ",\"\r\n")] == '\0') {
		sink_puts(sink, text);
		return;
	}
	sink_puts(sink, "\"");
	while (*text != '\0') {
		size_t n = strcspn(text, "\"");

		sink_put(sink, text, n);
		text += n;
		if (*text == '"') {
			sink_puts(sink, "\"\"");
			text++;
		}
	}
	sink_puts(sink, "\"");
}

static void begin_field(struct data *data)
{
	const char *key = data->keys[data->fields];

	if (data->is_csv)
		sink_puts(data->sink, ",");
	else
		sink_format(data->sink, data->fields ? ",\"%s\":" : "\"%s\":", key);
	data->fields++;
}
