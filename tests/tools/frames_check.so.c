/*
 * frames_check.so.c - frames and symbol inside a real Python: the C side of
 * tests/programs/frames_check.py, loaded by ctypes.
 *
 * walk_now() walks the caller's stack; sampling_start() walks it at every tick of a timer, in the
 * handler, into a table that the program then checks stack by stack.
 */
#include "code.h"
#include "frames.h"
#include "mark.h"
#include "os.h"
#include "pyapi.h"
#include "mark.h"
#include "symbol.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>

#define SAMPLES_MAX 20000
#define DEPTH 64

struct sample {
	uint32_t result; /* enum frames_result */
	uint32_t count;
	uint64_t time_ns;
	struct frame frames[DEPTH];
};

static struct {
	struct sample samples[SAMPLES_MAX];
	_Atomic uint32_t used;
	_Atomic bool on;
	struct frame walked[20000];
	size_t walked_count;
	uintptr_t walked_interpreter;
} state;

PROF_EXPORT const char *check_start(void);
PROF_EXPORT const char *check_wrong(size_t member, int by);
PROF_EXPORT int walk_now(size_t limit);
PROF_EXPORT size_t walk_count(void);
PROF_EXPORT uintptr_t walk_code(size_t i);
PROF_EXPORT int64_t walk_offset(size_t i);
PROF_EXPORT double walk_cost_ns(size_t limit, size_t rounds);
PROF_EXPORT int lines_differ(uintptr_t code, int size_bytes);
PROF_EXPORT void mark(uintptr_t code);
PROF_EXPORT uint64_t now_ns(void);
PROF_EXPORT const char *watch(void);
PROF_EXPORT void unwatch(void);
PROF_EXPORT const struct symbol *find(uintptr_t code, uint64_t time_ns);
PROF_EXPORT uint32_t line(const struct symbol *symbol, int offset);
PROF_EXPORT void drained(uint64_t time_ns);
PROF_EXPORT void sampling_start(long interval_us);
PROF_EXPORT uint32_t sampling_stop(void);
PROF_EXPORT const struct sample *sampling_get(uint32_t i);

const char *check_start(void)
{
	errmsg error = pyapi_load(RTLD_DEFAULT);
	if (!error)
		error = frames_start();
	if (!error)
		error = frames_check();
	return error;
}

/* What frames_check says when one offset of the layout is not right: NULL if it does not notice. */
const char *check_wrong(size_t member, int by)
{
	const struct frames_layout right = *frames_layout();
	struct frames_layout wrong = right;
	uint16_t *offset = &wrong.tstate_frame + member;
	if (offset > &wrong.bytes_data)
		return "";
	*offset = (uint16_t)(*offset + by);
	/* The one that is no offset: C has no shift by more bits than there are */
	wrong.unicode_kind_shift %= 32;
	frames_layout_set(&wrong);
	errmsg error = frames_check();
	frames_layout_set(&right);
	return error;
}

int walk_now(size_t limit)
{
	return frames_walk(state.walked, limit, 0, &state.walked_count, &state.walked_interpreter);
}

size_t walk_count(void)
{
	return state.walked_interpreter ? state.walked_count : 0;
}

uintptr_t walk_code(size_t i)
{
	return state.walked[i].code;
}

int64_t walk_offset(size_t i)
{
	const struct frames_layout *layout = frames_layout();
	return (int64_t)(state.walked[i].instruction - state.walked[i].code -
			 layout->code_instructions);
}

/* The cheapest of `rounds` times 100 walks, each. */
double walk_cost_ns(size_t limit, size_t rounds)
{
	uint64_t least_ns = UINT64_MAX;
	while (rounds--) {
		uint64_t begin_ns = os_monotonic_ns();
		for (size_t i = 0; i < 100; i++)
			walk_now(limit);
		uint64_t took_ns = os_monotonic_ns() - begin_ns;
		least_ns = took_ns < least_ns ? took_ns : least_ns;
	}
	return (double)least_ns / 100;
}

/* First offset at which our line is not CPython's; -1: none, -2: the code cannot be read. */
int lines_differ(uintptr_t address, int size_bytes)
{
	static char table[1 << 20];
	size_t table_bytes;
	struct code code;
	struct code_data data;
	if (!code_read(address, &code) || !code_bytes(code.linetable, &data) ||
	    data.room_bytes > sizeof(table) || !code_copy(&data, table, &table_bytes))
		return -2;
	for (int offset = -2; offset < size_bytes; offset += 2) {
		int ours = frames_line((const uint8_t *)table, table_bytes, (int)code.first_line,
				       offset);
		int theirs = py.PyCode_Addr2Line((struct py_object *)address, offset);
		if (ours != (theirs < 0 ? 0 : theirs))
			return offset;
	}
	return -1;
}

void mark(uintptr_t code)
{
	mark_set(code);
}

uint64_t now_ns(void)
{
	return os_monotonic_ns();
}

const char *watch(void)
{
	return symbol_watch();
}

void unwatch(void)
{
	symbol_unwatch();
}

const struct symbol *find(uintptr_t code, uint64_t time_ns)
{
	return symbol_find(code, time_ns);
}

uint32_t line(const struct symbol *symbol, int offset)
{
	return symbol_line(symbol, symbol->instructions + (uintptr_t)(intptr_t)offset);
}

void drained(uint64_t time_ns)
{
	symbol_drained(time_ns);
}

static void on_tick(int signo, siginfo_t *info, void *context)
{
	const ucontext_t *interrupted = context;
	uint32_t i = atomic_load(&state.used);
	struct sample *sample = &state.samples[i];
	uintptr_t interpreter;
	size_t count;
	(void)signo;
	(void)info;
	if (!atomic_load(&state.on) || i == SAMPLES_MAX)
		return;
#ifdef __x86_64__
	uintptr_t pc = (uintptr_t)interrupted->uc_mcontext.gregs[REG_RIP];
#else
	uintptr_t pc = (uintptr_t)interrupted->uc_mcontext.pc;
#endif
	sample->time_ns = os_monotonic_ns();
	sample->result = frames_walk(sample->frames, DEPTH, pc, &count, &interpreter);
	sample->count = (uint32_t)count;
	for (size_t j = 0; j < count; j++)
		mark_set(sample->frames[j].code);
	atomic_store(&state.used, i + 1);
}

void sampling_start(long interval_us)
{
	struct sigaction action = { .sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART };
	struct itimerval timer = { { 0, interval_us }, { 0, interval_us } };
	atomic_store(&state.used, 0);
	atomic_store(&state.on, true);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

uint32_t sampling_stop(void)
{
	struct itimerval timer = { { 0, 0 }, { 0, 0 } };
	setitimer(ITIMER_REAL, &timer, NULL);
	atomic_store(&state.on, false);
	return atomic_load(&state.used);
}

const struct sample *sampling_get(uint32_t i)
{
	return &state.samples[i];
}
