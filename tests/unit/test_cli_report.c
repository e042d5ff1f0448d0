#include "command.h"
#include "exported.h"

#define MS 1000000u

extern const struct exporter_hooks pprof_exporter;

static uint32_t frame(struct recording *recording, const char *module, const char *name,
		      uint32_t line)
{
	char file[64];
	uint32_t first = strcmp(name, "main") == 0 ? 1 : strcmp(name, "f") == 0 ? 10 : 5;

	snprintf(file, sizeof(file), "/srv/%s.py", module);
	return recording_put_frame(recording, put_function(recording, module, name, file, first),
				   line);
}

static void sample(struct recording *recording, uint32_t thread, uint32_t node, uint64_t value)
{
	recording_put_sample(recording,
			     &(struct recording_sample){ thread, 0, node, START_NS, value, 0 });
}

/* main calls f in two lines; f calls itself and g. A second in all. */
static void record(const char *name)
{
	struct recording_head head = make_head(in_scratch(name));
	struct recording *recording = recording_new(&head);
	struct recording_function marker = { .module = "",
					     .name = "[thread exit]",
					     .file = "",
					     .name_bytes = 13,
					     .kind = RECORDING_MARKER };
	uint32_t root, f11, f12, exit;

	put_threads(recording);
	root = recording_put_node(recording, 0, frame(recording, "app", "main", 2));
	f11 = recording_put_node(recording, root, frame(recording, "app", "f", 11));
	f12 = recording_put_node(recording, root, frame(recording, "app", "f", 12));
	exit = recording_put_function(recording, &marker);
	sample(recording, 1, f11, 400 * MS);
	sample(recording, 2, f12, 100 * MS);
	sample(recording, 1, recording_put_node(recording, f11, frame(recording, "util", "g", 6)),
	       300 * MS);
	sample(recording, 2, recording_put_node(recording, f11, frame(recording, "app", "f", 12)),
	       100 * MS);
	sample(recording, 2,
	       recording_put_node(recording, 0, recording_put_frame(recording, exit, 0)), 50 * MS);
	sample(recording, 1, 0, 50 * MS);
	flush_good(recording, START_NS + 2000 * MS);
	recording_free(recording);
}

/* What a report of the recording prints from `from` on, which is the same for its profile. */
static const char *report(const char *flags, const char *from)
{
	char command[256];
	struct run recording, profile;

	if (access(in_scratch("r.monprof"), F_OK) != 0) {
		record("r.monprof");
		cr_assert_eq(run("export r.monprof -o p.pb.gz").status, 0);
	}
	snprintf(command, sizeof(command), "report r.monprof %s", flags);
	recording = run(command);
	cr_assert_eq(recording.status, 0, "%s: %s", command, recording.error);
	snprintf(command, sizeof(command), "report p.pb.gz %s", flags);
	profile = run(command);
	cr_assert_eq(profile.status, 0, "%s: %s", command, profile.error);
	cr_assert_not_null(strstr(recording.out, from), "%s", recording.out);
	cr_assert_not_null(strstr(profile.out, from), "%s", profile.out);
	cr_assert_str_eq(strstr(profile.out, from), strstr(recording.out, from));
	return strstr(recording.out, from);
}

#define CPU "\ncpu: 1.00 s in 6 samples, over 2.00 s\n"
#define HEAD(what) "      self       %       total       %  " what "\n"

