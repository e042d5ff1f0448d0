/*
 * frames_walk.h - the stack walk itself, private to frames.c, frames_check.c and frames_glance.h.
 *
 * One body, compiled twice: with plain reads for the handler (`read` is frames_read_plain), and
 * with fault-tolerant ones for the self-check, which cannot trust the offsets yet.
 *
 *   thread state -> frame -> previous -> ...      leaf to root
 *
 *   owner 0 thread, 1 generator, 2 frame object   a Python frame; recorded if its executable is a
 *                                                 code object and it has begun (CPython's own rule,
 *                                                 _PyFrame_IsIncomplete), which also drops the
 *                                                 trampoline of _Py_InitCleanup (3.13+)
 *   owner 3, 4                                    an entry frame, in the C stack frame of one
 *                                                 activation of the evaluation loop; skipped, or its
 *                                                 address told where the C stack is wanted too
 *
 * C code runs above the innermost Python frame and above each one that an entry frame continues with:
 * where such a frame stands on a call of a C function that is known, that function gets a frame of its
 * own.
 *
 * A thread's own chain is whole but for a few instructions: frames are unlinked before they are
 * cleared, and pushed when they are filled, yet the compiler may order the two stores of a
 * generator's resumption or yield (current frame, the generator's `previous`) as it likes.  Every
 * activation of the evaluation loop begins with an entry frame, so a whole chain ends with one, and
 * one that ends with a Python frame is not sure.  Another exception is 3.12, whose evaluation loop
 * publishes its _PyCFrame before filling it: frames_walk tests the program counter for that, and
 * here the innermost entry frame must lie where it always lies, and continue where the enclosing
 * _PyCFrame says.
 */
#ifndef FRAMES_WALK_H
#define FRAMES_WALK_H

#include "frames.h"
#include "pyapi.h"
#include "site.h"

#include <string.h>

#define FRAMES_OWNER_GENERATOR 1
#define FRAMES_OWNER_ENTRY 3
#define FRAMES_OWNER_MAX 4
#define FRAMES_BEYOND_STEPS 4096
#define FRAMES_TAG 3 /* low bits of _PyStackRef (3.14+); 0 in a pointer of 3.12 and 3.13 */
#define FRAMES_INLINE static inline __attribute__((always_inline))

/* Copy n bytes from `from`; false if they cannot be read. */
typedef bool frames_read(void *to, uintptr_t from, size_t n);

struct frames_walk {
	const struct frames_layout *layout;
	struct frame *frames;
	size_t limit, count;
	size_t entries; /* that are still to be told */
	bool cut;
	bool has_code, has_entry;
	bool below_c; /* C code was called by the next Python frame, if it stands on a call */
	uintptr_t interpreter;
	uintptr_t cframe; /* 3.12: until the innermost entry frame has been met */
};

FRAMES_INLINE bool frames_read_plain(void *to, uintptr_t from, size_t n)
{
	memcpy(to, (const void *)from, n);
	return true;
}

/* A pointer that may be followed: aligned, in user space, not in the page of NULL. */
FRAMES_INLINE bool frames_pointer(uintptr_t address)
{
	return address % sizeof(uintptr_t) == 0 && address >= 4096 && address >> 47 == 0;
}

FRAMES_INLINE bool frames_word(frames_read *read, uintptr_t from, uintptr_t *word)
{
	return frames_pointer(from) && read(word, from, sizeof(*word));
}

/* The thread's innermost frame, 0 for none. */
FRAMES_INLINE bool frames_first(struct frames_walk *walk, frames_read *read, uintptr_t *frame)
{
	const struct frames_layout *layout = walk->layout;
	uintptr_t tstate = (uintptr_t)py._PyThreadState_GetCurrent();
	*frame = 0;
	/* Without the GIL it is the thread's own state all the same, which nobody else changes */
	if (!tstate)
		tstate = (uintptr_t)py.PyGILState_GetThisThreadState();
	if (!tstate)
		return true;
	if (!frames_word(read, tstate + layout->tstate_interp, &walk->interpreter) ||
	    !frames_word(read, tstate + layout->tstate_frame, frame))
		return false;
	if (!layout->has_cframe)
		return true;
	walk->cframe = *frame;
	return frames_word(read, walk->cframe + layout->cframe_frame, frame);
}

/* 3.12: does the innermost entry frame belong to the innermost _PyCFrame? */
FRAMES_INLINE bool frames_entry_sure(struct frames_walk *walk, frames_read *read, uintptr_t entry,
				     uintptr_t previous)
{
	const struct frames_layout *layout = walk->layout;
	uintptr_t cframe = walk->cframe, outer;
	if (!cframe)
		return true;
	walk->cframe = 0;
	return entry == cframe + (uintptr_t)layout->entry_distance &&
	       frames_word(read, cframe + layout->cframe_previous, &outer) &&
	       frames_word(read, outer + layout->cframe_frame, &outer) && outer == previous;
}

/* Free-threaded 3.14+: each thread may run its own copy of the instructions; give the place in the
   code object's own ones. */
