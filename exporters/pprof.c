/*
 * pprof.c - profile.proto, as github.com/google/pprof/proto/profile.proto has it.
 *
 *   profile's samples -> rows sorted by (labels, node) -> one Sample for each run of equal rows
 *
 * A node's frames become Locations and their functions Functions as samples need them, numbered from 1
 * without gaps in table order; that and the rest of what stricter readers than pprof ask for:
 * the string table begins with "", the default sample type is the last one, values are never negative,
 * a function's system name is left out (pprof would demangle "<module>" to nothing), the executable
 * is the first mapping, and "[python]", which holds all Python code, the last.
 *
 * Messages go out as they are made, tables after the samples; proto3 does not care for the order.
 */
#include "exporter.h"

#include <string.h>

enum profile_field {
	PROFILE_SAMPLE_TYPE = 1,
	PROFILE_SAMPLE,
	PROFILE_MAPPING,
	PROFILE_LOCATION,
	PROFILE_FUNCTION,
	PROFILE_STRING_TABLE,
	PROFILE_TIME_NANOS = 9,
	PROFILE_DURATION_NANOS,
	PROFILE_PERIOD_TYPE,
	PROFILE_PERIOD,
	PROFILE_COMMENT,
	PROFILE_DEFAULT_SAMPLE_TYPE,
};
enum value_type_field { VALUE_TYPE_TYPE = 1, VALUE_TYPE_UNIT };
enum sample_field { SAMPLE_LOCATION_ID = 1, SAMPLE_VALUE, SAMPLE_LABEL };
enum label_field { LABEL_KEY = 1, LABEL_STR, LABEL_NUM, LABEL_NUM_UNIT };
enum mapping_field {
	MAPPING_ID = 1,
	MAPPING_MEMORY_START,
	MAPPING_MEMORY_LIMIT,
	MAPPING_FILE_OFFSET,
	MAPPING_FILENAME,
	MAPPING_BUILD_ID,
	MAPPING_HAS_FUNCTIONS,
	MAPPING_HAS_FILENAMES,
	MAPPING_HAS_LINE_NUMBERS,
};
enum location_field { LOCATION_ID = 1, LOCATION_MAPPING_ID, LOCATION_LINE = 4 };
enum line_field { LINE_FUNCTION_ID = 1, LINE_LINE };
enum function_field { FUNCTION_ID = 1, FUNCTION_NAME, FUNCTION_FILENAME = 4, FUNCTION_START_LINE };

struct column {
	uint32_t count, value; /* of a metric: where in values; UINT32_MAX: nowhere */
};

/* What makes labels equal. */
struct label_key {
	uint64_t pid, tid;
	uint32_t name, unused;
};

struct row {
	uint32_t labels; /* id of a label_key */
	uint32_t node;
	uint32_t sample; /* index in the profile */
};

/* Dense numbers for the profile's ids that are used. */
struct numbering {
	uint32_t *numbers; /* by profile's id - 1; 0: not used */
	uint32_t *ids; /* by number - 1 */
	uint32_t count;
};

struct pprof {
	const struct profile *profile;
	uint32_t measurement;
	struct sink *sink;
	bool failed; /* no memory */

	struct intern strings; /* the id is the index: "" is 0 */
	struct intern labels;
	struct numbering functions, locations;
	struct column *columns; /* by metric */
	uint32_t column_count;
	uint64_t *values; /* one for each column */
	struct row *rows;
	size_t row_count;
	uint32_t mapping_count;

	struct wire_buffer message, inner;
};

static void pprof_write(const struct profile *profile, uint32_t measurement,
			const struct exporter_settings *settings, struct sink *sink);
static bool make_tables(struct pprof *pprof);
static bool make_numbering(struct numbering *numbering, size_t count);
static void make_rows(struct pprof *pprof);
static uint32_t label_id(struct pprof *pprof, uint32_t thread);
static int compare_rows(const void *a, const void *b);
static void write_sample_types(struct pprof *pprof);
static void write_value_type(struct pprof *pprof, uint32_t field, const char *type,
			     const char *unit);
