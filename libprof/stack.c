/*
 * stack.c - from raw records to the recording.
 *
 *   (code, instruction) -> symbol (name, file, line table) -> function, line -> frame id -> node id
 *
 * The way from a symbol's instruction to the recording's frame id is walked once and cached by (serial,
 * offset): serials are never used again, so a freed code object's address cannot find another's frame.
 * The caches hold for one epoch of the recording.
 *
 * A thread's [thread exit] stands below the function that it started with: what its creator told, else
 * the outermost function of its samples that is not the threading module's.
 */
#include "stack.h"

#include "callee.h"
#include "heap.h"
#include "intern.h"
#include "log.h"
#include "native.h"
#include "record_native.h"
#include "site.h"
#include "symbol.h"

#include <string.h>

#define PATH_BYTES 4096
#define FRAMES_CACHED_MOST 100000
#define WORKED_NS UINT64_C(100000000) /* of a thread's end alone: nothing ticked, and it worked */

/* What is known of one instruction of one symbol; key of the cache, without padding. */
struct place {
	uint32_t serial;
	uint32_t offset;
};

/* Frame id in the recording, and whether the frame is the threading module's own, or what it calls. */
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
	char module[PATH_BYTES], file[PATH_BYTES]; /* of place_new, callees_name */
} stacks;

static void cache_renew(void);
static void start_tell(struct thread *thread, const struct record *record);
static void start_renew(struct thread *thread);
static void sample_add(struct thread *thread, const struct record *record);
static uint32_t put_stack(uint32_t node, struct thread *thread, const struct record *record,
			  uint32_t *start);
static uint32_t put_frames(uint32_t node, const struct frame *frames, size_t depth,
			   uint64_t time_ns, uint32_t *start);
static uint32_t put_leaf(uint32_t node, const struct frame *leaf, const struct record *record);
static struct placed frame_find(const struct frame *frame, uint64_t time_ns);
static bool is_marker(const struct frame *frame);
static struct placed native_find(uintptr_t pc, uint64_t time_ns);
static struct placed callee_place(uint64_t callees);
static void callees_name(uint64_t callees, struct recording_function *function);
static unsigned callees_sorted(uint64_t *callees, struct callee all[SITE_CALLEES]);
static struct placed marker_find(enum frame_marker marker);
static struct placed place_new(const struct symbol *symbol, uintptr_t instruction);

void stack_begin(struct recording *recording)
{
	stack_release();
	stacks.recording = recording;
	stacks.epoch = recording_epoch(recording);
}

void stack_release(void)
{
	intern_release(&stacks.places);
	heap_free(stacks.placed);
	native_release();
	memset(&stacks, 0, sizeof(stacks));
}

void stack_add(struct thread *thread, const struct record *record)
{
	cache_renew();
	if (record->metric == RECORD_START)
		start_tell(thread, record);
	if (thread->start_epoch != stacks.epoch)
		start_renew(thread);
	if (record->metric != RECORD_START)
		sample_add(thread, record);
}

uint32_t stack_node(uint32_t parent, const struct frame *frame, uint64_t time_ns)
{
	struct placed placed;

	cache_renew();
	placed = frame_find(frame, time_ns);
	return placed.frame ? recording_put_node(stacks.recording, parent, placed.frame) : 0;
}

uint32_t stack_epoch(void)
{
	return recording_epoch(stacks.recording);
}

void stack_sample(const struct recording_sample *sample)
{
	stacks.any |= sample->node != 0;
	recording_put_sample(stacks.recording, sample);
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
	native_forget_frames();
	stacks.epoch = epoch;
}

static void start_tell(struct thread *thread, const struct record *record)
{
	const struct symbol *symbol = symbol_find(record->frames[0].code, record->time_ns);

	if (!symbol || record->depth > THREAD_START_FRAMES)
		return;
	thread->told.time_ns = record->time_ns;
	thread->told.depth = record->depth;
	thread->told.serial = symbol->serial;
	memcpy(thread->told.frames, record->frames, record->depth * sizeof(*record->frames));
	thread->start_epoch = 0;
}

/* Ids of an earlier epoch name something else now. What was told can be put again, for as long as the
   function's code is the same: it is while the thread runs it. */
static void start_renew(struct thread *thread)
{
	uint32_t depth = thread->told.depth, leaf, start = 0;
	const struct symbol *symbol;

	thread->start_epoch = stacks.epoch;
	thread->start_node = 0;
	thread->start_is_told = false;
	symbol = depth ? symbol_find(thread->told.frames[0].code, thread->told.time_ns) : NULL;
	if (!symbol || symbol->serial != thread->told.serial)
		return;
	leaf = put_frames(0, thread->told.frames, depth, thread->told.time_ns, &start);
	/* Of threading's own alone, when the target is no Python function: a sample may know better. */
	thread->start_node = start ? start : leaf;
	thread->start_is_told = start != 0;
}

static void sample_add(struct thread *thread, const struct record *record)
{
	struct recording_sample sample = {
		.thread = thread->serial,
		.metric = record->metric,
		.time_ns = record->time_ns,
		.value = record->value,
	};
	bool is_exit = is_marker(record->frames) && record->frames[0].code == FRAME_THREAD_EXIT;
	uint32_t start = 0;

	stacks.any |= !is_exit || record->value >= WORKED_NS;
	if (is_exit)
		sample.node = thread->start_node;
	if (record->cut)
		sample.node = recording_put_node(stacks.recording, 0, marker_find(FRAME_CUT).frame);
	sample.node = put_stack(sample.node, thread, record, &start);
	if (!sample.node) {
		thread_lose(thread, LOSS_no_memory);
		return;
	}
	/* A finalizer or a trace function may be the outermost for a moment: what was told is surer. */
	if (start && !record->cut && !thread->start_is_told)
		thread->start_node = start;
	recording_put_sample(stacks.recording, &sample);
}

