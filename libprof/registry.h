/*
 * registry.h - the hooks of collectors and exporters; nothing else in the core names a plug-in.
 */
#ifndef REGISTRY_H
#define REGISTRY_H

#include "collector.h"
#include "exporter.h"

struct collector {
	const char *name, *help;
	const struct collector_hooks *hooks;
};

/* Rows by collector_id; COLLECTOR_COUNT of them. any */
extern const struct collector registry_collectors[];
/* Rows of exporters.def, ended by a NULL name. any */
extern const struct exporter registry_exporters[];

#endif
