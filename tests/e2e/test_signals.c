/*
 * test_signals.c - signals of the program go on as without us: no call comes back early, no handler, mask or
 * stack is another, whoever else uses our signal.
 */
#include "common.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what tests share ---- */

/* tests/programs/<name>.c as a library in the run's root. */
static const char *library_of(struct run *run, const char *name)
{
	const char *library = run_text(run, "%s/%s.so", run->root, name);
	int status;
	char *said = run_tool(run, &status, "cc", "-std=gnu11", "-O1", "-shared", "-fPIC",
			      "-pthread", "-o", library, run_program(run_text(run, "%s.c", name)),
			      NULL);

	RUN_CHECK(run, status == 0, "cc %s.c: %s", name, said);
	return library;
}

/* The same as without us, silently, and the burning is in the profile: it is all that counts. */
static void check_same(struct run *run, unsigned wanted_ms, ...) __attribute__((sentinel));

static void check_same(struct run *run, unsigned wanted_ms, ...)
{
	struct run *plain = run_new();
	char *argv[RUN_ARGS_MAX];
	size_t count = 0;
	va_list args;

	va_start(args, wanted_ms);
	while ((argv[count] = va_arg(args, char *)))
		count++;
	va_end(args);
	plain->is_plain = true;
	plain->limit_s = run->limit_s = 120;
	run_args(plain, argv);
	run_args(run, argv);
	RUN_CHECK(run, run->status == plain->status, "without us: %s", run_ending(plain));
	RUN_CHECK(run, strcmp(run->out, plain->out) == 0, "stdout without us:\n%s", plain->out);
	RUN_CHECK(run, strcmp(run->err, plain->err) == 0, "stderr without us:\n%s", plain->err);
	common_check(run, run_file(run, ".cpu.pb.gz"), "burn", "spin", wanted_ms);
	run_free(plain);
}

/* ---- calls that return early ---- */

static const char early_none[] = "nanosleep 0\npoll 0\nselect 0\nepoll_wait 0\nsem_timedwait 0\n"
				 "recv 0\nppoll 0\npselect 0\nepoll_pwait 0\n";

/* In threads that were sampled all the time. */
static struct run *run_early(const char *hz, const char *clock)
{
	struct run *run = run_new();
	struct stacks *stacks;
	uint64_t samples = 0;

	run_set(run, "MONPROF_CPU_HZ", hz);
	run_set(run, "MONPROF_CPU_CLOCK", clock);
	run_go(run, python_path(), run_program("early.py"), library_of(run, "early"), "1", "100",
	       "200000", NULL);
	run_check_exit(run, 0);
	stacks = stacks_read(run, run_file(run, ".cpu.pb.gz"));
	for (size_t i = 0; i < stacks->count; i++) {
		if (*stacks->stacks[i].thread_name &&
		    strstr(early_none, stacks->stacks[i].thread_name))
			samples += stacks->stacks[i].count;
	}
	RUN_CHECK(run, samples > 9, "only %llu samples of the threads that wait; %s",
		  (unsigned long long)samples, stacks_names(run, stacks));
	stacks_free(stacks);
	return run;
}

static void check_early(const char *hz, const char *clock)
{
	struct run *run = run_early(hz, clock);

	RUN_CHECK(run, strcmp(run->out, early_none) == 0, "%s Hz, %s: some came back early", hz,
		  clock);
	run_free(run);
}

Test(signals_early, none_at_1000_hz)
{
	check_early("1000", "auto");
}

Test(signals_early, none_by_the_tick_alone)
{
	if (!run_is_full())
		cr_skip_test("only in a full run: the tick is beside perf's clock too");
	check_early("1000", "tick");
}

Test(signals_early, none_by_perf_at_any_rate)
{
	if (!run_is_full())
		cr_skip_test("only in a full run: the same as at 1000 Hz, which is beside it");
	check_early("100", "perf");
	check_early("250", "perf");
}

/* The clock that does harm, which who asks for it accepts, shows that the others would be seen to. */
Test(signals_early, some_by_the_monotonic_clock)
{
	struct run *run = run_early("1000", "monotonic");

	RUN_CHECK(run, strcmp(run->out, early_none) != 0, "none came back early");
	run_free(run);
}

/* ---- stacks, timers and signals of the program's own ---- */

static void check_own(const char *function)
{
	struct run *run = run_new();

	run_set(run, "MONPROF_CPU_HZ", "1000");
	run_set(run, "MONPROF_QUIET", "yes");
	check_same(run, 300, python_path(), run_program("own_signals.py"), function,
		   library_of(run, "own_signals"), NULL);
	run_free(run);
}

