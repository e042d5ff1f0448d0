/*
 * wrap_handler.c - a library, loaded before ours, that puts a handler of its own around the one that the kernel has
 * for SIGURG, past libc: counts each time that a timer or a perf event brings it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

struct kernel_action {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void),
		      void *library);
void wrap_end(void);

static struct {
	void (*_Atomic handler)(int, siginfo_t *, void *);
	_Atomic unsigned long entries, overruns;
} wrapped;

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

static long action(const struct kernel_action *set, struct kernel_action *old)
{
	const long arguments[6] = { SIGURG, (long)set, (long)old, sizeof(old->mask), 0, 0 };

	return call(SYS_rt_sigaction, arguments);
}

/* Our library asks for this between its handler and its first timer. */
int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void),
		      void *library)
{
	int (*next)(void (*)(void), void (*)(void), void (*)(void), void *);
	void *found = dlsym(RTLD_NEXT, "__register_atfork");
	struct kernel_action now;

	if (!wrapped.handler && action(NULL, &now) == 0 && (now.flags & SA_SIGINFO)) {
		wrapped.handler = now.handler;
		now.handler = on_signal;
		action(&now, NULL);
	}
	memcpy(&next, &found, sizeof(next));
	return next(prepare, parent, child, library);
}

/* The calling thread gets no more of them, and ours is in its place again: says how many there were. */
void wrap_end(void)
{
	uint64_t bit = UINT64_C(1) << (SIGURG - 1);
	long arguments[6] = { SIG_BLOCK, (long)&bit, 0, sizeof(bit), 0, 0 };
	struct kernel_action now;

	call(SYS_rt_sigprocmask, arguments);
	if (action(NULL, &now) == 0 && now.handler == on_signal) {
		now.handler = wrapped.handler;
		action(&now, NULL);
	}
	printf("%lu %lu\n", wrapped.entries, wrapped.overruns);
	fflush(stdout);
}
