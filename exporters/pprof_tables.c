/*
 * pprof_tables.c - Mappings, Locations, Functions.
 *
 *   frame of native code   ->  Location in the library's Mapping, at its address; a Line with the function's name
 *   any other frame        ->  Location in "[python]", at no address; a Line with function and line
 *
 * The executable is the first Mapping, for viewers take its name for the profile's, and "[python]", which holds all Python
 * code, the last.  Mappings that are equal, of processes that were forked, say, are one.
 */
#include "pprof.h"

#include <string.h>

enum mapping_field {
	MAPPING_ID = 1,
	MAPPING_MEMORY_START,
	MAPPING_MEMORY_LIMIT,
	MAPPING_FILE_OFFSET,
	MAPPING_FILENAME,
	MAPPING_BUILD_ID,
	MAPPING_HAS_FUNCTIONS,
	MAPPING_HAS_FILENAMES,
	MAPPING_HAS_LINE_NUMBERS,
};
enum location_field { LOCATION_ID = 1, LOCATION_MAPPING_ID, LOCATION_ADDRESS, LOCATION_LINE };
enum line_field { LINE_FUNCTION_ID = 1, LINE_LINE };
enum function_field {
	FUNCTION_ID = 1,
	FUNCTION_NAME,
	FUNCTION_SYSTEM_NAME,
	FUNCTION_FILENAME,
	FUNCTION_START_LINE
};

/* What is known of the code in a Mapping. */
enum names { NAMES_UNUSED, NAMES_ALL, NAMES_SOME };

/* What makes Mappings equal. */
struct mapping_key {
	uint64_t start, end, offset;
	uint32_t file, build_id;
};

struct tables {
	struct pprof *pprof;
	struct intern keys; /* mapping_key -> id of the Mapping */
	uint32_t *mappings; /* id of the Mapping, by index in the profile */
	uint8_t *names; /* by id of the Mapping */
};

static bool make_mappings(struct tables *tables);
static uint32_t mapping_id(struct tables *tables, const struct profile_mapping *mapping);
static void find_names(struct tables *tables);
static void write_mappings(struct tables *tables);
static void write_mapping(struct tables *tables, uint32_t id);
static void write_python_mapping(struct tables *tables);
static void write_locations(struct tables *tables);
static void write_functions(struct pprof *pprof);
static const char *name_of(const struct pprof *pprof, uint32_t function);

void pprof_write_tables(struct pprof *pprof)
{
	struct tables tables = { .pprof = pprof };

	if (make_mappings(&tables)) {
		find_names(&tables);
		write_mappings(&tables);
		write_locations(&tables);
		write_functions(pprof);
	} else {
		pprof->proto.failed = true;
	}
	intern_release(&tables.keys);
	heap_free(tables.mappings);
	heap_free(tables.names);
}

/* The executable's is there, whatever was recorded. False: no memory. */
static bool make_mappings(struct tables *tables)
{
	const struct profile *profile = tables->pprof->profile;
	struct profile_mapping program = {
		.file = profile->process_count ? profile->processes[0].program : 0,
	};
	const struct profile_mapping *first = &program;
	size_t count = profile->mapping_count;
	bool is_done;

	for (size_t i = count; i-- > 0;)
		if (profile->mappings[i].file == program.file)
			first = &profile->mappings[i];
	tables->mappings = heap_zalloc((count + 1) * sizeof(*tables->mappings));
	tables->names = heap_zalloc(count + 2);
	is_done = tables->mappings && tables->names;
	if (is_done && (first != &program || program.file != 0))
		is_done = mapping_id(tables, first) != 0;
	for (size_t i = 0; is_done && i < count; i++) {
		tables->mappings[i] = mapping_id(tables, &profile->mappings[i]);
		is_done = tables->mappings[i] != 0;
	}
	return is_done;
}

static uint32_t mapping_id(struct tables *tables, const struct profile_mapping *mapping)
{
	struct mapping_key key = { mapping->start, mapping->end, mapping->offset, mapping->file,
				   mapping->build_id };

	return intern_put(&tables->keys, &key, sizeof(key), NULL);
}

static void find_names(struct tables *tables)
{
	const struct pprof *pprof = tables->pprof;

	for (uint32_t i = 0; i < pprof->locations.count; i++) {
		const struct profile_frame *frame =
			&pprof->profile->frames[pprof->locations.rows[i] - 1];
		uint8_t *names =
			&tables->names[frame->mapping ? tables->mappings[frame->mapping - 1] : 0];

		if (name_of(pprof, frame->function)[0] == '[')
			*names = NAMES_SOME;
		else if (*names == NAMES_UNUSED)
			*names = NAMES_ALL;
	}
}

