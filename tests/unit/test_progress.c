/*
 * test_progress.c - what a terminal gets to see, byte by byte, on a clock that the test moves.
 */
#include "command.h"

#include "../../cli/progress.h"

#include <sys/ioctl.h>

#define MS 1000000u
#define CLEAN "\r\033[K"
#define MARK "\1"

uint64_t __wrap_os_monotonic_ns(void);

static uint64_t now_ns = 1000 * MS;

uint64_t __wrap_os_monotonic_ns(void)
{
	return now_ns;
}

/* A terminal of its own for stderr. The other end of it. */
static int open_terminal(unsigned short columns)
{
	struct winsize size = { .ws_row = 24, .ws_col = columns };
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;

	cr_assert_geq(master, 0);
	cr_assert_eq(grantpt(master), 0);
	cr_assert_eq(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	cr_assert_geq(slave, 0);
	cr_assert_eq(ioctl(slave, TIOCSWINSZ, &size), 0);
	cr_assert_eq(dup2(slave, STDERR_FILENO), STDERR_FILENO);
	close(slave);
	setenv("TERM", "xterm", 1);
	return master;
}

/* All that has come since. The kernel takes its time to pass it on: up to a mark of our own. */
static const char *shown(int master)
{
	static char text[8192];
	size_t size = 0;

	cr_assert_eq(write(STDERR_FILENO, MARK, 1), 1);
	do {
		ssize_t n = read(master, text + size, sizeof(text) - 1 - size);

		cr_assert_gt(n, 0);
		size += (size_t)n;
	} while (text[size - 1] != MARK[0]);
	text[size - 1] = '\0';
	return text;
}

static void step_at(struct watch watch, unsigned after_ms, const char *path, uint64_t done,
		    uint64_t all)
{
	now_ns = (1000 + (uint64_t)after_ms) * MS;
	watch.step(watch.self, path, done, all);
}

Test(progress, a_line_after_half_a_second_ten_times_a_second)
{
	int master = open_terminal(80);
	struct watch watch = progress_begin();

	step_at(watch, 0, "a.monprof", 1, 1000);
	step_at(watch, 499, "a.monprof", 42, 1000);
	cr_assert_str_eq(shown(master), "");
	step_at(watch, 501, "a.monprof", 439, 1000);
	cr_assert_str_eq(shown(master), "\rreading a.monprof 43 %\033[K");
	step_at(watch, 600, "a.monprof", 520, 1000);
	cr_assert_str_eq(shown(master), "");
	step_at(watch, 601, "a.monprof", 1000, 1000);
	cr_assert_str_eq(shown(master), "\rreading a.monprof 100 %\033[K");
	step_at(watch, 900, NULL, 0, 0);
	cr_assert_str_eq(shown(master), "");
	progress_erase();
	cr_assert_str_eq(shown(master), CLEAN);
	progress_erase();
	cr_assert_str_eq(shown(master), "");
	step_at(watch, 901, "a.cpu.pb.gz", 65536, 0);
	cr_assert_str_eq(shown(master), "\rwriting a.cpu.pb.gz\033[K");
	step_at(watch, 1901, "-", 65536, 0);
	cr_assert_str_eq(shown(master), "");
}

Test(progress, a_second_file_waits_no_more)
{
	int master = open_terminal(80);
	struct watch watch = progress_begin();

	step_at(watch, 499, "a", 1, 2);
	watch = progress_begin();
	step_at(watch, 501, "b", 1, 2);
	cr_assert_str_eq(shown(master), "\rreading b 50 %\033[K");
}

Test(progress, a_long_name_never_fills_the_line)
{
	int master = open_terminal(27);
	struct watch watch = progress_begin();
	struct winsize narrow = { .ws_row = 24, .ws_col = 12 };

	step_at(watch, 600, "/a/long/way/to/recording.monprof", 5, 100);
	cr_assert_str_eq(shown(master), "\rreading ...ing.monprof 5 %\033[K");
	step_at(watch, 700, "recording.monpro", 5, 100);
	cr_assert_str_eq(shown(master), "\rreading ...ding.monpro 5 %\033[K");
	step_at(watch, 800, "recordin.monpr", 5, 100);
	cr_assert_str_eq(shown(master), "\rreading recordin.monpr 5 %\033[K");
	/* Two columns each: one stays free. */
	step_at(watch, 900, "\xe8\xa8\x98\xe9\x8c\xb2/\xe8\xa8\x98\xe9\x8c\xb2.monprof", 5, 100);
	cr_assert_str_eq(shown(master), "\rreading ...\xe9\x8c\xb2.monprof 5 %\033[K");
	cr_assert_eq(ioctl(STDERR_FILENO, TIOCSWINSZ, &narrow), 0);
	step_at(watch, 1000, "recording.monprof", 5, 100);
	cr_assert_str_eq(shown(master), "");
}

Test(progress, a_name_cannot_steer_the_terminal)
{
	int master = open_terminal(200);
	struct watch watch = progress_begin();
	char name[6000];

	step_at(watch, 600, "a\033[2J\nb\xff.monprof", 1, 2);
	cr_assert_str_eq(shown(master), "\rreading a?[2J?b?.monprof 50 %\033[K");
	/* Combining marks take no column, but bytes. */
	memset(name, 'x', sizeof(name));
	for (size_t i = 0; i + 3 < sizeof(name); i += 2)
		memcpy(name + i, "\xcc\x81", 2);
	memcpy(name + sizeof(name) - 4, "end", 4);
	step_at(watch, 700, name, 1, 2);
	cr_assert_not_null(strstr(shown(master), "end 50 %\033[K"));
}

Test(progress, is_for_terminals_that_can_rewrite_a_line)
{
	int master = open_terminal(80);

	cr_assert_not_null(progress_begin().step);
	setenv("NO_COLOR", "1", 1);
	cr_assert_not_null(progress_begin().step);
	setenv("TERM", "dumb", 1);
	cr_assert_null(progress_begin().step);
	unsetenv("TERM");
	cr_assert_null(progress_begin().step);
	setenv("TERM", "xterm", 1);
	cr_assert_eq(dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO), STDERR_FILENO);
	cr_assert_null(progress_begin().step);
	close(master);
}

/* The command with a terminal for stderr: what is left on that. */
static const char *left_by(const char *arguments, int wanted_status)
{
	int master = open_terminal(80), status;
	char command[8192];
	const char *left, *erased;

	snprintf(command, sizeof(command), "cd '%s' && '%s' %s >stdout", scratch(), monprof(),
		 arguments);
	status = system(command);
	cr_assert(WIFEXITED(status));
	cr_assert_eq(WEXITSTATUS(status), wanted_status);
	left = shown(master);
	while ((erased = strstr(left, CLEAN)) != NULL)
		left = erased + strlen(CLEAN);
	close(master);
	return left;
}

Test(progress, the_command_leaves_nothing_but_its_message, .fini = remove_scratch)
{
	char *path = in_scratch("a.monprof");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);

	put_threads(recording);
	fill(recording, 1, 500);
	flush_good(recording, START_NS);
	recording_free(recording);
	cr_assert_str_eq(left_by("export a.monprof", 0), "");
	cr_assert_str_eq((char *)slurp(in_scratch("stdout")).bytes, "a.cpu.pb.gz\n");
	cr_assert_str_eq(left_by("report a.monprof", 0), "");
	cr_assert_str_eq(left_by("export a.monprof b.monprof -o c", 1),
			 "monprof: b.monprof: No such file or directory\r\n");
}
