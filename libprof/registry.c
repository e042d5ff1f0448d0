/*
 * registry.c - the hooks of collectors and exporters, expanded from their tables.
 */
#include "registry.h"

#define COLLECTOR(name, help) extern const struct collector_hooks name##_collector;
#include "../collectors/collectors.def"
#undef COLLECTOR

#define EXPORTER(name, suffix, help) extern const struct exporter_hooks name##_exporter;
#include "../exporters/exporters.def"
#undef EXPORTER

const struct collector registry_collectors[] = {
#define COLLECTOR(name, help) { #name, help, &name##_collector },
#include "../collectors/collectors.def"
#undef COLLECTOR
};

const struct exporter registry_exporters[] = {
#define EXPORTER(name, suffix, help) { #name, suffix, help, &name##_exporter },
#include "../exporters/exporters.def"
#undef EXPORTER
	{ NULL, NULL, NULL, NULL },
};
