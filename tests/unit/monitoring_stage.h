/*
 * monitoring_stage.h - sys.monitoring made by hand: who has an id, which callbacks it has, which
 * events are on; before 3.14 freeing an id frees the name alone.  Objects are counted references
 * with a text.
 */
#ifndef MONITORING_STAGE_H
#define MONITORING_STAGE_H

#include "monitoring.h"

#include "frames.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDS 6
#define BITS 20
#define UNKNOWN_EVENT 19
#define OTHERS 9
#define OF_SYS 8

struct py_object {
	long references;
	struct py_object *type;
	monitoring_call *call; /* of a callback: the words behind the type */
	struct monitoring *tool;
	long number;
	char text[32];
	struct py_object *next, **link; /* of all: what a fork leaves behind is no leak */
};

/* The numbers are not CPython's: they have to be read. */
static const struct {
	const char *name;
	long bits;
} numbers[] = {
	{ "PY_START", 1 << 17 }, { "PY_RESUME", 1 << 3 }, { "PY_THROW", 1 << 5 },
	{ "PY_RETURN", 1 << 1 }, { "PY_YIELD", 1 << 0 },  { "PY_UNWIND", 1 << 9 },
	{ "CALL", 1 << 12 },	 { "C_RETURN", 1 << 13 }, { "C_RAISE", 1 << 14 },
};

struct py_interpreter {
	struct py_object *names[IDS], *callbacks[IDS][BITS];
	uint32_t events[IDS];
	struct py_object *attribute; /* sys.monitoring.use_tool_id */
	struct py_object *others[OTHERS]; /* in the places of the other originals, or NULL */
	struct py_object *profile; /* the function of sys.setprofile, or NULL */
};

/* Of sys from OF_SYS on. */
static const char *const other_names[OTHERS] = {
	"free_tool_id",	    "get_tool",		"register_callback", "get_events", "set_events",
	"get_local_events", "set_local_events", "_all_events",	     "setprofile",
};

static struct py_interpreter main_interpreter, *current = &main_interpreter;
/* Static ones are never freed. */
static struct py_object none = { .references = 1 }, pending = { .references = 1 },
			monitoring = { .references = 1 }, events = { .references = 1 },
			disable = { .references = 1 }, callback_type = { .references = 1 },
			sys = { .references = 1 }, text_type, int_type, error_type,
			value_error_type, builtin_type, dict_type, *error_pointer = &error_type,
			*value_error_pointer = &value_error_type;
static char error_text[64];
static struct py_object *raised, *every;
static bool free_clears; /* 3.14 */
static bool audit_refuses, set_refuses, get_refuses, type_is_missing;
static bool has_decoys; /* below the callbacks there is something that looks the same */
static long alive; /* references that the library holds */
static unsigned asked_count, registered, indexed, lost_count, seen[MONITORING_EVENTS];
static struct py_method_def *wrapper_method, *other_methods[OTHERS];
static const struct py_method_def builtin = { .name = "original", .help = "help" };
static struct monitoring tool, second;

static struct py_object *fresh(struct py_object *type, const char *text, long number)
{
	struct py_object *object = calloc(1, sizeof(*object));

	cr_assert_not_null(object);
	object->references = 1;
	object->type = type;
	object->number = number;
	snprintf(object->text, sizeof(object->text), "%s", text);
	object->next = every;
	object->link = &every;
	if (every)
		every->link = &object->next;
	every = object;
	alive++;
	return object;
}

static void destroy(struct py_object *object)
{
	*object->link = object->next;
	if (object->next)
		object->next->link = object->link;
	free(object);
}

static void take_reference(struct py_object *object)
{
	alive++;
	object->references++;
}

static void drop_reference(struct py_object *object)
{
	alive--;
	if (--object->references == 0)
		destroy(object);
}

/* What CPython itself holds is not the library's. */
static struct py_object *hold(struct py_object *object)
{
	if (object && object != &none)
		object->references++;
	return object == &none ? NULL : object;
}

