/*
 * test_sandbox.c - filters that we can bear, and filters that would be the end of the program.
 */
#include "sandbox.h"

#include <criterion/criterion.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define JUMP(operation, value, yes, no) BPF_JUMP(BPF_JMP | (operation) | BPF_K, value, yes, no)
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)
#define REFUSE (SECCOMP_RET_ERRNO | 1)
#define BEARS(...)                                                         \
	({                                                                 \
		struct sock_filter code_[] = { __VA_ARGS__ };              \
		struct sock_fprog program_ = { PROF_COUNT(code_), code_ }; \
		sandbox_bears((uintptr_t)&program_);                       \
	})

Test(sandbox, what_is_allowed_or_refused_is_borne)
{
	cr_assert(BEARS(RETURN(SECCOMP_RET_ALLOW)));
	cr_assert(BEARS(RETURN(SECCOMP_RET_LOG)));
	cr_assert(BEARS(LOAD(nr), JUMP(BPF_JEQ, SYS_perf_event_open, 0, 1), RETURN(REFUSE),
			RETURN(SECCOMP_RET_ALLOW)));
}

Test(sandbox, what_kills_is_not)
{
	static const unsigned actions[] = { SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD,
					    SECCOMP_RET_TRAP, SECCOMP_RET_TRACE,
					    SECCOMP_RET_USER_NOTIF };

	for (size_t i = 0; i < PROF_COUNT(actions); i++) {
		cr_assert_not(BEARS(LOAD(nr), JUMP(BPF_JEQ, SYS_timer_create, 0, 1),
				    RETURN(actions[i]), RETURN(SECCOMP_RET_ALLOW)));
		cr_assert_not(BEARS(RETURN(actions[i])));
	}
}

Test(sandbox, what_kills_for_others_is)
{
	cr_assert(BEARS(LOAD(nr), JUMP(BPF_JEQ, SYS_ptrace, 0, 1), RETURN(SECCOMP_RET_KILL_PROCESS),
			RETURN(SECCOMP_RET_ALLOW)));
	cr_assert(BEARS(LOAD(arch), JUMP(BPF_JEQ, AUDIT_ARCH_X86_64, 1, 0),
			RETURN(SECCOMP_RET_KILL_PROCESS), RETURN(SECCOMP_RET_ALLOW)));
	/* Numbers of the other ABI of x86-64, as libseccomp asks for them. */
	cr_assert(BEARS(LOAD(nr), JUMP(BPF_JGE, 0x40000000, 0, 1), RETURN(SECCOMP_RET_KILL_PROCESS),
			RETURN(SECCOMP_RET_ALLOW)));
}

Test(sandbox, what_must_work_is_not_to_be_refused)
{
	cr_assert_not(BEARS(RETURN(REFUSE)));
	cr_assert_not(BEARS(LOAD(nr), JUMP(BPF_JEQ, SYS_rt_sigreturn, 0, 1), RETURN(REFUSE),
			    RETURN(SECCOMP_RET_ALLOW)));
	cr_assert_not(BEARS(LOAD(nr), JUMP(BPF_JEQ, SYS_getpid, 0, 1), RETURN(REFUSE),
			    RETURN(SECCOMP_RET_ALLOW)));
	cr_assert_not(BEARS(LOAD(nr), JUMP(BPF_JEQ, SYS_futex, 0, 1), RETURN(REFUSE),
			    RETURN(SECCOMP_RET_ALLOW)));
}

/* What depends on an argument, or on what was computed, may go either way. */
Test(sandbox, what_is_not_known_may_kill)
{
	cr_assert_not(BEARS(LOAD(nr), JUMP(BPF_JEQ, SYS_openat, 0, 3), LOAD(args[2]),
			    JUMP(BPF_JSET, 0101, 0, 1), RETURN(SECCOMP_RET_KILL_PROCESS),
			    RETURN(SECCOMP_RET_ALLOW)));
	cr_assert_not(BEARS(LOAD(nr), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff),
			    JUMP(BPF_JGT, 300, 0, 1), RETURN(SECCOMP_RET_KILL_PROCESS),
			    RETURN(SECCOMP_RET_ALLOW)));
	cr_assert_not(BEARS(LOAD(nr), BPF_STMT(BPF_RET | BPF_A, 0)));
}

Test(sandbox, what_the_kernel_will_not_take_is_its_own_business)
{
	struct sock_fprog empty = { 0, NULL };

	cr_assert(sandbox_bears(0));
	cr_assert(sandbox_bears((uintptr_t)&empty));
}
