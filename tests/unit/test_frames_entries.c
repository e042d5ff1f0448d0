/*
 * test_frames_entries.c - activations of the interpreter, told where they stand between Python frames.
 */
#include "frames_stage.h"

TestSuite(frames_entries, .init = set_up);

static bool is_entry(size_t i, const struct interpreter_frame *entry)
{
	return i < count && walked[i].code == (uintptr_t)entry &&
	       walked[i].instruction == FRAME_ENTRY;
}

/* Three activations, of two, one and one Python frames; the last calls C. Innermost first: */
static struct interpreter_frame *entries[3];

static void push_activations(void)
{
	know_calls(7);
	entries[2] = push(ENTRY, &fake.other, 0);
	push(THREAD, &fake.code[0], 7);
	entries[1] = push(C_STACK, &fake.other, 0);
	push(THREAD, &fake.code[1], 5);
	entries[0] = push(ENTRY, &fake.other, 0);
	push(THREAD, &fake.code[2], 5);
	push(THREAD, &fake.code[3], 7);
}

Test(frames_entries, activations_are_not_told_unless_one_asks)
{
	push_activations();
	cr_assert_eq(walk(8), FRAMES_OK);
	cr_assert_eq(count, 6);
	for (size_t i = 0; i < count; i++)
		cr_expect_neq(walked[i].instruction, FRAME_ENTRY);
}

Test(frames_entries, the_innermost_activation_is_told)
{
	push_activations();
	frames_tell_entries(1);
	cr_assert_eq(walk(8), FRAMES_OK);
	cr_assert_eq(count, 7);
	cr_assert(is_callee(0, 4) && is(1, 3, 7) && is(2, 2, 5));
	cr_assert(is_entry(3, entries[0]));
	cr_assert(is(4, 1, 5) && is_callee(5, 1) && is(6, 0, 7));
}

Test(frames_entries, all_activations_are_told)
{
	push_activations();
	frames_tell_entries(SIZE_MAX);
	cr_assert_eq(walk(16), FRAMES_OK);
	cr_assert_eq(count, 9);
	cr_assert(is_entry(3, entries[0]) && is_entry(5, entries[1]) && is_entry(8, entries[2]));
	cr_assert(is(2, 2, 5) && is(4, 1, 5) && is_callee(6, 1) && is(7, 0, 7));
}

/* What the walk without any says, and the same with them but for the entries. */
static void expect_same(size_t limit, size_t most)
{
	struct frame alone[64];
	size_t alone_count, left = 0;
	enum frames_result result;

	frames_tell_entries(0);
	result = walk(limit);
	alone_count = count;
	memcpy(alone, walked, sizeof(alone));
	memset(walked, 0, sizeof(walked));
	frames_tell_entries(most);
	cr_expect_eq(walk(limit), result, "limit %zu", limit);
	cr_expect_leq(count, limit + 1, "room is for one more");
	cr_expect_eq(walked[limit + 1].code, 0, "room is for one more");
	for (size_t i = 0; i < count; i++) {
		if (walked[i].instruction != FRAME_ENTRY)
			walked[left++] = walked[i];
	}
	cr_expect_eq(left, alone_count, "limit %zu", limit);
	cr_expect_arr_eq(walked, alone, left * sizeof(*alone));
}

Test(frames_entries, python_s_frames_are_the_same_with_an_activation)
{
	push_activations();
	for (size_t limit = 0; limit < 8; limit++)
		expect_same(limit, 1);
	for (size_t limit = 8; limit < 16; limit++)
		expect_same(limit, SIZE_MAX);
}

/* Its place is what native frames are put at: it is told of a stack that is cut before it, too. */
Test(frames_entries, the_innermost_activation_may_begin_beyond_the_limit)
{
	push_activations();
	for (size_t most = 1; most != 0; most = most == 1 ? SIZE_MAX : 0) {
		frames_tell_entries(most);
		for (size_t limit = 0; limit < 3; limit++) {
			cr_assert_eq(walk(limit), FRAMES_CUT);
			cr_assert_eq(count, limit + 1);
			cr_assert(is_entry(limit, entries[0]));
		}
	}
	/* But those behind it are not. */
	cr_assert_eq(walk(3), FRAMES_CUT);
	cr_assert_eq(count, 4);
	cr_assert(is_entry(3, entries[0]));
}

Test(frames_entries, an_activation_far_beyond_the_limit_is_not_looked_for)
{
	static struct interpreter_frame many[4200];

	push(ENTRY, &fake.other, 0);
	many[0] = *push(THREAD, &fake.code[0], 4);
	for (size_t i = 1; i < PROF_COUNT(many); i++) {
		many[i] = many[0];
		many[i].previous = &many[i - 1];
	}
	frames_tell_entries(1);
	fake.current.frame = &many[4000];
	cr_assert_eq(walk(2), FRAMES_CUT);
	cr_assert(is_entry(2, &fake.frames[0]));
	fake.current.frame = &many[4199];
	cr_assert_eq(walk(2), FRAMES_CUT);
	cr_assert_eq(count, 2);
	/* What is no frame ends it. */
	many[4190].previous = (void *)8;
	cr_assert_eq(walk(2), FRAMES_CUT);
	cr_assert_eq(count, 2);
	many[4190].previous = NULL;
	cr_assert_eq(walk(2), FRAMES_CUT);
	cr_assert_eq(count, 2);
}

Test(frames_entries, activations_without_end_are_not_sure)
{
	struct interpreter_frame *first = push(ENTRY, &fake.other, 0);

	first->previous = push(ENTRY, &fake.other, 0);
	frames_tell_entries(SIZE_MAX);
	cr_assert_eq(walk(20), FRAMES_UNSURE);
	cr_assert_leq(count, 21);
}
