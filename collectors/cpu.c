/*
 * cpu.c - CPU time of every thread, by stack samples.
 *
 *   tick    the thread's CPU-clock timer (always; at most the kernel's tick) and, above the tick's rate,
 *           a perf task clock beside it; neither ever cuts a system call short
 *   sample  the thread walks its own stack; the value is the CPU time since its previous sample, so
 *           sums are exact at any rate, and a dropped sample's time goes to the next one
 *   end     what a thread used since its last sample is recorded as [thread exit]
 *
 * Both ticks may come close together: one that finds less than half a period since the last sample is
 * skipped.  Periods are jittered by the drainer, which re-arms the threads that were sampled, so that a
 * rhythm of the program's own cannot alias.
 */
#include "collector.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/resource.h>

#define NS_PER_S UINT64_C(1000000000)
#define REARM_SAMPLES 8 /* between two re-armings: fewer would lose what the timer has counted */
#define RATE_STEPS 8 /* smaller changes than one part in so many are not made */
#define SIGPENDING_SHARE 4 /* one in so many of the user's queued signals may be our timers */
#define CALIBRATION_PERIOD_NS UINT64_C(50000)
#define CALIBRATION_ROUNDS 3
#define CALIBRATION_STEPS 400000 /* about half a millisecond */
#define NO_TIMER (-1)
#define NO_PERF 0 /* os_perf_open gives high numbers */

enum cpu_clock { CLOCK_CHOICE_AUTO, CLOCK_CHOICE_TICK, CLOCK_CHOICE_PERF, CLOCK_CHOICE_MONOTONIC };

/* What the collector keeps in each thread. */
struct cpu_thread {
	/* written by the thread itself, or by the drainer before the thread has met us or after its end */
	uint64_t sampled_cpu_ns; /* the thread's CPU clock at its last sample */
	uint64_t begun_cpu_ns; /* and when we met it */
	_Atomic uint32_t samples;
	_Atomic uint32_t perf_ticks; /* that reached the handler */
	/* written at birth and by the drainer */
	_Atomic int timer;
	_Atomic int perf; /* read by the handler */
	_Atomic int perf_known; /* the same, or the last one: its signals may still be under way */
	uint32_t rearmed_samples;
	_Atomic bool has_begun; /* release: the rest is set */
};
_Static_assert(sizeof(struct cpu_thread) <= THREAD_OWN_BYTES, "thread_own has no room for cpu");

static struct {
	_Atomic uint64_t period_ns; /* as the budget allows; read by handlers */
	uint64_t wanted_ns; /* asked for */
	uint64_t tick_ns; /* the kernel's */
	enum cpu_clock clock;
	bool wants_perf; /* the period is shorter than the kernel's tick */
	bool can_perf; /* the drainer has descriptors of its own, and they are permitted */
	bool is_perf_full; /* in this pass no descriptor is left for another one */
	_Atomic int timer_error; /* why there are no timers at all; 0: there are */
	bool timer_error_told;
	_Atomic bool stopped;
	_Atomic int32_t timers_left;
	uint64_t random; /* drainer's; birth uses the clock */
	uint64_t perf_cost_ns; /* of the kernel, for a perf tick, before its signal is delivered; drainer's */
	uint64_t gone_perf_ticks;
	uint64_t gone_samples, gone_cpu_ns; /* of threads that are gone; drainer's */
	uint64_t start_cpu_ns; /* the process's CPU clock when the session began */
	uint64_t earlier_samples, earlier_ns; /* in recordings that are complete; drainer's */
	_Atomic uint64_t skipped; /* ticks that were to be no sample */
	uint64_t earlier_skipped;
} cpu PROF_TOGETHER;

