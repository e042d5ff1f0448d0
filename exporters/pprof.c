/*
 * pprof.c - profile.proto, as github.com/google/pprof/proto/profile.proto has it.
 *
 *   profile's samples -> rows sorted by (labels, node) -> one Sample for each run of equal rows
 *
 * A node's frames become Locations and their functions Functions as samples need them, numbered from 1
 * without gaps in table order; that and the rest of what stricter readers than pprof ask for:
 * the string table begins with "", the default sample type is the first metric, values are never negative.
 * Mappings, Locations and Functions are in pprof_tables.c.
 *
 * Each metric is a sample type, so one Sample holds what a stack used of all of them; but for the first, one
 * that was not measured is none, and no column of zeros.  Samples of a class of
 * durations have the label "duration", its lower end; what is known of a function's error is the label
 * "error" of the biggest sample that ends in it, and of no other.
 *
 * Messages go out as they are made, tables after the samples; proto3 does not care for the order.
 */
#include "pprof.h"

#include <string.h>

enum value_type_field { VALUE_TYPE_TYPE = 1, VALUE_TYPE_UNIT };
enum sample_field { SAMPLE_LOCATION_ID = 1, SAMPLE_VALUE, SAMPLE_LABEL };
enum label_field { LABEL_KEY = 1, LABEL_STR, LABEL_NUM, LABEL_NUM_UNIT };

struct column {
	bool is_measured; /* has a sample */
	uint32_t count, value; /* of a metric: where in values; UINT32_MAX: nowhere */
};

/* What makes labels equal. */
struct label_key {
	uint64_t pid, tid;
	uint32_t name, duration;
};

struct row {
	uint32_t labels; /* id of a label_key */
	uint32_t node;
	uint32_t sample; /* index in the profile */
};

/* Of a function: what is known of the error, and where to say it. */
struct peak {
	double squares; /* of the errors in each process; 0: none known */
	uint64_t value;
	const struct row *row; /* last of its run */
};

static void pprof_write(const struct profile *profile, uint32_t measurement,
			const struct exporter_settings *settings, struct sink *sink);
static bool make_tables(struct pprof *pprof);
static const struct profile_metric *find_main(const struct pprof *pprof);
static void make_rows(struct pprof *pprof);
static uint32_t label_id(struct pprof *pprof, const struct profile_sample *sample);
static void make_peaks(struct pprof *pprof);
static int compare_rows(const void *a, const void *b);
static void write_sample_types(struct pprof *pprof);
static void write_value_type(struct pprof *pprof, uint32_t field, const char *type,
			     const char *unit);
static void each_sample(struct pprof *pprof,
			void (*act)(struct pprof *pprof, const struct row *row));
static void add_values(struct pprof *pprof, uint32_t sample);
static void find_peak(struct pprof *pprof, const struct row *row);
static struct peak *peak_of(const struct pprof *pprof, uint32_t node);
static void write_sample(struct pprof *pprof, const struct row *row);
static void put_labels(struct pprof *pprof, const struct row *row);
static void make_labels(struct pprof *pprof, uint32_t labels);
static void put_text_label(struct pprof *pprof, const char *key, const char *text);
static void put_label(struct pprof *pprof, const char *key, uint64_t number, const char *unit);
static void write_span(struct pprof *pprof);
static void write_period(struct pprof *pprof);
static void write_comments(struct pprof *pprof);
static void write_process_comments(struct pprof *pprof, uint32_t process);
static void begin_comment(struct pprof *pprof, uint32_t process);
static void release(struct pprof *pprof);

const struct exporter_hooks pprof_exporter = { .gzip = true, .write = pprof_write };

