/*
 * test_maps.c - what is mapped in this very process, and files made byte by byte that are mapped and unmapped.
 *
 * Times are made up: what was looked at at 100, 200 and so on.
 */
#include "maps.h"
#include "elf_maker.h"
#include "os.h"
#include "recordings.h"

#include <dlfcn.h>
#include <link.h>
#include <sys/auxv.h>

bool __real_os_maps_each(os_map_each *each, void *self);
bool __wrap_os_maps_each(os_map_each *each, void *self);

static struct elf_maker maker;
static bool is_proc_gone;
static const struct os_map *listed; /* NULL: what is mapped */
static size_t listed_count;

bool __wrap_os_maps_each(os_map_each *each, void *self)
{
	for (size_t i = 0; listed && i < listed_count; i++)
		each(self, &listed[i]);
	return !is_proc_gone && (listed || __real_os_maps_each(each, self));
}

static void tear_down(void)
{
	maps_release();
	remove_scratch();
}

TestSuite(maps, .timeout = 60, .fini = tear_down);

static uint64_t address_of(const void *at)
{
	return (uint64_t)(uintptr_t)at;
}

/* A made file with one function of this name at the begin of its text. */
static char *make(const char *file, const char *function, const char *build_id)
{
	char *path = in_scratch(file);

	maker.count = maker.names_bytes = 0;
	maker.build_id = build_id;
	elf_add(&maker, function, ELF_TEXT, 0x100);
	elf_make(&maker);
	elf_write(&maker, path);
	return path;
}

static const struct map *found(const char *base, uint64_t time_ns)
{
	return maps_find(address_of(base + ELF_TEXT + 0x10), time_ns);
}

static void expect_function(const struct map *map, uint64_t address, const char *name)
{
	struct elf_symbol symbol;

	cr_assert_not_null(map);
	if (!name) {
		cr_expect_not(maps_function(map, address, &symbol));
		return;
	}
	cr_assert(maps_function(map, address, &symbol));
	cr_expect_str_eq(symbol.name, name);
	cr_expect(symbol.begin <= address && address - symbol.begin < symbol.size);
}

static void expect_text(const char *base, uint64_t time_ns, const char *name)
{
	expect_function(found(base, time_ns), address_of(base + ELF_TEXT + 0x10), name);
}

__attribute__((noinline)) static int a_function_of_this_file(int n)
{
	__asm__("");
	return n + 1;
}

Test(maps, code_is_found_with_its_file_and_its_function)
{
	struct link_map *libc;
	Dl_info info;
	const struct map *map;

	cr_assert_null(maps_renew(100));
	map = maps_find(address_of((void *)a_function_of_this_file), 1);
	expect_function(map, address_of((void *)a_function_of_this_file),
			"a_function_of_this_file");
	cr_assert_not_null(strstr(map->file, "/test_maps"));
	map = maps_find(address_of((void *)abort), 1);
	expect_function(map, address_of((void *)abort) + 1, "abort");
	cr_assert(dladdr1((void *)abort, &info, (void **)&libc, RTLD_DL_LINKMAP));
	cr_assert_eq(map->base, libc->l_addr);
	cr_assert_str_not_empty(map->build_id);
	cr_assert_neq(map->frame_header, 0);
	cr_assert_eq(map->since_ns, 0);
	cr_assert_null(maps_find(address_of(&listed), 1), "data");
	cr_assert_null(maps_find(0, 1));
	cr_assert_null(maps_find(UINT64_MAX, 1));
}

Test(maps, the_vdso_has_functions)
{
	uint64_t start = getauxval(AT_SYSINFO_EHDR);
	const struct map *map;
	struct elf_symbol symbol;
	bool is_seen = false;

	if (!start)
		cr_skip_test("there is none");
	cr_assert_null(maps_renew(100));
	map = maps_find(start, 1);
	cr_assert_not_null(map);
	cr_assert_str_eq(map->file, "[vdso]");
	cr_assert_eq(map->base, start);
	for (uint64_t at = map->start; at < map->end; at++)
		is_seen |= maps_function(map, at, &symbol) && strstr(symbol.name, "clock_gettime");
	cr_assert(is_seen);
}

Test(maps, what_stays_is_the_same_row)
{
	const struct map *map;
	uint64_t changed;
	uint32_t serial;
	char *base;

	cr_assert_null(maps_renew(100));
	map = maps_find(address_of((void *)abort), 1);
	serial = map->serial;
	changed = maps_changed();
	base = elf_load(make("a", "a", "aaaa"), NULL);
	cr_assert_null(maps_renew(200));
	cr_assert_eq(maps_find(address_of((void *)abort), 1), map);
	cr_assert_eq(map->serial, serial);
	cr_assert_eq(maps_changed(), changed, "what is new changes nothing");
	cr_assert_gt(found(base, 150)->serial, serial);
	cr_assert_eq(found(base, 150)->since_ns, 0);
	expect_text(base, 150, "a");
}

