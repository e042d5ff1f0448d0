#include "command.h"
#include "exported.h"

#include <errno.h>

static struct filled record(const char *name, uint64_t session)
{
	char *path = in_scratch(name);
	struct recording_head head = make_head(path);
	struct recording *recording;
	struct filled filled;

	head.session = session;
	recording = recording_new(&head);
	put_threads(recording);
	filled = fill(recording, session, 500);
	recording_put_note(recording, "cpu.achieved_hz", "99.5");
	flush_good(recording, START_NS + 1000000000u);
	recording_free(recording);
	return filled;
}

static uint64_t sum_collapsed(const char *text)
{
	uint64_t sum = 0;

	for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
		const char *space = memrchr(text, ' ', (size_t)(end - text));

		sum += strtoull(space + 1, NULL, 10);
	}
	return sum;
}

Test(cli, help_and_version_go_to_stdout, .fini = remove_scratch)
{
	struct run got = run("--version");

	cr_assert_str_eq(got.out, "monprof " PROF_VERSION "\n");
	cr_assert_eq(got.status, 0);
	got = run("--help");
	cr_assert_eq(got.status, 0);
	cr_assert_not_null(strstr(got.out, "monprof export FILE..."));
	cr_assert_eq(run("-h").status, 0);
	check_usage("", "a command is missing");
	check_usage("exprot", "'exprot'");
}

Test(cli, help_explains_one_option_under_any_of_its_names, .fini = remove_scratch)
{
	static const char *const names[] = { "CPU_HZ", "cpu-hz", "--cpu-hz", "MONPROF_CPU_HZ" };

	for (size_t i = 0; i < PROF_COUNT(names); i++) {
		char arguments[64];
		struct run got;

		snprintf(arguments, sizeof(arguments), "help %s", names[i]);
		got = run(arguments);
		cr_assert_eq(got.status, 0);
		cr_assert_not_null(strstr(got.out, "MONPROF_CPU_HZ=100\n"));
		cr_assert_null(strstr(got.out, "MONPROF_DEPTH"));
	}
	check_usage("help CPU_HX", "nearest is CPU_HZ");
	check_usage("help a b", "'b'");
}

Test(cli, every_row_is_in_every_list, .fini = remove_scratch)
{
	static const char *const rows[] = {
#define OPTION(name, type, unit, preset, limits, help) "MONPROF_" #name,
#include "options.def"
#include "../../collectors/collectors.def"
#undef OPTION
	};
	const char *lists[] = { run("help").out, run("help --mdoc").out,
				run("help --markdown").out };

	for (size_t list = 0; list < PROF_COUNT(lists); list++) {
		for (size_t i = 0; i < PROF_COUNT(rows); i++)
			cr_assert_not_null(strstr(lists[list], rows[i]), "%s", rows[i]);
		if (list < 2) {
			cr_assert_not_null(strstr(lists[list], "pprof"));
			cr_assert_not_null(strstr(lists[list], ".collapsed"));
		}
	}
	cr_assert_not_null(strstr(lists[1], ".It Ev MONPROF_CPU_HZ"));
	cr_assert_not_null(strstr(lists[2], "| `MONPROF_CPU_HZ` | `100` |"));
}

Test(cli, export_goes_beside_the_recording, .fini = remove_scratch)
{
	struct filled filled = record("monprof.7.monprof", 1);
	struct run got = run("export monprof.7.monprof -f pprof,collapsed");

	cr_assert_eq(got.status, 0, "%s", got.error);
	cr_assert_str_eq(got.out, "monprof.7.cpu.pb.gz\nmonprof.7.cpu.collapsed\n");
	cr_assert_eq(sum_collapsed((char *)slurp(in_scratch("monprof.7.cpu.collapsed")).bytes),
		     filled.value);
	got = run("export monprof.7.monprof");
	cr_assert_str_eq(got.out, "monprof.7.00000001.cpu.pb.gz\n", "a taken name was replaced");
}

