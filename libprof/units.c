/*
 * units.c - three tables of units, the largest first: the first that divides a number prints it.
 */
#include "units.h"

#include "log.h"
#include "text.h"

#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit times[] = {
	{ "h", 3600000000000 }, { "m", 60000000000 }, { "s", 1000000000 },
	{ "ms", 1000000 },	{ "us", 1000 },	      { "ns", 1 },
};

static const struct unit shares[] = { { "%", 10000 }, { "ppm", 1 } };

static const struct unit sizes[] = {
	{ "G", 1 << 30 },   { "M", 1 << 20 },	{ "k", 1 << 10 },  { "B", 1 },
	{ "Gi", 1 << 30 },  { "Mi", 1 << 20 },	{ "Ki", 1 << 10 }, { "GiB", 1 << 30 },
	{ "MiB", 1 << 20 }, { "KiB", 1 << 10 }, { "GB", 1 << 30 }, { "MB", 1 << 20 },
	{ "kB", 1 << 10 },
};

static const struct {
	const struct unit *rows;
	size_t count;
} tables[] = {
	[UNITS_TIME] = { times, PROF_COUNT(times) },
	[UNITS_SHARE] = { shares, PROF_COUNT(shares) },
	[UNITS_SIZE] = { sizes, PROF_COUNT(sizes) },
};

bool units_read(enum units units, const char *text, uint64_t *value, bool *bare)
{
	struct text_quantity quantity;
	const char *rest = text_quantity(text, &quantity);

	if (!rest)
		return false;
	*bare = *rest == '\0';
	for (size_t i = 0; i < tables[units].count && *rest; i++)
		if (text_same(rest, tables[units].rows[i].name))
			return text_times(&quantity, tables[units].rows[i].factor, value);
	return false;
}

bool units_read_either(const char *text, uint64_t *value, bool *bare, enum units *units)
{
	struct text_quantity quantity;
	const char *rest = text_quantity(text, &quantity);

	*units = UNITS_SIZE;
	for (size_t i = 0; rest && i < PROF_COUNT(times); i++)
		if (strcmp(rest, times[i].name) == 0)
			*units = UNITS_TIME;
	return units_read(*units, text, value, bare);
}

size_t units_print(enum units units, uint64_t number, char *buffer, size_t size_bytes)
{
	const struct unit *unit = tables[units].rows;

	while (unit->factor != 1 && (number == 0 || number % unit->factor != 0))
		unit++;
	return log_format(buffer, size_bytes, "%llu%s", (unsigned long long)(number / unit->factor),
			  unit->name);
}
