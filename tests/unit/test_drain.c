/*
 * test_drain.c - the real thread, with hooks that write down what they were called for.
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

#include <dirent.h>

TestSuite(drain, .init = set_up, .fini = tear_down, .timeout = 60);

static unsigned descriptors(pid_t tid)
{
	char name[64];
	unsigned count = 0;
	DIR *directory;

	snprintf(name, sizeof(name), "/proc/self/task/%d/fd", (int)tid);
	directory = opendir(name);
	cr_assert_not_null(directory);
	for (const struct dirent *entry; (entry = readdir(directory));)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count - (tid == os_gettid()); /* the one that reads */
}

static unsigned long long blocked(pid_t tid)
{
	char name[64], line[256];
	unsigned long long mask = 0;
	FILE *file;

	snprintf(name, sizeof(name), "/proc/self/task/%d/status", (int)tid);
	file = fopen(name, "r");
	cr_assert_not_null(file);
	while (fgets(line, sizeof(line), file))
		sscanf(line, "SigBlk: %llx", &mask);
	fclose(file);
	return mask;
}

Test(drain, a_flush_writes_what_the_rings_hold)
{
	struct counts counts;

	begin();
	put(70);
	put(80);
	cr_assert(drain_flush(LONG_NS));
	cr_assert_eq(ring_used(&self->ring), 0);
	counts = count_whole(path);
	cr_assert_eq(counts.samples, 2);
	cr_assert_eq(counts.value, 150);
	cr_assert_eq(counts.last_thread, self->serial);
	cr_assert_eq(counts.tid, (uint64_t)os_gettid());
	cr_assert_eq(counts.notes, 4, "the hook's remark and three costs");
}

Test(drain, without_a_sample_there_is_no_file)
{
	unsigned flushes;

	begin();
	flushes = atomic_load(&seen.flushes);
	cr_assert(drain_flush(LONG_NS));
	cr_assert_gt(atomic_load(&seen.flushes), flushes);
	cr_assert_neq(access(path, F_OK), 0);
	cr_assert(drain_finish(LONG_NS));
	cr_assert_eq(atomic_load(&seen.lines), 0);
}

Test(drain, an_idle_flush_writes_nothing)
{
	size_t size;

	begin();
	put(70);
	cr_assert(drain_flush(LONG_NS));
	size = slurp(path).size;
	cr_assert(drain_flush(LONG_NS));
	cr_assert_eq(slurp(path).size, size);
	put(80);
	cr_assert(drain_flush(LONG_NS));
	cr_assert_gt(slurp(path).size, size);
}

Test(drain, parked_it_is_gone_and_started_it_goes_on)
{
	pid_t first;

	begin();
	put(70);
	first = drain_tid();
	cr_assert(os_thread_exists(first));
	cr_assert(drain_park(LONG_NS));
	cr_assert_not(os_thread_exists(first));
	cr_assert_eq(ring_used(&self->ring), 0, "the last pass");
	cr_assert_eq(atomic_load(&seen.ends), 1);
	cr_assert(drain_park(LONG_NS));
	cr_assert(drain_flush(LONG_NS));
	cr_assert_eq(atomic_load(&seen.ends), 1);
	put(80);
	cr_assert_null(drain_start());
	while (atomic_load(&seen.begins) < 2)
		sched_yield();
	cr_assert(drain_park(LONG_NS));
	cr_assert_null(drain_start());
	cr_assert(drain_finish(LONG_NS));
	cr_assert_eq(count_whole(path).value, 70 + 80 + 1000 + 500000);
}

Test(drain, however_often_it_is_parked_it_flushes_in_time)
{
	uint64_t end_ns;

	settings.flush_ns = 20000000;
	begin();
	end_ns = os_monotonic_ns() + 20 * settings.flush_ns;
	while (os_monotonic_ns() < end_ns) {
		if (ring_used(&self->ring) < RING_BYTES / 2)
			put(1);
		cr_assert(drain_park(LONG_NS));
		cr_assert_null(drain_start());
	}
	cr_assert_gt(atomic_load(&seen.flushes), 0);
	cr_assert_eq(access(path, F_OK), 0);
}

