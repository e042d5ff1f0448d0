/*
 * report.c - monprof report FILE...: what was asked for, and the tables that answer it.
 *
 *   files -> profile (report_input.c) -> a summary for each measurement -> table.h, calls.c, report_data.c
 *
 * All is summed before anything is printed, so that a name that is not there leaves standard output empty.
 */
#include "args.h"
#include "calls.h"
#include "cli.h"
#include "heap.h"
#include "output.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ROWS_PRESET 20
#define BRANCHES_PRESET 40
#define ROWS_MOST 1000000
#define TERMINAL_COLUMNS 80 /* of one that does not say */

enum report_flag {
	REPORT_ROWS,
	REPORT_BY,
	REPORT_AS_TREE,
	REPORT_DEPTH,
	REPORT_AS_CALLS,
	REPORT_CALLERS,
	REPORT_CALLEES,
	REPORT_AS,
	REPORT_FILTER
};

static int parse(struct report_wish *wish, struct args *args);
static int take_flag(struct report_wish *wish, int flag, const char *value);
static int parse_number(const char *flag, const char *text, size_t *number);
static int take_name(struct report_wish *wish, enum summary_side side, const char *name);
static int check(const struct report_wish *wish, const struct args *args);
static int report_files(const struct report_wish *wish);
static int report(const struct report_wish *wish, const struct report_input *input);
static struct report_part *make_parts(const struct report_wish *wish, const struct profile *profile,
				      size_t *count);
static bool have_failed(const struct report_part *parts, size_t count);
static int show(const struct report_wish *wish, const struct report_input *input,
		struct report_part *parts, size_t count);
static void begin_table(struct table *table, const struct report_wish *wish);
static unsigned terminal_width(void);
static bool is_coloured(void);
static bool has_blocks(void);
static errmsg show_part(const struct report_wish *wish, const struct table *table,
			struct report_part *part);
static errmsg show_calls(const struct report_wish *wish, const struct table *table,
			 struct summary *summary);

/* In the order of their enums. */
static const char by_words[] = "function line file module thread";
static const char format_words[] = "text json csv";

int cli_report(int argc, char **argv)
{
	static const struct args_flag flags[] = {
		[REPORT_ROWS] = { "rows", 'n', true },
		[REPORT_BY] = { "by", 'b', true },
		[REPORT_AS_TREE] = { "tree", 't', false },
		[REPORT_DEPTH] = { "depth", 'd', true },
		[REPORT_AS_CALLS] = { "calls", '\0', false },
		[REPORT_CALLERS] = { "callers", '\0', true },
		[REPORT_CALLEES] = { "callees", '\0', true },
		[REPORT_AS] = { "format", 'f', true },
		FILTER_ROWS(REPORT_FILTER),
	};
	struct report_wish wish = { .rows = 0 };
	struct args args;
	int status;

	args_begin(&args, argc, argv, flags, PROF_COUNT(flags));
	status = parse(&wish, &args);
	wish.files = args.operands;
	wish.file_count = args.operand_count;
	if (status == CLI_GOOD)
		status = report_files(&wish);
	filter_release(&wish.filter);
	return status;
}

static int parse(struct report_wish *wish, struct args *args)
{
	int status = CLI_GOOD, flag;

	while (status == CLI_GOOD && (flag = args_next(args)) != ARGS_END)
		status = flag == ARGS_WRONG ? CLI_USAGE : take_flag(wish, flag, args->value);
	if (status == CLI_GOOD)
		status = check(wish, args);
	return status == CLI_GOOD ? filter_finish(&wish->filter) : status;
}

