/*
 * test_stack.c - Python's frames, C functions that they call, and markers, from records to a recording.
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

TestSuite(stack, .init = set_up, .fini = tear_down);

static void tell(const struct frame *stack)
{
	put(RECORD_START, 0, false, stack);
}

Test(stack, names_and_lines_end_up_in_the_recording)
{
	add(70, false, FRAMES(AT(2, 9), AT(1, 5), AT(0, 4)));
	add(80, false, FRAMES(AT(2, 8), AT(1, 5), AT(0, 4)));
	add(90, false, FRAMES(AT(0, 4)));
	CHECK("3 70 app.f0:4;app.f1:5;app.f2:9", "3 80 app.f0:4;app.f1:5;app.f2:8",
	      "3 90 app.f0:4");
	cr_assert_eq(kinds[1], RECORDING_PYTHON);
	cr_assert_eq(first_lines[1], 100);
}

Test(stack, the_way_to_a_frame_is_walked_once)
{
	for (unsigned i = 0; i < 5; i++)
		add(i, false, FRAMES(AT(1, 5), AT(0, 4)));
	cr_assert_eq(lines_asked, 2);
	add(5, false, FRAMES(AT(1, 6), AT(0, 4)));
	cr_assert_eq(lines_asked, 3);
}

Test(stack, markers_are_frames_without_a_line)
{
	add(1, false, FRAMES(MARK(FINALIZING)));
	add(2, false, FRAMES(MARK(NO_PYTHON)));
	add(3, false, FRAMES(MARK(FINALIZING)));
	CHECK("3 1 [finalizing]", "3 2 [native]", "3 3 [finalizing]");
	cr_assert_eq(kinds[1], RECORDING_MARKER);
	cr_assert_str_eq(functions[3], "", "the marker was put twice");
}

Test(stack, a_c_function_is_a_frame_between_others)
{
	add(1, false, FRAMES(AT(1, 5), CALLED(1), AT(0, 4)));
	add(2, false, FRAMES(CALLED(2), AT(0, 4)));
	add(3, false, FRAMES(CALLED(99), AT(0, 4)));
	CHECK("3 1 app.f0:4;builtins.sorted:0;app.f1:5", "3 2 app.f0:4;math.cos:0",
	      "3 3 app.f0:4;[C]:0");
	cr_assert_eq(kinds[2], RECORDING_NATIVE);
	cr_assert(stack_any(), "the first is no [thread exit]");
}

Test(stack, one_of_several_c_functions_has_the_names_of_all)
{
	add(1, false, FRAMES(CALLED(AND(4, 3)), AT(0, 4)));
	add(2, false, FRAMES(CALLED(AND(AND(3, 1), 4)), AT(0, 4)));
	add(3, false, FRAMES(CALLED(SITE_MORE + AND(AND(3, 4), 1)), AT(0, 4)));
	add(4, false, FRAMES(CALLED(AND(AND(2, 5), 6)), AT(0, 4)));
	add(5, false, FRAMES(CALLED(AND(2, 99)), AT(0, 4)));
	add(6, false, FRAMES(AT(1, 5), CALLED(SITE_MORE + AND(AND(3, 4), 1)), AT(0, 4)));
	CHECK("3 1 app.f0:4;builtins.abs | len:0", "3 2 app.f0:4;builtins.abs | len | sorted:0",
	      "3 3 app.f0:4;builtins.abs | len | sorted | ...:0",
	      "3 4 app.f0:4;call | numpy.cos | math.cos:0", "3 5 app.f0:4;[C] | math.cos:0",
	      "3 6 app.f0:4;[C]:0;app.f1:5");
}

Test(stack, a_leaf_is_the_callee_whose_turn_it_is)
{
	turn = 4;
	add(1, false, FRAMES(CALLED(AND(4, 3)), AT(0, 4)));
	cr_assert_eq(asked_at, 1004, "where f0 calls");
	cr_assert_eq(asked_value, 1);
	turn = 3;
	add(2, false, FRAMES(CALLED(AND(4, 3)), AT(0, 4)));
	/* Not so between two functions: whoever called back was not chosen by time. */
	add(3, false, FRAMES(AT(1, 5), CALLED(AND(4, 3)), AT(0, 4)));
	add(4, false, FRAMES(CALLED(AND(4, 3)), AT(0, 4), CALLED(AND(4, 3)), AT(0, 4)));
	CHECK("3 1 app.f0:4;builtins.abs:0", "3 2 app.f0:4;builtins.len:0",
	      "3 3 app.f0:4;builtins.abs | len:0;app.f1:5",
	      "3 4 app.f0:4;builtins.abs | len:0;app.f0:4;builtins.len:0");
}