Test(cli, export_writes_exactly_where_it_is_told, .fini = remove_scratch)
{
	struct filled filled = record("r.monprof", 1);
	struct run got = run("export -o exact --format=collapsed r.monprof");

	cr_assert_eq(got.status, 0, "%s", got.error);
	cr_assert_str_eq(got.out, "exact\n");
	cr_assert_eq(sum_collapsed((char *)slurp(in_scratch("exact")).bytes), filled.value);
	check_failure("export -o exact r.monprof", "exact", "taken");
	got = run("export r.monprof -fcollapsed -o-");
	cr_assert_eq(got.status, 0);
	cr_assert_eq(sum_collapsed(got.out), filled.value);
	got = run("export r.monprof -f collapsed,pprof -o both");
	cr_assert_str_eq(got.out, "both.cpu.pb.gz\nboth.cpu.collapsed\n");
	check_usage("export r.monprof -f collapsed,pprof -o -", "-o -");
}

Test(cli, export_sums_several_recordings, .fini = remove_scratch)
{
	struct filled a = record("a.monprof", 1), b = record("b.monprof", 2);
	struct run got = run("export a.monprof b.monprof -f collapsed -o -");

	cr_assert_eq(got.status, 0, "%s", got.error);
	cr_assert_eq(sum_collapsed(got.out), a.value + b.value);
	check_failure("export a.monprof a.monprof -o twice", "a.monprof", "twice");
	got = run("export a.monprof b.monprof");
	cr_assert_str_eq(got.out, "a.cpu.pb.gz\nb.cpu.pb.gz\n");
}

Test(cli, lines_are_current_ones_on_request, .fini = remove_scratch)
{
	struct filled filled = record("a.monprof", 1);
	struct run first = run("export a.monprof -f collapsed -o -");
	struct run current = run("export a.monprof --lines -f collapsed -o -");

	cr_assert_gt(strlen(current.out), strlen(first.out));
	cr_assert_eq(sum_collapsed(current.out), filled.value);
}

Test(cli, export_names_what_is_wrong, .fini = remove_scratch)
{
	struct bytes all;
	struct run got;

	record("r.monprof", 1);
	check_usage("export", "FILE");
	check_usage("export r.monprof -f pproff", "pprof");
	check_usage("export r.monprof -f", "'-f'");
	check_usage("export r.monprof --frobnicate", "'--frobnicate'");
	check_usage("export r.monprof --lines=yes", "'--lines=yes'");
	check_usage("export r.monprof -o ''", "empty");
	check_failure("export missing.monprof", "missing.monprof", strerror(ENOENT));
	check_failure("export stdout", "stdout", "not a recording");
	check_failure("export r.monprof -o nowhere/x", "nowhere/x", strerror(ENOENT));

	all = slurp(in_scratch("r.monprof"));
	spill(in_scratch("torn.monprof"), all.bytes, all.size - 2);
	got = run("export torn.monprof");
	cr_assert_eq(got.status, 0);
	cr_assert_not_null(strstr(got.error, "torn tail"));
	cr_assert_str_eq(got.out, "torn.cpu.pb.gz\n");
}

Test(cli, a_full_disk_is_a_failure_with_a_name, .fini = remove_scratch)
{
	char command[8192];

	record("r.monprof", 1);
	snprintf(
		command, sizeof(command),
		"cd '%s' && (ulimit -f 1; exec '%s' export r.monprof -f collapsed -o full) 2>error",
		scratch(), monprof());
	cr_assert_eq(WEXITSTATUS(system(command)), 1);
	cr_assert_not_null(
		strstr((char *)slurp(in_scratch("error")).bytes, "full: File too large"));
	cr_assert_neq(access(in_scratch("full"), F_OK), 0);
	snprintf(command, sizeof(command), "'%s' help >/dev/full 2>'%s'", monprof(),
		 in_scratch("error"));
	cr_assert_eq(WEXITSTATUS(system(command)), 1);
	cr_assert_not_null(strstr((char *)slurp(in_scratch("error")).bytes, "standard output"));
}

Test(cli, report_says_the_same_of_a_recording_and_of_its_profile, .fini = remove_scratch)
{
	struct run recording, profile;

	record("r.monprof", 1);
	cr_assert_eq(run("export r.monprof -o p.pb.gz").status, 0);
	recording = run("report r.monprof -n 5");
	profile = run("report p.pb.gz -n 5");
	cr_assert_eq(recording.status, 0, "%s", recording.error);
	cr_assert_eq(profile.status, 0, "%s", profile.error);
	cr_assert_not_null(strstr(recording.out, " in 500 samples, over 1.00 s\n"));
	cr_assert_not_null(strstr(recording.out, "cpu.achieved_hz=99.5\n"));
	cr_assert_not_null(strstr(profile.out, "cpu.achieved_hz=99.5\n"));
	cr_assert_not_null(strstr(recording.out, "\ncpu: "));
	cr_assert_str_eq(strstr(recording.out, "\ncpu: "), strstr(profile.out, "\ncpu: "));
}

