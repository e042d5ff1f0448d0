/*
 * elf.c - the symbol table of one file: an index of its functions, by address.
 *
 *   entries, sorted    [a-----------) [b---)   [c--)   [d---)       c and d lie within a
 *   outer              none           a        a       a            so what is behind c is looked for in a
 *
 * Names of a large file are not kept: the few that are asked for are read again, from the same file only.
 */
#include "elf_image.h"

#include "file.h"
#include "heap.h"
#include "sort.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MOST (64u << 20) /* of one file */
#define ALL_BYTES_MOST (256u << 20) /* that are kept of all files */
#define NAMES_KEPT_MOST (1u << 20)
#define NAME_BYTES_MOST (32u << 10)
#define NAME_READ_BYTES 512
#define SECTIONS_MOST (1u << 16)
#define CHUNK_SECTIONS 16
#define CHUNK_SYMBOLS 128
#define OUTER_MOST 64 /* that an address is looked for in */
#define NONE UINT32_MAX

struct elf_entry {
	uint64_t address;
	uint32_t size;
	uint32_t name; /* offset in the string table */
	uint32_t rank; /* less is better; while they are sorted */
	uint32_t outer; /* the nearest one before that ends behind this one's begin */
};

struct elf {
	unsigned owners;
	struct elf_entry *entries;
	size_t count, capacity;
	char *names; /* the string table; NULL: not kept */
	uint64_t names_offset, names_bytes; /* of it in the file */
	size_t held_bytes;
	char *path;
	struct stat file; /* which it was */
	uint32_t named; /* the entry whose name this is; NONE */
	char *name;
	size_t name_capacity;
};

struct tables {
	const struct elf_image *image;
	uint64_t sections_offset;
	uint32_t section_count;
	Elf64_Shdr symbols[2]; /* .symtab, .dynsym; sh_type SHT_NULL: there is none */
};

static struct {
	size_t held_bytes; /* of all files */
} elfs;

static errmsg find_tables(struct tables *tables);
static errmsg count_sections(struct tables *tables, const Elf64_Ehdr *header);
static errmsg read_tables(struct elf *elf, const struct tables *tables);
static errmsg read_names(struct elf *elf, const struct tables *tables, const Elf64_Shdr *symbols);
static errmsg read_symbols(struct elf *elf, const struct elf_image *image,
			   const Elf64_Shdr *symbols);
static bool is_function(const Elf64_Sym *symbol);
static bool add(struct elf *elf, const Elf64_Sym *symbol);
static uint32_t rank_of(const Elf64_Sym *symbol, const char *name, size_t name_bytes);
static int compare(const void *a, const void *b);
static void leave_out(struct elf *elf);
static void turn_round(struct elf_entry *entries, size_t count);
static void link_outer(struct elf *elf);
static errmsg keep(struct elf *elf, const char *path);
static uint32_t entry_at(const struct elf *elf, uint64_t address);
static const char *name_of(struct elf *elf, uint32_t at);
static size_t read_name(struct elf *elf, uint32_t offset);
static size_t name_length(const char *name, size_t most_bytes);

errmsg elf_open(struct elf **made, const struct elf_image *image, const char *path)
{
	struct tables tables = { .image = image };
	struct elf *elf = heap_zalloc(sizeof(*elf));
	errmsg error = elf ? find_tables(&tables) : "no memory";

	if (!error && image->fd >= 0 && fstat(image->fd, &elf->file) != 0)
		error = "it cannot be looked at";
	if (!error)
		error = read_tables(elf, &tables);
	if (!error)
		error = keep(elf, path);
	if (error) {
		elf_release(elf);
		return error;
	}
	*made = elf;
	return NULL;
}

struct elf *elf_share(struct elf *elf)
{
	elf->owners++;
	return elf;
}

bool elf_find(struct elf *elf, uint64_t address, struct elf_symbol *symbol)
{
	uint32_t at = entry_at(elf, address);
	const char *name = at == NONE ? NULL : name_of(elf, at);

	if (!name)
		return false;
	*symbol = (struct elf_symbol){
		.name = name,
		.begin = elf->entries[at].address,
		.size = elf->entries[at].size,
	};
	return true;
}

