/*
 * monitoring.c - tools: claimed, set, moved, lost, released.
 *
 *   tool.id   2 ---- the program asks for 2 ----> 4, 3, 5: the first of `wanted` that nobody has
 *                                           \---> -1: lost
 *
 * Who has an id is told by the very object that was given as its name: ours is like no other.  An
 * id that the program freed may still have our callbacks (before 3.14 only the name goes), so every
 * end of a hold looks at each event and takes away what is ours, and that alone.
 */
#include "monitoring.h"

#include "monitoring_cells.h"
#include "monitoring_module.h"

#include <stdatomic.h>

static errmsg claim(struct monitoring_module *module, struct monitoring *tool);
static bool make_objects(struct monitoring_module *module, struct monitoring *tool);
static bool take_any(struct monitoring_module *module, struct monitoring *tool, long but);
static bool take(struct monitoring_module *module, struct monitoring *tool, long id);
static bool put_callbacks(struct monitoring_module *module, struct monitoring *tool, long id);
static bool is_there(struct monitoring_module *module, struct monitoring *tool, long id);
static bool are_events_ours(struct monitoring_module *module, const struct monitoring *tool,
			    long id);
static void leave(struct monitoring_module *module, struct monitoring *tool, bool frees);
static uint32_t take_callbacks(struct monitoring_module *module, struct monitoring *tool, long id);
static bool swap_back(struct monitoring_module *module, struct monitoring *tool, long id,
		      enum monitoring_event event, struct py_object *callback);
static void move(struct monitoring_module *module, long id);
static uint32_t bits_of(const struct monitoring_module *module, uint32_t events);
static void unlink_tool(struct monitoring_module *module, struct monitoring *tool);
static void drop_objects(struct monitoring *tool);
static void drop(struct py_object *object);

errmsg monitoring_claim(struct monitoring *tool)
{
	struct py_object *raised = py.PyErr_GetRaisedException();
	struct monitoring_module *module;
	errmsg error = monitoring_module_open(&module, move);

	atomic_store(&tool->id, -1);
	tool->events = 0;
	if (!error)
		error = claim(module, tool);
	py.PyErr_SetRaisedException(raised);
	return error;
}

bool monitoring_set(struct monitoring *tool, uint32_t events)
{
	struct py_object *raised = py.PyErr_GetRaisedException();
	struct monitoring_module *module = monitoring_module_get();
	int id = atomic_load_explicit(&tool->id, memory_order_relaxed);
	/* CPython knows best whether it is a change. */
	bool is_set = module && id >= 0 && are_events_ours(module, tool, id) &&
		      monitoring_module_set(module, id, bits_of(module, events));

	if (is_set) {
		tool->events = events;
	} else if (module && id >= 0) {
		/* One of its callbacks may be under way: the objects stay. */
		leave(module, tool, false);
		atomic_store(&tool->id, -1);
	}
	py.PyErr_SetRaisedException(raised);
	return is_set;
}

bool monitoring_holds(struct monitoring *tool)
{
	struct py_object *raised = py.PyErr_GetRaisedException();
	struct monitoring_module *module = monitoring_module_get();
	int id = atomic_load(&tool->id);
	bool holds = module && id >= 0 && is_there(module, tool, id);

	if (module && id >= 0 && !holds) {
		leave(module, tool, false);
		unlink_tool(module, tool);
	}
	py.PyErr_SetRaisedException(raised);
	return holds;
}

void monitoring_look(void)
{
	struct monitoring_module *module = monitoring_module_get();
	struct monitoring *next;

	for (struct monitoring *tool = module ? module->tools : NULL; tool; tool = next) {
		next = tool->next;
		if (atomic_load(&tool->id) >= 0 && !monitoring_holds(tool) && tool->lost)
			tool->lost(tool);
	}
}

void monitoring_release(struct monitoring *tool)
{
	struct py_object *raised = py.PyErr_GetRaisedException();
	struct monitoring_module *module = monitoring_module_get();

	if (module && atomic_load(&tool->id) >= 0) {
		leave(module, tool, true);
		unlink_tool(module, tool);
	}
	py.PyErr_SetRaisedException(raised);
}

void monitoring_forget(void)
{
	struct py_object *raised = py.PyErr_GetRaisedException();
	struct monitoring_module *module = monitoring_module_get();

	while (module && module->tools)
		unlink_tool(module, module->tools);
	if (module)
		monitoring_module_close(module);
	py.PyErr_SetRaisedException(raised);
}

void monitoring_after_fork(void)
{
	monitoring_module_after_fork();
}

struct py_object *monitoring_disable(void)
{
	return monitoring_module_disable();
}

static errmsg claim(struct monitoring_module *module, struct monitoring *tool)
{
	bool are_made = make_objects(module, tool);

	if (!are_made || !take_any(module, tool, -1)) {
		drop_objects(tool);
		return are_made ? "no tool id of sys.monitoring is free" :
				  "CPython refuses callbacks of sys.monitoring";
	}
	tool->interpreter = py.PyInterpreterState_Get();
	tool->next = module->tools;
	module->tools = tool;
	return NULL;
}

static bool make_objects(struct monitoring_module *module, struct monitoring *tool)
{
	/* Not interned, so nobody else has this object. */
	bool are_made = (tool->name_object = py.PyUnicode_FromString(tool->name)) != NULL;

	for (unsigned i = 0; i < MONITORING_EVENTS; i++) {
		tool->callbacks[i] = NULL;
		if (!tool->calls[i] || !are_made)
			continue;
		tool->callbacks[i] = monitoring_module_callback(module, tool, tool->calls[i]);
		are_made = tool->callbacks[i] != NULL;
	}
	py.PyErr_Clear();
	return are_made;
}

