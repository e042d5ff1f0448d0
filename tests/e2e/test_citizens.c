/*
 * test_citizens.c - programs that use what we use (sys.monitoring, other profilers, debuggers, coverage), each as
 * if alone: what they print and how they end is the same with us, whether calls are observed always, half of the
 * time or hardly ever; and we say what we lost.
 */
#include "common.h"

#include <stdlib.h>
#include <string.h>

/* Who says that the program took its id. */
enum said { NOBODY, CALLS = 1, SITES = 2 };

struct citizen {
	char *const *arguments; /* of Python, NULL ends them */
	const char *preload; /* NULL: the library */
	const char *input;
	const char *jit;
	const char *also_said; /* a line more, NULL: none */
	enum said said;
	int exit_status;
};

static void set_up(struct run *run, const struct citizen *citizen)
{
	run->limit_s = 120;
	run->input = citizen->input;
	run_set(run, "PYTHON_JIT", citizen->jit);
}

static void go(struct run *run, const struct citizen *citizen)
{
	char *argv[RUN_ARGS_MAX] = { (char *)python_path(), "-B" };

	for (size_t i = 0; (argv[i + 2] = citizen->arguments[i]); i++)
		;
	run_args(run, argv);
	run_check_exit(run, citizen->exit_status);
}

/* A line each, and no others. */
static void check_said(struct run *run, enum said said, const char *also)
{
	static const char *const lines[] = {
		"calls: the program took sys.monitoring's tool id",
		"sites: the program took sys.monitoring's tool id",
	};
	unsigned wanted = also != NULL, count = 0;

	RUN_CHECK(run, !also || strstr(run->err, also), "wanted \"%s\"", also);
	for (unsigned i = 0; i < 2; i++) {
		bool is_wanted = said >> i & 1;

		wanted += is_wanted;
		RUN_CHECK(run, !is_wanted == !strstr(run->err, lines[i]), "wanted %s\"%s\"",
			  is_wanted ? "" : "no ", lines[i]);
	}
	for (const char *at = run->err; (at = strchr(at, '\n')); at++)
		count++;
	RUN_CHECK(run, count == wanted, "wanted %u lines on stderr", wanted);
}

/* The profiles say it, too. */
static void check_remarks(struct run *run, enum said said)
{
	const char *state = said & SITES ? "sites.state=lost its tool id" : "sites.state=o";
	struct stacks *stacks = stacks_read(run, common_profile(run, run->pid));

	RUN_CHECK(run, strstr(stacks->comments, state), "wanted %s in\n%s", state,
		  stacks->comments);
	stacks_free(stacks);
}

static void check_rate(const struct citizen *citizen, const char *rate, const char *out)
{
	struct run *run = run_new();

	set_up(run, citizen);
	run->preload = citizen->preload;
	run_set(run, "MONPROF_COLLECT", "cpu,sites,calls");
	run_set(run, "MONPROF_CALLS_RATE", rate);
	go(run, citizen);
	RUN_CHECK(run, strcmp(run->out, out) == 0, "at %s; alone it says: %s", rate, out);
	check_said(run, citizen->said, citizen->also_said);
	check_remarks(run, citizen->said);
	/* At 1 % it may end before it is looked at. */
	RUN_CHECK(run,
		  citizen->said & CALLS || strcmp(rate, "1%") == 0 ||
			  run_count(run, ".calls.pb.gz") == 1,
		  "wanted a profile of calls at %s", rate);
	run_free(run);
}

static void check(const struct citizen *citizen)
{
	static const char *const rates[] = { "50%", "100%", "1%" };
	struct run *plain = run_new();

	set_up(plain, citizen);
	plain->is_plain = true;
	go(plain, citizen);
	for (unsigned i = 0; i < (run_is_full() ? 3 : 1); i++)
		check_rate(citizen, rates[i], plain->out);
	run_free(plain);
}

static void check_with(enum said said, const char *option, const char *kind, const char *argument)
{
	char *const arguments[] = { (char *)option, (char *)run_program("citizen.py"), (char *)kind,
				    (char *)argument, NULL };
	struct citizen citizen = { .arguments = arguments, .said = said, .exit_status = 3 };

	check(&citizen);
}

static void check_kind(enum said said, const char *kind)
{
	check_with(said, "-B", kind, NULL);
}

/* ---- profilers ---- */

Test(citizens, cprofile_gets_its_id)
{
	check_kind(NOBODY, "cprofile");
}

Test(citizens, tracing_gets_its_id)
{
	if (python_minor() < 15)
		cr_skip_test("this Python has no profiling.tracing");
	check_kind(NOBODY, "tracing");
}

Test(citizens, setprofile)
{
	check_kind(NOBODY, "setprofile");
}

Test(citizens, setprofile_often)
{
	check_kind(NOBODY, "setprofile_often");
}

