/*
 * interpreters.h - which interpreters of this process may be walked and named.
 *
 * Code watchers are per interpreter, so each is met in an event of its own before its stacks count; what
 * it ran before is [unknown].
 */
#ifndef INTERPRETERS_H
#define INTERPRETERS_H

#include "prof.h"

/* Told from now on of each that is met, and of each that ends, in that interpreter; by its place in the gate. */
struct interpreters_hooks {
	void (*begun)(unsigned interpreter); /* callback */
	void (*ended)(unsigned interpreter); /* setup */
};
/* setup */
void interpreters_tell(const struct interpreters_hooks *hooks);
/* Set the calling thread's interpreter up, if it is not yet. NULL, or why its code cannot be named; its
   stacks then are [unknown] and counted. setup, callback */
errmsg interpreters_meet(void);
/* The calling thread's interpreter ends; false if it is the main one, which stays as it is. setup */
bool interpreters_forget(void);
/* The same, where nothing is measured any more: nobody asks it for anything. setup */
void interpreters_leave(void);
/* In the child of a fork CPython has deleted all others. setup */
void interpreters_after_fork(void);
/*
 * Have `call` called soon, in a thread that runs Python in this interpreter, between two instructions; once,
 * however often it is asked before that. False: it is not going to be, since there is none or its queue is
 * full. drainer
 */
bool interpreters_ask(unsigned interpreter, int (*call)(void *unused));
/* For that call, first of all: which one it was asked for in; RECORD_INTERPRETERS: it is not known any more.
   burst */
unsigned interpreters_answer(void);
/* Is there any but the main one? Two plain reads of the runtime. drainer */
bool interpreters_several(void);

#endif
