/*
 * frames_layout.c - which offsets hold in the running interpreter.
 *
 *   3.12            the table's column
 *   3.13, 14, 15    _Py_DebugOffsets, the first member of _PyRuntime: cookie, version,
 *                   free-threaded, then groups of 8-byte offsets whose shape differs with each
 *                   minor version, so it is picked by version; what it lacks comes from the column
 *   newer           3.15's shape, if what it gives makes sense; the self-check has the last word
 *
 * Nothing here proves that the offsets are right: frames_check does.
 */
#include "frames.h"
#include "os.h"
#include "pyapi.h"

#include <string.h>

enum column { PY312, PY313, PY313T, PY314, PY314T, PY315, PY315T, COLUMNS };
#define SHAPES 3 /* of _Py_DebugOffsets: 3.13, 3.14, 3.15 */
#define SHAPE_WORDS 111 /* the largest: 3.15's 888 bytes */
#define OFFSET_MAX 1024 /* none of the structs' fields lies further in */

struct field {
	size_t member; /* in struct frames_layout */
	uint16_t offset[COLUMNS];
	uint8_t word[SHAPES];
};

static const struct field fields[] = {
#define FIELD(member, a, b, c, d, e, f, g, x, y, z) \
	{ offsetof(struct frames_layout, member), { a, b, c, d, e, f, g }, { x, y, z } },
#include "frames_layout.def"
#undef FIELD
};
static const uint16_t shape_words[SHAPES] = { 73, 95, SHAPE_WORDS };

struct frames_layout frames_chosen;

static void take_column(struct frames_layout *chosen, enum column column);
static errmsg take_debug_offsets(struct frames_layout *chosen, unsigned minor);
static bool sensible(const struct frames_layout *chosen);

errmsg frames_start(void)
{
	struct frames_layout chosen = { 0 };
	unsigned minor = pyapi_version() >> 16 & 0xff;
	if (!pyapi_loaded())
		return "no CPython: no stacks";
	if (minor == 12) {
		take_column(&chosen, PY312);
		chosen.has_cframe = true;
		/* ISO C has no conversion from a function pointer; POSIX has one */
		memcpy(&chosen.eval_begin, &py._PyEval_EvalFrameDefault, sizeof(chosen.eval_begin));
	} else {
		errmsg error = take_debug_offsets(&chosen, minor);
		if (error)
			return error;
	}
	chosen.code_type = (uintptr_t)py.PyCode_Type;
	frames_chosen = chosen;
	return NULL;
}

void frames_layout_set(const struct frames_layout *other)
{
	frames_chosen = *other;
}

static uint16_t *member(struct frames_layout *chosen, const struct field *field)
{
	return (uint16_t *)(void *)((char *)chosen + field->member);
}

static void take_column(struct frames_layout *chosen, enum column column)
{
	for (size_t i = 0; i < PROF_COUNT(fields); i++)
		*member(chosen, &fields[i]) = fields[i].offset[column];
}

static errmsg take_debug_offsets(struct frames_layout *chosen, unsigned minor)
{
	uint64_t words[SHAPE_WORDS];
	unsigned shape = minor >= 15 ? 2 : minor - 13;
	errmsg unknown = "this CPython's stack frames are not known: no stacks";
	if (!os_read(words, (uintptr_t)py._PyRuntime, shape_words[shape] * sizeof(words[0])))
		return unknown;
	if (memcmp(&words[0], "xdebugpy", 8) != 0 || words[1] != pyapi_version() || words[2] > 1)
		return unknown;
	chosen->free_threaded = words[2];
	enum column column = PY313 + 2 * shape + words[2];
	take_column(chosen, column);
	/* A fixed distance, whatever has moved before it */
	uint16_t distance = chosen->code_instructions - chosen->code_firsttraceable;
	for (size_t i = 0; i < PROF_COUNT(fields); i++) {
		uint64_t offset = words[fields[i].word[shape]];
		if (!fields[i].word[shape])
			continue;
		if (offset > OFFSET_MAX)
			return unknown;
		*member(chosen, &fields[i]) = (uint16_t)offset;
	}
	chosen->code_firsttraceable = chosen->code_instructions - distance;
	return sensible(chosen) ? NULL : unknown;
}

/* The heads of a code object and of a str hold their fields, and fit into code.c's buffer. */
static bool sensible(const struct frames_layout *chosen)
{
	const size_t word = sizeof(uintptr_t), half = sizeof(uint32_t);
	const size_t code_end = chosen->code_instructions, text_end = chosen->unicode_ascii_data;
	return code_end <= FRAMES_HEAD_BYTES && chosen->object_type + word <= code_end &&
	       chosen->code_filename + word <= code_end &&
	       chosen->code_qualname + word <= code_end &&
	       chosen->code_linetable + word <= code_end &&
	       chosen->code_firstlineno + half <= code_end &&
	       chosen->code_firsttraceable + half <= code_end &&
	       chosen->unicode_state + half <= text_end &&
	       chosen->unicode_length + word <= text_end &&
	       text_end <= chosen->unicode_compact_data &&
	       chosen->unicode_compact_data + word <= FRAMES_HEAD_BYTES;
}
