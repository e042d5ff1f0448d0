/*
 * Every instruction of a child that is single-stepped: the callers that unwinding finds, and those that the calls which
 * the child has made say.
 */
#include "unwind_stage.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEPS 20000
#define STEPS_LEAST 5000
#define COMPLAINTS 20
#define STACK_MAX (256 * 1024)

#ifdef __clang__
#define WITHOUT_FRAME_POINTER
#else
#define WITHOUT_FRAME_POINTER __attribute__((optimize("omit-frame-pointer")))
#endif
/* gcc says of a realigned frame that rbp is still on the stack when it has been popped: for two instructions. */
#define WRONG_IN_TABLES 2

static unsigned char copied[STACK_MAX];

/* What the child has called and not yet returned from. */
struct calls {
	size_t count;
	struct {
		uint64_t sp, back; /* where the return address lies, and what it is */
	} open[FRAMES_MAX];
	uint64_t pc, sp; /* before the instruction */
};

static struct {
	unsigned long right, wrong, wrong_in_tables;
} sum;

static int compare(const void *left, const void *right)
{
	return *(const int *)left - *(const int *)right;
}

__attribute__((noinline)) WITHOUT_FRAME_POINTER static int without_frame_pointer(int n)
{
	volatile int here[20];

	for (int i = 0; i < 20; i++)
		here[i] = n + i;
	return n ? without_frame_pointer(n - 1) + here[n] : here[19];
}

/* Its frame is aligned, so that its cfa is found through memory. */
__attribute__((noinline)) static int aligned(const char *text, ...)
{
	char wide[64] __attribute__((aligned(64)));

	snprintf(wide, sizeof(wide), "%s %.3f", text, 0.5);
	return (int)strlen(wide);
}

static void work(void)
{
	int numbers[40];
	char text[128];

	for (int i = 0; i < 40; i++)
		numbers[i] = i * 7919 % 101;
	qsort(numbers, 40, sizeof(numbers[0]), compare);
	snprintf(text, sizeof(text), "%d %s %f %p", numbers[3], "text", 3.25, (void *)text);
	/* First calls: through the stub that binds them */
	if (getenv("HOME") && strtol(text, NULL, 10) == 1 && strcasestr(text, "none"))
		return;
	free(strdup(text));
	numbers[0] = without_frame_pointer(6) + aligned(text, 1);
	kill(getpid(), SIGUSR2);
}

static void on_usr2(int signo)
{
	(void)signo;
	without_frame_pointer(1);
}

static void run_child(void)
{
	signal(SIGUSR2, on_usr2);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	work();
	_exit(0);
}

static struct unwind_registers registers_of(const struct user_regs_struct *user)
{
	return (struct unwind_registers){
		.pc = user->rip,
		.general = { user->rax, user->rdx, user->rcx, user->rbx, user->rsi, user->rdi,
			     user->rbp, user->rsp, user->r8, user->r9, user->r10, user->r11,
			     user->r12, user->r13, user->r14, user->r15 },
	};
}

static size_t peek(pid_t child, uint64_t from, void *to, size_t size_bytes)
{
	struct iovec here = { to, size_bytes };
	struct iovec there = { (void *)(uintptr_t)from, size_bytes };
	ssize_t n = process_vm_readv(child, &here, 1, &there, 1, 0);

	return n < 0 ? 0 : (size_t)n;
}

static struct unwind_stack copy_stack(pid_t child, uint64_t sp, uint64_t top)
{
	size_t size_bytes = top - (sp - RED_ZONE);

	if (size_bytes > STACK_MAX)
		size_bytes = STACK_MAX;
	return (struct unwind_stack){ sp - RED_ZONE, copied,
				      peek(child, sp - RED_ZONE, copied, size_bytes) };
}

static void push(struct calls *calls, uint64_t sp, uint64_t back)
{
	cr_assert_lt(calls->count, FRAMES_MAX);
	calls->open[calls->count].sp = sp;
	calls->open[calls->count++].back = back;
}

