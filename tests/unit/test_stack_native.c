/*
 * test_stack_native.c - native frames around Python's, from records to a recording.
 */
#include "callee.h"
#include "native.h"
#include "symbol.h"

const struct symbol *__wrap_symbol_find(uintptr_t code, uint64_t time_ns);
uint32_t __wrap_symbol_line(const struct symbol *symbol, uintptr_t instruction);
uint32_t __wrap_recording_put_node(struct recording *to, uint32_t parent, uint32_t frame);
bool __wrap_callee_name(uint32_t id, struct callee *callee);
bool __wrap_heap_grow(void **blocks, size_t *capacity, size_t count, size_t size_bytes);
struct frame *__wrap_native_merge(struct thread *thread, const struct record *record,
				  size_t *depth);
uint32_t __wrap_native_place(struct recording *to, uintptr_t pc, uint64_t time_ns);
void __wrap_native_forget_frames(void);
uint64_t __wrap_site_choose(uintptr_t instruction, uint64_t callees, uint64_t time_ns,
			    uint64_t value);

#include "stack_stage.h"

TestSuite(stack_native, .init = set_up, .fini = tear_down);

/* A sample whose frames are these, with those of its C stack. */
static void add_native(uint64_t value, const struct frame *stack)
{
	record_native_limit(RECORD_NATIVE_YES, 4096);
	merged = stack;
	add(value, false, FRAMES(AT(5, 5)));
}

Test(stack_native, native_frames_stand_between_others)
{
	add_native(1, FRAMES(NATIVE(2), NATIVE(1), AT(1, 5), NATIVE(3), AT(0, 4), NATIVE(4)));
	add_native(2, FRAMES(NATIVE(2), NATIVE(1)));
	CHECK("3 1 n4:0;app.f0:4;n3:0;app.f1:5;n1:0;n2:0", "3 2 n1:0;n2:0");
	cr_assert(stack_any());
}

Test(stack_native, no_native_frames_are_asked_for_where_none_are_wanted)
{
	merged = NULL;
	add(1, false, FRAMES(AT(0, 4)));
	CHECK("3 1 app.f0:4");
}

Test(stack_native, native_frames_stand_on_the_callee_whose_turn_it_is)
{
	turn = 4;
	add_native(1, FRAMES(NATIVE(2), NATIVE(1), CALLED(AND(4, 3)), AT(0, 4), NATIVE(9)));
	cr_assert_eq(asked_at, 1004);
	cr_assert_eq(asked_value, 1);
	add_native(2, FRAMES(CALLED(AND(4, 3)), AT(0, 4)));
	add_native(3, FRAMES(NATIVE(1), AT(1, 5), CALLED(AND(4, 3)), AT(0, 4)));
	CHECK("3 1 n9:0;app.f0:4;builtins.abs:0;n1:0;n2:0", "3 2 app.f0:4;builtins.abs:0",
	      "3 3 app.f0:4;builtins.abs | len:0;app.f1:5;n1:0");
}

/* What is missing between them changes nothing of whose turn it is. */
Test(stack_native, a_callee_under_a_stack_that_is_cut_is_a_leaf_all_the_same)
{
	turn = 3;
	add_native(1, FRAMES(NATIVE(1), MARK(CUT), CALLED(AND(4, 3)), AT(0, 4)));
	add_native(2, FRAMES(NATIVE(1), MARK(UNKNOWN), CALLED(SITE_MORE + AND(4, 3)), AT(0, 4)));
	CHECK("3 1 app.f0:4;builtins.len:0;[cut];n1:0",
	      "3 2 app.f0:4;builtins.len:0;[unknown];n1:0");
}

Test(stack_native, native_code_that_is_not_known_is_counted)
{
	add_native(1, FRAMES(NATIVE(100), AT(0, 4), NATIVE(101)));
	cr_assert_eq(lost(LOSS_native_code), 2);
	CHECK("3 1 [unknown];app.f0:4;[unknown]");
}

/* Nor is it what a thread runs. */
Test(stack_native, a_thread_does_not_start_with_native_code)
{
	add_native(1, FRAMES(AT(2, 7), AT(10, 3), NATIVE(4), NATIVE(100)));
	record_native_limit(RECORD_NATIVE_NO, 0);
	add(2, false, FRAMES(MARK(THREAD_EXIT)));
	CHECK("3 1 [unknown];n4:0;threading.f10:3;app.f2:7",
	      "3 2 [unknown];n4:0;threading.f10:3;app.f2:7;[thread exit]");
}

Test(stack_native, a_stack_that_is_cut_at_its_root_does_not_tell_the_function)
{
	add_native(1, FRAMES(AT(2, 7), AT(10, 3), NATIVE(4), MARK(CUT)));
	record_native_limit(RECORD_NATIVE_NO, 0);
	add(2, false, FRAMES(MARK(THREAD_EXIT)));
	CHECK("3 1 [cut];n4:0;threading.f10:3;app.f2:7", "3 2 [thread exit]");
}

Test(stack_native, native_frames_without_memory_are_counted)
{
	add_native(1, NULL);
	cr_assert_eq(atomic_load(&worker.losses[LOSS_no_memory]), 1);
	add_native(2, FRAMES(NATIVE(1), AT(0, 4)));
	CHECK("3 2 app.f0:4;n1:0");
}

Test(stack_native, frames_of_native_code_are_told_anew_in_a_new_epoch)
{
	add_native(1, FRAMES(NATIVE(1), AT(0, 4)));
	cr_assert_eq(frames_forgotten, 0);
	begin_epoch(1);
	add_native(2, FRAMES(NATIVE(1), AT(0, 4)));
	cr_assert_eq(frames_forgotten, 1);
	CHECK("3 2 app.f0:4;n1:0");
}
