/*
 * objects.h - Python made by hand: objects are counted references with a text, an exception is one pending
 * object, what an object or a class has is a table.
 */
#ifndef OBJECTS_H
#define OBJECTS_H

#include "frames.h"
#include "pyapi.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct py_object {
	const char *type; /* the one name that its class has an attribute of */
	long references;
	char text[64];
	long number;
};

static struct py_object none, pending;
/* What an object, or a class, has. */
static struct {
	struct py_object *owner;
	const char *name;
	struct py_object *value;
} attributes[32];
static unsigned attribute_count;
static struct py_object *raised;
static long alive; /* references that the library holds */

static inline struct py_object *fresh(const char *text)
{
	struct py_object *object = calloc(1, sizeof(*object));

	cr_assert_not_null(object);
	object->references = 1;
	snprintf(object->text, sizeof(object->text), "%.63s", text);
	alive++;
	return object;
}

static inline struct py_object *fail(void)
{
	raised = &pending;
	return NULL;
}

static inline void take_reference(struct py_object *object)
{
	alive++;
	object->references++;
}

static inline void drop_reference(struct py_object *object)
{
	alive--;
	if (--object->references == 0)
		free(object);
}

static inline void clear(void)
{
	raised = NULL;
}

static inline struct py_object *get_raised(void)
{
	struct py_object *was = raised;

	raised = NULL;
	return was;
}

static inline void set_raised(struct py_object *object)
{
	raised = object;
}

static inline struct py_object *attribute(struct py_object *owner, const char *name)
{
	for (unsigned i = attribute_count; i-- > 0;) {
		if (attributes[i].owner == owner && strcmp(attributes[i].name, name) == 0)
			return attributes[i].value;
	}
	return NULL;
}

static inline void has(struct py_object *owner, const char *name, struct py_object *value)
{
	cr_assert_lt(attribute_count, PROF_COUNT(attributes));
	attributes[attribute_count].owner = owner;
	attributes[attribute_count].name = name;
	attributes[attribute_count++].value = value;
}

static inline struct py_object *lookup(struct py_object *type, struct py_object *name)
{
	struct py_object *value = type ? attribute(type, name->text) : NULL;

	return type && strcmp((const char *)type, name->text) == 0 ? &none : value;
}

/* Of the object, else of its class. */
static inline struct py_object *get_attribute_of(struct py_object *object, struct py_object *name)
{
	struct py_object *value = attribute(object, name->text);

	if (!value && object->type)
		value = attribute((struct py_object *)object->type, name->text);
	if (!value)
		return fail();
	take_reference(value);
	return value;
}

/* The calls that every test wants. */
static inline void objects_begin(void)
{
	py.PyErr_GetRaisedException = get_raised;
	py.PyErr_SetRaisedException = set_raised;
	py.PyErr_Clear = clear;
	py.PyUnicode_FromString = fresh;
	py.PyUnicode_InternFromString = fresh;
	py.Py_IncRef = take_reference;
	py.Py_DecRef = drop_reference;
	py._PyType_Lookup = lookup;
}

#endif
