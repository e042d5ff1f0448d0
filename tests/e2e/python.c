/*
 * python.c - see python.h.
 */
#include "python.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *python_path(void)
{
	const char *given = getenv("TEST_PYTHON");

	return given && *given ? given : "python3.12";
}

int python_minor(void)
{
	static int minor;
	struct run *run;

	if (!minor) {
		run = run_new();
		minor = atoi(python_value(run, "sys.version_info[1]"));
		run_free(run);
	}
	return minor;
}

char *python_value(struct run *run, const char *expression)
{
	const char *code =
		run_text(run, "import sys, os, sysconfig; print(%s, end='')", expression);
	int status;
	char *value = run_tool(run, &status, python_path(), "-c", code, NULL);

	RUN_CHECK(run, status == 0, "%s: %s", expression, value);
	return value;
}

bool python_in_chroot(struct run *run)
{
	struct stat root;

	cr_assert_eq(stat("/", &root), 0);
	return strcmp(python_value(run, "os.stat('/').st_dev, os.stat('/').st_ino"),
		      run_text(run, "%lu %lu", (unsigned long)root.st_dev,
			       (unsigned long)root.st_ino)) != 0;
}

const char *python_host(struct run *run, const char *source, const char *extra)
{
	const char *include = python_value(run, "sysconfig.get_config_var('INCLUDEPY')");
	const char *libraries = python_value(run, "sysconfig.get_config_var('LIBDIR')");
	const char *shared = python_value(run, "sysconfig.get_config_var('Py_ENABLE_SHARED')");
	const char *host = run_text(run, "%s/host", run->root);
	char *said, *header = run_read(run, run_text(run, "%s/Python.h", include));
	int status;

	if (!header || strcmp(shared, "1") != 0 || python_in_chroot(run))
		return NULL;
	said = run_tool(run, &status, "cc", "-O1", "-g", "-o", host, run_program(source),
			run_text(run, "-I%s", include), run_text(run, "-L%s", libraries),
			run_text(run, "-Wl,-rpath,%s", libraries), extra ? extra : "-pthread",
			run_text(run, "-lpython3.%d", python_minor()), NULL);
	RUN_CHECK(run, status == 0, "cc %s: %s", source, said);
	return host;
}
