/*
 * main.c - which command, and what all commands share.
 */
#include "cli.h"

#include "log.h"
#include "progress.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct command {
	const char *name, *arguments, *help;
	int (*run)(int argc, char **argv);
};

static int help(int argc, char **argv);
static int version(int argc, char **argv);

static const struct command commands[] = {
	{ "run", "[OPTIONS] -- python app.py", "run a program under the profiler", cli_run },
	{ "export", "FILE... [-f FORMAT] [-o OUT]", "make profiles of recordings", cli_export },
	{ "export", "FILE... --thread|--from|--focus", "make them of a part of the samples",
	  cli_export },
	{ "report", "FILE... [-n ROWS] [--by=WHAT]", "show the top functions, lines, files, ...",
	  cli_report },
	{ "report", "FILE... --tree | --calls", "show who calls whom, or how often", cli_report },
	{ "report", "FILE... --callers|--callees NAME", "show who calls one, or whom it calls",
	  cli_report },
	{ "dump", "PID... [-f FORMAT]", "have a running program write its profile", cli_dump },
	{ "help", "[OPTION]", "explain every option, or one", cli_help },
	{ "--help", NULL, NULL, help },
	{ "-h", NULL, NULL, help },
	{ "--version", NULL, NULL, version },
};

#define EXPORTER(name, suffix, help) extern const struct exporter_hooks name##_exporter;
#include "../exporters/exporters.def"
#undef EXPORTER

const struct exporter cli_exporters[] = {
#define EXPORTER(name, suffix, help) { #name, suffix, help, &name##_exporter },
#include "../exporters/exporters.def"
#undef EXPORTER
	{ NULL, NULL, NULL, NULL },
};

int main(int argc, char **argv)
{
	/* A file that may not grow is an error of write(2) with a name, not our end. */
	signal(SIGXFSZ, SIG_IGN);
	if (argc < 2) {
		help(0, NULL);
		return cli_usage("a command is missing");
	}
	for (size_t i = 0; i < PROF_COUNT(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	return cli_usage("'%s' is not a command", argv[1]);
}

int cli_usage(const char *format, ...)
{
	va_list arguments;

	progress_erase();
	fputs("monprof: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputs("\nTry 'monprof --help'.\n", stderr);
	return CLI_USAGE;
}

int cli_fail(const char *file, const char *reason)
{
	progress_erase();
	fprintf(stderr, "monprof: %s: %s\n", file, reason);
	return CLI_FAILED;
}

int cli_finish(void)
{
	if (fflush(stdout) != 0 || ferror(stdout))
		return cli_fail("standard output", strerror(errno));
	return CLI_GOOD;
}

enum option_id cli_option(const char *name, size_t name_bytes)
{
	char text[64];
	size_t i;

	if (name_bytes >= sizeof(text))
		return OPTION_COUNT;
	for (i = 0; i < name_bytes; i++)
		text[i] = name[i] == '-' ? '_' : name[i];
	text[i] = '\0';
	return option_find(text);
}

const char *cli_option_name(enum option_id id, char *buffer, size_t size_bytes)
{
	log_format(buffer, size_bytes, "--%s", option_row(id)->name);
	for (char *c = buffer; *c != '\0'; c++) {
		if (*c == '_')
			*c = '-';
		else if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	}
	return buffer;
}

static int help(int argc, char **argv)
{
	FILE *to = argc ? stdout : stderr;

	(void)argv;
	fputs("usage:\n", to);
	for (size_t i = 0; i < PROF_COUNT(commands); i++)
		if (commands[i].help)
			fprintf(to, "  monprof %-6s %-32s %s\n", commands[i].name,
				commands[i].arguments, commands[i].help);
	return argc ? cli_finish() : CLI_GOOD;
}

static int version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	puts("monprof " PROF_VERSION);
	return cli_finish();
}
