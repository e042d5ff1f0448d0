/*
 * Real stacks, copied in this process and unwound from the copy; tables are found as the loader knows them.
 */
#include "unwind_stage.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#define STACK_MAX (256 * 1024)

static unsigned char copied[STACK_MAX];
static struct walk found;
static uint64_t top; /* of the stack */
static size_t stack_limit = STACK_MAX;

/* Of the whole process: this is the first malloc that its libraries find. */
extern void *__libc_malloc(size_t size_bytes);
extern void *__libc_calloc(size_t count, size_t size_bytes);
extern void *__libc_realloc(void *block, size_t size_bytes);

static bool is_counting;
static unsigned long allocations;

#ifndef __SANITIZE_ADDRESS__
void *malloc(size_t size_bytes)
{
	allocations += is_counting;
	return __libc_malloc(size_bytes);
}

void *calloc(size_t count, size_t size_bytes)
{
	allocations += is_counting;
	return __libc_calloc(count, size_bytes);
}

void *realloc(void *block, size_t size_bytes)
{
	allocations += is_counting;
	return __libc_realloc(block, size_bytes);
}
#endif

static uint64_t stack_top(void)
{
	pthread_attr_t attributes;
	void *lowest;
	size_t size_bytes;

	pthread_getattr_np(pthread_self(), &attributes);
	pthread_attr_getstack(&attributes, &lowest, &size_bytes);
	pthread_attr_destroy(&attributes);
	return (uint64_t)(uintptr_t)lowest + size_bytes;
}

static void start(void)
{
	errmsg error = unwind_start();

#ifndef __x86_64__
	cr_assert_str_eq(error, "native frames need x86-64");
	cr_skip_test("no native frames here");
#endif
	cr_assert_null(error, "%s", error);
	unwind_begin(find);
	top = stack_top();
}

static struct unwind_registers registers_of(const ucontext_t *context)
{
	static const int order[UNWIND_REGISTERS] = { REG_RAX, REG_RDX, REG_RCX, REG_RBX,
						     REG_RSI, REG_RDI, REG_RBP, REG_RSP,
						     REG_R8,  REG_R9,  REG_R10, REG_R11,
						     REG_R12, REG_R13, REG_R14, REG_R15 };
	struct unwind_registers registers = { .is_return = false };

	for (int i = 0; i < UNWIND_REGISTERS; i++)
		registers.general[i] = (uint64_t)context->uc_mcontext.gregs[order[i]];
	registers.pc = (uint64_t)context->uc_mcontext.gregs[REG_RIP];
	return registers;
}

/* Memory of another frame is read: not for the address sanitizer to check. */
__attribute__((no_sanitize("address"))) static void copy_stack(struct unwind_stack *stack,
							       uint64_t sp)
{
	size_t size_bytes = top - (sp - RED_ZONE);
	const volatile unsigned char *from = (const unsigned char *)(uintptr_t)(sp - RED_ZONE);

	if (size_bytes > stack_limit)
		size_bytes = stack_limit;
	for (size_t i = 0; i < size_bytes; i++)
		copied[i] = from[i];
	*stack = (struct unwind_stack){ sp - RED_ZONE, copied, size_bytes };
}

static void walk_context(const ucontext_t *context)
{
	struct unwind_registers registers = registers_of(context);
	struct unwind_stack stack;

	copy_stack(&stack, registers.general[UNWIND_RSP]);
	found = walk_up(registers, &stack);
}

static void on_signal(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	(void)info;
	walk_context(context);
}

static void catch_signal(void)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	cr_assert_eq(sigaction(SIGUSR1, &action, NULL), 0);
}

static bool is_found(const void *function)
{
	for (size_t i = 0; i < found.count; i++)
		if (found.functions[i] == (uint64_t)(uintptr_t)function)
			return true;
	return false;
}

static int compare_by_signal(const void *left, const void *right)
{
	raise(SIGUSR1);
	return *(const int *)left - *(const int *)right;
}

