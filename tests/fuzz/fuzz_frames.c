/*
 * The walk, and the reading of code objects and strings, in a memory that is all nonsense.
 *
 * The input is the memory.  The walk's begins with its layout, and the reader refuses everything
 * outside of it.  For the objects the layout is 3.13's, and the pointers in them are bent so that
 * they point back into the input.
 */
#include "code.h"
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

static void fuzz_walk(const uint8_t *bytes, size_t size_bytes)
{
	struct frames_layout layout = { .code_type = BASE };
	size_t head_bytes = offsetof(struct frames_layout, has_cframe) + 1;
	if (size_bytes < head_bytes)
		return;
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
}

/* The word at `offset`, as it is, becomes a place in the block. */
static void bend(uint8_t *block, size_t size_bytes, size_t offset)
{
	uintptr_t word;
	memcpy(&word, block + offset, sizeof(word));
	word = (uintptr_t)block + word % size_bytes;
	memcpy(block + offset, &word, sizeof(word));
}

static void copy(bool readable, const struct code_data *data)
{
	size_t size_bytes = 0;
	if (!readable)
		return;
	char *room = malloc(data->room_bytes + !data->room_bytes);
	if (code_copy(data, room, &size_bytes) && size_bytes > data->room_bytes)
		abort();
	free(room);
}

static void fuzz_objects(const uint8_t *bytes, size_t size_bytes)
{
	static const struct frames_layout layout = {
		.code_filename = 112,
		.code_qualname = 128,
		.code_linetable = 136,
		.code_firstlineno = 68,
		.code_instructions = 200,
		.object_type = 8,
		.unicode_state = 32,
		.unicode_length = 16,
		.unicode_ascii_data = 40,
		.unicode_compact_data = 56,
		.unicode_kind_shift = 2,
		.bytes_size = 16,
		.bytes_data = 32,
		.code_type = BASE,
	};
	const uintptr_t type = BASE;
	struct code code;
	struct code_data data;
	if (size_bytes < layout.code_instructions)
		return;
	uint8_t *block = malloc(size_bytes);
	memcpy(block, bytes, size_bytes);
	memcpy(block + layout.object_type, &type, sizeof(type));
	bend(block, size_bytes, layout.code_filename);
	bend(block, size_bytes, layout.code_qualname);
	bend(block, size_bytes, layout.code_linetable);
	bend(block, size_bytes, layout.unicode_compact_data);
	frames_layout_set(&layout);
	if (!code_read((uintptr_t)block, &code))
		abort();
	copy(code_text(code.qualname, &data), &data);
	copy(code_text(code.filename, &data), &data);
	copy(code_text((uintptr_t)block, &data), &data);
	copy(code_bytes(code.linetable, &data), &data);
	free(block);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	fuzz_walk(bytes, size_bytes);
	fuzz_objects(bytes, size_bytes);
	return 0;
}
