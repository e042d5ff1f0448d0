/*
 * test_place_parts.c - one recording after the other, as the drainer goes on in them: names, when it is time, what
 * is made of them, and what stays on disk.
 */
#include "recordings.h"

#include "options.h"
#include "os.h"
#include "place.h"
#include "place_files.h"

#include <dirent.h>

#define S UINT64_C(1000000000)
#define LONGEST 4063 /* of a name, so that all that goes behind it has room */

static struct recording_head head;
static unsigned lines;

void __wrap_log_line(const char *format, ...) PROF_PRINTF(1, 2);
void __wrap_log_line(const char *format, ...)
{
	(void)format;
	lines++;
}

static void set_up(void)
{
	cr_assert_eq(chdir(scratch()), 0);
	setenv("MONPROF_OUTPUT", "out", 1);
	setenv("MONPROF_EXPORT", "collapsed", 1);
}

TestSuite(place_parts, .init = set_up, .fini = remove_scratch, .timeout = 120);

static void begin(const char *option, const char *value)
{
	if (option)
		setenv(option, value, 1);
	cr_assert(options_load());
	cr_assert_null(place_begin(&head));
	lines = 0;
}

static bool exists(const char *name)
{
	return access(in_scratch(name), F_OK) == 0;
}

/* In the recording that is written now; its path. */
static char *record(unsigned samples)
{
	struct recording *recording = recording_new(&head);
	char *path;

	fill(recording, 1, samples);
	flush_good(recording, START_NS);
	path = keep(strdup(recording_path(recording)));
	recording_free(recording);
	return path;
}

static void go_on(const char *path)
{
	cr_assert_null(place_next(path != NULL, &head));
	place_close(path);
}

static bool no_breath(void)
{
	return false;
}

static bool breath(void)
{
	return true;
}

/* ---- names ---- */

Test(place_parts, the_number_goes_before_the_measurement)
{
	begin("MONPROF_ROTATE", "1h");
	cr_assert_str_eq(head.path, in_scratch("out.1.monprof"));
	go_on(record(20));
	cr_assert_str_eq(head.path, in_scratch("out.2.monprof"));
	cr_assert_str_eq(place_recording(), in_scratch("out.2.monprof"));
	go_on(record(20));
	place_files_export(NULL);
	cr_assert(exists("out.1.cpu.collapsed"));
	cr_assert(exists("out.2.cpu.collapsed"));
	cr_assert_not(exists("out.1.monprof"));
	cr_assert_eq(lines, 0);
}

Test(place_parts, the_number_goes_where_the_pattern_has_it)
{
	setenv("MONPROF_OUTPUT", "n%n-%%n", 1);
	begin("MONPROF_DISK", "16M");
	cr_assert_str_eq(head.path, in_scratch("n1-%n.monprof"));
	go_on(record(20));
	cr_assert_str_eq(head.path, in_scratch("n2-%n.monprof"));
}

Test(place_parts, one_alone_has_no_number)
{
	begin(NULL, NULL);
	cr_assert_str_eq(head.path, in_scratch("out.monprof"));
}

Test(place_parts, the_time_is_each_ones_own)
{
	char before[64];

	setenv("MONPROF_OUTPUT", "%t", 1);
	begin("MONPROF_ROTATE", "1h");
	snprintf(before, sizeof(before), "%s", strrchr(head.path, '/') + 1);
	while (os_realtime_ns() / S == head.start_realtime_ns / S)
		usleep(10000);
	go_on(record(20));
	cr_assert_gt(atoll(strrchr(head.path, '/') + 1), atoll(before));
}

/* Its number is left to the next one. */
Test(place_parts, one_without_a_file_was_none)
{
	uint64_t session;

	begin("MONPROF_ROTATE", "1h");
	session = head.session;
	go_on(NULL);
	cr_assert_str_eq(head.path, in_scratch("out.1.monprof"));
	cr_assert_neq(head.session, session);
	place_files_export(NULL);
	cr_assert_eq(lines, 0);
}

/* Somebody has taken the name when the first sample comes. */
Test(place_parts, names_are_left_to_who_has_them)
{
	char wanted[64], *path;

	begin("MONPROF_ROTATE", "1h");
	spill(in_scratch("out.1.monprof"), "mine", 4);
	path = record(20);
	snprintf(wanted, sizeof(wanted), "out.1.%08x.monprof", (unsigned)head.session);
	cr_assert_str_eq(path, in_scratch(wanted));
	go_on(path);
	place_files_export(NULL);
	cr_assert(exists("out.1.cpu.collapsed"));
	cr_assert_not(exists(wanted));
	cr_assert_eq(slurp(in_scratch("out.1.monprof")).size, 4);
}

/* A host's name, say, or a directory's: what does not fit is not cut. */
static errmsg begin_with_length(size_t length)
{
	char *pattern = keep(malloc(length + 1));

	memset(pattern, 'a', length);
	pattern[0] = '/';
	pattern[length] = '\0';
	setenv("MONPROF_OUTPUT", pattern, 1);
	setenv("MONPROF_ROTATE", "1h", 1);
	cr_assert(options_load());
	return place_begin(&head);
}

