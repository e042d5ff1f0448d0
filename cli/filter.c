/*
 * filter.c - from flags to a profile_filter.
 */
#include "filter.h"

#include "cli.h"
#include "heap.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

#define PATTERN_BYTES 4096 /* of a regular expression */

static int take_time(const char *flag, const char *text, uint64_t *time_ns);
static int take_label(struct filter *filter, const char *text);
static int take_word(struct filter *filter, enum filter_kind kind, const char *text);
static int take_origin(struct filter *filter, const char *text);
static int take_library(struct filter *filter, const char *text);
static int take_pattern(struct filter *filter, enum filter_flag flag, const char *text);
static void put_note(struct filter *filter, const char *flag, const char *value);
static bool keeps_process(void *self, uint64_t pid);
static bool keeps_thread(void *self, uint64_t tid, const char *name);
static bool keeps(const struct filter *filter, enum filter_kind kind, uint64_t number,
		  const char *name);
static unsigned marks_function(void *self, const struct profile *profile,
			       const struct profile_function *function);
static bool is_in_library(const struct filter *filter, const char *path);

static const char *const flag_names[] = {
	[FILTER_FROM] = "--from",     [FILTER_TO] = "--to",	      [FILTER_THREAD] = "--thread",
	[FILTER_LABEL] = "--label",   [FILTER_FOCUS] = "--focus",     [FILTER_IGNORE] = "--ignore",
	[FILTER_ORIGIN] = "--origin", [FILTER_LIBRARY] = "--library",
};
/* In the order of enum profile_origin. */
static const char origin_words[] = "program stdlib site-packages C native profiler";
static const char note_end[] = "; notes, losses and scales are of the whole run";

int filter_take(struct filter *filter, enum filter_flag flag, const char *value)
{
	const char *name = flag_names[flag];

	filter->is_used = true;
	put_note(filter, name, value);
	switch (flag) {
	case FILTER_FROM:
		return take_time(name, value, &filter->from_ns);
	case FILTER_TO:
		return take_time(name, value, &filter->to_ns);
	case FILTER_THREAD:
		return take_word(filter, FILTER_NAME_OR_ID, value);
	case FILTER_LABEL:
		return take_label(filter, value);
	case FILTER_ORIGIN:
		return take_origin(filter, value);
	case FILTER_LIBRARY:
		return take_library(filter, value);
	default:
		return take_pattern(filter, flag, value);
	}
}

int filter_finish(struct filter *filter)
{
	if (filter->to_ns != 0 && filter->from_ns >= filter->to_ns)
		return cli_usage("there is no time from --from to --to");
	wire_put(&filter->note, note_end, sizeof(note_end) - 1);
	wire_put_u8(&filter->note, '\0');
	if (filter->note.failed)
		return cli_fail("filter", "no memory");
	filter->rows = (struct profile_filter){
		.from_ns = filter->from_ns,
		.to_ns = filter->to_ns ? filter->to_ns : UINT64_MAX,
		.self = filter,
		.note = (const char *)filter->note.bytes,
	};
	if (filter->has[FILTER_PID])
		filter->rows.process = keeps_process;
	if (filter->has[FILTER_NAME_OR_ID] || filter->has[FILTER_THREAD_NAME] ||
	    filter->has[FILTER_THREAD_ID])
		filter->rows.thread = keeps_thread;
	filter->rows.needed = filter->needed;
	if (filter->patterns || filter->needed)
		filter->rows.function = marks_function;
	return CLI_GOOD;
}

void filter_release(struct filter *filter)
{
	struct filter_pattern *pattern = filter->patterns, *next;

	for (; pattern; pattern = next) {
		next = pattern->next;
		regfree(&pattern->regex);
		heap_free(pattern);
	}
	heap_free(filter->words);
	wire_release(&filter->note);
}

errmsg filter_add_file(const struct filter *filter, struct profile *profile, const char *path)
{
	bool was_cut = profile->cut;
	errmsg error = filter->is_used ? profile_add_filtered(profile, path, &filter->rows) :
					 profile_add_file(profile, path);

	if (!error && profile->cut && !was_cut)
		cli_fail(path, "ends in a torn tail; what was before it has been read");
	return error;
}

const char *filter_nothing(const struct filter *filter)
{
	return filter->is_used ? "no sample of it passes the filter" : "there is no sample in it";
}

/* Units are those of options. */
static int take_time(const char *flag, const char *text, uint64_t *time_ns)
{
	const struct option row = { flag, OPTION_TYPE_TIME, "", "", "", "" };
	struct option_value value;
	char error[256];

	if (option_parse(&row, text, &value, error, sizeof(error)))
		return cli_usage("%s %s: not a time with its unit (ns us ms s m h), such as 1.5s",
				 flag, text);
	if (value.number == 0 && strcmp(flag, flag_names[FILTER_TO]) == 0)
		return cli_usage("%s %s: there is no time before it", flag, text);
	*time_ns = value.number;
	return CLI_GOOD;
}

static int take_label(struct filter *filter, const char *text)
{
	static const char *const keys[] = {
		[FILTER_PID] = "pid",
		[FILTER_THREAD_NAME] = "thread_name",
		[FILTER_THREAD_ID] = "thread_id",
	};
	size_t key_bytes = strcspn(text, "=");

	for (unsigned kind = FILTER_PID; kind < PROF_COUNT(keys); kind++)
		if (text[key_bytes] == '=' && strlen(keys[kind]) == key_bytes &&
		    memcmp(keys[kind], text, key_bytes) == 0)
			return take_word(filter, (enum filter_kind)kind, text + key_bytes + 1);
	return cli_usage("--label %s: not pid=, thread_name= or thread_id= with a value", text);
}

