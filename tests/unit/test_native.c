/*
 * test_native.c - the C stack of a sample and its Python stack, made one.
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

TestSuite(native, .init = set_up);

static uint64_t lost(enum loss reason)
{
	return atomic_load(&thread.losses[reason]);
}

static uint64_t lost_all(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < LOSS_COUNT; i++)
		sum += lost((enum loss)i);
	return sum;
}

/* ---- Python frames in their places ---- */

Test(native, python_s_frames_stand_where_the_loop_does)
{
	EXPECT(OF("cbEts", PY(1), PY(0), ENTRY(2)), "cb10ts");
	EXPECT(OF("Es", PY(0), ENTRY(0)), "0s");
	cr_expect_eq(lost_all(), 0);
}

Test(native, each_activation_has_its_own)
{
	EXPECT(OF("cEbEEts", PY(3), ENTRY(1), PY(2), PY(1), ENTRY(3), PY(0), ENTRY(4)), "c3b210ts");
	cr_expect_eq(lost_all(), 0);
}

Test(native, an_activation_may_have_no_frame_that_counts)
{
	EXPECT(OF("cEbEs", ENTRY(1), PY(0), ENTRY(3)), "cb0s");
	cr_expect_eq(lost_all(), 0);
}

Test(native, the_bounds_of_a_c_frame_are_its_stack_pointer_and_its_caller_s)
{
	EXPECT(OF("cEs", PY(0), { pointer_of(1), FRAME_ENTRY }), "c0s");
	EXPECT(OF("cEs", PY(0), { pointer_of(2) - 8, FRAME_ENTRY }), "c0s");
	EXPECT(OF("cEsr", PY(0), { pointer_of(2), FRAME_ENTRY }), "c0r");
	cr_expect_eq(lost_all(), 0);
}

Test(native, leaf_ends_with_the_innermost_activation)
{
	start(RECORD_NATIVE_LEAF);
	EXPECT(OF("cVbEts", PY(2), PY(1), ENTRY(3), PY(0)), "cb210");
	cr_expect_eq(lost_all(), 0);
}

/* Where the loop's own frame does not end in the copy, or a register leads out of it before, the place is not sure. */
Test(native, leaf_s_copy_ends_too_early)
{
	start(RECORD_NATIVE_LEAF);
	world.end = UNWIND_CUT;
	cr_expect_str_eq(merged(record_of("cbE", 2 * FRAME_BYTES + 64, false, 3,
					  (const struct frame[]){ PY(1), ENTRY(2), PY(0) })),
			 "cb[cut]10", "%s", out);
	cr_expect_eq(lost(LOSS_native_cut), 1);
	cr_expect_str_eq(merged(record_of("cb", 2 * FRAME_BYTES, false, 3,
					  (const struct frame[]){ PY(1), ENTRY(2), PY(0) })),
			 "cb[cut]10", "%s", out);
	cr_expect_eq(lost(LOSS_native_cut), 2);
}

Test(native, without_a_copy_python_s_frames_are_all)
{
	EXPECT(OF("", PY(1), ENTRY(1), CALLED(1), PY(0), ENTRY(3)), "1(1)0");
	EXPECT(OF("", NO_PYTHON), "[native]");
	cr_expect_eq(lost_all(), 0);
}

Test(native, a_thread_without_python_has_c_functions)
{
	EXPECT(OF("abl", NO_PYTHON), "ab");
	EXPECT(OF("aVb", NO_PYTHON), "ab");
	cr_expect_eq(lost_all(), 0);
}

Test(native, functions_that_say_nothing_leave_the_marker)
{
	EXPECT(OF("VV", NO_PYTHON), "[native]");
	EXPECT(OF("V", NO_PYTHON), "[native]");
	cr_expect_eq(lost_all(), 0);
}

