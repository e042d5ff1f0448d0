/*
 * os_task.c - the parts of os.h that read /proc: threads, their names; and the kernel's tick.
 *
 * Directories are read with getdents64(2): opendir would call the program's malloc.
 *
 * A /proc counts as the pid namespace does in which it was mounted (pid_namespaces(7)). One of another is
 * none: its numbers are those of other threads here, or of nobody.
 */
#include "file.h"
#include "log.h"
#include "os.h"
#include "os_call.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LISTING_BYTES 4096

/* struct linux_dirent64, getdents(2). */
struct os_directory_entry {
	uint64_t inode;
	int64_t next;
	uint16_t size_bytes;
	uint8_t type;
	char name[];
};

static bool proc_is_ours(void);
static pid_t number(const char *text);

uint64_t os_tick_ns(void)
{
	struct timespec resolution;

	/* The coarse clock moves at each tick, clock_getres(2). */
	if (clock_getres(CLOCK_MONOTONIC_COARSE, &resolution) != 0)
		return 4000000;
	return (uint64_t)resolution.tv_nsec;
}

bool os_tasks_each(void (*each)(void *self, pid_t tid), void *self)
{
	_Alignas(struct os_directory_entry) char listing[LISTING_BYTES];
	int fd = proc_is_ours() ? file_open("/proc/self/task", O_RDONLY | O_DIRECTORY) : -1;
	long got;

	if (fd < 0)
		return false;
	while ((got = os_call(SYS_getdents64, fd, listing, sizeof(listing))) > 0) {
		for (long at = 0; at < got;) {
			const struct os_directory_entry *entry = (const void *)(listing + at);
			pid_t tid = number(entry->name);

			if (tid)
				each(self, tid);
			at += entry->size_bytes;
		}
	}
	close(fd);
	return got == 0;
}

bool os_task_name(pid_t tid, char *name, size_t size_bytes)
{
	char path[64];
	size_t got = 0;
	int fd;

	log_format(path, sizeof(path), "/proc/self/task/%d/comm", tid);
	fd = proc_is_ours() ? file_open(path, O_RDONLY) : -1;
	if (fd < 0)
		return false;
	if (file_read_at(fd, name, size_bytes - 1, 0, &got) != 0)
		got = 0;
	close(fd);
	if (got && name[got - 1] == '\n')
		got--;
	name[got] = '\0';
	return got > 0;
}

bool os_task_is_zombie(pid_t tid)
{
	char path[64], stat[256];
	const char *name_end;
	size_t got = 0;
	int fd;

	log_format(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	fd = file_open(path, O_RDONLY);
	if (fd < 0)
		return false;
	if (file_read_at(fd, stat, sizeof(stat) - 1, 0, &got) != 0)
		got = 0;
	close(fd);
	stat[got] = '\0';
	/* "tid (name) state ...", and a name may hold anything, proc(5) */
	name_end = strrchr(stat, ')');
	return name_end && (name_end[2] == 'Z' || name_end[2] == 'X');
}

static bool proc_is_ours(void)
{
	char pid[16];
	ssize_t got = readlink("/proc/self", pid, sizeof(pid) - 1);

	pid[got > 0 ? got : 0] = '\0';
	return number(pid) == os_getpid();
}

static pid_t number(const char *text)
{
	pid_t value = 0;

	for (; *text >= '0' && *text <= '9'; text++)
		value = value * 10 + (*text - '0');
	return *text ? 0 : value;
}
