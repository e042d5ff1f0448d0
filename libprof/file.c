/*
 * file.c - open, read and write with everything that they may answer.
 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define FD_STDERR 2

static int move_above_stderr(int fd);
static int write_all(int fd, const uint8_t *bytes, size_t size_bytes, uint64_t *offset);

int file_open(const char *path, int flags)
{
	int fd;

	do
		fd = open(path, flags | O_CLOEXEC | O_NOCTTY, 0666);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return -errno;
	return fd > FD_STDERR ? fd : move_above_stderr(fd);
}

int file_write_at(int fd, const void *bytes, size_t size_bytes, uint64_t offset)
{
	return write_all(fd, bytes, size_bytes, &offset);
}

int file_write(int fd, const void *bytes, size_t size_bytes)
{
	return write_all(fd, bytes, size_bytes, NULL);
}

int file_read_at(int fd, void *bytes, size_t size_bytes, uint64_t offset, size_t *got)
{
	*got = 0;
	while (*got < size_bytes) {
		ssize_t n =
			pread(fd, (char *)bytes + *got, size_bytes - *got, (off_t)(offset + *got));

		if (n == 0)
			break;
		if (n < 0 && errno != EINTR)
			return errno;
		if (n > 0)
			*got += (size_t)n;
	}
	return 0;
}

errmsg file_error(int error)
{
	const char *text = strerrordesc_np(error);

	return text ? text : "unknown error";
}

static int move_above_stderr(int fd)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, FD_STDERR + 1);
	int error = errno;

	close(fd);
	/* There is no such number, fcntl(2): as many as may be open are too few. */
	if (moved < 0 && error == EINVAL)
		error = EMFILE;
	return moved < 0 ? -error : moved;
}

static int write_all(int fd, const uint8_t *bytes, size_t size_bytes, uint64_t *offset)
{
	while (size_bytes > 0) {
		ssize_t n = offset ? pwrite(fd, bytes, size_bytes, (off_t)*offset) :
				     write(fd, bytes, size_bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : ENOSPC;
		bytes += n;
		size_bytes -= (size_t)n;
		if (offset)
			*offset += (uint64_t)n;
	}
	return 0;
}