Test(native, an_entry_frame_on_another_stack_is_not_found)
{
	EXPECT(OF("cbs", PY(0), { 0x7e0000000000, FRAME_ENTRY }), "cbs[unknown]0");
	cr_expect_eq(lost(LOSS_native_entry), 1);
	cr_expect_eq(lost_all(), 1);
}

Test(native, python_frames_without_an_entry_frame_are_at_the_root)
{
	EXPECT(OF("cbs", PY(1), PY(0)), "cbs[unknown]10");
	cr_expect_eq(lost(LOSS_native_entry), 1);
}

/* ---- unwinding ends ---- */

Test(native, what_is_missing_is_said)
{
	world.end = UNWIND_CUT;
	EXPECT(OF("cb", PY(0), ENTRY(3)), "cb[cut]0");
	EXPECT(OF("cEt", PY(0), ENTRY(1)), "c0t[cut]");
	EXPECT(OF("c", NO_PYTHON), "c[cut]");
	cr_expect_eq(lost(LOSS_native_cut), 3);
	world.end = UNWIND_UNKNOWN;
	EXPECT(OF("cb", PY(0), ENTRY(3)), "cb[unknown]0");
	EXPECT(OF("cEt", PY(0), ENTRY(1)), "c0t[unknown]");
	EXPECT(OF("c", NO_PYTHON), "c[unknown]");
	EXPECT(OF("cEbEt", PY(1), ENTRY(1), PY(0), ENTRY(7)), "c1bt[unknown]0");
	cr_expect_eq(lost(LOSS_native_rule), 4);
	world.end = UNWIND_BOTTOM;
	EXPECT(OF("cEbt", PY(1), ENTRY(1), PY(0), ENTRY(7)), "c1bt[unknown]0");
	cr_expect_eq(lost(LOSS_native_entry), 1);
	cr_expect_eq(lost_all(), 8);
}

/* What runs there was made by the program: where it was called from nobody knows. */
Test(native, generated_code_ends_the_native_frames)
{
	EXPECT(OF("cb?sEt", PY(0), ENTRY(4)), "cb[unknown]0");
	EXPECT(OF("?sEt", PY(0), ENTRY(2)), "[unknown]0");
	EXPECT(OF("c?", NO_PYTHON), "c[unknown]");
	cr_expect_eq(lost(LOSS_native_code), 3);
	cr_expect_eq(lost_all(), 3);
}

/* As 3.14 has it in its thread's state. */
Test(native, an_entry_frame_of_no_activation_is_not_missed)
{
	EXPECT(OF("cEt", PY(0), ENTRY(1), { 0x7e0000000000, FRAME_ENTRY }), "c0t");
	cr_expect_eq(lost_all(), 0);
}

/* Where all is copied a loop that cannot be unwound is not sure to be it. */
Test(native, the_loop_that_is_cut_holds_nothing)
{
	world.end = UNWIND_CUT;
	EXPECT(OF("cE", PY(0), ENTRY(1)), "c[cut]0");
	world.end = UNWIND_UNKNOWN;
	EXPECT(OF("cE", PY(0), ENTRY(1)), "c[unknown]0");
	start(RECORD_NATIVE_LEAF);
	EXPECT(OF("cE", PY(0), ENTRY(1)), "c[unknown]0");
}

Test(native, a_walk_ends)
{
	size_t depth;

	world.is_endless = true;
	cr_assert_not_null(native_merge(&thread, OF("a", NO_PYTHON), &depth));
	cr_expect_gt(depth, 1000);
	cr_expect_lt(depth, 100000);
	cr_expect_eq(lost(LOSS_native_rule), 1);
}

/* ---- Python stacks that are cut ---- */

