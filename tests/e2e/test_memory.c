/*
 * test_memory.c - what a sample points to may go, be many, be deep, or lie in another heap: the program is as it
 * was, and the profile right.
 */
#include "common.h"

#include <string.h>

/* tests/programs/memories.py KIND COUNT at 1000 Hz, with and without us: the same. */
static struct run *run_memories(const char *kind, unsigned count, const char *name,
				const char *value)
{
	struct run *run = run_new(), *plain = run_new();
	const char *number = run_text(run, "%u", count);

	plain->is_plain = true;
	plain->limit_s = run->limit_s = 120;
	run_set(run, "MONPROF_CPU_HZ", run_often());
	if (name) {
		run_set(run, name, value);
		run_set(plain, name, value);
	}
	run_go(plain, python_path(), run_program("memories.py"), kind, number, NULL);
	run_go(run, python_path(), run_program("memories.py"), kind, number, NULL);
	RUN_CHECK(run, run->status == plain->status, "without us: %s", run_ending(plain));
	RUN_CHECK(run, strcmp(run->out, plain->out) == 0, "stdout without us: %s", plain->out);
	RUN_CHECK(run, strcmp(run->err, plain->err) == 0, "stderr without us: %s", plain->err);
	run_free(plain);
	return run;
}

static unsigned some(unsigned full, unsigned quick)
{
	return run_is_full() ? full : quick;
}

static void check_burnt(struct run *run)
{
	common_check(run, common_profile(run, run->pid), "burn", "spin", 300);
	run_free(run);
}

Test(memory, code_that_comes_and_goes)
{
	struct run *run = run_memories("code", some(50000, 10000), NULL, NULL);

	RUN_CHECK(run, strstr(run->out, "flat"), "the process grows");
	check_burnt(run);
}

Test(memory, code_that_goes_while_it_is_sampled)
{
	struct run *run = run_memories("freed", some(40, 20), NULL, NULL);
	const char *profile = common_profile(run, run->pid);
	struct stacks *stacks = stacks_read(run, profile);

	RUN_CHECK(run, !stacks_with(stacks, "[unknown]"), "some has no name; %s",
		  stacks_names(run, stacks));
	stacks_free(stacks);
	common_check(run, profile, "gone", "spin", some(800, 400));
	run_free(run);
}

Test(memory, generators_and_coroutines_at_every_stage)
{
	struct run *run = run_memories("generators", some(60, 20), NULL, NULL);

	common_check(run, common_profile(run, run->pid), "burn", "spin", 200);
	run_free(run);
}

Test(memory, a_hundred_thousand_frames)
{
	/* Each sample has 8 KB: a usual ring holds a few. */
	struct run *run = run_memories("deep", 100000, "MONPROF_RING", "16M");

	check_burnt(run);
}

/* Of so deep a tree pprof's file would have the square: each of its stacks is written out. */
Test(memory, a_thousand_frames_with_all_calls_counted)
{
	struct run *run = run_memories("deep", 1000, "MONPROF_CALLS_RATE", "100%");

	check_burnt(run);
}

Test(memory, heaps_of_other_kinds)
{
	static const char *const heaps[] = { "malloc", "debug", "malloc_debug", "pymalloc_debug" };

	for (unsigned i = 0; i < some(4, 2); i++)
		check_burnt(run_memories("code", some(10000, 5000), "PYTHONMALLOC", heaps[i]));
}

Test(memory, allocations_that_are_traced)
{
	check_burnt(run_memories("traced", 2000, NULL, NULL));
}
