/*
 * fuzz_pprof.c - any bytes as a pprof file, through the command's reader into its table.
 */
#include "../../cli/pprof_read.c"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

struct seen {
	uint32_t functions, mappings;
	size_t types;
	uint64_t value;
};

static void take_comment(void *self, const char *text)
{
	struct seen *seen = self;

	seen->value += strlen(text);
}

static void take_span(void *self, uint64_t time_ns, uint64_t duration_ns)
{
	struct seen *seen = self;

	seen->value += time_ns ^ duration_ns;
}

static void take_type(void *self, const char *type, const char *unit, bool is_default)
{
	struct seen *seen = self;

	seen->types++;
	seen->value += strlen(type) + strlen(unit) + is_default;
}

static uint32_t take_mapping(void *self, const struct pprof_mapping *mapping)
{
	struct seen *seen = self;

	seen->value += strlen(mapping->file) + strlen(mapping->build_id) + mapping->start +
		       mapping->end + mapping->offset;
	return ++seen->mappings;
}

static uint32_t take_function(void *self, const struct pprof_function *function)
{
	struct seen *seen = self;

	seen->value += strlen(function->name) + strlen(function->file) + strlen(function->library) +
		       function->line;
	return ++seen->functions;
}

static void take_sample(void *self, const struct pprof_sample *sample)
{
	struct seen *seen = self;

	for (size_t i = 0; i < sample->depth; i++)
		if (sample->frames[i].function > seen->functions ||
		    sample->frames[i].mapping > seen->mappings)
			abort();
	for (size_t i = 0; i < seen->types; i++)
		seen->value += sample->values[i];
	for (size_t i = 0; i < sample->label_count; i++) {
		const struct pprof_label *label = &sample->labels[i];

		seen->value += strlen(label->key) + strlen(label->text) + strlen(label->unit) +
			       label->number;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	static const struct pprof_hooks hooks = {
		.comment = take_comment,
		.span = take_span,
		.sample_type = take_type,
		.mapping = take_mapping,
		.function = take_function,
		.sample = take_sample,
	};
	struct seen seen = { 0 };

	pprof_read(data, size_bytes, &hooks, &seen);
	return 0;
}
