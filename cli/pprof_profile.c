/*
 * pprof_profile.c - hooks of pprof_read that fill the tables of a profile.
 */
#include "pprof_profile.h"

#include "heap.h"
#include "pairs.h"
#include "pprof_read.h"

#include <string.h>

#define NONE UINT32_MAX

struct sample_type {
	uint32_t name, unit; /* strings */
	uint32_t metric; /* NONE: it is the count of another one */
};

struct maker {
	struct profile *profile;
	struct wire_buffer *comments;
	struct sample_type *types;
	size_t type_count, type_capacity;
	uint32_t main, count; /* indexes of types; count NONE: there is none */
	bool has_default, has_metrics;
	uint64_t time_ns, duration_ns;

	struct intern processes, threads; /* by pid; by thread_key */
	struct intern frames; /* function, line, mapping, address */
	struct pairs nodes;
	size_t mapping_capacity, function_capacity, frame_capacity, node_capacity, process_capacity,
		thread_capacity, sample_capacity, error_capacity;
	bool failed; /* no memory */
};

/* What labels say of a sample. */
struct labels {
	uint64_t pid, tid;
	uint32_t name; /* of the thread, a string */
	uint32_t duration;
	double error;
};

static void take_comment(void *self, const char *text);
static void take_span(void *self, uint64_t time_ns, uint64_t duration_ns);
static void take_type(void *self, const char *type, const char *unit, bool is_default);
static void choose_type(struct maker *maker, uint32_t index, bool is_default);
static uint32_t take_mapping(void *self, const struct pprof_mapping *mapping);
static uint32_t take_function(void *self, const struct pprof_function *function);
static enum recording_function_kind kind_of(const struct pprof_function *function,
					    bool has_library);
static bool is_library(const char *file);
static uint32_t put_module(struct maker *maker, const char *name, const char *file);
static size_t frozen_bytes(const char *name, const char *file);
static size_t module_bytes(const char *name, const char *file);
static void take_sample(void *self, const struct pprof_sample *sample);
static void make_metrics(struct maker *maker);
static void add_metric(struct maker *maker, uint32_t type);
static struct labels read_labels(struct maker *maker, const struct pprof_sample *sample);
static uint32_t class_of(uint64_t least_ns);
static uint32_t find_thread(struct maker *maker, const struct labels *labels);
static uint32_t find_process(struct maker *maker, uint64_t pid);
static uint32_t find_node(struct maker *maker, const struct pprof_sample *sample);
static uint32_t find_frame(struct maker *maker, const struct pprof_frame *frame);
static void add_sample(struct maker *maker, const struct profile_sample *sample);
static void add_error(struct maker *maker, uint32_t node, double error);
static uint32_t put_text(struct maker *maker, const char *text, size_t size_bytes);
static void *add(struct maker *maker, void *items, size_t *capacity, size_t count,
		 size_t item_bytes);
static void release(struct maker *maker);

/* The next item of a table; NULL: no memory. */
#define ADD(maker, table, capacity, count)                                                     \
	__extension__({                                                                        \
		void *items_ = add(maker, table, &(maker)->capacity, count, sizeof(*(table))); \
                                                                                               \
		if (items_)                                                                    \
			(table) = items_;                                                      \
		items_ ? &(table)[(count)++] : NULL;                                           \
	})

errmsg pprof_profile(const void *bytes, size_t size_bytes, struct profile **profile,
		     struct wire_buffer *comments)
{
	static const struct pprof_hooks hooks = {
		.comment = take_comment,
		.span = take_span,
		.sample_type = take_type,
		.mapping = take_mapping,
		.function = take_function,
		.sample = take_sample,
	};
	struct maker maker = { .comments = comments, .main = NONE, .count = NONE };
	errmsg error;

	*profile = maker.profile = heap_zalloc(sizeof(**profile));
	if (!maker.profile)
		return "no memory";
	error = pprof_read(bytes, size_bytes, &hooks, &maker);
	if (!error && (maker.failed || comments->failed))
		error = "no memory";
	release(&maker);
	return error;
}

static void take_comment(void *self, const char *text)
{
	struct maker *maker = self;

	wire_put(maker->comments, text, strlen(text) + 1);
}

