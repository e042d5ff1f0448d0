#include "command.h"
#include "windows.h"

static void spill_windows(const char *name, const struct windows_note *notes)
{
	struct bytes all =
		windows_recording(1, windows_samples, PROF_COUNT(windows_samples), notes);

	spill(in_scratch(name), all.bytes, all.size);
}

static void record(const char *name, const struct recording_sample *samples, size_t count)
{
	static const struct windows_note none[] = { { NULL, NULL } };
	struct bytes all = windows_recording(1, samples, count, none);

	spill(in_scratch(name), all.bytes, all.size);
}

/* The table that a run printed, from its head on. */
static const char *table(struct run got)
{
	const char *head = strstr(got.out, "\n      calls ");

	cr_assert_eq(got.status, 0, "%s", got.error);
	cr_assert_str_eq(got.error, "");
	cr_assert_not_null(head, "%s", got.out);
	return head + 1;
}

/*
 * By hand, each number 10.5 of windows.h: m.f has 74 + 11 + 21 + 21 calls and was there for 214,200 ns, of which
 * 210,000 are its own; 95 of its calls took 1024 ns or more, 21 2048 or more.
 */
static const char all_calls[] =
	"      calls       +-   time   mean    p50    p90    p99  function\n"
	"        127      118  210us 1.69us 1.45us 2.90us 2.90us  m.f (/srv/service/app.py:10)\n"
	"         84      136 4.20us   50ns   45ns   45ns   45ns  builtins.len\n"
	"         42       40  945us 24.0us 23.2us 23.2us 23.2us  m.g (/srv/service/app.py:20)\n"
	"          0             0ns      -      -      -      -  m.main (/srv/service/app.py:1)\n";

Test(cli_calls, a_recording_and_its_profile_show_the_same, .fini = remove_scratch)
{
	struct run got;

	spill_windows("r.monprof", windows_notes);
	cr_assert_eq(run("export r.monprof").status, 0);
	got = run("report --calls r.monprof");
	cr_assert_str_eq(table(got), all_calls);
	cr_assert_not_null(strstr(got.out, "windows.calls=4\n"));
	cr_assert_not_null(strstr(got.out, "\ncalls: 253 in 1.16 ms, over 2.00 s\n"));
	got = run("report r.calls.pb.gz --calls");
	cr_assert_str_eq(table(got), all_calls);
	cr_assert_not_null(strstr(got.out, "windows.calls=4\n"));
	cr_assert_not_null(strstr(got.out, "\ncalls: 253 in 1.16 ms, over 2.00 s\n"));
}

Test(cli_calls, the_plain_report_is_of_calls_first, .fini = remove_scratch)
{
	static const char wanted[] =
		"\ncalls: 253, over 2.00 s\n"
		"      self       %       total       %  function\n"
		"       127  50.20%         211  83.40%  m.f (/srv/service/app.py:10)\n";

	spill_windows("r.monprof", windows_notes);
	cr_assert_eq(run("export r.monprof").status, 0);
	cr_assert_not_null(strstr(run("report r.monprof").out, wanted));
	cr_assert_not_null(strstr(run("report r.calls.pb.gz").out, wanted));
}

Test(cli_calls, exact_counts_have_no_error, .fini = remove_scratch)
{
	static const struct windows_note exact[] = { { "windows.calls", "0" }, { NULL, NULL } };

	spill_windows("r.monprof", exact);
	cr_assert_not_null(strstr(table(run("report --calls r.monprof")),
				  "\n         12          20.0us 1.70us "));
}

