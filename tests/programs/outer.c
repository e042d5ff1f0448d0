/*
 * outer.c - a library that loads another one by its own RUNPATH, when it is loaded and again when it is asked.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>

int outer(int flags);

static int at_first;

__attribute__((constructor)) static void begin(void)
{
	at_first = outer(RTLD_NOW);
}

int outer(int flags)
{
	void *handle = dlopen("libinner.so", flags | RTLD_LOCAL);
	int (*inner)(void) = NULL;

	if (handle)
		*(void **)&inner = dlsym(handle, "inner");
	/* Local: only by its handle. */
	return inner && !dlsym(RTLD_DEFAULT, "inner") ? at_first + inner() : -1;
}
