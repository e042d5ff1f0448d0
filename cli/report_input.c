/*
 * report_input.c - files -> profile.
 *
 *   recordings    -> profile_add_file
 *   a pprof file  -> pprof_profile
 *
 * Which of both a file is, its first bytes say.
 */
#include "file.h"
#include "pprof_profile.h"
#include "progress.h"
#include "recording_format.h"
#include "report.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define PIECE_BYTES ((size_t)1 << 20)

static errmsg sum_recordings(struct report_input *input, const struct report_wish *wish,
			     const char **file);
static errmsg read_pprof(struct report_input *input, const char *path);
static errmsg read_file(const char *path, struct wire_buffer *bytes);

errmsg report_open(struct report_input *input, const struct report_wish *wish, const char **file)
{
	*file = wish->files[0];
	if (report_is_recording(*file))
		return sum_recordings(input, wish, file);
	input->is_pprof = true;
	return read_pprof(input, *file);
}

void report_release(struct report_input *input)
{
	profile_free(input->profile);
	wire_release(&input->comments);
}

void report_facts(const struct table *table, const struct report_input *input)
{
	const char *comment = (const char *)input->comments.bytes;
	const char *end = comment + input->comments.size;

	if (!input->is_pprof)
		table_facts(table, input->profile);
	for (; comment < end; comment += strlen(comment) + 1)
		table_line(table, comment, "", "");
}

bool report_is_recording(const char *path)
{
	char magic[sizeof(RECORDING_MAGIC) - 1];
	int fd = file_open(path, O_RDONLY | O_NONBLOCK);
	size_t got = 0;

	if (fd < 0)
		return false;
	file_read_at(fd, magic, sizeof(magic), 0, &got);
	close(fd);
	return got == sizeof(magic) && memcmp(magic, RECORDING_MAGIC, sizeof(magic)) == 0;
}

static errmsg sum_recordings(struct report_input *input, const struct report_wish *wish,
			     const char **file)
{
	errmsg error = NULL;

	input->profile = profile_new();
	if (!input->profile)
		return "no memory";
	profile_watch(input->profile, progress_begin());
	for (size_t i = 0; i < wish->file_count && !error; i++) {
		*file = wish->files[i];
		error = filter_add_file(&wish->filter, input->profile, *file);
	}
	if (!error)
		error = profile_finish(input->profile);
	progress_erase();
	return error;
}

static errmsg read_pprof(struct report_input *input, const char *path)
{
	struct wire_buffer bytes = { 0 };
	errmsg error = read_file(path, &bytes);

	if (!error)
		error = pprof_profile(bytes.bytes, bytes.size, &input->profile, &input->comments);
	wire_release(&bytes);
	return error;
}

static errmsg read_file(const char *path, struct wire_buffer *bytes)
{
	int fd = file_open(path, O_RDONLY | O_NONBLOCK);
	uint8_t *piece = heap_alloc(PIECE_BYTES);
	size_t got = PIECE_BYTES;
	int error = fd < 0 ? -fd : 0;

	while (!error && piece && got == PIECE_BYTES && !bytes->failed) {
		error = file_read_at(fd, piece, PIECE_BYTES, bytes->size, &got);
		wire_put(bytes, piece, got);
	}
	if (fd >= 0)
		close(fd);
	heap_free(piece);
	if (error)
		return file_error(error);
	return piece && !bytes->failed ? NULL : "no memory";
}
