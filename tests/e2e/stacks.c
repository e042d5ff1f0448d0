/*
 * stacks.c - see stacks.h.  `pprof -raw` is, in this order:
 *
 *   Comment: ...
 *   Samples:
 *   samples/count cpu/nanoseconds[dflt]
 *            1   10000000: 2 1                      leaf first, by location
 *                   thread_name:[MainThread]
 *                   pid:[12 id] thread_id:[12 id]
 *   Locations
 *        1: 0x0 M=2 app.main /tmp/app.py:6:0 s=4()  :0 is the column, which old ones do not show
 *   Mappings
 *   1: 0x0/0x0/0x0 [python]  [FN][FL][LN]
 */
#include "stacks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void read_collapsed(struct stacks *stacks, char *text);
static void read_raw(struct stacks *stacks, char *text);
static void read_location(struct stacks *stacks, char *line);
static void read_sample(struct stacks *stacks, char *line);
static void read_labels(struct stack *stack, const char *line);
static void resolve(struct stacks *stacks);
static struct stack *add_stack(struct stacks *stacks);
static void add_frame(struct stack *stack, struct stacks_frame *frame);
static struct stacks_frame *frame_at(struct stacks *stacks, size_t id);
static void *grow(void *array, size_t count, size_t item_bytes);

struct stacks *stacks_read(struct run *run, const char *path)
{
	struct stacks *stacks = calloc(1, sizeof(*stacks));
	size_t length;
	char *text;

	RUN_CHECK(run, path && stacks && access(path, R_OK) == 0, "there is no profile %s",
		  path ? path : "");
	length = strlen(path);
	if (length > 10 && strcmp(path + length - 10, ".collapsed") == 0) {
		text = run_read(run, path);
		RUN_CHECK(run, text, "%s cannot be read", path);
		read_collapsed(stacks, run_text(run, "%s", text));
	} else {
		read_raw(stacks, run_text(run, "%s", run_pprof(run, "-raw", path)));
		resolve(stacks);
	}
	RUN_CHECK(run, stacks->count, "%s holds no stack", path);
	return stacks;
}

void stacks_free(struct stacks *stacks)
{
	for (size_t i = 0; i < stacks->count; i++)
		free(stacks->stacks[i].frames);
	for (size_t i = 0; i < stacks->frame_count; i++) {
		if (stacks->frames[i]) {
			free(stacks->frames[i]->name);
			free(stacks->frames[i]->file);
		}
		free(stacks->frames[i]);
	}
	free(stacks->stacks);
	free(stacks->frames);
	free(stacks->comments);
	free(stacks->mappings);
	free(stacks->sample_types);
	free(stacks);
}

/* "module.name (file:line);... N" */
static void read_collapsed(struct stacks *stacks, char *text)
{
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		struct stack *stack = add_stack(stacks);
		char *space = strrchr(line, ' '), *end, *next;

		cr_assert(space, "not a collapsed stack: %s", line);
		stack->value = strtoull(space + 1, &end, 10);
		cr_assert(!*end && end > space + 1, "no integer at the end: %s", line);
		*space = '\0';
		for (; line; line = next) {
			struct stacks_frame *frame = frame_at(stacks, stacks->frame_count);
			char *file, *colon = NULL;

			next = strchr(line, ';');
			if (next)
				*next++ = '\0';
			file = strrchr(line, '(');
			if (file && file > line && file[-1] == ' ') {
				colon = strrchr(file, ':');
				file[-1] = '\0';
			}
			frame->name = strdup(line);
			frame->file = strndup(colon ? file + 1 : "",
					      colon ? (size_t)(colon - file - 1) : 0);
			frame->line = colon ? (unsigned)atoi(colon + 1) : 0;
			add_frame(stack, frame);
		}
	}
}

static void read_raw(struct stacks *stacks, char *text)
{
	enum { HEAD, TYPES, SAMPLES, LOCATIONS, MAPPINGS } part = HEAD;
	char *line, *next;

	stacks->comments = strdup("");
	stacks->mappings = strdup("");
	for (line = text; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (strcmp(line, "Samples:") == 0) {
			part = TYPES;
		} else if (strcmp(line, "Locations") == 0) {
			part = LOCATIONS;
		} else if (strcmp(line, "Mappings") == 0) {
			part = MAPPINGS;
		} else if (part == TYPES) {
			stacks->sample_types = strdup(line);
			part = SAMPLES;
		} else if (part == SAMPLES) {
			read_sample(stacks, line);
		} else if (part == LOCATIONS) {
			read_location(stacks, line);
		} else {
			char **list = part == HEAD ? &stacks->comments : &stacks->mappings;
			char *longer;

			cr_assert(asprintf(&longer, "%s%s\n", *list, line) >= 0);
			free(*list);
			*list = longer;
		}
	}
	cr_assert(part == MAPPINGS, "pprof -raw ended early");
}