static void hold_rest(uint64_t timeout_ns)
{
	(void)timeout_ns;
	atomic_store(&on_sleep, NULL);
	hold();
}

Test(drain, one_that_nobody_needs_never_begins)
{
	atomic_store(&on_sleep, hold_rest);
	cr_assert_null(drain_begin(&settings));
	sem_wait(&reached);
	cr_assert(drain_flush(0), "there is nothing");
	cr_assert(drain_forget());
	sem_post(&released);
	cr_assert(drain_flush(LONG_NS));
	cr_assert(drain_park(LONG_NS));
	cr_assert(drain_finish(LONG_NS));
	cr_assert_null(drain_start());
	cr_assert_eq(atomic_load(&seen.begins), 0);
	cr_assert_eq(atomic_load(&seen.finishes), 0);
}

Test(drain, what_was_taken_before_it_begins_is_not_forgotten)
{
	put(70);
	cr_assert_null(drain_begin(&settings));
	cr_assert_not(drain_forget());
	cr_assert(drain_finish(LONG_NS));
	cr_assert_eq(count_whole(path).value, 70 + 1000 + 500000);
}

Test(drain, what_is_in_no_ring_yet_is_not_forgotten)
{
	atomic_store(&holds_ns, 1);
	cr_assert_null(drain_begin(&settings));
	cr_assert_not(drain_forget());
	while (!atomic_load(&seen.begins))
		sched_yield();
	cr_assert_not(drain_forget());
}

static void park_rest(uint64_t timeout_ns)
{
	(void)timeout_ns;
	drain_ask(DRAIN_PARK);
}

static _Atomic uint64_t rested_ns;
static _Atomic unsigned begins_before;

/* On a slow machine its time may be up before it comes to rest; what it sleeps later is no rest. */
static void note_rest(uint64_t timeout_ns)
{
	if (atomic_load(&seen.begins) == atomic_load(&begins_before))
		atomic_store(&rested_ns, timeout_ns);
	atomic_store(&on_sleep, NULL);
}

Test(drain, parked_while_it_rests_it_rests_for_what_is_left)
{
	put(70);
	atomic_store(&on_sleep, park_rest);
	cr_assert_null(drain_begin(&settings));
	cr_assert(drain_park(LONG_NS));
	cr_assert_eq(atomic_load(&seen.begins), 0);
	atomic_store(&on_sleep, note_rest);
	cr_assert_null(drain_start());
	while (!atomic_load(&seen.begins))
		sched_yield();
	cr_assert_lt(atomic_load(&rested_ns), 2000000);
	cr_assert_not(drain_forget(), "it has begun");
	cr_assert(drain_park(LONG_NS));
	cr_assert_eq(ring_used(&self->ring), 0);
	cr_assert_geq(atomic_load(&seen.parks), 1);
}

static void note_and_park(uint64_t timeout_ns)
{
	note_rest(timeout_ns);
	drain_ask(DRAIN_PARK);
}

Test(drain, started_again_it_rests_to_its_next_turn)
{
	unsigned begins;

	begin();
	cr_assert(drain_park(LONG_NS));
	put(70);
	/* As often as its time is up before. */
	do {
		begins = atomic_load(&seen.begins);
		atomic_store(&begins_before, begins);
		atomic_store(&on_sleep, note_and_park);
		cr_assert_null(drain_start());
		cr_assert(drain_park(LONG_NS));
		if (!atomic_load(&rested_ns))
			put(70);
	} while (!atomic_load(&rested_ns));
	cr_assert_eq(atomic_load(&seen.begins), begins);
	cr_assert_eq(atomic_load(&seen.ends), begins);
	cr_assert_gt(ring_used(&self->ring), 0, "there was time");
	cr_assert_leq(atomic_load(&rested_ns), 100000000);
	cr_assert_null(drain_start());
	while (atomic_load(&seen.begins) == begins)
		sched_yield();
	cr_assert(drain_flush(LONG_NS));
	cr_assert_geq(count_whole(path).value, 70);
}