/* What is open at the start, as the first walk says: it has to end at the bottom. */
static void begin(struct calls *calls, const struct walk *walk)
{
	cr_assert_eq(walk->end, UNWIND_BOTTOM);
	for (size_t i = walk->count; i-- > 1;)
		push(calls, walk->sps[i] - 8, walk->pcs[i]);
}

/* A call is one word more on the stack, which leads behind the instruction; a handler has the trampoline to return to,
   and that what was interrupted. */
static void follow(struct calls *calls, pid_t child, const struct user_regs_struct *user)
{
	uint64_t back = 0;

	while (calls->count && user->rsp > calls->open[calls->count - 1].sp)
		calls->count--;
	if (peek(child, user->rsp, &back, sizeof(back)) != sizeof(back))
		back = 0;
	if (user->rip == (uint64_t)(uintptr_t)on_usr2) {
		push(calls, calls->sp - 1, calls->pc);
		push(calls, user->rsp, back);
	} else if (user->rsp == calls->sp - 8 && back > calls->pc && back - calls->pc <= 7 &&
		   user->rip != back) {
		push(calls, user->rsp, back);
	}
	calls->pc = user->rip;
	calls->sp = user->rsp;
}

static void complain(const struct user_regs_struct *user, const struct walk *walk)
{
	Dl_info info = { 0 };

	dladdr((void *)(uintptr_t)user->rip, &info);
	cr_log_warn("another chain at %s (%s+0x%llx), %zu frames, end %d",
		    info.dli_sname ? info.dli_sname : "?", info.dli_fname ? info.dli_fname : "?",
		    user->rip - (uint64_t)(uintptr_t)info.dli_fbase, walk->count, (int)walk->end);
}

/* The walk's return addresses are the calls', innermost first. */
static void check(const struct calls *calls, const struct walk *walk,
		  const struct user_regs_struct *user)
{
	bool is_right = walk->count == calls->count + 1 && walk->end == UNWIND_BOTTOM;

	for (size_t i = 0; is_right && i < calls->count; i++)
		is_right = walk->pcs[i + 1] == calls->open[calls->count - 1 - i].back;
	if (is_right)
		sum.right++;
	else if (walk->functions[0] == (uint64_t)(uintptr_t)aligned)
		sum.wrong_in_tables++;
	else if (sum.wrong++ < COMPLAINTS)
		complain(user, walk);
}

static uint64_t top_of_stack(void)
{
	return (uint64_t)(uintptr_t)__builtin_frame_address(0) + STACK_MAX / 2;
}

Test(unwind_step, every_instruction_leads_to_the_callers, .timeout = 300)
{
	struct calls calls = { 0 };
	struct user_regs_struct user;
	int status;
	pid_t child;

#if !defined(__x86_64__) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	cr_skip_test("too many instructions that are not the test's");
#endif
	cr_assert_null(unwind_start());
	unwind_begin(find);
	child = fork();
	if (child == 0)
		run_child();
	cr_assert_gt(child, 0);
	cr_assert_eq(waitpid(child, &status, 0), child);
	for (int i = 0; i < STEPS && WIFSTOPPED(status); i++) {
		int signo = WSTOPSIG(status) == SIGUSR2 ? SIGUSR2 : 0;

		cr_assert_eq(ptrace(PTRACE_GETREGS, child, NULL, &user), 0);
		struct unwind_stack stack = copy_stack(child, user.rsp, top_of_stack());
		struct walk walk = walk_up(registers_of(&user), &stack);

		if (i == 0)
			begin(&calls, &walk);
		follow(&calls, child, &user);
		check(&calls, &walk, &user);
		if (ptrace(PTRACE_SINGLESTEP, child, NULL, (void *)(intptr_t)signo) != 0)
			break;
		waitpid(child, &status, 0);
	}
	kill(child, SIGKILL);
	cr_assert_eq(sum.wrong, 0, "%lu of %lu", sum.wrong, sum.right + sum.wrong);
	cr_assert_leq(sum.wrong_in_tables, WRONG_IN_TABLES);
	cr_assert_gt(sum.right, STEPS_LEAST);
}
