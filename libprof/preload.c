/*
 * preload.c - the way in: the ELF constructor, and the libc calls that we must see.
 *
 *   constructor   is this a Python? If not, nothing more happens in this process, but for a look again
 *                 after a dlopen
 *   interposed    pthread_create; _exit _Exit quick_exit; exec*; posix_spawn*; system, popen, daemon; unshare, setns; dlopen,
 *                 dlclose
 *                 prctl and syscall, for seccomp
 *
 * Each interposed call first tests whose process it is, and passes straight through where there is no
 * session, and in a vfork child, which shares our memory. The calls about signals are signals'.
 */
#include "log.h"
#include "native.h"
#include "real.h"
#include "session.h"

#include <dlfcn.h>
#include <link.h>
#include <sched.h>
#include <stdlib.h>
#include <stdarg.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

static struct {
	bool is_set_user_id;
	_Atomic bool is_listening; /* a CPython has been found */
} preload;

/* One address in a process: that of the copy of this library which was loaded first. */
PROF_EXPORT extern const char monprof_first;
const char monprof_first = 1;
extern const char preload_own __attribute__((alias("monprof_first"), visibility("hidden")));

static void listen_to(void *python);
static void look_again(void);
static int find_python(struct dl_phdr_info *info, size_t size_bytes, void *handle);
static void *thread_main(void *reserved);

/* ---- in and out ---- */

__attribute__((constructor)) static void preload_begin(void)
{
	preload.is_set_user_id = getauxval(AT_SECURE) != 0;
	real_load();
	real_on_dlopen(look_again);
	if (preload.is_set_user_id || !dlsym(RTLD_DEFAULT, "PySys_AddAuditHook"))
		return;
	atomic_store(&preload.is_listening, true);
	listen_to(RTLD_DEFAULT);
}

/* Two would fight over the signal, the tool ids and the names of files. */
static void listen_to(void *python)
{
	if (&monprof_first == &preload_own)
		session_listen(python);
	else
		log_line(
			"another copy of this library was loaded before this one, which does nothing");
}

__attribute__((destructor)) static void preload_end(void)
{
	session_finish();
}

/* ---- a libpython that is dlopened later ---- */

#ifdef __x86_64__
/*
 * glibc takes the library whose RUNPATH counts from dlopen's return address, so a wrapper with a frame of
 * its own would break `$ORIGIN` look-ups of its caller.  These are jumps: the first goes through a
 * resolver, since a library's constructor may dlopen before ours has run.
 */
__asm__(".pushsection .text.dlopen, \"ax\", @progbits\n"
	".globl dlopen\n"
	".type dlopen, @function\n"
	"dlopen:\n"
	"	movb $1, real_dlopened(%rip)\n"
	"	jmp *preload_dlopen(%rip)\n"
	".size dlopen, . - dlopen\n"
	".type preload_dlopen_first, @function\n"
	"preload_dlopen_first:\n"
	"	push %rdi\n"
	"	push %rsi\n"
	"	sub $8, %rsp\n"
	"	call preload_resolve_dlopen\n"
	"	add $8, %rsp\n"
	"	pop %rsi\n"
	"	pop %rdi\n"
	"	jmp *preload_dlopen(%rip)\n"
	".size preload_dlopen_first, . - preload_dlopen_first\n"
	".popsection\n"
	".pushsection .data.dlopen, \"aw\", @progbits\n"
	".balign 8\n"
	".globl preload_dlopen\n"
	".hidden preload_dlopen\n"
	"preload_dlopen: .quad preload_dlopen_first\n"
	".popsection\n");
extern void *preload_dlopen;
void preload_resolve_dlopen(void);

__attribute__((used)) void preload_resolve_dlopen(void)
{
	preload_dlopen = dlsym(RTLD_NEXT, "dlopen");
}
#endif

PROF_EXPORT int dlclose(void *handle)
{
	int result = real_get()->dlclose(handle);

	/* Behind it: a look that comes before would find it mapped all the same, and be the last. */
	native_closed();
	return result;
}

/* Called by the first interposed call after a dlopen. */
static void look_again(void)
{
	void *handle = NULL;

	if (preload.is_set_user_id || atomic_load(&preload.is_listening))
		return;
	dl_iterate_phdr(find_python, &handle);
	if (!handle || !dlsym(handle, "PySys_AddAuditHook") ||
	    atomic_exchange(&preload.is_listening, true))
		return;
	listen_to(handle);
}

static int find_python(struct dl_phdr_info *info, size_t size_bytes, void *handle)
{
	const char *name = info->dlpi_name ? info->dlpi_name : "";

	(void)size_bytes;
	if (strstr(name, "libpython"))
		*(void **)handle = real_get()->dlopen(name, RTLD_LAZY | RTLD_NOLOAD);
	return *(void **)handle != NULL;
}

/* ---- threads ---- */

PROF_EXPORT int pthread_create(pthread_t *id, const pthread_attr_t *attributes,
			       void *(*start)(void *), void *argument)
{
	struct thread *thread = session_thread_reserve(attributes, start, argument);
	int error;

	if (!thread)
		return real_get()->pthread_create(id, attributes, start, argument);
	thread->start = start;
	thread->start_argument = argument;
	error = real_get()->pthread_create(id, attributes, thread_main, thread);
	if (error)
		thread_cancel(thread);
	return error;
}

static void *thread_main(void *reserved)
{
	struct thread *thread = reserved;
	void *(*start)(void *) = thread->start;
	void *argument = thread->start_argument;

	session_thread_begin(thread);
	return start(argument);
}

/* ---- ends ---- */

PROF_EXPORT void _exit(int status)
{
	session_exit();
	real_get()->_exit(status);
	__builtin_unreachable();
}

PROF_EXPORT void _Exit(int status)
{
	session_exit();
	real_get()->_Exit(status);
	__builtin_unreachable();
}

PROF_EXPORT void quick_exit(int status)
{
	session_exit();
	real_get()->quick_exit(status);
	__builtin_unreachable();
}

/* ---- namespaces ---- */

PROF_EXPORT int unshare(int flags)
{
	int result;

	if (flags & CLONE_NEWPID)
		session_save();
	session_step_aside();
	result = real_get()->unshare(flags);
	session_come_back();
	return result;
}

PROF_EXPORT int setns(int fd, int kind)
{
	int result;

	if (!kind || kind & CLONE_NEWPID)
		session_save();
	session_step_aside();
	result = real_get()->setns(fd, kind);
	session_come_back();
	return result;
}