Test(drain, started_again_it_rests_no_longer_than_a_collector_wants)
{
	begin();
	cr_assert(drain_park(LONG_NS));
	atomic_store(&due_ns, os_monotonic_ns());
	cr_assert_null(drain_start());
	cr_assert(drain_park(LONG_NS));
	cr_assert_eq(atomic_load(&seen.begins), 2, "however soon it is to go again");
}

Test(drain, one_that_waits_has_no_thread_before_it_is_started)
{
	settings.waits = true;
	put(70);
	cr_assert_null(drain_begin(&settings));
	cr_assert_eq(drain_tid(), 0);
	cr_assert(drain_is_parked());
	cr_assert_not(drain_forget(), "there is something");
	cr_assert_null(drain_start());
	cr_assert(drain_finish(LONG_NS));
	cr_assert_eq(count_whole(path).value, 70 + 1000 + 500000);
}

Test(drain, one_that_waits_and_has_nothing_never_begins)
{
	settings.waits = true;
	cr_assert_null(drain_begin(&settings));
	cr_assert(drain_flush(LONG_NS));
	cr_assert(drain_park(LONG_NS));
	cr_assert(drain_forget());
	cr_assert(drain_end(LONG_NS, true));
	cr_assert_eq(drain_tid(), 0);
	cr_assert_eq(access(path, F_OK), -1);
}

Test(drain, starting_a_running_one_is_harmless)
{
	pid_t tid;

	begin();
	tid = drain_tid();
	cr_assert_null(drain_start());
	cr_assert(drain_flush(LONG_NS));
	cr_assert_eq(drain_tid(), tid);
	cr_assert_eq(atomic_load(&seen.begins), 1);
}

Test(drain, the_end_takes_last_words_then_what_nobody_recorded)
{
	pid_t tid;
	struct counts counts;

	begin();
	tid = drain_tid();
	put(70);
	cr_assert(drain_finish(LONG_NS));
	cr_assert_not(os_thread_exists(tid));
	cr_assert_eq(atomic_load(&seen.gone), 1);
	cr_assert_eq(atomic_load(&seen.gone_at_remainder), 1);
	cr_assert_eq(atomic_load(&seen.remainders), METRIC_COUNT);
	cr_assert_eq(atomic_load(&seen.ends_at_finish), 1);
	cr_assert_eq(atomic_load(&seen.finishes), 1);
	cr_assert_str_eq(seen.finished, path);
	counts = count_whole(path);
	cr_assert_eq(counts.samples, 3);
	cr_assert_eq(counts.value, 70 + 1000 + 500000);
	cr_assert_eq(counts.last_thread, RECORDING_THREAD_PROCESS);
	cr_assert_str_eq(counts.thread_name, "[process]");
	cr_assert(drain_finish(LONG_NS));
	cr_assert(drain_flush(LONG_NS));
	cr_assert_null(drain_start());
	cr_assert_eq(atomic_load(&seen.begins), 1);
	cr_assert_eq(atomic_load(&seen.finishes), 1);
}

Test(drain, a_thread_that_is_inside_at_the_end_keeps_its_ring)
{
	begin();
	put(70);
	atomic_store(&self->inside, 1);
	cr_assert(drain_finish(LONG_NS));
	cr_assert_eq(atomic_load(&seen.gone), 0);
	cr_assert_eq(count_whole(path).value, 70 + 500000);
}

static void *live_and_die(void *thread)
{
	thread_begin(thread);
	return NULL;
}

Test(drain, a_dead_thread_is_heard_and_recycled)
{
	struct thread *other = thread_reserve();
	uint32_t generation = atomic_load(&other->generation);
	pthread_t thread;

	begin();
	put(70);
	cr_assert_eq(pthread_create(&thread, NULL, live_and_die, other), 0);
	pthread_join(thread, NULL);
	cr_assert(drain_flush(LONG_NS));
	cr_assert_eq(atomic_load(&seen.gone), 1);
	cr_assert_eq(atomic_load(&other->state), THREAD_FREE);
	cr_assert_eq(atomic_load(&other->generation), generation + 1);
	cr_assert_eq(count_whole(path).value, 70 + 30 + 1000);
}

