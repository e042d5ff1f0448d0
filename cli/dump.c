/*
 * dump.c - monprof dump PID...: the profile of a running program, as it is now.
 *
 *   /proc/PID/task/TID  --named "monprof"-->  its descriptors  --one is NAME.monprof-->  NAME.monprof.dump
 *
 * The program's own thread of ours writes the files, where MONPROF_OUTPUT says, and answers into the file
 * that asks (dump.h).  A program that goes on in another recording meanwhile is asked again there.
 *
 * The directory may be that program's user's, who may put another into its place: it is opened once, and what is in
 * it is the recording itself, the same as that descriptor.
 */
#include "args.h"
#include "cli.h"

#include "columns.h"
#include "dump.h"
#include "file.h"
#include "os.h"
#include "recording.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS 20000000 /* between two looks at the answer */
#define TAKEN_NS UINT64_C(3000000000) /* after which a request that nobody takes is made anew */
#define LINK_BYTES 128 /* /proc/PID/task/TID/fd/N */
#define FIND_TRIES 5 /* its thread is away for a moment while it forks */
#define ANSWER_BYTES 65536

enum answer { ANSWER_DONE, ANSWER_AGAIN, ANSWER_NONE, ANSWER_REFUSED };

struct dump {
	const char *pid;
	const char *formats; /* "" : as the program says */
	uint64_t end_ns; /* CLOCK_MONOTONIC */
	char link[LINK_BYTES], target[PATH_MAX]; /* the descriptor, and what it is */
	int directory; /* of the recording; -1: none */
	char request[NAME_MAX + 1]; /* in it */
	char text[ANSWER_BYTES];
};

/* The request that is under way, for a signal that ends us. */
static const struct dump *_Atomic asking;

static const char nothing_yet[] = "nothing has been recorded yet";

static int take_formats(const char *text);
static int take_wait(const char *text, uint64_t *wait_ns);
static int dump_one(struct dump *dump);
static const char *await_recording(struct dump *dump);
static const char *find_recording(struct dump *dump);
static bool is_ours(const char *task);
static const char *find_descriptor(struct dump *dump, const char *task);
static bool take_recording(struct dump *dump);
static bool take_directory(struct dump *dump, const char *root);
static void leave_directory(struct dump *dump);
static enum answer ask(struct dump *dump);
static bool give_away(const struct dump *dump, int fd);
static enum answer await(struct dump *dump, int fd);
static bool goes_on_elsewhere(const struct dump *dump);
static bool read_answer(struct dump *dump, int fd, enum answer *answer);
static int print_answer(const struct dump *dump);
static void put_line(FILE *to, const char *text, const char *end);
static void withdraw(int signal_number);
static void nap(void);

int cli_dump(int argc, char **argv)
{
	enum { FORMAT, WAIT, FLAGS };
	static const struct args_flag flags[FLAGS] = {
		[FORMAT] = { "format", 'f', true },
		[WAIT] = { "wait", 'w', true },
	};
	static struct dump dump = { .directory = -1 };
	uint64_t wait_ns = UINT64_C(30000000000);
	int flag, status = CLI_GOOD;
	struct args args;

	dump.formats = "";
	args_begin(&args, argc, argv, flags, FLAGS);
	while ((flag = args_next(&args)) >= 0) {
		if (flag == FORMAT)
			dump.formats = args.value;
		status = flag == FORMAT ? take_formats(args.value) :
					  take_wait(args.value, &wait_ns);
		if (status != CLI_GOOD)
			return status;
	}
	if (flag == ARGS_WRONG)
		return CLI_USAGE;
	if (args.operand_count == 0)
		return cli_usage("dump: of which process? PID is missing");
	for (size_t i = 0; i < args.operand_count; i++)
		if (!args.operands[i][0] ||
		    args.operands[i][strspn(args.operands[i], "0123456789")] != '\0')
			return cli_usage("dump: '%s' is not a process id", args.operands[i]);
	signal(SIGINT, withdraw);
	signal(SIGTERM, withdraw);
	for (size_t i = 0; i < args.operand_count; i++) {
		dump.pid = args.operands[i];
		dump.end_ns = os_monotonic_ns() + wait_ns;
		if (dump_one(&dump) != CLI_GOOD)
			status = CLI_FAILED;
	}
	return status == CLI_GOOD ? cli_finish() : status;
}

static int take_formats(const char *text)
{
	struct option_value value;
	char error[256];

	if (strlen(text) < DUMP_REQUEST_BYTES - 1 &&
	    !option_parse(option_row(OPTION_EXPORT), text, &value, error, sizeof(error)) &&
	    value.number)
		return CLI_GOOD;
	return cli_usage("--format %s: not a list of formats", text);
}

