/*
 * symbol.h - code address and time -> function, file, line; outlives the code object.
 *
 *   handler            sets the code object's bit in the filter, then publishes its record
 *   drainer            symbol_find: names a live code object by raw, fault-tolerant reads
 *   watcher callback   a code object with its bit set is about to die: it is named now, under the
 *                      same lock, and the name kept until the rings have been drained past its
 *                      death
 *
 * So a code object cannot be freed while it is read, code that nobody sampled dies for free, and an
 * address that is used again is a new symbol.
 */
#ifndef SYMBOL_H
#define SYMBOL_H

#include "frames.h"
#include "prof.h"

struct symbol {
	const char *name, *file; /* qualified name, co_filename as it is; UTF-8, end with NUL */
	uint32_t name_bytes, file_bytes;
	uint32_t first_line;
	uint32_t serial; /* unique for ever; a cache key for the drainer */
	uintptr_t instructions; /* address of the first instruction */
	const uint8_t *linetable;
	uint32_t linetable_bytes;
};

/* Add the watcher to the current interpreter, once; NULL, or why its code cannot be named. setup,
   callback */
errmsg symbol_watch(void);
/*
 * The current interpreter ends: its watcher goes. All that was sampled before should have been
 * drained: from then on nothing is named any more for records of before. setup
 */
void symbol_unwatch(void);
/*
 * What was at this address at that time; NULL: cannot be named. The symbol is good until the next
 * symbol_drained or symbol_reset, whatever dies in between. The lock is held inside only, for one
 * code object. drainer
 */
const struct symbol *symbol_find(uintptr_t code, uint64_t time_ns);
/* Read the name of this code, which lives, now: symbol_find will have it for times from now on until it dies, also
   where an interpreter ends in between. After its bit has been set in the filter. callback */
void symbol_keep(uintptr_t code);
/* Line of an instruction of a symbol's code, 0 where there is none. drainer */
uint32_t symbol_line(const struct symbol *symbol, uintptr_t instruction);
/* All rings are drained up to time_ns: names of code that died before it may go. drainer */
void symbol_drained(uint64_t time_ns);
/* From now on nothing is read from the interpreter's memory: live code that is not known yet, and
   all that is sampled later, is unknown. any */
void symbol_close(void);
/* Everything back to the start, but for the watchers, which CPython still has; in a forked child,
   where every other thread is gone. False: one of them was in the middle of a change, and so perhaps
   of one of the heap, too. setup */
bool symbol_reset(void);

/* Where modules live: sys.path, longest match wins; relative entries and files are taken from cwd.
   `paths` are NUL terminated, copied. Before the drainer runs, or while it is parked. setup */
void symbol_set_path(const char *const *paths, size_t count, const char *cwd);
/*
 * Module of a file: "json.encoder" for .../lib/python3.13/json/encoder.py, "a.b" for "<frozen
 * a.b>", the name itself for "<string>" and its like; "" where there is none. Absolute file name
 * into `absolute`. Both are cut to their room and end with NUL. Returns the module's length.
 * drainer
 */
size_t symbol_module(const char *file, char *module, size_t module_bytes, char *absolute,
		     size_t absolute_bytes);

#endif
