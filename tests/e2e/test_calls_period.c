/*
 * test_calls_period.c - calls of which one in so many is recorded: totals are exact, shares are within the error
 * that is said, and the program is as it would be without us.
 *
 * Programs print what they have called ("CALLEE COUNT"); the profile is read as text that holds calls alone
 * (collapsed), through pprof, and through our own report.
 */
#include "common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERRORS_MOST 6 /* standard ones */

static struct run *run_period(const char *period)
{
	struct run *run = run_new();

	run->limit_s = 120;
	run_set(run, "MONPROF_COLLECT", "calls");
	run_set(run, "MONPROF_CALLS_PERIOD", period);
	run_set(run, "MONPROF_EXPORT", "pprof,collapsed");
	/* Room for all records of a run, however seldom our own thread gets a processor. */
	run_set(run, "MONPROF_RING", "16M");
	return run;
}

static void go(struct run *run, const char *kind, const char *rounds)
{
	run_go(run, python_path(), run_program("period.py"), kind, rounds, NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
}

static uint64_t remark(struct run *run, const struct stacks *stacks, const char *key)
{
	const char *at = strstr(stacks->comments, run_text(run, "Comment: %s=", key));

	RUN_CHECK(run, at, "no remark %s in\n%s", key, stacks->comments);
	return strtoull(strchr(at, '=') + 1, NULL, 10);
}

/* All calls of the profile, which are all events. */
static uint64_t check_total(struct run *run, const char *path)
{
	struct stacks *stacks = stacks_read(run, path);
	uint64_t total = stacks_total(stacks);

	RUN_CHECK(run, strcmp(stacks->sample_types, "calls/count[dflt]") == 0, "sample types: %s",
		  stacks->sample_types);
	RUN_CHECK(run, total == remark(run, stacks, "calls.events"), "%llu calls of\n%s",
		  (unsigned long long)total, stacks->comments);
	stacks_free(stacks);
	return total;
}

/* What the report says of a function: "CALLS ERROR - - - - - NAME". */
static bool find_row(const char *report, const char *function, double *calls, double *error)
{
	struct stacks_frame frame = { 0 };
	char name[128];

	frame.name = name;
	for (const char *line = report; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, "%lf %lf - - - - - %127s", calls, error, name) == 3 &&
		    stacks_is(&frame, function))
			return true;
	}
	return false;
}

/*
 * Each count that the program told is within its error; and the error is that of a choice of one in `period`:
 * of m that are chosen, sqrt(m (1 - share)).
 */
static void check_told(struct run *run, double period)
{
	const char *path = run_file(run, ".calls.pb.gz");
	const char *report = run_monprof(run, 0, "report", "--calls", "-n", "1000", path, NULL);
	double total = (double)check_total(run, path), wanted, calls, error, likely;
	unsigned lines = 0;
	char callee[128];

	for (const char *line = run->out; line && *line; line = strchr(line, '\n') + 1) {
		RUN_CHECK(run, sscanf(line, "%127s %lf", callee, &wanted) == 2, "not a count: %s",
			  line);
		RUN_CHECK(run, find_row(report, callee, &calls, &error), "no %s in\n%s", callee,
			  report);
		likely = wanted * period * (1 - wanted / total);
		RUN_CHECK(run,
			  (calls - wanted) * (calls - wanted) < ERRORS_MOST * ERRORS_MOST * likely,
			  "%.0f calls of %s are %.0f in\n%s", wanted, callee, calls, report);
		RUN_CHECK(run, error * error > likely / 3 && error * error < likely * 3,
			  "the error of %s is not near the root of %.0f in\n%s", callee, likely,
			  report);
		lines++;
	}
	RUN_CHECK(run, lines > 0, "it told nothing");
}

/* ---- estimates ---- */

Test(calls_period, shares_are_within_their_error_and_the_sum_is_exact)
{
	struct run *run = run_period("100"), *exact = run_period("1");
	struct stacks *all;
	uint64_t total;

	go(run, "mix", "50000");
	check_told(run, 100);
	total = check_total(run, run_file(run, ".calls.pb.gz"));
	go(exact, "mix", "50000");
	all = stacks_read(exact, run_file(exact, ".calls.collapsed"));
	RUN_CHECK(run, total == stacks_total(all), "%llu calls, in fact %llu",
		  (unsigned long long)total, (unsigned long long)stacks_total(all));
	stacks_free(all);
	run_free(exact);
	run_free(run);
}

