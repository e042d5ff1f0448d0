/*
 * fuzz_frames.c - the walk in a memory that is all nonsense.
 *
 * The input is the memory, which begins with its layout; the reader refuses everything outside of it.
 */
#include "frames.h"
#include "frames_walk.h"

#include <stdlib.h>

#define BASE ((uintptr_t)1 << 32)
#define LIMIT 32

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static const uint8_t *memory;
static size_t memory_bytes;

static bool read_memory(void *to, uintptr_t from, size_t n)
{
	if (from < BASE || from - BASE > memory_bytes || n > memory_bytes - (from - BASE))
		return false;
	memcpy(to, memory + (from - BASE), n);
	return true;
}

static struct py_thread_state *get_current(void)
{
	return (struct py_thread_state *)BASE;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	struct frames_layout layout = { .code_type = BASE };
	size_t head_bytes = offsetof(struct frames_layout, has_cframe) + 1;
	if (size_bytes < head_bytes)
		return 0;
	memcpy(&layout, bytes, head_bytes - 1);
	layout.has_cframe = bytes[head_bytes - 1] & 1;
	memory = bytes + head_bytes;
	memory_bytes = size_bytes - head_bytes;
	py._PyThreadState_GetCurrent = get_current;
	/* On the heap, so that a write beyond it is seen */
	struct frame *frames = malloc(LIMIT * sizeof(*frames));
	struct frames_walk walk = { .layout = &layout, .frames = frames, .limit = LIMIT };
	enum frames_result result = frames_walk_with(&walk, read_memory);
	if (walk.count > LIMIT || (result == FRAMES_CUT && walk.count != LIMIT) ||
	    (result == FRAMES_OK && !walk.count) || (result == FRAMES_NONE && walk.count))
		abort();
	free(frames);
	return 0;
}