static void take_span(void *self, uint64_t time_ns, uint64_t duration_ns)
{
	struct maker *maker = self;

	maker->time_ns = time_ns;
	maker->duration_ns = duration_ns;
}

static void take_type(void *self, const char *type, const char *unit, bool is_default)
{
	struct maker *maker = self;
	uint32_t index = (uint32_t)maker->type_count;
	struct sample_type *row = ADD(maker, maker->types, type_capacity, maker->type_count);

	if (!row)
		return;
	*row = (struct sample_type){ put_text(maker, type, strlen(type)),
				     put_text(maker, unit, strlen(unit)), NONE };
	choose_type(maker, index, is_default);
}

/* Shown first is the default, else the last; the count before it is its own. */
static void choose_type(struct maker *maker, uint32_t index, bool is_default)
{
	const struct sample_type *before = index ? &maker->types[index - 1] : NULL;

	if (maker->has_default)
		return;
	maker->has_default = is_default;
	maker->main = index;
	maker->count = NONE;
	if (before && strcmp(profile_string(maker->profile, before->unit), "count") == 0)
		maker->count = index - 1;
}

/* Whose mapping it is does not stand there. 0: it is no file's, or no memory. */
static uint32_t take_mapping(void *self, const struct pprof_mapping *mapping)
{
	struct maker *maker = self;
	struct profile *profile = maker->profile;
	struct profile_mapping *row;

	if (!is_library(mapping->file))
		return 0;
	row = ADD(maker, profile->mappings, mapping_capacity, profile->mapping_count);
	if (!row)
		return 0;
	*row = (struct profile_mapping){
		.start = mapping->start,
		.end = mapping->end,
		.offset = mapping->offset,
		.file = put_text(maker, mapping->file, strlen(mapping->file)),
		.build_id = put_text(maker, mapping->build_id, strlen(mapping->build_id)),
	};
	return (uint32_t)profile->mapping_count;
}

/* "[python]" is where our own files have Python's code. */
static bool is_library(const char *file)
{
	return *file != '\0' && strcmp(file, "[python]") != 0;
}

/* Code without a source file is known by its library's. */
static uint32_t take_function(void *self, const struct pprof_function *function)
{
	const char *name = function->name;
	bool has_library = function->file[0] == '\0' && is_library(function->library);
	const char *file = has_library ? function->library : function->file;
	struct maker *maker = self;
	struct profile *profile = maker->profile;
	struct profile_function *row =
		ADD(maker, profile->functions, function_capacity, profile->function_count);

	if (!row)
		return 0;
	*row = (struct profile_function){
		.module = has_library ? 0 : put_module(maker, name, file),
		.name = put_text(maker, name, strlen(name)),
		.file = put_text(maker, file, strlen(file)),
		.full = put_text(maker, name, strlen(name)),
		.first_line = function->line > UINT32_MAX ? UINT32_MAX : (uint32_t)function->line,
		.kind = kind_of(function, has_library),
	};
	return (uint32_t)profile->function_count;
}

/* Native code may have a name such as "[libfoo.so+0x1234]". */
static enum recording_function_kind kind_of(const struct pprof_function *function, bool has_library)
{
	if (has_library)
		return RECORDING_NATIVE;
	if (function->name[0] == '[')
		return RECORDING_MARKER;
	return function->file[0] == '\0' ? RECORDING_NATIVE : RECORDING_PYTHON;
}

static uint32_t put_module(struct maker *maker, const char *name, const char *file)
{
	size_t bytes = frozen_bytes(name, file);

	return put_text(maker, name, bytes ? bytes : module_bytes(name, file));
}

/* "importlib._bootstrap._find_spec" of "<frozen importlib._bootstrap>", whose name is the module's; else 0. */
static size_t frozen_bytes(const char *name, const char *file)
{
	static const char frozen[] = "<frozen ";
	const char *module = file + sizeof(frozen) - 1;
	size_t bytes;

	if (strncmp(file, frozen, sizeof(frozen) - 1) != 0)
		return 0;
	bytes = strcspn(module, ">");
	return strncmp(name, module, bytes) == 0 && name[bytes] == '.' ? bytes : 0;
}

