/*
 * test_sites.c - C functions have frames of their own, under the names that a Python programmer would write,
 * and the program never notices.
 */
#include "common.h"

#include <stdlib.h>
#include <string.h>

static struct run *run_kind_to(const char *kind, const char *exporter)
{
	struct run *run = run_new();

	run_set(run, "MONPROF_COLLECT", "cpu,sites");
	run_set(run, "MONPROF_EXPORT", exporter);
	run_set(run, "MONPROF_CPU_HZ", "250");
	run_go(run, python_path(), run_program("sites.py"), kind, NULL);
	return run;
}

static struct run *run_kind(const char *kind)
{
	return run_kind_to(kind, "pprof");
}

/* What the program says of itself, in ns. */
static uint64_t said(struct run *run, const char *name)
{
	const char *line = strstr(run->out, run_text(run, "%s ", name));

	RUN_CHECK(run, line, "nothing is said of %s: %s", name, run->out);
	return strtoull(line + strlen(name), NULL, 10) * MS;
}

/* The share of each function in all of them, as samples have it and as the program says. */
Test(sites, shares)
{
	static const char *const names[][3] = {
		{ "sorted", "use_sorted", "builtins.sorted" },
		{ "compress", "use_compress", "zlib.compress" },
		{ "loads", "use_loads", "_json.Scanner.__call__" },
		{ "match", "use_match", "re.Pattern.match" },
		{ "sort", "use_sort", "list.sort" },
		{ "sum", "use_sum", "builtins.sum" },
		{ "dot", "use_dot", "numpy.dot" }, /* where numpy is */
	};
	struct run *run = run_kind("shares");
	struct stacks *stacks = stacks_read(run, run_check_good(run));
	size_t count = sizeof(names) / sizeof(names[0]) - !strstr(run->out, "dot ");
	double all = 0, all_said = 0;

	for (size_t i = 0; i < count; i++) {
		all += (double)stacks_with(stacks, names[i][1]);
		all_said += (double)said(run, names[i][0]);
	}
	for (size_t i = 0; i < count; i++) {
		double ours = (double)stacks_under(stacks, names[i][1], names[i][2]);
		double percent = 100 * ours / all;
		double wanted = 100 * (double)said(run, names[i][0]) / all_said;

		RUN_CHECK(run, percent > wanted - 2 && percent < wanted + 2,
			  "%s has %.1f %%, wanted %.1f; %s", names[i][2], percent, wanted,
			  stacks_names(run, stacks));
	}
	stacks_free(stacks);
	run_free(run);
}

Test(sites, several_callees_are_named_together)
{
	/* What pprof says about a file cannot be read where a name has spaces. */
	struct run *run = run_kind_to("several", "collapsed");
	struct stacks *stacks = stacks_read(run, run_file(run, ".collapsed"));

	run_check_exit(run, 0);
	run_check_silent(run);
	RUN_CHECK(run,
		  stacks_self(stacks, "math.cosh | lgamma") * 5 > stacks_with(stacks, "either") &&
			  stacks_under(stacks, "either", "math.cosh | lgamma"),
		  "%s", stacks_names(run, stacks));
	/* The program's first calls, which tell, are elsewhere. */
	RUN_CHECK(run,
		  !stacks_under(stacks, "use_either", "math.cosh") &&
			  !stacks_under(stacks, "use_either", "math.lgamma"),
		  "one alone is there; %s", stacks_names(run, stacks));
	stacks_free(stacks);
	run_free(run);
}

