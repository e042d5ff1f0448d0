/*
 * monitoring_module.c - what we hold of sys.monitoring, interpreter by interpreter.
 *
 *   slot of an interpreter --> use_tool_id set_events ... (the originals), numbers, our type
 *                                 and what the program finds in their place: monitoring_view.h
 *
 * Interpreters may have a GIL each, so none uses another's objects: only the method table, which is
 * plain data, is shared, and DISABLE, which CPython itself shares.
 */
#include "monitoring_module.h"

#include "frames.h"
#include "monitoring_view.h"

#include <stdatomic.h>
#include <string.h>

#define INTERPRETERS 64 /* as many as are named */

/* PyMemberDef, PyType_Slot, PyType_Spec: CPython's stable ABI, PEP 384. */
struct member {
	const char *name;
	int type; /* Py_T_PYSSIZET */
	intptr_t offset;
	int flags; /* Py_READONLY */
	const char *help;
};
struct slot {
	int number;
	void *value;
};
struct spec {
	const char *name;
	int size_bytes, item_bytes;
	unsigned flags;
	struct slot *slots;
};
enum {
	T_PYSSIZET = 19,
	READ_ONLY = 1,
	SLOT_CALL = 50,
	SLOT_MEMBERS = 72,
	TYPE_DISALLOW_INSTANTIATION = 1 << 7,
	TYPE_IMMUTABLE = 1 << 8,
	TYPE_HAVE_VECTORCALL = 1 << 11,
};

static struct {
	struct monitoring_module modules[INTERPRETERS];
	struct py_object *_Atomic disable; /* immortal, one for all interpreters */
} state;

static const struct {
	const char *name;
	bool is_of_sys, is_optional;
} functions[MONITORING_FUNCTIONS] = {
	[MONITORING_USE_TOOL_ID] = { "use_tool_id", false, false },
	[MONITORING_FREE_TOOL_ID] = { "free_tool_id", false, false },
	[MONITORING_CLEAR_TOOL_ID] = { "clear_tool_id", false, true },
	[MONITORING_GET_TOOL] = { "get_tool", false, false },
	[MONITORING_REGISTER_CALLBACK] = { "register_callback", false, false },
	[MONITORING_GET_EVENTS] = { "get_events", false, false },
	[MONITORING_SET_EVENTS] = { "set_events", false, false },
	[MONITORING_GET_LOCAL_EVENTS] = { "get_local_events", false, false },
	[MONITORING_SET_LOCAL_EVENTS] = { "set_local_events", false, false },
	[MONITORING_ALL_EVENTS] = { "_all_events", false, false },
	[MONITORING_SETPROFILE] = { "setprofile", true, false },
	[MONITORING_SETPROFILE_ALL_THREADS] = { "_setprofileallthreads", true, true },
};

static const char *const event_names[MONITORING_EVENTS] = {
	[MONITORING_PY_START] = "PY_START", [MONITORING_PY_RESUME] = "PY_RESUME",
	[MONITORING_PY_THROW] = "PY_THROW", [MONITORING_PY_RETURN] = "PY_RETURN",
	[MONITORING_PY_YIELD] = "PY_YIELD", [MONITORING_PY_UNWIND] = "PY_UNWIND",
	[MONITORING_CALL] = "CALL",	    [MONITORING_C_RETURN] = "C_RETURN",
	[MONITORING_C_RAISE] = "C_RAISE",
};

static struct monitoring_module *take_slot(uintptr_t interpreter);
static bool look_up(struct monitoring_module *module);
static bool look_up_function(struct monitoring_module *module, enum monitoring_function function);
static bool look_up_number(struct monitoring_module *module, struct py_object *events,
			   enum monitoring_event event);
static struct py_object *new_type(void);
static struct py_object *mask_of(struct monitoring_module *module, uint32_t bits);
static struct py_object *call_with_id(struct monitoring_module *module,
				      enum monitoring_function function, long id,
				      struct py_object *second);
static struct py_object *call(struct monitoring_module *module, enum monitoring_function function,
			      struct py_object *const *arguments, size_t count);
static bool done(struct py_object *result);
static void drop(struct py_object *object);

struct monitoring_module *monitoring_module_get(void)
{
	uintptr_t interpreter = (uintptr_t)py.PyInterpreterState_Get();

	for (unsigned i = 0; i < INTERPRETERS; i++) {
		if (atomic_load_explicit(&state.modules[i].interpreter, memory_order_relaxed) ==
		    interpreter)
			return &state.modules[i];
	}
	return NULL;
}

