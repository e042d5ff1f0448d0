/*
 * drain_stage.h - the real drainer, with hooks that write down what they were called for.  Its sleeps go
 * through on_sleep, which runs in it between two passes.
 *
 * A test file declares the __wrap_ functions, so that they are linked, and then includes this.
 */
#ifndef DRAIN_STAGE_H
#define DRAIN_STAGE_H

#include "counts.h"

#include "drain.h"
#include "drain_door.h"
#include "os.h"
#include "real.h"
#include "record.h"
#include "task.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>

#define LONG_NS UINT64_C(60000000000) /* nobody waits that long */
#define RING_BYTES 65536

static struct {
	_Atomic unsigned begins, parks, ends, flushes, gone, alones, remainders, finishes, lines,
		waits;
	_Atomic bool own_descriptors;
	_Atomic unsigned gone_at_remainder, ends_at_finish;
	_Atomic unsigned closes, renews, dumps;
	_Atomic uint64_t bytes;
	char finished[4096], closed[4096], asked[4096];
	bool is_closed;
} seen;

static char *path;
static struct thread *self;
static struct drain_settings settings;
static _Atomic bool refuses_descriptors, no_memory;
static void (*_Atomic on_sleep)(uint64_t timeout_ns);
static sem_t reached, released;
static _Atomic uint64_t written_value, due_ns = UINT64_MAX, holds_ns = UINT64_MAX;
static _Atomic bool is_full, refuses_next, is_asked;
static bool (*on_finish)(drain_breathe *breathe);
static _Atomic bool holds_flush, holds_pass, is_alone, denies_alone;

bool __wrap_os_descriptors_own(void)
{
	return !atomic_load(&refuses_descriptors) && __real_os_descriptors_own();
}

void __wrap_os_futex_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
	void (*call)(uint64_t timeout_ns) = atomic_load(&on_sleep);

	if (call && os_gettid() == drain_tid()) {
		call(timeout_ns);
	} else {
		atomic_fetch_add(&seen.waits, 1);
		__real_os_futex_wait(word, expected, timeout_ns);
	}
}

/* The framework's threads are not seen: nobody is adopted, and the drainer is alone if it is said so. */
bool __wrap_os_tasks_each(void (*each)(void *self, pid_t tid), void *unused)
{
	if (atomic_load(&is_alone))
		each(unused, drain_tid());
	return atomic_load(&is_alone);
}

struct recording *__wrap_recording_new(const struct recording_head *head)
{
	return atomic_load(&no_memory) ? NULL : __real_recording_new(head);
}

void __wrap_log_line(const char *format, ...)
{
	(void)format;
	atomic_fetch_add(&seen.lines, 1);
}

static void hook_begin(bool own_descriptors)
{
	atomic_store(&seen.own_descriptors, own_descriptors);
	atomic_fetch_add(&seen.begins, 1);
}

static void hook_end(void)
{
	atomic_fetch_add(&seen.ends, 1);
}

/* The drainer stands still until it is released. */
static void hold(void)
{
	sem_post(&reached);
	sem_wait(&released);
}

static void hook_parked(void)
{
	atomic_fetch_add(&seen.parks, 1);
}

static void hook_pass(uint64_t time_ns)
{
	(void)time_ns;
	if (atomic_exchange(&holds_pass, false))
		hold();
}

/* Once, if asked to: a sample that was in no ring. */
static void hook_write(const struct collector_writer *writer)
{
	struct frame marker = { FRAME_NO_PYTHON, 0 };
	struct recording_sample sample = {
		.thread = self->serial,
		.metric = METRIC_cpu_cpu,
		.time_ns = os_monotonic_ns(),
		.value = atomic_exchange(&written_value, 0),
	};

	if (!sample.value)
		return;
	sample.node = writer->node(0, &marker, sample.time_ns);
	cr_assert_neq(writer->epoch(), 0);
	writer->sample(&sample);
}

static uint64_t hook_due_ns(void)
{
	return atomic_load(&due_ns);
}

static uint64_t hook_holds_ns(void)
{
	return atomic_load(&holds_ns);
}

static void hook_flush(uint64_t time_ns, collector_note *note)
{
	(void)time_ns;
	note("test", "remark");
	if (atomic_exchange(&holds_flush, false))
		hold();
	atomic_fetch_add(&seen.flushes, 1);
}

static void hook_adopted(struct thread *thread)
{
	(void)thread;
}

static void hook_gone(struct thread *thread)
{
	atomic_fetch_add(&seen.gone, 1);
	record_put(thread, METRIC_cpu_cpu, os_monotonic_ns(), 1000, FRAME_THREAD_EXIT);
}

