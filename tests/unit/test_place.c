#include "recordings.h"

#include "log.h"
#include "options.h"
#include "os.h"
#include "place.h"
#include "place_files.h"

#include <pty.h>

static unsigned lines;
static char said[8192];

void __wrap_log_line(const char *format, ...) PROF_PRINTF(1, 2);
void __wrap_log_line(const char *format, ...)
{
	size_t used = strlen(said);
	va_list arguments;

	va_start(arguments, format);
	log_vformat(said + used, sizeof(said) - used, format, arguments);
	va_end(arguments);
	lines++;
}

static struct recording_head head;

static void set_up(void)
{
	cr_assert_eq(chdir(scratch()), 0);
	setenv("MONPROF_OUTPUT", "out.%p", 1);
}

static void begin(void)
{
	cr_assert(options_load());
	cr_assert_null(place_begin(&head));
	lines = 0;
	said[0] = '\0';
}

TestSuite(place, .init = set_up, .fini = remove_scratch);

/* scratch/out.PID<rest> */
static char *out(const char *rest)
{
	char name[128];

	snprintf(name, sizeof(name), "out.%d%s", (int)getpid(), rest);
	return in_scratch(name);
}

Test(place, paths_are_absolute_and_stay)
{
	char program[4096] = "";

	begin();
	cr_assert_str_eq(place_cwd(), scratch());
	cr_assert_str_eq(place_recording(), out(".monprof"));
	cr_assert_eq(chdir("/"), 0);
	cr_assert_str_eq(head.path, out(".monprof"));
	cr_assert_gt(readlink("/proc/self/exe", program, sizeof(program) - 1), 0);
	cr_assert_str_eq(head.program, program);
	cr_assert_eq(head.pid, getpid());
	cr_assert_eq(head.parent_pid, getppid());
	cr_assert_gt(head.start_realtime_ns, 1700000000000000000u);
	cr_assert_gt(head.start_monotonic_ns, 0);
}

Test(place, a_pattern_knows_the_program)
{
	setenv("MONPROF_OUTPUT", "/nowhere/%e", 1);
	begin();
	cr_assert_str_eq(place_recording(), "/nowhere/test_place.monprof");
}

Test(place, a_name_that_is_taken_gets_the_session)
{
	char wanted[64];
	uint64_t first;

	spill(out(".monprof"), "mine", 4);
	begin();
	snprintf(wanted, sizeof(wanted), ".%08x.monprof", (unsigned)head.session);
	cr_assert_str_eq(place_recording(), out(wanted));
	cr_assert_str_eq(head.path, out(wanted));
	first = head.session;
	begin();
	cr_assert_neq(head.session, first, "each session has its own id");
}

Test(place, an_output_that_cannot_be_is_said)
{
	setenv("MONPROF_OUTPUT", "directory/", 1);
	cr_assert(options_load());
	cr_assert_not_null(place_begin(&head));
}

/* The note as ld writes it, looked for in the file; "" where there is none. */
static const char *build_id_of(const char *program)
{
	static const unsigned char start[] = { 4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, 'G', 'N', 'U' };
	static char text[41];
	struct bytes all = slurp(program);
	const unsigned char *note = memmem(all.bytes, all.size, start, sizeof(start));

	for (unsigned i = 0; note && i < 20; i++)
		sprintf(text + 2 * i, "%02x", note[sizeof(start) + 1 + i]);
	return text;
}

Test(place, the_executable_is_mapped_where_it_runs)
{
	unsigned count, holding = 0;
	const struct recording_mapping *mappings;
	uintptr_t here = (uintptr_t)build_id_of;

	begin();
	begin();
	mappings = place_mappings(&count);
	for (unsigned i = 0; i < count; i++) {
		cr_assert_str_eq(mappings[i].file, head.program);
		cr_assert_str_eq(mappings[i].build_id, build_id_of(head.program));
		holding += here >= mappings[i].start && here < mappings[i].end;
	}
	cr_assert_eq(holding, 1, "each piece is there once");
}

/* The bytes at an address are those of the file at its offset. */
Test(place, offsets_lead_to_the_same_code)
{
	unsigned count;
	const struct recording_mapping *mapping;
	struct bytes all;
	uint64_t offset;
	uintptr_t here = (uintptr_t)build_id_of;

	begin();
	mapping = place_mappings(&count);
	while (count-- && !(here >= mapping->start && here < mapping->end))
		mapping++;
	all = slurp(head.program);
	offset = here - mapping->start + mapping->offset;
	cr_assert_lt(offset + 16, all.size);
	cr_assert_eq(memcmp(all.bytes + offset, (const void *)here, 16), 0);
}

Test(place, nobody_waits_longer_than_is_wanted)
{
	setenv("MONPROF_EXIT_WAIT", "3s", 1);
	begin();
	cr_assert_eq(place_wait_ns(UINT64_C(2000000000)), 2000000000);
	cr_assert_eq(place_wait_ns(UINT64_C(4000000000)), 3000000000);
}