static errmsg cpu_start(void);
static void cpu_drainer_begin(bool own_descriptors);
static void cpu_thread_begin(struct thread *thread);
static void cpu_thread_end(struct thread *thread);
static void cpu_thread_gone(struct thread *thread);
static bool cpu_tick(const siginfo_t *info, void *context);
static void cpu_pass(uint64_t time_ns);
static void cpu_flush(uint64_t time_ns, collector_note *note);
static void cpu_renew(uint64_t time_ns);
static uint64_t cpu_cost_ns(void);
static bool cpu_rate(double factor);
static uint64_t cpu_remainder(enum metric metric, uint64_t own_ns);
static void cpu_stop(void);
static void cpu_drainer_end(void);
static void cpu_after_fork(void);

const struct collector_hooks cpu_collector = {
	.start = cpu_start,
	.drainer_begin = cpu_drainer_begin,
	.thread_begin = cpu_thread_begin,
	.thread_end = cpu_thread_end,
	.thread_gone = cpu_thread_gone,
	.tick = cpu_tick,
	.pass = cpu_pass,
	.flush = cpu_flush,
	.renew = cpu_renew,
	.cost_ns = cpu_cost_ns,
	.rate = cpu_rate,
	.remainder = cpu_remainder,
	.stop = cpu_stop,
	.drainer_end = cpu_drainer_end,
	.after_fork = cpu_after_fork,
};

static struct cpu_thread *own_of(struct thread *thread);
static uint64_t samples_sum(void);
static void timer_arm(struct thread *thread, uint64_t random);
static bool perf_wanted(struct cpu_thread *own);
static void perf_open(struct thread *thread);
static bool perf_is(const struct cpu_thread *own, int fd);
static bool perf_was(int fd);
static uint64_t perf_cost(void);
static uint64_t spin_ns(void);
static void perf_close(struct cpu_thread *own);
static void perf_refused(int error);
static void timers_refused(void);
static void rearm(struct thread *thread);
static void timer_drop(struct thread *thread);
static void last_words(struct thread *thread, uint64_t cpu_ns);
static bool timer_quota_take(void);
static uint64_t random_next(void);
static uint64_t jittered(uint64_t period_ns, uint64_t random);

static errmsg cpu_start(void)
{
	cpu.wanted_ns = NS_PER_S / option_number(OPTION_CPU_HZ);
	cpu.clock = (enum cpu_clock)option_number(OPTION_CPU_CLOCK);
	cpu.tick_ns = os_tick_ns();
	cpu.wants_perf = cpu.clock == CLOCK_CHOICE_PERF ||
			 (cpu.clock == CLOCK_CHOICE_AUTO && cpu.wanted_ns < cpu.tick_ns);
	cpu.random = os_random() | 1;
	cpu_after_fork();
	return NULL;
}

static void cpu_after_fork(void)
{
	struct rlimit limit;
	int32_t quota = INT32_MAX;

	/* Each timer takes one of the user's queued signals, timer_create(2). */
	if (getrlimit(RLIMIT_SIGPENDING, &limit) == 0 &&
	    limit.rlim_cur / SIGPENDING_SHARE < INT32_MAX)
		quota = (int32_t)(limit.rlim_cur / SIGPENDING_SHARE);
	atomic_store(&cpu.timers_left, quota);
	atomic_store(&cpu.stopped, false);
	atomic_store(&cpu.period_ns, cpu.wanted_ns);
	cpu.gone_samples = 0;
	cpu.gone_perf_ticks = 0;
	cpu.gone_cpu_ns = 0;
	cpu.start_cpu_ns = os_process_cpu_ns();
	cpu.earlier_samples = cpu.earlier_ns = cpu.earlier_skipped = 0;
	atomic_store(&cpu.skipped, 0);
}

