/*
 * recording_source.c - a window that moves on, and grows for what is longer.
 */
#include "recording_source.h"

#include "file.h"
#include "heap.h"

#define WINDOW_BYTES ((size_t)256 << 10)

const uint8_t *recording_source_get(struct recording_source *source, uint64_t at,
				    uint64_t size_bytes)
{
	void *memory = source->memory;
	uint64_t wanted = size_bytes > WINDOW_BYTES ? size_bytes : WINDOW_BYTES;

	if (at > source->size || size_bytes > source->size - at)
		return NULL;
	if (at >= source->window_start &&
	    at + size_bytes <= source->window_start + source->window_bytes)
		return source->window + (at - source->window_start);
	if (wanted > source->size - at)
		wanted = source->size - at;
	if (!heap_grow(&memory, &source->capacity, (size_t)wanted, 1)) {
		source->no_memory = true;
		return NULL;
	}
	source->window = source->memory = memory;
	source->window_start = at;
	if (file_read_at(source->fd, memory, (size_t)wanted, at, &source->window_bytes) != 0)
		source->window_bytes = 0;
	return size_bytes <= source->window_bytes ? source->window : NULL;
}

void recording_source_release(struct recording_source *source)
{
	heap_free(source->memory);
	source->memory = NULL;
}
