/*
 * event.c - callbacks of sys.monitoring that do nothing, of the same form as ours; loaded by ctypes
 * (bench/programs/calls.py NAME empty). What is measured against them is ours alone, not CPython's dispatch.
 */
#include "frames.h"
#include "monitoring.h"
#include "pyapi.h"

#include <dlfcn.h>

PROF_EXPORT const char *event_start(void);

static struct monitoring tool = { .name = "nothing", .wanted = { 2, 4, 3, 5, -1, -1 } };

static struct py_object *nothing(struct py_object *self, struct py_object *const *arguments,
				 size_t count, struct py_object *names)
{
	(void)self, (void)arguments, (void)count, (void)names;
	return py._Py_NoneStruct;
}

const char *event_start(void)
{
	errmsg error = pyapi_load(RTLD_DEFAULT);

	if (!error)
		error = frames_start();
	for (unsigned i = 0; i < MONITORING_EVENTS; i++)
		tool.calls[i] = nothing;
	if (!error)
		error = monitoring_claim(&tool);
	if (!error && !monitoring_set(&tool, (1u << MONITORING_EVENTS) - 1))
		error = "CPython refuses the events";
	return error;
}
