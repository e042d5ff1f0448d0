/*
 * os_maps.c - the part of os.h that reads what is mapped, /proc/pid/maps (proc(5)).
 *
 *   7f0c1b228000-7f0c1b37d000 r-xp 00028000 fe:01 393491      /usr/lib/x86_64-linux-gnu/libc.so.6
 *
 * By the calling thread's own entry: the process's shows nothing any more once the main thread has ended.
 */
#include "file.h"
#include "heap.h"
#include "os.h"

#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define BUFFER_BYTES (64 * 1024) /* more than one line can have: a path, each byte as \ooo */

static bool each_line(int fd, char *buffer, os_map_each *each, void *self);
static size_t take_lines(char *buffer, size_t size_bytes, os_map_each *each, void *self);
static bool parse(char *line, struct os_map *map);
static bool take_number(char **at, unsigned base, char end, uint64_t *number);

bool os_maps_each(os_map_each *each, void *self)
{
	int fd = file_open("/proc/thread-self/maps", O_RDONLY);
	char *buffer;
	bool is_read;

	if (fd < 0)
		return false;
	buffer = heap_alloc(BUFFER_BYTES);
	is_read = buffer && each_line(fd, buffer, each, self);
	heap_free(buffer);
	close(fd);
	return is_read;
}

/* The kernel gives whole lines, a page of them or so at a time; a process without any is none that we can see. */
static bool each_line(int fd, char *buffer, os_map_each *each, void *self)
{
	size_t held = 0;
	bool is_seen = false;

	for (;;) {
		ssize_t got = read(fd, buffer + held, BUFFER_BYTES - held);
		size_t taken;

		if (got <= 0)
			return got == 0 && held == 0 && is_seen;
		held += (size_t)got;
		taken = take_lines(buffer, held, each, self);
		is_seen |= taken > 0;
		held -= taken;
		memmove(buffer, buffer + taken, held);
	}
}

/* Returns the bytes of whole lines. */
static size_t take_lines(char *buffer, size_t size_bytes, os_map_each *each, void *self)
{
	char *at = buffer, *end;

	while ((end = memchr(at, '\n', size_bytes - (size_t)(at - buffer)))) {
		struct os_map map;

		*end = '\0';
		if (parse(at, &map))
			each(self, &map);
		at = end + 1;
	}
	return (size_t)(at - buffer);
}

static bool parse(char *line, struct os_map *map)
{
	uint64_t major_number, minor_number;
	char *at = line;

	if (!take_number(&at, 16, '-', &map->start) || !take_number(&at, 16, ' ', &map->end) ||
	    strnlen(at, 5) < 5)
		return false;
	map->is_executable = at[2] == 'x';
	at += 5;
	if (!take_number(&at, 16, ' ', &map->offset) || !take_number(&at, 16, ':', &major_number) ||
	    !take_number(&at, 16, ' ', &minor_number) || !take_number(&at, 10, ' ', &map->inode))
		return false;
	map->device = makedev((unsigned)major_number, (unsigned)minor_number);
	map->name = at + strspn(at, " ");
	return map->start < map->end;
}

static bool take_number(char **at, unsigned base, char end, uint64_t *number)
{
	const char *begin = *at;

	for (*number = 0;; (*at)++) {
		char c = **at;
		unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') :
				 c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 :
							base;

		if (digit >= base)
			break;
		*number = *number * base + digit;
	}
	return *at > begin && *(*at)++ == end;
}
