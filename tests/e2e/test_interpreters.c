/*
 * test_interpreters.c - sub-interpreters: their code has its right name or is [unknown], never another
 * one; the main interpreter's profile is whole.
 */
#include "common.h"

#include <string.h>

static struct run *run_kind(const char *kind)
{
	struct run *run = run_new(), *plain = run_new();

	plain->is_plain = true;
	run_set(run, "MONPROF_FLUSH", "50ms");
	run_go(plain, python_path(), run_program("interpreters.py"), kind, NULL);
	run_go(run, python_path(), run_program("interpreters.py"), kind, NULL);
	RUN_CHECK(run, run->status == plain->status, "without us: %s", run_ending(plain));
	RUN_CHECK(run, strcmp(run->err, plain->err) == 0, "stderr without us: %s", plain->err);
	common_check(run, common_profile(run, run->pid), "burn", "spin", 600);
	run_free(plain);
	return run;
}

/* Below the call that runs code of another interpreter there is that code, or nothing with a name. */
static void check_names(struct run *run)
{
	struct stacks *stacks = stacks_read(run, run_file(run, ".pb.gz"));

	for (size_t i = 0; i < stacks->count; i++) {
		struct stack *stack = &stacks->stacks[i];

		for (size_t at = 1; at < stack->depth; at++) {
			const struct stacks_frame *frame = stack->frames[at];

			if (!stacks_is(frame, "sub_spin"))
				continue;
			RUN_CHECK(run,
				  strncmp(frame->file, "<s", 2) == 0 &&
					  (stacks_is(stack->frames[at - 1], "sub_burn") ||
					   stacks_is(stack->frames[at - 1], "[unknown]")),
				  "sub_spin (%s) called by %s", frame->file,
				  stack->frames[at - 1]->name);
		}
	}
	stacks_free(stacks);
}

Test(interpreters, one)
{
	struct run *run = run_kind("one");
	struct stacks *stacks = stacks_read(run, run_file(run, ".pb.gz"));

	check_names(run);
	/* The first may be over before it is met: main was busy in it. The second is known. */
	RUN_CHECK(run, stacks_under(stacks, "sub_burn", "sub_spin") >= 600 * MS,
		  "%llu ns in sub_burn, wanted most of 0.7 s; %s",
		  (unsigned long long)stacks_under(stacks, "sub_burn", "sub_spin"),
		  stacks_names(run, stacks));
	stacks_free(stacks);
	run_free(run);
}

Test(interpreters, many)
{
	struct run *run = run_kind("many");

	check_names(run);
	run_free(run);
}

Test(interpreters, in_threads)
{
	struct run *run = run_kind("threads");

	check_names(run);
	run_free(run);
}

Test(interpreters, never_destroyed)
{
	struct run *run = run_kind("left");

	check_names(run);
	run_free(run);
}
