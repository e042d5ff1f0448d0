/*
 * callee_key.c - which function a call calls: its kind, and a number that tells it from all others.
 *
 * What is never freed (static types, slots) is known by its address; what may be freed, by its name too
 * or by its name alone, so that an address that is used again is never taken for what was there before:
 *
 *   builtin function, method    its PyMethodDef, that one's name, its module's name object
 *   slot, __new__               its type's key, its name's address
 *   static type                 address                          len, list.append, dict: a few loads
 *   class                       module and qualified name
 *   an object with a name       module and name
 *   any other object            its type's key
 */
#include "callee_object.h"

#include "frames.h"

#define BOUND_MAX 8 /* methods bound to methods that are taken off */
#define HASHED_WORDS (CALLEE_TEXT_BYTES / sizeof(uint64_t) + 1)

struct callee_layout callee_layout;

static __attribute__((noinline)) uint64_t other_key(struct py_object *callable);
static void take_other(struct callee_object *taken);
static bool calls_python(struct py_object *type);
static bool takes_names(struct callee_object *taken);
static uint64_t key_of(const struct callee_object *object);
static uint64_t method_key(const struct py_method_def *method, uintptr_t module);
static uint64_t class_key(struct py_object *type, uint64_t seed);
static uint64_t add_text(uint64_t key, const struct py_object *text);
static uint64_t add_name(uint64_t key, const char *name);
static uint64_t add_bytes(uint64_t key, const char *bytes, size_t size_bytes);

/* One round of a multiplicative hash: the product's high half carries every bit of both. */
static inline uint64_t add(uint64_t key, uint64_t word)
{
	key = (key ^ word) * 0x9e3779b97f4a7c15u;
	return key ^ key >> 32;
}

uint64_t callee_key(struct py_object *callable, struct py_object *self)
{
	const struct py_object *type;
	const struct py_method_def *method;

	(void)self;
	/* A layout that is not proven: all of C's are one */
	if (!callee_layout.is_proven)
		return 1;
	/* What is called most */
	type = callee_type_of(callable);
	if (type == py.PyCFunction_Type) {
		method = (const void *)callee_word(callable, CALLEE_FUNCTION_DEF);
		if (method != callee_layout.new_method)
			return method_key(method, callee_word(callable, CALLEE_FUNCTION_MODULE));
	} else if (type == py.PyMethodDescr_Type) {
		return method_key((const void *)callee_word(callable, CALLEE_DESCR_WRAPPED), 0);
	}
	return other_key(callable);
}

static uint64_t other_key(struct py_object *callable)
{
	struct callee_object taken;
	uint64_t key;

	callee_object_take(callable, &taken);
	if (taken.kind == CALLEE_PYTHON)
		return 0;
	key = key_of(&taken);
	return key ? key : 1;
}

void callee_object_take(struct py_object *callable, struct callee_object *taken)
{
	struct py_object *type = callee_type_of(callable);

	for (unsigned i = 0; type == py.PyMethod_Type && i < BOUND_MAX; i++) {
		callable = py.PyMethod_Function(callable);
		type = callee_type_of(callable);
	}
	taken->object = callable;
	taken->type = type;
	if (type == py.PyFunction_Type) {
		taken->kind = CALLEE_PYTHON;
	} else if (type == py.PyCFunction_Type || type == py.PyCMethod_Type) {
		taken->method = (const void *)callee_word(callable, CALLEE_FUNCTION_DEF);
		taken->kind = CALLEE_FUNCTION;
		if (taken->method == callee_layout.new_method) {
			taken->type = callee_pointer(callable, CALLEE_FUNCTION_SELF);
			taken->kind = CALLEE_NEW;
		}
	} else if (type == py.PyMethodDescr_Type || type == py.PyClassMethodDescr_Type) {
		taken->type = callee_pointer(callable, CALLEE_DESCR_TYPE);
		taken->method = (const void *)callee_word(callable, CALLEE_DESCR_WRAPPED);
		taken->kind = CALLEE_METHOD;
	} else if (callee_is_type(callable)) {
		taken->type = callable;
		taken->kind = CALLEE_CLASS;
	} else {
		take_other(taken);
	}
}

