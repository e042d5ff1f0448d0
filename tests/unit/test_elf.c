/*
 * test_elf.c - headers and symbols: of libc, of this program, of the vdso, and of files made byte by byte.
 */
#include "elf_maker.h"
#include "recordings.h"

#include <link.h>
#include <sys/auxv.h>

TestSuite(elf, .timeout = 60, .fini = remove_scratch);

static struct elf_maker maker;

static errmsg open_path(const char *path, struct elf **elf)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct elf_image image = { .fd = fd };
	struct stat status;
	errmsg error;

	cr_assert_geq(fd, 0, "%s", path);
	cr_assert_eq(fstat(fd, &status), 0);
	image.size_bytes = (uint64_t)status.st_size;
	error = elf_open(elf, &image, path);
	close(fd);
	return error;
}

static struct elf *open_made(void)
{
	const char *path = in_scratch("made");
	struct elf *elf;

	elf_make(&maker);
	elf_write(&maker, path);
	cr_assert_null(open_path(path, &elf));
	return elf;
}

static errmsg open_memory(const struct elf_maker *made, struct elf **elf)
{
	struct elf_image image = { -1, (uint64_t)(uintptr_t)made->image, made->image_bytes };

	return elf_open(elf, &image, NULL);
}

/* NULL: none */
static void expect(struct elf *elf, uint64_t address, const char *name)
{
	struct elf_symbol symbol;

	if (!name) {
		cr_expect_not(elf_find(elf, address, &symbol), "%lx", address);
		return;
	}
	cr_assert(elf_find(elf, address, &symbol), "%lx", address);
	cr_expect_str_eq(symbol.name, name);
	cr_expect(symbol.begin <= address && address - symbol.begin < symbol.size);
}

Test(elf, a_function_is_from_its_value_on_for_its_size)
{
	struct elf *elf;

	elf_add(&maker, "second", 0x3040, 0x10);
	elf_add(&maker, "first", 0x3000, 0x20);
	elf = open_made();
	expect(elf, 0x2fff, NULL);
	expect(elf, 0x3000, "first");
	expect(elf, 0x301f, "first");
	expect(elf, 0x3020, NULL);
	expect(elf, 0x303f, NULL);
	expect(elf, 0x3040, "second");
	expect(elf, 0x304f, "second");
	expect(elf, 0x3050, NULL);
	expect(elf, 0, NULL);
	expect(elf, UINT64_MAX, NULL);
	elf_release(elf);
}

Test(elf, what_is_no_function_here_is_left_out)
{
	struct elf *elf;

	elf_add(&maker, "sizeless", 0x3000, 0);
	elf_add(&maker, "elsewhere", 0x3010, 16)->st_shndx = SHN_UNDEF;
	elf_add(&maker, "absolute", 0x3020, 16)->st_shndx = SHN_ABS;
	elf_add(&maker, "object", 0x3030, 16)->st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT);
	elf_add(&maker, "", 0x3040, 16);
	elf_add(&maker, "nowhere", 0x3050, 16)->st_name = UINT32_MAX;
	elf_add(&maker, "round", UINT64_MAX - 3, 16);
	elf_add(&maker, "chosen", 0x3060, 16)->st_info = ELF64_ST_INFO(STB_GLOBAL, STT_GNU_IFUNC);
	elf = open_made();
	for (uint64_t address = 0x3000; address < 0x3060; address += 8)
		expect(elf, address, NULL);
	expect(elf, UINT64_MAX, NULL);
	expect(elf, 0x3060, "chosen");
	elf_release(elf);
}

static void bind(Elf64_Sym *symbol, unsigned binding)
{
	symbol->st_info = ELF64_ST_INFO(binding, STT_FUNC);
}

Test(elf, of_several_names_one_is_chosen_by_rule)
{
	struct elf *elf;

	bind(elf_add(&maker, "a", 0x3000, 16), STB_LOCAL);
	bind(elf_add(&maker, "b", 0x3000, 16), STB_WEAK);
	bind(elf_add(&maker, "__global", 0x3000, 16), STB_GLOBAL);

	bind(elf_add(&maker, "l", 0x3100, 16), STB_LOCAL);
	bind(elf_add(&maker, "_weak", 0x3100, 16), STB_WEAK);

	elf_add(&maker, "__a", 0x3200, 16);
	elf_add(&maker, "without_any", 0x3200, 16);
	elf_add(&maker, "_b", 0x3200, 16);

	elf_add(&maker, "longer", 0x3300, 16);
	elf_add(&maker, "short", 0x3300, 16);
	elf_add(&maker, "other", 0x3300, 16);

	bind(elf_add(&maker, "plain", 0x3400, 16), STB_GLOBAL);
	bind(elf_add(&maker, "one", 0x3400, 16), STB_GNU_UNIQUE);
	elf = open_made();
	expect(elf, 0x3000, "__global");
	expect(elf, 0x3100, "_weak");
	expect(elf, 0x3200, "without_any");
	expect(elf, 0x3300, "short");
	expect(elf, 0x3400, "one");
	elf_release(elf);
}

