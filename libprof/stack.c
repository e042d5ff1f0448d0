/*
 * stack.c - from raw records to the recording.
 *
 *   (code, instruction) -> symbol (name, file, line table) -> function, line -> frame id -> node id
 *
 * The way from a symbol's instruction to the recording's frame id is walked once and cached by (serial,
 * offset): serials are never used again, so a freed code object's address cannot find another's frame.
 * The caches hold for one epoch of the recording.
 */
#include "stack.h"

#include "heap.h"
#include "intern.h"
#include "symbol.h"

#include <string.h>

#define PATH_BYTES 4096
#define FRAMES_CACHED_MOST 100000

/* What is known of one instruction of one symbol; key of the cache, without padding. */
struct place {
	uint32_t serial;
	uint32_t offset;
};

/* Frame id in the recording, and whether the frame is the threading module's own. */
struct placed {
	uint32_t frame;
	bool in_threading;
};

static struct {
	struct recording *recording;
	uint32_t epoch;
	bool any;
	struct intern places;
	struct placed *placed; /* by place id - 1 */
	size_t placed_capacity;
	struct placed markers[FRAME_MARKER_END];
	char module[PATH_BYTES], file[PATH_BYTES]; /* of place_new */
} stacks;

static void cache_renew(void);
static struct placed frame_find(const struct frame *frame, uint64_t time_ns);
static struct placed marker_find(enum frame_marker marker);
static struct placed place_new(const struct symbol *symbol, uintptr_t instruction);

void stack_begin(struct recording *recording)
{
	stack_release();
	stacks.recording = recording;
	stacks.epoch = recording_epoch(recording);
}

void stack_abandon(void)
{
	memset(&stacks, 0, sizeof(stacks));
}

void stack_release(void)
{
	intern_release(&stacks.places);
	heap_free(stacks.placed);
	memset(&stacks, 0, sizeof(stacks));
}

void stack_add(struct thread *thread, const struct record *record)
{
	struct recording_sample sample = {
		.thread = thread->serial,
		.metric = record->metric,
		.time_ns = record->time_ns,
		.value = record->value,
	};
	uint32_t start = 0;

	stacks.any |= record->frames[0].code != FRAME_THREAD_EXIT;
	cache_renew();
	if (record->frames[0].code == FRAME_THREAD_EXIT && thread->start_epoch == stacks.epoch)
		sample.node = thread->start_node;
	if (record->cut)
		sample.node = recording_put_node(stacks.recording, 0, marker_find(FRAME_CUT).frame);
	for (size_t i = record->depth; i-- > 0;) {
		struct placed placed = frame_find(&record->frames[i], record->time_ns);

		if (placed.frame)
			sample.node =
				recording_put_node(stacks.recording, sample.node, placed.frame);
		if (!placed.frame || !sample.node) {
			thread_lose(thread, LOSS_no_memory);
			return;
		}
		if (!start && !placed.in_threading)
			start = sample.node;
	}
	/* The function that the thread runs: the outermost that is not the threading module's. */
	if (start && record->frames[0].code >= FRAME_MARKER_END && !record->cut) {
		thread->start_node = start;
		thread->start_epoch = stacks.epoch;
	}
	recording_put_sample(stacks.recording, &sample);
}

uint32_t stack_marker(enum frame_marker marker)
{
	cache_renew();
	return recording_put_node(stacks.recording, 0, marker_find(marker).frame);
}

bool stack_any(void)
{
	return stacks.any;
}

static void cache_renew(void)
{
	uint32_t epoch = recording_epoch(stacks.recording);

	if (epoch == stacks.epoch && stacks.places.count < FRAMES_CACHED_MOST)
		return;
	intern_release(&stacks.places);
	memset(stacks.markers, 0, sizeof(stacks.markers));
	stacks.epoch = epoch;
}

static struct placed frame_find(const struct frame *frame, uint64_t time_ns)
{
	const struct symbol *symbol;
	struct placed placed;
	struct place place;
	bool fresh;
	uint32_t id;

	if (frame->code < FRAME_MARKER_END)
		return marker_find((enum frame_marker)frame->code);
	symbol = symbol_find(frame->code, time_ns);
	if (!symbol) {
		thread_lose(NULL, LOSS_unknown_code);
		return marker_find(FRAME_UNKNOWN);
	}
	place.serial = symbol->serial;
	place.offset = (uint32_t)(frame->instruction - symbol->instructions);
	/* Room before the key: a key without its row would be found again. */
	if (!heap_grow((void **)&stacks.placed, &stacks.placed_capacity, stacks.places.count + 1,
		       sizeof(*stacks.placed)))
		return place_new(symbol, frame->instruction);
	id = intern_put(&stacks.places, &place, sizeof(place), &fresh);
	if (!id)
		return place_new(symbol, frame->instruction);
	if (!fresh)
		return stacks.placed[id - 1];
	placed = place_new(symbol, frame->instruction);
	stacks.placed[id - 1] = placed;
	return placed;
}

static struct placed marker_find(enum frame_marker marker)
{
	struct placed *placed = &stacks.markers[marker];
	const char *name = frame_marker_name(marker);
	struct recording_function function = {
		.name = name,
		.name_bytes = strlen(name),
		.kind = RECORDING_MARKER,
	};

	if (!placed->frame)
		placed->frame = recording_put_frame(
			stacks.recording, recording_put_function(stacks.recording, &function), 0);
	return *placed;
}

static struct placed place_new(const struct symbol *symbol, uintptr_t instruction)
{
	struct recording_function function = {
		.module = stacks.module,
		.name = symbol->name,
		.file = stacks.file,
		.name_bytes = symbol->name_bytes,
		.first_line = symbol->first_line,
		.kind = RECORDING_PYTHON,
	};
	struct placed placed;

	function.module_bytes =
		symbol_module(symbol->file, stacks.module, PATH_BYTES, stacks.file, PATH_BYTES);
	function.file_bytes = strlen(stacks.file);
	placed.in_threading = strcmp(stacks.module, "threading") == 0;
	placed.frame = recording_put_frame(stacks.recording,
					   recording_put_function(stacks.recording, &function),
					   symbol_line(symbol, instruction));
	return placed;
}
