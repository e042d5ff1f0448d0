/*
 * report.c - monprof report FILE... [-n ROWS] [--calls | --callers NAME | --callees NAME]
 *
 *   recordings  -> profile -> one table for each measurement
 *   a pprof file -> pprof_read -> the table of its default sample type
 *
 * Which of both a file is, its first bytes say.  Tables of calls are report_calls.c's.
 */
#include "args.h"
#include "cli.h"
#include "file.h"
#include "output.h"
#include "pprof_read.h"
#include "recording_format.h"
#include "report.h"
#include "table.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ROWS_PRESET 20
#define ROWS_MOST 1000000
#define PIECE_BYTES ((size_t)1 << 20)

enum report_flag { REPORT_ROWS, REPORT_CALLS, REPORT_CALLERS, REPORT_CALLEES };

struct report {
	size_t rows;
	unsigned width;
	struct table table;

	/* of a profile */
	const struct profile *profile;
	uint32_t *functions; /* table's id by profile's id - 1; 0: not asked yet */
	uint32_t *stack; /* one of RECORDING_DEPTH_MAX */

	/* of a pprof file */
	char type[64], unit[32];
	size_t type_count, shown, counted; /* which values; counted == shown: none */
	bool has_default, was_count;

	uint64_t duration_ns, samples;
};

static int parse(struct report_wish *wish, struct args *args);
static int parse_rows(struct report_wish *wish, const char *text);
static unsigned terminal_width(void);
static int report_functions(const struct report_wish *wish);
static int report_recordings(struct report *report, const struct report_wish *wish);
static errmsg show_profile(struct report *report);
static errmsg show_measurement(struct report *report, uint32_t measurement);
static size_t find_stack(struct report *report, uint32_t node);
static uint32_t find_function(struct report *report, uint32_t function);
static int report_pprof(struct report *report, const char *path);
static void take_comment(void *self, const char *text);
static void take_span(void *self, uint64_t time_ns, uint64_t duration_ns);
static void take_type(void *self, const char *type, const char *unit, bool is_default);
static uint32_t take_function(void *self, const char *name, const char *file, uint64_t line);
static void take_sample(void *self, const struct pprof_sample *sample);
static void show_table(struct report *report);

int cli_report(int argc, char **argv)
{
	static const struct args_flag flags[] = {
		[REPORT_ROWS] = { "rows", 'n', true },
		[REPORT_CALLS] = { "calls", '\0', false },
		[REPORT_CALLERS] = { "callers", '\0', true },
		[REPORT_CALLEES] = { "callees", '\0', true },
	};
	struct report_wish wish = { .rows = ROWS_PRESET, .width = terminal_width() };
	struct args args;
	int status;

	args_begin(&args, argc, argv, flags, PROF_COUNT(flags));
	status = parse(&wish, &args);
	if (status != CLI_GOOD)
		return status;
	wish.files = args.operands;
	wish.file_count = args.operand_count;
	if (wish.file_count > 1 && !report_is_recording(wish.files[0]))
		return cli_usage("report: '%s' is not a recording, and only those are summed",
				 wish.files[0]);
	status = wish.calls ? report_calls(&wish) : report_functions(&wish);
	return status ? status : cli_finish();
}

static int parse(struct report_wish *wish, struct args *args)
{
	int status = CLI_GOOD, flag;

	while (status == CLI_GOOD && (flag = args_next(args)) != ARGS_END) {
		if (flag == ARGS_WRONG)
			return CLI_USAGE;
		if (flag == REPORT_ROWS) {
			status = parse_rows(wish, args->value);
			continue;
		}
		wish->calls = true;
		if (flag == REPORT_CALLS)
			continue;
		if (wish->name)
			status = cli_usage("report: callers or callees of one function at a time");
		wish->name = args->value;
		wish->side = flag == REPORT_CALLERS ? CALLS_CALLERS : CALLS_CALLEES;
	}
	if (status == CLI_GOOD && args->operand_count == 0)
		status = cli_usage("report: on which file? FILE is missing");
	return status;
}

static int parse_rows(struct report_wish *wish, const char *text)
{
	char *end;
	unsigned long rows = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || rows < 1 || rows > ROWS_MOST)
		return cli_usage("-n %s: not a number from 1 to %d", text, ROWS_MOST);
	wish->rows = rows;
	return CLI_GOOD;
}

/* Columns of the terminal; what is not one has no end. */
static unsigned terminal_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;

	if (columns && atoi(columns) > 0 && atoi(columns) < REPORT_COLUMNS_MOST)
		return (unsigned)atoi(columns);
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return REPORT_COLUMNS_MOST;
}