static void let_go(struct py_object *object)
{
	if (object && --object->references == 0)
		destroy(object);
}

static struct py_object *give(struct py_object *object)
{
	object = object ? object : &none;
	take_reference(object);
	return object;
}

static struct py_object *fail(void)
{
	cr_assert_null(raised, "an exception is pending already");
	raised = &pending;
	return NULL;
}

static void clear(void)
{
	raised = NULL;
}

static struct py_object *get_pending(void)
{
	return raised;
}

static struct py_object *get_raised(void)
{
	struct py_object *was = raised;

	raised = NULL;
	return was;
}

static void set_raised(struct py_object *object)
{
	raised = object;
}

static void set_string(struct py_object *type, const char *text)
{
	cr_assert(type == &error_type || type == &value_error_type);
	snprintf(error_text, sizeof(error_text), "%s", text);
	fail();
}

static struct py_interpreter *get_current(void)
{
	return current;
}

static struct py_interpreter *get_main(void)
{
	return &main_interpreter;
}

static unsigned other_of(const char *name)
{
	unsigned at = 0;

	while (at < OTHERS && strcmp(other_names[at], name) != 0)
		at++;
	return at;
}

/* A builtin function, as it lies in memory. */
static struct py_object *original(const char *name)
{
	struct py_object *object = fresh(&builtin_type, name, 0);
	const struct py_method_def *method = &builtin;

	memcpy(&object->call, &method, sizeof(method));
	return object;
}

/* Borrowed. */
static struct py_object *get_system(const char *name)
{
	unsigned at = other_of(name);

	if (strcmp(name, "monitoring") == 0)
		return &monitoring;
	if (at == OTHERS)
		return NULL;
	if (!current->others[at]) {
		current->others[at] = original(name);
		alive--; /* sys's own */
	}
	return current->others[at];
}

static struct py_object *get_attribute(struct py_object *object, const char *name)
{
	if (object == &events) {
		for (size_t i = 0; i < PROF_COUNT(numbers); i++) {
			if (strcmp(numbers[i].name, name) == 0)
				return fresh(&int_type, name, numbers[i].bits);
		}
		return fail();
	}
	if (strcmp(name, "__self__") == 0)
		return give(&sys);
	if (strcmp(name, "__name__") == 0)
		return fresh(&text_type, name, 0);
	if (object == &sys)
		return give(get_system(name));
	cr_assert_eq(object, &monitoring);
	if (strcmp(name, "events") == 0)
		return give(&events);
	if (strcmp(name, "DISABLE") == 0)
		return give(&disable);
	if (strcmp(name, "use_tool_id") == 0 && current->attribute)
		return give(current->attribute);
	if (other_of(name) < OTHERS && current->others[other_of(name)])
		return give(current->others[other_of(name)]);
	return strcmp(name, "clear_tool_id") == 0 ? fail() : original(name);
}

static int set_attribute(struct py_object *object, const char *name, struct py_object *value)
{
	unsigned at = other_of(name);
	struct py_object **place = at < OTHERS ? &current->others[at] : &current->attribute;

	cr_assert_eq(object, at < OTHERS && at >= OF_SYS ? &sys : &monitoring);
	cr_assert(at < OTHERS || strcmp(name, "use_tool_id") == 0);
	hold(value);
	let_go(*place);
	*place = value;
	return 0;
}

static struct py_object *new_function(struct py_method_def *method, struct py_object *self,
				      struct py_object *module)
{
	unsigned at = other_of(method->name);

	cr_assert_eq(self, at < OTHERS && at >= OF_SYS ? &sys : &monitoring);
	cr_assert_str_eq(module->text, "__name__");
	if (at < OTHERS)
		other_methods[at] = method;
	else
		wrapper_method = method;
	return fresh(NULL, "wrapper", 0);
}

static struct py_object *new_type(void *spec)
{
	cr_assert_str_eq(*(const char **)spec, "monprof.callback");
	return type_is_missing ? fail() : give(&callback_type);
}

