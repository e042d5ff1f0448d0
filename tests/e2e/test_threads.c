/*
 * test_threads.c - every thread's CPU time is in the profile, under its name.
 */
#include "common.h"

#include <stdlib.h>
#include <string.h>

static struct run *run_threads(const char *kind)
{
	struct run *run = run_new();

	run_set(run, "MONPROF_CPU_HZ", "200");
	run_go(run, python_path(), run_program("threads.py"), kind, NULL);
	run_check_good(run);
	return run;
}

/* The program has printed its threads' CPU time: so much of it is in `function`. */
static void check_used(struct run *run, const char *function, double share)
{
	struct stacks *stacks = stacks_read(run, run_file(run, ".pb.gz"));
	double used_ns = atof(run->out) * 1e9;
	double found_ns = (double)stacks_with(stacks, function);

	RUN_CHECK(run, used_ns > 0, "it printed no time");
	RUN_CHECK(run, found_ns > used_ns * share && found_ns < used_ns * 1.1,
		  "%.0f ns in %s, its threads used %.0f; %s", found_ns, function, used_ns,
		  stacks_names(run, stacks));
	stacks_free(stacks);
}

Test(threads, eight_busy)
{
	struct run *run = run_threads("busy");
	struct stacks *stacks = stacks_read(run, run_file(run, ".pb.gz"));

	check_used(run, "worker", 0.9);
	RUN_CHECK(run, stacks_threads(stacks) >= 8, "%zu threads, wanted 8 at least",
		  stacks_threads(stacks));
	for (size_t i = 0; i < stacks->count; i++)
		RUN_CHECK(run,
			  stacks->stacks[i].pid == (uint64_t)run->pid &&
				  (stacks->stacks[i].thread_id ||
				   strcmp(stacks->stacks[i].thread_name, "[process]") == 0),
			  "a sample of thread %llu %s, pid %llu",
			  (unsigned long long)stacks->stacks[i].thread_id,
			  stacks->stacks[i].thread_name, (unsigned long long)stacks->stacks[i].pid);
	stacks_free(stacks);
	run_free(run);
}

/* Python's own names are asked for at each flush; these threads live through many. */
Test(threads, python_names)
{
	struct run *run = run_new();
	struct stacks *stacks;
	char *tags;

	run_set(run, "MONPROF_FLUSH", "20ms");
	run_go(run, python_path(), run_program("threads.py"), "busy", NULL);
	run_check_good(run);
	stacks = stacks_read(run, run_file(run, ".pb.gz"));
	tags = run_pprof(run, "-tags", run_file(run, ".pb.gz"));
	for (unsigned i = 0; i < 8; i++) {
		const char *name = run_text(run, "worker-%u", i);

		RUN_CHECK(run, stacks_of_thread(stacks, name) >= 100 * MS && strstr(tags, name),
			  "%llu ns of thread %s, wanted 150 ms; pprof -tags:\n%s",
			  (unsigned long long)stacks_of_thread(stacks, name), name, tags);
	}
	stacks_free(stacks);
	run_free(run);
}

Test(threads, short_lives)
{
	struct run *run = run_threads("short");
	struct stacks *stacks = stacks_read(run, run_file(run, ".pb.gz"));
	double used_ns = atof(run->out) * 1e9;
	double found_ns = (double)stacks_total(stacks);

	RUN_CHECK(run, found_ns > used_ns * 0.97, "%.0f ns in all, its threads used %.0f", found_ns,
		  used_ns);
	RUN_CHECK(run, stacks_self(stacks, "[thread exit]"), "no [thread exit]: %s",
		  stacks_names(run, stacks));
	stacks_free(stacks);
	run_free(run);
}

/* Threads that ended before any sample could see them: nearly all of their time is below `function`. */
static void check_start(const char *kind, const char *function)
{
	struct run *run = run_new();
	struct stacks *stacks;
	uint64_t exits_ns = 0, under_ns = 0;

	run_set(run, "MONPROF_CPU_HZ", "100");
	run_go(run, python_path(), run_program("starts.py"), kind, NULL);
	stacks = stacks_read(run, run_check_good(run));
	for (size_t i = 0; i < stacks->count; i++) {
		const struct stack *stack = &stacks->stacks[i];

		if (!stacks_is(stack->frames[stack->depth - 1], "[thread exit]") ||
		    strcmp(stack->thread_name, "[process]") == 0 ||
		    strcmp(stack->thread_name, "MainThread") == 0)
			continue;
		exits_ns += stack->value;
		if (stack->depth > 1 && stacks_is(stack->frames[stack->depth - 2], function))
			under_ns += stack->value;
	}
	RUN_CHECK(run, exits_ns > 100 * MS, "only %llu ns in [thread exit]; %s",
		  (unsigned long long)exits_ns, stacks_names(run, stacks));
	RUN_CHECK(run, under_ns * 100 >= exits_ns * 95,
		  "%s: %llu of %llu ns of [thread exit] stand below %s; %s", kind,
		  (unsigned long long)under_ns, (unsigned long long)exits_ns, function,
		  stacks_names(run, stacks));
	stacks_free(stacks);
	run_free(run);
}

