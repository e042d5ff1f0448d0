/*
 * recording_tables.h - the ids of one epoch, for the writer of recordings.
 *
 *   strings <- functions <- frames <- nodes         (`a <- b`: rows of b name ids of a)
 *                  places --^
 *
 * Equal rows have one id; a new one is put into its section, too.  A place is a frame, of the same ids: its row says
 * where the frame of that id is.
 */
#ifndef RECORDING_TABLES_H
#define RECORDING_TABLES_H

#include "intern.h"
#include "pairs.h"
#include "recording.h"
#include "wire.h"

struct recording_tables {
	struct wire_buffer *sections; /* by type of block; the recording's */
	struct intern strings, functions, places;
	struct pairs frames, nodes; /* (function, line) or (0, place), (parent, frame) */
	uint16_t *depths; /* of nodes, by id - 1 */
	size_t depth_capacity;
};

/* As the functions of recording.h that end alike. drainer */
uint32_t recording_tables_put_function(struct recording_tables *tables,
				       const struct recording_function *function);
uint32_t recording_tables_put_frame(struct recording_tables *tables, uint32_t function,
				    uint32_t line);
uint32_t recording_tables_put_place(struct recording_tables *tables, uint32_t function,
				    uint32_t mapping, uint64_t address);
uint32_t recording_tables_put_node(struct recording_tables *tables, uint32_t parent,
				   uint32_t frame);
/* All memory that an epoch gives back. drainer */
size_t recording_tables_bytes(const struct recording_tables *tables);
/* Ids begin anew. drainer, tool */
void recording_tables_clear(struct recording_tables *tables);
/* drainer, tool */
void recording_tables_release(struct recording_tables *tables);

#endif
