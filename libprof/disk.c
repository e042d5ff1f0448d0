/*
 * disk.c - a queue of files.
 */
#include "disk.h"

#include "heap.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MOST 65536 /* of one byte and more: a list of them must stay flat, too */

struct file {
	struct file *later;
	dev_t device;
	ino_t inode;
	uint64_t bytes;
	unsigned recording;
	char path[];
};

static struct {
	uint64_t limit_bytes, used_bytes;
	struct file *oldest, *newest;
	size_t count;
} disk;

static void drop_oldest(bool is_removed);
static void forget(struct file *file);

void disk_begin(uint64_t limit_bytes)
{
	while (disk.oldest)
		drop_oldest(false);
	disk.limit_bytes = limit_bytes;
}

void disk_add(const char *path, unsigned recording)
{
	size_t path_bytes = strlen(path) + 1;
	struct stat status;
	struct file *file;

	if (!disk.limit_bytes || lstat(path, &status) != 0)
		return;
	file = heap_alloc(sizeof(*file) + path_bytes);
	if (!file)
		return;
	*file = (struct file){
		.device = status.st_dev,
		.inode = status.st_ino,
		.bytes = (uint64_t)status.st_size,
		.recording = recording,
	};
	memcpy(file->path, path, path_bytes);
	if (disk.newest)
		disk.newest->later = file;
	else
		disk.oldest = file;
	disk.newest = file;
	disk.used_bytes += file->bytes;
	if (++disk.count > FILES_MOST)
		drop_oldest(true);
}

void disk_remove(const char *path)
{
	struct file *earlier = NULL, *file = disk.oldest;

	unlink(path);
	for (; file && strcmp(file->path, path) != 0; file = file->later)
		earlier = file;
	if (!file)
		return;
	*(earlier ? &earlier->later : &disk.oldest) = file->later;
	if (disk.newest == file)
		disk.newest = earlier;
	forget(file);
}

void disk_make_room(uint64_t more_bytes)
{
	while (disk.oldest && disk.oldest->recording != disk.newest->recording &&
	       disk.used_bytes + more_bytes > disk.limit_bytes)
		drop_oldest(true);
}

static void drop_oldest(bool is_removed)
{
	struct file *file = disk.oldest;
	struct stat status;

	if (is_removed && lstat(file->path, &status) == 0 && status.st_dev == file->device &&
	    status.st_ino == file->inode)
		unlink(file->path);
	disk.oldest = file->later;
	if (!disk.oldest)
		disk.newest = NULL;
	forget(file);
}

/* It is in the queue no more. */
static void forget(struct file *file)
{
	disk.used_bytes -= file->bytes;
	disk.count--;
	heap_free(file);
}
