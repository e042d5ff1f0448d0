/*
 * interpreters.h - which interpreters of this process may be walked and named.
 *
 * Code watchers are per interpreter, so each is met in an event of its own before its stacks count; what
 * it ran before is [unknown].
 */
#ifndef INTERPRETERS_H
#define INTERPRETERS_H

#include "prof.h"

/* Set the calling thread's interpreter up, if it is not yet. NULL, or why its code cannot be named; its
   stacks then are [unknown] and counted. setup, callback */
errmsg interpreters_meet(void);
/* The calling thread's interpreter ends; false if it is the main one, which stays as it is. setup */
bool interpreters_forget(void);
/* In the child of a fork CPython has deleted all others. setup */
void interpreters_after_fork(void);
/* Is there any but the main one? Two plain reads of the runtime. drainer */
bool interpreters_several(void);

#endif
