/*
 * place.c - ids, times and names of a session, found in the setup context, used by the drainer.
 *
 * Paths are made absolute once: the program may change its directory, its root and its user later.
 */
#include "place.h"

#include "output.h"
#include "pyapi.h"
#include "registry.h"

#include <elf.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORDS_LEAST 8 /* of the largest kind, that a ring holds */
#define MAPPINGS_MOST 8
#define BUILD_ID_BYTES_MOST 64

static struct {
	char cwd[OUTPUT_PATH_BYTES];
	char base[OUTPUT_PATH_BYTES];
	char recording[OUTPUT_PATH_BYTES];
	char program[OUTPUT_PATH_BYTES];
	char python[16];
	char build_id[2 * BUILD_ID_BYTES_MOST + 1];
	uint64_t session, start_realtime_ns;
	struct recording_mapping mappings[MAPPINGS_MOST];
	unsigned mapping_count;
	bool shows_summary; /* stderr is a terminal; asked here, the drainer has no stderr */
} place;

static errmsg find_paths(void);
static const char *basename_of(const char *path);
static int find_mappings(struct dl_phdr_info *info, size_t size_bytes, void *unused);
static void read_build_id(const char *notes, size_t size_bytes);
static void report(void *unused, const char *path, errmsg error);

errmsg place_begin(struct recording_head *head)
{
	uint32_t version = pyapi_version();
	errmsg error;

	place.session = os_random();
	place.start_realtime_ns = os_realtime_ns();
	place.shows_summary = isatty(STDERR_FILENO) == 1;
	error = find_paths();
	if (error)
		return error;
	log_format(place.python, sizeof(place.python), "%u.%u.%u", version >> 24,
		   version >> 16 & 0xff, version >> 8 & 0xff);
	place.mapping_count = 0;
	dl_iterate_phdr(find_mappings, NULL);
	*head = (struct recording_head){
		.path = place.recording,
		.session = place.session,
		.start_realtime_ns = place.start_realtime_ns,
		.start_monotonic_ns = os_monotonic_ns(),
		.pid = os_getpid(),
		.parent_pid = getppid(),
		.program = place.program,
		.python = place.python,
	};
	return NULL;
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
	return place.recording;
}

uint32_t place_ring_bytes(uint32_t record_bytes)
{
	uint64_t wanted = option_number(OPTION_RING);
	uint32_t size = 4096;

	if (wanted < (uint64_t)record_bytes * RECORDS_LEAST)
		wanted = (uint64_t)record_bytes * RECORDS_LEAST;
	while (size < wanted)
		size *= 2;
	return size;
}

void place_export(const char *path)
{
	struct profile *profile = profile_new();
	uint64_t mask = option_number(OPTION_EXPORT);
	errmsg error = profile ? NULL : "no memory";
	unsigned failed;

	if (!error && output_needs_points(registry_exporters, mask))
		profile_keep_points(profile);
	if (!error)
		error = profile_add_file(profile, path);
	if (!error)
		error = profile_finish(profile);
	if (error) {
		log_line("%s: %s", path, error);
		profile_free(profile);
		return;
	}
	failed = output_write(profile, &(struct output_files){
					       .exporters = registry_exporters,
					       .mask = mask,
					       .base = place.base,
					       .session = place.session,
					       .report = report,
				       });
	profile_free(profile);
	if (failed)
		log_line("the recording stays, monprof export finishes the job: %s", path);
	else if (!option_number(OPTION_KEEP) && mask)
		unlink(path);
	else if (place.shows_summary)
		log_line("recording: %s", path);
}

static void report(void *unused, const char *path, errmsg error)
{
	(void)unused;
	if (error)
		log_line("%s: %s", path, error);
	else if (place.shows_summary)
		log_line("wrote %s (to see it: monprof report %s)", path, path);
}

static errmsg find_paths(void)
{
	struct output_names names = {
		.directory = place.cwd,
		.pattern = option_text(OPTION_OUTPUT),
		.session = place.session,
		.start_realtime_ns = place.start_realtime_ns,
		.pid = (uint64_t)os_getpid(),
		.program = place.program,
	};
	ssize_t length = readlink("/proc/self/exe", place.program, sizeof(place.program) - 1);
	errmsg error;

	place.program[length > 0 ? length : 0] = '\0';
	names.program = basename_of(place.program);
	if (!getcwd(place.cwd, sizeof(place.cwd)))
		log_format(place.cwd, sizeof(place.cwd), "/");
	error = output_expand(&names, place.base, sizeof(place.base));
	if (error)
		return error;
	log_format(place.recording, sizeof(place.recording), "%s%s", place.base, RECORDING_SUFFIX);
	if (access(place.recording, F_OK) == 0)
		log_format(place.recording, sizeof(place.recording), "%s.%08x%s", place.base,
			   (unsigned)place.session, RECORDING_SUFFIX);
	return NULL;
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
