/*
 * test_budget.c - what is noted of our cost, and what rates become of it.
 */
#include "budget.h"

#include "running.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define S UINT64_C(1000000000)

bool __wrap_running_rate(double factor);
uint64_t __wrap_running_kept_cost_ns(void);
uint64_t __wrap_os_process_cpu_ns(void);
uint64_t __wrap_os_monotonic_ns(void);
void __wrap_threads_sum(struct threads_sums *sums);
void __wrap_log_line(const char *format, ...) PROF_PRINTF(1, 2);

static uint64_t cpu_ns = 3 * S, now_ns = 100 * S, handlers_ns, thread_ns, kept_ns;
static double factor; /* last asked for */
static bool is_followed = true;
static char notes[512], line[256];
static unsigned lines;

uint64_t __wrap_os_process_cpu_ns(void)
{
	return cpu_ns;
}

uint64_t __wrap_os_monotonic_ns(void)
{
	return now_ns;
}

void __wrap_threads_sum(struct threads_sums *sums)
{
	memset(sums, 0, sizeof(*sums));
	sums->own_ns = handlers_ns;
}

bool __wrap_running_rate(double asked)
{
	factor = asked;
	return is_followed;
}

uint64_t __wrap_running_kept_cost_ns(void)
{
	return kept_ns;
}

void __wrap_log_line(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	log_vformat(line, sizeof(line), format, arguments);
	va_end(arguments);
	lines++;
}

static void take_note(const char *key, const char *value)
{
	size_t used = strlen(notes);

	log_format(notes + used, sizeof(notes) - used, "%s=%s;", key, value);
}

/* So much of our own, and of the process's time, while so much passes. */
static void spend(double own, double used, double passed)
{
	now_ns += (uint64_t)(passed * (double)S);
	cpu_ns += (uint64_t)(used * (double)S);
	handlers_ns += (uint64_t)(own * (double)S);
	notes[0] = '\0';
	budget_flush(now_ns, &(struct budget_own){ .thread_ns = thread_ns }, take_note);
}

static void set_up(void)
{
	budget_begin();
}

TestSuite(budget, .init = set_up);

Test(budget, cost_is_noted_as_a_share_of_the_cpu_time)
{
	cpu_ns += 100000001;
	handlers_ns = 4000000;
	budget_flush(now_ns, &(struct budget_own){ 345679, 8000000, 0 }, take_note);
	cr_expect_str_eq(notes,
			 "own.kernel_ns=345679;own.share_of_cpu=12.34%;process.cpu_ns=100000001;"
			 "budget.least_rate_ppm=1000000;");
}

Test(budget, a_share_of_nothing_is_no_division_by_zero)
{
	budget_flush(now_ns, &(struct budget_own){ 0 }, take_note);
	cr_expect_str_eq(notes, "own.kernel_ns=0;own.share_of_cpu=0.00%;process.cpu_ns=0;"
				"budget.least_rate_ppm=1000000;");
}

Test(budget, what_fits_changes_nothing)
{
	for (unsigned i = 0; i < 100; i++)
		spend(0.0099, 1, 1);
	cr_expect_eq(factor, 1);
	cr_expect_eq(lines, 0);
}

Test(budget, rates_go_down_until_it_fits_and_up_again)
{
	double own = 0;

	for (unsigned i = 0; i < 100; i++) {
		own = 0.03 * (factor > 0 ? factor : 1);
		spend(own, 1, 1);
	}
	cr_expect_float_eq(factor, 1.0 / 3, 0.001);
	cr_expect_float_eq(own, 0.01, 0.0001);
	cr_expect(strstr(notes, "budget.least_rate_ppm=3333"), "%s", notes);
	for (unsigned i = 0; i < 100; i++)
		spend(0.005 * factor, 1, 1);
	cr_expect_eq(factor, 1);
	cr_expect(strstr(notes, "budget.least_rate_ppm=3333"), "the lowest stays noted: %s", notes);
}

Test(budget, what_depends_on_no_rate_is_made_room_for)
{
	for (unsigned i = 0; i < 200; i++)
		spend(0.006 + 0.02 * (factor > 0 ? factor : 1), 1, 1);
	cr_expect_float_eq(factor, 0.2, 0.001);
}

Test(budget, one_dear_second_does_not_count_for_all)
{
	spend(0.02, 1, 1);
	cr_expect_eq(factor, 1, "smoothed: %g", factor);
}

