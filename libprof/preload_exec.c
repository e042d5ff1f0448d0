/*
 * preload_exec.c - the interposed exec family, posix_spawn, what runs a shell, and daemon.
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

#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
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

/* The same for a command that libc has a shell run, with an environment that we never see. */
#define EXPORT_OFF "export " OFF "; "
#define CHILD_COMMAND(command)                                                                  \
	((command) && !option_number(OPTION_CHILDREN) && session_known() ?                      \
		 with_export(command, __builtin_alloca(sizeof(EXPORT_OFF) + strlen(command))) : \
		 (command))

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
static int shell(const char *command, bool is_ours) __attribute__((noinline));
static void shell_end(void *is_ours);
static const char *with_export(const char *command, char *copy);
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

PROF_EXPORT int system(const char *command)
{
	const char *given = CHILD_COMMAND(command);

	return shell(given, spawn_begin());
}

PROF_EXPORT FILE *popen(const char *command, const char *mode)
{
	const char *given = CHILD_COMMAND(command);
	bool is_ours = spawn_begin();
	FILE *pipe = real_get()->popen(given, mode);

	spawn_end(is_ours);
	return pipe;
}

/* The parent ends past _exit. What comes of the child is its own, as of any that C forks. */
PROF_EXPORT int daemon(int stays, int keeps)
{
	session_save();
	return real_get()->daemon(stays, keeps);
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

/* It is a cancellation point, pthreads(7). */
static int shell(const char *command, bool is_ours)
{
	int status;

	pthread_cleanup_push(shell_end, &is_ours);
	status = real_get()->system(command);
	pthread_cleanup_pop(true);
	return status;
}

static void shell_end(void *is_ours)
{
	spawn_end(*(bool *)is_ours);
}

static const char *with_export(const char *command, char *copy)
{
	memcpy(copy, EXPORT_OFF, sizeof(EXPORT_OFF) - 1);
	memcpy(copy + sizeof(EXPORT_OFF) - 1, command, strlen(command) + 1);
	return copy;
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