static void write_samples(struct pprof *pprof);
static void add_values(struct pprof *pprof, uint32_t sample);
static void write_sample(struct pprof *pprof, const struct row *row);
static void put_packed(struct pprof *pprof, uint32_t field);
static void put_labels(struct pprof *pprof, uint32_t labels);
static void put_label(struct pprof *pprof, const char *key, const char *text, uint64_t number);
static uint32_t number_of(struct numbering *numbering, uint32_t id);
static void write_locations(struct pprof *pprof);
static void write_functions(struct pprof *pprof);
static void write_mappings(struct pprof *pprof);
static void write_mapping(struct pprof *pprof, const struct profile_mapping *mapping);
static void write_python_mapping(struct pprof *pprof);
static void write_span(struct pprof *pprof);
static void write_period(struct pprof *pprof);
static void write_comments(struct pprof *pprof);
static void write_process_comments(struct pprof *pprof, uint32_t process);
static void begin_comment(struct pprof *pprof, uint32_t process);
static void add_text(struct pprof *pprof, const char *text);
static void end_comment(struct pprof *pprof);
static void write_strings(struct pprof *pprof);
static uint64_t string_index(struct pprof *pprof, const char *text);
static void write_message(struct pprof *pprof, uint32_t field);
static void write_number(struct pprof *pprof, uint32_t field, uint64_t value);
static const struct profile_metric *main_metric(const struct pprof *pprof);
static void release(struct pprof *pprof);

const struct exporter_hooks pprof_exporter = { .gzip = true, .write = pprof_write };

static void pprof_write(const struct profile *profile, uint32_t measurement,
			const struct exporter_settings *settings, struct sink *sink)
{
	struct pprof pprof = { .profile = profile, .measurement = measurement, .sink = sink };

	(void)settings; /* every Location has its line anyway */
	if (make_tables(&pprof)) {
		write_sample_types(&pprof);
		write_samples(&pprof);
		write_mappings(&pprof);
		write_locations(&pprof);
		write_functions(&pprof);
		write_span(&pprof);
		write_period(&pprof);
		write_comments(&pprof);
		write_strings(&pprof);
	}
	if (pprof.failed)
		sink_fail(sink, "no memory");
	release(&pprof);
}

static bool make_tables(struct pprof *pprof)
{
	const struct profile *profile = pprof->profile;

	pprof->columns = heap_alloc((profile->metric_count + 1) * sizeof(*pprof->columns));
	pprof->values = heap_alloc((2 * profile->metric_count + 1) * sizeof(*pprof->values));
	pprof->rows = heap_alloc((profile->sample_count + 1) * sizeof(*pprof->rows));
	if (!make_numbering(&pprof->functions, profile->function_count) ||
	    !make_numbering(&pprof->locations, profile->frame_count) || !pprof->columns ||
	    !pprof->values || !pprof->rows)
		pprof->failed = true;
	else
		make_rows(pprof);
	return !pprof->failed;
}

static bool make_numbering(struct numbering *numbering, size_t count)
{
	numbering->numbers = heap_zalloc((count + 1) * sizeof(*numbering->numbers));
	numbering->ids = heap_alloc((count + 1) * sizeof(*numbering->ids));
	return numbering->numbers && numbering->ids;
}

static void make_rows(struct pprof *pprof)
{
	const struct profile *profile = pprof->profile;
	uint32_t thread = UINT32_MAX, labels = 0;

	for (size_t i = 0; i < profile->sample_count; i++) {
		const struct profile_sample *sample = &profile->samples[i];

		if (profile->metrics[sample->metric].collector != pprof->measurement)
			continue;
		if (sample->thread != thread) {
			thread = sample->thread;
			labels = label_id(pprof, thread);
		}
		pprof->rows[pprof->row_count++] = (struct row){ labels, sample->node, (uint32_t)i };
	}
	if (!sort_items(pprof->rows, pprof->row_count, sizeof(*pprof->rows), compare_rows))
		pprof->failed = true;
}