static void pprof_write(const struct profile *profile, uint32_t measurement,
			const struct exporter_settings *settings, struct sink *sink)
{
	struct pprof pprof = { .profile = profile, .measurement = measurement, .proto.sink = sink };

	(void)settings; /* every Location has its line anyway */
	if (make_tables(&pprof)) {
		write_sample_types(&pprof);
		make_peaks(&pprof);
		each_sample(&pprof, write_sample);
		pprof_write_tables(&pprof);
		write_span(&pprof);
		write_period(&pprof);
		write_comments(&pprof);
		proto_strings(&pprof.proto, PROFILE_STRING_TABLE);
	}
	if (pprof.proto.failed)
		sink_fail(sink, "no memory");
	release(&pprof);
}

static bool make_tables(struct pprof *pprof)
{
	const struct profile *profile = pprof->profile;

	pprof->main = find_main(pprof);
	pprof->columns = heap_zalloc((profile->metric_count + 1) * sizeof(*pprof->columns));
	pprof->values = heap_alloc((2 * profile->metric_count + 1) * sizeof(*pprof->values));
	pprof->rows = heap_alloc((profile->sample_count + 1) * sizeof(*pprof->rows));
	if (!proto_ids_init(&pprof->functions, profile->function_count) ||
	    !proto_ids_init(&pprof->locations, profile->frame_count) || !pprof->columns ||
	    !pprof->values || !pprof->rows)
		pprof->proto.failed = true;
	else
		make_rows(pprof);
	return !pprof->proto.failed;
}

/* The first one of the measurement. */
static const struct profile_metric *find_main(const struct pprof *pprof)
{
	static const struct profile_metric none;
	const struct profile *profile = pprof->profile;

	for (size_t i = 0; i < profile->metric_count; i++)
		if (profile->metrics[i].collector == pprof->measurement)
			return &profile->metrics[i];
	return &none;
}

static void make_rows(struct pprof *pprof)
{
	const struct profile *profile = pprof->profile;
	const struct profile_sample *last = NULL;
	uint32_t labels = 0;

	for (size_t i = 0; i < profile->sample_count; i++) {
		const struct profile_sample *sample = &profile->samples[i];

		if (profile->metrics[sample->metric].collector != pprof->measurement)
			continue;
		if (!last || sample->thread != last->thread || sample->duration != last->duration)
			labels = label_id(pprof, sample);
		last = sample;
		pprof->rows[pprof->row_count++] = (struct row){ labels, sample->node, (uint32_t)i };
		pprof->columns[sample->metric].is_measured = true;
	}
	if (!sort_items(pprof->rows, pprof->row_count, sizeof(*pprof->rows), compare_rows))
		pprof->proto.failed = true;
}

static uint32_t label_id(struct pprof *pprof, const struct profile_sample *sample)
{
	const struct profile_thread *row = &pprof->profile->threads[sample->thread];
	struct label_key key = { pprof->profile->processes[row->process].pid, row->tid, row->name,
				 sample->duration };
	uint32_t id = intern_put(&pprof->labels, &key, sizeof(key), NULL);

	pprof->proto.failed |= id == 0;
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

		column->count = column->value = UINT32_MAX;
		if (metric != pprof->main && !column->is_measured)
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
	proto_number(&pprof->proto, PROFILE_DEFAULT_SAMPLE_TYPE,
		     proto_string(&pprof->proto, profile_string(profile, pprof->main->name)));
}

static void write_value_type(struct pprof *pprof, uint32_t field, const char *type,
			     const char *unit)
{
	wire_put_field(&pprof->proto.message, VALUE_TYPE_TYPE, proto_string(&pprof->proto, type));
	wire_put_field(&pprof->proto.message, VALUE_TYPE_UNIT, proto_string(&pprof->proto, unit));
	proto_end(&pprof->proto, field);
}

