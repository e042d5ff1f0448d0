/*
 * frames.h - every CPython struct offset, one row a version, and the walk that uses them.
 *
 *   frames_start   choose the row (3.12: the table; 3.13+: _Py_DebugOffsets in the shape of its
 *                  version, the table filling what it lacks)           frames_layout.def .c
 *   frames_check   let a small Python program call back into us, walk its stack raw, and compare
 *                  with what the public C API says                          frames_check.c
 *   frames_walk    the signal-safe walk of the calling thread's own stack          frames.c
 *
 * A frame is recorded as the raw pair (code object, address of the instruction), never dereferenced
 * further in the handler.  Naming is symbol's.
 */
#ifndef FRAMES_H
#define FRAMES_H

#include "prof.h"

#include <string.h>

struct frame {
	uintptr_t code; /* PyCodeObject *, or a small number of enum frame_marker */
	uintptr_t instruction; /* prev_instr / instr_ptr as the interpreter has it */
};

/* Frames that are not Python code; their `instruction` is 0. */
enum frame_marker {
	FRAME_NONE,
	FRAME_THREAD_EXIT, /* "[thread exit]" */
	FRAME_FINALIZING, /* "[finalizing]" */
	FRAME_UNKNOWN, /* "[unknown]" */
	FRAME_CUT, /* "[cut]": stands for the root end that did not fit */
	FRAME_NO_PYTHON, /* "[native]": the thread holds no Python stack */
	FRAME_MARKER_END
};

/* `instruction` of what is no Python frame: what `code` is instead. */
#define FRAME_CALLEE UINTPTR_MAX /* a C function: the id of a callee, or several (site.h) */
#define FRAME_ENTRY \
	(UINTPTR_MAX - 1) /* the address of an entry frame: an activation of the interpreter ends */
#define FRAME_NATIVE \
	(UINTPTR_MAX - 2) /* an address in native code, in the function that runs or that called */

/* Is it a Python frame, a code object and an instruction of it? any */
static inline bool frame_is_code(const struct frame *frame)
{
	return frame->instruction < FRAME_NATIVE && frame->code >= FRAME_MARKER_END;
}

/* What a marker is called in every output. any */
const char *frame_marker_name(enum frame_marker marker);

enum frames_result {
	FRAMES_OK,
	FRAMES_CUT, /* deeper than the limit: the leaf-most frames are there */
	FRAMES_NONE, /* the thread has no Python frame */
	FRAMES_UNSURE, /* must be dropped */
};

/* Where CPython keeps what; in bytes. The rows are in frames_layout.def. */
struct frames_layout {
	uint16_t tstate_frame; /* 3.12: where the pointer to its _PyCFrame is */
	uint16_t tstate_interp;
	uint16_t cframe_frame, cframe_previous; /* 3.12 */
	uint16_t frame_code, frame_previous, frame_instruction, frame_owner;
	uint16_t frame_tlbc_index, code_tlbc; /* free-threaded 3.14+, else 0 */
	uint16_t code_filename, code_qualname, code_linetable, code_firstlineno,
		code_firsttraceable;
	uint16_t code_instructions, code_version;
	uint16_t object_type;
	uint16_t unicode_state, unicode_length, unicode_ascii_data, unicode_compact_data;
	uint16_t unicode_kind_shift; /* bits of state: kind 3, compact 1, ascii 1 */
	uint16_t bytes_size, bytes_data;
	bool has_cframe; /* 3.12 */
	bool free_threaded;
	uintptr_t code_type; /* &PyCode_Type */
	/* 3.12: a program counter in the first bytes of the evaluation loop is not sure ... */
	uintptr_t eval_begin;
	/* ... and the innermost entry frame lies at this distance from its cframe; 0: not learnt */
	intptr_t entry_distance;
};
#define FRAMES_WINDOW_BYTES 256
#define FRAMES_HEAD_BYTES 256 /* no code object's or str's head is longer */

/* Choose the layout for the running interpreter; needs pyapi. setup */
errmsg frames_start(void);
/* Compare a raw walk of the calling thread, and raw names and lines, with the public API; learns
   entry_distance. Runs a few lines of Python. setup */
errmsg frames_check(void);
/* What frames_start chose; all zero before. any */
extern struct frames_layout frames_chosen;
static inline const struct frames_layout *frames_layout(void)
{
	return &frames_chosen;
}
/* Put another layout in its place: frames_check's learning, and made-up ones of tests. setup */
void frames_layout_set(const struct frames_layout *layout);

/*
 * Walk the calling thread's own Python stack, with the C functions that it stands on where site.h knows
 * them, leaf first, into at most `limit` frames. `pc` is the
 * interrupted program counter (0: none), for 3.12's window. *count is set in every case,
 * *interpreter to the PyInterpreterState of the thread (0: none). signal
 */
enum frames_result frames_walk(struct frame *frames, size_t limit, uintptr_t pc, size_t *count,
			       uintptr_t *interpreter);
/* So many of a stack's activations of the interpreter, innermost first, are told by a FRAME_ENTRY of their own behind
   their frames. The innermost does not count for the limit: the frames need room for one more then. None, unless this
   is called. setup */
void frames_tell_entries(size_t most);

/*
 * Line of an instruction of a code object from its location table (PEP 626; format in CPython's
 * InternalDocs/code_objects.md, unchanged since 3.11). offset in bytes from the first instruction;
 * firstlineno where it is negative, 0 where there is no line. Any bytes are survived. any
 */
int frames_line(const uint8_t *linetable, size_t size_bytes, int firstlineno, int offset);

/* One Python frame of the calling thread's stack. */
struct frames_link {
	uintptr_t frame, code, instruction;
	bool was_crossed; /* C code lies between it and the frame that it was reached from */
};

/* The innermost one; false: there is none, or it is not sure. callback */
bool frames_top(struct frames_link *link);
/* From a frame to the one that called it. callback */
bool frames_up(struct frames_link *link);
/* Has it just begun, and executed nothing yet? callback */
bool frames_begins(const struct frames_link *link);
/* What tells a code object from a later one at its address; 0 where CPython has run out of numbers.
   callback */
static inline uint32_t frames_code_version(uintptr_t code)
{
	uint32_t version;

	memcpy(&version, (const void *)(code + frames_layout()->code_version), sizeof(version));
	return version;
}

/* Where the calling thread's innermost Python frame stands: in the middle of a call, as a rule. */
struct frames_place {
	uintptr_t frame, instruction; /* 0: there is none */
};

/* any thread with Python frames, GIL held or not */
void frames_place_take(struct frames_place *place);
/* Is that call still going on, in the calling thread, and has it called back into Python? callback */
bool frames_place_within(const struct frames_place *place);

#endif
