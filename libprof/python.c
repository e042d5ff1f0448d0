/*
 * python.c - the few calls into Python that set a session up, the names of threads, and what they start
 * with.
 *
 * A new thread's function is known to its creator alone, and may have returned before any sample:
 *
 *   pthread_create(argument) -> struct thread_call -> struct boot_state -> bound Thread._bootstrap
 *     -> run, or what run calls, _target -> through methods and partials -> function -> code
 *
 * The first argument of its kind is not believed before it has been read without faults and found to
 * belong to the current interpreter; only then the API is asked.
 */
#include "python.h"

#include "frames.h"
#include "log.h"
#include "os.h"
#include "record.h"
#include "symbol.h"

#include <string.h>

#define CODE_UNIT_BYTES 2 /* of an instruction and its argument */
#define WRAPPERS_MOST 8 /* around one function, as far as we follow them */

/* What CPython hands to pthread_create (Python/thread_pthread.h), and what that holds when _thread does it
   (Modules/_threadmodule.c, struct bootstate). Unchanged in 3.12 to 3.15. */
struct thread_call {
	uintptr_t function, argument;
};
struct boot_state {
	uintptr_t thread_state, function;
};

/* Leaf first. */
struct start {
	struct frame frames[THREAD_START_FRAMES];
	size_t depth;
};

static struct {
	void (*atexit)(void);
	void (*child)(void);
	/* CPython's start routine and what it calls for _thread, once proved by a thread that they began */
	_Atomic uintptr_t thread_routine, thread_function;
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
static struct py_object *booted(uintptr_t routine, uintptr_t argument, uintptr_t interpreter);
static struct py_object *prove(uintptr_t routine, uintptr_t argument, uintptr_t interpreter);
static void find_start(struct start *start, struct py_object *callable);
static struct py_object *thread_class(struct py_object *type);
static void find_run(struct start *start, struct py_object *class, struct py_object *thread);
static struct py_object *plain_method(struct py_object *object, const char *name);
static void put_function(struct start *start, struct py_object *callable);
static struct py_object *function_of(struct py_object *callable);
static struct py_object *wrapped_by(struct py_object *callable);
static struct py_object *of_module(const char *module, const char *name);
static struct py_object *type_of(struct py_object *object);
static struct py_object *class_attribute(struct py_object *type, const char *name);
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
	size_t size_bytes = count > 0 ? (size_t)count * sizeof(const char *) : 0;
	/* Not of the heap, which begins in our thread. */
	const char **texts = size_bytes ? os_pages_map(size_bytes) : NULL;

	for (intptr_t i = 0; texts && i < count; i++) {
		struct py_object *entry = py.PyList_GetItem(path, i);
		const char *text = entry ? py.PyUnicode_AsUTF8(entry) : NULL;

		if (text)
			texts[used++] = text;
		py.PyErr_Clear();
	}
	symbol_set_path(texts, (size_t)used, cwd);
	os_pages_unmap(texts, size_bytes);
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

/* ---- what a thread starts with ---- */

void python_tell_start(struct thread *thread, uintptr_t routine, const void *argument)
{
	struct py_object *callable, *raised;
	uintptr_t interpreter;
	struct start start = { .depth = 0 };

	if (!argument || !py._PyThreadState_GetCurrent())
		return;
	interpreter = (uintptr_t)py.PyInterpreterState_Get();
	callable = booted(routine, (uintptr_t)argument, interpreter);
	if (!callable)
		return;
	raised = py.PyErr_GetRaisedException();
	find_start(&start, callable);
	py.PyErr_Clear();
	py.PyErr_SetRaisedException(raised);
	record_start(thread, interpreter, start.frames, start.depth);
}

/* The function or method that a thread of CPython's is created for; borrowed. */
static struct py_object *booted(uintptr_t routine, uintptr_t argument, uintptr_t interpreter)
{
	const struct thread_call *call = (const struct thread_call *)argument;
	const struct boot_state *boot;
	struct py_object *callable;

	/* Fault-tolerant reads are slow; one routine and function always have one kind of argument. */
	if (routine != atomic_load_explicit(&python.thread_routine, memory_order_acquire))
		return prove(routine, argument, interpreter);
	if (call->function != atomic_load_explicit(&python.thread_function, memory_order_relaxed))
		return NULL;
	boot = (const struct boot_state *)call->argument;
	callable = (struct py_object *)boot->function;
	return type_of(callable) == py.PyMethod_Type || type_of(callable) == py.PyFunction_Type ?
		       callable :
		       NULL;
}

static struct py_object *prove(uintptr_t routine, uintptr_t argument, uintptr_t interpreter)
{
	const struct frames_layout *layout = frames_layout();
	struct thread_call call;
	struct boot_state boot;
	uintptr_t owner, type;

