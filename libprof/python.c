/*
 * python.c - the few calls into Python that set a session up, and the names of threads.
 */
#include "python.h"

#include "frames.h"
#include "heap.h"
#include "log.h"
#include "symbol.h"
#include "thread.h"

#include <string.h>

static struct {
	void (*atexit)(void);
	void (*child)(void);
} python;

static struct py_object *call_atexit(struct py_object *self, struct py_object *unused);
static struct py_object *call_child(struct py_object *self, struct py_object *unused);
static bool register_atexit(void);
static bool register_child(void);
static bool call_with(const char *module, const char *function, const char *keyword,
		      struct py_object *argument);
static struct py_object *import_unseen(const char *name);
static struct py_object *active_threads(void);
static void name_thread(struct py_object *object);
static struct py_object *plain_attribute(struct py_object *object, const char *name);
static void drop(struct py_object *object);

errmsg python_register(void (*atexit)(void), void (*child)(void))
{
	struct py_object *raised = py.PyErr_GetRaisedException();
	bool done;

	python.atexit = atexit;
	python.child = child;
	done = register_atexit() && register_child();
	py.PyErr_Clear();
	py.PyErr_SetRaisedException(raised);
	return done ? NULL :
		      "Python's atexit or os.register_at_fork is not to be had: not profiled";
}

static struct py_object *call_atexit(struct py_object *self, struct py_object *unused)
{
	(void)self;
	(void)unused;
	python.atexit();
	return py._Py_NoneStruct; /* immortal since 3.12, PEP 683 */
}

static struct py_object *call_child(struct py_object *self, struct py_object *unused)
{
	(void)self;
	(void)unused;
	python.child();
	return py._Py_NoneStruct;
}

static bool register_atexit(void)
{
	static struct py_method_def method = { "monprof_atexit", call_atexit, PYAPI_METH_NOARGS,
					       NULL };
	struct py_object *callback = py.PyCFunction_NewEx(&method, NULL, NULL);
	bool done = callback && call_with("atexit", "register", NULL, callback);

	drop(callback);
	return done;
}

static bool register_child(void)
{
	static struct py_method_def method = { "monprof_child", call_child, PYAPI_METH_NOARGS,
					       NULL };
	struct py_object *callback = py.PyCFunction_NewEx(&method, NULL, NULL);
	/* posix, not os: it is built in, and is there under -S too. */
	bool done = callback && call_with("posix", "register_at_fork", "after_in_child", callback);

	drop(callback);
	return done;
}

/* module.function(argument), or module.function(keyword=argument). */
static bool call_with(const char *module, const char *function, const char *keyword,
		      struct py_object *argument)
{
	struct py_object *owner = import_unseen(module);
	struct py_object *callable = owner ? py.PyObject_GetAttrString(owner, function) : NULL;
	struct py_object *arguments = py.PyTuple_New(0), *named = py.PyDict_New(), *result = NULL;

	if (callable && arguments && named && keyword &&
	    py.PyDict_SetItemString(named, keyword, argument) == 0)
		result = py.PyObject_Call(callable, arguments, named);
	else if (callable && !keyword)
		result = py.PyObject_CallFunctionObjArgs(callable, argument, NULL);
	drop(callable);
	drop(arguments);
	drop(named);
	drop(result);
	return result != NULL;
}

/*
 * A builtin module, for ever ours; sys.modules does not show it if it did not before. Its state lies in
 * the interpreter, so the program's own import of it later is as good as a first one.
 */
static struct py_object *import_unseen(const char *name)
{
	struct py_object *key = py.PyUnicode_FromString(name);
	struct py_object *before = key ? py.PyImport_GetModule(key) : NULL;
	struct py_object *module = before ? before : py.PyImport_ImportModule(name);
	struct py_object *modules = py.PySys_GetObject("modules");

	if (!before && module && modules)
		py.PyDict_DelItemString(modules, name);
	py.PyErr_Clear();
	drop(key);
	return module;
}

void python_read_path(const char *cwd)
{
	struct py_object *raised = py.PyErr_GetRaisedException();
	struct py_object *path = py.PySys_GetObject("path");
	intptr_t count = path ? py.PyList_Size(path) : 0, used = 0;
	const char **texts = count > 0 ? heap_alloc((size_t)count * sizeof(*texts)) : NULL;

	for (intptr_t i = 0; texts && i < count; i++) {
		struct py_object *entry = py.PyList_GetItem(path, i);
		const char *text = entry ? py.PyUnicode_AsUTF8(entry) : NULL;

		if (text)
			texts[used++] = text;
		py.PyErr_Clear();
	}
	symbol_set_path(texts, (size_t)used, cwd);
	heap_free(texts);
	py.PyErr_Clear();
	py.PyErr_SetRaisedException(raised);
}

/*
 * threading._active is a dict of Thread objects, in every version; their _native_id and _name are plain
 * attributes, read past any __getattribute__ of a subclass. Where a program put something else in
 * their place, the kernel's names stay.
 */
void python_name_threads(void)
{
	struct py_object *raised = py.PyErr_GetRaisedException();
	struct py_object *active = active_threads();
	intptr_t at = 0;
	struct py_object *key, *object;

	while (active && py.PyDict_Next(active, &at, &key, &object)) {
		py.Py_IncRef(object);
		name_thread(object);
		py.Py_DecRef(object);
	}
	drop(active);
	py.PyErr_Clear();
	py.PyErr_SetRaisedException(raised);
}

static struct py_object *active_threads(void)
{
	struct py_object *name = py.PyUnicode_FromString("threading");
	struct py_object *module = name ? py.PyImport_GetModule(name) : NULL;
	struct py_object *active = module ? plain_attribute(module, "_active") : NULL;

	drop(module);
	drop(name);
	return active;
}

static void name_thread(struct py_object *object)
{
	struct py_object *ident = plain_attribute(object, "_native_id");
	struct py_object *name = plain_attribute(object, "_name");
	const char *text = name ? py.PyUnicode_AsUTF8(name) : NULL;
	long tid = ident ? py.PyLong_AsLong(ident) : -1;

	for (struct thread *thread = thread_next(NULL); text && thread;
	     thread = thread_next(thread)) {
		if (atomic_load(&thread->tid) != tid || atomic_load(&thread->python_name_known))
			continue;
		log_format(thread->python_name, sizeof(thread->python_name), "%s", text);
		/* Pairs with task_name. */
		atomic_store_explicit(&thread->python_name_known, true, memory_order_release);
	}
	py.PyErr_Clear();
	drop(ident);
	drop(name);
}

/* Of the object's own dict: what a class says of the name could be Python code. New reference, or NULL
   without an exception. */
static struct py_object *plain_attribute(struct py_object *object, const char *name)
{
	struct py_object *key = py.PyUnicode_FromString(name);
	struct py_object *type =
		*(struct py_object **)((char *)object + frames_layout()->object_type);
	bool is_plain = key && !py._PyType_Lookup(type, key);
	struct py_object *value = is_plain ? py.PyObject_GenericGetAttr(object, key) : NULL;

	drop(key);
	if (!value)
		py.PyErr_Clear();
	return value;
}

static void drop(struct py_object *object)
{
	if (object)
		py.Py_DecRef(object);
}
