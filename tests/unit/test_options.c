/*
 * test_options.c - rows, texts that are right, texts that are wrong, and the environment as a whole.
 *
 * Every line that would go to stderr is caught (log_line is wrapped), so messages are compared too.
 */
#include "log.h"
#include "options.h"
#include "record_native.h"
#include "text.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
	bool quiet;
	unsigned count;
	char lines[16][512];
} said;

void __wrap_log_quiet(bool quiet);
void __wrap_log_line(const char *format, ...) PROF_PRINTF(1, 2);

void __wrap_log_quiet(bool quiet)
{
	said.quiet = quiet;
}

void __wrap_log_line(const char *format, ...)
{
	va_list values;

	if (said.quiet)
		return;
	cr_assert_lt(said.count, PROF_COUNT(said.lines));
	va_start(values, format);
	vsnprintf(said.lines[said.count++], sizeof(said.lines[0]), format, values);
	va_end(values);
}

/* One row of each type that no option of today may have. */
static const struct option numbers = { "HZ", OPTION_TYPE_NUMBER, "Hz", "100", "1..10000", "" };
static const struct option times = { "WAIT", OPTION_TYPE_TIME, "", "1s", "10ms..1h", "" };
static const struct option sizes = { "RING", OPTION_TYPE_SIZE, "", "128k", "16k..64M", "" };
static const struct option spans = { "ROTATE", OPTION_TYPE_SPAN, "", "off", "1s..10h|1M..1G", "" };
static const struct option bounds = { "DISK", OPTION_TYPE_SIZE, "", "off", "16M..1G", "" };
static const struct option choices = {
	"CLOCK", OPTION_TYPE_CHOICE, "", "auto", "auto|tick|perf", ""
};
static const struct option lists = { "LIST", OPTION_TYPE_LIST, "", "a", "a|bee|sea", "" };
static const struct option exports = { "EXPORT", OPTION_TYPE_LIST, "", "pprof", "@exporters", "" };
static const struct option collects = { "COLLECT", OPTION_TYPE_LIST, "", "cpu", "@collectors", "" };
static const struct option flags = { "KEEP", OPTION_TYPE_YESNO, "", "no", "", "" };
static const struct option carriers = { "SIGNAL", OPTION_TYPE_SIGNAL, "", "URG", "", "" };

static const struct {
	const struct option *row;
	const char *text;
	uint64_t number;
} right[] = {
	{ &numbers, "1", 1 },
	{ &numbers, "10000", 10000 },
	{ &numbers, "250hz", 250 },
	{ &times, "10ms", 10000000 },
	{ &times, "0.5s", 500000000 },
	{ &times, "1.000000001s", 1000000000 },
	{ &times, "1h", UINT64_C(3600000000000) },
	{ &times, "2m", UINT64_C(120000000000) },
	{ &times, "10000us", 10000000 },
	{ &times, "10000000ns", 10000000 },
	{ &sizes, "16k", 16384 },
	{ &sizes, "16384B", 16384 },
	{ &sizes, "1.5M", 1572864 },
	{ &sizes, "64MiB", UINT64_C(67108864) },
	{ &sizes, "32K", 32768 },
	{ &sizes, "32Ki", 32768 },
	{ &spans, "off", 0 },
	{ &spans, "10m", UINT64_C(600000000000) },
	{ &spans, "64M", 67108864 },
	{ &spans, "2mb", 2097152 },
	{ &bounds, "OFF", 0 },
	{ &bounds, "16m", 16777216 },
	{ &choices, "perf", 2 },
	{ &choices, "AUTO", 0 },
	{ &lists, "none", 0 },
	{ &lists, "sea,a", 5 },
	{ &lists, "bee,bee", 2 },
	{ &exports, "pprof", 1 },
	{ &exports, "collapsed,pprof", 3 },
	{ &collects, "cpu", 1 },
	{ &flags, "yes", 1 },
	{ &flags, "On", 1 },
	{ &flags, "1", 1 },
	{ &flags, "off", 0 },
	{ &carriers, "URG", SIGURG },
	{ &carriers, "sigurg", SIGURG },
	{ &carriers, "27", 27 },
	{ &carriers, "PROF", SIGPROF },
	{ &carriers, "POLL", SIGIO },
};

