/*
 * table_tree.c - the heaviest steps, each below its caller.
 *
 * No child is heavier than its parent, so the heaviest steps of all hang together; what is left out below a step is
 * folded into one line that counts it.
 */
#include "heap.h"
#include "log.h"
#include "sort.h"
#include "table.h"

#include <string.h>

#define NUMBERS_COLUMNS 40
#define NAME_COLUMNS 24 /* at least, however narrow the line */
#define INDENT_COLUMNS 2

/* A step that may be shown; the first one stands for what roots are below. */
struct branch {
	uint64_t total;
	uint32_t step, depth;
	uint32_t child, last, sibling; /* indexes, heaviest first; 0: none */
};

struct tree {
	const struct table *table;
	const struct summary *summary;
	const char *unit;
	struct branch *branches;
	size_t count;
	uint32_t *shown; /* by step id: index of its branch, 0: it has none */
};

static bool find_branches(struct tree *tree);
static void add_branches(struct tree *tree);
static int compare_branches(const void *a, const void *b);
static void link_branches(struct tree *tree);
static uint32_t outer_branch(const struct tree *tree, const struct branch *branch);
static void print_branches(const struct tree *tree);
static uint32_t leave(const struct tree *tree, uint32_t at);
static void print_branch(const struct tree *tree, const struct branch *branch);
static void print_folded(const struct tree *tree, const struct branch *branch);
static void print_numbers(const struct tree *tree, uint64_t self, uint64_t total);
static unsigned print_indent(const struct tree *tree, uint32_t depth);

void table_tree(const struct table *table, const struct summary *summary, uint32_t metric)
{
	const struct profile *profile = summary->profile;
	struct tree tree = {
		.table = table,
		.summary = summary,
		.unit = profile_string(profile, profile->metrics[metric].unit),
	};

	table_paint(table, TABLE_STRONG);
	sink_format(table->sink, "%10s %7s %11s %7s  %s\n", "self", "%", "total", "%",
		    "below its caller");
	table_paint(table, TABLE_PLAIN);
	if (find_branches(&tree))
		print_branches(&tree);
	else
		sink_fail(table->sink, "no memory");
	heap_free(tree.branches);
	heap_free(tree.shown);
}

static bool find_branches(struct tree *tree)
{
	size_t items = (size_t)tree->summary->step_count + 1;

	tree->branches = heap_zalloc(items * sizeof(*tree->branches));
	tree->shown = heap_zalloc(items * sizeof(*tree->shown));
	if (!tree->branches || !tree->shown)
		return false;
	add_branches(tree);
	if (!sort_items(tree->branches + 1, tree->count - 1, sizeof(*tree->branches),
			compare_branches))
		return false;
	if (tree->count - 1 > tree->table->most)
		tree->count = tree->table->most + 1;
	link_branches(tree);
	return true;
}

/* Parents have lower ids than their children and come first. */
static void add_branches(struct tree *tree)
{
	const struct summary *summary = tree->summary;
	unsigned most = tree->table->depth;

	tree->count = 1;
	for (uint32_t id = 1; id <= summary->step_count; id++) {
		const struct summary_step *step = &summary->steps[id - 1];
		uint32_t outer = tree->shown[step->parent];
		struct branch branch = {
			.total = step->total,
			.step = id,
			.depth = tree->branches[outer].depth + 1,
		};

		if (step->total == 0 || (step->parent != 0 && outer == 0) ||
		    (most > 0 && branch.depth > most))
			continue;
		tree->shown[id] = (uint32_t)tree->count;
		tree->branches[tree->count++] = branch;
	}
}

static int compare_branches(const void *a, const void *b)
{
	const struct branch *left = a, *right = b;

	if (left->total != right->total)
		return left->total > right->total ? -1 : 1;
	return left->step < right->step ? -1 : 1;
}

static void link_branches(struct tree *tree)
{
	for (uint32_t id = 1; id <= tree->summary->step_count; id++)
		tree->shown[id] = 0;
	for (uint32_t i = 1; i < tree->count; i++) {
		struct branch *outer = &tree->branches[outer_branch(tree, &tree->branches[i])];

		tree->shown[tree->branches[i].step] = i;
		if (outer->last != 0)
			tree->branches[outer->last].sibling = i;
		else
			outer->child = i;
		outer->last = i;
	}
}

