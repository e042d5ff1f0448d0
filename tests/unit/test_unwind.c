/*
 * Real stacks, copied in this process and unwound from the copy; tables are found as the loader knows them.
 */
#include "unwind.h"

#include <criterion/criterion.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define STACK_MAX (256 * 1024)
#define FRAMES_MAX 256
#define RED_ZONE 128

struct walk {
	enum unwind_result end;
	size_t count;
	uint64_t pcs[FRAMES_MAX];
	uint64_t functions[FRAMES_MAX];
};

static unsigned char copied[STACK_MAX];
static struct walk found;
static size_t stack_limit = STACK_MAX;

struct search {
	uint64_t pc;
	struct unwind_table *table;
};

static int look(struct dl_phdr_info *info, size_t size_bytes, void *self)
{
	struct search *search = self;
	bool is_here = false;

	(void)size_bytes;
	*search->table = (struct unwind_table){ .base = info->dlpi_addr };
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		uint64_t start = info->dlpi_addr + header->p_vaddr;

		if (header->p_type == PT_LOAD && (header->p_flags & PF_X) && search->pc >= start &&
		    search->pc - start < header->p_memsz) {
			search->table->start = start;
			search->table->end = start + header->p_memsz;
			is_here = true;
		}
		if (header->p_type == PT_GNU_EH_FRAME) {
			search->table->frame_header = start;
			search->table->frame_header_bytes = header->p_memsz;
		}
	}
	return is_here;
}

static bool find(uint64_t pc, struct unwind_table *table)
{
	struct search search = { pc, table };

	return dl_iterate_phdr(look, &search) != 0;
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
}

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

static struct walk walk_up(struct unwind_registers registers, const struct unwind_stack *stack)
{
	struct walk walk = { .end = UNWIND_OK };

	while (walk.end == UNWIND_OK && walk.count < FRAMES_MAX) {
		walk.pcs[walk.count] = registers.pc;
		walk.functions[walk.count++] = unwind_function(registers.pc - registers.is_return);
		walk.end = unwind_step(&registers, stack);
	}
	return walk;
}

/* Memory of another frame is read: not for the address sanitizer to check. */
__attribute__((no_sanitize("address"))) static void copy_stack(struct unwind_stack *stack,
							       uint64_t sp)
{
	size_t size_bytes = stack_top() - (sp - RED_ZONE);
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

Test(unwind, goes_through_libc_to_the_start)
{
	start();
	catch_signal();
	cr_assert_eq(sort_two(), 1);
	cr_assert_eq(found.end, UNWIND_BOTTOM, "%d after %zu", found.end, found.count);
	cr_assert(is_found(compare_by_signal));
	cr_assert(is_found(qsort_r)); /* which qsort jumps to */
	cr_assert(is_found(sort_two));
}