static uint32_t label_id(struct pprof *pprof, uint32_t thread)
{
	const struct profile_thread *row = &pprof->profile->threads[thread];
	struct label_key key = { pprof->profile->processes[row->process].pid, row->tid, row->name,
				 0 };
	uint32_t id = intern_put(&pprof->labels, &key, sizeof(key), NULL);

	pprof->failed |= id == 0;
	return id;
}

static int compare_rows(const void *a, const void *b)
{
	const struct row *left = a, *right = b;

	if (left->labels != right->labels)
		return left->labels < right->labels ? -1 : 1;
	if (left->node != right->node)
		return left->node < right->node ? -1 : 1;
	return 0;
}

static void write_sample_types(struct pprof *pprof)
{
	const struct profile *profile = pprof->profile;

	for (size_t i = 0; i < profile->metric_count; i++) {
		const struct profile_metric *metric = &profile->metrics[i];
		struct column *column = &pprof->columns[i];

		*column = (struct column){ UINT32_MAX, UINT32_MAX };
		if (metric->collector != pprof->measurement)
			continue;
		if (metric->count_name != 0) {
			column->count = pprof->column_count++;
			write_value_type(pprof, PROFILE_SAMPLE_TYPE,
					 profile_string(profile, metric->count_name), "count");
		}
		column->value = pprof->column_count++;
		write_value_type(pprof, PROFILE_SAMPLE_TYPE, profile_string(profile, metric->name),
				 profile_string(profile, metric->unit));
	}
	write_number(pprof, PROFILE_DEFAULT_SAMPLE_TYPE,
		     string_index(pprof, profile_string(profile, main_metric(pprof)->name)));
}

static void write_value_type(struct pprof *pprof, uint32_t field, const char *type,
			     const char *unit)
{
	wire_put_field(&pprof->message, VALUE_TYPE_TYPE, string_index(pprof, type));
	wire_put_field(&pprof->message, VALUE_TYPE_UNIT, string_index(pprof, unit));
	write_message(pprof, field);
}

static void write_samples(struct pprof *pprof)
{
	for (size_t i = 0; i < pprof->row_count; i++) {
		const struct row *row = &pprof->rows[i];

		if (i == 0 || compare_rows(row - 1, row) != 0)
			memset(pprof->values, 0, pprof->column_count * sizeof(*pprof->values));
		add_values(pprof, row->sample);
		if (i + 1 == pprof->row_count || compare_rows(row, row + 1) != 0)
			write_sample(pprof, row);
	}
}

static void add_values(struct pprof *pprof, uint32_t sample)
{
	const struct profile_sample *from = &pprof->profile->samples[sample];
	const struct column *column = &pprof->columns[from->metric];
	uint64_t *value = &pprof->values[column->value];

	*value = from->value > INT64_MAX - *value ? INT64_MAX : *value + from->value;
	if (column->count != UINT32_MAX)
		pprof->values[column->count] += from->count;
}

static void write_sample(struct pprof *pprof, const struct row *row)
{
	const struct profile *profile = pprof->profile;
	uint32_t node = row->node;

	while (node != 0) {
		const struct profile_node *at = &profile->nodes[node - 1];

		wire_put_varint(&pprof->inner, number_of(&pprof->locations, at->frame));
		node = at->parent;
	}
	put_packed(pprof, SAMPLE_LOCATION_ID);
	for (uint32_t i = 0; i < pprof->column_count; i++)
		wire_put_varint(&pprof->inner, pprof->values[i]);
	put_packed(pprof, SAMPLE_VALUE);
	put_labels(pprof, row->labels);
	write_message(pprof, PROFILE_SAMPLE);
}