static uint32_t outer_branch(const struct tree *tree, const struct branch *branch)
{
	return tree->shown[tree->summary->steps[branch->step - 1].parent];
}

static void print_branches(const struct tree *tree)
{
	const struct summary *summary = tree->summary;
	uint32_t at = tree->branches[0].child;

	while (at != 0) {
		print_branch(tree, &tree->branches[at]);
		if (tree->branches[at].child != 0)
			at = tree->branches[at].child;
		else
			at = leave(tree, at);
	}
	print_folded(tree, &tree->branches[0]);
	if (summary->stackless > 0) {
		print_numbers(tree, summary->stackless, summary->stackless);
		sink_puts(tree->table->sink, "[no stack]\n");
	}
}

/* A branch without children, and all above it that it is the last child of. The next branch; 0: none. */
static uint32_t leave(const struct tree *tree, uint32_t at)
{
	while (at != 0) {
		const struct branch *branch = &tree->branches[at];

		print_folded(tree, branch);
		if (branch->sibling != 0)
			return branch->sibling;
		at = outer_branch(tree, branch);
	}
	return 0;
}

static void print_branch(const struct tree *tree, const struct branch *branch)
{
	const struct table *table = tree->table;
	const struct summary_step *step = &tree->summary->steps[branch->step - 1];
	unsigned columns = NAME_COLUMNS, used = NUMBERS_COLUMNS;

	print_numbers(tree, step->self, step->total);
	used += print_indent(tree, branch->depth - 1);
	if (table->width > used + columns)
		columns = table->width - used;
	table_name(table, tree->summary->by, &tree->summary->rows[step->row - 1], columns);
	sink_puts(table->sink, "\n");
}

/* What is below a branch and not shown. */
static void print_folded(const struct tree *tree, const struct branch *branch)
{
	const struct summary *summary = tree->summary;
	uint32_t step = branch->step ? summary->steps[branch->step - 1].child : summary->root;
	uint64_t total = 0;
	size_t count = 0;

	for (; step != 0; step = summary->steps[step - 1].sibling) {
		if (tree->shown[step] != 0 || summary->steps[step - 1].total == 0)
			continue;
		total += summary->steps[step - 1].total;
		count++;
	}
	if (count == 0)
		return;
	print_numbers(tree, 0, total);
	print_indent(tree, branch->depth);
	table_paint(tree->table, TABLE_FAINT);
	sink_format(tree->table->sink, "... %zu more\n", count);
	table_paint(tree->table, TABLE_PLAIN);
}

static void print_numbers(const struct tree *tree, uint64_t self, uint64_t total)
{
	uint64_t whole = tree->summary->value;
	struct sink *sink = tree->table->sink;
	char text[TABLE_QUANTITY_BYTES];

	if (self > 0) {
		sink_format(sink, "%10s ", table_quantity(self, tree->unit, text));
		table_percent(tree->table, self, whole, 7);
	} else {
		sink_format(sink, "%18s", "");
	}
	sink_format(sink, " %11s ", table_quantity(total, tree->unit, text));
	table_percent(tree->table, total, whole, 7);
	sink_puts(sink, "  ");
}

/* Where half of what is left of the line would be spaces, the depth is a number. Columns used. */
static unsigned print_indent(const struct tree *tree, uint32_t depth)
{
	unsigned room = tree->table->width > NUMBERS_COLUMNS + NAME_COLUMNS ?
				tree->table->width - NUMBERS_COLUMNS - NAME_COLUMNS :
				0;
	char text[TABLE_QUANTITY_BYTES];

	if ((uint64_t)depth * INDENT_COLUMNS <= room) {
		sink_format(tree->table->sink, "%*s", (int)(depth * INDENT_COLUMNS), "");
		return depth * INDENT_COLUMNS;
	}
	log_format(text, sizeof(text), "[%u] ", depth + 1);
	sink_format(tree->table->sink, "%s", text);
	return (unsigned)strlen(text);
}
