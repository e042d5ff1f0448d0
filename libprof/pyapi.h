/*
 * pyapi.h - every CPython symbol that we use: a row each in pyapi.def, found once by dlsym.
 *
 * Python.h is never included and no Python symbol is ever linked, so one library serves every
 * version, and programs that are not Python.  Callers write py.PySys_AddAuditHook(...).  Objects
 * are opaque; the few structures declared here are part of CPython's stable ABI (PEP 384).
 */
#ifndef PYAPI_H
#define PYAPI_H

#include "prof.h"

#define PYAPI_OLDEST 0x030c0000u /* 3.12 */

struct py_object;
struct py_interpreter;
struct py_thread_state;

/* C audit hook (PEP 578): < 0 with an exception set aborts the caller; ours return 0. */
typedef int pyapi_audit_hook(const char *event, struct py_object *arguments, void *data);

enum pyapi_code_event { PYAPI_CODE_CREATE, PYAPI_CODE_DESTROY };
typedef int pyapi_code_watcher(enum pyapi_code_event event, struct py_object *code);

typedef struct py_object *pyapi_call(struct py_object *self, struct py_object *argument);

/* PyMethodDef */
struct py_method_def {
	const char *name;
	pyapi_call *call; /* cast, where the flags say that it is another */
	int flags; /* enum pyapi_method */
	const char *help;
};
enum pyapi_method {
	PYAPI_METH_VARARGS = 0x0001, /* argument is a tuple */
	PYAPI_METH_NOARGS = 0x0004, /* argument is NULL */
	PYAPI_METH_O = 0x0008, /* argument is the one argument */
	PYAPI_METH_FASTCALL =
		0x0080, /* (self, struct py_object *const *arguments, intptr_t count) */
};

/* What Py_CompileStringObject starts with: Py_file_input, Py_eval_input. */
enum pyapi_start { PYAPI_FILE_INPUT = 257, PYAPI_EVAL_INPUT = 258 };

struct pyapi {
#define PYAPI(result, name, arguments) result(*name) arguments;
#define PYAPI_MAYBE PYAPI
#define PYDATA(type, name) type *name;
#include "pyapi.def"
#undef PYAPI
#undef PYAPI_MAYBE
#undef PYDATA
};

/* All NULL until pyapi_load has succeeded. Read-only for everyone else. */
extern struct pyapi py;

/*
 * Find every row in `handle` (RTLD_DEFAULT, or a libpython that was dlopened). NULL, or one
 * sentence: an older CPython than 3.12, or a symbol that is not there; `py` is then all NULL. Needs
 * no initialised interpreter. setup
 */
errmsg pyapi_load(void *handle);
/* pyapi_load has succeeded. any */
bool pyapi_loaded(void);
/* PY_VERSION_HEX of the running CPython, known even if pyapi_load refused it (3.11); 0: unknown.
   any */
uint32_t pyapi_version(void);

#endif
