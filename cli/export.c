/*
 * export.c - monprof export FILE... [-f FORMAT[,FORMAT]] [-o OUT] [--lines] [--by WHAT] [--diff BASE]
 *                        [FILTER...]
 *
 *   without -o   each recording by itself, beside it: dir/monprof.1234.monprof -> dir/monprof.1234.cpu...
 *   with -o      all recordings summed: to OUT itself if that makes one file, else with OUT as the base
 *
 * The paths of what was written go to stdout.
 */
#include "args.h"
#include "cli.h"
#include "filter.h"
#include "output.h"
#include "profile_view.h"
#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum export_flag { EXPORT_FORMAT, EXPORT_OUT, EXPORT_LINES, EXPORT_BY, EXPORT_DIFF, EXPORT_FILTER };

struct export
{
	uint64_t formats; /* bits by row of exporters.def */
	const char *out; /* NULL: beside each recording */
	enum summary_by by;
	char *compared_file; /* NULL: nothing is compared */
	struct profile *compared;
	struct filter filter;
};

static int parse(struct export *export, struct args *args);
static int take_flag(struct export *export, int flag, char *value);
static int parse_formats(struct export *export, const char *text);
static int parse_by(struct export *export, const char *text);
static int check(const struct export *export, const struct args *args);
static int export_all(struct export *export, const struct args *args);
static int export_files(const struct export *export, char **files, size_t count);
static int read_files(const struct export *export, char **files, size_t count,
		      struct profile **sum);
static int write_profile(const struct export *export, const struct profile *profile, char *file);
static bool is_comparable(const struct export *export, const struct profile *profile);
static const struct exporter *only_format(const struct export *export);
static char *out_name(const struct export *export);
static char *base_name(const char *file);
static char *without_suffix(const char *path, const char *suffix);
static void report_file(void *self, const char *path, errmsg error);

int cli_export(int argc, char **argv)
{
	static const struct args_flag flags[] = {
		[EXPORT_FORMAT] = { "format", 'f', true }, [EXPORT_OUT] = { "output", 'o', true },
		[EXPORT_LINES] = { "lines", 'l', false },  [EXPORT_BY] = { "by", 'b', true },
		[EXPORT_DIFF] = { "diff", '\0', true },	   FILTER_ROWS(EXPORT_FILTER),
	};
	struct export export = { .formats = 1 };
	struct args args;
	int status;

	args_begin(&args, argc, argv, flags, PROF_COUNT(flags));
	status = parse(&export, &args);
	if (status == CLI_GOOD)
		status = export_all(&export, &args);
	profile_free(export.compared);
	filter_release(&export.filter);
	return status ? status : cli_finish();
}

static int parse(struct export *export, struct args *args)
{
	int status = CLI_GOOD, flag;

	while (status == CLI_GOOD && (flag = args_next(args)) != ARGS_END)
		status = flag == ARGS_WRONG ? CLI_USAGE : take_flag(export, flag, args->value);
	if (status == CLI_GOOD)
		status = check(export, args);
	return status == CLI_GOOD ? filter_finish(&export->filter) : status;
}

static int take_flag(struct export *export, int flag, char *value)
{
	switch (flag) {
	case EXPORT_FORMAT:
		return parse_formats(export, value);
	case EXPORT_OUT:
		export->out = value;
		return CLI_GOOD;
	case EXPORT_LINES:
		setenv("MONPROF_LINES", "yes", 1);
		return CLI_GOOD;
	case EXPORT_BY:
		return parse_by(export, value);
	case EXPORT_DIFF:
		if (export->compared_file)
			return cli_usage("--diff %s: one is compared with already", value);
		export->compared_file = value;
		return CLI_GOOD;
	default:
		return filter_take(&export->filter, flag - EXPORT_FILTER, value);
	}
}

static int parse_formats(struct export *export, const char *text)
{
	struct option_value value;
	char error[256];

	if (option_parse(option_row(OPTION_EXPORT), text, &value, error, sizeof(error)))
		return cli_usage("-f %s: %s", text, error);
	if (value.number == 0)
		return cli_usage("-f %s: no format", text);
	export->formats = value.number;
	return CLI_GOOD;
}

/* Of functions and lines a profile has both: which of them is shown is the formats' setting. */
static int parse_by(struct export *export, const char *text)
{
	int word = args_word("--by", text, "function line file module");

	if (word < 0)
		return CLI_USAGE;
	export->by = (enum summary_by)word;
	if (export->by == SUMMARY_FUNCTION || export->by == SUMMARY_LINE)
		setenv("MONPROF_LINES", export->by == SUMMARY_LINE ? "yes" : "no", 1);
	return CLI_GOOD;
}

static int check(const struct export *export, const struct args *args)
{
	if (args->operand_count == 0)
		return cli_usage("export: which recording? FILE is missing");
	if (export->out && export->out[0] == '\0')
		return cli_usage("-o: the name is empty");
	if (export->out && strcmp(export->out, "-") == 0 && !only_format(export))
		return cli_usage("-o -: standard output takes one format");
	for (unsigned row = 0; export->compared_file && cli_exporters[row].name; row++) {
		const struct exporter *exporter = &cli_exporters[row];

		if (!(export->formats >> row & 1) || exporter->hooks->compares)
			continue;
		if (strcmp(exporter->name, "pprof") == 0)
			return cli_usage("--diff: not in the format pprof, whose tool compares "
					 "two files: pprof -diff_base BASE FILE");
		return cli_usage("--diff: not in the format %s", exporter->name);
	}
	return CLI_GOOD;
}

