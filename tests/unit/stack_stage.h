/*
 * stack_stage.h - records in, a recording out: it is flushed, read back, and each sample written out as
 * "thread value root;...;leaf" with a frame as module.name:line.
 *
 * A test file declares the __wrap_ functions, so that they are linked, and then includes this.
 */
#ifndef STACK_STAGE_H
#define STACK_STAGE_H

#include "recordings.h"

#include "callee.h"
#include "native.h"
#include "record_native.h"
#include "site.h"
#include "stack.h"
#include "symbol.h"
#include "thread.h"

#define ROWS 64
#define CODE 0x10000u
#define THREADING (CODE + 10) /* codes from here on are in threading.py */
#define UNNAMED (CODE + 20)

/* What was read back. */
static char functions[ROWS][64], frames[ROWS][80], nodes[ROWS][400], samples[ROWS][450];
static size_t sample_count;
static unsigned kinds[ROWS], first_lines[ROWS];

static struct thread worker = { .serial = 3 };
static struct recording *recording;
static char *path;
static unsigned lines_asked;
static bool no_node;
static uintptr_t dead, reused; /* the code object that died, whose address is another's now */
static unsigned grow_fails_at, grows;

/* Code CODE + i is function f<i>; its instructions lie at 1000 i, and their line is their offset. */
const struct symbol *__wrap_symbol_find(uintptr_t code, uint64_t time_ns)
{
	static struct symbol symbols[32];
	static char names[32][8];
	unsigned i = (unsigned)(code - CODE);

	cr_assert_eq(time_ns, START_NS);
	if (code >= UNNAMED || code == dead)
		return NULL;
	snprintf(names[i], sizeof(names[i]), "f%u", i);
	symbols[i] = (struct symbol){
		.name = names[i],
		.file = code >= THREADING ? "/no/threading.py" : "/no/app.py",
		.name_bytes = (uint32_t)strlen(names[i]),
		.first_line = 100 + i,
		.serial = (code == reused ? 70 : 7) + i,
		.instructions = 1000 * (i + 1),
	};
	return &symbols[i];
}

uint32_t __wrap_symbol_line(const struct symbol *symbol, uintptr_t instruction)
{
	lines_asked++;
	return (uint32_t)(instruction - symbol->instructions);
}

uint32_t __real_recording_put_node(struct recording *to, uint32_t parent, uint32_t frame);
uint32_t __wrap_recording_put_node(struct recording *to, uint32_t parent, uint32_t frame)
{
	return no_node ? 0 : __real_recording_put_node(to, parent, frame);
}

/* Ids are theirs: 1 is a marker's number, too. */
bool __wrap_callee_name(uint32_t id, struct callee *callee)
{
	static const struct callee callees[] = {
		{ "builtins", "sorted", 0 }, { "math", "cos", 0 },  { "builtins", "len", 0 },
		{ "builtins", "abs", 0 },    { "numpy", "cos", 0 }, { "", "call", 0 },
	};

	if (!id || id > PROF_COUNT(callees))
		return false;
	*callee = callees[id - 1];
	return true;
}

bool __real_heap_grow(void **blocks, size_t *capacity, size_t count, size_t size_bytes);
bool __wrap_heap_grow(void **blocks, size_t *capacity, size_t count, size_t size_bytes)
{
	if (++grows == grow_fails_at)
		return false;
	return __real_heap_grow(blocks, capacity, count, size_bytes);
}

/* What the C stack makes of a record's frames, up to one whose code is 0; NULL: no memory. */
static const struct frame *merged;
static unsigned frames_forgotten;

struct frame *__wrap_native_merge(struct thread *thread, const struct record *record, size_t *depth)
{
	cr_assert_eq(thread, &worker);
	cr_assert_eq(record->time_ns, START_NS);
	for (*depth = 0; merged && merged[*depth].code;)
		++*depth;
	return (struct frame *)merged;
}

/* Address n is function n<n>; from 100 on nothing is known. */
uint32_t __wrap_native_place(struct recording *to, uintptr_t pc, uint64_t time_ns)
{
	char name[8];
	struct recording_function function = { .name = name, .kind = RECORDING_NATIVE };

	cr_assert_eq(time_ns, START_NS);
	if (pc >= 100)
		return 0;
	function.name_bytes = (size_t)snprintf(name, sizeof(name), "n%u", (unsigned)pc);
	return recording_put_frame(to, recording_put_function(to, &function), 0);
}

void __wrap_native_forget_frames(void)
{
	frames_forgotten++;
}

/* Whose turn it is: a callee, or all of them. */
static uint64_t turn, asked_value;
static uintptr_t asked_at;

uint64_t __wrap_site_choose(uintptr_t instruction, uint64_t callees, uint64_t time_ns,
			    uint64_t value)
{
	cr_assert_eq(time_ns, START_NS);
	asked_at = instruction;
	asked_value = value;
	return turn ? turn : callees;
}