static void make_peaks(struct pprof *pprof)
{
	const struct profile *profile = pprof->profile;

	for (size_t i = 0; i < profile->error_count; i++) {
		const struct profile_error *row = &profile->errors[i];

		if (&profile->metrics[row->metric] != pprof->main)
			continue;
		if (!pprof->peaks)
			pprof->peaks = heap_zalloc(profile->function_count * sizeof(*pprof->peaks));
		if (!pprof->peaks) {
			pprof->proto.failed = true;
			return;
		}
		pprof->peaks[row->function - 1].squares += row->error * row->error;
	}
	if (pprof->peaks)
		each_sample(pprof, find_peak);
}

/* Once for each run of equal rows, with its last one and the sums of all in `values`. */
static void each_sample(struct pprof *pprof,
			void (*act)(struct pprof *pprof, const struct row *row))
{
	for (size_t i = 0; i < pprof->row_count; i++) {
		const struct row *row = &pprof->rows[i];

		if (i == 0 || compare_rows(row - 1, row) != 0)
			memset(pprof->values, 0, pprof->column_count * sizeof(*pprof->values));
		add_values(pprof, row->sample);
		if (i + 1 == pprof->row_count || compare_rows(row, row + 1) != 0)
			act(pprof, row);
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

static void find_peak(struct pprof *pprof, const struct row *row)
{
	const struct column *column = &pprof->columns[pprof->main - pprof->profile->metrics];
	uint64_t value = pprof->values[column->value];
	struct peak *peak = peak_of(pprof, row->node);

	if (!peak || (peak->row && value <= peak->value))
		return;
	peak->value = value;
	peak->row = row;
}

/* Of the innermost function, if its error is known. */
static struct peak *peak_of(const struct pprof *pprof, uint32_t node)
{
	const struct profile *profile = pprof->profile;
	struct peak *peak;

	if (!pprof->peaks || node == 0)
		return NULL;
	peak = &pprof->peaks[profile->frames[profile->nodes[node - 1].frame - 1].function - 1];
	return peak->squares > 0 ? peak : NULL;
}

static void write_sample(struct pprof *pprof, const struct row *row)
{
	const struct profile *profile = pprof->profile;
	uint32_t node = row->node;

	while (node != 0) {
		const struct profile_node *at = &profile->nodes[node - 1];

		wire_put_varint(&pprof->proto.inner, proto_id(&pprof->locations, at->frame));
		node = at->parent;
	}
	proto_end_inner(&pprof->proto, SAMPLE_LOCATION_ID);
	for (uint32_t i = 0; i < pprof->column_count; i++)
		wire_put_varint(&pprof->proto.inner, pprof->values[i]);
	proto_end_inner(&pprof->proto, SAMPLE_VALUE);
	put_labels(pprof, row);
	proto_end(&pprof->proto, PROFILE_SAMPLE);
}

/* Rows are sorted by labels: they are made once for all that have the same. */
static void put_labels(struct pprof *pprof, const struct row *row)
{
	const struct peak *peak = peak_of(pprof, row->node);

	if (row->labels != pprof->label_bytes_of)
		make_labels(pprof, row->labels);
	wire_put(&pprof->proto.message, pprof->label_bytes.bytes, pprof->label_bytes.size);
	if (peak && peak->row == row)
		put_label(pprof, "error", estimate_up(estimate_root(peak->squares)),
			  profile_string(pprof->profile, pprof->main->unit));
}

static void make_labels(struct pprof *pprof, uint32_t labels)
{
	const struct label_key *key = intern_get(&pprof->labels, labels, NULL);
	struct wire_buffer *message = &pprof->proto.message;
	size_t start = message->size;

	wire_clear(&pprof->label_bytes);
	pprof->label_bytes_of = labels;
	if (!key)
		return;
	put_label(pprof, "thread_id", key->tid, "id");
	if (key->name != 0)
		put_text_label(pprof, "thread_name", profile_string(pprof->profile, key->name));
	put_label(pprof, "pid", key->pid, "id");
	if (key->duration != 0)
		put_label(pprof, "duration", (uint64_t)1 << (key->duration - 1), "nanoseconds");
	wire_put(&pprof->label_bytes, message->bytes + start, message->size - start);
	pprof->proto.failed |= pprof->label_bytes.failed;
	message->size = start;
}

static void put_text_label(struct pprof *pprof, const char *key, const char *text)
{
	wire_put_field(&pprof->proto.inner, LABEL_KEY, proto_string(&pprof->proto, key));
	wire_put_field(&pprof->proto.inner, LABEL_STR, proto_string(&pprof->proto, text));
	proto_end_inner(&pprof->proto, SAMPLE_LABEL);
}

/* A number without a unit would be lost where it is 0. */
static void put_label(struct pprof *pprof, const char *key, uint64_t number, const char *unit)
{
	wire_put_field(&pprof->proto.inner, LABEL_KEY, proto_string(&pprof->proto, key));
	wire_put_field(&pprof->proto.inner, LABEL_NUM, number);
	wire_put_field(&pprof->proto.inner, LABEL_NUM_UNIT, proto_string(&pprof->proto, unit));
	proto_end_inner(&pprof->proto, SAMPLE_LABEL);
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
	proto_number(&pprof->proto, PROFILE_TIME_NANOS, start_ns);
	proto_number(&pprof->proto, PROFILE_DURATION_NANOS, end_ns - start_ns);
}

/* What is not taken at a period has none. */
static void write_period(struct pprof *pprof)
{
	const struct profile *profile = pprof->profile;
	uint64_t period = profile_period(profile, pprof->measurement);

	if (period == 0)
		return;
	write_value_type(pprof, PROFILE_PERIOD_TYPE, profile_string(profile, pprof->main->name),
			 profile_string(profile, pprof->main->unit));
	proto_number(&pprof->proto, PROFILE_PERIOD, period);
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
		proto_text(&pprof->proto, "lost.");
		proto_text(&pprof->proto, profile_string(profile, profile->losses[i].reason));
		proto_text(&pprof->proto, "=");
		proto_text(&pprof->proto, number);
		proto_text(&pprof->proto, " (");
		proto_text(&pprof->proto, profile_string(profile, profile->losses[i].help));
		proto_text(&pprof->proto, ")");
		proto_number(&pprof->proto, PROFILE_COMMENT, proto_text_end(&pprof->proto));
	}
	if (profile->cut) {
		proto_text(&pprof->proto,
			   "a recording ended in a torn tail: what came after is not here");
		proto_number(&pprof->proto, PROFILE_COMMENT, proto_text_end(&pprof->proto));
	}
}

static void write_process_comments(struct pprof *pprof, uint32_t process)
{
	const struct profile *profile = pprof->profile;
	const struct profile_process *row = &profile->processes[process];

	begin_comment(pprof, process);
	proto_text(&pprof->proto, profile_string(profile, row->writer));
	proto_text(&pprof->proto, " CPython ");
	proto_text(&pprof->proto, profile_string(profile, row->python));
	proto_number(&pprof->proto, PROFILE_COMMENT, proto_text_end(&pprof->proto));
	for (size_t i = 0; i < profile->note_count; i++) {
		const struct profile_note *note = &profile->notes[i];

		if (note->process != process)
			continue;
		begin_comment(pprof, process);
		proto_text(&pprof->proto, profile_string(profile, note->key));
		proto_text(&pprof->proto, "=");
		proto_text(&pprof->proto, profile_string(profile, note->value));
		proto_number(&pprof->proto, PROFILE_COMMENT, proto_text_end(&pprof->proto));
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
	proto_text(&pprof->proto, number);
}

static void release(struct pprof *pprof)
{
	proto_release(&pprof->proto);
	intern_release(&pprof->labels);
	wire_release(&pprof->label_bytes);
	proto_ids_release(&pprof->functions);
	proto_ids_release(&pprof->locations);
	heap_free(pprof->columns);
	heap_free(pprof->values);
	heap_free(pprof->rows);
	heap_free(pprof->peaks);
}
