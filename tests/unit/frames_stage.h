/*
 * frames_stage.h - an interpreter made by hand: frames and code objects of a layout of our own, in which every field
 * has another place than in any CPython.
 */
#ifndef FRAMES_STAGE_H
#define FRAMES_STAGE_H

#include "frames.h"
#include "pyapi.h"
#include "site.h"

#include <criterion/criterion.h>
#include <string.h>

struct code_object {
	uint64_t refcount, padding;
	const void *type;
	int32_t firsttraceable, firstlineno;
	void *copies;
	uint16_t instructions[16];
};

struct interpreter_frame {
	uint64_t padding;
	struct interpreter_frame *previous;
	uintptr_t code;
	void *instruction;
	int32_t copy_index;
	unsigned char owner;
};

struct cframe {
	struct cframe *previous;
	struct interpreter_frame *frame;
};

struct thread_state {
	void *interpreter;
	void *frame; /* or struct cframe */
};

enum { THREAD, GENERATOR, FRAME_OBJECT, ENTRY, C_STACK };

static struct {
	struct frames_layout layout;
	struct code_object code[4], other;
	struct interpreter_frame frames[64];
	struct thread_state current, detached;
	bool has_current, has_detached;
	unsigned used;
} fake;

static uint64_t code_type, other_type;

static struct py_thread_state *get_current(void)
{
	return fake.has_current ? (struct py_thread_state *)&fake.current : NULL;
}

static struct py_thread_state *get_detached(void)
{
	return fake.has_detached ? (struct py_thread_state *)&fake.detached : NULL;
}

static void set_up(void)
{
	fake.layout = (struct frames_layout){
		.tstate_frame = offsetof(struct thread_state, frame),
		.tstate_interp = offsetof(struct thread_state, interpreter),
		.cframe_frame = offsetof(struct cframe, frame),
		.cframe_previous = offsetof(struct cframe, previous),
		.frame_code = offsetof(struct interpreter_frame, code),
		.frame_previous = offsetof(struct interpreter_frame, previous),
		.frame_instruction = offsetof(struct interpreter_frame, instruction),
		.frame_owner = offsetof(struct interpreter_frame, owner),
		.code_firsttraceable = offsetof(struct code_object, firsttraceable),
		.code_instructions = offsetof(struct code_object, instructions),
		.object_type = offsetof(struct code_object, type),
		.code_type = (uintptr_t)&code_type,
	};
	frames_layout_set(&fake.layout);
	for (size_t i = 0; i < PROF_COUNT(fake.code); i++)
		fake.code[i] = (struct code_object){ .type = &code_type, .firsttraceable = 2 };
	fake.other.type = &other_type;
	fake.current.interpreter = &fake;
	fake.detached.interpreter = &fake.detached;
	fake.has_current = true;
	py._PyThreadState_GetCurrent = get_current;
	py.PyGILState_GetThisThreadState = get_detached;
}

/* One more frame towards the leaf, at code unit `unit`. */
static struct interpreter_frame *push(unsigned owner, struct code_object *code, int unit)
{
	struct interpreter_frame *frame = &fake.frames[fake.used++];

	frame->previous = fake.current.frame;
	frame->owner = (unsigned char)owner;
	frame->code = (uintptr_t)code;
	frame->instruction = (char *)code->instructions + 2 * (intptr_t)unit;
	fake.current.frame = frame;
	return frame;
}

static struct frame walked[64];
static size_t count;
static uintptr_t interpreter;

static enum frames_result walk(size_t limit)
{
	return frames_walk(walked, limit, 0, &count, &interpreter);
}

static bool is(size_t i, unsigned code, int unit)
{
	return i < count && walked[i].code == (uintptr_t)&fake.code[code] &&
	       walked[i].instruction ==
		       (uintptr_t)fake.code[code].instructions + 2 * (uintptr_t)unit;
}

/* Each code's instruction of this number calls the callee 1 + the code's number. */
static void know_calls(int unit)
{
	for (unsigned i = 0; i < PROF_COUNT(fake.code); i++)
		site_add((uintptr_t)&fake.code[i], (uintptr_t)&fake.code[i].instructions[unit],
			 1 + i);
}

static bool is_callee(size_t i, uintptr_t id)
{
	return i < count && walked[i].code == id && walked[i].instruction == FRAME_CALLEE;
}

#endif
