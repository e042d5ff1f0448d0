/*
 * preload_syscall.c - the interposed syscall(2): what libc has no function for, or is called past it.
 *
 *   seccomp        see preload_seccomp.c
 *   fork, clone, clone3
 *                  of a copy of the process nobody tells us, nor CPython.  Where it goes on as Python it must not
 *                  have been made while our own thread held a lock of CPython's, which asking it for a call takes:
 *                  nobody would give that back there.
 *
 * All calls go on by a jump, with their arguments and their return address as they are: a child may have another
 * stack.  The first one goes through a resolver, since a library's constructor may come before ours.
 */
#include "preload.h"

#ifdef __x86_64__
#include "os.h"
#include "session.h"

#include <dlfcn.h>
#include <linux/sched.h>
#include <sys/syscall.h>

_Static_assert(SYS_seccomp == 317 && SYS_clone == 56 && SYS_fork == 57 && SYS_clone3 == 435,
	       "the numbers below");
__asm__(".pushsection .text.syscall, \"ax\", @progbits\n"
	".macro preload_keeping function\n"
	"	push %rdi\n"
	"	push %rsi\n"
	"	push %rdx\n"
	"	push %rcx\n"
	"	push %r8\n"
	"	push %r9\n"
	"	sub $8, %rsp\n"
	"	call \\function\n"
	"	add $8, %rsp\n"
	"	pop %r9\n"
	"	pop %r8\n"
	"	pop %rcx\n"
	"	pop %rdx\n"
	"	pop %rsi\n"
	"	pop %rdi\n"
	"	jmp *preload_syscall(%rip)\n"
	".endm\n"
	".globl syscall\n"
	".type syscall, @function\n"
	"syscall:\n"
	"	cmp $317, %rdi\n"
	"	je preload_syscall_told\n"
	"	cmp $435, %rdi\n"
	"	je preload_syscall_told\n"
	"	lea -56(%rdi), %rax\n"
	"	cmp $1, %rax\n"
	"	jbe preload_syscall_told\n"
	"	jmp *preload_syscall(%rip)\n"
	".size syscall, . - syscall\n"
	".type preload_syscall_told, @function\n"
	"preload_syscall_told:\n"
	"	preload_keeping preload_before_syscall\n"
	".size preload_syscall_told, . - preload_syscall_told\n"
	".type preload_syscall_first, @function\n"
	"preload_syscall_first:\n"
	"	preload_keeping preload_resolve_syscall\n"
	".size preload_syscall_first, . - preload_syscall_first\n"
	".popsection\n"
	".pushsection .data.syscall, \"aw\", @progbits\n"
	".balign 8\n"
	".globl preload_syscall\n"
	".hidden preload_syscall\n"
	"preload_syscall: .quad preload_syscall_first\n"
	".popsection\n");
void preload_before_syscall(long number, uintptr_t first, uintptr_t second, uintptr_t third);
void preload_resolve_syscall(void);
extern void *preload_syscall;

static void before_copy(uint64_t flags);

__attribute__((used)) void preload_before_syscall(long number, uintptr_t first, uintptr_t second,
						  uintptr_t third)
{
	uint64_t flags = number == SYS_clone ? first : 0;

	if (number == SYS_seccomp)
		preload_before_seccomp((unsigned)first, (unsigned)second, third);
	else if (session_ours() &&
		 (number != SYS_clone3 ||
		  os_read(&flags, first + offsetof(struct clone_args, flags), sizeof(flags))))
		before_copy(flags);
}

/* Our thread ends, and begins again when Python has gone on here; in the copy what asks for that finds that it is not
   ours. Who shares our memory is a thread, or soon execs. */
static void before_copy(uint64_t flags)
{
	if (flags & CLONE_VM)
		return;
	session_step_aside();
	session_come_back();
}

__attribute__((constructor, used)) void preload_resolve_syscall(void)
{
	preload_syscall = dlsym(RTLD_NEXT, "syscall");
}
#endif
