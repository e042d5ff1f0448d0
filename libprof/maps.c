/*
 * maps.c - looks at /proc/self/maps, one after the other.
 *
 *   look n      [libc--]      [liba-]         [libb--]
 *   look n+1    [libc--]                 [libc---]       libc stays; libc's other piece is known since this look,
 *   graves                    [liba ]         [libb  ]   as libb was there until then
 *
 * A row that stays costs a comparison and no system call.  That its memory still has the build id that was read first
 * is checked when it is used, once a look: a file may have been written anew and mapped at the same place.
 *
 * Graves are those of the last pieces that have gone.  What is older than the oldest grave is not known any more, so a
 * new piece is known since that one was dug, at least.
 */
#include "maps.h"

#include "file.h"
#include "heap.h"
#include "os.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GRAVES_MOST 256
#define PATH_BYTES_MOST (16 * 1024) /* 4096 bytes, each as \ooo */
#define DELETED " (deleted)"
#define VDSO "[vdso]"

struct span {
	uint64_t start, end;
};

struct grave {
	struct span span;
	uint64_t gone_ns;
};

struct rows {
	struct map **rows;
	size_t count, capacity;
};

struct spans {
	struct span *spans;
	size_t count, capacity;
};

/* A look: pieces come line by line, the last one may go on in the next line. */
struct look {
	struct rows rows;
	struct spans others;
	size_t old_at; /* in the old rows: none before is here */
	bool has_piece, has_failed;
	struct os_map piece; /* its name is in `name` */
	struct os_map first; /* the mapping of some file's first byte, the last one seen */
	struct os_map header; /* the one before the piece, or itself */
	char name[PATH_BYTES_MOST];
};

static struct {
	struct rows now; /* sorted */
	struct spans others; /* that are executable, and no file: of the last look */
	struct map *last; /* found */
	uint64_t looks;
	uint64_t changed;
	uint32_t serials;
	bool has_looked;
	bool is_blind; /* the last look failed */
	struct grave graves[GRAVES_MOST];
	size_t graves_dug;
	uint64_t forgotten_ns; /* the newest grave that there was no room for */
} maps;

static void look_at(void *self, const struct os_map *line);
static bool goes_on(const struct os_map *piece, const struct os_map *line);
static void take_piece(struct look *look);
static bool is_same(const struct map *row, const struct look *look);
static void rename_row(struct map *row, const char *name);
static struct map *new_row(const struct look *look);
static bool add_span(struct spans *spans, const struct os_map *line);
static void settle(struct look *look, uint64_t time_ns);
static void bury(struct map *row, uint64_t time_ns);
static uint64_t known_since(const struct map *row, uint64_t time_ns);
static void read_header(struct map *row, const struct os_map *first);
static errmsg read_header_of_file(struct map *row, struct elf_header *header);
static int open_file(const struct map *row, struct stat *status);
static bool is_still_there(struct map *row);
static struct elf *open_symbols(const struct map *row);
static struct elf *open_symbols_of_file(const struct map *row);
static void free_row(struct map *row);
static void free_rows(struct rows *rows);

errmsg maps_renew(uint64_t time_ns)
{
	struct look *look = heap_zalloc(sizeof(*look));
	bool is_read;

	maps.looks++;
	maps.is_blind = true;
	if (!look)
		return "no memory";
	is_read = os_maps_each(look_at, look);
	take_piece(look);
	if (is_read && !look->has_failed) {
		maps.is_blind = false;
		settle(look, time_ns);
	} else {
		for (size_t i = 0; i < look->rows.count; i++) {
			if (!look->rows.rows[i]->serial)
				free_row(look->rows.rows[i]);
		}
		heap_free(look->rows.rows);
		heap_free(look->others.spans);
	}
	heap_free(look);
	if (!is_read)
		return "/proc/self/maps cannot be read";
	return maps.is_blind ? "no memory" : NULL;
}

uint64_t maps_changed(void)
{
	return maps.changed;
}

const struct map *maps_find(uint64_t pc, uint64_t time_ns)
{
	struct map *row = maps.last;
	size_t low = 0, high = maps.now.count;

	if (!row || pc < row->start || pc >= row->end) {
		while (low < high) {
			size_t middle = low + (high - low) / 2;

			if (maps.now.rows[middle]->start <= pc)
				low = middle + 1;
			else
				high = middle;
		}
		row = low ? maps.now.rows[low - 1] : NULL;
		if (!row || pc >= row->end)
			return NULL;
		maps.last = row;
	}
	return row->since_ns <= time_ns && is_still_there(row) ? row : NULL;
}

bool maps_function(const struct map *map, uint64_t address, struct elf_symbol *symbol)
{
	struct map *row = (struct map *)map;

	if (!row->is_elf_tried) {
		row->is_elf_tried = true;
		row->elf = open_symbols(row);
	}
	if (!row->elf || !elf_find(row->elf, address - row->base, symbol))
		return false;
	symbol->begin += row->base;
	return true;
}

