/*
 * test_native_places.c - addresses in native code, named: what is mapped, and what a recording is told, are made up.
 */
#include "native_places.h"
#include "pyapi.h"

#include "native.h"
#include "options.h"
#include "recording.h"
#include "unwind.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define TIME 5000u
#define PLACES_MOST 100000u
#define LIB 0x10000000u /* where each of the pieces begins, and the next */
#define PIECE_BYTES 0x10000000u

/* Pieces that are mapped, and one function that all addresses are in: none where it has no name. */
static struct {
	struct map maps[4];
	size_t map_count;
	const char *name;
	uint64_t symbol_begin, unwind_begin; /* relative to the piece */
	unsigned asked, grows, grow_fails_at;
	bool hides, has_no_mappings;
} world;

/* What the recording was told. */
static struct {
	struct recording_mapping mapping;
	char name[5000], file[64];
	uint32_t function_mapping, kind;
	uint64_t address;
	unsigned mappings, functions, places;
} told;

static struct recording *recording = (struct recording *)&told;

uint64_t __wrap_option_number(enum option_id id);
uint64_t __wrap_option_number(enum option_id id)
{
	return id == OPTION_NATIVE_HIDE && world.hides;
}

const struct map *__wrap_maps_find(uint64_t pc, uint64_t time_ns);
const struct map *__wrap_maps_find(uint64_t pc, uint64_t time_ns)
{
	cr_assert(time_ns == TIME || time_ns == UINT64_MAX);
	for (size_t i = 0; i < world.map_count; i++) {
		if (world.maps[i].start <= pc && pc < world.maps[i].end)
			return &world.maps[i];
	}
	return NULL;
}

bool __wrap_maps_function(const struct map *map, uint64_t address, struct elf_symbol *symbol);
bool __wrap_maps_function(const struct map *map, uint64_t address, struct elf_symbol *symbol)
{
	(void)address;
	*symbol = (struct elf_symbol){ world.name, map->start + world.symbol_begin, 64 };
	return world.name != NULL;
}

uint64_t __wrap_unwind_function(uint64_t address);
uint64_t __wrap_unwind_function(uint64_t address)
{
	world.asked++;
	return world.unwind_begin ? address / PIECE_BYTES * PIECE_BYTES + world.unwind_begin : 0;
}

bool __real_heap_grow(void **blocks, size_t *capacity, size_t count, size_t size_bytes);
bool __wrap_heap_grow(void **blocks, size_t *capacity, size_t count, size_t size_bytes);
bool __wrap_heap_grow(void **blocks, size_t *capacity, size_t count, size_t size_bytes)
{
	return ++world.grows != world.grow_fails_at &&
	       __real_heap_grow(blocks, capacity, count, size_bytes);
}

uint32_t __wrap_recording_put_mapping(struct recording *to,
				      const struct recording_mapping *mapping);
uint32_t __wrap_recording_put_mapping(struct recording *to, const struct recording_mapping *mapping)
{
	cr_assert_eq(to, recording);
	told.mapping = *mapping;
	return world.has_no_mappings ? 0 : 10 + ++told.mappings;
}

uint32_t __wrap_recording_put_function(struct recording *to,
				       const struct recording_function *function);
uint32_t __wrap_recording_put_function(struct recording *to,
				       const struct recording_function *function)
{
	cr_assert_eq(to, recording);
	cr_assert_eq(function->name_bytes, strlen(function->name));
	cr_assert_eq(function->file_bytes, strlen(function->file));
	cr_assert_eq(function->module_bytes, 0);
	snprintf(told.name, sizeof(told.name), "%s", function->name);
	snprintf(told.file, sizeof(told.file), "%s", function->file);
	told.kind = function->kind;
	return 20 + ++told.functions;
}

uint32_t __wrap_recording_put_place(struct recording *to, uint32_t function, uint32_t mapping,
				    uint64_t address);
uint32_t __wrap_recording_put_place(struct recording *to, uint32_t function, uint32_t mapping,
				    uint64_t address)
{
	cr_assert_eq(to, recording);
	cr_assert_eq(function, 20 + told.functions);
	told.function_mapping = mapping;
	told.address = address;
	return 1000 + ++told.places;
}

static uint64_t piece(size_t i)
{
	return LIB + i * PIECE_BYTES;
}

static void map(size_t i, const char *file)
{
	world.maps[i] = (struct map){
		.start = piece(i),
		.end = piece(i) + PIECE_BYTES,
		.offset = 0x2000,
		.base = piece(i) - 0x3000,
		.file = (char *)file,
		.serial = 1 + (uint32_t)i,
		.has_header = true,
		.build_id = "c0ffee",
	};
	world.map_count = i + 1;
}

