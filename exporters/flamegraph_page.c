/*
 * flamegraph_page.c - the page as text.
 *
 *   head of the page | table for those without scripts | profile as JSON | the page's script
 *
 * The JSON lies in a script element, which ends where "</script" stands and changes its rules at "<!--": no
 * '<' is ever written into it.  In the table names are cut; in the JSON they are whole, once each.
 */
#include "flamegraph.h"

#include <string.h>

#define FORMAT_VERSION 1
#define TOP_ROWS 30
#define SHOWN_BYTES 200 /* of a name, in the table */
#define NS_PER_MS 1000000

/* Made of exporters/flamegraph/ when we are built. */
extern const char flamegraph_head[], flamegraph_head_end[], flamegraph_tail[],
	flamegraph_tail_end[];

struct total {
	uint64_t self, total;
	uint32_t frame;
};

static void write_top(struct flamegraph *page);
static struct total *make_totals(struct flamegraph *page, uint64_t *step_totals, uint64_t *sum);
static int compare_totals(const void *a, const void *b);
static uint64_t frame_total(const struct flamegraph *page, uint32_t frame,
			    const uint64_t *step_totals, uint8_t *is_inside);
static void write_top_row(struct flamegraph *page, const struct total *total, uint64_t sum);
static void put_amount(struct flamegraph *page, uint64_t value, uint64_t sum);
static void put_html(struct flamegraph *page, const char *text);
static void write_data(struct flamegraph *page);
static void write_columns(struct flamegraph *page);
static void write_sources(struct flamegraph *page);
static void write_processes(struct flamegraph *page, const struct profile *profile);
static void write_notes(struct flamegraph *page, const struct profile *profile, uint32_t process);
static void write_threads(struct flamegraph *page, const struct profile *profile);
static void write_losses(struct flamegraph *page);
static void write_tree(struct flamegraph *page);
static void write_cells(struct flamegraph *page);
static void put_json(struct flamegraph *page, const char *text);

void flamegraph_put(struct flamegraph *page)
{
	sink_put(page->sink, flamegraph_head, (size_t)(flamegraph_head_end - flamegraph_head));
	write_top(page);
	write_data(page);
	sink_put(page->sink, flamegraph_tail, (size_t)(flamegraph_tail_end - flamegraph_tail));
}

/* The functions with the most of the first column, for those who have no scripts. */
static void write_top(struct flamegraph *page)
{
	uint64_t *step_totals = heap_zalloc(((size_t)page->steps.count + 1) * sizeof(*step_totals));
	uint8_t *is_inside = heap_zalloc((size_t)page->steps.count + 1);
	uint64_t sum = 0;
	struct total *totals = NULL;

	page->failed |= !step_totals || !is_inside;
	if (!page->failed)
		totals = make_totals(page, step_totals, &sum);
	if (totals) {
		sink_puts(page->sink, "<noscript><h1>");
		put_html(page, profile_string(page->profile, page->measurement));
		sink_puts(page->sink,
			  "</h1><p>This page draws a flame graph with a script. Without "
			  "scripts it has this table.</p><table><thead><tr><th>Self<th>"
			  "<th>Total<th><th>Function<tbody>\n");
		for (uint32_t i = 0; i < page->frames.count && i < TOP_ROWS; i++) {
			totals[i].total =
				frame_total(page, totals[i].frame, step_totals, is_inside);
			write_top_row(page, &totals[i], sum);
		}
		sink_puts(page->sink, "</table></noscript>\n");
	}
	heap_free(totals);
	heap_free(is_inside);
	heap_free(step_totals);
}

/* Of each frame, most first; totals of steps. NULL: no memory. */
static struct total *make_totals(struct flamegraph *page, uint64_t *step_totals, uint64_t *sum)
{
	const struct pair *steps = page->step_rows;
	struct total *totals = heap_zalloc(((size_t)page->frames.count + 1) * sizeof(*totals));