static int take_flag(struct report_wish *wish, int flag, const char *value)
{
	size_t depth = 0;
	int word, status = CLI_GOOD;

	switch (flag) {
	case REPORT_ROWS:
		return parse_number("-n", value, &wish->rows);
	case REPORT_BY:
		word = args_word("--by", value, by_words);
		wish->by = word < 0 ? SUMMARY_FUNCTION : (enum summary_by)word;
		return word < 0 ? CLI_USAGE : CLI_GOOD;
	case REPORT_AS_TREE:
		wish->form = REPORT_TREE;
		return CLI_GOOD;
	case REPORT_DEPTH:
		status = parse_number("--depth", value, &depth);
		wish->depth = (unsigned)depth;
		return status;
	case REPORT_AS_CALLS:
		wish->form = REPORT_CALLS;
		return CLI_GOOD;
	case REPORT_AS:
		word = args_word("--format", value, format_words);
		wish->format = word < 0 ? REPORT_TEXT : (enum report_format)word;
		return word < 0 ? CLI_USAGE : CLI_GOOD;
	case REPORT_CALLERS:
		return take_name(wish, SUMMARY_CALLERS, value);
	case REPORT_CALLEES:
		return take_name(wish, SUMMARY_CALLEES, value);
	default:
		return filter_take(&wish->filter, flag - REPORT_FILTER, value);
	}
}

static int parse_number(const char *flag, const char *text, size_t *number)
{
	char *end;

	*number = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || *number < 1 || *number > ROWS_MOST)
		return cli_usage("%s %s: not a number from 1 to %d", flag, text, ROWS_MOST);
	return CLI_GOOD;
}

static int take_name(struct report_wish *wish, enum summary_side side, const char *name)
{
	if (wish->name)
		return cli_usage("report: callers or callees of one function at a time");
	wish->side = side;
	wish->name = name;
	return CLI_GOOD;
}

static int check(const struct report_wish *wish, const struct args *args)
{
	if (args->operand_count == 0)
		return cli_usage("report: on which file? FILE is missing");
	if (wish->form == REPORT_CALLS && wish->by != SUMMARY_FUNCTION)
		return cli_usage("report: --calls is by function");
	if (wish->form == REPORT_TREE && wish->by == SUMMARY_THREAD)
		return cli_usage("report: a thread calls nothing, --tree is by something else");
	if (wish->form == REPORT_TREE && wish->name)
		return cli_usage("report: --tree, or callers or callees");
	if (wish->name && wish->by == SUMMARY_THREAD)
		return cli_usage("report: a thread has no callers and callees");
	if (wish->depth > 0 && wish->form != REPORT_TREE)
		return cli_usage("report: --depth is for --tree");
	return CLI_GOOD;
}

static int report_files(const struct report_wish *wish)
{
	struct report_input input = { 0 };
	const char *file;
	errmsg error;
	int status;

	if (wish->file_count > 1 && !report_is_recording(wish->files[0]))
		return cli_usage("report: '%s' is not a recording, and only those are summed",
				 wish->files[0]);
	error = report_open(&input, wish, &file);
	if (error)
		status = cli_fail(file, error);
	else if (input.is_pprof && wish->filter.is_used)
		status = cli_usage("report: '%s' is not a recording, and only those are filtered",
				   file);
	else
		status = report(wish, &input);
	report_release(&input);
	return status;
}

static int report(const struct report_wish *wish, const struct report_input *input)
{
	size_t count = 0;
	struct report_part *parts = make_parts(wish, input->profile, &count);
	int status = CLI_GOOD;

	if (!parts || have_failed(parts, count))
		status = cli_fail(wish->files[0], "no memory");
	else if (count == 0)
		status = cli_fail(wish->files[0], wish->form == REPORT_CALLS ?
							  "there are no calls in it" :
							  filter_nothing(&wish->filter));
	else if (wish->name)
		status = report_ask(parts, count, wish);
	if (status == CLI_GOOD)
		status = show(wish, input, parts, count);
	for (size_t i = 0; i < count; i++)
		summary_release(&parts[i].summary);
	heap_free(parts);
	return status;
}

