/*
 * test_command.c - the command, over recordings that real programs left.
 */
#include "common.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* burn.py with its recording kept, and what the process wrote itself. */
static struct run *run_recorded(void)
{
	struct run *run = run_new();

	run_set(run, "MONPROF_COLLECT", "cpu");
	run_set(run, "MONPROF_KEEP", "yes");
	run_set(run, "MONPROF_EXPORT", "pprof,collapsed");
	run_set(run, "MONPROF_FLUSH", "20ms");
	run_go(run, python_path(), run_program("burn.py"), NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	RUN_CHECK(run, run->file_count == 3, "wanted two profiles and the recording");
	return run;
}

/* Without -o the files go beside the recording; their names being taken, beside those. */
static void check_export(const char *format, const char *suffix)
{
	struct run *run = run_recorded();
	const char *own = run_text(run, "%s/monprof.%d.cpu%s", run->dir, run->pid, suffix);
	const char *out = run_text(run, "%s/exported%s", run->dir, suffix);
	struct stacks *theirs, *ours;

	run_monprof(run, 0, "export", run_file(run, ".monprof"), "-f", format, "-o", out, NULL);
	run_look(run);
	theirs = stacks_read(run, own);
	ours = stacks_read(run, out);
	RUN_CHECK(run, stacks_total(theirs) == stacks_total(ours) && theirs->count == ours->count,
		  "the process wrote %zu stacks, %llu ns, the command %zu, %llu", theirs->count,
		  (unsigned long long)stacks_total(theirs), ours->count,
		  (unsigned long long)stacks_total(ours));
	RUN_CHECK(run, stacks_self(theirs, "burn.spin") == stacks_self(ours, "burn.spin"),
		  "burn.spin differs");
	stacks_free(theirs);
	stacks_free(ours);
	run_free(run);
}

Test(command, exports_pprof)
{
	check_export("pprof", ".pb.gz");
}

Test(command, exports_collapsed)
{
	check_export("collapsed", ".collapsed");
}

/* What the process wrote itself is what the command makes of its recording. */
Test(command, exports_flamegraph)
{
	struct run *run = run_new();
	const char *own, *ours;

	run_set(run, "MONPROF_COLLECT", "cpu");
	run_set(run, "MONPROF_KEEP", "yes");
	run_set(run, "MONPROF_EXPORT", "flamegraph");
	run_go(run, python_path(), run_program("burn.py"), NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	run_monprof(run, 0, "export", run_file(run, ".monprof"), "-f", "flamegraph", "-o",
		    "page.html", NULL);
	own = run_read(run, run_text(run, "monprof.%d.cpu.html", run->pid));
	ours = run_read(run, "page.html");
	RUN_CHECK(run, own && ours && strcmp(own, ours) == 0, "the pages differ");
	RUN_CHECK(run, strstr(own, "<bdi>burn.spin</bdi>"), "burn.spin is not in the table");
	RUN_CHECK(run, strstr(own, "</html>\n"), "the page has no end");
	run_free(run);
}

/* One file would not hold two measurements: each name says which. */
Test(command, names_each_measurement)
{
	struct run *run = run_new();
	struct stacks *stacks;

	run_set(run, "MONPROF_COLLECT", "cpu,calls");
	run_set(run, "MONPROF_CALLS_RATE", "100%");
	run_set(run, "MONPROF_EXPORT", "none");
	run_go(run, python_path(), run_program("burn.py"), NULL);
	run_check_exit(run, 0);
	run_monprof(run, 0, "export", run_file(run, ".monprof"), "-o", "all.pb.gz", NULL);
	run_look(run);
	RUN_CHECK(run, run->file_count == 3 && run_count(run, "all.cpu.pb.gz") == 1,
		  "wanted two profiles and the recording");
	stacks = stacks_read(run, run_file(run, "all.calls.pb.gz"));
	RUN_CHECK(run, stacks_with(stacks, "burn.spin"), "no calls of spin");
	stacks_free(stacks);
	run_free(run);
}

Test(command, exports_several_as_one)
{
	struct run *run = run_new();
	struct stacks *all, *one, *other;
	const char *first, *second;

	run_set(run, "MONPROF_COLLECT", "cpu");
	run_set(run, "MONPROF_KEEP", "yes");
	run_go(run, python_path(), run_program("burn.py"), NULL);
	first = common_profile(run, run->pid);
	run_go(run, python_path(), run_program("burn.py"), NULL);
	second = common_profile(run, run->pid);
	run_monprof(run, 0, "export", run_file_at(run, ".monprof", 0),
		    run_file_at(run, ".monprof", 1), "-f", "pprof", "-o",
		    run_text(run, "%s/all.pb.gz", run->dir), NULL);
	run_look(run);
	one = stacks_read(run, first);
	other = stacks_read(run, second);
	all = stacks_read(run, run_text(run, "%s/all.pb.gz", run->dir));
	RUN_CHECK(run, stacks_total(all) == stacks_total(one) + stacks_total(other),
		  "the sum is %llu of %llu and %llu", (unsigned long long)stacks_total(all),
		  (unsigned long long)stacks_total(one), (unsigned long long)stacks_total(other));
	stacks_free(one);
	stacks_free(other);
	stacks_free(all);
	run_free(run);
}

Test(command, reports)
{
	struct run *run = run_recorded();
	char *report = run_monprof(run, 0, "report", run_file(run, ".monprof"), NULL);

	RUN_CHECK(run,
		  strstr(report, "burn.spin") && strstr(report, "burn.burn") && strchr(report, '%'),
		  "the report has no functions:\n%s", report);
	/* The hottest is first. */
	RUN_CHECK(run, strstr(report, "burn.spin") < strstr(report, "burn.burn"),
		  "burn.burn is before burn.spin:\n%s", report);
	run_free(run);
}

/* The same program in every view: who calls spin, what burn calls, whose time it is. */
Test(command, reports_by_anything)
{
	struct run *run = run_recorded();
	const char *file = run_file(run, ".monprof");
	char *text = run_monprof(run, 0, "report", "--tree", file, NULL);

	RUN_CHECK(run, strstr(text, "burn.burn") && strstr(text, "burn.spin"), "%s", text);
	RUN_CHECK(run, strstr(text, "burn.burn") < strstr(text, "burn.spin"),
		  "spin is not below burn:\n%s", text);
	text = run_monprof(run, 0, "report", "--callers", "spin", file, NULL);
	RUN_CHECK(run, strstr(text, "cpu of burn.spin") && strstr(text, "100.00%  burn.burn"),
		  "burn is not the only caller:\n%s", text);
	text = run_monprof(run, 0, "report", "--callees", "burn.burn", file, NULL);
	RUN_CHECK(run, strstr(text, "  burn.spin"), "%s", text);
	text = run_monprof(run, 0, "report", "--by=line", "-n1", file, NULL);
	RUN_CHECK(run, strstr(text, "  burn.spin ("), "%s", text);
	text = run_monprof(run, 0, "report", "--by=file", "-n1", file, NULL);
	RUN_CHECK(run, strstr(text, "burn.py\n"), "%s", text);
	text = run_monprof(run, 0, "report", "--by=module", "-n1", file, NULL);
	RUN_CHECK(run, strstr(text, "  burn\n"), "%s", text);
	text = run_monprof(run, 0, "report", "--by=thread", "-n1", file, NULL);
	RUN_CHECK(run, strstr(text, run_text(run, "(pid %d, thread %d)\n", run->pid, run->pid)),
		  "%s", text);
	/* The report as a file has both: functions, then the tree. */
	text = run_monprof(run, 0, "export", "-f", "text", "-o", "-", file, NULL);
	RUN_CHECK(run, strstr(text, "burn.spin") && strstr(text, "below its caller"), "%s", text);
	run_free(run);
}

/* CPython's own readers understand what names like these become. */
Test(command, reports_to_programs)
{
	struct run *run = run_new();
	const char *json, *csv, *profile = run_text(run, "%s/profile.json", run->dir);
	char *said;
	int status;

	run_set(run, "MONPROF_COLLECT", "cpu");
	run_set(run, "MONPROF_KEEP", "yes");
	run_go(run, python_path(), run_program("hostile_report.py"), NULL);
	run_check_exit(run, 0);
	json = run_write(run, "report.json",
			 run_monprof(run, 0, "report", "--format=json", run_file(run, ".monprof"),
				     NULL));
	csv = run_write(run, "report.csv",
			run_monprof(run, 0, "report", "--format=csv", run_file(run, ".monprof"),
				    NULL));
	run_monprof(run, 0, "export", run_file(run, ".monprof"), "-f", "json", "-o", profile, NULL);
	said = run_tool(run, &status, python_path(), run_program("hostile_report.py"), "check",
			json, csv, profile, NULL);
	RUN_CHECK(run, status == 0 && strcmp(said, "good\n") == 0, "%s", said);
	run_free(run);
}

Test(command, reads_a_torn_recording)
{
	struct run *run = run_recorded();
	const char *recording = run_file(run, ".monprof");
	int status;
	char *said = run_tool(run, &status, "sh", "-c",
			      run_text(run,
				       "size=$(stat -c %%s %1$s) && head -c $((size * 3 / 4)) %1$s "
				       "> torn.monprof && printf garbage >> torn.monprof",
				       recording),
			      NULL);

	RUN_CHECK(run, status == 0, "%s", said);
	/* What is good is exported; that something is missing is said. */
	said = run_monprof(run, 0, "export", "torn.monprof", "-f", "collapsed", "-o",
			   "torn.collapsed", NULL);
	RUN_CHECK(run, strstr(said, "torn tail"), "it says: %s", said);
	run_look(run);
	RUN_CHECK(run, run_count(run, "torn.collapsed") == 1, "nothing was exported");
	run_free(run);
}

Test(command, refuses_what_is_no_recording)
{
	struct run *run = run_new();

	run_write(run, "cwd/text.monprof", "this is no recording\n");
	run_go(run, "/bin/true", NULL);
	RUN_CHECK(run, strstr(run_monprof(run, 1, "export", "text.monprof", NULL), "text.monprof"),
		  "the file is not named");
	RUN_CHECK(run,
		  strstr(run_monprof(run, 1, "report", "nothing.monprof", NULL), "nothing.monprof"),
		  "the file is not named");
	run_free(run);
}

Test(command, names_a_wrong_argument)
{
	struct run *run = run_new();

	RUN_CHECK(run, strstr(run_monprof(run, 2, "exprot", "x", NULL), "exprot"), "not named");
	RUN_CHECK(run, strstr(run_monprof(run, 2, "export", "x", "-f", "pdf", NULL), "pdf"),
		  "not named");
	RUN_CHECK(run, strstr(run_monprof(run, 2, "report", "--colour", NULL), "colour"),
		  "not named");
	run_monprof(run, 2, "export", NULL);
	run_monprof(run, 2, "run", NULL);
	run_free(run);
}

Test(command, helps)
{
	struct run *run = run_new();
	char *help = run_monprof(run, 0, "help", NULL);

	RUN_CHECK(run, strstr(help, "MONPROF_DEPTH") && strstr(help, "MONPROF_CPU_HZ"),
		  "options are missing:\n%s", help);
	help = run_monprof(run, 0, "help", "CPU_HZ", NULL);
	RUN_CHECK(run, strstr(help, "100") && strstr(help, "10000"), "no default or no limit:\n%s",
		  help);
	run_free(run);
}

/* `monprof run` sets the environment and becomes the program. */
Test(command, runs)
{
	struct run *run = run_new();

	run->is_plain = true;
	run_go(run, run_tested("MONPROF_CLI"), "run", "--cpu-hz=150", "--export=collapsed", "--",
	       python_path(), "-c",
	       COMMON_BURN "import os, sys; print(os.environ['MONPROF_CPU_HZ']); sys.exit(9)",
	       NULL);
	run_check_exit(run, 9);
	run_check_silent(run);
	RUN_CHECK(run, strcmp(run->out, "150\n") == 0, "the environment is not set");
	RUN_CHECK(run, run->file_count == 1, "wanted one file");
	common_check(run, run_text(run, "%s/monprof.%d.cpu.collapsed", run->dir, run->pid), "burn",
		     "spin", 300);
	run_free(run);
}

/* What of the recording passes, ns. */
static uint64_t part_total(struct run *run, const char *filter)
{
	static unsigned number;
	const char *out = run_text(run, "%s/part%u.pb.gz", run->dir, number++);
	struct stacks *stacks;
	uint64_t total;

	run_monprof(run, 0, "export", run_file(run, ".monprof"), "-o", out, filter, NULL);
	stacks = stacks_read(run, out);
	total = stacks_total(stacks);
	stacks_free(stacks);
	return total;
}

/* What of a real run passes a filter, and with the rest of it all. */
Test(command, exports_a_part)
{
	struct run *run = run_new();
	struct stacks *whole;
	uint64_t first, rest, worker;

	run_set(run, "MONPROF_COLLECT", "cpu");
	run_set(run, "MONPROF_KEEP", "yes");
	run_go(run, python_path(), run_program("threads.py"), "busy", NULL);
	run_check_exit(run, 0);
	whole = stacks_read(run, common_profile(run, run->pid));
	first = part_total(run, "--to=400ms");
	rest = part_total(run, "--from=400ms");
	RUN_CHECK(run, first > 0 && rest > 0 && first + rest == stacks_total(whole),
		  "%llu and %llu ns of %llu", (unsigned long long)first, (unsigned long long)rest,
		  (unsigned long long)stacks_total(whole));
	worker = part_total(run, "--thread=worker-3");
	RUN_CHECK(run, worker > 0 && worker == stacks_of_thread(whole, "worker-3"),
		  "%llu ns, the thread has %llu", (unsigned long long)worker,
		  (unsigned long long)stacks_of_thread(whole, "worker-3"));
	RUN_CHECK(run, worker == part_total(run, "--label=thread_name=worker-3"), "by its label");
	RUN_CHECK(run,
		  part_total(run, run_text(run, "--label=pid=%d", run->pid)) == stacks_total(whole),
		  "by its process");
	RUN_CHECK(run, part_total(run, "--focus=^burn[.]spin$") == stacks_with(whole, "burn.spin"),
		  "by a function");
	RUN_CHECK(run, part_total(run, "--by=file") == stacks_total(whole), "by file");
	RUN_CHECK(run, part_total(run, "--by=module") == stacks_total(whole), "by module");
	stacks_free(whole);
	run_free(run);
}

/* Two runs of one program in one page. */
Test(command, compares_two_runs)
{
	struct run *run = run_new();
	const char *page;

	run_set(run, "MONPROF_COLLECT", "cpu");
	run_set(run, "MONPROF_EXPORT", "none");
	run_go(run, python_path(), run_program("burn.py"), NULL);
	run_go(run, python_path(), run_program("burn.py"), NULL);
	run_monprof(run, 0, "export", run_file_at(run, ".monprof", 0), "--diff",
		    run_file_at(run, ".monprof", 1), "-f", "flamegraph", "-o", "page.html", NULL);
	page = run_read(run, "page.html");
	RUN_CHECK(run, page && strstr(page, "\"base\":{\"process\":1,"), "there is no base");
	run_free(run);
}
