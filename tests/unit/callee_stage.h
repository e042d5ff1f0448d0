/*
 * callee_stage.h - a CPython made by hand, of a few types, functions and descriptors, for test_callee.c.
 *
 * Objects lie in memory as CPython's do; what the public C API says of them is read from the same structs.
 */
#ifndef CALLEE_STAGE_H
#define CALLEE_STAGE_H

#include "callee.h"
#include "callee_object.h"
#include "frames.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct object {
	uint64_t references;
	struct type *type;
};

struct text {
	struct object head;
	uint64_t length, hash, state; /* kind from bit 2 on, compact, ASCII */
	char ascii[600];
};

struct type {
	struct object head;
	uint64_t size;
	const char *name;
	uint64_t others[12];
	uint64_t call; /* at 128 */
	uint64_t and_others[4];
	uint64_t flags; /* at 168 */
	uint64_t more[7];
	struct py_method_def *methods; /* at 232 */
	uint64_t still_more[6];
	uint64_t dict_offset; /* at 288 */
	uint64_t and_more[6];
	struct mro *mro; /* at 344 */
	/* of this CPython's own */
	struct text *module, *qualname;
	struct object *attributes[2];
};

struct mro {
	struct object head;
	uint64_t size;
	struct type *types[4];
};

struct function {
	struct object head;
	struct py_method_def *method;
	void *self;
	struct text *module;
	uint64_t weak, vectorcall;
};

struct descr {
	struct object head;
	struct type *type;
	void *name, *qualname;
	const void *wrapped;
};

struct method { /* a bound one, a method-wrapper: their function, their descriptor */
	struct object head;
	void *function;
};

static struct type type_type, object_type, none_type, function_type, bound_type, builtin_type,
	method_type, descr_type, classmethod_type, slot_type, wrapper_type, getset_type, text_type,
	module_type, dict_type, class_type, sub_type;
static struct object none = { 1, &none_type };
static struct py_method_def table[] = { { "__dir__", NULL, 0, NULL },
					{ "from", NULL, 0x10, NULL },
					{ "static", NULL, 0x20, NULL },
					{ NULL, NULL, 0, NULL } },
			    new_method = { "__new__", NULL, 0, NULL },
			    plain = { "sorted", NULL, 0, NULL };
static struct {
	const char *name;
} repr = { "__repr__" };
static struct function bound_dir, object_new, dict_new;
static struct descr dir_descr, repr_descr;
static struct method repr_bound;
static struct text texts[32];
static unsigned texts_used;
static _Thread_local struct object *pending; /* each thread has its own, as in CPython */
static bool fails; /* PyObject_GetAttrString */

/* ---- CPython ---- */

static struct text *text_of(const char *ascii)
{
	struct text *text = &texts[texts_used++];

	cr_assert_lt(texts_used, PROF_COUNT(texts));
	text->head.type = &text_type;
	text->length = strlen(ascii);
	text->state = (1 | 8 | 16) << 2;
	memcpy(text->ascii, ascii, text->length + 1);
	return text;
}

static struct py_object *intern(const char *ascii)
{
	return (struct py_object *)text_of(ascii);
}

static struct py_object *get_attribute(struct py_object *object, const char *name)
{
	struct type *type = (struct type *)object;
	void *found = NULL;

	if (strcmp(name, "__mro__") == 0)
		found = type->mro;
	else if (strcmp(name, "__dir__") == 0)
		found = (void *)object == &none ? (void *)&bound_dir : &dir_descr;
	else if (strcmp(name, "__repr__") == 0)
		found = (void *)object == &none ? (void *)&repr_bound : &repr_descr;
	else if (strcmp(name, "__new__") == 0)
		found = type == &object_type ? &object_new : &dict_new;
	return fails ? NULL : found;
}

static void release(struct py_object *object)
{
	cr_assert_not_null(object);
}

static unsigned long get_flags(struct py_object *object)
{
	return ((struct type *)object)->flags;
}

static struct py_object *get_qualname(struct py_object *object)
{
	return (struct py_object *)((struct type *)object)->qualname;
}

static struct py_object *look_up(struct py_object *object, struct py_object *name)
{
	struct type *type = (struct type *)object;
	const char *wanted = ((struct text *)name)->ascii;

	if (strcmp(wanted, "__module__") == 0)
		return (struct py_object *)type->module;
	return strcmp(wanted, "__call__") == 0 ? (struct py_object *)type->attributes[0] : NULL;
}

static struct py_object *get_function(struct py_object *object)
{
	return ((struct method *)object)->function;
}

static intptr_t get_size(struct py_object *object)
{
	return (intptr_t)((struct mro *)object)->size;
}

static struct py_object *get_item(struct py_object *object, intptr_t i)
{
	return (struct py_object *)((struct mro *)object)->types[i];
}

static struct py_object *get_raised(void)
{
	struct object *raised = pending;

	pending = NULL;
	return (struct py_object *)raised;
}