static void book_function(void *self, uint32_t id, const struct recording_function *function)
{
	(void)self;
	cr_assert_lt(id, ROWS);
	snprintf(functions[id], sizeof(functions[id]), "%s%s%s", function->module,
		 function->module_bytes ? "." : "", function->name);
	kinds[id] = function->kind;
	first_lines[id] = function->first_line;
}

static void book_frame(void *self, uint32_t id, uint32_t function, uint32_t line)
{
	(void)self;
	cr_assert_lt(id, ROWS);
	if (kinds[function] == RECORDING_MARKER)
		snprintf(frames[id], sizeof(frames[id]), "%s", functions[function]);
	else
		snprintf(frames[id], sizeof(frames[id]), "%s:%u", functions[function], line);
}

static void book_node(void *self, uint32_t id, uint32_t parent, uint32_t frame)
{
	char above[300];

	(void)self;
	cr_assert_lt(id, ROWS);
	snprintf(above, sizeof(above), "%.298s%s", nodes[parent], parent ? ";" : "");
	snprintf(nodes[id], sizeof(nodes[id]), "%s%s", above, frames[frame]);
}

static void book_sample(void *self, const struct recording_sample *sample)
{
	(void)self;
	cr_assert_lt(sample_count, ROWS);
	snprintf(samples[sample_count++], sizeof(samples[0]), "%u %u %s", sample->thread,
		 (unsigned)sample->value, nodes[sample->node]);
	cr_assert_eq(sample->time_ns, START_NS);
	cr_assert_eq(sample->metric, METRIC_cpu_cpu);
}

static void set_up(void)
{
	struct recording_head head;

	path = in_scratch("d/r.monprof");
	cr_assert_eq(mkdir(in_scratch("d"), 0777), 0);
	head = make_head(path);
	recording = recording_new(&head);
	stack_begin(recording);
}

static void tear_down(void)
{
	stack_release();
	recording_free(recording);
	remove_scratch();
}

/* The frames from leaf to root, up to one whose code is 0. */
static void put(uint16_t metric, uint64_t value, bool cut, const struct frame *stack)
{
	uint64_t space[64] = { 0 };
	struct record *record = (void *)space;

	record->metric = metric;
	record->cut = cut;
	record->time_ns = START_NS;
	record->value = value;
	while (stack[record->depth].code)
		record->depth++;
	memcpy(record->frames, stack, record->depth * sizeof(*stack));
	stack_add(&worker, record);
}

static void add(uint64_t value, bool cut, const struct frame *stack)
{
	put(METRIC_cpu_cpu, value, cut, stack);
}

#define FRAMES(...) ((struct frame[]){ __VA_ARGS__, { 0, 0 } })
#define AT(i, line)                                     \
	{                                               \
		CODE + (i), 1000u * ((i) + 1u) + (line) \
	}
#define AND(a, b) ((a)*SITE_IDS + (b))
#define CALLED(callees)                 \
	{                               \
		(callees), FRAME_CALLEE \
	}
#define NATIVE(address)                 \
	{                               \
		(address), FRAME_NATIVE \
	}
#define MARK(marker)              \
	{                         \
		FRAME_##marker, 0 \
	}

static void read_back(void)
{
	static const struct recording_hooks hooks = {
		.function = book_function,
		.frame = book_frame,
		.node = book_node,
		.sample = book_sample,
	};
	bool is_cut;

	memset(functions, 0, sizeof(functions));
	sample_count = 0;
	cr_assert_null(recording_read_file(path, &hooks, NULL, &is_cut));
	cr_assert_not(is_cut);
}

static void check(size_t count, const char *const *wanted)
{
	flush_good(recording, START_NS);
	read_back();
	cr_assert_eq(sample_count, count);
	for (size_t i = 0; i < count; i++)
		cr_assert_str_eq(samples[i], wanted[i]);
}

#define CHECK(...)                                                \
	check(PROF_COUNT(((const char *const[]){ __VA_ARGS__ })), \
	      (const char *const[]){ __VA_ARGS__ })

static uint64_t lost(enum loss reason)
{
	struct threads_sums sums;

	threads_sum(&sums);
	return sums.losses[reason];
}

/* A flush that fails begins an epoch, whose ids start anew: those of before name something else now. */
static void begin_epoch(uint64_t wanted_lost)
{
	char *moved = in_scratch("moved");
	uint64_t samples_lost = 0;

	cr_assert_eq(rename(in_scratch("d"), moved), 0);
	cr_assert_not_null(recording_flush(recording, START_NS, &samples_lost));
	cr_assert_eq(samples_lost, wanted_lost);
	cr_assert_eq(rename(moved, in_scratch("d")), 0);
}

#endif
