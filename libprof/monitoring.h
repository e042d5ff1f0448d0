/*
 * monitoring.h - sys.monitoring (PEP 669) as our collectors use it: a tool id of an interpreter, our
 * callbacks on it, its events on and off.
 *
 *   claim ---> set (some events) <---> set (none) ---> release
 *                |
 *                +-- the program asks for the id that we hold (cProfile wants 2): it gets it, and the
 *                    tool moves to a free one, or is lost when there is none
 *
 * There is no C API for any of it, so all goes through the functions of sys.monitoring, which are looked
 * up once an interpreter, before the program can put others in their place.  Callbacks are objects of a
 * type of our own with a vectorcall slot, the fastest form that there is; each returns None (or DISABLE),
 * never runs Python code, and never fails, but for what the
 * program's own call has raised that a C_RETURN makes.  Every function keeps a pending exception, and leaves none.
 */
#ifndef MONITORING_H
#define MONITORING_H

#include "frames.h"
#include "prof.h"
#include "pyapi.h"

#include <stdatomic.h>

/* Rows of a tool's callbacks; the numbers of the events are read from sys.monitoring.events. */
enum monitoring_event {
	MONITORING_PY_START,
	MONITORING_PY_RESUME,
	MONITORING_PY_THROW,
	MONITORING_PY_RETURN,
	MONITORING_PY_YIELD,
	MONITORING_PY_UNWIND,
	MONITORING_CALL,
	MONITORING_C_RETURN, /* on whenever CALL is on and it has a callback */
	MONITORING_C_RAISE,
	MONITORING_EVENTS
};

/* vectorcall's signature, PEP 590: arguments[0] is the code, arguments[1] the offset in bytes (an int), ... */
typedef struct py_object *monitoring_call(struct py_object *self,
					  struct py_object *const *arguments, size_t count_flags,
					  struct py_object *names);

/* In count_flags; the rest is the number of arguments. */
#define MONITORING_COUNT_FLAG ((size_t)1 << (8 * sizeof(size_t) - 1))

/* Are there so many arguments? A program that finds our callbacks may call them with anything. callback */
static inline bool monitoring_has(size_t count_flags, size_t least)
{
	return (count_flags & ~MONITORING_COUNT_FLAG) >= least;
}

/* One tool of one interpreter. Its memory is the collector's, and stays as long as it is claimed. */
struct monitoring {
	/* set by the collector, before monitoring_claim */
	const char *name;
	signed char wanted[6]; /* ids in order of preference, -1 ends them */
	monitoring_call *calls[MONITORING_EVENTS]; /* NULL: not wanted */
	void (*lost)(struct monitoring *tool); /* the id went and no other was free. callback */
	/* monitoring's */
	_Atomic int id; /* -1: none */
	struct py_interpreter *interpreter;
	struct py_object *callbacks[MONITORING_EVENTS], *name_object;
	uintptr_t cells; /* where CPython has the callbacks; 0: not known */
	uint32_t events; /* bits of enum monitoring_event that are on */
	struct monitoring *next;
};

/* Behind the head of a callback's object. */
struct monitoring_callback {
	monitoring_call *call; /* PEP 590 */
	struct monitoring *_Atomic tool;
};

/* In one of our type. callback */
static inline struct monitoring_callback *monitoring_callback(struct py_object *self)
{
	return (struct monitoring_callback *)((char *)self + frames_layout()->object_type +
					      sizeof(void *));
}

/* Whose callback it is that was called with this `self`; NULL: of a tool that has let its id go. callback */
static inline struct monitoring *monitoring_tool(struct py_object *self)
{
	return atomic_load_explicit(&monitoring_callback(self)->tool, memory_order_relaxed);
}

/*
 * Claim an id in the calling thread's interpreter and register the callbacks there; no event is on. NULL,
 * or why not. setup, callback
 */
errmsg monitoring_claim(struct monitoring *tool);
/* Have these events (bits 1 << enum monitoring_event) and no others; false: the tool is lost, because CPython
   refused (3.13+ allows 16.7 million changes in a lifetime), or because the program has changed them itself,
   and they are left as they are. callback */
bool monitoring_set(struct monitoring *tool, uint32_t events);
/* Is the id still ours, with our events and callbacks on it? If it is not, what is ours is taken off it and the
   tool is lost. callback */
bool monitoring_holds(struct monitoring *tool);
/* The same for each tool of the calling thread's interpreter; `lost` tells. setup */
void monitoring_look(void);
/* Events off, callbacks off, the id free again. setup, callback */
void monitoring_release(struct monitoring *tool);
/* The calling thread's interpreter ends: forget its tools, call nothing. setup */
void monitoring_forget(void);
/* In a forked child: the other interpreters are gone, and their tools with them. setup */
void monitoring_after_fork(void);
/*
 * For a tool's CALL and C_RETURN, which end so: may what is called switch on events of the program's own? Then CALL
 * must not be answered with DISABLE, as that happens at the C_RETURN (monitoring_view.h says why). callback
 */
bool monitoring_call_begins(struct py_object *callable);
extern _Atomic uint32_t
	monitoring_waiting; /* calls that wait for their C_RETURN, in all interpreters */
struct py_object *monitoring_make_call(void);
/* What C_RETURN returns: None, or NULL where the call has raised. callback */
static inline struct py_object *monitoring_call_ends(void)
{
	return atomic_load_explicit(&monitoring_waiting, memory_order_relaxed) ?
		       monitoring_make_call() :
		       py._Py_NoneStruct;
}
/* sys.monitoring.DISABLE; NULL before the first claim. any */
struct py_object *monitoring_disable(void);

#endif
