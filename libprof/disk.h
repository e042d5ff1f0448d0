/*
 * disk.h - the files that this session has left, in the order of their making, and a bound on what they take.
 *
 * The drainer's.  A file counts as ours while device and inode are those that it had when it was made.
 */
#ifndef DISK_H
#define DISK_H

#include "prof.h"

/* Forget all files and leave them where they are; 0: there is no bound, and none is kept in mind. setup */
void disk_begin(uint64_t limit_bytes);
/* A file is complete. Those of one recording have its number, later ones a higher one. drainer */
void disk_add(const char *path, unsigned recording);
/* A file that was ours alone has served its turn: remove it. drainer */
void disk_remove(const char *path);
/* Remove the oldest until so much more has room, but none of the last recording's. drainer */
void disk_make_room(uint64_t more_bytes);

#endif