/* What is in `inner` becomes a field of `message`. */
static void put_packed(struct pprof *pprof, uint32_t field)
{
	wire_put_bytes_field(&pprof->message, field, pprof->inner.bytes, pprof->inner.size);
	pprof->failed |= pprof->inner.failed;
	wire_clear(&pprof->inner);
}

static void put_labels(struct pprof *pprof, uint32_t labels)
{
	const struct label_key *key = intern_get(&pprof->labels, labels, NULL);

	if (!key)
		return;
	put_label(pprof, "thread_id", NULL, key->tid);
	if (key->name != 0)
		put_label(pprof, "thread_name", profile_string(pprof->profile, key->name), 0);
	put_label(pprof, "pid", NULL, key->pid);
}

/* A number without a unit would be lost where it is 0. */
static void put_label(struct pprof *pprof, const char *key, const char *text, uint64_t number)
{
	wire_put_field(&pprof->inner, LABEL_KEY, string_index(pprof, key));
	if (text) {
		wire_put_field(&pprof->inner, LABEL_STR, string_index(pprof, text));
	} else {
		wire_put_field(&pprof->inner, LABEL_NUM, number);
		wire_put_field(&pprof->inner, LABEL_NUM_UNIT, string_index(pprof, "id"));
	}
	put_packed(pprof, SAMPLE_LABEL);
}

static uint32_t number_of(struct numbering *numbering, uint32_t id)
{
	uint32_t *number = &numbering->numbers[id - 1];

	if (*number == 0) {
		numbering->ids[numbering->count] = id;
		*number = ++numbering->count;
	}
	return *number;
}

static void write_mappings(struct pprof *pprof)
{
	const struct profile *profile = pprof->profile;
	uint32_t program = profile->process_count ? profile->processes[0].program : 0;
	size_t first = 0;

	while (first < profile->mapping_count && profile->mappings[first].file != program)
		first++;
	if (first < profile->mapping_count)
		write_mapping(pprof, &profile->mappings[first]);
	else if (program != 0)
		write_mapping(pprof, &(struct profile_mapping){ .file = program });
	for (size_t i = 0; i < profile->mapping_count; i++)
		if (i != first)
			write_mapping(pprof, &profile->mappings[i]);
	write_python_mapping(pprof);
}

static void write_mapping(struct pprof *pprof, const struct profile_mapping *mapping)
{
	const struct profile *profile = pprof->profile;

	wire_put_field(&pprof->message, MAPPING_ID, ++pprof->mapping_count);
	wire_put_field(&pprof->message, MAPPING_MEMORY_START, mapping->start);
	wire_put_field(&pprof->message, MAPPING_MEMORY_LIMIT, mapping->end);
	wire_put_field(&pprof->message, MAPPING_FILE_OFFSET, mapping->offset);
	wire_put_field(&pprof->message, MAPPING_FILENAME,
		       string_index(pprof, profile_string(profile, mapping->file)));
	wire_put_field(&pprof->message, MAPPING_BUILD_ID,
		       string_index(pprof, profile_string(profile, mapping->build_id)));
	write_message(pprof, PROFILE_MAPPING);
}

static void write_python_mapping(struct pprof *pprof)
{
	wire_put_field(&pprof->message, MAPPING_ID, ++pprof->mapping_count);
	wire_put_field(&pprof->message, MAPPING_FILENAME, string_index(pprof, "[python]"));
	wire_put_field(&pprof->message, MAPPING_HAS_FUNCTIONS, true);
	wire_put_field(&pprof->message, MAPPING_HAS_FILENAMES, true);
	wire_put_field(&pprof->message, MAPPING_HAS_LINE_NUMBERS, true);
	write_message(pprof, PROFILE_MAPPING);
}

