/*
 * between.c - a library that is preloaded after ours and stands between it and the C library: what we ask of
 * that can be looked at, and held up.
 *
 *   BETWEEN_PLACE=n   a signal interrupts the program just after we have locked a mutex at the n-th place of
 *                     our code, in a thread of the program's, and its handler calls _exit(9)
 *   BETWEEN_DISK=PATH while this file is there, what our own thread writes to a file does not return: as
 *                     on a disk that hangs
 *
 * A place is an address in our code from which a mutex is locked, counted as they are first met.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PLACES_MOST 256

static struct {
	int (*lock)(pthread_mutex_t *);
	int (*trylock)(pthread_mutex_t *);
	ssize_t (*pwrite)(int, const void *, size_t, off_t);
	uintptr_t begin, end; /* of our code */
	const char *disk;
	unsigned wanted;
	_Atomic unsigned count;
	_Atomic uintptr_t places[PLACES_MOST];
} between;

static int find_library(struct dl_phdr_info *info, size_t size_bytes, void *unused)
{
	(void)size_bytes, (void)unused;
	if (!strstr(info->dlpi_name, "libmonprof"))
		return 0;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];

		if (header->p_type == PT_LOAD && header->p_flags & PF_X) {
			between.begin = info->dlpi_addr + header->p_vaddr;
			between.end = between.begin + header->p_memsz;
		}
	}
	return 1;
}

static void leave(int number)
{
	(void)number;
	_exit(9);
}

__attribute__((constructor)) static void begin(void)
{
	const char *place = getenv("BETWEEN_PLACE");

	between.disk = getenv("BETWEEN_DISK");
	dl_iterate_phdr(find_library, NULL);
	if (!place || !between.begin)
		return;
	signal(SIGUSR2, leave);
	between.wanted = (unsigned)atoi(place);
}

/* Our own thread is not the program's: no signal of that can interrupt it. */
static bool is_program(void)
{
	sigset_t blocked;

	return pthread_sigmask(SIG_SETMASK, NULL, &blocked) == 0 && !sigismember(&blocked, SIGUSR2);
}

static void locked(uintptr_t caller)
{
	unsigned count = atomic_load(&between.count);

	if (!between.wanted || caller < between.begin || caller >= between.end || !is_program())
		return;
	for (unsigned i = 0; i < count && i < PLACES_MOST; i++) {
		if (atomic_load(&between.places[i]) == caller)
			return;
	}
	if (count >= PLACES_MOST ||
	    !atomic_compare_exchange_strong(&between.count, &count, count + 1))
		return;
	atomic_store(&between.places[count], caller);
	if (count + 1 == between.wanted)
		raise(SIGUSR2);
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	int error;

	if (!between.lock)
		*(void **)&between.lock = dlsym(RTLD_NEXT, "pthread_mutex_lock");
	error = between.lock(mutex);
	if (!error)
		locked((uintptr_t)__builtin_return_address(0));
	return error;
}

int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
	int error;

	if (!between.trylock)
		*(void **)&between.trylock = dlsym(RTLD_NEXT, "pthread_mutex_trylock");
	error = between.trylock(mutex);
	if (!error)
		locked((uintptr_t)__builtin_return_address(0));
	return error;
}

/* Whoever wants to know that it is so finds a file PATH.stuck. */
static void hang(void)
{
	char told[4096];

	snprintf(told, sizeof(told), "%s.stuck", between.disk);
	close(open(told, O_WRONLY | O_CREAT, 0666));
	while (access(between.disk, F_OK) == 0)
		nanosleep(&(struct timespec){ 0, 2000000 }, NULL);
}

ssize_t pwrite(int fd, const void *bytes, size_t size_bytes, off_t offset)
{
	uintptr_t caller = (uintptr_t)__builtin_return_address(0);

	if (between.disk && caller >= between.begin && caller < between.end &&
	    access(between.disk, F_OK) == 0)
		hang();
	if (!between.pwrite)
		*(void **)&between.pwrite = dlsym(RTLD_NEXT, "pwrite");
	return between.pwrite(fd, bytes, size_bytes, offset);
}
