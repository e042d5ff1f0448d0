/*
 * frames_check.c - is what we read raw what CPython says?
 *
 * At start there may be no Python frame at all, so a program of a few lines is run, which calls
 * back into us from a lambda that sorted() called and out of a generator: Python frames of both
 * kinds, with entry frames between them, and outside of them whatever the program has on its stack.
 * In there
 *
 *   - 3.12's distance between _PyCFrame and entry frame is learnt
 *   - the stack is walked with fault-tolerant reads, then with plain ones, and compared, frame by
 *     frame, with PyThreadState_GetFrame, PyFrame_GetBack, _GetCode, _GetLasti
 *   - owners of frames and beginnings of code, which the API does not show, are as they must be
 *   - the innermost frames' qualified name, file and line, read raw, are compared with the code
 *     object's attributes and PyFrame_GetLineNumber
 *
 * Only when the tolerant walk has been found right are plain reads made.  The program's tools
 * (tracers, profilers) do not see any of it, and nothing of it stays.
 */
#include "code.h"
#include "frames.h"
#include "os.h"
#include "pyapi.h"

#include "frames_glance.h"
#include "frames_walk.h"

#define DEPTH 64 /* frames that are compared */
#define NAMED 4 /* of them, by name: those of our own program */
#define VERSIONS_APART 63 /* less than any four objects lie apart in memory */
#define DISTANCE_MAX 4096
#define BEGINS_MAX 16
#define LINES_LOG2 6
#define LINE_BYTES 512 /* a page has a whole number of them */

static const char program[] =
	"def inner(check):\n"
	"    return check()\n"
	"def generator(check):\n"
	"    yield inner(\n"
	"        check)\n"
	"def outer(check):\n"
	"    return sorted([check], key=lambda check: next(generator(check)))\n"
	"outer(check)\n";
/* Not ASCII, so that the longer head of a str is read too */
static const char program_file[] = "<monprof \xe2\x9c\x93>";

/* Of one check; in setup there is one at a time. */
static struct {
	bool called;
	errmsg error;
	struct frame tolerant[DEPTH], plain[DEPTH];
} state;

/* Memory as it was when a check first read it: frames, and code objects, lie close together. */
static struct {
	uintptr_t keys[1u << LINES_LOG2]; /* address + 1; 0: none */
	unsigned char bytes[1u << LINES_LOG2][LINE_BYTES];
} lines;

static errmsg run(struct py_object *globals);
static struct py_object *called_back(struct py_object *self, struct py_object *argument);
static errmsg compare(void);
static bool read_near(void *to, uintptr_t from, size_t n);
static errmsg learn_distance(void);
static errmsg compare_kinds(void);
static errmsg compare_versions(const struct frame *found);
static bool owner_is(uintptr_t frame, unsigned char least, unsigned char most);
static int32_t begin_of(const struct frame *found);
static errmsg compare_frames(const struct frame *found, size_t count, bool cut);
static errmsg compare_frame(struct py_object *frame, const struct frame *found, bool named);
static errmsg compare_names(struct py_object *code, const struct frame *found, int line);
static bool text_is(struct py_object *code, const char *attribute, uintptr_t object);

errmsg frames_check(void)
{
	struct py_object *raised = py.PyErr_GetRaisedException();
	struct py_thread_state *tstate = py.PyThreadState_Get();
	struct py_object *globals = py.PyDict_New();
	errmsg error = "the self-check of stack walks could not run: no stacks";
	py.PyThreadState_EnterTracing(tstate);
	if (globals) {
		error = run(globals);
		/* Functions and their globals are a cycle */
		py.PyDict_Clear(globals);
		py.Py_DecRef(globals);
	}
	py.PyThreadState_LeaveTracing(tstate);
	py.PyErr_Clear();
	py.PyErr_SetRaisedException(raised);
	if (!error)
		frames_current_find();
	return error;
}

static errmsg run(struct py_object *globals)
{
	static struct py_method_def method = { "check", called_back, PYAPI_METH_NOARGS, NULL };
	struct py_object *check = py.PyCFunction_NewEx(&method, NULL, NULL);
	struct py_object *file = py.PyUnicode_FromString(program_file);
	struct py_object *code = NULL, *result = NULL;
	state.called = false;
	state.error = NULL;
	if (check && file && py.PyDict_SetItemString(globals, "check", check) == 0)
		code = py.Py_CompileStringObject(program, file, PYAPI_FILE_INPUT, NULL, -1);
	if (code)
		result = py.PyEval_EvalCode(code, globals, globals);
	struct py_object *const owned[] = { check, file, code, result };
	for (size_t i = 0; i < PROF_COUNT(owned); i++)
		if (owned[i])
			py.Py_DecRef(owned[i]);
	if (!state.called)
		return "the self-check of stack walks could not run: no stacks";
	return state.error;
}

