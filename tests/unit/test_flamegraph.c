/*
 * test_flamegraph.c - the page as bytes: its numbers against the profile and against the collapsed stacks, its
 * strings against all that breaks out of HTML.  What a browser makes of it is for tests/viewers.
 */
#include "exported.h"

#include "pairs.h"
#include "utf8.h"

#define PAGE_BYTES (40 * 1024) /* all but the data */

extern const struct exporter_hooks flamegraph_exporter, collapsed_exporter;
extern const char flamegraph_head[], flamegraph_head_end[], flamegraph_tail[],
	flamegraph_tail_end[];

enum { CELL_NODE, CELL_THREAD, CELL_VALUE, CELL_COUNT };
enum { FRAME_MODULE, FRAME_NAME, FRAME_FILE, FRAME_LINE, FRAME_ORIGIN, FRAME_NUMBERS };

/* What the page's data holds. */
struct numbers {
	uint64_t *at;
	size_t count;
};
struct page {
	struct bytes all;
	char *data; /* the JSON, ended by a NUL */
	struct numbers frames, nodes, cells;
	char **strings;
	size_t string_count;
	unsigned cell_numbers; /* node, thread, a value for each column */
};

/* What follows "name": and the bracket. */
static char *after(const struct page *page, const char *name)
{
	char key[40], *at;

	snprintf(key, sizeof(key), "\"%s\":[", name);
	at = strstr(page->data, key);
	cr_assert_not_null(at, "%s", key);
	return at + strlen(key);
}

static struct numbers read_numbers(const struct page *page, const char *name)
{
	struct numbers numbers = { NULL, 0 };
	char *at = after(page, name);

	numbers.at = keep(calloc(strlen(page->data) / 2 + 1, sizeof(*numbers.at)));
	while (*at != ']') {
		numbers.at[numbers.count++] = strtoull(at, &at, 10);
		cr_assert(*at == ',' || *at == ']', "%s holds '%c'", name, *at);
		at += *at == ',';
	}
	return numbers;
}

/* One string of JSON in place; what follows it. */
static char *read_string(char *at)
{
	char *to = at;

	cr_assert_eq(*at++, '"');
	while (*at != '"') {
		if (*at == '\\') {
			cr_assert_eq(memcmp(at, "\\u00", 4), 0);
			*to++ = (char)strtoul((char[]){ at[4], at[5], 0 }, NULL, 16);
			at += 6;
		} else {
			cr_assert(*at != '\0');
			*to++ = *at++;
		}
	}
	*to = '\0';
	return at + 1;
}

static void read_strings(struct page *page)
{
	char *at = after(page, "strings");

	page->strings = keep(calloc(strlen(page->data) / 2 + 1, sizeof(*page->strings)));
	for (char end = ','; end == ','; end = *at++) {
		page->strings[page->string_count++] = at;
		at = read_string(at);
	}
	cr_assert_eq(at[-1], ']');
}

static struct page parse_page(struct bytes all)
{
	static const char mark[] = "<script type=\"application/json\" id=\"data\">";
	struct page page = { .all = all };
	char *begin = strstr((char *)page.all.bytes, mark), *end;

	cr_assert_eq(strlen((char *)page.all.bytes), page.all.size, "a NUL");
	cr_assert_not_null(begin);
	begin += strlen(mark);
	end = strchr(begin, '<');
	cr_assert_eq(memcmp(end, "</script>", 9), 0);
	page.data = keep(strndup(begin, (size_t)(end - begin)));
	page.cell_numbers = CELL_COUNT + 1;
	page.frames = read_numbers(&page, "frames");
	page.nodes = read_numbers(&page, "nodes");
	page.cells = read_numbers(&page, "cells");
	read_strings(&page);
	cr_assert_eq(page.frames.count % FRAME_NUMBERS, 0);
	cr_assert_eq(page.nodes.count % 2, 0);
	cr_assert_eq(page.cells.count % page.cell_numbers, 0);
	return page;
}

static struct page read_page(const struct profile *profile, bool lines)
{
	return parse_page(export_to_memory(&flamegraph_exporter, profile, lines));
}

