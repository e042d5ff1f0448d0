/*
 * units.h - amounts with a unit, read and printed: "1.5s", "1%", "64M".
 *
 * Pure functions of their arguments, as those of text.h.
 */
#ifndef UNITS_H
#define UNITS_H

#include "prof.h"

enum units {
	UNITS_TIME, /* ns */
	UNITS_SHARE, /* millionths */
	UNITS_SIZE, /* bytes */
};

/* The number in `text`, in the smallest of the units; a unit's case says nothing. False: it is none, or too big,
   or (*bare) has no unit. any */
bool units_read(enum units units, const char *text, uint64_t *value, bool *bare);
/* A time or a size, which their units tell apart: "m" are minutes, "M" is a size. any */
bool units_read_either(const char *text, uint64_t *value, bool *bare, enum units *units);
/* What units_read accepts, in the largest unit that divides it; returns the length. any */
size_t units_print(enum units units, uint64_t number, char *buffer, size_t size_bytes);

#endif
