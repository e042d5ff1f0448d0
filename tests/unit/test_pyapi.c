#include "pyapi.h"

#include <criterion/criterion.h>
#include <string.h>

/* A CPython made of names: every symbol is there, but for one. */
static struct {
	unsigned long version;
	const char *missing;
	void *handle;
	unsigned asked;
} fake;

static char objects[128]; /* each symbol has an address of its own in here */

void *__wrap_dlsym(void *handle, const char *name);
void *__wrap_dlsym(void *handle, const char *name)
{
	cr_assert_eq(handle, fake.handle);
	if (fake.missing && strcmp(name, fake.missing) == 0)
		return NULL;
	if (strcmp(name, "Py_Version") == 0)
		return &fake.version;
	return &objects[fake.asked++ % sizeof(objects)];
}

static bool nothing_is_set(void)
{
	static const struct pyapi nothing;

	return memcmp(&py, &nothing, sizeof(py)) == 0;
}

Test(pyapi, finds_every_symbol)
{
	fake.version = 0x030d02f0;
	fake.handle = &fake;
	cr_assert_not(pyapi_loaded());
	cr_assert_null(pyapi_load(&fake));
	cr_assert(pyapi_loaded());
	cr_assert_eq(pyapi_version(), 0x030d02f0);
	cr_assert_eq(*py.Py_Version, 0x030d02f0);
	for (size_t i = 0; i < sizeof(py) / sizeof(void *); i++)
		cr_assert_not_null(((void **)&py)[i], "member %zu", i);
}

Test(pyapi, says_which_symbol_is_missing)
{
	fake.version = 0x030c01f0;
	fake.missing = "PyCode_AddWatcher";
	cr_assert_str_eq(pyapi_load(NULL), "this CPython has no PyCode_AddWatcher: not profiled");
	cr_assert_not(pyapi_loaded());
	cr_assert(nothing_is_set());
}

Test(pyapi, refuses_old_versions_by_name)
{
	fake.version = 0x030b07f0;
	cr_assert_str_eq(pyapi_load(NULL), "CPython 3.11 is older than 3.12: not profiled");
	cr_assert_eq(pyapi_version(), 0x030b07f0);
	cr_assert_not(pyapi_loaded());
	cr_assert(nothing_is_set());
}

Test(pyapi, refuses_versions_that_do_not_say_theirs)
{
	fake.missing = "Py_Version";
	cr_assert_str_eq(pyapi_load(NULL), "this CPython is older than 3.12: not profiled");
	cr_assert_eq(pyapi_version(), 0);
	cr_assert(nothing_is_set());
}

Test(pyapi, a_second_try_can_succeed)
{
	fake.version = 0x030e00f0;
	fake.missing = "PySys_AddAuditHook";
	cr_assert_not_null(pyapi_load(NULL));
	fake.missing = NULL;
	cr_assert_null(pyapi_load(NULL));
	cr_assert(pyapi_loaded());
}