static int take_wait(const char *text, uint64_t *wait_ns)
{
	const struct option row = { "WAIT", OPTION_TYPE_TIME, "", "", "", "" };
	struct option_value value;
	char error[256];

	if (option_parse(&row, text, &value, error, sizeof(error)))
		return cli_usage("--wait %s: not a time with its unit, such as 10s", text);
	*wait_ns = value.number;
	return CLI_GOOD;
}

static int dump_one(struct dump *dump)
{
	enum answer answer = ANSWER_AGAIN;

	while (answer == ANSWER_AGAIN ||
	       (answer == ANSWER_NONE && os_monotonic_ns() < dump->end_ns)) {
		const char *wrong = await_recording(dump);

		if (wrong)
			return cli_fail(dump->pid, wrong);
		answer = ask(dump);
		leave_directory(dump);
	}
	if (answer == ANSWER_REFUSED)
		return CLI_FAILED;
	if (answer == ANSWER_NONE)
		return cli_fail(dump->pid, "it does not answer: is it stopped?");
	return print_answer(dump);
}

/* ---- where it records ---- */

/* NULL, or why there is none. */
static const char *await_recording(struct dump *dump)
{
	uint64_t most_ns = os_monotonic_ns() + TAKEN_NS;
	const char *wrong = find_recording(dump);

	if (most_ns > dump->end_ns)
		most_ns = dump->end_ns;
	for (unsigned i = 1; wrong; i++) {
		/* One that has just been begun is there with its first flush. */
		if (wrong == nothing_yet ? os_monotonic_ns() > most_ns : i >= FIND_TRIES)
			break;
		nap();
		wrong = find_recording(dump);
	}
	return wrong;
}

/* NULL, or why there is none. */
static const char *find_recording(struct dump *dump)
{
	char path[64], task[LINK_BYTES];
	const char *wrong = "it is not profiled";
	struct dirent *entry;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%.20s/task", dump->pid);
	tasks = opendir(path);
	if (!tasks)
		return errno == ENOENT ? "there is no such process" : strerror(errno);
	while (wrong && (entry = readdir(tasks))) {
		snprintf(task, sizeof(task), "%s/%.20s", path, entry->d_name);
		if (isdigit((unsigned char)entry->d_name[0]) && is_ours(task))
			wrong = find_descriptor(dump, task);
	}
	closedir(tasks);
	return wrong;
}

static bool is_ours(const char *task)
{
	static const char ours[] = "monprof\n";
	char path[LINK_BYTES + 8], name[32];
	bool same;
	FILE *file;

	snprintf(path, sizeof(path), "%s/comm", task);
	file = fopen(path, "re");
	same = file && fgets(name, sizeof(name), file) && strcmp(name, ours) == 0;
	if (file)
		fclose(file);
	return same;
}

/* NULL, or why there is none. */
static const char *find_descriptor(struct dump *dump, const char *task)
{
	char path[LINK_BYTES];
	bool is_found = false;
	struct dirent *entry;
	DIR *descriptors;

	snprintf(path, sizeof(path), "%.100s/fd", task);
	descriptors = opendir(path);
	/* A thread that has just ended is looked for again. */
	if (!descriptors)
		return strerror(errno);
	while (!is_found && (entry = readdir(descriptors))) {
		snprintf(dump->link, sizeof(dump->link), "%.100s/%.20s", path, entry->d_name);
		is_found = isdigit((unsigned char)entry->d_name[0]) && take_recording(dump);
	}
	closedir(descriptors);
	return is_found ? NULL : nothing_yet;
}

static bool take_recording(struct dump *dump)
{
	ssize_t length = readlink(dump->link, dump->target, sizeof(dump->target) - 1);
	size_t suffix_bytes = sizeof(RECORDING_SUFFIX) - 1;
	char root[64];

	if (length < (ssize_t)suffix_bytes)
		return false;
	dump->target[length] = '\0';
	if (strcmp(dump->target + length - suffix_bytes, RECORDING_SUFFIX) != 0)
		return false;
	/* Where the program has a tree of its own, its path is good below that. */
	snprintf(root, sizeof(root), "/proc/%.20s/root", dump->pid);
	return take_directory(dump, "") || take_directory(dump, root);
}

static bool take_directory(struct dump *dump, const char *root)
{
	const char *name = strrchr(dump->target, '/') + 1;
	struct stat open_one, named;
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s%.*s", root, (int)(name - dump->target), dump->target);
	dump->directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dump->directory >= 0 && stat(dump->link, &open_one) == 0 &&
	    fstatat(dump->directory, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	    named.st_dev == open_one.st_dev && named.st_ino == open_one.st_ino &&
	    snprintf(dump->request, sizeof(dump->request), "%s%s", name, DUMP_SUFFIX) <
		    (int)sizeof(dump->request))
		return true;
	leave_directory(dump);
	return false;
}

