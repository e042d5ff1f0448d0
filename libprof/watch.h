/*
 * watch.h - long work on files, and whoever wants to know how far it is or has something to do meanwhile.
 *
 * A step follows each few milliseconds of work, on the thread that works, and may take its time.  It
 * changes nothing that the work uses.  Where it says no, the work ends as soon as it can, with the error
 * WATCH_STOPPED, and leaves no file.
 */
#ifndef WATCH_H
#define WATCH_H

#include "prof.h"

/* All zero: nobody watches. */
struct watch {
	/* False: stop. The file that is read or written, "-" standard output, NULL: none; how much of it is done; all_bytes 0: that is
	   not known, as it is of a file that is written. drainer, tool */
	bool (*step)(void *self, const char *path, uint64_t done_bytes, uint64_t all_bytes);
	void *self;
};

/* drainer, tool */
static inline bool watch_step(const struct watch *watch, const char *path, uint64_t done_bytes,
			      uint64_t all_bytes)
{
	return !watch->step || watch->step(watch->self, path, done_bytes, all_bytes);
}
extern const char WATCH_STOPPED[];

#endif