Test(options, right_texts)
{
	struct option_value value;
	char error[256];

	for (size_t i = 0; i < PROF_COUNT(right); i++) {
		errmsg wrong =
			option_parse(right[i].row, right[i].text, &value, error, sizeof(error));

		cr_expect_null(wrong, "%s: %s", right[i].text, wrong);
		cr_expect_eq(value.number, right[i].number, "%s is %lu", right[i].text,
			     value.number);
	}
}

Test(options, real_time_signals)
{
	struct option_value value;
	char error[256], text[32];

	cr_assert_null(option_parse(&carriers, "RTMIN", &value, error, sizeof(error)));
	cr_expect_eq(value.number, (uint64_t)SIGRTMIN);
	cr_assert_null(option_parse(&carriers, "SIGRTMIN+3", &value, error, sizeof(error)));
	cr_expect_eq(value.number, (uint64_t)SIGRTMIN + 3);
	cr_assert_null(option_parse(&carriers, "rtmax-1", &value, error, sizeof(error)));
	cr_expect_eq(value.number, (uint64_t)SIGRTMAX - 1);
	option_print(OPTION_SIGNAL, &value, text, sizeof(text));
	snprintf(error, sizeof(error), "RTMIN+%d", SIGRTMAX - 1 - SIGRTMIN);
	cr_expect_str_eq(text, error);
}

static const struct {
	const struct option *row;
	const char *text, *message;
} bad[] = {
	{ &numbers, "0", "MONPROF_HZ=0 is out of range; the nearest is 1" },
	{ &numbers, "10001", "MONPROF_HZ=10001 is out of range; the nearest is 10000" },
	{ &numbers, "-5", "MONPROF_HZ=-5 is not a whole number of Hz" },
	{ &numbers, "1.5", "MONPROF_HZ=1.5 is not a whole number of Hz" },
	{ &numbers, "99999999999999999999",
	  "MONPROF_HZ=99999999999999999999 is not a whole number of Hz" },
	{ &numbers, "10kHz", "MONPROF_HZ=10kHz is not a whole number of Hz" },
	{ &spans, "10",
	  "MONPROF_ROTATE=10 needs a unit (ns us ms s m h, B k M G), for example 10m" },
	{ &spans, "10q", "MONPROF_ROTATE=10q is not a time or size, such as off" },
	{ &spans, "11h", "MONPROF_ROTATE=11h is out of range; the nearest is 10h" },
	{ &spans, "1k", "MONPROF_ROTATE=1k is out of range; the nearest is 1M" },
	{ &spans, "2G", "MONPROF_ROTATE=2G is out of range; the nearest is 1G" },
	{ &spans, "0", "MONPROF_ROTATE=0 needs a unit (ns us ms s m h, B k M G), for example 0m" },
	{ &bounds, "1M", "MONPROF_DISK=1M is out of range; the nearest is 16M" },
	{ &times, "off", "MONPROF_WAIT=off is not a time, such as 1s" },
	{ &times, "5", "MONPROF_WAIT=5 needs a unit (ns us ms s m h), for example 5s" },
	{ &times, "5 s", "MONPROF_WAIT=5 s is not a time, such as 1s" },
	{ &times, "5.s", "MONPROF_WAIT=5.s is not a time, such as 1s" },
	{ &times, "s", "MONPROF_WAIT=s is not a time, such as 1s" },
	{ &times, "9ms", "MONPROF_WAIT=9ms is out of range; the nearest is 10ms" },
	{ &times, "61m", "MONPROF_WAIT=61m is out of range; the nearest is 1h" },
	{ &times, "99999999999h", "MONPROF_WAIT=99999999999h is not a time, such as 1s" },
	{ &sizes, "64", "MONPROF_RING=64 needs a unit (B k M G), for example 64M" },
	{ &sizes, "1T", "MONPROF_RING=1T is not a size, such as 128k" },
	{ &sizes, "65M", "MONPROF_RING=65M is out of range; the nearest is 64M" },
	{ &choices, "tik", "MONPROF_CLOCK=tik is none of auto|tick|perf; the nearest is tick" },
	{ &choices, "", "MONPROF_CLOCK= is none of auto|tick|perf; the nearest is auto" },
	{ &lists, "a,bea", "MONPROF_LIST: there is no 'bea'; the nearest is bee" },
	{ &lists, "a,", "MONPROF_LIST: there is no ''; the nearest is a" },
	{ &exports, "colapsed",
	  "MONPROF_EXPORT: there is no 'colapsed'; the nearest is collapsed" },
	{ &flags, "maybe", "MONPROF_KEEP=maybe is neither yes nor no" },
	{ &flags, "\033[31m", "MONPROF_KEEP=?[31m is neither yes nor no" },
	{ &carriers, "URGE", "MONPROF_SIGNAL=URGE is not a signal, such as URG or RTMIN+5" },
	{ &carriers, "0", "MONPROF_SIGNAL=0 is not a signal, such as URG or RTMIN+5" },
	{ &carriers, "65", "MONPROF_SIGNAL=65 is not a signal, such as URG or RTMIN+5" },
	{ &carriers, "RTMIN+99",
	  "MONPROF_SIGNAL=RTMIN+99 is not a signal, such as URG or RTMIN+5" },
};

