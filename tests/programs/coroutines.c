/*
 * coroutines.c - coroutines as greenlet has them, for coroutines.py: each has a small C stack and a Python stack of its
 * own, in one thread. Each calls a Python function, which leaves it in the middle by way of here.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <ucontext.h>

#define STACK_BYTES 65536
#define MOST 16

/* Of the Python that has us loaded. */
extern void *PyObject_CallNoArgs(void *callable);
extern void *PyInterpreterState_Get(void);
extern void *PyThreadState_New(void *interpreter);
extern void *PyThreadState_Swap(void *state);
extern void PyThreadState_Clear(void *state);
extern void PyThreadState_Delete(void *state);

int coroutine_go_on(int number, void *function);
void coroutine_leave(void);
int alternate_stack(int is_wanted);

static struct coroutine {
	ucontext_t context;
	void *state, *function;
	char *stack;
	int is_failed, is_over;
} coroutines[MOST];
static ucontext_t outside;
static struct coroutine *current;
static char *alternate;

static void coroutine_main(void)
{
	current->is_failed = !PyObject_CallNoArgs(current->function);
	current->is_over = 1;
	swapcontext(&current->context, &outside);
}

/* 3.14 and newer want to know where the C stack of a thread's state is. */
static int begin(struct coroutine *coroutine, void *function)
{
	int (*protect)(void *, void *, size_t) = (int (*)(void *, void *, size_t))dlsym(
		RTLD_DEFAULT, "PyUnstable_ThreadState_SetStackProtection");

	coroutine->function = function;
	coroutine->stack = calloc(1, STACK_BYTES);
	coroutine->state = PyThreadState_New(PyInterpreterState_Get());
	if (!coroutine->stack || !coroutine->state || getcontext(&coroutine->context) != 0)
		return -1;
	coroutine->context.uc_stack =
		(stack_t){ .ss_sp = coroutine->stack, .ss_size = STACK_BYTES };
	makecontext(&coroutine->context, coroutine_main, 0);
	return protect ? protect(coroutine->state, coroutine->stack, STACK_BYTES) : 0;
}

/* 0: it has left; 1: it is over; else it failed. The first time it begins. */
int coroutine_go_on(int number, void *function)
{
	struct coroutine *coroutine = &coroutines[number];
	void *state;

	if (!coroutine->state && begin(coroutine, function) != 0)
		return -1;
	current = coroutine;
	state = PyThreadState_Swap(coroutine->state);
	swapcontext(&outside, &coroutine->context);
	PyThreadState_Swap(state);
	if (!coroutine->is_over)
		return 0;
	PyThreadState_Clear(coroutine->state);
	PyThreadState_Delete(coroutine->state);
	coroutine->state = NULL;
	free(coroutine->stack);
	coroutine->is_over = 0;
	return coroutine->is_failed ? -2 : 1;
}

void coroutine_leave(void)
{
	swapcontext(&current->context, &outside);
}

int alternate_stack(int is_wanted)
{
	stack_t stack = { .ss_size = STACK_BYTES, .ss_flags = is_wanted ? 0 : SS_DISABLE };

	if (is_wanted && !alternate)
		alternate = malloc(STACK_BYTES);
	stack.ss_sp = alternate;
	return sigaltstack(&stack, NULL);
}
