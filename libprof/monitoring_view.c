/*
 * monitoring_view.c - the functions of ours that stand in for those of sys.monitoring and sys.
 *
 *   program --> view --> is it about an id of ours? --> an answer as if nobody had it
 *                    \-> original, same arguments; or later, at the C_RETURN of the very call
 *
 * To the program a view is a builtin of the same name, help, signature, module and self.  An argument whose
 * __index__ may be the program's own code is asked for it once.
 */
#include "monitoring_view.h"

#include "frames.h"
#include "log.h"
#include "os.h"

#include <string.h>

#define NAME_BYTES 32
#define SYS_PROFILE_ID 6 /* CPython's own for sys.setprofile */

typedef struct py_object *view_call(struct py_object *self, struct py_object *const *arguments,
				    intptr_t count);

/* One call of a view. */
struct question {
	struct monitoring_module *module;
	enum monitoring_function function;
	struct py_object
		*arguments[3]; /* those of the program, ints in place of what has an __index__ */
	size_t count;
	bool is_watched; /* its C_RETURN will be ours */
};

static struct {
	struct py_method_def
		methods[MONITORING_FUNCTIONS]; /* written by main's start, read-only then */
	monitoring_asked *_Atomic asked;
} state;

_Atomic uint32_t monitoring_waiting;

static view_call use_tool_id, free_tool_id, clear_tool_id, get_tool, register_callback, get_events,
	set_events, set_local_events, all_events, setprofile, setprofile_all_threads;

static const struct {
	view_call *call; /* NULL: the program has the original */
	intptr_t count; /* of arguments */
} rows[MONITORING_FUNCTIONS] = {
	[MONITORING_USE_TOOL_ID] = { use_tool_id, 2 },
	[MONITORING_FREE_TOOL_ID] = { free_tool_id, 1 },
	[MONITORING_CLEAR_TOOL_ID] = { clear_tool_id, 1 },
	[MONITORING_GET_TOOL] = { get_tool, 1 },
	[MONITORING_REGISTER_CALLBACK] = { register_callback, 3 },
	[MONITORING_GET_EVENTS] = { get_events, 1 },
	[MONITORING_SET_EVENTS] = { set_events, 2 },
	[MONITORING_SET_LOCAL_EVENTS] = { set_local_events, 3 },
	[MONITORING_ALL_EVENTS] = { all_events, 0 },
	[MONITORING_SETPROFILE] = { setprofile, 1 },
	[MONITORING_SETPROFILE_ALL_THREADS] = { setprofile_all_threads, 1 },
};

static bool show(struct monitoring_module *module, enum monitoring_function function);
static const struct py_method_def *method_of(const struct py_object *object);
static struct py_object *type_of(const struct py_object *object);
static struct py_object *place_of(const struct monitoring_module *module,
				  enum monitoring_function function);
static struct py_object *view(enum monitoring_function function, struct py_object *const *arguments,
			      intptr_t count);
static struct py_object *call_restored(enum monitoring_function function,
				       struct py_object *const *arguments, intptr_t count);
static bool was_met(struct monitoring_module *module);
static bool take_numbers(struct question *question);
static struct py_object *answer(const struct question *question);
static struct py_object *answer_for_ours(const struct question *question, long id,
					 bool *is_answered);
static bool is_text(const struct py_object *object);
static bool adds_calls(const struct question *question);
static bool profiles_calls(struct py_object *all);
static struct py_object *without_ours(const struct monitoring_module *module);
static struct py_object *call_later(const struct question *question);
static struct py_object *make_call(struct monitoring_module *module);
static struct py_object *none(void);
static long number_of(struct py_object *number);
static void drop(struct py_object *object);

/* ---- in and out ---- */

bool monitoring_view_show(struct monitoring_module *module, monitoring_asked *asked)
{
	bool is_shown = true;

	atomic_store(&state.asked, asked);
	for (unsigned i = 0; is_shown && i < MONITORING_FUNCTIONS; i++) {
		if (rows[i].call && module->functions[i])
			is_shown = show(module, i);
	}
	return is_shown;
}

