#include "frames_stage.h"

TestSuite(frames, .init = set_up);

Test(frames, a_thread_without_python_has_none)
{
	fake.has_current = false;
	cr_assert_eq(walk(8), FRAMES_NONE);
	cr_assert_eq(count, 0);
	cr_assert_eq(interpreter, 0);
}

Test(frames, a_thread_state_without_frames_has_none)
{
	cr_assert_eq(walk(8), FRAMES_NONE);
	cr_assert_eq(interpreter, (uintptr_t)&fake);
}

Test(frames, without_the_gil_the_own_state_is_walked)
{
	push(ENTRY, &fake.other, 0);
	push(THREAD, &fake.code[0], 5);
	fake.detached.frame = fake.current.frame;
	fake.has_current = false;
	fake.has_detached = true;
	cr_assert_eq(walk(8), FRAMES_OK);
	cr_assert_eq(count, 1);
	cr_assert(is(0, 0, 5));
	cr_assert_eq(interpreter, (uintptr_t)&fake.detached);
}

Test(frames, goes_from_leaf_to_root_and_skips_what_is_no_frame)
{
	push(ENTRY, &fake.other, 0);
	push(THREAD, &fake.code[0], 2); /* the first that counts */
	push(THREAD, &fake.code[1], 1); /* not begun, or a trampoline */
	push(GENERATOR, &fake.code[2], -1); /* not begun, but a generator */
	push(C_STACK, &fake.other, 0);
	push(FRAME_OBJECT, &fake.code[3], 9);
	push(THREAD, &fake.other, 9); /* not a code object */
	push(THREAD, &fake.code[1], 7)->code |= 1; /* a tagged reference */
	cr_assert_eq(walk(8), FRAMES_OK);
	cr_assert_eq(count, 4);
	cr_assert(is(0, 1, 7));
	cr_assert(is(1, 3, 9));
	cr_assert(is(2, 2, -1));
	cr_assert(is(3, 0, 2));
}

Test(frames, keeps_the_leaf_most_frames)
{
	push(ENTRY, &fake.other, 0);
	for (int i = 0; i < 10; i++)
		push(THREAD, &fake.code[i % 4], 4 + i);
	push(ENTRY, &fake.other, 0);
	cr_assert_eq(walk(10), FRAMES_OK);
	cr_assert_eq(count, 10);
	cr_assert_eq(walk(9), FRAMES_CUT);
	cr_assert_eq(count, 9);
	cr_assert(is(0, 1, 13));
	cr_assert(is(8, 1, 5));
	cr_assert_eq(walk(0), FRAMES_CUT);
	cr_assert_eq(count, 0);
}

Test(frames, a_c_function_that_is_called_has_a_frame)
{
	know_calls(7);
	push(ENTRY, &fake.other, 0);
	push(THREAD, &fake.code[0], 7); /* called code 1, which is Python */
	push(THREAD, &fake.code[1], 7); /* called C, which called code 2 */
	push(ENTRY, &fake.other, 0);
	push(GENERATOR, &fake.code[2], 8); /* called something through C that is not known */
	push(ENTRY, &fake.other, 0);
	push(C_STACK, &fake.other, 0);
	push(THREAD, &fake.code[3], 7); /* is in C */
	cr_assert_eq(walk(8), FRAMES_OK);
	cr_assert_eq(count, 6);
	cr_assert(is_callee(0, 4));
	cr_assert(is(1, 3, 7));
	cr_assert(is(2, 2, 8));
	cr_assert(is_callee(3, 2));
	cr_assert(is(4, 1, 7));
	cr_assert(is(5, 0, 7));
}

Test(frames, what_begins_was_called_by_python_unless_c_is_between)
{
	know_calls(7);
	push(ENTRY, &fake.other, 0);
	push(THREAD, &fake.code[0], 7);
	push(THREAD, &fake.code[1], 1); /* not begun */
	cr_assert_eq(walk(8), FRAMES_OK);
	cr_assert_eq(count, 1);
	cr_assert(is(0, 0, 7));
	fake.used = 2;
	fake.current.frame = &fake.frames[1];
	push(ENTRY, &fake.other, 0);
	push(THREAD, &fake.code[1], 1);
	cr_assert_eq(walk(8), FRAMES_OK);
	cr_assert_eq(count, 2);
	cr_assert(is_callee(0, 1));
	cr_assert(is(1, 0, 7));
}