Test(native, of_a_cut_stack_the_innermost_activation_is_placed)
{
	EXPECT(CUT("cEs", PY(1), PY(0), ENTRY(1)), "c10");
	EXPECT(CUT("cEbEs", PY(2), ENTRY(1), PY(1), PY(0)), "c210");
	EXPECT(CUT("cEbEs", PY(2), ENTRY(1), PY(1), ENTRY(3), PY(0)), "c2b10");
	cr_expect_eq(lost_all(), 0);
	EXPECT(CUT("cEs", PY(1), PY(0)), "10");
	cr_expect_eq(lost(LOSS_native_entry), 1);
}

/* ---- callees ---- */

Test(native, a_callee_is_one_of_the_native_frames)
{
	EXPECT(OF("caEs", CALLED(1), PY(0), ENTRY(2)), "c(1)0s");
	EXPECT(OF("aEs", CALLED(1), PY(0), ENTRY(1)), "(1)0s");
	/* With what only leads there. */
	EXPECT(OF("caVEs", CALLED(1), PY(0), ENTRY(3)), "c(1)0s");
	EXPECT(OF("caxyEs", CALLED(1), PY(0), ENTRY(4)), "c(1)0s");
	/* Not the outer one of that name. */
	EXPECT(OF("aEaEs", CALLED(1), PY(1), ENTRY(1), CALLED(1), PY(0), ENTRY(3)), "(1)1(1)0s");
}

Test(native, a_callee_that_is_none_of_them_stands_beside_python)
{
	EXPECT(OF("cbEs", CALLED(1), PY(0), ENTRY(2)), "cb(1)0s");
	EXPECT(OF("Es", CALLED(1), PY(0), ENTRY(0)), "(1)0s");
	EXPECT(OF("cbEs", CALLED(20), PY(0), ENTRY(2)), "cb(20)0s");
	EXPECT(OF("cbEs", CALLED(40), PY(0), ENTRY(2)), "cb(40)0s");
	/* Too far away. */
	EXPECT(OF("axyzEs", CALLED(1), PY(0), ENTRY(4)), "axyz(1)0s");
}

Test(native, of_several_callees_it_is_the_one_that_runs)
{
	EXPECT(OF("bEs", CALLED(AND(3, 2)), PY(0), ENTRY(1)), "(2)0s");
	EXPECT(OF("cEs", CALLED(AND(3, 2)), PY(0), ENTRY(1)), "(3)0s");
	EXPECT(OF("aEs", CALLED(AND(AND(1, 3), 2)), PY(0), ENTRY(1)), "(1)0s");
	EXPECT(OF("aEs", CALLED(SITE_MORE + AND(AND(1, 3), 2)), PY(0), ENTRY(1)), "(1)0s");
	EXPECT(OF("xEs", CALLED(AND(3, 2)), PY(0), ENTRY(1)), "x(196610)0s");
}

Test(native, another_activation_s_frames_are_no_callee)
{
	EXPECT(OF("aEEs", PY(1), ENTRY(1), CALLED(1), PY(0), ENTRY(2)), "a1(1)0s");
}

Test(native, all_is_shown_where_nothing_is_to_be_left_out)
{
	world.hides = false;
	EXPECT(OF("cVbEtVl", PY(0), ENTRY(3)), "cVb0EtVl");
	EXPECT(OF("caVEs", CALLED(1), PY(0), ENTRY(3)), "c(1)V0Es");
	EXPECT(OF("EaEs", PY(1), ENTRY(0), CALLED(1), PY(0), ENTRY(2)), "1E(1)0Es");
	start(RECORD_NATIVE_LEAF);
	EXPECT(OF("cVbEtVl", PY(0), ENTRY(3)), "cVb0E");
	cr_expect_eq(lost_all(), 0);
}

Test(native, the_c_library_s_beginning_is_left_out)
{
	EXPECT(OF("cEsll", PY(0), ENTRY(1)), "c0s");
	EXPECT(OF("cElsl", PY(0), ENTRY(1)), "c0ls");
	EXPECT(OF("lEll", PY(0), ENTRY(1)), "l0");
	EXPECT(OF("ll", NO_PYTHON), "l");
}
