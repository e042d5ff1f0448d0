/*
 * test_thread.c - slots and cookies, enter and leave, with a clock and a memory of our own.
 */
#include "os.h"
#include "thread.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#define RING_BYTES 1024
#define POOL_BYTES ((size_t)64 << 20)
#define CONTENDERS 4
#define ROUNDS 20000
#define LOOKS 50

static _Atomic uint64_t clock_ns = 1000;
static bool no_memory;
static unsigned char *pool;
static _Atomic size_t pool_used;
static pid_t tid_now; /* 0: the true one */
static unsigned waits, waits_until_left;
static struct thread *inside;
static struct thread *ended;
static unsigned endings;

uint64_t __wrap_os_monotonic_ns(void);
uint64_t __wrap_os_monotonic_ns(void)
{
	return clock_ns;
}

pid_t __real_os_gettid(void);
pid_t __wrap_os_gettid(void);
pid_t __wrap_os_gettid(void)
{
	return tid_now ? tid_now : __real_os_gettid();
}

void *__wrap_os_pages_map(size_t size_bytes);
void *__wrap_os_pages_map(size_t size_bytes)
{
	size_t whole = (size_bytes + PROF_CACHE_LINE - 1) / PROF_CACHE_LINE * PROF_CACHE_LINE;
	size_t at = atomic_fetch_add(&pool_used, whole);

	return no_memory || at + whole > POOL_BYTES ? NULL : pool + at;
}

/* Time passes here alone, and at the last wait the thread that is inside leaves. */
void __wrap_os_futex_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns);
void __wrap_os_futex_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
	cr_assert_eq(atomic_load(word), expected, "it would not wait");
	clock_ns += timeout_ns;
	if (++waits == waits_until_left)
		atomic_store(&inside->inside, 0);
}

static void on_ending(struct thread *thread)
{
	cr_assert_eq(thread_self(), thread, "still itself");
	cr_assert_eq(atomic_load(&thread->state), THREAD_LIVE);
	ended = thread;
	endings++;
}

static void set_up(void)
{
	pool = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	cr_assert_neq(pool, MAP_FAILED);
	cr_assert_null(threads_start(RING_BYTES, on_ending));
}

TestSuite(thread, .init = set_up);

static struct thread *begin(void)
{
	struct thread *thread = thread_reserve();

	cr_assert_not_null(thread);
	thread_begin(thread);
	return thread;
}

/* Another thread, found from outside, that never meets us. */
static struct thread *other(void)
{
	struct thread *thread = thread_adopt(1);

	cr_assert_not_null(thread);
	return thread;
}

static void run(void *(*function)(void *), void *argument)
{
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, function, argument), 0);
	pthread_join(thread, NULL);
}

static void spend(uint64_t span_ns)
{
	struct thread *thread = thread_enter();

	cr_assert_not_null(thread);
	clock_ns += span_ns;
	thread_leave(thread);
}

static uint64_t own_ns(void)
{
	struct threads_sums sums;

	threads_sum(&sums);
	return sums.own_ns;
}

Test(thread, a_cookie_comes_back_as_its_thread)
{
	struct thread *thread = begin(), *second = other();
	uintptr_t cookie = thread_cookie(thread);

	cr_expect(thread_cookie_ours(cookie));
	cr_expect_neq(cookie, thread_cookie(second));
	cr_expect_eq(thread_enter_tick(cookie), thread);
	thread_leave(thread);
	cr_expect_null(thread_enter_tick(thread_cookie(second)), "not the calling thread's");
}