	page->failed |= !totals;
	if (!totals)
		return NULL;
	for (uint32_t i = 0; i < page->frames.count; i++)
		totals[i].frame = i + 1;
	for (uint32_t i = 0; i < page->cells.count; i++) {
		uint32_t step = page->cell_rows[i].a;
		uint64_t value = page->values[(size_t)i * page->column_count];
		struct total *total = &totals[steps[step - 1].b - 1];

		if (page->cell_rows[i].b >= page->profile->thread_count)
			continue;
		total->self = flamegraph_add(total->self, value);
		step_totals[step] = flamegraph_add(step_totals[step], value);
	}
	for (uint32_t step = page->steps.count; step > 0; step--)
		step_totals[steps[step - 1].a] =
			flamegraph_add(step_totals[steps[step - 1].a], step_totals[step]);
	*sum = step_totals[0];
	page->failed |= !sort_items(totals, page->frames.count, sizeof(*totals), compare_totals);
	return totals;
}

static int compare_totals(const void *a, const void *b)
{
	const struct total *left = a, *right = b;

	if (left->self != right->self)
		return left->self > right->self ? -1 : 1;
	return 0;
}

/* Of all steps of the frame, those below another of its own left out: recursion counts once. */
static uint64_t frame_total(const struct flamegraph *page, uint32_t frame,
			    const uint64_t *step_totals, uint8_t *is_inside)
{
	uint64_t sum = 0;

	for (uint32_t step = 1; step <= page->steps.count; step++) {
		const struct pair *row = &page->step_rows[step - 1];

		is_inside[step] = is_inside[row->a] || row->b == frame;
		if (is_inside[step] && !is_inside[row->a])
			sum = flamegraph_add(sum, step_totals[step]);
	}
	return sum;
}

static void write_top_row(struct flamegraph *page, const struct total *total, uint64_t sum)
{
	const struct page_frame *frame = intern_get(&page->frames, total->frame, NULL);
	const char *module = intern_get(&page->texts, frame->module, NULL);
	const char *name = intern_get(&page->texts, frame->name, NULL);
	const char *file = intern_get(&page->texts, frame->file, NULL);

	if (total->self == 0)
		return;
	sink_puts(page->sink, "<tr><td>");
	put_amount(page, total->self, sum);
	sink_puts(page->sink, "<td>");
	put_amount(page, total->total, sum);
	sink_puts(page->sink, "<td><bdi>");
	if (module) {
		put_html(page, module);
		sink_puts(page->sink, ".");
	}
	put_html(page, name ? name : "");
	sink_puts(page->sink, "</bdi>");
	if (file) {
		sink_puts(page->sink, "<br><small><bdi>");
		put_html(page, file);
		sink_puts(page->sink, "</bdi>");
		if (frame->line)
			sink_format(page->sink, ":%u", frame->line);
		sink_puts(page->sink, "</small>");
	}
	sink_puts(page->sink, "\n");
}

/* The value, a cell, and its share of the sum. */
static void put_amount(struct flamegraph *page, uint64_t value, uint64_t sum)
{
	const struct profile *profile = page->profile;
	const char *unit = profile_string(profile, page->columns[0].metric->unit);
	uint64_t permille = sum >= 1000 ? value / (sum / 1000) : value * 1000 / (sum + !sum);
	char fraction[8];

	permille = permille > 1000 ? 1000 : permille;
	if (strcmp(unit, "nanoseconds") == 0) {
		/* log_format pads no numbers */
		log_format(fraction, sizeof(fraction), "%u",
			   (unsigned)(1000 + value / NS_PER_MS % 1000));
		sink_format(page->sink, "%llu.%s s", (unsigned long long)(value / NS_PER_MS / 1000),
			    fraction + 1);
	} else {
		sink_format(page->sink, "%llu ", (unsigned long long)value);
		if (strcmp(unit, "count") != 0)
			put_html(page, unit);
	}
	sink_format(page->sink, "<td>%u.%u %%", (unsigned)(permille / 10),
		    (unsigned)(permille % 10));
}

