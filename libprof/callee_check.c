/*
 * callee_check.c - is a callable in memory what we take it for?
 *
 * Objects that no program can replace, attributes of immutable types, are read raw and compared with what
 * the public C API says of them.  They live, and are long enough in every version for plain loads; what
 * they point to is read with fault-tolerant reads.  What passes here is then read with plain loads in every
 * C call event.  On the way the type of method-wrappers and what all __new__ share are learnt, which nothing
 * exports.
 */
#include "callee_object.h"

#include "frames.h"
#include "os.h"

#define CHECKED_NAME_BYTES 16
#define METHODS_MAX_BYTES (4096 * sizeof(struct py_method_def))

static bool are_types_known(struct callee_layout *found);
static bool is_type_known(struct py_object *type, const char *name);
static bool are_functions_known(struct callee_layout *found);
static bool are_slots_known(struct callee_layout *found);
static bool is_new_known(struct callee_layout *found);
static bool are_texts_known(struct callee_layout *found);
static struct py_object *attribute(struct py_object *object, const char *name,
				   const struct py_object *type);
static bool has_name(uintptr_t address, const char *name);
static bool is_name(uintptr_t address, const char *name);
static void forget(struct py_object *object);

errmsg callee_check(void)
{
	static bool (*const checks[])(struct callee_layout *) = {
		are_types_known, are_functions_known, are_slots_known,
		is_new_known,	 are_texts_known,
	};
	const struct frames_layout *frames = frames_layout();

	if (callee_layout.is_proven)
		return NULL;
	callee_layout.type = frames->object_type;
	callee_layout.head_bytes = (uint16_t)(frames->object_type + sizeof(uintptr_t));
	for (size_t i = 0; i < PROF_COUNT(checks); i++) {
		if (frames->object_type && checks[i](&callee_layout))
			continue;
		py.PyErr_Clear();
		return "this CPython's functions are not known: those of C have no names";
	}
	callee_layout.is_proven = true;
	return NULL;
}

static bool are_types_known(struct callee_layout *found)
{
	(void)found;
	return is_type_known(py.PyBaseObject_Type, "object") &&
	       is_type_known(py.PyDict_Type, "dict") && is_type_known(py.PyType_Type, "type");
}

static bool is_type_known(struct py_object *type, const char *name)
{
	struct py_object *mro = py.PyObject_GetAttrString(type, "__mro__");
	bool is_known = mro && callee_word(type, CALLEE_TYPE_MRO) == (uintptr_t)mro &&
			callee_word(type, CALLEE_TYPE_FLAGS) == py.PyType_GetFlags(type) &&
			is_name(callee_word(type, CALLEE_TYPE_NAME), name);

	forget(mro);
	return is_known;
}

/* The same method, bound and not. */
static bool are_functions_known(struct callee_layout *found)
{
	struct py_object *none = py._Py_NoneStruct, *object = py.PyBaseObject_Type;
	struct py_object *bound = attribute(none, "__dir__", py.PyCFunction_Type);
	struct py_object *descr = attribute(object, "__dir__", py.PyMethodDescr_Type);
	uintptr_t table = callee_word(object, CALLEE_TYPE_METHODS);
	bool is_known = false;

	(void)found;
	if (bound && descr) {
		uintptr_t method = callee_word(bound, CALLEE_FUNCTION_DEF);

		is_known = has_name(method, "__dir__") &&
			   callee_word(bound, CALLEE_FUNCTION_SELF) == (uintptr_t)none &&
			   !callee_word(bound, CALLEE_FUNCTION_MODULE) &&
			   callee_word(descr, CALLEE_DESCR_TYPE) == (uintptr_t)object &&
			   callee_word(descr, CALLEE_DESCR_WRAPPED) == method && method >= table &&
			   method - table < METHODS_MAX_BYTES &&
			   (method - table) % sizeof(struct py_method_def) == 0;
	}
	forget(bound);
	forget(descr);
	return is_known;
}

static bool are_slots_known(struct callee_layout *found)
{
	struct py_object *none = py._Py_NoneStruct, *type = callee_type_of(none);
	struct py_object *bound = attribute(none, "__repr__", NULL);
	struct py_object *descr = attribute(type, "__repr__", py.PyWrapperDescr_Type);
	bool is_known = false;

	if (bound && descr) {
		found->wrapper_type = callee_type_of(bound);
		is_known = callee_word(bound, CALLEE_WRAPPER_DESCR) == (uintptr_t)descr &&
			   callee_word(descr, CALLEE_DESCR_TYPE) == (uintptr_t)type &&
			   has_name(callee_word(descr, CALLEE_DESCR_WRAPPED), "__repr__");
	}
	forget(bound);
	forget(descr);
	return is_known;
}

static bool is_new_known(struct callee_layout *found)
{
	struct py_object *object = py.PyBaseObject_Type, *dict = py.PyDict_Type;
	struct py_object *of_object = attribute(object, "__new__", py.PyCFunction_Type);
	struct py_object *of_dict = attribute(dict, "__new__", py.PyCFunction_Type);
	bool is_known = false;

	if (of_object && of_dict) {
		uintptr_t method = callee_word(of_object, CALLEE_FUNCTION_DEF);

		found->new_method = (const struct py_method_def *)method;
		is_known = has_name(method, "__new__") &&
			   callee_word(of_dict, CALLEE_FUNCTION_DEF) == method &&
			   callee_word(of_dict, CALLEE_FUNCTION_SELF) == (uintptr_t)dict &&
			   callee_word(of_object, CALLEE_FUNCTION_SELF) == (uintptr_t)object;
	}
	forget(of_object);
	forget(of_dict);
	return is_known;
}

/* CPython's own, the same in all its interpreters: they are never given back. */
static bool are_texts_known(struct callee_layout *found)
{
	found->text_call = py.PyUnicode_InternFromString("__call__");
	found->text_module = py.PyUnicode_InternFromString("__module__");
	found->text_name = py.PyUnicode_InternFromString("__name__");
	found->text_qualname = py.PyUnicode_InternFromString("__qualname__");
	return found->text_call && found->text_module && found->text_name && found->text_qualname;
}

/* New; NULL: there is none, or it is of another type than `type` (NULL: any). */
static struct py_object *attribute(struct py_object *object, const char *name,
				   const struct py_object *type)
{
	struct py_object *value = py.PyObject_GetAttrString(object, name);

	if (!value || !type || callee_type_of(value) == type)
		return value;
	py.Py_DecRef(value);
	return NULL;
}

/* What begins with a pointer to its name: PyMethodDef, struct wrapperbase. */
static bool has_name(uintptr_t address, const char *name)
{
	uintptr_t within;

	return os_read(&within, address, sizeof(within)) && is_name(within, name);
}

static bool is_name(uintptr_t address, const char *name)
{
	char found[CHECKED_NAME_BYTES] = "";
	size_t size_bytes = strlen(name) + 1;

	return os_read(found, address, size_bytes) && memcmp(found, name, size_bytes) == 0;
}

static void forget(struct py_object *object)
{
	if (object)
		py.Py_DecRef(object);
}