Test(cli_calls, callers_and_callees_are_those_of_the_calls, .fini = remove_scratch)
{
	static const char callers[] =
		"      calls        %  total   mean    p50    p90    p99  caller\n"
		"        106   83.46%  151us 1.43us 1.45us 1.45us 1.45us  m.main (/srv/service/app.py:1)\n"
		"         21   16.54% 63.0us 3.00us 2.90us 2.90us 2.90us  m.g (/srv/service/app.py:20)\n";
	static const char callees[] =
		"      calls        %  total   mean    p50    p90    p99  callee\n"
		"        106   71.62%  151us 1.43us 1.45us 1.45us 1.45us  m.f (/srv/service/app.py:10)\n"
		"         42   28.38% 1.01ms 24.0us 23.2us 23.2us 23.2us  m.g (/srv/service/app.py:20)\n";

	spill_windows("r.monprof", windows_notes);
	cr_assert_eq(run("export r.monprof").status, 0);
	cr_assert_str_eq(table(run("report --calls r.monprof --callers m.f")), callers);
	cr_assert_str_eq(table(run("report r.calls.pb.gz --callers=f")), callers);
	cr_assert_str_eq(table(run("report r.monprof --callees main")), callees);
	cr_assert_str_eq(table(run("report r.calls.pb.gz --callees m.main")), callees);
	cr_assert_not_null(strstr(run("report r.monprof --callees main").out,
				  "\ncalls from m.main: 148, over 2.00 s\n"));
	cr_assert_not_null(strstr(table(run("report r.monprof --callers main")),
				  "  caller\n"
				  "          0    0.00%"));
	cr_assert_str_eq(
		table(run("report r.monprof --callees g -n 1")),
		"      calls        %  total   mean    p50    p90    p99  callee\n"
		"         21  100.00% 63.0us 3.00us 2.90us 2.90us 2.90us  m.f (/srv/service/app.py:10)\n");
}

/* main > f > f: 3 us in the outer one, 5 in the inner. */
static const struct recording_sample recursion[] = {
	{ 1, WINDOWS_CALLS, MAIN_F, START_NS, 2, 0 },
	{ 1, WINDOWS_CALLS, MAIN_F_F, START_NS, 2, 0 },
	{ 1, WINDOWS_TIME, MAIN_F, START_NS, 3000, 0 },
	{ 1, WINDOWS_TIME, MAIN_F_F, START_NS, 5000, 0 },
};

Test(cli_calls, recursion_counts_once, .fini = remove_scratch)
{
	record("r.monprof", recursion, PROF_COUNT(recursion));
	cr_assert_not_null(
		strstr(table(run("report --calls r.monprof")),
		       "\n          4          8.00us 2.00us      -      -      -  m.f "));
	/* All 8 us under main; the inner 5 under f itself. */
	cr_assert_str_eq(
		table(run("report --callers f r.monprof")),
		"      calls        %  total   mean    p50    p90    p99  caller\n"
		"          2   50.00% 8.00us 4.00us      -      -      -  m.main (/srv/service/app.py:1)\n"
		"          2   50.00% 5.00us 2.50us      -      -      -  m.f (/srv/service/app.py:10)\n");
	cr_assert_str_eq(
		table(run("report --callees f r.monprof")),
		"      calls        %  total   mean    p50    p90    p99  callee\n"
		"          2  100.00% 5.00us 2.50us      -      -      -  m.f (/srv/service/app.py:10)\n");
}

/* As one in so many is recorded: whatever is of times is not known, in a recording and in its profile. */
static const struct recording_sample timeless[] = {
	{ 1, WINDOWS_CALLS, MAIN_F, START_NS + 1, 1000, 0 },
	{ 1, WINDOWS_CALLS, MAIN_G_F, START_NS + 2, 1100, 0 },
	{ 1, WINDOWS_CALLS, MAIN_F_LEN, START_NS + 4, 900, 0 },
};

Test(cli_calls, where_no_time_was_measured_none_is_shown, .fini = remove_scratch)
{
	static const char calls[] =
		"      calls       +-   time   mean    p50    p90    p99  function\n"
		"       2100               -      -      -      -      -  m.f (/srv/service/app.py:10)\n"
		"        900               -      -      -      -      -  builtins.len\n";
	static const char callers[] =
		"      calls        %  total   mean    p50    p90    p99  caller\n"
		"       1100   52.38%      -      -      -      -      -  m.g (/srv/service/app.py:20)\n"
		"       1000   47.62%      -      -      -      -      -  m.main (/srv/service/app.py:1)\n";
	static const char *const files[] = { "r.monprof", "r.calls.pb.gz" };

	record("r.monprof", timeless, PROF_COUNT(timeless));
	cr_assert_eq(run("export r.monprof").status, 0);
	for (unsigned i = 0; i < PROF_COUNT(files); i++) {
		char command[64];

		snprintf(command, sizeof(command), "report --calls %s", files[i]);
		cr_assert_str_eq(table(run(command)), calls);
		cr_assert_not_null(strstr(run(command).out, "\ncalls: 3000, over 2.00 s\n"));
		snprintf(command, sizeof(command), "report --callers f %s", files[i]);
		cr_assert_str_eq(table(run(command)), callers);
	}
}