static void leave_directory(struct dump *dump)
{
	if (dump->directory >= 0)
		close(dump->directory);
	dump->directory = -1;
}

/* ---- asking ---- */

static enum answer ask(struct dump *dump)
{
	enum answer answer = ANSWER_REFUSED;
	char line[DUMP_REQUEST_BYTES];
	int fd, error;

	fd = openat(dump->directory, dump->request,
		    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		error = errno;
		cli_fail(dump->request,
			 error == EEXIST ? "somebody else asks just now" : strerror(error));
		return ANSWER_REFUSED;
	}
	atomic_store(&asking, dump);
	snprintf(line, sizeof(line), "%s\n", dump->formats);
	/* Its end comes last: what is not that process's to read is no request yet. */
	error = give_away(dump, fd) ? file_write_at(fd, line, strlen(line), 0) : EPERM;
	if (error)
		cli_fail(dump->request, strerror(error));
	else
		answer = await(dump, fd);
	unlinkat(dump->directory, dump->request, 0);
	atomic_store(&asking, NULL);
	close(fd);
	return answer;
}

/* The file is read by that process's user. */
static bool give_away(const struct dump *dump, int fd)
{
	char path[64], line[256];
	unsigned long user = geteuid();
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%.20s/status", dump->pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, "Uid:", 4) == 0)
			sscanf(line, "Uid: %*u %lu", &user);
	if (file)
		fclose(file);
	return user == geteuid() || fchown(fd, (uid_t)user, (gid_t)-1) == 0;
}

static enum answer await(struct dump *dump, int fd)
{
	uint64_t taken_ns = os_monotonic_ns() + TAKEN_NS;
	enum answer answer;

	while (!read_answer(dump, fd, &answer)) {
		/* In this order: it takes the request before it leaves. */
		bool is_elsewhere = goes_on_elsewhere(dump);
		bool is_taken = faccessat(dump->directory, dump->request, F_OK, 0) != 0;
		uint64_t now = os_monotonic_ns();

		if (is_taken ? now > dump->end_ns : is_elsewhere || now > taken_ns)
			return ANSWER_NONE;
		nap();
	}
	return answer;
}

static bool goes_on_elsewhere(const struct dump *dump)
{
	char target[PATH_MAX];
	ssize_t length = readlink(dump->link, target, sizeof(target));

	return length != (ssize_t)strlen(dump->target) ||
	       memcmp(target, dump->target, (size_t)length) != 0;
}

/* False: it is not complete yet. */
static bool read_answer(struct dump *dump, int fd, enum answer *answer)
{
	static const char *const ends[] = {
		[ANSWER_DONE] = DUMP_DONE,
		[ANSWER_AGAIN] = DUMP_AGAIN,
	};
	size_t got = 0;

	if (file_read_at(fd, dump->text, sizeof(dump->text) - 1, 0, &got) != 0)
		return false;
	dump->text[got] = '\0';
	for (unsigned i = 0; i < PROF_COUNT(ends); i++) {
		size_t bytes = strlen(ends[i]);

		*answer = (enum answer)i;
		if (got >= bytes && strcmp(dump->text + got - bytes, ends[i]) == 0)
			return true;
	}
	return false;
}

/* The files to stdout, what went wrong to stderr. The text is another process's: it may be anything. */
static int print_answer(const struct dump *dump)
{
	const char *at = dump->text;
	unsigned written = 0, failed = 0;

	while (*at) {
		int length = (int)strcspn(at, "\n");
		int wrote = (int)strlen(DUMP_WROTE), says = (int)strlen(DUMP_FAILED);

		if (strncmp(at, DUMP_WROTE, (size_t)wrote) == 0) {
			put_line(stdout, at + wrote, at + length);
			written++;
		} else if (strncmp(at, DUMP_FAILED, (size_t)says) == 0) {
			fputs("monprof: ", stderr);
			put_line(stderr, at + says, at + length);
			failed++;
		}
		at += length + (at[length] == '\n');
	}
	if (!written && !failed)
		return cli_fail(dump->pid, "there is no sample yet");
	return failed ? CLI_FAILED : CLI_GOOD;
}

/* A terminal does as it is told by what cannot be printed. */
static void put_line(FILE *to, const char *text, const char *end)
{
	bool is_terminal = isatty(fileno(to)) == 1;

	while (text < end) {
		struct columns_character next = columns_next(text);
		bool is_shown = next.is_printable || !is_terminal;

		fwrite(is_shown ? text : "?", 1, is_shown ? next.bytes : 1, to);
		text += next.bytes;
	}
	putc('\n', to);
}

static void withdraw(int signal_number)
{
	const struct dump *dump = atomic_load(&asking);

	if (dump)
		unlinkat(dump->directory, dump->request, 0);
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = LOOK_NS }, NULL);
}
