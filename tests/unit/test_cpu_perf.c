/*
 * test_cpu_perf.c - the CPU collector with perf events beside the tick; periods and their jitter.
 */
#include "registry.h"

uint64_t __wrap_option_number(enum option_id id);
uint64_t __wrap_os_thread_cpu_ns(void);
bool __wrap_os_thread_cpu_of(pid_t tid, uint64_t *cpu_ns);
uint64_t __wrap_os_process_cpu_ns(void);
uint64_t __wrap_os_monotonic_ns(void);
uint64_t __wrap_os_tick_ns(void);
uint64_t __wrap_os_random(void);
int __wrap_signals_number(void);
int __wrap_os_timer_create(pid_t tid, bool monotonic, int signo, uintptr_t cookie, int *timer);
int __wrap_os_timer_set(int timer, uint64_t first_ns, uint64_t interval_ns);
void __wrap_os_timer_delete(int timer);
int __wrap_os_perf_open(pid_t tid, int signo, uint64_t period_ns);
int __wrap_os_perf_begin(int fd);
int __wrap_os_perf_period(int fd, uint64_t period_ns);
void __wrap_os_perf_close(int fd);
void __wrap_log_line(const char *format, ...) PROF_PRINTF(1, 2);
enum frames_result __wrap_frames_walk(struct frame *frames, size_t limit, uintptr_t pc,
				      size_t *count, uintptr_t *interpreter);

#include "cpu_stage.h"

#include <errno.h>
#include <unistd.h>

TestSuite(cpu_perf, .init = set_up);

/* What was asked for, again and again: within bounds, of the right mean, and not all the same. */
static struct {
	uint64_t least_ns, most_ns;
	double rate_sum;
	unsigned count;
} spans = { .least_ns = UINT64_MAX };

static void spans_add(uint64_t span_ns)
{
	spans.rate_sum += 1e9 / (double)span_ns;
	spans.least_ns = span_ns < spans.least_ns ? span_ns : spans.least_ns;
	spans.most_ns = span_ns > spans.most_ns ? span_ns : spans.most_ns;
	spans.count++;
}

static void spans_expect(uint64_t period_ns)
{
	double rate = 1e9 / (double)period_ns, mean = spans.rate_sum / spans.count;

	cr_expect_geq(spans.least_ns, period_ns * 4 / 5);
	cr_expect_leq(spans.most_ns, period_ns * 4 / 3 + 1);
	cr_expect_lt(spans.least_ns, period_ns * 82 / 100);
	cr_expect_gt(spans.most_ns, period_ns * 130 / 100);
	cr_expect(mean > 0.99 * rate && mean < 1.01 * rate, "%d instead of %d", (int)mean,
		  (int)rate);
}

Test(cpu_perf, births_are_jittered)
{
	uint64_t first_sum_ns = 0;

	quota(1 << 16);
	for (unsigned i = 0; i < ROUNDS; i++) {
		os.step_ns = 20000 + i * i % 65521;
		begin();
		cr_assert_geq(os.first_ns, 1, "0 would disarm it");
		cr_assert_leq(os.first_ns, os.interval_ns);
		first_sum_ns += os.first_ns;
		spans_add(os.interval_ns);
		OWN->thread_end(thread);
	}
	spans_expect(PERIOD_NS);
	cr_expect_gt(first_sum_ns / ROUNDS, PERIOD_NS * 45 / 100);
	cr_expect_lt(first_sum_ns / ROUNDS, PERIOD_NS * 58 / 100);
}

Test(cpu_perf, a_sampled_thread_is_armed_anew_now_and_then)
{
	begin();
	sample(7);
	OWN->pass(1);
	cr_expect_eq(os.arms, 1, "at birth");
	sample(1);
	OWN->pass(2);
	cr_expect_eq(os.arms, 2);
	OWN->pass(3);
	cr_expect_eq(os.arms, 2);
	for (unsigned i = 0; i < ROUNDS; i++) {
		sample(8);
		OWN->pass(4);
		spans_add(os.interval_ns);
	}
	cr_expect_eq(os.arms, 2 + ROUNDS);
	spans_expect(PERIOD_NS);
}