bool report_is_recording(const char *path)
{
	char magic[sizeof(RECORDING_MAGIC) - 1];
	int fd = file_open(path, O_RDONLY | O_NONBLOCK);
	size_t got = 0;

	if (fd < 0)
		return false;
	file_read_at(fd, magic, sizeof(magic), 0, &got);
	close(fd);
	return got == sizeof(magic) && memcmp(magic, RECORDING_MAGIC, sizeof(magic)) == 0;
}

struct profile *report_sum(char **files, size_t count)
{
	struct profile *profile = profile_new();
	errmsg error = profile ? NULL : "no memory";
	size_t at = 0;

	while (!error && at < count) {
		error = profile_add_file(profile, files[at]);
		at += !error;
	}
	if (!error)
		error = profile_finish(profile);
	if (!error)
		return profile;
	cli_fail(files[at < count ? at : 0], error);
	profile_free(profile);
	return NULL;
}

static int report_functions(const struct report_wish *wish)
{
	struct report report = { .rows = wish->rows, .width = wish->width };
	int status;

	if (report_is_recording(wish->files[0]))
		status = report_recordings(&report, wish);
	else
		status = report_pprof(&report, wish->files[0]);
	table_release(&report.table);
	return status;
}

static int report_recordings(struct report *report, const struct report_wish *wish)
{
	struct profile *profile = report_sum(wish->files, wish->file_count);
	errmsg error;

	if (!profile)
		return CLI_FAILED;
	report->profile = profile;
	error = show_profile(report);
	profile_free(profile);
	return error ? cli_fail(wish->files[0], error) : CLI_GOOD;
}

static errmsg show_profile(struct report *report)
{
	uint32_t measurement = output_measurement(report->profile, 0);
	errmsg error = NULL;

	if (measurement == 0)
		return "there is no sample in it";
	report_facts(report->profile);
	report->stack = heap_alloc(RECORDING_DEPTH_MAX * sizeof(*report->stack));
	for (; measurement != 0 && !error;
	     measurement = output_measurement(report->profile, measurement))
		error = report->stack ? show_measurement(report, measurement) : "no memory";
	heap_free(report->stack);
	return error;
}

void report_facts(const struct profile *profile)
{
	for (size_t i = 0; i < profile->process_count; i++) {
		const struct profile_process *process = &profile->processes[i];

		printf("pid %llu: %s, CPython ", (unsigned long long)process->pid,
		       profile_string(profile, process->writer));
		report_line(profile_string(profile, process->python), ", ",
			    profile_string(profile, process->program));
	}
	for (size_t i = 0; i < profile->note_count; i++)
		report_line(profile_string(profile, profile->notes[i].key), "=",
			    profile_string(profile, profile->notes[i].value));
	for (size_t i = 0; i < profile->loss_count; i++) {
		printf("lost %llu: ", (unsigned long long)profile->losses[i].count);
		report_line(profile_string(profile, profile->losses[i].reason), ": ",
			    profile_string(profile, profile->losses[i].help));
	}
	if (profile->cut)
		puts("a recording ended in a torn tail: what came after is not here");
}

uint64_t report_duration(const struct profile *profile)
{
	uint64_t start_ns = UINT64_MAX, end_ns = 0;

	for (size_t i = 0; i < profile->process_count; i++) {
		const struct profile_process *process = &profile->processes[i];
		uint64_t ended_ns = process->start_realtime_ns + process->end_monotonic_ns -
				    process->start_monotonic_ns;

		start_ns = process->start_realtime_ns < start_ns ? process->start_realtime_ns :
								   start_ns;
		end_ns = ended_ns > end_ns ? ended_ns : end_ns;
	}
	return end_ns > start_ns ? end_ns - start_ns : 0;
}

/* By the first metric of the measurement, as every exporter. */
static errmsg show_measurement(struct report *report, uint32_t measurement)
{
	const struct profile *profile = report->profile;
	size_t metric = 0;

	while (profile->metrics[metric].collector != measurement)
		metric++;
	report->functions = heap_zalloc((profile->function_count + 1) * sizeof(*report->functions));
	if (!report->functions)
		return "no memory";
	table_release(&report->table);
	report->table = (struct table){ 0 };
	report->duration_ns = report_duration(profile);
	report->samples = 0;
	snprintf(report->type, sizeof(report->type), "%s",
		 profile_string(profile, profile->metrics[metric].name));
	snprintf(report->unit, sizeof(report->unit), "%s",
		 profile_string(profile, profile->metrics[metric].unit));
	for (size_t i = 0; i < profile->sample_count; i++) {
		const struct profile_sample *sample = &profile->samples[i];

		if (sample->metric != metric)
			continue;
		table_stack(&report->table, report->stack, find_stack(report, sample->node),
			    sample->value);
		if (profile->metrics[metric].count_name != 0)
			report->samples += sample->count;
	}
	heap_free(report->functions);
	if (report->table.failed)
		return "no memory";
	show_table(report);
	return NULL;
}

