#include "os.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIGNAL SIGURG
#define MILLISECOND_NS 1000000ull

static _Atomic uintptr_t tick_cookie;
static _Atomic int tick_count, tick_code, tick_fd;
static _Atomic uintptr_t tick_pc;

static void on_tick(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	atomic_store(&tick_cookie, (uintptr_t)info->si_value.sival_ptr);
	atomic_store(&tick_code, info->si_code);
	atomic_store(&tick_fd, info->si_fd);
	atomic_store(&tick_pc, os_program_counter(context));
	atomic_fetch_add(&tick_count, 1);
}

static void catch_ticks(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = on_tick;
	action.sa_flags = SA_SIGINFO | SA_RESTART;
	cr_assert_eq(os_sigaction(SIGNAL, &action, NULL), 0);
}

/* Burn CPU time until `wanted` ticks have come; the test's own time-out is its only bound. */
static void __attribute__((noinline)) burn_until(int wanted)
{
#ifdef __SANITIZE_THREAD__
	cr_skip_test("the thread sanitizer holds signals back until a system call");
#endif
	while (atomic_load(&tick_count) < wanted)
		;
}

Test(os, clocks_move_forward)
{
	uint64_t monotonic = os_monotonic_ns(), thread = os_thread_cpu_ns();

	while (os_thread_cpu_ns() == thread)
		;
	cr_assert_gt(os_monotonic_ns(), monotonic);
	cr_assert_geq(os_process_cpu_ns(), thread);
	cr_assert_gt(os_realtime_ns(), 1700000000ull * 1000000000ull);
}

Test(os, tick_is_a_whole_jiffy)
{
	uint64_t tick_ns = os_tick_ns();

	cr_assert_geq(tick_ns, MILLISECOND_NS);
	cr_assert_leq(tick_ns, 10 * MILLISECOND_NS);
}

Test(os, knows_its_own_ids)
{
	cr_assert_eq(os_getpid(), getpid());
	cr_assert_eq(os_gettid(), getpid());
	cr_assert(os_thread_exists(os_gettid()));
}

struct worker {
	_Atomic uint32_t told; /* 0 nothing, 1 tid is there, 2 stop */
	pid_t tid;
};

static void *worker_main(void *argument)
{
	struct worker *worker = argument;

	worker->tid = os_gettid();
	atomic_store(&worker->told, 1);
	os_futex_wake(&worker->told);
	while (atomic_load(&worker->told) != 2)
		os_futex_wait(&worker->told, 1, UINT64_MAX);
	return NULL;
}

Test(os, reads_the_cpu_clock_of_another_thread)
{
	struct worker worker = { 0 };
	uint64_t first_ns, second_ns;
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, worker_main, &worker), 0);
	while (atomic_load(&worker.told) != 1)
		os_futex_wait(&worker.told, 0, UINT64_MAX);
	cr_assert(os_thread_cpu_of(worker.tid, &first_ns));
	cr_assert(os_thread_cpu_of(worker.tid, &second_ns));
	cr_assert_gt(first_ns, 0);
	cr_assert_geq(second_ns, first_ns);
	cr_assert(os_thread_exists(worker.tid));
	atomic_store(&worker.told, 2);
	os_futex_wake(&worker.told);
	pthread_join(thread, NULL);
	/* join returns when the kernel clears the tid, a moment before the thread is unhashed. */
	while (os_thread_exists(worker.tid))
		;
	cr_assert_not(os_thread_cpu_of(worker.tid, &first_ns));
}

Test(os, timer_brings_its_cookie, .timeout = 20)
{
	const uintptr_t cookie = 0x1122334455667788;
	int timer = -1;

	catch_ticks();
	cr_assert_eq(os_timer_create(os_gettid(), false, SIGNAL, cookie, &timer), 0);
	cr_assert_eq(os_timer_set(timer, MILLISECOND_NS, MILLISECOND_NS), 0);
	burn_until(3);
	cr_assert_eq(atomic_load(&tick_cookie), cookie);
	cr_assert_eq(atomic_load(&tick_code), SI_TIMER);
	os_timer_delete(timer);
	cr_assert_eq(os_timer_set(timer, 0, 0), EINVAL);
}

Test(os, monotonic_timer_ticks_in_sleep, .timeout = 20)
{
	int timer = -1;

	catch_ticks();
	cr_assert_eq(os_timer_create(os_gettid(), true, SIGNAL, 5, &timer), 0);
	cr_assert_eq(os_timer_set(timer, MILLISECOND_NS, 0), 0);
	while (atomic_load(&tick_count) == 0)
		poll(NULL, 0, 1000);
	cr_assert_eq(atomic_load(&tick_cookie), 5);
	os_timer_delete(timer);
}

