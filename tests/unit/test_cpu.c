/*
 * test_cpu.c - the CPU collector through its hooks, on the kernel's ticks alone.
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

TestSuite(cpu, .init = set_up);

Test(cpu, a_sample_is_worth_what_was_used_since_the_last)
{
	const struct record *record;

	begin();
	tick(12 * MS);
	record = ring_peek(&thread->ring);
	cr_assert_not_null(record);
	cr_expect_eq(record->frames[0].code, 0x7f0000001000);
	cr_expect_leq(record->time_ns, os.monotonic_ns);
	cr_expect_gt(record->time_ns, 0);
	cr_expect_eq(taken(), 12 * MS);
	tick(19 * MS);
	cr_expect_eq(taken(), 7 * MS);
	cr_expect_eq(taken(), 0);
	cr_expect_eq(atomic_load(&thread->inside), 0, "and it has left");
}

Test(cpu, what_was_dropped_goes_to_the_next_sample)
{
	begin();
	os.walk = FRAMES_UNSURE;
	tick(10 * MS);
	tick(20 * MS);
	cr_expect_eq(taken(), 0);
	os.walk = FRAMES_OK;
	tick(31 * MS);
	cr_expect_eq(taken(), 31 * MS);
}

Test(cpu, ticks_that_come_close_together_make_one_sample)
{
	begin();
	tick(PERIOD_NS);
	cr_expect_eq(taken(), PERIOD_NS);
	tick(PERIOD_NS + PERIOD_NS / 2 - 1);
	cr_expect_eq(taken(), 0);
	tick(PERIOD_NS + PERIOD_NS / 2);
	cr_expect_eq(taken(), PERIOD_NS / 2);
	OWN->flush(1, note);
	cr_expect_not_null(strstr(os.notes, "cpu.skipped=1;"), "%s", os.notes);
	os.notes[0] = '\0';
	OWN->renew(2);
	OWN->flush(3, note);
	cr_expect_not_null(strstr(os.notes, "cpu.skipped=0;"), "%s", os.notes);
}

Test(cpu, an_end_says_what_is_left)
{
	begin();
	tick(10 * MS);
	taken();
	os.cpu_ns = 10 * MS + 123;
	OWN->thread_end(thread);
	cr_expect_eq(leaf(), FRAME_THREAD_EXIT);
	cr_expect_eq(taken(), 123);
	cr_expect_eq(os.timers_deleted, 1);
	os.of_ns = 10 * MS + 123;
	OWN->thread_gone(thread);
	cr_expect_eq(taken(), 0, "once");
	cr_expect_eq(os.timers_deleted, 1);
}

Test(cpu, an_end_without_use_says_nothing)
{
	begin();
	tick(10 * MS);
	taken();
	OWN->thread_end(thread);
	cr_expect_null(ring_peek(&thread->ring));
}

Test(cpu, one_that_ended_unseen_is_still_asked)
{
	begin();
	tick(10 * MS);
	taken();
	os.of_ns = 15 * MS;
	OWN->thread_gone(thread);
	cr_expect_eq(leaf(), FRAME_THREAD_EXIT);
	cr_expect_eq(taken(), 5 * MS);
	cr_expect_eq(os.timers_deleted, 1);
}

Test(cpu, one_that_the_kernel_has_forgotten_says_nothing)
{
	begin();
	tick(10 * MS);
	taken();
	os.of_fails = true;
	os.of_ns = 15 * MS;
	OWN->thread_gone(thread);
	cr_expect_null(ring_peek(&thread->ring));
	cr_expect_eq(os.timers_deleted, 1);
}

Test(cpu, the_clock_of_one_that_is_known_to_be_dead_is_not_asked)
{
	begin();
	tick(10 * MS);
	taken();
	os.of_ns = 15 * MS; /* of its id's next owner */
	thread_lost(thread);
	OWN->thread_gone(thread);
	cr_expect_null(ring_peek(&thread->ring));
	cr_expect_eq(os.timers_deleted, 1);
	os.process_ns = 12 * MS;
	cr_expect_eq(OWN->remainder(METRIC_cpu_cpu, 0), 2 * MS, "what was sampled stays known");
}

Test(cpu, a_clock_that_is_refused_makes_no_sample)
{
	begin();
	tick(0);
	cr_expect_null(ring_peek(&thread->ring));
	tick(10 * MS);
	cr_expect_eq(taken(), 10 * MS);
	tick(0);
	cr_expect_null(ring_peek(&thread->ring), "no time backwards");
	cr_expect_eq(atomic_load(&thread->inside), 0);
	tick(21 * MS);
	cr_expect_eq(taken(), 11 * MS, "nor is the last look forgotten");
	os.cpu_ns = 0;
	OWN->thread_end(thread);
	cr_expect_null(ring_peek(&thread->ring), "no last words either");
	os.process_ns = 21 * MS;
	cr_expect_eq(OWN->remainder(METRIC_cpu_cpu, 0), 0);
}

Test(cpu, a_thread_counts_from_its_birth_or_from_where_we_met)
{
	os.of_ns = 1000 * MS;
	OWN->thread_begin(thread); /* the main thread: nobody of ours created it */
	tick(1010 * MS);
	cr_expect_eq(taken(), 10 * MS);
	thread->foreign = thread->inherited = true;
	OWN->thread_begin(thread); /* older than the session */
	tick(1020 * MS);
	cr_expect_eq(taken(), 20 * MS);
	thread->inherited = false;
	OWN->thread_begin(thread); /* created behind our back */
	tick(1020 * MS);
	cr_expect_eq(taken(), 1020 * MS);
}

