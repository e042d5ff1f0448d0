/*
 * test_signals.c - what the program must not see: ticks, the kernel's mask, the kernel's disposition.
 */
#include "log.h"
#include "twin.h"

#include <sched.h>
#include <sys/signalfd.h>

#define URG_BIT (UINT64_C(1) << (SIGURG - 1))
#define ROUNDS 2000

static unsigned lines;

void __wrap_log_line(const char *format, ...) PROF_PRINTF(1, 2);

void __wrap_log_line(const char *format, ...)
{
	(void)format;
	lines++;
}

static void on_count(int signo)
{
	(void)signo;
	run.handled++;
}

static void take(void)
{
	own.profiled = true;
	run.taken = true;
	cr_assert_null(signals_start(SIGURG, &hooks));
}

static uint64_t kernel_mask(void)
{
	uint64_t set = 0;

	cr_assert_eq(os_sigmask(SIG_BLOCK, NULL, &set), 0);
	return set;
}

static void *kernel_handler(void)
{
	struct sigaction act;

	cr_assert_eq(os_sigaction(SIGURG, NULL, &act), 0);
	return (void *)act.sa_handler;
}

static void block_all(sigset_t *old)
{
	sigset_t all;

	sigfillset(&all);
	cr_assert_eq(pthread_sigmask(SIG_BLOCK, &all, old), 0);
}

Test(signals, before_the_start_calls_pass_through)
{
	cr_expect_eq(signals_number(), 0);
	block_all(NULL);
	cr_expect(kernel_mask() & URG_BIT);
	signal(SIGURG, on_count);
	cr_expect_eq(kernel_handler(), (void *)on_count);
	raise(SIGURG);
	pthread_sigmask(SIG_UNBLOCK, &(sigset_t){ { URG_BIT } }, NULL);
	cr_expect_eq(run.handled, 1);
	cr_expect_not(signals_blocked());
	cr_expect_not(signals_check());
}

Test(signals, what_was_set_before_the_start_stays)
{
	struct sigaction act;
	sigset_t set;

	handle(on_count, SA_RESTART, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &(sigset_t){ { URG_BIT } }, NULL);
	raise(SIGURG);
	take();
	cr_expect_not(kernel_mask() & URG_BIT);
	cr_expect(signals_blocked());
	cr_expect_eq(run.handled, 0);
	sigpending(&set);
	cr_expect_eq(sigismember(&set, SIGURG), 1);
	sigaction(SIGURG, NULL, &act);
	cr_expect_eq(act.sa_handler, on_count);
	cr_expect_eq(act.sa_flags, SA_RESTART);
	cr_expect_eq(sigismember(&act.sa_mask, SIGUSR1), 1);
	pthread_sigmask(SIG_UNBLOCK, &(sigset_t){ { URG_BIT } }, NULL);
	cr_expect_eq(run.handled, 1);
}

Test(signals, the_kernel_never_blocks_it)
{
	sigset_t old, set;

	take();
	block_all(&old);
	cr_expect_not(kernel_mask() & URG_BIT);
	cr_expect(kernel_mask() & (UINT64_C(1) << (SIGUSR1 - 1)));
	cr_expect_eq(sigismember(&old, SIGURG), 0);
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	cr_expect_eq(sigismember(&set, SIGURG), 1);
	sigprocmask(SIG_SETMASK, &set, NULL);
	cr_expect_not(kernel_mask() & URG_BIT);
	cr_expect(signals_blocked());
	sigprocmask(SIG_SETMASK, &old, NULL);
	cr_expect_not(signals_blocked());
}

Test(signals, ticks_reach_nobody_but_us)
{
	sigset_t set;

	handle(on_count, 0, 0);
	take();
	tick();
	cr_expect_eq(run.ticks, 1);
	block_all(NULL);
	tick();
	cr_expect_eq(run.ticks, 2, "blocked or not");
	sigpending(&set);
	cr_expect_eq(sigismember(&set, SIGURG), 0);
	cr_expect_eq(run.handled, 0);
}

Test(signals, a_tick_that_waits_is_not_pending)
{
	uint64_t bit = URG_BIT;
	sigset_t set;

	take();
	os_sigmask(SIG_BLOCK, &bit, NULL); /* as the kernel does for a handler's time */
	tick();
	sigpending(&set);
	cr_expect_eq(sigismember(&set, SIGURG), 0);
	cr_expect_eq(run.ticks, 1);
	raise(SIGURG);
	sigpending(&set);
	cr_expect_eq(sigismember(&set, SIGURG), 1);
}