Test(options, wrong_texts)
{
	struct option_value value;
	char error[256];

	for (size_t i = 0; i < PROF_COUNT(bad); i++) {
		errmsg wrong = option_parse(bad[i].row, bad[i].text, &value, error, sizeof(error));

		cr_assert_not_null(wrong, "'%s' was taken", bad[i].text);
		cr_expect_str_eq(wrong, bad[i].message);
	}
}

Test(options, signals_that_cannot_carry_ticks)
{
	static const char *const names[] = { "KILL", "STOP", "SEGV", "BUS",  "FPE",  "ILL",
					     "TRAP", "ABRT", "SYS",  "CHLD", "CONT", "TSTP",
					     "TTIN", "9",    "32",   "33" };
	struct option_value value;
	char error[256];

	for (size_t i = 0; i < PROF_COUNT(names); i++) {
		cr_assert_not_null(option_parse(&carriers, names[i], &value, error, sizeof(error)));
		cr_expect(strstr(error, "cannot carry ticks"), "%s", error);
	}
}

Test(options, long_texts_are_cut_in_messages)
{
	struct option_value value;
	char text[2000], error[128];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	cr_assert_not_null(option_parse(&flags, text, &value, error, sizeof(error)));
	cr_expect(strstr(error, "xxx... is neither"), "%s", error);
}

Test(options, every_row_prints_what_it_parses)
{
	for (unsigned id = 0; id < OPTION_COUNT; id++) {
		const struct option *row = option_row((enum option_id)id);
		struct option_value value, again;
		char text[256], error[256];

		cr_assert_null(option_parse(row, row->preset, &value, error, sizeof(error)), "%s",
			       row->name);
		option_print((enum option_id)id, &value, text, sizeof(text));
		cr_expect_str_eq(text, row->preset, "%s", row->name);
		cr_assert_null(option_parse(row, text, &again, error, sizeof(error)));
		cr_expect_eq(again.number, value.number);
		cr_expect(row->help[0], "%s has no help", row->name);
		cr_expect_eq(option_find(row->name), id);
	}
}

Test(options, prints_in_the_largest_unit_that_is_exact)
{
	const struct {
		enum option_id id;
		uint64_t number;
		const char *text;
	} cases[] = {
		{ OPTION_FLUSH, 1500000000, "1500ms" },
		{ OPTION_FLUSH, 1000000001, "1000000001ns" },
		{ OPTION_FLUSH, 120000000000, "2m" },
		{ OPTION_EXIT_WAIT, 0, "0ns" },
		{ OPTION_RING, 1572864, "1536k" },
		{ OPTION_RING, 1048577, "1048577B" },
		{ OPTION_EXPORT, 0, "none" },
		{ OPTION_EXPORT, 3, "pprof,collapsed" },
		{ OPTION_CPU_CLOCK, 3, "monotonic" },
		{ OPTION_KEEP, 1, "yes" },
		{ OPTION_SIGNAL, SIGPROF, "PROF" },
	};
	char text[64];

	for (size_t i = 0; i < PROF_COUNT(cases); i++) {
		struct option_value value = { .number = cases[i].number };

		cr_expect_eq(option_print(cases[i].id, &value, text, sizeof(text)),
			     strlen(cases[i].text));
		cr_expect_str_eq(text, cases[i].text);
	}
}