Test(place_parts, a_long_name_is_whole)
{
	size_t length = LONGEST;

	cr_assert_null(begin_with_length(length));
	cr_assert_str_eq(head.path + length, ".1.monprof");
	cr_assert_str_eq(head.other_path + length + strlen(".1.12345678"), ".monprof");
}

Test(place_parts, a_longer_one_is_refused)
{
	cr_assert_not_null(begin_with_length(LONGEST + 1));
}

/* ---- when ---- */

Test(place_parts, after_a_time)
{
	uint64_t now;

	begin("MONPROF_ROTATE", "10s");
	now = head.start_monotonic_ns;
	cr_assert_not(place_is_full(now + 10 * S - 1, UINT64_C(1) << 40));
	cr_assert(place_is_full(now + 10 * S, 0));
	go_on(record(20));
	cr_assert_not(place_is_full(head.start_monotonic_ns + 9 * S, 0), "a time of its own");
}

Test(place_parts, at_a_size)
{
	begin("MONPROF_ROTATE", "2M");
	cr_assert_not(place_is_full(head.start_monotonic_ns + 3600 * S, (2 << 20) - 1));
	cr_assert(place_is_full(head.start_monotonic_ns, 2 << 20));
}

Test(place_parts, at_a_quarter_of_the_disk)
{
	begin("MONPROF_DISK", "16M");
	cr_assert_not(place_is_full(head.start_monotonic_ns + 3600 * S, (4 << 20) - 1));
	cr_assert(place_is_full(head.start_monotonic_ns, 4 << 20));
}

Test(place_parts, at_the_smaller_of_two_sizes)
{
	setenv("MONPROF_ROTATE", "1M", 1);
	begin("MONPROF_DISK", "16M");
	cr_assert(place_is_full(head.start_monotonic_ns, 1 << 20));
}

Test(place_parts, after_a_time_or_at_a_quarter_of_the_disk)
{
	setenv("MONPROF_ROTATE", "5s", 1);
	begin("MONPROF_DISK", "16M");
	cr_assert_not(place_is_full(head.start_monotonic_ns, (4 << 20) - 1));
	cr_assert(place_is_full(head.start_monotonic_ns, 4 << 20));
	cr_assert(place_is_full(head.start_monotonic_ns + 5 * S, 1));
}

Test(place_parts, never_if_nobody_wants_it)
{
	begin(NULL, NULL);
	cr_assert_not(place_is_full(head.start_monotonic_ns + 1000000 * S, UINT64_C(1) << 50));
}

/* ---- what is made of them ---- */

Test(place_parts, the_oldest_first)
{
	struct stat first, second;

	setenv("MONPROF_KEEP", "yes", 1);
	begin("MONPROF_ROTATE", "1h");
	go_on(record(20));
	go_on(record(20));
	place_files_export(breath);
	cr_assert_eq(stat(in_scratch("out.1.cpu.collapsed"), &first), 0);
	cr_assert_eq(stat(in_scratch("out.2.cpu.collapsed"), &second), 0);
	cr_assert(first.st_mtim.tv_sec < second.st_mtim.tv_sec ||
		  (first.st_mtim.tv_sec == second.st_mtim.tv_sec &&
		   first.st_mtim.tv_nsec <= second.st_mtim.tv_nsec));
	cr_assert(exists("out.1.monprof"));
	cr_assert(exists("out.2.monprof"));
}

static unsigned files_in_scratch(void)
{
	DIR *directory = opendir(scratch());
	struct dirent *entry;
	unsigned count = 0;

	while ((entry = readdir(directory)))
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}

Test(place_parts, what_is_stopped_leaves_nothing_and_comes_again)
{
	setenv("MONPROF_EXPORT", "collapsed,json,pprof", 1);
	begin("MONPROF_ROTATE", "1h");
	go_on(record(200000));
	place_files_export(no_breath);
	cr_assert_eq(files_in_scratch(), 1, "the recording alone");
	cr_assert(exists("out.1.monprof"));
	cr_assert_eq(lines, 0, "nothing has gone wrong");
	place_files_export(breath);
	cr_assert_eq(files_in_scratch(), 3);
	cr_assert(exists("out.1.cpu.collapsed"));
	cr_assert(exists("out.1.cpu.pb.gz"));
}

/* ---- a day ---- */

/* Of formats that are larger than the recording: parts are smaller by as much. */
Test(place_parts, what_is_made_of_them_counts_for_when_it_is_time)
{
	uint64_t quarter = UINT64_C(4) << 20;

	setenv("MONPROF_EXPORT", "pprof,json,speedscope", 1);
	begin("MONPROF_DISK", "16M");
	cr_assert(place_is_full(0, quarter / 12), "it is not known yet");
	cr_assert_not(place_is_full(0, quarter / 13));
	go_on(record(2000));
	place_files_export(NULL);
	cr_assert_gt(place_files_growth(), 1.5);
	cr_assert(place_is_full(0, (uint64_t)((double)quarter / place_files_growth()) + 1));
	cr_assert_not(place_is_full(0, (uint64_t)((double)quarter / place_files_growth()) - 1));
}

