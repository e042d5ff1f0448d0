/*
 * thread_stack.h - where each thread's C stack lies, so that a handler may copy from it.
 *
 *   birth     a thread of pthread_create: from its attributes
 *   handler   asks for bounds that it misses: of the main thread, whose stack grows, and of foreign threads
 *   drainer   answers out of /proc/self/maps
 *
 * What is known is mapped for as long as the thread runs.  Another stack, a signal's or a coroutine's, is none
 * of these bounds, and is not read.
 */
#ifndef THREAD_STACK_H
#define THREAD_STACK_H

#include "prof.h"
#include "thread.h"

#include <pthread.h>

/* Note how large the stack of a thread about to be created will be. birth */
void thread_stack_reserve(struct thread *thread, const pthread_attr_t *attributes);
/* The calling thread is that thread. birth */
void thread_stack_begin(struct thread *thread);
/* The calling thread is the main thread. setup */
void thread_stack_begin_main(struct thread *thread);
/* Does the stack pointer of this, the calling thread lie on its stack? *end is where that ends. False: perhaps it is
   known at the next tick. signal */
bool thread_stack_holds(struct thread *thread, uintptr_t pointer, uintptr_t *end);
/* So many bytes below a stack pointer that it holds, or where the stack begins. signal */
uintptr_t thread_stack_below(const struct thread *thread, uintptr_t pointer, size_t size_bytes);
/* Answer those who ask. drainer */
void thread_stack_look(void);

#endif
