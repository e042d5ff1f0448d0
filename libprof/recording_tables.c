/*
 * recording_tables.c - what is new gets an id and a row.
 */
#include "recording_tables.h"

#include "heap.h"
#include "recording_block.h"
#include "recording_format.h"

struct function_key {
	uint32_t module, name, file, first_line, kind;
};

struct place_key {
	uint64_t address;
	uint32_t function, mapping;
};

static uint32_t put_string(struct recording_tables *tables, const char *bytes, size_t size_bytes,
			   bool *failed);
static bool keep_depth(struct recording_tables *tables, uint32_t parent);

uint32_t recording_tables_put_function(struct recording_tables *tables,
				       const struct recording_function *function)
{
	struct wire_buffer *section = &tables->sections[RECORDING_BLOCK_FUNCTIONS];
	bool fresh, failed = false;
	struct function_key key = {
		put_string(tables, function->module, function->module_bytes, &failed),
		put_string(tables, function->name, function->name_bytes, &failed),
		put_string(tables, function->file, function->file_bytes, &failed),
		function->first_line,
		function->kind,
	};
	uint32_t id = failed ? 0 : intern_put(&tables->functions, &key, sizeof(key), &fresh);

	if (id == 0 || !fresh)
		return id;
	wire_put_varint(section, key.module);
	wire_put_varint(section, key.name);
	wire_put_varint(section, key.file);
	wire_put_varint(section, key.first_line);
	wire_put_varint(section, key.kind);
	return id;
}

uint32_t recording_tables_put_frame(struct recording_tables *tables, uint32_t function,
				    uint32_t line)
{
	struct wire_buffer *section = &tables->sections[RECORDING_BLOCK_FRAMES];
	uint32_t id;
	bool fresh;

	if (function == 0 || function > tables->functions.count)
		return 0;
	id = pairs_put(&tables->frames, function, line, &fresh);
	if (id == 0 || !fresh)
		return id;
	wire_put_varint(section, function);
	wire_put_varint(section, line);
	return id;
}

/* To a reader that knows no places it is a frame of the function without a line. */
uint32_t recording_tables_put_place(struct recording_tables *tables, uint32_t function,
				    uint32_t mapping, uint64_t address)
{
	struct place_key key = { address, function, mapping };
	uint32_t place, id;
	bool fresh;

	if (function == 0 || function > tables->functions.count)
		return 0;
	place = intern_put(&tables->places, &key, sizeof(key), NULL);
	id = place ? pairs_put(&tables->frames, 0, place, &fresh) : 0;
	if (id == 0 || !fresh)
		return id;
	wire_put_varint(&tables->sections[RECORDING_BLOCK_FRAMES], function);
	wire_put_varint(&tables->sections[RECORDING_BLOCK_FRAMES], 0);
	wire_put_varint(&tables->sections[RECORDING_BLOCK_PLACES], id);
	wire_put_varint(&tables->sections[RECORDING_BLOCK_PLACES], mapping);
	wire_put_varint(&tables->sections[RECORDING_BLOCK_PLACES], address);
	return id;
}

uint32_t recording_tables_put_node(struct recording_tables *tables, uint32_t parent, uint32_t frame)
{
	struct wire_buffer *section = &tables->sections[RECORDING_BLOCK_NODES];
	uint32_t id;
	bool fresh;

	if (frame == 0 || frame > tables->frames.count || parent > tables->nodes.count)
		return 0;
	if (!keep_depth(tables, parent))
		return 0;
	id = pairs_put(&tables->nodes, parent, frame, &fresh);
	if (id == 0 || !fresh)
		return id;
	/* Parents are mostly the row before: the way back is a small number. */
	wire_put_varint(section, parent ? id - parent : 0);
	wire_put_varint(section, frame);
	return id;
}

size_t recording_tables_bytes(const struct recording_tables *tables)
{
	return tables->strings.bytes + tables->functions.bytes + tables->places.bytes +
	       pairs_bytes(&tables->frames) + pairs_bytes(&tables->nodes);
}

void recording_tables_clear(struct recording_tables *tables)
{
	intern_release(&tables->strings);
	intern_release(&tables->functions);
	intern_release(&tables->places);
	pairs_release(&tables->frames);
	pairs_release(&tables->nodes);
}

void recording_tables_release(struct recording_tables *tables)
{
	recording_tables_clear(tables);
	heap_free(tables->depths);
	tables->depths = NULL;
	tables->depth_capacity = 0;
}

/* 0 is the empty string, and what a failure gives. */
static uint32_t put_string(struct recording_tables *tables, const char *bytes, size_t size_bytes,
			   bool *failed)
{
	uint32_t id;
	bool fresh;

	if (size_bytes == 0)
		return 0;
	id = intern_put(&tables->strings, bytes, size_bytes, &fresh);
	if (id == 0)
		*failed = true;
	else if (fresh)
		recording_block_bytes(&tables->sections[RECORDING_BLOCK_STRINGS], bytes,
				      size_bytes);
	return id;
}

/* Note how deep the next new node would be; false if that is too deep. */
static bool keep_depth(struct recording_tables *tables, uint32_t parent)
{
	unsigned depth = parent ? tables->depths[parent - 1] + 1u : 1;
	void *depths = tables->depths;

	if (depth > RECORDING_DEPTH_MAX ||
	    !heap_grow(&depths, &tables->depth_capacity, (size_t)tables->nodes.count + 1,
		       sizeof(*tables->depths)))
		return false;
	tables->depths = depths;
	tables->depths[tables->nodes.count] = (uint16_t)depth;
	return true;
}
