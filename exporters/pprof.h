/*
 * pprof.h - what the parts of profile.proto share.
 */
#ifndef PPROF_H
#define PPROF_H

#include "exporter.h"

enum profile_field {
	PROFILE_SAMPLE_TYPE = 1,
	PROFILE_SAMPLE,
	PROFILE_MAPPING,
	PROFILE_LOCATION,
	PROFILE_FUNCTION,
	PROFILE_STRING_TABLE,
	PROFILE_TIME_NANOS = 9,
	PROFILE_DURATION_NANOS,
	PROFILE_PERIOD_TYPE,
	PROFILE_PERIOD,
	PROFILE_COMMENT,
	PROFILE_DEFAULT_SAMPLE_TYPE,
};

struct pprof {
	const struct profile *profile;
	uint32_t measurement;
	struct proto proto;

	struct intern labels;
	struct wire_buffer label_bytes; /* the fields of one id of them */
	uint32_t label_bytes_of; /* 0: of none yet */
	struct proto_ids functions, locations;
	struct column *columns; /* by metric */
	uint32_t column_count;
	uint64_t *values; /* one for each column */
	struct row *rows;
	size_t row_count;
	const struct profile_metric *main; /* what viewers show first */
	struct peak *peaks; /* by profile's function id - 1; NULL: nothing is known of errors */
};

/* Of pprof_tables.c: what the Locations that samples have brought refer to, and they. drainer, tool */
void pprof_write_tables(struct pprof *pprof);

#endif