/* Threads are started by threading's code, which calls C functions when it is alone. */
Test(stack, a_c_function_is_not_what_a_thread_runs)
{
	add(1, false, FRAMES(CALLED(2), AT(10, 1)));
	add(2, false, FRAMES(MARK(THREAD_EXIT)));
	add(3, false, FRAMES(CALLED(1), AT(0, 4), CALLED(6), AT(10, 1)));
	add(4, false, FRAMES(MARK(THREAD_EXIT)));
	CHECK("3 1 threading.f10:1;math.cos:0", "3 2 [thread exit]",
	      "3 3 threading.f10:1;call:0;app.f0:4;builtins.sorted:0",
	      "3 4 threading.f10:1;call:0;app.f0:4;[thread exit]");
}

Test(stack, a_marker_is_a_stack_of_its_own)
{
	struct recording_sample sample = { 3, METRIC_cpu_cpu, 0, START_NS, 5, 0 };

	sample.node = stack_marker(FRAME_THREAD_EXIT);
	cr_assert_eq(stack_marker(FRAME_THREAD_EXIT), sample.node);
	cr_assert_neq(stack_marker(FRAME_UNKNOWN), sample.node);
	recording_put_sample(recording, &sample);
	CHECK("3 5 [thread exit]");
}

Test(stack, what_was_cut_off_is_said_at_the_root)
{
	add(1, true, FRAMES(AT(1, 5), AT(0, 4)));
	add(2, false, FRAMES(AT(1, 5), AT(0, 4)));
	CHECK("3 1 [cut];app.f0:4;app.f1:5", "3 2 app.f0:4;app.f1:5");
}

Test(stack, a_thread_ends_under_the_function_that_it_runs)
{
	add(1, false, FRAMES(AT(1, 5), AT(0, 4)));
	add(2, false, FRAMES(MARK(THREAD_EXIT)));
	CHECK("3 1 app.f0:4;app.f1:5", "3 2 app.f0:4;[thread exit]");
}

Test(stack, the_threading_module_does_not_count_as_that_function)
{
	add(1, false, FRAMES(AT(1, 5), AT(0, 4), AT(11, 2), AT(10, 1)));
	add(2, false, FRAMES(MARK(THREAD_EXIT)));
	CHECK("3 1 threading.f10:1;threading.f11:2;app.f0:4;app.f1:5",
	      "3 2 threading.f10:1;threading.f11:2;app.f0:4;[thread exit]");
}

Test(stack, what_has_no_root_or_no_code_does_not_tell_the_function)
{
	add(1, true, FRAMES(AT(1, 5)));
	add(2, false, FRAMES(MARK(NO_PYTHON)));
	add(3, false, FRAMES(AT(11, 2)));
	add(4, false, FRAMES(MARK(THREAD_EXIT)));
	CHECK("3 1 [cut];app.f1:5", "3 2 [native]", "3 3 threading.f11:2", "3 4 [thread exit]");
}

Test(stack, a_marker_leaves_the_function_as_it_was)
{
	add(1, false, FRAMES(AT(0, 4)));
	add(2, false, FRAMES(MARK(NO_PYTHON)));
	add(3, false, FRAMES(MARK(THREAD_EXIT)));
	CHECK("3 1 app.f0:4", "3 2 [native]", "3 3 app.f0:4;[thread exit]");
}

Test(stack, a_thread_that_was_never_sampled_ends_under_what_it_was_created_for)
{
	tell(FRAMES(AT(0, 4), AT(11, 2), AT(10, 1)));
	add(2, false, FRAMES(MARK(THREAD_EXIT)));
	CHECK("3 2 threading.f10:1;threading.f11:2;app.f0:4;[thread exit]");
}

/* At the moment of a sample a finalizer may be the outermost. */
Test(stack, what_was_told_is_surer_than_a_sample)
{
	tell(FRAMES(AT(0, 4), AT(10, 1)));
	add(1, false, FRAMES(AT(2, 7), AT(10, 3)));
	add(2, false, FRAMES(MARK(THREAD_EXIT)));
	CHECK("3 1 threading.f10:3;app.f2:7", "3 2 threading.f10:1;app.f0:4;[thread exit]");
}

Test(stack, a_sample_knows_better_than_the_threading_module)
{
	tell(FRAMES(AT(11, 2), AT(10, 1)));
	add(1, false, FRAMES(MARK(THREAD_EXIT)));
	add(2, false, FRAMES(AT(2, 7), AT(10, 3)));
	add(3, false, FRAMES(MARK(THREAD_EXIT)));
	CHECK("3 1 threading.f10:1;threading.f11:2;[thread exit]", "3 2 threading.f10:3;app.f2:7",
	      "3 3 threading.f10:3;app.f2:7;[thread exit]");
}

