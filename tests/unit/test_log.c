#include "log.h"
#include "os.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define FORMATS_AS(expected, ...)                                            \
	do {                                                                 \
		char text[64];                                               \
		size_t length = log_format(text, sizeof(text), __VA_ARGS__); \
		cr_assert_str_eq(text, expected);                            \
		cr_assert_eq(length, strlen(expected));                      \
	} while (0)

/* stderr goes into a pipe of our own; what was written comes back as text. */
static int captured;

static void capture(void)
{
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	cr_assert_geq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	cr_assert_eq(dup2(ends[1], 2), 2);
	close(ends[1]);
	captured = ends[0];
}

static const char *captured_text(void)
{
	static char text[4096];
	ssize_t got = read(captured, text, sizeof(text) - 1);

	text[got > 0 ? got : 0] = '\0';
	return text;
}

Test(log, formats_every_conversion)
{
	FORMATS_AS("a b", "a %s", "b");
	FORMATS_AS("-2147483648", "%d", -2147483647 - 1);
	FORMATS_AS("4294967295", "%u", 4294967295u);
	FORMATS_AS("18446744073709551615", "%lu", ~0ul);
	FORMATS_AS("18446744073709551615", "%llu", ~0ull);
	FORMATS_AS("-9223372036854775808", "%lld", -9223372036854775807ll - 1);
	FORMATS_AS("18446744073709551615", "%zu", ~(size_t)0);
	FORMATS_AS("0 deadbeef", "%x %x", 0, 0xdeadbeef);
	FORMATS_AS("x%y", "%c%%%c", 'x', 'y');
}

Test(log, formats_widths_and_precisions)
{
	FORMATS_AS("000000ff", "%08x", 255);
	FORMATS_AS("   7|7   |-007", "%4d|%-4d|%04d", 7, 7, -7);
	FORMATS_AS("  ab|ab  |abc", "%4s|%-4s|%.3s", "ab", "ab", "abcdef");
	FORMATS_AS("ab", "%.*s", 2, "abcdef");
}

Test(log, reads_no_further_than_the_precision)
{
	const char bytes[2] = { 'o', 'k' };

	FORMATS_AS("ok", "%.*s", 2, bytes);
}

Test(log, ends_with_nul_where_the_text_is_cut)
{
	char text[5];

	memset(text, '#', sizeof(text));
	cr_assert_eq(log_format(text, 4, "%s", "abcdef"), 3);
	cr_assert_arr_eq(text, "abc\0#", 5);
	cr_assert_eq(log_format(text, 4, "%d", 123456), 3);
	cr_assert_arr_eq(text, "123\0#", 5);
	cr_assert_eq(log_format(text, 0, "x"), 0);
	cr_assert_eq(text[0], '1');
}

Test(log, writes_one_line_with_the_pid)
{
	char expected[64];

	capture();
	log_line("%s: %d", "depth", 7);
	snprintf(expected, sizeof(expected), "monprof[%d]: depth: 7\n", (int)getpid());
	cr_assert_str_eq(captured_text(), expected);
}

Test(log, cuts_a_long_line_and_still_ends_it)
{
	char long_text[2000];
	const char *line;

	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	capture();
	log_line("%s", long_text);
	line = captured_text();
	cr_assert_eq(strlen(line), 511);
	cr_assert_eq(line[510], '\n');
	cr_assert_eq(line[509], 'x');
}

Test(log, writes_nothing_when_quiet)
{
	capture();
	log_quiet(true);
	log_line("lost");
	cr_assert_str_eq(captured_text(), "");
	log_quiet(false);
	log_line("kept");
	cr_assert_neq(strstr(captured_text(), "kept\n"), NULL);
}

Test(log, keeps_errno_where_stderr_is_closed)
{
	close(2);
	errno = ERANGE;
	log_line("nobody hears this");
	cr_assert_eq(errno, ERANGE);
}

Test(log, survives_a_stderr_that_nobody_reads)
{
	sigset_t pending;

	capture();
	close(captured);
	log_line("nobody hears this");
	cr_assert_eq(sigpending(&pending), 0);
	cr_assert_not(sigismember(&pending, SIGPIPE));
}

static void *speak_from_own_table(void *heard)
{
	bool owns = os_descriptors_own();

	log_divert(os_gettid());
	errno = ERANGE;
	log_line("from my own table");
	*(int *)heard = errno == ERANGE;
	log_divert(0);
	return owns ? "own" : NULL;
}

Test(log, diverts_the_lines_of_a_thread_without_the_program_stderr)
{
	pthread_t thread;
	int keeps_errno = 0;

	capture();
	cr_assert_eq(pthread_create(&thread, NULL, speak_from_own_table, &keeps_errno), 0);
	pthread_join(thread, NULL);
	cr_assert_neq(strstr(captured_text(), "from my own table\n"), NULL);
	cr_assert(keeps_errno);
}

static void *speak_without_descriptors(void *unused)
{
	struct rlimit limit, none;

	(void)unused;
	log_divert(os_gettid());
	getrlimit(RLIMIT_NOFILE, &limit);
	none = (struct rlimit){ 0, limit.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	log_line("the first");
	log_line("the second");
	setrlimit(RLIMIT_NOFILE, &limit);
	log_divert(0);
	return NULL;
}

Test(log, keeps_the_first_line_of_a_thread_that_finds_no_descriptor)
{
	pthread_t thread;
	int status;
	pid_t child;

	capture();
	log_kept();
	cr_assert_eq(pthread_create(&thread, NULL, speak_without_descriptors, NULL), 0);
	pthread_join(thread, NULL);
	cr_assert_str_eq(captured_text(), "");
	child = fork();
	if (child == 0) {
		log_kept();
		_exit(0);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_str_eq(captured_text(), "", "a child told of its parent");
	errno = ERANGE;
	log_kept();
	log_kept();
	cr_assert_eq(errno, ERANGE);
	cr_assert_neq(strstr(captured_text(), "the first\n"), NULL);
	cr_assert_str_eq(captured_text(), "");
}