/* Of 100 calls 50 are in the first class, 40 in another, 9 and 1 in others. */
Test(cli_calls, percentiles_are_the_middles_of_their_classes, .fini = remove_scratch)
{
	static const struct recording_sample samples[] = {
		{ 1, WINDOWS_CALLS, MAIN, START_NS, 50, 1 },
		{ 1, WINDOWS_CALLS, MAIN, START_NS, 40, 21 },
		{ 1, WINDOWS_CALLS, MAIN, START_NS, 9, 31 },
		{ 1, WINDOWS_CALLS, MAIN, START_NS, 1, 63 },
		{ 1, WINDOWS_CALLS, MAIN, START_NS, 1000, 0 },
		{ 1, WINDOWS_CALLS, MAIN_F, START_NS, 1, 63 },
	};

	record("r.monprof", samples, PROF_COUNT(samples));
	cr_assert_eq(run("export r.monprof").status, 0);
	for (unsigned i = 0; i < 2; i++) {
		const char *text =
			table(run(i ? "report --calls r.calls.pb.gz" : "report --calls r.monprof"));

		/* 2^0 2^20 2^30 times the root of 2 */
		cr_assert_not_null(strstr(text, "    1ns 1.48ms  1.52s  m.main "), "%s", text);
		/* 2^62.5 ns are 206 years. */
		cr_assert_not_null(strstr(text, " 6521908913s "), "%s", text);
	}
}

Test(cli_calls, a_name_that_is_not_one_names_the_nearest, .fini = remove_scratch)
{
	struct run got;

	spill_windows("r.monprof", windows_notes);
	got = run("report --callers mian r.monprof");
	cr_assert_eq(got.status, 2);
	cr_assert_str_eq(got.out, "");
	cr_assert_str_eq(got.error,
			 "monprof: --callers mian: no such function; the nearest is m.main\n");
	got = run("report --callees en r.monprof");
	cr_assert_eq(got.status, 2);
	cr_assert_str_eq(got.error, "monprof: --callees en: no such function; the nearest is "
				    "builtins.len\n");
	check_usage("report --callees '' r.monprof", "no such function");
	check_usage("report --callers f --callees f r.monprof", "one function at a time");
	check_usage("report --callers", "'--callers'");
	check_usage("report --calls", "FILE");
	check_usage("report --calls=yes r.monprof", "'--calls=yes'");
}

