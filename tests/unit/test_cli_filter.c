/*
 * test_cli_filter.c - parts of recordings: what passes a filter and what does not are the whole, in every format
 * that can be summed.
 */
#include "command.h"
#include "exported.h"
#include "windows.h"

#include <errno.h>

#define SAMPLES 500
#define PERIOD_NS ((uint64_t)10000000)

static const struct exporter_name {
	const char *name;
} exporter_names[] = {
#define EXPORTER(name, suffix, help) { #name },
#include "../../exporters/exporters.def"
#undef EXPORTER
	{ NULL },
};

static uint64_t record(const char *name, uint64_t session, int pid)
{
	struct recording_head head = make_head(in_scratch(name));
	struct recording *recording;
	struct filled filled;

	head.session = session;
	head.pid = pid;
	recording = recording_new(&head);
	filled = fill(recording, session, SAMPLES);
	flush_good(recording, START_NS + 1000000000u);
	/* After the samples: a name may become known late. */
	put_threads(recording);
	recording_put_thread(recording, &(struct recording_thread){ 2, 4002, "worker 2" });
	recording_put_note(recording, "period.cpu", "10000000");
	flush_good(recording, START_NS + SAMPLES * PERIOD_NS);
	recording_free(recording);
	return filled.value;
}

static uint64_t sum_of(const char *filter)
{
	char arguments[512];
	uint64_t sum = 0;
	struct run got;

	snprintf(arguments, sizeof(arguments), "export -f collapsed -o - a.monprof %s", filter);
	got = run(arguments);
	if (got.status == 1 && strstr(got.error, "no sample of it passes the filter"))
		return 0;
	cr_assert_eq(got.status, 0, "%s: %s", filter, got.error);
	for (char *end; (end = strchr(got.out, '\n')) != NULL; got.out = end + 1)
		sum += strtoull(memrchr(got.out, ' ', (size_t)(end - got.out)), NULL, 10);
	return sum;
}

/* A part of it, and with the other part all of it. */
static void check_parts(uint64_t whole, const char *part, const char *rest)
{
	uint64_t sum = sum_of(part);

	cr_assert_gt(sum, 0, "%s", part);
	cr_assert_lt(sum, whole, "%s", part);
	cr_assert_eq(sum + sum_of(rest), whole, "%s, %s", part, rest);
}

Test(cli_filter, a_time_parts_a_recording, .fini = remove_scratch)
{
	uint64_t whole = record("a.monprof", 1, 4242);

	check_parts(whole, "--to 1500ms", "--from=1.5s");
	check_parts(whole, "--to 2000000us", "--from 2s");
	cr_assert_eq(sum_of("--to 1s") + sum_of("--from 1s --to 2s") + sum_of("--from 2s"), whole);
	cr_assert_eq(sum_of("--from 0s --to 1h"), whole);
	cr_assert_eq(sum_of("--from 2m"), 0);
}

/* The first nanosecond is in, the last is not. */
Test(cli_filter, an_end_of_a_time_belongs_to_what_follows, .fini = remove_scratch)
{
	struct recording_head head = make_head(in_scratch("a.monprof"));
	struct recording *recording = recording_new(&head);

	for (unsigned i = 0; i < 3; i++)
		recording_put_sample(recording, &(struct recording_sample){
							.thread = 1,
							.node = put_stack(recording, 1, 2),
							.time_ns = START_NS + i,
							.value = (uint64_t)1 << i,
						});
	flush_good(recording, START_NS + 3);
	recording_free(recording);
	cr_assert_eq(sum_of("--from 1ns"), 6);
	cr_assert_eq(sum_of("--to 1ns"), 1);
	cr_assert_eq(sum_of("--from 1ns --to 2ns"), 2);
}

Test(cli_filter, a_part_lasts_as_long_as_it_does, .fini = remove_scratch)
{
	struct run got;

	record("a.monprof", 1, 4242);
	got = run("report a.monprof --from 1s --to 2500ms");
	cr_assert_eq(got.status, 0, "%s", got.error);
	cr_assert_not_null(strstr(got.out, ", over 1.50 s\n"), "%s", got.out);
	cr_assert_not_null(strstr(got.out, "filter=--from=1s --to=2500ms; notes, losses"), "%s",
			   got.out);
	got = run("report a.monprof --from 4s --to 1h");
	cr_assert_not_null(strstr(got.out, ", over 1.00 s\n"), "%s", got.out);
}

