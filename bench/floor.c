/*
 * floor.c - the ticks of libmonprof with a handler that returns at once: what no sampler can go below.
 *
 * Preloaded.  Every thread gets a timer on its CPU clock (FLOOR_TIMER_NS) and a perf task clock in user
 * mode (FLOOR_PERF_NS, 0: none), as collectors/cpu.c has them.  At the end the number of ticks is
 * written to the file FLOOR_TICKS.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct start {
	void *(*routine)(void *);
	void *argument;
};

static struct {
	int (*pthread_create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
	long timer_ns, perf_ns;
} ticks;

/* Each thread counts for itself, as a shared counter would be a cost of its own. */
static _Thread_local unsigned long mine __attribute__((tls_model("initial-exec")));
static _Atomic unsigned long all;

static void on_tick(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	(void)info;
	(void)context;
	mine++;
}

static void arm_timer(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGURG };
	struct itimerspec spec = { { 0, ticks.timer_ns }, { 0, ticks.timer_ns } };
	timer_t timer;

	event._sigev_un._tid = gettid();
	if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) == 0)
		timer_settime(timer, 0, &spec, NULL);
}

static void arm_perf(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_TASK_CLOCK,
		.sample_period = (unsigned long long)ticks.perf_ns,
		.exclude_kernel = 1,
		.exclude_hv = 1,
		.wakeup_events = 1,
	};
	struct f_owner_ex owner = { F_OWNER_TID, gettid() };
	int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		return;
	fcntl(fd, F_SETFL, O_ASYNC);
	fcntl(fd, F_SETSIG, SIGURG);
	fcntl(fd, F_SETOWN_EX, &owner);
}

static void arm(void)
{
	if (ticks.timer_ns)
		arm_timer();
	if (ticks.perf_ns)
		arm_perf();
}

static void *begin(void *argument)
{
	struct start start = *(struct start *)argument;
	void *result;

	free(argument);
	arm();
	result = start.routine(start.argument);
	atomic_fetch_add(&all, mine);
	return result;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*routine)(void *),
		   void *argument)
{
	struct start *start = malloc(sizeof(*start));

	if (!start)
		return EAGAIN;
	*start = (struct start){ routine, argument };
	return ticks.pthread_create(thread, attributes, begin, start);
}

static long number(const char *name)
{
	const char *text = getenv(name);

	return text ? atol(text) : 0;
}

__attribute__((constructor)) static void load(void)
{
	struct sigaction action = { .sa_sigaction = on_tick,
				    .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK };

	*(void **)&ticks.pthread_create = dlsym(RTLD_NEXT, "pthread_create");
	ticks.timer_ns = number("FLOOR_TIMER_NS");
	ticks.perf_ns = number("FLOOR_PERF_NS");
	sigfillset(&action.sa_mask);
	sigaction(SIGURG, &action, NULL);
	arm();
}

__attribute__((destructor)) static void unload(void)
{
	const char *path = getenv("FLOOR_TICKS");
	FILE *file = path ? fopen(path, "w") : NULL;

	if (!file)
		return;
	fprintf(file, "%lu\n", atomic_load(&all) + mine);
	fclose(file);
}