Test(thread, other_numbers_are_not_ours)
{
	struct thread *thread = begin();
	uintptr_t cookie = thread_cookie(thread);

	cr_expect_not(thread_cookie_ours(0));
	cr_expect_not(thread_cookie_ours(1));
	cr_expect_not(thread_cookie_ours(UINTPTR_MAX));
	cr_expect_not(thread_cookie_ours((uintptr_t)thread));
	cr_expect_not(thread_cookie_ours(cookie ^ UINT64_C(1) << 48));
	cr_expect_null(thread_enter_tick(cookie ^ UINT64_C(1) << 48));
	cr_expect_null(thread_enter_tick(cookie | 0xffff), "no such slot");
	cr_expect_null(thread_enter_tick(cookie + 5), "nor ever used");
	cr_expect_eq(atomic_load(&thread->inside), 0);
}

static void *live_and_end(void *cookie)
{
	prctl(PR_SET_NAME, "worker");
	*(uintptr_t *)cookie = thread_cookie(begin());
	return NULL;
}

Test(thread, ends_in_itself)
{
	uintptr_t cookie;

	run(live_and_end, &cookie);
	cr_assert_eq(endings, 1);
	cr_expect_eq(atomic_load(&ended->state), THREAD_DEAD);
	cr_expect_str_eq(ended->name, "worker");
	cr_expect_eq(thread_next(NULL), ended, "until it is recycled");
	cr_expect_null(thread_self());
	thread_recycle(ended);
	cr_expect_null(thread_next(NULL));
}

Test(thread, a_cookie_ends_with_its_thread)
{
	struct thread *thread;
	uintptr_t cookie;

	run(live_and_end, &cookie);
	cr_expect(thread_cookie_ours(cookie));
	cr_expect_null(thread_enter_tick(cookie));
	thread_recycle(ended);
	cr_expect_null(thread_enter_tick(cookie));
	thread = begin();
	cr_assert_eq(thread, ended, "the slot's next");
	cr_expect(thread_cookie_ours(cookie));
	cr_expect_null(thread_enter_tick(cookie));
	cr_expect_eq(thread_enter_tick(thread_cookie(thread)), thread);
}

Test(thread, enter_and_leave_do_not_nest)
{
	struct thread *thread;

	cr_expect_null(thread_enter(), "not profiled");
	thread = begin();
	cr_expect_eq(thread_self(), thread);
	cr_assert_eq(thread_enter(), thread);
	cr_expect_null(thread_enter());
	cr_expect_null(thread_enter_tick(thread_cookie(thread)));
	thread_leave(thread);
	cr_expect_eq(thread_enter(), thread);
}

Test(thread, errno_is_kept)
{
	struct thread *thread = begin();

	errno = 42;
	thread_enter();
	errno = 7;
	cr_expect_null(thread_enter());
	errno = 8;
	thread_leave(thread);
	cr_expect_eq(errno, 42);
}

Test(thread, nobody_enters_once_closed)
{
	struct thread *thread = begin();

	thread_enter();
	threads_close();
	thread_leave(thread);
	cr_expect_null(thread_enter());
	cr_expect_null(thread_enter_tick(thread_cookie(thread)));
	cr_expect_eq(atomic_load(&thread->inside), 0, "nor is seen inside");
}

Test(thread, quiet_waits_until_the_others_have_left)
{
	begin();
	inside = other();
	other();
	atomic_store(&inside->inside, 1);
	waits_until_left = 3;
	cr_expect(threads_quiet(UINT64_C(1000000000)));
	cr_expect_eq(waits, 3);
	cr_expect(threads_quiet(0), "nobody is inside");
	cr_expect_eq(waits, 3);
}

Test(thread, quiet_waits_no_longer_than_it_may)
{
	uint64_t begun_ns = clock_ns;

	other();
	inside = other();
	atomic_store(&inside->inside, 1);
	cr_expect_not(threads_quiet(1000000));
	cr_expect_gt(waits, 1);
	cr_expect_geq(clock_ns - begun_ns, 1000000);
	cr_expect_lt(clock_ns - begun_ns, 2000000);
}

Test(thread, quiet_does_not_wait_for_its_caller)
{
	begin();
	thread_enter();
	cr_expect(threads_quiet(0));
	cr_expect_eq(waits, 0);
}