/* The stack's functions into report->stack, leaf first; how many. */
static size_t find_stack(struct report *report, uint32_t node)
{
	size_t depth = 0;

	while (node != 0) {
		const struct profile_node *at = &report->profile->nodes[node - 1];
		const struct profile_frame *frame = &report->profile->frames[at->frame - 1];

		report->stack[depth++] = find_function(report, frame->function);
		node = at->parent;
	}
	return depth;
}

static uint32_t find_function(struct report *report, uint32_t function)
{
	const struct profile *profile = report->profile;
	const struct profile_function *row = &profile->functions[function - 1];
	uint32_t *found = &report->functions[function - 1];

	if (*found == 0)
		*found = table_function(&report->table, profile_string(profile, row->full),
					profile_string(profile, row->file), row->first_line);
	return *found;
}

static int report_pprof(struct report *report, const char *path)
{
	static const struct pprof_hooks hooks = {
		.comment = take_comment,
		.span = take_span,
		.sample_type = take_type,
		.function = take_function,
		.sample = take_sample,
	};
	struct wire_buffer bytes = { 0 };
	errmsg error = report_read_file(path, &bytes);

	if (!error)
		error = pprof_read(bytes.bytes, bytes.size, &hooks, report);
	if (!error && report->table.failed)
		error = "no memory";
	wire_release(&bytes);
	if (error)
		return cli_fail(path, error);
	show_table(report);
	return CLI_GOOD;
}

errmsg report_read_file(const char *path, struct wire_buffer *bytes)
{
	int fd = file_open(path, O_RDONLY | O_NONBLOCK);
	uint8_t *piece = heap_alloc(PIECE_BYTES);
	size_t got = PIECE_BYTES;
	int error = fd < 0 ? -fd : 0;

	while (!error && piece && got == PIECE_BYTES && !bytes->failed) {
		error = file_read_at(fd, piece, PIECE_BYTES, bytes->size, &got);
		wire_put(bytes, piece, got);
	}
	if (fd >= 0)
		close(fd);
	heap_free(piece);
	if (error)
		return file_error(error);
	return piece && !bytes->failed ? NULL : "no memory";
}

static void take_comment(void *self, const char *text)
{
	(void)self;
	report_line(text, "", "");
}

static void take_span(void *self, uint64_t time_ns, uint64_t duration_ns)
{
	struct report *report = self;

	(void)time_ns;
	report->duration_ns = duration_ns;
}

/* Shown is the default, else the last; the count before it is its own. */
static void take_type(void *self, const char *type, const char *unit, bool is_default)
{
	struct report *report = self;
	size_t index = report->type_count++;

	if (report->has_default)
		return;
	report->has_default = is_default;
	report->shown = index;
	report->counted = report->was_count ? index - 1 : index;
	report->was_count = strcmp(unit, "count") == 0;
	snprintf(report->type, sizeof(report->type), "%s", type);
	snprintf(report->unit, sizeof(report->unit), "%s", unit);
}

static uint32_t take_function(void *self, const char *name, const char *file, uint64_t line)
{
	struct report *report = self;

	return table_function(&report->table, name, file, line);
}

static void take_sample(void *self, const struct pprof_sample *sample)
{
	struct report *report = self;

	table_stack(&report->table, sample->functions, sample->depth,
		    sample->values[report->shown]);
	if (report->counted != report->shown)
		report->samples += sample->values[report->counted];
}

void report_line(const char *key, const char *separator, const char *value)
{
	table_text(key, REPORT_COLUMNS_MOST);
	fputs(separator, stdout);
	table_text(value, REPORT_COLUMNS_MOST);
	putchar('\n');
}

static void show_table(struct report *report)
{
	char text[32];

	putchar('\n');
	table_text(report->type, REPORT_COLUMNS_MOST);
	printf(": %s", table_quantity(report->table.value, report->unit, text, sizeof(text)));
	if (report->samples > 0)
		printf(" in %llu samples", (unsigned long long)report->samples);
	if (report->duration_ns > 0)
		printf(", over %s",
		       table_quantity(report->duration_ns, "nanoseconds", text, sizeof(text)));
	putchar('\n');
	table_print(&report->table, report->unit, report->rows, report->width);
}