static const uint64_t *frame_of(const struct page *page, uint64_t node)
{
	uint64_t frame = page->nodes.at[2 * (node - 1) + 1];

	cr_assert(frame >= 1 && frame <= page->frames.count / FRAME_NUMBERS);
	return &page->frames.at[(frame - 1) * FRAME_NUMBERS];
}

static uint64_t parent_of(const struct page *page, uint64_t node)
{
	uint64_t back = page->nodes.at[2 * (node - 1)];

	cr_assert(back >= 1 && back <= node, "parents come first");
	return node - back;
}

Test(flamegraph, sums_are_those_of_the_samples_in_each_thread, .fini = remove_scratch)
{
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct filled filled, sum = { 0 };
		struct profile *profile = hostile_profile(seed, &filled);
		struct page page = read_page(profile, false);
		uint64_t *values =
			keep(calloc(profile->thread_count, sizeof(*values))); /* by thread */

		for (size_t i = 0; i < page.cells.count; i += page.cell_numbers) {
			const uint64_t *cell = &page.cells.at[i];

			cr_assert_lt(cell[CELL_THREAD], profile->thread_count);
			cr_assert(cell[CELL_NODE] >= 1 && cell[CELL_NODE] <= page.nodes.count / 2);
			values[cell[CELL_THREAD]] += cell[CELL_VALUE];
			sum.value += cell[CELL_VALUE];
			sum.count += cell[CELL_COUNT];
		}
		cr_assert_eq(sum.value, filled.value);
		cr_assert_eq(sum.count, filled.count);
		for (size_t i = 0; i < profile->sample_count; i++)
			values[profile->samples[i].thread] -= profile->samples[i].value;
		for (size_t i = 0; i < profile->thread_count; i++)
			cr_assert_eq(values[i], 0, "thread %zu", i);
		profile_free(profile);
	}
}

/* As the collapsed format cleans names. */
static void append_clean(char *line, const char *text)
{
	char *at = line + strlen(line);

	strcpy(at, text);
	for (; *at; at++) {
		if (*at == ';')
			*at = ':';
		else if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = ' ';
	}
}

/* "root;...;leaf", leaving room for what a name may be. */
static char *stack_of(const struct page *page, uint64_t node)
{
	uint64_t path[64];
	size_t depth = 0;
	char *line = keep(calloc(1, 500000));

	for (; node != 0; node = parent_of(page, node)) {
		cr_assert_lt(depth, PROF_COUNT(path));
		path[depth++] = node;
	}
	while (depth-- > 0) {
		const uint64_t *frame = frame_of(page, path[depth]);
		const char *module = page->strings[frame[FRAME_MODULE]];
		const char *file = page->strings[frame[FRAME_FILE]];

		append_clean(line, module);
		strcat(line, *module ? "." : "");
		append_clean(line, page->strings[frame[FRAME_NAME]]);
		if (*file) {
			strcat(line, " (");
			append_clean(line, file);
			sprintf(line + strlen(line), ":%u)", (unsigned)frame[FRAME_LINE]);
		}
		strcat(line, depth ? ";" : "");
	}
	return line;
}

struct stack {
	uint64_t hash, value;
};

static int compare_stacks(const void *a, const void *b)
{
	const struct stack *left = a, *right = b;

	return left->hash < right->hash ? -1 : left->hash > right->hash;
}

/* One for each different line, in order. */
static size_t merge_stacks(struct stack *stacks, size_t count)
{
	size_t merged = 0;

	qsort(stacks, count, sizeof(*stacks), compare_stacks);
	for (size_t i = 0; i < count; i++) {
		if (merged > 0 && stacks[merged - 1].hash == stacks[i].hash)
			stacks[merged - 1].value += stacks[i].value;
		else if (stacks[i].value > 0)
			stacks[merged++] = stacks[i];
	}
	return merged;
}

