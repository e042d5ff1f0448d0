/*
 * fuzz_symbol.c - names, files, modules and lines of code objects in a memory that is all made up.
 *
 * The input is a few steps, then the memory, which begins at address 0 and is all that can be read: code objects,
 * strings of every kind and line tables lie in it wherever its pointers say.  The layout is 3.13's.  Steps find,
 * keep and bury code objects, one after the other, as the drainer and CPython's watcher do.
 */
#include "code.h"
#include "mark.h"
#include "os.h"
#include "pyapi.h"
#include "symbol.h"

#include <stdlib.h>
#include <string.h>

#define STEPS 8
#define CODE_TYPE 0x5443
#define MODULE_BYTES 64

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);
bool __wrap_os_read(void *to, uintptr_t from, size_t n);
uint64_t __wrap_os_monotonic_ns(void);

static const uint8_t *memory;
static size_t memory_bytes;
static uint64_t clock_ns = 1;
static pyapi_code_watcher *watcher;
static int interpreter;

static void set_up(void);
static void step(uint8_t what);
static void check_symbol(const struct symbol *symbol);
static void check_text(const char *text, size_t size_bytes);
static void check_module(const char *file);
static void need(bool truth);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	if (!watcher)
		set_up();
	if (size_bytes < STEPS)
		return 0;
	/* A copy of its own, so that a read beyond it is seen */
	memory_bytes = size_bytes - STEPS;
	uint8_t *copy = malloc(memory_bytes + !memory_bytes);
	memcpy(copy, bytes + STEPS, memory_bytes);
	memory = copy;
	for (size_t i = 0; i < STEPS; i++)
		step(bytes[i]);
	symbol_reset();
	free(copy);
	return 0;
}

bool __wrap_os_read(void *to, uintptr_t from, size_t n)
{
	if (from > memory_bytes || n > memory_bytes - from)
		return false;
	memcpy(to, memory + from, n);
	return true;
}

uint64_t __wrap_os_monotonic_ns(void)
{
	return clock_ns;
}

static int add_watcher(pyapi_code_watcher *added)
{
	watcher = added;
	return 0;
}

static struct py_interpreter *get_interpreter(void)
{
	return (struct py_interpreter *)&interpreter;
}

static void set_up(void)
{
	static const struct frames_layout layout = {
		.code_filename = 112,
		.code_qualname = 128,
		.code_linetable = 136,
		.code_firstlineno = 68,
		.code_instructions = 200,
		.object_type = 8,
		.unicode_state = 32,
		.unicode_length = 16,
		.unicode_ascii_data = 40,
		.unicode_compact_data = 56,
		.bytes_size = 16,
		.bytes_data = 32,
		.code_type = CODE_TYPE,
	};
	static const char *const paths[] = { "/usr/lib/python3.13", "/srv/app", "lib", "/" };

	frames_layout_set(&layout);
	py.PyInterpreterState_Get = get_interpreter;
	py.PyInterpreterState_Main = get_interpreter;
	py.PyCode_AddWatcher = add_watcher;
	symbol_set_path(paths, PROF_COUNT(paths), "/home/user");
	need(symbol_watch() == NULL);
}

/* Low bits: what to do; the others: with which of the code objects. */
static void step(uint8_t what)
{
	uintptr_t code = (uintptr_t)(what >> 2) * 8;
	const struct symbol *symbol;

	clock_ns++;
	switch (what & 3) {
	case 0:
	case 1:
		mark_set(code);
		symbol = symbol_find(code, clock_ns);
		if (symbol)
			check_symbol(symbol);
		need(symbol == symbol_find(code, clock_ns));
		break;
	case 2:
		mark_set(code);
		symbol_keep(code);
		need(watcher(PYAPI_CODE_DESTROY, (struct py_object *)code) == 0);
		/* It was there until now */
		symbol = symbol_find(code, clock_ns);
		if (symbol)
			check_symbol(symbol);
		break;
	default:
		symbol_drained(clock_ns);
	}
}

static void check_symbol(const struct symbol *symbol)
{
	need(symbol->linetable_bytes <= CODE_LINETABLE_MAX);
	check_text(symbol->name, symbol->name_bytes);
	check_text(symbol->file, symbol->file_bytes);
	check_module(symbol->file);
	for (int offset = -2; offset < 64; offset += 2)
		need(symbol_line(symbol, symbol->instructions + (uintptr_t)offset) <= INT32_MAX);
	need(symbol_line(symbol, 0) <= INT32_MAX && symbol_line(symbol, UINTPTR_MAX) <= INT32_MAX);
}

/* Whole, not longer than agreed, with a NUL behind it. */
static void check_text(const char *text, size_t size_bytes)
{
	need(size_bytes <= CODE_TEXT_MAX && strnlen(text, size_bytes + 1) <= size_bytes &&
	     text[size_bytes] == '\0');
}

static void check_module(const char *file)
{
	/* On the heap, so that a write beyond it is seen; too small for some, so that they are cut */
	char *module = malloc(MODULE_BYTES), *absolute = malloc(MODULE_BYTES);
	size_t n = symbol_module(file, module, MODULE_BYTES, absolute, MODULE_BYTES);

	need(n < MODULE_BYTES && module[n] == '\0' && strlen(module) == n);
	need(memchr(absolute, '\0', MODULE_BYTES) != NULL);
	free(module);
	free(absolute);
}

static void need(bool truth)
{
	if (!truth)
		abort();
}