Test(signals_own, alternate_stacks_that_are_too_small)
{
	check_own("small_stacks");
}

Test(signals_own, coroutines_with_an_alternate_stack)
{
	check_own("contexts");
}

/* Each Python stack is one that the program has: of one coroutine, or of none, never of two. */
static void check_apart(struct run *run)
{
	struct stacks *stacks = stacks_read(run, run_file(run, ".cpu.pb.gz"));
	uint64_t spun = stacks_with(stacks, "spin");
	uint64_t a = stacks_leaf(stacks, "a_root", "spin");
	uint64_t b = stacks_leaf(stacks, "b_root", "spin");

	RUN_CHECK(run, a >= 150 * MS && b >= 150 * MS && a + b == spun,
		  "of %llu ns %llu are in one kind and %llu in the other; %s",
		  (unsigned long long)spun, (unsigned long long)a, (unsigned long long)b,
		  stacks_names(run, stacks));
	RUN_CHECK(run,
		  !stacks_under(stacks, "a_root", "b_root") &&
			  !stacks_under(stacks, "b_root", "a_root") &&
			  !stacks_under(stacks, "run", "a_root") &&
			  !stacks_under(stacks, "run", "b_root"),
		  "a stack is put together of two");
	RUN_CHECK(run, stacks_leaf(stacks, "a_down", "spin") == a, "a piece is missing");
	stacks_free(stacks);
}