static void check_stacks(const struct profile *profile, bool lines)
{
	struct page page = read_page(profile, lines);
	struct bytes collapsed = export_to_memory(&collapsed_exporter, profile, lines);
	struct stack *ours = keep(calloc(page.cells.count, sizeof(*ours)));
	struct stack *theirs = keep(calloc(collapsed.size, sizeof(*theirs)));
	size_t our_count = 0, their_count = 0;
	char *state = NULL;

	for (size_t i = 0; i < page.cells.count; i += page.cell_numbers) {
		char *stack = stack_of(&page, page.cells.at[i + CELL_NODE]);

		ours[our_count++] = (struct stack){ XXH64(stack, strlen(stack), 0),
						    page.cells.at[i + CELL_VALUE] };
	}
	for (char *line = strtok_r((char *)collapsed.bytes, "\n", &state); line;
	     line = strtok_r(NULL, "\n", &state)) {
		char *space = strrchr(line, ' ');

		theirs[their_count++] = (struct stack){ XXH64(line, (size_t)(space - line), 0),
							strtoull(space + 1, NULL, 10) };
	}
	our_count = merge_stacks(ours, our_count);
	cr_assert_eq(our_count, merge_stacks(theirs, their_count));
	cr_assert_arr_eq(ours, theirs, our_count * sizeof(*ours));
}

Test(flamegraph, stacks_are_those_of_collapsed, .fini = remove_scratch)
{
	struct filled filled;
	struct profile *profile = hostile_profile(7, &filled);

	check_stacks(profile, false);
	check_stacks(profile, true);
	profile_free(profile);
}

/* Each string of the profile that a stack needs is there, unchanged, whatever is in it; none twice. */
Test(flamegraph, hostile_names_are_kept_as_they_are, .fini = remove_scratch)
{
	struct filled filled;
	struct profile *profile = hostile_profile(3, &filled);
	struct page page = read_page(profile, false);
	struct intern strings = { 0 };

	cr_assert_str_eq(page.strings[0], "");
	for (size_t i = 1; i < page.string_count; i++) {
		bool is_fresh;

		intern_put(&strings, page.strings[i], strlen(page.strings[i]), &is_fresh);
		cr_assert(is_fresh, "%s: twice", page.strings[i]);
	}
	for (size_t i = 0; i < profile->sample_count; i++) {
		const struct profile_sample *sample = &profile->samples[i];
		const struct profile_function *function;
		const char *file;

		if (sample->node == 0)
			continue;
		function =
			&profile->functions[profile->frames[profile->nodes[sample->node - 1].frame -
							    1]
						    .function -
					    1];
		file = profile_string(profile, function->file);
		cr_assert(!*file || intern_find(&strings, file, strlen(file)), "%s", file);
	}
	intern_release(&strings);
	profile_free(profile);
}

static unsigned count(const struct bytes *all, const char *what)
{
	unsigned found = 0;

	for (const char *at = (char *)all->bytes; (at = strstr(at, what)); at++)
		found++;
	return found;
}

Test(flamegraph, no_name_breaks_out_of_the_page, .fini = remove_scratch)
{
	struct filled filled;
	struct profile *profile = hostile_profile(3, &filled);
	struct page page = read_page(profile, false);
	size_t at = 0;

	cr_assert_eq(count(&page.all, "<script"), 2);
	cr_assert_eq(count(&page.all, "</script"), 2);
	cr_assert_eq(count(&page.all, "<!--"), 0);
	cr_assert_eq(count(&page.all, "</noscript"), 2);
	cr_assert_eq(count(&page.all, "&lt;module>"), 0, "it is not among the first");
	while (at < page.all.size) {
		size_t n = utf8_character((char *)page.all.bytes + at, page.all.size - at);

		cr_assert_gt(n, 0, "byte %zu is no UTF-8", at);
		cr_assert(page.all.bytes[at] >= ' ' || page.all.bytes[at] == '\n' ||
				  page.all.bytes[at] == '\t',
			  "byte %zu is %u", at, page.all.bytes[at]);
		at += n;
	}
	profile_free(profile);
}

/* One sample in a function of this name. */
static struct profile *profile_of(const char *name, size_t name_bytes)
{
	char *path = in_scratch("one");
	struct recording_head head = make_head(path);
	struct recording *recording = recording_new(&head);
	struct profile *profile = profile_new();
	struct recording_function function = { "app", name, "/srv/<app>.py", 3, name_bytes,
					       13,    5,    RECORDING_PYTHON };
	uint32_t frame =
		recording_put_frame(recording, recording_put_function(recording, &function), 8);
	uint32_t node = recording_put_node(recording, 0, frame);

