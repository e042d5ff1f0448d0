/*
 * elf_maker.h - small ELF files, made byte by byte, and mapped as a loader would.
 *
 *   0x0000  ELF header, program headers, the note with the build id
 *   0x1000  text, linked to ELF_TEXT
 *   0x2000  symbols, names, section headers
 */
#ifndef ELF_MAKER_H
#define ELF_MAKER_H

#include "elf.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ELF_TEXT 0x3000
#define ELF_TEXT_OFFSET 0x1000
#define ELF_NOTE_OFFSET 0x800
#define ELF_TABLE_OFFSET 0x2000
#define ELF_IMAGE_BYTES (64 * 1024)
#define ELF_SYMBOLS_MOST 600

#if defined(__x86_64__)
#define ELF_MACHINE EM_X86_64
#else
#define ELF_MACHINE EM_AARCH64
#endif

struct elf_maker {
	Elf64_Sym symbols[ELF_SYMBOLS_MOST];
	unsigned count;
	char names[ELF_IMAGE_BYTES / 2];
	unsigned names_bytes;
	uint32_t table_type; /* SHT_SYMTAB unless told */
	const char *build_id; /* its bytes; NULL: none */
	bool has_frames;
	_Alignas(8) unsigned char image[ELF_IMAGE_BYTES];
	size_t image_bytes;
};

static inline unsigned elf_maker_name(struct elf_maker *maker, const char *name)
{
	unsigned at = maker->names_bytes + !maker->names_bytes;

	maker->names_bytes = at + (unsigned)strlen(name) + 1;
	cr_assert_leq(maker->names_bytes, sizeof(maker->names));
	strcpy(maker->names + at, name);
	return at;
}

/* A global function; its row may be changed before elf_make. */
static inline Elf64_Sym *elf_add(struct elf_maker *maker, const char *name, uint64_t value,
				 uint64_t size)
{
	Elf64_Sym *symbol = &maker->symbols[maker->count++];

	cr_assert_leq(maker->count, ELF_SYMBOLS_MOST);
	*symbol = (Elf64_Sym){
		.st_name = elf_maker_name(maker, name),
		.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
		.st_shndx = 1,
		.st_value = value,
		.st_size = size,
	};
	return symbol;
}

static inline size_t elf_make_note(struct elf_maker *maker)
{
	Elf64_Nhdr note = { 4, (Elf64_Word)strlen(maker->build_id), NT_GNU_BUILD_ID };
	unsigned char *at = maker->image + ELF_NOTE_OFFSET;

	/* Another one before it, as linkers write them. */
	memcpy(at, &(Elf64_Nhdr){ 4, 5, 1 }, sizeof(note));
	memcpy(at + 12, "GNU\0abcde", 9);
	at += 12 + 4 + 8;
	memcpy(at, &note, sizeof(note));
	memcpy(at + 12, "GNU", 4);
	memcpy(at + 16, maker->build_id, note.n_descsz);
	return 24 + 16 + (note.n_descsz + 3u) / 4 * 4;
}

static inline void elf_make_segments(struct elf_maker *maker)
{
	Elf64_Ehdr *header = (Elf64_Ehdr *)maker->image;
	Elf64_Phdr *row = (Elf64_Phdr *)(maker->image + sizeof(*header));

	*row++ = (Elf64_Phdr){ PT_LOAD, PF_R, 0, 0, 0, 0x1000, 0x1000, 0x1000 };
	*row++ = (Elf64_Phdr){ PT_LOAD,	 PF_R | PF_X, ELF_TEXT_OFFSET, ELF_TEXT,
			       ELF_TEXT, 0x1000,      0x1000,	       0x1000 };
	if (maker->build_id) {
		size_t n = elf_make_note(maker);

		*row++ = (Elf64_Phdr){
			PT_NOTE, PF_R, ELF_NOTE_OFFSET, ELF_NOTE_OFFSET, ELF_NOTE_OFFSET, n, n, 4
		};
	}
	if (maker->has_frames)
		*row++ = (Elf64_Phdr){ PT_GNU_EH_FRAME, PF_R, 0xc00, 0xc00, 0xc00, 0x40, 0x40, 4 };
	header->e_phnum = (Elf64_Half)(row - (Elf64_Phdr *)(maker->image + sizeof(*header)));
}

static inline void elf_make_tables(struct elf_maker *maker)
{
	Elf64_Ehdr *header = (Elf64_Ehdr *)maker->image;
	size_t symbols_bytes = maker->count * sizeof(*maker->symbols);
	size_t at = ELF_TABLE_OFFSET + symbols_bytes;
	Elf64_Shdr rows[3] = { { 0 } };

	rows[1] = (Elf64_Shdr){ .sh_type = maker->table_type ? maker->table_type : SHT_SYMTAB,
				.sh_offset = ELF_TABLE_OFFSET,
				.sh_size = symbols_bytes,
				.sh_link = 2,
				.sh_entsize = sizeof(Elf64_Sym) };
	rows[2] = (Elf64_Shdr){ .sh_type = SHT_STRTAB,
				.sh_offset = at,
				.sh_size = maker->names_bytes };
	memcpy(maker->image + ELF_TABLE_OFFSET, maker->symbols, symbols_bytes);
	memcpy(maker->image + at, maker->names, maker->names_bytes);
	at = (at + maker->names_bytes + 7) & ~7ull;
	memcpy(maker->image + at, rows, sizeof(rows));
	header->e_shoff = at;
	header->e_shnum = 3;
	header->e_shentsize = sizeof(*rows);
	maker->image_bytes = at + sizeof(rows);
	cr_assert_leq(maker->image_bytes, sizeof(maker->image));
}

static inline void elf_make(struct elf_maker *maker)
{
	*(Elf64_Ehdr *)maker->image = (Elf64_Ehdr){
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, 1 },
		.e_type = ET_DYN,
		.e_machine = ELF_MACHINE,
		.e_version = 1,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
	};
	elf_make_segments(maker);
	elf_make_tables(maker);
}

/* Written at once to a file that is there, or made. */
static inline void elf_write(const struct elf_maker *maker, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, maker->image, maker->image_bytes), (ssize_t)maker->image_bytes);
	close(fd);
}

/* Map it as its program headers say; at NULL: anywhere. Returns its base. */
static inline char *elf_load(const char *path, char *at)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *base = at;

	cr_assert_geq(fd, 0);
	if (!base)
		base = mmap(NULL, ELF_TEXT + 0x1000, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(mmap(base, 0x1000, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0), MAP_FAILED);
	cr_assert_neq(mmap(base + ELF_TEXT, 0x1000, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED,
			   fd, ELF_TEXT_OFFSET),
		      MAP_FAILED);
	close(fd);
	return base;
}

/* What was mapped there is not any more, and nothing else will be. */
static inline void elf_unload(char *base)
{
	mmap(base, ELF_TEXT + 0x1000, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

#endif