Test(place, rings_are_powers_of_two)
{
	setenv("MONPROF_RING", "129k", 1);
	begin();
	cr_assert_eq(place_ring_bytes(100, 0), 262144);
}

Test(place, rings_hold_eight_records)
{
	setenv("MONPROF_RING", "16k", 1);
	begin();
	cr_assert_eq(place_ring_bytes(100, 0), 16384);
	cr_assert_eq(place_ring_bytes(2048, 0), 16384);
	cr_assert_eq(place_ring_bytes(2049, 0), 32768);
	cr_assert_eq(place_ring_bytes(160040, 0), 2097152);
	cr_assert_eq(place_ring_bytes(2048, 6144), 16384);
	cr_assert_eq(place_ring_bytes(2048, 6145), 32768);
	cr_assert_eq(place_ring_bytes(8232, 65824), 262144);
}

/* A recording of the session, complete. */
static void record(void)
{
	struct recording *recording;

	begin();
	recording = recording_new(&head);
	fill(recording, 1, 20);
	flush_good(recording, START_NS);
	recording_free(recording);
}

/* What is made of it. */
static void export(void)
{
	record();
	place_close(place_recording());
	place_files_export(NULL);
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

Test(place, a_recording_goes_when_its_files_are_written)
{
	export();
	cr_assert(exists(out(".cpu.pb.gz")));
	cr_assert_not(exists(out(".monprof")));
}

Test(place, a_recording_that_is_to_be_kept_stays)
{
	setenv("MONPROF_KEEP", "yes", 1);
	export();
	cr_assert(exists(out(".cpu.pb.gz")));
	cr_assert(exists(out(".monprof")));
}

Test(place, a_recording_that_nothing_is_made_of_stays)
{
	setenv("MONPROF_EXPORT", "none", 1);
	export();
	cr_assert_not(exists(out(".cpu.pb.gz")));
	cr_assert(exists(out(".monprof")));
}

Test(place, what_is_no_recording_stays)
{
	char *path = in_scratch("other");

	begin();
	spill(path, "no recording at all", 19);
	place_close(path);
	place_files_export(NULL);
	cr_assert_eq(lines, 1);
	cr_assert(exists(path));
}

Test(place, a_recording_whose_files_cannot_be_written_stays)
{
	char *moved = in_scratch("moved.monprof");

	cr_assert_eq(mkdir(in_scratch("d"), 0777), 0);
	setenv("MONPROF_OUTPUT", "d/out.%p", 1);
	record();
	cr_assert_eq(rename(place_recording(), moved), 0);
	cr_assert_eq(rename(in_scratch("d"), in_scratch("e")), 0);
	place_close(moved);
	place_files_export(NULL);
	cr_assert_eq(lines, 2, "the file, and that the recording stays");
	cr_assert(exists(moved));
}

/* ---- what is said of it ---- */

/* stderr is a terminal, or /dev/null, while the session begins; afterwards it is what it was. */
static void export_to(bool terminal)
{
	int before = dup(STDERR_FILENO), ends[2] = { -1, -1 }, target;

	if (terminal)
		cr_assert_eq(openpty(&ends[0], &ends[1], NULL, NULL, NULL), 0);
	target = terminal ? ends[1] : open("/dev/null", O_WRONLY);
	cr_assert_eq(dup2(target, STDERR_FILENO), STDERR_FILENO);
	close(target);
	record();
	cr_assert_eq(dup2(before, STDERR_FILENO), STDERR_FILENO);
	close(before);
	close(ends[0]);
	place_close(place_recording());
	place_files_export(NULL);
}

Test(place, elsewhere_than_on_a_terminal_nothing_is_said)
{
	setenv("MONPROF_KEEP", "yes", 1);
	export_to(false);
	cr_assert(exists(out(".cpu.pb.gz")));
	cr_assert_eq(lines, 0, "%s", said);
}

Test(place, on_a_terminal_one_line_names_the_profile)
{
	char wanted[2 * PATH_MAX];

	export_to(true);
	snprintf(wanted, sizeof(wanted), "wrote %s (to see it: monprof report %s)",
		 out(".cpu.pb.gz"), out(".cpu.pb.gz"));
	cr_assert_str_eq(said, wanted);
	cr_assert_eq(lines, 1, "the recording is gone");
}

Test(place, on_a_terminal_a_recording_that_is_kept_is_named_last)
{
	const char *wrote, *recording;

	setenv("MONPROF_KEEP", "yes", 1);
	export_to(true);
	cr_assert_eq(lines, 2);
	wrote = strstr(said, "wrote ");
	recording = strstr(said, "recording: ");
	cr_assert(wrote && recording && wrote < recording, "%s", said);
	cr_assert_str_eq(recording + strlen("recording: "), out(".monprof"));
}

Test(place, on_a_terminal_a_recording_alone_is_named)
{
	setenv("MONPROF_EXPORT", "none", 1);
	export_to(true);
	cr_assert_eq(lines, 1);
	cr_assert_eq(strncmp(said, "recording: ", strlen("recording: ")), 0, "%s", said);
}