Test(options, nearest_names)
{
	cr_expect_str_eq(option_nearest("COLECT"), "COLLECT");
	cr_expect_str_eq(option_nearest("depht"), "DEPTH");
	cr_expect_str_eq(option_nearest("CPUHZ"), "CPU_HZ");
	cr_expect_eq(option_find("exit_wait"), OPTION_EXIT_WAIT);
	cr_expect_eq(option_find("EXIT_WAI"), OPTION_COUNT);
	cr_expect_eq(option_find(""), OPTION_COUNT);
}

Test(options, distances)
{
	cr_expect_eq(text_distance("", ""), 0);
	cr_expect_eq(text_distance("", "abc"), 3);
	cr_expect_eq(text_distance("abc", ""), 3);
	cr_expect_eq(text_distance("kitten", "sitting"), 3);
	cr_expect_eq(text_distance("ABC", "abc"), 0);
	cr_expect_eq(text_distance("abcd", "acbd"), 1, "neighbours swapped");
	cr_expect_eq(text_distance("ab", "ba"), 1);
}

Test(options, words_of_a_list)
{
	char buffer[32];

	cr_expect_str_eq(option_word(&lists, 0, buffer, sizeof(buffer)), "a");
	cr_expect_str_eq(option_word(&lists, 2, buffer, sizeof(buffer)), "sea");
	cr_expect_null(option_word(&lists, 3, buffer, sizeof(buffer)));
	cr_expect_str_eq(option_word(&exports, 1, buffer, sizeof(buffer)), "collapsed");
	cr_expect_null(option_word(&exports, 1000, buffer, sizeof(buffer)));
	cr_expect_null(option_word(&flags, 0, buffer, sizeof(buffer)));
	cr_expect_str_eq(option_word(&lists, 1, buffer, 3), "be");
}

Test(options, defaults_before_the_environment_is_read)
{
	setenv("MONPROF_DEPTH", "7", 1);
	cr_expect_eq(option_number(OPTION_DEPTH), 512);
	cr_expect_str_eq(option_text(OPTION_OUTPUT), "monprof.%p");
	cr_expect_not(option_value(OPTION_DEPTH)->given);
}

Test(options, the_environment_is_read_once)
{
	char output[] = "MONPROF_OUTPUT=out/%p";

	setenv("MONPROF_DEPTH", "7", 1);
	setenv("MONPROF_LINES", "", 1);
	putenv(output);
	cr_assert(options_load());
	cr_expect_eq(said.count, 0);
	cr_expect_eq(option_number(OPTION_DEPTH), 7);
	cr_expect(option_value(OPTION_DEPTH)->given);
	cr_expect_not(option_value(OPTION_LINES)->given, "empty is not given");

	memset(output + sizeof("MONPROF_OUTPUT"), 'X', 3);
	setenv("MONPROF_DEPTH", "nonsense", 1);
	setenv("MONPROF", "off", 1);
	cr_expect(options_load());
	cr_expect_eq(option_number(OPTION_DEPTH), 7);
	cr_expect_str_eq(option_text(OPTION_OUTPUT), "out/%p");
	cr_expect_eq(said.count, 0);
}

Test(options, native_frames_are_off_unless_one_asks)
{
	cr_assert(options_load());
	cr_expect_eq(option_number(OPTION_NATIVE), RECORD_NATIVE_NO);
	cr_expect_eq(option_number(OPTION_NATIVE_STACK), 65536);
	cr_expect_eq(option_number(OPTION_NATIVE_HIDE), 1);
}

/* A choice's number is its place in the row: what record_native.h counts by. */
Test(options, native_frames_are_chosen_as_they_are_recorded)
{
	setenv("MONPROF_NATIVE", "leaf", 1);
	setenv("MONPROF_NATIVE_STACK", "1M", 1);
	setenv("MONPROF_NATIVE_HIDE", "no", 1);
	cr_assert(options_load());
	cr_expect_eq(option_number(OPTION_NATIVE), RECORD_NATIVE_LEAF);
	cr_expect_eq(option_number(OPTION_NATIVE_STACK), 1048576);
	cr_expect_eq(option_number(OPTION_NATIVE_HIDE), 0);
	cr_expect_eq(said.count, 0);
}

