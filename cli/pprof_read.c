/*
 * pprof_read.c - profile.proto, in two passes.
 *
 *   first   strings, mappings, functions, locations, sample types: the tables, in whatever order they come
 *   second  each sample, its locations looked up
 *
 * Ids need not be dense in files of others; they are interned.  What the tables hold is bounded by the
 * bytes that were read, and what gzip may unpack to by a limit.
 */
#include "pprof_read.h"

#include "heap.h"
#include "intern.h"
#include "wire.h"

#include <string.h>
#include <zlib.h>

#define GZIP_MAGIC "\x1f\x8b"
#define GZIP_WINDOW (15 + 16)
#define UNPACKED_MOST ((size_t)1 << 30)
#define PIECE_BYTES ((size_t)64 << 10)
#define STACK_MOST ((size_t)1 << 16)
#define TYPES_MOST 64
#define LABELS_MOST 64 /* of one sample; what is more is not looked at */

enum {
	SAMPLE_TYPE = 1,
	SAMPLE,
	MAPPING,
	LOCATION,
	FUNCTION,
	STRING,
	TIME = 9,
	DURATION,
	COMMENT = 13,
	DEFAULT_TYPE
};

/* An array that grows by whole items. */
struct array {
	void *items;
	size_t count, capacity;
};

/* The numbers of a message, by field. */
struct numbers {
	uint64_t field[7];
};

struct mapping {
	uint64_t start, end, offset, file, build_id; /* file and build_id: indexes of strings */
	uint32_t row; /* what the hook answered */
};

struct location {
	size_t first_line, line_count; /* in lines */
	uint64_t mapping, address; /* mapping: its id in the file */
};

struct function {
	uint64_t name, file, line; /* name and file: indexes of strings */
	uint32_t mapping; /* index + 1; 0: of none */
	uint32_t row; /* what the hook answered */
};

struct line {
	uint64_t function, line; /* function: its id in the file */
};

struct type {
	uint64_t type, unit;
};

struct pprof_file {
	const struct pprof_hooks *hooks;
	void *self;
	bool failed; /* no memory */
	struct intern strings; /* copies that end with NUL */
	struct intern mapping_ids, function_ids, location_ids; /* id in the file -> index + 1 */
	struct array string_ids; /* uint32_t of strings, by index */
	struct array mappings, functions, locations;
	struct array lines;
	struct array comments; /* uint64_t */
	struct type types[TYPES_MOST];
	size_t type_count;
	uint64_t time_ns, duration_ns, default_type;
	struct array stack; /* struct pprof_frame */
	uint64_t values[TYPES_MOST];
	struct pprof_label labels[LABELS_MOST];
	size_t label_count;
};

static errmsg unpack(const void *bytes, size_t size_bytes, struct wire_buffer *plain);
static errmsg inflate_all(z_stream *stream, struct wire_buffer *plain);
static errmsg read_plain(struct pprof_file *file, const void *bytes, size_t size_bytes);
static void read_table(struct pprof_file *file, struct wire_field *field);
static void read_type(struct pprof_file *file, struct wire_cursor cursor);
static void read_string(struct pprof_file *file, const struct wire_cursor *cursor);
static void read_mapping(struct pprof_file *file, struct wire_cursor cursor);
static void read_function(struct pprof_file *file, struct wire_cursor cursor);
static void read_location(struct pprof_file *file, struct wire_cursor cursor);
static struct line read_line(struct wire_cursor cursor);
static struct numbers read_numbers(struct wire_cursor cursor);
static void *add_new(struct pprof_file *file, struct intern *ids, uint64_t id, struct array *array,
		     size_t item_bytes);
static void *add(struct pprof_file *file, struct array *array, size_t item_bytes);
static void tell_tables(struct pprof_file *file);
static void tell_mappings(struct pprof_file *file);
static void find_libraries(struct pprof_file *file);
static void tell_functions(struct pprof_file *file);
static const char *string_at(const struct pprof_file *file, uint64_t index);
static bool read_sample(struct pprof_file *file, struct wire_cursor cursor);
static bool read_stack(struct pprof_file *file, struct wire_field *field);
static void push_location(struct pprof_file *file, uint64_t id);
static uint32_t mapping_index(const struct pprof_file *file, uint64_t id);
static uint32_t function_index(const struct pprof_file *file, uint64_t id);
static bool read_values(struct pprof_file *file, struct wire_field *field, size_t *count);
static void read_label(struct pprof_file *file, struct wire_cursor cursor);
static void release(struct pprof_file *file);

