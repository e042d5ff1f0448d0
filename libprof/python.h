/*
 * python.h - what we ask of Python under the GIL, and nothing of it runs Python code of the program's.
 *
 * Every function keeps a pending exception, and leaves none.
 */
#ifndef PYTHON_H
#define PYTHON_H

#include "prof.h"
#include "pyapi.h"
#include "thread.h"

/* Have `atexit` called at the interpreter's end (before those that the program registers), and `child`
   in a child of os.fork. It imports, so collectors' events come after it. setup */
errmsg python_register(void (*atexit)(void), void (*child)(void));
/* Give sys.path to symbol. cwd: absolute. setup */
void python_read_path(const char *cwd);
/* Write the names of Python threads that have none yet into their struct thread. callback */
void python_name_threads(void);
/* Record which Python function a thread about to be created with this start routine and argument will run, if
   the caller runs Python and CPython creates the thread for it. birth, callback */
void python_tell_start(struct thread *thread, uintptr_t routine, const void *argument);

#endif