/* The first of the wanted ids that is free and not that one. */
static bool take_any(struct monitoring_module *module, struct monitoring *tool, long but)
{
	for (unsigned i = 0; i < PROF_COUNT(tool->wanted) && tool->wanted[i] >= 0; i++) {
		if (tool->wanted[i] != but && take(module, tool, tool->wanted[i]))
			return true;
	}
	return false;
}

static bool take(struct monitoring_module *module, struct monitoring *tool, long id)
{
	if (monitoring_module_holder(module, id) != py._Py_NoneStruct ||
	    !monitoring_module_use(module, id, tool->name_object))
		return false;
	/* Before 3.14 the events of one that freed the id may still be on. */
	if (monitoring_module_set(module, id, 0) && put_callbacks(module, tool, id)) {
		tool->cells = monitoring_cells_find(module, tool, id);
		atomic_store(&tool->id, (int)id);
		return true;
	}
	take_callbacks(module, tool, id);
	monitoring_module_free(module, id);
	return false;
}

static bool put_callbacks(struct monitoring_module *module, struct monitoring *tool, long id)
{
	for (unsigned i = 0; i < MONITORING_EVENTS; i++) {
		struct py_object *before;

		if (!tool->callbacks[i])
			continue;
		before = monitoring_module_swap(module, id, i, tool->callbacks[i]);
		drop(before);
		if (!before)
			return false;
	}
	return true;
}

static bool is_there(struct monitoring_module *module, struct monitoring *tool, long id)
{
	bool is_ours = monitoring_module_holder(module, id) == tool->name_object &&
		       are_events_ours(module, tool, id);

	if (is_ours && tool->cells)
		return monitoring_cells_hold(module, tool, tool->cells);
	for (unsigned i = 0; is_ours && i < MONITORING_EVENTS; i++)
		is_ours = !tool->callbacks[i] || swap_back(module, tool, id, i, tool->callbacks[i]);
	return is_ours;
}

/* A refusal says nothing. */
static bool are_events_ours(struct monitoring_module *module, const struct monitoring *tool,
			    long id)
{
	uint32_t on;

	return !monitoring_module_events(module, id, &on) || on == bits_of(module, tool->events);
}

/* Take what is ours off the tool's id; `frees`: the id too. */
static void leave(struct monitoring_module *module, struct monitoring *tool, bool frees)
{
	int id = atomic_load(&tool->id);
	struct py_object *holder = monitoring_module_holder(module, id);
	bool is_free = holder == py._Py_NoneStruct, is_ours = holder == tool->name_object;
	uint32_t ours, on;

	/* Events can be switched off only while someone has the id. */
	if (is_free)
		is_ours = monitoring_module_use(module, id, tool->name_object);
	ours = take_callbacks(module, tool, id);
	if (!is_ours)
		return;
	monitoring_module_events(module, id, &on);
	monitoring_module_set(module, id, on & ~bits_of(module, ours));
	if (is_free || frees)
		monitoring_module_free(module, id);
}

/* The events that had our callbacks. */
static uint32_t take_callbacks(struct monitoring_module *module, struct monitoring *tool, long id)
{
	uint32_t ours = 0;

	for (unsigned i = 0; i < MONITORING_EVENTS; i++) {
		if (tool->callbacks[i] && swap_back(module, tool, id, i, py._Py_NoneStruct))
			ours |= 1u << i;
	}
	return ours;
}

/* Put this one where ours is; true. What else is there stays; false. A refusal (an audit hook of
   the program's has raised) says nothing, and ours is what should be there. */
static bool swap_back(struct monitoring_module *module, struct monitoring *tool, long id,
		      enum monitoring_event event, struct py_object *callback)
{
	struct py_object *before = monitoring_module_swap(module, id, event, callback);
	bool is_ours = !before || before == tool->callbacks[event];

	if (!is_ours)
		drop(monitoring_module_swap(module, id, event, before));
	drop(before);
	return is_ours;
}

/* The program asks for this id. */
static void move(struct monitoring_module *module, long id)
{
	struct monitoring *tool = module->tools;

	while (tool && atomic_load(&tool->id) != id)
		tool = tool->next;
	if (!tool)
		return;
	leave(module, tool, true);
	if (take_any(module, tool, id)) {
		if (!monitoring_module_set(module, atomic_load(&tool->id),
					   bits_of(module, tool->events)))
			tool->events = 0;
		return;
	}
	unlink_tool(module, tool);
	if (tool->lost)
		tool->lost(tool);
}

/* In CPython's numbers. C_RETURN and C_RAISE come with CALL and cannot be set for themselves. */
static uint32_t bits_of(const struct monitoring_module *module, uint32_t events)
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < MONITORING_C_RETURN; i++)
		bits |= events >> i & 1 ? module->bits[i] : 0;
	return bits;
}

static void unlink_tool(struct monitoring_module *module, struct monitoring *tool)
{
	struct monitoring **link = &module->tools;

	while (*link && *link != tool)
		link = &(*link)->next;
	if (*link)
		*link = tool->next;
	atomic_store(&tool->id, -1);
	tool->events = 0;
	drop_objects(tool);
}

static void drop_objects(struct monitoring *tool)
{
	for (unsigned i = 0; i < MONITORING_EVENTS; i++) {
		/* The program may have it, and an interpreter that ends raises events for a while. */
		if (tool->callbacks[i])
			monitoring_module_disown(tool->callbacks[i]);
		drop(tool->callbacks[i]);
		tool->callbacks[i] = NULL;
	}
	drop(tool->name_object);
	tool->name_object = NULL;
}

static void drop(struct py_object *object)
{
	if (object)
		py.Py_DecRef(object);
}
