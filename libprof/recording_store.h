/*
 * recording_store.h - the file of a recording that is being written.
 *
 * Created with its first bytes; from then on it only grows, by whole appends of whole blocks, which get their
 * checksums here.  Invariant: up to good_bytes it holds what was appended; an append that fails is cut off again, and one that was to
 * create the file leaves none.
 */
#ifndef RECORDING_STORE_H
#define RECORDING_STORE_H

#include "prof.h"
#include "wire.h"

#include <sys/types.h>

struct recording_store {
	char *path;
	char *other_path; /* where that is taken; NULL: none */
	bool reopen; /* open, append, close, each time */
	struct wire_buffer head; /* how the file begins; names its session */
	int fd; /* -1: none */
	bool created;
	dev_t device;
	ino_t inode;
	uint64_t good_bytes;
	uint32_t checksum; /* of the last block up to there; without a file, of the last one of the head */
};

/* Its path and its head, header and whole blocks, are set. drainer, tool */
void recording_store_begin(struct recording_store *store);
/* drainer, tool */
void recording_store_release(struct recording_store *store);
/* Append to the file, which is created first if need be. NULL, or what went wrong: nothing of it is
   in the file then. drainer */
errmsg recording_store_append(struct recording_store *store, const struct wire_buffer *blocks);

#endif