Test(place_parts, one_that_waits_for_its_export_is_a_file_as_any_other)
{
	char *waits;

	begin("MONPROF_DISK", "16M");
	waits = record(20);
	go_on(waits);
	place_files_export(no_breath);
	go_on(record(20));
	cr_assert_eq(access(waits, F_OK), 0);
	place_is_full(0, UINT64_C(16) << 20);
	cr_assert_neq(access(waits, F_OK), 0, "it was the oldest");
	place_files_export(NULL);
	cr_assert_eq(lines, 0, "that is what was asked for");
	cr_assert_not(exists("out.1.cpu.collapsed"));
	cr_assert(exists("out.2.cpu.collapsed"));
}

Test(place_parts, room_for_what_is_made_of_one_may_be_its_own)
{
	char *large;

	begin("MONPROF_DISK", "16M");
	large = record(20);
	cr_assert_eq(truncate(large, 12 << 20), 0);
	go_on(large);
	go_on(record(20));
	place_files_export(NULL);
	cr_assert_eq(lines, 0, "it was too large for both, and the older one");
	cr_assert_not(exists("out.1.cpu.collapsed"));
	cr_assert(exists("out.2.cpu.collapsed"));
}

static uint64_t bytes_in_scratch(void)
{
	DIR *directory = opendir(scratch());
	struct dirent *entry;
	uint64_t bytes = 0;

	while ((entry = readdir(directory))) {
		struct stat status;

		if (fstatat(dirfd(directory), entry->d_name, &status, 0) == 0 &&
		    S_ISREG(status.st_mode))
			bytes += (uint64_t)status.st_size;
	}
	closedir(directory);
	return bytes;
}

static uint64_t resident_bytes(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	cr_assert_not_null(file);
	cr_assert_eq(fscanf(file, "%*u %lu", &pages), 1);
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

#define DAY_S 86400
#define FLUSH_S 30
#define PER_S 100
#define STACKS 200
#define LIMIT_BYTES (UINT64_C(16) << 20)

struct day {
	struct recording *recording;
	uint32_t epoch, nodes[STACKS];
	uint64_t random, now_ns;
	unsigned parts;
};

/* What all threads have done until the next flush. */
static void live(struct day *day)
{
	for (unsigned i = 0; i < FLUSH_S * PER_S; i++) {
		struct recording_sample sample = { .thread = 1 + i % 3 };
		unsigned which = (unsigned)(next_random(&day->random) % STACKS);

		if (day->epoch != recording_epoch(day->recording))
			memset(day->nodes, 0, sizeof(day->nodes));
		day->epoch = recording_epoch(day->recording);
		if (!day->nodes[which])
			day->nodes[which] = put_stack(day->recording, which, 5 + which % 20);
		day->now_ns += S / PER_S;
		sample.node = day->nodes[which];
		sample.time_ns = day->now_ns;
		sample.value = 10000000 + next_random(&day->random) % 100000;
		recording_put_sample(day->recording, &sample);
	}
}

/* As the drainer does it. */
static void look_after(struct day *day)
{
	char *path;

	flush_good(day->recording, day->now_ns);
	cr_assert_leq(bytes_in_scratch(), LIMIT_BYTES, "after a flush");
	if (!place_is_full(day->now_ns, recording_bytes(day->recording)))
		return;
	cr_assert_null(place_next(recording_created(day->recording), &head));
	path = strdup(recording_path(day->recording));
	cr_assert(recording_renew(day->recording, &head));
	place_close(path);
	free(path);
	day->parts++;
	place_files_export(breath);
	cr_assert_leq(bytes_in_scratch(), LIMIT_BYTES, "after an export");
}

Test(place_parts, a_day_at_100_hz)
{
	struct day day = { .random = 1 };
	uint64_t resident = 0;

	setenv("MONPROF_EXPORT", "pprof", 1);
	setenv("MONPROF_KEEP", "yes", 1); /* so that there is something to be removed */
	begin("MONPROF_DISK", "16M");
	day.recording = recording_new(&head);
	day.now_ns = head.start_monotonic_ns;
	for (unsigned second = 0; second < DAY_S; second += FLUSH_S) {
		live(&day);
		look_after(&day);
		if (day.parts == 3 && !resident)
			resident = resident_bytes();
	}
	cr_assert_gt(day.parts, 8, "%u parts of a quarter of it", day.parts);
#if !defined(HEAP_LIBC) /* a sanitizer keeps what is freed */
	cr_assert_leq(resident_bytes(), resident + (4 << 20), "memory grows");
#endif
	recording_free(day.recording);
	cr_assert_eq(lines, 0);
}
