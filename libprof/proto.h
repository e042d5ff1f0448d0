/*
 * proto.h - a protobuf message on its way to a sink: fields, messages inside it, a table of strings.
 *
 *   proto_field, proto_bytes  ->  message  --proto_end(field)-->  sink
 *              inner messages  ->  inner  --proto_end_inner(field)--^
 *
 * One outer message is written to the sink as it is made; of each message inside it there is one at a time,
 * and in that one again.  Strings are said once, at the end, and referred to by index; "" is index 0.
 * Failures latch.
 */
#ifndef PROTO_H
#define PROTO_H

#include "intern.h"
#include "prof.h"
#include "sink.h"
#include "wire.h"

struct proto {
	struct sink *sink;
	struct wire_buffer message, inner; /* that are being made */
	struct intern strings; /* the id is the index */
	bool failed; /* no memory */
};

/* Ids from 1 without a gap, in order of first use, for the rows of a table that are used. */
struct proto_ids {
	uint32_t *ids; /* by number of the row - 1; 0: not used */
	uint32_t *rows; /* by id - 1 */
	uint32_t count;
};

/* All zero but for the sink is an empty message. drainer, tool */
void proto_release(struct proto *proto);
/* What is in `message` becomes a field of the outer one. drainer, tool */
void proto_end(struct proto *proto, uint32_t field);
/* What is in `inner` becomes a field of `message`. drainer, tool */
void proto_end_inner(struct proto *proto, uint32_t field);
/* A number as a field of the outer message, zero too. drainer, tool */
void proto_number(struct proto *proto, uint32_t field, uint64_t value);
/* Index of a string; 0 for "" and when there is no memory. drainer, tool */
uint64_t proto_string(struct proto *proto, const char *text);
/* Every string in the order of its index, each as this field of the outer message. drainer, tool */
void proto_strings(struct proto *proto, uint32_t field);
/* Text piece by piece, in `inner`; its end gives the index of the whole. drainer, tool */
void proto_text(struct proto *proto, const char *text);
uint64_t proto_text_end(struct proto *proto);

/* For a table of row_count rows; false: no memory. drainer, tool */
bool proto_ids_init(struct proto_ids *ids, size_t row_count);
void proto_ids_release(struct proto_ids *ids);
/* No row is used any more. drainer, tool */
void proto_ids_clear(struct proto_ids *ids);
/* The id of a row, which is numbered from 1. drainer, tool */
uint32_t proto_id(struct proto_ids *ids, uint32_t row);

#endif
