/*
 * native.c - the C stack of a sample and its Python stack, made one.
 */
#include "native.h"

#include "callee.h"
#include "heap.h"
#include "maps.h"
#include "native_places.h"
#include "options.h"
#include "record_native.h"
#include "site.h"
#include "thread_stack.h"
#include "unwind.h"

#include <stdatomic.h>
#include <string.h>

#define CALLEE_FRAMES 3 /* among so many a callee is looked for */
#define STACK_POINTER 7 /* DWARF's number of rsp */
#define STEPS_MOST 16384
#define LOOK_AGAIN_NS UINT64_C(1000000000) /* after one that found nothing new */

static struct {
	_Atomic uint32_t closings; /* of libraries, by anyone */
	uint32_t known_closings;
	uint64_t known_changes; /* of mappings */
	bool has_looked;
	uint64_t next_look_ns; /* for an address that is not known */
	struct frame *frames; /* what native_merge makes */
	size_t count, capacity;
	bool has_no_memory;
} native;

/* Both stacks of a record, and how far they are merged. */
struct merge {
	const struct record *record;
	const struct record_native *copy;
	struct unwind_registers registers; /* of the native frame that comes next */
	struct unwind_stack stack;
	size_t next; /* of the record's frames */
	size_t put; /* native frames, since the last Python frame */
	uint32_t loop_map; /* where the interpreter's loop is; 0: it has not been met */
	bool is_leaf;
};

static bool find_table(uint64_t pc, struct unwind_table *table);
static void look(uint64_t time_ns);
static bool is_mapped(uint64_t pc, uint64_t time_ns);
static void merge_all(struct thread *thread, struct merge *merge);
static bool holds_entry(const struct merge *merge, enum unwind_result result,
			const struct unwind_registers *caller);
static uintptr_t next_entry(const struct merge *merge);
static void put_run(struct merge *merge);
static void put_callee(struct merge *merge);
static uint64_t callee_at(uint64_t callees, uint64_t pc, uint64_t time_ns);
static void put_native(struct merge *merge);
static void put_rest(struct merge *merge);
static void put_end(struct thread *thread, struct merge *merge, enum unwind_result result);
static void drop_start(const struct merge *merge);
static bool put(struct frame frame);

errmsg native_start(void)
{
	enum record_native_mode mode = (enum record_native_mode)option_number(OPTION_NATIVE);
	errmsg error;

	if (mode == RECORD_NATIVE_NO)
		return NULL;
	error = unwind_start();
	if (error)
		return error;
	record_native_limit(mode, (uint32_t)option_number(OPTION_NATIVE_STACK));
	frames_tell_entries(mode == RECORD_NATIVE_LEAF ? 1 : SIZE_MAX);
	return NULL;
}

void native_closed(void)
{
	atomic_fetch_add_explicit(&native.closings, 1, memory_order_relaxed);
}

void native_pass(uint64_t time_ns)
{
	if (!record_native_wanted())
		return;
	if (!native.has_looked)
		unwind_begin(find_table);
	if (!native.has_looked ||
	    atomic_load_explicit(&native.closings, memory_order_relaxed) != native.known_closings)
		look(time_ns);
	thread_stack_look();
}

struct frame *native_merge(struct thread *thread, const struct record *record, size_t *depth)
{
	struct merge merge = {
		.record = record,
		.is_leaf = record_native_wanted() == RECORD_NATIVE_LEAF,
	};

	native.count = 0;
	native.has_no_memory = false;
	if (record->native_bytes) {
		merge.copy = (const struct record_native *)&record->frames[record->depth];
		merge_all(thread, &merge);
	}
	put_rest(&merge);
	/* Of all its functions none says more than the marker. */
	if (!native.count)
		put((struct frame){ FRAME_NO_PYTHON, 0 });
	*depth = native.count;
	return native.has_no_memory ? NULL : native.frames;
}

void native_release(void)
{
	heap_free(native.frames);
	native.frames = NULL;
	native.count = native.capacity = 0;
	native.has_looked = false;
	native.next_look_ns = 0;
	native_places_release();
	unwind_release();
	maps_release();
}