/* A line of labels begins with 16 spaces; one of values has a colon after two numbers, or one for both. */
static void read_sample(struct stacks *stacks, char *line)
{
	struct stack *stack;
	char *at = line;

	if (strncmp(line, "                ", 16) == 0 && strchr(line, '[')) {
		cr_assert(stacks->count, "labels before a sample: %s", line);
		read_labels(&stacks->stacks[stacks->count - 1], line);
		return;
	}
	stack = add_stack(stacks);
	stack->count = strtoull(at, &at, 10);
	stack->value = *at == ':' ? stack->count : strtoull(at, &at, 10);
	cr_assert(*at == ':', "not a sample of one or two values: %s", line);
	for (at++; *at && strcmp(at, " ") != 0;) {
		size_t id = strtoul(at, &at, 10);

		add_frame(stack, frame_at(stacks, id));
	}
	/* leaf first there, root first here */
	for (size_t i = 0; i < stack->depth / 2; i++) {
		struct stacks_frame *other = stack->frames[i];

		stack->frames[i] = stack->frames[stack->depth - 1 - i];
		stack->frames[stack->depth - 1 - i] = other;
	}
}

static void read_labels(struct stack *stack, const char *line)
{
	const char *at = strstr(line, "thread_name:["), *end;

	if (at) {
		at += strlen("thread_name:[");
		end = strstr(at, "] ");
		snprintf(stack->thread_name, sizeof(stack->thread_name), "%.*s",
			 (int)(end ? end - at : (long)strlen(at) - 1), at);
	}
	at = strstr(line, "thread_id:[");
	if (at)
		stack->thread_id = strtoull(at + strlen("thread_id:["), NULL, 10);
	at = strstr(line, "pid:[");
	if (at)
		stack->pid = strtoull(at + strlen("pid:["), NULL, 10);
}

static void read_location(struct stacks *stacks, char *line)
{
	struct stacks_frame *frame = frame_at(stacks, strtoul(line, &line, 10));
	char *first = strstr(line, " s="), *next;
	unsigned numbers[2] = { 0, 0 }, count = 0;
	char *name = strstr(line, "M=");

	cr_assert(name && first, "a location without mapping, name or start line: %s", line);
	name += strcspn(name, " ") + 1;
	for (; (next = strstr(first + 1, " s=")); first = next)
		;
	frame->first_line = (unsigned)atoi(first + 3);
	*first = '\0';
	/* ":line" or ":line:column" */
	for (char *colon; count < 2 && (colon = strrchr(name, ':')); count++) {
		if (strspn(colon + 1, "0123456789") != strlen(colon + 1) || !colon[1])
			break;
		numbers[count] = (unsigned)atoi(colon + 1);
		*colon = '\0';
	}
	frame->line = count == 2 ? numbers[1] : numbers[0];
	/* A marker has spaces in its name and no file; a file may have spaces, a name has none. */
	next = name[0] == '[' ? strchr(name, ']') : strchr(name, ' ');
	if (next && name[0] == '[')
		next++;
	cr_assert(next && *next == ' ', "a location without a file: %s", name);
	*next++ = '\0';
	frame->name = strdup(name);
	frame->file = strdup(next);
}

/* Every location that a sample names has been listed. */
static void resolve(struct stacks *stacks)
{
	for (size_t i = 0; i < stacks->frame_count; i++)
		cr_assert(!stacks->frames[i] || stacks->frames[i]->name,
			  "a sample has location %zu, which is not listed", i);
}

static struct stack *add_stack(struct stacks *stacks)
{
	stacks->stacks = grow(stacks->stacks, stacks->count, sizeof(*stacks->stacks));
	memset(&stacks->stacks[stacks->count], 0, sizeof(*stacks->stacks));
	return &stacks->stacks[stacks->count++];
}

static void add_frame(struct stack *stack, struct stacks_frame *frame)
{
	stack->frames = grow(stack->frames, stack->depth, sizeof(*stack->frames));
	stack->frames[stack->depth++] = frame;
}

/* The frame of an id, made on first use. */
static struct stacks_frame *frame_at(struct stacks *stacks, size_t id)
{
	cr_assert(id < 10000000, "location id %zu", id);
	while (stacks->frame_count <= id) {
		stacks->frames = grow(stacks->frames, stacks->frame_count, sizeof(*stacks->frames));
		stacks->frames[stacks->frame_count++] = NULL;
	}
	if (!stacks->frames[id])
		stacks->frames[id] = calloc(1, sizeof(*stacks->frames[id]));
	return stacks->frames[id];
}

