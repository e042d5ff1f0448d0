/*
 * cpu_stage.h - what the CPU collector sees in its tests: clocks, timers, perf events, one thread.
 *
 * A test file declares the __wrap_ functions, so that they are linked, and then includes this.
 */
#ifndef CPU_STAGE_H
#define CPU_STAGE_H

#include "registry.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <ucontext.h>

#define MS UINT64_C(1000000)
#define PERIOD_NS (10 * MS) /* 100 Hz */
#define TICK_NS (4 * MS)
#define RING_BYTES 16384
#define PERF 1000 /* the first descriptor */
#define SIGNO 23
#define ROUNDS 4000
#define OWN (&cpu_collector)
#define UNUSED __attribute__((unused))

extern const struct collector_hooks cpu_collector;

static void (*on_perf_begin)(int fd);

static struct {
	uint64_t hz, clock; /* options */
	uint64_t cpu_ns, of_ns, process_ns, monotonic_ns;
	uint64_t step_ns, perf_step_ns; /* of the monotonic clock, a look */
	bool of_fails;
	int timers, timers_deleted, timer_error;
	bool monotonic_timer;
	uintptr_t cookie;
	uint64_t first_ns, interval_ns;
	unsigned arms, perfs, perf_periods, perfs_closed, lines;
	int perf_error, perf_signo;
	uint64_t perf_ns;
	enum frames_result walk;
	char line[256], notes[256];
} os = { .hz = 100, .step_ns = 1000, .perf_step_ns = 1000 };

static struct thread *thread;

/* The choices of CPU_CLOCK, in order. */
enum choice { AUTO, TICK, CHOICE_PERF, MONOTONIC };

uint64_t __wrap_option_number(enum option_id id)
{
	return id == OPTION_CPU_HZ ? os.hz : os.clock;
}

uint64_t __wrap_os_thread_cpu_ns(void)
{
	return os.cpu_ns;
}

bool __wrap_os_thread_cpu_of(pid_t tid, uint64_t *cpu_ns)
{
	(void)tid;
	if (!os.of_fails)
		*cpu_ns = os.of_ns;
	return !os.of_fails;
}

uint64_t __wrap_os_process_cpu_ns(void)
{
	return os.process_ns;
}

uint64_t __wrap_os_monotonic_ns(void)
{
	return os.monotonic_ns += os.perfs > os.perfs_closed ? os.perf_step_ns : os.step_ns;
}

uint64_t __wrap_os_tick_ns(void)
{
	return TICK_NS;
}

uint64_t __wrap_os_random(void)
{
	return 42;
}

int __wrap_signals_number(void)
{
	return SIGNO;
}

int __wrap_os_timer_create(pid_t tid, bool monotonic, int signo, uintptr_t cookie, int *timer)
{
	cr_assert_gt(tid, 0);
	cr_assert_eq(signo, SIGNO);
	os.monotonic_timer = monotonic;
	os.cookie = cookie;
	if (!os.timer_error)
		*timer = os.timers++;
	return os.timer_error;
}

int __wrap_os_timer_set(int timer, uint64_t first_ns, uint64_t interval_ns)
{
	cr_assert(timer >= 0 && timer < os.timers);
	os.first_ns = first_ns;
	os.interval_ns = interval_ns;
	os.arms++;
	return 0;
}

void __wrap_os_timer_delete(int timer)
{
	cr_assert(timer >= 0 && timer < os.timers);
	os.timers_deleted++;
}

int __wrap_os_perf_open(pid_t tid, int signo, uint64_t period_ns)
{
	cr_assert_gt(tid, 0);
	os.perf_signo = signo;
	os.perf_ns = period_ns;
	return os.perf_error ? -os.perf_error : PERF + (int)os.perfs++;
}

int __wrap_os_perf_begin(int fd)
{
	cr_assert_geq(fd, PERF);
	if (on_perf_begin)
		on_perf_begin(fd);
	return 0;
}

