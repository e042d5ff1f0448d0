/*
 * gecko_tables.c - the tables of a thread, of what it uses, and the libraries of all.
 *
 *   stackTable (frame, prefix) ---> frameTable (line, category) ---> funcTable ---> strings
 *                                                                        `--> resourceTable ---> libs
 *
 * Native code has a resource, its library, in place of a file.  The viewer has a switch between JavaScript and native
 * code, shown only where there are both: with native code in the file Python is what it calls JavaScript.
 */
#include "gecko.h"

#include <string.h>

#define RESOURCE_LIBRARY "1"

static void write_stack_table(struct gecko *gecko);
static void write_frame_table(struct gecko *gecko);
static void write_function_table(struct gecko *gecko);
static void put_is_script(struct gecko *gecko);
static void take_resources(struct gecko *gecko);
static void put_resources(struct gecko *gecko);
static void write_resource_table(struct gecko *gecko);
static void write_symbol_table(struct gecko *gecko);
static const char *library_file(const struct gecko *gecko, uint32_t library);
static const char *build_id_of(const struct profile *profile, uint32_t file);
static const struct profile_frame *frame_at(const struct gecko *gecko, uint32_t index);
static const struct profile_function *function_at(const struct gecko *gecko, uint32_t index);
static void put_line_or_null(struct gecko *gecko, uint32_t line);
static void put_string_or_null(struct gecko *gecko, uint32_t text);

bool gecko_find_libraries(struct gecko *gecko)
{
	const struct profile *profile = gecko->profile;
	bool is_done;

	gecko->library_of = heap_zalloc((profile->function_count + 1) * sizeof(*gecko->library_of));
	is_done = gecko->library_of != NULL;
	for (size_t i = 0; is_done && i < profile->function_count; i++) {
		const struct profile_function *row = &profile->functions[i];

		if (profile_origin(profile, row) != PROFILE_NATIVE)
			continue;
		gecko->library_of[i] =
			intern_put(&gecko->libraries, &row->file, sizeof(row->file), NULL);
		is_done = gecko->library_of[i] != 0;
	}
	return is_done && proto_ids_init(&gecko->resources, gecko->libraries.count);
}

void gecko_write_libraries(struct gecko *gecko)
{
	struct json *json = &gecko->json;

	json_key(json, "libs");
	json_begin(json, '[');
	for (uint32_t id = 1; id <= gecko->libraries.count; id++) {
		const uint32_t *file = intern_get(&gecko->libraries, id, NULL);
		const char *path = library_file(gecko, id), *name = profile_base_name(path);

		json_line(json);
		json_begin(json, '{');
		json_put_text(json, "arch", "");
		json_put_text(json, "name", name);
		json_put_text(json, "path", path);
		json_put_text(json, "debugName", name);
		json_put_text(json, "debugPath", path);
		json_put_text(json, "breakpadId", "");
		json_put_text(json, "codeId", build_id_of(gecko->profile, *file));
		json_end(json, '}');
	}
	json_end(json, ']');
}

void gecko_write_tables(struct gecko *gecko)
{
	take_resources(gecko);
	write_stack_table(gecko);
	write_frame_table(gecko);
	write_function_table(gecko);
	write_resource_table(gecko);
	write_symbol_table(gecko);
}

static void take_resources(struct gecko *gecko)
{
	proto_ids_clear(&gecko->resources);
	for (uint32_t i = 0; i < gecko->functions.count; i++) {
		uint32_t library = gecko->library_of[gecko->functions.rows[i] - 1];

		if (library)
			proto_id(&gecko->resources, library);
	}
}

static void write_stack_table(struct gecko *gecko)
{
	const struct profile *profile = gecko->profile;
	struct json *json = &gecko->json;

	json_line(json);
	json_key(json, "stackTable");
	json_begin(json, '{');
	json_key(json, "frame");
	json_begin(json, '[');
	for (uint32_t i = 0; i < gecko->nodes.count; i++)
		json_number(json,
			    gecko->frames.ids[profile->nodes[gecko->nodes.rows[i] - 1].frame - 1] -
				    1);
	json_end(json, ']');
	json_key(json, "prefix");
	json_begin(json, '[');
	for (uint32_t i = 0; i < gecko->nodes.count; i++) {
		uint32_t parent = profile->nodes[gecko->nodes.rows[i] - 1].parent;

		if (parent)
			json_number(json, gecko->nodes.ids[parent - 1] - 1);
		else
			json_word(json, "null");
	}
	json_end(json, ']');
	json_put_number(json, "length", gecko->nodes.count);
	json_end(json, '}');
}

static void write_frame_table(struct gecko *gecko)
{
	const struct profile *profile = gecko->profile;
	struct json *json = &gecko->json;
	uint32_t count = gecko->frames.count;

	json_line(json);
	json_key(json, "frameTable");
	json_begin(json, '{');
	gecko_put_same(gecko, "address", count, "-1");
	gecko_put_same(gecko, "inlineDepth", count, "0");
	json_key(json, "category");
	json_begin(json, '[');
	for (uint32_t i = 0; i < count; i++) {
		uint32_t function = frame_at(gecko, i)->function;

		json_number(json, profile_origin(profile, &profile->functions[function - 1]));
	}
	json_end(json, ']');
	gecko_put_same(gecko, "subcategory", count, "0");
	json_key(json, "func");
	json_begin(json, '[');
	for (uint32_t i = 0; i < count; i++)
		json_number(json, gecko->functions.ids[frame_at(gecko, i)->function - 1] - 1);
	json_end(json, ']');
	gecko_put_same(gecko, "nativeSymbol", count, "null");
	gecko_put_same(gecko, "innerWindowID", count, "null");
	json_key(json, "line");
	json_begin(json, '[');
	for (uint32_t i = 0; i < count; i++)
		put_line_or_null(gecko, frame_at(gecko, i)->line);
	json_end(json, ']');
	gecko_put_same(gecko, "column", count, "null");
	json_put_number(json, "length", count);
	json_end(json, '}');
}