static void cpu_thread_begin(struct thread *thread)
{
	struct cpu_thread *own = own_of(thread);
	pid_t tid = atomic_load_explicit(&thread->tid, memory_order_relaxed);
	bool monotonic = cpu.clock == CLOCK_CHOICE_MONOTONIC;
	int timer = NO_TIMER;
	int error = EAGAIN;

	own->rearmed_samples = 0;
	atomic_store_explicit(&own->perf, NO_PERF, memory_order_relaxed);
	own->sampled_cpu_ns = 0;
	/* A thread of the session counts from its birth, an older one from here. */
	if (thread->inherited || (!thread->start && !thread->foreign))
		os_thread_cpu_of(tid, &own->sampled_cpu_ns);
	own->begun_cpu_ns = own->sampled_cpu_ns;
	if (timer_quota_take()) {
		error = os_timer_create(tid, monotonic, signals_number(), thread_cookie(thread),
					&timer);
		atomic_fetch_add(&cpu.timers_left, error != 0);
	}
	if (error) {
		timer = NO_TIMER;
		thread_lose(NULL, LOSS_threads);
	}
	/* A seccomp filter, a kernel without them: not for this thread alone. */
	if (error == EPERM || error == EACCES || error == ENOSYS)
		atomic_store_explicit(&cpu.timer_error, error, memory_order_relaxed);
	atomic_store_explicit(&own->timer, timer, memory_order_relaxed);
	atomic_store_explicit(&own->has_begun, true, memory_order_release);
	timer_arm(thread, os_monotonic_ns() * UINT64_C(0x9e3779b97f4a7c15) >> 20);
}

static void cpu_thread_end(struct thread *thread)
{
	timer_drop(thread);
	last_words(thread, os_thread_cpu_ns());
}

static void cpu_thread_gone(struct thread *thread)
{
	struct cpu_thread *own = own_of(thread);
	uint64_t cpu_ns;

	perf_close(own);
	timer_drop(thread);
	if (own->has_begun) {
		/* The clock of a thread that ended unseen cannot be read, or is that of its id's next owner. */
		if (atomic_load(&thread->state) != THREAD_LIVE ||
		    !os_thread_cpu_of(atomic_load(&thread->tid), &cpu_ns))
			cpu_ns = own->sampled_cpu_ns;
		last_words(thread, cpu_ns);
	}
	cpu.gone_samples += atomic_exchange(&own->samples, 0);
	cpu.gone_perf_ticks += atomic_exchange(&own->perf_ticks, 0);
	cpu.gone_cpu_ns += own->sampled_cpu_ns - own->begun_cpu_ns;
	own->begun_cpu_ns = own->sampled_cpu_ns;
}

static bool cpu_tick(const siginfo_t *info, void *context)
{
	struct thread *thread = thread_self();
	struct cpu_thread *own;
	uint64_t cpu_ns, used_ns;
	bool is_due;

	if (info->si_code == SI_TIMER && thread_cookie_ours((uintptr_t)info->si_value.sival_ptr))
		thread = thread_enter_tick((uintptr_t)info->si_value.sival_ptr);
	else if (info->si_code == POLL_IN && thread && perf_is(own_of(thread), info->si_fd))
		thread = thread_enter();
	else if (info->si_code != POLL_IN || thread || !perf_was(info->si_fd))
		return false;
	if (!thread) {
		/* Of a thread that has ended, or inside of a callback, or after the end. */
		atomic_fetch_add_explicit(&cpu.skipped, 1, memory_order_relaxed);
		return true;
	}
	own = own_of(thread);
	if (info->si_code == POLL_IN)
		atomic_store_explicit(&own->perf_ticks, own->perf_ticks + 1, memory_order_relaxed);
	cpu_ns = os_thread_cpu_ns();
	used_ns = cpu_ns - own->sampled_cpu_ns;
	/* The clock may be refused (seccomp), and then says 0. */
	is_due = cpu_ns > own->sampled_cpu_ns &&
		 used_ns >= atomic_load_explicit(&cpu.period_ns, memory_order_relaxed) / 2 &&
		 !atomic_load_explicit(&cpu.stopped, memory_order_relaxed);
	if (!is_due) {
		atomic_fetch_add_explicit(&cpu.skipped, 1, memory_order_relaxed);
	} else if (record_stack(thread, METRIC_cpu_cpu, os_monotonic_ns(), used_ns, context)) {
		own->sampled_cpu_ns = cpu_ns;
		atomic_store_explicit(&own->samples, own->samples + 1, memory_order_relaxed);
	}
	thread_leave(thread);
	return true;
}