static void write_locations(struct pprof *pprof)
{
	for (uint32_t i = 0; i < pprof->locations.count; i++) {
		const struct profile_frame *frame =
			&pprof->profile->frames[pprof->locations.ids[i] - 1];

		wire_put_field(&pprof->message, LOCATION_ID, i + 1);
		wire_put_field(&pprof->message, LOCATION_MAPPING_ID, pprof->mapping_count);
		wire_put_field(&pprof->inner, LINE_FUNCTION_ID,
			       number_of(&pprof->functions, frame->function));
		wire_put_field(&pprof->inner, LINE_LINE, frame->line);
		put_packed(pprof, LOCATION_LINE);
		write_message(pprof, PROFILE_LOCATION);
	}
}

static void write_functions(struct pprof *pprof)
{
	const struct profile *profile = pprof->profile;

	for (uint32_t i = 0; i < pprof->functions.count; i++) {
		const struct profile_function *function =
			&profile->functions[pprof->functions.ids[i] - 1];

		wire_put_field(&pprof->message, FUNCTION_ID, i + 1);
		wire_put_field(&pprof->message, FUNCTION_NAME,
			       string_index(pprof, profile_string(profile, function->full)));
		wire_put_field(&pprof->message, FUNCTION_FILENAME,
			       string_index(pprof, profile_string(profile, function->file)));
		wire_put_field(&pprof->message, FUNCTION_START_LINE, function->first_line);
		write_message(pprof, PROFILE_FUNCTION);
	}
}

/* From the first start to the last end, on the wall clock. */
static void write_span(struct pprof *pprof)
{
	const struct profile *profile = pprof->profile;
	uint64_t start_ns = UINT64_MAX, end_ns = 0;

	for (size_t i = 0; i < profile->process_count; i++) {
		const struct profile_process *process = &profile->processes[i];
		uint64_t length_ns = process->end_monotonic_ns - process->start_monotonic_ns;

		if (process->start_realtime_ns < start_ns)
			start_ns = process->start_realtime_ns;
		if (process->start_realtime_ns + length_ns > end_ns)
			end_ns = process->start_realtime_ns + length_ns;
	}
	if (start_ns > end_ns || end_ns > INT64_MAX)
		return;
	write_number(pprof, PROFILE_TIME_NANOS, start_ns);
	write_number(pprof, PROFILE_DURATION_NANOS, end_ns - start_ns);
}

static void write_period(struct pprof *pprof)
{
	const struct profile *profile = pprof->profile;
	const struct profile_metric *metric = main_metric(pprof);
	uint64_t period = 0;
	const char *digit;
	char key[64];

	log_format(key, sizeof(key), "period.%s", profile_string(profile, metric->collector));
	digit = profile_note_value(profile, 0, key);
	for (; *digit >= '0' && *digit <= '9' && period < INT64_MAX / 10 - 9; digit++)
		period = period * 10 + (uint64_t)(*digit - '0');
	write_value_type(pprof, PROFILE_PERIOD_TYPE, profile_string(profile, metric->name),
			 profile_string(profile, metric->unit));
	write_number(pprof, PROFILE_PERIOD, period);
}

static void write_comments(struct pprof *pprof)
{
	const struct profile *profile = pprof->profile;
	char number[32];

	for (uint32_t i = 0; i < profile->process_count; i++)
		write_process_comments(pprof, i);
	for (size_t i = 0; i < profile->loss_count; i++) {
		log_format(number, sizeof(number), "%llu",
			   (unsigned long long)profile->losses[i].count);
		add_text(pprof, "lost.");
		add_text(pprof, profile_string(profile, profile->losses[i].reason));
		add_text(pprof, "=");
		add_text(pprof, number);
		add_text(pprof, " (");
		add_text(pprof, profile_string(profile, profile->losses[i].help));
		add_text(pprof, ")");
		end_comment(pprof);
	}
	if (profile->cut) {
		add_text(pprof, "a recording ended in a torn tail: what came after is not here");
		end_comment(pprof);
	}
}

