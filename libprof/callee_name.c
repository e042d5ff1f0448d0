/*
 * callee_name.c - what a Python programmer would write for what is called.
 *
 *   builtins.sorted  zlib.compress      a module's function: what it says of its module
 *   list.append  numpy.ndarray.dot      a method: the type that defines it, not the one it is called on
 *   dict  collections.deque             a constructor
 *   numpy.add  numpy.dot                a ufunc, a wrapped function: its own name
 *   operator.itemgetter.__call__        any other object; functools.partial is known without the call
 *
 * Types of builtins have no module.  Names are the program's: they may hold anything, so what is not
 * UTF-8 and each NUL becomes U+FFFD, and what is too long is cut.
 */
#include "callee_object.h"

#include "code.h"
#include "utf8.h"

#define METHODS_MAX 4096 /* in a type's table */

/* PyMethodDef.ml_flags */
enum { METH_CLASS = 0x10, METH_STATIC = 0x20 };

static void describe_function(const struct callee_object *object, struct callee_text *module,
			      struct callee_text *name);
static bool put_own_name(struct py_object *object, struct callee_text *name);
static struct py_object *definer_of(const struct py_method_def *method, struct py_object *self);
static struct py_object *definer_among(const struct py_method_def *method, struct py_object *type);
static bool is_in_table(const struct py_method_def *method, struct py_object *type);
static void describe_ufunc(const struct callee_object *object, struct callee_text *module,
			   struct callee_text *name);
static void describe_instance(struct py_object *type, struct callee_text *module,
			      struct callee_text *name);
static void put_type(struct py_object *type, struct callee_text *module, struct callee_text *name);
static void put_member(struct callee_text *name, const char *member);
static void put_module(struct callee_text *module, const char *bytes, size_t size_bytes);
static bool put_text(struct callee_text *text, const struct py_object *from);
static void put_string(struct callee_text *text, const char *string);
static void put(struct callee_text *text, const char *bytes, size_t size_bytes);

void callee_describe(const struct callee_object *object, struct callee_text *module,
		     struct callee_text *name)
{
	switch (object->kind) {
	case CALLEE_FUNCTION:
		describe_function(object, module, name);
		break;
	case CALLEE_METHOD:
		put_type(object->type, module, name);
		put_member(name, object->method->name);
		break;
	case CALLEE_SLOT:
		put_type(object->type, module, name);
		put_member(name, object->slot);
		break;
	case CALLEE_NEW:
		put_type(object->type, module, name);
		put_member(name, "__new__");
		break;
	case CALLEE_UFUNC:
		describe_ufunc(object, module, name);
		break;
	case CALLEE_NAMED:
		put_text(module, object->module);
		put_text(name, object->name);
		break;
	case CALLEE_INSTANCE:
		describe_instance(object->type, module, name);
		break;
	default:
		put_type(object->type, module, name);
	}
}

static void describe_function(const struct callee_object *object, struct callee_text *module,
			      struct callee_text *name)
{
	struct py_object *self = callee_pointer(object->object, CALLEE_FUNCTION_SELF);
	struct py_object *in = callee_pointer(object->object, CALLEE_FUNCTION_MODULE);
	struct py_object *definer = NULL;
	bool is_builtin = object->type == py.PyCFunction_Type || object->type == py.PyCMethod_Type;

	/* 3.15 has a module for static methods too */
	if (is_builtin && self && (!in || callee_is_type(self)) &&
	    callee_type_of(self) != py.PyModule_Type) {
		definer = definer_of(object->method, self);
	} else if (callee_is_text(in)) {
		put_text(module, in);
	} else if (is_builtin && self && callee_type_of(self) == py.PyModule_Type) {
		in = py.PyModule_GetNameObject(self);
		put_text(module, in);
		if (in)
			py.Py_DecRef(in);
	}
	if (!is_builtin && put_own_name(object->object, name))
		return;
	if (definer)
		put_type(definer, module, name);
	put_member(name, object->method->name);
}

/* __qualname__ where C code alone answers: a getter of the type. */
static bool put_own_name(struct py_object *object, struct callee_text *name)
{
	struct py_object *qualname = callee_layout.text_qualname, *text;
	struct py_object *getter = py._PyType_Lookup(callee_type_of(object), qualname);
	bool is_put;

	if (!getter || callee_type_of(getter) != py.PyGetSetDescr_Type)
		return false;
	text = py.PyObject_GenericGetAttr(object, qualname);
	is_put = put_text(name, text);
	if (text)
		py.Py_DecRef(text);
	return is_put;
}

static struct py_object *definer_of(const struct py_method_def *method, struct py_object *self)
{
	struct py_object *type = callee_type_of(self), *definer = NULL;
	bool is_type = callee_is_type(self);

	/* A static method's self is the type that defines it, a class method's one below that */
	if (is_type && method->flags & METH_STATIC)
		return self;
	if (is_type && method->flags & METH_CLASS)
		definer = definer_among(method, self);
	if (!definer)
		definer = definer_among(method, type);
	return definer ? definer : is_type ? self : type;
}