static void cpu_drainer_begin(bool own_descriptors)
{
	/* In a table that we share, a program could close or read our events. */
	cpu.can_perf = own_descriptors;
	if (cpu.wants_perf && !own_descriptors)
		perf_refused(EPERM);
	if (cpu.wants_perf && !cpu.perf_cost_ns)
		cpu.perf_cost_ns = perf_cost();
}

static void cpu_drainer_end(void)
{
	for (struct thread *thread = thread_next(NULL); thread; thread = thread_next(thread))
		perf_close(own_of(thread));
}

static void cpu_pass(uint64_t time_ns)
{
	(void)time_ns;
	cpu.is_perf_full = false;
	for (struct thread *thread = thread_next(NULL); thread; thread = thread_next(thread)) {
		struct cpu_thread *own = own_of(thread);
		uint32_t samples = atomic_load_explicit(&own->samples, memory_order_relaxed);

		if (!own->has_begun || atomic_load(&thread->state) != THREAD_LIVE) {
			perf_close(own);
			continue;
		}
		if (perf_wanted(own))
			perf_open(thread);
		/* A tick that waits for such a call would be void: the call ends, and no handler tells of it. */
		if (samples - own->rearmed_samples >= REARM_SAMPLES &&
		    !atomic_load(&thread->signals.is_waiting))
			rearm(thread);
	}
	if (atomic_load_explicit(&cpu.timer_error, memory_order_relaxed) && !cpu.timer_error_told)
		timers_refused();
}

static void cpu_flush(uint64_t time_ns, collector_note *note)
{
	uint64_t samples = samples_sum() - cpu.earlier_samples;
	uint64_t used_ns = os_process_cpu_ns() - cpu.start_cpu_ns - cpu.earlier_ns;
	char text[32];

	(void)time_ns;
	log_format(text, sizeof(text), "%llu", (unsigned long long)cpu.wanted_ns);
	note("period.cpu", text);
	log_format(text, sizeof(text), "%llu",
		   (unsigned long long)(samples * NS_PER_S / (used_ns | 1)));
	note("cpu.achieved_hz", text);
	log_format(text, sizeof(text), "%llu",
		   (unsigned long long)(atomic_load(&cpu.skipped) - cpu.earlier_skipped));
	note("cpu.skipped", text);
	note("cpu.clock", cpu.clock == CLOCK_CHOICE_MONOTONIC ? "monotonic" :
			  cpu.wants_perf		      ? "tick+perf" :
								"tick");
}

static void cpu_renew(uint64_t time_ns)
{
	(void)time_ns;
	cpu.earlier_samples = samples_sum();
	cpu.earlier_skipped = atomic_load(&cpu.skipped);
	cpu.earlier_ns = os_process_cpu_ns() - cpu.start_cpu_ns;
}

static uint64_t samples_sum(void)
{
	uint64_t samples = cpu.gone_samples;

	for (struct thread *thread = thread_next(NULL); thread; thread = thread_next(thread))
		samples += atomic_load_explicit(&own_of(thread)->samples, memory_order_relaxed);
	return samples;
}

static uint64_t cpu_cost_ns(void)
{
	uint64_t ticks = cpu.gone_perf_ticks;

	for (struct thread *thread = thread_next(NULL); thread; thread = thread_next(thread))
		ticks += atomic_load_explicit(&own_of(thread)->perf_ticks, memory_order_relaxed);
	return ticks * cpu.perf_cost_ns;
}

/* Timers keep their old period until they are set; setting one throws away what it has counted. */
static bool cpu_rate(double factor)
{
	uint64_t period_ns = (uint64_t)((double)cpu.wanted_ns / factor);
	uint64_t before_ns = atomic_load(&cpu.period_ns);
	uint64_t change_ns = period_ns > before_ns ? period_ns - before_ns : before_ns - period_ns;

	if (collector_keeps(OPTION_CPU_HZ))
		return false;
	if (change_ns <= before_ns / RATE_STEPS && (factor < 1 || !change_ns))
		return true;
	atomic_store(&cpu.period_ns, period_ns);
	for (struct thread *thread = thread_next(NULL); thread; thread = thread_next(thread)) {
		if (own_of(thread)->has_begun && atomic_load(&thread->state) == THREAD_LIVE)
			rearm(thread);
	}
	return true;
}

