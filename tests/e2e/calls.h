/*
 * calls.h - what the themes of counted calls share: programs print what they have called ("CALLER CALLEE COUNT"),
 * and the profile is read through pprof.
 */
#ifndef CALLS_H
#define CALLS_H

#include "common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline struct run *run_calls(const char *rate)
{
	struct run *run = run_new();

	run->limit_s = 120;
	run_set(run, "MONPROF_COLLECT", "calls");
	run_set(run, "MONPROF_CALLS_RATE", rate);
	return run;
}

static inline bool is_below(const struct stack *stack, const char *caller)
{
	for (size_t i = 0; i + 1 < stack->depth; i++) {
		if (stacks_is(stack->frames[i], caller))
			return true;
	}
	return false;
}

/* Calls of `callee` ("*": of whatever) below `caller`. */
static inline uint64_t calls_of(const struct stacks *stacks, const char *caller, const char *callee)
{
	uint64_t calls = 0;

	for (size_t i = 0; i < stacks->count; i++) {
		const struct stack *stack = &stacks->stacks[i];

		if (!stack->depth || !is_below(stack, caller))
			continue;
		if (strcmp(callee, "*") == 0 || stacks_is(stack->frames[stack->depth - 1], callee))
			calls += stack->count;
	}
	return calls;
}

static inline const char *comment_of(struct run *run, const struct stacks *stacks, const char *key)
{
	const char *at = strstr(stacks->comments, run_text(run, "Comment: %s=", key));

	RUN_CHECK(run, at, "no remark %s in\n%s", key, stacks->comments);
	return strchr(at, '=') + 1;
}

/* Each line of `told` that begins with `prefix` is within `percent` of what the profile has. */
static inline unsigned check_told(struct run *run, const struct stacks *stacks, const char *prefix,
				  unsigned percent)
{
	unsigned lines = 0;
	char caller[128], callee[128];
	unsigned long long wanted, counted;

	for (const char *line = run->out; line && *line; line = strchr(line, '\n') + 1) {
		if (strncmp(line, prefix, strlen(prefix)) != 0)
			continue;
		RUN_CHECK(run,
			  sscanf(line + strlen(prefix), "%127s %127s %llu", caller, callee,
				 &wanted) == 3,
			  "not a count: %s", line);
		counted = calls_of(stacks, caller, callee);
		RUN_CHECK(run,
			  counted * 100 >= wanted * (100 - percent) &&
				  counted * 100 <= wanted * (100 + percent),
			  "%llu calls of %s in %s, the program made %llu\n%s", counted, callee,
			  caller, wanted, stacks->comments);
		lines++;
	}
	return lines;
}

#endif
