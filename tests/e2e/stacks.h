/*
 * stacks.h - a profile as a test sees it: stacks, root first, with their values.
 *
 * Read from collapsed text or from what `pprof -raw` says about a file, so that what is tested has
 * passed through a reader that is not ours.
 */
#ifndef STACKS_H
#define STACKS_H

#include "run.h"

struct stacks_frame {
	char *name, *file;
	unsigned line; /* of this frame; collapsed has the one line that was asked for */
	unsigned first_line; /* 0 in collapsed */
};
struct stack {
	struct stacks_frame **frames; /* root first */
	size_t depth;
	uint64_t count; /* samples; 0 in collapsed */
	uint64_t value; /* ns */
	char thread_name[64];
	uint64_t thread_id, pid;
};
struct stacks {
	struct stack *stacks;
	size_t count;
	struct stacks_frame **frames;
	size_t frame_count;
	char *comments; /* of pprof, a line each */
	char *mappings;
	char *sample_types;
};

/* By the file's suffix. The test fails when it cannot be understood. */
struct stacks *stacks_read(struct run *run, const char *path);
void stacks_free(struct stacks *stacks);

/* `function` stands for itself and for `module.function`. Values in ns. */
uint64_t stacks_total(const struct stacks *stacks);
uint64_t stacks_with(const struct stacks *stacks, const char *function);
uint64_t stacks_self(const struct stacks *stacks, const char *function);
/* Stacks in which `callee` is somewhere above `caller`. */
uint64_t stacks_under(const struct stacks *stacks, const char *caller, const char *callee);
/* The same where `callee` is the innermost. */
uint64_t stacks_leaf(const struct stacks *stacks, const char *caller, const char *callee);
uint64_t stacks_of_thread(const struct stacks *stacks, const char *thread_name);
/* Number of different threads by id. */
size_t stacks_threads(const struct stacks *stacks);
/* Greatest depth. */
size_t stacks_depth(const struct stacks *stacks);
/* The function's frame (its line, that is) that most of the time was spent in. */
const struct stacks_frame *stacks_frame(const struct stacks *stacks, const char *function);
bool stacks_is(const struct stacks_frame *frame, const char *function);
/* All function names, for messages: at most a page. */
const char *stacks_names(struct run *run, const struct stacks *stacks);

#endif