__attribute__((noinline)) static int sort_two(void)
{
	int numbers[2] = { 2, 1 };

	qsort(numbers, 2, sizeof(numbers[0]), compare_by_signal);
	return numbers[0];
}

static volatile int here; /* what is done after a call, so that it is no jump */

static void sort_in_handler(int signo)
{
	(void)signo;
	sort_two();
	here++;
}

__attribute__((noinline)) static void interrupted(void)
{
	kill(getpid(), SIGUSR2);
	here++;
}

Test(unwind, goes_through_libc_to_the_start)
{
	start();
	catch_signal();
	cr_assert_eq(sort_two(), 1);
	cr_assert_eq(found.end, UNWIND_BOTTOM, "%d after %zu", found.end, found.count);
	cr_assert(is_found(compare_by_signal));
#ifndef __SANITIZE_ADDRESS__ /* which has a qsort of its own */
	cr_assert(is_found(qsort_r)); /* which qsort jumps to */
#endif
	cr_assert(is_found(sort_two));
}

Test(unwind, goes_up_from_a_handler_to_what_was_interrupted)
{
	struct sigaction action = { .sa_handler = sort_in_handler };

	start();
	catch_signal();
	cr_assert_eq(sigaction(SIGUSR2, &action, NULL), 0);
	interrupted();
	cr_assert_eq(found.end, UNWIND_BOTTOM, "%d after %zu", found.end, found.count);
	cr_assert(is_found(compare_by_signal));
	cr_assert(is_found(sort_in_handler));
	cr_assert(is_found(interrupted));
	cr_assert(is_found(kill));
}

static void *sort_in_thread(void *unused)
{
	(void)unused;
	top = stack_top();
	sort_two();
	return NULL;
}

Test(unwind, ends_where_a_thread_begins)
{
	pthread_t thread;

	start();
	catch_signal();
	cr_assert_eq(pthread_create(&thread, NULL, sort_in_thread, NULL), 0);
	pthread_join(thread, NULL);
	cr_assert_eq(found.end, UNWIND_BOTTOM, "%d after %zu", found.end, found.count);
	cr_assert(is_found(sort_in_thread));
	cr_assert_lt(found.count, 16);
}

Test(unwind, says_where_the_copy_ends)
{
	size_t whole;

	start();
	catch_signal();
	sort_two();
	whole = found.count;
	stack_limit = 512;
	sort_two();
	cr_assert_eq(found.end, UNWIND_CUT);
	cr_assert_lt(found.count, whole);
	stack_limit = 0;
	sort_two();
	cr_assert_eq(found.end, UNWIND_CUT);
	cr_assert_eq(found.count, 1);
}

static bool find_none(uint64_t pc, struct unwind_table *table)
{
	(void)pc;
	(void)table;
	return false;
}

Test(unwind, has_no_rule_where_there_is_no_table)
{
	const struct unwind_stack stack = { 0x1000, copied, sizeof(copied) };
	struct unwind_registers registers = { .pc = (uint64_t)(uintptr_t)sort_two,
					      .general[UNWIND_RSP] = 0x1000 };
	const struct unwind_registers before = registers;

	start();
	unwind_begin(find_none);
	cr_assert_eq(unwind_step(&registers, &stack), UNWIND_UNKNOWN);
	cr_assert_eq(unwind_function(registers.pc), 0);
	cr_assert_arr_eq(&registers, &before, sizeof(before));
	/* What is known now is known until it is forgotten */
	unwind_begin(find);
	cr_assert_eq(unwind_function(registers.pc), 0);
	unwind_forget();
	cr_assert_eq(unwind_function(registers.pc), registers.pc);
	memcpy(copied, &before.pc, sizeof(before.pc));
	cr_assert_eq(unwind_step(&registers, &stack), UNWIND_OK);
	cr_assert_eq(registers.pc, before.pc);
	cr_assert_eq(registers.general[UNWIND_RSP], 0x1008);
	cr_assert(registers.is_return);
}