static _Atomic pid_t waiting_tid;

static void *wait_for_all(void *argument)
{
	sigset_t all;

	(void)argument;
	sigfillset(&all);
	waiting_tid = os_gettid();
	return (void *)(intptr_t)(sigwaitinfo(&all, NULL));
}

Test(signals, sigwait_takes_no_ticks, .timeout = 30)
{
	siginfo_t info = { .si_code = SI_TIMER };
	pthread_t thread;
	void *taken;

	take();
	block_all(NULL);
	thread = spawn(NULL, wait_for_all, NULL);
	while (!waiting_tid)
		sched_yield();
	info.si_value.sival_ptr = COOKIE;
	for (unsigned i = 0; i < 100; i++) {
		cr_assert_eq(os_tgqueue(waiting_tid, SIGURG, &info), 0);
		while (run.ticks <= i)
			sched_yield();
	}
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, &taken);
	cr_expect_eq((intptr_t)taken, SIGUSR1);
	cr_expect_eq(run.ticks, 100);
}

Test(signals, a_timed_wait_ends_in_spite_of_ticks)
{
	uint64_t bit = URG_BIT;
	sigset_t set = set_of(SIGURG, 0);
	siginfo_t info;

	take();
	block_all(NULL);
	os_sigmask(SIG_BLOCK, &bit, NULL);
	tick();
	cr_expect_eq(sigtimedwait(&set, &info, &(struct timespec){ 0, 0 }), -1);
	cr_expect_eq(errno, EAGAIN);
	cr_expect_eq(run.ticks, 1);
}

Test(signals, a_foreign_process_passes_through)
{
	take();
	run.foreign = true;
	block_all(NULL);
	cr_expect(kernel_mask() & URG_BIT);
	signal(SIGURG, SIG_IGN);
	cr_expect_eq(kernel_handler(), (void *)SIG_IGN);
}

static void *block_unprofiled(void *argument)
{
	(void)argument;
	block_all(NULL);
	return (void *)(uintptr_t)(kernel_mask() & URG_BIT);
}

Test(signals, a_thread_that_is_not_profiled_has_a_real_mask)
{
	pthread_t thread;
	void *bit;

	take();
	cr_assert_eq(pthread_create(&thread, NULL, block_unprofiled, NULL), 0);
	pthread_join(thread, &bit);
	cr_expect_eq((uintptr_t)bit, URG_BIT);
}

Test(signals, one_signal_at_a_time)
{
	handle(on_count, 0, 0);
	take();
	cr_expect_not_null(signals_start(SIGUSR1, &hooks));
	cr_expect_eq(signals_number(), SIGURG);
	cr_expect_null(signals_start(SIGURG, &hooks), "a forked child's session");
	raise(SIGURG);
	cr_expect_eq(run.handled, 1, "the program's handler stays");
}

static void on_raw(int signo)
{
	(void)signo;
	run.handled += 100;
}

/* As a Go runtime does: past libc. */
Test(signals, taken_back_once)
{
	struct sigaction raw = { .sa_handler = on_raw, .sa_flags = SA_ONSTACK };

	take();
	cr_expect(signals_check());
	cr_expect_eq(lines, 0);
	os_sigaction(SIGURG, &raw, NULL);
	cr_expect(signals_check());
	cr_expect_eq(lines, 1);
	cr_expect_neq(kernel_handler(), (void *)on_raw);
	tick();
	raise(SIGURG);
	cr_expect_eq(run.ticks, 1);
	cr_expect_eq(run.handled, 100, "what is not ours goes there");
	cr_expect(signals_check());

	os_sigaction(SIGURG, &raw, NULL);
	cr_expect_not(signals_check());
	cr_expect_not(signals_check());
	cr_expect_eq(lines, 2);
	cr_expect_eq(kernel_handler(), (void *)on_raw);
}

Test(signals, signalfd_reads_no_ticks)
{
	uint64_t bit = URG_BIT;
	sigset_t set = set_of(SIGURG, SIGUSR1);
	struct pollfd poll_fd = { .events = POLLIN };

	take();
	block_all(NULL);
	poll_fd.fd = signalfd(-1, &set, SFD_NONBLOCK);
	cr_assert_geq(poll_fd.fd, 0);
	os_sigmask(SIG_BLOCK, &bit, NULL);
	tick();
	cr_expect_eq(poll(&poll_fd, 1, 0), 0);
	raise(SIGUSR1);
	cr_expect_eq(poll(&poll_fd, 1, 0), 1);
	cr_expect_eq(lines, 1, "it is told, as it would be waited for in vain");
}