Test(os, disarmed_timer_is_silent, .timeout = 20)
{
	int timer = -1, other = -1;

	catch_ticks();
	cr_assert_eq(os_timer_create(os_gettid(), false, SIGNAL, 1, &timer), 0);
	cr_assert_eq(os_timer_set(timer, MILLISECOND_NS, 0), 0);
	cr_assert_eq(os_timer_set(timer, 0, 0), 0);
	cr_assert_eq(os_timer_create(os_gettid(), false, SIGNAL, 2, &other), 0);
	cr_assert_eq(os_timer_set(other, 20 * MILLISECOND_NS, 0), 0);
	burn_until(1);
	cr_assert_eq(atomic_load(&tick_cookie), 2);
	cr_assert_eq(atomic_load(&tick_count), 1);
}

Test(os, timer_of_no_thread_is_refused)
{
	int timer = -1;

	cr_assert_neq(os_timer_create(0x3fffffff, false, SIGNAL, 1, &timer), 0);
}

Test(os, interrupted_program_counter_is_in_the_loop, .timeout = 20)
{
	int timer = -1;
	uintptr_t pc;

	catch_ticks();
	cr_assert_eq(os_timer_create(os_gettid(), false, SIGNAL, 1, &timer), 0);
	cr_assert_eq(os_timer_set(timer, MILLISECOND_NS, 0), 0);
	burn_until(1);
	pc = atomic_load(&tick_pc);
	cr_assert_geq(pc, (uintptr_t)burn_until);
	cr_assert_lt(pc, (uintptr_t)burn_until + 256);
}

Test(os, perf_event_ticks_through_a_high_descriptor, .timeout = 20)
{
	int fd;

	catch_ticks();
	fd = os_perf_open(os_gettid(), SIGNAL, MILLISECOND_NS);
	if (fd < 0) {
		cr_assert(fd == -EACCES || fd == -EPERM || fd == -ENOSYS || fd == -ENOENT);
		cr_skip_test("perf_event_open is refused here: %s", strerror(-fd));
	}
	cr_assert_geq(fd, 256);
	cr_assert_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	cr_assert_eq(os_perf_begin(fd), 0);
	burn_until(3);
	cr_assert_eq(atomic_load(&tick_fd), fd);
	cr_assert_eq(atomic_load(&tick_code), POLL_IN);
	cr_assert_eq(os_perf_period(fd, 2 * MILLISECOND_NS), 0);
	burn_until(6);
	os_perf_close(fd);
	cr_assert_eq(fcntl(fd, F_GETFD), -1);
}

Test(os, perf_event_of_no_thread_is_refused)
{
	cr_assert_lt(os_perf_open(0x3fffffff, SIGNAL, MILLISECOND_NS), 0);
}

Test(os, read_copies_and_keeps_errno)
{
	const char text[] = "twelve bytes";
	char copy[sizeof(text)] = "";

	errno = EDOM;
	cr_assert(os_read(copy, (uintptr_t)text, sizeof(text)));
	cr_assert_str_eq(copy, text);
	cr_assert_not(os_read(copy, 16, 1));
	cr_assert(os_read(copy, 16, 0));
	cr_assert_eq(errno, EDOM);
}

Test(os, read_refuses_what_reaches_into_an_unmapped_page)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *pages = os_pages_map(2 * page);
	char copy[16];

	cr_assert_not_null(pages);
	memset(pages, 'x', 2 * page);
	os_pages_unmap(pages + page, page);
	cr_assert(os_read(copy, (uintptr_t)pages + page - 16, 16));
	cr_assert_eq(copy[15], 'x');
	cr_assert_not(os_read(copy, (uintptr_t)pages + page - 15, 16));
	cr_assert_not(os_read(copy, (uintptr_t)pages + page, 1));
	os_pages_unmap(pages, page);
}

Test(os, read_refuses_a_protected_page)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *pages = os_pages_map(page);
	char copy;

	cr_assert_eq(mprotect(pages, page, PROT_NONE), 0);
	cr_assert_not(os_read(&copy, (uintptr_t)pages, 1));
	os_pages_unmap(pages, page);
}

Test(os, pages_are_zero_or_refused)
{
	unsigned char *pages = os_pages_map(100000);

	for (size_t i = 0; i < 100000; i++)
		cr_assert_eq(pages[i], 0);
	os_pages_unmap(pages, 100000);
	os_pages_unmap(NULL, 100000);
	cr_assert_null(os_pages_map((size_t)1 << 60));
}

Test(os, futex_wait_returns_at_once_where_the_word_differs)
{
	_Atomic uint32_t word = 1;

	errno = EDOM;
	os_futex_wait(&word, 0, UINT64_MAX);
	cr_assert_eq(errno, EDOM);
}

Test(os, futex_wait_ends_with_its_timeout)
{
	_Atomic uint32_t word = 1;
	uint64_t start_ns = os_monotonic_ns();

	os_futex_wait(&word, 1, 5 * MILLISECOND_NS);
	cr_assert_geq(os_monotonic_ns() - start_ns, 5 * MILLISECOND_NS);
}