Test(cli_calls, the_end_of_two_names_is_no_name, .fini = remove_scratch)
{
	static const struct recording_sample sample = { 1, 1, 1, START_NS, 7, 0 };
	static const char *const names[] = { "json", "pickle", "loads" };
	struct wire_buffer file = { 0 }, payload = { 0 };
	struct run got;

	raw_begin(&file, RECORDING_VERSION_MAJOR << 16);
	raw_head(&file, 1);
	raw_text(&payload, "calls");
	raw_text(&payload, "calls");
	raw_text(&payload, "count");
	raw_text(&payload, "");
	raw_block(&file, RECORDING_BLOCK_METRICS, &payload);
	for (unsigned i = 0; i < PROF_COUNT(names); i++)
		raw_text(&payload, names[i]);
	raw_block(&file, RECORDING_BLOCK_STRINGS, &payload);
	RAW(&payload, 1, 3, 0, 0, 0, 2, 3, 0, 0, 0, 0, 3, 0, 0, 0);
	raw_block(&file, RECORDING_BLOCK_FUNCTIONS, &payload);
	RAW(&payload, 1, 1, 2, 1, 3, 1);
	raw_block(&file, RECORDING_BLOCK_FRAMES, &payload);
	RAW(&payload, 0, 1, 0, 2, 0, 3);
	raw_block(&file, RECORDING_BLOCK_NODES, &payload);
	for (unsigned node = 1; node <= 2; node++)
		RAW(&payload, 1, 1, node, 0, sample.value * node);
	raw_block(&file, RECORDING_BLOCK_SAMPLES, &payload);
	RAW(&payload, 0);
	raw_block(&file, RECORDING_BLOCK_FLUSH, &payload);
	spill(in_scratch("two"), file.bytes, file.size);
	got = run("report --callers loads two");
	cr_assert_eq(got.status, 2);
	cr_assert_str_eq(got.error,
			 "monprof: --callers loads: the end of several names; the "
			 "nearest is pickle.loads\n",
			 "the most called");
	cr_assert_eq(run("report --callers json.loads two").status, 0);
	/* A whole name is meant before the ends of others. */
	RAW(&payload, 1, 1, 3, 0, 1);
	raw_block(&file, RECORDING_BLOCK_SAMPLES, &payload);
	RAW(&payload, 0);
	raw_block(&file, RECORDING_BLOCK_FLUSH, &payload);
	spill(in_scratch("three"), file.bytes, file.size);
	cr_assert_str_eq(table(run("report --callers loads three")),
			 "      calls        %  total   mean    p50    p90    p99  caller\n"
			 "          1  100.00%      -      -      -      -      -  [no caller]\n");
	wire_release(&file);
	wire_release(&payload);
}

Test(cli_calls, what_has_no_calls_is_refused, .fini = remove_scratch)
{
	static const struct recording_sample cpu = { 1, WINDOWS_CPU, MAIN, START_NS, 7, 0 };

	record("r.monprof", &cpu, 1);
	cr_assert_eq(run("export r.monprof").status, 0);
	check_failure("report --calls r.monprof", "r.monprof", "no calls");
	check_failure("report --calls r.cpu.pb.gz", "r.cpu.pb.gz", "no calls");
	check_failure("report --calls missing", "missing", "No such file");
	spill(in_scratch("junk"), "junk", 4);
	check_failure("report --calls junk", "junk", "not a profile");
}

Test(cli_calls, lines_are_as_wide_as_the_terminal, .fini = remove_scratch)
{
	struct bytes all =
		windows_recording(1, windows_samples, PROF_COUNT(windows_samples), windows_notes);
	char *line, *state = NULL;

	spill(in_scratch("r.monprof"), all.bytes, all.size);
	setenv("COLUMNS", "80", 1);
	line = strdup(table(run("report --calls r.monprof")));
	keep(line);
	cr_assert_not_null(strstr(line, "  m.f (app.py:10)\n"), "%s", line);
	for (line = strtok_r(line, "\n", &state); line; line = strtok_r(NULL, "\n", &state))
		cr_assert_leq(strlen(line), 80, "%s", line);
}

Test(cli_calls, programs_get_what_people_see, .fini = remove_scratch)
{
	spill_windows("r.monprof", windows_notes);
	cr_assert_eq(run("export r.monprof").status, 0);
	for (unsigned i = 0; i < 2; i++) {
		const char *text = run(i ? "report --calls --format=csv r.calls.pb.gz" :
					   "report --calls --format=csv r.monprof")
					   .out;

		cr_assert_str_eq(
			text,
			"measurement,unit,calls,error,self_ns,total_ns,mean_ns,p50_ns,p90_ns,p99_ns,"
			"name,file,line\r\n"
			"calls,count,127,118,210000,214200,1687,1448,2896,2896,m.f,"
			"/srv/service/app.py,10\r\n"
			"calls,count,84,136,4200,4200,50,45,45,45,builtins.len,,\r\n"
			"calls,count,42,40,945000,1008000,24000,23170,23170,23170,m.g,"
			"/srv/service/app.py,20\r\n"
			"calls,count,0,0,0,1159200,,,,,m.main,/srv/service/app.py,1\r\n");
	}
	cr_assert_not_null(strstr(run("report --calls --format=json r.monprof --callers main").out,
				  "{\"calls\":0,\"error\":null,"));
}
