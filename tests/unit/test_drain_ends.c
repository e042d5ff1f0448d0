/*
 * test_drain_ends.c - how the drainer comes to its end: running, parked, parked meanwhile, alone.
 */
#include "counts.h"

#include "drain.h"

bool __real_os_descriptors_own(void);
bool __wrap_os_descriptors_own(void);
void __real_os_futex_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns);
void __wrap_os_futex_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns);
bool __wrap_os_tasks_each(void (*each)(void *self, pid_t tid), void *unused);
struct recording *__real_recording_new(const struct recording_head *head);
struct recording *__wrap_recording_new(const struct recording_head *head);
void __wrap_log_line(const char *format, ...) PROF_PRINTF(1, 2);

#include "drain_stage.h"

TestSuite(drain_ends, .init = set_up, .fini = tear_down, .timeout = 60);

static void begin_and_park(void)
{
	begin();
	put(70);
	cr_assert(drain_park(LONG_NS));
	put(80);
}

Test(drain_ends, parked_is_only_what_is_parked)
{
	cr_expect_not(drain_is_parked());
	begin();
	cr_expect_not(drain_is_parked());
	cr_assert(drain_park(LONG_NS));
	cr_expect(drain_is_parked());
	cr_assert_null(drain_start());
	cr_expect_not(drain_is_parked());
	cr_assert(drain_finish(LONG_NS));
	cr_expect_not(drain_is_parked(), "it is done");
}

Test(drain_ends, a_running_one_ends_as_it_is)
{
	begin();
	put(70);
	cr_assert(drain_end(LONG_NS, false));
	cr_expect_eq(atomic_load(&seen.begins), 1);
	cr_expect_eq(atomic_load(&seen.finishes), 1);
	cr_expect_eq(count_whole(path).value, 70 + 1000 + 500000);
	cr_assert(drain_end(LONG_NS, true));
	cr_expect_eq(atomic_load(&seen.begins), 1, "once");
}

Test(drain_ends, a_parked_one_is_started_for_its_end)
{
	begin_and_park();
	cr_assert(drain_end(LONG_NS, true));
	cr_expect_eq(atomic_load(&seen.begins), 2);
	cr_expect_eq(atomic_load(&seen.finishes), 1);
	cr_expect_eq(count_whole(path).value, 70 + 80 + 1000 + 500000);
}

Test(drain_ends, a_parked_one_that_may_not_be_started_ends_with_its_start)
{
	begin_and_park();
	cr_assert_not(drain_end(LONG_NS, false));
	cr_expect(drain_is_parked());
	cr_expect_eq(atomic_load(&seen.begins), 1);
	cr_expect_eq(atomic_load(&seen.finishes), 0);
	cr_assert_null(drain_start());
	cr_assert(drain_finish(LONG_NS));
	cr_expect_eq(atomic_load(&seen.finishes), 1);
	cr_expect_eq(count_whole(path).value, 70 + 80 + 1000 + 500000);
}

Test(drain_ends, one_that_cannot_be_started_stays_parked)
{
	begin_and_park();
	real_load();
	real.pthread_create = refuse_thread;
	cr_expect_not(drain_end(LONG_NS, true));
	cr_expect(drain_is_parked());
	real.pthread_create = pthread_create;
	cr_assert(drain_end(LONG_NS, true));
	cr_expect_eq(atomic_load(&seen.finishes), 1);
}

Test(drain_ends, without_time_nobody_is_started)
{
	begin_and_park();
	cr_expect_not(drain_end(0, true));
	cr_expect(drain_is_parked());
	cr_expect_eq(atomic_load(&seen.begins), 1);
}

Test(drain_ends, nobody_waits_longer_than_asked)
{
	begin();
	put(70);
	atomic_store(&holds_pass, true);
	cr_assert_not(drain_flush(0));
	sem_wait(&reached);
	cr_expect_not(drain_end(1000000, true));
	cr_expect_eq(atomic_load(&seen.finishes), 0);
	sem_post(&released);
	cr_assert(drain_end(LONG_NS, true));
	cr_expect_eq(atomic_load(&seen.begins), 1);
	cr_expect_eq(atomic_load(&seen.finishes), 1);
}

static void *park(void *unused)
{
	(void)unused;
	cr_expect(drain_park(LONG_NS));
	return NULL;
}

static void hold_once(uint64_t timeout_ns)
{
	(void)timeout_ns;
	atomic_store(&on_sleep, NULL);
	hold();
}

static void await_waiter(unsigned before)
{
	while (atomic_load(&seen.waits) == before)
		sched_yield();
}

static void *release_when_awaited(void *unused)
{
	(void)unused;
	await_waiter(0);
	sem_post(&released);
	return NULL;
}

/* The drainer is on its way to be parked when the end is asked for. */
Test(drain_ends, one_that_another_thread_parks_meanwhile_is_started_again)
{
	pthread_t forking, releasing;
	unsigned before;

	begin();
	put(70);
	atomic_store(&on_sleep, hold_once);
	sem_wait(&reached);
	before = atomic_load(&seen.waits);
	cr_assert_eq(pthread_create(&forking, NULL, park, NULL), 0);
	await_waiter(before);
	atomic_store(&holds_pass, true);
	sem_post(&released);
	sem_wait(&reached);
	put(80);
	atomic_store(&seen.waits, 0); /* the one that forks is waiting already */
	cr_assert_eq(pthread_create(&releasing, NULL, release_when_awaited, NULL), 0);
	cr_assert(drain_end(LONG_NS, true));
	pthread_join(releasing, NULL);
	pthread_join(forking, NULL);
	cr_expect_eq(atomic_load(&seen.begins), 2);
	cr_expect_eq(atomic_load(&seen.finishes), 1);
	cr_expect_eq(count_whole(path).value, 70 + 80 + 1000 + 500000);
}

Test(drain_ends, alone_is_not_the_end_where_that_is_denied)
{
	unsigned asked;

	begin();
	put(70);
	atomic_store(&denies_alone, true);
	atomic_store(&is_alone, true);
	for (unsigned i = 0; i < 3; i++)
		cr_assert(drain_flush(LONG_NS));
	asked = atomic_load(&seen.alones);
	cr_expect_gt(asked, 0);
	cr_expect_eq(atomic_load(&seen.finishes), 0);
	cr_expect_neq(drain_tid(), 0);
	put(80);
	cr_assert(drain_flush(LONG_NS));
	cr_expect_eq(count_whole(path).value, 70 + 80, "it goes on");
	atomic_store(&denies_alone, false);
	cr_expect(drain_flush(LONG_NS), "an end answers whoever waits for a flush");
	sem_wait(&reached);
	cr_assert(drain_finish(LONG_NS));
	cr_expect_gt(atomic_load(&seen.alones), asked);
	cr_expect_eq(atomic_load(&seen.finishes), 1);
}

Test(drain_ends, nobody_is_asked_while_others_run)
{
	begin();
	for (unsigned i = 0; i < 3; i++)
		cr_assert(drain_flush(LONG_NS));
	cr_expect_eq(atomic_load(&seen.alones), 0);
}
