/*
 * test_limits.c - what the system refuses, or has little of: we go on with less and say so in one line, the program
 * is as it would have been.
 */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* limits.py KIND ARGUMENT with us, and without: the same end, the same output. */
static struct run *run_limits(struct run *run, const char *kind, const char *argument)
{
	struct run *plain = run_new();

	plain->is_plain = true;
	plain->before_exec = run->before_exec;
	run_go(plain, python_path(), run_program("limits.py"), kind, argument, NULL);
	run_go(run, python_path(), run_program("limits.py"), kind, argument, NULL);
	RUN_CHECK(run, run->status == plain->status, "without us: %s", run_ending(plain));
	RUN_CHECK(run, strcmp(run->out, plain->out) == 0, "stdout without us: %s", plain->out);
	RUN_CHECK(run, !*plain->err, "stderr without us: %s", plain->err);
	run_free(plain);
	return run;
}

/* ---- a filter that the program is started under ---- */

#define REFUSED_MOST 4

static struct {
	int numbers[REFUSED_MOST]; /* -1: none */
	int error;
} refused;

static void refuse(void)
{
	struct sock_filter code[3 * REFUSED_MOST + 2], *at = code;
	struct sock_fprog program = { .filter = code };

	*at++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					     offsetof(struct seccomp_data, nr));
	for (unsigned i = 0; i < REFUSED_MOST && refused.numbers[i] >= 0; i++) {
		*at++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
						     (unsigned)refused.numbers[i], 0, 1);
		*at++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
						     SECCOMP_RET_ERRNO | (unsigned)refused.error);
	}
	*at++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = (unsigned short)(at - code);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		_exit(124);
}

static struct run *run_refused(int error, const char *rate, int number, int other)
{
	struct run *run = run_new();

	refused.numbers[0] = number;
	refused.numbers[1] = other;
	refused.numbers[2] = -1;
	refused.error = error;
	run->before_exec = refuse;
	run_set(run, "MONPROF_CPU_HZ", rate);
	run_set(run, "MONPROF_FLUSH", "50ms");
	run_limits(run, "burn", NULL);
	run->before_exec = NULL;
	return run;
}

static void check_sampled(struct run *run, const char *line)
{
	if (line)
		run_check_line(run, line);
	else
		run_check_silent(run);
	common_check(run, common_profile(run, run->pid), "burn", "spin", 200);
	run_free(run);
}

/* A rate above any tick: everything is wanted. */
static void check_refused(int error, const char *line, int number, int other)
{
	if (run_is_full() || error == EPERM)
		check_sampled(run_refused(error, line ? "1000" : run_often(), number, other), line);
}

Test(limits, no_perf_events)
{
	check_refused(EPERM, "perf events are refused here (error 1)", SYS_perf_event_open, -1);
	check_refused(ENOSYS, "perf events are refused here (error 38)", SYS_perf_event_open, -1);
}

Test(limits, no_table_of_descriptors)
{
	check_refused(EPERM, "perf events are refused here", SYS_close_range, -1);
	check_refused(ENOSYS, "perf events are refused here", SYS_close_range, -1);
}

/* Below the tick's rate nothing is missed. */
Test(limits, no_table_of_descriptors_and_none_needed)
{
	check_sampled(run_refused(EPERM, "100", SYS_close_range, -1), NULL);
}

Test(limits, no_reads_of_memory)
{
	check_refused(EPERM, NULL, SYS_process_vm_readv, -1);
	check_refused(ENOSYS, NULL, SYS_process_vm_readv, -1);
}

Test(limits, no_timers)
{
	if (!run_may_perf())
		cr_skip_test("perf events are refused here");
	check_refused(EPERM, "timers are refused here (error 1): perf events tick instead",
		      SYS_timer_create, -1);
	check_refused(ENOSYS, "timers are refused here (error 38): perf events tick instead",
		      SYS_timer_create, -1);
}

/* What the thread used is known all the same. */
Test(limits, no_ticks_at_all)
{
	struct run *run = run_refused(EPERM, "100", SYS_timer_create, SYS_perf_event_open);
	struct stacks *stacks;

	run_check_line(run, "timers and perf events are refused here (error 1)");
	stacks = stacks_read(run, common_profile(run, run->pid));
	RUN_CHECK(run, stacks_with(stacks, "[thread exit]") >= 180 * MS, "time is missing; %s",
		  stacks_names(run, stacks));
	stacks_free(stacks);
	run_free(run);
}

/* libc asks for it first; whoever refuses it so, as sandboxes do, gets the older one. */
Test(limits, no_clone3)
{
	check_sampled(run_refused(ENOSYS, "100", SYS_clone3, -1), NULL);
}

Test(limits, no_threads)
{
	struct run *run = run_refused(EPERM, "100", SYS_clone3, SYS_clone);

	run_check_line(run, "our own thread could not be started: not profiled");
	RUN_CHECK(run, run->file_count == 0, "files were left");
	run_free(run);
}