static void write_process_comments(struct pprof *pprof, uint32_t process)
{
	const struct profile *profile = pprof->profile;
	const struct profile_process *row = &profile->processes[process];

	begin_comment(pprof, process);
	add_text(pprof, profile_string(profile, row->writer));
	add_text(pprof, " CPython ");
	add_text(pprof, profile_string(profile, row->python));
	end_comment(pprof);
	for (size_t i = 0; i < profile->note_count; i++) {
		const struct profile_note *note = &profile->notes[i];

		if (note->process != process)
			continue;
		begin_comment(pprof, process);
		add_text(pprof, profile_string(profile, note->key));
		add_text(pprof, "=");
		add_text(pprof, profile_string(profile, note->value));
		end_comment(pprof);
	}
}

/* Say of which process it is where there are several. */
static void begin_comment(struct pprof *pprof, uint32_t process)
{
	char number[32];

	if (pprof->profile->process_count < 2)
		return;
	log_format(number, sizeof(number),
		   "pid %llu: ", (unsigned long long)pprof->profile->processes[process].pid);
	add_text(pprof, number);
}

static void add_text(struct pprof *pprof, const char *text)
{
	wire_put(&pprof->inner, text, strlen(text));
}

static void end_comment(struct pprof *pprof)
{
	wire_put_u8(&pprof->inner, 0);
	if (!pprof->inner.failed)
		write_number(pprof, PROFILE_COMMENT,
			     string_index(pprof, (const char *)pprof->inner.bytes));
	pprof->failed |= pprof->inner.failed;
	wire_clear(&pprof->inner);
}

static void write_strings(struct pprof *pprof)
{
	for (uint32_t id = 0; id <= pprof->strings.count; id++) {
		size_t size_bytes;
		const void *bytes = intern_get(&pprof->strings, id, &size_bytes);

		wire_put(&pprof->message, bytes, size_bytes);
		write_message(pprof, PROFILE_STRING_TABLE);
	}
}

static uint64_t string_index(struct pprof *pprof, const char *text)
{
	uint32_t id;

	if (text[0] == '\0')
		return 0;
	id = intern_put(&pprof->strings, text, strlen(text), NULL);
	pprof->failed |= id == 0;
	return id;
}

/* What is in `message` becomes a field of the profile. */
static void write_message(struct pprof *pprof, uint32_t field)
{
	struct wire_buffer *message = &pprof->message;
	uint8_t lead[2 * WIRE_VARINT_BYTES];
	size_t n = wire_varint_write(lead, (uint64_t)field << 3 | WIRE_BYTES);

	n += wire_varint_write(lead + n, message->size);
	sink_put(pprof->sink, lead, n);
	sink_put(pprof->sink, message->bytes, message->size);
	pprof->failed |= message->failed;
	wire_clear(message);
}

static void write_number(struct pprof *pprof, uint32_t field, uint64_t value)
{
	uint8_t bytes[2 * WIRE_VARINT_BYTES];
	size_t n = wire_varint_write(bytes, (uint64_t)field << 3 | WIRE_VARINT);

	n += wire_varint_write(bytes + n, value);
	sink_put(pprof->sink, bytes, n);
}

/* The last one of the measurement: what viewers show first. */
static const struct profile_metric *main_metric(const struct pprof *pprof)
{
	static const struct profile_metric none;
	const struct profile *profile = pprof->profile;

	for (size_t i = profile->metric_count; i > 0; i--)
		if (profile->metrics[i - 1].collector == pprof->measurement)
			return &profile->metrics[i - 1];
	return &none;
}

static void release(struct pprof *pprof)
{
	intern_release(&pprof->strings);
	intern_release(&pprof->labels);
	heap_free(pprof->functions.numbers);
	heap_free(pprof->functions.ids);
	heap_free(pprof->locations.numbers);
	heap_free(pprof->locations.ids);
	heap_free(pprof->columns);
	heap_free(pprof->values);
	heap_free(pprof->rows);
	wire_release(&pprof->message);
	wire_release(&pprof->inner);
}