/* The node below `node` for the record's stack, with its C stack if it has one; 0: no memory. *start: as put_frames. */
static uint32_t put_stack(uint32_t node, struct thread *thread, const struct record *record,
			  uint32_t *start)
{
	const struct frame *frames = record->frames;
	size_t depth = record->depth, leaf = 0;
	uint32_t unused;

	*start = 0;
	if (record_native_wanted() && !(frames = native_merge(thread, record, &depth)))
		return 0;
	/* The C function that the innermost Python frame calls: native frames, or that some are missing, may lie above. */
	while (leaf < depth &&
	       (frames[leaf].instruction == FRAME_NATIVE || is_marker(&frames[leaf])))
		leaf++;
	if (leaf + 1 >= depth || frames[leaf].instruction != FRAME_CALLEE)
		return put_frames(node, frames, depth, record->time_ns, start);
	node = put_frames(node, frames + leaf + 1, depth - leaf - 1, record->time_ns, start);
	if (node)
		node = put_leaf(node, &frames[leaf], record);
	return node ? put_frames(node, frames, leaf, record->time_ns, &unused) : 0;
}

/* The node below `node` for these frames; 0: no memory. *start: the outermost that is not the threading
   module's own, the function that the thread runs; 0: there is none, or the root is not known. */
static uint32_t put_frames(uint32_t node, const struct frame *frames, size_t depth,
			   uint64_t time_ns, uint32_t *start)
{
	bool has_root = depth && !is_marker(&frames[depth - 1]);

	*start = 0;
	for (size_t i = depth; i-- > 0;) {
		struct placed placed = frame_find(&frames[i], time_ns);

		node = placed.frame ? recording_put_node(stacks.recording, node, placed.frame) : 0;
		if (!node)
			return 0;
		if (!*start && has_root && !placed.in_threading)
			*start = node;
	}
	return node;
}

/* The C function that a Python frame calls: of several that the site calls, the one whose turn it is. */
static uint32_t put_leaf(uint32_t node, const struct frame *leaf, const struct record *record)
{
	uint64_t callees =
		site_choose(leaf[1].instruction, leaf->code, record->time_ns, record->value);
	struct placed placed = callee_place(callees);

	return placed.frame ? recording_put_node(stacks.recording, node, placed.frame) : 0;
}

static struct placed frame_find(const struct frame *frame, uint64_t time_ns)
{
	const struct symbol *symbol;
	struct placed placed;
	struct place place;
	bool fresh;
	uint32_t id;

	/* Some of many, of which one called back: it need not be among those that have names. */
	if (frame->instruction == FRAME_CALLEE)
		return callee_place(frame->code & SITE_MORE ? 0 : frame->code);
	if (frame->instruction == FRAME_NATIVE)
		return native_find(frame->code, time_ns);
	if (is_marker(frame))
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

static bool is_marker(const struct frame *frame)
{
	return frame->instruction < FRAME_NATIVE && frame->code < FRAME_MARKER_END;
}

/* No thread starts with it, as with what Python calls. */
static struct placed native_find(uintptr_t pc, uint64_t time_ns)
{
	struct placed placed = { native_place(stacks.recording, pc, time_ns), true };

	if (placed.frame)
		return placed;
	thread_lose(NULL, LOSS_native_code);
	placed = marker_find(FRAME_UNKNOWN);
	placed.in_threading = true;
	return placed;
}

/* A C function, or one of several: it has no file and no line, and no thread starts with it. */
static struct placed callee_place(uint64_t callees)
{
	struct recording_function function = { .kind = RECORDING_NATIVE };
	struct placed placed = { .in_threading = true };

	callees_name(callees, &function);
	placed.frame = recording_put_frame(stacks.recording,
					   recording_put_function(stacks.recording, &function), 0);
	return placed;
}

/* "len", or "abs | len | ...", of the module that all have; "math.cos | numpy.cos" of none. */
static void callees_name(uint64_t callees, struct recording_function *function)
{
	struct callee all[SITE_CALLEES];
	unsigned count = callees_sorted(&callees, all);
	const char *module = all[0].module;
	size_t bytes = 0;

	for (unsigned i = 1; i < count; i++)
		module = strcmp(all[i].module, module) == 0 ? module : "";
	for (unsigned i = 0; i < count; i++) {
		bool is_named = !*module && *all[i].module;

		bytes += log_format(stacks.file + bytes, PATH_BYTES - bytes, "%s%s%s%s",
				    i ? " | " : "", is_named ? all[i].module : "",
				    is_named ? "." : "", all[i].name);
	}
	if (callees)
		bytes += log_format(stacks.file + bytes, PATH_BYTES - bytes, " | ...");
	function->module = module;
	function->module_bytes = strlen(module);
	function->name = stacks.file;
	function->name_bytes = bytes;
}

/* By name; what is left of *callees are those that are not told apart. */
static unsigned callees_sorted(uint64_t *callees, struct callee all[SITE_CALLEES])
{
	unsigned count = 0;

	while (count < SITE_CALLEES && (*callees || !count)) {
		struct callee callee = { "", "[C]", 0 }, *at = &all[count++];

		callee_name(*callees & (SITE_IDS - 1), &callee);
		for (; at > all && strcmp(callee.name, at[-1].name) < 0; at--)
			*at = at[-1];
		*at = callee;
		*callees /= SITE_IDS;
	}
	return count;
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
