/*
 * file.h - files as a library inside somebody's program has to use them.
 *
 * No stdio.  A descriptor is never 0, 1 or 2, whatever the program closed: else a line for stderr would
 * end up in a profile.  Short writes and EINTR are handled here.  Errors are errno values; file_error
 * makes them static sentences (strerrordesc_np(3): no locale, no malloc).
 */
#ifndef FILE_H
#define FILE_H

#include "prof.h"

/* open(2) with O_CLOEXEC, mode 0666 less the umask. A descriptor, or -errno. drainer, tool */
int file_open(const char *path, int flags);
/* Write all at an offset. 0 or errno. drainer, tool */
int file_write_at(int fd, const void *bytes, size_t size_bytes, uint64_t offset);
/* Write all to where the descriptor stands. 0 or errno. drainer, tool */
int file_write(int fd, const void *bytes, size_t size_bytes);
/* Read up to size_bytes at an offset; *got is less only at the end of the file. 0 or errno.
   drainer, tool */
int file_read_at(int fd, void *bytes, size_t size_bytes, uint64_t offset, size_t *got);
/* What an errno value means. any */
errmsg file_error(int error);

#endif
