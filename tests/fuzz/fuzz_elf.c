/*
 * fuzz_elf.c - any bytes as an ELF file, as one that is mapped and as one that is read.
 *
 * The input is where the executable piece lies, then the file.  Few inputs would get past the first checks, so
 * the magic, the class and the machine are put right in all whose first byte is even.
 */
#include "elf.h"
#include "file.h"
#include "os.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HEAD_BYTES 4
#define START 0x10000
#define FD 1000

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);
bool __wrap_os_read(void *to, uintptr_t from, size_t n);
int __wrap_file_read_at(int fd, void *bytes, size_t size_bytes, uint64_t offset, size_t *got);
int __wrap_fstat(int fd, struct stat *status);

static uint8_t *file;
static size_t file_bytes;

static void put_right(void);
static void check_header(const struct elf_image *image, uint64_t offset);
static void check_symbols(const struct elf_image *image, const char *path);
static void check_at(struct elf *elf, uint64_t address);
static void need(bool truth);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	struct elf_image memory = { .fd = -1, .start = START }, read = { .fd = FD };

	if (size_bytes < HEAD_BYTES)
		return 0;
	/* A copy of its own, so that a read beyond it is seen */
	file_bytes = size_bytes - HEAD_BYTES;
	file = malloc(file_bytes + !file_bytes);
	memcpy(file, bytes + HEAD_BYTES, file_bytes);
	if (bytes[0] % 2 == 0)
		put_right();
	memory.size_bytes = read.size_bytes = file_bytes;
	check_header(&memory, (uint64_t)bytes[1] << 12);
	check_header(&read, (uint64_t)bytes[1] << 12);
	check_symbols(&memory, NULL);
	check_symbols(&read, "/nowhere");
	free(file);
	return 0;
}

bool __wrap_os_read(void *to, uintptr_t from, size_t n)
{
	size_t got;

	return __wrap_file_read_at(FD, to, n, from - START, &got) == 0 && got == n;
}

int __wrap_file_read_at(int fd, void *bytes, size_t size_bytes, uint64_t offset, size_t *got)
{
	need(fd == FD);
	*got = 0;
	if (offset >= file_bytes)
		return 0;
	*got = file_bytes - offset < size_bytes ? file_bytes - offset : size_bytes;
	memcpy(bytes, file + offset, *got);
	return 0;
}

int __wrap_fstat(int fd, struct stat *status)
{
	need(fd == FD);
	memset(status, 0, sizeof(*status));
	return 0;
}

static void put_right(void)
{
	Elf64_Ehdr header;

	if (file_bytes < sizeof(header))
		return;
	memcpy(&header, file, sizeof(header));
	memcpy(header.e_ident, ELFMAG, SELFMAG);
	header.e_ident[EI_CLASS] = ELFCLASS64;
	header.e_ident[EI_DATA] = ELFDATA2LSB;
#ifdef __x86_64__
	header.e_machine = EM_X86_64;
#else
	header.e_machine = EM_AARCH64;
#endif
	header.e_type = ET_DYN;
	header.e_phentsize = sizeof(Elf64_Phdr);
	header.e_shentsize = sizeof(Elf64_Shdr);
	memcpy(file, &header, sizeof(header));
}

static void check_header(const struct elf_image *image, uint64_t offset)
{
	/* On the heap, so that a write beyond it is seen */
	struct elf_header *header = malloc(sizeof(*header));
	size_t length;

	if (!elf_header_read(header, image, START + offset, offset)) {
		length = strnlen(header->build_id, sizeof(header->build_id));
		need(length < sizeof(header->build_id) && length % 2 == 0);
		need(strspn(header->build_id, "0123456789abcdef") == length);
		need(!header->build_id_address || length > 0);
		if (image->fd < 0 && length)
			need(elf_build_id_is(header->build_id_address, header->build_id));
	}
	free(header);
}

/* Everywhere in the first pages, and where any eight bytes of the file say. */
static void check_symbols(const struct elf_image *image, const char *path)
{
	struct elf *elf;

	if (elf_open(&elf, image, path))
		return;
	for (uint64_t address = 0; address < 0x4000; address += 16)
		check_at(elf, address);
	for (size_t at = 0; at + 8 <= file_bytes && at < 4096; at += 4) {
		uint64_t address;

		memcpy(&address, file + at, sizeof(address));
		check_at(elf, address - 1);
		check_at(elf, address);
	}
	elf_release(elf);
}

static void check_at(struct elf *elf, uint64_t address)
{
	struct elf_symbol symbol;

	if (!elf_find(elf, address, &symbol))
		return;
	need(symbol.begin <= address && address - symbol.begin < symbol.size);
	need(symbol.name[0] && strlen(symbol.name) < file_bytes && !strchr(symbol.name + 1, '@'));
}

static void need(bool truth)
{
	if (!truth)
		abort();
}