static const char damaged[] = "not a profile that pprof would read";

errmsg pprof_read(const void *bytes, size_t size_bytes, const struct pprof_hooks *hooks, void *self)
{
	struct pprof_file *file = heap_zalloc(sizeof(*file));
	struct wire_buffer plain = { 0 };
	errmsg error = file ? NULL : "no memory";

	if (!error && size_bytes >= 2 && memcmp(bytes, GZIP_MAGIC, 2) == 0) {
		error = unpack(bytes, size_bytes, &plain);
		bytes = plain.bytes;
		size_bytes = plain.size;
	}
	if (!error) {
		file->hooks = hooks;
		file->self = self;
		error = read_plain(file, bytes, size_bytes);
	}
	if (file)
		release(file);
	wire_release(&plain);
	return error;
}

static errmsg unpack(const void *bytes, size_t size_bytes, struct wire_buffer *plain)
{
	z_stream stream = { 0 };
	errmsg error = NULL;

	if (size_bytes > UINT32_MAX)
		return "too big";
	if (inflateInit2(&stream, GZIP_WINDOW) != Z_OK)
		return "no memory";
	stream.next_in = (uint8_t *)(uintptr_t)bytes;
	stream.avail_in = (unsigned)size_bytes;
	/* Members may follow each other. */
	while (!error && stream.avail_in > 0) {
		error = inflate_all(&stream, plain);
		inflateReset(&stream);
	}
	inflateEnd(&stream);
	return error;
}

static errmsg inflate_all(z_stream *stream, struct wire_buffer *plain)
{
	static uint8_t piece[PIECE_BYTES];
	int status = Z_OK;

	while (status == Z_OK) {
		stream->next_out = piece;
		stream->avail_out = sizeof(piece);
		status = inflate(stream, Z_NO_FLUSH);
		wire_put(plain, piece, sizeof(piece) - stream->avail_out);
		if (plain->failed || plain->size > UNPACKED_MOST)
			return "too big";
	}
	return status == Z_STREAM_END ? NULL : "its gzip stream is damaged";
}

static errmsg read_plain(struct pprof_file *file, const void *bytes, size_t size_bytes)
{
	struct wire_cursor cursor = wire_cursor(bytes, size_bytes);
	struct wire_field field;

	while (wire_next_field(&cursor, &field))
		read_table(file, &field);
	if (file->failed)
		return "no memory";
	if (cursor.failed || string_at(file, 0)[0] != '\0')
		return damaged;
	tell_tables(file);
	cursor = wire_cursor(bytes, size_bytes);
	while (wire_next_field(&cursor, &field))
		if (field.number == SAMPLE &&
		    (file->type_count == 0 || !read_sample(file, field.bytes)))
			return file->failed ? "no memory" : damaged;
	return NULL;
}

static void read_table(struct pprof_file *file, struct wire_field *field)
{
	uint64_t *comment;

	switch (field->number) {
	case SAMPLE_TYPE:
		read_type(file, field->bytes);
		break;
	case MAPPING:
		read_mapping(file, field->bytes);
		break;
	case LOCATION:
		read_location(file, field->bytes);
		break;
	case FUNCTION:
		read_function(file, field->bytes);
		break;
	case STRING:
		read_string(file, &field->bytes);
		break;
	case TIME:
		file->time_ns = field->value;
		break;
	case DURATION:
		file->duration_ns = field->value;
		break;
	case COMMENT:
		comment = add(file, &file->comments, sizeof(*comment));
		if (comment)
			*comment = field->value;
		break;
	case DEFAULT_TYPE:
		file->default_type = field->value;
		break;
	default:
		break;
	}
}

static void read_type(struct pprof_file *file, struct wire_cursor cursor)
{
	const struct numbers of = read_numbers(cursor);

	if (file->type_count < TYPES_MOST)
		file->types[file->type_count++] = (struct type){ of.field[1], of.field[2] };
}

static void read_string(struct pprof_file *file, const struct wire_cursor *cursor)
{
	uint32_t *id = add(file, &file->string_ids, sizeof(*id));

	if (!id)
		return;
	*id = intern_put(&file->strings, cursor->at, wire_left(cursor), NULL);
	file->failed |= *id == 0;
}

static void read_mapping(struct pprof_file *file, struct wire_cursor cursor)
{
	const struct numbers of = read_numbers(cursor);
	struct mapping *mapping =
		add_new(file, &file->mapping_ids, of.field[1], &file->mappings, sizeof(*mapping));

	if (mapping)
		*mapping = (struct mapping){
			.start = of.field[2],
			.end = of.field[3],
			.offset = of.field[4],
			.file = of.field[5],
			.build_id = of.field[6],
		};
}