/* Of the time that is divided, in windows that are many enough for a short run. */
static double divided(struct run *run, const char *kind, const char *rate, const char *ours,
		      const char *other)
{
	struct stacks *stacks;
	uint64_t mine, all;

	run_set(run, "MONPROF_COLLECT", "cpu,sites,calls");
	run_set(run, "MONPROF_EXPORT", "collapsed");
	run_set(run, "MONPROF_CPU_HZ", "250");
	run_set(run, "MONPROF_CALLS_RATE", rate);
	run_set(run, "MONPROF_CALLS_WINDOW", "1ms");
	run_go(run, python_path(), run_program("sites.py"), kind, NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	stacks = stacks_read(run, run_file(run, ".cpu.collapsed"));
	mine = stacks_under(stacks, "either", ours);
	all = mine + stacks_under(stacks, "either", other);
	RUN_CHECK(run, all * 2 > stacks_with(stacks, "either"), "hardly anything is divided; %s",
		  stacks_names(run, stacks));
	stacks_free(stacks);
	return 100.0 * (double)mine / (double)all;
}

static void check_divided(struct run *run, double percent, double wanted)
{
	RUN_CHECK(run, percent > wanted - 5 && percent < wanted + 5, "%.1f %%, wanted %.1f",
		  percent, wanted);
	run_free(run);
}

Test(sites, windows_tell_how_a_site_divides_its_time)
{
	struct run *run = run_new();

	check_divided(run, divided(run, "by_data", "20%", "builtins.min", "builtins.max"), 30);
}

Test(sites, always_observed_too)
{
	struct run *run = run_new();

	check_divided(run, divided(run, "by_data", "100%", "builtins.min", "builtins.max"), 30);
}

Test(sites, by_time_not_by_calls)
{
	struct run *run = run_new();
	double percent = divided(run, "by_time", "20%", "builtins.sorted", "builtins.max");
	double sorted = (double)said(run, "sorted"), max = (double)said(run, "max");

	check_divided(run, percent, 100 * sorted / (sorted + max));
}

/* Windows that come every minute. */
Test(sites, what_few_windows_tell_is_not_believed)
{
	struct run *run = run_new();
	struct stacks *stacks;

	run_set(run, "MONPROF_COLLECT", "cpu,sites,calls");
	run_set(run, "MONPROF_EXPORT", "collapsed");
	run_set(run, "MONPROF_CPU_HZ", "250");
	run_set(run, "MONPROF_CALLS_RATE", "0.01%");
	run_go(run, python_path(), run_program("sites.py"), "several", NULL);
	stacks = stacks_read(run, run_file(run, ".cpu.collapsed"));
	RUN_CHECK(run,
		  stacks_under(stacks, "either", "math.cosh | lgamma") &&
			  !stacks_under(stacks, "use_either", "math.cosh") &&
			  !stacks_under(stacks, "use_either", "math.lgamma"),
		  "%s", stacks_names(run, stacks));
	stacks_free(stacks);
	run_free(run);
}

/* Whatever is above `callee` is above `function`, and that is above `caller`, with nothing in between. */
static void check_between(struct run *run, const struct stacks *stacks, const char *caller,
			  const char *function, const char *callee)
{
	uint64_t between = 0;

	for (size_t i = 0; i < stacks->count; i++) {
		const struct stack *stack = &stacks->stacks[i];

		for (size_t at = 2; at < stack->depth; at++) {
			if (stacks_is(stack->frames[at], callee) &&
			    stacks_is(stack->frames[at - 1], function) &&
			    stacks_is(stack->frames[at - 2], caller))
				between += stack->value;
		}
	}
	RUN_CHECK(run, between >= 200 * MS && between >= stacks_under(stacks, caller, callee),
		  "%llu of %llu ns are in %s > %s > %s; %s", (unsigned long long)between,
		  (unsigned long long)stacks_under(stacks, caller, callee), caller, function,
		  callee, stacks_names(run, stacks));
}

Test(sites, what_calls_back_is_between)
{
	struct run *run = run_kind("back");
	struct stacks *stacks = stacks_read(run, run_check_good(run));

	check_between(run, stacks, "use_key", "builtins.sorted", "key");
	check_between(run, stacks, "use_reduce", "_functools.reduce", "add");
	check_between(run, stacks, "use_generator", "builtins.sum", "generate");
	stacks_free(stacks);
	run_free(run);
}

Test(sites, constructors_and_class_methods)
{
	struct run *run = run_kind("constructors");
	struct stacks *stacks = stacks_read(run, run_check_good(run));
	static const char *const names[] = { "dict.fromkeys", "frozenset", "bytearray" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		RUN_CHECK(run, stacks_under(stacks, "use_constructors", names[i]), "no %s; %s",
			  names[i], stacks_names(run, stacks));
	stacks_free(stacks);
	run_free(run);
}

/* Functions and the C functions at the leaf in them. */
static void check_names(struct run *run, const struct stacks *stacks, const char *const (*names)[2],
			size_t count)
{
	for (size_t i = 0; i < count; i++)
		RUN_CHECK(run, stacks_under(stacks, names[i][0], names[i][1]) >= 20 * MS,
			  "no %s in %s; %s", names[i][1], names[i][0], stacks_names(run, stacks));
}

/* With the class in between, or without, where CPython itself enters __init__ (3.13+). */
static void check_init(struct run *run, const struct stacks *stacks)
{
	for (size_t i = 0; i < stacks->count; i++) {
		const struct stack *stack = &stacks->stacks[i];
		size_t at = 0;

		while (at < stack->depth && !stacks_is(stack->frames[at], "Made.__init__"))
			at++;
		if (at == stack->depth)
			continue;
		at -= at > 1 && stacks_is(stack->frames[at - 1], "__main__.Made");
		RUN_CHECK(run, at > 1 && stacks_is(stack->frames[at - 1], "use_made"), "%s",
			  stacks_names(run, stacks));
	}
}

Test(sites, names_are_those_that_a_python_programmer_writes)
{
	static const char *const names[][2] = {
		{ "use_made", "Made.__init__" },
		{ "use_bound", "list.index" },
		{ "Rows.sort", "list.sort" },
		{ "Rows.pack", "tuple" },
		{ "use_partial", "functools.partial" },
		{ "use_called", "operator.itemgetter.__call__" },
		{ "use_slot", "list.__add__" },
		{ "use_starred", "builtins.max" },
		{ "use_type", "type" },
	};
	struct run *run = run_kind("named");
	struct stacks *stacks = stacks_read(run, run_check_good(run));

	check_names(run, stacks, names, sizeof(names) / sizeof(names[0]));
	check_init(run, stacks);
	stacks_free(stacks);
	run_free(run);
}

Test(sites, numpys_where_it_is)
{
	static const char *const names[][2] = {
		{ "use_vector_dot", "numpy.ndarray.dot" },
		{ "use_ufunc", "numpy.add" },
		{ "use_reduce_ufunc", "numpy.ufunc.reduce" },
	};
	struct run *run = run_kind("arrays");
	struct stacks *stacks = stacks_read(run, run_check_good(run));

	if (!strstr(run->out, "none"))
		check_names(run, stacks, names, sizeof(names) / sizeof(names[0]));
	stacks_free(stacks);
	run_free(run);
}

Test(sites, threads_tell_and_are_told)
{
	struct run *run = run_kind("in_thread");

	common_check(run, run_check_good(run), "call", "builtins.sorted", 400);
	run_free(run);
}

/* The sites that the parent has heard tell no more. */
Test(sites, a_child_knows_what_its_parent_has_learnt)
{
	struct run *run = run_kind("in_child");
	const char *parent = common_profile(run, run->pid);

	run_check_exit(run, 0);
	run_check_silent(run);
	for (size_t i = 0; i < run_count(run, ".pb.gz"); i++) {
		const char *path = run_file_at(run, ".pb.gz", i);
		bool is_parent = strcmp(path, parent) == 0;

		common_check(run, path, "call", "zlib.compress", is_parent ? 200 : 400);
	}
	RUN_CHECK(run, run_count(run, ".pb.gz") == 2, "parent and child");
	run_free(run);
}

Test(sites, the_program_sees_nothing_of_it)
{
	struct run *run = run_kind("state"), *plain = run_new();

	plain->is_plain = true;
	run_go(plain, python_path(), run_program("sites.py"), "state", NULL);
	run_check_exit(plain, 0);
	run_check_exit(run, 0);
	run_check_silent(run);
	RUN_CHECK(run, strcmp(run->out, plain->out) == 0, "%s without us: %s", run->out,
		  plain->out);
	run_free(plain);
	run_free(run);
}

Test(sites, who_asks_for_the_id_gets_it)
{
	struct run *run = run_kind("asked");
	struct stacks *stacks;

	run_check_exit(run, 0);
	RUN_CHECK(run, strstr(run->out, "4 other\n3 other\n5 other\n"), "not served");
	run_check_line(run, "sites: the program took sys.monitoring's tool id");
	stacks = stacks_read(run, common_profile(run, run->pid));
	RUN_CHECK(run, stacks_with(stacks, "builtins.sum") >= 100 * MS, "not learnt on its new id");
	RUN_CHECK(run, stacks_with(stacks, "builtins.sorted") >= 400 * MS, "not kept");
	RUN_CHECK(run, strstr(stacks->comments, "sites.state=lost its tool id"), "not told");
	stacks_free(stacks);
	run_free(run);
}

Test(sites, all_ids_taken)
{
	struct run *run = run_new();
	const char *taken = run_write(run, "sitecustomize.py",
				      "import sys\n"
				      "for tool in range(6):\n"
				      "    sys.monitoring.use_tool_id(tool, 'other')\n");

	run_set(run, "PYTHONPATH",
		run_text(run, "%.*s", (int)(strrchr(taken, '/') - taken), taken));
	run_set(run, "MONPROF_COLLECT", "cpu,sites");
	run_go(run, python_path(), run_program("burn.py"), NULL);
	run_check_exit(run, 0);
	run_check_line(run, "sites: no tool id of sys.monitoring is free");
	common_check(run, common_profile(run, run->pid), "burn", "spin", 300);
	run_free(run);
}

Test(sites, a_storm_of_restarts_is_left_alone)
{
	struct run *run = run_kind("storm");
	struct stacks *stacks = stacks_read(run, run_check_good(run));

	RUN_CHECK(run, strstr(stacks->comments, "sites.state=off: it cost too much"), "%s",
		  stacks->comments);
	stacks_free(stacks);
	run_free(run);
}

/* The recording grows with what is sampled; two thirds of the code objects come after the first look. */
Test(sites, code_that_comes_and_goes_takes_no_memory)
{
	struct run *run = run_kind("codes");
	struct stacks *stacks = stacks_read(run, run_check_good(run));

	RUN_CHECK(run, said(run, "grown") < 4096 * MS, "resident: %s kB", run->out);
	RUN_CHECK(run, stacks_under(stacks, "use_compress", "zlib.compress") >= 200 * MS, "%s",
		  stacks_names(run, stacks));
	stacks_free(stacks);
	run_free(run);
}
