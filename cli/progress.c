/*
 * progress.c - steps in, at most ten lines a second out.
 *
 * The line is one column shorter than the terminal, else it would go on in the next one and could not be
 * rewritten.  Of a long name the end is shown.
 */
#include "progress.h"

#include "columns.h"
#include "os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PATIENCE_NS 500000000u
#define INTERVAL_NS 100000000u
#define NAME_BYTES 1024
#define TERMINAL_COLUMNS 80 /* of one that does not say */
#define ERASE_LINE "\r\033[K"
#define DOTS "..."

static struct {
	bool is_shown;
	uint64_t next_ns; /* when a line is due; 0: no work has begun */
} progress;

static bool can_rewrite(void);
static bool step(void *self, const char *path, uint64_t done_bytes, uint64_t all_bytes);
static bool is_in_foreground(void);
static void show(const char *doing, const char *path, const char *percent);
static size_t terminal_columns(void);
static const char *end_of(const char *text, size_t columns);
static void put_printable(const char *text, char *name);

struct watch progress_begin(void)
{
	if (progress.next_ns == 0)
		progress.next_ns = os_monotonic_ns() + PATIENCE_NS;
	return can_rewrite() ? (struct watch){ .step = step } : (struct watch){ 0 };
}

void progress_erase(void)
{
	if (progress.is_shown)
		fputs(ERASE_LINE, stderr);
	progress.is_shown = false;
}

static bool can_rewrite(void)
{
	const char *terminal = getenv("TERM");

	return isatty(STDERR_FILENO) && terminal && *terminal && strcmp(terminal, "dumb") != 0;
}

static bool step(void *self, const char *path, uint64_t done_bytes, uint64_t all_bytes)
{
	uint64_t now_ns = os_monotonic_ns();
	char percent[16] = "";

	(void)self;
	/* What goes to standard output may be on the same terminal. */
	if (now_ns < progress.next_ns || !path || strcmp(path, "-") == 0 || !is_in_foreground())
		return true;
	progress.next_ns = now_ns + INTERVAL_NS;
	if (all_bytes > 0)
		snprintf(percent, sizeof(percent), " %u %%",
			 (unsigned)((double)done_bytes * 100 / (double)all_bytes));
	show(all_bytes > 0 ? "reading " : "writing ", path, percent);
	return true;
}

/* In the background the terminal is somebody else's; one that is not ours to begin with has no such group. */
static bool is_in_foreground(void)
{
	pid_t group = tcgetpgrp(STDERR_FILENO);

	return group < 0 || group == getpgrp();
}

static void show(const char *doing, const char *path, const char *percent)
{
	size_t columns = terminal_columns(), taken = strlen(doing) + strlen(percent) + 1;
	const char *end;
	char name[NAME_BYTES];

	if (columns <= taken + strlen(DOTS))
		return;
	end = end_of(path, columns - taken);
	if (end > path)
		end = end_of(path, columns - taken - strlen(DOTS));
	put_printable(end, name);
	fprintf(stderr, "\r%s%s%s%s\033[K", doing, end > path ? DOTS : "", name, percent);
	progress.is_shown = true;
}

static size_t terminal_columns(void)
{
	struct winsize size;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col :
										 TERMINAL_COLUMNS;
}

/* The end of a text that fits into so many columns, and into the bytes of a name. */
static const char *end_of(const char *text, size_t columns)
{
	size_t wide = columns_count(text), bytes = strlen(text);

	while (wide > columns || bytes >= NAME_BYTES) {
		struct columns_character first = columns_next(text);

		text += first.bytes;
		bytes -= first.bytes;
		wide -= first.columns;
	}
	return text;
}

static void put_printable(const char *text, char *name)
{
	while (*text != '\0') {
		struct columns_character next = columns_next(text);
		size_t bytes = next.is_printable ? next.bytes : 1;

		memcpy(name, next.is_printable ? text : "?", bytes);
		name += bytes;
		text += next.bytes;
	}
	*name = '\0';
}
