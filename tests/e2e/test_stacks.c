/*
 * test_stacks.c - stacks, names, files and lines are those that the program knows itself.
 */
#include "common.h"

#include <stdlib.h>
#include <string.h>

static struct run *run_kind(const char *kind, const char *seconds)
{
	struct run *run = run_new();

	run_set(run, "MONPROF_COLLECT", "cpu");
	run_set(run, "MONPROF_CPU_HZ", run_often());
	run_go(run, python_path(), run_program("stack.py"), kind, seconds, NULL);
	run_check_good(run);
	return run;
}

static struct stacks *read_stacks(struct run *run)
{
	return stacks_read(run, run_file(run, ".pb.gz"));
}

/* A stack of exactly these names from the script's first frame on has this share of all time. */
static void check_stack(struct run *run, const struct stacks *stacks, double share,
			const char *const *names, size_t count)
{
	uint64_t found = 0;

	for (size_t i = 0; i < stacks->count; i++) {
		const struct stack *stack = &stacks->stacks[i];
		bool is_same = stack->depth == count;

		for (size_t at = 0; is_same && at < count; at++)
			is_same = strcmp(stack->frames[at]->name, names[at]) == 0;
		found += is_same ? stack->value : 0;
	}
	RUN_CHECK(run, (double)found >= share * (double)stacks_total(stacks),
		  "the stack %s;..;%s has %llu ns, wanted %.0f %% at least; %s", names[0],
		  names[count - 1], (unsigned long long)found, share * 100,
		  stacks_names(run, stacks));
}

#define CHECK_STACK(run, stacks, share, ...)                                  \
	check_stack(run, stacks, share, (const char *const[]){ __VA_ARGS__ }, \
		    sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))
#define MAIN "stack.<module>", "stack.kind_tree"

Test(stacks, names)
{
	struct run *run = run_kind("tree", "0.7");
	struct stacks *stacks = read_stacks(run);

	CHECK_STACK(run, stacks, 0.04, MAIN, "stack.Tree.left", "stack.spin");
	CHECK_STACK(run, stacks, 0.04, MAIN, "stack.Tree.right", "stack.spin");
	CHECK_STACK(run, stacks, 0.04, MAIN, "stack.Tree.middle",
		    "stack.Tree.middle.<locals>.inner", "stack.spin");
	CHECK_STACK(run, stacks, 0.04, MAIN, "stack.<lambda>", "stack.spin");
	CHECK_STACK(run, stacks, 0.04, MAIN, "stack.Tree.Branch.leaf", "stack.spin");
	CHECK_STACK(run, stacks, 0.04, MAIN, "stack.kind_tree.<locals>.<genexpr>", "stack.spin");
	CHECK_STACK(run, stacks, 0.04, MAIN, "stack.kind_tree.<locals>.<lambda>", "stack.spin");
	stacks_free(stacks);
	run_free(run);
}

Test(stacks, files_and_first_lines)
{
	struct run *run = run_kind("tree", "0.5");
	struct stacks *stacks = read_stacks(run);
	char *facts = run_text(run, "%s", run->out);

	for (char *line = strtok(facts, "\n"); line; line = strtok(NULL, "\n")) {
		char *number = strrchr(line, ' ');
		const struct stacks_frame *frame;

		*number++ = '\0';
		frame = stacks_frame(stacks, run_text(run, "stack.%s", line));
		RUN_CHECK(run, frame, "no stack.%s; %s", line, stacks_names(run, stacks));
		RUN_CHECK(run, (int)frame->first_line == atoi(number),
			  "%s begins in line %u, and does so in %s", line, frame->first_line,
			  number);
		RUN_CHECK(run, strcmp(frame->file, run_program("stack.py")) == 0,
			  "%s is of file %s", line, frame->file);
	}
	stacks_free(stacks);
	run_free(run);
}

Test(stacks, current_lines)
{
	struct run *run = run_kind("line", NULL);
	struct stacks *stacks = read_stacks(run);
	unsigned hot = (unsigned)atoi(run->out);
	uint64_t there = 0, all = stacks_with(stacks, "hot_line");
	char *listing;

	for (size_t i = 0; i < stacks->count; i++) {
		const struct stack *stack = &stacks->stacks[i];
		const struct stacks_frame *leaf = stack->frames[stack->depth - 1];

		there += stacks_is(leaf, "hot_line") && leaf->line == hot ? stack->value : 0;
	}
	RUN_CHECK(run, there * 10 >= all * 9 && all, "line %u has %llu of %llu ns of hot_line", hot,
		  (unsigned long long)there, (unsigned long long)all);
	listing = run_pprof(run, "-list=hot_line", run_file(run, ".pb.gz"));
	RUN_CHECK(run, strstr(listing, "a += sum(range(100000))  # hot"),
		  "pprof -list does not show the source:\n%s", listing);
	stacks_free(stacks);
	run_free(run);
}

