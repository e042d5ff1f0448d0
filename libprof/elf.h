/*
 * elf.h - what an ELF file says: where it was linked to, its build id, its functions' names (elf(5)).
 *
 *   image (a file, or memory) --elf_header_read--> base, build id, .eh_frame_hdr
 *                             --elf_open---------> struct elf --elf_find--> the function at an address
 *
 * Everything in it is untrusted, and may go away meanwhile: memory is read by os_read, files by pread(2), never
 * mapped (one that is cut short then would be SIGBUS).  64 bits, of this machine.
 *
 * A function is there from its value to value + size.  What has no size is nowhere: better no name than a wrong one.
 * Where several hold an address, it is in the one that begins last.  Of those that begin there as well: the global before the weak before the
 * local, the fewest leading underscores, the shortest name, the first in the table.
 */
#ifndef ELF_H
#define ELF_H

#include "prof.h"

#define ELF_BUILD_ID_CHARS 129 /* in hex, and the NUL */

struct elf;

/* Where the file's bytes are. */
struct elf_image {
	int fd; /* -1: memory */
	uint64_t start; /* memory: the address of the first byte */
	uint64_t size_bytes;
};

/* Of an executable piece that is mapped; addresses are those at run time. */
struct elf_header {
	uint64_t base; /* run-time address - ELF address */
	uint64_t frame_header, frame_header_bytes; /* .eh_frame_hdr; 0: none */
	uint64_t build_id_address; /* 0: none */
	char build_id[ELF_BUILD_ID_CHARS]; /* lower-case hex; "": none */
};

struct elf_symbol {
	const char *name;
	uint64_t begin, size;
};

/* Read the headers; the piece that has the file's byte `offset` begins at `start`. An image in memory is as the loader
   placed it: its notes are found by their addresses. NULL, or why not. drainer */
errmsg elf_header_read(struct elf_header *header, const struct elf_image *image, uint64_t start,
		       uint64_t offset);
/* Is this build id (in hex) what memory has there? drainer */
bool elf_build_id_is(uint64_t address, const char *build_id);

/* Read the symbols of functions: of .symtab, else of .dynsym. An image in memory has the whole file in one piece. The
   descriptor is not kept; long names are read from `path` again (NULL: memory). NULL, or why not. drainer */
errmsg elf_open(struct elf **elf, const struct elf_image *image, const char *path);
/* One more owner of it. drainer */
struct elf *elf_share(struct elf *elf);
/* The function at an address of the file's own. Its name, without a version, is good until the next call for this file.
   False: none is known. drainer */
bool elf_find(struct elf *elf, uint64_t address, struct elf_symbol *symbol);
/* NULL is none. drainer */
void elf_release(struct elf *elf);

#endif