void elf_release(struct elf *elf)
{
	if (!elf || (elf->owners && --elf->owners))
		return;
	elfs.held_bytes -= elf->held_bytes;
	heap_free(elf->entries);
	heap_free(elf->names);
	heap_free(elf->path);
	heap_free(elf->name);
	heap_free(elf);
}

/* ---- reading ---- */

static errmsg find_tables(struct tables *tables)
{
	Elf64_Shdr rows[CHUNK_SECTIONS];
	Elf64_Ehdr header;
	errmsg error = elf_image_begin(tables->image, &header);

	if (!error)
		error = count_sections(tables, &header);
	for (uint32_t i = 0; !error && i < tables->section_count; i++) {
		uint32_t n = tables->section_count - i, at = i % CHUNK_SECTIONS;
		const Elf64_Shdr *row = &rows[at];

		if (at == 0 &&
		    !elf_image_read(tables->image, rows, tables->sections_offset + i * sizeof(*row),
				    (n < CHUNK_SECTIONS ? n : CHUNK_SECTIONS) * sizeof(*row)))
			return "its section headers cannot be read";
		if (row->sh_type == SHT_SYMTAB)
			tables->symbols[0] = *row;
		else if (row->sh_type == SHT_DYNSYM)
			tables->symbols[1] = *row;
	}
	return error;
}

/* Many sections are counted in the first one, elf(5). */
static errmsg count_sections(struct tables *tables, const Elf64_Ehdr *header)
{
	Elf64_Shdr first;
	uint64_t count = header->e_shnum;

	if (!header->e_shoff || header->e_shentsize != sizeof(Elf64_Shdr))
		return "no section headers";
	if (!count) {
		if (!elf_image_read(tables->image, &first, header->e_shoff, sizeof(first)))
			return "its section headers cannot be read";
		count = first.sh_size;
	}
	if (count > SECTIONS_MOST)
		return "too many sections";
	tables->sections_offset = header->e_shoff;
	tables->section_count = (uint32_t)count;
	return NULL;
}

static errmsg read_tables(struct elf *elf, const struct tables *tables)
{
	errmsg error = "no symbols of functions";

	for (unsigned i = 0; i < PROF_COUNT(tables->symbols) && !elf->count; i++) {
		const Elf64_Shdr *symbols = &tables->symbols[i];

		if (symbols->sh_type == SHT_NULL)
			continue;
		error = read_names(elf, tables, symbols);
		if (!error)
			error = read_symbols(elf, tables->image, symbols);
		if (!error && !elf->count)
			error = "no symbols of functions";
	}
	if (error)
		return error;
	if (!sort_items(elf->entries, elf->count, sizeof(*elf->entries), compare))
		return "no memory";
	leave_out(elf);
	link_outer(elf);
	return NULL;
}

static errmsg read_names(struct elf *elf, const struct tables *tables, const Elf64_Shdr *symbols)
{
	Elf64_Shdr row;

	if (symbols->sh_link >= tables->section_count ||
	    !elf_image_read(tables->image, &row,
			    tables->sections_offset + symbols->sh_link * sizeof(row),
			    sizeof(row)) ||
	    row.sh_type != SHT_STRTAB)
		return "no names of symbols";
	if (row.sh_size > FILE_BYTES_MOST || row.sh_size > tables->image->size_bytes)
		return "too many names of symbols";
	heap_free(elf->names);
	elf->names_offset = row.sh_offset;
	elf->names_bytes = row.sh_size;
	elf->names = heap_alloc(row.sh_size + !row.sh_size);
	if (!elf->names)
		return "no memory";
	if (!elf_image_read(tables->image, elf->names, row.sh_offset, row.sh_size))
		return "its names of symbols cannot be read";
	return NULL;
}

