/*
 * monitoring_module.h - for monitoring.c alone: sys.monitoring of one interpreter, those functions
 * and numbers of it that we hold, and the type of our callbacks there.
 *
 * The caller has put a pending exception aside; what a call raises is cleared.  The GIL of the
 * interpreter guards everything but the choice of a slot.
 */
#ifndef MONITORING_MODULE_H
#define MONITORING_MODULE_H

#include "monitoring.h"

enum monitoring_function {
	MONITORING_USE_TOOL_ID,
	MONITORING_FREE_TOOL_ID,
	MONITORING_CLEAR_TOOL_ID, /* 3.14 */
	MONITORING_GET_TOOL,
	MONITORING_REGISTER_CALLBACK,
	MONITORING_GET_EVENTS,
	MONITORING_SET_EVENTS,
	MONITORING_GET_LOCAL_EVENTS,
	MONITORING_SET_LOCAL_EVENTS,
	MONITORING_ALL_EVENTS,
	MONITORING_SETPROFILE, /* of sys */
	MONITORING_SETPROFILE_ALL_THREADS,
	MONITORING_FUNCTIONS
};

/* A call that the program has made, and that is carried out when its C_RETURN comes. */
struct monitoring_later {
	struct py_object *function; /* NULL: none */
	struct py_object *arguments[3];
	size_t count;
};

#define MONITORING_MASKS 4 /* sets of events whose int objects are kept for the next time */

struct monitoring_module {
	_Atomic uintptr_t interpreter; /* 0: a free slot */
	struct py_object
		*functions[MONITORING_FUNCTIONS]; /* the originals; NULL: not in this CPython */
	struct py_object *views[MONITORING_FUNCTIONS]; /* what is there in their place now, or NULL */
	struct py_object *numbers[MONITORING_EVENTS]; /* of sys.monitoring.events: one bit each */
	uint32_t bits[MONITORING_EVENTS]; /* the same */
	struct py_object *type;
	struct py_object *monitoring; /* sys.monitoring */
	struct py_object *masks[MONITORING_MASKS];
	uint32_t mask_bits[MONITORING_MASKS];
	unsigned mask_next; /* gives way to the next set */
	struct monitoring *tools; /* those that hold an id here */
	uintptr_t met_frame, met_instruction; /* of a CALL event for one of the views */
	struct monitoring_later later;
};

/* The program is about to ask for this id in its interpreter. callback */
typedef void monitoring_asked(struct monitoring_module *module, long id);

/* The calling thread's interpreter's; NULL: not opened. callback */
struct monitoring_module *monitoring_module_get(void);
/* Look everything up, once an interpreter, and show the program views of it (monitoring_view.h), which call
   `asked`. NULL, or why not. setup, callback */
errmsg monitoring_module_open(struct monitoring_module **module, monitoring_asked *asked);
/* Put the originals back, drop all references; the slot is free. setup, callback */
void monitoring_module_close(struct monitoring_module *module);
/* The name of a function, and whether it is one of sys rather than of sys.monitoring. any */
const char *monitoring_module_name(enum monitoring_function function, bool *is_of_sys);
/* Has one of our tools this id here? callback */
bool monitoring_module_is_ours(const struct monitoring_module *module, long id);
/* Forget all but main's: in a forked child the others are gone, with all that they held. setup */
void monitoring_module_after_fork(void);
/* sys.monitoring.DISABLE, or NULL. any */
struct py_object *monitoring_module_disable(void);

/* A callback object of a tool; new, or NULL. callback */
struct py_object *monitoring_module_callback(struct monitoring_module *module,
					     struct monitoring *tool, monitoring_call *call);
/* It is no tool's any more. callback */
void monitoring_module_disown(struct py_object *callback);
/* Who has the id: the object that it gave as its name, None, or NULL where the call fails;
   borrowed, to be compared only. callback */
struct py_object *monitoring_module_holder(struct monitoring_module *module, long id);
/* false: refused. callback */
bool monitoring_module_use(struct monitoring_module *module, long id, struct py_object *name);
void monitoring_module_free(struct monitoring_module *module, long id);
/* Call an original; new, or NULL with an exception. callback */
struct py_object *monitoring_module_call(const struct monitoring_module *module,
					 enum monitoring_function function,
					 struct py_object *const *arguments, size_t count);
/* Put this callback (or None) on an event; what was there before, new; NULL: refused. callback */
struct py_object *monitoring_module_swap(struct monitoring_module *module, long id,
					 enum monitoring_event event, struct py_object *callback);
/* Sets of events in CPython's numbers; false: refused, as for want of memory. callback */
bool monitoring_module_events(struct monitoring_module *module, long id, uint32_t *bits);
bool monitoring_module_set(struct monitoring_module *module, long id, uint32_t bits);

#endif