Test(cli, report_counts_recursion_once, .fini = remove_scratch)
{
	char *path = in_scratch("r.monprof");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);
	uint32_t frame =
		recording_put_frame(recording, put_function(recording, "m", "f", "x.py", 1), 1);
	uint32_t other =
		recording_put_frame(recording, put_function(recording, "m", "g", "x.py", 5), 5);
	uint32_t node = recording_put_node(recording, 0, frame);

	node = recording_put_node(recording, node, frame);
	recording_put_sample(recording,
			     &(struct recording_sample){ 1, 0, node, START_NS, 750000000, 0 });
	node = recording_put_node(recording, node, other);
	recording_put_sample(recording,
			     &(struct recording_sample){ 1, 0, node, START_NS, 250000000, 0 });
	flush_good(recording, START_NS);
	recording_free(recording);
	cr_assert_not_null(strstr(run("report r.monprof").out,
				  " 750.00 ms  75.00%      1.00 s 100.00%  m.f (x.py:1)\n"
				  " 250.00 ms  25.00%   250.00 ms  25.00%  m.g (x.py:5)\n"));
}

Test(cli, report_keeps_to_the_width_and_controls_no_terminal, .fini = remove_scratch)
{
	struct filled filled;
	struct run got;
	char *line, *state = NULL;

	profile_free(hostile_profile(1, &filled));
	got = run("report hostile1 -n 100");
	cr_assert_eq(got.status, 0);
	cr_assert_null(strchr(got.out, '\x1b'));
	cr_assert_null(strchr(got.out, '\r'));
	setenv("COLUMNS", "80", 1);
	got = run("report hostile1 -n 100");
	line = strstr(got.out, "\n      self ");
	cr_assert_not_null(line);
	for (line = strtok_r(line, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
		size_t columns = 0;

		for (char *c = line; *c; c++)
			columns += (*c & 0xc0) != 0x80;
		cr_assert_leq(columns, 80, "%s", line);
	}
}

Test(cli, report_names_what_is_wrong, .fini = remove_scratch)
{
	record("r.monprof", 1);
	check_usage("report", "FILE");
	check_usage("report r.monprof -n 0", "-n 0");
	check_usage("report r.monprof -n x", "-n x");
	check_failure("report missing", "missing", strerror(ENOENT));
	spill(in_scratch("junk"), "junk", 4);
	check_failure("report junk", "junk", "not a profile");
	spill(in_scratch("half.gz"), "\x1f\x8b\x08\0\0\0\0\0\0\3\1\2", 12);
	check_failure("report half.gz", "half.gz", "gzip");
}

Test(cli, run_checks_options_and_sets_the_environment, .fini = remove_scratch)
{
	struct run got;

#ifdef __SANITIZE_THREAD__
	cr_skip_test("a sanitized library cannot be preloaded alone");
#endif
	check_usage("run", "COMMAND");
	check_usage("run --cpu-hz=100", "COMMAND");
	check_usage("run --cpu-hz=0 -- env", "--cpu-hz");
	check_usage("run --cpu-hx=5 -- env", "--cpu-hz");
	check_usage("run --depth", "'--depth'");
	check_usage("run -x env", "'-x'");
	unsetenv("LD_PRELOAD");
	got = run("run --cpu-hz=1000 --output here.%p --keep -- env");
	if (got.status == 1 && strstr(got.error, "libmonprof.so"))
		cr_skip_test("the library has not been built here");
	if (strstr(got.error, "ASan runtime does not come first"))
		cr_skip_test("a sanitized library cannot be preloaded alone");
	cr_assert_eq(got.status, 0, "%s", got.error);
	cr_assert_not_null(strstr(got.out, "MONPROF_CPU_HZ=1000\n"));
	cr_assert_not_null(strstr(got.out, "MONPROF_OUTPUT=here.%p\n"));
	cr_assert_not_null(strstr(got.out, "MONPROF_KEEP=yes\n"));
	cr_assert_not_null(strstr(got.out, "/libmonprof.so\n"));
	check_failure("run -- no-such-program", "no-such-program", strerror(ENOENT));
}
