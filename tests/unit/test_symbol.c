#include "frames.h"
#include "heap.h"
#include "mark.h"
#include "os.h"
#include "pyapi.h"
#include "site.h"
#include "symbol.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Code objects made by hand; every string is compact ASCII. */
struct text_object {
	uint64_t length;
	uint64_t state;
	char ascii[24];
};

struct code_object {
	const void *type;
	const struct text_object *qualname, *filename;
	const void *linetable;
	int32_t first_line, padding;
	char instructions[8];
	struct text_object name, file;
	uint64_t table_size;
	uint8_t table[4];
};

static uint64_t code_type;
static uint64_t clock_ns = 1000;
static bool no_memory;
static pyapi_code_watcher *watcher;
static int watchers_added, watcher_cleared = -1, errors_cleared;
static bool watcher_refused;
static uint64_t interpreters[2];
static unsigned interpreter;

uint64_t __wrap_os_monotonic_ns(void);
uint64_t __wrap_os_monotonic_ns(void)
{
	return clock_ns;
}

void *__real_heap_alloc(size_t size_bytes);
void *__wrap_heap_alloc(size_t size_bytes);
void *__wrap_heap_alloc(size_t size_bytes)
{
	return no_memory ? NULL : __real_heap_alloc(size_bytes);
}

static int add_watcher(pyapi_code_watcher *added)
{
	if (watcher_refused)
		return -1;
	watcher = added;
	return watchers_added++;
}

static int clear_watcher(int cleared)
{
	watcher_cleared = cleared;
	return 0;
}

static void clear_error(void)
{
	errors_cleared++;
}

static struct py_interpreter *get_interpreter(void)
{
	return (struct py_interpreter *)&interpreters[interpreter];
}

static void set_up(void)
{
	struct frames_layout layout = {
		.code_filename = offsetof(struct code_object, filename),
		.code_qualname = offsetof(struct code_object, qualname),
		.code_linetable = offsetof(struct code_object, linetable),
		.code_firstlineno = offsetof(struct code_object, first_line),
		.code_instructions = offsetof(struct code_object, instructions),
		.object_type = offsetof(struct code_object, type),
		.unicode_state = offsetof(struct text_object, state),
		.unicode_length = offsetof(struct text_object, length),
		.unicode_ascii_data = offsetof(struct text_object, ascii),
		.unicode_compact_data = sizeof(struct text_object),
		.bytes_size = 0,
		.bytes_data = sizeof(uint64_t),
		.code_type = (uintptr_t)&code_type,
	};

	frames_layout_set(&layout);
	py.PyInterpreterState_Get = get_interpreter;
	py.PyInterpreterState_Main = get_interpreter;
	py.PyCode_AddWatcher = add_watcher;
	py.PyCode_ClearWatcher = clear_watcher;
	py.PyErr_Clear = clear_error;
	cr_assert_null(symbol_watch());
}

TestSuite(symbol, .init = set_up);

static void name(struct text_object *text, const char *from)
{
	text->length = strlen(from);
	text->state = 1 | 8 | 16;
	memcpy(text->ascii, from, text->length);
}

static void make(struct code_object *code, const char *function, const char *file)
{
	memset(code, 0, sizeof(*code));
	code->type = &code_type;
	code->qualname = &code->name;
	code->filename = &code->file;
	code->linetable = &code->table_size;
	code->first_line = 7;
	code->table_size = 3;
	memcpy(code->table, (uint8_t[]){ 0x80, 0, 0xdb }, 3); /* one unit of line 7, four of 8 */
	name(&code->name, function);
	name(&code->file, file);
}

/* What CPython does: tell the watchers, then free. */
static void die(struct code_object *code)
{
	cr_assert_eq(watcher(PYAPI_CODE_DESTROY, (struct py_object *)code), 0);
	memset(code, 0xdb, sizeof(*code));
}

static const struct symbol *find(const struct code_object *code, uint64_t time_ns)
{
	return symbol_find((uintptr_t)code, time_ns);
}

static bool is(const struct symbol *symbol, const char *function)
{
	return symbol && strcmp(symbol->name, function) == 0;
}

static struct code_object code, other;

Test(symbol, names_a_live_code_object)
{
	const struct symbol *symbol;

	make(&code, "Class.method", "dir/file.py");
	symbol = find(&code, 900);
	cr_assert(is(symbol, "Class.method"));
	cr_assert_str_eq(symbol->file, "dir/file.py");
	cr_assert_eq(symbol->name_bytes, 12);
	cr_assert_eq(symbol->file_bytes, 11);
	cr_assert_eq(symbol->first_line, 7);
	cr_assert_eq(symbol->instructions, (uintptr_t)code.instructions);
	cr_assert_eq(find(&code, 901), symbol, "it is read once");
}