Test(citizens, profile)
{
	check_kind(NOBODY, "profile");
}

Test(citizens, calls_of_its_own)
{
	check_kind(NOBODY, "calls");
}

Test(citizens, frame_evaluator)
{
	struct run *run = run_new();
	const char *library = run_text(run, "%s/evaluator.so", run->root);
	int status;
	char *said = run_tool(run, &status, "cc", "-O1", "-g", "-fPIC", "-shared", "-o", library,
			      run_program("evaluator.c"), NULL);

	RUN_CHECK(run, status == 0, "cc: %s", said);
	check_with(NOBODY, "-B", "evaluator", library);
	run_free(run);
}

/* Only the one that is loaded first measures. */
Test(citizens, another_copy_of_us)
{
	struct run *run = run_new();
	const char *ours = run_tested("LIBMONPROF");
	const char *copy = run_text(run, "%s/libother.so", run->root);
	char *const arguments[] = { (char *)run_program("citizen.py"), "cprofile", NULL };
	struct citizen citizen = {
		.arguments = arguments,
		.preload = run_text(run, "%s:%s", ours, copy),
		.also_said = "another copy of this library was loaded before this one",
		.exit_status = 3,
	};
	int status;

	run_tool(run, &status, "cp", ours, copy, NULL);
	RUN_CHECK(run, status == 0, "cp");
	check(&citizen);
	run_free(run);
}

/* ---- debuggers ---- */

Test(citizens, settrace)
{
	check_kind(NOBODY, "settrace");
}

Test(citizens, pdb)
{
	char *const arguments[] = { "-m", "pdb", (char *)run_program("citizen.py"), "plain", NULL };
	struct citizen citizen = {
		.arguments = arguments,
		.input = "break leaf\ncontinue\nwhere\nstep\nstep\nreturn\nnext\nclear 1\n"
			 "until\np sorted([2, 1], key=abs)\nbreak deep\ncontinue\nargs\nclear 2\n"
			 "continue\nquit\n",
	};

	check(&citizen);
}

/* ---- coverage ---- */

Test(citizens, coverage_of_all_code)
{
	check_kind(NOBODY, "coverage");
}

Test(citizens, coverage_by_code)
{
	check_kind(NOBODY, "sysmon");
}

Test(citizens, coverage_of_coverage)
{
	check_kind(NOBODY, "sysmon_within");
}

Test(citizens, restarts_all_the_time)
{
	check_kind(NOBODY, "restarts");
}

/* ---- ids and callbacks ---- */

Test(citizens, all_ids_are_taken)
{
	check_kind(CALLS | SITES, "all_ids");
}

Test(citizens, who_looks_sees_nobody)
{
	check_kind(NOBODY, "looks");
}

Test(citizens, id_of_calls_is_freed)
{
	check_with(NOBODY, "-B", "frees", "2");
}

Test(citizens, id_of_sites_is_freed)
{
	check_with(NOBODY, "-B", "frees", "4");
}

Test(citizens, id_of_calls_is_cleared)
{
	if (python_minor() < 14)
		cr_skip_test("this Python has no clear_tool_id");
	check_with(NOBODY, "-B", "clears", "2");
}

Test(citizens, id_of_sites_is_cleared)
{
	if (python_minor() < 14)
		cr_skip_test("this Python has no clear_tool_id");
	check_with(NOBODY, "-B", "clears", "4");
}

Test(citizens, callbacks_on_the_id_of_calls)
{
	check_with(NOBODY, "-B", "callbacks", "2");
}

Test(citizens, callbacks_on_the_id_of_sites)
{
	check_with(NOBODY, "-B", "callbacks", "4");
}

Test(citizens, audit_hook_hears_nothing_of_us)
{
	check_kind(NOBODY, "audit");
}

/* ---- other ways to run Python ---- */

Test(citizens_under, dev_mode)
{
	if (!run_is_full())
		cr_skip_test("for a full run");
	check_with(NOBODY, "-Xdev", "cprofile", NULL);
	check_with(NOBODY, "-Xdev", "sysmon", NULL);
}

Test(citizens_under, perf)
{
	if (!run_is_full())
		cr_skip_test("for a full run");
	check_with(NOBODY, "-Xperf", "cprofile", NULL);
	check_with(NOBODY, "-Xperf", "sysmon", NULL);
}

static void check_jit(const char *kind)
{
	char *const arguments[] = { (char *)run_program("citizen.py"), (char *)kind, NULL };
	struct citizen citizen = { .arguments = arguments, .jit = "1", .exit_status = 3 };

	check(&citizen);
}

Test(citizens_under, jit)
{
	if (!run_is_full())
		cr_skip_test("for a full run");
	if (python_minor() < 14)
		cr_skip_test("this Python has no JIT");
	check_jit("sysmon");
	check_jit("restarts");
	check_jit("cprofile");
}
