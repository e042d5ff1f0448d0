/*
 * os_call.c - syscall(2) without libc: nobody who replaces libc's is in between, and errno is not touched.
 *
 * Arguments of a variadic function are where those of any other one are, but for the number before them: they
 * move up by one place, syscall(2) "Architecture calling conventions".
 */
#include "os_call.h"

#if defined(__x86_64__)
__asm__(".pushsection .text.os_call, \"ax\", @progbits\n"
	".p2align 4\n"
	".globl os_call\n"
	".hidden os_call\n"
	".type os_call, @function\n"
	"os_call:\n"
	".cfi_startproc\n"
	"	mov %rdi, %rax\n"
	"	mov %rsi, %rdi\n"
	"	mov %rdx, %rsi\n"
	"	mov %rcx, %rdx\n"
	"	mov %r8, %r10\n"
	"	mov %r9, %r8\n"
	"	mov 8(%rsp), %r9\n"
	"	syscall\n"
	"	ret\n"
	".cfi_endproc\n"
	".size os_call, . - os_call\n"
	".popsection\n");
#elif defined(__aarch64__)
__asm__(".pushsection .text.os_call, \"ax\", @progbits\n"
	".p2align 4\n"
	".globl os_call\n"
	".hidden os_call\n"
	".type os_call, @function\n"
	"os_call:\n"
	".cfi_startproc\n"
	"	mov x8, x0\n"
	"	mov x0, x1\n"
	"	mov x1, x2\n"
	"	mov x2, x3\n"
	"	mov x3, x4\n"
	"	mov x4, x5\n"
	"	mov x5, x6\n"
	"	svc 0\n"
	"	ret\n"
	".cfi_endproc\n"
	".size os_call, . - os_call\n"
	".popsection\n");
#endif