Test(symbol, gives_lines)
{
	const struct symbol *symbol;

	make(&code, "f", "f.py");
	symbol = find(&code, 900);
	for (int round = 0; round < 2; round++) {
		cr_assert_eq(symbol_line(symbol, symbol->instructions - 2), 7);
		cr_assert_eq(symbol_line(symbol, symbol->instructions), 7);
		cr_assert_eq(symbol_line(symbol, symbol->instructions + 2), 8);
		cr_assert_eq(symbol_line(symbol, symbol->instructions + 8), 8);
		cr_assert_eq(symbol_line(symbol, symbol->instructions + 10), 0);
		cr_assert_eq(symbol_line(symbol, symbol->instructions + ((uintptr_t)1 << 40)), 0);
	}
}

Test(symbol, nothing_is_named_where_there_is_no_code)
{
	uint64_t number[32] = { 0 };

	cr_assert_null(symbol_find((uintptr_t)number, 900));
	cr_assert_null(symbol_find(4096, 900));
	make(&code, "f", "f.py");
	code.linetable = (void *)16;
	cr_assert_null(find(&code, 900));
}

Test(symbol, a_sampled_code_object_is_named_at_its_death)
{
	make(&code, "f", "f.py");
	mark_set((uintptr_t)&code);
	errno = 77;
	die(&code);
	cr_assert_eq(errno, 77);
	cr_assert(is(find(&code, 999), "f"));
	cr_assert(is(find(&code, 1000), "f"));
	cr_assert_null(find(&code, 1001), "nothing lives there now");
}

Test(symbol, code_that_nobody_sampled_is_not_looked_at)
{
	make(&code, "f", "f.py");
	watcher(PYAPI_CODE_DESTROY, (struct py_object *)&code);
	make(&code, "g", "g.py");
	cr_assert(is(find(&code, 999), "g"), "the death before was not kept");
}

Test(symbol, a_code_object_that_dies_takes_its_call_sites_along)
{
	uintptr_t instruction = (uintptr_t)code.instructions;

	make(&code, "f", "f.py");
	site_add((uintptr_t)&code, instruction, 7);
	watcher(PYAPI_CODE_CREATE, (struct py_object *)&code);
	cr_assert_eq(site_find(instruction), 7);
	die(&code);
	cr_assert_eq(site_find(instruction), 0);
}

Test(symbol, a_creation_is_nothing)
{
	make(&code, "f", "f.py");
	mark_set((uintptr_t)&code);
	cr_assert_eq(watcher(PYAPI_CODE_CREATE, (struct py_object *)&code), 0);
	make(&code, "g", "g.py");
	cr_assert(is(find(&code, 999), "g"));
}

Test(symbol, an_address_used_again_is_a_new_symbol)
{
	char function[16];
	uint32_t serial = 0;

	mark_set((uintptr_t)&code);
	for (unsigned i = 1; i <= 50; i++) {
		snprintf(function, sizeof(function), "f%u", i);
		make(&code, function, "f.py");
		clock_ns = 1000 * i;
		if (i % 2)
			cr_assert(is(find(&code, 1000 * i - 500), function));
		if (i < 50)
			die(&code);
	}
	for (unsigned i = 1; i <= 50; i++) {
		const struct symbol *symbol = find(&code, 1000 * i - 500);

		snprintf(function, sizeof(function), "f%u", i);
		cr_assert(is(symbol, function));
		cr_assert_neq(symbol->serial, serial);
		serial = symbol->serial;
	}
}

Test(symbol, the_dead_go_when_all_is_drained)
{
	const struct symbol *late;

	mark_set((uintptr_t)&code);
	make(&code, "early", "f.py");
	clock_ns = 1000;
	die(&code);
	make(&code, "late", "f.py");
	clock_ns = 2000;
	die(&code);
	late = find(&code, 1500);
	symbol_drained(1000);
	cr_assert(is(find(&code, 900), "early"), "a record of 1000 may still come");
	symbol_drained(1001);
	cr_assert_eq(find(&code, 1500), late);
	symbol_drained(5000);
	cr_assert_null(find(&code, 1500));
	make(&code, "new", "f.py");
	cr_assert(is(find(&code, 3000), "new"));
}

Test(symbol, a_symbol_stays_when_its_code_dies)
{
	const struct symbol *symbol;

	make(&code, "f", "f.py");
	mark_set((uintptr_t)&code);
	symbol = find(&code, 900);
	die(&code);
	cr_assert_eq(find(&code, 900), symbol);
	cr_assert(is(symbol, "f"));
	cr_assert_eq(symbol_line(symbol, symbol->instructions + 2), 8);
}

Test(symbol, after_a_death_that_was_lost_older_records_have_no_name)
{
	mark_set((uintptr_t)&code);
	make(&other, "other", "o.py");
	cr_assert(is(find(&other, 900), "other"));
	make(&code, "lost", "f.py");
	no_memory = true;
	die(&code);
	no_memory = false;
	make(&code, "f", "f.py");
	cr_assert_null(find(&code, 1000));
	cr_assert(is(find(&code, 1001), "f"));
	cr_assert_null(find(&code, 1000), "known, but not then");
	cr_assert(is(find(&other, 950), "other"), "known since before");
}

Test(symbol, without_memory_a_record_has_no_name_yet)
{
	make(&code, "f", "f.py");
	no_memory = true;
	cr_assert_null(find(&code, 900));
	no_memory = false;
	cr_assert(is(find(&code, 900), "f"));
}

