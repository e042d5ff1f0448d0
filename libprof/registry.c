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

uint64_t registry_kernel_ns(uint32_t mask)
{
	uint64_t sum = 0;

	for (unsigned row = 0; row < COLLECTOR_COUNT; row++) {
		if (mask >> row & 1 && registry_collectors[row].hooks->kernel_ns)
			sum += registry_collectors[row].hooks->kernel_ns();
	}
	return sum;
}

uint64_t registry_remainder(uint32_t mask, enum metric metric, uint64_t own_ns)
{
	uint64_t sum = 0;

	for (unsigned row = 0; row < COLLECTOR_COUNT; row++) {
		if (mask >> row & 1 && registry_collectors[row].hooks->remainder)
			sum += registry_collectors[row].hooks->remainder(metric, own_ns);
	}
	return sum;
}