static void set_up(void)
{
	world.hides = true;
	map(0, "/usr/lib/liba.so.1");
	map(1, "/lib/x86_64-linux-gnu/libc.so.6");
	map(2, "[vdso]");
}

TestSuite(native_places, .init = set_up, .fini = native_release);

static uint32_t place(uint64_t pc)
{
	return native_place(recording, pc, TIME);
}

static const struct native_place *find(uint64_t pc)
{
	return native_place_find(pc, TIME);
}

/* ---- what a recording is told ---- */

Test(native_places, a_frame_is_a_function_at_an_address_of_a_mapping)
{
	world.name = "_ZN3foo3barEv";
	cr_expect_eq(place(piece(0) + 77), 1001);
	cr_expect_str_eq(told.name, "_ZN3foo3barEv");
	cr_expect_str_eq(told.file, "/usr/lib/liba.so.1");
	cr_expect_eq(told.kind, RECORDING_NATIVE);
	cr_expect_eq(told.address, piece(0) + 77);
	cr_expect_eq(told.function_mapping, 11);
	cr_expect_eq(told.mapping.start, piece(0));
	cr_expect_eq(told.mapping.end, piece(1));
	cr_expect_eq(told.mapping.offset, 0x2000);
	cr_expect_str_eq(told.mapping.file, "/usr/lib/liba.so.1");
	cr_expect_str_eq(told.mapping.build_id, "c0ffee");
}

Test(native_places, what_has_no_name_is_its_library_and_where_in_it_the_function_begins)
{
	world.unwind_begin = 0x40;
	place(piece(0) + 0x77);
	cr_expect_str_eq(told.name, "[liba.so.1+0x3040]");
	/* Nor is that known: each address is its own. */
	world.unwind_begin = 0;
	place(piece(0) + 0x78);
	cr_expect_str_eq(told.name, "[liba.so.1+0x3078]");
	place(piece(2) + 0x10);
	cr_expect_str_eq(told.name, "[[vdso]+0x3010]");
}

Test(native_places, long_names_are_cut)
{
	static char name[10000];

	memset(name, 'x', sizeof(name) - 1);
	world.name = name;
	cr_expect_eq(place(piece(0)), 1001);
	cr_expect_gt(strlen(told.name), 4000);
	cr_expect_lt(strlen(told.name), 4096);
}

Test(native_places, nothing_is_told_twice)
{
	world.name = "f";
	cr_expect_eq(place(piece(0) + 1), 1001);
	cr_expect_eq(place(piece(0) + 1), 1001);
	cr_expect_eq(told.functions, 1);
	cr_expect_eq(world.asked, 1);
	cr_expect_eq(place(piece(0) + 2), 1002);
	cr_expect_eq(told.mappings, 1);
	cr_expect_eq(place(piece(2) + 2), 1003);
	cr_expect_eq(told.function_mapping, 12);
	cr_expect_eq(place(piece(1) + 2), 1004);
	cr_expect_eq(told.function_mapping, 13);
	cr_expect_eq(told.mappings, 3);
}

Test(native_places, frames_are_told_anew_and_mappings_are_not)
{
	world.name = "f";
	place(piece(0) + 1);
	place(piece(2) + 1);
	native_forget_frames();
	cr_expect_eq(place(piece(0) + 1), 1003);
	cr_expect_eq(told.function_mapping, 11);
	cr_expect_eq(place(piece(2) + 1), 1004);
	cr_expect_eq(told.mappings, 2);
	cr_expect_eq(world.asked, 2, "what is known of it is still known");
}

Test(native_places, a_new_recording_is_told_of_mappings_too)
{
	world.name = "f";
	place(piece(0) + 1);
	place(piece(2) + 1);
	native_forget_mappings();
	cr_expect_eq(place(piece(2) + 1), 1003);
	cr_expect_eq(told.function_mapping, 13);
	cr_expect_eq(place(piece(0) + 1), 1004);
	cr_expect_eq(told.function_mapping, 14);
	cr_expect_eq(place(piece(0) + 1), 1004);
}

Test(native_places, another_file_at_the_address_is_another_place)
{
	world.name = "f";
	cr_expect_eq(place(piece(0) + 1), 1001);
	map(0, "/usr/lib/libb.so");
	world.maps[0].serial = 9;
	world.name = "g";
	cr_expect_eq(place(piece(0) + 1), 1002);
	cr_expect_str_eq(told.name, "g");
	cr_expect_str_eq(told.file, "/usr/lib/libb.so");
	cr_expect_eq(told.function_mapping, 12);
}

Test(native_places, where_nothing_is_mapped_there_is_no_frame)
{
	cr_expect_eq(place(piece(3)), 0);
	cr_expect_eq(told.places, 0);
	cr_expect_not(find(piece(3))->is_known);
	cr_expect_eq(find(piece(3))->function, 0);
}