static struct py_object *called_back(struct py_object *self, struct py_object *argument)
{
	struct py_object *none = py._Py_NoneStruct;
	(void)self;
	(void)argument;
	state.called = true;
	state.error = compare();
	py.PyErr_Clear();
	py.Py_IncRef(none);
	return none;
}

static errmsg compare(void)
{
	struct frames_walk walk = { .frames = state.tolerant, .limit = DEPTH };
	size_t count;
	uintptr_t interpreter;
	memset(lines.keys, 0, sizeof(lines.keys));
	errmsg error = frames_layout()->has_cframe ? learn_distance() : NULL;
	if (error)
		return error;
	walk.layout = frames_layout();
	enum frames_result result = frames_walk_with(&walk, read_near);
	if ((result != FRAMES_OK && result != FRAMES_CUT) ||
	    walk.interpreter != (uintptr_t)py.PyInterpreterState_Get())
		return "this CPython's stack frames are not as expected: no stacks";
	error = compare_frames(state.tolerant, walk.count, result == FRAMES_CUT);
	if (!error)
		error = compare_kinds();
	if (!error)
		error = compare_versions(state.tolerant);
	if (error)
		return error;
	if (frames_walk(state.plain, DEPTH, 0, &count, &interpreter) != result ||
	    count != walk.count || interpreter != walk.interpreter ||
	    memcmp(state.plain, state.tolerant, count * sizeof(state.plain[0])) != 0)
		return "two walks of the same stack differ: no stacks";
	return NULL;
}

/* os_read, with fewer system calls: nothing that a check reads changes before its end. */
static bool read_near(void *to, uintptr_t from, size_t n)
{
	size_t part_bytes;
	for (size_t done = 0; done < n; done += part_bytes) {
		uintptr_t at = from + done, within = at % LINE_BYTES, line = at - within;
		size_t slot = line * 0x9e3779b97f4a7c15u >> (64 - LINES_LOG2), left = n - done;
		part_bytes = LINE_BYTES - within < left ? LINE_BYTES - within : left;
		if (lines.keys[slot] != line + 1) {
			lines.keys[slot] = 0;
			if (!os_read(lines.bytes[slot], line, LINE_BYTES))
				return false;
			lines.keys[slot] = line + 1;
		}
		memcpy((char *)to + done, lines.bytes[slot] + within, part_bytes);
	}
	return true;
}

/* From the innermost _PyCFrame to the innermost entry frame: two locals of one C function. */
static errmsg learn_distance(void)
{
	struct frames_layout learnt = *frames_layout();
	struct frames_walk walk = { .layout = &learnt };
	uintptr_t frame, previous;
	unsigned char owner = 0;
	if (!frames_first(&walk, read_near, &frame))
		return "this CPython's thread state is not as expected: no stacks";
	for (size_t i = 0; i < DEPTH && owner < FRAMES_OWNER_ENTRY; i++, frame = previous) {
		learnt.entry_distance = (intptr_t)(frame - walk.cframe);
		if (!frames_word(read_near, frame + learnt.frame_previous, &previous) ||
		    !read_near(&owner, frame + learnt.frame_owner, sizeof(owner)))
			return "this CPython's frames cannot be read: no stacks";
	}
	if (owner != FRAMES_OWNER_ENTRY || learnt.entry_distance > DISTANCE_MAX ||
	    learnt.entry_distance < -DISTANCE_MAX)
		return "this CPython's entry frame is not as expected: no stacks";
	frames_layout_set(&learnt);
	return NULL;
}

/*
 * What the public API does not show: who owns each frame of our program, and where code begins.
 * There may be more entry frames than those of C functions: with an evaluation function of the
 * program's own (PEP 523; -X perf has one) every call has one.
 */
static errmsg compare_kinds(void)
{
	static const struct {
		unsigned char owner;
		bool called_by_c;
	} kinds[] = { { 0, false }, { FRAMES_OWNER_GENERATOR, true }, { 0, true }, { 0, false } };
	struct frames_walk walk = { .layout = frames_layout() };
	uintptr_t frame;
	if (!frames_first(&walk, read_near, &frame))
		return "this CPython's thread state is not as expected: no stacks";
	for (size_t i = 0; i < PROF_COUNT(kinds); i++) {
		size_t entries = 0;
		if (!owner_is(frame, kinds[i].owner, kinds[i].owner))
			return "this CPython's frames have other owners than expected: no stacks";
		while (frames_word(read_near, frame + walk.layout->frame_previous, &frame) &&
		       owner_is(frame, FRAMES_OWNER_ENTRY, FRAMES_OWNER_MAX))
			entries++;
		if (kinds[i].called_by_c && !entries)
			return "this CPython's frames have other owners than expected: no stacks";
	}
	/* A function begins with its first instruction, a generator some later */
	int32_t inner = begin_of(&state.tolerant[0]), generator = begin_of(&state.tolerant[1]);
	if (inner != 0 || generator < 1 || generator > BEGINS_MAX)
		return "this CPython's code begins elsewhere than expected: no stacks";
	return NULL;
}

