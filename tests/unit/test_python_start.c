/*
 * test_python_start.c - what a thread about to be created starts with, from memory made by hand.
 */
#include "objects.h"

#include "os.h"
#include "python.h"
#include "record.h"

#define FIRST_TRACEABLE 3

static struct py_object method_type = { .text = "method" }, function_type = { .text = "function" };
static struct py_object partial_type = { .text = "partial" }, module_type, class_type;
static struct py_object modules, threading = { .type = (char *)&module_type },
				 functools = { .type = (char *)&module_type };
static struct py_object thread_type = { .type = (char *)&class_type };
static struct py_object worker_type = { .type = (char *)&class_type };
static struct py_object other_type = { .type = (char *)&class_type };
static bool runs_python = true;
static char told[128]; /* the functions, leaf first */

/* Functions are their own code objects. */
#define FUNCTION(name)                                                   \
	static struct py_object name = { .type = (char *)&function_type, \
					 .references = 1,                \
					 .text = #name,                  \
					 .number = FIRST_TRACEABLE }
FUNCTION(bootstrap);
FUNCTION(inner);
FUNCTION(run);
FUNCTION(own_run);
FUNCTION(target);

static struct py_object thread_object = { .type = (char *)&thread_type, .references = 1 };
static struct py_object begun = { .type = (char *)&method_type, .references = 1 };
static struct py_object *interpreter_of_state[1];

/* As CPython hands them to pthread_create. */
static struct {
	uintptr_t state, function;
} boot;
static struct {
	uintptr_t function, argument;
} call_of_thread;

void __wrap_record_start(struct thread *thread, uintptr_t interpreter, const struct frame *frames,
			 size_t depth);
void __wrap_record_start(struct thread *thread, uintptr_t interpreter, const struct frame *frames,
			 size_t depth)
{
	(void)thread;
	cr_assert_eq(interpreter, (uintptr_t)&none);
	told[0] = 0;
	for (size_t i = 0; i < depth; i++) {
		strcat(strcat(told, ((struct py_object *)frames[i].code)->text), ";");
		cr_assert_eq(frames[i].instruction - frames[i].code,
			     sizeof(struct py_object) + 2 * FIRST_TRACEABLE);
	}
}

static struct py_thread_state *current_state(void)
{
	return runs_python ? (struct py_thread_state *)interpreter_of_state : NULL;
}

static struct py_interpreter *current_interpreter(void)
{
	return (struct py_interpreter *)&none;
}

static struct py_object *of_method(struct py_object *method)
{
	return attribute(method, "__func__");
}

static struct py_object *self_of_method(struct py_object *method)
{
	return attribute(method, "__self__");
}

static struct py_object *code_of(struct py_object *function)
{
	return function;
}

static struct py_object *system_modules(const char *name)
{
	cr_assert_str_eq(name, "modules");
	return &modules;
}

static int is_subtype(struct py_object *type, struct py_object *of)
{
	return type == of || type == &worker_type;
}

static struct py_object *plain_get(struct py_object *object, const char *name)
{
	struct py_object *value = attribute(object, name);

	if (!value)
		return fail();
	take_reference(value);
	return value;
}

static void set_up(void)
{
	struct frames_layout layout = {
		.object_type = offsetof(struct py_object, type),
		.code_firsttraceable = offsetof(struct py_object, number),
		.code_instructions = sizeof(struct py_object),
	};

	frames_layout_set(&layout);
	objects_begin();
	py.PyObject_GenericGetAttr = get_attribute_of;
	py._PyThreadState_GetCurrent = current_state;
	py.PyInterpreterState_Get = current_interpreter;
	py.PyMethod_Function = of_method;
	py.PyMethod_Self = self_of_method;
	py.PyFunction_GetCode = code_of;
	py.PyMethod_Type = &method_type;
	py.PyFunction_Type = &function_type;
	py.PySys_GetObject = system_modules;
	py.PyDict_GetItemString = attribute;
	py.PyType_IsSubtype = is_subtype;
	py.PyObject_GetAttrString = plain_get;
	has(&modules, "threading", &threading);
	has(&modules, "_functools", &functools);
	has(&threading, "Thread", &thread_type);
	has(&functools, "partial", &partial_type);
	has(&thread_type, "_bootstrap", &bootstrap);
	has(&thread_type, "_bootstrap_inner", &inner);
	has(&thread_type, "run", &run);
	has(&worker_type, "_bootstrap", &bootstrap);
	has(&worker_type, "_bootstrap_inner", &inner);
	has(&worker_type, "run", &run);
	has(&begun, "__func__", &bootstrap);
	has(&begun, "__self__", &thread_object);
	has(&thread_object, "_target", &target);
	thread_type.references = partial_type.references = 1;
	interpreter_of_state[0] = &none;
	boot.state = (uintptr_t)interpreter_of_state;
	boot.function = (uintptr_t)&begun;
	call_of_thread.function = 1;
	call_of_thread.argument = (uintptr_t)&boot;
	raised = &pending;
}