	recording_put_sample(recording,
			     &(struct recording_sample){ 1, 0, node, START_NS, 1234567890, 0 });
	flush_good(recording, START_NS);
	recording_free(recording);
	cr_assert_null(profile_add_file(profile, path));
	cr_assert_null(profile_finish(profile));
	return profile;
}

Test(flamegraph, the_table_without_scripts_tells_the_top, .fini = remove_scratch)
{
	struct profile *profile = profile_of("<listcomp> & co", 15);
	struct bytes all = export_to_memory(&flamegraph_exporter, profile, false);

	cr_assert_not_null(strstr((char *)all.bytes,
				  "<tr><td>1.234 s<td>100.0 %<td>1.234 s<td>100.0 %<td><bdi>app."
				  "&lt;listcomp> &amp; co</bdi><br><small><bdi>/srv/&lt;app>.py"
				  "</bdi>:5</small>\n</table></noscript>"));
	profile_free(profile);
}

Test(flamegraph, a_nul_in_a_name_is_a_replacement, .fini = remove_scratch)
{
	struct profile *profile = profile_of("a\0b", 3);
	struct page page = read_page(profile, false);
	const uint64_t *frame = frame_of(&page, 1);

	cr_assert_str_eq(page.strings[frame[FRAME_NAME]], "a\xef\xbf\xbd"
							  "b");
	cr_assert_str_eq(page.strings[frame[FRAME_MODULE]], "app");
	cr_assert_eq(frame[FRAME_LINE], 5);
	profile_free(profile);
}

Test(flamegraph, long_names_are_cut_in_the_table_alone, .fini = remove_scratch)
{
	char *name = keep(calloc(1, 100001));
	struct profile *profile;
	struct page page;

	for (unsigned i = 0; i < 50000; i++)
		memcpy(name + 2 * i, "\xc3\xa9", 2);
	profile = profile_of(name, 100000);
	page = read_page(profile, true);
	cr_assert_str_eq(page.strings[frame_of(&page, 1)[FRAME_NAME]], name);
	cr_assert_eq(frame_of(&page, 1)[FRAME_LINE], 8, "the current line");
	cr_assert_leq(page.all.size, 100000 + PAGE_BYTES + 2000);
	cr_assert_not_null(strstr((char *)page.all.bytes, "\xc3\xa9\xe2\x80\xa6</bdi>"));
	profile_free(profile);
}

Test(flamegraph, the_page_is_small_and_asks_for_nothing)
{
	size_t head = (size_t)(flamegraph_head_end - flamegraph_head);
	size_t tail = (size_t)(flamegraph_tail_end - flamegraph_tail);

	cr_assert_leq(head + tail, PAGE_BYTES);
	cr_assert_eq(strlen(flamegraph_head), head);
	cr_assert_eq(strlen(flamegraph_tail), tail);
	cr_assert_null(strstr(flamegraph_head, "http:"));
	cr_assert_null(strstr(flamegraph_head, "https:"));
	cr_assert_null(strstr(flamegraph_tail, "://"));
}

static struct page compare_page(const struct profile *profile, const struct profile *base)
{
	struct exporter_settings settings = { .base = base };
	struct sink *sink = sink_memory(false);
	struct bytes all;
	const void *bytes;

	flamegraph_exporter.write(profile, measurement_of(profile), &settings, sink);
	bytes = sink_bytes(sink, &all.size);
	all.bytes = keep(calloc(1, all.size + 1));
	memcpy(all.bytes, bytes, all.size);
	cr_assert_null(sink_close(sink));
	return parse_page(all);
}