Test(drain, all_signals_are_blocked_but_the_two_of_libc)
{
	unsigned long long mine = blocked(os_gettid());

#ifdef UNDER_VALGRIND
	cr_skip_test("valgrind's thread has a mask of its own");
#endif
	begin();
	/* KILL and STOP cannot be; 32 and 33 must not be. */
	cr_assert_eq(blocked(drain_tid()), 0xfffffffe7ffbfeffu);
	cr_assert_eq(blocked(os_gettid()), mine);
}

Test(drain, its_descriptors_are_its_own)
{
	unsigned before = descriptors(os_gettid());

#ifdef UNDER_VALGRIND
	cr_skip_test("valgrind's descriptors are in every table");
#endif
	begin();
	cr_assert(atomic_load(&seen.own_descriptors));
	cr_assert_eq(descriptors(drain_tid()), 0);
	put(70);
	cr_assert(drain_flush(LONG_NS));
	cr_assert_eq(descriptors(drain_tid()), 1);
	cr_assert_eq(descriptors(os_gettid()), before);
	cr_assert(drain_finish(LONG_NS));
	cr_assert_eq(descriptors(os_gettid()), before);
}

Test(drain, where_that_is_refused_none_stays_open)
{
	unsigned before = descriptors(os_gettid());

	atomic_store(&refuses_descriptors, true);
	begin();
	cr_assert_not(atomic_load(&seen.own_descriptors));
	put(70);
	cr_assert(drain_flush(LONG_NS));
	cr_assert_eq(descriptors(os_gettid()), before);
	put(80);
	cr_assert(drain_flush(LONG_NS));
	cr_assert_eq(count_whole(path).value, 150);
}

/* --- how long it sleeps --- */

#define STEPS 10
static uint64_t slept_ns[STEPS];
static uint32_t used_before[STEPS]; /* bytes that the ring held at the pass before the sleep */
static unsigned step;
static _Atomic uint32_t fill_bytes[STEPS];

static void note_sleep(uint64_t timeout_ns)
{
	if (step < STEPS) {
		slept_ns[step] = timeout_ns;
		while (ring_used(&self->ring) < fill_bytes[step])
			put(1);
		if (step + 1 < STEPS)
			used_before[step + 1] = ring_used(&self->ring);
	}
	if (++step == STEPS) {
		atomic_store(&on_sleep, NULL);
		sem_post(&reached);
	}
}

static void end_rest(uint64_t timeout_ns)
{
	(void)timeout_ns;
	atomic_store(&on_sleep, note_sleep);
}

static void take_steps(void)
{
	atomic_store(&on_sleep, end_rest);
	cr_assert_null(drain_begin(&settings));
	sem_wait(&reached);
}

Test(drain, it_sleeps_longer_while_the_rings_are_empty)
{
	take_steps();
	cr_assert_eq(slept_ns[0], 40000000);
	cr_assert_eq(slept_ns[1], 80000000);
	for (unsigned i = 2; i < STEPS; i++)
		cr_assert_eq(slept_ns[i], 100000000);
}

Test(drain, it_sleeps_shorter_the_fuller_they_are)
{
	fill_bytes[3] = RING_BYTES / 2;
	fill_bytes[4] = RING_BYTES / 8;
	fill_bytes[5] = fill_bytes[6] = fill_bytes[7] = RING_BYTES / 2;
	take_steps();
	cr_assert_eq(slept_ns[3], 100000000);
	cr_assert_gt(used_before[4], 0);
	cr_assert(slept_ns[4] > 24000000 && slept_ns[4] < 26000000, "a quarter");
	cr_assert(slept_ns[5] > 24000000 && slept_ns[5] < 26000000, "just right");
	cr_assert_lt(slept_ns[6], slept_ns[5] / 3);
	cr_assert_eq(slept_ns[8], 2000000, "no shorter");
	cr_assert_eq(slept_ns[9], 4000000, "no more than twice");
}

