/*
 * callee.h - what a C call calls: a callable object -> a small id -> the name that a Python programmer
 * would write.
 *
 *   callback    callee_key: a few loads; the same for all calls of one function
 *               callee_find: once for each key that is new to its caller
 *   drainer     callee_name: by id
 *
 * A table of our own memory, only ever added to, bounded.  No reference is kept; what a row says was
 * copied while the callable lived, and a key holds enough of it that an address that is used again is
 * another key.
 */
#ifndef CALLEE_H
#define CALLEE_H

#include "prof.h"
#include "pyapi.h"

/* Ids are from 1 to this. */
#define CALLEE_MAX 65535

/* Prove on the running interpreter what we take its functions to look like in memory; needs frames_check.
   NULL, or one sentence: all functions of C are then one, called "[C]". setup */
errmsg callee_start(void);

/*
 * Which function this call calls; 0: none of C's (a Python function, or a bound method of one), which its
 * own events show. `self` is CALL's first argument, or sys.monitoring.MISSING, as the event has it.
 * callback
 */
uint64_t callee_key(struct py_object *callable, struct py_object *self);
/* Its id; 0: the table is full (callers count that), or there is no memory for one. callback */
uint32_t callee_find(uint64_t key, struct py_object *callable, struct py_object *self);

struct callee {
	const char *module; /* "builtins", "numpy", "zlib"; "" for none */
	const char *name; /* "sorted", "list.append", "ndarray.dot"; end with NUL, UTF-8 */
	uintptr_t function; /* where its machine code begins; 0: not known */
};
/* What an id stands for; false: no such id. any */
bool callee_name(uint32_t id, struct callee *callee);

#endif