Test(unwind, knows_nothing_at_0)
{
	const struct unwind_stack stack = { 0x1000, copied, sizeof(copied) };
	struct unwind_registers registers = { .pc = 0 };

	start();
	cr_assert_eq(unwind_step(&registers, &stack), UNWIND_UNKNOWN);
	registers = (struct unwind_registers){ .pc = 1, .is_return = true };
	cr_assert_eq(unwind_step(&registers, &stack), UNWIND_UNKNOWN);
}

/* A program that makes code all the time: what is known is bounded, and known again. */
Test(unwind, forgets_before_it_grows_for_ever)
{
	uint64_t pc = (uint64_t)(uintptr_t)sort_two;

	start();
	for (uint64_t i = 0; i < 200000; i++)
		cr_assert_eq(unwind_function(0x1000 + i), 0);
	cr_assert_eq(unwind_function(pc), pc);
	unwind_release();
	cr_assert_eq(unwind_function(pc), pc);
	unwind_release();
}

/* Our thread never meets the program's malloc, and its steps open nothing. */
Test(unwind, allocates_nothing_of_the_program)
{
#ifdef HEAP_LIBC
	cr_skip_test("heap_alloc is malloc here");
#endif
	start();
	catch_signal();
	sort_two();
	is_counting = true;
	sort_two();
	unwind_forget();
	sort_two();
	unwind_begin(find);
	for (uint64_t pc = (uint64_t)(uintptr_t)qsort_r; pc < (uint64_t)(uintptr_t)qsort_r + 1024;
	     pc++)
		unwind_function(pc);
	is_counting = false;
	cr_assert_eq(found.end, UNWIND_BOTTOM);
	cr_assert_eq(allocations, 0);
}

/* A header of one row, whose code begins where it does, what is common, an entry; the instruction that is tried is the
   last of it. */
static const unsigned char tables[] __attribute__((aligned(8))) = {
	1,    0x1b, 3,	  0x3b, 0,    0,    0, 0,    1, 0, 0, 0,   0,	0, 0, 0,    48, 0,
	0,    0,    24,	  0,	0,    0,    0, 0,    0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1,
	0x1b, 12,   7,	  8,	0x90, 1,    0, 0,    0, 0, 0, 0,   20,	0, 0, 0,    32, 0,
	0,    0,    0xc8, 0xff, 0xff, 0xff, 0, 0x10, 0, 0, 0, 0,   0,	0, 0, 0,    0,	0
};
static unsigned char tried[256] __attribute__((aligned(256)));

static bool find_tried(uint64_t pc, struct unwind_table *table)
{
	(void)pc;
	*table = (struct unwind_table){ 0, UINT64_MAX, 0, (uint64_t)(uintptr_t)tried,
					sizeof(tables) };
	return true;
}

static enum unwind_result try_instruction(const char *bytes, size_t size_bytes)
{
	const struct unwind_stack stack = { 0x1000, (const unsigned char *)&top, sizeof(top) };
	struct unwind_registers registers = { .pc = (uint64_t)(uintptr_t)tried + 16,
					      .general[UNWIND_RSP] = 0x1000 };

	memcpy(tried, tables, sizeof(tables));
	memcpy(tried + 65, bytes, size_bytes);
	unwind_forget();
	cr_assert_eq(unwind_function(registers.pc), (uint64_t)(uintptr_t)tried);
	return unwind_step(&registers, &stack);
}

/* libunwind 1.6 indexes with such a register. */
Test(unwind, refuses_instructions_that_libunwind_would_trip_over)
{
	start();
	unwind_begin(find_tried);
	cr_assert_eq(try_instruction("", 0), UNWIND_OK);
	cr_assert_eq(try_instruction("\x09\x03\x06", 3), UNWIND_OK);
	cr_assert_eq(try_instruction("\x09\x03\xff\xff\xff\x0d", 6), UNWIND_UNKNOWN);
	/* INT64_MIN / -1, and no instruction at all */
	cr_assert_eq(try_instruction("\x0f\x03\x31\x31\x1b", 5), UNWIND_UNKNOWN);
	cr_assert_eq(try_instruction("\x3f", 1), UNWIND_UNKNOWN);
}