Test(symbol, deaths_are_bounded)
{
	/* All at one address would be one long chain, searched for each */
	static struct code_object many[100];
	size_t named = 0, deaths = 17000;

	for (size_t i = 0; i < deaths; i++) {
		struct code_object *one = &many[i % PROF_COUNT(many)];

		mark_set((uintptr_t)one);
		make(one, "f", "f.py");
		clock_ns = 1000 + 10 * i;
		die(one);
	}
	for (size_t i = 0; i < deaths; i++)
		named += is(find(&many[i % PROF_COUNT(many)], 995 + 10 * i), "f");
	cr_assert_eq(named, 16384);
	symbol_drained(clock_ns + 1);
	make(&many[0], "again", "f.py");
	clock_ns += 10;
	die(&many[0]);
	cr_assert(is(find(&many[0], clock_ns - 1), "again"));
}

Test(symbol, each_interpreter_is_watched_once)
{
	cr_assert_null(symbol_watch());
	cr_assert_eq(watchers_added, 1);
	interpreter = 1;
	cr_assert_null(symbol_watch());
	cr_assert_eq(watchers_added, 2);
	symbol_unwatch();
	cr_assert_eq(watcher_cleared, 1);
	cr_assert_null(symbol_watch());
	cr_assert_eq(watchers_added, 3);
	interpreter = 0;
	cr_assert_null(symbol_watch());
	cr_assert_eq(watchers_added, 3);
}

Test(symbol, a_refused_watcher_is_said)
{
	interpreter = 1;
	watcher_refused = true;
	cr_assert_not_null(symbol_watch());
	cr_assert_eq(errors_cleared, 1);
	watcher_refused = false;
	cr_assert_null(symbol_watch());
}

Test(symbol, when_an_interpreter_ends_all_is_read_again)
{
	const struct symbol *before;

	make(&code, "gone", "f.py");
	make(&other, "stays", "f.py");
	before = find(&other, 900);
	cr_assert(is(find(&code, 900), "gone"));
	symbol_unwatch(); /* at 1000; `code` was the interpreter's, and is freed unseen */
	make(&code, "new", "f.py");
	clock_ns = 2000;
	cr_assert(is(find(&code, 950), "gone"));
	cr_assert(is(find(&code, 1500), "new"));
	cr_assert_eq(find(&other, 950), before);
	cr_assert(is(find(&other, 1500), "stays"));
	cr_assert_neq(find(&other, 1500)->serial, before->serial);
}

Test(symbol, once_closed_nothing_is_read)
{
	make(&code, "known", "f.py");
	make(&other, "not known", "f.py");
	cr_assert(is(find(&code, 900), "known"));
	symbol_close(); /* at 1000 */
	cr_assert_null(find(&other, 900));
	cr_assert(is(find(&code, 950), "known"));
	cr_assert_null(find(&code, 1001), "what is there may be another");
}

Test(symbol, a_child_starts_anew)
{
	make(&code, "f", "f.py");
	mark_set((uintptr_t)&code);
	cr_assert(is(find(&code, 900), "f"));
	symbol_close();
	symbol_reset(); /* at 1000 */
	cr_assert_not(mark_get((uintptr_t)&code));
	make(&code, "g", "f.py");
	cr_assert_null(find(&code, 900), "a record of the parent's");
	cr_assert(is(find(&code, 1500), "g"));
	cr_assert_null(symbol_watch());
	cr_assert_eq(watchers_added, 1, "the watcher was inherited");
}

/* --- a thread that frees, a thread that reads --- */

#define SLOTS 64
static struct code_object *_Atomic slots[SLOTS];
static _Atomic bool done;

static void *program(void *unused)
{
	unsigned seed = 1;

	for (unsigned i = 0; i < 20000; i++) {
		unsigned slot = (seed = seed * 1103515245 + 12345) >> 16 & (SLOTS - 1);
		struct code_object *old = atomic_load(&slots[slot]);
		struct code_object *new = malloc(sizeof(*new));

		make(new, "alive", "alive.py");
		mark_set((uintptr_t) new);
		if (old) {
			die(old);
			free(old);
		}
		atomic_store(&slots[slot], new);
	}
	atomic_store(&done, true);
	return unused;
}

Test(symbol, a_code_object_is_not_freed_while_it_is_read)
{
	pthread_t thread;
	unsigned i = 0, named = 0;

	cr_assert_eq(pthread_create(&thread, NULL, program, NULL), 0);
	while (!atomic_load(&done)) {
		struct code_object *there = atomic_load(&slots[i++ % SLOTS]);
		const struct symbol *symbol = there ? find(there, 900) : NULL;

		if (symbol) {
			cr_assert_str_eq(symbol->name, "alive");
			cr_assert_str_eq(symbol->file, "alive.py");
			named++;
		}
		if (i % 1000 == 0)
			symbol_drained(clock_ns + 1);
	}
	pthread_join(thread, NULL);
	cr_assert_gt(named, 0);
}
