/*
 * maps.h - what is mapped where: the executable pieces of files, over time, and their functions.
 *
 *   /proc/self/maps --maps_renew--> [ pieces, by address ] --maps_find(pc, time)--> struct map
 *                                                              --maps_function--> name, begin, size
 *
 * A sample is older than the look at what is mapped, so each piece knows from when on it is known to be there: better no answer than that of
 * another library.  Never the loader's lock: a forked child may find it held for ever.
 */
#ifndef MAPS_H
#define MAPS_H

#include "elf.h"
#include "prof.h"

/* An executable piece of a file, or of the vdso; its pages may differ in their other rights. */
struct map {
	uint64_t start, end, offset; /* as /proc/self/maps has it */
	uint64_t base; /* run-time address - ELF address; without headers as if the file's offsets were these */
	uint64_t frame_header, frame_header_bytes; /* run-time address of .eh_frame_hdr; 0: none */
	uint64_t since_ns; /* what was there before was another, older samples are not of this one; 0: nothing was */
	uint32_t serial; /* from 1, never used again */
	char *file; /* absolute path, without " (deleted)"; "[vdso]" */
	char build_id[ELF_BUILD_ID_CHARS]; /* lower-case hex; "": none */
	bool has_header; /* it is an ELF file */

	/* maps.c's own: */
	uint64_t device, inode;
	uint64_t build_id_address; /* in memory; 0: none */
	uint64_t seen, checked; /* at which look */
	bool is_elf_tried, is_stale;
	struct elf *elf; /* its symbols, once they have been asked for */
};

/* Look again. What is the same as before stays the same row with its serial. NULL, or why there was no look: then
   pieces without a build id are not answered until there is one. drainer */
errmsg maps_renew(uint64_t time_ns);
/* A number that grows whenever a piece has gone or become another. drainer */
uint64_t maps_changed(void);
/* The piece that this address belonged to at that time, good until the next maps_renew; NULL: none is known. drainer */
const struct map *maps_find(uint64_t pc, uint64_t time_ns);
/* The function at a run-time address of the piece; `begin` is a run-time address too, the name is good until the next
   call. False: none is known. drainer */
bool maps_function(const struct map *map, uint64_t address, struct elf_symbol *symbol);
/* Forget everything. drainer */
void maps_release(void);

#endif
