/*
 * dump.c - monprof dump PID...: the profile of a running program, as it is now.
 *
 *   /proc/PID/task/TID  --named "monprof"-->  its descriptors  --one is NAME.monprof-->  NAME.monprof.dump
 *
 * The program's own thread of ours writes the files, where MONPROF_OUTPUT says, and answers into the file
 * that asks (dump.h).  A program that goes on in another recording meanwhile is asked again there.
 */
#include "args.h"
#include "cli.h"

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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS 20000000 /* between two looks at the answer */
#define TAKEN_NS UINT64_C(3000000000) /* after which a request that nobody takes is made anew */
#define FIND_TRIES 5 /* its thread is away for a moment while it forks */
#define ANSWER_BYTES 65536

enum answer { ANSWER_DONE, ANSWER_AGAIN, ANSWER_NONE, ANSWER_REFUSED };

struct dump {
	const char *pid;
	const char *formats; /* "" : as the program says */
	uint64_t end_ns; /* CLOCK_MONOTONIC */
	char recording[PATH_MAX]; /* as we can open it */
	char text[ANSWER_BYTES];
};

/* Of the request that is under way, for a signal that ends us. */
static char request[PATH_MAX + sizeof(DUMP_SUFFIX)];

static int take_formats(const char *text);
static int take_wait(const char *text, uint64_t *wait_ns);
static int dump_one(struct dump *dump);
static const char *find_recording(struct dump *dump);
static bool is_ours(const char *task);
static bool find_descriptor(struct dump *dump, const char *task);
static bool take_recording(struct dump *dump, const char *link);
static enum answer ask(struct dump *dump);
static bool give_away(const struct dump *dump, int fd);
static enum answer await(struct dump *dump, int fd);
static bool read_answer(struct dump *dump, int fd, enum answer *answer);
static int print_answer(const struct dump *dump);
static void withdraw(int signal_number);
static void nap(void);

int cli_dump(int argc, char **argv)
{
	enum { FORMAT, WAIT, FLAGS };
	static const struct args_flag flags[FLAGS] = {
		[FORMAT] = { "format", 'f', true },
		[WAIT] = { "wait", 'w', true },
	};
	static struct dump dump;
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
		if (args.operands[i][strspn(args.operands[i], "0123456789")] != '\0')
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

	if (strlen(text) < DUMP_REQUEST_BYTES &&
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
		const char *wrong = find_recording(dump);

		for (unsigned i = 1; wrong && i < FIND_TRIES; i++) {
			nap();
			wrong = find_recording(dump);
		}
		if (wrong)
			return cli_fail(dump->pid, wrong);
		answer = ask(dump);
	}
	if (answer == ANSWER_REFUSED)
		return CLI_FAILED;
	if (answer == ANSWER_NONE)
		return cli_fail(dump->pid, "it does not answer: is it stopped?");
	return print_answer(dump);
}

/* ---- where it records ---- */

/* NULL, or why there is none. */
static const char *find_recording(struct dump *dump)
{
	char path[64], task[PATH_MAX];
	const char *wrong = "it is not profiled";
	struct dirent *entry;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%.20s/task", dump->pid);
	tasks = opendir(path);
	if (!tasks)
		return errno == ENOENT ? "there is no such process" : strerror(errno);
	while (wrong && (entry = readdir(tasks))) {
		snprintf(task, sizeof(task), "%s/%s", path, entry->d_name);
		if (!isdigit((unsigned char)entry->d_name[0]) || !is_ours(task))
			continue;
		wrong = find_descriptor(dump, task) ? NULL : "nothing has been recorded yet";
	}
	closedir(tasks);
	return wrong;
}

static bool is_ours(const char *task)
{
	static const char ours[] = "monprof\n";
	char path[PATH_MAX + 8], name[32];
	bool same;
	FILE *file;

	snprintf(path, sizeof(path), "%s/comm", task);
	file = fopen(path, "re");
	same = file && fgets(name, sizeof(name), file) && strcmp(name, ours) == 0;
	if (file)
		fclose(file);
	return same;
}