static errmsg read_symbols(struct elf *elf, const struct elf_image *image,
			   const Elf64_Shdr *symbols)
{
	Elf64_Sym rows[CHUNK_SYMBOLS];
	uint64_t left = symbols->sh_size / sizeof(*rows), at = symbols->sh_offset;

	if (symbols->sh_entsize != sizeof(*rows))
		return "symbols of an unknown kind";
	while (left > 0) {
		uint64_t n = left < CHUNK_SYMBOLS ? left : CHUNK_SYMBOLS;

		if (!elf_image_read(image, rows, at, n * sizeof(*rows)))
			return "its symbols cannot be read";
		for (uint64_t i = 0; i < n; i++) {
			if (is_function(&rows[i]) && !add(elf, &rows[i]))
				return "too many symbols";
		}
		left -= n;
		at += n * sizeof(*rows);
	}
	return NULL;
}

/* What is absolute is not moved with the file. */
static bool is_function(const Elf64_Sym *symbol)
{
	unsigned type = ELF64_ST_TYPE(symbol->st_info);

	return (type == STT_FUNC || type == STT_GNU_IFUNC) && symbol->st_shndx != SHN_UNDEF &&
	       symbol->st_shndx != SHN_ABS && symbol->st_size > 0 &&
	       symbol->st_size <= UINT32_MAX && symbol->st_value <= UINT64_MAX - symbol->st_size;
}

static bool add(struct elf *elf, const Elf64_Sym *symbol)
{
	const char *name = elf->names + symbol->st_name;
	uint64_t room_bytes;
	size_t name_bytes;

	if (symbol->st_name >= elf->names_bytes)
		return true;
	room_bytes = elf->names_bytes - symbol->st_name;
	name_bytes = name_length(name, room_bytes < NAME_BYTES_MOST ? room_bytes : NAME_BYTES_MOST);
	if (!name_bytes)
		return true;
	if ((elf->count + 1) * sizeof(*elf->entries) + elf->names_bytes > FILE_BYTES_MOST ||
	    !heap_grow((void **)&elf->entries, &elf->capacity, elf->count + 1,
		       sizeof(*elf->entries)))
		return false;
	elf->entries[elf->count++] = (struct elf_entry){
		.address = symbol->st_value,
		.size = (uint32_t)symbol->st_size,
		.name = symbol->st_name,
		.rank = rank_of(symbol, name, name_bytes),
	};
	return true;
}

static uint32_t rank_of(const Elf64_Sym *symbol, const char *name, size_t name_bytes)
{
	unsigned binding = ELF64_ST_BIND(symbol->st_info);
	uint32_t bound = binding == STB_LOCAL ? 2 : binding == STB_WEAK;
	size_t underscores = strspn(name, "_");

	return bound << 24 | (uint32_t)(underscores < 255 ? underscores : 255) << 16 |
	       (uint32_t)name_bytes;
}

static int compare(const void *a, const void *b)
{
	const struct elf_entry *left = a, *right = b;

	if (left->address != right->address)
		return left->address < right->address ? -1 : 1;
	return left->rank < right->rank ? -1 : left->rank > right->rank;
}

/* Of those at one address the best stays, and behind where it ends the best of those that are longer, and so on. */
static void leave_out(struct elf *elf)
{
	struct elf_entry *entries = elf->entries;
	size_t kept = 0;

	for (size_t i = 0; i < elf->count;) {
		uint64_t address = entries[i].address;
		size_t first = kept;

		for (; i < elf->count && entries[i].address == address; i++) {
			if (kept == first || entries[i].size > entries[kept - 1].size)
				entries[kept++] = entries[i];
		}
		turn_round(entries + first, kept - first);
	}
	elf->count = kept;
}

/* The innermost is the last. */
static void turn_round(struct elf_entry *entries, size_t count)
{
	for (size_t i = 0; i < count / 2; i++) {
		struct elf_entry entry = entries[i];

		entries[i] = entries[count - 1 - i];
		entries[count - 1 - i] = entry;
	}
}

static void link_outer(struct elf *elf)
{
	struct elf_entry *entries = elf->entries;
	uint32_t outer = NONE;

	for (uint32_t i = 0; i < elf->count; i++) {
		while (outer != NONE &&
		       entries[outer].address + entries[outer].size <= entries[i].address)
			outer = entries[outer].outer;
		entries[i].outer = outer;
		outer = i;
	}
}