Test(cli_filter, threads_part_a_recording, .fini = remove_scratch)
{
	uint64_t whole = record("a.monprof", 1, 4242);

	check_parts(whole, "--thread MainThread",
		    "--thread 'worker 2' --thread 4003 --thread=4004 --thread 4005");
	cr_assert_eq(sum_of("--thread MainThread"), sum_of("--thread 4001"));
	cr_assert_eq(sum_of("--thread MainThread"), sum_of("--label thread_name=MainThread"));
	cr_assert_eq(sum_of("--thread 4002"), sum_of("--label thread_id=4002"));
	cr_assert_eq(sum_of("--thread 4002 --label thread_id=4003"), 0);
	cr_assert_eq(sum_of("--thread worker"), 0, "the whole name counts");
	cr_assert_eq(sum_of("--thread 1"), 0);
	cr_assert_eq(sum_of("--label pid=4242"), whole);
	cr_assert_eq(sum_of("--label pid=1"), 0);
	cr_assert_eq(sum_of("--thread 4001 --to 2s") + sum_of("--thread 4001 --from 2s"),
		     sum_of("--thread 4001"));
}

Test(cli_filter, processes_part_several_recordings, .fini = remove_scratch)
{
	uint64_t a = record("a.monprof", 1, 11), b = record("b.monprof", 2, 22);

	cr_assert_eq(sum_of("b.monprof"), a + b);
	cr_assert_eq(sum_of("b.monprof --label pid=11"), a);
	cr_assert_eq(sum_of("--label=pid=22 b.monprof"), b);
	cr_assert_eq(sum_of("--label pid=11 --label pid=22 b.monprof"), a + b);
	check_parts(a + b, "b.monprof --to 1s", "b.monprof --from 1s");
	check_parts(a + b, "b.monprof --thread MainThread",
		    "b.monprof --thread 'worker 2' --thread 4003 --thread 4004 --thread 4005");
	cr_assert_null(strstr(run("report a.monprof b.monprof --label pid=22").out, "pid 11"));
}

Test(cli_filter, functions_part_a_recording, .fini = remove_scratch)
{
	uint64_t whole = record("a.monprof", 1, 4242);
	struct run got;

	check_parts(whole, "--focus 'method1$'", "--ignore 'method1$'");
	check_parts(whole, "--focus '^app[.]module[.]Class(1|2)'",
		    "--ignore=^app[.]module[.]Class1 --ignore=^app[.]module[.]Class2");
	cr_assert_eq(sum_of("--focus 'method1$' --focus 'method2$'"),
		     sum_of("--focus 'method(1|2)$'"));
	cr_assert_eq(sum_of("--focus method1 --ignore method1"), 0);
	cr_assert_eq(sum_of("--focus method"), whole - sum_of("--ignore method"));
	cr_assert_gt(sum_of("--ignore method"), 0, "there are samples without a stack");
	cr_assert_eq(sum_of("--ignore nothing"), whole);
	cr_assert_eq(sum_of("--focus METHOD"), 0, "case counts");
	cr_assert_eq(sum_of("--focus srv"), 0, "files do not count");
	cr_assert_eq(sum_of("--focus 'method1$' --to 1s") + sum_of("--focus 'method1$' --from 1s"),
		     sum_of("--focus 'method1$'"));
	got = run("export -f collapsed -o - a.monprof --focus 'method1$'");
	for (char *end, *line = got.out; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		cr_assert(strstr(line, "method1 ") || strstr(line, "method1;"), "%s", line);
	}
}

/* Native code is in the stacks of its library, and of its origin where it is innermost. */
Test(cli_filter, origins_and_libraries_part_a_recording, .fini = remove_scratch)
{
	static const char *const origins[] = { "program", "stdlib", "site-packages",
					       "C",	  "native", "profiler" };
	uint64_t whole = record("a.monprof", 1, 4242), sum = 0;

	for (size_t i = 0; i < PROF_COUNT(origins); i++) {
		char filter[64];

		snprintf(filter, sizeof(filter), "--origin=%s", origins[i]);
		sum += sum_of(filter);
	}
	cr_assert_eq(sum, sum_of("--focus ''"), "each stack is of one origin");
	cr_assert_lt(sum, whole, "there are samples without a stack");
	profile_free(native_profile());
	cr_assert_eq(rename(in_scratch("native"), in_scratch("a.monprof")), 0);
	cr_assert_eq(sum_of("--origin native"), NATIVE_VALUE);
	cr_assert_eq(sum_of("--origin program --origin C"), 0, "it is called there");
	cr_assert_eq(sum_of("--library libfoo"), 700);
	cr_assert_eq(sum_of("--library libfoo.so"), 700);
	cr_assert_eq(sum_of("--library /usr/lib/libfoo.so"), 700);
	cr_assert_eq(sum_of("--library python3"), NATIVE_VALUE, "it calls the others");
	cr_assert_eq(sum_of("--library libfoo --library /bin/x --focus '^hot$'"), 300);
	cr_assert_eq(sum_of("--library libfoo --ignore '^hot$' --origin native"), 400);
	cr_assert_eq(sum_of("--library libfo"), 0);
	cr_assert_eq(sum_of("--library foo.so"), 0);
	cr_assert_eq(sum_of("--library main.py"), 0);
}