Test(calls_period, remarks_say_what_was_asked_for_and_what_came_of_it)
{
	struct run *run = run_period("1000");
	struct stacks *stacks;
	uint64_t achieved, records;

	go(run, "mix", "20000");
	stacks = stacks_read(run, run_file(run, ".calls.pb.gz"));
	achieved = remark(run, stacks, "calls.achieved_period");
	records = remark(run, stacks, "windows.calls");
	RUN_CHECK(run, strstr(stacks->comments, "PeriodType: calls count\nPeriod: 1000\n"),
		  "no period:\n%s", stacks->comments);
	RUN_CHECK(run, remark(run, stacks, "period.calls") == 1000, "%s", stacks->comments);
	RUN_CHECK(run, achieved > 900 && achieved < 1100, "%s", stacks->comments);
	RUN_CHECK(run, records > 300 && records < 400, "%s", stacks->comments);
	RUN_CHECK(run, remark(run, stacks, "calls.lost") == 0, "%s", stacks->comments);
	stacks_free(stacks);
	run_free(run);
}

Test(calls_period, threads)
{
	struct run *run = run_period("50");

	go(run, "threads", "5000");
	check_told(run, 50);
	run_free(run);
}

/* None lives long enough for a record of its own. */
Test(calls_period, threads_that_end_before_a_record)
{
	struct run *run = run_period("50");

	go(run, "short", "200");
	check_told(run, 50);
	run_free(run);
}

/* Every record tells the way to the call, and its line. */
Test(calls_period, stacks_lead_to_the_line_of_the_call)
{
	struct run *run = run_period("20");
	struct stacks *stacks;
	uint64_t at_line[2] = { 0, 0 };
	unsigned lines[2] = { 0, 0 };

	go(run, "mix", "10000");
	stacks = stacks_read(run, run_file(run, ".calls.pb.gz"));
	for (size_t i = 0; i < stacks->count; i++) {
		const struct stack *stack = &stacks->stacks[i];
		unsigned line, which;

		if (stack->depth < 2 || !stacks_is(stack->frames[stack->depth - 1], "leaf"))
			continue;
		RUN_CHECK(run, stacks_is(stack->frames[stack->depth - 2], "often"), "leaf is in %s",
			  stack->frames[stack->depth - 2]->name);
		line = stack->frames[stack->depth - 2]->line;
		which = lines[0] && line != lines[0];
		RUN_CHECK(run, !lines[which] || lines[which] == line, "a third line, %u", line);
		lines[which] = line;
		at_line[which] += stack->value;
	}
	RUN_CHECK(run, lines[0] + 1 == lines[1] || lines[1] + 1 == lines[0], "lines %u and %u",
		  lines[0], lines[1]);
	for (unsigned i = 0; i < 2; i++)
		RUN_CHECK(run, at_line[i] > 15000 && at_line[i] < 25000, "%llu calls in line %u",
			  (unsigned long long)at_line[i], lines[i]);
	stacks_free(stacks);
	run_free(run);
}

/* ---- more than fits ---- */

/* Deep stacks fill a ring at once: what did not fit is counted, and no call is missing. */
Test(calls_period, a_full_ring_loses_stacks_but_no_calls)
{
	struct run *run = run_period("2");
	struct stacks *stacks;
	uint64_t lost, full;

	run_set(run, "MONPROF_RING", "16k");
	go(run, "deep", "300");
	check_total(run, run_file(run, ".calls.pb.gz"));
	stacks = stacks_read(run, run_file(run, ".calls.pb.gz"));
	lost = remark(run, stacks, "calls.lost");
	RUN_CHECK(run, strstr(stacks->comments, "lost.ring_full="), "%s", stacks->comments);
	full = strtoull(strstr(stacks->comments, "lost.ring_full=") + 15, NULL, 10);
	RUN_CHECK(run, lost > 0 && full == lost, "%llu lost, %llu for want of room\n%s",
		  (unsigned long long)lost, (unsigned long long)full, stacks->comments);
	stacks_free(stacks);
	run_free(run);
}

