/*
 * frames.c - the signal-safe walk of the calling thread's own stack.
 *
 * Plain reads: everything that is followed belongs to the calling thread or is held alive by its
 * own frames.  Each pointer is checked for alignment and range, each owner for its values, and the
 * chain for its length, so that an unforeseen state is dropped, not followed.
 */
#include "frames.h"

#include "frames_walk.h"

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