static void read_function(struct pprof_file *file, struct wire_cursor cursor)
{
	const struct numbers of = read_numbers(cursor);
	struct function *function = add_new(file, &file->function_ids, of.field[1],
					    &file->functions, sizeof(*function));

	if (function)
		*function = (struct function){
			.name = of.field[2],
			.file = of.field[4],
			.line = of.field[5],
		};
}

static void read_location(struct pprof_file *file, struct wire_cursor cursor)
{
	const struct numbers of = read_numbers(cursor);
	size_t first_line = file->lines.count;
	struct location *location;
	struct wire_field field;

	while (wire_next_field(&cursor, &field)) {
		struct line *line;

		if (field.number != 4)
			continue;
		line = add(file, &file->lines, sizeof(*line));
		if (line)
			*line = read_line(field.bytes);
	}
	location = add_new(file, &file->location_ids, of.field[1], &file->locations,
			   sizeof(*location));
	if (location)
		*location = (struct location){
			.first_line = first_line,
			.line_count = file->lines.count - first_line,
			.mapping = of.field[2],
			.address = of.field[3],
		};
}

static struct line read_line(struct wire_cursor cursor)
{
	const struct numbers of = read_numbers(cursor);

	return (struct line){ .function = of.field[1], .line = of.field[2] };
}

/* Of a field that comes twice the last holds. */
static struct numbers read_numbers(struct wire_cursor cursor)
{
	struct numbers of = { { 0 } };
	struct wire_field field;

	while (wire_next_field(&cursor, &field))
		if (field.number < PROF_COUNT(of.field))
			of.field[field.number] = field.value;
	return of;
}

/* NULL: the id is known, its first row holds; or no memory. */
static void *add_new(struct pprof_file *file, struct intern *ids, uint64_t id, struct array *array,
		     size_t item_bytes)
{
	bool fresh = false;

	if (intern_put(ids, &id, sizeof(id), &fresh) == 0)
		file->failed = true;
	return fresh ? add(file, array, item_bytes) : NULL;
}

static void *add(struct pprof_file *file, struct array *array, size_t item_bytes)
{
	if (!heap_grow(&array->items, &array->capacity, array->count + 1, item_bytes)) {
		file->failed = true;
		return NULL;
	}
	return (char *)array->items + array->count++ * item_bytes;
}

static void tell_tables(struct pprof_file *file)
{
	const uint64_t *comments = file->comments.items;

	for (size_t i = 0; i < file->comments.count; i++)
		file->hooks->comment(file->self, string_at(file, comments[i]));
	file->hooks->span(file->self, file->time_ns, file->duration_ns);
	for (size_t i = 0; i < file->type_count; i++) {
		const struct type *type = &file->types[i];

		file->hooks->sample_type(
			file->self, string_at(file, type->type), string_at(file, type->unit),
			file->default_type != 0 && type->type == file->default_type);
	}
	tell_mappings(file);
	find_libraries(file);
	tell_functions(file);
}

static void tell_mappings(struct pprof_file *file)
{
	struct mapping *mappings = file->mappings.items;

	for (size_t i = 0; i < file->mappings.count; i++) {
		const struct pprof_mapping mapping = {
			.start = mappings[i].start,
			.end = mappings[i].end,
			.offset = mappings[i].offset,
			.file = string_at(file, mappings[i].file),
			.build_id = string_at(file, mappings[i].build_id),
		};

		mappings[i].row = file->hooks->mapping(file->self, &mapping);
	}
}

/* A function does not say where it is, but its locations do. */
static void find_libraries(struct pprof_file *file)
{
	const struct location *locations = file->locations.items;
	const struct line *lines = file->lines.items;
	struct function *functions = file->functions.items;

	for (size_t i = 0; i < file->locations.count; i++) {
		const struct location *at = &locations[i];

		for (size_t line = at->first_line; line < at->first_line + at->line_count; line++) {
			uint32_t function = function_index(file, lines[line].function);

			if (function && functions[function - 1].mapping == 0)
				functions[function - 1].mapping = mapping_index(file, at->mapping);
		}
	}
}

