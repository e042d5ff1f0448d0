/*
 * sink.c - put -> (gather -> deflate) -> buffer -> file aside -> its name.
 *
 * zlib takes about as long for a few bytes as for a hundred, so it gets many at a time.  The buffer is written out when
 * it is full; a memory sink's buffer just grows.  The name is taken by
 * link(2), which never replaces; file systems without hard links get renameat2(2), and those without
 * that an empty file under the name first, to hold it.
 */
#include "sink.h"

#include "file.h"
#include "heap.h"
#include "log.h"
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h> /* renameat2(2) is declared there */
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define BUFFER_BYTES ((size_t)64 << 10)
#define STEP_BYTES ((size_t)64 << 10)
#define GATHERED_BYTES ((size_t)64 << 10)
#define PACKED_BYTES ((size_t)16 << 10)
#define FORMAT_BYTES 512
#define ASIDE_TRIES 9
#define ASIDE_SUFFIX ".tmp"
#define GZIP_WINDOW (15 + 16)
#define GZIP_MEMORY 8

struct sink {
	errmsg error; /* the first */
	int fd; /* -1: memory */
	char *path, *aside; /* NULL: stdout, memory */
	struct wire_buffer bytes;
	bool gzip, ended;
	z_stream stream;
	struct wire_buffer gathered; /* not yet deflated */
	uint8_t *packed;
	struct watch watch;
	uint64_t stepped_bytes; /* put up to the last step */
	size_t step_bytes; /* to be put until the next; without a watch more than there is */
};

const char SINK_TAKEN[] = "the name is taken";

static const char no_memory[] = "no memory";

static struct sink *sink_new(bool gzip);
static void *zlib_alloc(void *opaque, unsigned items, unsigned size_bytes);
static void zlib_free(void *opaque, void *block);
static void open_aside(struct sink *sink, const char *path);
static void put(struct sink *sink, const void *bytes, size_t size_bytes);
static void gather(struct sink *sink, const void *bytes, size_t size_bytes);
static void deflate_gathered(struct sink *sink, int flush);
static void deflate_all(struct sink *sink, const void *bytes, size_t size_bytes, int flush);
static void emit(struct sink *sink, const void *bytes, size_t size_bytes);
static void write_out(struct sink *sink);
static void end(struct sink *sink);
static void place(struct sink *sink);
static int take_name(const char *aside, const char *path);
static int hold_name(const char *aside, const char *path);

struct sink *sink_open(const char *path, bool gzip)
{
	struct sink *sink = sink_new(gzip);

	if (!sink)
		return NULL;
	if (strcmp(path, "-") == 0)
		sink->fd = STDOUT_FILENO;
	else
		open_aside(sink, path);
	return sink;
}

struct sink *sink_memory(bool gzip)
{
	return sink_new(gzip);
}

void sink_watch(struct sink *sink, struct watch watch)
{
	sink->watch = watch;
	sink->step_bytes = watch.step ? STEP_BYTES : SIZE_MAX;
}

void sink_put(struct sink *sink, const void *bytes, size_t size_bytes)
{
	const uint8_t *from = bytes;

	while (size_bytes >= sink->step_bytes) {
		put(sink, from, sink->step_bytes);
		from += sink->step_bytes;
		size_bytes -= sink->step_bytes;
		sink->step_bytes = STEP_BYTES;
		sink->stepped_bytes += STEP_BYTES;
		if (!watch_step(&sink->watch, sink->path ? sink->path : "-", sink->stepped_bytes,
				0))
			sink_fail(sink, WATCH_STOPPED);
	}
	put(sink, from, size_bytes);
	sink->step_bytes -= size_bytes;
}

void sink_puts(struct sink *sink, const char *text)
{
	sink_put(sink, text, strlen(text));
}

void sink_format(struct sink *sink, const char *format, ...)
{
	char text[FORMAT_BYTES];
	va_list arguments;

	va_start(arguments, format);
	log_vformat(text, sizeof(text), format, arguments);
	va_end(arguments);
	sink_puts(sink, text);
}

void sink_fail(struct sink *sink, errmsg error)
{
	if (!sink->error)
		sink->error = error;
}

bool sink_failed(const struct sink *sink)
{
	return sink->error != NULL;
}

const void *sink_bytes(struct sink *sink, size_t *size_bytes)
{
	end(sink);
	*size_bytes = sink->bytes.size;
	return sink->bytes.bytes;
}

errmsg sink_close(struct sink *sink)
{
	errmsg error;

	end(sink);
	write_out(sink);
	if (sink->aside && sink->fd >= 0 && close(sink->fd) != 0 && errno != EINTR)
		sink_fail(sink, file_error(errno));
	if (sink->aside)
		place(sink);
	error = sink->error;
	if (sink->gzip)
		deflateEnd(&sink->stream);
	wire_release(&sink->gathered);
	wire_release(&sink->bytes);
	heap_free(sink->packed);
	heap_free(sink->path);
	heap_free(sink->aside);
	heap_free(sink);
	return error;
}

static struct sink *sink_new(bool gzip)
{
	struct sink *sink = heap_zalloc(sizeof(*sink));

