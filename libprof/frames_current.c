/*
 * frames_current.c - where CPython keeps the calling thread's state: a thread-local word of its own.
 *
 *   static TLS block  [ ... libpython's: tss_tstate ... | the program's ]  thread pointer
 *                                         \---------- distance ---------/
 *
 * _PyThreadState_GetCurrent gives what is in it, by a call, and in a shared libpython by another one that finds the
 * block.  What is loaded with the program has its block at one distance from the thread pointer in every thread
 * (Drepper, ELF Handling for Thread-Local Storage, 3.4.6), so that callbacks can read the word themselves.
 */
#include "frames_glance.h"

#include <dlfcn.h>
#include <link.h>

struct frames_current frames_current;

/* An object's thread-local block in the calling thread. */
struct block {
	uintptr_t begin, end;
};

static int find_block(struct dl_phdr_info *info, size_t size_bytes, void *data);
static bool is_static(const struct block *block);
static bool is_current(uintptr_t address);

void frames_current_find(void)
{
	struct block block = { 0 };

	frames_current.distance = 0;
#ifdef __x86_64__
	dl_iterate_phdr(find_block, &block);
	if (!is_static(&block))
		return;
	for (uintptr_t at = block.begin; at + sizeof(at) <= block.end; at += sizeof(at)) {
		if (is_current(at))
			frames_current.distance = (intptr_t)(at - frames_thread_pointer());
	}
#endif
}

/* Of the object that has the function. */
static int find_block(struct dl_phdr_info *info, size_t size_bytes, void *data)
{
	struct block *block = data;
	uintptr_t function = (uintptr_t)py._PyThreadState_GetCurrent;
	size_t tls_bytes = 0;
	bool is_found = false;

	if (size_bytes < offsetof(struct dl_phdr_info, dlpi_tls_data) + sizeof(void *))
		return 1;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		uintptr_t begin = info->dlpi_addr + header->p_vaddr;

		if (header->p_type == PT_TLS)
			tls_bytes = header->p_memsz;
		else if (header->p_type == PT_LOAD)
			is_found |= function >= begin && function - begin < header->p_memsz;
	}
	if (is_found && info->dlpi_tls_data) {
		block->begin = (uintptr_t)info->dlpi_tls_data;
		block->end = block->begin + tls_bytes;
	}
	return is_found;
}

/* What is loaded later has its block wherever there is memory. */
static bool is_static(const struct block *block)
{
	/* glibc's, for those who look after threads' memory as sanitizers do */
	void (*static_info)(size_t * size, size_t * align) =
		(void (*)(size_t *, size_t *))dlsym(RTLD_DEFAULT, "_dl_get_tls_static_info");
	uintptr_t pointer = frames_thread_pointer();
	size_t size_bytes = 0, align_bytes;

	if (!static_info)
		return false;
	static_info(&size_bytes, &align_bytes);
	return block->begin < pointer && pointer - block->begin <= size_bytes;
}

/* Is it this word? Nothing else sees it change, and a thread without a state is nothing new to anybody. */
static bool is_current(uintptr_t address)
{
	void *volatile *word = (void *volatile *)address;
	void *state = py._PyThreadState_GetCurrent();
	bool is_it;

	if (!state || *word != state)
		return false;
	*word = NULL;
	is_it = !py._PyThreadState_GetCurrent();
	*word = state;
	return is_it;
}