Test(cpu, ticks_of_others_are_not_taken)
{
	uintptr_t cookie = thread_cookie(thread);
	siginfo_t info;

	begin();
	os.cpu_ns = 10 * MS;
	cr_expect_not(tick_of(12345), "a timer of the program's");
	cr_expect_not(perf_tick(PERF));
	memset(&info, 0, sizeof(info));
	info.si_value.sival_ptr = (void *)cookie;
	info.si_code = SI_QUEUE;
	cr_expect_not(OWN->tick(&info, NULL));
	cr_expect(tick_of(cookie + (1 << 16)), "ours, of a thread that has ended");
	cr_expect_eq(taken(), 0);
}

Test(cpu, no_sample_after_the_stop)
{
	begin();
	OWN->stop();
	tick(10 * MS);
	cr_expect_eq(taken(), 0);
	cr_expect_eq(atomic_load(&thread->inside), 0);
	OWN->after_fork();
	tick(20 * MS);
	cr_expect_eq(taken(), 20 * MS);
}

Test(cpu, timers_are_a_quarter_of_the_signals_that_may_wait)
{
	quota(11);
	for (unsigned i = 0; i < 5; i++) {
		begin();
		cr_expect_eq(os.timers, i < 2 ? (int)i + 1 : 2);
		cr_expect_eq(lost_threads(), i < 2 ? 0 : i - 1);
	}
	cr_expect_eq(os.arms, 2);
	OWN->thread_end(thread);
	cr_expect_eq(os.timers_deleted, 0, "the last has none");
}

Test(cpu, a_timer_given_back_is_there_for_the_next)
{
	quota(4);
	for (unsigned i = 0; i < 3; i++) {
		begin();
		OWN->thread_end(thread);
	}
	cr_expect_eq(os.timers, 3);
	cr_expect_eq(os.timers_deleted, 3);
	cr_expect_eq(lost_threads(), 0);
}

Test(cpu, a_timer_that_is_refused_is_counted)
{
	os.timer_error = EAGAIN;
	begin();
	cr_expect_eq(lost_threads(), 1);
	cr_expect_eq(os.arms, 0);
	os.cpu_ns = 5 * MS;
	OWN->thread_end(thread);
	cr_expect_eq(os.timers_deleted, 0);
	cr_expect_eq(taken(), 5 * MS, "it is measured all the same");
}

Test(cpu, a_timer_runs_on_the_clock_that_was_chosen)
{
	begin();
	cr_expect_not(os.monotonic_timer);
	cr_expect_eq(os.cookie, thread_cookie(thread));
	start(100, MONOTONIC);
	begin();
	cr_expect(os.monotonic_timer);
}

Test(cpu, the_remainder_is_what_no_thread_has_recorded)
{
	os.process_ns = 5 * MS;
	start(100, AUTO);
	begin();
	tick(10 * MS);
	os.process_ns = 18 * MS;
	cr_expect_eq(OWN->remainder(METRIC_cpu_cpu, 0), 3 * MS);
	cr_expect_eq(OWN->remainder(METRIC_cpu_cpu, MS), 2 * MS, "but for our own threads");
	cr_expect_eq(OWN->remainder(METRIC_cpu_cpu, 4 * MS), 0);
	cr_expect_eq(OWN->remainder(METRIC_COUNT, 0), 0);
	os.of_ns = 11 * MS;
	OWN->thread_gone(thread);
	cr_expect_eq(OWN->remainder(METRIC_cpu_cpu, MS), MS, "the end was recorded");
	OWN->thread_gone(thread);
	cr_expect_eq(OWN->remainder(METRIC_cpu_cpu, MS), MS);
	thread_lost(thread);
	thread_recycle(thread);
	cr_expect_eq(OWN->remainder(METRIC_cpu_cpu, MS), MS);
}

Test(cpu, the_remainder_leaves_out_what_was_before_us)
{
	os.process_ns = os.of_ns = 1000 * MS;
	start(100, AUTO);
	OWN->thread_begin(thread);
	tick(1010 * MS);
	os.process_ns = 1012 * MS;
	cr_expect_eq(OWN->remainder(METRIC_cpu_cpu, 0), 2 * MS);
}

Test(cpu, says_how_often_it_looked)
{
	begin();
	sample(2);
	os.process_ns = 19999999;
	OWN->flush(1, note);
	cr_expect_str_eq(os.notes,
			 "period.cpu=10000000;cpu.achieved_hz=100;cpu.skipped=0;cpu.clock=tick;");
	os.notes[0] = '\0';
	os.of_fails = true;
	OWN->thread_gone(thread);
	thread_lost(thread);
	thread_recycle(thread);
	OWN->flush(2, note);
	cr_expect_not_null(strstr(os.notes, "achieved_hz=100;"), "%s", os.notes);
	os.notes[0] = '\0';
	thread = thread_reserve();
	cr_assert_not_null(thread);
	thread_begin(thread);
	begin_perf(1000, AUTO);
	OWN->flush(3, note);
	cr_expect_not_null(strstr(os.notes, "period.cpu=1000000;"), "%s", os.notes);
	cr_expect_not_null(strstr(os.notes, "cpu.clock=tick+perf;"), "%s", os.notes);
	os.notes[0] = '\0';
	start(100, MONOTONIC);
	OWN->flush(4, note);
	cr_expect_not_null(strstr(os.notes, "cpu.clock=monotonic;"), "%s", os.notes);
}