void maps_release(void)
{
	uint64_t changed = maps.changed + 1;
	uint32_t serials = maps.serials;

	free_rows(&maps.now);
	heap_free(maps.others.spans);
	memset(&maps, 0, sizeof(maps));
	maps.changed = changed;
	maps.serials = serials;
}

/* ---- a look ---- */

static void look_at(void *self, const struct os_map *line)
{
	struct look *look = self;
	bool is_file = line->name[0] == '/', is_vdso = strcmp(line->name, VDSO) == 0;
	size_t name_bytes = strlen(line->name), cut = sizeof(DELETED) - 1;

	if (is_file && line->offset == 0)
		look->first = *line;
	if (!line->is_executable)
		return;
	if (look->has_piece && goes_on(&look->piece, line)) {
		look->piece.end = line->end > look->piece.end ? line->end : look->piece.end;
		return;
	}
	/* What moved while it was listed comes right at the next look. */
	if (look->has_piece && line->start < look->piece.end)
		return;
	take_piece(look);
	if ((!is_file && !is_vdso) || name_bytes >= sizeof(look->name)) {
		look->has_failed |= !add_span(&look->others, line);
		return;
	}
	if (is_file && name_bytes > cut && strcmp(line->name + name_bytes - cut, DELETED) == 0)
		name_bytes -= cut;
	memcpy(look->name, line->name, name_bytes);
	look->name[name_bytes] = '\0';
	look->piece = *line;
	look->header = is_vdso ? *line : look->first;
	look->has_piece = true;
}

/* Pages of one piece may have got different rights, by mprotect(2): then they are several mappings. */
static bool goes_on(const struct os_map *piece, const struct os_map *line)
{
	return line->start <= piece->end && line->device == piece->device &&
	       line->inode == piece->inode && piece->inode &&
	       line->start - piece->start == line->offset - piece->offset;
}

static void take_piece(struct look *look)
{
	struct map *row;

	if (!look->has_piece)
		return;
	look->has_piece = false;
	while (look->old_at < maps.now.count &&
	       maps.now.rows[look->old_at]->start < look->piece.start)
		look->old_at++;
	row = look->old_at < maps.now.count ? maps.now.rows[look->old_at] : NULL;
	if (row && is_same(row, look))
		rename_row(row, look->name);
	else
		row = new_row(look);
	if (!row || !heap_grow((void **)&look->rows.rows, &look->rows.capacity,
			       look->rows.count + 1, sizeof(*look->rows.rows))) {
		if (row && !row->serial)
			free_row(row);
		look->has_failed = true;
		return;
	}
	row->seen = maps.looks;
	look->rows.rows[look->rows.count++] = row;
}

static bool is_same(const struct map *row, const struct look *look)
{
	return row->start == look->piece.start && row->end == look->piece.end &&
	       row->offset == look->piece.offset && row->device == look->piece.device &&
	       row->inode == look->piece.inode && !row->is_stale;
}

/* A file that is renamed is still the same. */
static void rename_row(struct map *row, const char *name)
{
	char *copy;

	if (strcmp(row->file, name) == 0)
		return;
	copy = heap_strdup(name);
	if (!copy)
		return;
	heap_free(row->file);
	row->file = copy;
	row->is_elf_tried = row->elf != NULL;
}

static struct map *new_row(const struct look *look)
{
	struct map *row = heap_zalloc(sizeof(*row));

	if (!row)
		return NULL;
	row->start = look->piece.start;
	row->end = look->piece.end;
	row->offset = look->piece.offset;
	row->device = look->piece.device;
	row->inode = look->piece.inode;
	row->file = heap_strdup(look->name);
	if (!row->file) {
		heap_free(row);
		return NULL;
	}
	read_header(row, &look->header);
	return row;
}

static bool add_span(struct spans *spans, const struct os_map *line)
{
	if (spans->count && spans->spans[spans->count - 1].end == line->start) {
		spans->spans[spans->count - 1].end = line->end;
		return true;
	}
	if (!heap_grow((void **)&spans->spans, &spans->capacity, spans->count + 1,
		       sizeof(*spans->spans)))
		return false;
	spans->spans[spans->count++] = (struct span){ line->start, line->end };
	return true;
}

/* ---- from one look to the next ---- */

static void settle(struct look *look, uint64_t time_ns)
{
	maps.last = NULL;
	for (size_t i = 0; i < maps.now.count; i++) {
		if (maps.now.rows[i]->seen != maps.looks)
			bury(maps.now.rows[i], time_ns);
	}
	for (size_t i = 0; i < look->rows.count; i++) {
		struct map *row = look->rows.rows[i];

		if (row->serial)
			continue;
		row->serial = ++maps.serials;
		row->since_ns = maps.has_looked ? known_since(row, time_ns) : 0;
	}
	heap_free(maps.now.rows);
	heap_free(maps.others.spans);
	maps.now = look->rows;
	maps.others = look->others;
	maps.has_looked = true;
}

