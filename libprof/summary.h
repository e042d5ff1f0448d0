/*
 * summary.h - a profile for people: what each function, line, file, module or thread used, and under whom.
 *
 *   frames -> rows     equal names are one row
 *   nodes  -> steps    the same tree with rows for frames, so that equal paths are one
 *   samples -> self of steps -> total of steps -> self and total of rows
 *
 * Totals count once a stack, however often a row is in it.  Callers and callees of a function are sums over
 * the same steps with other rows: the step's parent's, or its own where its parent is the function.
 */
#ifndef SUMMARY_H
#define SUMMARY_H

#include "intern.h"
#include "pairs.h"
#include "profile.h"
#include "wire.h"

enum summary_by {
	SUMMARY_FUNCTION,
	SUMMARY_LINE,
	SUMMARY_FILE,
	SUMMARY_MODULE,
	SUMMARY_THREAD,
	SUMMARY_BY_COUNT
};
enum summary_side { SUMMARY_ALL, SUMMARY_CALLERS, SUMMARY_CALLEES };

struct summary_row {
	const char *name, *file; /* file: "" for none */
	uint64_t number; /* line, or the thread's id; 0: none */
	bool is_native; /* the file is an executable or a library */
	uint64_t pid; /* of a thread */
	uint64_t self, total;
	bool asked; /* whose callers or callees are summed */
};

struct summary_step {
	uint32_t parent, row; /* ids; parent 0: a root */
	uint32_t child, sibling; /* step ids, 0: none */
	uint64_t self, total;
};

struct summary {
	const struct profile *profile;
	enum summary_by by;
	enum summary_side side;
	struct summary_row *rows; /* by id - 1 */
	struct summary_step *steps; /* by id - 1; parents come first */
	uint32_t row_count, step_count;
	uint32_t root; /* the first step without a parent; its siblings are the others */
	uint32_t none; /* the row of what has no caller */
	uint64_t value; /* of all samples of the metric */
	uint64_t stackless; /* of those without a stack */
	uint64_t samples; /* 0: not counted */
	uint64_t asked_self, asked_total;
	bool failed; /* no memory */

	/* how it is made */
	struct intern keys; /* name NUL file NUL numbers -> id of a row */
	struct pairs paths; /* (parent, row) -> id of a step */
	uint32_t *frame_rows; /* by id - 1; 0: not made yet */
	uint32_t *samples_steps; /* by node's id - 1, or by thread */
	uint32_t *depths; /* by row id, 0 for those asked: how often on the path */
	size_t row_capacity, step_capacity;
	struct wire_buffer text;
};

/* Rows and steps of all stacks, no sums yet. False: no memory. drainer, tool */
bool summary_begin(struct summary *summary, const struct profile *profile, enum summary_by by);
/* All zero is empty. drainer, tool */
void summary_release(struct summary *summary);
/* Sums of steps and rows for a metric, and of one side of what is asked. drainer, tool */
void summary_take(struct summary *summary, uint32_t metric, enum summary_side side);
/* The row that what a step used itself counts for on this side, 0: none. drainer, tool */
uint32_t summary_row_of(const struct summary *summary, uint32_t step);
/* The step of a sample, 0: it has no stack. drainer, tool */
uint32_t summary_step_of(const struct summary *summary, const struct profile_sample *sample);
/* The rows with a sum, biggest self first, then total, then by name; to be freed. NULL: no memory.
   drainer, tool */
const struct summary_row **summary_sort(const struct summary *summary, size_t *count);
/* The name whose callers or callees are summed. drainer, tool */
const char *summary_asked(const struct summary *summary);
/* The first metric of a measurement, the one that is shown. drainer, tool */
uint32_t summary_metric(const struct profile *profile, uint32_t measurement);
/* From the first start to the last end. drainer, tool */
uint64_t summary_duration(const struct profile *profile);

#endif
