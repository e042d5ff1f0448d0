/*
 * exporter.h - the door for exporters/: an exporter is a function from a profile to bytes.
 *
 * It knows no collector, no thread, no file name; it reads the profile, writes to the sink, and may
 * use heap.h.  One file, one row in exporters.def, one `const struct exporter_hooks NAME_exporter`.
 */
#ifndef EXPORTER_H
#define EXPORTER_H

#include "estimate.h"
#include "heap.h"
#include "json.h"
#include "log.h"
#include "pairs.h"
#include "prof.h"
#include "profile.h"
#include "proto.h"
#include "sink.h"
#include "sort.h"
#include "summary.h"
#include "table.h"
#include "wire.h"

struct exporter_settings {
	bool lines; /* MONPROF_LINES */
	const struct profile *base; /* what the profile is compared with; NULL: nothing */
};

struct exporter_hooks {
	bool gzip; /* the file is one gzip stream, made by the sink */
	bool points; /* it reads the profile's points: samples with their times */
	bool compares; /* it reads the settings' base; for others there is none */
	/*
	 * Write all samples of the measurement (the metrics whose collector string is `measurement`).
	 * Errors are latched in the sink. drainer, tool
	 */
	void (*write)(const struct profile *profile, uint32_t measurement,
		      const struct exporter_settings *settings, struct sink *sink);
};

struct exporter {
	const char *name, *suffix, *help;
	const struct exporter_hooks *hooks;
};

#endif