/* What is kept is what it needs, and less than all together may have. */
static errmsg keep(struct elf *elf, const char *path)
{
	size_t entries_bytes = elf->count * sizeof(*elf->entries);
	struct elf_entry *entries = heap_realloc(elf->entries, entries_bytes);

	elf->owners = 1;
	elf->named = NONE;
	if (entries)
		elf->entries = entries;
	if (path && elf->names_bytes > NAMES_KEPT_MOST) {
		heap_free(elf->names);
		elf->names = NULL;
		elf->path = heap_strdup(path);
		if (!elf->path)
			return "no memory";
	}
	elf->held_bytes = entries_bytes + (elf->names ? elf->names_bytes : 0);
	elfs.held_bytes += elf->held_bytes;
	return elfs.held_bytes > ALL_BYTES_MOST ? "too many symbols in all files" : NULL;
}

/* ---- finding ---- */

static uint32_t entry_at(const struct elf *elf, uint64_t address)
{
	size_t low = 0, high = elf->count;
	uint32_t at;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (elf->entries[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	at = low ? (uint32_t)low - 1 : NONE;
	for (unsigned i = 0; at != NONE && i < OUTER_MOST; i++) {
		const struct elf_entry *entry = &elf->entries[at];

		if (address - entry->address < entry->size)
			return at;
		at = entry->outer;
	}
	return NONE;
}

static const char *name_of(struct elf *elf, uint32_t at)
{
	uint32_t offset = elf->entries[at].name;
	uint64_t room_bytes = elf->names_bytes - offset;
	size_t name_bytes;

	if (elf->named == at)
		return elf->name;
	elf->named = NONE;
	if (!elf->names) {
		name_bytes = read_name(elf, offset);
	} else {
		name_bytes = name_length(elf->names + offset, room_bytes);
		if (!heap_grow((void **)&elf->name, &elf->name_capacity, name_bytes + 1, 1))
			return NULL;
		memcpy(elf->name, elf->names + offset, name_bytes);
	}
	if (!name_bytes)
		return NULL;
	elf->name[name_bytes] = '\0';
	elf->named = at;
	return elf->name;
}

/* Into elf->name; 0: the file is no longer what it was. */
static size_t read_name(struct elf *elf, uint32_t offset)
{
	uint64_t room_bytes = elf->names_bytes - offset;
	size_t most_bytes = room_bytes < NAME_BYTES_MOST ? room_bytes : NAME_BYTES_MOST;
	size_t got = 0, name_bytes = 0;
	struct stat now;
	int fd;

	if (!heap_grow((void **)&elf->name, &elf->name_capacity, most_bytes + 1, 1))
		return 0;
	fd = file_open(elf->path, O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		return 0;
	if (fstat(fd, &now) == 0 && now.st_dev == elf->file.st_dev &&
	    now.st_ino == elf->file.st_ino && now.st_size == elf->file.st_size &&
	    now.st_mtim.tv_sec == elf->file.st_mtim.tv_sec &&
	    now.st_mtim.tv_nsec == elf->file.st_mtim.tv_nsec) {
		for (size_t n = NAME_READ_BYTES; !name_bytes && got < most_bytes; n *= 2) {
			if (n > most_bytes)
				n = most_bytes;
			if (file_read_at(fd, elf->name, n, elf->names_offset + offset, &got) != 0 ||
			    got < n)
				break;
			name_bytes = name_length(elf->name, got);
		}
	}
	close(fd);
	return name_bytes;
}

/* Without "@VERSION" or "@@VERSION", which ld leaves in .symtab; 0: it does not end there. */
static size_t name_length(const char *name, size_t most_bytes)
{
	size_t all_bytes = strnlen(name, most_bytes);
	const char *version = all_bytes > 1 ? memchr(name + 1, '@', all_bytes - 1) : NULL;

	if (all_bytes == most_bytes)
		return 0;
	return version ? (size_t)(version - name) : all_bytes;
}