static void write_function_table(struct gecko *gecko)
{
	struct json *json = &gecko->json;
	uint32_t count = gecko->functions.count;

	json_line(json);
	json_key(json, "funcTable");
	json_begin(json, '{');
	json_key(json, "name");
	json_begin(json, '[');
	for (uint32_t i = 0; i < count; i++)
		put_string_or_null(gecko, function_at(gecko, i)->full);
	json_end(json, ']');
	put_is_script(gecko);
	gecko_put_same(gecko, "relevantForJS", count, "false");
	put_resources(gecko);
	json_key(json, "fileName");
	json_begin(json, '[');
	for (uint32_t i = 0; i < count; i++)
		put_string_or_null(gecko, gecko->library_of[gecko->functions.rows[i] - 1] ?
						  0 :
						  function_at(gecko, i)->file);
	json_end(json, ']');
	json_key(json, "lineNumber");
	json_begin(json, '[');
	for (uint32_t i = 0; i < count; i++)
		put_line_or_null(gecko, function_at(gecko, i)->first_line);
	json_end(json, ']');
	gecko_put_same(gecko, "columnNumber", count, "null");
	json_put_number(json, "length", count);
	json_end(json, '}');
}

static void put_is_script(struct gecko *gecko)
{
	struct json *json = &gecko->json;

	json_key(json, "isJS");
	json_begin(json, '[');
	for (uint32_t i = 0; i < gecko->functions.count; i++) {
		bool is_python = function_at(gecko, i)->kind == RECORDING_PYTHON;

		json_word(json, is_python && gecko->libraries.count ? "true" : "false");
	}
	json_end(json, ']');
}

static void put_resources(struct gecko *gecko)
{
	struct json *json = &gecko->json;

	json_key(json, "resource");
	json_begin(json, '[');
	for (uint32_t i = 0; i < gecko->functions.count; i++) {
		uint32_t library = gecko->library_of[gecko->functions.rows[i] - 1];

		if (library)
			json_number(json, proto_id(&gecko->resources, library) - 1);
		else
			json_word(json, "-1");
	}
	json_end(json, ']');
}

static void write_resource_table(struct gecko *gecko)
{
	struct json *json = &gecko->json;
	uint32_t count = gecko->resources.count;

	json_key(json, "resourceTable");
	json_begin(json, '{');
	json_key(json, "lib");
	json_begin(json, '[');
	for (uint32_t i = 0; i < count; i++)
		json_number(json, gecko->resources.rows[i] - 1);
	json_end(json, ']');
	json_key(json, "name");
	json_begin(json, '[');
	for (uint32_t i = 0; i < count; i++)
		json_number(json, gecko_string(gecko, profile_base_name(library_file(
							      gecko, gecko->resources.rows[i]))));
	json_end(json, ']');
	gecko_put_same(gecko, "host", count, "null");
	gecko_put_same(gecko, "type", count, RESOURCE_LIBRARY);
	json_put_number(json, "length", count);
	json_end(json, '}');
}

/* The format wants it, and we have nothing of it. */
static void write_symbol_table(struct gecko *gecko)
{
	static const char *const columns[] = { "libIndex", "address", "name", "functionSize" };
	struct json *json = &gecko->json;

	json_key(json, "nativeSymbols");
	json_begin(json, '{');
	for (size_t i = 0; i < PROF_COUNT(columns); i++)
		gecko_put_names(json, columns[i], NULL);
	json_put_number(json, "length", 0);
	json_end(json, '}');
}

static const char *library_file(const struct gecko *gecko, uint32_t library)
{
	const uint32_t *file = intern_get(&gecko->libraries, library, NULL);

	return profile_string(gecko->profile, *file);
}

static const char *build_id_of(const struct profile *profile, uint32_t file)
{
	for (size_t i = 0; i < profile->mapping_count; i++)
		if (profile->mappings[i].file == file && profile->mappings[i].build_id)
			return profile_string(profile, profile->mappings[i].build_id);
	return "";
}

static const struct profile_frame *frame_at(const struct gecko *gecko, uint32_t index)
{
	return &gecko->profile->frames[gecko->frames.rows[index] - 1];
}

static const struct profile_function *function_at(const struct gecko *gecko, uint32_t index)
{
	return &gecko->profile->functions[gecko->functions.rows[index] - 1];
}

static void put_line_or_null(struct gecko *gecko, uint32_t line)
{
	if (line)
		json_number(&gecko->json, line);
	else
		json_word(&gecko->json, "null");
}

static void put_string_or_null(struct gecko *gecko, uint32_t text)
{
	if (text)
		json_number(&gecko->json,
			    gecko_string(gecko, profile_string(gecko->profile, text)));
	else
		json_word(&gecko->json, "null");
}
