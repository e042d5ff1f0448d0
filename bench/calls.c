/*
 * calls.c - the system calls of one handler, counted by ptrace(2):
 *
 *   calls PRELOAD PROGRAM [ARGUMENT...]
 *
 * Follows the main thread only.  What lies between the delivery of SIGURG and its rt_sigreturn is the
 * handler.  Signals that the process sends to itself (calibration) are left out.  Prints the number of
 * handlers, of calls in them, and of those the number of clock_gettime.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SYSCALL_STOP (SIGTRAP | 0x80)

static struct {
	pid_t child;
	bool inside;
	unsigned long handlers, calls, clock_gettime;
} traced;

static void start(const char *preload, char **arguments)
{
	traced.child = fork();
	if (traced.child == 0) {
		setenv("LD_PRELOAD", preload, 1);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		execv(arguments[0], arguments);
		_exit(127);
	}
	waitpid(traced.child, NULL, 0);
	ptrace(PTRACE_SETOPTIONS, traced.child, NULL,
	       (void *)(long)(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL));
}

static void on_syscall(void)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, traced.child, (void *)sizeof(info), &info) <= 0)
		return;
	if (info.op != PTRACE_SYSCALL_INFO_ENTRY || !traced.inside)
		return;
	if (info.entry.nr == SYS_rt_sigreturn) {
		traced.inside = false;
		return;
	}
	traced.calls++;
	traced.clock_gettime += info.entry.nr == SYS_clock_gettime;
}

/* Which signal the program is to get. */
static int on_stop(int status)
{
	siginfo_t info;
	int signo = WSTOPSIG(status);

	if (signo == SYSCALL_STOP) {
		on_syscall();
		return 0;
	}
	if (status >> 16)
		return 0;
	if (signo == SIGURG && ptrace(PTRACE_GETSIGINFO, traced.child, NULL, &info) == 0 &&
	    info.si_code != SI_TKILL) {
		traced.inside = true;
		traced.handlers++;
	}
	return signo;
}

int main(int argc, char **argv)
{
	int status, signo = 0;

	if (argc < 3) {
		fprintf(stderr, "usage: calls PRELOAD PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	start(argv[1], argv + 2);
	for (;;) {
		if (ptrace(PTRACE_SYSCALL, traced.child, NULL, (void *)(long)signo) != 0)
			break;
		if (waitpid(traced.child, &status, 0) < 0 || !WIFSTOPPED(status))
			break;
		signo = on_stop(status);
	}
	printf("%lu %lu %lu\n", traced.handlers, traced.calls, traced.clock_gettime);
	return 0;
}