Test(frames, c_functions_count_for_the_limit)
{
	know_calls(7);
	push(ENTRY, &fake.other, 0);
	push(THREAD, &fake.code[0], 7);
	push(ENTRY, &fake.other, 0);
	push(THREAD, &fake.code[1], 7);
	cr_assert_eq(walk(4), FRAMES_OK);
	cr_assert_eq(count, 4);
	for (size_t limit = 0; limit < 4; limit++) {
		cr_assert_eq(walk(limit), FRAMES_CUT);
		cr_assert_eq(count, limit);
	}
}

Test(frames, a_cycle_ends_at_the_limit)
{
	struct interpreter_frame *first = push(THREAD, &fake.code[0], 4);

	first->previous = push(THREAD, &fake.code[1], 4);
	cr_assert_eq(walk(20), FRAMES_CUT);
	cr_assert_eq(count, 20);
}

Test(frames, a_cycle_without_python_frames_is_not_sure)
{
	struct interpreter_frame *first = push(ENTRY, &fake.other, 0);

	first->previous = push(ENTRY, &fake.other, 0);
	cr_assert_eq(walk(20), FRAMES_UNSURE);
}

Test(frames, a_chain_that_ends_too_early_is_not_sure)
{
	struct interpreter_frame *generator;

	push(ENTRY, &fake.other, 0);
	push(THREAD, &fake.code[0], 4);
	generator = push(GENERATOR, &fake.code[1], 4);
	cr_assert_eq(walk(8), FRAMES_OK);
	generator->previous = NULL; /* being resumed, or yielding */
	cr_assert_eq(walk(8), FRAMES_UNSURE);
}

Test(frames, nonsense_is_not_sure)
{
	struct interpreter_frame *bottom = push(ENTRY, &fake.other, 0);
	struct interpreter_frame *root = push(THREAD, &fake.code[0], 4);
	struct interpreter_frame *leaf = push(THREAD, &fake.code[1], 4);

	cr_assert_null(bottom->previous);
	cr_assert_eq(walk(20), FRAMES_OK);
	root->owner = 5;
	cr_assert_eq(walk(20), FRAMES_UNSURE);
	root->owner = THREAD;
	leaf->previous = (void *)((uintptr_t)root + 1);
	cr_assert_eq(walk(20), FRAMES_UNSURE);
	leaf->previous = (void *)8;
	cr_assert_eq(walk(20), FRAMES_UNSURE);
	leaf->previous = (void *)((uintptr_t)1 << 47);
	cr_assert_eq(walk(20), FRAMES_UNSURE);
	leaf->previous = root;
	leaf->code = 0;
	cr_assert_eq(walk(20), FRAMES_UNSURE);
}

/* 3.12: the state has a _PyCFrame, whose frame is the current one; two activations. */
static struct activation {
	struct cframe cframe;
	uint64_t between;
	struct interpreter_frame entry;
} root_activation, outer, inner;

static void set_up_cframes(void)
{
	struct interpreter_frame *frame;

	fake.layout.has_cframe = true;
	fake.layout.entry_distance =
		offsetof(struct activation, entry) - offsetof(struct activation, cframe);
	fake.layout.eval_begin = 0x1000;
	frames_layout_set(&fake.layout);
	outer.entry = (struct interpreter_frame){ .owner = ENTRY };
	fake.current.frame = &outer.entry;
	frame = push(THREAD, &fake.code[0], 4);
	outer.cframe = (struct cframe){ &root_activation.cframe, frame };
	inner.entry = (struct interpreter_frame){ .owner = ENTRY, .previous = frame };
	fake.current.frame = &inner.entry;
	push(THREAD, &fake.code[1], 5);
	frame = push(THREAD, &fake.code[2], 6);
	inner.cframe = (struct cframe){ &outer.cframe, frame };
	fake.current.frame = &inner.cframe;
}

Test(frames, cframes_are_followed)
{
	set_up_cframes();
	cr_assert_eq(walk(8), FRAMES_OK);
	cr_assert_eq(count, 3);
	cr_assert(is(0, 2, 6) && is(1, 1, 5) && is(2, 0, 4));
	inner.cframe.frame = &inner.entry; /* on its way out */
	cr_assert_eq(walk(8), FRAMES_OK);
	cr_assert_eq(count, 1);
}

Test(frames, the_beginning_of_the_evaluation_loop_is_not_sure)
{
	set_up_cframes();
	cr_assert_eq(frames_walk(walked, 8, 0x1000, &count, &interpreter), FRAMES_UNSURE);
	cr_assert_eq(count, 0);
	cr_assert_eq(frames_walk(walked, 8, 0x10ff, &count, &interpreter), FRAMES_UNSURE);
	cr_assert_eq(frames_walk(walked, 8, 0x1100, &count, &interpreter), FRAMES_OK);
	cr_assert_eq(frames_walk(walked, 8, 0x0fff, &count, &interpreter), FRAMES_OK);
}

