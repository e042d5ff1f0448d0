/*
 * output.h - from a profile to files: names, formats, one file per measurement.
 *
 *   MONPROF_OUTPUT=monprof.%p   ->   monprof.1234 + .cpu + .pb.gz
 *
 * A name that is taken is never replaced: the session id (8 hex digits) then goes before the
 * measurement: monprof.1234.5f3a91c2.cpu.pb.gz; if that is taken too, -2 to -99 behind it.
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include "exporter.h"
#include "prof.h"
#include "profile.h"

struct output_names {
	const char *directory; /* absolute; relative patterns are taken from here */
	const char *pattern;
	uint64_t start_realtime_ns;
	uint64_t pid;
	unsigned sequence;
	const char *program;
};

#define OUTPUT_PATH_BYTES 4096

/* Expand a pattern into an absolute path without measurement and suffix: %p pid, %t start in seconds since
   the epoch, %h host, %n sequence, %e program, %% a percent sign; another %x is kept. NULL, or what is
   wrong. drainer, setup, tool */
errmsg output_expand(const struct output_names *names, char *path, size_t size_bytes);

/* Does the pattern have a %n? any */
bool output_counts(const char *pattern);

/* The measurement with samples that follows `previous` (0: the first); 0: no more. drainer, tool */
uint32_t output_measurement(const struct profile *profile, uint32_t previous);
/* The measurement with samples of this name, 0: there is none. drainer, tool */
uint32_t output_find(const struct profile *profile, const char *measurement);
/* Write one measurement to exactly this file, compared with what `base` has of it (NULL: nothing) if the format can.
   NULL, or what went wrong. drainer, tool */
errmsg output_write_file(const struct profile *profile, const struct profile *base,
			 const struct exporter *exporter, uint32_t measurement, const char *path);

/* A format of the mask needs the profile's points. drainer, tool */
bool output_needs_points(const struct exporter *exporters, uint64_t mask);

/* Called once for each file: its path, NULL or what went wrong. */
typedef void output_report(void *self, const char *path, errmsg error);

/* Which files to make, and whom to tell. */
struct output_files {
	const struct exporter *exporters;
	uint64_t mask; /* of formats: bit = row of exporters.def */
	const char *base;
	const struct profile *compared; /* as output_write_file's base */
	uint64_t session; /* of names, where one is taken */
	output_report *report;
	void *self; /* report's */
};

/* Write every measurement of the profile that has samples in each format of the mask to
   base + "." + measurement + suffix. Returns how many files failed. drainer, tool */
unsigned output_write(const struct profile *profile, const struct output_files *files);

#endif