Test(elf, behind_the_best_of_one_address_is_a_longer_one)
{
	struct elf *elf;

	bind(elf_add(&maker, "long_local", 0x3000, 0x40), STB_LOCAL);
	bind(elf_add(&maker, "weak", 0x3000, 0x20), STB_WEAK);
	bind(elf_add(&maker, "shorter_local", 0x3000, 0x18), STB_LOCAL);
	bind(elf_add(&maker, "global", 0x3000, 0x10), STB_GLOBAL);
	elf = open_made();
	expect(elf, 0x300f, "global");
	expect(elf, 0x3010, "weak");
	expect(elf, 0x3020, "long_local");
	expect(elf, 0x3040, NULL);
	elf_release(elf);
}

Test(elf, a_function_within_another_is_the_one)
{
	struct elf *elf;

	elf_add(&maker, "outer", 0x3000, 0x100);
	elf_add(&maker, "inner", 0x3010, 0x20);
	elf_add(&maker, "innermost", 0x3018, 8);
	elf_add(&maker, "beside", 0x3040, 8);
	elf_add(&maker, "across", 0x30f0, 0x20);
	elf = open_made();
	expect(elf, 0x3008, "outer");
	expect(elf, 0x3010, "inner");
	expect(elf, 0x301f, "innermost");
	expect(elf, 0x3020, "inner");
	expect(elf, 0x3030, "outer");
	expect(elf, 0x3040, "beside");
	expect(elf, 0x3048, "outer");
	expect(elf, 0x30ff, "across");
	expect(elf, 0x310f, "across");
	expect(elf, 0x3110, NULL);
	elf_release(elf);
}

Test(elf, a_version_is_no_part_of_the_name)
{
	struct elf *elf;

	elf_add(&maker, "memcpy@@GLIBC_2.14", 0x3000, 16);
	elf_add(&maker, "memcpy@GLIBC_2.2.5", 0x3010, 16);
	elf_add(&maker, "@odd@V1", 0x3020, 16);
	elf = open_made();
	expect(elf, 0x3000, "memcpy");
	expect(elf, 0x3010, "memcpy");
	expect(elf, 0x3020, "@odd");
	elf_release(elf);
}

Test(elf, dynamic_symbols_are_the_second_choice)
{
	struct elf *elf;

	maker.table_type = SHT_DYNSYM;
	elf_add(&maker, "dynamic", 0x3000, 16);
	elf = open_made();
	expect(elf, 0x3000, "dynamic");
	elf_release(elf);
}

/* By the rule, slowly; what is not said by it is not asked for: names differ in length. */
static const char *slowly(uint64_t address)
{
	const Elf64_Sym *best = NULL;

	for (unsigned i = 0; i < maker.count; i++) {
		const Elf64_Sym *symbol = &maker.symbols[i];
		size_t length = strlen(maker.names + symbol->st_name);

		if (address < symbol->st_value || address - symbol->st_value >= symbol->st_size)
			continue;
		if (!best || symbol->st_value > best->st_value ||
		    (symbol->st_value == best->st_value &&
		     length < strlen(maker.names + best->st_name)))
			best = symbol;
	}
	return best ? maker.names + best->st_name : NULL;
}

Test(elf, any_table_is_searched_as_the_rule_says)
{
	unsigned random = 1;

	for (unsigned round = 0; round < 40; round++) {
		char name[64] = "";
		struct elf *elf;

		maker.count = maker.names_bytes = 0;
		for (unsigned i = 0; i < 40; i++) {
			random = random * 1103515245 + 12345;
			name[i] = 'x';
			elf_add(&maker, name, 0x3000 + random / 65536 % 128,
				1 + random / 8192 % (round + 8));
		}
		elf_make(&maker);
		cr_assert_null(open_memory(&maker, &elf));
		for (uint64_t address = 0x2ff0; address < 0x3100; address++)
			expect(elf, address, slowly(address));
		elf_release(elf);
	}
}