Test(maps, what_is_unloaded_is_gone)
{
	char *base = elf_load(make("a", "a", "aaaa"), NULL);
	uint64_t changed;

	cr_assert_null(maps_renew(100));
	changed = maps_changed();
	expect_text(base, 50, "a");
	elf_unload(base);
	cr_assert_null(maps_renew(200));
	cr_assert_null(found(base, 50));
	cr_assert_null(found(base, 250));
	cr_assert_eq(maps_changed(), changed + 1);
}

Test(maps, what_was_before_another_is_not_known)
{
	char *base = elf_load(make("a", "a", "aaaa"), NULL);
	uint32_t serial;

	cr_assert_null(maps_renew(100));
	expect_text(base, 50, "a");
	serial = found(base, 50)->serial;
	elf_load(make("b", "b", "bbbb"), base);
	cr_assert_null(maps_renew(200));
	cr_assert_null(found(base, 199));
	cr_assert_eq(found(base, 200)->since_ns, 200);
	cr_assert_gt(found(base, 200)->serial, serial);
	expect_text(base, 200, "b");
}

Test(maps, a_place_that_was_free_meanwhile_is_known_since_then)
{
	char *base = elf_load(make("a", "a", "aaaa"), NULL);

	cr_assert_null(maps_renew(100));
	elf_unload(base);
	cr_assert_null(maps_renew(200));
	elf_load(make("b", "b", "bbbb"), base);
	cr_assert_null(maps_renew(300));
	cr_assert_null(found(base, 199));
	cr_assert_eq(found(base, 200)->since_ns, 200);
}

Test(maps, a_file_written_anew_is_another)
{
	char *path = make("a", "a", "aaaa");
	char *base = elf_load(path, NULL);
	uint64_t changed;
	uint32_t serial;

	cr_assert_null(maps_renew(100));
	expect_text(base, 50, "a");
	serial = found(base, 50)->serial;
	changed = maps_changed();
	elf_load(make("a", "b", "bbbb"), base);
	cr_assert_not_null(found(base, 50), "nobody has looked");
	cr_assert_null(maps_renew(200));
	cr_assert_null(found(base, 250), "the same file, but not its build id");
	cr_assert_null(maps_renew(300));
	cr_assert_null(found(base, 250));
	cr_assert_gt(found(base, 300)->serial, serial);
	cr_assert_gt(maps_changed(), changed);
	expect_text(base, 300, "b");
}

Test(maps, a_file_that_was_replaced_has_no_names)
{
	char *path = make("a", "a", "aaaa");
	char *base = elf_load(path, NULL);

	cr_assert_eq(rename(make("b", "b", "bbbb"), path), 0);
	cr_assert_null(maps_renew(100));
	expect_text(base, 50, NULL);
	cr_assert_str_eq(found(base, 50)->file, path, "without (deleted)");
	cr_assert_str_eq(found(base, 50)->build_id, "61616161");
}

Test(maps, a_file_that_was_replaced_by_its_like_has_names)
{
	char *path = make("a", "a", "aaaa");
	char *base = elf_load(path, NULL);

	cr_assert_eq(rename(make("b", "a", "aaaa"), path), 0);
	cr_assert_null(maps_renew(100));
	expect_text(base, 50, "a");
}

Test(maps, without_a_build_id_it_must_be_the_same_file)
{
	char *path = make("a", "a", NULL);
	char *base = elf_load(path, NULL);
	char *second = elf_load(make("b", "b", NULL), NULL);

	cr_assert_eq(rename(make("c", "c", NULL), path), 0);
	cr_assert_null(maps_renew(100));
	expect_text(base, 50, NULL);
	expect_text(second, 50, "b");
}

Test(maps, where_proc_is_gone_only_build_ids_vouch)
{
	char *with = elf_load(make("a", "a", "aaaa"), NULL);
	char *without = elf_load(make("b", "b", NULL), NULL);

	cr_assert_null(maps_renew(100));
	cr_assert_not_null(found(without, 50));
	is_proc_gone = true;
	cr_assert_not_null(maps_renew(200));
	expect_text(with, 50, "a");
	cr_assert_null(found(without, 50));
	elf_unload(with);
	cr_assert_not_null(maps_renew(300));
	cr_assert_null(found(with, 50));
}
