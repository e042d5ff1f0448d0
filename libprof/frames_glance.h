/*
 * frames_glance.h - one look at the innermost frame of the calling thread, for callbacks that happen many
 * million times a second and know what to expect there: frames_top and frames_up are for all else.
 *
 * Nothing is said of what the frames are; one that has the address and the code of a Python frame that
 * was seen there before is that frame, or a later one of the same function.
 */
#ifndef FRAMES_GLANCE_H
#define FRAMES_GLANCE_H

#include "frames_walk.h"

struct frames_glance {
	uintptr_t frame, code; /* 0: there is none */
};

/* The code of a frame as it lies there. callback */
FRAMES_INLINE uintptr_t frames_code(uintptr_t frame)
{
	uintptr_t code;

	frames_read_plain(&code, frame + frames_layout()->frame_code, sizeof(code));
	return code & ~(uintptr_t)FRAMES_TAG;
}

/* The frame that it returns to, whatever that is; 0: none. callback */
FRAMES_INLINE uintptr_t frames_previous(uintptr_t frame)
{
	uintptr_t previous;

	frames_read_plain(&previous, frame + frames_layout()->frame_previous, sizeof(previous));
	return previous;
}

/* Where the thread state is found without a call. */
struct frames_current {
	intptr_t distance; /* from the thread pointer, in every thread; 0: not known */
};
extern struct frames_current frames_current;

/* Learn it, if it can be known. The calling thread has a state. setup */
void frames_current_find(void);

/* any */
FRAMES_INLINE uintptr_t frames_thread_pointer(void)
{
	uintptr_t pointer = 0;

#ifdef __x86_64__
	/* The first word that it points to is itself: System V ABI, AMD64 supplement. */
	__asm__("movq %%fs:0, %0" : "=r"(pointer));
#endif
	return pointer;
}

/* The calling thread's innermost frame, where the distance is known; 0: there is none. callback */
FRAMES_INLINE uintptr_t frames_innermost(void)
{
	const struct frames_layout *layout = frames_layout();
	uintptr_t frame, tstate;

	frames_read_plain(&tstate, frames_thread_pointer() + (uintptr_t)frames_current.distance,
			  sizeof(tstate));
	frames_read_plain(&frame, tstate + layout->tstate_frame, sizeof(frame));
	if (layout->has_cframe)
		frames_read_plain(&frame, frame + layout->cframe_frame, sizeof(frame));
	return frame;
}

/* Where a frame stands. callback */
FRAMES_INLINE uintptr_t frames_instruction(uintptr_t frame)
{
	uintptr_t instruction;

	frames_read_plain(&instruction, frame + frames_layout()->frame_instruction,
			  sizeof(instruction));
	return instruction;
}

/* callback */
FRAMES_INLINE struct frames_glance frames_glance(void)
{
	struct frames_walk walk = { .layout = frames_layout() };
	uintptr_t frame;

	if (!frames_first(&walk, frames_read_plain, &frame) || !frames_pointer(frame))
		return (struct frames_glance){ 0, 0 };
	return (struct frames_glance){ frame, frames_code(frame) };
}

#endif