errmsg monitoring_module_open(struct monitoring_module **module, monitoring_asked *asked)
{
	struct py_object *monitoring = py.PySys_GetObject("monitoring");

	*module = monitoring_module_get();
	if (*module)
		return NULL;
	if (!monitoring || !frames_layout()->object_type)
		return "there is no sys.monitoring";
	*module = take_slot((uintptr_t)py.PyInterpreterState_Get());
	if (!*module)
		return "too many interpreters: this one has no events";
	(*module)->monitoring = monitoring;
	py.Py_IncRef(monitoring);
	if (look_up(*module) && monitoring_view_show(*module, asked))
		return NULL;
	py.PyErr_Clear();
	monitoring_module_close(*module);
	*module = NULL;
	return "sys.monitoring is not as it should be";
}

void monitoring_module_close(struct monitoring_module *module)
{
	monitoring_view_hide(module);
	for (unsigned i = 0; i < MONITORING_FUNCTIONS; i++)
		drop(module->functions[i]);
	for (unsigned i = 0; i < MONITORING_EVENTS; i++)
		drop(module->numbers[i]);
	for (unsigned i = 0; i < MONITORING_MASKS; i++)
		drop(module->masks[i]);
	drop(module->type);
	drop(module->monitoring);
	/* Pairs with take_slot. */
	atomic_store_explicit(&module->interpreter, 0, memory_order_release);
}

const char *monitoring_module_name(enum monitoring_function function, bool *is_of_sys)
{
	*is_of_sys = functions[function].is_of_sys;
	return functions[function].name;
}

bool monitoring_module_is_ours(const struct monitoring_module *module, long id)
{
	const struct monitoring *tool = module->tools;

	while (tool && atomic_load(&tool->id) != id)
		tool = tool->next;
	return tool != NULL;
}

void monitoring_module_after_fork(void)
{
	for (unsigned i = 0; i < INTERPRETERS; i++) {
		struct monitoring_module *module = &state.modules[i];
		uintptr_t interpreter = atomic_load(&module->interpreter);

		if (!interpreter || interpreter == (uintptr_t)py.PyInterpreterState_Main())
			continue;
		for (struct monitoring *tool = module->tools; tool; tool = tool->next)
			atomic_store(&tool->id, -1);
		atomic_store(&module->interpreter, 0);
	}
}

struct py_object *monitoring_module_disable(void)
{
	return atomic_load_explicit(&state.disable, memory_order_relaxed);
}

static struct monitoring_module *take_slot(uintptr_t interpreter)
{
	for (unsigned i = 0; i < INTERPRETERS; i++) {
		struct monitoring_module *module = &state.modules[i];
		uintptr_t none = 0;

		/* Pairs with monitoring_module_close, perhaps under another GIL. */
		if (!atomic_compare_exchange_strong(&module->interpreter, &none, interpreter))
			continue;
		memset((char *)module + sizeof(module->interpreter), 0,
		       sizeof(*module) - sizeof(module->interpreter));
		return module;
	}
	return NULL;
}

static bool look_up(struct monitoring_module *module)
{
	struct py_object *monitoring = module->monitoring;
	struct py_object *events = py.PyObject_GetAttrString(monitoring, "events");
	struct py_object *disable = py.PyObject_GetAttrString(monitoring, "DISABLE");
	bool found = events && disable;

	for (unsigned i = 0; found && i < MONITORING_FUNCTIONS; i++)
		found = look_up_function(module, i);
	for (unsigned i = 0; found && i < MONITORING_EVENTS; i++)
		found = look_up_number(module, events, i);
	drop(events);
	drop(disable);
	if (!found)
		return false;
	atomic_store(&state.disable, disable);
	module->type = new_type();
	return module->type != NULL;
}

static bool look_up_function(struct monitoring_module *module, enum monitoring_function function)
{
	struct py_object **place = &module->functions[function];

	if (functions[function].is_of_sys) {
		*place = py.PySys_GetObject(functions[function].name);
		if (*place)
			py.Py_IncRef(*place);
	} else {
		*place = py.PyObject_GetAttrString(module->monitoring, functions[function].name);
		if (!*place)
			py.PyErr_Clear();
	}
	return *place || functions[function].is_optional;
}

static bool look_up_number(struct monitoring_module *module, struct py_object *events,
			   enum monitoring_event event)
{
	struct py_object *number = py.PyObject_GetAttrString(events, event_names[event]);
	long bits = number ? py.PyLong_AsLong(number) : 0;

	module->numbers[event] = number;
	module->bits[event] = (uint32_t)bits;
	return bits > 0 && bits <= INT32_MAX;
}