Test(stack, a_start_without_a_name_is_none)
{
	tell(FRAMES(AT(20, 0)));
	add(1, false, FRAMES(MARK(THREAD_EXIT)));
	CHECK("3 1 [thread exit]");
	cr_assert_eq(lost(LOSS_unknown_code), 0, "no sample was lost");
}

Test(stack, a_start_is_no_sample)
{
	tell(FRAMES(AT(0, 4)));
	cr_assert_not(stack_any());
	cr_assert_eq(recording_samples(recording), 0);
}

Test(stack, only_threads_that_worked_count)
{
	cr_assert_not(stack_any());
	add(99999999, false, FRAMES(MARK(THREAD_EXIT)));
	cr_assert_not(stack_any());
	add(100000000, false, FRAMES(MARK(THREAD_EXIT)));
	cr_assert(stack_any(), "where nothing ticks");
	stack_begin(recording);
	add(2, false, FRAMES(AT(0, 4)));
	cr_assert(stack_any());
	stack_begin(recording);
	cr_assert_not(stack_any());
}

Test(stack, code_that_has_no_name_is_counted)
{
	add(1, false, FRAMES(AT(1, 5), AT(20, 0), AT(0, 4)));
	add(2, false, FRAMES(AT(21, 0)));
	cr_assert_eq(lost(LOSS_unknown_code), 2);
	CHECK("3 1 app.f0:4;[unknown];app.f1:5", "3 2 [unknown]");
}

Test(stack, what_was_told_is_told_again_in_a_new_epoch)
{
	tell(FRAMES(AT(0, 4), AT(10, 1)));
	add(1, false, FRAMES(AT(2, 7)));
	begin_epoch(1);
	add(2, false, FRAMES(AT(3, 7)));
	add(3, false, FRAMES(MARK(THREAD_EXIT)));
	CHECK("3 2 app.f3:7", "3 3 threading.f10:1;app.f0:4;[thread exit]");
}

/* Told in one epoch and gone in the next: *how is the address. */
static void check_gone(uintptr_t *how)
{
	tell(FRAMES(AT(0, 4)));
	add(1, false, FRAMES(AT(2, 7)));
	begin_epoch(1);
	*how = CODE;
	add(2, false, FRAMES(MARK(THREAD_EXIT)));
	CHECK("3 2 [thread exit]");
	cr_assert_eq(lost(LOSS_unknown_code), 0);
}

Test(stack, a_function_that_is_gone_is_not_told_again)
{
	check_gone(&dead);
}

Test(stack, another_function_at_its_address_is_not_told)
{
	check_gone(&reused);
}

Test(stack, nothing_is_remembered_in_a_new_epoch)
{
	add(1, false, FRAMES(AT(1, 5), AT(0, 4)));
	add(2, false, FRAMES(MARK(FINALIZING)));
	begin_epoch(2);

	add(3, false, FRAMES(MARK(THREAD_EXIT)));
	add(4, false, FRAMES(AT(2, 7)));
	add(5, false, FRAMES(MARK(FINALIZING)));
	add(6, false, FRAMES(AT(1, 5), AT(0, 4)));
	add(7, false, FRAMES(MARK(THREAD_EXIT)));
	CHECK("3 3 [thread exit]", "3 4 app.f2:7", "3 5 [finalizing]", "3 6 app.f0:4;app.f1:5",
	      "3 7 app.f0:4;[thread exit]");
}

Test(stack, without_memory_the_sample_is_counted)
{
	no_node = true;
	add(1, false, FRAMES(AT(0, 4)));
	cr_assert_eq(atomic_load(&worker.losses[LOSS_no_memory]), 1);
	no_node = false;
	add(2, false, FRAMES(AT(0, 4)));
	CHECK("3 2 app.f0:4");
}

/* Each growth of a table in its turn: what failed once is right the next time. */
Test(stack, memory_that_comes_back_brings_the_names_back)
{
	for (unsigned fails = 1; fails <= 12; fails++) {
		uint64_t samples_lost;

		stack_begin(recording);
		grows = 0;
		grow_fails_at = fails;
		add(1, false, FRAMES(AT(1, 5), AT(0, 4)));
		grow_fails_at = 0;
		cr_assert_null(recording_flush(recording, START_NS, &samples_lost));
		add(2, false, FRAMES(AT(1, 5), AT(0, 4)));
		flush_good(recording, START_NS);
		read_back();
		cr_assert_str_eq(samples[sample_count - 1], "3 2 app.f0:4;app.f1:5");
	}
}
