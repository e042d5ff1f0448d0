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
#define FRAMES_LINK_STEPS 64 /* entry frames and trampolines between two frames */

static size_t entries_told;

static bool link_from(struct frames_link *link, uintptr_t frame);
static uintptr_t code_begin(uintptr_t code);

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
	struct frames_walk walk = {
		.layout = layout,
		.frames = frames,
		.limit = limit,
		.entries = entries_told,
	};
	enum frames_result result = FRAMES_UNSURE;
	/* 3.12's evaluation loop publishes its _PyCFrame some instructions before it fills it, and
	   calls nothing in between; what is in there until then can look plausible */
	if (!layout->has_cframe || pc - layout->eval_begin >= FRAMES_WINDOW_BYTES)
		result = frames_walk_with(&walk, frames_read_plain);
	*count = walk.count;
	*interpreter = walk.interpreter;
	return result;
}

void frames_tell_entries(size_t most)
{
	entries_told = most;
}

bool frames_top(struct frames_link *link)
{
	struct frames_walk walk = { .layout = frames_layout() };
	uintptr_t frame;

	return frames_first(&walk, frames_read_plain, &frame) && link_from(link, frame);
}

bool frames_up(struct frames_link *link)
{
	uintptr_t frame;

	return frames_word(frames_read_plain, link->frame + frames_layout()->frame_previous,
			   &frame) &&
	       link_from(link, frame);
}

bool frames_begins(const struct frames_link *link)
{
	return link->instruction == code_begin(link->code);
}

/* The first frame of Python code that has begun, from here on. */
static bool link_from(struct frames_link *link, uintptr_t frame)
{
	const struct frames_layout *layout = frames_layout();
	unsigned steps = FRAMES_LINK_STEPS;
	uintptr_t type;
	unsigned char owner;

	link->was_crossed = false;
	for (; frame && steps--;) {
		if (!frames_pointer(frame))
			return false;
		frames_read_plain(&owner, frame + layout->frame_owner, sizeof(owner));
		link->frame = frame;
		frames_read_plain(&link->code, frame + layout->frame_code, sizeof(link->code));
		frames_read_plain(&link->instruction, frame + layout->frame_instruction,
				  sizeof(link->instruction));
		link->code &= ~(uintptr_t)FRAMES_TAG;
		if (owner >= FRAMES_OWNER_ENTRY)
			link->was_crossed = true;
		else if (frames_word(frames_read_plain, link->code + layout->object_type, &type) &&
			 type == layout->code_type &&
			 (owner == FRAMES_OWNER_GENERATOR ||
			  link->instruction >= code_begin(link->code)))
			return true;
		frames_read_plain(&frame, frame + layout->frame_previous, sizeof(frame));
	}
	return false;
}

static uintptr_t code_begin(uintptr_t code)
{
	const struct frames_layout *layout = frames_layout();
	int32_t firsttraceable;

	frames_read_plain(&firsttraceable, code + layout->code_firsttraceable,
			  sizeof(firsttraceable));
	return code + layout->code_instructions + 2 * (uintptr_t)firsttraceable;
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
