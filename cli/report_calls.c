/*
 * report_calls.c - monprof report --calls, --callers, --callees.
 *
 *   recordings    -> profile: metrics `calls` and `time` of the collector `calls`
 *   a pprof file  -> pprof_read: its sample types `calls` and `time`, labels `duration` and `error`
 *                    -> calls.c
 *
 * For callers and callees of a function all is read twice: its name is looked up in what the first reading
 * found.
 */
#include "calls.h"
#include "pprof_read.h"
#include "report.h"
#include "table.h"

#include <stdio.h>
#include <string.h>

#define COLLECTOR "calls"
#define COUNT "calls"
#define TIME "time"
#define NONE UINT32_MAX

struct source {
	struct calls calls;
	uint64_t duration_ns;

	/* recordings */
	struct profile *profile;
	uint32_t *functions; /* row's id by profile's id - 1; 0: not asked yet */
	uint32_t *stack; /* one of RECORDING_DEPTH_MAX */

	/* a pprof file */
	struct wire_buffer bytes, comments; /* texts with their NUL */
	uint32_t type_count;
	bool read_before; /* comments have been taken */

	uint32_t count,
		time; /* metrics of the profile, or values of its samples; NONE: there is none */
};

static errmsg read_stacks(struct source *source);
static errmsg read_profile(struct source *source);
static uint32_t find_metric(const struct profile *profile, const char *name);
static size_t find_stack(struct source *source, uint32_t node);
static uint32_t find_function(struct source *source, uint32_t function);
static errmsg read_pprof(struct source *source);
static void take_comment(void *self, const char *text);
static void take_span(void *self, uint64_t time_ns, uint64_t duration_ns);
static void take_type(void *self, const char *type, const char *unit, bool is_default);
static uint32_t take_function(void *self, const char *name, const char *file, uint64_t line);
static void take_sample(void *self, const struct pprof_sample *sample);
static uint32_t class_of(uint64_t least_ns);
static void show(struct source *source, const struct report_wish *wish);
static void release(struct source *source);

int report_calls(const struct report_wish *wish)
{
	struct source source = { 0 };
	errmsg error = NULL;
	int status = CLI_GOOD;

	if (report_is_recording(wish->files[0])) {
		source.profile = report_sum(wish->files, wish->file_count);
		if (!source.profile)
			return CLI_FAILED;
	} else {
		error = report_read_file(wish->files[0], &source.bytes);
	}
	if (!error)
		error = read_stacks(&source);
	if (!error && wish->name) {
		if (!calls_ask(&source.calls, wish->side, wish->name))
			status = CLI_USAGE;
		else
			error = read_stacks(&source);
	}
	if (error)
		status = cli_fail(wish->files[0], error);
	if (status == CLI_GOOD)
		show(&source, wish);
	release(&source);
	return status;
}

static errmsg read_stacks(struct source *source)
{
	errmsg error = source->profile ? read_profile(source) : read_pprof(source);

	if (!error && source->calls.failed)
		error = "no memory";
	if (!error && (source->count == NONE || source->calls.stacks == 0))
		error = "there are no calls in it";
	source->read_before = true;
	return error;
}

static errmsg read_profile(struct source *source)
{
	const struct profile *profile = source->profile;

	source->count = find_metric(profile, COUNT);
	source->time = find_metric(profile, TIME);
	source->duration_ns = report_duration(profile);
	if (!source->functions)
		source->functions =
			heap_zalloc((profile->function_count + 1) * sizeof(*source->functions));
	if (!source->stack)
		source->stack = heap_alloc(RECORDING_DEPTH_MAX * sizeof(*source->stack));
	if (!source->functions || !source->stack)
		return "no memory";
	for (size_t i = 0; i < profile->sample_count && !source->calls.failed; i++) {
		const struct profile_sample *sample = &profile->samples[i];
		bool is_count = sample->metric == source->count;

		if (!is_count && sample->metric != source->time)
			continue;
		calls_stack(&source->calls, &(struct calls_stack){
						    .functions = source->stack,
						    .depth = find_stack(source, sample->node),
						    .calls = is_count ? sample->value : 0,
						    .time_ns = is_count ? 0 : sample->value,
						    .duration = sample->duration,
					    });
	}
	for (size_t i = 0; i < profile->error_count; i++)
		if (profile->errors[i].metric == source->count)
			calls_error(&source->calls,
				    find_function(source, profile->errors[i].function),
				    profile->errors[i].error);
	return NULL;
}

static uint32_t find_metric(const struct profile *profile, const char *name)
{
	for (size_t i = 0; i < profile->metric_count; i++)
		if (strcmp(profile_string(profile, profile->metrics[i].collector), COLLECTOR) ==
			    0 &&
		    strcmp(profile_string(profile, profile->metrics[i].name), name) == 0)
			return (uint32_t)i;
	return NONE;
}