static int take_word(struct filter *filter, enum filter_kind kind, const char *text)
{
	struct filter_word word = { .kind = kind, .text = text };
	struct text_quantity quantity;
	const char *rest = text_quantity(text, &quantity);
	void *words = filter->words;

	if (rest && *rest == '\0' && quantity.scale == 1) {
		word.number = quantity.whole;
		word.is_number = true;
	}
	if (!word.is_number && (kind == FILTER_PID || kind == FILTER_THREAD_ID))
		return cli_usage("--label %s=%s: not a whole number",
				 kind == FILTER_PID ? "pid" : "thread_id", text);
	if (!heap_grow(&words, &filter->word_capacity, filter->word_count + 1,
		       sizeof(*filter->words)))
		return cli_fail(text, "no memory");
	filter->words = words;
	filter->words[filter->word_count++] = word;
	filter->has[kind] = true;
	return CLI_GOOD;
}

static int take_origin(struct filter *filter, const char *text)
{
	int word = args_word(flag_names[FILTER_ORIGIN], text, origin_words);

	if (word < 0)
		return CLI_USAGE;
	filter->origins |= 1u << word;
	filter->needed |= PROFILE_OF_ORIGIN;
	return CLI_GOOD;
}

static int take_library(struct filter *filter, const char *text)
{
	if (*text == '\0')
		return cli_usage("--library: the name is empty");
	filter->needed |= PROFILE_IN_LIBRARY;
	return take_word(filter, FILTER_LIBRARY_NAME, text);
}

static int take_pattern(struct filter *filter, enum filter_flag flag, const char *text)
{
	struct filter_pattern *pattern;
	char error[256];
	int wrong;

	/* regcomp(3) recurses into each parenthesis, down to the end of the stack. */
	if (strlen(text) > PATTERN_BYTES)
		return cli_usage("%s: an expression of more than %d bytes", flag_names[flag],
				 PATTERN_BYTES);
	pattern = heap_zalloc(sizeof(*pattern));
	if (!pattern)
		return cli_fail(text, "no memory");
	wrong = regcomp(&pattern->regex, text, REG_EXTENDED | REG_NOSUB);
	if (wrong) {
		regerror(wrong, &pattern->regex, error, sizeof(error));
		heap_free(pattern);
		return cli_usage("%s %s: %s", flag_names[flag], text, error);
	}
	pattern->mark = flag == FILTER_FOCUS ? PROFILE_FOCUSED : PROFILE_IGNORED;
	filter->needed |= pattern->mark & PROFILE_FOCUSED;
	pattern->next = filter->patterns;
	filter->patterns = pattern;
	return CLI_GOOD;
}

static void put_note(struct filter *filter, const char *flag, const char *value)
{
	if (filter->note.size > 0)
		wire_put_u8(&filter->note, ' ');
	wire_put(&filter->note, flag, strlen(flag));
	wire_put_u8(&filter->note, '=');
	wire_put(&filter->note, value, strlen(value));
}

static bool keeps_process(void *self, uint64_t pid)
{
	return keeps(self, FILTER_PID, pid, NULL);
}

static bool keeps_thread(void *self, uint64_t tid, const char *name)
{
	return keeps(self, FILTER_NAME_OR_ID, tid, name) &&
	       keeps(self, FILTER_THREAD_NAME, 0, name) && keeps(self, FILTER_THREAD_ID, tid, NULL);
}

/* One of the words of this kind is it, or there are none. */
static bool keeps(const struct filter *filter, enum filter_kind kind, uint64_t number,
		  const char *name)
{
	bool is_number = kind != FILTER_THREAD_NAME;

	for (size_t i = 0; i < filter->word_count; i++) {
		const struct filter_word *word = &filter->words[i];

		if (word->kind != kind)
			continue;
		if (is_number && word->is_number && word->number == number)
			return true;
		if (name && strcmp(word->text, name) == 0)
			return true;
	}
	return !filter->has[kind];
}

static unsigned marks_function(void *self, const struct profile *profile,
			       const struct profile_function *function)
{
	const struct filter *filter = self;
	const char *name = profile_string(profile, function->full);
	enum profile_origin origin = profile_origin(profile, function);
	unsigned marks = filter->origins >> origin & 1 ? PROFILE_OF_ORIGIN : 0;

	if (origin == PROFILE_NATIVE &&
	    is_in_library(filter, profile_string(profile, function->file)))
		marks |= PROFILE_IN_LIBRARY;
	for (const struct filter_pattern *at = filter->patterns; at; at = at->next)
		if (!(marks & at->mark) && regexec(&at->regex, name, 0, NULL, 0) == 0)
			marks |= at->mark;
	return marks;
}

/* "libz" and "libz.so.1" are libz.so.1.2.13, and "_json" is _json.cpython-312-x86_64-linux-gnu.so: a name ends before
   a dot, a hyphen or the NUL, which strchr finds, too. */
static bool is_in_library(const struct filter *filter, const char *path)
{
	const char *base = profile_base_name(path);

	for (size_t i = 0; i < filter->word_count; i++) {
		const char *name = filter->words[i].text;
		size_t bytes = strlen(name);

		if (filter->words[i].kind != FILTER_LIBRARY_NAME)
			continue;
		if (strcmp(path, name) == 0)
			return true;
		if (strncmp(base, name, bytes) == 0 && strchr(".-", base[bytes]))
			return true;
	}
	return false;
}