/* Its pending tick would be void, and ends an epoll_pwait all the same. */
Test(cpu_perf, a_thread_that_waits_with_a_mask_is_not_armed_anew)
{
	begin();
	sample(8);
	atomic_store(&thread->signals.is_waiting, true);
	OWN->pass(1);
	cr_expect_eq(os.arms, 1, "at birth");
	atomic_store(&thread->signals.is_waiting, false);
	OWN->pass(2);
	cr_expect_eq(os.arms, 2);
}

Test(cpu_perf, perf_is_for_what_the_tick_is_too_slow_for)
{
	begin_perf(250, AUTO);
	cr_expect_eq(os.perfs, 0, "the kernel's own rate");
	begin_perf(1000, TICK);
	begin_perf(1000, MONOTONIC);
	cr_expect_eq(os.perfs, 0);
	begin_perf(251, AUTO);
	cr_expect_eq(os.perfs - os.perfs_closed, 1);
	OWN->drainer_end();
	cr_expect_eq(os.perfs, os.perfs_closed);
	begin_perf(100, CHOICE_PERF);
	cr_expect_eq(os.perfs - os.perfs_closed, 1);
	cr_expect_eq(os.lines, 0);
}

Test(cpu_perf, perf_is_opened_once_and_closed_once)
{
	begin_perf(1000, AUTO);
	cr_expect_eq(os.perf_signo, SIGNO);
	OWN->pass(2);
	OWN->pass(3);
	cr_expect_eq(os.perfs - os.perfs_closed, 1);
	OWN->thread_end(thread);
	cr_expect_eq(os.perfs - os.perfs_closed, 1, "the drainer's table is not the thread's");
	OWN->pass(4);
	cr_expect_eq(os.perfs, os.perfs_closed);
	OWN->thread_gone(thread);
	OWN->drainer_end();
	cr_expect_eq(os.perfs, os.perfs_closed);
}

Test(cpu_perf, perf_is_closed_with_one_that_ended_unseen)
{
	begin_perf(1000, AUTO);
	OWN->thread_gone(thread);
	cr_expect_eq(os.perfs, os.perfs_closed);
}

Test(cpu_perf, perf_ticks_are_known_by_their_descriptor)
{
	int perf = begin_perf(1000, AUTO);

	os.cpu_ns = 2 * MS;
	cr_expect_not(perf_tick(perf - 1));
	cr_expect_not(perf_tick(3));
	cr_expect_eq(taken(), 0);
	cr_expect(perf_tick(perf));
	cr_expect_eq(taken(), 2 * MS);
	tick(2 * MS + MS / 2 - 1);
	cr_expect_eq(taken(), 0, "both clocks at once");
}

static unsigned known_at_once;

static void tick_at_once(int fd)
{
	known_at_once += perf_tick(fd);
}

Test(cpu_perf, a_tick_of_a_perf_event_just_begun_is_ours)
{
	on_perf_begin = tick_at_once;
	begin_perf(1000, AUTO);
	cr_expect_eq(known_at_once, 1, "but for the one that is measured with");
}

Test(cpu_perf, a_tick_of_a_perf_event_just_closed_is_still_ours)
{
	int first = begin_perf(1000, AUTO), second;

	OWN->drainer_end();
	cr_expect_eq(os.perfs, os.perfs_closed);
	os.cpu_ns = 2 * MS;
	cr_expect(perf_tick(first), "its signal was under way");
	cr_expect_eq(taken(), 2 * MS);
	cr_expect_not(perf_tick(first + 1));
	OWN->pass(2);
	second = PERF + (int)os.perfs - 1;
	cr_assert_neq(second, first);
	os.cpu_ns = 4 * MS;
	cr_expect(perf_tick(second));
	cr_expect_eq(taken(), 2 * MS);
}