static bool find_descriptor(struct dump *dump, const char *task)
{
	char path[PATH_MAX + 4], link[2 * PATH_MAX];
	bool is_found = false;
	struct dirent *entry;
	DIR *descriptors;

	snprintf(path, sizeof(path), "%s/fd", task);
	descriptors = opendir(path);
	while (descriptors && !is_found && (entry = readdir(descriptors))) {
		snprintf(link, sizeof(link), "%s/%s", path, entry->d_name);
		is_found = isdigit((unsigned char)entry->d_name[0]) && take_recording(dump, link);
	}
	if (descriptors)
		closedir(descriptors);
	return is_found;
}

/* Where the program has a tree of its own, its path is good below that. */
static bool take_recording(struct dump *dump, const char *link)
{
	static const char *const roots[] = { "", "/root" };
	char target[PATH_MAX];
	ssize_t length = readlink(link, target, sizeof(target) - 1);
	size_t suffix_bytes = sizeof(RECORDING_SUFFIX) - 1;
	struct stat open_one, named;

	if (length < (ssize_t)suffix_bytes || stat(link, &open_one) != 0)
		return false;
	target[length] = '\0';
	if (strcmp(target + length - suffix_bytes, RECORDING_SUFFIX) != 0)
		return false;
	for (size_t i = 0; i < PROF_COUNT(roots); i++) {
		int n = i ? snprintf(dump->recording, sizeof(dump->recording), "/proc/%s%s%s",
				     dump->pid, roots[i], target) :
			    snprintf(dump->recording, sizeof(dump->recording), "%s", target);

		if (n < (int)sizeof(dump->recording) && stat(dump->recording, &named) == 0 &&
		    named.st_dev == open_one.st_dev && named.st_ino == open_one.st_ino)
			return true;
	}
	return false;
}

/* ---- asking ---- */

static enum answer ask(struct dump *dump)
{
	enum answer answer = ANSWER_REFUSED;
	int fd, error;

	snprintf(request, sizeof(request), "%s%s", dump->recording, DUMP_SUFFIX);
	fd = open(request, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		error = errno;
		cli_fail(request,
			 error == EEXIST ? "somebody else asks just now" : strerror(error));
		request[0] = '\0';
		return ANSWER_REFUSED;
	}
	error = file_write_at(fd, dump->formats, strlen(dump->formats), 0);
	if (error || !give_away(dump, fd))
		cli_fail(request, error ? strerror(error) : "cannot be given to that process");
	else
		answer = await(dump, fd);
	unlink(request);
	request[0] = '\0';
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
		bool is_taken = access(request, F_OK) != 0;
		uint64_t now = os_monotonic_ns();

		if ((!is_taken && now > taken_ns) || (is_taken && now > dump->end_ns))
			return ANSWER_NONE;
		nap();
	}
	return answer;
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

/* The files to stdout, what went wrong to stderr. */
static int print_answer(const struct dump *dump)
{
	const char *at = dump->text;
	int status = CLI_FAILED;
	bool is_any = false;

	while (strcmp(at, DUMP_DONE) != 0) {
		int length = (int)strcspn(at, "\n");

		if (strncmp(at, DUMP_WROTE, strlen(DUMP_WROTE)) == 0) {
			printf("%.*s\n", length - (int)strlen(DUMP_WROTE), at + strlen(DUMP_WROTE));
			status = is_any ? status : CLI_GOOD;
		} else {
			fprintf(stderr, "monprof: %.*s\n", length - (int)strlen(DUMP_FAILED),
				at + strlen(DUMP_FAILED));
			status = CLI_FAILED;
		}
		is_any = true;
		at += length + (at[length] == '\n');
	}
	return is_any ? status : cli_fail(dump->pid, "there is no sample yet");
}

static void withdraw(int signal_number)
{
	if (request[0] != '\0')
		unlink(request);
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = LOOK_NS }, NULL);
}