static struct py_object *definer_among(const struct py_method_def *method, struct py_object *type)
{
	struct py_object *mro = callee_pointer(type, CALLEE_TYPE_MRO);
	intptr_t size = mro ? py.PyTuple_Size(mro) : 0;

	for (intptr_t i = 0; i < size; i++) {
		struct py_object *base = py.PyTuple_GetItem(mro, i);

		if (base && callee_is_type(base) && is_in_table(method, base))
			return base;
	}
	return NULL;
}

static bool is_in_table(const struct py_method_def *method, struct py_object *type)
{
	const struct py_method_def *table = (const void *)callee_word(type, CALLEE_TYPE_METHODS);

	for (size_t i = 0; table && table[i].name && i < METHODS_MAX; i++) {
		if (&table[i] == method)
			return true;
	}
	return false;
}

/* Which module has it says no ufunc; numpy's own are found in numpy. */
static void describe_ufunc(const struct callee_object *object, struct callee_text *module,
			   struct callee_text *name)
{
	struct py_object *modules = py.PyImport_GetModuleDict();
	struct py_object *numpy = modules ? py.PyDict_GetItemString(modules, "numpy") : NULL;

	if (!object->slot)
		put_string(name, "ufunc");
	else
		put_string(name, object->slot);
	if (object->slot && numpy && callee_type_of(numpy) == py.PyModule_Type &&
	    py.PyDict_GetItemString(py.PyModule_GetDict(numpy), object->slot) == object->object)
		put_string(module, "numpy");
}

static void describe_instance(struct py_object *type, struct callee_text *module,
			      struct callee_text *name)
{
	struct py_object *call = py._PyType_Lookup(type, callee_layout.text_call);

	/* Inherited from a type of C's: that one's */
	if (call && callee_type_of(call) == py.PyWrapperDescr_Type)
		type = callee_pointer(call, CALLEE_DESCR_TYPE);
	put_type(type, module, name);
	if (strcmp(callee_type_name(type), "functools.partial") != 0)
		put_member(name, "__call__");
}

/* A static type's name is "module.name", or that of a builtin. */
static void put_type(struct py_object *type, struct callee_text *module, struct callee_text *name)
{
	const char *type_name = callee_type_name(type), *point = strrchr(type_name, '.');
	struct callee_text found = { 0 };
	struct py_object *qualname;

	if (!(callee_word(type, CALLEE_TYPE_FLAGS) & CALLEE_TYPE_IS_HEAP)) {
		if (point)
			put_module(module, type_name, (size_t)(point - type_name));
		put_string(name, point ? point + 1 : type_name);
		return;
	}
	put_text(&found, py._PyType_Lookup(type, callee_layout.text_module));
	put_module(module, found.bytes, found.used);
	qualname = py.PyType_GetQualName(type);
	if (!put_text(name, qualname))
		put_string(name, type_name);
	if (qualname)
		py.Py_DecRef(qualname);
}

static void put_member(struct callee_text *name, const char *member)
{
	if (name->used)
		put_string(name, ".");
	put_string(name, member ? member : "?");
}

static void put_module(struct callee_text *module, const char *bytes, size_t size_bytes)
{
	static const char builtins[] = "builtins";

	if (size_bytes != sizeof(builtins) - 1 || memcmp(bytes, builtins, size_bytes) != 0)
		put(module, bytes, size_bytes);
}

static bool put_text(struct callee_text *text, const struct py_object *from)
{
	struct callee_characters taken;
	struct code_data data;
	char utf8[4 * CALLEE_TEXT_BYTES];
	size_t size_bytes;

	if (!callee_is_text(from))
		return false;
	callee_characters_take(from, &taken);
	/* Whatever else it is, it is no str, and there is no room for it. */
	if (taken.kind != 1 && taken.kind != 2 && taken.kind != 4)
		return false;
	data.data = (uintptr_t)taken.bytes;
	data.length = taken.length;
	data.kind = taken.is_ascii ? 0 : taken.kind;
	/* As code_text has it: bytes of UTF-8 that a character may take */
	data.room_bytes = taken.length * (taken.is_ascii  ? 1 :
					  taken.kind == 4 ? 4 :
							    taken.kind + 1);
	if (!code_copy(&data, utf8, &size_bytes))
		return false;
	put(text, utf8, size_bytes);
	return true;
}

static void put_string(struct callee_text *text, const char *string)
{
	/* With the whole of a character that does not fit */
	put(text, string, strnlen(string, CALLEE_TEXT_BYTES + 4));
}

static void put(struct callee_text *text, const char *bytes, size_t size_bytes)
{
	static const char replacement[] = "\xef\xbf\xbd";

	for (size_t at = 0; at < size_bytes;) {
		size_t n = utf8_character(bytes + at, size_bytes - at);
		const char *from = n ? bytes + at : replacement;
		size_t room = sizeof(text->bytes) - text->used, put_bytes = n ? n : 3;

		if (put_bytes > room)
			return;
		memcpy(text->bytes + text->used, from, put_bytes);
		text->used += put_bytes;
		at += n ? n : 1;
	}
}
