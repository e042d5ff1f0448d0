/*
 * place.c - ids, times and names of a session, found in the setup context, used by the drainer.
 *
 * Paths are made absolute once: the program may change its directory, its root and its user later.
 *
 * There are two sets of names, of the recording that is written and of the next one.
 */
#include "place.h"

#include "place_files.h"
#include "pyapi.h"

#include <elf.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#define RECORDS_LEAST 8 /* of the largest kind, that a ring holds */
#define NATIVES_LEAST 2 /* of those with a C stack, of which hardly one is as long as it may be */
#define MAPPINGS_MOST 8
#define DISK_PARTS \
	4 /* recordings, or what is made of them, that MONPROF_DISK has room for, at least */
#define BUILD_ID_BYTES_MOST 64
#define BEHIND_BYTES 32 /* of a recording's name: its number, its session, the suffix */

static struct {
	_Atomic unsigned at; /* of the names */
	bool has_next; /* the other ones are ready */
	uint64_t begun_ns; /* CLOCK_MONOTONIC */
	char cwd[OUTPUT_PATH_BYTES];
	struct place_names names[2];
	char program[OUTPUT_PATH_BYTES];
	char python[16];
	char build_id[2 * BUILD_ID_BYTES_MOST + 1];
	struct recording_mapping mappings[MAPPINGS_MOST];
	unsigned mapping_count;
} place;

static bool rotates(void);
static void head_make(const struct place_names *names, struct recording_head *head);
static void find_program(void);
static errmsg find_names(struct place_names *names, unsigned sequence);
static void name_recordings(struct place_names *made);
static const char *basename_of(const char *path);
static int find_mappings(struct dl_phdr_info *info, size_t size_bytes, void *unused);
static void read_build_id(const char *notes, size_t size_bytes);

errmsg place_begin(struct recording_head *head)
{
	errmsg error;

	place.has_next = false;
	atomic_store(&place.at, 0);
	/* Anew in a forked child: it may have gone elsewhere. */
	if (!getcwd(place.cwd, sizeof(place.cwd)))
		log_format(place.cwd, sizeof(place.cwd), "/");
	/* Not in one: who held the loader's lock at the fork may be gone. */
	if (!place.mapping_count)
		find_program();
	error = find_names(&place.names[0], rotates());
	if (error)
		return error;
	/* Asked here: the drainer has no stderr. */
	place_files_begin(isatty(STDERR_FILENO) == 1);
	head_make(&place.names[0], head);
	return NULL;
}

static void head_make(const struct place_names *names, struct recording_head *head)
{
	place.begun_ns = os_monotonic_ns();
	*head = (struct recording_head){
		.path = names->recording,
		.other_path = names->other_recording,
		.session = names->session,
		.start_realtime_ns = names->start_realtime_ns,
		.start_monotonic_ns = place.begun_ns,
		.pid = os_getpid(),
		.parent_pid = getppid(),
		.program = place.program,
		.python = place.python,
	};
}

const struct recording_mapping *place_mappings(unsigned *count)
{
	*count = place.mapping_count;
	return place.mappings;
}

const char *place_cwd(void)
{
	return place.cwd;
}

const char *place_recording(void)
{
	return place.names[atomic_load(&place.at)].recording;
}

uint64_t place_flush_ns(void)
{
	const struct option_value *rotate = option_value(OPTION_ROTATE);
	uint64_t flush_ns = option_number(OPTION_FLUSH);

	return rotate->number && !rotate->is_size && rotate->number < flush_ns ? rotate->number :
										 flush_ns;
}

uint64_t place_wait_ns(uint64_t most_ns)
{
	uint64_t wanted_ns = option_number(OPTION_EXIT_WAIT);

	return wanted_ns < most_ns ? wanted_ns : most_ns;
}

uint32_t place_ring_bytes(uint32_t record_bytes, uint32_t native_bytes)
{
	uint64_t wanted = option_number(OPTION_RING);
	uint64_t plain = (uint64_t)record_bytes * RECORDS_LEAST;
	uint64_t native = ((uint64_t)record_bytes + native_bytes) * NATIVES_LEAST;
	uint32_t size = 4096;

	if (wanted < plain)
		wanted = plain;
	if (native_bytes && wanted < native)
		wanted = native;
	while (size < wanted)
		size *= 2;
	return size;
}

/* ---- one recording after the other ---- */

bool place_is_full(uint64_t time_ns, uint64_t recording_bytes)
{
	const struct option_value *rotate = option_value(OPTION_ROTATE);
	uint64_t most_bytes = (uint64_t)((double)option_number(OPTION_DISK) /
					 (DISK_PARTS * place_files_growth()));

	if (rotate->is_size && rotate->number && (!most_bytes || rotate->number < most_bytes))
		most_bytes = rotate->number;
	disk_make_room(recording_bytes);
	return (most_bytes && recording_bytes >= most_bytes) ||
	       (rotate->number && !rotate->is_size && time_ns - place.begun_ns >= rotate->number);
}