/* Its event ticks on until our own thread closes it. */
Test(cpu_perf, a_tick_of_a_thread_that_has_ended_is_ours)
{
	int perf = begin_perf(1000, AUTO);

	os.cpu_ns = 2 * MS;
	thread_current = NULL;
	atomic_store(&thread->state, THREAD_DEAD);
	cr_expect(perf_tick(perf));
	cr_expect_not(perf_tick(perf + 1));
	cr_expect_null(ring_peek(&thread->ring));
	OWN->flush(0, note);
	cr_expect_not_null(strstr(os.notes, "cpu.skipped=1;"), "%s", os.notes);
}

Test(cpu_perf, descriptor_0_is_the_programs)
{
	begin();
	os.cpu_ns = 2 * MS;
	cr_expect_not(perf_tick(STDIN_FILENO), "never had one");
	begin_perf(1000, AUTO);
	cr_expect_not(perf_tick(STDIN_FILENO));
	OWN->drainer_end();
	cr_expect_not(perf_tick(STDIN_FILENO), "nor has now");
	cr_expect_null(ring_peek(&thread->ring));
}

Test(cpu_perf, perf_periods_are_jittered)
{
	begin_perf(1000, AUTO);
	for (unsigned i = 0; i < ROUNDS; i++) {
		sample(8);
		OWN->pass(2);
		spans_add(os.perf_ns);
	}
	cr_expect_eq(os.perf_periods, ROUNDS);
	spans_expect(MS);
}

Test(cpu_perf, perf_that_is_refused_is_one_line)
{
	os.perf_error = EACCES;
	begin_perf(1000, AUTO);
	cr_expect_eq(os.lines, 1);
	cr_expect_not_null(strstr(os.line, "at most 250 samples"), "%s", os.line);
	cr_expect_not_null(strstr(os.line, "not 1000"), "%s", os.line);
	os.perf_error = 0;
	OWN->pass(2);
	cr_expect_eq(os.perfs, 0, "not asked again");
	cr_expect_eq(os.lines, 1);
	tick(2 * MS);
	cr_expect_eq(taken(), 2 * MS, "the tick goes on");
	OWN->flush(3, note);
	cr_expect_not_null(strstr(os.notes, "cpu.clock=tick;"), "%s", os.notes);
}

Test(cpu_perf, perf_for_one_that_has_just_ended_is_no_refusal)
{
	start(1000, AUTO);
	OWN->drainer_begin(true);
	begin();
	for (unsigned i = 0; i < 2; i++) {
		os.perf_error = i ? ESRCH : EMFILE;
		OWN->pass(1);
	}
	cr_expect_eq(os.lines, 0);
	os.perf_error = 0;
	OWN->pass(2);
	cr_expect_eq(os.perfs - os.perfs_closed, 1, "asked again");
}

Test(cpu_perf, no_perf_in_a_table_that_is_shared)
{
	start(1000, AUTO);
	OWN->drainer_begin(false);
	begin();
	OWN->pass(1);
	cr_expect_eq(os.perfs, 0);
	cr_expect_eq(os.lines, 1);
}

Test(cpu_perf, the_kernel_spends_by_the_perf_tick)
{
	int perf;

	os.perf_step_ns = 1500;
	perf = begin_perf(1000, AUTO);
	cr_expect_eq(OWN->cost_ns(), 0);
	os.cpu_ns = 2 * MS;
	for (unsigned i = 0; i < 3; i++)
		cr_expect(perf_tick(perf), "a sample or not");
	tick(3 * MS);
	/* A third of the time, at a tick every 50 us. */
	cr_expect_eq(OWN->cost_ns(), 3 * (50000 * 500 / 1500));
	OWN->thread_gone(thread);
	cr_expect_eq(OWN->cost_ns(), 3 * (50000 * 500 / 1500), "nor is it forgotten");
	OWN->after_fork();
	cr_expect_eq(OWN->cost_ns(), 0);
}

Test(cpu_perf, a_perf_tick_that_cannot_be_measured_costs_nothing)
{
	int perf;

	os.perf_step_ns = 900;
	perf = begin_perf(1000, AUTO);
	cr_expect(perf_tick(perf));
	cr_expect_eq(OWN->cost_ns(), 0);
}
