/*
 * real.c - looks the next definitions up.
 *
 * Two threads that get here at the same time write the same values; nothing is ever taken back.
 */
#include "real.h"

#include <dlfcn.h>
#include <string.h>

struct real real;
_Atomic bool real_dlopened;
static void (*on_dlopen)(void);

void real_load(void)
{
	void *symbol;

	if (atomic_load_explicit(&real.loaded, memory_order_acquire))
		return;
		/* A copy of bytes: C knows no conversion from an object's address to a function's. */
#define REAL(type, name, arguments)       \
	symbol = dlsym(RTLD_NEXT, #name); \
	memcpy(&real.name, &symbol, sizeof(symbol));
#include "real.def"
#undef REAL
	atomic_store_explicit(&real.loaded, true, memory_order_release);
}

void real_on_dlopen(void (*look)(void))
{
	on_dlopen = look;
}

void real_look(void)
{
	/* Not before the constructor has said who looks: until then the flag waits. */
	if (on_dlopen && atomic_exchange(&real_dlopened, false))
		on_dlopen();
}
