/*
 * preload_seccomp.c - the two ways to seccomp(2): a filter, or the strict mode, under which the library could not go
 * on without doing harm ends the session before it begins.  What was measured is written, one line says so, and
 * from then on nothing of ours makes a system call.
 */
#include "log.h"
#include "preload.h"
#include "real.h"
#include "sandbox.h"
#include "session.h"

#include <linux/seccomp.h>
#include <stdarg.h>
#include <sys/prctl.h>

static void before_filter(uintptr_t program);
static void leave(const char *what);

PROF_EXPORT int prctl(int option, ...)
{
	unsigned long values[4];
	va_list arguments;

	va_start(arguments, option);
	for (unsigned i = 0; i < PROF_COUNT(values); i++)
		values[i] = va_arg(arguments, unsigned long);
	va_end(arguments);
	if (option == PR_SET_SECCOMP && values[0] == SECCOMP_MODE_STRICT)
		leave("strict mode");
	else if (option == PR_SET_SECCOMP && values[0] == SECCOMP_MODE_FILTER)
		before_filter(values[1]);
	return real_get()->prctl(option, values[0], values[1], values[2], values[3]);
}

static void before_filter(uintptr_t program)
{
	if (session_ours() && !sandbox_bears(program))
		leave("filter");
}

static void leave(const char *what)
{
	if (session_leave())
		log_line("a seccomp %s was set that this library cannot go on under: "
			 "the profile ends here",
			 what);
}

/* Strict mode has no flags: whoever gives some asks whether the kernel knows seccomp(2) at all. */
void preload_before_seccomp(unsigned operation, unsigned flags, uintptr_t program)
{
	if (operation == SECCOMP_SET_MODE_STRICT && !flags && !program)
		leave("strict mode");
	else if (operation == SECCOMP_SET_MODE_FILTER)
		before_filter(program);
}