void monitoring_view_hide(struct monitoring_module *module)
{
	for (unsigned i = 0; i < MONITORING_FUNCTIONS; i++) {
		bool is_of_sys;
		const char *name = monitoring_module_name(i, &is_of_sys);
		struct py_object *place, *now;

		if (!module->views[i])
			continue;
		place = place_of(module, i);
		now = place ? py.PyObject_GetAttrString(place, name) : NULL;
		/* Someone else may have put another one over it. */
		if (now == module->views[i])
			py.PyObject_SetAttrString(place, name, module->functions[i]);
		py.PyErr_Clear();
		drop(now);
		drop(place);
		drop(module->views[i]);
		module->views[i] = NULL;
	}
	drop(make_call(module));
	py.PyErr_Clear();
}

/* What somebody has put in the place of sys's own is left there. */
static bool show(struct monitoring_module *module, enum monitoring_function function)
{
	struct py_object *original = module->functions[function];
	const struct py_method_def *method = method_of(original);
	struct py_object *place, *module_name;
	bool is_of_sys;
	const char *name = monitoring_module_name(function, &is_of_sys);

	if (!method && is_of_sys)
		return true;
	if (!state.methods[function].name) {
		state.methods[function] = (struct py_method_def){
			name,
			(pyapi_call *)(void (*)(void))rows[function].call,
			PYAPI_METH_FASTCALL,
			method ? method->help : NULL,
		};
	}
	place = place_of(module, function);
	module_name = place ? py.PyObject_GetAttrString(place, "__name__") : NULL;
	if (module_name)
		module->views[function] =
			py.PyCFunction_NewEx(&state.methods[function], place, module_name);
	is_of_sys = module->views[function] &&
		    py.PyObject_SetAttrString(place, name, module->views[function]) == 0;
	drop(module_name);
	drop(place);
	return is_of_sys;
}

/* PyCFunctionObject begins with it; NULL: it is none, or not as it was in 3.12 to 3.15. */
static const struct py_method_def *method_of(const struct py_object *object)
{
	const char *fields = (const char *)object + frames_layout()->object_type + sizeof(void *);
	struct py_method_def copy;
	uintptr_t at;

	if (type_of(object) != py.PyCFunction_Type)
		return NULL;
	memcpy(&at, fields, sizeof(at));
	return os_read(&copy, at, sizeof(copy)) ? (const struct py_method_def *)at : NULL;
}

static struct py_object *type_of(const struct py_object *object)
{
	struct py_object *type;

	memcpy(&type, (const char *)object + frames_layout()->object_type, sizeof(type));
	return type;
}

/* The module that has it; new, or NULL. */
static struct py_object *place_of(const struct monitoring_module *module,
				  enum monitoring_function function)
{
	bool is_of_sys;

	monitoring_module_name(function, &is_of_sys);
	if (is_of_sys)
		return py.PyObject_GetAttrString(module->functions[function], "__self__");
	py.Py_IncRef(module->monitoring);
	return module->monitoring;
}

/* ---- the views ---- */