/* Both in one tree, each with its sums in threads of its own; the table without scripts is of the profile alone. */
Test(flamegraph, a_base_is_beside_the_profile, .fini = remove_scratch)
{
	struct filled filled, base_filled, sum = { 0 }, base_sum = { 0 };
	struct profile *profile = hostile_profile(1, &filled);
	struct profile *base = hostile_profile(2, &base_filled);
	struct page alone = read_page(profile, false), page = compare_page(profile, base);
	char threads[64];

	for (size_t i = 0; i < page.cells.count; i += page.cell_numbers) {
		const uint64_t *cell = &page.cells.at[i];
		struct filled *of = cell[CELL_THREAD] < profile->thread_count ? &sum : &base_sum;

		cr_assert_lt(cell[CELL_THREAD], profile->thread_count + base->thread_count);
		of->value += cell[CELL_VALUE];
		of->count += cell[CELL_COUNT];
	}
	cr_assert_eq(sum.value, filled.value);
	cr_assert_eq(sum.count, filled.count);
	cr_assert_eq(base_sum.value, base_filled.value);
	cr_assert_eq(base_sum.count, base_filled.count);
	snprintf(threads, sizeof(threads), "\"base\":{\"process\":1,\"thread\":%zu}",
		 profile->thread_count);
	cr_assert_not_null(strstr(page.data, threads));
	cr_assert_null(strstr(alone.data, "\"base\":"));
	cr_assert_arr_eq(page.all.bytes, alone.all.bytes,
			 (size_t)(strstr((char *)alone.all.bytes, "\"processes\"") -
				  (char *)alone.all.bytes - 1));
	profile_free(profile);
	profile_free(base);
}

/* Strings are numbered anew in each profile: what is equal has to be found by its text. */
Test(flamegraph, a_base_that_is_the_same_adds_no_frame, .fini = remove_scratch)
{
	struct filled filled;
	struct profile *profile = hostile_profile(1, &filled);
	struct page alone = read_page(profile, false), page = compare_page(profile, profile);

	cr_assert_eq(page.nodes.count, alone.nodes.count);
	cr_assert_eq(page.frames.count, alone.frames.count);
	cr_assert_eq(page.string_count, alone.string_count);
	cr_assert_eq(page.cells.count, 2 * alone.cells.count);
	profile_free(profile);
}

Test(flamegraph, native_functions_are_one_box, .fini = remove_scratch)
{
	struct profile *profile = native_profile();

	for (unsigned lines = 0; lines < 2; lines++) {
		struct page page = read_page(profile, lines);
		const uint64_t *eval = frame_of(&page, 2);

		cr_assert_eq(page.nodes.count / 2, 6);
		cr_assert_eq(page.frames.count / FRAME_NUMBERS, 6);
		cr_expect_str_eq(page.strings[eval[FRAME_NAME]], "eval");
		cr_expect_str_eq(page.strings[eval[FRAME_FILE]], "/usr/bin/python3");
		cr_expect_eq(eval[FRAME_LINE], 0);
		cr_expect_eq(eval[FRAME_ORIGIN], PROFILE_NATIVE);
		cr_expect_null(strstr((char *)page.all.bytes, "/usr/lib/libfoo.so</bdi>:"));
		cr_expect_not_null(
			strstr((char *)page.all.bytes, "/usr/lib/libfoo.so</bdi></small>"));
	}
	profile_free(profile);
}

/* The page's names of the colours are in the order of the profile's origins. */
Test(flamegraph, each_origin_has_a_colour)
{
	static const char *const colours[] = {
		[PROFILE_PROGRAM] = "\"program\"", [PROFILE_STANDARD] = "\"standard\"",
		[PROFILE_PACKAGE] = "\"package\"", [PROFILE_C] = "\"c\"",
		[PROFILE_NATIVE] = "\"native\"",   [PROFILE_MARKER] = "\"profiler\"",
	};
	size_t bytes = (size_t)(flamegraph_tail_end - flamegraph_tail);
	char *script = keep(strndup(flamegraph_tail, bytes)), *end;
	char *at = strstr(script, "ORIGINS=[");

	cr_assert_eq(PROF_COUNT(colours), PROFILE_ORIGINS);
	cr_assert_not_null(at);
	end = strchr(at, ']');
	for (unsigned i = 0; i < PROFILE_ORIGINS; i++) {
		at = strstr(at, colours[i]);
		cr_assert(at && at < end, "%s", colours[i]);
	}
	cr_assert_null(memchr(at, ',', (size_t)(end - at)), "no more of them");
}
