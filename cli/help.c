/*
 * help.c - monprof help [OPTION | --mdoc | --markdown]: the tables, as text, as a manual, as a README.
 */
#include "cli.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define WRAP_COLUMNS 74

struct collector_row {
	const char *name, *help;
};

static const struct collector_row collectors[] = {
#define COLLECTOR(name, help) { #name, help },
#include "../collectors/collectors.def"
#undef COLLECTOR
};

static int help_one(const char *name);
static void help_all(void);
static void show_option(enum option_id id);
static void print_wrapped(const char *text);
static const char *kind(const struct option *row);
static int print_range(const char *limits, char *buffer, size_t size_bytes);
static const char *limits(const struct option *row, char *buffer, size_t size_bytes);
static void show_mdoc(void);
static void mdoc_text(const char *lead, const char *text);
static void show_markdown(void);
static void markdown_text(const char *text);

int cli_help(int argc, char **argv)
{
	if (argc > 2)
		return cli_usage("help: one option at a time, not '%s'", argv[2]);
	if (argc == 2 && strcmp(argv[1], "--mdoc") == 0)
		show_mdoc();
	else if (argc == 2 && strcmp(argv[1], "--markdown") == 0)
		show_markdown();
	else if (argc == 2)
		return help_one(argv[1]);
	else
		help_all();
	return cli_finish();
}

/* CPU_HZ, cpu-hz, --cpu-hz and MONPROF_CPU_HZ are all meant to be found. */
static int help_one(const char *name)
{
	const char *bare = name + strspn(name, "-");
	enum option_id id;

	if (strncasecmp(bare, "MONPROF_", 8) == 0)
		bare += 8;
	id = cli_option(bare, strlen(bare));
	if (id == OPTION_COUNT)
		return cli_usage("help: '%s' is not an option; the nearest is %s", name,
				 option_nearest(bare));
	show_option(id);
	return cli_finish();
}

static void help_all(void)
{
	puts("LD_PRELOAD=libmonprof.so [MONPROF_OPTION=VALUE...] python app.py\n"
	     "monprof run [--option=VALUE...] -- python app.py\n\n"
	     "MONPROF=off turns everything off.\n\nOptions:\n");
	for (unsigned id = 0; id < OPTION_COUNT; id++)
		show_option((enum option_id)id);
	puts("\nCollectors:\n");
	for (size_t i = 0; i < PROF_COUNT(collectors); i++)
		printf("  %-12s %s\n", collectors[i].name, collectors[i].help);
	puts("\nFormats:\n");
	for (const struct exporter *row = cli_exporters; row->name; row++)
		printf("  %-12s %s (%s)\n", row->name, row->help, row->suffix);
}

static void show_option(enum option_id id)
{
	const struct option *row = option_row(id);
	char flag[64], words[256];

	printf("  MONPROF_%s=%s\n", row->name, row->preset);
	print_wrapped(row->help);
	printf("    %s; %s\n", limits(row, words, sizeof(words)),
	       cli_option_name(id, flag, sizeof(flag)));
}

/* Indented, broken at spaces. */
static void print_wrapped(const char *text)
{
	while (strlen(text) > WRAP_COLUMNS) {
		size_t n = WRAP_COLUMNS;

		while (n > 0 && text[n] != ' ')
			n--;
		if (n == 0)
			break;
		printf("    %.*s\n", (int)n, text);
		text += n + 1;
	}
	printf("    %s\n", text);
}

static const char *kind(const struct option *row)
{
	static const char *const kinds[] = {
		[OPTION_TYPE_YESNO] = "yes or no",
		[OPTION_TYPE_NUMBER] = "a number",
		[OPTION_TYPE_TIME] = "a time with its unit",
		[OPTION_TYPE_PERCENT] = "a share with its unit",
		[OPTION_TYPE_SIZE] = "a size with its unit",
		[OPTION_TYPE_SPAN] = "a time or a size with its unit",
		[OPTION_TYPE_CHOICE] = "one of",
		[OPTION_TYPE_LIST] = "a list of",
		[OPTION_TYPE_TEXT] = "text",
		[OPTION_TYPE_SIGNAL] = "the name or number of a signal",
	};

	return kinds[row->type];
}