static int export_all(struct export *export, const struct args *args)
{
	int status = CLI_GOOD;

	options_load();
	if (export->compared_file) {
		status = read_files(export, &export->compared_file, 1, &export->compared);
		if (status == CLI_GOOD && output_measurement(export->compared, 0) == 0)
			status = cli_fail(export->compared_file, filter_nothing(&export->filter));
	}
	if (status != CLI_GOOD)
		return status;
	if (export->out)
		return export_files(export, args->operands, args->operand_count);
	for (size_t i = 0; i < args->operand_count; i++)
		status |= export_files(export, args->operands + i, 1);
	return status;
}

static int export_files(const struct export *export, char **files, size_t count)
{
	struct profile *profile;
	int status = read_files(export, files, count, &profile);

	if (status == CLI_GOOD)
		status = write_profile(export, profile, files[0]);
	profile_free(profile);
	return status;
}

/* Their sum, as it is asked for; *sum is to be freed in any case. */
static int read_files(const struct export *export, char **files, size_t count, struct profile **sum)
{
	struct profile *profile = *sum = profile_new();
	errmsg error = NULL;

	if (!profile)
		return cli_fail(files[0], "no memory");
	if (output_needs_points(cli_exporters, export->formats))
		profile_keep_points(profile);
	profile_watch(profile, progress_begin());
	for (size_t i = 0; i < count; i++) {
		error = filter_add_file(&export->filter, profile, files[i]);
		if (error)
			return cli_fail(files[i], error);
	}
	error = profile_finish(profile);
	if (!error && (export->by == SUMMARY_FILE || export->by == SUMMARY_MODULE))
		error = profile_view_by(profile, export->by);
	progress_erase();
	return error ? cli_fail(files[0], error) : CLI_GOOD;
}

static int write_profile(const struct export *export, const struct profile *profile, char *file)
{
	uint32_t measurement = output_measurement(profile, 0);
	uint64_t session = profile->process_count ? profile->processes[0].session : 0;
	char *base;
	unsigned failed;

	if (measurement == 0)
		return cli_fail(file, filter_nothing(&export->filter));
	if (export->compared && !is_comparable(export, profile))
		return cli_fail(export->compared_file, "it has nothing to compare with");
	if (export->out && only_format(export) && output_measurement(profile, measurement) == 0) {
		errmsg error = output_write_file(profile, export->compared, only_format(export),
						 measurement, export->out);

		if (error)
			return cli_fail(export->out, error);
		if (strcmp(export->out, "-") != 0)
			report_file(NULL, export->out, NULL);
		return CLI_GOOD;
	}
	if (export->out && strcmp(export->out, "-") == 0)
		return cli_fail(file, "several measurements do not fit into standard output");
	base = export->out ? out_name(export) : base_name(file);
	if (!base)
		return cli_fail(file, "no memory");
	failed = output_write(profile, &(struct output_files){
					       .exporters = cli_exporters,
					       .mask = export->formats,
					       .base = base,
					       .compared = export->compared,
					       .session = session,
					       .report = report_file,
				       });
	heap_free(base);
	return failed ? CLI_FAILED : CLI_GOOD;
}

/* Is there a measurement of both? What the base does not have is told. */
static bool is_comparable(const struct export *export, const struct profile *profile)
{
	uint32_t measurement = 0;
	bool is_in_both = false;

	while ((measurement = output_measurement(profile, measurement)) != 0) {
		const char *name = profile_string(profile, measurement);
		bool is_there = output_find(export->compared, name) != 0;

		if (!is_there)
			fprintf(stderr, "monprof: %s: no sample of %s, which is not compared\n",
				export->compared_file, name);
		is_in_both |= is_there;
	}
	return is_in_both;
}

/* The format if there is exactly one. */
static const struct exporter *only_format(const struct export *export)
{
	unsigned row = 0;

	while (!(export->formats >> row & 1))
		row++;
	return export->formats >> row == 1 ? &cli_exporters[row] : NULL;
}

/* What the names of several files begin with: for all.pb.gz they are all.cpu.pb.gz and all.calls.pb.gz. */
static char *out_name(const struct export *export)
{
	const struct exporter *only = only_format(export);

	return without_suffix(export->out, only ? only->suffix : "");
}

/* The recording's path without its suffix. */
static char *base_name(const char *file)
{
	return without_suffix(file, RECORDING_SUFFIX);
}

static char *without_suffix(const char *path, const char *suffix)
{
	char *base = heap_strdup(path);
	size_t length = base ? strlen(base) : 0, rest = strlen(suffix);

	if (length > rest && strcmp(base + length - rest, suffix) == 0)
		base[length - rest] = '\0';
	return base;
}

static void report_file(void *self, const char *path, errmsg error)
{
	(void)self;
	progress_erase();
	if (error)
		cli_fail(path, error);
	else
		puts(path);
}
