#include "recordings.h"

#include "dump.h"
#include "options.h"

#define FORMATS "collapsed,json"

static char *recording, *request;

static void set_up(void)
{
	setenv("MONPROF_EXPORT", "speedscope", 1);
	cr_assert(options_load());
	recording = in_scratch("r.monprof");
	request = in_scratch("r.monprof.dump");
}

TestSuite(dump, .init = set_up, .fini = remove_scratch);

static bool exists(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

static uint64_t formats_of(const char *list)
{
	struct option_value value;
	char error[256];

	cr_assert_not(option_parse(option_row(OPTION_EXPORT), list, &value, error, sizeof(error)));
	return value.number;
}

static void ask(const char *text)
{
	spill(request, text, strlen(text));
}

/* The answer is in a file that has no name any more: whoever asked has a descriptor. */
static int open_request(void)
{
	int fd = open(request, O_RDONLY);

	cr_assert_geq(fd, 0);
	return fd;
}

static const char *answer(int fd)
{
	static char text[8192];
	ssize_t got = pread(fd, text, sizeof(text) - 1, 0);

	cr_assert_geq(got, 0);
	text[got] = '\0';
	return text;
}

Test(dump, nobody_asks)
{
	cr_assert_not(dump_take(recording));
}

Test(dump, its_name_goes_and_the_answer_comes)
{
	int fd;

	ask(FORMATS "\n");
	fd = open_request();
	cr_assert(dump_take(recording));
	cr_assert_not(exists(request));
	cr_assert_eq(dump_formats(), formats_of(FORMATS));
	cr_assert_str_eq(dump_recording(), recording);
	cr_assert_str_eq(answer(fd), "", "what was asked for is no answer");
	dump_say("%s%s\n", DUMP_WROTE, "/a/b");
	dump_say("%s%s: %s\n", DUMP_FAILED, "/a/c", "no space");
	cr_assert_str_eq(answer(fd), "wrote /a/b\nfailed /a/c: no space\n");
	dump_end(false);
	cr_assert_str_eq(answer(fd), "wrote /a/b\nfailed /a/c: no space\ndone\n");
	close(fd);
	cr_assert_not(dump_take(recording), "once");
}

Test(dump, one_that_is_interrupted_comes_again)
{
	int fd;

	ask("\n");
	fd = open_request();
	cr_assert(dump_take(recording));
	dump_end(true);
	cr_assert_str_eq(answer(fd), "again\n");
	close(fd);
	ask("json\n");
	fd = open_request();
	cr_assert(dump_take(recording));
	dump_end(false);
	cr_assert_str_eq(answer(fd), "done\n");
	close(fd);
}

Test(dump, without_formats_they_are_the_programs)
{
	static const char *const texts[] = { "\n", "no such format\n", "json,\n\n", "\377\n" };

	for (size_t i = 0; i < PROF_COUNT(texts); i++) {
		ask(texts[i]);
		cr_assert(dump_take(recording), "%zu", i);
		cr_assert_eq(dump_formats(), formats_of("speedscope"), "%zu", i);
		dump_end(false);
	}
}

/* It is still being written. */
Test(dump, half_a_request_is_none_yet)
{
	ask("");
	cr_assert_not(dump_take(recording));
	ask("collapsed");
	cr_assert_not(dump_take(recording));
	cr_assert(exists(request), "it is left to whoever writes it");
	ask("collapsed\n");
	cr_assert(dump_take(recording));
	dump_end(false);
}

Test(dump, a_long_one_is_no_request)
{
	char text[DUMP_REQUEST_BYTES + 1];

	memset(text, 'a', sizeof(text));
	text[DUMP_REQUEST_BYTES - 1] = '\n';
	spill(request, text, DUMP_REQUEST_BYTES);
	cr_assert_not(dump_take(recording));
	text[DUMP_REQUEST_BYTES - 2] = '\n';
	spill(request, text, DUMP_REQUEST_BYTES - 1);
	cr_assert(dump_take(recording));
	dump_end(false);
}

/* What is no file of its own stays, and what it leads to stays as it is. */
Test(dump, links_are_no_requests)
{
	char *other = in_scratch("other");

	spill(other, "json\n", 5);
	cr_assert_eq(symlink(other, request), 0);
	cr_assert_not(dump_take(recording));
	cr_assert_eq(unlink(request), 0);
	cr_assert_eq(link(other, request), 0);
	cr_assert_not(dump_take(recording));
	cr_assert_eq(slurp(other).size, 5);
	cr_assert(exists(request));
}

Test(dump, what_is_no_file_is_no_request, .timeout = 20)
{
	cr_assert_eq(mkfifo(request, 0600), 0);
	cr_assert_not(dump_take(recording), "and nobody waits for its other end");
	cr_assert_eq(unlink(request), 0);
	cr_assert_eq(mkdir(request, 0700), 0);
	cr_assert_not(dump_take(recording));
	cr_assert(exists(request));
}

Test(dump, another_users_file_is_no_request)
{
	if (geteuid() != 0)
		cr_skip_test("only root can give files away");
	ask("json\n");
	cr_assert_eq(chown(request, 65534, (gid_t)-1), 0);
	cr_assert_not(dump_take(recording));
	cr_assert(exists(request));
}

/* Root may ask anybody's process: the file is that user's, or root's. */
Test(dump, ones_own_and_roots_are_requests)
{
	if (geteuid() != 0)
		cr_skip_test("only root can become somebody else");
	cr_assert_eq(chmod(scratch(), 0777), 0);
	ask("json\n");
	cr_assert_eq(chmod(request, 0666), 0);
	cr_assert_eq(seteuid(65534), 0);
	cr_assert(dump_take(recording));
	dump_end(false);
	ask("json\n");
	cr_assert(dump_take(recording));
	dump_end(false);
	cr_assert_eq(seteuid(0), 0);
}

Test(dump, a_name_that_is_too_long_is_none)
{
	char *path = keep(malloc(5001));

	memset(path, 'a', 5000);
	path[0] = '/';
	path[5000] = '\0';
	cr_assert_not(dump_take(path));
}
