/*
 * audit.h - our entry in CPython's list of audit hooks, linked only while it is needed.
 *
 * Any hook, even an empty one, makes every audited operation build its arguments.  And CPython frees the
 * entries at its end with another allocator than the one it took them from when PYTHONMALLOC=debug or -X
 * dev set in between, which aborts.  So the entry is taken out of the list as soon as the session
 * runs, put in again for the end, and never given to CPython to free.
 */
#ifndef AUDIT_H
#define AUDIT_H

#include "prof.h"
#include "pyapi.h"

/* Add the hook, and find where its entry is linked. setup; also before CPython is initialised */
errmsg audit_add(pyapi_audit_hook *hook);
/* Take the entry out of the list, put it in again (at its head). Harmless twice. setup, callback */
void audit_unlink(void);
void audit_link(void);

#endif
