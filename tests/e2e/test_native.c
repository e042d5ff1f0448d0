/*
 * test_native.c - native frames stand where they ran: between Python's, in threads of C, and on stacks that are
 * not a thread's own they are missed and counted. The library they are of is compiled here, in several ways.
 */
#include "common.h"

#include <stdlib.h>
#include <string.h>

#define SECONDS "0.5"

/* The ways a compiler may leave a stack. */
static const char *const ways[] = {
	"-O2 -fomit-frame-pointer",
	"-O0 -fno-omit-frame-pointer",
	"-O3 -fomit-frame-pointer -flto",
	"-Os -fno-omit-frame-pointer -fcf-protection=full",
};

static const char *compiled(struct run *run, const char *way)
{
	const char *library = run_text(run, "%s/libnative.so", run->root);
	const char *command = run_text(run, "cc %s -g -shared -fPIC -pthread -o %s %s", way,
				       library, run_program("native.c"));
	int status;
	char *said = run_tool(run, &status, "sh", "-c", command, NULL);

	RUN_CHECK(run, status == 0, "%s: %s", command, said);
	return library;
}

static struct run *run_kind(const char *native, const char *kind, const char *way)
{
	struct run *run = run_new();

	run_set(run, "MONPROF_NATIVE", native);
	run_set(run, "MONPROF_CPU_HZ", "250");
	run_go(run, python_path(), run_program("native.py"), compiled(run, way), kind, SECONDS,
	       NULL);
	return run;
}

/* Names from the root on, each somewhere above the one before; in nearly all of what is below the first. */
static void check_order(struct run *run, const char *const *names)
{
	struct stacks *stacks = stacks_read(run, run_check_good(run));
	uint64_t all = stacks_with(stacks, names[0]), right = 0;

	for (size_t i = 0; i < stacks->count; i++) {
		const struct stack *stack = &stacks->stacks[i];
		size_t next = 0;

		for (size_t depth = 0; depth < stack->depth && names[next]; depth++)
			next += stacks_is(stack->frames[depth], names[next]);
		right += names[next] ? 0 : stack->value;
	}
	RUN_CHECK(run, all >= 400 * MS && right * 100 >= all * 95,
		  "%llu of %llu ns of %s are in the order that is wanted; %s",
		  (unsigned long long)right, (unsigned long long)all, names[0],
		  run_pprof(run, "-traces", run_file(run, ".pb.gz")));
	stacks_free(stacks);
}

/* What is counted as missing, of all reasons, is so little of the samples. */
static void check_losses(struct run *run, unsigned most)
{
	struct stacks *stacks = stacks_read(run, run_file(run, ".pb.gz"));
	const char *lost = strstr(stacks->comments, "native_");
	unsigned count = 0;

	for (; lost; lost = strstr(lost + 1, "native_"))
		count += (unsigned)strtoul(strpbrk(lost, "= :") + 1, NULL, 10);
	RUN_CHECK(run, count <= most, "%u frames or stacks are missing; %s", count,
		  stacks->comments);
	stacks_free(stacks);
}

Test(native, leaf)
{
	static const char *const order[] = { "outer",	      "call",	      "native_outer",
					     "native_middle", "native_inner", NULL };

	for (size_t i = 0; i < (run_is_full() ? sizeof(ways) / sizeof(ways[0]) : 1); i++) {
		struct run *run = run_kind("leaf", "outer", ways[i]);

		check_order(run, order);
		check_losses(run, 1);
		run_free(run);
	}
}

Test(native, python_between_c)
{
	static const char *const order[] = { "between",	     "native_call",  "called_back",
					     "native_outer", "native_inner", NULL };

	for (size_t i = 0; i < (run_is_full() ? sizeof(ways) / sizeof(ways[0]) : 1); i++) {
		struct run *run = run_kind("yes", "between", ways[i]);

		check_order(run, order);
		check_losses(run, 1);
		run_free(run);
	}
}

Test(native, leaf_has_none_between)
{
	static const char *const order[] = { "between", "called_back", "native_outer",
					     "native_inner", NULL };
	struct run *run = run_kind("leaf", "between", ways[0]);
	struct stacks *stacks;

	check_order(run, order);
	stacks = stacks_read(run, run_file(run, ".pb.gz"));
	RUN_CHECK(run, !stacks_with(stacks, "native_call"), "%s", stacks_names(run, stacks));
	stacks_free(stacks);
	run_free(run);
}

