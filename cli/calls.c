/*
 * calls.c - add up, find a name, sort, line up.
 *
 * A row is a function, or in the tables of callers and callees the other end of a call.  Time of a row is its
 * own in the first, and with all that it called in the others.  Whatever is inclusive counts once a stack.
 */
#include "calls.h"

#include "cli.h"
#include "table.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

#define NUMBERS_COLUMNS 57 /* what stands before the function */
#define FUNCTION_COLUMNS 20 /* at least, however narrow the terminal */
#define CLASSES (RECORDING_DURATION_MAX + 1)
#define ROOT_OF_TWO 1.4142135623730951
#define NO_CALLER "[no caller]"

struct calls_row {
	const char *name, *file; /* in keys */
	uint64_t line;
	uint64_t calls, self_ns, total_ns;
	uint64_t classes[CLASSES]; /* calls by duration; those of class 0 are not known */
	double squares; /* of standard errors */
	uint64_t stamp; /* the last stack that it was in */
	bool asked; /* whose callers or callees are shown */
};

static void add_calls(struct calls *calls, uint32_t function, const struct calls_stack *stack);
static void add_total(struct calls *calls, uint32_t function, uint64_t time_ns);
static struct calls_row *row_of(const struct calls *calls, uint32_t function);
static bool is_asked(const struct calls *calls, uint32_t function);
static bool ends_in(const char *name, const char *end);
static bool refuse(struct calls *calls, enum calls_side side, const char *name, size_t matches);
static const char *find_nearest(const struct calls *calls, const char *name);
static int compare_rows(const void *a, const void *b);
static void print_row(const struct calls *calls, const struct calls_row *row, unsigned width);
static void print_share(const struct calls *calls, const struct calls_row *row);
static void print_percentile(const struct calls_row *row, double share);
static void print_time(double time_ns);
static void print_unknown(void);

void calls_release(struct calls *calls)
{
	intern_release(&calls->keys);
	wire_release(&calls->text);
	heap_free(calls->rows);
}

uint32_t calls_function(struct calls *calls, const char *name, const char *file, uint64_t line)
{
	size_t name_bytes = strlen(name) + 1;
	void *rows = calls->rows;
	const char *key;
	bool fresh = false;
	uint32_t id = 0;

	wire_clear(&calls->text);
	wire_put(&calls->text, name, name_bytes);
	wire_put(&calls->text, file, strlen(file) + 1);
	wire_put_varint(&calls->text, line);
	if (!calls->text.failed)
		id = intern_put(&calls->keys, calls->text.bytes, calls->text.size, &fresh);
	if (id != 0 && !fresh)
		return id;
	if (id == 0 || !heap_grow(&rows, &calls->row_capacity, id, sizeof(*calls->rows))) {
		calls->failed = true;
		return 0;
	}
	calls->rows = rows;
	key = intern_get(&calls->keys, id, NULL);
	calls->rows[id - 1] =
		(struct calls_row){ .name = key, .file = key + name_bytes, .line = line };
	return id;
}

void calls_stack(struct calls *calls, const struct calls_stack *stack)
{
	const uint32_t *functions = stack->functions;
	uint32_t none = 0;

	calls->stacks++;
	calls->has_times |= stack->time_ns > 0;
	if (calls->side == CALLS_CALLERS)
		none = calls_function(calls, NO_CALLER, "", 0);
	if (calls->failed)
		return;
	for (size_t i = 0; i < stack->depth; i++) {
		uint32_t outer = i + 1 < stack->depth ? functions[i + 1] : none;
		uint32_t shown = functions[i];

		if (calls->side == CALLS_CALLERS)
			shown = is_asked(calls, functions[i]) ? outer : 0;
		else if (calls->side == CALLS_CALLEES)
			shown = is_asked(calls, outer) ? functions[i] : 0;
		if (shown != 0 && i == 0)
			add_calls(calls, shown, stack);
		if (shown != 0)
			add_total(calls, shown, stack->time_ns);
	}
}

