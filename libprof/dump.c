/*
 * dump.c - one request at a time.
 */
#include "dump.h"

#include "file.h"
#include "log.h"
#include "options.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 4352 /* of a recording, and what stands behind it */
#define LINE_BYTES 4608

static struct {
	int fd;
	uint64_t formats, answered_bytes;
} dump = { .fd = -1 };

static bool is_request(int fd);
static uint64_t read_formats(int fd);

bool dump_take(const char *recording)
{
	char path[PATH_BYTES];
	size_t length = log_format(path, sizeof(path), "%s%s", recording, DUMP_SUFFIX);
	int fd = length + 1 < sizeof(path) ? file_open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK) : -1;

	if (fd < 0)
		return false;
	dump.formats = read_formats(fd);
	if (!is_request(fd) || unlink(path) != 0 || ftruncate(fd, 0) != 0) {
		close(fd);
		return false;
	}
	dump.fd = fd;
	dump.answered_bytes = 0;
	return true;
}

uint64_t dump_formats(void)
{
	return dump.formats;
}

void dump_say(const char *format, ...)
{
	char line[LINE_BYTES];
	va_list arguments;
	size_t length;

	va_start(arguments, format);
	length = log_vformat(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (file_write_at(dump.fd, line, length, dump.answered_bytes) == 0)
		dump.answered_bytes += length;
}

void dump_end(bool is_interrupted)
{
	dump_say("%s", is_interrupted ? DUMP_AGAIN : DUMP_DONE);
	close(dump.fd);
	dump.fd = -1;
}

static bool is_request(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1 &&
	       status.st_size < DUMP_REQUEST_BYTES &&
	       (status.st_uid == geteuid() || status.st_uid == 0);
}

static uint64_t read_formats(int fd)
{
	char text[DUMP_REQUEST_BYTES] = "", error[DUMP_REQUEST_BYTES];
	struct option_value value;
	size_t got = 0;

	if (file_read_at(fd, text, sizeof(text) - 1, 0, &got) != 0 || !got ||
	    option_parse(option_row(OPTION_EXPORT), text, &value, error, sizeof(error)))
		return option_number(OPTION_EXPORT);
	return value.number;
}
