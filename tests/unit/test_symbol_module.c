#include "symbol.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const path[] = {
	"/app",
	"/usr/lib/python3.13",
	"/usr/lib/python3.13/site-packages/",
	"/opt/zips/all.zip",
	"plugins",
	"/usr/lib/python3",
	"",
};

static char module[4096], absolute[4096];

static void set_up(void)
{
	symbol_set_path(path, PROF_COUNT(path), "/home/user");
}

TestSuite(symbol_module, .init = set_up);

static bool is(const char *file, const char *expected, const char *expected_file)
{
	size_t bytes = symbol_module(file, module, sizeof(module), absolute, sizeof(absolute));

	return bytes == strlen(module) && strcmp(module, expected) == 0 &&
	       strcmp(absolute, expected_file) == 0;
}

#define IS(file, expected, expected_file) \
	cr_assert(is(file, expected, expected_file), "%s: %s, %s", file, module, absolute)

Test(symbol_module, the_longest_entry_wins)
{
	IS("/usr/lib/python3.13/json/encoder.py", "json.encoder",
	   "/usr/lib/python3.13/json/encoder.py");
	IS("/usr/lib/python3.13/site-packages/a/b.py", "a.b",
	   "/usr/lib/python3.13/site-packages/a/b.py");
	IS("/usr/lib/python3/x.py", "x", "/usr/lib/python3/x.py");
}

Test(symbol_module, a_package_is_its_init)
{
	IS("/app/pkg/__init__.py", "pkg", "/app/pkg/__init__.py");
	IS("/app/pkg/sub/__init__.pyc", "pkg.sub", "/app/pkg/sub/__init__.pyc");
	IS("/app/pkg/__main__.py", "pkg.__main__", "/app/pkg/__main__.py");
	IS("/app/__init__.py", "__init__", "/app/__init__.py");
}

Test(symbol_module, zip_files_are_directories)
{
	IS("/opt/zips/all.zip/pkg/mod.py", "pkg.mod", "/opt/zips/all.zip/pkg/mod.py");
	IS("/opt/zips/all.zip/__main__.py", "__main__", "/opt/zips/all.zip/__main__.py");
}

Test(symbol_module, relative_names_are_made_absolute)
{
	IS("script.py", "script", "/home/user/script.py");
	IS("./a/../b//c.py", "b.c", "/home/user/b/c.py");
	IS("plugins/p.py", "p", "/home/user/plugins/p.py");
	IS("../../../app/x.py", "x", "/app/x.py");
	IS("/app/./x/../y.py", "y", "/app/y.py");
}

Test(symbol_module, what_is_no_file_is_its_own_module)
{
	IS("<frozen importlib._bootstrap>", "importlib._bootstrap",
	   "<frozen importlib._bootstrap>");
	IS("<string>", "<string>", "<string>");
	IS("<frozen >", "<frozen >", "<frozen >");
	IS("", "", "");
}

Test(symbol_module, a_file_off_the_path_belongs_to_its_packages)
{
	char folder[] = "/tmp/symbol_module_XXXXXX", file[64];
	static const char *const made[] = { "/pkg", "/pkg/sub", "/plain" };
	static const char *const inits[] = { "/pkg/__init__.py", "/pkg/sub/__init__.py" };
	static const char *const cases[][2] = {
		{ "/pkg/sub/mod.py", "pkg.sub.mod" },
		{ "/pkg/__init__.py", "pkg" },
		{ "/pkg/sub/__init__.py", "pkg.sub" },
		{ "/plain/mod.py", "mod" },
		{ "/mod.py", "mod" },
		{ "/nowhere/at/all/mod.py", "mod" },
	};

	cr_assert_not_null(mkdtemp(folder));
	for (size_t i = 0; i < PROF_COUNT(made); i++) {
		snprintf(file, sizeof(file), "%s%s", folder, made[i]);
		cr_assert_eq(mkdir(file, 0700), 0);
	}
	for (size_t i = 0; i < PROF_COUNT(inits); i++) {
		snprintf(file, sizeof(file), "%s%s", folder, inits[i]);
		close(open(file, O_CREAT | O_WRONLY, 0600));
	}
	for (size_t i = 0; i < PROF_COUNT(cases); i++) {
		snprintf(file, sizeof(file), "%s%s", folder, cases[i][0]);
		IS(file, cases[i][1], file);
	}
	/* The last directory is known, whatever has become of it; of others, those that share no place. */
	snprintf(file, sizeof(file), "%s%s", folder, cases[0][0]);
	IS(file, cases[0][1], file);
	for (size_t i = 0; i < PROF_COUNT(inits); i++) {
		snprintf(file, sizeof(file), "%s%s", folder, inits[i]);
		unlink(file);
	}
	snprintf(file, sizeof(file), "%s%s", folder, cases[0][0]);
	IS(file, cases[0][1], file);
	for (size_t i = PROF_COUNT(made); i-- > 0;) {
		snprintf(file, sizeof(file), "%s%s", folder, made[i]);
		rmdir(file);
	}
	rmdir(folder);
}

Test(symbol_module, without_a_path_the_name_of_the_file_is_left)
{
	symbol_set_path(NULL, 0, "/");
	IS("/no/such/place/mod.py", "mod", "/no/such/place/mod.py");
	IS("mod.py", "mod", "/mod.py");
}

Test(symbol_module, the_root_may_be_on_the_path)
{
	static const char *const root[] = { "/" };

	symbol_set_path(root, 1, "/");
	IS("/a/b.py", "a.b", "/a/b.py");
}

Test(symbol_module, entries_of_any_length_are_kept)
{
	static char longer[100000];
	const char *const paths[] = { longer, "a/b/", longer, "/app", "." };

	memset(longer, '/', sizeof(longer) - 1);
	longer[sizeof(longer) - 2] = 'x';
	symbol_set_path(paths, PROF_COUNT(paths), "/home/user");
	IS("/home/user/a/b/mod.py", "mod", "/home/user/a/b/mod.py");
	IS("/app/mod.py", "mod", "/app/mod.py");
	IS("/x/mod.py", "mod", "/x/mod.py");
	for (size_t i = 1; i < sizeof(longer) - 1; i += 2)
		longer[i] = 'x';
	symbol_set_path(paths, PROF_COUNT(paths), longer);
	IS("/app/mod.py", "mod", "/app/mod.py");
	symbol_set_path(path, PROF_COUNT(path), "/home/user");
	IS("/app/mod.py", "mod", "/app/mod.py");
}

Test(symbol_module, long_names_are_cut)
{
	static char file[10000];
	char small[8], small_absolute[12];

	file[0] = '/';
	memset(file + 1, 'x', sizeof(file) - 2);
	symbol_module(file, module, sizeof(module), absolute, sizeof(absolute));
	cr_assert_lt(strlen(absolute), sizeof(absolute));
	cr_assert_eq(symbol_module("/app/a/long/name.py", small, sizeof(small), absolute,
				   sizeof(absolute)),
		     7);
	cr_assert_str_eq(small, "a.long.");
	cr_assert_eq(symbol_module("<a very long name>", small, sizeof(small), small_absolute,
				   sizeof(small_absolute)),
		     7);
	cr_assert_str_eq(small, "<a very");
	cr_assert_str_eq(small_absolute, "<a very lon");
}
