/*
 * calls_period.c - the collector `calls` without windows: events are always on, and one in so many becomes a
 * record with its stack.
 *
 *   call  call  call  [call]  call  call  [call]  call ...
 *     \------ 4 ------/  \------ 3 ------/   \-- what no record stands for: the process's, at the end
 *
 * Only beginnings of calls are events; ends of C calls are for calls that wait for theirs alone
 * (monitoring_call_begins).  They are counted for the whole process, not
 * by thread: a thread of ten calls has its chance like any ten calls of another, and what is left at its end is
 * not left.  A record's value is the number of events since the last one, so values always add up to what has
 * been called.  A record that cannot be kept is counted, and what it stood for goes with the next ones, a period
 * with each: all of it with one would make a chance the most called function.
 *
 * The distance between two is drawn from an even distribution as wide as its mean: whatever period divides the
 * mean, in a program's own rhythm, hits every point of it alike.  The GIL keeps callbacks apart.
 */
#include "calls.h"

/* In each event's way. */
#define HOT static inline __attribute__((always_inline))

static struct {
	uint64_t period; /* 0: no records */
	/* callbacks' */
	uint64_t left; /* events until the next record */
	uint64_t random;
	/* and read by the drainer */
	_Atomic uint64_t events[CALLTREE_EVENTS];
	_Atomic uint64_t recorded; /* events that records stand for */
	_Atomic uint64_t records;
} counted = { .left = CALLS_NEVER };

static struct py_object *on_start(struct py_object *self, struct py_object *const *arguments,
				  size_t count, struct py_object *names);
static struct py_object *on_resume(struct py_object *self, struct py_object *const *arguments,
				   size_t count, struct py_object *names);
static struct py_object *on_call(struct py_object *self, struct py_object *const *arguments,
				 size_t count, struct py_object *names);
static struct py_object *on_c_return(struct py_object *self, struct py_object *const *arguments,
				     size_t count, struct py_object *names);
HOT bool is_due(enum calltree_event of);
static void take_python(struct py_object *code);
static void take(const struct frame *leaf);
static uint64_t distance(void);
static uint64_t events_sum(void);
static void add(_Atomic uint64_t *number, uint64_t more);

/* ---- the callbacks ---- */

void calls_period_set(struct monitoring *tool)
{
	tool->calls[MONITORING_PY_START] = on_start;
	tool->calls[MONITORING_PY_RESUME] = on_resume;
	tool->calls[MONITORING_PY_THROW] = on_resume;
	tool->calls[MONITORING_CALL] = on_call;
	tool->calls[MONITORING_C_RETURN] = on_c_return;
}

static struct py_object *on_start(struct py_object *self, struct py_object *const *arguments,
				  size_t count, struct py_object *names)
{
	(void)self, (void)names;
	if (monitoring_has(count, 2) && is_due(CALLTREE_OF_PYTHON))
		take_python(arguments[0]);
	return py._Py_NoneStruct;
}

static struct py_object *on_resume(struct py_object *self, struct py_object *const *arguments,
				   size_t count, struct py_object *names)
{
	(void)self, (void)names;
	if (monitoring_has(count, 2) && is_due(CALLTREE_OF_GENERATOR))
		take_python(arguments[0]);
	return py._Py_NoneStruct;
}

static struct py_object *on_call(struct py_object *self, struct py_object *const *arguments,
				 size_t count, struct py_object *names)
{
	uint64_t key = monitoring_has(count, 4) ? callee_key(arguments[2], arguments[3]) : 0;
	struct frame leaf = { .instruction = FRAME_CALLEE };

	(void)self, (void)names;
	if (key)
		monitoring_call_begins(arguments[2]);
	if (key && is_due(CALLTREE_OF_C)) {
		leaf.code = callee_find(key, arguments[2], arguments[3]);
		take(&leaf);
	}
	return py._Py_NoneStruct;
}

static struct py_object *on_c_return(struct py_object *self, struct py_object *const *arguments,
				     size_t count, struct py_object *names)
{
	(void)self, (void)arguments, (void)count, (void)names;
	return monitoring_call_ends();
}

HOT bool is_due(enum calltree_event of)
{
	if (atomic_load_explicit(&calls.is_stopped, memory_order_relaxed))
		return false;
	add(&counted.events[of], 1);
	if (--counted.left)
		return false;
	counted.left = distance();
	return true;
}

static void take_python(struct py_object *code)
{
	static const struct frame unknown = { .code = FRAME_UNKNOWN };

	/* Some extensions raise events of their own for code objects without a frame. */
	take(frames_glance().code == (uintptr_t)code ? NULL : &unknown);
}

/* leaf: what is called, NULL for the innermost frame. */
static void take(const struct frame *leaf)
{
	uint64_t open = events_sum() - counted.recorded;
	uint64_t value = open < 2 * counted.period ? open : 2 * counted.period;
	struct thread *thread = thread_enter();
	bool is_put = thread &&
		      record_call(thread, METRIC_calls_calls, thread->entered_ns, value, leaf);

	if (is_put) {
		add(&counted.recorded, value);
		add(&counted.records, 1);
	} else {
		atomic_fetch_add_explicit(&calls.missed, 1, memory_order_relaxed);
	}
	if (thread)
		thread_leave_callback(thread);
}

/* From half of the period to half as much again, and the period in the mean. */
static uint64_t distance(void)
{
	uint64_t width = counted.period | 1;

	if (!counted.period)
		return CALLS_NEVER;
	return counted.period - width / 2 + calls_random(&counted.random) % width;
}

/* ---- what has come of it ---- */

void calls_period_begin(uint64_t period)
{
	for (unsigned of = 0; of < CALLTREE_EVENTS; of++)
		atomic_store(&counted.events[of], 0);
	atomic_store(&counted.recorded, 0);
	atomic_store(&counted.records, 0);
	counted.period = period;
	counted.random = os_random() | 1;
	/* The first event has its chance, too. */
	counted.left = period ? 1 + calls_random(&counted.random) % period : CALLS_NEVER;
}

void calls_period_events(uint64_t events[CALLTREE_EVENTS])
{
	for (unsigned of = 0; of < CALLTREE_EVENTS; of++)
		events[of] = atomic_load_explicit(&counted.events[of], memory_order_relaxed);
}

uint64_t calls_period_rest(void)
{
	/* In this order: it only follows the other. */
	uint64_t recorded = atomic_load(&counted.recorded);

	return events_sum() - recorded;
}

uint64_t calls_period_records(void)
{
	return atomic_load(&counted.records);
}

static uint64_t events_sum(void)
{
	uint64_t events[CALLTREE_EVENTS], sum = 0;

	calls_period_events(events);
	for (unsigned of = 0; of < CALLTREE_EVENTS; of++)
		sum += events[of];
	return sum;
}

/* One writer at a time. */
static void add(_Atomic uint64_t *number, uint64_t more)
{
	atomic_store_explicit(number, atomic_load_explicit(number, memory_order_relaxed) + more,
			      memory_order_relaxed);
}