	if (!os_read(&call, argument, sizeof(call)) ||
	    !os_read(&boot, call.argument, sizeof(boot)) ||
	    !os_read(&owner, boot.thread_state + layout->tstate_interp, sizeof(owner)) ||
	    owner != interpreter ||
	    !os_read(&type, boot.function + layout->object_type, sizeof(type)) ||
	    (type != (uintptr_t)py.PyMethod_Type && type != (uintptr_t)py.PyFunction_Type))
		return NULL;
	atomic_store_explicit(&python.thread_function, call.function, memory_order_relaxed);
	/* Pairs with booted. */
	atomic_store_explicit(&python.thread_routine, routine, memory_order_release);
	return (struct py_object *)boot.function;
}

static void find_start(struct start *start, struct py_object *callable)
{
	bool is_method = type_of(callable) == py.PyMethod_Type;
	struct py_object *self = is_method ? py.PyMethod_Self(callable) : NULL;
	struct py_object *class = self ? thread_class(type_of(self)) : NULL;

	if (class && class_attribute(type_of(self), "_bootstrap") == py.PyMethod_Function(callable))
		find_run(start, class, self);
	put_function(start, callable);
	drop(class);
}

/* threading.Thread, if this type is one; new. */
static struct py_object *thread_class(struct py_object *type)
{
	struct py_object *class = of_module("threading", "Thread");

	if (!class || py.PyType_IsSubtype(type, class))
		return class;
	drop(class);
	return NULL;
}

/* Thread.run calls _target; what a subclass, or the object itself, has in its place is the start. */
static void find_run(struct start *start, struct py_object *class, struct py_object *thread)
{
	struct py_object *run = plain_method(thread, "run");
	struct py_object *target = NULL;

	if (function_of(run) == class_attribute(class, "run"))
		target = plain_attribute(thread, "_target");
	put_function(start, target);
	put_function(start, run);
	put_function(start, class_attribute(type_of(thread), "_bootstrap_inner"));
	drop(target);
	drop(run);
}

/* object.name, where its class has a Python function of that name: nothing else can come to word. New. */
static struct py_object *plain_method(struct py_object *object, const char *name)
{
	struct py_object *key = py.PyUnicode_InternFromString(name);
	struct py_object *function = key ? py._PyType_Lookup(type_of(object), key) : NULL;
	bool is_plain = function && type_of(function) == py.PyFunction_Type;
	struct py_object *method = is_plain ? py.PyObject_GenericGetAttr(object, key) : NULL;

	drop(key);
	return method;
}

static void put_function(struct start *start, struct py_object *callable)
{
	const struct frames_layout *layout = frames_layout();
	struct py_object *function = function_of(callable);
	struct frame *frame = &start->frames[start->depth];
	int32_t first_traceable;

	if (!function || start->depth == THREAD_START_FRAMES)
		return;
	frame->code = (uintptr_t)py.PyFunction_GetCode(function);
	/* What stands before it makes cells and generators, and has no line. */
	memcpy(&first_traceable, (char *)frame->code + layout->code_firsttraceable,
	       sizeof(first_traceable));
	frame->instruction = frame->code + layout->code_instructions +
			     (uintptr_t)first_traceable * CODE_UNIT_BYTES;
	start->depth++;
}

/* The Python function that runs first when this is called; borrowed, NULL where it is none. */
static struct py_object *function_of(struct py_object *callable)
{
	for (unsigned i = 0; callable && i < WRAPPERS_MOST; i++) {
		if (type_of(callable) == py.PyFunction_Type)
			return callable;
		callable = wrapped_by(callable);
	}
	return NULL;
}

static struct py_object *wrapped_by(struct py_object *callable)
{
	struct py_object *type = type_of(callable), *partial, *wrapped;

	if (type == py.PyMethod_Type)
		return py.PyMethod_Function(callable);
	/* The one of C alone: its `func` is a member, never Python code. */
	partial = of_module("_functools", "partial");
	drop(partial);
	if (type != partial) {
		wrapped = class_attribute(type, "__call__");
		return wrapped && type_of(wrapped) == py.PyFunction_Type ? wrapped : NULL;
	}
	wrapped = py.PyObject_GetAttrString(callable, "func");
	drop(wrapped); /* the partial has it */
	return wrapped;
}

/* What a module that is imported already has under this name; new. */
static struct py_object *of_module(const char *module, const char *name)
{
	struct py_object *modules = py.PySys_GetObject("modules");
	struct py_object *owner = modules ? py.PyDict_GetItemString(modules, module) : NULL;

	return owner ? plain_attribute(owner, name) : NULL;
}

static struct py_object *type_of(struct py_object *object)
{
	return *(struct py_object **)((char *)object + frames_layout()->object_type);
}

/* As the class says it, whatever the object says; borrowed. */
static struct py_object *class_attribute(struct py_object *type, const char *name)
{
	struct py_object *key = py.PyUnicode_InternFromString(name);
	struct py_object *value = key ? py._PyType_Lookup(type, key) : NULL;

	drop(key);
	return value;
}

/* Of the object's own dict: what a class says of the name could be Python code. New reference, or NULL
   without an exception. */
static struct py_object *plain_attribute(struct py_object *object, const char *name)
{
	struct py_object *key = py.PyUnicode_InternFromString(name);
	bool is_plain = key && !py._PyType_Lookup(type_of(object), key);
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