/* Room for one more: doubled whenever the count is a power of two. */
static void *grow(void *array, size_t count, size_t item_bytes)
{
	if (count & (count - 1))
		return array;
	array = realloc(array, (count ? count * 2 : 1) * item_bytes);
	cr_assert_not_null(array);
	return array;
}

bool stacks_is(const struct stacks_frame *frame, const char *function)
{
	size_t length = strlen(frame->name), wanted = strlen(function);

	return length >= wanted && strcmp(frame->name + length - wanted, function) == 0 &&
	       (length == wanted || frame->name[length - wanted - 1] == '.');
}

uint64_t stacks_total(const struct stacks *stacks)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < stacks->count; i++)
		sum += stacks->stacks[i].value;
	return sum;
}

uint64_t stacks_with(const struct stacks *stacks, const char *function)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < stacks->count; i++) {
		const struct stack *stack = &stacks->stacks[i];
		size_t at = 0;

		while (at < stack->depth && !stacks_is(stack->frames[at], function))
			at++;
		if (at < stack->depth)
			sum += stack->value;
	}
	return sum;
}

uint64_t stacks_self(const struct stacks *stacks, const char *function)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < stacks->count; i++) {
		const struct stack *stack = &stacks->stacks[i];

		if (stack->depth && stacks_is(stack->frames[stack->depth - 1], function))
			sum += stack->value;
	}
	return sum;
}

uint64_t stacks_under(const struct stacks *stacks, const char *caller, const char *callee)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < stacks->count; i++) {
		const struct stack *stack = &stacks->stacks[i];
		bool is_under = false, is_both = false;

		for (size_t at = 0; at < stack->depth && !is_both; at++) {
			is_both = is_under && stacks_is(stack->frames[at], callee);
			is_under = is_under || stacks_is(stack->frames[at], caller);
		}
		sum += is_both ? stack->value : 0;
	}
	return sum;
}

uint64_t stacks_leaf(const struct stacks *stacks, const char *caller, const char *callee)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < stacks->count; i++) {
		const struct stack *stack = &stacks->stacks[i];
		bool is_under = false;

		for (size_t at = 0; at + 1 < stack->depth; at++)
			is_under = is_under || stacks_is(stack->frames[at], caller);
		if (is_under && stacks_is(stack->frames[stack->depth - 1], callee))
			sum += stack->value;
	}
	return sum;
}

uint64_t stacks_of_thread(const struct stacks *stacks, const char *thread_name)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < stacks->count; i++)
		sum += strcmp(stacks->stacks[i].thread_name, thread_name) ? 0 :
									    stacks->stacks[i].value;
	return sum;
}

size_t stacks_threads(const struct stacks *stacks)
{
	size_t threads = 0;

	for (size_t i = 0; i < stacks->count; i++) {
		size_t before = 0;

		while (stacks->stacks[before].thread_id != stacks->stacks[i].thread_id)
			before++;
		threads += before == i;
	}
	return threads;
}

size_t stacks_depth(const struct stacks *stacks)
{
	size_t depth = 0;

	for (size_t i = 0; i < stacks->count; i++)
		depth = stacks->stacks[i].depth > depth ? stacks->stacks[i].depth : depth;
	return depth;
}

static uint64_t value_of(const struct stacks *stacks, const struct stacks_frame *frame)
{
	uint64_t value = 0;

	for (size_t i = 0; i < stacks->count; i++) {
		const struct stack *stack = &stacks->stacks[i];

		for (size_t at = 0; at < stack->depth; at++)
			value += stack->frames[at] == frame ? stack->value : 0;
	}
	return value;
}

const struct stacks_frame *stacks_frame(const struct stacks *stacks, const char *function)
{
	const struct stacks_frame *hottest = NULL;
	uint64_t most = 0;

	for (size_t i = 0; i < stacks->frame_count; i++) {
		const struct stacks_frame *frame = stacks->frames[i];
		uint64_t value;

		if (!frame || !stacks_is(frame, function))
			continue;
		value = value_of(stacks, frame);
		if (!hottest || value > most) {
			hottest = frame;
			most = value;
		}
	}
	return hottest;
}

const char *stacks_names(struct run *run, const struct stacks *stacks)
{
	char *text = run_text(run, "%zu stacks, %llu ns:", stacks->count,
			      (unsigned long long)stacks_total(stacks));
	unsigned shown = 0;

	for (size_t i = 0; i < stacks->frame_count && shown < 60; i++) {
		const struct stacks_frame *frame = stacks->frames[i];

		if (frame && ++shown)
			text = run_text(run, "%s\n    %s (%s:%u, first %u)", text, frame->name,
					frame->file, frame->line, frame->first_line);
	}
	return text;
}