/* "json.decoder.JSONDecoder.decode" of ".../json/decoder.py" and "json.loads" of ".../json/__init__.py": up to
   the part that the file or its directory is named after; without a file the first part. */
static size_t module_bytes(const char *name, const char *file)
{
	const char *end = strrchr(file, '/'), *base = end ? end + 1 : file;
	size_t base_bytes = strcspn(base, ".");

	if (strcmp(base, "__init__.py") == 0 && end) {
		for (base = end; base > file && base[-1] != '/';)
			base--;
		base_bytes = (size_t)(end - base);
	}
	for (const char *part = name; base_bytes > 0; part++) {
		size_t part_bytes = strcspn(part, ".");

		if (part_bytes == base_bytes && memcmp(part, base, base_bytes) == 0 &&
		    part[part_bytes] == '.')
			return (size_t)(part - name) + part_bytes;
		part += part_bytes;
		if (*part == '\0')
			break;
	}
	return strchr(name, '.') ? strcspn(name, ".") : 0;
}

static void take_sample(void *self, const struct pprof_sample *sample)
{
	struct maker *maker = self;
	struct labels labels;
	struct profile_sample row = { 0 };

	make_metrics(maker);
	if (maker->failed)
		return;
	labels = read_labels(maker, sample);
	row.duration = labels.duration;
	row.thread = find_thread(maker, &labels);
	row.node = find_node(maker, sample);
	for (uint32_t i = 0; i < maker->type_count; i++) {
		if (maker->types[i].metric == NONE || (sample->values[i] == 0 && i != maker->main))
			continue;
		row.metric = maker->types[i].metric;
		row.value = sample->values[i];
		row.count =
			i == maker->main && maker->count != NONE ? sample->values[maker->count] : 0;
		add_sample(maker, &row);
	}
	if (labels.error > 0 && row.node != 0)
		add_error(maker, row.node, labels.error);
}

/* Once all sample types are known. */
static void make_metrics(struct maker *maker)
{
	if (maker->has_metrics)
		return;
	maker->has_metrics = true;
	maker->profile->metrics =
		heap_zalloc((maker->type_count + 1) * sizeof(*maker->profile->metrics));
	if (!maker->profile->metrics) {
		maker->failed = true;
		return;
	}
	add_metric(maker, maker->main);
	if (maker->count != NONE)
		maker->profile->metrics[0].count_name = maker->types[maker->count].name;
	for (uint32_t i = 0; i < maker->type_count; i++)
		if (i != maker->main && i != maker->count)
			add_metric(maker, i);
}

static void add_metric(struct maker *maker, uint32_t type)
{
	struct profile *profile = maker->profile;

	maker->types[type].metric = (uint32_t)profile->metric_count;
	profile->metrics[profile->metric_count++] = (struct profile_metric){
		.collector = maker->types[maker->main].name,
		.name = maker->types[type].name,
		.unit = maker->types[type].unit,
	};
}

static struct labels read_labels(struct maker *maker, const struct pprof_sample *sample)
{
	struct labels labels = { 0 };

	for (size_t i = 0; i < sample->label_count; i++) {
		const struct pprof_label *label = &sample->labels[i];

		if (strcmp(label->key, "pid") == 0)
			labels.pid = label->number;
		else if (strcmp(label->key, "thread_id") == 0)
			labels.tid = label->number;
		else if (strcmp(label->key, "thread_name") == 0)
			labels.name = put_text(maker, label->text, strlen(label->text));
		else if (strcmp(label->key, "duration") == 0)
			labels.duration = class_of(label->number);
		else if (strcmp(label->key, "error") == 0)
			labels.error = (double)label->number;
	}
	return labels;
}

/* 2^(k-1) and up to 2^k belong to k. */
static uint32_t class_of(uint64_t least_ns)
{
	uint32_t class = 0;

	for (; least_ns > 0 && class < RECORDING_DURATION_MAX; least_ns >>= 1)
		class ++;
	return class;
}

