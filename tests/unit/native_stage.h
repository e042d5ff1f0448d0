/*
 * native_stage.h - C stacks and mapped files that are made up, around native.c.
 *
 * A C stack is a word, leaf first: each letter is a function with a frame of 256 bytes.  'E' is the interpreter's loop,
 * 'V' another of its own functions, 'l' one of the C library's that has no name, '?' is nowhere.
 * The stack that comes out is a word, too: C functions as above, Python's as digits, (1) a callee, markers by their
 * names, '!' where an address is not the right one.
 *
 * A test file declares the __wrap_ functions, so that they are linked, and then includes this.
 */
#ifndef NATIVE_STAGE_H
#define NATIVE_STAGE_H

#include "native.h"

#include "callee.h"
#include "maps.h"
#include "native_places.h"
#include "options.h"
#include "record_native.h"
#include "site.h"
#include "thread_stack.h"
#include "unwind.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define TIME 5000u
#define STACK 0x7f0000000000u
#define FRAME_BYTES 256u
#define TEXT 0x400000u
#define FUNCTION(letter) (TEXT + 4096u * (unsigned char)(letter))
#define CODE(i) (0x500000u + 64u * (i))
#define SECOND UINT64_C(1000000000)

/* What the modules beside it say and do. */
static struct {
	const char *c; /* stack */
	enum unwind_result end; /* of its last frame */
	bool is_endless;
	enum record_native_mode mode;
	bool hides;
	const char *mapped; /* functions, NULL: all */
	const char *mapped_later; /* by the next look */
	unsigned looks, begun, forgotten, released, maps_released;
	uint64_t changed, now_ns;
	unsigned grows, grow_fails_from;
	errmsg missing;
	size_t entries;
} world;

static struct thread thread;
static char out[1024];

uint64_t __wrap_os_monotonic_ns(void)
{
	return world.now_ns;
}

uint64_t __wrap_option_number(enum option_id option)
{
	return option == OPTION_NATIVE	    ? (uint64_t)world.mode :
	       option == OPTION_NATIVE_HIDE ? world.hides :
					      65536;
}

void __wrap_frames_tell_entries(size_t most)
{
	world.entries = most;
}

errmsg __wrap_unwind_start(void)
{
	return world.missing;
}

static unwind_find *tables;

void __wrap_unwind_begin(unwind_find *find)
{
	tables = find;
	world.begun++;
}

void __wrap_unwind_forget(void)
{
	world.forgotten++;
}

void __wrap_unwind_release(void)
{
	world.released++;
}

/* Frame i of the C stack has its stack pointer here. */
static uint64_t pointer_of(size_t i)
{
	return STACK + FRAME_BYTES * i;
}

static uint64_t pc_of(size_t i)
{
	return FUNCTION(world.c[i]) + 32 + i;
}

enum unwind_result __wrap_unwind_step(struct unwind_registers *registers,
				      const struct unwind_stack *stack)
{
	size_t i = (registers->general[UNWIND_RSP] - STACK) / FRAME_BYTES;

	cr_assert_eq(stack->begin, STACK);
	if (world.is_endless) {
		registers->general[UNWIND_RSP] += FRAME_BYTES;
		return UNWIND_OK;
	}
	cr_assert_lt(i, strlen(world.c));
	cr_assert_eq(registers->pc, pc_of(i));
	cr_assert_eq(registers->is_return, i > 0);
	if (i + 1 == strlen(world.c))
		return world.end;
	registers->general[UNWIND_RSP] = pointer_of(i + 1);
	registers->pc = pc_of(i + 1);
	registers->is_return = true;
	return UNWIND_OK;
}

uint64_t __wrap_unwind_function(uint64_t address)
{
	return FUNCTION((address - TEXT) / 4096);
}

static char letter_of(uint64_t pc)
{
	return (char)((pc - TEXT) / 4096);
}

const struct map *__wrap_maps_find(uint64_t pc, uint64_t time_ns)
{
	static struct map libc = { .file = (char *)"/lib/libc.so.6",
				   .serial = 1,
				   .has_header = true };
	static struct map program = {
		.start = 1,
		.end = 2,
		.base = 3,
		.frame_header = 4,
		.frame_header_bytes = 5,
		.file = (char *)"/bin/python3",
		.serial = 2,
		.has_header = true,
	};
	char letter = letter_of(pc);

	cr_assert(time_ns == TIME || time_ns == UINT64_MAX);
	if (!letter || letter == '?' || (world.mapped && !strchr(world.mapped, letter)))
		return NULL;
	return letter == 'l' ? &libc : &program;
}

bool __wrap_maps_function(const struct map *map, uint64_t address, struct elf_symbol *symbol)
{
	static char name[2];

	(void)map;
	name[0] = letter_of(address);
	*symbol = (struct elf_symbol){ name[0] == 'E' ? "_PyEval_EvalFrameDefault" :
				       name[0] == 'V' ? "_PyObject_Vectorcall.cold" :
							name,
				       FUNCTION(name[0]), 4096 };
	return name[0] != 'l';
}