Test(native, no_is_none)
{
	struct run *run = run_kind("no", "outer", ways[0]);
	struct stacks *stacks = stacks_read(run, run_check_good(run));

	RUN_CHECK(run, !stacks_with(stacks, "native_outer") && stacks_with(stacks, "call"), "%s",
		  stacks_names(run, stacks));
	stacks_free(stacks);
	run_free(run);
}

/* The loader ends its search at a file of that name which is none. */
Test(native, without_libunwind_one_line_says_so)
{
	struct run *run = run_new();
	struct stacks *stacks;

	run_write(run, "libunwind-x86_64.so.8", "");
	run_set(run, "LD_LIBRARY_PATH", run->root);
	run_set(run, "MONPROF_NATIVE", "yes");
	run_go(run, python_path(), run_program("native.py"), compiled(run, ways[0]), "outer",
	       SECONDS, NULL);
	run_check_exit(run, 0);
	run_check_line(run, "native frames need libunwind");
	stacks = stacks_read(run, run_file(run, ".pb.gz"));
	RUN_CHECK(run,
		  stacks_under(stacks, "outer", "call") >= 400 * MS &&
			  !stacks_with(stacks, "native_outer"),
		  "%s", stacks_names(run, stacks));
	stacks_free(stacks);
	run_free(run);
}

Test(native, through_libc)
{
	static const char *const order[] = { "sort", "native_sort", "native_inner", NULL };
	struct run *run = run_kind("leaf", "sort", ways[0]);

	check_order(run, order);
	check_losses(run, 1);
	run_free(run);
}

Test(native, without_symbols)
{
	struct run *run = run_kind("leaf", "outer", "-O2 -s -fomit-frame-pointer");
	static const char *const order[] = { "outer", "call", "native_outer", NULL };

	/* What is exported has a name, what is not is said to be unknown, with where it is. */
	check_order(run, order);
	run_free(run);
}

Test(native, threads_of_c)
{
	static const char *const kinds[] = { "thread", "thrd" };

	for (size_t i = 0; i < 2; i++) {
		struct run *run = run_new();
		static const char *const order[] = { "native_outer", "native_inner", NULL };

		run_set(run, "MONPROF_NATIVE", "leaf");
		run_set(run, "MONPROF_FLUSH", "20ms");
		run_set(run, "MONPROF_CPU_HZ", "250");
		run_go(run, python_path(), run_program("native.py"), compiled(run, ways[0]),
		       kinds[i], SECONDS, NULL);
		check_order(run, order);
		run_free(run);
	}
}

/* Deeper than the limit of frames, and than what is copied. */
Test(native, deep)
{
	static const char *const recursion[] = { "recurse", "native_outer", "native_inner", NULL };
	static const char *const deep[] = { "called_back", "native_outer", "native_inner", NULL };
	static const char *const turns[] = { "in_turns",     "turns",	     "native_call", "turns",
					     "native_outer", "native_inner", NULL };
	struct run *run = run_kind("leaf", "recursion", ways[0]);

	check_order(run, recursion);
	run_free(run);
	run = run_kind("yes", "deep", ways[0]);
	check_order(run, deep);
	run_free(run);
	run = run_kind("yes", "in_turns", ways[0]);
	check_order(run, turns);
	check_losses(run, 1);
	run_free(run);
}

/* Not one's own stack: Python's frames are there, the native ones are counted as missing. */
Test(native, on_other_stacks)
{
	static const char *const kinds[] = { "context", "alternate" };

	for (size_t i = 0; i < 2; i++) {
		struct run *run = run_kind("yes", kinds[i], ways[0]);
		struct stacks *stacks = stacks_read(run, run_check_good(run));

		RUN_CHECK(run, stacks_under(stacks, kinds[i], "call") >= 400 * MS, "%s",
			  stacks_names(run, stacks));
		RUN_CHECK(run, strstr(stacks->comments, "native_stack"), "%s", stacks->comments);
		stacks_free(stacks);
		run_free(run);
	}
}