static void set_raised(struct py_object *raised)
{
	pending = (struct object *)raised;
}

static void clear(void)
{
	pending = NULL;
}

static void make_type(struct type *type, const char *name, struct type *base)
{
	static struct mro mros[32];
	static unsigned used;

	*type = (struct type){ .head.type = &type_type, .name = name, .mro = &mros[used++] };
	type->mro->types[0] = type;
	type->mro->size = 1;
	for (uint64_t i = 0; base && i < base->mro->size; i++)
		type->mro->types[type->mro->size++] = base->mro->types[i];
}

static void make_types(void)
{
	static struct {
		struct type *type;
		const char *name;
	} const all[] = {
		{ &type_type, "type" },		  { &none_type, "NoneType" },
		{ &function_type, "function" },	  { &bound_type, "method" },
		{ &builtin_type, "builtin" },	  { &method_type, "builtin_method" },
		{ &descr_type, "descr" },	  { &classmethod_type, "classmethod_descr" },
		{ &slot_type, "slot" },		  { &wrapper_type, "method-wrapper" },
		{ &getset_type, "getset" },	  { &text_type, "str" },
		{ &module_type, "module" },	  { &dict_type, "dict" },
		{ &class_type, "pkg.mod.Thing" },
	};

	make_type(&object_type, "object", NULL);
	for (size_t i = 0; i < PROF_COUNT(all); i++)
		make_type(all[i].type, all[i].name, &object_type);
	make_type(&sub_type, "Sub", &class_type);
	sub_type.flags = CALLEE_TYPE_IS_HEAP;
	sub_type.module = text_of("__main__");
	sub_type.qualname = text_of("f.<locals>.Sub");
	type_type.flags = CALLEE_TYPE_IS_TYPE;
	object_type.methods = class_type.methods = table;
	bound_dir = (struct function){ { 1, &builtin_type }, table, &none, NULL, 0, 0 };
	object_new =
		(struct function){ { 1, &builtin_type }, &new_method, &object_type, NULL, 0, 0 };
	dict_new = (struct function){ { 1, &builtin_type }, &new_method, &dict_type, NULL, 0, 0 };
	dir_descr = (struct descr){ { 1, &descr_type }, &object_type, NULL, NULL, table };
	repr_descr = (struct descr){ { 1, &slot_type }, &none_type, NULL, NULL, &repr };
	repr_bound = (struct method){ { 1, &wrapper_type }, &repr_descr };
}

static void set_up(void)
{
	static const struct frames_layout layout = {
		.object_type = offsetof(struct object, type),
		.unicode_state = offsetof(struct text, state),
		.unicode_length = offsetof(struct text, length),
		.unicode_ascii_data = offsetof(struct text, ascii),
		.unicode_compact_data = offsetof(struct text, ascii) + 16,
		.unicode_kind_shift = 2,
	};

	frames_layout_set(&layout);
	py = (struct pyapi){
		._Py_NoneStruct = (void *)&none,
		.PyFunction_Type = (void *)&function_type,
		.PyMethod_Type = (void *)&bound_type,
		.PyCFunction_Type = (void *)&builtin_type,
		.PyCMethod_Type = (void *)&method_type,
		.PyMethodDescr_Type = (void *)&descr_type,
		.PyClassMethodDescr_Type = (void *)&classmethod_type,
		.PyWrapperDescr_Type = (void *)&slot_type,
		.PyGetSetDescr_Type = (void *)&getset_type,
		.PyType_Type = (void *)&type_type,
		.PyBaseObject_Type = (void *)&object_type,
		.PyModule_Type = (void *)&module_type,
		.PyDict_Type = (void *)&dict_type,
		.PyUnicode_Type = (void *)&text_type,
		.PyUnicode_InternFromString = intern,
		.PyObject_GetAttrString = get_attribute,
		.Py_DecRef = release,
		.PyType_GetFlags = get_flags,
		.PyType_GetQualName = get_qualname,
		._PyType_Lookup = look_up,
		.PyMethod_Function = get_function,
		.PyTuple_Size = get_size,
		.PyTuple_GetItem = get_item,
		.PyErr_GetRaisedException = get_raised,
		.PyErr_SetRaisedException = set_raised,
		.PyErr_Clear = clear,
	};
	make_types();
}

static uint64_t key_of(const void *object)
{
	return callee_key((struct py_object *)object, NULL);
}

static uint32_t find(const void *object)
{
	return callee_find(key_of(object), (struct py_object *)object, NULL);
}

/* module|name */
static const char *name_of(const void *object)
{
	static char shown[1200];
	struct callee callee;

	if (!callee_name(find(object), &callee))
		return "";
	snprintf(shown, sizeof(shown), "%s|%s", callee.module, callee.name);
	return shown;
}

static struct function function_of(struct py_method_def *method, void *self, const char *module)
{
	struct text *in = module ? text_of(module) : NULL;

	return (struct function){ { 1, &builtin_type }, method, self, in, 0, 0 };
}

#endif