/* Those that are asked for. NULL: no memory. */
static struct report_part *make_parts(const struct report_wish *wish, const struct profile *profile,
				      size_t *count)
{
	struct report_part *parts = heap_zalloc((profile->metric_count + 1) * sizeof(*parts));
	uint32_t measurement = parts ? output_measurement(profile, 0) : 0;

	for (; measurement != 0; measurement = output_measurement(profile, measurement)) {
		struct report_part *part = &parts[*count];

		part->metric = summary_metric(profile, measurement);
		part->is_calls = calls_are_in(profile, measurement);
		if (wish->form == REPORT_CALLS && !part->is_calls)
			continue;
		++*count;
		if (!summary_begin(&part->summary, profile, wish->by))
			continue;
		summary_take(&part->summary, part->metric, SUMMARY_ALL);
	}
	return parts;
}

static bool have_failed(const struct report_part *parts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (parts[i].summary.failed)
			return true;
	return false;
}

static int show(const struct report_wish *wish, const struct report_input *input,
		struct report_part *parts, size_t count)
{
	struct sink *sink = sink_open("-", false);
	struct table table = { .sink = sink };
	errmsg error = sink ? NULL : "no memory";

	if (!error && wish->format != REPORT_TEXT) {
		report_data(wish, input, parts, count, sink);
	} else if (!error) {
		begin_table(&table, wish);
		report_facts(&table, input);
		for (size_t i = 0; i < count && !error; i++)
			error = show_part(wish, &table, &parts[i]);
	}
	if (error && sink)
		sink_fail(sink, error);
	error = sink ? sink_close(sink) : error;
	return error ? cli_fail("standard output", error) : CLI_GOOD;
}

static void begin_table(struct table *table, const struct report_wish *wish)
{
	table->width = terminal_width();
	table->most = wish->form == REPORT_TREE ? BRANCHES_PRESET : ROWS_PRESET;
	if (wish->rows > 0)
		table->most = wish->rows;
	table->depth = wish->depth;
	table->is_coloured = is_coloured();
	table->has_blocks = has_blocks();
}

/* Columns of the terminal; what is not one has no end. */
static unsigned terminal_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;

	if (columns && atoi(columns) > 0 && atoi(columns) < TABLE_ENDLESS)
		return (unsigned)atoi(columns);
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return isatty(STDOUT_FILENO) ? TERMINAL_COLUMNS : TABLE_ENDLESS;
}

/* no-color.org: set and not empty. */
static bool is_coloured(void)
{
	const char *refused = getenv("NO_COLOR"), *terminal = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(refused && *refused) && terminal && *terminal &&
	       strcmp(terminal, "dumb") != 0;
}

/* A terminal whose locale is of UTF-8, by the first variable that is set (locale(7)). */
static bool has_blocks(void)
{
	static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };

	for (size_t i = 0; i < PROF_COUNT(names); i++) {
		const char *locale = getenv(names[i]);

		if (locale && *locale)
			return isatty(STDOUT_FILENO) &&
			       (strcasestr(locale, "utf-8") || strcasestr(locale, "utf8"));
	}
	return false;
}

static errmsg show_part(const struct report_wish *wish, const struct table *table,
			struct report_part *part)
{
	struct summary *summary = &part->summary;

	if (wish->name && summary_asked(summary)[0] == '\0')
		return NULL;
	if (wish->form == REPORT_CALLS ||
	    (wish->name && part->is_calls && wish->by == SUMMARY_FUNCTION))
		return show_calls(wish, table, summary);
	if (wish->name)
		summary_take(summary, part->metric, wish->side);
	table_title(table, summary, part->metric);
	if (wish->form == REPORT_TREE)
		table_tree(table, summary, part->metric);
	else
		table_rows(table, summary, part->metric);
	return NULL;
}

static errmsg show_calls(const struct report_wish *wish, const struct table *table,
			 struct summary *summary)
{
	struct calls calls = { 0 };
	bool is_good = calls_take(&calls, summary, wish->side);

	if (is_good)
		calls_print(&calls, table);
	calls_release(&calls);
	return is_good ? NULL : "no memory";
}
