/*
 * options.h - MONPROF_<NAME>=value: one row an option, in options.def (core) and collectors.def.
 *
 * options_load() reads the environment once; after that values are plain reads.  A bad value or an
 * unknown MONPROF_ name is one line on stderr that names the nearest valid one; the option falls back
 * to its default.  The tables of names that LIST options are checked against ("@collectors",
 * "@exporters") are expanded from their .def files too.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "prof.h"

enum option_type {
	OPTION_TYPE_YESNO,
	OPTION_TYPE_NUMBER,
	OPTION_TYPE_TIME, /* ns; text needs ns, us, ms, s, m, h */
	OPTION_TYPE_PERCENT, /* millionths; text needs %, but for 0 */
	OPTION_TYPE_SIZE, /* bytes; text needs a unit: k, M, G (powers of 1024), or B; 0: off, where that is the default */
	OPTION_TYPE_SPAN, /* a TIME or a SIZE; 0: off */
	OPTION_TYPE_CHOICE, /* index into limits "a|b|c" */
	OPTION_TYPE_LIST, /* comma separated words of limits; "none" is the empty list; bit mask by row */
	OPTION_TYPE_TEXT,
	OPTION_TYPE_SIGNAL, /* name with or without SIG, or number */
};

enum option_id {
#define OPTION(name, type, unit, preset, limits, help) OPTION_##name,
#include "options.def"
#include "../collectors/collectors.def"
#undef OPTION
	OPTION_COUNT
};

struct option {
	const char *name; /* without MONPROF_ */
	enum option_type type;
	const char *unit;
	const char *preset; /* default, as text */
	const char *limits;
	const char *help;
};

struct option_value {
	uint64_t number; /* YESNO 0/1, ns, bytes, choice index, list mask, signal number */
	const char *text; /* TEXT; points into the environment or at the default */
	bool is_size; /* of a SPAN: bytes, not ns */
	bool given; /* set by the user and valid */
};

/* The row of an option. any */
const struct option *option_row(enum option_id id);
/* Row by name without MONPROF_, case-insensitive; OPTION_COUNT if there is none. any */
enum option_id option_find(const char *name);
/* The valid name nearest to `name` (edit distance), for messages. any */
const char *option_nearest(const char *name);
/* Parse `text` for a row into *value; NULL, or a sentence written into error. setup, tool, any */
errmsg option_parse(const struct option *row, const char *text, struct option_value *value,
		    char *error, size_t error_bytes);
/* Print a value as text that option_parse would accept. any */
size_t option_print(enum option_id id, const struct option_value *value, char *buffer,
		    size_t size_bytes);

/* Read MONPROF and all of MONPROF_* from the environment. False: profiling is off (MONPROF=off, or a bad
   value under MONPROF_STRICT=yes). Logs each problem. setup */
bool options_load(void);
/* Parsed values; defaults before options_load. any */
uint64_t option_number(enum option_id id);
const char *option_text(enum option_id id);
const struct option_value *option_value(enum option_id id);

/* The names that a LIST is made of: row i of "@collectors" or "@exporters" or "a|b|c"; NULL past the
   end. any */
const char *option_word(const struct option *row, unsigned i, char *buffer, size_t size_bytes);

#endif
