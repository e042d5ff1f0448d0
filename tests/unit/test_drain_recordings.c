/*
 * test_drain_recordings.c - one recording after the other, work on those that are complete meanwhile, and dumps.
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

#include <sys/stat.h>

TestSuite(drain_ends, .init = set_up, .fini = tear_down, .timeout = 60);

TestSuite(drain_recordings, .init = set_up, .fini = tear_down, .timeout = 60);

/* What has been put is in the recording, and the next look at whether that is full says yes. */
static void fill_up(void)
{
	cr_assert(drain_flush(LONG_NS));
	atomic_store(&is_full, true);
}

static void turn_over(void)
{
	unsigned before = atomic_load(&seen.closes);

	fill_up();
	while (atomic_load(&seen.closes) == before)
		cr_assert(drain_flush(LONG_NS));
	/* And the drainer is past all that has followed. */
	cr_assert(drain_flush(LONG_NS));
}

static char *part(unsigned number)
{
	char name[64];

	snprintf(name, sizeof(name), "r.monprof-%u", number);
	return in_scratch(name);
}

Test(drain_recordings, a_full_one_is_closed_and_what_follows_is_in_the_next)
{
	struct counts counts;

	begin();
	put(70);
	turn_over();
	cr_assert_eq(atomic_load(&seen.closes), 1);
	cr_assert_eq(atomic_load(&seen.renews), 1);
	cr_assert_eq(atomic_load(&seen.finishes), 1);
	cr_assert_str_eq(seen.finished, path);
	put(80);
	cr_assert(drain_flush(LONG_NS));
	cr_assert_eq(count_whole(path).value, 70);
	counts = count_whole(part(1));
	cr_assert_eq(counts.value, 80);
	cr_assert_eq(counts.tid, (uint64_t)os_gettid(), "threads are announced in each");
	cr_assert_eq(counts.notes, 4, "and all remarks made");
	cr_assert(drain_finish(LONG_NS));
	cr_assert_eq(atomic_load(&seen.finishes), 2);
	cr_assert_str_eq(seen.finished, part(1));
	cr_assert_eq(count_whole(part(1)).value, 80 + 1000 + 500000);
}

Test(drain_recordings, how_large_it_is_is_asked_at_flushes)
{
	struct stat status;

	begin();
	put(70);
	cr_assert(drain_flush(LONG_NS));
	cr_assert(drain_flush(LONG_NS), "by now it has been asked");
	cr_assert_eq(stat(path, &status), 0);
	cr_assert_eq(atomic_load(&seen.bytes), (uint64_t)status.st_size);
}

Test(drain_recordings, one_without_a_sample_has_no_file_and_is_not_finished)
{
	begin();
	turn_over();
	cr_assert_eq(atomic_load(&seen.closes), 1);
	cr_assert_eq(atomic_load(&seen.finishes), 0);
	cr_assert_neq(access(path, F_OK), 0);
	put(80);
	cr_assert(drain_flush(LONG_NS));
	cr_assert_eq(count_whole(part(0)).value, 80);
}

Test(drain_recordings, without_a_name_for_the_next_one_it_goes_on)
{
	atomic_store(&refuses_next, true);
	begin();
	put(70);
	fill_up();
	cr_assert(drain_flush(LONG_NS));
	put(80);
	cr_assert(drain_flush(LONG_NS));
	cr_assert_not(atomic_load(&is_full), "it was asked");
	cr_assert_eq(atomic_load(&seen.closes), 0);
	cr_assert_eq(count_whole(path).value, 150);
}

Test(drain_recordings, losses_are_those_of_each)
{
	begin();
	put(70);
	thread_lose(self, LOSS_disk);
	turn_over();
	put(80);
	thread_lose(self, LOSS_disk);
	thread_lose(NULL, LOSS_disk);
	cr_assert(drain_flush(LONG_NS));
	cr_assert_eq(count_whole(path).lost_disk, 1);
	cr_assert_eq(count_whole(part(1)).lost_disk, 2);
}

static _Atomic unsigned attempts;

static bool put_and_breathe(drain_breathe *breathe)
{
	put(90);
	cr_assert(breathe());
	cr_assert_eq(ring_used(&self->ring), 0);
	return true;
}

Test(drain_recordings, rings_are_emptied_into_the_next_one_while_one_is_finished)
{
	on_finish = put_and_breathe;
	begin();
	put(70);
	turn_over();
	cr_assert_eq(count_whole(path).value, 70);
	cr_assert_eq(count_whole(part(1)).value, 90);
}

static bool breathe_until_stopped(drain_breathe *breathe)
{
	if (atomic_fetch_add(&attempts, 1) > 0)
		return true;
	sem_post(&reached);
	while (breathe())
		sched_yield();
	return false;
}

Test(drain_recordings, parking_stops_the_work_which_is_done_again)
{
	on_finish = breathe_until_stopped;
	begin();
	put(70);
	fill_up();
	cr_assert(drain_flush(LONG_NS));
	sem_wait(&reached);
	put(80);
	cr_assert(drain_flush(LONG_NS), "it answers amid its work");
	cr_assert_eq(count_whole(part(1)).value, 80);
	cr_assert(drain_park(LONG_NS));
	cr_assert_eq(atomic_load(&seen.finishes), 0);
	cr_assert_null(drain_start());
	while (!drain_flush(LONG_NS) || atomic_load(&attempts) < 2)
		sched_yield();
	cr_assert(drain_flush(LONG_NS));
	cr_assert_eq(atomic_load(&seen.finishes), 1);
	cr_assert_eq(atomic_load(&attempts), 2);
}

Test(drain_recordings, at_the_end_all_is_on_disk_before_the_work_is_done_again)
{
	on_finish = breathe_until_stopped;
	begin();
	put(70);
	fill_up();
	cr_assert(drain_flush(LONG_NS));
	sem_wait(&reached);
	put(80);
	cr_assert(drain_finish(LONG_NS));
	cr_assert_eq(atomic_load(&attempts), 2);
	cr_assert_str_eq(seen.finished, part(1));
	cr_assert_eq(count_whole(part(1)).value, 80 + 1000 + 500000);
}

/* ---- dumps ---- */

Test(drain_recordings, whoever_asks_finds_it_up_to_date)
{
	begin();
	put(70);
	cr_assert(drain_flush(LONG_NS));
	put(80);
	atomic_store(&is_asked, true);
	sem_wait(&reached);
	cr_assert_eq(atomic_load(&seen.dumps), 1);
	cr_assert_str_eq(seen.asked, path);
	cr_assert_eq(count_whole(path).value, 150);
	put(90);
	cr_assert(drain_flush(LONG_NS));
	cr_assert_eq(count_whole(path).value, 240, "it goes on");
}

static void sleep_shortly(uint64_t timeout_ns)
{
	(void)timeout_ns;
	sched_yield();
}

Test(drain_recordings, without_a_file_nobody_is_looked_for)
{
	begin();
	atomic_store(&on_sleep, sleep_shortly);
	atomic_store(&is_asked, true);
	cr_assert(drain_flush(LONG_NS));
	cr_assert(drain_flush(LONG_NS));
	cr_assert_eq(seen.asked[0], '\0');
	cr_assert(atomic_load(&is_asked));
}