errmsg place_next(bool is_used, struct recording_head *head)
{
	unsigned at = atomic_load(&place.at);
	struct place_names *next = &place.names[!at];
	errmsg error = find_names(next, place.names[at].sequence + is_used);

	if (error)
		return error;
	place.has_next = true;
	head_make(next, head);
	return NULL;
}

void place_close(const char *path)
{
	unsigned at = atomic_load(&place.at);

	if (path)
		place_files_add(&place.names[at], path);
	if (place.has_next)
		atomic_store(&place.at, !at);
	place.has_next = false;
}

void place_dump(drain_breathe *breathe)
{
	place_files_dump(&place.names[atomic_load(&place.at)], breathe);
}

static bool rotates(void)
{
	return option_number(OPTION_ROTATE) || option_number(OPTION_DISK);
}

/* ---- paths ---- */

static void find_program(void)
{
	uint32_t version = pyapi_version();
	ssize_t length = readlink("/proc/self/exe", place.program, sizeof(place.program) - 1);

	place.program[length > 0 ? length : 0] = '\0';
	log_format(place.python, sizeof(place.python), "%u.%u.%u", version >> 24,
		   version >> 16 & 0xff, version >> 8 & 0xff);
	dl_iterate_phdr(find_mappings, NULL);
}

/* Several recordings need a number each, wherever the pattern has it. */
static errmsg find_names(struct place_names *made, unsigned sequence)
{
	struct output_names names = {
		.directory = place.cwd,
		.pattern = option_text(OPTION_OUTPUT),
		.start_realtime_ns = os_realtime_ns(),
		.pid = (uint64_t)os_getpid(),
		.sequence = sequence,
		.program = basename_of(place.program),
	};
	bool is_counted = rotates() && !output_counts(names.pattern);
	errmsg error = output_expand(&names, made->texts, OUTPUT_PATH_BYTES - BEHIND_BYTES);
	size_t base_bytes;

	if (error)
		return error;
	base_bytes = strlen(made->texts);
	made->sequence = sequence;
	made->session = os_random();
	made->start_realtime_ns = names.start_realtime_ns;
	if (is_counted)
		log_format(made->texts + base_bytes, OUTPUT_PATH_BYTES - base_bytes, ".%u",
			   sequence);
	name_recordings(made);
	return NULL;
}

/* Another process may take a name between now and the first sample. */
static void name_recordings(struct place_names *made)
{
	char *recording = made->texts + strlen(made->texts) + 1, *other;

	log_format(recording, OUTPUT_PATH_BYTES, "%s%s", made->texts, RECORDING_SUFFIX);
	other = recording + strlen(recording) + 1;
	log_format(other, OUTPUT_PATH_BYTES, "%s.%08x%s", made->texts, (unsigned)made->session,
		   RECORDING_SUFFIX);
	made->base = made->texts;
	made->recording = access(recording, F_OK) == 0 ? other : recording;
	made->other_recording = other;
}

static const char *basename_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The first object is the program itself, dl_iterate_phdr(3); the others wait for native frames. */
static int find_mappings(struct dl_phdr_info *info, size_t size_bytes, void *unused)
{
	(void)size_bytes;
	(void)unused;
	place.build_id[0] = '\0';
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		struct recording_mapping *mapping = &place.mappings[place.mapping_count];

		if (header->p_type == PT_NOTE && !place.build_id[0])
			read_build_id((const char *)(info->dlpi_addr + header->p_vaddr),
				      header->p_memsz);
		if (header->p_type != PT_LOAD || !(header->p_flags & PF_X) ||
		    place.mapping_count == MAPPINGS_MOST)
			continue;
		mapping->start = info->dlpi_addr + header->p_vaddr;
		mapping->end = mapping->start + header->p_memsz;
		mapping->offset = header->p_offset;
		mapping->file = place.program;
		mapping->build_id = place.build_id;
		place.mapping_count++;
	}
	return 1;
}

/* The note that ld --build-id writes: owner "GNU", elf(5). */
static void read_build_id(const char *notes, size_t size_bytes)
{
	static const char digits[] = "0123456789abcdef";
	size_t at = 0;

	while (at + sizeof(ElfW(Nhdr)) <= size_bytes) {
		const ElfW(Nhdr) *note = (const void *)(notes + at);
		size_t name = at + sizeof(*note);
		size_t bytes = name + ((note->n_namesz + 3u) & ~3u);
		const unsigned char *id = (const unsigned char *)notes + bytes;

		at = bytes + ((note->n_descsz + 3u) & ~3u);
		if (at > size_bytes || note->n_type != NT_GNU_BUILD_ID || note->n_namesz != 4 ||
		    memcmp(notes + name, "GNU", 4) != 0 || note->n_descsz > BUILD_ID_BYTES_MOST)
			continue;
		for (unsigned i = 0; i < note->n_descsz; i++) {
			place.build_id[2 * i] = digits[id[i] >> 4];
			place.build_id[2 * i + 1] = digits[id[i] & 15];
		}
		place.build_id[2 * note->n_descsz] = '\0';
		return;
	}
}
