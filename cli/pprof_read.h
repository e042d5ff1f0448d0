/*
 * pprof_read.h - profile.proto back into facts: as much of it as a report needs.
 *
 * Any bytes are survived.  Hooks get comments and sample types first, then mappings, functions, every sample.
 */
#ifndef PPROF_READ_H
#define PPROF_READ_H

#include "prof.h"

struct pprof_label {
	const char *key;
	const char *text; /* "" of a number */
	uint64_t number;
	const char *unit;
};

struct pprof_mapping {
	uint64_t start, end, offset;
	const char *file, *build_id;
};

struct pprof_function {
	const char *name, *file;
	const char *library; /* of the first mapping that has code of it, "" for none */
	uint64_t line;
};

struct pprof_frame {
	uint32_t function, mapping; /* what the hooks answered; 0: not known */
	uint64_t line, address;
};

struct pprof_sample {
	const struct pprof_frame *frames; /* leaf first */
	size_t depth;
	const uint64_t *values; /* one for each sample type */
	const struct pprof_label *labels;
	size_t label_count;
};

struct pprof_hooks {
	void (*comment)(void *self, const char *text);
	void (*span)(void *self, uint64_t time_ns, uint64_t duration_ns);
	void (*sample_type)(void *self, const char *type, const char *unit, bool is_default);
	uint32_t (*mapping)(void *self, const struct pprof_mapping *mapping);
	uint32_t (*function)(void *self, const struct pprof_function *function);
	void (*sample)(void *self, const struct pprof_sample *sample);
};

/* Read a profile, gzipped or not; NULL, or why it cannot be read. tool */
errmsg pprof_read(const void *bytes, size_t size_bytes, const struct pprof_hooks *hooks,
		  void *self);

#endif