Test(stacks, collapsed_lines)
{
	struct run *run = run_new();
	const struct stacks_frame *frame;
	struct stacks *stacks;

	run_set(run, "MONPROF_COLLECT", "cpu");
	run_set(run, "MONPROF_EXPORT", "collapsed");
	run_set(run, "MONPROF_LINES", "yes");
	run_go(run, python_path(), run_program("stack.py"), "line", NULL);
	stacks = stacks_read(run, run_file(run, ".cpu.collapsed"));
	frame = stacks_frame(stacks, "stack.hot_line");
	RUN_CHECK(run, frame && (int)frame->line == atoi(run->out),
		  "hot_line is not at line %s; %s", run->out, stacks_names(run, stacks));
	stacks_free(stacks);
	run_free(run);
}

Test(stacks, deep_ones_are_whole)
{
	struct run *run = run_new();
	struct stacks *stacks;

	run_set(run, "MONPROF_COLLECT", "cpu");
	run_set(run, "MONPROF_DEPTH", "4000");
	run_set(run, "MONPROF_RING", "1M");
	run_go(run, python_path(), run_program("stack.py"), "deep", NULL);
	run_check_good(run);
	stacks = read_stacks(run);
	RUN_CHECK(run, stacks_depth(stacks) == 3004, "depth %zu, wanted 3004",
		  stacks_depth(stacks));
	RUN_CHECK(run, !stacks_with(stacks, "[cut]"), "one was cut");
	stacks_free(stacks);
	run_free(run);
}

Test(stacks, deeper_ones_are_cut_and_marked)
{
	struct run *run = run_new();
	struct stacks *stacks;
	uint64_t cut = 0;

	run_set(run, "MONPROF_COLLECT", "cpu");
	run_set(run, "MONPROF_DEPTH", "50");
	run_go(run, python_path(), run_program("stack.py"), "deep", NULL);
	run_check_good(run);
	stacks = read_stacks(run);
	for (size_t i = 0; i < stacks->count; i++) {
		const struct stack *stack = &stacks->stacks[i];
		bool is_deep = stack->depth > 50;

		RUN_CHECK(run, stack->depth <= 51, "a stack of %zu frames", stack->depth);
		RUN_CHECK(run, !is_deep || strcmp(stack->frames[0]->name, "[cut]") == 0,
			  "the root of a cut one is %s", stack->frames[0]->name);
		cut += is_deep ? stack->value : 0;
	}
	RUN_CHECK(run, cut >= 200 * MS, "%llu ns cut, wanted most of 300 ms",
		  (unsigned long long)cut);
	RUN_CHECK(run, stacks_under(stacks, "[cut]", "spin") * 10 >= cut * 7,
		  "the leaf is not spin; %s", stacks_names(run, stacks));
	RUN_CHECK(run, strstr(stacks->comments, "cut"), "no comment says so:\n%s",
		  stacks->comments);
	stacks_free(stacks);
	run_free(run);
}

Test(stacks, generators)
{
	struct run *run = run_kind("generator", NULL);
	struct stacks *stacks = read_stacks(run);

	CHECK_STACK(run, stacks, 0.6, "stack.<module>", "stack.kind_generator", "stack.consume",
		    "stack.relay", "stack.produce", "stack.spin");
	stacks_free(stacks);
	run_free(run);
}

Test(stacks, coroutines)
{
	struct run *run = run_kind("coroutine", NULL);
	struct stacks *stacks = read_stacks(run);
	uint64_t all = stacks_with(stacks, "stack.leaf_task");

	RUN_CHECK(run, all >= 200 * MS, "%llu ns in leaf_task, wanted most of 300 ms; %s",
		  (unsigned long long)all, stacks_names(run, stacks));
	RUN_CHECK(run, stacks_under(stacks, "stack.branch_task", "stack.leaf_task") == all,
		  "leaf_task without branch_task");
	RUN_CHECK(run,
		  stacks_under(stacks, "asyncio.events.Handle._run", "stack.branch_task") >= all,
		  "no event loop below branch_task; %s", stacks_names(run, stacks));
	stacks_free(stacks);
	run_free(run);
}

/* What a reader is told beside the stacks. */
Test(stacks, comments_and_mappings)
{
	struct run *run = run_kind("tree", NULL);
	struct stacks *stacks = read_stacks(run);
	const char *version = python_value(run, "'CPython %d.%d.%d' % sys.version_info[:3]");
	char *mapping = strchr(stacks->mappings, '\n');

	RUN_CHECK(run, strstr(stacks->comments, "libmonprof ") && strstr(stacks->comments, version),
		  "no version of both:\n%s", stacks->comments);
	RUN_CHECK(run, strstr(stacks->comments, run_text(run, "MONPROF_CPU_HZ=%s", run_often())),
		  "no settings:\n%s", stacks->comments);
	RUN_CHECK(run, strstr(stacks->comments, "achieved") && strstr(stacks->comments, "own."),
		  "no achieved rate or no cost:\n%s", stacks->comments);
	RUN_CHECK(run, strstr(stacks->mappings, "python") < mapping && strstr(mapping, "[python]"),
		  "the executable is not first, or [python] not last:\n%s", stacks->mappings);
	stacks_free(stacks);
	run_free(run);
}

