/*
 * test_beside.c - other libraries in the same process, and programs of another kind below it.
 */
#include "common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A library of Debian's, where a Python in a tree of its own sees it, too; NULL: there is none. */
static const char *copied(struct run *run, const char *path)
{
	const char *from = run_text(run, "/usr/lib/x86_64-linux-gnu/%s", path);
	const char *to = run_text(run, "%s/%s", run->root, basename(path));
	int status;

	if (access(from, R_OK) != 0)
		return NULL;
	run_tool(run, &status, "cp", "-L", from, to, NULL);
	RUN_CHECK(run, status == 0, "cp %s", from);
	return to;
}

static const char *beside(struct run *run, const char *other, bool is_first)
{
	const char *ours = run_tested("LIBMONPROF");

	return is_first ? run_text(run, "%s:%s", other, ours) : run_text(run, "%s:%s", ours, other);
}

/* ---- clocks that are not true ---- */

static void check_clocks(const char *path, const char *time, const char *out)
{
	for (unsigned is_first = 0; is_first < (run_is_full() ? 2 : 1); is_first++) {
		struct run *run = run_new();
		const char *faketime = copied(run, path);

		if (!faketime)
			cr_skip_test("no libfaketime here (Debian's package faketime)");
		run->preload = beside(run, faketime, is_first);
		run_set(run, "MONPROF_CPU_HZ", run_often());
		run_set(run, "FAKETIME", time);
		run_go(run, python_path(), run_program("beside.py"), "clocks", NULL);
		RUN_CHECK(run, strcmp(run->out, out) == 0, "wanted %s", out);
		common_check(run, run_check_good(run), "work", "spin", 300);
		run_free(run);
	}
}

Test(beside, clocks_of_another_year)
{
	check_clocks("faketime/libfaketime.so.1", "@2001-06-01 00:00:00", "2001 False\n");
}

Test(beside, clocks_that_stand_still)
{
	check_clocks("faketime/libfaketime.so.1", "2001-06-01 00:00:00", "2001 True\n");
}

/* Whoever asks for the time holds a lock meanwhile. */
Test(beside, clocks_with_a_lock)
{
	check_clocks("faketime/libfaketimeMT.so.1", "@2001-06-01 00:00:00", "2001 False\n");
}

/* ---- other libraries ---- */

static void check_same(struct run *run, struct run *plain)
{
	RUN_CHECK(run, run->status == plain->status, "without us: %s", run_ending(plain));
	RUN_CHECK(run, strcmp(run->out, plain->out) == 0, "stdout without us: %s", plain->out);
	RUN_CHECK(run, strcmp(run->err, plain->err) == 0, "stderr without us: %s", plain->err);
}

/* misc.py KIND with the other library alone. */
static struct run *run_alone(const char *other, const char *kind)
{
	struct run *plain = run_new();

	plain->preload = other;
	run_set(plain, "HOME", "/tmp");
	run_set(plain, "PPROF_TMPDIR", NULL);
	run_set(plain, "ASAN_OPTIONS", "detect_leaks=0"); /* they are Python's */
	run_go(plain, python_path(), "-u", run_program("misc.py"), kind, NULL);
	return plain;
}

/* And with us, behind it or before. */
static void check_library(struct run *plain, const char *kind, bool is_first)
{
	struct run *run = run_new();

	run->preload = beside(run, plain->preload, is_first);
	run->directory = plain->dir;
	run_set(run, "HOME", "/tmp");
	run_set(run, "PPROF_TMPDIR", NULL);
	run_set(run, "ASAN_OPTIONS", "detect_leaks=0");
	run_set(run, "MONPROF_CPU_HZ", run_often());
	run_set(run, "MONPROF_OUTPUT", run_text(run, "%s/monprof", run->dir));
	run_go(run, python_path(), "-u", run_program("misc.py"), kind, NULL);
	check_same(run, plain);
	RUN_CHECK(run, run_count(run, ".cpu.pb.gz") >= 1, "there is no profile");
	RUN_CHECK(run, run_count(run, ".monprof") == 0, "a recording was left");
	run_free(run);
}

Test(beside, another_malloc)
{
	struct run *run = run_new();
	const char *jemalloc = copied(run, "libjemalloc.so.2");
	struct run *plain;

#ifdef __SANITIZE_ADDRESS__
	cr_skip_test("the sanitizer is another one itself, and bears none before it");
#endif
	if (!jemalloc)
		cr_skip_test("no libjemalloc here (Debian's package libjemalloc2)");
	plain = run_alone(jemalloc, "json");
	check_library(plain, "json", false);
	if (run_is_full())
		check_library(plain, "json", true);
	run_free(plain);
	run_free(run);
}

/* It sees each thread, signal and call of memory before us, and wants to be the first library of all. */
Test(beside, address_sanitizer)
{
	static const char *const kinds[] = { "json", "signals", "alternate_stack" };
	struct run *run = run_new();
	const char *sanitizer = copied(run, "libasan.so.8");

	if (!sanitizer)
		cr_skip_test("no libasan here (Debian's package libasan8)");
	for (size_t i = 0; i < (run_is_full() ? 3 : 1); i++) {
		struct run *plain = run_alone(sanitizer, kinds[i]);

		if (plain->status != 0 || *plain->err)
			cr_skip_test("%s does not run beside libasan", python_path());
		check_library(plain, kinds[i], true);
		run_free(plain);
	}
	run_free(run);
}