Test(signals, who_wants_all_signals_does_not_mean_ours)
{
	sigset_t all, others = set_of(SIGUSR1, SIGIO);

	sigfillset(&all);
	take();
	cr_assert_geq(signalfd(-1, &all, SFD_NONBLOCK), 0);
	cr_assert_geq(signalfd(-1, &others, SFD_NONBLOCK), 0);
	cr_expect_eq(lines, 0);
}

Test(signals, the_default_action_is_the_kernels)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		own.profiled = true;
		signals_start(SIGUSR1, &hooks);
		raise(SIGUSR1);
		_exit(0);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1, "%x", (unsigned)status);
}

static _Atomic bool is_held;

static void *be_ticked(void *argument)
{
	(void)argument;
	waiting_tid = os_gettid();
	while (!is_held)
		sched_yield();
	note("before the tick: handled %d", run.handled);
	note("after the tick: handled %d", run.handled);
	return NULL;
}

static void held_for_whoever_comes(void)
{
	sigset_t set = set_of(SIGURG, 0);
	pthread_t thread = spawn(NULL, be_ticked, NULL);

	while (!waiting_tid)
		sched_yield();
	handle(on_count, 0, 0);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	/* The kernel takes main, which it knows as willing; nobody interrupts the other thread. */
	kill(getpid(), SIGURG);
	is_held = true;
	pthread_join(thread, NULL);
}

Test(signals, a_ticked_thread_takes_what_is_held)
{
	char text[1024];

	run_scenario(held_for_whoever_comes, true, text, sizeof(text));
	cr_expect_str_eq(text, "before the tick: handled 0\nafter the tick: handled 1\n"
			       "ended with 0\n");
}

static void cancelled_in_sigwait(void)
{
	sigset_t set = set_of(SIGURG, 0);
	pthread_t thread;
	int signo = 0;

	block_all(NULL);
	thread = spawn(NULL, wait_for_all, NULL);
	while (!waiting_tid)
		sched_yield();
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	kill(getpid(), SIGURG);
	note("sigwait %d", sigwait(&set, &signo));
	note("took %d", signo);
}

SAME(signals, cancelled_in_sigwait)

/* ---- at the same time ---- */

static _Atomic bool torn, stop_now;

static void on_first(int signo)
{
	sigset_t set;

	(void)signo;
	pthread_sigmask(SIG_BLOCK, NULL, &set);
	if (sigismember(&set, SIGUSR1) != 1 || sigismember(&set, SIGUSR2) == 1)
		torn = true;
}

static void on_second(int signo)
{
	sigset_t set;

	(void)signo;
	pthread_sigmask(SIG_BLOCK, NULL, &set);
	if (sigismember(&set, SIGUSR2) != 1 || sigismember(&set, SIGUSR1) == 1)
		torn = true;
}

static void *change_dispositions(void *argument)
{
	(void)argument;
	while (!stop_now) {
		handle(on_first, SA_RESTART, SIGUSR1);
		handle(on_second, 0, SIGUSR2);
	}
	return NULL;
}

Test(signals, dispositions_are_never_torn, .timeout = 60)
{
	pthread_t threads[2];

	handle(on_first, 0, SIGUSR1);
	take();
	for (unsigned i = 0; i < 2; i++)
		threads[i] = spawn(NULL, change_dispositions, NULL);
	for (unsigned i = 0; i < ROUNDS; i++)
		raise(SIGURG);
	stop_now = true;
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	cr_expect_not(torn);
}

static void *send_one_by_one(void *victim)
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_kill(*(pthread_t *)victim, SIGURG);
		while (run.handled <= i)
			sched_yield();
	}
	stop_now = true;
	return NULL;
}

/* A sender that waits for each to be handled, while the receiver blocks and unblocks without end. */
Test(signals, none_is_lost_between_block_and_unblock, .timeout = 60)
{
	sigset_t set = set_of(SIGURG, SIGUSR1);
	pthread_t self = pthread_self(), thread;

	handle(on_count, SA_RESTART, 0);
	take();
	thread = spawn(NULL, send_one_by_one, &self);
	while (!stop_now) {
		pthread_sigmask(SIG_BLOCK, &set, NULL);
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
		ppoll(NULL, 0, &(struct timespec){ 0, 0 }, &set);
	}
	pthread_join(thread, NULL);
	cr_expect_eq(run.handled, ROUNDS);
}