/* Everything that a thread may leave behind. */
static void leave_behind(struct thread *thread)
{
	uint32_t got;
	uint32_t *piece = ring_begin(&thread->ring, 16, 16, &got);

	*piece = 16;
	ring_commit(&thread->ring, 16);
	memset(thread->own, 0xff, sizeof(thread->own));
	memset(thread->name, 'x', sizeof(thread->name));
	memset(thread->known_name, 'x', sizeof(thread->known_name));
	thread_lose(thread, LOSS_cut);
	thread->start_argument = thread;
	thread->start = live_and_end;
	thread->inherited = thread->announced = true;
	thread->signals.blocked = true;
	thread->inside = 1;
	thread->own_ns = thread->entries = thread->callbacks = 5;
	thread->python_name_known = true;
}

static bool is_clean(const struct thread *thread)
{
	const unsigned char *own = (const unsigned char *)thread->own;

	for (size_t i = 0; i < sizeof(thread->own); i++) {
		if (own[i])
			return false;
	}
	return !thread->name[0] && !thread->known_name[0] && !thread->losses[LOSS_cut] &&
	       !thread->start && !thread->start_argument && !thread->inherited &&
	       !thread->announced && !thread->signals.blocked && !thread->inside &&
	       !thread->own_ns && !thread->entries && !thread->callbacks &&
	       !thread->python_name_known && !thread->foreign && ring_used(&thread->ring) == 0;
}

Test(thread, a_slot_is_used_again_and_clean)
{
	struct thread *first = other(), *second = other();
	uint32_t generation = first->generation, got = 0;
	uintptr_t cookie = thread_cookie(first);

	cr_expect_neq(first, second);
	cr_expect_eq(first->serial, 1);
	cr_expect_eq(second->serial, 2);
	leave_behind(first);
	thread_lost(first);
	thread_recycle(first);
	cr_assert_eq(thread_reserve(), first);
	cr_expect(is_clean(first));
	cr_expect_eq(first->generation, generation + 1);
	cr_expect_eq(first->serial, 3);
	cr_expect_neq(thread_cookie(first), cookie);
	cr_assert_not_null(ring_begin(&first->ring, RING_BYTES, UINT32_MAX, &got));
	cr_expect_eq(got, RING_BYTES, "all of its memory");
	memset(first->ring.data, 0xff, RING_BYTES);
	cr_expect_eq(thread_cookie(second) & 0xffff, second->slot, "its neighbour is whole");
	cr_expect_eq(second->serial, 2);
	cr_expect_neq(thread_reserve(), first);
}

Test(thread, a_reservation_is_cancelled)
{
	struct thread *thread = thread_reserve();
	uintptr_t cookie = thread_cookie(thread);

	cr_expect_null(thread_next(NULL), "not before it has begun");
	thread_cancel(thread);
	cr_expect_null(thread_next(NULL));
	cr_expect_eq(begin(), thread);
	cr_expect_neq(thread_cookie(thread), cookie);
	cr_expect_eq(thread_next(NULL), thread);
}

Test(thread, next_gives_the_living_and_the_dead_in_order)
{
	struct thread *threads[5];

	cr_expect_null(thread_next(NULL));
	for (unsigned i = 0; i < 5; i++)
		threads[i] = other();
	thread_lost(threads[1]);
	thread_lost(threads[2]);
	thread_recycle(threads[2]);
	thread_lost(threads[4]);
	thread_recycle(threads[4]);
	cr_expect_eq(thread_next(NULL), threads[0]);
	cr_expect_eq(thread_next(threads[0]), threads[1]);
	cr_expect_eq(thread_next(threads[1]), threads[3]);
	cr_expect_null(thread_next(threads[3]));
}

