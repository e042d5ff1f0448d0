/*
 * preload_exec.c - the interposed exec family, and posix_spawn.
 *
 * The process's own exec flushes the recording and gives the kernel the program's own disposition and mask
 * of our signal, which the new image inherits; it may fail, and then the session goes on.  In a forked
 * or vforked child nothing of the session is touched, but with MONPROF_CHILDREN=no the new image gets
 * MONPROF=off in its environment, built on the caller's stack: a vfork child may not allocate.
 */
#include "options.h"
#include "real.h"
#include "session.h"
#include "signals.h"

#include <spawn.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define OFF "MONPROF=off"
#define OFF_NAME_BYTES (sizeof("MONPROF=") - 1)

/* The environment that a child's image gets: `environment`, or a copy with MONPROF=off on our stack. */
#define CHILD_ENVIRONMENT(environment, is_child)                                         \
	((is_child) && !option_number(OPTION_CHILDREN) && session_known() ?              \
		 with_off(environment,                                                   \
			  __builtin_alloca((count(environment) + 2) * sizeof(char *))) : \
		 (char **)(environment))

/* The arguments of an execl call from `first` on, on our stack; leaves `list` behind the final NULL. */
#define GATHER(arguments, first, list)                                          \
	do {                                                                    \
		size_t gathered_ = 1;                                           \
		va_list counted_;                                               \
		va_start(list, first);                                          \
		va_copy(counted_, list);                                        \
		while (va_arg(counted_, char *))                                \
			gathered_++;                                            \
		va_end(counted_);                                               \
		arguments = __builtin_alloca((gathered_ + 1) * sizeof(char *)); \
		arguments[0] = (char *)(uintptr_t)(first);                      \
		for (size_t at_ = 1; at_ <= gathered_; at_++)                   \
			arguments[at_] = va_arg(list, char *);                  \
	} while (0)

static bool spawn_begin(void);
static void spawn_end(bool is_ours);
static size_t count(char *const *environment);
static char **with_off(char *const *environment, char **copy);

PROF_EXPORT int execve(const char *path, char *const arguments[], char *const environment[])
{
	char *const *given = CHILD_ENVIRONMENT(environment, !session_ours());
	int result;

	session_exec_begin();
	result = real_get()->execve(path, arguments, given);
	session_exec_failed();
	return result;
}

PROF_EXPORT int execvpe(const char *file, char *const arguments[], char *const environment[])
{
	char *const *given = CHILD_ENVIRONMENT(environment, !session_ours());
	int result;

	session_exec_begin();
	result = real_get()->execvpe(file, arguments, given);
	session_exec_failed();
	return result;
}

PROF_EXPORT int fexecve(int fd, char *const arguments[], char *const environment[])
{
	char *const *given = CHILD_ENVIRONMENT(environment, !session_ours());
	int result;

	session_exec_begin();
	result = real_get()->fexecve(fd, arguments, given);
	session_exec_failed();
	return result;
}

PROF_EXPORT int execveat(int fd, const char *path, char *const arguments[],
			 char *const environment[], int flags)
{
	char *const *given = CHILD_ENVIRONMENT(environment, !session_ours());
	int result;

	session_exec_begin();
	result = real_get()->execveat(fd, path, arguments, given, flags);
	session_exec_failed();
	return result;
}

PROF_EXPORT int execv(const char *path, char *const arguments[])
{
	return execve(path, arguments, environ);
}

PROF_EXPORT int execvp(const char *file, char *const arguments[])
{
	return execvpe(file, arguments, environ);
}

PROF_EXPORT int execl(const char *path, const char *first, ...)
{
	char **arguments;
	va_list list;

	GATHER(arguments, first, list);
	va_end(list);
	return execve(path, arguments, environ);
}

PROF_EXPORT int execlp(const char *file, const char *first, ...)
{
	char **arguments;
	va_list list;

	GATHER(arguments, first, list);
	va_end(list);
	return execvpe(file, arguments, environ);
}

PROF_EXPORT int execle(const char *path, const char *first, ...)
{
	char **arguments, **environment;
	va_list list;

	GATHER(arguments, first, list);
	environment = va_arg(list, char **);
	va_end(list);
	return execve(path, arguments, environment);
}

PROF_EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
			    const posix_spawnattr_t *attributes, char *const arguments[],
			    char *const environment[])
{
	char *const *given = CHILD_ENVIRONMENT(environment, true);
	bool is_ours = spawn_begin();
	int error = real_get()->posix_spawn(pid, path, actions, attributes, arguments, given);

	spawn_end(is_ours);
	return error;
}

PROF_EXPORT int posix_spawnp(pid_t *pid, const char *file,
			     const posix_spawn_file_actions_t *actions,
			     const posix_spawnattr_t *attributes, char *const arguments[],
			     char *const environment[])
{
	char *const *given = CHILD_ENVIRONMENT(environment, true);
	bool is_ours = spawn_begin();
	int error = real_get()->posix_spawnp(pid, file, actions, attributes, arguments, given);

	spawn_end(is_ours);
	return error;
}

/* A child inherits mask and ignored signals as the kernel has them; ours are the program's only virtually. */
static bool spawn_begin(void)
{
	bool is_ours = session_ours();

	if (is_ours)
		signals_exec_begin();
	return is_ours;
}

static void spawn_end(bool is_ours)
{
	if (is_ours)
		signals_exec_failed();
}

static size_t count(char *const *environment)
{
	size_t entries = 0;

	while (environment && environment[entries])
		entries++;
	return entries;
}

static char **with_off(char *const *environment, char **copy)
{
	size_t used = 0;

	for (size_t i = 0; environment && environment[i]; i++) {
		if (strncmp(environment[i], OFF, OFF_NAME_BYTES) != 0)
			copy[used++] = environment[i];
	}
	copy[used++] = (char *)(uintptr_t)OFF;
	copy[used] = NULL;
	return copy;
}
