/*
 * table.c - add up, sort, line up.
 */
#include "table.h"

#include "utf8.h"

#include <stdio.h>
#include <string.h>

#define NUMBERS_COLUMNS 40 /* what stands before the function */
#define FUNCTION_COLUMNS 24 /* at least, however narrow the terminal */

struct table_row {
	const char *name, *file; /* in keys */
	uint64_t line, self, total;
	uint64_t stamp; /* the last stack that it was in */
};

static int compare_rows(const void *a, const void *b);
static void print_row(const struct table_row *row, uint64_t sum, const char *unit, unsigned width);
static double percent(uint64_t part, uint64_t whole);
static unsigned count_columns(const char *text);
static size_t next_character(const char *text, bool *is_plain);

void table_release(struct table *table)
{
	intern_release(&table->keys);
	wire_release(&table->text);
	heap_free(table->rows);
}

uint32_t table_function(struct table *table, const char *name, const char *file, uint64_t line)
{
	size_t name_bytes = strlen(name) + 1;
	void *rows = table->rows;
	const char *key;
	bool fresh;
	uint32_t id;

	wire_clear(&table->text);
	wire_put(&table->text, name, name_bytes);
	wire_put(&table->text, file, strlen(file) + 1);
	wire_put_varint(&table->text, line);
	id = table->text.failed ?
		     0 :
		     intern_put(&table->keys, table->text.bytes, table->text.size, &fresh);
	if (id != 0 && !fresh)
		return id;
	if (id == 0 || !heap_grow(&rows, &table->row_capacity, id, sizeof(*table->rows))) {
		table->failed = true;
		return 0;
	}
	table->rows = rows;
	key = intern_get(&table->keys, id, NULL);
	table->rows[id - 1] =
		(struct table_row){ .name = key, .file = key + name_bytes, .line = line };
	return id;
}

void table_stack(struct table *table, const uint32_t *functions, size_t depth, uint64_t value)
{
	table->stacks++;
	table->value += value;
	for (size_t i = 0; i < depth; i++) {
		struct table_row *row;

		if (functions[i] == 0)
			continue;
		row = &table->rows[functions[i] - 1];
		if (i == 0)
			row->self += value;
		if (row->stamp != table->stacks)
			row->total += value;
		row->stamp = table->stacks;
	}
}

void table_print(struct table *table, const char *unit, size_t most, unsigned width)
{
	size_t count = table->keys.count;

	sort_items(table->rows, count, sizeof(*table->rows), compare_rows);
	printf("%10s %7s %11s %7s  %s\n", "self", "%", "total", "%", "function");
	for (size_t i = 0; i < count && i < most; i++)
		print_row(&table->rows[i], table->value, unit, width);
	if (count > most)
		printf("... and %zu more\n", count - most);
}

const char *table_quantity(uint64_t value, const char *unit, char *buffer, size_t size_bytes)
{
	static const struct {
		const char *unit, *shown;
		double size;
	} scales[] = {
		{ "nanoseconds", "s", 1e9 },	 { "nanoseconds", "ms", 1e6 },
		{ "nanoseconds", "us", 1e3 },	 { "nanoseconds", "ns", 1 },
		{ "bytes", "GiB", 1073741824. }, { "bytes", "MiB", 1048576. },
		{ "bytes", "KiB", 1024. },	 { "bytes", "B", 1 },
	};

	for (size_t i = 0; i < PROF_COUNT(scales); i++) {
		if (strcmp(scales[i].unit, unit) != 0)
			continue;
		if ((double)value < scales[i].size && scales[i].size > 1)
			continue;
		snprintf(buffer, size_bytes, scales[i].size > 1 ? "%.2f %s" : "%.0f %s",
			 (double)value / scales[i].size, scales[i].shown);
		return buffer;
	}
	snprintf(buffer, size_bytes, "%llu", (unsigned long long)value);
	return buffer;
}

unsigned table_text(const char *text, unsigned columns)
{
	unsigned all = count_columns(text), used = 0;
	unsigned kept = all <= columns ? all : columns > 3 ? columns - 3 : 0;

	while (*text != '\0' && used < kept) {
		bool is_plain;
		size_t n = next_character(text, &is_plain);

		if (is_plain)
			fwrite(text, 1, n, stdout);
		else
			putchar('?');
		text += n;
		used++;
	}
	for (; used < all && used < columns; used++)
		putchar('.');
	return used;
}

void table_name(const char *name, const char *file, uint64_t line, unsigned columns)
{
	const char *slash = strrchr(file, '/');
	char place[32];
	unsigned rest, used;

	snprintf(place, sizeof(place), ":%llu)", (unsigned long long)line);
	rest = (unsigned)strlen(place) + 2;
	if (slash && count_columns(name) + count_columns(file) + rest > columns)
		file = slash + 1;
	used = table_text(name, columns);
	if (*file == '\0' || used + count_columns(file) + rest > columns)
		return;
	fputs(" (", stdout);
	table_text(file, columns);
	fputs(place, stdout);
}

static int compare_rows(const void *a, const void *b)
{
	const struct table_row *left = a, *right = b;

	if (left->self != right->self)
		return left->self > right->self ? -1 : 1;
	if (left->total != right->total)
		return left->total > right->total ? -1 : 1;
	return strcmp(left->name, right->name);
}

static void print_row(const struct table_row *row, uint64_t sum, const char *unit, unsigned width)
{
	unsigned columns = FUNCTION_COLUMNS;
	char self[32], total[32];

	if (width > NUMBERS_COLUMNS + columns)
		columns = width - NUMBERS_COLUMNS;
	printf("%10s %6.2f%% %11s %6.2f%%  ", table_quantity(row->self, unit, self, sizeof(self)),
	       percent(row->self, sum), table_quantity(row->total, unit, total, sizeof(total)),
	       percent(row->total, sum));
	table_name(row->name, row->file, row->line, columns);
	putchar('\n');
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0.0;
}

static unsigned count_columns(const char *text)
{
	unsigned columns = 0;
	bool is_plain;

	for (; *text != '\0'; text += next_character(text, &is_plain))
		columns++;
	return columns;
}

/* Its bytes; what is not a character of text is one byte that is not plain. */
static size_t next_character(const char *text, bool *is_plain)
{
	size_t n = utf8_character(text, strnlen(text, 4));
	uint8_t first = (uint8_t)text[0];
	bool is_control = first < ' ' || first == 0x7f ||
			  (first == 0xc2 && (uint8_t)text[1] < 0xa0); /* C1 */

	*is_plain = n > 0 && !is_control;
	return n ? n : 1;
}