#define VIEW(name, FUNCTION)                                                                      \
	static struct py_object *name(struct py_object *self, struct py_object *const *arguments, \
				      intptr_t count)                                             \
	{                                                                                         \
		(void)self;                                                                       \
		return view(MONITORING_##FUNCTION, arguments, count);                             \
	}
VIEW(use_tool_id, USE_TOOL_ID)
VIEW(free_tool_id, FREE_TOOL_ID)
VIEW(clear_tool_id, CLEAR_TOOL_ID)
VIEW(get_tool, GET_TOOL)
VIEW(register_callback, REGISTER_CALLBACK)
VIEW(get_events, GET_EVENTS)
VIEW(set_events, SET_EVENTS)
VIEW(set_local_events, SET_LOCAL_EVENTS)
VIEW(all_events, ALL_EVENTS)
VIEW(setprofile, SETPROFILE)
VIEW(setprofile_all_threads, SETPROFILE_ALL_THREADS)

static struct py_object *view(enum monitoring_function function, struct py_object *const *arguments,
			      intptr_t count)
{
	struct question question = { .module = monitoring_module_get(), .function = function };
	struct py_object *result = NULL;

	if (!question.module)
		return call_restored(function, arguments, count);
	question.is_watched = was_met(question.module);
	if (count != rows[function].count)
		return monitoring_module_call(question.module, function, arguments, (size_t)count);
	for (; question.count < (size_t)count; question.count++) {
		question.arguments[question.count] = arguments[question.count];
		py.Py_IncRef(arguments[question.count]);
	}
	if (take_numbers(&question))
		result = answer(&question);
	for (size_t i = 0; i < question.count; i++)
		drop(question.arguments[i]);
	return result;
}

/* The interpreter has ended for us, and the program has kept a view. */
static struct py_object *call_restored(enum monitoring_function function,
				       struct py_object *const *arguments, intptr_t count)
{
	bool is_of_sys;
	const char *name = monitoring_module_name(function, &is_of_sys);
	struct py_object *place = py.PySys_GetObject(is_of_sys ? name : "monitoring");
	struct py_object *original = NULL, *result = NULL;

	if (place && is_of_sys)
		py.Py_IncRef(original = place);
	else if (place)
		original = py.PyObject_GetAttrString(place, name);
	if (original && method_of(original) != &state.methods[function])
		result = py.PyObject_Vectorcall(original, arguments, (size_t)count, NULL);
	else if (!py.PyErr_Occurred())
		py.PyErr_SetString(*py.PyExc_RuntimeError, "the interpreter has ended");
	drop(original);
	return result;
}

/* Was it called by the instruction whose CALL event we have just seen? Others may call it, too: map(), partial(). */
static bool was_met(struct monitoring_module *module)
{
	struct frames_link at;
	bool is_met = module->met_frame && frames_top(&at) && at.frame == module->met_frame &&
		      at.instruction == module->met_instruction;

	module->met_frame = 0;
	return is_met;
}

/* false: one is none, and it has raised. */
static bool take_numbers(struct question *question)
{
	bool sets = question->function == MONITORING_SET_EVENTS ||
		    question->function == MONITORING_SET_LOCAL_EVENTS;
	bool is_of_sys;

	monitoring_module_name(question->function, &is_of_sys);
	for (size_t i = 0; !is_of_sys && i < question->count; i++) {
		struct py_object *object = question->arguments[i];

		if (i > 0 && !(sets && i == question->count - 1))
			continue;
		question->arguments[i] = py.PyNumber_Index(object);
		drop(object);
		if (!question->arguments[i])
			return false;
	}
	return true;
}

static struct py_object *answer(const struct question *question)
{
	struct monitoring_module *module = question->module;
	bool is_answered = false;
	struct py_object *result;

	if (question->function == MONITORING_ALL_EVENTS)
		return without_ours(module);
	if (rows[question->function].count && question->function != MONITORING_SETPROFILE &&
	    question->function != MONITORING_SETPROFILE_ALL_THREADS) {
		long id = number_of(question->arguments[0]);

		result = monitoring_module_is_ours(module, id) ?
				 answer_for_ours(question, id, &is_answered) :
				 NULL;
		if (is_answered)
			return result;
	}
	if (question->is_watched && adds_calls(question))
		return call_later(question);
	return monitoring_module_call(module, question->function, question->arguments,
				      question->count);
}

/* What CPython would say if nobody had it. */
static struct py_object *answer_for_ours(const struct question *question, long id,
					 bool *is_answered)
{
	char text[NAME_BYTES];

	switch (question->function) {
	case MONITORING_USE_TOOL_ID:
	case MONITORING_REGISTER_CALLBACK:
		/* If the original is going to like the arguments. */
		if (question->function == MONITORING_REGISTER_CALLBACK ||
		    is_text(question->arguments[1]))
			atomic_load (&state.asked)(question->module, id);
		return NULL;
	case MONITORING_SET_EVENTS:
	case MONITORING_SET_LOCAL_EVENTS:
		*is_answered = true;
		log_format(text, sizeof(text), "tool %ld is not in use", id);
		py.PyErr_SetString(*py.PyExc_ValueError, text);
		return NULL;
	case MONITORING_GET_EVENTS:
		*is_answered = true;
		return py.PyLong_FromLong(0);
	default:
		*is_answered = true;
		return none();
	}
}

static bool is_text(const struct py_object *object)
{
	return py.PyType_IsSubtype(type_of(object), py.PyUnicode_Type) != 0;
}

/* Is somebody who has had no events of calls going to have them? */
static bool adds_calls(const struct question *question)
{
	const struct monitoring_module *module = question->module;
	bool is_local = question->function == MONITORING_SET_LOCAL_EVENTS;
	uint32_t call = module->bits[MONITORING_CALL];
	struct py_object *before, *wanted = question->arguments[question->count - 1];
	bool adds;

	switch (question->function) {
	case MONITORING_SET_EVENTS:
	case MONITORING_SET_LOCAL_EVENTS:
		before = monitoring_module_call(
			module, is_local ? MONITORING_GET_LOCAL_EVENTS : MONITORING_GET_EVENTS,
			question->arguments, is_local ? 2 : 1);
		adds = before && number_of(wanted) > 0 && number_of(wanted) & call &&
		       !(number_of(before) & call);
		break;
	case MONITORING_SETPROFILE:
	case MONITORING_SETPROFILE_ALL_THREADS:
		before = monitoring_module_call(module, MONITORING_ALL_EVENTS, NULL, 0);
		adds = before && wanted != py._Py_NoneStruct && !profiles_calls(before);
		break;
	default:
		return false;
	}
	py.PyErr_Clear();
	drop(before);
	return adds;
}

/* Of any thread: the events are one for all, and a thread that ends leaves them on. */
static bool profiles_calls(struct py_object *all)
{
	struct py_object *tools = py.PyDict_GetItemString(all, "CALL");

	return tools && number_of(tools) & 1l << SYS_PROFILE_ID;
}

/* {name of an event: bits of the tools that have it on}, less our bits. */
static struct py_object *without_ours(const struct monitoring_module *module)
{
	struct py_object *all = monitoring_module_call(module, MONITORING_ALL_EVENTS, NULL, 0);
	struct py_object *left = all ? py.PyDict_New() : NULL, *name, *tools;
	intptr_t at = 0;

	while (left && py.PyDict_Next(all, &at, &name, &tools)) {
		long bits = number_of(tools);
		struct py_object *number;
		const char *text = py.PyUnicode_AsUTF8(name);

		for (const struct monitoring *tool = module->tools; tool; tool = tool->next)
			bits &= ~(1l << atomic_load(&tool->id));
		number = bits && text ? py.PyLong_FromLong(bits) : NULL;
		if (number)
			py.PyDict_SetItemString(left, text, number);
		drop(number);
	}
	drop(all);
	return left;
}

/* ---- at the end of the call ---- */

bool monitoring_call_begins(struct py_object *callable)
{
	struct monitoring_module *module = monitoring_module_get();
	struct frames_link at;

	for (unsigned i = 0; module && i < MONITORING_FUNCTIONS; i++) {
		if (!module->views[i] || module->views[i] != callable)
			continue;
		module->met_frame = 0;
		if (frames_top(&at)) {
			module->met_frame = at.frame;
			module->met_instruction = at.instruction;
		}
		return true;
	}
	return false;
}

struct py_object *monitoring_make_call(void)
{
	struct monitoring_module *module = monitoring_module_get();
	struct py_object *result = module ? make_call(module) : none();

	drop(result);
	return result ? py._Py_NoneStruct : NULL;
}

static struct py_object *call_later(const struct question *question)
{
	struct monitoring_later *later = &question->module->later;

	later->function = question->module->functions[question->function];
	later->count = question->count;
	py.Py_IncRef(later->function);
	for (size_t i = 0; i < question->count; i++) {
		later->arguments[i] = question->arguments[i];
		py.Py_IncRef(later->arguments[i]);
	}
	atomic_fetch_add(&monitoring_waiting, 1);
	return none();
}

/* New: None where there is none to make. */
static struct py_object *make_call(struct monitoring_module *module)
{
	struct monitoring_later later = module->later;
	struct py_object *result;

	if (!later.function)
		return none();
	module->later.function = NULL;
	atomic_fetch_sub(&monitoring_waiting, 1);
	result = py.PyObject_Vectorcall(later.function, later.arguments, later.count, NULL);
	drop(later.function);
	for (size_t i = 0; i < later.count; i++)
		drop(later.arguments[i]);
	return result;
}

/* New. */
static struct py_object *none(void)
{
	py.Py_IncRef(py._Py_NoneStruct);
	return py._Py_NoneStruct;
}

/* -1: it does not fit. */
static long number_of(struct py_object *number)
{
	long value = py.PyLong_AsLong(number);

	if (value == -1)
		py.PyErr_Clear();
	return value;
}

static void drop(struct py_object *object)
{
	if (object)
		py.Py_DecRef(object);
}