/* A file that is no library: a program's, of code that it has made. */
Test(native_places, generated_code_is_nowhere)
{
	map(0, "/memfd:doublemapper");
	world.maps[0].has_header = false;
	cr_expect_eq(place(piece(0)), 0);
	cr_expect_not(find(piece(0))->is_known);
	cr_expect_eq(told.mappings, 0);
}

/* ---- what is known of a place ---- */

Test(native_places, functions_begin_where_the_tables_for_unwinding_say)
{
	world.name = "f";
	world.symbol_begin = 0x30;
	world.unwind_begin = 0x40;
	cr_expect_eq(find(piece(0) + 0x50)->function, piece(0) + 0x40);
	cr_expect(find(piece(0) + 0x50)->is_known);
	world.unwind_begin = 0;
	cr_expect_eq(find(piece(0) + 0x51)->function, piece(0) + 0x30);
	world.name = NULL;
	cr_expect_eq(find(piece(0) + 0x52)->function, 0);
}

static bool is_own(const char *name)
{
	world.name = name;
	native_places_forget();
	return find(piece(0))->is_own;
}

Test(native_places, the_interpreter_s_own_are_known)
{
	map(0, "/usr/bin/python3.15");
	world.map_count = 3;
	cr_expect(is_own("_PyEval_EvalFrameDefault"));
	cr_expect(is_own("_PyEval_EvalFrameDefault.cold"));
	cr_expect(is_own("_PyEval_EvalFrameDefault.isra.0"));
	cr_expect(is_own("object_vacall.constprop.0.isra.0"));
	cr_expect(is_own("clone3"));
	cr_expect_not(is_own("PyEval_EvalFrameDefault"));
	cr_expect_not(is_own("_PyEval_EvalFrameDefault2"));
	cr_expect_not(is_own("_PyEval_EvalFrameDefaul"));
	cr_expect_not(is_own("list_sort"));
	cr_expect_not(is_own(""));
	cr_expect_not(is_own(".cold"));
	cr_expect_not(is_own(NULL));
	world.hides = false;
	cr_expect_not(is_own("_PyEval_EvalFrameDefault"), "nothing is to be left out");
	world.hides = true;
	map(0, "/usr/lib/libpython3.15.so.1.0");
	cr_expect_not(is_own("main"), "where CPython's functions are not");
	py.Py_IsInitialized = (int (*)(void))(piece(0) + 0x100);
	cr_expect(is_own("main"));
}

Test(native_places, the_c_library_s_are_known)
{
	cr_expect(find(piece(1))->is_libc);
	cr_expect(find(piece(1))->is_nameless);
	cr_expect_not(find(piece(0))->is_libc);
	cr_expect_not(find(piece(2))->is_libc);
	map(0, "/lib/libc-2.31.so");
	world.map_count = 3;
	world.maps[0].serial = 9;
	cr_expect(find(piece(0))->is_libc);
	cr_expect_eq(find(piece(0))->map, 9);
	world.name = "abort";
	cr_expect(find(piece(1) + 1)->is_libc);
	cr_expect_not(find(piece(1) + 1)->is_nameless);
}

/* ---- bounds ---- */

Test(native_places, memory_is_bounded)
{
	world.name = "f";
	for (uint64_t i = 0; i <= PLACES_MOST; i++)
		place(piece(0) + i);
	cr_expect_eq(world.asked, PLACES_MOST + 1);
	/* The last is there, and the first is forgotten; frames are told again. */
	place(piece(0) + PLACES_MOST);
	cr_expect_eq(world.asked, PLACES_MOST + 1);
	cr_expect_neq(place(piece(0)), 1001);
	cr_expect_eq(world.asked, PLACES_MOST + 2);
	cr_expect_str_eq(told.name, "f");
	cr_expect_eq(told.mappings, 1);
}

Test(native_places, memory_that_comes_back_brings_the_frame_back)
{
	world.name = "f";
	for (unsigned fails = 1; fails < 10; fails++) {
		uint32_t frame;

		native_release();
		world.grows = 0;
		world.grow_fails_at = fails;
		place(piece(0));
		find(piece(0) + 1);
		world.grow_fails_at = 0;
		frame = place(piece(0));
		cr_expect_neq(frame, 0);
		cr_expect_eq(place(piece(0)), frame);
		cr_expect_eq(find(piece(0) + 1)->function, piece(0));
	}
}

Test(native_places, a_mapping_that_had_no_room_is_told_later)
{
	world.name = "f";
	world.has_no_mappings = true;
	cr_expect_eq(place(piece(0)), 0);
	cr_expect_eq(told.places, 0);
	world.has_no_mappings = false;
	cr_expect_eq(place(piece(0)), 1001);
	cr_expect_eq(told.function_mapping, 11);
}
