/*
 * test_python.c - what is registered with Python, its path, and the names of threads.
 */
#include "objects.h"

#include "python.h"
#include "symbol.h"

#include <stdarg.h>

static struct py_object path_list;
static char calls[256]; /* what was called, in order */
static struct py_method_def *methods[4];
static unsigned method_count;
static bool atexit_is_missing, call_raises, module_is_there;
static char deleted[64], handed_path[256];
static unsigned atexits, children;

/* Nobody but the leak check reads it. */
static struct py_object *held[8] __attribute__((used));
static unsigned held_count;

/* The dict of threads. */
static struct py_object threads[3];
static unsigned thread_count;

static struct py_object *new_function(struct py_method_def *method, struct py_object *bound,
				      struct py_object *module)
{
	(void)bound;
	(void)module;
	methods[method_count++] = method;
	return fresh(method->name);
}

/* The interpreter holds its builtin modules to its end. */
static struct py_object *import_module(const char *name)
{
	cr_assert_lt(held_count, sizeof(held) / sizeof(held[0]));
	return held[held_count++] = fresh(name);
}

static struct py_object *get_module(struct py_object *name)
{
	return module_is_there ? import_module(name->text) : NULL;
}

static struct py_object *get_system(const char *name)
{
	return strcmp(name, "path") == 0 ? &path_list : &none;
}

static struct py_object *get_attribute(struct py_object *object, const char *name)
{
	char text[160];

	if (atexit_is_missing && strcmp(object->text, "atexit") == 0)
		return fail();
	snprintf(text, sizeof(text), "%s.%s", object->text, name);
	return fresh(text);
}

static struct py_object *new_tuple(intptr_t size)
{
	(void)size;
	return fresh("");
}

static struct py_object *new_dict(void)
{
	return fresh("");
}

static int set_item(struct py_object *dict, const char *key, struct py_object *value)
{
	snprintf(dict->text, sizeof(dict->text), "%s=%.30s", key, value->text);
	return 0;
}

static int delete_item(struct py_object *dict, const char *key)
{
	(void)dict;
	strcat(strcat(deleted, key), ";");
	return 0;
}

static struct py_object *called(const char *function, const char *argument)
{
	size_t used = strlen(calls);

	if (call_raises)
		return fail();
	snprintf(calls + used, sizeof(calls) - used, "%s(%s);", function, argument);
	return fresh("");
}

static struct py_object *call(struct py_object *function, struct py_object *tuple,
			      struct py_object *dict)
{
	(void)tuple;
	return called(function->text, dict->text);
}

static struct py_object *call_objects(struct py_object *function, ...)
{
	struct py_object *argument;
	va_list arguments;

	va_start(arguments, function);
	argument = va_arg(arguments, struct py_object *);
	va_end(arguments);
	return called(function->text, argument->text);
}

static intptr_t list_size(struct py_object *list)
{
	return list->number;
}

static struct py_object *list_item(struct py_object *list, intptr_t index)
{
	static struct py_object items[3] = {
		{ .text = "/a" },
		{ .number = -1 },
		{ .text = "b" },
	};

	(void)list;
	return &items[index];
}

/* Number -1: no text. */
static const char *as_text(struct py_object *object)
{
	if (object->number != -1)
		return object->text;
	fail();
	return NULL;
}

static long as_number(struct py_object *object)
{
	return object->number;
}

static struct py_object *generic_attribute(struct py_object *object, struct py_object *name)
{
	struct py_object *value;

	if (strcmp(name->text, "_active") == 0)
		return fresh("active");
	if (object->number == 0)
		return fail();
	value = fresh(strcmp(name->text, "_name") == 0 ? object->text : "id");
	value->number = object->number;
	return value;
}

static int next_of_dict(struct py_object *dict, intptr_t *at, struct py_object **key,
			struct py_object **value)
{
	cr_assert_str_eq(dict->text, "active");
	if ((unsigned)*at >= thread_count)
		return 0;
	*key = &none;
	*value = &threads[(*at)++];
	return 1;
}

void __wrap_symbol_set_path(const char *const *paths, size_t count, const char *cwd);
void __wrap_symbol_set_path(const char *const *paths, size_t count, const char *cwd)
{
	snprintf(handed_path, sizeof(handed_path), "%s", cwd);
	for (size_t i = 0; i < count; i++)
		strcat(strcat(handed_path, ":"), paths[i]);
}

static void ending(struct thread *thread)
{
	(void)thread;
}