static void take_other(struct callee_object *taken)
{
	struct py_object *descr = taken->object;

	if (taken->type == callee_layout.wrapper_type)
		descr = callee_pointer(descr, CALLEE_WRAPPER_DESCR);
	if (callee_type_of(descr) == py.PyWrapperDescr_Type) {
		/* struct wrapperbase begins with its name; many types share one */
		const char *const *base = (const void *)callee_word(descr, CALLEE_DESCR_WRAPPED);

		taken->type = callee_pointer(descr, CALLEE_DESCR_TYPE);
		taken->slot = *base;
		taken->kind = CALLEE_SLOT;
	} else if (!takes_names(taken)) {
		taken->kind = calls_python(taken->type) ? CALLEE_PYTHON : CALLEE_INSTANCE;
	}
}

/* Its __call__ is a Python function, with events of its own; only classes of Python's have one. */
static bool calls_python(struct py_object *type)
{
	struct py_object *call = NULL;

	if (callee_word(type, CALLEE_TYPE_FLAGS) & CALLEE_TYPE_IS_HEAP)
		call = py._PyType_Lookup(type, callee_layout.text_call);
	return call && callee_type_of(call) == py.PyFunction_Type;
}

/* Cython's functions, numpy's, and what functools.lru_cache and numpy's dispatcher wrap. */
static bool takes_names(struct callee_object *taken)
{
	static const char cython[] = "cython_function_or_method", fused[] = "fused_cython_function";
	const struct py_object *type = taken->type;
	const char *type_name = callee_type_name(type);
	uintptr_t flags = callee_word(type, CALLEE_TYPE_FLAGS), at;
	struct py_object *dict;

	at = callee_layout.head_bytes + CALLEE_FUNCTION_VECTORCALL;
	if (flags & CALLEE_TYPE_HAS_VECTORCALL && callee_word(type, CALLEE_TYPE_VECTORCALL) == at) {
		const char *last = strrchr(type_name, '.');

		last = last ? last + 1 : type_name;
		if (strcmp(last, cython) == 0 || strcmp(last, fused) == 0) {
			taken->method =
				(const void *)callee_word(taken->object, CALLEE_FUNCTION_DEF);
			taken->kind = CALLEE_FUNCTION;
			return true;
		}
	}
	if (strcmp(type_name, "numpy.ufunc") == 0 && !(flags & CALLEE_TYPE_IS_HEAP)) {
		taken->slot = (const char *)callee_word(taken->object, CALLEE_UFUNC_NAME);
		taken->kind = CALLEE_UFUNC;
		return true;
	}
	if (strcmp(type_name, "numpy._ArrayFunctionDispatcher") != 0 &&
	    strcmp(type_name, "functools._lru_cache_wrapper") != 0)
		return false;
	at = callee_word(type, CALLEE_TYPE_DICT_OFFSET);
	if ((intptr_t)at <= 0)
		return false;
	dict = callee_pointer(taken->object, at - callee_layout.head_bytes);
	if (!dict || callee_type_of(dict) != py.PyDict_Type)
		return false;
	taken->module = py.PyDict_GetItem(dict, callee_layout.text_module);
	taken->name = py.PyDict_GetItem(dict, callee_layout.text_qualname);
	if (!taken->name)
		taken->name = py.PyDict_GetItem(dict, callee_layout.text_name);
	taken->kind = CALLEE_NAMED;
	return callee_is_text(taken->name);
}

