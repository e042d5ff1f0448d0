/*
 * text.c - reading and showing the small texts of settings.
 *
 * Names come from people, so case never counts and the nearest valid name is worth finding; texts
 * come from anywhere, so nothing reaches a message before text_shown has seen it.
 */
#include "text.h"

#include "log.h"

#include <signal.h>
#include <string.h>

#define DISTANCE_BYTES 40

static const struct signal_name {
	const char *name;
	int signo;
	bool refused; /* as the carrier of ticks: the kernel does more with it than call a handler */
} signal_names[] = {
	{ "URG", SIGURG, false },	{ "HUP", SIGHUP, false },   { "INT", SIGINT, false },
	{ "QUIT", SIGQUIT, false },	{ "ILL", SIGILL, true },    { "TRAP", SIGTRAP, true },
	{ "ABRT", SIGABRT, true },	{ "IOT", SIGABRT, true },   { "BUS", SIGBUS, true },
	{ "FPE", SIGFPE, true },	{ "KILL", SIGKILL, true },  { "USR1", SIGUSR1, false },
	{ "SEGV", SIGSEGV, true },	{ "USR2", SIGUSR2, false }, { "PIPE", SIGPIPE, false },
	{ "ALRM", SIGALRM, false },	{ "TERM", SIGTERM, false }, { "STKFLT", SIGSTKFLT, false },
	{ "CHLD", SIGCHLD, true },	{ "CLD", SIGCHLD, true },   { "CONT", SIGCONT, true },
	{ "STOP", SIGSTOP, true },	{ "TSTP", SIGTSTP, true },  { "TTIN", SIGTTIN, true },
	{ "TTOU", SIGTTOU, true },	{ "XCPU", SIGXCPU, false }, { "XFSZ", SIGXFSZ, false },
	{ "VTALRM", SIGVTALRM, false }, { "PROF", SIGPROF, false }, { "WINCH", SIGWINCH, false },
	{ "IO", SIGIO, false },		{ "POLL", SIGIO, false },   { "PWR", SIGPWR, false },
	{ "SYS", SIGSYS, true },
};

static char lower(char c);

bool text_same(const char *a, const char *b)
{
	return text_same_bytes(a, b, SIZE_MAX);
}

bool text_same_bytes(const char *a, const char *b, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (lower(a[i]) != lower(b[i]))
			return false;
		if (a[i] == '\0')
			break;
	}
	return true;
}

unsigned text_distance(const char *a, const char *b)
{
	size_t width = strnlen(b, DISTANCE_BYTES);
	uint8_t rows[3][DISTANCE_BYTES + 1]; /* the two before this one, and this one, in turns */
	uint8_t *before = rows[0], *last = rows[1], *row = rows[2];

	for (size_t j = 0; j <= width; j++)
		row[j] = (uint8_t)j;
	for (size_t i = 1; i <= strnlen(a, DISTANCE_BYTES); i++) {
		uint8_t *oldest = before;

		before = last;
		last = row;
		row = oldest;
		row[0] = (uint8_t)i;
		for (size_t j = 1; j <= width; j++) {
			bool equal = lower(a[i - 1]) == lower(b[j - 1]);
			unsigned least = last[j - 1] + !equal;

			if (last[j] + 1U < least)
				least = last[j] + 1U;
			if (row[j - 1] + 1U < least)
				least = row[j - 1] + 1U;
			if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
			    lower(a[i - 2]) == lower(b[j - 1]) && before[j - 2] + 1U < least)
				least = before[j - 2] + 1U;
			row[j] = (uint8_t)least;
		}
	}
	return row[width];
}

const char *text_shown(const char *text, size_t bytes, char *buffer)
{
	size_t i, room = TEXT_SHOWN_BYTES - sizeof("...");

	for (i = 0; i < bytes && i < room && text[i]; i++)
		buffer[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	buffer[i] = '\0';
	if (i == room && i < bytes && text[i])
		memcpy(buffer + i, "...", sizeof("..."));
	return buffer;
}

bool text_switch(const char *text, bool *on)
{
	static const char *const words[] = { "no", "yes", "off", "on", "0", "1", "false", "true" };

	for (unsigned i = 0; i < PROF_COUNT(words); i++) {
		if (text_same(text, words[i])) {
			*on = i % 2;
			return true;
		}
	}
	return false;
}

const char *text_quantity(const char *text, struct text_quantity *quantity)
{
	const char *at = text;

	*quantity = (struct text_quantity){ .scale = 1 };
	for (; *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(quantity->whole, 10, &quantity->whole) ||
		    __builtin_add_overflow(quantity->whole, (unsigned)(*at - '0'),
					   &quantity->whole))
			return NULL;
	if (at == text)
		return NULL;
	if (*at != '.')
		return at;
	for (at++; *at >= '0' && *at <= '9'; at++) {
		if (quantity->scale == 1000000)
			continue;
		quantity->fraction = quantity->fraction * 10 + (unsigned)(*at - '0');
		quantity->scale *= 10;
	}
	return at[-1] == '.' ? NULL : at;
}

bool text_times(const struct text_quantity *quantity, uint64_t factor, uint64_t *value)
{
	uint64_t part = quantity->fraction * factor / quantity->scale;

	return !__builtin_mul_overflow(quantity->whole, factor, value) &&
	       !__builtin_add_overflow(*value, part, value);
}

bool text_signal(const char *text, uint64_t *signo)
{
	const char *name = text_same_bytes(text, "SIG", 3) ? text + 3 : text, *rest;
	bool from_low = text_same_bytes(name, "RTMIN", 5),
	     from_high = text_same_bytes(name, "RTMAX", 5);
	uint64_t span = (uint64_t)(SIGRTMAX - SIGRTMIN);
	struct text_quantity offset = { .scale = 1 };

	if (from_low || from_high) {
		rest = name + 5;
		if (*rest == (from_low ? '+' : '-'))
			rest = text_quantity(rest + 1, &offset);
		*signo = from_low ? (uint64_t)SIGRTMIN + offset.whole :
				    (uint64_t)SIGRTMAX - offset.whole;
		return rest && !*rest && offset.scale == 1 && offset.whole <= span;
	}
	for (unsigned i = 0; i < PROF_COUNT(signal_names); i++) {
		if (text_same(name, signal_names[i].name)) {
			*signo = (uint64_t)signal_names[i].signo;
			return true;
		}
	}
	rest = text_quantity(text, &offset);
	*signo = offset.whole;
	return rest && !*rest && offset.scale == 1 && *signo >= 1 && *signo < (uint64_t)NSIG;
}

bool text_signal_refused(uint64_t signo)
{
	if (signo >= (uint64_t)SIGRTMIN)
		return false;
	for (unsigned i = 0; i < PROF_COUNT(signal_names); i++)
		if ((uint64_t)signal_names[i].signo == signo)
			return signal_names[i].refused;
	return true; /* between the named and the real-time ones lie libc's own */
}

size_t text_signal_print(uint64_t signo, char *buffer, size_t size_bytes)
{
	uint64_t low = (uint64_t)SIGRTMIN;

	for (unsigned i = 0; i < PROF_COUNT(signal_names); i++)
		if ((uint64_t)signal_names[i].signo == signo)
			return log_format(buffer, size_bytes, "%s", signal_names[i].name);
	if (signo >= low && signo <= (uint64_t)SIGRTMAX)
		return log_format(buffer, size_bytes, "RTMIN+%llu",
				  (unsigned long long)(signo - low));
	return log_format(buffer, size_bytes, "%llu", (unsigned long long)signo);
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}