/* A large file's names are read again when they are asked for. */
static char *make_large(struct elf **elf, const char *name)
{
	char *path = in_scratch(name);
	Elf64_Shdr *names;
	int fd;

	elf_add(&maker, "first", 0x3000, 16);
	elf_add(&maker, "second@V1", 0x3010, 16);
	elf_make(&maker);
	names = (Elf64_Shdr *)(maker.image + maker.image_bytes) - 1;
	names->sh_size = 2 << 20;
	elf_write(&maker, path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	cr_assert_eq(ftruncate(fd, 4 << 20), 0);
	close(fd);
	cr_assert_null(open_path(path, elf));
	return path;
}

Test(elf, names_of_a_large_file_are_read_when_asked_for)
{
	struct elf *elf;

	make_large(&elf, "large");
	expect(elf, 0x3000, "first");
	expect(elf, 0x3010, "second");
	expect(elf, 0x301f, "second");
	expect(elf, 0x3020, NULL);
	elf_release(elf);
}

Test(elf, names_of_another_file_are_none)
{
	struct elf *elf;
	char *path = make_large(&elf, "large"), *other;
	struct elf *second;

	maker.count = maker.names_bytes = 0;
	other = make_large(&second, "other");
	expect(elf, 0x3000, "first");
	cr_assert_eq(rename(other, path), 0);
	expect(elf, 0x3010, NULL);
	expect(elf, 0x3000, NULL);
	cr_assert_eq(unlink(path), 0);
	expect(elf, 0x3000, NULL);
	elf_release(elf);
	elf_release(second);
}

Test(elf, a_file_cut_short_has_no_names)
{
	struct elf *elf;
	char *path = make_large(&elf, "large");

	cr_assert_eq(truncate(path, 4096), 0);
	expect(elf, 0x3000, NULL);
	elf_release(elf);
}

Test(elf, a_shared_one_stays_until_the_last_has_left)
{
	struct elf *elf;

	elf_add(&maker, "first", 0x3000, 16);
	elf = open_made();
	cr_assert_eq(elf_share(elf), elf);
	elf_release(elf);
	expect(elf, 0x3000, "first");
	elf_release(elf);
	elf_release(NULL);
}

Test(elf, damage_is_told)
{
	static struct elf_maker good, bad;
	Elf64_Ehdr *header = (Elf64_Ehdr *)bad.image;
	struct elf *elf = NULL;
	Elf64_Shdr *rows;

	elf_add(&good, "first", 0x3000, 16);
	elf_make(&good);
#define DAMAGE(what)                                                   \
	do {                                                           \
		bad = good;                                            \
		rows = (Elf64_Shdr *)(bad.image + header->e_shoff);    \
		what;                                                  \
		cr_expect_not_null(open_memory(&bad, &elf), "" #what); \
	} while (0)
	DAMAGE(header->e_ident[0] = 0);
	DAMAGE(header->e_ident[EI_CLASS] = ELFCLASS32);
	DAMAGE(header->e_machine = EM_S390);
	DAMAGE(header->e_type = ET_REL);
	DAMAGE(header->e_shoff = 0);
	DAMAGE(header->e_shoff = UINT64_MAX - 8);
	DAMAGE(header->e_shentsize = 8);
	DAMAGE(header->e_shnum = 0);
	DAMAGE(rows[1].sh_link = 9);
	DAMAGE(rows[1].sh_entsize = 0);
	DAMAGE(rows[1].sh_size = UINT64_MAX);
	DAMAGE(rows[1].sh_offset = UINT64_MAX);
	DAMAGE(rows[1].sh_type = SHT_NOBITS);
	DAMAGE(rows[2].sh_size = UINT64_MAX);
	DAMAGE(rows[2].sh_offset = ELF_IMAGE_BYTES);
	DAMAGE(rows[2].sh_type = SHT_NULL);
	DAMAGE(rows[2].sh_size = 3);
	DAMAGE(bad.image_bytes = 40);
	DAMAGE(bad.image_bytes = 0);
	(void)rows;
	bad = good;
	cr_assert_null(open_memory(&bad, &elf));
	elf_release(elf);
}

/* ---- headers ---- */

static errmsg read_made(struct elf_header *header, uint64_t start, uint64_t offset)
{
	struct elf_image image = { .size_bytes = maker.image_bytes };
	errmsg error;

	elf_write(&maker, in_scratch("headers"));
	image.size_bytes = maker.image_bytes;
	image.fd = open(in_scratch("headers"), O_RDONLY | O_CLOEXEC);
	error = elf_header_read(header, &image, start, offset);
	close(image.fd);
	return error;
}

static errmsg read_header(struct elf_header *header, uint64_t start, uint64_t offset)
{
	elf_make(&maker);
	return read_made(header, start, offset);
}

Test(elf, the_base_is_where_a_piece_is_less_where_it_was_linked_to)
{
	struct elf_header header;

	cr_assert_null(read_header(&header, 0x700000003000, ELF_TEXT_OFFSET));
	cr_assert_eq(header.base, 0x700000000000);
	cr_assert_eq(header.frame_header, 0);
	cr_assert_str_empty(header.build_id);
	cr_assert_eq(header.build_id_address, 0);
	cr_assert_not_null(read_header(&header, 0x700000003000, 0), "it is not executable");
	cr_assert_not_null(read_header(&header, 0x700000003000, 0x2000));
}

Test(elf, the_build_id_and_the_frames_are_told)
{
	struct elf_header header;

	maker.build_id = "\x01\xaf\x20\xff\x7f";
	maker.has_frames = true;
	cr_assert_null(read_header(&header, 0x700000003000, ELF_TEXT_OFFSET));
	cr_assert_str_eq(header.build_id, "01af20ff7f");
	cr_assert_eq(header.build_id_address, 0x700000000000 + ELF_NOTE_OFFSET + 24 + 16);
	cr_assert_eq(header.frame_header, 0x700000000c00);
	cr_assert_eq(header.frame_header_bytes, 0x40);
}

Test(elf, notes_that_end_early_have_no_build_id)
{
	struct elf_header header;
	Elf64_Phdr *notes = (Elf64_Phdr *)(maker.image + sizeof(Elf64_Ehdr)) + 2;

	maker.build_id = "aaaa";
	elf_make(&maker);
	cr_assert_eq(notes->p_type, PT_NOTE);
	notes->p_filesz = notes->p_memsz = 1500;
	((Elf64_Nhdr *)(maker.image + ELF_NOTE_OFFSET + 24))->n_type = 9;
	maker.image_bytes = ELF_NOTE_OFFSET + 1024;
	cr_assert_null(read_made(&header, 0x700000003000, ELF_TEXT_OFFSET));
	cr_assert_str_empty(header.build_id);
	cr_assert_eq(header.build_id_address, 0);
}

Test(elf, a_build_id_in_memory_is_compared)
{
	uint64_t there = (uint64_t)(uintptr_t) "\x01\xaf\x20";

	cr_assert(elf_build_id_is(there, "01af20"));
	cr_assert_not(elf_build_id_is(there, "01af21"));
	cr_assert_not(elf_build_id_is(8, "01af20"));
}

static int on_object(struct dl_phdr_info *info, size_t size_bytes, void *found)
{
	(void)size_bytes;
	if (!strstr(info->dlpi_name, "/libc.so.6"))
		return 0;
	*(struct dl_phdr_info *)found = *info;
	return 1;
}

Test(elf, libc_in_memory_has_its_headers_and_in_its_file_its_functions)
{
	struct dl_phdr_info info;
	struct elf_header header;
	struct elf_image image = { .fd = -1 };
	const ElfW(Phdr) *text = NULL;
	struct elf *elf;

	cr_assert(dl_iterate_phdr(on_object, &info));
	for (unsigned i = 0; i < info.dlpi_phnum; i++) {
		if (info.dlpi_phdr[i].p_type == PT_LOAD && info.dlpi_phdr[i].p_flags & PF_X)
			text = &info.dlpi_phdr[i];
	}
	cr_assert_not_null(text);
	image.start = info.dlpi_addr;
	image.size_bytes = 4096;
	cr_assert_null(elf_header_read(&header, &image, info.dlpi_addr + (text->p_vaddr & ~4095ul),
				       text->p_offset & ~4095ul));
	cr_assert_eq(header.base, info.dlpi_addr);
	cr_assert_neq(header.frame_header, 0);
	cr_assert(elf_build_id_is(header.build_id_address, header.build_id));
	cr_assert_null(open_path(info.dlpi_name, &elf));
	expect(elf, (uint64_t)(uintptr_t)&abort - info.dlpi_addr + 1, "abort");
	elf_release(elf);
}

__attribute__((noinline)) static int a_function_of_this_file(int n)
{
	__asm__("");
	return n + 1;
}

Test(elf, this_program_has_its_own_static_functions)
{
	struct elf *elf;
	extern const char __executable_start[];

	cr_assert_null(open_path("/proc/self/exe", &elf));
	expect(elf,
	       (uint64_t)(uintptr_t)a_function_of_this_file -
		       (uint64_t)(uintptr_t)__executable_start,
	       "a_function_of_this_file");
	elf_release(elf);
}

Test(elf, the_vdso_is_read_from_memory)
{
	uint64_t start = getauxval(AT_SYSINFO_EHDR), found = 0;
	struct elf_image image = { -1, start, 8192 };
	struct elf_symbol symbol;
	struct elf *elf;

	if (!start)
		cr_skip_test("there is none");
	cr_assert_null(elf_open(&elf, &image, NULL));
	for (uint64_t address = 0; address < 8192; address++) {
		if (elf_find(elf, address, &symbol) && strstr(symbol.name, "clock_gettime"))
			found++;
	}
	cr_assert_gt(found, 0);
	elf_release(elf);
}