Test(budget, rates_do_not_vanish)
{
	for (unsigned i = 0; i < 100; i++)
		spend(0.5, 1, 1);
	cr_expect_float_eq(factor, 1.0 / 64, 1e-9);
	cr_expect_eq(lines, 1, "said once");
	cr_expect(strstr(line, "MONPROF_BUDGET=1%: rates can go no lower"), "%s", line);
}

/* All calls are wanted, and cost half of the time: samples of CPU time go on as ever. */
Test(budget, what_is_kept_lowers_nothing_else)
{
	for (unsigned i = 0; i < 100; i++) {
		kept_ns += S / 2;
		spend(0.502, 1, 1);
	}
	cr_expect_eq(factor, 1);
}

Test(budget, short_stretches_wait_for_more)
{
	for (unsigned i = 0; i < 4; i++)
		spend(0.1, 0.1, 0.1);
	cr_expect_eq(factor, 0);
	spend(0.1, 0.2, 0.2);
	cr_expect(factor > 0 && factor < 1, "%g", factor);
}

Test(budget, a_sleeping_program_is_not_slowed)
{
	/* Half a percent of the time, and half of what little the program uses. */
	for (unsigned i = 0; i < 200; i++)
		spend(0.00050001, 0.001, 1);
	cr_expect_eq(factor, 1);
	cr_expect(strstr(notes, "own.share_of_cpu=50.00%"), "the note keeps to CPU time: %s",
		  notes);
}

Test(budget, a_rate_that_was_set_is_kept_with_one_line)
{
	is_followed = false;
	for (unsigned i = 0; i < 9; i++)
		spend(0.05001, 1, 1);
	cr_expect_eq(lines, 0, "after ten seconds of the program");
	for (unsigned i = 0; i < 9; i++)
		spend(0.05001, 1, 1);
	cr_expect_eq(lines, 1);
	cr_expect_str_eq(
		line,
		"our own cost is 5.00% of the program's CPU time, more than MONPROF_BUDGET=1%: "
		"a rate that was set is lowered only if the budget is set, too");
	cr_expect(strstr(notes, "budget.least_rate_ppm=1000000"), "%s", notes);
}

Test(budget, exact_counts_stay_exact)
{
	setenv("MONPROF_BUDGET", "3%", 1);
	options_load();
	is_followed = false;
	for (unsigned i = 0; i < 12; i++)
		spend(0.50001, 1, 1);
	cr_expect_eq(lines, 1);
	cr_expect_str_eq(line, "our own cost is 50.00% of the program's CPU time, more than "
			       "MONPROF_BUDGET=3%: the rate that was set is kept");
}

Test(budget, another_process_begins_anew)
{
	for (unsigned i = 0; i < 20; i++)
		spend(0.05, 1, 1);
	cr_expect(factor < 1);
	handlers_ns = 0;
	budget_begin();
	spend(0.001, 1, 1);
	cr_expect_eq(factor, 1);
	cr_expect(strstr(notes, "process.cpu_ns=1000000000;budget.least_rate_ppm=1000000"), "%s",
		  notes);
}

Test(budget, an_export_lowers_no_rate)
{
	struct budget_own own = { 0 };

	for (unsigned i = 0; i < 10; i++) {
		now_ns += S;
		cpu_ns += S;
		own.thread_ns += S / 10;
		own.export_ns += S / 10;
		budget_flush(now_ns, &own, take_note);
	}
	cr_expect_eq(factor, 1);
	cr_expect(strstr(notes, "own.share_of_cpu=9.99%"), "it is told, rounded down: %s", notes);
}

Test(budget, each_recording_has_its_own_remarks)
{
	for (unsigned i = 0; i < 100; i++)
		spend(0.03 * (factor > 0 ? factor : 1), 1, 1);
	budget_renew();
	for (unsigned i = 0; i < 100; i++)
		spend(0.005, 1, 1);
	cr_expect(strstr(notes, "own.share_of_cpu=0.49%"), "%s", notes);
	cr_expect(strstr(notes, "process.cpu_ns=100000000000;"), "%s", notes);
	budget_renew();
	spend(0.005, 1, 1);
	cr_expect(strstr(notes, "budget.least_rate_ppm=1000000"), "%s", notes);
}