Test(cli_report, rows_are_functions_lines_files_modules_or_threads, .fini = remove_scratch)
{
	cr_assert_str_eq(
		report("", "\ncpu"),
		CPU HEAD(
			"function") " 600.00 ms  60.00%   900.00 ms  90.00%  app.f (/srv/app.py:10)\n"
				    " 300.00 ms  30.00%   300.00 ms  30.00%  util.g (/srv/util.py:5)\n"
				    "  50.00 ms   5.00%    50.00 ms   5.00%  [thread exit]\n"
				    "      0 ns   0.00%   900.00 ms  90.00%  app.main (/srv/app.py:1)\n");
	cr_assert_str_eq(report("--by=function", "\ncpu"), report("", "\ncpu"));
	cr_assert_str_eq(
		report("--by=line", "\ncpu"),
		CPU HEAD(
			"line") " 400.00 ms  40.00%   800.00 ms  80.00%  app.f (/srv/app.py:11)\n"
				" 300.00 ms  30.00%   300.00 ms  30.00%  util.g (/srv/util.py:6)\n"
				" 200.00 ms  20.00%   200.00 ms  20.00%  app.f (/srv/app.py:12)\n"
				"  50.00 ms   5.00%    50.00 ms   5.00%  [thread exit]\n"
				"      0 ns   0.00%   900.00 ms  90.00%  app.main (/srv/app.py:2)\n");
	cr_assert_str_eq(report("--by file -n 2", "\ncpu"),
			 CPU HEAD("file") " 600.00 ms  60.00%   900.00 ms  90.00%  /srv/app.py\n"
					  " 300.00 ms  30.00%   300.00 ms  30.00%  /srv/util.py\n"
					  "... and 1 more\n");
	cr_assert_str_eq(
		report("-bmodule", "\ncpu"),
		CPU HEAD("module") " 600.00 ms  60.00%   900.00 ms  90.00%  app\n"
				   " 300.00 ms  30.00%   300.00 ms  30.00%  util\n"
				   "  50.00 ms   5.00%    50.00 ms   5.00%  [thread exit]\n");
	cr_assert_str_eq(
		report("--by=thread", "\ncpu"),
		CPU HEAD(
			"thread") " 750.00 ms  75.00%   750.00 ms  75.00%  MainThread (pid 4242, thread 4001)\n"
				  " 250.00 ms  25.00%   250.00 ms  25.00%  [unnamed] (pid 4242, thread 4002)\n");
}

Test(cli_report, a_tree_has_the_heaviest_first_and_counts_the_rest, .fini = remove_scratch)
{
	cr_assert_str_eq(
		report("--tree", "\ncpu"),
		CPU HEAD(
			"below its caller") "                     900.00 ms  90.00%  app.main (/srv/app.py:1)\n"
					    " 500.00 ms  50.00%   900.00 ms  90.00%    app.f (/srv/app.py:10)\n"
					    " 300.00 ms  30.00%   300.00 ms  30.00%      util.g (/srv/util.py:5)\n"
					    " 100.00 ms  10.00%   100.00 ms  10.00%      app.f (/srv/app.py:10)\n"
					    "  50.00 ms   5.00%    50.00 ms   5.00%  [thread exit]\n"
					    "  50.00 ms   5.00%    50.00 ms   5.00%  [no stack]\n");
	cr_assert_str_eq(
		report("--tree -n 3", "\ncpu"),
		CPU HEAD(
			"below its caller") "                     900.00 ms  90.00%  app.main (/srv/app.py:1)\n"
					    " 500.00 ms  50.00%   900.00 ms  90.00%    app.f (/srv/app.py:10)\n"
					    " 300.00 ms  30.00%   300.00 ms  30.00%      util.g (/srv/util.py:5)\n"
					    "                     100.00 ms  10.00%      ... 1 more\n"
					    "                      50.00 ms   5.00%  ... 1 more\n"
					    "  50.00 ms   5.00%    50.00 ms   5.00%  [no stack]\n");
	cr_assert_str_eq(
		report("-t -d 2 --by line", "\ncpu"),
		CPU HEAD(
			"below its caller") "                     900.00 ms  90.00%  app.main (/srv/app.py:2)\n"
					    " 400.00 ms  40.00%   800.00 ms  80.00%    app.f (/srv/app.py:11)\n"
					    "                     400.00 ms  40.00%      ... 2 more\n"
					    " 100.00 ms  10.00%   100.00 ms  10.00%    app.f (/srv/app.py:12)\n"
					    "  50.00 ms   5.00%    50.00 ms   5.00%  [thread exit]\n"
					    "  50.00 ms   5.00%    50.00 ms   5.00%  [no stack]\n");
}

Test(cli_report, callers_and_callees_are_those_of_the_time, .fini = remove_scratch)
{
	cr_assert_str_eq(
		report("--callers f", "\ncpu"),
		"\ncpu of app.f: 900.00 ms, over 2.00 s\n" HEAD(
			"caller") " 500.00 ms  55.56%   900.00 ms 100.00%  app.main (/srv/app.py:1)\n"
				  " 100.00 ms  11.11%   100.00 ms  11.11%  app.f (/srv/app.py:10)\n");
	cr_assert_str_eq(
		report("--callees app.f", "\ncpu"),
		"\ncpu from app.f: 900.00 ms, 600.00 ms of it its own, over 2.00 s\n" HEAD(
			"callee") " 300.00 ms  33.33%   300.00 ms  33.33%  util.g (/srv/util.py:5)\n"
				  " 100.00 ms  11.11%   100.00 ms  11.11%  app.f (/srv/app.py:10)\n");
	cr_assert_str_eq(report("--callers util --by module", "\ncpu"),
			 "\ncpu of util: 300.00 ms, over 2.00 s\n" HEAD(
				 "caller") " 300.00 ms 100.00%   300.00 ms 100.00%  app\n");
	cr_assert_str_eq(report("--callers main", "\ncpu"),
			 "\ncpu of app.main: 900.00 ms, over 2.00 s\n" HEAD(
				 "caller") "      0 ns   0.00%   900.00 ms 100.00%  [no caller]\n");
	check_usage("report r.monprof --callers h", "the nearest is app.f");
}

