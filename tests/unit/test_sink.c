#include "recordings.h"

#include "sink.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <zlib.h>

/* All that gzip makes of these bytes. */
static size_t gunzip(const void *bytes, size_t size, void *to, size_t room)
{
	z_stream stream = { .next_in = (uint8_t *)(uintptr_t)bytes,
			    .avail_in = (unsigned)size,
			    .next_out = to,
			    .avail_out = (unsigned)room };

	cr_assert_eq(inflateInit2(&stream, 15 + 16), Z_OK);
	cr_assert_eq(inflate(&stream, Z_FINISH), Z_STREAM_END);
	cr_assert_eq(stream.avail_in, 0);
	inflateEnd(&stream);
	return stream.total_out;
}

Test(sink, memory_holds_what_was_put)
{
	struct sink *sink = sink_memory(false);
	const void *bytes;
	size_t size;

	sink_put(sink, "ab", 2);
	sink_puts(sink, "cd");
	sink_format(sink, " %d %s", 7, "x");
	bytes = sink_bytes(sink, &size);
	cr_assert_eq(size, 8);
	cr_assert_eq(memcmp(bytes, "abcd 7 x", 8), 0);
	cr_assert_null(sink_close(sink));
}

Test(sink, gzip_comes_back, .fini = remove_scratch)
{
	size_t room = 3000000, at = 0, size;
	char *plain = keep(malloc(room)), *back = keep(malloc(room + 1));
	char *path = in_scratch("f.gz");
	struct sink *file = sink_open(path, true), *memory = sink_memory(true);
	struct bytes all;
	uint64_t seed = 5;
	const void *bytes;

	for (size_t i = 0; i < room; i++)
		plain[i] = (char)(next_random(&seed) % 7);
	while (at < room) {
		size_t n = next_random(&seed) % 200000;

		n = n < room - at ? n : room - at;
		sink_put(file, plain + at, n);
		sink_put(memory, plain + at, n);
		at += n;
	}
	bytes = sink_bytes(memory, &size);
	cr_assert_null(sink_close(file));
	all = slurp(path);
	cr_assert_eq(all.size, size);
	cr_assert_eq(memcmp(all.bytes, bytes, size), 0);
	cr_assert_eq(gunzip(all.bytes, all.size, back, room + 1), room);
	cr_assert_eq(memcmp(plain, back, room), 0);
	cr_assert_null(sink_close(memory));
}

Test(sink, a_file_appears_whole_and_alone, .fini = remove_scratch)
{
	char *path = in_scratch("f"), *aside = in_scratch("f.tmp");
	struct sink *sink = sink_open(path, false);
	struct stat status;

	umask(027);
	sink_puts(sink, "hello");
	cr_assert_neq(access(path, F_OK), 0, "seen before it is finished");
	cr_assert_null(sink_close(sink));
	cr_assert_eq(slurp(path).size, 5);
	cr_assert_neq(access(aside, F_OK), 0, "left behind");
	sink = sink_open(in_scratch("g"), false);
	cr_assert_null(sink_close(sink));
	cr_assert_eq(stat(in_scratch("g"), &status), 0);
	cr_assert_eq(status.st_mode & 0777, 0640);
}

Test(sink, a_name_that_is_taken_is_never_replaced, .fini = remove_scratch)
{
	char *path = in_scratch("f"), *dangling = in_scratch("l");
	struct sink *sink = sink_open(path, false);

	sink_puts(sink, "ours");
	spill(path, "theirs", 6);
	cr_assert_eq(sink_close(sink), SINK_TAKEN);
	cr_assert_str_eq((char *)slurp(path).bytes, "theirs");
	cr_assert_neq(access(in_scratch("f.tmp"), F_OK), 0);

	cr_assert_eq(symlink("/nonexistent/x", dangling), 0);
	sink = sink_open(dangling, false);
	cr_assert_eq(sink_close(sink), SINK_TAKEN);
}

Test(sink, what_a_killed_one_left_aside_is_no_hindrance, .fini = remove_scratch)
{
	char *path = in_scratch("f"), *aside = in_scratch("f.tmp");
	struct sink *sink;

	spill(aside, "left", 4);
	sink = sink_open(path, false);
	sink_puts(sink, "whole");
	cr_assert_null(sink_close(sink));
	cr_assert_str_eq((char *)slurp(path).bytes, "whole");
	cr_assert_str_eq((char *)slurp(aside).bytes, "left");
}

Test(sink, the_first_error_is_the_one_that_is_told, .fini = remove_scratch)
{
	struct sink *sink = sink_open("/nonexistent/f", true);

	cr_assert(sink_failed(sink));
	sink_puts(sink, "nothing");
	sink_fail(sink, "later");
	cr_assert_str_eq(sink_close(sink), strerror(ENOENT));

	sink = sink_open(in_scratch("f"), false);
	sink_puts(sink, "half");
	sink_fail(sink, "no memory");
	cr_assert_str_eq(sink_close(sink), "no memory");
	cr_assert_neq(access(in_scratch("f"), F_OK), 0);
	cr_assert_neq(access(in_scratch("f.tmp"), F_OK), 0);
}

Test(sink, a_full_disk_leaves_nothing, .fini = remove_scratch)
{
	struct rlimit limit = { 100000, RLIM_INFINITY };
	struct sink *sink = sink_open(in_scratch("f"), false);

	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (unsigned i = 0; i < 20000; i++)
		sink_puts(sink, "0123456789");
	cr_assert(sink_failed(sink));
	cr_assert_str_eq(sink_close(sink), strerror(EFBIG));
	cr_assert_neq(access(in_scratch("f"), F_OK), 0);
	cr_assert_neq(access(in_scratch("f.tmp"), F_OK), 0);
}

Test(sink, a_pipe_that_nobody_reads_is_an_error)
{
	struct sink *sink;
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	cr_assert_eq(pipe(ends), 0);
	close(ends[0]);
	dup2(ends[1], STDOUT_FILENO);
	sink = sink_open("-", false);
	sink_puts(sink, "x");
	cr_assert_str_eq(sink_close(sink), strerror(EPIPE));
}
