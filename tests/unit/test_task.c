/*
 * test_task.c - the kernel's list and names are made up; the table of threads is the real one.
 */
#include "os.h"
#include "task.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define DRAINER 77

static pid_t listed[700];
static unsigned listed_count;
static bool proc_is_gone;
static pid_t known_to_kernel;
static const char *kernel_name;
static unsigned names_asked;
static pid_t adopted_tids[700];
static unsigned adopted_count;
static struct thread *adopted_last;

bool __wrap_os_tasks_each(void (*each)(void *self, pid_t tid), void *self);
bool __wrap_os_tasks_each(void (*each)(void *self, pid_t tid), void *self)
{
	for (unsigned i = 0; i < listed_count && !proc_is_gone; i++)
		each(self, listed[i]);
	return !proc_is_gone;
}

bool __wrap_os_thread_exists(pid_t tid);
bool __wrap_os_thread_exists(pid_t tid)
{
	return tid == known_to_kernel;
}

bool __wrap_os_task_name(pid_t tid, char *name, size_t size_bytes);
bool __wrap_os_task_name(pid_t tid, char *name, size_t size_bytes)
{
	names_asked++;
	if (!kernel_name)
		return false;
	snprintf(name, size_bytes, "%s-%d", kernel_name, (int)tid);
	return true;
}

pid_t __wrap_drain_tid(void);
pid_t __wrap_drain_tid(void)
{
	return DRAINER;
}

static void ending(struct thread *thread)
{
	(void)thread;
}

static void on_adopted(struct thread *thread)
{
	adopted_last = thread;
	adopted_tids[adopted_count++] = atomic_load(&thread->tid);
}

static void set_up(void)
{
	cr_assert_null(threads_start(4096, ending));
	task_begin();
}

TestSuite(task, .init = set_up);

static void scan(void)
{
	task_wanted();
	task_scan(on_adopted);
}

static void list(unsigned count, const pid_t *tids)
{
	memcpy(listed, tids, count * sizeof(*tids));
	listed_count = count;
}

#define LIST(...) \
	list(sizeof((pid_t[]){ __VA_ARGS__ }) / sizeof(pid_t), (const pid_t[]){ __VA_ARGS__ })

Test(task, a_stranger_is_adopted_at_the_second_sight)
{
	LIST(100);
	scan();
	cr_assert_eq(adopted_count, 0);
	scan();
	cr_assert_eq(adopted_count, 1);
	cr_assert_eq(adopted_tids[0], 100);
	cr_assert(atomic_load(&adopted_last->foreign));
	cr_assert_eq(atomic_load(&adopted_last->state), THREAD_LIVE);
	scan();
	scan();
	cr_assert_eq(adopted_count, 1);
}

Test(task, a_session_begins_with_two_scans)
{
	LIST(100);
	task_scan(on_adopted);
	task_scan(on_adopted);
	cr_assert_eq(adopted_count, 1);
	LIST(100, 200);
	task_scan(on_adopted);
	task_scan(on_adopted);
	cr_assert_eq(adopted_count, 1, "none was due");
	task_begin();
	task_scan(on_adopted);
	cr_assert_eq(adopted_count, 1, "what was seen in another session does not count");
	task_scan(on_adopted);
	cr_assert_eq(adopted_tids[1], 200);
}

Test(task, those_of_the_first_two_scans_are_older_than_the_session)
{
	LIST(100);
	scan();
	scan();
	cr_assert(adopted_last->inherited);
	LIST(100, 200);
	scan();
	scan();
	cr_assert_eq(adopted_count, 2);
	cr_assert_not(adopted_last->inherited);
}

Test(task, one_that_gets_into_the_table_by_itself_is_not_adopted)
{
	LIST(100);
	scan();
	thread_adopt(100);
	scan();
	scan();
	cr_assert_eq(adopted_count, 0);
}

Test(task, the_sights_must_follow_each_other)
{
	LIST(100, 200);
	scan();
	LIST(200);
	scan();
	LIST(100, 200);
	scan();
	cr_assert_eq(adopted_count, 1);
	cr_assert_eq(adopted_tids[0], 200);
}