FRAMES_INLINE bool frames_own_instruction(const struct frames_layout *layout, frames_read *read,
					  uintptr_t frame, struct frame *found)
{
	int32_t index;
	uintptr_t copies, copy;
	if (!read(&index, frame + layout->frame_tlbc_index, sizeof(index)))
		return false;
	if (index == 0)
		return true;
	/* _PyCodeArray: size, then pointers */
	if (index < 0 || !frames_word(read, found->code + layout->code_tlbc, &copies) ||
	    !frames_word(read, copies + sizeof(uintptr_t) * (1 + (size_t)index), &copy))
		return false;
	found->instruction += found->code + layout->code_instructions - copy;
	return true;
}

FRAMES_INLINE void frames_take_callee(struct frames_walk *walk, uintptr_t instruction)
{
	uint64_t callees = site_find(instruction);
	if (callees && walk->count < walk->limit)
		walk->frames[walk->count++] = (struct frame){ callees, FRAME_CALLEE };
}

/* Take one Python frame, if it counts. False: the chain cannot be trusted. */
FRAMES_INLINE bool frames_take(struct frames_walk *walk, frames_read *read, uintptr_t frame,
			       unsigned char owner)
{
	const struct frames_layout *layout = walk->layout;
	struct frame found;
	uintptr_t type;
	int32_t firsttraceable;
	bool called_c = walk->below_c;
	walk->below_c = false;
	if (!frames_word(read, frame + layout->frame_code, &found.code) ||
	    !frames_word(read, frame + layout->frame_instruction, &found.instruction))
		return false;
	found.code &= ~(uintptr_t)FRAMES_TAG;
	if (!frames_word(read, found.code + layout->object_type, &type))
		return false;
	if (type != layout->code_type)
		return true;
	if (layout->frame_tlbc_index && !frames_own_instruction(layout, read, frame, &found))
		return false;
	if (!read(&firsttraceable, found.code + layout->code_firsttraceable,
		  sizeof(firsttraceable)))
		return false;
	uintptr_t begin = found.code + layout->code_instructions + 2 * (uintptr_t)firsttraceable;
	if (owner != FRAMES_OWNER_GENERATOR && found.instruction < begin)
		return true;
	if (called_c)
		frames_take_callee(walk, found.instruction);
	walk->cut = walk->count >= walk->limit;
	walk->has_code = true;
	if (!walk->cut)
		walk->frames[walk->count++] = found;
	return true;
}

FRAMES_INLINE void frames_tell_entry(struct frames_walk *walk, uintptr_t entry)
{
	/* There is room for one that does not count for the limit. */
	walk->limit += walk->entries && !walk->has_entry;
	if (!walk->entries || walk->count >= walk->limit)
		return;
	walk->entries--;
	walk->has_entry = true;
	walk->frames[walk->count++] = (struct frame){ entry, FRAME_ENTRY };
}

/* The innermost activation may begin beyond the limit: what it has called is placed by it all the same. */
FRAMES_INLINE void frames_find_entry(struct frames_walk *walk, frames_read *read, uintptr_t frame)
{
	const struct frames_layout *layout = walk->layout;
	unsigned char owner;
	for (unsigned steps = 0; frame && steps < FRAMES_BEYOND_STEPS && !walk->has_entry;
	     steps++) {
		if (!frames_pointer(frame) ||
		    !read(&owner, frame + layout->frame_owner, sizeof(owner)))
			return;
		if (owner >= FRAMES_OWNER_ENTRY)
			frames_tell_entry(walk, frame);
		else if (!read(&frame, frame + layout->frame_previous, sizeof(frame)))
			return;
	}
}

FRAMES_INLINE enum frames_result frames_walk_with(struct frames_walk *walk, frames_read *read)
{
	const struct frames_layout *layout = walk->layout;
	/* No chain has more than an entry frame, a trampoline and a beginning for each frame */
	size_t steps = 4 * walk->limit + 64;
	uintptr_t frame, previous;
	bool whole = true;
	if (!frames_first(walk, read, &frame))
		return FRAMES_UNSURE;
	walk->below_c = true;
	while (frame && !walk->cut) {
		unsigned char owner;
		if (!steps-- || !frames_word(read, frame + layout->frame_previous, &previous) ||
		    !read(&owner, frame + layout->frame_owner, sizeof(owner)) ||
		    owner > FRAMES_OWNER_MAX)
			return FRAMES_UNSURE;
		bool sure = owner >= FRAMES_OWNER_ENTRY ?
				    frames_entry_sure(walk, read, frame, previous) :
				    frames_take(walk, read, frame, owner);
		if (!sure)
			return FRAMES_UNSURE;
		whole = owner >= FRAMES_OWNER_ENTRY;
		if (whole)
			frames_tell_entry(walk, frame);
		walk->below_c |= whole;
		frame = previous;
	}
	if (walk->cut) {
		if (walk->entries)
			frames_find_entry(walk, read, frame);
		return FRAMES_CUT;
	}
	if (!whole)
		return FRAMES_UNSURE;
	return walk->has_code ? FRAMES_OK : FRAMES_NONE;
}

#endif
