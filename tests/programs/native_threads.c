/*
 * native_threads.c - a library that starts threads of its own, for ctypes. Each function returns 0 when
 * its thread has ended.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <threads.h>
#include <time.h>

int thread_pthread(double seconds);
int thread_thrd(double seconds);
int thread_calls(void (*callback)(void));

static void burn(double seconds)
{
	struct timespec now;
	volatile unsigned long work = 0;

	do {
		for (int i = 0; i < 20000; i++)
			work += (unsigned long)i;
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	} while ((double)now.tv_sec + (double)now.tv_nsec / 1e9 < seconds);
}

static void *pthread_main(void *seconds)
{
	pthread_setname_np(pthread_self(), "by-the-kernel");
	burn(*(double *)seconds);
	return NULL;
}

static int thrd_main(void *seconds)
{
	pthread_setname_np(pthread_self(), "by-the-kernel");
	burn(*(double *)seconds);
	return 0;
}

static void *callback_main(void *callback)
{
	(*(void (**)(void))callback)();
	return NULL;
}

int thread_pthread(double seconds)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, pthread_main, &seconds) || pthread_join(thread, NULL);
}

int thread_thrd(double seconds)
{
	thrd_t thread;

	return thrd_create(&thread, thrd_main, &seconds) || thrd_join(thread, NULL);
}

int thread_calls(void (*callback)(void))
{
	pthread_t thread;

	return pthread_create(&thread, NULL, callback_main, &callback) ||
	       pthread_join(thread, NULL);
}
