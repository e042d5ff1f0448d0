/*
 * wrap_handler.c - a library, loaded before ours, that puts a handler of its own around the one that the
 * kernel is given for SIGURG: counts each time that a timer or a perf event brings it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>

struct kernel_action {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

void wrap_end(void);

static struct {
	void (*_Atomic handler)(int, siginfo_t *, void *);
	_Atomic unsigned long entries, overruns;
} wrapped;

/* Past libc, whose syscall() is ours below. */
static long call(long number, const long *arguments)
{
	register long fourth __asm__("r10") = arguments[3];
	register long fifth __asm__("r8") = arguments[4];
	register long sixth __asm__("r9") = arguments[5];
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(arguments[0]), "S"(arguments[1]), "d"(arguments[2]),
			   "r"(fourth), "r"(fifth), "r"(sixth)
			 : "rcx", "r11", "memory");
	return result;
}

static void on_signal(int signo, siginfo_t *info, void *context)
{
	if (info->si_code == SI_TIMER || info->si_code == POLL_IN)
		wrapped.entries++;
	if (info->si_code == SI_TIMER)
		wrapped.overruns += (unsigned long)info->si_overrun;
	wrapped.handler(signo, info, context);
}

static long call_action(long *arguments)
{
	const struct kernel_action *given = (void *)arguments[1];
	struct kernel_action *old = (void *)arguments[2], set;
	long result;

	if (given && (given->flags & SA_SIGINFO)) {
		wrapped.handler = given->handler;
		set = *given;
		set.handler = on_signal;
		arguments[1] = (long)&set;
	}
	result = call(SYS_rt_sigaction, arguments);
	if (result == 0 && old && old->handler == on_signal)
		old->handler = wrapped.handler;
	return result;
}

/* Our library makes its system calls by it. */
__attribute__((visibility("default"))) long syscall(long number, ...)
{
	long arguments[6], result;
	va_list values;

	va_start(values, number);
	for (int i = 0; i < 6; i++)
		arguments[i] = va_arg(values, long);
	va_end(values);
	if (number == SYS_rt_sigaction && arguments[0] == SIGURG)
		result = call_action(arguments);
	else
		result = call(number, arguments);
	if (result < 0 && result > -4096) {
		errno = (int)-result;
		return -1;
	}
	return result;
}

/* The calling thread gets no more of them: says how many there were. */
void wrap_end(void)
{
	uint64_t bit = UINT64_C(1) << (SIGURG - 1);
	long arguments[6] = { SIG_BLOCK, (long)&bit, 0, sizeof(bit), 0, 0 };

	call(SYS_rt_sigprocmask, arguments);
	printf("%lu %lu\n", wrapped.entries, wrapped.overruns);
	fflush(stdout);
}