static void tell_functions(struct pprof_file *file)
{
	const struct mapping *mappings = file->mappings.items;
	struct function *functions = file->functions.items;

	for (size_t i = 0; i < file->functions.count; i++) {
		uint32_t mapping = functions[i].mapping;
		const struct pprof_function function = {
			.name = string_at(file, functions[i].name),
			.file = string_at(file, functions[i].file),
			.library = mapping ? string_at(file, mappings[mapping - 1].file) : "",
			.line = functions[i].line,
		};

		functions[i].row = file->hooks->function(file->self, &function);
	}
}

static const char *string_at(const struct pprof_file *file, uint64_t index)
{
	const uint32_t *ids = file->string_ids.items;

	return index < file->string_ids.count ? intern_get(&file->strings, ids[index], NULL) : "?";
}

static bool read_sample(struct pprof_file *file, struct wire_cursor cursor)
{
	size_t value_count = 0;
	struct wire_field field;

	file->stack.count = 0;
	file->label_count = 0;
	while (wire_next_field(&cursor, &field)) {
		if (field.number == 1 && !read_stack(file, &field))
			return false;
		if (field.number == 2 && !read_values(file, &field, &value_count))
			return false;
		if (field.number == 3 && file->label_count < LABELS_MOST)
			read_label(file, field.bytes);
	}
	if (cursor.failed || file->failed || value_count != file->type_count)
		return false;
	file->hooks->sample(file->self, &(struct pprof_sample){
						.frames = file->stack.items,
						.depth = file->stack.count,
						.values = file->values,
						.labels = file->labels,
						.label_count = file->label_count,
					});
	return true;
}

/* Location ids, packed or one by one. */
static bool read_stack(struct pprof_file *file, struct wire_field *field)
{
	if (field->type == WIRE_VARINT)
		push_location(file, field->value);
	while (wire_left(&field->bytes) > 0 && file->stack.count < STACK_MOST)
		push_location(file, wire_get_varint(&field->bytes));
	return !field->bytes.failed && !file->failed && file->stack.count < STACK_MOST;
}

/* All functions of a location, inlined ones first; what is not known is a frame without a name. */
static void push_location(struct pprof_file *file, uint64_t id)
{
	uint32_t index = intern_find(&file->location_ids, &id, sizeof(id));
	const struct location *location;
	uint32_t mapping;

	if (index == 0)
		return;
	location = (const struct location *)file->locations.items + (index - 1);
	mapping = mapping_index(file, location->mapping);
	if (mapping)
		mapping = ((const struct mapping *)file->mappings.items)[mapping - 1].row;
	for (size_t i = 0; i < location->line_count && file->stack.count < STACK_MOST; i++) {
		const struct function *functions = file->functions.items;
		const struct line *lines = file->lines.items;
		const struct line *line = &lines[location->first_line + i];
		uint32_t function = function_index(file, line->function);
		struct pprof_frame *frame = add(file, &file->stack, sizeof(*frame));

		if (frame)
			*frame = (struct pprof_frame){
				.function = function ? functions[function - 1].row : 0,
				.mapping = mapping,
				.line = line->line,
				.address = location->address,
			};
	}
}

/* Index + 1; 0: there is none of this id. */
static uint32_t mapping_index(const struct pprof_file *file, uint64_t id)
{
	return intern_find(&file->mapping_ids, &id, sizeof(id));
}

static uint32_t function_index(const struct pprof_file *file, uint64_t id)
{
	return intern_find(&file->function_ids, &id, sizeof(id));
}

static bool read_values(struct pprof_file *file, struct wire_field *field, size_t *count)
{
	if (field->type == WIRE_VARINT && *count < TYPES_MOST)
		file->values[(*count)++] = field->value;
	while (wire_left(&field->bytes) > 0 && *count < TYPES_MOST)
		file->values[(*count)++] = wire_get_varint(&field->bytes);
	return !field->bytes.failed && wire_left(&field->bytes) == 0;
}

static void read_label(struct pprof_file *file, struct wire_cursor cursor)
{
	const struct numbers of = read_numbers(cursor);

	file->labels[file->label_count++] = (struct pprof_label){
		.key = string_at(file, of.field[1]),
		.text = string_at(file, of.field[2]),
		.number = of.field[3],
		.unit = string_at(file, of.field[4]),
	};
}

static void release(struct pprof_file *file)
{
	intern_release(&file->strings);
	intern_release(&file->mapping_ids);
	intern_release(&file->function_ids);
	intern_release(&file->location_ids);
	heap_free(file->string_ids.items);
	heap_free(file->mappings.items);
	heap_free(file->functions.items);
	heap_free(file->locations.items);
	heap_free(file->lines.items);
	heap_free(file->comments.items);
	heap_free(file->stack.items);
	heap_free(file);
}