/* The number at the end of "inner_12", "outer_12", "<made-12>"; -1 if there is none. */
static long number_of(const char *text, const char *before)
{
	const char *at = strstr(text, before);

	if (!at || !strchr("0123456789", at[strlen(before)]))
		return -1;
	return strtol(at + strlen(before), NULL, 10);
}

/* Each made function has the file of its own number, and its caller has the same number. */
static void check_made(struct run *run)
{
	struct stacks *stacks = read_stacks(run);
	uint64_t inner = 0;

	for (size_t i = 0; i < stacks->count; i++) {
		const struct stack *stack = &stacks->stacks[i];

		for (size_t at = 1; at < stack->depth; at++) {
			const struct stacks_frame *frame = stack->frames[at];
			long in = number_of(frame->name, "inner_");
			long out = number_of(frame->name, "outer_");
			long made = number_of(frame->file, "<made-");

			if (in < 0 && out < 0)
				continue;
			RUN_CHECK(run, made == (in < 0 ? out : in), "%s is of %s", frame->name,
				  frame->file);
			frame = stack->frames[at - 1];
			RUN_CHECK(run,
				  strcmp(frame->name, "[unknown]") == 0 ||
					  number_of(frame->file, "<made-") == made,
				  "%s calls a function of <made-%ld>", frame->name, made);
			inner += in >= 0 ? stack->value : 0;
		}
	}
	RUN_CHECK(run, inner * 10 >= stacks_total(stacks) * 3,
		  "%llu of %llu ns in made functions, wanted 30 %%", (unsigned long long)inner,
		  (unsigned long long)stacks_total(stacks));
	stacks_free(stacks);
}

Test(stacks, code_made_and_freed)
{
	struct run *run = run_kind("churn", "1.5");

	check_made(run);
	run_free(run);
}

Test(stacks, code_made_and_freed_in_threads)
{
	struct run *run = run_kind("churn_threads", "0.4");

	check_made(run);
	run_free(run);
}

/* Every caller is one that calls; `children` is "caller callee ..." */
static void check_possible(struct run *run)
{
	static const char *const calls[][2] = {
		{ "a_root", "a_one" },		{ "a_one", "a_two" },
		{ "a_one", "a_leaf" },		{ "a_two", "a_leaf" },
		{ "b_root", "b_one" },		{ "b_one", "b_two" },
		{ "b_two", "b_three" },		{ "b_two", "b_leaf" },
		{ "b_three", "b_leaf" },	{ "kind_alternate", "a_root" },
		{ "kind_alternate", "b_root" },
	};
	struct stacks *stacks = read_stacks(run);
	uint64_t seen = 0;

	for (size_t i = 0; i < stacks->count; i++) {
		const struct stack *stack = &stacks->stacks[i];

		for (size_t at = 1; at < stack->depth; at++) {
			const char *callee = stack->frames[at]->name;
			const char *caller = stack->frames[at - 1]->name;
			bool is_possible = false;

			if (strncmp(callee, "stack.a_", 8) && strncmp(callee, "stack.b_", 8))
				continue;
			for (size_t c = 0; c < sizeof(calls) / sizeof(calls[0]); c++)
				is_possible = is_possible ||
					      (strcmp(caller + 6, calls[c][0]) == 0 &&
					       strcmp(callee + 6, calls[c][1]) == 0);
			RUN_CHECK(run, is_possible, "%s calls %s, and cannot", caller, callee);
			seen += stack->count;
		}
	}
	RUN_CHECK(run, seen > 500, "only %llu calls seen", (unsigned long long)seen);
	stacks_free(stacks);
}

Test(stacks, none_that_cannot_exist)
{
	struct run *run = run_kind("alternate", "1");

	check_possible(run);
	run_free(run);
}

Test(stacks, none_that_cannot_exist_in_threads)
{
	struct run *run = run_kind("alternate_threads", "0.3");

	check_possible(run);
	run_free(run);
}

Test(stacks, comparisons_out_of_c)
{
	struct run *run = run_kind("sort", "1");
	struct stacks *stacks = read_stacks(run);
	uint64_t all = stacks_with(stacks, "stack.Ordered.__lt__");

	RUN_CHECK(run, all >= 100 * MS, "%llu ns in __lt__; %s", (unsigned long long)all,
		  stacks_names(run, stacks));
	RUN_CHECK(run, stacks_under(stacks, "stack.kind_sort", "stack.Ordered.__lt__") == all,
		  "__lt__ without kind_sort");
	stacks_free(stacks);
	run_free(run);
}

Test(stacks, exceptions)
{
	struct run *run = run_kind("raise", "0.5");
	struct stacks *stacks = read_stacks(run);

	RUN_CHECK(run,
		  stacks_under(stacks, "stack.kind_raise", "stack.kind_raise.<locals>.thrower") >=
			  200 * MS,
		  "no thrower; %s", stacks_names(run, stacks));
	stacks_free(stacks);
	run_free(run);
}