/* The stack's functions, leaf first; how many. */
static size_t find_stack(struct source *source, uint32_t node)
{
	const struct profile *profile = source->profile;
	size_t depth = 0;

	while (node != 0) {
		const struct profile_node *at = &profile->nodes[node - 1];

		source->stack[depth++] =
			find_function(source, profile->frames[at->frame - 1].function);
		node = at->parent;
	}
	return depth;
}

static uint32_t find_function(struct source *source, uint32_t function)
{
	const struct profile *profile = source->profile;
	const struct profile_function *row = &profile->functions[function - 1];
	uint32_t *found = &source->functions[function - 1];

	if (*found == 0)
		*found = calls_function(&source->calls, profile_string(profile, row->full),
					profile_string(profile, row->file), row->first_line);
	return *found;
}

static errmsg read_pprof(struct source *source)
{
	static const struct pprof_hooks hooks = {
		.comment = take_comment,
		.span = take_span,
		.sample_type = take_type,
		.function = take_function,
		.sample = take_sample,
	};
	errmsg error;

	source->count = source->time = NONE;
	source->type_count = 0;
	error = pprof_read(source->bytes.bytes, source->bytes.size, &hooks, source);
	return !error && source->comments.failed ? "no memory" : error;
}

static void take_comment(void *self, const char *text)
{
	struct source *source = self;

	if (!source->read_before)
		wire_put(&source->comments, text, strlen(text) + 1);
}

static void take_span(void *self, uint64_t time_ns, uint64_t duration_ns)
{
	struct source *source = self;

	(void)time_ns;
	source->duration_ns = duration_ns;
}

static void take_type(void *self, const char *type, const char *unit, bool is_default)
{
	struct source *source = self;
	uint32_t index = source->type_count++;

	(void)is_default;
	if (strcmp(type, COUNT) == 0 && strcmp(unit, "count") == 0)
		source->count = index;
	else if (strcmp(type, TIME) == 0 && strcmp(unit, "nanoseconds") == 0)
		source->time = index;
}

static uint32_t take_function(void *self, const char *name, const char *file, uint64_t line)
{
	struct source *source = self;

	return calls_function(&source->calls, name, file, line);
}

static void take_sample(void *self, const struct pprof_sample *sample)
{
	struct source *source = self;
	struct calls_stack stack = { .functions = sample->functions, .depth = sample->depth };

	if (source->count == NONE || source->calls.failed)
		return;
	stack.calls = sample->values[source->count];
	stack.time_ns = source->time == NONE ? 0 : sample->values[source->time];
	for (size_t i = 0; i < sample->label_count; i++) {
		const struct pprof_label *label = &sample->labels[i];

		if (strcmp(label->key, "duration") == 0)
			stack.duration = class_of(label->number);
		else if (strcmp(label->key, "error") == 0 && sample->depth > 0)
			calls_error(&source->calls, sample->functions[0], (double)label->number);
	}
	calls_stack(&source->calls, &stack);
}

/* 2^(k-1) and up to 2^k belong to k. */
static uint32_t class_of(uint64_t least_ns)
{
	uint32_t class = 0;

	for (; least_ns > 0 && class < RECORDING_DURATION_MAX; least_ns >>= 1)
		class ++;
	return class;
}

static void show(struct source *source, const struct report_wish *wish)
{
	static const char *const titles[] = {
		[CALLS_ALL] = "\ncalls",
		[CALLS_CALLERS] = "\ncalls of ",
		[CALLS_CALLEES] = "\ncalls from ",
	};
	const char *comment = (const char *)source->comments.bytes;
	const char *end = comment + source->comments.size;
	char text[32];

	for (; comment < end; comment += strlen(comment) + 1)
		report_line(comment, "", "");
	if (source->profile)
		report_facts(source->profile);
	fputs(titles[source->calls.side], stdout);
	if (source->calls.asked)
		table_text(source->calls.asked, REPORT_COLUMNS_MOST);
	printf(": %llu", (unsigned long long)source->calls.calls);
	if (source->calls.side == CALLS_ALL && source->calls.has_times)
		printf(" in %s",
		       table_quantity(source->calls.time_ns, "nanoseconds", text, sizeof(text)));
	if (source->duration_ns > 0)
		printf(", over %s",
		       table_quantity(source->duration_ns, "nanoseconds", text, sizeof(text)));
	putchar('\n');
	calls_print(&source->calls, wish->rows, wish->width);
}

static void release(struct source *source)
{
	calls_release(&source->calls);
	profile_free(source->profile);
	heap_free(source->functions);
	heap_free(source->stack);
	wire_release(&source->bytes);
	wire_release(&source->comments);
}