static struct py_object *new_object(struct py_object *type, intptr_t items)
{
	cr_assert_eq(items, 0);
	return fresh(type, "callback", 0);
}

static struct py_object *new_text(const char *text)
{
	return fresh(&text_type, text, 0);
}

static struct py_object *new_int(long number)
{
	return fresh(&int_type, "", number);
}

static struct py_object *new_unsigned(unsigned long number)
{
	return fresh(&int_type, "", (long)number);
}

static long as_number(struct py_object *object)
{
	cr_assert_eq(object->type, &int_type);
	return object->number;
}

/* Of what _all_events returns: who has CALL on. Borrowed. */
static struct py_object *get_item(struct py_object *dict, const char *key)
{
	static struct py_object profile_alone = { .references = 1,
						  .type = &int_type,
						  .number = 1 << 6 };

	cr_assert_eq(dict->type, &dict_type);
	cr_assert_str_eq(key, "CALL");
	return current->profile ? &profile_alone : NULL;
}

static struct py_object *as_index(struct py_object *object)
{
	indexed++;
	return object->type == &int_type ? give(object) : fail();
}

static int is_subtype(struct py_object *type, struct py_object *of)
{
	return type == of;
}

static unsigned bit_of(long bits)
{
	unsigned bit = 0;

	while (!(bits >> bit & 1))
		bit++;
	return bit;
}

static struct py_object *model_use(long id, struct py_object *name)
{
	asked_count++;
	if (id < 0 || id >= IDS || name->type != &text_type || current->names[id])
		return fail();
	current->names[id] = hold(name);
	return give(NULL);
}

static struct py_object *model_free(long id)
{
	let_go(current->names[id]);
	current->names[id] = NULL;
	for (unsigned bit = 0; free_clears && bit < BITS; bit++) {
		let_go(current->callbacks[id][bit]);
		current->callbacks[id][bit] = NULL;
		current->events[id] = 0;
	}
	return give(NULL);
}

static struct py_object *model_register(long id, struct py_object *event,
					struct py_object *callback)
{
	struct py_object **place = &current->callbacks[id][bit_of(event->number)];
	struct py_object *before = *place;

	registered++;
	if (audit_refuses)
		return fail();
	*place = hold(callback);
	if (has_decoys && *place)
		place[-BITS] = callback;
	before = give(before);
	if (before != &none)
		let_go(before);
	return before;
}

static struct py_object *model_set(long id, long bits)
{
	if (!current->names[id] || set_refuses || bits & (1 << 13 | 1 << 14))
		return fail();
	current->events[id] = (uint32_t)bits;
	return give(NULL);
}

static struct py_object *vectorcall(struct py_object *function, struct py_object *const *arguments,
				    size_t count, struct py_object *names)
{
	long id = count ? arguments[0]->number : -1;

	cr_assert_null(names);
	cr_assert_null(raised, "%s with an exception pending", function->text);
	if (strcmp(function->text, "use_tool_id") == 0)
		return count == 2 ? model_use(id, arguments[1]) : fail();
	if (strcmp(function->text, "free_tool_id") == 0)
		return model_free(id);
	if (strcmp(function->text, "get_tool") == 0)
		return give(current->names[id]);
	if (strcmp(function->text, "register_callback") == 0)
		return model_register(id, arguments[1], arguments[2]);
	if (strcmp(function->text, "get_events") == 0)
		return get_refuses ? fail() : fresh(&int_type, "", current->events[id]);
	if (strcmp(function->text, "setprofile") == 0) {
		if (set_refuses)
			return fail();
		current->profile = arguments[0] == &none ? NULL : arguments[0];
		return give(NULL);
	}
	if (strcmp(function->text, "_all_events") == 0)
		return fresh(&dict_type, "", 0);
	cr_assert_str_eq(function->text, "set_events");
	return model_set(id, arguments[1]->number);
}