Test(threads, never_sampled_target)
{
	check_start("target", "work");
}

Test(threads, never_sampled_subclass)
{
	check_start("subclass", "Worker.run");
}

Test(threads, never_sampled_partial)
{
	check_start("partial", "work");
}

Test(threads, never_sampled_lambda_that_is_dropped)
{
	check_start("lambda", "kind_lambda.<locals>.<lambda>");
}

Test(threads, never_sampled_without_threading)
{
	check_start("raw", "kind_raw.<locals>.work_and_tell");
}

/* The target is the property's secret: the time stands below what asks for it. */
Test(threads, never_sampled_target_that_must_not_be_asked_for)
{
	check_start("shy", "Thread.run");
}

Test(threads, of_c_with_odd_arguments)
{
	struct run *run = run_new();

	run_go(run, python_path(), run_program("starts.py"), "odd", NULL);
	run_check_good(run);
	run_free(run);
}

Test(threads, daemons_at_the_end)
{
	struct run *run = run_threads("daemon");

	common_check(run, run_file(run, ".pb.gz"), "burn", "spin", 300);
	run_free(run);
}

Test(threads, daemons_at_the_end_with_debug_allocators)
{
	struct run *run = run_new();

	run_set(run, "PYTHONMALLOC", "debug");
	run_go(run, python_path(), "-X", "dev", run_program("threads.py"), "daemon", NULL);
	common_check(run, run_check_good(run), "burn", "spin", 300);
	run_free(run);
}

Test(threads, unjoined)
{
	struct run *run = run_threads("unjoined");

	common_check(run, run_file(run, ".pb.gz"), "worker", "spin", 300);
	run_free(run);
}

Test(threads, raw)
{
	struct run *run = run_threads("raw");

	check_used(run, "worker", 0.9);
	run_free(run);
}

Test(threads, many)
{
	struct run *run = run_threads("many");

	common_check(run, run_file(run, ".pb.gz"), "burn", "spin", 300);
	run_free(run);
}

static struct run *run_native(const char *kind, const char *function)
{
	struct run *run = run_new();
	const char *library = run_text(run, "%s/native_threads.so", run->root);
	int status;
	char *said = run_tool(run, &status, "cc", "-O1", "-shared", "-fPIC", "-pthread", "-o",
			      library, run_program("native_threads.c"), NULL);

	RUN_CHECK(run, status == 0, "cc: %s", said);
	run_set(run, "MONPROF_FLUSH", "20ms");
	run_go(run, python_path(), run_program("threads.py"), kind, library, function, NULL);
	run_check_good(run);
	return run;
}

Test(threads, of_a_c_library)
{
	static const char *const functions[] = { "thread_pthread", "thread_thrd" };

	for (size_t i = 0; i < 2; i++) {
		struct run *run = run_native("native", functions[i]);
		struct stacks *stacks = stacks_read(run, run_file(run, ".pb.gz"));

		RUN_CHECK(run, stacks_self(stacks, "[native]") >= 250 * MS,
			  "%s: %llu ns in [native], wanted 300 ms; %s", functions[i],
			  (unsigned long long)stacks_self(stacks, "[native]"),
			  stacks_names(run, stacks));
		RUN_CHECK(run, stacks_of_thread(stacks, "by-the-kernel") >= 250 * MS,
			  "%s: %llu ns of thread by-the-kernel; pprof -tags:\n%s", functions[i],
			  (unsigned long long)stacks_of_thread(stacks, "by-the-kernel"),
			  run_pprof(run, "-tags", run_file(run, ".pb.gz")));
		stacks_free(stacks);
		run_free(run);
	}
}

Test(threads, of_a_c_library_calling_python)
{
	struct run *run = run_native("native_call", NULL);

	check_used(run, "worker", 0.9);
	run_free(run);
}

/* Its zombie stays in the list of threads; it is nobody to wait for, and its time counts once. */
Test(threads, main_leaves_first)
{
	struct run *run = run_new(), *plain = run_new();

	plain->is_plain = true;
	run_go(plain, python_path(), run_program("main_leaves.py"), NULL);
	run_set(run, "MONPROF_FLUSH", "20ms");
	run_go(run, python_path(), run_program("main_leaves.py"), NULL);
	RUN_CHECK(run, run->status == plain->status, "without us: %s", run_ending(plain));
	RUN_CHECK(run, strcmp(run->out, plain->out) == 0, "stdout differs");
	run_free(plain);
	run_free(run);
}