static void set_up(void)
{
	struct frames_layout layout = { .object_type = offsetof(struct py_object, type) };

	frames_layout_set(&layout);
	objects_begin();
	py.PyCFunction_NewEx = new_function;
	py.PyImport_GetModule = get_module;
	py.PyImport_ImportModule = import_module;
	py.PySys_GetObject = get_system;
	py.PyObject_GetAttrString = get_attribute;
	py.PyObject_GenericGetAttr = generic_attribute;
	py.PyObject_Call = call;
	py.PyObject_CallFunctionObjArgs = call_objects;
	py.PyTuple_New = new_tuple;
	py.PyDict_New = new_dict;
	py.PyDict_SetItemString = set_item;
	py.PyDict_DelItemString = delete_item;
	py.PyDict_Next = next_of_dict;
	py.PyList_Size = list_size;
	py.PyList_GetItem = list_item;
	py.PyUnicode_AsUTF8 = as_text;
	py.PyLong_AsLong = as_number;
	py._Py_NoneStruct = &none;
	cr_assert_null(threads_start(4096, ending));
}

TestSuite(python, .init = set_up);

static void at_exit(void)
{
	atexits++;
}

static void in_child(void)
{
	children++;
}

Test(python, both_ends_are_registered)
{
	cr_assert_null(python_register(at_exit, in_child));
	cr_assert_str_eq(calls, "atexit.register(monprof_atexit);"
				"posix.register_at_fork(after_in_child=monprof_child);");
	cr_assert_eq(method_count, 2);
	cr_assert_eq(methods[0]->call(NULL, NULL), &none);
	cr_assert_eq(atexits, 1);
	cr_assert_eq(children, 0);
	cr_assert_eq(methods[1]->call(NULL, NULL), &none);
	cr_assert_eq(children, 1);
	cr_assert_eq(methods[0]->flags, PYAPI_METH_NOARGS);
	cr_assert_eq(alive, 2, "the two modules, for ever");
}

Test(python, modules_that_nobody_had_imported_are_not_seen)
{
	cr_assert_null(python_register(at_exit, in_child));
	cr_assert_str_eq(deleted, "atexit;posix;");
}

Test(python, modules_that_were_there_stay)
{
	module_is_there = true;
	cr_assert_null(python_register(at_exit, in_child));
	cr_assert_str_eq(deleted, "");
}

Test(python, what_cannot_be_registered_is_said)
{
	atexit_is_missing = true;
	cr_assert_not_null(python_register(at_exit, in_child));
	atexit_is_missing = false;
	call_raises = true;
	cr_assert_not_null(python_register(at_exit, in_child));
	cr_assert_null(raised);
}

static void python_thread(unsigned i, long tid, const char *name)
{
	threads[i].references = 1;
	threads[i].number = tid;
	snprintf(threads[i].text, sizeof(threads[i].text), "%s", name);
	thread_count = i + 1;
}

Test(python, a_pending_exception_is_kept)
{
	struct py_object theirs = { .references = 1 };

	raised = &theirs;
	python_register(at_exit, in_child);
	cr_assert_eq(raised, &theirs);
	call_raises = true;
	python_register(at_exit, in_child);
	cr_assert_eq(raised, &theirs);
	path_list.number = 3;
	python_read_path("/cwd");
	cr_assert_eq(raised, &theirs);
	module_is_there = true;
	python_thread(0, 0, "has no attributes");
	python_name_threads();
	cr_assert_eq(raised, &theirs);
}

Test(python, the_path_is_handed_on_without_what_is_no_text)
{
	path_list.number = 3;
	python_read_path("/cwd");
	cr_assert_str_eq(handed_path, "/cwd:/a:b");
	cr_assert_null(raised);
	path_list.number = 0;
	python_read_path("/other");
	cr_assert_str_eq(handed_path, "/other");
}

Test(python, threads_get_their_names_once)
{
	struct thread *first = thread_adopt(100), *second = thread_adopt(200);

	module_is_there = true;
	python_thread(0, 0, "has no attributes");
	python_thread(1, 200, "Thread-1 (f)");
	python_name_threads();
	cr_assert_not(atomic_load(&first->python_name_known));
	cr_assert(atomic_load(&second->python_name_known));
	cr_assert_str_eq(second->python_name, "Thread-1 (f)");
	cr_assert_null(raised);
	cr_assert_eq(alive, 0);
	python_thread(1, 200, "renamed");
	python_thread(2, 100, "MainThread");
	python_name_threads();
	cr_assert_str_eq(first->python_name, "MainThread");
	cr_assert_str_eq(second->python_name, "Thread-1 (f)");
}

Test(python, without_threading_nothing_is_named)
{
	struct thread *thread = thread_adopt(100);

	python_thread(0, 100, "MainThread");
	python_name_threads();
	cr_assert_not(atomic_load(&thread->python_name_known));
	cr_assert_eq(alive, 0);
}

/* A property could run the program's code. */
Test(python, a_name_that_the_class_makes_is_not_asked_for)
{
	struct thread *thread = thread_adopt(100);

	module_is_there = true;
	python_thread(0, 100, "MainThread");
	threads[0].type = "_name";
	python_name_threads();
	cr_assert_not(atomic_load(&thread->python_name_known));
	cr_assert_eq(alive, 0);
	threads[0].type = NULL;
	python_name_threads();
	cr_assert(atomic_load(&thread->python_name_known));
}