static uint32_t find_thread(struct maker *maker, const struct labels *labels)
{
	struct profile *profile = maker->profile;
	const uint64_t key[] = { labels->pid, labels->tid, labels->name };
	bool fresh = false;
	uint32_t id = intern_put(&maker->threads, key, sizeof(key), &fresh);
	struct profile_thread *row;

	if (id == 0)
		maker->failed = true;
	if (id == 0 || !fresh)
		return id ? id - 1 : 0;
	row = ADD(maker, profile->threads, thread_capacity, profile->thread_count);
	if (row)
		*row = (struct profile_thread){ .process = find_process(maker, labels->pid),
						.tid = labels->tid,
						.name = labels->name };
	return id - 1;
}

static uint32_t find_process(struct maker *maker, uint64_t pid)
{
	struct profile *profile = maker->profile;
	bool fresh = false;
	uint32_t id = intern_put(&maker->processes, &pid, sizeof(pid), &fresh);
	struct profile_process *row;

	if (id == 0)
		maker->failed = true;
	if (id == 0 || !fresh)
		return id ? id - 1 : 0;
	row = ADD(maker, profile->processes, process_capacity, profile->process_count);
	if (row)
		*row = (struct profile_process){ .pid = pid,
						 .start_realtime_ns = maker->time_ns,
						 .end_monotonic_ns = maker->duration_ns };
	return id - 1;
}

static uint32_t find_node(struct maker *maker, const struct pprof_sample *sample)
{
	struct profile *profile = maker->profile;
	uint32_t node = 0;

	for (size_t i = sample->depth; i-- > 0 && !maker->failed;) {
		struct profile_node row = { node, find_frame(maker, &sample->frames[i]) };
		struct profile_node *kept;
		bool fresh = false;

		if (row.frame == 0)
			continue;
		node = pairs_put(&maker->nodes, row.parent, row.frame, &fresh);
		if (node == 0)
			maker->failed = true;
		if (!fresh)
			continue;
		kept = ADD(maker, profile->nodes, node_capacity, profile->node_count);
		if (kept)
			*kept = row;
	}
	return node;
}

/* 0: of no function, or no memory. */
static uint32_t find_frame(struct maker *maker, const struct pprof_frame *frame)
{
	struct profile *profile = maker->profile;
	struct profile_frame row = {
		.function = frame->function,
		.line = frame->line > UINT32_MAX ? UINT32_MAX : (uint32_t)frame->line,
		.mapping = frame->mapping,
		.address = frame->mapping ? frame->address : 0,
	};
	const uint64_t key[] = { row.function, row.line, row.mapping, row.address };
	struct profile_frame *kept;
	bool fresh = false;
	uint32_t id;

	if (row.function == 0)
		return 0;
	id = intern_put(&maker->frames, key, sizeof(key), &fresh);
	if (id == 0)
		maker->failed = true;
	if (!fresh)
		return id;
	kept = ADD(maker, profile->frames, frame_capacity, profile->frame_count);
	if (kept)
		*kept = row;
	return id;
}

static void add_sample(struct maker *maker, const struct profile_sample *sample)
{
	struct profile *profile = maker->profile;
	struct profile_sample *row =
		ADD(maker, profile->samples, sample_capacity, profile->sample_count);

	if (row)
		*row = *sample;
}

static void add_error(struct maker *maker, uint32_t node, double error)
{
	struct profile *profile = maker->profile;
	struct profile_error *row =
		ADD(maker, profile->errors, error_capacity, profile->error_count);
	uint32_t frame = profile->nodes[node - 1].frame;

	if (row)
		*row = (struct profile_error){ .function = profile->frames[frame - 1].function,
					       .error = error };
}

static uint32_t put_text(struct maker *maker, const char *text, size_t size_bytes)
{
	uint32_t id = size_bytes ? intern_put(&maker->profile->strings, text, size_bytes, NULL) : 0;

	maker->failed |= id == 0 && size_bytes > 0;
	return id;
}

static void *add(struct maker *maker, void *items, size_t *capacity, size_t count,
		 size_t item_bytes)
{
	if (heap_grow(&items, capacity, count + 1, item_bytes))
		return items;
	maker->failed = true;
	return NULL;
}

static void release(struct maker *maker)
{
	heap_free(maker->types);
	intern_release(&maker->processes);
	intern_release(&maker->threads);
	intern_release(&maker->frames);
	pairs_release(&maker->nodes);
}