Test(frames, an_unfilled_cframe_is_not_sure)
{
	set_up_cframes();
	inner.cframe.frame = outer.cframe.frame; /* stale, though it can be walked */
	cr_assert_eq(walk(8), FRAMES_UNSURE);
	set_up_cframes();
	inner.cframe.previous = &root_activation.cframe;
	cr_assert_eq(walk(8), FRAMES_UNSURE);
	set_up_cframes();
	inner.cframe.previous = NULL;
	cr_assert_eq(walk(8), FRAMES_UNSURE);
	set_up_cframes();
	fake.layout.entry_distance = 0; /* not learnt */
	frames_layout_set(&fake.layout);
	cr_assert_eq(walk(8), FRAMES_UNSURE);
}

Test(frames, a_copy_of_the_instructions_is_not_seen)
{
	static uint16_t copy[16];
	struct {
		uint64_t size;
		void *entries[2];
	} copies = { 2, { fake.code[1].instructions, copy } };
	struct interpreter_frame *frame;

	fake.layout.frame_tlbc_index = offsetof(struct interpreter_frame, copy_index);
	fake.layout.code_tlbc = offsetof(struct code_object, copies);
	frames_layout_set(&fake.layout);
	fake.code[1].copies = &copies;
	push(ENTRY, &fake.other, 0);
	frame = push(THREAD, &fake.code[1], 5);
	cr_assert_eq(walk(8), FRAMES_OK);
	cr_assert(is(0, 1, 5));
	frame->copy_index = 1;
	frame->instruction = &copy[6];
	cr_assert_eq(walk(8), FRAMES_OK);
	cr_assert(is(0, 1, 6));
	frame->instruction = &copy[1]; /* not begun */
	cr_assert_eq(walk(8), FRAMES_NONE);
	frame->copy_index = -1;
	cr_assert_eq(walk(8), FRAMES_UNSURE);
}

Test(frames, markers_have_names)
{
	cr_assert_str_eq(frame_marker_name(FRAME_UNKNOWN), "[unknown]");
	cr_assert_str_eq(frame_marker_name(FRAME_THREAD_EXIT), "[thread exit]");
	for (unsigned i = FRAME_NONE + 1; i < FRAME_MARKER_END; i++)
		cr_assert_eq(frame_marker_name((enum frame_marker)i)[0], '[');
	cr_assert_str_eq(frame_marker_name(FRAME_MARKER_END), "");
}

/* --- which layout --- */

static uint32_t version;
static bool loaded = true;
static uint64_t runtime[111];

uint32_t __wrap_pyapi_version(void);
uint32_t __wrap_pyapi_version(void)
{
	return version;
}

bool __wrap_pyapi_loaded(void);
bool __wrap_pyapi_loaded(void)
{
	return loaded;
}

/* A _Py_DebugOffsets in which word i holds i, as far as that makes sense: a code object's
   instructions come last in it, a str's data in that. */
static void set_up_runtime(uint32_t of_version, bool free_threaded, unsigned instructions,
			   unsigned ascii_data)
{
	version = of_version;
	for (size_t i = 0; i < PROF_COUNT(runtime); i++)
		runtime[i] = i;
	memcpy(&runtime[0], "xdebugpy", 8);
	runtime[1] = of_version;
	runtime[2] = free_threaded;
	runtime[instructions] += 100;
	runtime[ascii_data] += 8;
	py._PyRuntime = (const unsigned char *)runtime;
	py.PyCode_Type = (struct py_object *)&code_type;
}

static errmsg start_315(uint32_t of_version)
{
	set_up_runtime(of_version, false, 56, 92);
	runtime[93] += 20; /* it has the longer head too */
	return frames_start();
}

Test(frames, without_cpython_there_is_no_layout)
{
	loaded = false;
	cr_assert_not_null(frames_start());
}

Test(frames, 312_comes_from_the_table)
{
	const struct frames_layout *layout = frames_layout();

	py._PyEval_EvalFrameDefault =
		(struct py_object * (*)(struct py_thread_state *, void *, int))(uintptr_t)0x4000;
	py._PyRuntime = NULL; /* not looked at */
	version = 0x030c01f0;
	py.PyCode_Type = (struct py_object *)&code_type;
	cr_assert_null(frames_start());
	cr_assert(layout->has_cframe);
	cr_assert_eq(layout->eval_begin, 0x4000);
	cr_assert_eq(layout->entry_distance, 0);
	cr_assert_eq(layout->code_type, (uintptr_t)&code_type);
	cr_assert_eq(layout->tstate_frame, 56);
	cr_assert_eq(layout->frame_owner, 70);
	cr_assert_eq(layout->code_instructions, 192);
	cr_assert_eq(layout->code_firsttraceable, 176);
}