TestSuite(python_start, .init = set_up);

static void check_told(const char *wanted)
{
	strcpy(told, "nothing");
	python_tell_start(NULL, 7, &call_of_thread);
	cr_assert_str_eq(told, wanted);
	cr_assert_eq(raised, &pending, "a pending exception is kept");
	cr_assert_eq(alive, 0);
}

Test(python_start, the_target_and_what_threading_calls_it_from)
{
	check_told("target;run;inner;bootstrap;");
	check_told("target;run;inner;bootstrap;");
}

Test(python_start, what_a_subclass_runs)
{
	thread_object.type = (char *)&worker_type;
	check_told("target;run;inner;bootstrap;");
	has(&worker_type, "run", &own_run);
	check_told("own_run;inner;bootstrap;");
}

Test(python_start, what_the_object_itself_runs)
{
	has(&thread_object, "run", &own_run);
	check_told("own_run;inner;bootstrap;");
}

/* A property could run the program's code. */
Test(python_start, a_target_that_the_class_makes_is_not_asked_for)
{
	has(&thread_type, "_target", &none);
	check_told("run;inner;bootstrap;");
}

Test(python_start, a_run_that_is_no_function_is_not_asked_for)
{
	thread_object.type = (char *)&worker_type;
	has(&worker_type, "run", &none);
	check_told("inner;bootstrap;");
}

Test(python_start, a_target_is_found_in_what_wraps_it)
{
	struct py_object inside = { .type = (char *)&method_type, .references = 1 };
	struct py_object partial = { .type = (char *)&partial_type, .references = 1 };
	struct py_object object = { .type = (char *)&other_type, .references = 1 };

	has(&inside, "__func__", &target);
	has(&partial, "func", &inside);
	has(&thread_object, "_target", &partial);
	check_told("target;run;inner;bootstrap;");
	has(&partial, "func", &partial);
	check_told("run;inner;bootstrap;");
	has(&thread_object, "_target", &object);
	check_told("run;inner;bootstrap;");
	has(&other_type, "__call__", &target);
	check_told("target;run;inner;bootstrap;");
}

Test(python_start, a_function_without_threading)
{
	boot.function = (uintptr_t)&target;
	check_told("target;");
	has(&modules, "threading", NULL);
	boot.function = (uintptr_t)&begun;
	check_told("bootstrap;");
}

Test(python_start, what_is_not_of_this_interpreter_is_not_believed)
{
	interpreter_of_state[0] = &pending;
	check_told("nothing");
	interpreter_of_state[0] = &none;
	boot.function = (uintptr_t)&thread_object;
	check_told("nothing");
	boot.function = 8;
	check_told("nothing");
	boot.state = UINTPTR_MAX - 3;
	check_told("nothing");
	call_of_thread.argument = 0;
	check_told("nothing");
	python_tell_start(NULL, 7, NULL);
	python_tell_start(NULL, 7, (void *)1);
	cr_assert_str_eq(told, "nothing");
}

Test(python_start, another_function_of_a_known_routine_is_not_looked_into)
{
	check_told("target;run;inner;bootstrap;");
	call_of_thread.function = 2;
	call_of_thread.argument = 8;
	check_told("nothing");
	call_of_thread.function = 1;
	call_of_thread.argument = (uintptr_t)&boot;
	boot.function = (uintptr_t)&thread_object;
	check_told("nothing");
}

Test(python_start, who_does_not_run_python_is_not_asked)
{
	runs_python = false;
	check_told("nothing");
}