/* Code objects are numbered as they are made: ours one after the other. */
static errmsg compare_versions(const struct frame *found)
{
	uint32_t versions[NAMED];
	for (size_t i = 0; i < NAMED; i++) {
		uintptr_t from = found[i].code + frames_layout()->code_version;
		bool is_good = read_near(&versions[i], from, sizeof(versions[i])) && versions[i];
		for (size_t j = 0; j < i; j++) {
			uint32_t apart = versions[i] > versions[j] ? versions[i] - versions[j] :
								     versions[j] - versions[i];
			is_good &= apart > 0 && apart <= VERSIONS_APART;
		}
		if (!is_good)
			return "this CPython's code objects are not numbered as expected: no stacks";
	}
	return NULL;
}

static bool owner_is(uintptr_t frame, unsigned char least, unsigned char most)
{
	unsigned char owner;
	return read_near(&owner, frame + frames_layout()->frame_owner, sizeof(owner)) &&
	       owner >= least && owner <= most;
}

static int32_t begin_of(const struct frame *found)
{
	int32_t begin;
	uintptr_t from = found->code + frames_layout()->code_firsttraceable;
	return read_near(&begin, from, sizeof(begin)) ? begin : -1;
}

static errmsg compare_frames(const struct frame *found, size_t count, bool cut)
{
	struct py_object *frame = py.PyThreadState_GetFrame(py.PyThreadState_Get());
	errmsg error = NULL;
	size_t i;
	for (i = 0; frame && i < count && !error; i++) {
		error = compare_frame(frame, &found[i], i < NAMED);
		struct py_object *back = py.PyFrame_GetBack(frame);
		py.Py_DecRef(frame);
		frame = back;
	}
	if (!error && (i != count || count < NAMED || cut != (frame != NULL)))
		error = "this CPython's stack has another depth than expected: no stacks";
	if (frame)
		py.Py_DecRef(frame);
	return error;
}

static errmsg compare_frame(struct py_object *frame, const struct frame *found, bool named)
{
	struct py_object *code = py.PyFrame_GetCode(frame);
	uintptr_t instructions = (uintptr_t)code + frames_layout()->code_instructions;
	errmsg error = NULL;
	if ((uintptr_t)code != found->code ||
	    found->instruction != instructions + (uintptr_t)py.PyFrame_GetLasti(frame))
		error = "this CPython's stack frames are not as expected: no stacks";
	else if (named)
		error = compare_names(code, found, py.PyFrame_GetLineNumber(frame));
	py.Py_DecRef(code);
	return error;
}

static errmsg compare_names(struct py_object *code, const struct frame *found, int line)
{
	struct code raw;
	struct code_data data;
	char table[256];
	size_t size_bytes;
	if (!code_read(found->code, &raw) || !text_is(code, "co_qualname", raw.qualname) ||
	    !text_is(code, "co_filename", raw.filename))
		return "this CPython's code objects are not as expected: no stacks";
	if (!code_bytes(raw.linetable, &data) || data.room_bytes > sizeof(table) ||
	    !code_copy(&data, table, &size_bytes) ||
	    frames_line((const uint8_t *)table, size_bytes, (int)raw.first_line,
			(int)(found->instruction - raw.instructions)) != line)
		return "this CPython's line tables are not as expected: no stacks";
	return NULL;
}

/* Is the string object that was found raw the code's attribute, character by character? */
static bool text_is(struct py_object *code, const char *attribute, uintptr_t object)
{
	struct code_data data;
	char raw[256];
	size_t raw_bytes;
	intptr_t size_bytes = -1;
	struct py_object *value = py.PyObject_GetAttrString(code, attribute);
	const char *text = value ? py.PyUnicode_AsUTF8AndSize(value, &size_bytes) : NULL;
	bool same = text && code_text(object, &data) && data.room_bytes <= sizeof(raw) &&
		    code_copy(&data, raw, &raw_bytes) && raw_bytes == (size_t)size_bytes &&
		    memcmp(raw, text, raw_bytes) == 0;
	if (value)
		py.Py_DecRef(value);
	return same;
}