	if (!sink)
		return NULL;
	sink->fd = -1;
	sink->step_bytes = SIZE_MAX;
	if (!gzip)
		return sink;
	sink->packed = heap_alloc(PACKED_BYTES);
	sink->stream.zalloc = zlib_alloc;
	sink->stream.zfree = zlib_free;
	if (!sink->packed || deflateInit2(&sink->stream, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW,
					  GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
		heap_free(sink->packed);
		heap_free(sink);
		return NULL;
	}
	sink->gzip = true;
	return sink;
}

static void *zlib_alloc(void *opaque, unsigned items, unsigned size_bytes)
{
	(void)opaque;
	return heap_zalloc((size_t)items * size_bytes);
}

static void zlib_free(void *opaque, void *block)
{
	(void)opaque;
	heap_free(block);
}

/* A killed process may have left its own file aside: then the next name is tried. */
static void open_aside(struct sink *sink, const char *path)
{
	size_t room = strlen(path) + sizeof(ASIDE_SUFFIX) + 1;
	int fd = -EEXIST;

	sink->path = heap_strdup(path);
	sink->aside = heap_alloc(room);
	if (!sink->path || !sink->aside) {
		sink_fail(sink, no_memory);
		return;
	}
	for (unsigned i = 1; i <= ASIDE_TRIES && fd == -EEXIST; i++) {
		log_format(sink->aside, room, i == 1 ? "%s%s" : "%s%s%u", path, ASIDE_SUFFIX, i);
		fd = file_open(sink->aside, O_WRONLY | O_CREAT | O_EXCL);
	}
	if (fd < 0)
		sink_fail(sink, file_error(-fd));
	else
		sink->fd = fd;
}

static void put(struct sink *sink, const void *bytes, size_t size_bytes)
{
	if (sink->gzip)
		gather(sink, bytes, size_bytes);
	else
		emit(sink, bytes, size_bytes);
}

static void gather(struct sink *sink, const void *bytes, size_t size_bytes)
{
	wire_put(&sink->gathered, bytes, size_bytes);
	if (sink->gathered.size >= GATHERED_BYTES || sink->gathered.failed)
		deflate_gathered(sink, Z_NO_FLUSH);
}

static void deflate_gathered(struct sink *sink, int flush)
{
	if (sink->gathered.failed)
		sink_fail(sink, no_memory);
	else if (sink->gathered.size > 0)
		deflate_all(sink, sink->gathered.bytes, sink->gathered.size, flush);
	else
		deflate_all(sink, "", 0, flush);
	wire_clear(&sink->gathered);
}

static void deflate_all(struct sink *sink, const void *bytes, size_t size_bytes, int flush)
{
	z_stream *stream = &sink->stream;
	const uint8_t *from = bytes;
	int status = Z_OK;

	do {
		unsigned piece = size_bytes > UINT32_MAX ? UINT32_MAX : (unsigned)size_bytes;

		stream->next_in = (uint8_t *)(uintptr_t)from;
		stream->avail_in = piece;
		do {
			stream->next_out = sink->packed;
			stream->avail_out = PACKED_BYTES;
			status = sink->error ? Z_STREAM_ERROR : deflate(stream, flush);
			if (status == Z_STREAM_ERROR)
				return;
			emit(sink, sink->packed, PACKED_BYTES - stream->avail_out);
		} while (stream->avail_out == 0);
		from += piece;
		size_bytes -= piece;
	} while (size_bytes > 0);
}

static void emit(struct sink *sink, const void *bytes, size_t size_bytes)
{
	if (sink->error)
		return;
	wire_put(&sink->bytes, bytes, size_bytes);
	if (sink->bytes.failed)
		sink_fail(sink, no_memory);
	else if (sink->bytes.size >= BUFFER_BYTES)
		write_out(sink);
}

static void write_out(struct sink *sink)
{
	int error;

	if (sink->fd < 0 || sink->error || sink->bytes.size == 0)
		return;
	error = file_write(sink->fd, sink->bytes.bytes, sink->bytes.size);
	if (error)
		sink_fail(sink, file_error(error));
	wire_clear(&sink->bytes);
}

static void end(struct sink *sink)
{
	if (sink->gzip && !sink->ended)
		deflate_gathered(sink, Z_FINISH);
	sink->ended = true;
}

static void place(struct sink *sink)
{
	int error = sink->error ? 0 : take_name(sink->aside, sink->path);

	if (error)
		sink_fail(sink, error == EEXIST ? SINK_TAKEN : file_error(error));
	if (sink->error && sink->fd >= 0)
		unlink(sink->aside);
}

/* Give the file its name instead of the one aside, which stays after an error. 0 or errno. */
static int take_name(const char *aside, const char *path)
{
	if (link(aside, path) == 0) {
		unlink(aside);
		return 0;
	}
	if (errno == EEXIST || errno == ENOENT || errno == ENOTDIR)
		return errno;
	if (renameat2(AT_FDCWD, aside, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
		return 0;
	return errno == EINVAL || errno == ENOSYS ? hold_name(aside, path) : errno;
}

static int hold_name(const char *aside, const char *path)
{
	int fd = file_open(path, O_WRONLY | O_CREAT | O_EXCL);

	if (fd < 0)
		return -fd;
	close(fd);
	return rename(aside, path) == 0 ? 0 : errno;
}
