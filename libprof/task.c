/*
 * task.c - the threads of this process as the kernel lists them (proc(5), /proc/pid/task).
 *
 *   listed, in the table          seen
 *   listed, not in the table      remembered; adopted if it still is so at the next scan
 *   in the table, not listed      gone, if the kernel does not know it either
 */
#include "task.h"

#include "drain.h"
#include "os.h"

#include <string.h>

#define STRANGERS_MOST 512

static struct {
	bool wanted;
	bool rereads_names; /* in this pass */
	bool others_run; /* besides our own thread */
	bool alone; /* as of the last whole scan */
	uint32_t scans; /* of this session */
	uint32_t stranger_count, previous_count;
	pid_t strangers[STRANGERS_MOST], previous[STRANGERS_MOST];
	void (*adopted)(struct thread *thread);
} tasks;

static void task_look(void *unused, pid_t tid);
static struct thread *known(pid_t tid);
static bool was_stranger(pid_t tid);
static void forget_the_gone(void);

void task_begin(void)
{
	memset(&tasks, 0, sizeof(tasks));
	tasks.wanted = true;
}

void task_wanted(void)
{
	tasks.wanted = true;
}

void task_scan(void (*adopted)(struct thread *thread))
{
	tasks.rereads_names = tasks.wanted;
	if (!tasks.wanted)
		return;
	tasks.adopted = adopted;
	memcpy(tasks.previous, tasks.strangers, sizeof(tasks.previous));
	tasks.previous_count = tasks.stranger_count;
	tasks.stranger_count = 0;
	for (struct thread *thread = thread_next(NULL); thread; thread = thread_next(thread))
		thread->seen = false;
	tasks.others_run = tasks.alone = false;
	if (os_tasks_each(task_look, NULL)) {
		tasks.alone = !tasks.others_run;
		forget_the_gone();
	}
	/* Two at once at the start: who is a stranger twice then is older than the session. */
	tasks.wanted = tasks.scans++ == 0;
}

bool task_alone(void)
{
	return tasks.alone;
}

bool task_name(struct thread *thread)
{
	char name[sizeof(thread->known_name)] = "";
	bool dead = atomic_load(&thread->state) == THREAD_DEAD;

	/* Pairs with the callback's release: the name is whole. */
	if (atomic_load_explicit(&thread->python_name_known, memory_order_acquire))
		memcpy(name, thread->python_name, sizeof(name));
	else if (dead && thread->name[0])
		memcpy(name, thread->name, sizeof(thread->name));
	else if (!thread->announced || tasks.rereads_names)
		os_task_name(atomic_load(&thread->tid), name, sizeof(name));
	if (!name[0] || strcmp(name, thread->known_name) == 0)
		return false;
	memcpy(thread->known_name, name, sizeof(name));
	return true;
}

static void task_look(void *unused, pid_t tid)
{
	struct thread *thread = known(tid);

	(void)unused;
	if (tid == drain_tid())
		return;
	/* The main thread stays in the list after its pthread_exit, until the process ends. */
	if (!thread && tid == os_getpid() && os_task_is_zombie(tid))
		return;
	tasks.others_run = true;
	if (thread) {
		thread->seen = true;
		return;
	}
	if (!was_stranger(tid)) {
		if (tasks.stranger_count < STRANGERS_MOST)
			tasks.strangers[tasks.stranger_count++] = tid;
		return;
	}
	thread = thread_adopt(tid);
	if (!thread)
		return;
	thread->seen = true;
	thread->inherited = tasks.scans <= 1;
	tasks.adopted(thread);
}

static struct thread *known(pid_t tid)
{
	for (struct thread *thread = thread_next(NULL); thread; thread = thread_next(thread)) {
		if (atomic_load(&thread->tid) == tid && atomic_load(&thread->state) == THREAD_LIVE)
			return thread;
	}
	return NULL;
}

static bool was_stranger(pid_t tid)
{
	for (uint32_t i = 0; i < tasks.previous_count; i++) {
		if (tasks.previous[i] == tid)
			return true;
	}
	return false;
}

static void forget_the_gone(void)
{
	for (struct thread *thread = thread_next(NULL); thread; thread = thread_next(thread)) {
		if (!thread->seen && atomic_load(&thread->state) == THREAD_LIVE &&
		    !os_thread_exists(atomic_load(&thread->tid)))
			thread_lost(thread);
	}
}