/*
 * What threads use before our first and after our last look at their clocks, in the kernel above all; and
 * threads that came and went unseen.
 */
static uint64_t cpu_remainder(enum metric metric, uint64_t own_ns)
{
	uint64_t now_ns = os_process_cpu_ns();
	uint64_t used_ns = now_ns > cpu.start_cpu_ns ? now_ns - cpu.start_cpu_ns : 0;
	uint64_t known_ns = cpu.gone_cpu_ns + own_ns;

	if (metric != METRIC_cpu_cpu)
		return 0;
	for (struct thread *thread = thread_next(NULL); thread; thread = thread_next(thread))
		known_ns += own_of(thread)->sampled_cpu_ns - own_of(thread)->begun_cpu_ns;
	return used_ns > known_ns ? used_ns - known_ns : 0;
}

static void cpu_stop(void)
{
	atomic_store(&cpu.stopped, true);
}

static struct cpu_thread *own_of(struct thread *thread)
{
	return thread_own(thread, COLLECTOR_cpu);
}

/* The timer beside a perf clock shows what the kernel does for the thread; it needs no more than ticks. */
static void timer_arm(struct thread *thread, uint64_t random)
{
	struct cpu_thread *own = own_of(thread);
	uint64_t interval_ns = jittered(cpu.period_ns, random);
	int timer = atomic_load_explicit(&own->timer, memory_order_relaxed);

	if (timer == NO_TIMER)
		return;
	os_timer_set(timer, random % interval_ns + 1, interval_ns);
}

/* Beside the timer above its rate, and in its place where there is none. */
static bool perf_wanted(struct cpu_thread *own)
{
	return cpu.can_perf && !cpu.is_perf_full && atomic_load(&own->perf) == NO_PERF &&
	       (cpu.wants_perf ||
		atomic_load_explicit(&own->timer, memory_order_relaxed) == NO_TIMER);
}

static void perf_open(struct thread *thread)
{
	struct cpu_thread *own = own_of(thread);
	int perf = os_perf_open(atomic_load(&thread->tid), signals_number(),
				jittered(cpu.period_ns, random_next()));
	int error = perf < 0 ? -perf : 0;

	if (perf >= 0) {
		/* Before its first signal: one of an unknown number would be taken for the program's. */
		atomic_store(&own->perf_known, perf);
		atomic_store(&own->perf, perf);
		error = os_perf_begin(perf);
		if (error)
			perf_close(own);
	}
	if (error == EMFILE) {
		cpu.is_perf_full = true;
	} else if (error && error != ESRCH) {
		perf_refused(error);
	}
}

static bool perf_is(const struct cpu_thread *own, int fd)
{
	return fd != NO_PERF &&
	       (fd == atomic_load_explicit(&own->perf, memory_order_relaxed) ||
		fd == atomic_load_explicit(&own->perf_known, memory_order_relaxed));
}

/* Of the calling thread, which has ended as far as we are concerned, and whose event nobody has closed yet? */
static bool perf_was(int fd)
{
	pid_t tid = os_gettid();

	for (struct thread *thread = thread_next(NULL); thread; thread = thread_next(thread)) {
		if (atomic_load_explicit(&thread->tid, memory_order_relaxed) == tid &&
		    perf_is(own_of(thread), fd))
			return true;
	}
	return false;
}

/*
 * A perf tick costs more than its signal: a timer of its own, and an interrupt that the kernel sends to
 * itself, which both leave a virtual machine. Seen on a loop of our own, where the signal is blocked.
 */
static uint64_t perf_cost(void)
{
	uint64_t without_ns = spin_ns(), with_ns;
	int perf = os_perf_open(os_gettid(), signals_number(), CALIBRATION_PERIOD_NS);

	if (perf < 0)
		return 0;
	os_perf_begin(perf);
	with_ns = spin_ns();
	os_perf_close(perf);
	if (with_ns <= without_ns)
		return 0;
	return (with_ns - without_ns) * CALIBRATION_PERIOD_NS / with_ns;
}