Test(thread, only_the_living_are_lost)
{
	struct thread *thread = thread_reserve();

	thread_lost(thread);
	cr_expect_eq(atomic_load(&thread->state), THREAD_BORN);
	thread_begin(thread);
	thread_lost(thread);
	cr_expect_eq(atomic_load(&thread->state), THREAD_DEAD);
	thread_recycle(thread);
	thread_lost(thread);
	cr_expect_eq(atomic_load(&thread->state), THREAD_FREE);
}

Test(thread, a_foreign_one_is_its_own_from_its_first_tick)
{
	struct thread *stranger = thread_adopt(os_gettid() + 1);
	struct thread *thread = thread_adopt(os_gettid());

	cr_expect(atomic_load(&thread->foreign));
	cr_expect_eq(atomic_load(&thread->tid), os_gettid());
	cr_expect_eq(thread_next(stranger), thread);
	cr_expect_null(thread_self());
	cr_expect_null(thread_enter());
	cr_expect_null(thread_enter_tick(thread_cookie(stranger)));
	cr_expect(atomic_load(&stranger->foreign));
	cr_expect_null(thread_self());
	cr_expect_eq(thread_enter_tick(thread_cookie(thread)), thread);
	cr_expect_eq(thread_self(), thread);
	cr_expect_not(atomic_load(&thread->foreign));
	thread_leave(thread);
	cr_expect_eq(thread_enter(), thread);
}

Test(thread, one_that_knows_itself_becomes_no_other)
{
	struct thread *thread = begin(), *again = thread_adopt(os_gettid());

	cr_expect_null(thread_enter_tick(thread_cookie(again)));
	cr_expect(atomic_load(&again->foreign));
	cr_expect_eq(thread_self(), thread);
}

Test(thread, after_a_fork_only_the_caller_is_left)
{
	struct thread *dead = other(), *thread = begin(), *born = thread_reserve();
	struct thread *living = other();
	uintptr_t cookie = thread_cookie(thread);
	struct threads_sums sums;

	thread_lost(dead);
	leave_behind(thread);
	thread_lose(NULL, LOSS_disk);
	threads_close();
	tid_now = 77;
	threads_after_fork();
	cr_expect_eq(thread_next(NULL), thread);
	cr_expect_null(thread_next(thread));
	cr_expect_eq(thread_self(), thread);
	cr_expect_eq(thread->serial, 1);
	cr_expect_eq(atomic_load(&thread->tid), 77);
	cr_expect(thread->signals.blocked, "the program's mask stays");
	thread->signals.blocked = false;
	cr_expect(is_clean(thread), "all the rest goes");
	threads_sum(&sums);
	cr_expect_eq(sums.losses[LOSS_disk] + sums.losses[LOSS_cut], 0);
	cr_expect_eq(sums.own_ns + sums.entries, 0);
	cr_expect_null(thread_enter_tick(cookie), "a tick of the parent's");
	cr_expect_eq(thread_enter_tick(thread_cookie(thread)), thread, "open again");
	cr_expect_eq(thread_reserve(), dead);
	cr_expect_eq(thread_reserve(), born);
	cr_expect_eq(thread_reserve(), living);
	cr_expect_eq(living->serial, 4);
}

Test(thread, losses_outlive_their_threads)
{
	struct thread *gone = other(), *thread = begin();
	struct threads_sums sums;

	thread_lose(NULL, LOSS_cut);
	thread_lose(gone, LOSS_cut);
	thread_lose(gone, LOSS_cut);
	thread_lose(thread, LOSS_cut);
	thread_lose(gone, LOSS_unsure);
	gone->own_ns = 100;
	gone->entries = 2;
	gone->callbacks = 1;
	spend(11);
	for (unsigned round = 0; round < 3; round++) {
		threads_sum(&sums);
		cr_expect_eq(sums.losses[LOSS_cut], 4);
		cr_expect_eq(sums.losses[LOSS_unsure], 1);
		cr_expect_eq(sums.losses[LOSS_ring_full], 0);
		cr_expect_eq(sums.own_ns, 111);
		cr_expect_eq(sums.entries, 3);
		cr_expect_eq(sums.callbacks, 1);
		if (round == 0) {
			thread_lost(gone);
			thread_recycle(gone);
		} else if (round == 1) {
			cr_expect_eq(other(), gone);
		}
	}
}

