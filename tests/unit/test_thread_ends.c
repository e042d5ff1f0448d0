/*
 * test_thread_ends.c - who is the last thread to end, and what becomes of one that was found from outside
 * before it met us.
 */
#include "os.h"
#include "thread.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>

#define RING_BYTES 1024
#define ROUNDS 5000
#define LOOKS 20000 /* so that two which run go on at the same moment */

static _Atomic unsigned endings, lasts;
static _Atomic unsigned together; /* that many are still to come before any goes on */

/* The last that a thread does before it looks whether it is the last one. */
int __wrap_prctl(int option, ...);
int __wrap_prctl(int option, ...)
{
	va_list arguments;

	va_start(arguments, option);
	*va_arg(arguments, char *) = '\0';
	va_end(arguments);
	if (atomic_load(&together)) {
		atomic_fetch_sub(&together, 1);
		for (unsigned looks = 0; atomic_load(&together); looks++) {
			if (looks > LOOKS)
				sched_yield();
		}
	}
	return 0;
}

static void on_ending(struct thread *thread)
{
	atomic_fetch_add(&endings, 1);
	atomic_fetch_add(&lasts, thread->is_last);
}

static void set_up(void)
{
	cr_assert_null(threads_start(RING_BYTES, on_ending));
}

TestSuite(thread_ends, .init = set_up, .timeout = 60);

static struct thread *reserve(void)
{
	struct thread *thread = thread_reserve();

	cr_assert_not_null(thread);
	return thread;
}

static void *live(void *thread)
{
	thread_begin(thread);
	return NULL;
}

/* A thread begins as this one and ends: does it find itself the last? */
static bool ends_last(struct thread *thread)
{
	unsigned endings_before = endings, lasts_before = lasts;
	pthread_t id;

	cr_assert_eq(pthread_create(&id, NULL, live, thread), 0);
	pthread_join(id, NULL);
	cr_assert_eq(endings, endings_before + 1);
	cr_assert_eq(atomic_load(&thread->state), THREAD_DEAD);
	return lasts > lasts_before;
}

Test(thread_ends, the_only_one_is_the_last)
{
	struct thread *thread = reserve();

	cr_expect(ends_last(thread));
	thread_recycle(thread);
	cr_assert_eq(reserve(), thread);
	cr_expect_not(thread->is_last, "the slot's next is another");
	cr_expect(ends_last(thread));
}

Test(thread_ends, one_that_lives_on_is_the_last)
{
	struct thread *first = reserve(), *second = reserve();

	cr_expect_not(ends_last(first));
	cr_expect(ends_last(second));
}

Test(thread_ends, one_about_to_be_created_counts)
{
	struct thread *thread = reserve(), *born = reserve();

	cr_expect_not(ends_last(thread));
	thread_lost(born);
	cr_expect_eq(atomic_load(&born->state), THREAD_BORN);
	thread = reserve();
	cr_expect_not(ends_last(thread), "it was not there to be lost");
	thread_cancel(born);
	cr_expect(ends_last(reserve()));
}

Test(thread_ends, one_found_from_outside_counts_until_it_is_lost)
{
	struct thread *stranger = thread_adopt(1);

	cr_expect_not(ends_last(reserve()));
	thread_lost(stranger);
	thread_lost(stranger);
	cr_expect_eq(atomic_load(&stranger->state), THREAD_DEAD);
	cr_expect(ends_last(reserve()), "lost once, and once only");
}

Test(thread_ends, one_that_has_ended_is_not_lost_too)
{
	struct thread *thread = reserve(), *other = reserve();

	cr_expect_not(ends_last(thread));
	thread_lost(thread);
	thread_recycle(thread);
	reserve();
	cr_expect_not(ends_last(other), "nor does its slot count twice");
}

static void *live_alone(void *unused)
{
	(void)unused;
	thread_begin(reserve());
	threads_after_fork();
	return NULL;
}

Test(thread_ends, after_a_fork_only_the_caller_counts)
{
	pthread_t id;

	reserve();
	thread_adopt(1);
	cr_assert_eq(pthread_create(&id, NULL, live_alone, NULL), 0);
	pthread_join(id, NULL);
	cr_expect_eq(lasts, 1);
	reserve();
	threads_after_fork();
	cr_expect(ends_last(reserve()), "nor a caller that we have not met");
}

