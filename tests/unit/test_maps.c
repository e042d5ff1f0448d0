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

Test(maps, what_is_renamed_stays)
{
	char *path = make("a", "a", "aaaa"), *other = in_scratch("other");
	char *base = elf_load(path, NULL);
	const struct map *map;

	cr_assert_null(maps_renew(100));
	map = found(base, 50);
	cr_assert_eq(rename(path, other), 0);
	cr_assert_null(maps_renew(200));
	cr_assert_eq(found(base, 50), map);
	cr_assert_str_eq(map->file, other);
	expect_text(base, 50, "a");
}

Test(maps, pages_with_other_rights_are_of_the_same_piece)
{
	int fd = open(make("a", "a", "aaaa"), O_RDWR | O_CLOEXEC);
	char *base;
	const struct map *map;

	cr_assert_eq(ftruncate(fd, 16 * 4096), 0);
	base = mmap(NULL, 6 * 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 4096);
	cr_assert_neq(base, MAP_FAILED);
	close(fd);
	cr_assert_null(maps_renew(100));
	map = maps_find(address_of(base), 50);
	cr_assert_eq(mprotect(base + 2 * 4096, 4096, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
	cr_assert_null(maps_renew(200));
	cr_assert_eq(maps_find(address_of(base), 50), map);
	cr_assert_eq(maps_find(address_of(base) + 5 * 4096, 50), map);
	cr_assert_eq(map->end - map->start, 6 * 4096);
}

Test(maps, what_was_no_file_is_another_too)
{
	char *base = elf_load(make("a", "a", "aaaa"), NULL);

	elf_unload(base);
	cr_assert_eq(mprotect(base, ELF_TEXT + 0x1000, PROT_READ | PROT_EXEC), 0);
	cr_assert_null(maps_renew(100));
	cr_assert_null(found(base, 50));
	elf_load(in_scratch("a"), base);
	cr_assert_null(maps_renew(200));
	cr_assert_null(found(base, 150));
	expect_text(base, 200, "a");
}

Test(maps, where_the_headers_are_not_mapped_the_file_is_read)
{
	char *base = elf_load(make("a", "a", "aaaa"), NULL);
	char *second = elf_load(make("b", "b", "bbbb"), NULL);

	cr_assert_eq(munmap(base, 4096), 0);
	cr_assert_eq(munmap(second, 4096), 0);
	cr_assert_eq(unlink(in_scratch("b")), 0);
	cr_assert_null(maps_renew(100));
	cr_assert_eq(found(base, 50)->base, address_of(base));
	cr_assert_str_eq(found(base, 50)->build_id, "61616161");
	expect_text(base, 50, "a");
	cr_assert_eq(found(second, 50)->base, address_of(second) + ELF_TEXT - ELF_TEXT_OFFSET);
	cr_assert_str_empty(found(second, 50)->build_id);
	expect_text(second, 50, NULL);
}

Test(maps, pieces_of_one_file_share_its_symbols)
{
	char *path = make("a", "a", "aaaa");
	char *base = elf_load(path, NULL), *second = elf_load(path, NULL);

	cr_assert_null(maps_renew(100));
	expect_text(base, 50, "a");
	expect_text(second, 50, "a");
	cr_assert_eq(found(base, 50)->elf, found(second, 50)->elf);
	cr_assert_neq(found(base, 50)->base, found(second, 50)->base);
	elf_unload(base);
	cr_assert_null(maps_renew(200));
	expect_text(second, 50, "a");
}

Test(maps, libraries_come_and_go)
{
	void *library = dlopen("libz.so.1", RTLD_NOW | RTLD_LOCAL);
	uint64_t changed, address;
	const struct map *map;

	if (!library)
		cr_skip_test("there is none");
	address = address_of(dlsym(library, "crc32"));
	cr_assert_null(maps_renew(100));
	map = maps_find(address, 50);
	cr_assert_not_null(map);
	expect_function(map, address, "crc32");
	changed = maps_changed();
	cr_assert_eq(dlclose(library), 0);
	cr_assert_null(maps_renew(200));
	if (maps_changed() == changed)
		cr_skip_test("it is loaded for somebody else too");
	cr_assert_null(maps_find(address, 50));
	library = dlopen("libz.so.1", RTLD_NOW | RTLD_LOCAL);
	address = address_of(dlsym(library, "crc32"));
	cr_assert_null(maps_renew(300));
	expect_function(maps_find(address, 300), address, "crc32");
}

/* ---- listings that are made up ---- */

#define PIECES 1000

static struct os_map pieces[PIECES];

static void list_pieces(size_t count, uint64_t from)
{
	for (size_t i = 0; i < count; i++)
		pieces[i] = (struct os_map){ .start = from + i * 0x10000,
					     .end = from + i * 0x10000 + 0x1000,
					     .offset = 0x1000,
					     .device = 1,
					     .inode = i + 1,
					     .is_executable = true,
					     .name = "/nowhere/at.so" };
	listed = pieces;
	listed_count = count;
}

Test(maps, many_pieces_are_each_found)
{
	uint64_t changed;
	uint32_t serial;

	list_pieces(PIECES, 0x10000);
	cr_assert_null(maps_renew(100));
	changed = maps_changed();
	for (size_t i = 0; i < PIECES; i++) {
		cr_assert_eq(maps_find(pieces[i].start, 1)->inode, i + 1);
		cr_assert_eq(maps_find(pieces[i].end - 1, 1)->inode, i + 1);
		cr_assert_null(maps_find(pieces[i].end, 1));
		cr_assert_null(maps_find(pieces[i].start - 1, 1));
	}
	serial = maps_find(pieces[PIECES - 1].start, 1)->serial;
	memmove(&pieces[500], &pieces[501], (PIECES - 501) * sizeof(*pieces));
	listed_count--;
	cr_assert_null(maps_renew(200));
	cr_assert_eq(maps_changed(), changed + 1);
	cr_assert_eq(maps_find(pieces[PIECES - 2].start, 1)->serial, serial);
}

Test(maps, of_more_graves_than_there_is_room_for_the_time_is_kept)
{
	list_pieces(PIECES, 0x10000);
	cr_assert_null(maps_renew(100));
	listed_count = 0;
	cr_assert_null(maps_renew(200));
	list_pieces(1, 0x10000);
	pieces[0].inode = 5000;
	cr_assert_null(maps_renew(300));
	cr_assert_eq(maps_find(0x10000, 300)->since_ns, 200);
}

Test(maps, serials_are_never_used_again)
{
	uint64_t changed;

	list_pieces(5, 0x10000);
	cr_assert_null(maps_renew(100));
	changed = maps_changed();
	maps_release();
	cr_assert_null(maps_find(0x10000, 100));
	cr_assert_gt(maps_changed(), changed);
	cr_assert_null(maps_renew(200));
	cr_assert_eq(maps_find(0x10000, 1)->serial, 6);
}

Test(maps, what_moves_while_it_is_listed_overlaps_nothing)
{
	list_pieces(3, 0x10000);
	pieces[1].start = pieces[0].start + 0x800;
	pieces[1].offset = 0x9000;
	cr_assert_null(maps_renew(100));
	cr_assert_eq(maps_find(pieces[0].end - 1, 1)->inode, 1);
	cr_assert_null(maps_find(pieces[0].end, 1));
	cr_assert_eq(maps_find(pieces[2].start, 1)->inode, 3);
	/* Seen again, grown: it is one. */
	list_pieces(2, 0x10000);
	pieces[1] = pieces[0];
	pieces[1].end += 0x1000;
	cr_assert_null(maps_renew(200));
	cr_assert_eq(maps_find(0x10000, 200)->end, pieces[1].end);
}

/* ---- without memory ---- */

void *__real_heap_alloc(size_t size_bytes);
void *__real_heap_zalloc(size_t size_bytes);
char *__real_heap_strdup(const char *text);
bool __real_heap_grow(void **items, size_t *capacity, size_t needed, size_t item_bytes);
void *__wrap_heap_alloc(size_t size_bytes);
void *__wrap_heap_zalloc(size_t size_bytes);
char *__wrap_heap_strdup(const char *text);
bool __wrap_heap_grow(void **items, size_t *capacity, size_t needed, size_t item_bytes);

static unsigned allocations_left; /* until one fails; 0: none does */

static bool fails(void)
{
	return allocations_left && --allocations_left == 0;
}

void *__wrap_heap_alloc(size_t size_bytes)
{
	return fails() ? NULL : __real_heap_alloc(size_bytes);
}

void *__wrap_heap_zalloc(size_t size_bytes)
{
	return fails() ? NULL : __real_heap_zalloc(size_bytes);
}

char *__wrap_heap_strdup(const char *text)
{
	return fails() ? NULL : __real_heap_strdup(text);
}

bool __wrap_heap_grow(void **items, size_t *capacity, size_t needed, size_t item_bytes)
{
	if (needed > *capacity && fails())
		return false;
	return __real_heap_grow(items, capacity, needed, item_bytes);
}

Test(maps, without_memory_it_is_as_it_was)
{
	char *base = elf_load(make("a", "a", "aaaa"), NULL);
	char *other = elf_load(make("b", "b", "bbbb"), NULL);

	for (unsigned n = 1;; n++) {
		struct elf_symbol symbol;
		errmsg error;

		maps_release();
		cr_assert_null(maps_renew(100));
		elf_load(in_scratch("a"), other);
		allocations_left = n;
		error = maps_renew(200);
		if (allocations_left)
			maps_function(found(base, 250), address_of(base + ELF_TEXT), &symbol);
		cr_assert_not_null(found(base, 250));
		if (error)
			cr_assert_null(found(other, 250), "what was there is there no more");
		if (allocations_left)
			break;
		cr_assert_null(maps_renew(300));
		expect_text(other, 300, "a");
		elf_load(in_scratch("b"), other);
	}
	allocations_left = 0;
}
