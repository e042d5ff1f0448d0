/*
 * elf_header.c - program headers and notes.
 *
 *   file      |ELF header|program headers|note|...|  text  |...
 *   memory    ^ image                      ^ base + p_vaddr  ^ start: the page of `offset`
 */
#include "elf_image.h"

#include "file.h"
#include "os.h"

#include <string.h>
#include <unistd.h>

#define SEGMENTS_MOST 64
#define NOTE_BYTES 1024 /* of notes that are read at once */
#define NOTE_READS_MOST 64
#define BUILD_ID_BYTES_MOST ((ELF_BUILD_ID_CHARS - 1) / 2)

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#endif

struct segments {
	unsigned count;
	Elf64_Phdr rows[SEGMENTS_MOST];
};

static errmsg read_segments(const struct elf_image *image, struct segments *segments);
static bool find_base(const struct segments *segments, uint64_t start, uint64_t offset,
		      uint64_t *base);
static bool is_loaded(const struct segments *segments, const Elf64_Phdr *inner);
static void find_build_id(const struct elf_image *image, const Elf64_Phdr *notes,
			  struct elf_header *header);
static size_t take_notes(const unsigned char *bytes, size_t size_bytes, const Elf64_Phdr *notes,
			 struct elf_header *header);
static void print_hex(const unsigned char *bytes, size_t size_bytes, char *text);

errmsg elf_header_read(struct elf_header *header, const struct elf_image *image, uint64_t start,
		       uint64_t offset)
{
	struct segments segments;
	errmsg error = read_segments(image, &segments);

	memset(header, 0, sizeof(*header));
	if (error)
		return error;
	if (!find_base(&segments, start, offset, &header->base))
		return "no segment of the file is mapped there";
	for (unsigned i = 0; i < segments.count; i++) {
		const Elf64_Phdr *row = &segments.rows[i];

		if (row->p_type == PT_GNU_EH_FRAME && is_loaded(&segments, row)) {
			header->frame_header = header->base + row->p_vaddr;
			header->frame_header_bytes = row->p_memsz;
		}
		if (row->p_type == PT_NOTE && is_loaded(&segments, row))
			find_build_id(image, row, header);
	}
	return NULL;
}

bool elf_build_id_is(uint64_t address, const char *build_id)
{
	unsigned char bytes[BUILD_ID_BYTES_MOST];
	char text[ELF_BUILD_ID_CHARS];
	size_t size_bytes = strlen(build_id) / 2;

	if (size_bytes > sizeof(bytes) || !os_read(bytes, address, size_bytes))
		return false;
	print_hex(bytes, size_bytes, text);
	return strcmp(text, build_id) == 0;
}

bool elf_image_read(const struct elf_image *image, void *to, uint64_t offset, uint64_t n)
{
	size_t got;

	if (offset > image->size_bytes || n > image->size_bytes - offset)
		return false;
	if (image->fd < 0)
		return os_read(to, image->start + offset, n);
	return file_read_at(image->fd, to, n, offset, &got) == 0 && got == n;
}

errmsg elf_image_begin(const struct elf_image *image, Elf64_Ehdr *header)
{
	if (!elf_image_read(image, header, 0, sizeof(*header)))
		return "its header cannot be read";
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
	    header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
	    header->e_machine != MACHINE || (header->e_type != ET_DYN && header->e_type != ET_EXEC))
		return "not an ELF file of this machine";
	return NULL;
}

static errmsg read_segments(const struct elf_image *image, struct segments *segments)
{
	Elf64_Ehdr header;
	errmsg error = elf_image_begin(image, &header);

	if (error)
		return error;
	segments->count = header.e_phnum;
	if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum > SEGMENTS_MOST)
		return "program headers of an unknown kind";
	if (!elf_image_read(image, segments->rows, header.e_phoff,
			    segments->count * sizeof(Elf64_Phdr)))
		return "its program headers cannot be read";
	return NULL;
}

/* Pages are mapped, so a segment is from the begin of its first one. */
static bool find_base(const struct segments *segments, uint64_t start, uint64_t offset,
		      uint64_t *base)
{
	uint64_t page_mask = (uint64_t)sysconf(_SC_PAGESIZE) - 1;

	for (unsigned i = 0; i < segments->count; i++) {
		const Elf64_Phdr *row = &segments->rows[i];
		uint64_t first = row->p_offset & ~page_mask;

		if (row->p_type != PT_LOAD || !(row->p_flags & PF_X) || offset < first ||
		    offset - first >= row->p_filesz + (row->p_offset - first))
			continue;
		*base = start - offset + row->p_offset - row->p_vaddr;
		return true;
	}
	return false;
}

static bool is_loaded(const struct segments *segments, const Elf64_Phdr *inner)
{
	for (unsigned i = 0; i < segments->count; i++) {
		const Elf64_Phdr *row = &segments->rows[i];
		uint64_t at = inner->p_vaddr - row->p_vaddr;

		if (row->p_type == PT_LOAD && inner->p_vaddr >= row->p_vaddr &&
		    at <= row->p_memsz && inner->p_memsz <= row->p_memsz - at)
			return true;
	}
	return false;
}

static void find_build_id(const struct elf_image *image, const Elf64_Phdr *notes,
			  struct elf_header *header)
{
	uint64_t size_bytes = notes->p_filesz, at = 0;

	for (unsigned i = 0; i < NOTE_READS_MOST && at < size_bytes && !header->build_id[0]; i++) {
		unsigned char bytes[NOTE_BYTES];
		uint64_t left = size_bytes - at;
		size_t n = left < sizeof(bytes) ? left : sizeof(bytes), taken;

		if (image->fd < 0 ? !os_read(bytes, header->base + notes->p_vaddr + at, n) :
				    !elf_image_read(image, bytes, notes->p_offset + at, n))
			break;
		header->build_id_address = header->base + notes->p_vaddr + at;
		taken = take_notes(bytes, n, notes, header);
		if (!taken)
			break;
		at += taken;
	}
	if (!header->build_id[0])
		header->build_id_address = 0;
}

/* Returns the bytes that have been looked at: perhaps more than there are, where a note is long; or 0, when there is nothing
   more. The note that ld --build-id writes has the owner "GNU". */
static size_t take_notes(const unsigned char *bytes, size_t size_bytes, const Elf64_Phdr *notes,
			 struct elf_header *header)
{
	size_t mask = notes->p_align == 8 ? 7 : 3, at = 0;

	while (size_bytes - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		size_t name = at + sizeof(note), id;

		memcpy(&note, bytes + at, sizeof(note));
		id = (name + note.n_namesz + mask) & ~mask;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && note.n_descsz > 0 &&
		    note.n_descsz <= BUILD_ID_BYTES_MOST) {
			if (id > size_bytes || note.n_descsz > size_bytes - id)
				return at;
			if (memcmp(bytes + name, "GNU", 4) == 0) {
				print_hex(bytes + id, note.n_descsz, header->build_id);
				header->build_id_address += id;
				return size_bytes;
			}
		}
		at = (id + note.n_descsz + mask) & ~mask;
		if (at >= size_bytes)
			return at;
	}
	return at;
}

static void print_hex(const unsigned char *bytes, size_t size_bytes, char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size_bytes; i++) {
		*text++ = digits[bytes[i] >> 4];
		*text++ = digits[bytes[i] & 15];
	}
	*text = '\0';
}
