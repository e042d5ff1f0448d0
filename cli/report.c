/*
 * report.c - monprof report FILE... [-n ROWS]
 *
 *   recordings  -> profile -> one table for each measurement
 *   a pprof file -> pprof_read -> the table of its default sample type
 *
 * Which of both a file is, its first bytes say.
 */
#include "args.h"
#include "cli.h"
#include "file.h"
#include "output.h"
#include "pprof_read.h"
#include "recording_format.h"
#include "table.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ROWS_PRESET 20
#define ROWS_MOST 1000000
#define COLUMNS_MOST 10000
#define PIECE_BYTES ((size_t)1 << 20)

enum report_flag { REPORT_ROWS };

struct report {
	const char *file;
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

static int parse(struct report *report, struct args *args);
static unsigned terminal_width(void);
static bool is_recording(const char *path);
static int report_recordings(struct report *report, char **files, size_t count);
static errmsg add_files(struct profile *profile, char **files, size_t count, const char **file);
static errmsg show_profile(struct report *report);
static void show_facts(const struct profile *profile);
static uint64_t find_duration(const struct profile *profile);
static errmsg show_measurement(struct report *report, uint32_t measurement);
static size_t find_stack(struct report *report, uint32_t node);
static uint32_t find_function(struct report *report, uint32_t function);
static int report_pprof(struct report *report, const char *path);
static errmsg read_file(const char *path, struct wire_buffer *bytes);
static void take_comment(void *self, const char *text);
static void take_span(void *self, uint64_t time_ns, uint64_t duration_ns);
static void take_type(void *self, const char *type, const char *unit, bool is_default);
static uint32_t take_function(void *self, const char *name, const char *file, uint64_t line);
static void take_sample(void *self, const struct pprof_sample *sample);
static void show_line(const char *key, const char *separator, const char *value);
static void show_table(struct report *report);

int cli_report(int argc, char **argv)
{
	static const struct args_flag flags[] = { [REPORT_ROWS] = { 'n', "rows", true } };
	struct report report = { .rows = ROWS_PRESET, .width = terminal_width() };
	struct args args;
	int status;

	args_begin(&args, argc, argv, flags, PROF_COUNT(flags));
	status = parse(&report, &args);
	if (status != CLI_GOOD)
		return status;
	report.file = args.operands[0];
	if (is_recording(report.file))
		status = report_recordings(&report, args.operands, args.operand_count);
	else if (args.operand_count == 1)
		status = report_pprof(&report, report.file);
	else
		status = cli_usage("report: '%s' is not a recording, and only those are summed",
				   report.file);
	table_release(&report.table);
	return status ? status : cli_finish();
}

static int parse(struct report *report, struct args *args)
{
	int flag;

	while ((flag = args_next(args)) != ARGS_END) {
		char *end;
		unsigned long rows;

		if (flag == ARGS_WRONG)
			return CLI_USAGE;
		rows = strtoul(args->value, &end, 10);
		if (args->value[0] < '0' || args->value[0] > '9' || *end != '\0' || rows < 1 ||
		    rows > ROWS_MOST)
			return cli_usage("-n %s: not a number from 1 to %d", args->value,
					 ROWS_MOST);
		report->rows = rows;
	}
	if (args->operand_count == 0)
		return cli_usage("report: on which file? FILE is missing");
	return CLI_GOOD;
}

/* Columns of the terminal; what is not one has no end. */
static unsigned terminal_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;

	if (columns && atoi(columns) > 0 && atoi(columns) < COLUMNS_MOST)
		return (unsigned)atoi(columns);
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return COLUMNS_MOST;
}

static bool is_recording(const char *path)
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

static int report_recordings(struct report *report, char **files, size_t count)
{
	struct profile *profile = profile_new();
	errmsg error = profile ? add_files(profile, files, count, &report->file) : "no memory";

	if (!error) {
		report->profile = profile;
		error = show_profile(report);
	}
	profile_free(profile);
	return error ? cli_fail(report->file, error) : CLI_GOOD;
}

static errmsg add_files(struct profile *profile, char **files, size_t count, const char **file)
{
	for (size_t i = 0; i < count; i++) {
		errmsg error = profile_add_file(profile, files[i]);

		if (error) {
			*file = files[i];
			return error;
		}
	}
	return profile_finish(profile);
}

static errmsg show_profile(struct report *report)
{
	uint32_t measurement = output_measurement(report->profile, 0);
	errmsg error = NULL;

	if (measurement == 0)
		return "there is no sample in it";
	show_facts(report->profile);
	report->stack = heap_alloc(RECORDING_DEPTH_MAX * sizeof(*report->stack));
	for (; measurement != 0 && !error;
	     measurement = output_measurement(report->profile, measurement))
		error = report->stack ? show_measurement(report, measurement) : "no memory";
	heap_free(report->stack);
	return error;
}

static void show_facts(const struct profile *profile)
{
	for (size_t i = 0; i < profile->process_count; i++) {
		const struct profile_process *process = &profile->processes[i];

		printf("pid %llu: %s, CPython ", (unsigned long long)process->pid,
		       profile_string(profile, process->writer));
		show_line(profile_string(profile, process->python), ", ",
			  profile_string(profile, process->program));
	}
	for (size_t i = 0; i < profile->note_count; i++)
		show_line(profile_string(profile, profile->notes[i].key), "=",
			  profile_string(profile, profile->notes[i].value));
	for (size_t i = 0; i < profile->loss_count; i++) {
		printf("lost %llu: ", (unsigned long long)profile->losses[i].count);
		show_line(profile_string(profile, profile->losses[i].reason), ": ",
			  profile_string(profile, profile->losses[i].help));
	}
	if (profile->cut)
		puts("a recording ended in a torn tail: what came after is not here");
}

/* From the first start to the last end. */
static uint64_t find_duration(const struct profile *profile)
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

/* By the last metric of the measurement, as every exporter. */
static errmsg show_measurement(struct report *report, uint32_t measurement)
{
	const struct profile *profile = report->profile;
	size_t metric = profile->metric_count;

	while (profile->metrics[--metric].collector != measurement)
		continue;
	report->functions = heap_zalloc((profile->function_count + 1) * sizeof(*report->functions));
	if (!report->functions)
		return "no memory";
	table_release(&report->table);
	report->table = (struct table){ 0 };
	report->duration_ns = find_duration(profile);
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
	errmsg error = read_file(path, &bytes);

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

static errmsg read_file(const char *path, struct wire_buffer *bytes)
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
	show_line(text, "", "");
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

static void show_line(const char *key, const char *separator, const char *value)
{
	table_text(key, COLUMNS_MOST);
	fputs(separator, stdout);
	table_text(value, COLUMNS_MOST);
	putchar('\n');
}

static void show_table(struct report *report)
{
	char text[32];

	putchar('\n');
	table_text(report->type, COLUMNS_MOST);
	printf(": %s", table_quantity(report->table.value, report->unit, text, sizeof(text)));
	if (report->samples > 0)
		printf(" in %llu samples", (unsigned long long)report->samples);
	if (report->duration_ns > 0)
		printf(", over %s",
		       table_quantity(report->duration_ns, "nanoseconds", text, sizeof(text)));
	putchar('\n');
	table_print(&report->table, report->unit, report->rows, report->width);
}