Test(os, sigaction_gives_back_what_it_was_given)
{
	struct sigaction set, got, libc_saw;

	memset(&set, 0, sizeof(set));
	set.sa_sigaction = on_tick;
	set.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
	sigemptyset(&set.sa_mask);
	sigaddset(&set.sa_mask, SIGUSR2);
	cr_assert_eq(os_sigaction(SIGNAL, &set, NULL), 0);
	cr_assert_eq(os_sigaction(SIGNAL, NULL, &got), 0);
	cr_assert_eq(got.sa_sigaction, on_tick);
	cr_assert(sigismember(&got.sa_mask, SIGUSR2));
	cr_assert_not(sigismember(&got.sa_mask, SIGUSR1));
	cr_assert_eq(sigaction(SIGNAL, NULL, &libc_saw), 0);
	cr_assert_eq(libc_saw.sa_sigaction, on_tick);
	cr_assert_eq(libc_saw.sa_flags & (SA_SIGINFO | SA_RESTART | SA_ONSTACK), set.sa_flags);
	cr_assert_eq(os_sigaction(SIGKILL, &set, NULL), EINVAL);
}

Test(os, sigaction_restores_what_libc_had_set)
{
	struct sigaction kept;

	signal(SIGNAL, SIG_IGN);
	cr_assert_eq(os_sigaction(SIGNAL, NULL, &kept), 0);
	cr_assert_eq(kept.sa_handler, SIG_IGN);
	catch_ticks();
	cr_assert_eq(os_tgkill(os_gettid(), SIGNAL), 0);
	cr_assert_eq(atomic_load(&tick_count), 1);
	cr_assert_eq(os_sigaction(SIGNAL, &kept, NULL), 0);
	cr_assert_eq(os_tgkill(os_gettid(), SIGNAL), 0);
	cr_assert_eq(atomic_load(&tick_count), 1);
}

Test(os, sigmask_holds_a_signal_back)
{
	const uint64_t bit = 1ull << (SIGNAL - 1);
	uint64_t old = 0;

	catch_ticks();
	cr_assert_eq(os_sigmask(SIG_BLOCK, &bit, NULL), 0);
	cr_assert_eq(os_tgkill(os_gettid(), SIGNAL), 0);
	cr_assert_eq(atomic_load(&tick_count), 0);
	cr_assert_eq(os_sigmask(SIG_UNBLOCK, &bit, &old), 0);
	cr_assert_eq(old & bit, bit);
	cr_assert_eq(atomic_load(&tick_count), 1);
	cr_assert_eq(os_sigmask(SIG_BLOCK, NULL, &old), 0);
	cr_assert_eq(old & bit, 0);
}

Test(os, write_reports_and_leaves_no_signal)
{
	int ends[2];
	char got[8] = "";
	sigset_t pending;

	cr_assert_eq(pipe(ends), 0);
	cr_assert_eq(os_write(ends[1], "hello", 5), 5);
	cr_assert_eq(read(ends[0], got, sizeof(got)), 5);
	close(ends[0]);
	cr_assert_eq(os_write(ends[1], "hello", 5), -EPIPE);
	cr_assert_eq(sigpending(&pending), 0);
	cr_assert_not(sigismember(&pending, SIGPIPE));
	close(ends[1]);
	cr_assert_eq(os_write(ends[1], "hello", 5), -EBADF);
}

Test(os, write_keeps_a_signal_that_was_pending_before)
{
	const uint64_t bit = 1ull << (SIGPIPE - 1);
	int ends[2];
	sigset_t pending;

	cr_assert_eq(os_sigmask(SIG_BLOCK, &bit, NULL), 0);
	cr_assert_eq(os_tgkill(os_gettid(), SIGPIPE), 0);
	cr_assert_eq(pipe(ends), 0);
	close(ends[0]);
	cr_assert_eq(os_write(ends[1], "hello", 5), -EPIPE);
	cr_assert_eq(sigpending(&pending), 0);
	cr_assert(sigismember(&pending, SIGPIPE));
}

static void *own_table(void *argument)
{
	int *program_fd = argument;

	if (!os_descriptors_own())
		return "refused";
	return fcntl(*program_fd, F_GETFD) == -1 && errno == EBADF ? NULL : "still there";
}

Test(os, own_descriptors_leave_the_program_its_own)
{
	pthread_t thread;
	void *problem;
	int fd = open("/dev/null", O_RDONLY);

	cr_assert_geq(fd, 0);
	cr_assert_eq(pthread_create(&thread, NULL, own_table, &fd), 0);
	pthread_join(thread, &problem);
	if (problem && strcmp(problem, "refused") == 0)
		cr_skip_test("close_range is refused here");
	cr_assert_null(problem);
	cr_assert_geq(fcntl(fd, F_GETFD), 0);
}

Test(os, random_numbers_differ)
{
	uint64_t first = os_random();

	cr_assert(os_random() != first || os_random() != first);
}

Test(os, env_reads_the_environment)
{
	setenv("MONPROF_TEST_VARIABLE", "value", 1);
	cr_assert_str_eq(os_env("MONPROF_TEST_VARIABLE"), "value");
	cr_assert_null(os_env("MONPROF_TEST_MISSING"));
}