/* Each stack begins with a copy of all thread-local variables: more than our thread's own needs. */
Test(beside, large_thread_local_variables)
{
	struct run *run = run_new();
	const char *source = run_write(run, "large.c", "__thread char large[1 << 20] = { 1 };\n");
	const char *built = run_text(run, "%s/large.so", run->root);
	int status;
	char *said = run_tool(run, &status, "cc", "-shared", "-fPIC", "-nostdlib", "-o", built,
			      source, NULL);

	RUN_CHECK(run, status == 0, "cc: %s", said);
	run->preload = beside(run, built, true);
	run_go(run, python_path(), "-c", COMMON_BURN, NULL);
	common_check_burnt(run);
	run_free(run);
}

/* ---- programs of another kind ---- */

/* beside.py child PROGRAM: what the program says does not change. */
static void check_child(struct run *run, const char *program)
{
	struct run *plain = run_new();

	plain->is_plain = true;
	run_go(plain, python_path(), run_program("beside.py"), "child", program, NULL);
	run_go(run, python_path(), run_program("beside.py"), "child", program, NULL);
	check_same(run, plain);
	common_check(run, run_check_good(run), "burn", "spin", 200);
	run_free(plain);
	run_free(run);
}

Test(beside, static_child)
{
	struct run *run = run_new();
	const char *source = run_write(
		run, "child.c",
		"#include <signal.h>\n#include <stdio.h>\n"
		"int main(void)\n{\n"
		"\tstruct sigaction urg;\n\tsigset_t blocked;\n"
		"\tsigaction(SIGURG, NULL, &urg);\n\tsigprocmask(SIG_BLOCK, NULL, &blocked);\n"
		"\treturn printf(\"%d %d\\n\", urg.sa_handler == SIG_DFL,\n"
		"\t\tsigismember(&blocked, SIGURG)) != 4 ? 1 : 42;\n}\n");
	const char *child = run_text(run, "%s/child", run->root);
	int status;
	char *said = run_tool(run, &status, "cc", "-static", "-o", child, source, NULL);

	RUN_CHECK(run, status == 0, "cc -static: %s", said);
	check_child(run, child);
}

/* Without a libc there is no dynamic linker, which would say that our class is wrong: that line is not ours. */
Test(beside, child_of_32_bits)
{
	struct run *run = run_new();
	const char *source = run_write(run, "child.s",
				       ".globl _start\n_start:\n"
				       "mov $4, %eax\nmov $1, %ebx\nmov $text, %ecx\n"
				       "mov $3, %edx\nint $0x80\n"
				       "mov $1, %eax\nmov $7, %ebx\nint $0x80\n"
				       ".data\ntext: .ascii \"32\\n\"\n");
	const char *object = run_text(run, "%s/child.o", run->root);
	const char *child = run_text(run, "%s/child", run->root);
	int status;
	char *said = run_tool(run, &status, "as", "--32", "-o", object, source, NULL);

	RUN_CHECK(run, status == 0, "as: %s", said);
	said = run_tool(run, &status, "ld", "-m", "elf_i386", "-o", child, object, NULL);
	RUN_CHECK(run, status == 0, "ld: %s", said);
	run_tool(run, &status, child, NULL);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 7)
		cr_skip_test("this kernel runs no programs of 32 bits");
	check_child(run, child);
}

/* The dynamic linker of 32 bits says for each library of 64 that it is ignored: that line, once, and no more. */
Test(beside, dynamic_child_of_32_bits)
{
	struct run *run = run_new(), *plain;
	const char *source = run_write(run, "child.s",
				       ".globl _start\n_start:\n"
				       "call next\nnext: pop %ecx\nadd $text-next, %ecx\n"
				       "mov $4, %eax\nmov $1, %ebx\nmov $3, %edx\nint $0x80\n"
				       "mov $1, %eax\nmov $7, %ebx\nint $0x80\n"
				       "text: .ascii \"32\\n\"\n");
	const char *object = run_text(run, "%s/child.o", run->root);
	const char *child = run_text(run, "%s/child", run->root);
	int status;
	char *said = run_tool(run, &status, "as", "--32", "-o", object, source, NULL);

	RUN_CHECK(run, status == 0, "as: %s", said);
	said = run_tool(run, &status, "ld", "-m", "elf_i386", "-pie", "-dynamic-linker",
			"/lib/ld-linux.so.2", "-o", child, object, NULL);
	RUN_CHECK(run, status == 0, "ld: %s", said);
	plain = run_new();
	plain->is_plain = true;
	run_go(plain, python_path(), run_program("beside.py"), "child", child, NULL);
	if (strcmp(plain->out, "7 32\n \n") != 0)
		cr_skip_test("no dynamic linker of 32 bits here (Debian's package libc6-i386)");
	run_go(run, python_path(), run_program("beside.py"), "child", child, NULL);
	said = run_text(run,
			"7 32\n ERROR: ld.so: object '%s' from LD_PRELOAD cannot be preloaded "
			"(wrong ELF class: ELFCLASS64): ignored.\n\n",
			run_tested("LIBMONPROF"));
	RUN_CHECK(run, strcmp(run->out, said) == 0, "wanted %s", said);
	common_check(run, run_check_good(run), "burn", "spin", 200);
	run_free(plain);
	run_free(run);
}

/* Nobody hears of us in a script, however many programs it runs. */
Test(beside, script_with_many_children)
{
	struct run *run = run_new();
	const char *count = run_is_full() ? "1000" : "100";
	const char *script =
		run_write(run, "script",
			  "i=0\nwhile [ $i -lt $1 ]; do /bin/true; i=$((i + 1)); done\n"
			  "/bin/echo $i\n");

	run_go(run, "/bin/sh", script, count, NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	RUN_CHECK(run, atoi(run->out) == atoi(count), "not all of them ran");
	RUN_CHECK(run, run->file_count == 0, "files were left");
	run_free(run);
}
