/*
 * preload_seccomp.c - the two ways to seccomp(2): a filter, or the strict mode, under which the library could not go
 * on without doing harm ends the session before it begins.  What was measured is written, one line says so, and
 * from then on nothing of ours makes a system call.
 */
#include "log.h"
#include "real.h"
#include "sandbox.h"
#include "session.h"

#include <dlfcn.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static void before_filter(uintptr_t program);
static void leave(const char *what);

PROF_EXPORT int prctl(int option, ...)
{
	unsigned long values[4];
	va_list arguments;

	va_start(arguments, option);
	for (unsigned i = 0; i < PROF_COUNT(values); i++)
		values[i] = va_arg(arguments, unsigned long);
	va_end(arguments);
	if (option == PR_SET_SECCOMP && values[0] == SECCOMP_MODE_STRICT)
		leave("strict mode");
	else if (option == PR_SET_SECCOMP && values[0] == SECCOMP_MODE_FILTER)
		before_filter(values[1]);
	return real_get()->prctl(option, values[0], values[1], values[2], values[3]);
}

static void before_filter(uintptr_t program)
{
	if (session_ours() && !sandbox_bears(program))
		leave("filter");
}

static void leave(const char *what)
{
	if (session_leave())
		log_line("a seccomp %s was set that this library cannot go on under: "
			 "the profile ends here",
			 what);
}

#ifdef __x86_64__
/*
 * libc has no function for seccomp(2): it is called by its number.  All calls go on by a jump, with their
 * arguments as they are; the first one through a resolver, since a library's constructor may come before ours.
 */
_Static_assert(SYS_seccomp == 317, "the number below");
__asm__(".pushsection .text.syscall, \"ax\", @progbits\n"
	".globl syscall\n"
	".type syscall, @function\n"
	"syscall:\n"
	"	cmp $317, %rdi\n"
	"	je preload_seccomp\n"
	"	jmp *preload_syscall(%rip)\n"
	".size syscall, . - syscall\n"
	".type preload_seccomp, @function\n"
	"preload_seccomp:\n"
	"	push %rdi\n"
	"	push %rsi\n"
	"	push %rdx\n"
	"	push %rcx\n"
	"	sub $8, %rsp\n"
	"	mov %rsi, %rdi\n"
	"	mov %rdx, %rsi\n"
	"	mov %rcx, %rdx\n"
	"	call preload_before_seccomp\n"
	"	add $8, %rsp\n"
	"	pop %rcx\n"
	"	pop %rdx\n"
	"	pop %rsi\n"
	"	pop %rdi\n"
	"	jmp *preload_syscall(%rip)\n"
	".size preload_seccomp, . - preload_seccomp\n"
	".type preload_syscall_first, @function\n"
	"preload_syscall_first:\n"
	"	push %rdi\n"
	"	push %rsi\n"
	"	push %rdx\n"
	"	push %rcx\n"
	"	push %r8\n"
	"	push %r9\n"
	"	sub $8, %rsp\n"
	"	call preload_resolve_syscall\n"
	"	add $8, %rsp\n"
	"	pop %r9\n"
	"	pop %r8\n"
	"	pop %rcx\n"
	"	pop %rdx\n"
	"	pop %rsi\n"
	"	pop %rdi\n"
	"	jmp *preload_syscall(%rip)\n"
	".size preload_syscall_first, . - preload_syscall_first\n"
	".popsection\n"
	".pushsection .data.syscall, \"aw\", @progbits\n"
	".balign 8\n"
	".globl preload_syscall\n"
	".hidden preload_syscall\n"
	"preload_syscall: .quad preload_syscall_first\n"
	".popsection\n");
void preload_before_seccomp(unsigned operation, unsigned flags, uintptr_t program);
void preload_resolve_syscall(void);
extern void *preload_syscall;

/* Strict mode has no flags: whoever gives some asks whether the kernel knows seccomp(2) at all. */
__attribute__((used)) void preload_before_seccomp(unsigned operation, unsigned flags,
						  uintptr_t program)
{
	if (operation == SECCOMP_SET_MODE_STRICT && !flags && !program)
		leave("strict mode");
	else if (operation == SECCOMP_SET_MODE_FILTER)
		before_filter(program);
}

__attribute__((constructor, used)) void preload_resolve_syscall(void)
{
	preload_syscall = dlsym(RTLD_NEXT, "syscall");
}
#endif