Test(frames, 313_is_read_in_its_shape)
{
	const struct frames_layout *layout = frames_layout();

	set_up_runtime(0x030d00f0, false, 43, 70);
	runtime[70] = 56;
	runtime[68] = runtime[69] = 40;
	cr_assert_null(frames_start());
	cr_assert_not(layout->has_cframe);
	cr_assert_eq(layout->tstate_frame, 23);
	cr_assert_eq(layout->frame_owner, 33);
	cr_assert_eq(layout->code_instructions, 143);
	cr_assert_eq(layout->code_firsttraceable, 143 - 16);
	cr_assert_eq(layout->unicode_state, 40);
	cr_assert_eq(layout->unicode_ascii_data, 56);
	cr_assert_eq(layout->unicode_compact_data, 56);
	cr_assert_eq(layout->frame_tlbc_index, 0);
}

Test(frames, 314_free_threaded_is_read_in_its_shape)
{
	const struct frames_layout *layout = frames_layout();

	set_up_runtime(0x030e08f0, true, 48, 80);
	runtime[80] = 72;
	runtime[78] = runtime[79] = 50;
	cr_assert_null(frames_start());
	cr_assert(layout->free_threaded);
	cr_assert_eq(layout->tstate_frame, 26);
	cr_assert_eq(layout->frame_tlbc_index, 38);
	cr_assert_eq(layout->code_tlbc, 49);
	cr_assert_eq(layout->code_instructions, 148);
	cr_assert_eq(layout->code_firsttraceable, 148 - 24);
	cr_assert_eq(layout->unicode_compact_data, 72);
	cr_assert_eq(layout->unicode_kind_shift, 8);
}

Test(frames, 315_and_newer_are_read_in_the_newest_shape)
{
	const struct frames_layout *layout = frames_layout();

	for (uint32_t of_version = 0x030f00f0; of_version < 0x03120000; of_version += 0x10000) {
		cr_assert_null(start_315(of_version));
		cr_assert_eq(layout->frame_owner, 44);
		cr_assert_eq(layout->bytes_data, 88);
		cr_assert_eq(layout->unicode_compact_data, 113);
		cr_assert_eq(layout->unicode_kind_shift, 2);
	}
}

/* Sets one word of a good _Py_DebugOffsets to another value. */
static bool refuses(unsigned word, uint64_t value)
{
	cr_assert_null(start_315(0x030f00f0));
	runtime[word] = value;
	return frames_start() != NULL;
}

Test(frames, offsets_that_make_no_sense_are_refused)
{
	cr_assert_not(refuses(44, 1000));
	cr_assert(refuses(44, 100000));
	cr_assert(refuses(0, 0));
	cr_assert(refuses(1, 0x030f01f0));
	cr_assert(refuses(2, 2));
	cr_assert(refuses(56, 257)); /* the instructions too far away */
	cr_assert(refuses(48, 155)); /* the file name not before them */
	cr_assert(refuses(52, 153)); /* nor the first line */
	cr_assert(refuses(91, 93)); /* a str's length in its data */
	cr_assert(refuses(92, 114)); /* a short head that is longer than the long one */
	cr_assert(refuses(93, 256));
	py._PyRuntime = (const unsigned char *)16;
	cr_assert_not_null(frames_start());
}

/* --- lines --- */

static const uint8_t table[] = {
	0xd8, 0x00, 0x00, /* kind 11: line + 1, 1 unit, two columns */
	0x81, 0x12, /* kind 0: same line, 2 units */
	0xe8, 0x03, /* kind 13: line - 1, 1 unit */
	0xf8, /* kind 15: no line, 1 unit */
	0xf7, 0x44, 0x01, 0x02, 0x03, 0x04, /* kind 14: line + 34 (4 + 64 * 1, halved), 8 units */
};

Test(frames, lines_follow_the_location_table)
{
	const int expected[] = { 11, 11, 11, 10, 0, 44, 44, 44, 44, 44, 44, 44, 44, 0 };

	cr_assert_eq(frames_line(table, sizeof(table), 10, -2), 10);
	for (int i = 0; i < (int)PROF_COUNT(expected); i++) {
		cr_assert_eq(frames_line(table, sizeof(table), 10, 2 * i), expected[i], "unit %d",
			     i);
		cr_assert_eq(frames_line(table, sizeof(table), 10, 2 * i + 1), expected[i]);
	}
	cr_assert_eq(frames_line(table, 0, 10, 0), 0);
	cr_assert_eq(frames_line(table, sizeof(table), 10, INT32_MAX), 0);
}
