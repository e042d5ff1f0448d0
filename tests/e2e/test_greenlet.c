/*
 * test_greenlet.c - greenlets, which copy pieces of the C stack away and have a Python stack each, in one thread: the
 * program is the same with and without us, and each stack is one that it has.
 */
#include "common.h"

#include <stdlib.h>
#include <string.h>

/* greenlets.py LOOPS with us, and that it says what it says without. */
static struct run *run_greenlets(const char *collect, const char *hz, const char *loops)
{
	struct run *run = run_new(), *plain = run_new();

	plain->is_plain = true;
	run_go(plain, python_path(), run_program("greenlets.py"), "0.1", loops, NULL);
	if (strstr(plain->err, "ModuleNotFoundError: No module named 'greenlet"))
		cr_skip_test("%s has no greenlet (Debian's package python3-greenlet)",
			     python_path());
	run_check_exit(plain, 0);
	run_set(run, "MONPROF_COLLECT", collect);
	run_set(run, "MONPROF_CPU_HZ", hz);
	run_set(run, "MONPROF_CALLS_RATE", "100%");
	run_set(run, "MONPROF_QUIET", "yes"); /* a rate that is not permitted */
	run_go(run, python_path(), run_program("greenlets.py"), "0.8", loops, NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	RUN_CHECK(run, strcmp(run->out, plain->out) == 0, "without us: %s", plain->out);
	run_free(plain);
	return run;
}

/* The name without its module where it is one of the program's own. */
static const char *own_name(const struct stacks_frame *frame)
{
	static const char module[] = "greenlets.";

	return strncmp(frame->name, module, strlen(module)) == 0 ? frame->name + strlen(module) :
								   NULL;
}

/* 'a' for a_root and all that is called below it alone, '?' for what is called below each of them, '-' for what is
   outside, 0: not of the program. */
static char kind_of(const struct stacks_frame *frame)
{
	const char *name = own_name(frame);

	if (!name)
		return 0;
	if (name[1] == '_')
		return name[0];
	return strcmp(name, "spin") == 0 || strcmp(name, "leave") == 0 ? '?' : '-';
}

/* Of one greenlet, from its root on, or of none: 'a', '-', 0. */
static char check_stack(struct run *run, const struct stack *stack)
{
	char kind = stack->depth ? kind_of(stack->frames[0]) : 0;

	for (size_t i = 0; i < stack->depth; i++) {
		char own = kind_of(stack->frames[i]);

		if (!kind || kind == '-')
			RUN_CHECK(run, !own || own == '-', "%s is called by %s",
				  stack->frames[i]->name, i ? stack->frames[i - 1]->name : "none");
		else
			RUN_CHECK(run, !own || own == kind || (own == '?' && i > 0),
				  "%s is in a stack of %s", stack->frames[i]->name,
				  stack->frames[0]->name);
	}
	RUN_CHECK(run,
		  kind != '?' &&
			  (!kind || kind == '-' || strstr(own_name(stack->frames[0]), "_root")),
		  "a stack begins with %s", stack->frames[0]->name);
	return kind;
}

/* None is put together of two, none is a piece. */
static void check_apart(struct run *run)
{
	struct stacks *stacks = stacks_read(run, run_file(run, ".cpu.pb.gz"));
	uint64_t of[128] = { 0 };

	for (size_t i = 0; i < stacks->count; i++) {
		const struct stack *stack = &stacks->stacks[i];
		const char *leaf = own_name(stack->frames[stack->depth - 1]);
		char kind = check_stack(run, stack);

		of[(unsigned char)kind] += stack->value;
		/* a_root, a_down 21 times, a_leaf and what it calls */
		RUN_CHECK(run, kind != 'a' || !leaf || leaf[1] == '_' || stack->depth == 24,
			  "a_root's stack has %zu functions", stack->depth);
	}
	RUN_CHECK(run, of['a'] && of['b'] && of['c'] && of['d'], "one kind is missing; %s",
		  stacks_names(run, stacks));
	RUN_CHECK(run, stacks_total(stacks) >= 720 * MS,
		  "only %llu ns were found, wanted 90 %% of 800 ms",
		  (unsigned long long)stacks_total(stacks));
	stacks_free(stacks);
}

static void check_cpu(const char *hz, const char *loops)
{
	struct run *run = run_greenlets("cpu", hz, loops);

	check_apart(run);
	run_free(run);
}

Test(greenlet, stacks_are_whole_and_apart)
{
	check_cpu("1000", "2000");
}

/* Most of the time goes by where one is left and another is gone on with. */
Test(greenlet, stacks_are_apart_where_they_change)
{
	check_cpu(run_often(), "20");
}

static uint64_t calls_of(const struct stacks *stacks, const char *name)
{
	uint64_t calls = 0;

	for (size_t i = 0; i < stacks->count; i++) {
		const struct stack *stack = &stacks->stacks[i];

		calls += stacks_is(stack->frames[stack->depth - 1], name) ? stack->count : 0;
	}
	return calls;
}

/* Functions that are left in the middle, and are gone on with out of other functions, are counted as they are called. */
Test(greenlet, calls_are_exact)
{
	static const struct {
		const char *name;
		uint64_t wanted; /* in each round */
	} rows[] = {
		{ "begin", 1 },	  { "rest_go_on", 155 }, { "a_root", 4 },     { "a_down", 84 },
		{ "a_leaf", 4 },  { "b_root", 4 },	 { "b_key", 40 },     { "c_root", 4 },
		{ "c_turn", 40 }, { "d_root", 4 },	 { "c_produce", 44 }, { "leave", 287 },
		{ "spin", 324 },
	};
	struct run *run = run_greenlets("calls", "100", "200");
	struct stacks *stacks = stacks_read(run, run_file(run, ".calls.pb.gz"));
	uint64_t rounds = calls_of(stacks, "round_of_all");

	RUN_CHECK(run, rounds > 0, "no round; %s", stacks_names(run, stacks));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t found = calls_of(stacks, rows[i].name);

		RUN_CHECK(run, found == rounds * rows[i].wanted,
			  "%s was called %llu times, wanted %llu", rows[i].name,
			  (unsigned long long)found, (unsigned long long)(rounds * rows[i].wanted));
	}
	stacks_free(stacks);
	run_free(run);
}

/* All that is measured at once. */
Test(greenlet, same_with_everything)
{
	struct run *run;

	if (!run_is_full())
		cr_skip_test("only in a full run: it is measured one by one beside it");
	run = run_greenlets(NULL, "1000", "200");
	check_apart(run);
	run_free(run);
}