/* As text of an element: at most SHOWN_BYTES, cut before a character. */
static void put_html(struct flamegraph *page, const char *text)
{
	size_t bytes = strnlen(text, SHOWN_BYTES + 1);
	bool is_cut = bytes > SHOWN_BYTES;

	for (bytes -= is_cut; is_cut && ((uint8_t)text[bytes] & 0xc0) == 0x80;)
		bytes--;
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] == '&')
			sink_puts(page->sink, "&amp;");
		else if (text[i] == '<')
			sink_puts(page->sink, "&lt;");
		else
			sink_put(page->sink, (uint8_t)text[i] < ' ' ? " " : &text[i], 1);
	}
	if (is_cut)
		sink_puts(page->sink, "\xe2\x80\xa6");
}

static void write_data(struct flamegraph *page)
{
	sink_format(page->sink,
		    "<script type=\"application/json\" id=\"data\">{\"format\":%u,\"measurement\":",
		    FORMAT_VERSION);
	put_json(page, profile_string(page->profile, page->measurement));
	sink_format(page->sink, ",\"is_cut\":%s",
		    page->profile->cut || (page->settings->base && page->settings->base->cut) ?
			    "true" :
			    "false");
	write_columns(page);
	write_sources(page);
	write_losses(page);
	write_tree(page);
	write_cells(page);
	sink_puts(page->sink, "}</script>\n");
}

static void write_columns(struct flamegraph *page)
{
	const struct profile *profile = page->profile;

	sink_puts(page->sink, ",\"origins\":[");
	for (unsigned i = 0; i < PROFILE_ORIGINS; i++) {
		sink_puts(page->sink, i ? "," : "");
		put_json(page, profile_origin_name(i));
	}
	sink_puts(page->sink, "],\"columns\":[");
	for (uint32_t i = 0; i < page->column_count; i++) {
		const struct column *column = &page->columns[i];
		const struct profile_metric *metric = column->metric;

		sink_puts(page->sink, i ? ",[" : "[");
		put_json(page, profile_string(profile, column->is_count ? metric->count_name :
									  metric->name));
		sink_puts(page->sink, ",");
		put_json(page, column->is_count ? "count" : profile_string(profile, metric->unit));
		sink_puts(page->sink, "]");
	}
	sink_puts(page->sink, "]");
}

/* Processes and threads; those from `base` on are of the base. */
static void write_sources(struct flamegraph *page)
{
	const struct profile *profile = page->profile, *base = page->settings->base;

	if (base)
		sink_format(page->sink, ",\"base\":{\"process\":%zu,\"thread\":%zu}",
			    profile->process_count, profile->thread_count);
	sink_puts(page->sink, ",\"processes\":[");
	write_processes(page, profile);
	if (base)
		write_processes(page, base);
	sink_puts(page->sink, "],\"threads\":[");
	write_threads(page, profile);
	if (base)
		write_threads(page, base);
	sink_puts(page->sink, "]");
}

/* [pid, program, python, writer, start in ms since 1970, duration in ms, [note, ...]] */
static void write_processes(struct flamegraph *page, const struct profile *profile)
{
	for (size_t i = 0; i < profile->process_count; i++) {
		const struct profile_process *process = &profile->processes[i];
		uint64_t duration = process->end_monotonic_ns - process->start_monotonic_ns;

		sink_format(page->sink, i || profile != page->profile ? ",[%llu," : "[%llu,",
			    (unsigned long long)process->pid);
		put_json(page, profile_string(profile, process->program));
		sink_puts(page->sink, ",");
		put_json(page, profile_string(profile, process->python));
		sink_puts(page->sink, ",");
		put_json(page, profile_string(profile, process->writer));
		sink_format(page->sink, ",%llu,%llu,[",
			    (unsigned long long)(process->start_realtime_ns / NS_PER_MS),
			    (unsigned long long)(duration / NS_PER_MS));
		write_notes(page, profile, (uint32_t)i);
		sink_puts(page->sink, "]]");
	}
}

static void write_notes(struct flamegraph *page, const struct profile *profile, uint32_t process)
{
	bool is_first = true;

	for (size_t i = 0; i < profile->note_count; i++) {
		const struct profile_note *note = &profile->notes[i];

		if (note->process != process)
			continue;
		sink_puts(page->sink, is_first ? "" : ",");
		put_json(page, profile_string(profile, note->key));
		sink_puts(page->sink, ",");
		put_json(page, profile_string(profile, note->value));
		is_first = false;
	}
}

