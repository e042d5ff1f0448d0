/*
 * options.c - from the text of MONPROF_<NAME> to a value, and back.
 *
 *   environment --options_load--> option_parse --> one struct option_value per row --> plain reads
 *                                   |
 *                                   +- switch over enum option_type; words come from the row's limits
 *
 * The rows are the two .def files; nothing here knows an option by name but QUIET and STRICT, which
 * are read before the others because they say what happens to a bad one.  The first load is the
 * only one: the program may change its environment or write over it (setproctitle) as it likes, and a
 * forked child sees what its parent saw.  No malloc, no stdio, no locale.
 */
#include "options.h"

#include "log.h"
#include "os.h"
#include "text.h"
#include "units.h"

#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define PREFIX "MONPROF_"
#define PREFIX_BYTES (sizeof(PREFIX) - 1)
#define WORD_BYTES 32
#define OFF "off"
#define SENTENCE_BYTES 400

static struct {
	bool preset; /* values hold the defaults, at least */
	bool loaded;
	bool on; /* what options_load answered */
	struct option_value values[OPTION_COUNT];
	size_t texts_bytes;
	char texts[4096]; /* values of TEXT, end to end */
} options;

static const struct option rows[] = {
#define OPTION(name, type, unit, preset, limits, help) \
	{ #name, OPTION_TYPE_##type, unit, preset, limits, help },
#include "options.def"
#include "../collectors/collectors.def"
#undef OPTION
};

static const char *const collector_words[] = {
#define COLLECTOR(name, help) #name,
#include "../collectors/collectors.def"
#undef COLLECTOR
	NULL
};

static const char *const exporter_words[] = {
#define EXPORTER(name, suffix, help) #name,
#include "../exporters/exporters.def"
#undef EXPORTER
	NULL
};

/* What option_parse hands down: where a sentence goes when the text is bad. */
struct parse {
	const struct option *row;
	const char *text;
	char *error;
	size_t error_bytes;
};

static void load_presets(void);
static bool load_row(enum option_id id);
static bool load_switch(bool *on);
static bool load_unknown(void);
static bool keep_text(enum option_id id);
static errmsg parse_yesno(const struct parse *parse, struct option_value *value);
static errmsg parse_number(const struct parse *parse, struct option_value *value);
static errmsg parse_units(const struct parse *parse, struct option_value *value);
static errmsg parse_choice(const struct parse *parse, struct option_value *value);
static errmsg parse_list(const struct parse *parse, struct option_value *value);
static errmsg parse_signal(const struct parse *parse, struct option_value *value);
static enum units units_of(const struct option *row, const struct option_value *value);
static bool is_off(const struct option *row);
static errmsg check_limits(const struct parse *parse, const struct option_value *value);
static int word_index(const struct option *row, const char *text, size_t bytes);
static void word_nearest(const struct option *row, const char *text, char *nearest);
static size_t print_units(const struct option *row, const struct option_value *value, char *buffer,
			  size_t size_bytes);
static size_t print_list(const struct option *row, uint64_t mask, char *buffer, size_t size_bytes);

const struct option *option_row(enum option_id id)
{
	return &rows[id];
}

enum option_id option_find(const char *name)
{
	unsigned id = 0;

	while (id < OPTION_COUNT && !text_same(rows[id].name, name))
		id++;
	return (enum option_id)id;
}

const char *option_nearest(const char *name)
{
	const char *nearest = rows[0].name;
	unsigned least = UINT32_MAX;

	for (unsigned i = 0; i < OPTION_COUNT; i++) {
		unsigned distance = text_distance(rows[i].name, name);

		if (distance < least) {
			least = distance;
			nearest = rows[i].name;
		}
	}
	return nearest;
}

bool options_load(void)
{
	bool good, on = true;

	if (options.loaded)
		return options.on;
	load_presets();
	options.loaded = true;
	if (getauxval(AT_SECURE) != 0)
		return false;

	/* Said, or not said, only once it is known whether anything may be said. */
	const char *quiet = os_env(PREFIX "QUIET");
	bool hush = false;

	if (quiet && text_switch(quiet, &hush))
		log_quiet(hush);

	good = load_row(OPTION_STRICT);
	good = load_switch(&on) && good;
	if (on) {
		for (unsigned id = 0; id < OPTION_COUNT; id++)
			if (id != OPTION_STRICT)
				good = load_row((enum option_id)id) && good;
		good = load_unknown() && good;
	}
	if (on && !good && option_number(OPTION_STRICT)) {
		log_line("profiling is off: " PREFIX "STRICT=yes, and a setting is wrong");
		on = false;
	}
	options.on = on;
	return on;
}

uint64_t option_number(enum option_id id)
{
	return option_value(id)->number;
}

const char *option_text(enum option_id id)
{
	return option_value(id)->text;
}

const struct option_value *option_value(enum option_id id)
{
	load_presets();
	return &options.values[id];
}

errmsg option_parse(const struct option *row, const char *text, struct option_value *value,
		    char *error, size_t error_bytes)
{
	const struct parse parse = { row, text, error, error_bytes };

	*value = (struct option_value){ .text = text };
	switch (row->type) {
	case OPTION_TYPE_YESNO:
		return parse_yesno(&parse, value);
	case OPTION_TYPE_NUMBER:
		return parse_number(&parse, value);
	case OPTION_TYPE_TIME:
	case OPTION_TYPE_PERCENT:
	case OPTION_TYPE_SIZE:
	case OPTION_TYPE_SPAN:
		return parse_units(&parse, value);
	case OPTION_TYPE_CHOICE:
		return parse_choice(&parse, value);
	case OPTION_TYPE_LIST:
		return parse_list(&parse, value);
	case OPTION_TYPE_SIGNAL:
		return parse_signal(&parse, value);
	case OPTION_TYPE_TEXT:
		break;
	}
	return NULL;
}

size_t option_print(enum option_id id, const struct option_value *value, char *buffer,
		    size_t size_bytes)
{
	const struct option *row = &rows[id];
	char word[WORD_BYTES];

	switch (row->type) {
	case OPTION_TYPE_YESNO:
		return log_format(buffer, size_bytes, "%s", value->number ? "yes" : "no");
	case OPTION_TYPE_NUMBER:
		return log_format(buffer, size_bytes, "%llu", (unsigned long long)value->number);
	case OPTION_TYPE_TIME:
	case OPTION_TYPE_PERCENT:
	case OPTION_TYPE_SIZE:
	case OPTION_TYPE_SPAN:
		return print_units(row, value, buffer, size_bytes);
	case OPTION_TYPE_CHOICE:
		return log_format(buffer, size_bytes, "%s",
				  option_word(row, (unsigned)value->number, word, sizeof(word)));
	case OPTION_TYPE_LIST:
		return print_list(row, value->number, buffer, size_bytes);
	case OPTION_TYPE_SIGNAL:
		return text_signal_print(value->number, buffer, size_bytes);
	case OPTION_TYPE_TEXT:
		break;
	}
	return log_format(buffer, size_bytes, "%s", value->text);
}

const char *option_word(const struct option *row, unsigned i, char *buffer, size_t size_bytes)
{
	const char *word = row->limits, *end;

	if (word[0] == '@') {
		const char *const *words = word[1] == 'c' ? collector_words : exporter_words;

		while (i > 0 && *words) {
			words++;
			i--;
		}
		return *words;
	}
	for (; i > 0 && word; i--) {
		word = strchr(word, '|');
		word = word ? word + 1 : NULL;
	}
	if (!word || !word[0] || size_bytes == 0)
		return NULL;
	end = strchr(word, '|');
	size_t bytes = end ? (size_t)(end - word) : strlen(word);

	bytes = bytes < size_bytes ? bytes : size_bytes - 1;
	memcpy(buffer, word, bytes);
	buffer[bytes] = '\0';
	return buffer;
}

/* ---- the environment ---- */

static void load_presets(void)
{
	char error[SENTENCE_BYTES];

	if (options.preset)
		return;
	for (unsigned id = 0; id < OPTION_COUNT; id++)
		option_parse(&rows[id], rows[id].preset, &options.values[id], error, sizeof(error));
	options.preset = true;
}

/* False: a bad value, which has been said; the default stays. An empty value is no value. */
static bool load_row(enum option_id id)
{
	char name[64], error[SENTENCE_BYTES];
	struct option_value value;
	const char *text;
	errmsg wrong;

	log_format(name, sizeof(name), PREFIX "%s", rows[id].name);
	text = os_env(name);
	if (!text || !text[0])
		return true;
	wrong = option_parse(&rows[id], text, &value, error, sizeof(error));
	if (wrong && option_number(OPTION_STRICT))
		log_line("%s", wrong); /* the line that ends it all follows */
	else if (wrong)
		log_line("%s; it stays at %s", wrong, rows[id].preset);
	if (wrong)
		return false;
	value.given = true;
	options.values[id] = value;
	return rows[id].type != OPTION_TYPE_TEXT || keep_text(id);
}

static bool load_switch(bool *on)
{
	char text[64];
	const char *value = os_env("MONPROF");

	if (!value || !value[0] || text_switch(value, on))
		return true;
	log_line("MONPROF=%s is neither on nor off; it stays on",
		 text_shown(value, SIZE_MAX, text));
	*on = true;
	return false;
}

/* False: a MONPROF_ name that is no option, each of which has been said. */
static bool load_unknown(void)
{
	bool good = true;

	for (char **entry = environ; entry && *entry; entry++) {
		const char *name = *entry + PREFIX_BYTES, *end;
		char text[64], key[64];

		if (strncmp(*entry, PREFIX, PREFIX_BYTES) != 0)
			continue;
		end = strchr(name, '=');
		text_shown(name, end ? (size_t)(end - name) : SIZE_MAX, key);

		enum option_id id = option_find(key);

		if (id != OPTION_COUNT && strcmp(rows[id].name, key) == 0)
			continue;
		log_line("%s is not a setting; the nearest is " PREFIX "%s",
			 text_shown(*entry, end ? (size_t)(end - *entry) : SIZE_MAX, text),
			 option_nearest(key));
		good = false;
	}
	return good;
}

static bool keep_text(enum option_id id)
{
	struct option_value *value = &options.values[id];
	size_t bytes = strlen(value->text) + 1;
	char *kept = options.texts + options.texts_bytes;

	if (bytes > sizeof(options.texts) - options.texts_bytes) {
		log_line(PREFIX "%s is too long; it stays at %s", rows[id].name, rows[id].preset);
		*value = (struct option_value){ .text = rows[id].preset };
		return false;
	}
	memcpy(kept, value->text, bytes);
	options.texts_bytes += bytes;
	value->text = kept;
	return true;
}

/* ---- one parser a type ---- */

static errmsg parse_yesno(const struct parse *parse, struct option_value *value)
{
	char text[64];
	bool yes;

	if (!text_switch(parse->text, &yes)) {
		log_format(parse->error, parse->error_bytes, PREFIX "%s=%s is neither yes nor no",
			   parse->row->name, text_shown(parse->text, SIZE_MAX, text));
		return parse->error;
	}
	value->number = yes;
	return NULL;
}

static errmsg parse_number(const struct parse *parse, struct option_value *value)
{
	char text[64];
	struct text_quantity quantity;
	const char *rest = text_quantity(parse->text, &quantity);

	if (!rest || quantity.scale != 1 || (*rest && !text_same(rest, parse->row->unit))) {
		log_format(parse->error, parse->error_bytes,
			   PREFIX "%s=%s is not a whole number%s%s", parse->row->name,
			   text_shown(parse->text, SIZE_MAX, text),
			   parse->row->unit[0] ? " of " : "", parse->row->unit);
		return parse->error;
	}
	value->number = quantity.whole;
	return check_limits(parse, value);
}

static errmsg parse_units(const struct parse *parse, struct option_value *value)
{
	static const struct {
		const char *what, *units, *example;
	} words[] = {
		[OPTION_TYPE_TIME] = { "time", "ns us ms s m h", "s" },
		[OPTION_TYPE_PERCENT] = { "share", "%", "%" },
		[OPTION_TYPE_SIZE] = { "size", "B k M G", "M" },
		[OPTION_TYPE_SPAN] = { "time or size", "ns us ms s m h, B k M G", "m" },
	};
	enum option_type type = parse->row->type;
	enum units units = units_of(parse->row, value);
	bool bare = false, is_read;
	char text[64];

	if (is_off(parse->row) && text_same(parse->text, OFF))
		return NULL;
	if (type == OPTION_TYPE_SPAN)
		is_read = units_read_either(parse->text, &value->number, &bare, &units);
	else
		is_read = units_read(units, parse->text, &value->number, &bare);
	value->is_size = units == UNITS_SIZE;
	/* No share needs no unit. */
	if (is_read || (type == OPTION_TYPE_PERCENT && strcmp(parse->text, "0") == 0))
		return check_limits(parse, value);
	text_shown(parse->text, SIZE_MAX, text);
	if (bare)
		log_format(parse->error, parse->error_bytes,
			   PREFIX "%s=%s needs a unit (%s), for example %s%s", parse->row->name,
			   text, words[type].units, text, words[type].example);
	else
		log_format(parse->error, parse->error_bytes, PREFIX "%s=%s is not a %s, such as %s",
			   parse->row->name, text, words[type].what, parse->row->preset);
	return parse->error;
}

static errmsg parse_choice(const struct parse *parse, struct option_value *value)
{
	char text[64], nearest[WORD_BYTES];
	int i = word_index(parse->row, parse->text, strlen(parse->text));

	if (i < 0) {
		word_nearest(parse->row, parse->text, nearest);
		log_format(parse->error, parse->error_bytes,
			   PREFIX "%s=%s is none of %s; the nearest is %s", parse->row->name,
			   text_shown(parse->text, SIZE_MAX, text), parse->row->limits, nearest);
		return parse->error;
	}
	value->number = (uint64_t)i;
	return NULL;
}

static errmsg parse_list(const struct parse *parse, struct option_value *value)
{
	char text[64], nearest[WORD_BYTES];

	if (text_same(parse->text, "none"))
		return NULL;
	for (const char *word = parse->text;;) {
		size_t bytes = strcspn(word, ",");
		int i = word_index(parse->row, word, bytes);

		if (i < 0) {
			text_shown(word, bytes, text);
			word_nearest(parse->row, text, nearest);
			log_format(parse->error, parse->error_bytes,
				   PREFIX "%s: there is no '%s'; the nearest is %s",
				   parse->row->name, text, nearest);
			return parse->error;
		}
		value->number |= UINT64_C(1) << i;
		if (!word[bytes])
			return NULL;
		word += bytes + 1;
	}
}

static errmsg parse_signal(const struct parse *parse, struct option_value *value)
{
	char text[64];
	bool known = text_signal(parse->text, &value->number);

	if (known && !text_signal_refused(value->number))
		return NULL;
	log_format(parse->error, parse->error_bytes, PREFIX "%s=%s %s, such as URG or RTMIN+5",
		   parse->row->name, text_shown(parse->text, SIZE_MAX, text),
		   known ? "cannot carry ticks; take a signal that may be caught and ignored" :
			   "is not a signal");
	return parse->error;
}

/* ---- what the parsers read with ---- */

static enum units units_of(const struct option *row, const struct option_value *value)
{
	switch (row->type) {
	case OPTION_TYPE_TIME:
		return UNITS_TIME;
	case OPTION_TYPE_PERCENT:
		return UNITS_SHARE;
	case OPTION_TYPE_SPAN:
		return value->is_size ? UNITS_SIZE : UNITS_TIME;
	default:
		return UNITS_SIZE;
	}
}

/* Whether it may be off, and is by default. */
static bool is_off(const struct option *row)
{
	return strcmp(row->preset, OFF) == 0;
}

/* Limits are "low..high", written as values of the row are; of a SPAN first those of a time, then "|" and
   those of a size. */
static errmsg check_limits(const struct parse *parse, const struct option_value *value)
{
	const char *bar = strchr(parse->row->limits, '|');
	const char *limits = bar && value->is_size ? bar + 1 : parse->row->limits;
	const char *dots = strstr(limits, "..");
	char text[64], ends[2][WORD_BYTES];
	uint64_t bounds[2] = { 0, UINT64_MAX };

	if (!dots)
		return NULL;
	log_format(ends[0], sizeof(ends[0]), "%.*s", (int)(dots - limits), limits);
	log_format(ends[1], sizeof(ends[1]), "%.*s", (int)strcspn(dots + 2, "|"), dots + 2);
	for (unsigned i = 0; i < 2; i++) {
		struct text_quantity quantity;
		bool bare;

		if (parse->row->type != OPTION_TYPE_NUMBER)
			units_read(units_of(parse->row, value), ends[i], &bounds[i], &bare);
		else if (text_quantity(ends[i], &quantity))
			bounds[i] = quantity.whole;
	}
	if (value->number >= bounds[0] && value->number <= bounds[1])
		return NULL;
	log_format(parse->error, parse->error_bytes,
		   PREFIX "%s=%s is out of range; the nearest is %s", parse->row->name,
		   text_shown(parse->text, SIZE_MAX, text), ends[value->number > bounds[1]]);
	return parse->error;
}

static int word_index(const struct option *row, const char *text, size_t bytes)
{
	char buffer[WORD_BYTES];
	const char *word;

	for (unsigned i = 0; (word = option_word(row, i, buffer, sizeof(buffer))); i++)
		if (strlen(word) == bytes && text_same_bytes(word, text, bytes))
			return (int)i;
	return -1;
}

static void word_nearest(const struct option *row, const char *text, char *nearest)
{
	char buffer[WORD_BYTES];
	unsigned least = UINT32_MAX;
	const char *word;

	nearest[0] = '\0';
	for (unsigned i = 0; (word = option_word(row, i, buffer, sizeof(buffer))); i++) {
		unsigned distance = text_distance(word, text);

		if (distance < least) {
			least = distance;
			log_format(nearest, WORD_BYTES, "%s", word);
		}
	}
}

/* ---- printing: what option_parse accepts ---- */

static size_t print_units(const struct option *row, const struct option_value *value, char *buffer,
			  size_t size_bytes)
{
	if (is_off(row) && value->number == 0)
		return log_format(buffer, size_bytes, OFF);
	return units_print(units_of(row, value), value->number, buffer, size_bytes);
}

static size_t print_list(const struct option *row, uint64_t mask, char *buffer, size_t size_bytes)
{
	char word_buffer[WORD_BYTES];
	const char *word;
	size_t length = 0;

	if (!mask)
		return log_format(buffer, size_bytes, "none");
	for (unsigned i = 0; (word = option_word(row, i, word_buffer, sizeof(word_buffer))); i++)
		if (mask >> i & 1)
			length += log_format(buffer + length, size_bytes - length, "%s%s",
					     length ? "," : "", word);
	return length;
}
