/*
 * test_profile_origin.c - whose code a function is, by the place of its file.
 */
#include "exported.h"

static enum profile_origin origin_of(const char *file, enum recording_function_kind kind)
{
	struct profile profile = { 0 };
	struct profile_function function = { .kind = kind };
	enum profile_origin origin;

	if (*file)
		function.file = intern_put(&profile.strings, file, strlen(file), NULL);
	origin = profile_origin(&profile, &function);
	intern_release(&profile.strings);
	return origin;
}

#define EXPECT(file, origin) cr_expect_eq(origin_of(file, RECORDING_PYTHON), origin, "%s", file)

Test(profile_origin, the_standard_library_lies_below_lib)
{
	EXPECT("/usr/lib/python3.13/json/decoder.py", PROFILE_STANDARD);
	EXPECT("/usr/lib64/python3.13/os.py", PROFILE_STANDARD);
	EXPECT("/opt/python/lib/python3.13t/threading.py", PROFILE_STANDARD);
	EXPECT("/usr/lib/python3.12/lib-dynload/x.py", PROFILE_STANDARD);
	EXPECT("/usr/lib/python313.zip/json/decoder.py", PROFILE_STANDARD);
	EXPECT("<frozen importlib._bootstrap>", PROFILE_STANDARD);
}

Test(profile_origin, packages_lie_in_their_own_directory)
{
	EXPECT("/usr/lib/python3.13/site-packages/numpy/core.py", PROFILE_PACKAGE);
	EXPECT("/usr/lib/python3/dist-packages/yaml/loader.py", PROFILE_PACKAGE);
	EXPECT("/srv/app/.venv/lib/python3.12/site-packages/flask/app.py", PROFILE_PACKAGE);
	EXPECT("C:/Lib/site-packages/x.py", PROFILE_PACKAGE);
}

Test(profile_origin, all_else_is_the_program)
{
	EXPECT("/srv/app/main.py", PROFILE_PROGRAM);
	EXPECT("/home/ann/python3.13/notes.py", PROFILE_PROGRAM);
	EXPECT("/usr/lib/python3.x/a.py", PROFILE_PROGRAM);
	EXPECT("/usr/lib/python3.13", PROFILE_PROGRAM);
	EXPECT("/usr/lib/python3.13tt/a.py", PROFILE_PROGRAM);
	EXPECT("/usr/lib/python3/a.py", PROFILE_PROGRAM);
	EXPECT("/srv/python313.zipped/a.py", PROFILE_PROGRAM);
	EXPECT("/srv/my-site-packages/a.py", PROFILE_PROGRAM);
	EXPECT("/srv/site-packages", PROFILE_PROGRAM);
	EXPECT("<string>", PROFILE_PROGRAM);
	EXPECT("<frozen", PROFILE_PROGRAM);
	EXPECT("", PROFILE_PROGRAM);
}

Test(profile_origin, what_is_not_python_is_so_by_its_kind)
{
	cr_expect_eq(origin_of("", RECORDING_NATIVE), PROFILE_C);
	cr_expect_eq(origin_of("/usr/lib/python3.13/a.so", RECORDING_NATIVE), PROFILE_NATIVE);
	cr_expect_eq(origin_of("[vdso]", RECORDING_NATIVE), PROFILE_NATIVE);
	cr_expect_eq(origin_of("", RECORDING_MARKER), PROFILE_MARKER);
}

Test(profile_origin, each_has_a_name_of_its_own)
{
	for (unsigned i = 0; i < PROFILE_ORIGINS; i++) {
		cr_expect_gt(strlen(profile_origin_name(i)), 0);
		for (unsigned j = 0; j < i; j++)
			cr_expect_neq(strcmp(profile_origin_name(i), profile_origin_name(j)), 0);
	}
}