/* ---- what is mapped ---- */

static bool find_table(uint64_t pc, struct unwind_table *table)
{
	const struct map *map = maps_find(pc, UINT64_MAX);

	if (!map)
		return false;
	*table = (struct unwind_table){
		.start = map->start,
		.end = map->end,
		.base = map->base,
		.frame_header = map->frame_header,
		.frame_header_bytes = map->frame_header_bytes,
	};
	return true;
}

static void look(uint64_t time_ns)
{
	/* Before the look: what is closed meanwhile is looked for again. */
	native.known_closings = atomic_load_explicit(&native.closings, memory_order_relaxed);
	native.has_looked = true;
	maps_renew(time_ns);
	if (maps_changed() == native.known_changes)
		return;
	native.known_changes = maps_changed();
	unwind_forget();
	native_places_forget();
}

/* It may have been mapped since; of generated code there is no more to be known. */
static bool is_mapped(uint64_t pc, uint64_t time_ns)
{
	uint64_t now;

	if (native_place_find(pc, time_ns)->is_known)
		return true;
	now = os_monotonic_ns();
	if (now < native.next_look_ns)
		return false;
	look(now);
	if (native_place_find(pc, time_ns)->is_known)
		return true;
	native.next_look_ns = now + LOOK_AGAIN_NS;
	return false;
}

/* ---- two stacks become one ---- */

static void merge_all(struct thread *thread, struct merge *merge)
{
	enum unwind_result result = UNWIND_OK;

	merge->stack = (struct unwind_stack){ merge->copy->begin, merge->copy->stack,
					      merge->copy->stack_bytes };
	merge->registers.pc = merge->copy->registers.pc;
	memcpy(merge->registers.general, merge->copy->registers.general,
	       sizeof(merge->registers.general));
	/* As deep as one looks, no activation begins. */
	if (merge->record->cut && !next_entry(merge)) {
		thread_lose(thread, LOSS_native_entry);
		return;
	}
	/* Of a thread without a Python frame the marker says less than its functions do. */
	if (merge->record->frames[0].code == FRAME_NO_PYTHON)
		merge->next = 1;
	for (unsigned steps = 0; result == UNWIND_OK && steps < STEPS_MOST; steps++) {
		struct unwind_registers caller = merge->registers;

		if (!is_mapped(merge->registers.pc - merge->registers.is_return,
			       merge->record->time_ns)) {
			thread_lose(thread, LOSS_native_code);
			put((struct frame){ FRAME_UNKNOWN, 0 });
			return;
		}
		result = unwind_step(&caller, &merge->stack);
		if (!holds_entry(merge, result, &caller)) {
			put_native(merge);
		} else {
			put_run(merge);
			/* Of Python frames that are cut the others' places are not known. */
			if (merge->is_leaf || (merge->record->cut && !next_entry(merge)))
				return;
		}
		merge->registers = caller;
	}
	put_end(thread, merge, result);
}

/* Is this native frame the activation of the interpreter whose Python frames come next? */
static bool holds_entry(const struct merge *merge, enum unwind_result result,
			const struct unwind_registers *caller)
{
	uintptr_t entry = next_entry(merge);

	return entry && result == UNWIND_OK && entry >= merge->registers.general[STACK_POINTER] &&
	       entry < caller->general[STACK_POINTER];
}

/* 0: no more. */
static uintptr_t next_entry(const struct merge *merge)
{
	for (size_t i = merge->next; i < merge->record->depth; i++) {
		if (merge->record->frames[i].instruction == FRAME_ENTRY)
			return merge->record->frames[i].code;
	}
	return 0;
}