/* The kind is part of the key where one address stands for several things. */
static uint64_t key_of(const struct callee_object *object)
{
	switch (object->kind) {
	case CALLEE_FUNCTION:
		return method_key(object->method,
				  callee_word(object->object, CALLEE_FUNCTION_MODULE));
	case CALLEE_METHOD:
		/* As of the bound one, which has no module */
		return method_key(object->method, 0);
	case CALLEE_SLOT:
		return add(class_key(object->type, CALLEE_SLOT), (uintptr_t)object->slot);
	case CALLEE_UFUNC:
		return add_name(add(CALLEE_UFUNC, (uintptr_t)object->object), object->slot);
	case CALLEE_NAMED:
		return add_text(add_text(CALLEE_NAMED, object->module), object->name);
	default:
		return class_key(object->type, object->kind);
	}
}

static uint64_t method_key(const struct py_method_def *method, uintptr_t module)
{
	uint64_t key = add_name(add((uintptr_t)method, module), method->name);

	return key ? key : 1;
}

static uint64_t class_key(struct py_object *type, uint64_t seed)
{
	struct py_object *name;
	uint64_t key;

	if (!(callee_word(type, CALLEE_TYPE_FLAGS) & CALLEE_TYPE_IS_HEAP))
		return add(seed, (uintptr_t)type);
	key = add_text(seed, py._PyType_Lookup(type, callee_layout.text_module));
	/* The type holds it: giving the reference back frees nothing */
	name = py.PyType_GetQualName(type);
	if (!name)
		return key;
	key = add_text(key, name);
	py.Py_DecRef(name);
	return key;
}

static uint64_t add_text(uint64_t key, const struct py_object *text)
{
	struct callee_characters characters;

	if (!callee_is_text(text))
		return add(key, 0);
	callee_characters_take(text, &characters);
	return add_bytes(add(key, characters.length << 3 | characters.kind), characters.bytes,
			 characters.length * characters.kind);
}

/* A string by aligned words, which never reach into a page that it does not; what follows it does not
   count. */
__attribute__((no_sanitize("address"))) static uint64_t add_name(uint64_t key, const char *name)
{
	const uint64_t ones = 0x0101010101010101u, highs = ones << 7;
	const uint64_t *at = (const void *)((uintptr_t)name & ~(sizeof(*at) - 1));
	/* What precedes it: bytes that are not 0 */
	uint64_t before = (1ull << ((uintptr_t)name & (sizeof(*at) - 1)) * 8) - 1;

	for (size_t i = 0; name && i < HASHED_WORDS; i++) {
		uint64_t word = at[i] | before;
		/* The highest bit of the first byte that is 0, and higher bits */
		uint64_t end = (word - ones) & ~word & highs;

		if (end)
			return add(key, word & (((end & -end) >> 7) - 1));
		key = add(key, word);
		before = 0;
	}
	return key;
}

static uint64_t add_bytes(uint64_t key, const char *bytes, size_t size_bytes)
{
	uint64_t word = 0;

	for (; size_bytes >= sizeof(word); size_bytes -= sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		key = add(key, word);
		bytes += sizeof(word);
	}
	word = 0;
	memcpy(&word, bytes, size_bytes);
	return add(key, word ^ (uint64_t)size_bytes << 56);
}

void callee_characters_take(const struct py_object *text, struct callee_characters *taken)
{
	const struct frames_layout *layout = frames_layout();
	const char *head = (const char *)text;
	uint32_t state;
	bool is_compact;

	memcpy(&taken->length, head + layout->unicode_length, sizeof(taken->length));
	memcpy(&state, head + layout->unicode_state, sizeof(state));
	/* state, from here on: 3 bits of kind, compact, ASCII */
	state >>= layout->unicode_kind_shift;
	taken->kind = state & 7;
	taken->is_ascii = state & 16;
	is_compact = state & 8;
	taken->bytes = head + (taken->is_ascii ? layout->unicode_ascii_data :
						 layout->unicode_compact_data);
	if (!is_compact)
		memcpy(&taken->bytes, head + layout->unicode_compact_data, sizeof(taken->bytes));
	if (taken->length > CALLEE_TEXT_BYTES)
		taken->length = CALLEE_TEXT_BYTES;
}