Test(thread_ends, of_those_that_end_together_one_is_the_last)
{
	struct thread *threads[2];
	pthread_t ids[2];

	for (unsigned round = 1; round <= ROUNDS; round++) {
		atomic_store(&together, 2);
		for (unsigned i = 0; i < 2; i++)
			threads[i] = reserve();
		for (unsigned i = 0; i < 2; i++)
			cr_assert_eq(pthread_create(&ids[i], NULL, live, threads[i]), 0);
		for (unsigned i = 0; i < 2; i++)
			pthread_join(ids[i], NULL);
		cr_assert_eq(lasts, round);
		for (unsigned i = 0; i < 2; i++)
			thread_recycle(threads[i]);
	}
	cr_expect_eq(endings, 2 * ROUNDS);
}

/* ---- found from outside, while it was being born ---- */

static struct thread *twin, *stranger, *namesake;

static void *live_with_a_twin(void *thread)
{
	namesake = reserve();
	atomic_store(&namesake->tid, os_gettid());
	atomic_store(&namesake->state, THREAD_LIVE);
	stranger = thread_adopt(os_gettid() + 1);
	twin = thread_adopt(os_gettid());
	thread_begin(thread);
	cr_expect_eq(thread_self(), thread);
	cr_expect_null(thread_enter_tick(thread_cookie(twin)), "a tick of the twin's timer");
	cr_expect_eq(thread_self(), thread);
	cr_expect_eq(thread_enter_tick(thread_cookie(thread)), thread);
	thread_leave(thread);
	return NULL;
}

Test(thread_ends, one_that_begins_loses_its_foreign_twin)
{
	struct thread *thread = reserve();
	pthread_t id;

	cr_assert_eq(pthread_create(&id, NULL, live_with_a_twin, thread), 0);
	pthread_join(id, NULL);
	cr_expect_eq(atomic_load(&twin->state), THREAD_DEAD);
	cr_expect_eq(atomic_load(&stranger->state), THREAD_LIVE, "another's");
	cr_expect_eq(atomic_load(&namesake->state), THREAD_LIVE, "not from outside");
	cr_expect_eq(endings, 1);
	cr_expect_eq(lasts, 0);
	thread_lost(stranger);
	thread_lost(namesake);
	cr_expect(ends_last(reserve()), "the twin counts no more");
}

/* Its twin has had a tick, and so is no longer foreign. */
static void *live_with_a_known_twin(void *reserved)
{
	struct thread *met = thread_adopt(os_gettid());

	cr_assert_eq(thread_enter_tick(thread_cookie(met)), met);
	thread_leave(met);
	thread_begin(reserved);
	cr_expect_eq(atomic_load(&met->state), THREAD_DEAD);
	cr_expect_eq(thread_self(), reserved);
	return NULL;
}

Test(thread_ends, one_that_begins_loses_a_twin_that_has_met_itself)
{
	pthread_t id;

	cr_assert_eq(pthread_create(&id, NULL, live_with_a_known_twin, reserve()), 0);
	pthread_join(id, NULL);
	cr_expect_eq(endings, 1);
	cr_expect(ends_last(reserve()), "the twin counts no more");
}

static void *meet_oneself(void *unused)
{
	struct thread *thread = thread_adopt(os_gettid());

	(void)unused;
	cr_assert_eq(thread_enter_tick(thread_cookie(thread)), thread);
	thread_leave(thread);
	return thread;
}

Test(thread_ends, one_that_met_itself_by_a_tick_ends_unseen)
{
	void *thread;
	pthread_t id;

	cr_assert_eq(pthread_create(&id, NULL, meet_oneself, NULL), 0);
	pthread_join(id, &thread);
	cr_expect_eq(endings, 0);
	cr_expect_eq(atomic_load(&((struct thread *)thread)->state), THREAD_LIVE);
	cr_expect_not(ends_last(reserve()), "until it is missed");
	thread_lost(thread);
	cr_expect(ends_last(reserve()));
}
