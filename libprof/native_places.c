/*
 * native_places.c - addresses in native code, named.
 *
 *   pc, time --> the mapped piece --> (serial, pc) --> function, name --> frame of the recording
 *
 * Functions begin where unwind tables or symbols say.  One without a name is shown by its library and where in it the
 * function begins, and is never given the nearest name.
 */
#include "native_places.h"

#include "heap.h"
#include "intern.h"
#include "log.h"
#include "native.h"
#include "options.h"
#include "pyapi.h"
#include "unwind.h"

#include <string.h>

#define NAME_BYTES 4096
#define PLACES_MOST 100000

/* Key of the cache, without padding. */
struct key {
	uint64_t pc;
	uint64_t serial; /* of the mapped piece */
};

struct row {
	struct native_place place;
	uint32_t frame; /* of the recording; 0: not yet */
};

static struct {
	struct intern keys;
	struct row *rows; /* by key id - 1 */
	size_t row_capacity;
	uint32_t *mappings; /* of the recording, by serial - 1; 0: not yet */
	size_t mapping_count, mapping_capacity;
	char name[NAME_BYTES];
} places;

static const struct map *find(uint64_t pc, uint64_t time_ns);
static struct row *row_find(const struct map *map, uint64_t pc);
static void describe(const struct map *map, uint64_t pc, struct native_place *place);
static bool is_interpreter(const struct map *map);
static bool is_own(const char *name);
static uint32_t frame_new(struct recording *recording, const struct map *map, uint64_t pc,
			  const struct native_place *place);
static void name_function(const struct map *map, uint64_t pc, const struct native_place *place);
static uint32_t mapping_number(struct recording *recording, const struct map *map);

const struct native_place *native_place_find(uint64_t pc, uint64_t time_ns)
{
	static const struct native_place nowhere;
	const struct map *map = find(pc, time_ns);
	struct row *row = map ? row_find(map, pc) : NULL;

	return row ? &row->place : &nowhere;
}

uint32_t native_place(struct recording *recording, uintptr_t pc, uint64_t time_ns)
{
	const struct map *map = find(pc, time_ns);
	struct row *row = map ? row_find(map, pc) : NULL;

	if (!row)
		return 0;
	if (!row->frame)
		row->frame = frame_new(recording, map, pc, &row->place);
	return row->frame;
}

void native_forget_frames(void)
{
	for (size_t i = 0; i < places.keys.count; i++)
		places.rows[i].frame = 0;
}

void native_forget_mappings(void)
{
	native_forget_frames();
	places.mapping_count = 0;
}

void native_places_forget(void)
{
	intern_release(&places.keys);
}

void native_places_release(void)
{
	intern_release(&places.keys);
	heap_free(places.rows);
	heap_free(places.mappings);
	memset(&places, 0, sizeof(places));
}

/* A file that is no ELF file holds generated code. */
static const struct map *find(uint64_t pc, uint64_t time_ns)
{
	const struct map *map = maps_find(pc, time_ns);

	return map && map->has_header ? map : NULL;
}

static struct row *row_find(const struct map *map, uint64_t pc)
{
	struct key key = { pc, map->serial };
	bool is_fresh;
	uint32_t id;

	if (places.keys.count >= PLACES_MOST)
		native_places_forget();
	/* Room before the key: a key without its row would be found again. */
	if (!heap_grow((void **)&places.rows, &places.row_capacity, places.keys.count + 1,
		       sizeof(*places.rows)))
		return NULL;
	id = intern_put(&places.keys, &key, sizeof(key), &is_fresh);
	if (!id)
		return NULL;
	if (is_fresh) {
		places.rows[id - 1] = (struct row){ 0 };
		describe(map, pc, &places.rows[id - 1].place);
	}
	return &places.rows[id - 1];
}

static void describe(const struct map *map, uint64_t pc, struct native_place *place)
{
	struct elf_symbol symbol;

	place->is_known = true;
	place->map = map->serial;
	place->is_libc = strstr(map->file, "/libc.so") || strstr(map->file, "/libc-");
	place->function = unwind_function(pc);
	place->is_nameless = !maps_function(map, pc, &symbol);
	if (place->is_nameless)
		return;
	if (!place->function)
		place->function = symbol.begin;
	place->is_own = option_number(OPTION_NATIVE_HIDE) &&
			(place->is_libc || is_interpreter(map)) && is_own(symbol.name);
}

/* The file that CPython's functions are in, or an executable that does no more than call them: others may call theirs
   the same. */
static bool is_interpreter(const struct map *map)
{
	const struct map *python = maps_find((uintptr_t)py.Py_IsInitialized, UINT64_MAX);
	const char *name = strrchr(map->file, '/');

	return (python && strcmp(python->file, map->file) == 0) ||
	       (name && strncmp(name, "/python3", strlen("/python3")) == 0);
}

static bool is_own(const char *name)
{
	static const char *const own[] = {
#define OWN(name) #name,
#include "native_own.def"
#undef OWN
	};
	size_t length = strcspn(name, ".");

	for (size_t i = 0; i < PROF_COUNT(own); i++) {
		if (strlen(own[i]) == length && memcmp(own[i], name, length) == 0)
			return true;
	}
	return false;
}

static uint32_t frame_new(struct recording *recording, const struct map *map, uint64_t pc,
			  const struct native_place *place)
{
	struct recording_function function = {
		.module = "",
		.name = places.name,
		.file = map->file,
		.file_bytes = strlen(map->file),
		.kind = RECORDING_NATIVE,
	};
	uint32_t mapping = mapping_number(recording, map);

	name_function(map, pc, place);
	function.name_bytes = strlen(places.name);
	if (!mapping)
		return 0;
	return recording_put_place(recording, recording_put_function(recording, &function), mapping,
				   pc);
}

static void name_function(const struct map *map, uint64_t pc, const struct native_place *place)
{
	const char *file = strrchr(map->file, '/');
	struct elf_symbol symbol;

	if (maps_function(map, pc, &symbol))
		log_format(places.name, NAME_BYTES, "%s", symbol.name);
	else
		log_format(
			places.name, NAME_BYTES, "[%s+0x%llx]", file ? file + 1 : map->file,
			(unsigned long long)((place->function ? place->function : pc) - map->base));
}

/* Said to each recording once. */
static uint32_t mapping_number(struct recording *recording, const struct map *map)
{
	struct recording_mapping mapping = { map->start, map->end, map->offset, map->file,
					     map->build_id };

	if (!heap_grow((void **)&places.mappings, &places.mapping_capacity, map->serial,
		       sizeof(*places.mappings)))
		return 0;
	for (; places.mapping_count < map->serial; places.mapping_count++)
		places.mappings[places.mapping_count] = 0;
	if (!places.mappings[map->serial - 1])
		places.mappings[map->serial - 1] = recording_put_mapping(recording, &mapping);
	return places.mappings[map->serial - 1];
}
