#include "real.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <string.h>

static unsigned looks;

/* One of ours, in front of libc's: what the library does to a program. */
PROF_EXPORT int setns(int fd, int kind)
{
	return 77 + fd + kind;
}

static void look(void)
{
	looks++;
}

static bool is_row(void *found, const char *name)
{
	void *next = dlsym(RTLD_NEXT, name);

	return found == next;
}

Test(real, every_row_is_the_next_definition)
{
	void *found;

	real_load();
#define REAL(type, name, arguments)                \
	memcpy(&found, &real.name, sizeof(found)); \
	cr_assert(is_row(found, #name), "%s", #name);
#include "real.def"
#undef REAL
	cr_assert_not_null(real.sigaction);
	cr_assert_not_null(real.dlopen);
}

Test(real, it_is_not_our_own)
{
	cr_assert_neq(real_get()->setns, setns);
	cr_assert_eq(real_get()->setns(-1, 0), -1, "the kernel knows no such descriptor");
	cr_assert_eq(errno, EBADF);
}

Test(real, the_first_call_loads_and_later_ones_do_not)
{
	cr_assert_not(atomic_load(&real.loaded));
	cr_assert_eq(real_get(), &real);
	cr_assert(atomic_load(&real.loaded));
	real.setns = setns;
	real_load();
	cr_assert_eq(real_get()->setns, setns);
}

Test(real, a_dlopen_is_looked_at_once_by_the_next_call)
{
	real_on_dlopen(look);
	real_get();
	cr_assert_eq(looks, 0);
	atomic_store(&real_dlopened, true);
	real_get();
	real_get();
	cr_assert_eq(looks, 1);
	atomic_store(&real_dlopened, true);
	real_get();
	cr_assert_eq(looks, 2);
}

Test(real, a_dlopen_before_anyone_looks_is_kept)
{
	atomic_store(&real_dlopened, true);
	real_get();
	cr_assert(atomic_load(&real_dlopened));
	real_on_dlopen(look);
	real_get();
	cr_assert_eq(looks, 1);
	cr_assert_not(atomic_load(&real_dlopened));
}