Test(options, native_stacks_are_bounded)
{
	setenv("MONPROF_NATIVE", "yes", 1);
	setenv("MONPROF_NATIVE_STACK", "1023B", 1);
	cr_assert(options_load());
	cr_expect_eq(option_number(OPTION_NATIVE), RECORD_NATIVE_YES);
	cr_expect_eq(option_number(OPTION_NATIVE_STACK), 65536);
	cr_assert_eq(said.count, 1);
	cr_expect_str_eq(
		said.lines[0],
		"MONPROF_NATIVE_STACK=1023B is out of range; the nearest is 1k; it stays at 64k");
}

Test(options, bad_values_fall_back_one_line_each)
{
	setenv("MONPROF_DEPTH", "deep", 1);
	setenv("MONPROF_EXPROT", "pprof", 1);
	setenv("MONPROF_RING", "32k", 1);
	setenv("MONPROFILER_X", "not ours", 1);
	cr_expect(options_load());
	cr_assert_eq(said.count, 2);
	cr_expect_str_eq(said.lines[0],
			 "MONPROF_DEPTH=deep is not a whole number of frames; it stays at 512");
	cr_expect_str_eq(said.lines[1],
			 "MONPROF_EXPROT is not a setting; the nearest is MONPROF_EXPORT");
	cr_expect_eq(option_number(OPTION_DEPTH), 512);
	cr_expect_not(option_value(OPTION_DEPTH)->given);
	cr_expect_eq(option_number(OPTION_RING), 32768);
}

Test(options, names_are_upper_case)
{
	setenv("MONPROF_depth", "5", 1);
	cr_expect(options_load());
	cr_assert_eq(said.count, 1);
	cr_expect_str_eq(said.lines[0],
			 "MONPROF_depth is not a setting; the nearest is MONPROF_DEPTH");
}

Test(options, strict_turns_profiling_off)
{
	setenv("MONPROF_STRICT", "yes", 1);
	setenv("MONPROF_NOSUCH", "1", 1);
	cr_expect_not(options_load());
	cr_expect_not(options_load());
	cr_assert_eq(said.count, 2);
	cr_expect_str_eq(said.lines[1],
			 "profiling is off: MONPROF_STRICT=yes, and a setting is wrong");
}

Test(options, strict_says_nothing_of_a_fallback)
{
	setenv("MONPROF_STRICT", "yes", 1);
	setenv("MONPROF_DEPTH", "0", 1);
	cr_expect_not(options_load());
	cr_assert_eq(said.count, 2);
	cr_expect_null(strstr(said.lines[0], "stays at"), "%s", said.lines[0]);
}

Test(options, strict_lets_good_settings_through)
{
	setenv("MONPROF_STRICT", "yes", 1);
	setenv("MONPROF_DEPTH", "5", 1);
	cr_expect(options_load());
	cr_expect_eq(said.count, 0);
}

Test(options, quiet_comes_before_the_first_line)
{
	setenv("MONPROF_DEPTH", "deep", 1);
	setenv("MONPROF_STRICT", "perhaps", 1);
	setenv("MONPROF_QUIET", "yes", 1);
	cr_expect(options_load());
	cr_expect(said.quiet);
	cr_expect_eq(said.count, 0);
}

Test(options, the_master_switch)
{
	setenv("MONPROF", "No", 1);
	setenv("MONPROF_DEPTH", "deep", 1);
	cr_expect_not(options_load());
	cr_expect_eq(said.count, 0, "nobody asked");
}

Test(options, a_bad_master_switch_is_on)
{
	setenv("MONPROF", "of", 1);
	cr_expect(options_load());
	cr_assert_eq(said.count, 1);
	cr_expect_str_eq(said.lines[0], "MONPROF=of is neither on nor off; it stays on");
}

Test(options, a_text_that_is_too_long)
{
	static char text[8000];

	memset(text, 'y', sizeof(text) - 1);
	setenv("MONPROF_OUTPUT", text, 1);
	cr_expect(options_load());
	cr_assert_eq(said.count, 1);
	cr_expect_str_eq(said.lines[0], "MONPROF_OUTPUT is too long; it stays at monprof.%p");
	cr_expect_str_eq(option_text(OPTION_OUTPUT), "monprof.%p");
}