/* A C function whose name its call site has told is one frame, not two. */
Test(native, callees_are_one_frame)
{
	static const char *const order[] = { "use_keys", "builtins.sorted", "key", NULL };
	struct run *run = run_kind("yes", "use_keys", ways[0]);
	struct stacks *stacks = stacks_read(run, run_check_good(run));

	RUN_CHECK(run,
		  stacks_under(stacks, order[0], order[1]) &&
			  stacks_under(stacks, order[1], order[2]),
		  "%s", stacks_names(run, stacks));
	RUN_CHECK(run, !stacks_with(stacks, "builtin_sorted"), "%s", stacks_names(run, stacks));
	stacks_free(stacks);
	run_free(run);
}

/* In an interpreter without symbols the loop has no name. */
Test(native, interpreter_is_folded_away)
{
	struct run *run = run_kind("yes", "between", ways[0]), *shown = run_new();
	struct stacks *stacks = stacks_read(run, run_check_good(run)), *more;

	RUN_CHECK(run, !stacks_with(stacks, "_PyEval_EvalFrameDefault"), "%s",
		  stacks_names(run, stacks));
	run_set(shown, "MONPROF_NATIVE", "yes");
	run_set(shown, "MONPROF_NATIVE_HIDE", "no");
	run_go(shown, python_path(), run_program("native.py"), compiled(shown, ways[0]), "between",
	       SECONDS, NULL);
	more = stacks_read(shown, run_check_good(shown));
	RUN_CHECK(shown,
		  stacks_with(more, "Py_RunMain") >= 400 * MS && !stacks_with(stacks, "Py_RunMain"),
		  "%s", stacks_names(shown, more));
	stacks_free(stacks);
	stacks_free(more);
	run_free(shown);
	run_free(run);
}

/* Of everything: hardly anything that is not known. */
Test(native, little_is_missing)
{
	struct run *run = run_new();

	run_set(run, "MONPROF_NATIVE", "yes");
	run_set(run, "MONPROF_CPU_HZ", run_often());
	run_go(run, python_path(), run_program("native.py"), compiled(run, ways[0]), "mixed", "0.3",
	       NULL);
	run_check_good(run);
	check_losses(run, 5);
	run_free(run);
}

/* Of the recording and of its profile, whose libraries stand in mappings alone. */
Test(native, a_profile_reports_what_its_recording_does)
{
	static const char *const bys[] = { "function", "line", "file" };
	struct run *run = run_new();
	const char *recording, *profile, *part;
	struct stacks *whole, *kept;

	run_set(run, "MONPROF_COLLECT", "cpu");
	run_set(run, "MONPROF_NATIVE", "yes");
	run_set(run, "MONPROF_KEEP", "yes");
	run_go(run, python_path(), run_program("native.py"), compiled(run, ways[0]), "mixed",
	       SECONDS, NULL);
	run_check_exit(run, 0);
	recording = run_file(run, ".monprof");
	profile = run_file(run, ".pb.gz");
	for (size_t i = 0; i < sizeof(bys) / sizeof(bys[0]); i++) {
		const char *of_recording = run_monprof(run, 0, "report", recording, "--format=csv",
						       "--by", bys[i], NULL);
		const char *of_profile = run_monprof(run, 0, "report", profile, "--format=csv",
						     "--by", bys[i], NULL);

		RUN_CHECK(run, strstr(of_profile, "libnative.so"), "%s", of_profile);
		RUN_CHECK(run, strcmp(of_profile, of_recording) == 0, "%s, not\n%s", of_profile,
			  of_recording);
	}
	whole = stacks_read(run, profile);
	part = run_text(run, "%s/part.pb.gz", run->dir);
	run_monprof(run, 0, "export", recording, "-o", part, "--library=libnative", NULL);
	kept = stacks_read(run, part);
	RUN_CHECK(run,
		  stacks_with(kept, "native_outer") > 0 &&
			  stacks_with(kept, "native_outer") == stacks_with(whole, "native_outer") &&
			  stacks_total(kept) < stacks_total(whole),
		  "%s", stacks_names(run, kept));
	stacks_free(whole);
	stacks_free(kept);
	run_free(run);
}
