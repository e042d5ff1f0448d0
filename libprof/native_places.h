/*
 * native_places.h - what is known of an address in native code: its function, and whether that is the interpreter's
 * own, which leads from call to call.
 */
#ifndef NATIVE_PLACES_H
#define NATIVE_PLACES_H

#include "maps.h"
#include "prof.h"

struct native_place {
	uint64_t function; /* where its function begins; 0: not known */
	bool is_known; /* something is mapped there */
	bool is_own; /* the interpreter's own */
	bool is_nameless, is_libc;
	uint32_t map; /* serial of the mapped piece */
};

/* pc: of the instruction that runs, or calls. It holds until the next call. drainer */
const struct native_place *native_place_find(uint64_t pc, uint64_t time_ns);
/* What was mapped has changed. drainer */
void native_places_forget(void);
/* Give all back. drainer */
void native_places_release(void);

#endif
