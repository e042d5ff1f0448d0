/*
 * interpreters.c - the gate of record.h, opened and closed for each interpreter.
 *
 *   meet --> [ asked for something ---> a pending call answers ]* --> forget
 *
 * An interpreter is asked by our own thread, which must not touch one that is being deleted. So it holds the
 * lock while it asks, and the end of an interpreter, which is heard of in time, takes its place in the gate
 * away under that lock. Nobody waits for anything but CPython's lock of the queue while holding it.
 */
#include "interpreters.h"

#include "pyapi.h"
#include "record.h"
#include "symbol.h"

#include <pthread.h>
#include <string.h>

static struct {
	pthread_mutex_t lock; /* rank: interpreters */
	const struct interpreters_hooks *hooks;
	_Atomic bool is_asked[RECORD_INTERPRETERS]; /* a call is in its queue */
} state PROF_TOGETHER = { .lock = PTHREAD_MUTEX_INITIALIZER };

static unsigned gate_change(uintptr_t from, uintptr_t to);
static unsigned gate_find(void);
static void gate_close(unsigned place);

void interpreters_tell(const struct interpreters_hooks *hooks)
{
	state.hooks = hooks;
}

errmsg interpreters_meet(void)
{
	uintptr_t interpreter;
	unsigned place;
	errmsg error;

	/* Some events are raised while no thread state is current. */
	if (!py._PyThreadState_GetCurrent())
		return NULL;
	interpreter = (uintptr_t)py.PyInterpreterState_Get();
	if (gate_find() < RECORD_INTERPRETERS)
		return NULL;
	error = symbol_watch();
	if (error)
		return error;
	place = gate_change(0, interpreter);
	if (place == RECORD_INTERPRETERS)
		return "too many interpreters: this one is not named";
	if (state.hooks)
		state.hooks->begun(place);
	return NULL;
}

/* cpython.PyInterpreterState_Clear is raised in each interpreter that ends, main last. */
bool interpreters_forget(void)
{
	unsigned place = gate_find();

	if (py.PyInterpreterState_Get() == py.PyInterpreterState_Main())
		return false;
	if (place == RECORD_INTERPRETERS)
		return true;
	/* While it has its place: nobody else gets that. */
	if (state.hooks)
		state.hooks->ended(place);
	gate_close(place);
	symbol_unwatch();
	return true;
}

void interpreters_leave(void)
{
	unsigned place = gate_find();

	if (place < RECORD_INTERPRETERS &&
	    py.PyInterpreterState_Get() != py.PyInterpreterState_Main())
		gate_close(place);
}

void interpreters_after_fork(void)
{
	pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;

	memcpy(&state.lock, &fresh, sizeof(fresh));
	for (unsigned i = 0; i < RECORD_INTERPRETERS; i++) {
		atomic_store(&state.is_asked[i], false);
		if (atomic_load(&record_gate.interpreters[i]) !=
		    (uintptr_t)py.PyInterpreterState_Main())
			atomic_store(&record_gate.interpreters[i], 0);
	}
}

bool interpreters_ask(unsigned interpreter, int (*call)(void *unused))
{
	struct py_interpreter *asked;
	bool is_asked = false;

	pthread_mutex_lock(&state.lock);
	asked = (struct py_interpreter *)atomic_load(&record_gate.interpreters[interpreter]);
	/* Before the call: it may be answered at once. */
	if (asked)
		is_asked = atomic_exchange(&state.is_asked[interpreter], true);
	if (asked && !is_asked) {
		is_asked = py._PyEval_AddPendingCall(asked, call, NULL, 0) == 0;
		if (!is_asked)
			atomic_store(&state.is_asked[interpreter], false);
	}
	pthread_mutex_unlock(&state.lock);
	return is_asked;
}

unsigned interpreters_answer(void)
{
	unsigned place = gate_find();

	if (place < RECORD_INTERPRETERS)
		atomic_store(&state.is_asked[place], false);
	return place;
}

bool interpreters_several(void)
{
	/* New ones go to the head of the runtime's list; main is its last. */
	return py.PyInterpreterState_Head() != py.PyInterpreterState_Main();
}

/* The place of the calling thread's; RECORD_INTERPRETERS: it has none. */
static unsigned gate_find(void)
{
	uintptr_t interpreter = (uintptr_t)py.PyInterpreterState_Get();

	return gate_change(interpreter, interpreter);
}

static unsigned gate_change(uintptr_t from, uintptr_t to)
{
	for (unsigned i = 0; i < RECORD_INTERPRETERS; i++) {
		uintptr_t known = from;

		if (atomic_compare_exchange_strong(&record_gate.interpreters[i], &known, to))
			return i;
	}
	return RECORD_INTERPRETERS;
}

/* What was in its queue goes with it. */
static void gate_close(unsigned place)
{
	pthread_mutex_lock(&state.lock);
	atomic_store(&state.is_asked[place], false);
	atomic_store(&record_gate.interpreters[place], 0);
	pthread_mutex_unlock(&state.lock);
}