/* ---- a filter that the program sets itself ---- */

static void check_filter(const char *kind, const char *how, const char *line)
{
	struct run *run = run_new();

	run_set(run, "MONPROF_CPU_HZ", run_often());
	run_limits(run, kind, how);
	run_check_exit(run, 0);
	check_sampled(run, line);
}

Test(limits, filter_that_kills)
{
	check_filter("filter_kills", "tsync", "the profile ends here");
}

Test(limits, filter_that_kills_by_prctl)
{
	check_filter("filter_kills", "prctl", "the profile ends here");
}

Test(limits, filter_that_refuses_what_nobody_misses)
{
	check_filter("filter_refuses", "tsync", NULL);
}

Test(limits, filter_that_is_only_asked_for)
{
	check_filter("filter_asked_for", NULL, NULL);
}

/* It cannot be exported any more. */
Test(limits, filter_that_refuses_all)
{
	struct run *run = run_new();

	run_set(run, "MONPROF_COLLECT", "cpu");
	run_set(run, "MONPROF_FLUSH", "20ms");
	run_limits(run, "filter_refuses_all", NULL);
	run_check_exit(run, 0);
	RUN_CHECK(run, strstr(run->err, "Operation not permitted"), "nobody was told");
	run_free(run);
}

Test(limits, strict_mode_in_children)
{
	struct run *run;

	if (prctl(PR_GET_SECCOMP) != 0)
		cr_skip_test("a filter is set here, beside which there is no strict mode");
	run = run_new();

	run_limits(run, "strict", NULL);
	run_check_exit(run, 0);
	RUN_CHECK(run, run_count(run, ".cpu.pb.gz") == 3, "wanted three profiles");
	RUN_CHECK(run, run_count(run, ".monprof") == 0, "a recording was left");
	run_free(run);
}

/* ---- little address space ---- */

static unsigned long address_bytes;

static void limit_address_space(void)
{
	setrlimit(RLIMIT_AS, &(struct rlimit){ address_bytes, address_bytes });
}

/* Where there is little it is all the program's. */
static void check_space(unsigned more_mb, const char *line)
{
	struct run *run = run_new();
	unsigned long least;
	int status;
#ifdef HEAP_LIBC
	cr_skip_test("a sanitizer alone takes more than that");
#endif
	const char *peak = run_tool(run, &status, python_path(), run_program("limits.py"),
				    "address_space", NULL);

	RUN_CHECK(run, status == 0, "%s", peak);
	least = strtoul(peak, NULL, 10);
	/* The library itself, before anything runs */
	address_bytes = least + ((unsigned long)more_mb << 20);
	run->before_exec = limit_address_space;
	run_go(run, python_path(), run_program("limits.py"), "address_space", NULL);
	run->before_exec = NULL;
	run_check_exit(run, 0);
	RUN_CHECK(run, *run->out, "it did not get that far");
	if (line)
		run_check_line(run, line);
	else
		common_check(run, run_check_good(run), "burn", "spin", 100);
	run_free(run);
}

Test(limits, little_address_space)
{
	check_space(8, "leaves less than 160 MB: not profiled");
	if (run_is_full())
		check_space(100, "leaves less than 160 MB: not profiled");
}

Test(limits, enough_address_space)
{
	check_space(256, NULL);
}

/* ---- few timers ---- */

static void write_file(const char *path, const char *text)
{
	int file = open(path, O_WRONLY);

	if (file < 0 || write(file, text, strlen(text)) < 0)
		_exit(124);
	close(file);
}

/* Counted by user, and nobody else is this one: root of a namespace of its own. */
static void allow_few_timers(void)
{
	char map[32];

	snprintf(map, sizeof(map), "0 %u 1", getuid());
	if (unshare(CLONE_NEWUSER))
		_exit(124);
	write_file("/proc/self/uid_map", map);
	if (setrlimit(RLIMIT_SIGPENDING, &(struct rlimit){ 10, 10 }))
		_exit(124);
}

Test(limits, few_timers)
{
	struct run *run = run_new();
	struct stacks *stacks;

	run->before_exec = allow_few_timers;
	run->is_plain = true;
	run_go(run, "/bin/true", NULL);
	if (run->status != 0)
		cr_skip_test("no user namespaces permitted here");
	run->is_plain = false;
	run_limits(run, "few_timers", NULL);
	run->before_exec = NULL;
	run_check_exit(run, 0);
	RUN_CHECK(run, strcmp(run->out, "7\n") == 0, "the program's own timers were refused");
	/* Perf events tick in place of timers, where they are permitted; all time is there in any case. */
	stacks = stacks_read(run, run_check_good(run));
	RUN_CHECK(run, stacks_total(stacks) >= 600 * MS * 9 / 10, "time is missing; %s",
		  stacks_names(run, stacks));
	stacks_free(stacks);
	run_free(run);
}
