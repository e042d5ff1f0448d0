/*
 * test_native_looks.c - when what is mapped is looked at, starts and ends, and native frames without memory.
 */
#include "callee.h"
#include "maps.h"
#include "options.h"
#include "unwind.h"

uint64_t __wrap_os_monotonic_ns(void);
uint64_t __wrap_option_number(enum option_id option);
void __wrap_frames_tell_entries(size_t most);
errmsg __wrap_unwind_start(void);
void __wrap_unwind_begin(unwind_find *find);
void __wrap_unwind_forget(void);
void __wrap_unwind_release(void);
enum unwind_result __wrap_unwind_step(struct unwind_registers *registers,
				      const struct unwind_stack *stack);
uint64_t __wrap_unwind_function(uint64_t address);
const struct map *__wrap_maps_find(uint64_t pc, uint64_t time_ns);
bool __wrap_maps_function(const struct map *map, uint64_t address, struct elf_symbol *symbol);
errmsg __wrap_maps_renew(uint64_t time_ns);
uint64_t __wrap_maps_changed(void);
void __wrap_maps_release(void);
bool __wrap_callee_name(uint32_t id, struct callee *callee);
bool __wrap_heap_grow(void **blocks, size_t *capacity, size_t count, size_t size_bytes);

#include "native_stage.h"

TestSuite(native_looks, .init = set_up);

/* ---- what is mapped ---- */

Test(native_looks, the_first_pass_looks_and_later_ones_only_when_a_library_was_closed)
{
	struct unwind_table table;

	native_pass(TIME);
	cr_expect_eq(world.begun, 1);
	cr_expect_eq(world.looks, 1);
	cr_assert(tables(FUNCTION('a'), &table));
	cr_expect(table.start == 1 && table.end == 2 && table.base == 3);
	cr_expect(table.frame_header == 4 && table.frame_header_bytes == 5);
	cr_expect_not(tables(FUNCTION('?'), &table));
	native_pass(TIME);
	cr_expect_eq(world.looks, 1);
	cr_expect_eq(world.forgotten, 0);
	native_closed();
	native_closed();
	world.changed++;
	native_pass(TIME);
	cr_expect_eq(world.looks, 2);
	cr_expect_eq(world.forgotten, 1);
	native_pass(TIME);
	cr_expect_eq(world.looks, 2);
	native_closed();
	native_pass(TIME);
	cr_expect_eq(world.looks, 3);
	cr_expect_eq(world.forgotten, 1, "nothing has changed");
	cr_expect_eq(world.begun, 1);
}

Test(native_looks, nothing_is_looked_at_where_nothing_is_wanted)
{
	start(RECORD_NATIVE_YES);
	record_native_limit(RECORD_NATIVE_NO, 0);
	native_closed();
	native_pass(TIME);
	cr_expect_eq(world.looks, 0);
	cr_expect_eq(world.begun, 0);
}

Test(native_looks, what_is_not_known_is_looked_for)
{
	native_pass(TIME);
	world.mapped = "ab";
	world.mapped_later = "abc";
	EXPECT(OF("acb", NO_PYTHON), "acb");
	cr_expect_eq(world.looks, 2);
	EXPECT(OF("acb", NO_PYTHON), "acb");
	cr_expect_eq(world.looks, 2);
}

Test(native_looks, what_stays_unknown_is_looked_for_once_a_second)
{
	native_pass(TIME);
	EXPECT(OF("?a?", NO_PYTHON), "[unknown]");
	cr_expect_eq(world.looks, 2);
	world.now_ns += SECOND - 1;
	EXPECT(OF("?a?", NO_PYTHON), "[unknown]");
	cr_expect_eq(world.looks, 2);
	world.now_ns += 1;
	EXPECT(OF("?a?", NO_PYTHON), "[unknown]");
	cr_expect_eq(world.looks, 3);
}

/* A new session, in the child of a fork: nothing is known, and nothing was looked for in vain. */
Test(native_looks, after_a_release_all_begins_anew)
{
	native_pass(TIME);
	EXPECT(OF("?a", NO_PYTHON), "[unknown]");
	cr_expect_eq(world.looks, 2);
	native_release();
	cr_expect_eq(world.released, 1);
	cr_expect_eq(world.maps_released, 1);
	native_pass(TIME);
	cr_expect_eq(world.begun, 2);
	cr_expect_eq(world.looks, 3);
	EXPECT(OF("?a", NO_PYTHON), "[unknown]");
	cr_expect_eq(world.looks, 4);
}

/* ---- the way in, and out of memory ---- */

Test(native_looks, starts_as_the_option_says)
{
	cr_expect_eq(record_native_wanted(), RECORD_NATIVE_YES);
	cr_expect_eq(world.entries, SIZE_MAX);
	start(RECORD_NATIVE_LEAF);
	cr_expect_eq(record_native_wanted(), RECORD_NATIVE_LEAF);
	cr_expect_eq(world.entries, 1);
}

Test(native_looks, without_libunwind_there_are_none)
{
	record_native_limit(RECORD_NATIVE_NO, 0);
	world.missing = "no libunwind";
	world.entries = 0;
	cr_expect_str_eq(native_start(), "no libunwind");
	cr_expect_eq(record_native_wanted(), RECORD_NATIVE_NO);
	cr_expect_eq(world.entries, 0);
	world.mode = RECORD_NATIVE_NO;
	cr_expect_null(native_start(), "nobody asked");
}

Test(native_looks, memory_that_comes_back_brings_the_stack_back)
{
	for (unsigned fails = 1; fails < 40; fails++) {
		native_release();
		world.grows = 0;
		world.grow_fails_from = fails;
		merged(OF("cxVaEbEs", CALLED(1), PY(1), ENTRY(4), CALLED(2), PY(0), ENTRY(6)));
		world.grow_fails_from = 0;
		EXPECT(OF("cxVaEbEs", CALLED(1), PY(1), ENTRY(4), CALLED(2), PY(0), ENTRY(6)),
		       "cx(1)1(2)0s");
	}
}

Test(native_looks, without_memory_there_is_no_stack)
{
	world.grow_fails_from = 1;
	cr_expect_str_eq(merged(OF("caEs", CALLED(1), PY(0), ENTRY(2))), "no memory");
	cr_expect_str_eq(merged(OF("caEs", NO_PYTHON)), "no memory");
}
