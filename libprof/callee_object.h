/*
 * callee_object.h - callable objects, read raw: what kind one is, and which parts of it say what it calls.
 *
 *   callable --> callee_object_take --> struct callee_object --+--> callee_key: what tells it from others
 *                                                              +--> callee_describe: its name
 *
 * What CPython's functions, descriptors, types and str objects look like in memory is in the comments
 * below (cpython/methodobject.h, descrobject.h, object.h, unicodeobject.h: the same in 3.12 to 3.15);
 * callee_check compares it with what the public C API says, before anything else here may be called.
 * All of it with the GIL held.
 */
#ifndef CALLEE_OBJECT_H
#define CALLEE_OBJECT_H

#include "callee.h"

#include <string.h>

/* Where a field lies behind PyObject's head. */
enum callee_offset {
	/* PyCFunctionObject, and what Cython begins its own with */
	CALLEE_FUNCTION_DEF = 0,
	CALLEE_FUNCTION_SELF = 8,
	CALLEE_FUNCTION_MODULE = 16,
	CALLEE_FUNCTION_VECTORCALL = 32,
	/* PyDescrObject; PyMethodDescrObject and PyWrapperDescrObject go on with what they wrap */
	CALLEE_DESCR_TYPE = 0,
	CALLEE_DESCR_WRAPPED = 24,
	/* method-wrapper: its descriptor */
	CALLEE_WRAPPER_DESCR = 0,
	/* numpy's PyUFuncObject (ufuncobject.h): const char *name */
	CALLEE_UFUNC_NAME = 40,
	/* PyTypeObject: a head with a size */
	CALLEE_TYPE_NAME = 8,
	CALLEE_TYPE_VECTORCALL = 40,
	CALLEE_TYPE_CALL = 112,
	CALLEE_TYPE_FLAGS = 152,
	CALLEE_TYPE_METHODS = 216,
	CALLEE_TYPE_DICT_OFFSET = 272,
	CALLEE_TYPE_MRO = 328,
};

/* Py_TPFLAGS_... */
#define CALLEE_TYPE_IS_HEAP (1ul << 9)
#define CALLEE_TYPE_HAS_VECTORCALL (1ul << 11)
#define CALLEE_TYPE_IS_TYPE (1ul << 31)

struct callee_layout {
	bool is_proven;
	uint16_t head_bytes; /* of a PyObject */
	uint16_t type; /* its ob_type */
	/* The type of method-wrappers, which is not exported */
	const struct py_object *wrapper_type;
	/* What every type's __new__ shares */
	const struct py_method_def *new_method;
	/* Strings of CPython's own */
	struct py_object *text_call, *text_module, *text_name, *text_qualname;
};

/* Written by callee_check alone. */
extern struct callee_layout callee_layout;

enum callee_kind {
	CALLEE_PYTHON, /* a Python function */
	CALLEE_FUNCTION, /* a builtin function, bound or not; Cython's */
	CALLEE_METHOD, /* a descriptor of a builtin method; `type` defines it */
	CALLEE_SLOT, /* of a type's slot, int.__add__; `type` defines it */
	CALLEE_NEW, /* a type's __new__ */
	CALLEE_CLASS, /* a constructor */
	CALLEE_UFUNC, /* numpy's */
	CALLEE_NAMED, /* an object whose __dict__ says what it is called */
	CALLEE_INSTANCE, /* any other object: its type's __call__ */
};

struct callee_object {
	enum callee_kind kind;
	struct py_object *object; /* what is called, bound methods taken off */
	struct py_object *type; /* its type, or what `kind` says */
	const struct py_method_def *method; /* CALLEE_FUNCTION, CALLEE_METHOD */
	const char *slot; /* CALLEE_SLOT, CALLEE_UFUNC: its name */
	struct py_object *module, *name; /* CALLEE_NAMED: str, or NULL */
};

/* A str's characters where they lie. */
struct callee_characters {
	const char *bytes;
	size_t length; /* characters; at most CALLEE_TEXT_BYTES */
	unsigned kind; /* bytes a character: 1, 2, 4 */
	bool is_ascii;
};

#define CALLEE_TEXT_BYTES 512 /* of a module's or a function's name */

/* UTF-8, whole characters, no NUL. */
struct callee_text {
	size_t used;
	char bytes[CALLEE_TEXT_BYTES];
};

static inline uintptr_t callee_word(const void *object, size_t offset)
{
	uintptr_t word;

	memcpy(&word, (const char *)object + callee_layout.head_bytes + offset, sizeof(word));
	return word;
}

static inline struct py_object *callee_pointer(const void *object, size_t offset)
{
	return (struct py_object *)callee_word(object, offset);
}

static inline struct py_object *callee_type_of(const struct py_object *object)
{
	struct py_object *type;

	memcpy(&type, (const char *)object + callee_layout.type, sizeof(type));
	return type;
}

static inline const char *callee_type_name(const struct py_object *type)
{
	return (const char *)callee_word(type, CALLEE_TYPE_NAME);
}

static inline bool callee_is_type(const struct py_object *object)
{
	struct py_object *type = callee_type_of(object);

	return type == py.PyType_Type || callee_word(type, CALLEE_TYPE_FLAGS) & CALLEE_TYPE_IS_TYPE;
}

static inline bool callee_is_text(const struct py_object *object)
{
	return object && callee_type_of(object) == py.PyUnicode_Type;
}

/* Prove the layout on the running interpreter, and learn the rest of it; NULL, or why not. setup */
errmsg callee_check(void);
/* What is called? callback */
void callee_object_take(struct py_object *callable, struct callee_object *taken);
/* The characters of a str; they are the object's. callback */
void callee_characters_take(const struct py_object *text, struct callee_characters *taken);
/* Its module ("" for none) and name, into two empty texts. No exception may be pending; one may be
   afterwards. callback */
void callee_describe(const struct callee_object *object, struct callee_text *module,
		     struct callee_text *name);

#endif