void calls_error(struct calls *calls, uint32_t function, double error)
{
	if (function != 0)
		row_of(calls, function)->squares += error * error;
}

bool calls_ask(struct calls *calls, enum calls_side side, const char *name)
{
	const char *match = NULL;
	size_t matches = 0;
	bool is_exact = false;

	for (uint32_t id = 1; id <= calls->keys.count; id++)
		is_exact |= strcmp(row_of(calls, id)->name, name) == 0;
	for (uint32_t id = 1; id <= calls->keys.count; id++) {
		struct calls_row *row = row_of(calls, id);

		row->asked = is_exact ? strcmp(row->name, name) == 0 : ends_in(row->name, name);
		if (row->asked && (!match || strcmp(row->name, match) != 0))
			matches++;
		if (row->asked)
			match = row->name;
	}
	if (matches != 1)
		return refuse(calls, side, name, matches);
	for (uint32_t id = 1; id <= calls->keys.count; id++) {
		struct calls_row *row = row_of(calls, id);

		*row = (struct calls_row){
			.name = row->name, .file = row->file, .line = row->line, .asked = row->asked
		};
	}
	calls->side = side;
	calls->asked = match;
	calls->calls = calls->time_ns = 0;
	return true;
}

void calls_print(struct calls *calls, size_t most, unsigned width)
{
	static const char *const heads[][3] = {
		[CALLS_ALL] = { "+-", "time", "function" },
		[CALLS_CALLERS] = { "%", "total", "caller" },
		[CALLS_CALLEES] = { "%", "total", "callee" },
	};
	const char *const *head = heads[calls->side];
	size_t count = 0;

	sort_items(calls->rows, calls->keys.count, sizeof(*calls->rows), compare_rows);
	while (count < calls->keys.count &&
	       (calls->rows[count].calls > 0 || calls->rows[count].total_ns > 0))
		count++;
	printf("%11s %8s %6s %6s %6s %6s %6s  %s\n", "calls", head[0], head[1], "mean", "p50",
	       "p90", "p99", head[2]);
	for (size_t i = 0; i < count && i < most; i++)
		print_row(calls, &calls->rows[i], width);
	if (count > most)
		printf("... and %zu more\n", count - most);
}

static void add_calls(struct calls *calls, uint32_t function, const struct calls_stack *stack)
{
	struct calls_row *row = row_of(calls, function);

	row->calls += stack->calls;
	row->self_ns += stack->time_ns;
	row->classes[stack->duration] += stack->calls;
	calls->calls += stack->calls;
	calls->time_ns += stack->time_ns;
}

static void add_total(struct calls *calls, uint32_t function, uint64_t time_ns)
{
	struct calls_row *row = row_of(calls, function);

	if (row->stamp != calls->stacks)
		row->total_ns += time_ns;
	row->stamp = calls->stacks;
}

static struct calls_row *row_of(const struct calls *calls, uint32_t function)
{
	return &calls->rows[function - 1];
}

static bool is_asked(const struct calls *calls, uint32_t function)
{
	return function != 0 && row_of(calls, function)->asked;
}

/* "json.loads" ends in "loads", not in "oads". */
static bool ends_in(const char *name, const char *end)
{
	size_t name_bytes = strlen(name), end_bytes = strlen(end);

	return end_bytes > 0 && name_bytes > end_bytes && name[name_bytes - end_bytes - 1] == '.' &&
	       strcmp(name + name_bytes - end_bytes, end) == 0;
}

static bool refuse(struct calls *calls, enum calls_side side, const char *name, size_t matches)
{
	const char *nearest = find_nearest(calls, name);
	char asked[TEXT_SHOWN_BYTES], shown[TEXT_SHOWN_BYTES];

	fprintf(stderr, "monprof: --%s %s: %s; the nearest is %s\n",
		side == CALLS_CALLERS ? "callers" : "callees",
		text_shown(name, strlen(name), asked),
		matches ? "the end of several names" : "no such function",
		text_shown(nearest, strlen(nearest), shown));
	return false;
}

