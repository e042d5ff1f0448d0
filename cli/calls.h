/*
 * calls.h - how often every function was called and how long that took: for `monprof report --calls`.
 *
 * Stacks in, leaf first, each with the calls of its leaf and the time in it; a table for the terminal out.
 * The same stacks, given once more after calls_ask, make the table of one function's callers or callees.
 */
#ifndef CALLS_H
#define CALLS_H

#include "exporter.h"
#include "prof.h"

struct calls_row;

enum calls_side { CALLS_ALL, CALLS_CALLERS, CALLS_CALLEES };

struct calls {
	struct intern keys; /* name NUL file NUL line -> id of a row */
	struct calls_row *rows; /* by id - 1 */
	size_t row_capacity;
	enum calls_side side; /* what the stacks are taken for */
	const char *asked; /* full name of the function whose side it is */
	uint64_t stacks; /* that have been taken */
	uint64_t calls, time_ns; /* of what is shown */
	bool has_times; /* false: only calls were measured */
	bool failed; /* no memory */
	struct wire_buffer text;
};

struct calls_stack {
	const uint32_t *functions; /* ids, leaf first */
	size_t depth;
	uint64_t calls, time_ns; /* of the leaf itself */
	uint32_t duration; /* class of the calls, as in recording_sample */
};

/* All zero is empty. tool */
void calls_release(struct calls *calls);
/* Id of a function; 0: no memory. tool */
uint32_t calls_function(struct calls *calls, const char *name, const char *file, uint64_t line);
void calls_stack(struct calls *calls, const struct calls_stack *stack);
/* The standard error of a function's calls in one process, or in all. tool */
void calls_error(struct calls *calls, uint32_t function, double error);
/* From now on take stacks for one side of the function that has this name, or whose name alone ends in it
   behind a dot. CALLS_ALL: everything. False after a line on stderr, which names the nearest one. tool */
bool calls_ask(struct calls *calls, enum calls_side side, const char *name);
/* Print the `most` rows with the most calls, at most `width` columns wide; sorts. tool */
void calls_print(struct calls *calls, size_t most, unsigned width);

#endif
