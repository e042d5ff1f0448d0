/*
 * os_clock.c - the clocks of os.h that need no system call, from the vdso itself (vdso(7)).
 *
 * libc's clock_gettime may be another preloaded library's: one that fakes times takes locks in it, which a
 * handler must not, and may let it stand still or jump.  Where there is no vdso it is a system call.
 */
#include "os.h"
#include "os_call.h"

#include <elf.h>
#include <link.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define VDSO_CLOCK "__vdso_clock_gettime"
#elif defined(__aarch64__)
#define VDSO_CLOCK "__kernel_clock_gettime"
#endif

typedef int clock_function(clockid_t, struct timespec *);

/* What a look-up needs of the vdso's dynamic section. */
struct vdso {
	const char *bias, *strings;
	const ElfW(Sym) * symbols;
	const uint32_t *hash; /* buckets, symbols, ... */
};

static int by_call(clockid_t clock, struct timespec *now);

static struct {
	_Atomic(clock_function *) read;
} os_clock = { by_call };

static uint64_t clock_ns(clockid_t clock);
static void find_dynamic(struct vdso *vdso, const char *image);
static clock_function *find_clock(const struct vdso *vdso);

uint64_t os_monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t os_realtime_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now = { 0, 0 };

	atomic_load_explicit(&os_clock.read, memory_order_relaxed)(clock, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static int by_call(clockid_t clock, struct timespec *now)
{
	return (int)os_call(SYS_clock_gettime, clock, now);
}

__attribute__((constructor)) static void os_clock_begin(void)
{
	const char *image = (const char *)getauxval(AT_SYSINFO_EHDR);
	struct vdso vdso = { 0 };
	clock_function *found = NULL;

	if (image)
		find_dynamic(&vdso, image);
	if (vdso.hash && vdso.symbols && vdso.strings)
		found = find_clock(&vdso);
	if (found)
		atomic_store_explicit(&os_clock.read, found, memory_order_relaxed);
}

/* Addresses in it are as linked, not as loaded. */
static void find_dynamic(struct vdso *vdso, const char *image)
{
	const ElfW(Ehdr) *head = (const void *)image;
	const ElfW(Phdr) *segments = (const void *)(image + head->e_phoff);
	const ElfW(Dyn) *entry = NULL;

	for (unsigned i = 0; i < head->e_phnum; i++) {
		if (segments[i].p_type == PT_LOAD && !vdso->bias)
			vdso->bias = image + segments[i].p_offset - segments[i].p_vaddr;
		else if (segments[i].p_type == PT_DYNAMIC)
			entry = (const void *)(image + segments[i].p_offset);
	}
	for (; vdso->bias && entry && entry->d_tag != DT_NULL; entry++) {
		const char *at = vdso->bias + entry->d_un.d_ptr;

		if (entry->d_tag == DT_STRTAB)
			vdso->strings = at;
		else if (entry->d_tag == DT_SYMTAB)
			vdso->symbols = (const void *)at;
		else if (entry->d_tag == DT_HASH)
			vdso->hash = (const void *)at;
	}
}

static clock_function *find_clock(const struct vdso *vdso)
{
	for (uint32_t i = 0; i < vdso->hash[1]; i++) {
		const ElfW(Sym) *symbol = &vdso->symbols[i];

		if (symbol->st_shndx != SHN_UNDEF &&
		    strcmp(vdso->strings + symbol->st_name, VDSO_CLOCK) == 0)
			return (clock_function *)(uintptr_t)(vdso->bias + symbol->st_value);
	}
	return NULL;
}
