#include "recordings.h"

#include "file.h"

#include <errno.h>
#include <sys/resource.h>

Test(file, never_a_standard_descriptor)
{
	char *path = in_scratch("f");
	int saved = dup(STDERR_FILENO), fd;

	close(STDIN_FILENO);
	close(STDERR_FILENO);
	fd = file_open(path, O_RDWR | O_CREAT | O_EXCL);
	cr_expect_gt(fd, STDERR_FILENO);
	cr_expect_eq(fcntl(STDERR_FILENO, F_GETFD), -1);
	dup2(saved, STDERR_FILENO);
	cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	remove_scratch();
}

Test(file, no_number_above_the_standard_ones_is_left)
{
	const struct rlimit few = { 3, 3 };

#ifdef UNDER_VALGRIND
	cr_skip_test("valgrind has the numbers above a limit of its own");
#endif
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	close(STDIN_FILENO);
	cr_expect_eq(file_open("/dev/null", O_RDONLY), -EMFILE);
	cr_expect_eq(fcntl(STDIN_FILENO, F_GETFD), -1, "it was left open");
}

Test(file, errors_have_names)
{
	cr_assert_eq(file_open("/nonexistent/x", O_RDONLY), -ENOENT);
	cr_assert_str_eq(file_error(ENOSPC), "No space left on device");
	cr_assert_not_null(file_error(123456));
	cr_assert_eq(file_write(-1, "x", 1), EBADF);
}

Test(file, bytes_land_where_they_belong)
{
	char *path = in_scratch("f");
	int fd = file_open(path, O_RDWR | O_CREAT | O_EXCL);
	char bytes[16];
	size_t got;

	cr_assert_eq(file_write(fd, "hello", 5), 0);
	cr_assert_eq(file_write_at(fd, "J", 1, 0), 0);
	cr_assert_eq(file_read_at(fd, bytes, sizeof(bytes), 1, &got), 0);
	cr_assert_eq(got, 4);
	cr_assert_eq(memcmp(bytes, "ello", 4), 0);
	close(fd);
	remove_scratch();
}