static uint64_t hook_remainder(enum metric metric, uint64_t own_ns)
{
	cr_assert_gt(own_ns, 0);
	atomic_fetch_add(&seen.remainders, 1);
	atomic_store(&seen.gone_at_remainder, atomic_load(&seen.gone));
	return metric == METRIC_cpu_cpu ? 500000 : 0;
}

static bool hook_alone(void)
{
	atomic_fetch_add(&seen.alones, 1);
	return !atomic_load(&denies_alone);
}

/* One recording after the other: "r.monprof", "r.monprof-1", ...; a test says when. */
static bool hook_is_full(uint64_t time_ns, uint64_t recording_bytes)
{
	(void)time_ns;
	atomic_store(&seen.bytes, recording_bytes);
	return atomic_exchange(&is_full, false);
}

static errmsg hook_next(bool is_used, struct recording_head *head)
{
	static char next[4096];

	snprintf(next, sizeof(next), "%s-%u", path, is_used ? atomic_load(&seen.closes) + 1 : 0);
	*head = settings.head;
	head->path = next;
	head->start_monotonic_ns = os_monotonic_ns();
	return atomic_load(&refuses_next) ? "refused" : NULL;
}

static void hook_close(const char *recording)
{
	seen.is_closed = recording != NULL;
	atomic_fetch_add(&seen.closes, 1);
	snprintf(seen.closed, sizeof(seen.closed), "%s", recording ? recording : "");
}

static void hook_renew(uint64_t time_ns)
{
	(void)time_ns;
	atomic_fetch_add(&seen.renews, 1);
}

static void hook_finish(drain_breathe *breathe)
{
	if (!seen.is_closed || (on_finish && !on_finish(breathe)))
		return;
	seen.is_closed = false;
	atomic_fetch_add(&seen.finishes, 1);
	atomic_store(&seen.ends_at_finish, atomic_load(&seen.ends));
	snprintf(seen.finished, sizeof(seen.finished), "%s", seen.closed);
	if (atomic_load(&is_alone))
		sem_post(&reached);
}

static bool hook_is_asked(const char *recording)
{
	snprintf(seen.asked, sizeof(seen.asked), "%s", recording);
	return atomic_exchange(&is_asked, false);
}

static void hook_dump(drain_breathe *breathe)
{
	cr_assert(breathe());
	atomic_fetch_add(&seen.dumps, 1);
	sem_post(&reached);
}

static void ending(struct thread *thread)
{
	record_put(thread, METRIC_cpu_cpu, os_monotonic_ns(), 30, FRAME_NO_PYTHON);
}

static UNUSED void set_up(void)
{
	path = in_scratch("r.monprof");
	sem_init(&reached, 0, 0);
	sem_init(&released, 0, 0);
	cr_assert_null(threads_start(RING_BYTES, ending));
	self = thread_reserve();
	thread_begin(self);
	settings = (struct drain_settings){
		.flush_ns = 60 * LONG_NS,
		.ring_bytes = RING_BYTES,
		.head = make_head(path),
		.hooks = {
			.begin = hook_begin,
			.end = hook_end,
			.parked = hook_parked,
			.pass = hook_pass,
			.write = hook_write,
			.due_ns = hook_due_ns,
			.holds_ns = hook_holds_ns,
			.flush = hook_flush,
			.adopted = hook_adopted,
			.gone = hook_gone,
			.alone = hook_alone,
			.remainder = hook_remainder,
			.is_full = hook_is_full,
			.next = hook_next,
			.close = hook_close,
			.renew = hook_renew,
			.finish = hook_finish,
			.is_asked = hook_is_asked,
			.dump = hook_dump,
		},
	};
	settings.head.start_monotonic_ns = os_monotonic_ns();
}

static UNUSED void tear_down(void)
{
	atomic_store(&on_sleep, NULL);
	cr_assert(drain_park(LONG_NS));
	remove_scratch();
}

static UNUSED void begin(void)
{
	unsigned before = atomic_load(&seen.begins);

	cr_assert_null(drain_begin(&settings));
	while (atomic_load(&seen.begins) == before || !drain_flush(LONG_NS))
		sched_yield();
}

static UNUSED void put(uint64_t value)
{
	cr_assert(record_put(self, METRIC_cpu_cpu, os_monotonic_ns(), value, FRAME_NO_PYTHON));
}

static UNUSED int refuse_thread(pthread_t *thread, const pthread_attr_t *attributes,
				void *(*start)(void *), void *argument)
{
	(void)thread, (void)attributes, (void)start, (void)argument;
	return EAGAIN;
}

#endif