/* " from 1s to 1h", of a SPAN " from 1s to 1h, from 1M to 1G". */
static int print_range(const char *limits, char *buffer, size_t size_bytes)
{
	const char *dots = strstr(limits, "..");
	size_t high_bytes = dots ? strcspn(dots + 2, "|") : 0;
	int n;

	if (!dots)
		return 0;
	n = snprintf(buffer, size_bytes, " from %.*s to %.*s", (int)(dots - limits), limits,
		     (int)high_bytes, dots + 2);
	if (dots[2 + high_bytes] == '|') {
		n += snprintf(buffer + n, size_bytes - (size_t)n, ",");
		n += print_range(dots + 3 + high_bytes, buffer + n, size_bytes - (size_t)n);
	}
	return n;
}

/* What may stand there, in words. */
static const char *limits(const struct option *row, char *buffer, size_t size_bytes)
{
	bool is_off = strcmp(row->preset, "off") == 0;
	int n = snprintf(buffer, size_bytes, "%s%s", is_off ? "off, or " : "", kind(row));
	const char *given;
	char word[64];

	if (row->type == OPTION_TYPE_CHOICE || row->type == OPTION_TYPE_LIST) {
		for (unsigned i = 0; (given = option_word(row, i, word, sizeof(word))) != NULL; i++)
			n += snprintf(buffer + n, size_bytes - (size_t)n, "%s%s", i ? ", " : " ",
				      given);
	} else {
		n += print_range(row->limits, buffer + n, size_bytes - (size_t)n);
	}
	if (row->unit[0] != '\0')
		snprintf(buffer + n, size_bytes - (size_t)n, " %s", row->unit);
	return buffer;
}

static void show_mdoc(void)
{
	char words[256];

	puts(".Bl -tag -width Ds");
	for (unsigned id = 0; id < OPTION_COUNT; id++) {
		const struct option *row = option_row((enum option_id)id);

		printf(".It Ev MONPROF_%s Ns = Ns Ar %s\n", row->name, row->preset);
		mdoc_text("", row->help);
		mdoc_text("Value: ", limits(row, words, sizeof(words)));
	}
	puts(".El\n.Ss Collectors\n.Bl -tag -width Ds");
	for (size_t i = 0; i < PROF_COUNT(collectors); i++) {
		printf(".It Cm %s\n", collectors[i].name);
		mdoc_text("", collectors[i].help);
	}
	puts(".El\n.Ss Formats\n.Bl -tag -width Ds");
	for (const struct exporter *row = cli_exporters; row->name; row++) {
		printf(".It Cm %s Pq Pa %s\n", row->name, row->suffix);
		mdoc_text("Writes ", row->help);
	}
	puts(".El");
}

/* A sentence on its line: a dot or quote at its start is not a macro, a backslash not an escape. */
static void mdoc_text(const char *lead, const char *text)
{
	fputs(lead, stdout);
	if (*lead == '\0' && *text >= 'a' && *text <= 'z')
		putchar(*text++ - 'a' + 'A');
	else if (*lead == '\0' && (*text == '.' || *text == '\''))
		fputs("\\&", stdout);
	for (; *text != '\0'; text++) {
		if (*text == '\\')
			fputs("\\e", stdout);
		else
			putchar(*text);
	}
	puts(".");
}

static void show_markdown(void)
{
	char words[256];

	puts("| variable | default | values | meaning |\n|---|---|---|---|");
	for (unsigned id = 0; id < OPTION_COUNT; id++) {
		const struct option *row = option_row((enum option_id)id);

		printf("| `MONPROF_%s` | `%s` | ", row->name, row->preset);
		markdown_text(limits(row, words, sizeof(words)));
		fputs(" | ", stdout);
		markdown_text(row->help);
		puts(" |");
	}
}

static void markdown_text(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '|')
			putchar('\\');
		putchar(*text);
	}
}