Test(drain, it_sleeps_no_longer_than_to_the_next_flush)
{
	settings.flush_ns = 30000000;
	take_steps();
	for (unsigned i = 0; i < STEPS; i++)
		cr_assert_leq(slept_ns[i], 30000000);
}

/* --- what can go wrong --- */

Test(drain, a_disk_that_fails_is_said_once_and_counted)
{
	struct threads_sums sums;

	settings.head.path = in_scratch("no/directory");
	begin();
	for (unsigned i = 0; i < 3; i++) {
		put(70);
		cr_assert(drain_flush(LONG_NS));
	}
	threads_sum(&sums);
	cr_assert_eq(sums.losses[LOSS_disk], 3);
	cr_assert_eq(atomic_load(&seen.lines), 1);
}

Test(drain, nobody_waits_longer_than_asked)
{
	pid_t tid;

	begin();
	tid = drain_tid();
	put(70);
	atomic_store(&holds_flush, true);
	cr_assert_not(drain_flush(0));
	sem_wait(&reached);
	cr_assert_not(drain_park(0));
	sem_post(&released);
	cr_assert(drain_flush(LONG_NS));
	cr_assert(drain_flush(LONG_NS), "the first may have been the one that was held");
	cr_assert_eq(drain_tid(), tid);
	cr_assert_eq(atomic_load(&seen.ends), 0, "the request to park was taken back");
}

Test(drain, without_memory_it_ends_at_once)
{
	atomic_store(&no_memory, true);
	cr_assert_null(drain_begin(&settings));
	cr_assert(drain_finish(LONG_NS));
	cr_assert_eq(atomic_load(&seen.lines), 1);
	cr_assert_eq(atomic_load(&seen.begins), 0);
	cr_assert_eq(atomic_load(&seen.finishes), 0);
}

Test(drain, a_thread_that_is_refused_is_said_and_can_be_had_later)
{
	unsigned long long mine = blocked(os_gettid());

	real_load();
	real.pthread_create = refuse_thread;
	cr_assert_not_null(drain_begin(&settings));
	cr_assert_eq(blocked(os_gettid()), mine);
	cr_assert(drain_park(LONG_NS));
	cr_assert(drain_finish(LONG_NS));
	real.pthread_create = pthread_create;
	begin();
	put(70);
	cr_assert(drain_flush(LONG_NS));
	cr_assert_eq(count_whole(path).value, 70);
}

Test(drain, in_a_child_all_begins_anew)
{
	begin();
	put(70);
	cr_assert(drain_park(LONG_NS));
	drain_after_fork();
	cr_assert_eq(drain_tid(), 0);
	settings.head.path = in_scratch("child.monprof");
	begin();
	put(80);
	cr_assert(drain_flush(LONG_NS));
	cr_assert_eq(count_whole(settings.head.path).value, 80);
	cr_assert_neq(access(path, F_OK), 0, "nobody flushed it");
}

Test(drain, in_a_child_of_a_process_that_had_ended_it_all_begins_anew)
{
	begin();
	cr_assert(drain_finish(LONG_NS));
	drain_after_fork();
	settings.head.path = in_scratch("child.monprof");
	begin();
	put(80);
	cr_assert(drain_flush(LONG_NS));
	cr_assert_eq(count_whole(settings.head.path).value, 80);
}

Test(drain, alone_in_the_process_it_finishes_by_itself)
{
	begin();
	put(70);
	atomic_store(&is_alone, true);
	cr_assert(drain_flush(LONG_NS));
	sem_wait(&reached);
	cr_assert(drain_park(LONG_NS));
	cr_assert_eq(count_whole(path).value, 70 + 1000 + 500000);
}

Test(drain, what_was_in_no_ring_is_written_too)
{
	begin();
	put(70);
	atomic_store(&written_value, 30);
	cr_assert(drain_flush(LONG_NS));
	cr_expect_eq(count_whole(path).value, 70 + 30);
}