Test(cli_filter, functions_part_several_recordings, .fini = remove_scratch)
{
	uint64_t a = record("a.monprof", 1, 11), b = record("b.monprof", 2, 22);

	check_parts(a + b, "b.monprof --focus 'method1$'", "b.monprof --ignore 'method1$'");
}

/* Formats with times read points; whoever reads them finds the same sums. */
Test(cli_filter, timelines_have_the_part_alone, .fini = remove_scratch)
{
	struct run got;

	record("a.monprof", 1, 4242);
	got = run("export a.monprof -f speedscope -o - --thread MainThread");
	cr_assert_eq(got.status, 0, "%s", got.error);
	cr_assert_not_null(strstr(got.out, "MainThread"));
	cr_assert_null(strstr(got.out, "worker 2 (tid"));
	got = run("export a.monprof -o - --thread MainThread -f collapsed,json");
	cr_assert_eq(got.status, 2);
}

Test(cli_filter, frames_are_what_is_asked_for, .fini = remove_scratch)
{
	uint64_t whole = record("a.monprof", 1, 4242);
	struct run file, module, other;

	cr_assert_eq(sum_of("--by file"), whole);
	cr_assert_eq(sum_of("--by=module"), whole);
	cr_assert_eq(sum_of("-b file --focus 'method1$'"), sum_of("--focus 'method1$'"));
	file = run("export a.monprof -f collapsed -o - --by file");
	cr_assert_not_null(strstr(file.out, "/srv/app/module1.py;/srv/app/module2.py"));
	cr_assert_null(strstr(file.out, "method"));
	module = run("export a.monprof -f collapsed -o - --by module");
	cr_assert_not_null(strstr(module.out, "app.module;[no module];app.module"));
	cr_assert_null(strstr(module.out, "app.module;app.module"));
	cr_assert_str_eq(run("export a.monprof -f collapsed -o - --by line").out,
			 run("export a.monprof -f collapsed -o - --lines").out);
	other = run("export a.monprof -f collapsed -o -");
	setenv("MONPROF_LINES", "yes", 1);
	cr_assert_str_eq(run("export a.monprof -f collapsed -o - --by function").out, other.out);
	for (const struct exporter_name *at = exporter_names; at->name; at++) {
		char arguments[128];

		snprintf(arguments, sizeof(arguments), "export a.monprof -f %s -o %s --by module",
			 at->name, at->name);
		cr_assert_eq(run(arguments).status, 0, "%s", at->name);
	}
	check_usage("export a.monprof --by thread", "--by thread");
	check_usage("export a.monprof --by", "'--by'");
}

Test(cli_filter, a_base_is_compared_with, .fini = remove_scratch)
{
	static const char mark[] = "\"base\":{\"process\":1,\"thread\":5}";
	struct run got;

	record("a.monprof", 1, 11);
	record("b.monprof", 2, 22);
	got = run("export b.monprof --diff a.monprof -f flamegraph -o -");
	cr_assert_eq(got.status, 0, "%s", got.error);
	cr_assert_not_null(strstr(got.out, mark));
	got = run("export b.monprof --diff a.monprof -f flamegraph");
	cr_assert_eq(got.status, 0, "%s", got.error);
	cr_assert_str_eq(got.out, "b.cpu.html\n");
	cr_assert_not_null(strstr((char *)slurp(in_scratch("b.cpu.html")).bytes, mark));
	got = run("export b.monprof -f flamegraph -o -");
	cr_assert_null(strstr(got.out, mark));
	got = run("export b.monprof --diff=a.monprof -f flamegraph -o - --by file --thread 4001");
	cr_assert_eq(got.status, 0, "%s", got.error);
	cr_assert_not_null(strstr(got.out, "\"base\":{\"process\":1,\"thread\":1}"));
	cr_assert_null(strstr(got.out, "Class1"), "of the base, too");
	cr_assert_eq(run("export a.monprof --diff a.monprof -f flamegraph -o same").status, 0);
}

