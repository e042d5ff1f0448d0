/*
 * native.c - a library of C functions that call each other, and Python, for ctypes. Each burns CPU time of its thread.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <threads.h>
#include <time.h>
#include <ucontext.h>

#define NOINLINE __attribute__((noinline, noclone))
/* What follows a call, so that it is none from the tail. */
#define AFTER __asm__ volatile("" ::: "memory")
#define STACK_BYTES (256 * 1024)

typedef void callback(void);

void native_outer(double seconds);
void native_call(callback *python);
void native_sort(double seconds);
int native_thread(double seconds);
int native_thrd(double seconds);
void native_context(double seconds);
void native_alternate(double seconds);
void native_deep(int depth, callback *python);

static double used(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

NOINLINE void native_inner(double until);
NOINLINE void native_inner(double until)
{
	volatile unsigned long work = 0;

	do {
		for (int i = 0; i < 100000; i++)
			work += (unsigned long)i;
	} while (used() < until);
}

NOINLINE void native_middle(double until, int depth);
NOINLINE void native_middle(double until, int depth)
{
	if (depth)
		native_middle(until, depth - 1);
	else
		native_inner(until);
	AFTER;
}

void native_outer(double seconds)
{
	native_middle(used() + seconds, 3);
	AFTER;
}

void native_call(callback *python)
{
	python();
	AFTER;
}

static int compare(const void *a, const void *b)
{
	native_inner(0);
	return *(const int *)a - *(const int *)b;
}

void native_sort(double seconds)
{
	int numbers[200];
	double until = used() + seconds;

	while (used() < until) {
		for (int i = 0; i < 200; i++)
			numbers[i] = (i * 7919) % 211;
		qsort(numbers, 200, sizeof(numbers[0]), compare);
	}
}

static void *thread_body(void *seconds)
{
	native_outer(*(double *)seconds);
	AFTER;
	return NULL;
}

static int thrd_body(void *seconds)
{
	native_outer(*(double *)seconds);
	AFTER;
	return 0;
}

int native_thread(double seconds)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, thread_body, &seconds) || pthread_join(thread, NULL);
}

int native_thrd(double seconds)
{
	thrd_t thread;

	return thrd_create(&thread, thrd_body, &seconds) || thrd_join(thread, NULL);
}

/* On a stack of its own, as a coroutine has one. */
static ucontext_t here, there;
static double context_seconds;

static void context_body(void)
{
	native_outer(context_seconds);
}

void native_context(double seconds)
{
	char *stack = malloc(STACK_BYTES);

	context_seconds = seconds;
	getcontext(&there);
	there.uc_stack.ss_sp = stack;
	there.uc_stack.ss_size = STACK_BYTES;
	there.uc_link = &here;
	makecontext(&there, context_body, 0);
	swapcontext(&here, &there);
	free(stack);
}

/* In a handler on an alternate stack. */
static void on_signal(int signo)
{
	(void)signo;
	native_outer(context_seconds);
}

void native_alternate(double seconds)
{
	stack_t stack = { .ss_sp = malloc(STACK_BYTES), .ss_size = STACK_BYTES }, before;
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK }, old;

	context_seconds = seconds;
	sigaltstack(&stack, &before);
	sigaction(SIGUSR2, &action, &old);
	raise(SIGUSR2);
	sigaction(SIGUSR2, &old, NULL);
	sigaltstack(&before, NULL);
	free(stack.ss_sp);
}

void native_deep(int depth, callback *python)
{
	if (depth)
		native_deep(depth - 1, python);
	else
		python();
	AFTER;
}