/* [index of the process, tid, name, ...] */
static void write_threads(struct flamegraph *page, const struct profile *profile)
{
	bool is_base = profile != page->profile;
	uint32_t first_process = is_base ? (uint32_t)page->profile->process_count : 0;

	for (size_t i = 0; i < profile->thread_count; i++) {
		const struct profile_thread *thread = &profile->threads[i];

		sink_format(page->sink, i || is_base ? ",%u,%llu," : "%u,%llu,",
			    first_process + thread->process, (unsigned long long)thread->tid);
		put_json(page, profile_string(profile, thread->name));
	}
}

/* [count, reason, help, ...] */
static void write_losses(struct flamegraph *page)
{
	const struct profile *profile = page->profile;

	sink_puts(page->sink, ",\"losses\":[");
	for (size_t i = 0; i < profile->loss_count; i++) {
		const struct profile_loss *loss = &profile->losses[i];

		sink_format(page->sink, i ? ",%llu," : "%llu,", (unsigned long long)loss->count);
		put_json(page, profile_string(profile, loss->reason));
		sink_puts(page->sink, ",");
		put_json(page, profile_string(profile, loss->help));
	}
	sink_puts(page->sink, "]");
}

/*
 * strings[0] is "".  frames: module, name, file, line, origin of each, numbered from 1.  nodes: how far back
 * the parent is, frame of each, numbered from 1; what has no parent is as far back as 0 is.
 */
static void write_tree(struct flamegraph *page)
{
	sink_puts(page->sink, ",\n\"strings\":[\"\"");
	for (uint32_t id = 1; id <= page->texts.count; id++) {
		sink_puts(page->sink, ",");
		put_json(page, intern_get(&page->texts, id, NULL));
	}
	sink_puts(page->sink, "],\n\"frames\":[");
	for (uint32_t id = 1; id <= page->frames.count; id++) {
		const struct page_frame *frame = intern_get(&page->frames, id, NULL);

		sink_format(page->sink, "%s%u,%u,%u,%u,%u", id > 1 ? "," : "", frame->module,
			    frame->name, frame->file, frame->line, frame->origin);
	}
	sink_puts(page->sink, "],\n\"nodes\":[");
	for (uint32_t id = 1; id <= page->steps.count; id++) {
		const struct pair *step = &page->step_rows[id - 1];

		sink_format(page->sink, "%s%u,%u", id > 1 ? "," : "", id - step->a, step->b);
	}
	sink_puts(page->sink, "]");
}

/* Node, thread, then a value for each column. */
static void write_cells(struct flamegraph *page)
{
	sink_puts(page->sink, ",\n\"cells\":[");
	for (uint32_t i = 0; i < page->cells.count; i++) {
		const struct pair *cell = &page->cell_rows[i];
		const uint64_t *values = &page->values[(size_t)i * page->column_count];

		sink_format(page->sink, "%s%u,%u", i > 0 ? "," : "", cell->a, cell->b);
		for (uint32_t column = 0; column < page->column_count; column++)
			sink_format(page->sink, ",%llu", (unsigned long long)values[column]);
	}
	sink_puts(page->sink, "]");
}

/* A string of JSON (RFC 8259) without any '<'. */
static void put_json(struct flamegraph *page, const char *text)
{
	static const char digits[] = "0123456789abcdef";
	size_t plain;

	sink_puts(page->sink, "\"");
	for (; *text; text += plain) {
		uint8_t byte = (uint8_t)*text;

		for (plain = 0; (uint8_t)text[plain] >= ' ' && !strchr("<\"\\", text[plain]);)
			plain++;
		sink_put(page->sink, text, plain);
		if (plain > 0)
			continue;
		sink_format(page->sink, "\\u00%c%c", digits[byte >> 4], digits[byte & 15]);
		plain = 1;
	}
	sink_puts(page->sink, "\"");
}
