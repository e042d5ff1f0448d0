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
	char recording[PATH_BYTES];
} dump = { .fd = -1 };

static bool is_request(int fd, char *text);
static uint64_t read_formats(const char *text);

bool dump_take(const char *recording)
{
	char path[PATH_BYTES], text[DUMP_REQUEST_BYTES];
	size_t length = log_format(path, sizeof(path), "%s%s", recording, DUMP_SUFFIX);
	int fd = length + 1 < sizeof(path) ? file_open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK) : -1;

	if (fd < 0)
		return false;
	if (!is_request(fd, text) || unlink(path) != 0 || ftruncate(fd, 0) != 0) {
		close(fd);
		return false;
	}
	dump.fd = fd;
	dump.answered_bytes = 0;
	dump.formats = read_formats(text);
	log_format(dump.recording, sizeof(dump.recording), "%s", recording);
	return true;
}

const char *dump_recording(void)
{
	return dump.recording;
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

/* Its line goes to `text`, without its end. */
static bool is_request(int fd, char *text)
{
	struct stat status;
	size_t got = 0;

	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_nlink != 1 ||
	    status.st_size >= DUMP_REQUEST_BYTES ||
	    (status.st_uid != geteuid() && status.st_uid != 0) ||
	    file_read_at(fd, text, DUMP_REQUEST_BYTES - 1, 0, &got) != 0 || !got ||
	    text[got - 1] != '\n')
		return false;
	text[got - 1] = '\0';
	return true;
}

static uint64_t read_formats(const char *text)
{
	char error[DUMP_REQUEST_BYTES];
	struct option_value value;

	if (!*text || option_parse(option_row(OPTION_EXPORT), text, &value, error, sizeof(error)))
		return option_number(OPTION_EXPORT);
	return value.number;
}
