/*
 * early.c - a library whose threads make system calls that wait for a time, for early.py: how many of them
 * came back before it was over? Nothing is retried, as Python would.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>

#define WAIT_NS 200000
#define KINDS (sizeof(kinds) / sizeof(*kinds))
#define THREADS_MAX 64

int early_run(int threads, int calls, int work_ns);

/* Each waits in vain; true: it says that it did. */
static bool wait_nanosleep(void);
static bool wait_poll(void);
static bool wait_select(void);
static bool wait_epoll(void);
static bool wait_semaphore(void);
static bool wait_recv(void);
static bool wait_ppoll(void);
static bool wait_pselect(void);
static bool wait_epoll_pwait(void);

static const struct kind {
	const char *name;
	bool (*wait)(void);
	bool blocks; /* our signal, for the call to let it through */
} kinds[] = {
	{ "nanosleep", wait_nanosleep, false },
	{ "poll", wait_poll, false },
	{ "select", wait_select, false },
	{ "epoll_wait", wait_epoll, false },
	{ "sem_timedwait", wait_semaphore, false },
	{ "recv", wait_recv, false },
	{ "ppoll", wait_ppoll, true },
	{ "pselect", wait_pselect, true },
	{ "epoll_pwait", wait_epoll_pwait, true },
};

static struct {
	int calls, work_ns;
	int epoll, sockets[2];
	sem_t semaphore;
	sigset_t none;
	_Atomic int early[KINDS];
} run;

static const struct timespec wait_time = { 0, WAIT_NS };

static void work(long ns)
{
	struct timespec from, now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	while ((now.tv_sec - from.tv_sec) * 1000000000L + now.tv_nsec - from.tv_nsec < ns);
}

static void *thread_main(void *argument)
{
	const struct kind *kind = argument;
	unsigned random = (unsigned)(size_t)&kind;
	sigset_t urgent;

	sigemptyset(&urgent);
	sigaddset(&urgent, SIGURG);
	if (kind->blocks)
		pthread_sigmask(SIG_BLOCK, &urgent, NULL);
	pthread_setname_np(pthread_self(), kind->name);
	for (int i = 0; i < run.calls; i++) {
		work(rand_r(&random) % (run.work_ns * 2));
		if (!kind->wait())
			run.early[kind - kinds]++;
	}
	return NULL;
}

int early_run(int threads, int calls, int work_ns)
{
	const struct timeval timeout = { 0, WAIT_NS / 1000 };
	pthread_t ids[KINDS * THREADS_MAX];
	size_t count = 0;

	run.calls = calls;
	run.work_ns = work_ns;
	run.epoll = epoll_create1(0);
	sem_init(&run.semaphore, 0, 0);
	sigemptyset(&run.none);
	if (threads > THREADS_MAX || socketpair(AF_UNIX, SOCK_STREAM, 0, run.sockets) != 0)
		return 1;
	setsockopt(run.sockets[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	for (size_t i = 0; i < KINDS; i++) {
		for (int j = 0; j < threads; j++)
			if (pthread_create(&ids[count++], NULL, thread_main, (void *)&kinds[i]) !=
			    0)
				return 1;
	}
	while (count)
		pthread_join(ids[--count], NULL);
	for (size_t i = 0; i < KINDS; i++)
		printf("%s %d\n", kinds[i].name, run.early[i]);
	return fflush(stdout);
}

static bool wait_nanosleep(void)
{
	return nanosleep(&wait_time, NULL) == 0;
}

static bool wait_poll(void)
{
	return poll(NULL, 0, 1) == 0;
}

static bool wait_select(void)
{
	struct timeval time = { 0, WAIT_NS / 1000 };

	return select(0, NULL, NULL, NULL, &time) == 0;
}

static bool wait_epoll(void)
{
	struct epoll_event event;

	return epoll_wait(run.epoll, &event, 1, 1) == 0;
}

static bool wait_semaphore(void)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_nsec += WAIT_NS;
	end.tv_sec += end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	return sem_timedwait(&run.semaphore, &end) < 0 && errno == ETIMEDOUT;
}

static bool wait_recv(void)
{
	char byte;

	return recv(run.sockets[0], &byte, 1, 0) < 0 && errno == EAGAIN;
}

static bool wait_ppoll(void)
{
	return ppoll(NULL, 0, &wait_time, &run.none) == 0;
}

static bool wait_pselect(void)
{
	return pselect(0, NULL, NULL, NULL, &wait_time, &run.none) == 0;
}

static bool wait_epoll_pwait(void)
{
	struct epoll_event event;

	return epoll_pwait(run.epoll, &event, 1, 1, &run.none) == 0;
}