Test(thread, what_was_spent_inside_is_counted)
{
	struct threads_sums sums;

	begin();
	spend(300);
	clock_ns += 1000000;
	spend(200000);
	threads_sum(&sums);
	cr_expect_eq(sums.own_ns, 200300);
	cr_expect_eq(sums.entries, 2);
}

Test(thread, callbacks_are_entries_that_no_signal_brought)
{
	struct thread *thread = begin();
	struct threads_sums sums;

	spend(100);
	cr_assert_eq(thread_enter(), thread);
	clock_ns += 50;
	thread_leave_callback(thread);
	threads_sum(&sums);
	cr_expect_eq(sums.own_ns, 150);
	cr_expect_eq(sums.entries, 2);
	cr_expect_eq(sums.callbacks, 1);
	cr_expect_eq(thread_enter(), thread, "it has left");
	thread_leave(thread);
}

Test(thread, a_span_without_the_cpu_counts_as_the_mean)
{
	begin();
	spend(UINT64_C(1000000000));
	cr_expect_eq(own_ns(), 0, "of nothing");
	spend(300);
	spend(600);
	cr_expect_eq(own_ns(), 900);
	spend(UINT64_C(1000000000));
	cr_expect_eq(own_ns(), 1200);
}

Test(thread, without_memory_there_is_no_slot)
{
	struct thread *thread = thread_reserve();
	struct threads_sums sums;

	no_memory = true;
	cr_expect_null(thread_reserve());
	cr_expect_null(thread_adopt(1));
	threads_sum(&sums);
	cr_expect_eq(sums.losses[LOSS_threads], 2);
	thread_cancel(thread);
	cr_expect_eq(thread_reserve(), thread, "used ones need none");
}

Test(thread, the_table_ends)
{
	struct thread *last = NULL;
	struct threads_sums sums;

	for (unsigned i = 0; i < THREADS_MAX; i++) {
		last = thread_reserve();
		cr_assert_not_null(last);
		cr_assert_eq(last->slot, i);
	}
	cr_expect_null(thread_reserve());
	threads_sum(&sums);
	cr_expect_eq(sums.losses[LOSS_threads], 1);
	thread_begin(last);
	cr_expect_eq(thread_next(NULL), last);
	cr_expect_eq(thread_enter_tick(thread_cookie(last)), last);
}

static _Atomic unsigned shared, contenders;

/* Whoever reserves a slot has it alone. */
static void *contend(void *self)
{
	contenders++;
	while (contenders < CONTENDERS)
		sched_yield();
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct thread *thread = thread_reserve();
		void *volatile *owner = thread ? thread_own(thread, 0) : NULL;

		if (!owner)
			continue;
		*owner = &self;
		shared += thread_next(NULL) != NULL; /* and is BORN for this long */
		for (unsigned look = 0; look < LOOKS; look++)
			shared += *owner != &self;
		thread_cancel(thread);
	}
	return NULL;
}

Test(thread, a_slot_has_one_owner)
{
	pthread_t ids[CONTENDERS];

	for (unsigned i = 0; i < CONTENDERS; i++)
		cr_assert_eq(pthread_create(&ids[i], NULL, contend, NULL), 0);
	for (unsigned i = 0; i < CONTENDERS; i++)
		pthread_join(ids[i], NULL);
	cr_expect_eq(shared, 0);
	cr_expect_null(thread_next(NULL));
	cr_expect_lt(pool_used, 64 * (sizeof(struct thread) + RING_BYTES + 64), "they are reused");
}