/* Both write into the same rings, one in handlers that come at any moment. */
Test(calls_period, with_very_many_samples_of_cpu)
{
	struct run *run = run_period("20");
	struct stacks *stacks;

	run_set(run, "MONPROF_COLLECT", "cpu,calls");
	run_set(run, "MONPROF_CPU_HZ", "10000");
	run_set(run, "MONPROF_CPU_CLOCK", "monotonic");
	go(run, "mix", "50000");
	check_told(run, 20);
	stacks = stacks_read(run, run_file(run, ".calls.pb.gz"));
	RUN_CHECK(run, remark(run, stacks, "windows.calls") > 40000, "%s", stacks->comments);
	RUN_CHECK(run, remark(run, stacks, "calls.lost") == 0, "%s", stacks->comments);
	stacks_free(stacks);
	run_free(run);
}

/* ---- C functions ---- */

/* What a site has told is not said again; nor is the last one that it told of for a call of Python. */
Test(calls_period, with_sites_a_leaf_is_one)
{
	struct run *run = run_period("20");
	struct stacks *stacks;
	uint64_t leaves = 0;

	run_set(run, "MONPROF_COLLECT", "calls,sites");
	go(run, "mix", "20000");
	check_told(run, 20);
	stacks = stacks_read(run, run_file(run, ".calls.pb.gz"));
	for (size_t i = 0; i < stacks->count; i++) {
		const struct stack *stack = &stacks->stacks[i];
		const struct stacks_frame *leaf =
			stack->depth > 1 ? stack->frames[stack->depth - 1] : NULL;

		if (!leaf || (!stacks_is(leaf, "builtins.abs") && !stacks_is(leaf, "builtins.len")))
			continue;
		RUN_CHECK(run,
			  !stacks_is(stack->frames[stack->depth - 2], "builtins.abs") &&
				  !stacks_is(stack->frames[stack->depth - 2], "builtins.len"),
			  "%s is below %s", leaf->name, stack->frames[stack->depth - 2]->name);
		leaves += stacks_is(stack->frames[stack->depth - 2], "of_c") ? stack->value : 0;
	}
	RUN_CHECK(run, leaves > 50000 && leaves < 70000, "%llu calls of C in of_c",
		  (unsigned long long)leaves);
	stacks_free(stacks);
	run_free(run);
}

static void check_events(const char *events, bool is_python)
{
	struct run *run = run_period("20");
	struct stacks *stacks;
	uint64_t c, python;

	run_set(run, "MONPROF_CALLS_EVENTS", events);
	go(run, "mix", "10000");
	check_total(run, run_file(run, ".calls.pb.gz"));
	stacks = stacks_read(run, run_file(run, ".calls.pb.gz"));
	c = stacks_self(stacks, "builtins.len") + stacks_self(stacks, "builtins.abs");
	python = stacks_self(stacks, "leaf") + stacks_self(stacks, "steps");
	RUN_CHECK(run, is_python ? c == 0 && python > 80000 : python == 0 && c > 20000,
		  "%llu calls of C, %llu of Python", (unsigned long long)c,
		  (unsigned long long)python);
	stacks_free(stacks);
	run_free(run);
}

Test(calls_period, of_python_alone)
{
	check_events("py", true);
}

Test(calls_period, of_c_alone)
{
	check_events("c", false);
}

/* ---- 1 is all ---- */

static void check_exact(const char *kind)
{
	struct run *run = run_period("1");
	struct stacks *stacks;
	unsigned lines = 0;
	char callee[128];
	unsigned long long wanted;

	go(run, kind, "2000");
	stacks = stacks_read(run, run_file(run, ".calls.collapsed"));
	for (const char *line = run->out; line && *line; line = strchr(line, '\n') + 1) {
		RUN_CHECK(run, sscanf(line, "%127s %llu", callee, &wanted) == 2, "not a count: %s",
			  line);
		RUN_CHECK(run, stacks_leaf(stacks, "mix", callee) == wanted,
			  "%llu calls of %s are %llu", wanted, callee,
			  (unsigned long long)stacks_leaf(stacks, "mix", callee));
		lines++;
	}
	RUN_CHECK(run, lines > 0, "it told nothing");
	stacks_free(stacks);
	stacks = stacks_read(run, run_file(run, ".calls.pb.gz"));
	RUN_CHECK(run, !strstr(run_pprof(run, "-raw", run_file(run, ".calls.pb.gz")), "error:["),
		  "an error of what is exact");
	RUN_CHECK(run, remark(run, stacks, "calls.lost") == 0, "%s", stacks->comments);
	stacks_free(stacks);
	run_free(run);
}