static void write_mappings(struct tables *tables)
{
	for (uint32_t id = 1; id <= tables->keys.count; id++)
		write_mapping(tables, id);
	write_python_mapping(tables);
}

/* What says that it has functions is as it was recorded; pprof looks for the others' in the file, if it is there, which
   is better than no name at all. */
static void write_mapping(struct tables *tables, uint32_t id)
{
	const struct mapping_key *key = intern_get(&tables->keys, id, NULL);
	const struct profile *profile = tables->pprof->profile;
	struct proto *proto = &tables->pprof->proto;

	wire_put_field(&proto->message, MAPPING_ID, id);
	wire_put_field(&proto->message, MAPPING_MEMORY_START, key->start);
	wire_put_field(&proto->message, MAPPING_MEMORY_LIMIT, key->end);
	wire_put_field(&proto->message, MAPPING_FILE_OFFSET, key->offset);
	wire_put_field(&proto->message, MAPPING_FILENAME,
		       proto_string(proto, profile_string(profile, key->file)));
	wire_put_field(&proto->message, MAPPING_BUILD_ID,
		       proto_string(proto, profile_string(profile, key->build_id)));
	wire_put_field(&proto->message, MAPPING_HAS_FUNCTIONS, tables->names[id] == NAMES_ALL);
	proto_end(proto, PROFILE_MAPPING);
}

static void write_python_mapping(struct tables *tables)
{
	struct proto *proto = &tables->pprof->proto;

	wire_put_field(&proto->message, MAPPING_ID, tables->keys.count + 1);
	wire_put_field(&proto->message, MAPPING_FILENAME, proto_string(proto, "[python]"));
	wire_put_field(&proto->message, MAPPING_HAS_FUNCTIONS, true);
	wire_put_field(&proto->message, MAPPING_HAS_FILENAMES, true);
	wire_put_field(&proto->message, MAPPING_HAS_LINE_NUMBERS, true);
	proto_end(proto, PROFILE_MAPPING);
}

static void write_locations(struct tables *tables)
{
	struct pprof *pprof = tables->pprof;
	struct proto *proto = &pprof->proto;

	for (uint32_t i = 0; i < pprof->locations.count; i++) {
		const struct profile_frame *frame =
			&pprof->profile->frames[pprof->locations.rows[i] - 1];

		wire_put_field(&proto->message, LOCATION_ID, i + 1);
		wire_put_field(&proto->message, LOCATION_MAPPING_ID,
			       frame->mapping ? tables->mappings[frame->mapping - 1] :
						tables->keys.count + 1);
		wire_put_field(&proto->message, LOCATION_ADDRESS, frame->address);
		wire_put_field(&proto->inner, LINE_FUNCTION_ID,
			       proto_id(&pprof->functions, frame->function));
		wire_put_field(&proto->inner, LINE_LINE, frame->line);
		proto_end_inner(proto, LOCATION_LINE);
		proto_end(proto, PROFILE_LOCATION);
	}
}

/* A system name is what pprof demangles: it would make "<module>" nothing. A library is no source file. */
static void write_functions(struct pprof *pprof)
{
	const struct profile *profile = pprof->profile;
	struct proto *proto = &pprof->proto;

	for (uint32_t i = 0; i < pprof->functions.count; i++) {
		const struct profile_function *function =
			&profile->functions[pprof->functions.rows[i] - 1];
		const char *name = name_of(pprof, pprof->functions.rows[i]);
		bool is_native = profile_origin(profile, function) == PROFILE_NATIVE;

		wire_put_field(&proto->message, FUNCTION_ID, i + 1);
		wire_put_field(&proto->message, FUNCTION_NAME, proto_string(proto, name));
		if (is_native && strncmp(name, "_Z", 2) == 0)
			wire_put_field(&proto->message, FUNCTION_SYSTEM_NAME,
				       proto_string(proto, name));
		if (!is_native)
			wire_put_field(&proto->message, FUNCTION_FILENAME,
				       proto_string(proto,
						    profile_string(profile, function->file)));
		wire_put_field(&proto->message, FUNCTION_START_LINE, function->first_line);
		proto_end(proto, PROFILE_FUNCTION);
	}
}

static const char *name_of(const struct pprof *pprof, uint32_t function)
{
	return profile_string(pprof->profile, pprof->profile->functions[function - 1].full);
}