Test(cli_report, programs_get_json_and_csv, .fini = remove_scratch)
{
	cr_assert_str_eq(
		report("--format=json -n 2", "\"duration_ns\""),
		"\"duration_ns\":2000000000,\n"
		"\"tables\":[\n"
		"{\"measurement\":\"cpu\",\"unit\":\"nanoseconds\",\"value\":1000000000,\"samples\":6,"
		"\"rows\":[\n"
		"{\"self\":600000000,\"total\":900000000,\"name\":\"app.f\",\"file\":\"/srv/app.py\","
		"\"line\":10},\n"
		"{\"self\":300000000,\"total\":300000000,\"name\":\"util.g\","
		"\"file\":\"/srv/util.py\",\"line\":5}]}]}\n");
	cr_assert_not_null(strstr(run("report r.monprof -f json").out,
				  "{\"facts\":[\n\"pid 4242: libmonprof " PROF_VERSION
				  ", CPython 3.13.1, /usr/bin/python3\"],\n"));
	cr_assert_str_eq(report("--format csv", "measurement"),
			 "measurement,unit,self,total,name,file,line\r\n"
			 "cpu,nanoseconds,600000000,900000000,app.f,/srv/app.py,10\r\n"
			 "cpu,nanoseconds,300000000,300000000,util.g,/srv/util.py,5\r\n"
			 "cpu,nanoseconds,50000000,50000000,[thread exit],,\r\n"
			 "cpu,nanoseconds,0,900000000,app.main,/srv/app.py,1\r\n");
	cr_assert_str_eq(report("--format csv --by thread", "measurement"),
			 "measurement,unit,self,total,name,pid,tid\r\n"
			 "cpu,nanoseconds,750000000,750000000,MainThread,4242,4001\r\n"
			 "cpu,nanoseconds,250000000,250000000,[unnamed],4242,4002\r\n");
	cr_assert_not_null(
		strstr(report("--format csv --tree --depth 2", "measurement"),
		       "measurement,unit,id,parent,depth,self,total,name,file,line\r\n"
		       "cpu,nanoseconds,1,0,1,0,900000000,app.main,/srv/app.py,1\r\n"
		       "cpu,nanoseconds,2,1,2,500000000,900000000,app.f,/srv/app.py,10\r\n"));
}

/* The fields of a record of RFC 4180 from *text on, *text then being behind its end. */
static size_t read_record(const char **text)
{
	size_t fields = 1;
	bool is_quoted = false;

	for (; **text != '\0'; ++*text) {
		if (**text == '"')
			is_quoted = !is_quoted;
		else if (!is_quoted && **text == ',')
			fields++;
		else if (!is_quoted && strncmp(*text, "\r\n", 2) == 0)
			break;
	}
	cr_assert_not(is_quoted);
	cr_assert_neq(**text, '\0', "no end of line");
	*text += 2;
	return fields;
}

Test(cli_report, hostile_names_stay_data, .fini = remove_scratch)
{
	struct filled filled;
	struct run got;
	size_t records = 0;

	profile_free(hostile_profile(1, &filled));
	got = run("report hostile1 --format=csv");
	cr_assert_eq(got.status, 0);
	for (const char *text = got.out; *text != '\0'; records++)
		cr_assert_eq(read_record(&text), 7);
	cr_assert_gt(records, PROF_COUNT(hostile_names) + 1);
	cr_assert_not_null(
		strstr(got.out, ",\"\"\"quoted\\.\"\"quoted\\\",\"\"\"quoted\\\",7\r\n"));
	got = run("report hostile1 --format=json");
	cr_assert_eq(got.status, 0);
	cr_assert_not_null(strstr(got.out, "\"name\":\"\\\"quoted\\\\.\\\"quoted\\\\\""));
	cr_assert_not_null(strstr(got.out, "\\u001b[31mred"));
	cr_assert_not_null(strstr(got.out, "new\\nline\\u000dand\\ttab"));
	for (const char *c = got.out; *c != '\0'; c++)
		cr_assert((uint8_t)*c >= ' ' || *c == '\n');
}

