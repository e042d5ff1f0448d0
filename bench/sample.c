/*
 * sample.c - one sample, timed inside a real Python; loaded by ctypes (bench/programs/sample.py).
 *
 * The calling thread gets a ring of its own, and record_stack is called until half of the ring is full;
 * emptying it is not timed.  No signal, no drainer.
 */
#include "frames.h"
#include "os.h"
#include "pyapi.h"
#include "record.h"
#include "thread.h"

#include <dlfcn.h>

#define RING_BYTES (128 * 1024)
#define EVICT_BYTES (4 * 1024 * 1024)
#define CACHE_LINE 64

PROF_EXPORT const char *sample_start(void);
PROF_EXPORT uint32_t sample_depth(void);
PROF_EXPORT double sample_record_ns(unsigned batches);
PROF_EXPORT double sample_handler_ns(unsigned batches);
PROF_EXPORT double sample_cold_ns(unsigned samples);

static struct thread *thread;

static void ending(struct thread *unused)
{
	(void)unused;
}

static bool record(void)
{
	return record_stack(thread, METRIC_cpu_cpu, 1, 1, 0);
}

/* A handler but for its one system call. */
static bool handler(void)
{
	struct thread *entered = thread_enter();
	bool taken = entered && record_stack(entered, METRIC_cpu_cpu, os_monotonic_ns(), 1, 0);

	if (entered)
		thread_leave(entered);
	return taken;
}

static uint32_t empty(void)
{
	const struct record *oldest;
	uint32_t depth = 0;

	while ((oldest = ring_peek(&thread->ring))) {
		depth = oldest->depth;
		ring_next(&thread->ring);
	}
	return depth;
}

/* Mean of all calls, in ns; below 0: a call failed. */
static double timed(bool (*call)(void), unsigned batches)
{
	uint64_t spent_ns = 0, calls = 0;
	unsigned batch;

	if (!call())
		return -1;
	batch = RING_BYTES / 2 / record_bytes(empty());
	for (unsigned i = 0; i < batches; i++) {
		uint64_t begun_ns = os_monotonic_ns();

		for (unsigned j = 0; j < batch; j++)
			if (!call())
				return -1;
		spent_ns += os_monotonic_ns() - begun_ns;
		calls += batch;
		empty();
	}
	return (double)spent_ns / (double)calls;
}

const char *sample_start(void)
{
	errmsg error = pyapi_load(RTLD_DEFAULT);

	if (!error)
		error = frames_start();
	if (!error)
		error = frames_check();
	if (!error)
		error = threads_start(RING_BYTES, ending);
	if (error)
		return error;
	record_gate.interpreters[0] = (uintptr_t)py.PyInterpreterState_Main();
	thread = thread_reserve();
	if (!thread)
		return "no thread";
	thread_begin(thread);
	return NULL;
}

uint32_t sample_depth(void)
{
	return record() ? empty() : 0;
}

double sample_record_ns(unsigned batches)
{
	return timed(record, batches);
}

double sample_handler_ns(unsigned batches)
{
	return timed(handler, batches);
}

/* The same handler when the program has had the caches for itself since the last one. */
double sample_cold_ns(unsigned samples)
{
	static volatile unsigned char others[EVICT_BYTES];
	uint64_t spent_ns = 0;

	for (unsigned i = 0; i < samples; i++) {
		uint64_t begun_ns;

		for (size_t at = 0; at < EVICT_BYTES; at += CACHE_LINE)
			others[at]++;
		begun_ns = os_monotonic_ns();
		if (!handler())
			return -1;
		spent_ns += os_monotonic_ns() - begun_ns;
		empty();
	}
	return (double)spent_ns / (double)samples;
}