int __wrap_os_perf_period(int fd, uint64_t period_ns)
{
	cr_assert_geq(fd, PERF);
	os.perf_ns = period_ns;
	os.perf_periods++;
	return 0;
}

void __wrap_os_perf_close(int fd)
{
	cr_assert_geq(fd, PERF);
	os.perfs_closed++;
}

void __wrap_log_line(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	log_vformat(os.line, sizeof(os.line), format, arguments);
	va_end(arguments);
	os.lines++;
}

enum frames_result __wrap_frames_walk(struct frame *frames, size_t limit, uintptr_t pc,
				      size_t *count, uintptr_t *interpreter)
{
	(void)limit;
	frames[0] = (struct frame){ 0x7f0000001000, pc };
	*count = 1;
	*interpreter = 0x1000;
	return os.walk;
}

static void start(uint64_t hz, enum choice clock)
{
	os.hz = hz;
	os.clock = clock;
	cr_assert_null(OWN->start());
}

static void on_ending(struct thread *ended)
{
	(void)ended;
}

static UNUSED void set_up(void)
{
	cr_assert_null(threads_start(RING_BYTES, on_ending));
	atomic_store(&record_gate.interpreters[0], 0x1000);
	thread = thread_reserve();
	cr_assert_not_null(thread);
	thread_begin(thread);
	start(100, AUTO);
}

static void *no_start(void *argument)
{
	return argument;
}

/* As a thread that the session saw being created. */
static void begin(void)
{
	thread->start = no_start;
	OWN->thread_begin(thread);
}

static UNUSED bool tick_of(uintptr_t cookie)
{
	ucontext_t context;
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	memset(&context, 0, sizeof(context));
	info.si_code = SI_TIMER;
	info.si_value.sival_ptr = (void *)cookie;
	return OWN->tick(&info, &context);
}

static UNUSED void tick(uint64_t cpu_ns)
{
	os.cpu_ns = cpu_ns;
	cr_assert(tick_of(thread_cookie(thread)));
}

static UNUSED bool perf_tick(int fd)
{
	ucontext_t context;
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	memset(&context, 0, sizeof(context));
	info.si_code = POLL_IN;
	info.si_fd = fd;
	return OWN->tick(&info, &context);
}

/* The value of the oldest record, which goes; 0 when there is none. */
static UNUSED uint64_t taken(void)
{
	const struct record *record = ring_peek(&thread->ring);
	uint64_t value = record ? record->value : 0;

	if (record) {
		cr_expect_eq(record->metric, METRIC_cpu_cpu);
		ring_next(&thread->ring);
	}
	return value;
}

static UNUSED uintptr_t leaf(void)
{
	const struct record *record = ring_peek(&thread->ring);

	return record ? record->frames[0].code : 0;
}

static UNUSED void quota(rlim_t signals)
{
	struct rlimit limit;

	cr_assert_eq(getrlimit(RLIMIT_SIGPENDING, &limit), 0);
	limit.rlim_cur = signals;
	cr_assert_eq(setrlimit(RLIMIT_SIGPENDING, &limit), 0);
	OWN->after_fork();
}

static UNUSED uint64_t lost_threads(void)
{
	struct threads_sums sums;

	threads_sum(&sums);
	return sums.losses[LOSS_threads];
}

static UNUSED void note(const char *key, const char *value)
{
	size_t used = strlen(os.notes);

	snprintf(os.notes + used, sizeof(os.notes) - used, "%s=%s;", key, value);
}

/* Samples until the next pass finds enough of them. */
static UNUSED void sample(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		tick(os.cpu_ns + 10 * MS);
		cr_assert_eq(taken(), 10 * MS);
	}
}

/* A drainer that has opened a perf event for the thread. */
static UNUSED int begin_perf(uint64_t hz, enum choice clock)
{
	start(hz, clock);
	OWN->drainer_begin(true);
	begin();
	OWN->pass(1);
	return PERF + (int)os.perfs - 1;
}

#endif