/* What is printed to a terminal, with these variables set. */
static char *on_terminal(const char *variables, const char *flags)
{
	char command[8192], *text = keep(calloc(1, 1 << 16));
	int terminal = posix_openpt(O_RDWR | O_NOCTTY);
	size_t size = 0;
	ssize_t n;

	cr_assert_geq(terminal, 0);
	cr_assert_eq(grantpt(terminal), 0);
	cr_assert_eq(unlockpt(terminal), 0);
	snprintf(command, sizeof(command), "exec 9<>'%s' && %s '%s' report '%s' %s >&9",
		 ptsname(terminal), variables, monprof(), in_scratch("r.monprof"), flags);
	cr_assert_eq(system(command), 0, "%s", command);
	/* The terminal keeps what fits into a page or so; then its other side is closed. */
	while ((n = read(terminal, text + size, (1 << 16) - 1 - size)) > 0)
		size += (size_t)n;
	close(terminal);
	return text;
}

Test(cli_report, a_terminal_gets_bars_and_colours_unless_it_refuses, .fini = remove_scratch)
{
	char *text;

	record("r.monprof");
	text = on_terminal("env -u COLUMNS -u NO_COLOR TERM=xterm LC_ALL=C.UTF-8", "");
	cr_assert_not_null(strstr(text, "\x1b[31m"), "%s", text);
	cr_assert_not_null(strstr(text, "\u2588\u2588\u2588\u2588\u2588"), "%s", text);
	text = on_terminal("env -u COLUMNS NO_COLOR=1 TERM=xterm LC_ALL=C", "");
	cr_assert_null(strchr(text, '\x1b'), "%s", text);
	cr_assert_not_null(
		strstr(text,
		       " 600.00 ms  60.00%   900.00 ms  90.00%  #####--   app.f (/srv/app.py:10)\r\n"),
		"%s", text);
	text = on_terminal("env -u NO_COLOR TERM=dumb", "");
	cr_assert_null(strchr(text, '\x1b'), "%s", text);
	text = on_terminal("env -u NO_COLOR TERM=xterm", "--tree");
	cr_assert_not_null(strstr(text, "\x1b["), "%s", text);
}

/* Width of a line by the characters that the test's names are made of. */
static size_t width(const char *line)
{
	size_t columns = 0;

	for (; *line != '\0'; line++) {
		uint8_t byte = (uint8_t)*line;

		if (byte == 0xe6)
			columns += 2; /* an ideograph */
		else if (byte != 0xcc && (byte & 0xc0) != 0x80)
			columns++;
	}
	return columns;
}

Test(cli_report, wide_and_combining_characters_keep_the_columns, .fini = remove_scratch)
{
	struct recording_head head = make_head(in_scratch("r.monprof"));
	struct recording *recording = recording_new(&head);
	char wide[200] = "", marked[200] = "";
	char *line, *state = NULL;

	for (unsigned i = 0; i < 25; i++) {
		strcat(wide, "\xe6\x97\xa5");
		strcat(marked, "e\xcc\x81");
	}
	put_threads(recording);
	sample(recording, 1, recording_put_node(recording, 0, frame(recording, "m", wide, 1)), MS);
	sample(recording, 1, recording_put_node(recording, 0, frame(recording, "m", marked, 1)),
	       MS);
	flush_good(recording, START_NS);
	recording_free(recording);
	setenv("COLUMNS", "80", 1);
	line = strstr(run("report r.monprof").out, "\n      self");
	cr_assert_not_null(strstr(line, marked), "what fits is not cut");
	cr_assert_not_null(strstr(line, "\xe6\x97\xa5..."), "%s", line);
	for (line = strtok_r(line, "\n", &state); line; line = strtok_r(NULL, "\n", &state))
		cr_assert_leq(width(line), 80, "%s", line);
	cr_assert_null(strstr(run("report --tree r.monprof").out, "\xe6\x97\n"));
}

/* 200 calls deep on 80 columns. */
Test(cli_report, a_deep_tree_stays_on_its_lines, .fini = remove_scratch)
{
	struct recording_head head = make_head(in_scratch("r.monprof"));
	struct recording *recording = recording_new(&head);
	uint32_t node = 0;
	char *line, *state = NULL;

	put_threads(recording);
	for (uint32_t i = 0; i < 200; i++)
		node = recording_put_node(recording, node, frame(recording, "m", "f", i + 1));
	sample(recording, 1, node, MS);
	flush_good(recording, START_NS);
	recording_free(recording);
	setenv("COLUMNS", "80", 1);
	line = strstr(run("report --tree -n 500 r.monprof").out, "\n      self");
	cr_assert_not_null(strstr(line, "  [200] m.f"), "%s", line);
	for (line = strtok_r(line, "\n", &state); line; line = strtok_r(NULL, "\n", &state))
		cr_assert_leq(strlen(line), 80, "%s", line);
}