Test(task, the_drainer_is_not_adopted)
{
	LIST(DRAINER, 100);
	for (unsigned i = 0; i < 4; i++)
		scan();
	cr_assert_eq(adopted_count, 1);
	cr_assert_eq(adopted_tids[0], 100);
}

Test(task, a_dead_thread_does_not_hide_another_with_its_id)
{
	struct thread *dead = thread_adopt(100);

	thread_lost(dead);
	LIST(100);
	scan();
	scan();
	cr_assert_eq(adopted_count, 1);
	cr_assert_neq(adopted_last, dead);
}

Test(task, more_strangers_than_fit_wait_for_their_turn)
{
	for (listed_count = 0; listed_count < 600; listed_count++)
		listed[listed_count] = 1000 + (pid_t)listed_count;
	scan();
	scan();
	cr_assert_lt(adopted_count, 600);
	cr_assert_gt(adopted_count, 0);
	scan();
	cr_assert_eq(adopted_count, 600);
}

Test(task, one_that_is_gone_is_dead)
{
	struct thread *here = thread_adopt(100), *gone = thread_adopt(200);

	LIST(100);
	scan();
	cr_assert_eq(atomic_load(&here->state), THREAD_LIVE);
	cr_assert_eq(atomic_load(&gone->state), THREAD_DEAD);
}

Test(task, one_that_the_kernel_knows_is_not_gone)
{
	struct thread *missed = thread_adopt(200);

	LIST(100);
	known_to_kernel = 200;
	scan();
	cr_assert_eq(atomic_load(&missed->state), THREAD_LIVE);
	known_to_kernel = 0;
	scan();
	cr_assert_eq(atomic_load(&missed->state), THREAD_DEAD);
}

Test(task, where_proc_cannot_be_read_nobody_is_gone)
{
	struct thread *thread = thread_adopt(100);

	proc_is_gone = true;
	scan();
	cr_assert_eq(atomic_load(&thread->state), THREAD_LIVE);
}

Test(task, the_kernel_is_asked_for_a_name)
{
	struct thread *thread = thread_adopt(100);

	kernel_name = "worker";
	cr_assert(task_name(thread));
	cr_assert_str_eq(thread->known_name, "worker-100");
	cr_assert_not(task_name(thread), "it has not changed");
}

Test(task, once_announced_it_is_asked_again_only_with_a_scan)
{
	struct thread *thread = thread_adopt(100);

	LIST(100);
	scan();
	kernel_name = "first";
	cr_assert(task_name(thread));
	thread->announced = true;
	kernel_name = "second";
	task_scan(on_adopted); /* the second of the two at the start */
	task_scan(on_adopted);
	names_asked = 0;
	cr_assert_not(task_name(thread));
	cr_assert_eq(names_asked, 0);
	scan();
	cr_assert(task_name(thread));
	cr_assert_str_eq(thread->known_name, "second-100");
}

Test(task, without_a_name_the_last_one_stays)
{
	struct thread *thread = thread_adopt(100);

	kernel_name = "worker";
	cr_assert(task_name(thread));
	kernel_name = NULL;
	cr_assert_not(task_name(thread));
	cr_assert_str_eq(thread->known_name, "worker-100");
}

Test(task, the_name_in_python_comes_first)
{
	struct thread *thread = thread_adopt(100);

	kernel_name = "worker";
	strcpy(thread->python_name, "Thread-1 (f)");
	cr_assert(task_name(thread));
	cr_assert_str_eq(thread->known_name, "worker-100", "not released yet");
	atomic_store(&thread->python_name_known, true);
	cr_assert(task_name(thread));
	cr_assert_str_eq(thread->known_name, "Thread-1 (f)");
	cr_assert_not(task_name(thread));
}

Test(task, the_dead_keep_the_name_that_they_took_along)
{
	struct thread *thread = thread_adopt(100);

	kernel_name = "another";
	strcpy(thread->name, "last");
	thread_lost(thread);
	cr_assert(task_name(thread));
	cr_assert_str_eq(thread->known_name, "last");
	cr_assert_eq(names_asked, 0, "their id may be another's by now");
}
