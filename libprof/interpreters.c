/*
 * interpreters.c - the gate of record.h, opened and closed for each interpreter.
 */
#include "interpreters.h"

#include "pyapi.h"
#include "record.h"
#include "symbol.h"

static bool gate_change(uintptr_t from, uintptr_t to);

errmsg interpreters_meet(void)
{
	uintptr_t interpreter;
	errmsg error;

	/* Some events are raised while no thread state is current. */
	if (!py._PyThreadState_GetCurrent())
		return NULL;
	interpreter = (uintptr_t)py.PyInterpreterState_Get();
	if (gate_change(interpreter, interpreter))
		return NULL;
	error = symbol_watch();
	if (error)
		return error;
	return gate_change(0, interpreter) ? NULL : "too many interpreters: this one is not named";
}

/* cpython.PyInterpreterState_Clear is raised in each interpreter that ends, main last. */
bool interpreters_forget(void)
{
	struct py_interpreter *interpreter = py.PyInterpreterState_Get();

	if (interpreter == py.PyInterpreterState_Main())
		return false;
	if (gate_change((uintptr_t)interpreter, 0))
		symbol_unwatch();
	return true;
}

void interpreters_after_fork(void)
{
	for (unsigned i = 0; i < RECORD_INTERPRETERS; i++) {
		if (atomic_load(&record_gate.interpreters[i]) !=
		    (uintptr_t)py.PyInterpreterState_Main())
			atomic_store(&record_gate.interpreters[i], 0);
	}
}

bool interpreters_several(void)
{
	/* New ones go to the head of the runtime's list; main is its last. */
	return py.PyInterpreterState_Head() != py.PyInterpreterState_Main();
}

static bool gate_change(uintptr_t from, uintptr_t to)
{
	for (unsigned i = 0; i < RECORD_INTERPRETERS; i++) {
		uintptr_t known = from;

		if (atomic_compare_exchange_strong(&record_gate.interpreters[i], &known, to))
			return true;
	}
	return false;
}