/* The fastest of some runs of the same work. */
static uint64_t spin_ns(void)
{
	uint64_t fastest_ns = UINT64_MAX;

	for (unsigned round = 0; round < CALIBRATION_ROUNDS; round++) {
		uint64_t begun_ns = os_monotonic_ns(), spent_ns;

		for (unsigned step = 0; step < CALIBRATION_STEPS; step++)
			random_next();
		spent_ns = os_monotonic_ns() - begun_ns;
		if (spent_ns < fastest_ns)
			fastest_ns = spent_ns;
	}
	return fastest_ns;
}

static void perf_close(struct cpu_thread *own)
{
	int perf = atomic_exchange(&own->perf, NO_PERF);

	if (perf != NO_PERF)
		os_perf_close(perf);
}

/* Once: the ticks that every kernel has go on. */
static void perf_refused(int error)
{
	bool was_wanted = cpu.wants_perf;

	cpu.wants_perf = cpu.can_perf = false;
	/* Where they only stand in for timers it is those that are missed. */
	if (!was_wanted || atomic_load_explicit(&cpu.timer_error, memory_order_relaxed))
		return;
	log_line(
		"perf events are refused here (error %d): at most %llu samples a second of CPU time, not %llu",
		error, (unsigned long long)(NS_PER_S / cpu.tick_ns),
		(unsigned long long)(NS_PER_S / cpu.wanted_ns));
}

/* Once, when it is known what comes instead. */
static void timers_refused(void)
{
	cpu.timer_error_told = true;
	log_line(
		cpu.can_perf ?
			"timers are refused here (error %d): perf events tick instead, in user mode only" :
			"timers and perf events are refused here (error %d): CPU time is summed by thread, not sampled",
		atomic_load_explicit(&cpu.timer_error, memory_order_relaxed));
}

static void rearm(struct thread *thread)
{
	struct cpu_thread *own = own_of(thread);
	int perf = atomic_load(&own->perf);

	own->rearmed_samples = atomic_load_explicit(&own->samples, memory_order_relaxed);
	timer_arm(thread, random_next());
	if (perf != NO_PERF)
		os_perf_period(perf, jittered(cpu.period_ns, random_next()));
}

static void timer_drop(struct thread *thread)
{
	struct cpu_thread *own = own_of(thread);
	int timer = own->has_begun ? atomic_exchange(&own->timer, NO_TIMER) : NO_TIMER;

	if (timer == NO_TIMER)
		return;
	os_timer_delete(timer);
	atomic_fetch_add(&cpu.timers_left, 1);
}

/* What was used since the last sample is not lost, however short the thread was. */
static void last_words(struct thread *thread, uint64_t cpu_ns)
{
	struct cpu_thread *own = own_of(thread);

	own->has_begun = false;
	if (cpu_ns <= own->sampled_cpu_ns)
		return;
	/* What does not fit goes to the process's remainder. */
	if (record_put(thread, METRIC_cpu_cpu, os_monotonic_ns(), cpu_ns - own->sampled_cpu_ns,
		       FRAME_THREAD_EXIT))
		own->sampled_cpu_ns = cpu_ns;
}

static bool timer_quota_take(void)
{
	if (atomic_fetch_sub(&cpu.timers_left, 1) > 0)
		return true;
	atomic_fetch_add(&cpu.timers_left, 1);
	return false;
}

static uint64_t random_next(void)
{
	cpu.random ^= cpu.random << 13;
	cpu.random ^= cpu.random >> 7;
	cpu.random ^= cpu.random << 17;
	return cpu.random >> 8;
}

/* Three to five quarters of the rate, evenly: the mean of equal times is the rate, that of equal counts nearly. */
static uint64_t jittered(uint64_t period_ns, uint64_t random)
{
	return period_ns * period_ns / (period_ns * 3 / 4 + random % (period_ns / 2));
}