/* The Python frames of one activation. */
static void put_run(struct merge *merge)
{
	const struct record *record = merge->record;
	uint64_t pc = merge->registers.pc - merge->registers.is_return;

	merge->loop_map = native_place_find(pc, record->time_ns)->map;
	for (; merge->next < record->depth; merge->next++) {
		if (record->frames[merge->next].instruction == FRAME_ENTRY) {
			merge->next++;
			break;
		}
		if (record->frames[merge->next].instruction == FRAME_CALLEE)
			put_callee(merge);
		else
			put(record->frames[merge->next]);
		merge->put = 0;
	}
	if (!option_number(OPTION_NATIVE_HIDE))
		put_native(merge);
}

/*
 * The C function that a Python frame calls, as its call site has told. Where it is one of the native frames that were
 * put last it is that frame, by the name that a Python programmer knows; what lies between it and the Python frame
 * leads from the one to the other.
 */
static void put_callee(struct merge *merge)
{
	struct frame callee = merge->record->frames[merge->next];
	size_t most = merge->put < CALLEE_FRAMES ? merge->put : CALLEE_FRAMES;

	for (size_t i = 1; i <= most; i++) {
		struct frame *frame = &native.frames[native.count - i];
		uint64_t id = callee_at(callee.code, frame->code, merge->record->time_ns);

		if (!id)
			continue;
		*frame = (struct frame){ id, FRAME_CALLEE };
		if (option_number(OPTION_NATIVE_HIDE))
			native.count -= i - 1;
		return;
	}
	put(callee);
}

/* Which of these callees is the function that holds an address; 0: none. */
static uint64_t callee_at(uint64_t callees, uint64_t pc, uint64_t time_ns)
{
	uint64_t function = native_place_find(pc, time_ns)->function;
	struct callee callee;

	for (unsigned i = 0; function && i < SITE_CALLEES; i++, callees /= SITE_IDS) {
		if (callee_name(callees % SITE_IDS, &callee) && callee.function == function)
			return callees % SITE_IDS;
	}
	return 0;
}

static void put_native(struct merge *merge)
{
	uint64_t pc = merge->registers.pc - merge->registers.is_return;

	if (native_place_find(pc, merge->record->time_ns)->is_own)
		return;
	if (put((struct frame){ pc, FRAME_NATIVE }))
		merge->put++;
}

/* Python frames alone. */
static void put_rest(struct merge *merge)
{
	for (; merge->next < merge->record->depth; merge->next++) {
		if (merge->record->frames[merge->next].instruction != FRAME_ENTRY)
			put(merge->record->frames[merge->next]);
	}
}

/* Unwinding has come to an end. Is it the stack's? */
static void put_end(struct thread *thread, struct merge *merge, enum unwind_result result)
{
	enum frame_marker marker = result == UNWIND_CUT ? FRAME_CUT : FRAME_UNKNOWN;
	const struct frame *frames = merge->record->frames;

	/* The outermost entry frame of 3.14 and later is of no activation: it lies in the thread's state. */
	if (result == UNWIND_BOTTOM && (merge->next == merge->record->depth ||
					frames[merge->next].instruction == FRAME_ENTRY)) {
		if (option_number(OPTION_NATIVE_HIDE))
			drop_start(merge);
		return;
	}
	thread_lose(thread, result == UNWIND_BOTTOM ? LOSS_native_entry :
			    result == UNWIND_CUT    ? LOSS_native_cut :
						      LOSS_native_rule);
	/* Stacks that are cut at their root are known as such by their first frame. */
	put((struct frame){ marker, 0 });
}

/* How the C library starts a process or a thread, and the interpreter itself: in functions that are not exported. */
static void drop_start(const struct merge *merge)
{
	const struct native_place *place;

	while (native.count > 1 && native.frames[native.count - 1].instruction == FRAME_NATIVE) {
		place = native_place_find(native.frames[native.count - 1].code,
					  merge->record->time_ns);
		if (!place->is_nameless ||
		    !(place->is_libc || (merge->loop_map && place->map == merge->loop_map)))
			return;
		native.count--;
	}
}

static bool put(struct frame frame)
{
	if (!heap_grow((void **)&native.frames, &native.capacity, native.count + 1,
		       sizeof(*native.frames))) {
		native.has_no_memory = true;
		return false;
	}
	native.frames[native.count++] = frame;
	return true;
}
