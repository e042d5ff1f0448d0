/*
 * test_os_task.c - what /proc says about threads: real threads, in a child where the process must end.
 */
#include "os.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 300 /* more than one getdents64 gives */
#define NO_TID (1 << 30) /* above the kernel's largest pid, proc(5) */

TestSuite(os_task, .timeout = 60);

static pthread_barrier_t all_run, all_end;

/* Waits between the two barriers; its id goes to where the argument points. */
static void *linger(void *tid)
{
	*(pid_t *)tid = os_gettid();
	pthread_barrier_wait(&all_run);
	pthread_barrier_wait(&all_end);
	return NULL;
}

struct listing {
	pid_t tids[THREADS];
	unsigned sights[THREADS], count, own;
};

static void on_task(void *self, pid_t tid)
{
	struct listing *listing = self;

	cr_assert_gt(tid, 0);
	listing->count++;
	listing->own += tid == os_gettid();
	for (unsigned i = 0; i < THREADS; i++)
		listing->sights[i] += listing->tids[i] == tid;
}

Test(os_task, every_thread_is_listed_once)
{
	static struct listing listing, after;
	pthread_t ids[THREADS];
	pthread_attr_t small;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, PTHREAD_STACK_MIN * 2);
	pthread_barrier_init(&all_run, NULL, THREADS + 1);
	pthread_barrier_init(&all_end, NULL, THREADS + 1);
	for (unsigned i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&ids[i], &small, linger, &listing.tids[i]), 0);
	pthread_barrier_wait(&all_run);
	cr_assert(os_tasks_each(on_task, &listing));
	cr_expect_eq(listing.own, 1);
	for (unsigned i = 0; i < THREADS; i++)
		cr_expect_eq(listing.sights[i], 1);
	pthread_barrier_wait(&all_end);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(ids[i], NULL);
		while (os_thread_exists(listing.tids[i]))
			sched_yield();
	}
	memcpy(after.tids, listing.tids, sizeof(after.tids));
	cr_assert(os_tasks_each(on_task, &after));
	cr_expect_eq(after.count, listing.count - THREADS);
	for (unsigned i = 0; i < THREADS; i++)
		cr_expect_eq(after.sights[i], 0);
}

Test(os_task, a_name_is_the_kernels)
{
	char name[32], cut[5];

	cr_assert_eq(prctl(PR_SET_NAME, "a\nb) Z"), 0);
	cr_assert(os_task_name(os_gettid(), name, sizeof(name)));
	cr_expect_str_eq(name, "a\nb) Z");
	cr_assert(os_task_name(os_gettid(), cut, sizeof(cut)));
	cr_expect_str_eq(cut, "a\nb)");
	cr_assert_eq(prctl(PR_SET_NAME, ""), 0);
	cr_expect_not(os_task_name(os_gettid(), name, sizeof(name)), "none");
	cr_expect_not(os_task_name(NO_TID, name, sizeof(name)));
}

Test(os_task, one_that_runs_or_is_not_there_is_no_zombie)
{
	cr_expect_not(os_task_is_zombie(os_gettid()));
	cr_expect_not(os_task_is_zombie(NO_TID));
	cr_assert_eq(prctl(PR_SET_NAME, "a) Z 1"), 0);
	cr_expect_not(os_task_is_zombie(os_gettid()), "a name may hold anything");
}

static pid_t leader;

/* The process's status: 0 when its leader becomes a zombie, and this thread does not. */
static void *see_the_leader_end(void *unused)
{
	(void)unused;
	while (!os_task_is_zombie(leader))
		sched_yield();
	_exit(os_task_is_zombie(os_gettid()) || !os_thread_exists(leader));
}

Test(os_task, a_main_thread_that_has_ended_is_one)
{
	static const char *const names[] = { "main", "a) R 1" };

	for (unsigned i = 0; i < PROF_COUNT(names); i++) {
		pid_t child = fork();
		int status = -1;
		pthread_t id;

		if (child == 0) {
			alarm(20);
			leader = os_getpid();
			prctl(PR_SET_NAME, names[i]);
			if (pthread_create(&id, NULL, see_the_leader_end, NULL) != 0)
				_exit(2);
			pthread_exit(NULL);
		}
		cr_assert_eq(waitpid(child, &status, 0), child);
		cr_expect_eq(status, 0, "%s: ended with %x", names[i], (unsigned)status);
	}
}