/* By its whole name, or by what is behind its last dot; of those that are as near the most called one. */
static const char *find_nearest(const struct calls *calls, const char *name)
{
	const char *nearest = "";
	unsigned least = UINT32_MAX;
	uint64_t most = 0;

	for (uint32_t id = 1; id <= calls->keys.count; id++) {
		const struct calls_row *row = row_of(calls, id);
		const char *dot = strrchr(row->name, '.');
		unsigned distance = text_distance(name, row->name);
		unsigned behind = dot ? text_distance(name, dot + 1) : distance;

		if (behind < distance)
			distance = behind;
		if (ends_in(row->name, name))
			distance = 0;
		if (distance > least || (distance == least && row->calls <= most))
			continue;
		least = distance;
		most = row->calls;
		nearest = row->name;
	}
	return nearest;
}

static int compare_rows(const void *a, const void *b)
{
	const struct calls_row *left = a, *right = b;

	if (left->calls != right->calls)
		return left->calls > right->calls ? -1 : 1;
	if (left->total_ns != right->total_ns)
		return left->total_ns > right->total_ns ? -1 : 1;
	return strcmp(left->name, right->name);
}

static void print_row(const struct calls *calls, const struct calls_row *row, unsigned width)
{
	unsigned columns = FUNCTION_COLUMNS;

	if (width > NUMBERS_COLUMNS + columns)
		columns = width - NUMBERS_COLUMNS;
	printf("%11llu", (unsigned long long)row->calls);
	print_share(calls, row);
	if (calls->has_times)
		print_time((double)(calls->side == CALLS_ALL ? row->self_ns : row->total_ns));
	else
		print_unknown();
	if (calls->has_times && row->calls > 0)
		print_time((double)row->total_ns / (double)row->calls);
	else
		print_unknown();
	print_percentile(row, 0.5);
	print_percentile(row, 0.9);
	print_percentile(row, 0.99);
	fputs("  ", stdout);
	table_name(row->name, row->file, row->line, columns);
	putchar('\n');
}

/* The error of all calls, or the share of these calls in all. */
static void print_share(const struct calls *calls, const struct calls_row *row)
{
	char text[32] = "";

	if (calls->side != CALLS_ALL)
		snprintf(text, sizeof(text), "%.2f%%",
			 calls->calls ? 100.0 * (double)row->calls / (double)calls->calls : 0.0);
	else if (row->squares > 0)
		snprintf(text, sizeof(text), "%llu",
			 (unsigned long long)estimate_up(estimate_root(row->squares)));
	printf(" %8s", text);
}

/* The geometric middle of the class that this share of the calls reaches. */
static void print_percentile(const struct calls_row *row, double share)
{
	double known = 0, passed = 0, low_ns = 0.5;

	for (unsigned i = 1; i < CLASSES; i++)
		known += (double)row->classes[i];
	if (known <= 0) {
		print_unknown();
		return;
	}
	for (unsigned i = 1; i < CLASSES && passed < share * known; i++) {
		passed += (double)row->classes[i];
		low_ns *= 2;
	}
	print_time(low_ns * ROOT_OF_TWO);
}

/* Three digits: 45ns 1.23us 12.3ms 123s. */
static void print_time(double time_ns)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	unsigned unit = 0;
	char text[32];
	int decimals;

	for (; unit + 1 < PROF_COUNT(units) && time_ns >= 999.5; unit++)
		time_ns /= 1000;
	decimals = time_ns < 9.995 ? 2 : time_ns < 99.95 ? 1 : 0;
	snprintf(text, sizeof(text), "%.*f%s", unit ? decimals : 0, time_ns, units[unit]);
	printf(" %6s", text);
}

static void print_unknown(void)
{
	printf(" %6s", "-");
}
