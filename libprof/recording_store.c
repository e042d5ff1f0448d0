/*
 * recording_store.c - create, append, find again.
 *
 * After the drainer was parked its descriptor is gone, and somebody may have put another file in the
 * place of ours: a file counts as ours if device, inode and the whole head (with the session's random
 * id) are the same, and if it is not shorter than what we wrote.
 */
#include "recording_store.h"

#include "file.h"
#include "heap.h"
#include "recording_block.h"
#include "recording_format.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static errmsg open_new(struct recording_store *store);
static int create(const char *path);
static errmsg open_again(struct recording_store *store);
static bool is_ours(const struct recording_store *store, int fd);
static bool has_our_head(const struct recording_store *store, int fd);
static void undo(struct recording_store *store, bool is_new);
static void close_file(struct recording_store *store);

void recording_store_begin(struct recording_store *store)
{
	const uint32_t version = RECORDING_VERSION_MAJOR << 16 | RECORDING_VERSION_MINOR;

	store->checksum = recording_block_chain(store->head.bytes + RECORDING_HEADER_BYTES,
						store->head.size - RECORDING_HEADER_BYTES,
						recording_block_seed(version));
}

void recording_store_release(struct recording_store *store)
{
	close_file(store);
	wire_release(&store->head);
	heap_free(store->path);
	heap_free(store->other_path);
}

errmsg recording_store_append(struct recording_store *store, const struct wire_buffer *blocks)
{
	bool is_new = !store->created;
	uint32_t checksum;
	errmsg failure = NULL;
	int error;

	if (store->fd < 0)
		failure = is_new ? open_new(store) : open_again(store);
	if (failure)
		return failure;
	checksum = recording_block_chain(blocks->bytes, blocks->size, store->checksum);
	error = file_write_at(store->fd, blocks->bytes, blocks->size, store->good_bytes);
	if (error) {
		undo(store, is_new);
		return file_error(error);
	}
	store->good_bytes += blocks->size;
	store->checksum = checksum;
	if (store->reopen)
		close_file(store);
	return NULL;
}

static errmsg open_new(struct recording_store *store)
{
	struct stat status;
	int error, fd = create(store->path);

	if (fd == -EEXIST && store->other_path) {
		heap_free(store->path);
		store->path = store->other_path;
		store->other_path = NULL;
		fd = create(store->path);
	}
	if (fd < 0)
		return file_error(-fd);
	store->fd = fd;
	error = fstat(fd, &status) == 0 ? 0 : errno;
	if (!error)
		error = file_write_at(fd, store->head.bytes, store->head.size, 0);
	if (error) {
		undo(store, true);
		return file_error(error);
	}
	store->device = status.st_dev;
	store->inode = status.st_ino;
	store->good_bytes = store->head.size;
	store->created = true;
	return NULL;
}

static int create(const char *path)
{
	return file_open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW);
}

static errmsg open_again(struct recording_store *store)
{
	int fd = file_open(store->path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return file_error(-fd);
	if (!is_ours(store, fd)) {
		close(fd);
		return "another file has taken its place";
	}
	store->fd = fd;
	return NULL;
}

static bool is_ours(const struct recording_store *store, int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && status.st_dev == store->device &&
	       status.st_ino == store->inode && (uint64_t)status.st_size >= store->good_bytes &&
	       has_our_head(store, fd);
}

static bool has_our_head(const struct recording_store *store, int fd)
{
	uint8_t *bytes = heap_alloc(store->head.size);
	size_t got = 0;
	bool same = bytes && file_read_at(fd, bytes, store->head.size, 0, &got) == 0 &&
		    got == store->head.size && memcmp(bytes, store->head.bytes, got) == 0;

	heap_free(bytes);
	return same;
}

/* Take back what a failed append left. */
static void undo(struct recording_store *store, bool is_new)
{
	if (is_new) {
		unlink(store->path);
		store->created = false;
		store->good_bytes = 0;
		close_file(store);
		return;
	}
	/* Where even this fails the reader cuts the torn block off, and the next append writes over it. */
	if (ftruncate(store->fd, (off_t)store->good_bytes) != 0 || store->reopen)
		close_file(store);
}

static void close_file(struct recording_store *store)
{
	if (store->fd >= 0)
		close(store->fd);
	store->fd = -1;
}
