/*
 * sink.h - where an exporter's bytes go: buffered, gzipped on demand, first error latched.
 *
 * A file is written aside (same directory, name + ".tmp", O_EXCL) and linked into place at the end: a
 * name that is taken is never replaced, nothing half-written is ever seen.  After the first error
 * every put is a no-op, and sink_close says what it was.
 */
#ifndef SINK_H
#define SINK_H

#include "prof.h"
#include "watch.h"

struct sink;

/* A sink to a new file; "-" is stdout (tool only). NULL: no memory. drainer, tool */
struct sink *sink_open(const char *path, bool gzip);
/* A sink into memory. NULL: no memory. drainer, tool */
struct sink *sink_memory(bool gzip);
/* Whom to tell how much has been put; in steps of 64 KiB. drainer, tool */
void sink_watch(struct sink *sink, struct watch watch);
void sink_put(struct sink *sink, const void *bytes, size_t size_bytes);
void sink_puts(struct sink *sink, const char *text);
/* log_format's conversions, at most 511 bytes. drainer, tool */
void sink_format(struct sink *sink, const char *format, ...) PROF_PRINTF(2, 3);
/* Latch an error of the exporter's own. drainer, tool */
void sink_fail(struct sink *sink, errmsg error);
bool sink_failed(const struct sink *sink);
/* All bytes of a memory sink; ends its gzip stream, nothing is put after that. drainer, tool */
const void *sink_bytes(struct sink *sink, size_t *size_bytes);
/* Finish, put the file in its place, free. NULL or the first error. EEXIST of the name is
   SINK_TAKEN. drainer, tool */
errmsg sink_close(struct sink *sink);
extern const char SINK_TAKEN[];

#endif
