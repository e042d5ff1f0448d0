/*
 * frames.c - the signal-safe walk of the calling thread's own stack.
 *
 * Plain reads: everything that is followed belongs to the calling thread or is held alive by its
 * own frames.  Each pointer is checked for alignment and range, each owner for its values, and the
 * chain for its length, so that an unforeseen state is dropped, not followed.
 */
#include "frames.h"

#include "frames_walk.h"

#define FRAMES_PLACE_STEPS 256 /* callbacks that a call may be deep in */

const char *frame_marker_name(enum frame_marker marker)
{
	static const char *const names[FRAME_MARKER_END] = {
		[FRAME_NONE] = "",
		[FRAME_THREAD_EXIT] = "[thread exit]",
		[FRAME_FINALIZING] = "[finalizing]",
		[FRAME_UNKNOWN] = "[unknown]",
		[FRAME_CUT] = "[cut]",
		[FRAME_NO_PYTHON] = "[native]",
	};
	return (unsigned)marker < FRAME_MARKER_END ? names[marker] : "";
}

enum frames_result frames_walk(struct frame *frames, size_t limit, uintptr_t pc, size_t *count,
			       uintptr_t *interpreter)
{
	const struct frames_layout *layout = frames_layout();
	struct frames_walk walk = { .layout = layout, .frames = frames, .limit = limit };
	enum frames_result result = FRAMES_UNSURE;
	/* 3.12's evaluation loop publishes its _PyCFrame some instructions before it fills it, and
	   calls nothing in between; what is in there until then can look plausible */
	if (!layout->has_cframe || pc - layout->eval_begin >= FRAMES_WINDOW_BYTES)
		result = frames_walk_with(&walk, frames_read_plain);
	*count = walk.count;
	*interpreter = walk.interpreter;
	return result;
}

void frames_place_take(struct frames_place *place)
{
	const struct frames_layout *layout = frames_layout();
	struct frames_walk walk = { .layout = layout };

	place->instruction = 0;
	if (!frames_first(&walk, frames_read_plain, &place->frame))
		place->frame = 0;
	if (place->frame)
		frames_word(frames_read_plain, place->frame + layout->frame_instruction,
			    &place->instruction);
}

bool frames_place_within(const struct frames_place *place)
{
	const struct frames_layout *layout = frames_layout();
	struct frames_walk walk = { .layout = layout };
	uintptr_t frame, instruction;

	if (!place->frame || !frames_first(&walk, frames_read_plain, &frame))
		return false;
	/* Innermost, the call is over */
	for (unsigned steps = 0; frame && steps < FRAMES_PLACE_STEPS; steps++) {
		if (!frames_word(frames_read_plain, frame + layout->frame_previous, &frame))
			return false;
		if (frame == place->frame)
			return frames_word(frames_read_plain, frame + layout->frame_instruction,
					   &instruction) &&
			       instruction == place->instruction;
	}
	return false;
}