/* What cannot compare says so, before anything is read. */
Test(cli_filter, formats_that_cannot_compare_say_so, .fini = remove_scratch)
{
	char arguments[128];

	for (const struct exporter_name *at = exporter_names; at->name; at++) {
		if (strcmp(at->name, "flamegraph") == 0)
			continue;
		snprintf(arguments, sizeof(arguments), "export x -f flamegraph,%s --diff y",
			 at->name);
		check_usage(arguments, at->name);
		snprintf(arguments, sizeof(arguments), "export x -f %s --diff y", at->name);
		check_usage(arguments, at->name);
	}
	check_usage("export x --diff y", "pprof -diff_base");
	check_usage("export x --diff y --diff z", "--diff z");
}

Test(cli_filter, a_base_without_the_measurement_is_named, .fini = remove_scratch)
{
	static const struct recording_sample calls = { 1, WINDOWS_CALLS, MAIN_F, START_NS, 1, 0 };
	struct bytes other = windows_recording(3, &calls, 1, windows_notes);
	struct bytes both =
		windows_recording(4, windows_samples, PROF_COUNT(windows_samples), windows_notes);
	struct run got;

	record("a.monprof", 1, 11);
	spill(in_scratch("calls.monprof"), other.bytes, other.size);
	spill(in_scratch("both.monprof"), both.bytes, both.size);
	check_failure("export a.monprof -f flamegraph --diff calls.monprof", "calls.monprof",
		      "no sample of cpu");
	check_failure("export a.monprof -f flamegraph --diff missing.monprof", "missing.monprof",
		      strerror(ENOENT));
	check_failure("export a.monprof -f flamegraph --diff calls.monprof --thread MainThread",
		      "calls.monprof", "passes the filter");
	got = run("export both.monprof -f flamegraph --diff calls.monprof");
	cr_assert_eq(got.status, 0, "%s", got.error);
	cr_assert_not_null(strstr(got.error, "calls.monprof: no sample of cpu, which"));
	cr_assert_str_eq(got.out, "both.cpu.html\nboth.calls.html\n");
	cr_assert_null(strstr((char *)slurp(in_scratch("both.cpu.html")).bytes, "\"base\":{"));
	cr_assert_not_null(
		strstr((char *)slurp(in_scratch("both.calls.html")).bytes, "\"base\":{"));
}

Test(cli_filter, an_expression_that_would_take_all_of_the_stack, .fini = remove_scratch)
{
	char arguments[6000] = "export a.monprof --ignore '";
	size_t length = strlen(arguments);

	record("a.monprof", 1, 4242);
	memset(arguments + length, '(', 4096);
	strcpy(arguments + length + 4096, "'");
	check_usage(arguments, "Unmatched (");
	strcpy(arguments + length + 4096, "('");
	check_usage(arguments, "--ignore: an expression of more than 4096 bytes");
}

Test(cli_filter, names_what_is_wrong, .fini = remove_scratch)
{
	record("a.monprof", 1, 4242);
	check_usage("export a.monprof --from 5", "--from 5: not a time");
	check_usage("export a.monprof --from 5parsecs", "--from 5parsecs");
	check_usage("export a.monprof --to=", "--to");
	check_usage("export a.monprof --to 0s", "--to 0s");
	check_usage("export a.monprof --from 2s --to 1s", "--from to --to");
	check_usage("export a.monprof --from 2s --to 2s", "--from to --to");
	check_usage("export a.monprof --from", "'--from'");
	check_usage("export a.monprof --label pid", "--label pid");
	check_usage("export a.monprof --label pid=x", "pid=x");
	check_usage("export a.monprof --label thread_id=1.5", "thread_id=1.5");
	check_usage("export a.monprof --label colour=red", "colour=red");
	check_usage("export a.monprof --focus '('", "--focus (: ");
	check_usage("export a.monprof --ignore '[a'", "--ignore [a: ");
	check_usage("report a.monprof --focus='a{2'", "--focus a{2: ");
	check_usage("export a.monprof --origin=kernel", "program stdlib site-packages C native");
	check_usage("export a.monprof --library=", "--library");
	check_failure("export a.monprof --thread nobody", "a.monprof", "passes the filter");
	check_failure("export missing.monprof --thread x", "missing.monprof", strerror(ENOENT));
	check_failure("export a.monprof a.monprof -o x --thread 4001", "a.monprof", "twice");
	cr_assert_eq(run("export a.monprof -o p.pb.gz").status, 0);
	check_usage("report p.pb.gz --thread MainThread", "p.pb.gz");
}