Test(calls_period_exact, one_thread)
{
	check_exact("mix");
}

Test(calls_period_exact, threads)
{
	check_exact("threads");
}

/* ---- processes ---- */

/* What the parent has called is not the child's, whether a record stood for it already or not. */
Test(calls_period, fork_has_two_profiles)
{
	struct run *run = run_period("50");
	unsigned long long pid, wanted;
	unsigned lines = 0;
	char callee[32];

	go(run, "fork", "20000");
	RUN_CHECK(run, run_count(run, ".calls.pb.gz") == 2, "wanted two files");
	for (const char *line = run->out; line && *line; line = strchr(line, '\n') + 1) {
		struct stacks *stacks;
		uint64_t total, counted;

		RUN_CHECK(run, sscanf(line, "%llu %31s %llu", &pid, callee, &wanted) == 3,
			  "not a count: %s", line);
		total = check_total(run,
				    run_text(run, "%s/monprof.%llu.calls.pb.gz", run->dir, pid));
		stacks = stacks_read(run,
				     run_text(run, "%s/monprof.%llu.calls.pb.gz", run->dir, pid));
		counted = stacks_self(stacks, callee);
		RUN_CHECK(run, counted <= wanted + 200 && counted + 200 >= wanted,
			  "%llu calls of %s in %llu are %llu", wanted, callee, pid,
			  (unsigned long long)counted);
		RUN_CHECK(run, total >= wanted && total < 50000, "%llu calls in %llu",
			  (unsigned long long)total, pid);
		stacks_free(stacks);
		lines++;
	}
	RUN_CHECK(run, lines == 4, "it told less");
	run_free(run);
}

/* ---- options ---- */

Test(calls_period_options, the_period_holds_where_a_rate_is_given_too)
{
	static const char *const rates[] = { "5%", "0" };

	for (unsigned i = 0; i < 2; i++) {
		struct run *run = run_period("100");

		run_set(run, "MONPROF_CALLS_RATE", rates[i]);
		run_go(run, python_path(), run_program("period.py"), "mix", "1000", NULL);
		run_check_exit(run, 0);
		run_check_line(run, "MONPROF_CALLS_RATE says nothing");
		check_total(run, run_file(run, ".calls.pb.gz"));
		run_free(run);
	}
}

Test(calls_period_options, period_0_is_a_rate)
{
	struct run *run = run_period("0");
	struct stacks *stacks;

	run_set(run, "MONPROF_CALLS_RATE", "100%");
	go(run, "mix", "1000");
	stacks = stacks_read(run, run_file(run, ".calls.pb.gz"));
	RUN_CHECK(run, strcmp(stacks->sample_types, "calls/count[dflt] time/nanoseconds") == 0,
		  "sample types: %s", stacks->sample_types);
	stacks_free(stacks);
	run_free(run);
}

/* ---- others ---- */

/* With us the program does what it does alone; that the id went is all we say. */
static void check_citizen(const char *kind, bool is_told)
{
	struct run *plain = run_new(), *run = run_period("100");

	plain->is_plain = true;
	run_go(plain, python_path(), run_program("citizen.py"), kind, NULL);
	run_check_exit(plain, 3);
	run_go(run, python_path(), run_program("citizen.py"), kind, NULL);
	run_check_exit(run, 3);
	RUN_CHECK(run, strcmp(run->out, plain->out) == 0, "alone it says: %s", plain->out);
	if (is_told)
		run_check_line(run, "the program took sys.monitoring's tool id");
	else
		run_check_silent(run);
	run_free(run);
	run_free(plain);
}

Test(calls_period_citizen, cprofile_gets_its_id)
{
	check_citizen("cprofile", false);
}

Test(calls_period_citizen, id_is_freed)
{
	check_citizen("frees", false);
}

Test(calls_period_citizen, settrace)
{
	check_citizen("settrace", false);
}

Test(calls_period_citizen, setprofile)
{
	check_citizen("setprofile", false);
}

Test(calls_period_citizen, profile)
{
	check_citizen("profile", false);
}