errmsg __wrap_maps_renew(uint64_t time_ns)
{
	cr_assert_eq(time_ns, world.now_ns);
	world.looks++;
	if (world.mapped_later) {
		world.mapped = world.mapped_later;
		world.mapped_later = NULL;
	}
	return NULL;
}

uint64_t __wrap_maps_changed(void)
{
	return world.changed;
}

void __wrap_maps_release(void)
{
	world.maps_released++;
}

/* Callee 1 is the function 'a', 2 is 'b' ...; from 20 on none is known. */
bool __wrap_callee_name(uint32_t id, struct callee *callee)
{
	*callee = (struct callee){ "", "name", id < 20 ? FUNCTION('a' + id - 1) : 0 };
	return id && id < 30;
}

bool __real_heap_grow(void **blocks, size_t *capacity, size_t count, size_t size_bytes);
bool __wrap_heap_grow(void **blocks, size_t *capacity, size_t count, size_t size_bytes)
{
	if (world.grow_fails_from && ++world.grows >= world.grow_fails_from)
		return false;
	return __real_heap_grow(blocks, capacity, count, size_bytes);
}

static void start(enum record_native_mode mode)
{
	world.mode = mode;
	cr_assert_null(native_start());
}

static void set_up(void)
{
	world.hides = true;
	world.end = UNWIND_BOTTOM;
	world.now_ns = TIME;
	start(RECORD_NATIVE_YES);
}

#define PY(i)                        \
	{                            \
		CODE(i), CODE(i) + 8 \
	}
#define CALLED(ids)                 \
	{                           \
		(ids), FRAME_CALLEE \
	}
#define ENTRY(i)                                           \
	{                                                  \
		STACK + FRAME_BYTES *(i) + 64, FRAME_ENTRY \
	} /* in that frame of the C stack */
#define NO_PYTHON                  \
	{                          \
		FRAME_NO_PYTHON, 0 \
	}
#define AND(a, b) ((a)*SITE_IDS + (b))
#define COUNT(...) (sizeof((struct frame[]){ __VA_ARGS__ }) / sizeof(struct frame))

static size_t put_frame(size_t at, const struct frame *frame)
{
	size_t room = sizeof(out) - at;
	char letter = letter_of(frame->code);

	if (frame->instruction == FRAME_CALLEE)
		return (size_t)snprintf(out + at, room, "(%u)", (unsigned)frame->code);
	if (frame->instruction == FRAME_NATIVE) {
		for (size_t i = 0; !world.is_endless && world.c[i]; i++) {
			if (frame->code == pc_of(i) - (i > 0))
				return (size_t)snprintf(out + at, room, "%c", letter);
		}
		return (size_t)snprintf(out + at, room, "!");
	}
	if (frame_is_code(frame))
		return (size_t)snprintf(out + at, room, "%u",
					(unsigned)(frame->code - CODE(0)) / 64);
	return (size_t)snprintf(out + at, room, "%s",
				frame_marker_name((enum frame_marker)frame->code));
}

static const struct record *record_of(const char *c, size_t stack_bytes, bool is_cut, size_t depth,
				      const struct frame *frames)
{
	static uint64_t space[512];
	struct record *record = (void *)space;
	struct record_native *copy;

	memset(space, 0, sizeof(space));
	world.c = c;
	record->time_ns = TIME;
	record->cut = is_cut;
	record->depth = (uint32_t)depth;
	memcpy(record->frames, frames, depth * sizeof(*frames));
	if (!*c)
		return record;
	copy = (struct record_native *)&record->frames[depth];
	copy->registers.pc = pc_of(0);
	copy->registers.general[UNWIND_RSP] = pointer_of(0);
	copy->begin = STACK;
	copy->stack_bytes = (uint32_t)stack_bytes;
	record->native_bytes = sizeof(*copy); /* nobody looks at what it is a copy of */
	return record;
}

static const char *merged(const struct record *record)
{
	size_t depth, at = 0;
	struct frame *frames = native_merge(&thread, record, &depth);

	*out = '\0';
	if (!frames)
		return "no memory";
	for (size_t i = 0; i < depth && at < sizeof(out); i++)
		at += put_frame(at, &frames[i]);
	return out;
}

#define OF(c, ...) \
	record_of(c, 65536, false, COUNT(__VA_ARGS__), (const struct frame[]){ __VA_ARGS__ })
#define CUT(c, ...) \
	record_of(c, 65536, true, COUNT(__VA_ARGS__), (const struct frame[]){ __VA_ARGS__ })
#define EXPECT(record, wanted) cr_expect_str_eq(merged(record), wanted, "%s", out)

#endif