/* Its objects are an object's head and a struct monitoring_callback. */
static struct py_object *new_type(void)
{
	int head_bytes = frames_layout()->object_type + (int)sizeof(void *);
	struct member members[] = {
		{ "__vectorcalloffset__", T_PYSSIZET, head_bytes, READ_ONLY, NULL },
		{ NULL, 0, 0, 0, NULL },
	};
	struct slot slots[] = { { SLOT_CALL, NULL }, { SLOT_MEMBERS, members }, { 0, NULL } };
	struct spec spec = {
		.name = "monprof.callback",
		.size_bytes = head_bytes + (int)sizeof(struct monitoring_callback),
		.flags = TYPE_DISALLOW_INSTANTIATION | TYPE_IMMUTABLE | TYPE_HAVE_VECTORCALL,
		.slots = slots,
	};

	/* ISO C has no conversion from a function pointer to void *; POSIX has one */
	memcpy(&slots[0].value, &py.PyVectorcall_Call, sizeof(slots[0].value));
	return py.PyType_FromSpec(&spec);
}

/* ---- the calls ---- */

struct py_object *monitoring_module_callback(struct monitoring_module *module,
					     struct monitoring *tool, monitoring_call *function)
{
	struct py_object *object = py.PyType_GenericAlloc(module->type, 0);
	const struct monitoring_callback callback = { function, tool };

	if (object)
		memcpy(monitoring_callback(object), &callback, sizeof(callback));
	py.PyErr_Clear();
	return object;
}

void monitoring_module_disown(struct py_object *callback)
{
	atomic_store_explicit(&monitoring_callback(callback)->tool, NULL, memory_order_relaxed);
}

struct py_object *monitoring_module_holder(struct monitoring_module *module, long id)
{
	struct py_object *holder = call_with_id(module, MONITORING_GET_TOOL, id, NULL);

	drop(holder); /* CPython has it */
	return holder;
}

bool monitoring_module_use(struct monitoring_module *module, long id, struct py_object *name)
{
	return done(call_with_id(module, MONITORING_USE_TOOL_ID, id, name));
}

void monitoring_module_free(struct monitoring_module *module, long id)
{
	done(call_with_id(module, MONITORING_FREE_TOOL_ID, id, NULL));
}

struct py_object *monitoring_module_swap(struct monitoring_module *module, long id,
					 enum monitoring_event event, struct py_object *callback)
{
	struct py_object *arguments[] = { py.PyLong_FromLong(id), module->numbers[event],
					  callback };
	struct py_object *before =
		call(module, MONITORING_REGISTER_CALLBACK, arguments, PROF_COUNT(arguments));

	drop(arguments[0]);
	return before;
}

struct py_object *monitoring_module_call(const struct monitoring_module *module,
					 enum monitoring_function function,
					 struct py_object *const *arguments, size_t count)
{
	return py.PyObject_Vectorcall(module->functions[function], arguments, count, NULL);
}

bool monitoring_module_events(struct monitoring_module *module, long id, uint32_t *bits)
{
	struct py_object *number = call_with_id(module, MONITORING_GET_EVENTS, id, NULL);

	*bits = number ? (uint32_t)py.PyLong_AsLong(number) : 0;
	py.PyErr_Clear();
	return done(number);
}

bool monitoring_module_set(struct monitoring_module *module, long id, uint32_t bits)
{
	struct py_object *mask = mask_of(module, bits);

	if (!mask)
		py.PyErr_Clear();
	return mask && done(call_with_id(module, MONITORING_SET_EVENTS, id, mask));
}

/* The int object of a set of events; borrowed. */
static struct py_object *mask_of(struct monitoring_module *module, uint32_t bits)
{
	unsigned at = module->mask_next;

	for (unsigned i = 0; i < MONITORING_MASKS; i++) {
		if (module->masks[i] && module->mask_bits[i] == bits)
			return module->masks[i];
	}
	drop(module->masks[at]);
	module->masks[at] = py.PyLong_FromUnsignedLong(bits);
	module->mask_bits[at] = bits;
	module->mask_next = (at + 1) % MONITORING_MASKS;
	return module->masks[at];
}

static struct py_object *call_with_id(struct monitoring_module *module,
				      enum monitoring_function function, long id,
				      struct py_object *second)
{
	struct py_object *arguments[] = { py.PyLong_FromLong(id), second };
	struct py_object *result = call(module, function, arguments, second ? 2 : 1);

	drop(arguments[0]);
	return result;
}

static struct py_object *call(struct monitoring_module *module, enum monitoring_function function,
			      struct py_object *const *arguments, size_t count)
{
	/* Ids are small ints, which exist already. */
	struct py_object *result = monitoring_module_call(module, function, arguments, count);

	if (!result)
		py.PyErr_Clear();
	return result;
}

static bool done(struct py_object *result)
{
	drop(result);
	return result != NULL;
}

static void drop(struct py_object *object)
{
	if (object)
		py.Py_DecRef(object);
}