static void bury(struct map *row, uint64_t time_ns)
{
	struct grave *grave = &maps.graves[maps.graves_dug++ % GRAVES_MOST];

	if (grave->gone_ns > maps.forgotten_ns)
		maps.forgotten_ns = grave->gone_ns;
	*grave = (struct grave){ { row->start, row->end }, time_ns };
	free_row(row);
	maps.changed++;
}

static bool is_apart(const struct map *row, const struct span *span)
{
	return row->end <= span->start || span->end <= row->start;
}

static uint64_t known_since(const struct map *row, uint64_t time_ns)
{
	uint64_t since_ns = maps.forgotten_ns;

	for (size_t i = 0; i < GRAVES_MOST; i++) {
		const struct grave *grave = &maps.graves[i];

		if (grave->gone_ns > since_ns && !is_apart(row, &grave->span))
			since_ns = grave->gone_ns;
	}
	for (size_t i = 0; i < maps.others.count; i++) {
		if (!is_apart(row, &maps.others.spans[i]))
			return time_ns;
	}
	return since_ns;
}

/* ---- what the file says ---- */

static void read_header(struct map *row, const struct os_map *first)
{
	struct elf_image image = { -1, first->start, first->end - first->start };
	struct elf_header header;
	bool is_mapped = first->inode == row->inode && first->device == row->device;
	errmsg error = is_mapped ? elf_header_read(&header, &image, row->start, row->offset) :
				   read_header_of_file(row, &header);

	row->has_header = !error;
	if (error) {
		row->base = row->start - row->offset;
		return;
	}
	row->base = header.base;
	row->frame_header = header.frame_header;
	row->frame_header_bytes = header.frame_header_bytes;
	row->build_id_address = header.build_id_address;
	memcpy(row->build_id, header.build_id, sizeof(row->build_id));
}

/* Where the file's first page is not mapped. */
static errmsg read_header_of_file(struct map *row, struct elf_header *header)
{
	struct stat status;
	int fd = open_file(row, &status);
	struct elf_image image = { fd, 0, fd < 0 ? 0 : (uint64_t)status.st_size };
	errmsg error;

	if (fd < 0)
		return "the file is not there";
	error = status.st_dev != row->device || status.st_ino != row->inode ?
			"the file is another" :
			elf_header_read(header, &image, row->start, row->offset);
	close(fd);
	if (!error && header->build_id_address &&
	    !elf_build_id_is(header->build_id_address, header->build_id))
		header->build_id_address = 0;
	return error;
}

/* A descriptor, or a negative number. The name may be a pipe's by now, which would be waited for, or a device's. */
static int open_file(const struct map *row, struct stat *status)
{
	int fd = -1;

	if (stat(row->file, status) == 0 && S_ISREG(status->st_mode))
		fd = file_open(row->file, O_RDONLY | O_NONBLOCK);
	if (fd >= 0 && fstat(fd, status) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool is_still_there(struct map *row)
{
	if (!row->build_id_address)
		return !maps.is_blind;
	if (row->checked != maps.looks) {
		row->checked = maps.looks;
		row->is_stale = !elf_build_id_is(row->build_id_address, row->build_id);
	}
	return !row->is_stale;
}

/* Pieces of one file have it in common. */
static struct elf *open_symbols(const struct map *row)
{
	struct elf *elf = NULL;
	struct elf_image image = { -1, row->start, row->end - row->start };

	for (size_t i = 0; i < maps.now.count; i++) {
		const struct map *other = maps.now.rows[i];

		if (other->elf && other->device == row->device && other->inode == row->inode &&
		    strcmp(other->build_id, row->build_id) == 0)
			return elf_share(other->elf);
	}
	if (!row->has_header)
		return NULL;
	if (row->inode)
		return open_symbols_of_file(row);
	return elf_open(&elf, &image, NULL) ? NULL : elf;
}

/* Only those of the very file that is mapped; by its build id, or as the same file. */
static struct elf *open_symbols_of_file(const struct map *row)
{
	struct stat status;
	struct elf *elf = NULL;
	int fd = open_file(row, &status);
	struct elf_image image = { fd, 0, fd < 0 ? 0 : (uint64_t)status.st_size };
	struct elf_header header;

	if (fd < 0)
		return NULL;
	if (!elf_header_read(&header, &image, row->start, row->offset) &&
	    header.base == row->base && strcmp(header.build_id, row->build_id) == 0 &&
	    (row->build_id[0] || (status.st_dev == row->device && status.st_ino == row->inode)) &&
	    elf_open(&elf, &image, row->file))
		elf = NULL;
	close(fd);
	return elf;
}

static void free_row(struct map *row)
{
	elf_release(row->elf);
	heap_free(row->file);
	heap_free(row);
}

static void free_rows(struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		free_row(rows->rows[i]);
	heap_free(rows->rows);
}
