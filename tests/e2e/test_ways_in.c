/*
 * test_ways_in.c - however Python is started, its profile is there at the end and nothing else is.
 */
#include "common.h"

#include <stdlib.h>
#include <string.h>

Test(ways_in, command)
{
	struct run *run = run_new();

	run_go(run, python_path(), "-c", COMMON_BURN "print('done')", NULL);
	common_check_burnt(run);
	RUN_CHECK(run, strcmp(run->out, "done\n") == 0, "stdout differs");
	run_free(run);
}

Test(ways_in, module)
{
	struct run *run = run_new();
	struct stacks *stacks;

	run_set(run, "PYTHONPATH",
		run_text(run, "%.*s", (int)strlen(run_program("burn.py")) - 8,
			 run_program("burn.py")));
	run_go(run, python_path(), "-m", "burn", NULL);
	common_check_burnt(run);
	stacks = stacks_read(run, run_file(run, ".pb.gz"));
	RUN_CHECK(run, stacks_with(stacks, "runpy._run_code"), "no runpy below it: %s",
		  stacks_names(run, stacks));
	stacks_free(stacks);
	run_free(run);
}

Test(ways_in, file)
{
	struct run *run = run_new();
	const struct stacks_frame *frame;
	struct stacks *stacks;

	run_go(run, python_path(), run_program("burn.py"), NULL);
	common_check_burnt(run);
	stacks = stacks_read(run, run_file(run, ".pb.gz"));
	frame = stacks_frame(stacks, "burn.spin");
	RUN_CHECK(run, frame && strcmp(frame->file, run_program("burn.py")) == 0,
		  "burn.spin is not of %s: %s", run_program("burn.py"), stacks_names(run, stacks));
	stacks_free(stacks);
	run_free(run);
}

Test(ways_in, file_by_relative_name)
{
	struct run *run = run_new();
	const struct stacks_frame *frame;
	struct stacks *stacks;

	run_write(run, "app.py", COMMON_BURN);
	run_go(run, python_path(), "../app.py", NULL);
	common_check_burnt(run);
	stacks = stacks_read(run, run_file(run, ".pb.gz"));
	frame = stacks_frame(stacks, "app.spin");
	RUN_CHECK(run, frame && strcmp(frame->file, run_text(run, "%s/app.py", run->root)) == 0,
		  "app.spin is not of %s/app.py: %s", run->root, stacks_names(run, stacks));
	stacks_free(stacks);
	run_free(run);
}

Test(ways_in, standard_input)
{
	struct run *run = run_new();

	run->input = COMMON_BURN;
	run_go(run, python_path(), NULL);
	common_check_burnt(run);
	run_free(run);
}

/* A directory with __main__.py, and the same as a zip archive. */
static struct run *run_package(const char *form)
{
	struct run *run = run_new();
	int status;
	char *said =
		run_tool(run, &status, python_path(), "-c",
			 run_text(run,
				  "import os, zipapp\n"
				  "os.mkdir('%1$s/app')\n"
				  "open('%1$s/app/__main__.py', 'w').write('import burner\\n')\n"
				  "open('%1$s/app/burner.py', 'w').write('''" COMMON_BURN "''')\n"
				  "zipapp.create_archive('%1$s/app', '%1$s/app.pyz')\n",
				  run->root),
			 NULL);

	RUN_CHECK(run, status == 0, "zipapp: %s", said);
	run_go(run, python_path(), run_text(run, "%s/%s", run->root, form), NULL);
	common_check_burnt(run);
	return run;
}

Test(ways_in, directory)
{
	run_free(run_package("app"));
}

Test(ways_in, zip_archive)
{
	struct run *run = run_package("app.pyz");
	struct stacks *stacks = stacks_read(run, run_file(run, ".pb.gz"));

	RUN_CHECK(run, stacks_with(stacks, "burner.spin"), "no burner.spin: %s",
		  stacks_names(run, stacks));
	stacks_free(stacks);
	run_free(run);
}

static void run_with_option(const char *option, const char *value)
{
	struct run *run = run_new();

	if (value)
		run_go(run, python_path(), option, value, "-c", COMMON_BURN, NULL);
	else
		run_go(run, python_path(), option, "-c", COMMON_BURN, NULL);
	common_check_burnt(run);
	run_free(run);
}