Test(signals_own, coroutines_out_of_step_with_python)
{
	struct run *run = run_new(), *plain = run_new();
	const char *library = library_of(run, "coroutines");

	plain->is_plain = true;
	/* Leaves are functions of Python alone: what is in `range` is in spin. */
	run_set(run, "MONPROF_COLLECT", "cpu");
	run_set(run, "MONPROF_CPU_HZ", "1000");
	run_go(plain, python_path(), run_program("coroutines.py"), library, "0.2", NULL);
	run_go(run, python_path(), run_program("coroutines.py"), library, "0.8", NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	RUN_CHECK(run, plain->status == 0 && strcmp(run->out, plain->out) == 0,
		  "without us: %s: %s%s", run_ending(plain), plain->out, plain->err);
	check_apart(run);
	run_free(plain);
	run_free(run);
}

Test(signals_own, timers)
{
	check_own("timers");
}

Test(signals_own, storms)
{
	check_own("storms");
}

Test(signals_own, cancelled_while_a_shell_runs)
{
	struct run *run = run_new();

	/* At a flush the drainer would notice that our handler has gone. */
	run_set(run, "MONPROF_FLUSH", "1h");
	check_same(run, 300, python_path(), run_program("own_signals.py"), "cancelled",
		   library_of(run, "own_signals"), NULL);
	run_free(run);
}

/* All of burn's 0.6 s: those of the threads that have everything blocked too. */
Test(signals_own, threads_born_with_everything_blocked)
{
	struct run *run = run_new();

	check_same(run, 600, python_path(), run_program("own_signals.py"), "born_blocked", NULL);
	run_free(run);
}

static bool is_stopped(struct run *run)
{
	const char *stat = run_read(run, run_text(run, "/proc/%d/stat", run->pid));
	const char *state = stat ? strrchr(stat, ')') : NULL;

	return state && state[2] == 'T';
}

Test(signals_own, stopped_and_continued)
{
	struct run *run = run_new();

	run_start(run, python_path(), run_program("own_signals.py"), "stopped", NULL);
	run_await(run, "ready\n");
	for (unsigned i = 0; i < 20; i++) {
		cr_assert_eq(kill(run->pid, SIGSTOP), 0);
		while (!is_stopped(run))
			usleep(1000);
		cr_assert_eq(kill(run->pid, SIGCONT), 0);
		usleep(5000);
	}
	cr_assert_eq(kill(run->pid, SIGUSR2), 0);
	run_wait(run);
	common_check_burnt(run);
	RUN_CHECK(run, strcmp(run->out, "ready\n[12]\n") == 0, "stdout differs");
	run_free(run);
}

/* ---- libraries that load libraries ---- */

/* outer.so looks for libinner.so in $ORIGIN/inner, which its own RUNPATH says; nobody else is to see it. */
static void check_dlopen(const char *preload)
{
	struct run *run = run_new();
	const char *outer = run_text(run, "%s/outer.so", run->root);
	const char *tested = run_tested("LIBMONPROF");
	char *said;
	int status;

	said = run_tool(run, &status, "sh", "-euc",
			"mkdir $0/inner\n"
			"echo 'int inner(void) { return 7; }' |\n"
			"    cc -shared -fPIC -x c -o $0/inner/libinner.so -\n"
			"cc -shared -fPIC -Wl,--enable-new-dtags,-rpath,'$ORIGIN/inner' -o $1 $2",
			run->root, outer, run_program("outer.c"), NULL);
	RUN_CHECK(run, status == 0, "cc: %s", said);
	if (preload)
		run->preload = run_text(run, preload, tested, outer);
	check_same(run, 300, python_path(), run_program("outer.py"), outer, NULL);
	run_free(run);
}

Test(signals_dlopen, by_runpath)
{
	check_dlopen(NULL);
}

/* Its constructor does it, in front of ours or after. */
Test(signals_dlopen, by_runpath_from_constructors)
{
	if (!run_is_full())
		cr_skip_test("only in a full run");
	check_dlopen("%s %s");
	check_dlopen("%2$s %1$s");
}

/* ---- losses ---- */

/* The sum of the numbers behind a key in the profile's comments. */
static uint64_t comment(const struct stacks *stacks, const char *key)
{
	uint64_t sum = 0;

	for (const char *at = stacks->comments; (at = strstr(at, key)); at += strlen(key))
		sum += strtoull(at + strlen(key), NULL, 10);
	return sum;
}

/*
 * Whatever brought our handler is in the profile: as a sample, as one that was not to be, or as a loss. A handler
 * of the test's own, around ours, counts them.
 */
static void check_ticks(const char *clock, unsigned seconds)
{
	struct run *run = run_new();
	const char *library = library_of(run, "wrap_handler");
	struct stacks *stacks;
	uint64_t samples = 0, skipped, lost, entries;

	run->preload = run_text(run, "%s %s", library, run_tested("LIBMONPROF"));
	run->limit_s = 120;
	run_set(run, "MONPROF_CPU_HZ", "1000");
	run_set(run, "MONPROF_CPU_CLOCK", clock);
	run_set(run, "MONPROF_COLLECT", "cpu");
	run_set(run, "MONPROF_QUIET", "yes");
	/* Nobody is to find it before the end. */
	run_set(run, "MONPROF_FLUSH", "1h");
	run_go(run, python_path(), run_program("wrap_handler.py"), library, "4",
	       run_text(run, "%u", seconds), NULL);
	stacks = stacks_read(run, run_check_good(run));
	for (size_t i = 0; i < stacks->count; i++) {
		const struct stack *stack = &stacks->stacks[i];

		if (!stacks_is(stack->frames[stack->depth - 1], "[thread exit]"))
			samples += stack->count;
	}
	entries = strtoull(run->out, NULL, 10);
	skipped = comment(stacks, "cpu.skipped=");
	lost = comment(stacks, "lost.ring_full=") + comment(stacks, "lost.unsure=") +
	       comment(stacks, "lost.no_memory=");
	RUN_CHECK(run, entries == samples + skipped + lost,
		  "%llu times in the handler, but %llu samples, %llu skipped, %llu lost; %s",
		  (unsigned long long)entries, (unsigned long long)samples,
		  (unsigned long long)skipped, (unsigned long long)lost, stacks->comments);
	/* One in a thousand; a handful of so few is chance. */
	RUN_CHECK(run, samples > 100 * seconds && lost <= entries / 1000 + 3,
		  "%llu samples, %llu lost", (unsigned long long)samples, (unsigned long long)lost);
	stacks_free(stacks);
	run_free(run);
}

Test(signals_losses, every_tick_is_accounted_for)
{
	check_ticks("auto", 2);
}

Test(signals_losses, every_tick_of_the_timer_is_accounted_for)
{
	if (!run_is_full())
		cr_skip_test("only in a full run: both clocks tick in the other one");
	check_ticks("tick", 1);
}

/* ---- a Go runtime, whose scheduler sends our signal ---- */

static void check_go(bool is_before)
{
	struct run *run = run_new();
	const char *tested = run_tested("LIBMONPROF");
	const char *library = run_text(run, "%.*s/tests/go_library.so",
				       (int)(strrchr(tested, '/') - tested), tested);

	if (access(library, R_OK) != 0)
		cr_skip_test("%s is not there: no Go", library);
	if (is_before)
		run->preload = run_text(run, "%s %s", tested, library);
	check_same(run, 300, python_path(), run_program("go_host.py"), library, NULL);
	run_free(run);
}

Test(signals_go, loaded_before_the_start)
{
	if (!run_is_full())
		cr_skip_test("only in a full run");
	check_go(true);
}

Test(signals_go, loaded_after_the_start)
{
	check_go(false);
}