static struct py_object *on_start(struct py_object *self, struct py_object *const *arguments,
				  size_t count, struct py_object *names)
{
	(void)arguments;
	(void)count;
	(void)names;
	cr_assert_eq(self->type, &callback_type);
	seen[MONITORING_PY_START]++;
	return &none;
}

static struct py_object *on_call(struct py_object *self, struct py_object *const *arguments,
				 size_t count, struct py_object *names)
{
	(void)arguments;
	(void)count;
	(void)names;
	cr_assert_eq(self->type, &callback_type);
	seen[MONITORING_CALL]++;
	return monitoring_disable();
}

static void on_lost(struct monitoring *which)
{
	cr_assert_eq(atomic_load(&which->id), -1);
	lost_count++;
}

static void make_tool(struct monitoring *which, signed char first)
{
	static const signed char after[] = { 4, 3, -1 };

	*which = (struct monitoring){ .name = "monprof", .lost = on_lost };
	which->wanted[0] = first;
	memcpy(which->wanted + 1, after, sizeof(after));
	which->calls[MONITORING_PY_START] = on_start;
	which->calls[MONITORING_CALL] = on_call;
	which->calls[MONITORING_C_RETURN] = on_call;
}

static void set_up(void)
{
	struct frames_layout layout = { .object_type = offsetof(struct py_object, type) };

	frames_layout_set(&layout);
	py.PyErr_GetRaisedException = get_raised;
	py.PyErr_SetRaisedException = set_raised;
	py.PyErr_Clear = clear;
	py.PyErr_SetString = set_string;
	py.PyExc_RuntimeError = &error_pointer;
	py.PyExc_ValueError = &value_error_pointer;
	py.PyErr_Occurred = get_pending;
	py.PyCFunction_Type = &builtin_type;
	py.PyInterpreterState_Get = get_current;
	py.PyInterpreterState_Main = get_main;
	py.PySys_GetObject = get_system;
	py.PyObject_GetAttrString = get_attribute;
	py.PyObject_SetAttrString = set_attribute;
	py.PyObject_Vectorcall = vectorcall;
	py.PyCFunction_NewEx = new_function;
	py.PyType_FromSpec = new_type;
	py.PyType_GenericAlloc = new_object;
	py.PyType_IsSubtype = is_subtype;
	py.PyUnicode_FromString = new_text;
	py.PyUnicode_Type = &text_type;
	py.PyLong_FromLong = new_int;
	py.PyLong_FromUnsignedLong = new_unsigned;
	py.PyLong_AsLong = as_number;
	py.PyNumber_Index = as_index;
	py.PyDict_GetItemString = get_item;
	py.Py_IncRef = take_reference;
	py.Py_DecRef = drop_reference;
	py._Py_NoneStruct = &none;
	make_tool(&tool, 2);
	make_tool(&second, 4);
}

/* ---- the program ---- */

static bool program_calls(struct py_object *first, struct py_object *name, intptr_t count)
{
	struct py_object *const arguments[] = { first, name };
	struct py_object *(*call)(struct py_object *, struct py_object *const *, intptr_t);
	struct py_object *result;

	memcpy(&call, &wrapper_method->call, sizeof(call));
	result = call(&monitoring, arguments, count);
	if (!result) {
		cr_assert_not_null(raised);
		raised = NULL;
		return false;
	}
	cr_assert_eq(result, &none);
	cr_assert_null(raised);
	py.Py_DecRef(result);
	return true;
}

static struct py_object their_name = { .references = 1, .type = &text_type };

static bool program_asks(long id)
{
	struct py_object number = { .references = 1, .type = &int_type, .number = id };

	return program_calls(&number, &their_name, 2);
}

static struct py_object their_callback = { .references = 1 };

#define START (1L << 17)
#define CALL (1L << 12)
#define BOTH (1u << MONITORING_PY_START | 1u << MONITORING_CALL)

static const char *holder(long id)
{
	return current->names[id] ? current->names[id]->text : "";
}

#endif