Test(cli_report, modules_of_a_profile_are_told_from_name_and_file, .fini = remove_scratch)
{
	static const struct {
		const char *module, *name, *file;
	} rows[] = {
		{ "json.decoder", "JSONDecoder.decode", "/usr/lib/json/decoder.py" },
		{ "json", "loads", "/usr/lib/json/__init__.py" },
		{ "app", "<module>", "app.py" },
		{ "builtins", "len", "" },
		{ "importlib._bootstrap", "_find_spec", "<frozen importlib._bootstrap>" },
		{ "runpy", "run", "<frozen runpy" },
		{ "other", "f", "<frozen else>" },
	};
	struct recording_head head = make_head(in_scratch("r.monprof"));
	struct recording *recording = recording_new(&head);

	put_threads(recording);
	for (uint32_t i = 0; i < PROF_COUNT(rows); i++) {
		uint32_t function =
			put_function(recording, rows[i].module, rows[i].name, rows[i].file, i);

		sample(recording, 1,
		       recording_put_node(recording, 0,
					  recording_put_frame(recording, function, i)),
		       (i + 1) * MS);
	}
	flush_good(recording, START_NS + 2000 * MS);
	recording_free(recording);
	cr_assert_eq(run("export r.monprof -o p.pb.gz").status, 0);
	cr_assert_not_null(strstr(report("--by=module", "\ncpu"), "  json.decoder\n"));
}

/* Libraries are what mappings say, and native functions without a name are no markers. */
Test(cli_report, native_code_of_a_profile_is_of_its_library, .fini = remove_scratch)
{
	profile_free(native_profile());
	cr_assert_eq(rename(in_scratch("native"), in_scratch("r.monprof")), 0);
	cr_assert_eq(run("export r.monprof -o p.pb.gz").status, 0);
	cr_assert_not_null(strstr(report("", "\ncpu"), "  hot (libfoo.so)\n"));
	cr_assert_not_null(strstr(report("--by=line", "\ncpu"), "  [libfoo.so+0x1234]\n"));
	cr_assert_not_null(strstr(report("--by=file", "\ncpu"), "  /usr/lib/libfoo.so\n"));
	cr_assert_not_null(strstr(report("--by=module", "\ncpu"), "  libfoo.so\n"));
	report("--tree", "\ncpu");
	report("--callers eval", "\ncpu");
	report("--format=json", "\"duration_ns\"");
}

Test(cli_report, a_profile_without_samples_says_so, .fini = remove_scratch)
{
	static const char some_text[] = "\x32\x00\x32\x03"
					"cpu";
	struct profile *profile = profile_new();
	struct bytes none;

	cr_assert_null(profile_finish(profile));
	none = export_measurement(&pprof_exporter, profile, 0, false);
	spill(in_scratch("none.pb.gz"), none.bytes, none.size);
	check_failure("report none.pb.gz", "none.pb.gz", "there is no sample in it");
	spill(in_scratch("texts.pb"), some_text, sizeof(some_text) - 1);
	check_failure("report texts.pb", "texts.pb", "there is no sample in it");
	/* A sample, but nothing says of what. */
	spill(in_scratch("nothing.pb"), "\x32\x00\x12\x00", 4);
	check_failure("report nothing.pb", "nothing.pb", "not a profile that pprof would read");
	spill(in_scratch("empty.pb"), "", 0);
	check_failure("report empty.pb", "empty.pb", "not a profile that pprof would read");
	profile_free(profile);
}

Test(cli_report, what_does_not_go_together_is_refused, .fini = remove_scratch)
{
	record("r.monprof");
	record("p.pb.gz");
	check_usage("report r.monprof --by=colour", "function line file module thread");
	check_usage("report r.monprof --format=xml", "text json csv");
	check_usage("report r.monprof --depth=0", "--depth 0");
	check_usage("report r.monprof --depth=3", "--tree");
	check_usage("report r.monprof --tree --by=thread", "--tree");
	check_usage("report r.monprof --tree --callers f", "--tree");
	check_usage("report r.monprof --by=thread --callers f", "thread");
	check_usage("report r.monprof --calls --by=line", "--calls");
	spill(in_scratch("text"), "x", 1);
	check_usage("report text r.monprof", "only those are summed");
}