Test(ways_in, isolated)
{
	run_with_option("-I", NULL);
}

Test(ways_in, without_site)
{
	run_with_option("-S", NULL);
}

Test(ways_in, without_environment)
{
	run_with_option("-E", NULL);
}

Test(ways_in, development_mode)
{
	run_with_option("-X", "dev");
}

Test(ways_in, unbuffered_optimised_bytes_warnings)
{
	run_with_option("-uOObb", NULL);
}

Test(ways_in, debug_allocators)
{
	static const char *const allocators[] = { "debug", "malloc_debug", "malloc" };

	for (size_t i = 0; i < sizeof(allocators) / sizeof(allocators[0]); i++) {
		struct run *run = run_new();

		run_set(run, "PYTHONMALLOC", allocators[i]);
		run_go(run, python_path(), run_program("burn.py"), NULL);
		common_check_burnt(run);
		run_free(run);
	}
}

Test(ways_in, frames_and_traces_of_python_itself)
{
	struct run *run = run_new();

	run_go(run, python_path(), "-X", "tracemalloc=5", "-X", "faulthandler", "-X",
	       "importtime=1", "-c", COMMON_BURN, NULL);
	run_check_exit(run, 0);
	common_check(run, common_profile(run, run->pid), "burn", "spin", 300);
	run_free(run);
}

Test(ways_in, virtual_environment)
{
	struct run *run = run_new();
	int status;
	char *said = run_tool(run, &status, python_path(), "-m", "venv", "--without-pip",
			      run_text(run, "%s/env", run->root), NULL);

	if (status != 0 && strstr(said, "No module named venv"))
		cr_skip_test("%s has no venv", python_path());
	RUN_CHECK(run, status == 0, "venv: %s", said);
	/* Its python may be one that only a Python in the same tree can start. */
	run_set(run, "MONPROF", "off");
	run_go(run, python_path(), "-c",
	       run_text(run,
			"import os\n"
			"os.environ.pop('MONPROF')\n"
			"os.execv('%1$s/env/bin/python', ['%1$s/env/bin/python', '%2$s'])\n",
			run->root, run_program("burn.py")),
	       NULL);
	common_check_burnt(run);
	run_free(run);
}

Test(ways_in, embedded)
{
	struct run *run = run_new();
	const char *host = python_host(run, "embed.c", NULL);

	if (!host)
		cr_skip_test("%s has no headers or no shared library", python_path());
	run_go(run, host, "1", COMMON_BURN, NULL);
	common_check_burnt(run);
	run_free(run);
}

Test(ways_in, embedded_twice)
{
	struct run *run = run_new();
	const char *host = python_host(run, "embed.c", NULL);

	if (!host)
		cr_skip_test("%s has no headers or no shared library", python_path());
	run_go(run, host, "2", COMMON_BURN "print('done')", NULL);
	run_check_exit(run, 0);
	run_check_silent(run);
	RUN_CHECK(run, strcmp(run->out, "done\ndone\n") == 0, "stdout differs");
	common_check(run, common_profile(run, run->pid), "burn", "spin", 300);
	run_free(run);
}

/* Its thread-local words are where no callback can read them directly: events go their long way. */
static void run_dlopen(const char *scope, const char *calls_rate)
{
	struct run *run = run_new();
	const char *host = python_host(run, "embed_dlopen.c", "-Wl,--as-needed");
	const char *library;

	if (!host)
		cr_skip_test("%s has no headers or no shared library", python_path());
	library = python_value(run, "os.path.join(sysconfig.get_config_var('LIBDIR'), "
				    "sysconfig.get_config_var('INSTSONAME'))");
	run_set(run, "MONPROF_CALLS_RATE", calls_rate);
	run_go(run, host, library, scope, COMMON_BURN, NULL);
	common_check_burnt(run);
	run_free(run);
}

Test(ways_in, dlopen_local)
{
	run_dlopen("local", NULL);
}

Test(ways_in, dlopen_global)
{
	run_dlopen("global", NULL);
}

Test(ways_in, dlopen_with_all_calls)
{
	run_dlopen("local", "100%");
}
