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
	uintptr_t previous; /* 0: there is none */
};

/* The code of a frame as it lies there. callback */
FRAMES_INLINE uintptr_t frames_code(uintptr_t frame)
{
	uintptr_t code;

	frames_read_plain(&code, frame + frames_layout()->frame_code, sizeof(code));
	return code & ~(uintptr_t)FRAMES_TAG;
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
	const struct frames_layout *layout = frames_layout();
	struct frames_walk walk = { .layout = layout };
	uintptr_t frame, previous;

	if (!frames_first(&walk, frames_read_plain, &frame) || !frames_pointer(frame))
		return (struct frames_glance){ 0, 0, 0 };
	frames_read_plain(&previous, frame + layout->frame_previous, sizeof(previous));
	return (struct frames_glance){ frame, frames_code(frame), previous };
}

#endif
