/*
 * recording_write.c - facts in, blocks out.
 *
 *   recording_put_*  ->  sections, one for each type of block  --seal-->  out  --append-->  store
 *                        (open: rows may still be added)         (whole blocks)
 *
 * The tables of recording_tables.c give the ids and put what is new into its section.  What has to be
 * said only once in its last state (notes, losses) waits in a table until it is sealed.
 *
 * After a failure tables and samples are thrown away and a new epoch is owed; threads, mappings, notes
 * and losses are kept and come with the next flush.
 */
#include "recording.h"

#include "heap.h"
#include "recording_block.h"
#include "recording_format.h"
#include "recording_store.h"
#include "recording_tables.h"
#include "wire.h"

#include <string.h>

#define TABLES_BYTES ((size_t)4 << 20)
#define SAMPLES_BYTES ((size_t)256 << 10)
#define KEPT_BYTES ((size_t)1 << 20)

enum {
	METRIC_ROWS = 0
#define METRIC(collector, name, unit, count_name, help) +1
#include "../collectors/collectors.def"
#undef METRIC
};

struct note {
	char *key, *value;
	bool is_new;
};

struct recording {
	struct recording_store store;

	/* the current epoch */
	uint32_t epoch;
	bool epoch_owed;
	struct recording_tables tables;

	/* what is not in the file yet */
	struct wire_buffer sections[RECORDING_BLOCK_END];
	size_t mappings_sealed; /* bytes of their section, which stay there until they are in the file */
	struct wire_buffer out;
	uint32_t mapping_count;
	struct recording_sample last; /* in the open samples section */
	struct note *notes;
	size_t note_count, note_capacity;
	uint64_t losses[LOSS_COUNT];
	bool losses_new;
	uint64_t samples_waiting; /* in sections and out */
	uint64_t samples, samples_lost;
	uint64_t last_ns;
	errmsg error; /* of a flush that nobody asked for */
};

static bool begin_store(struct recording_store *store, const struct recording_head *head);
static void release_notes(struct recording *recording);
static void encode_sample(struct recording *recording, const struct recording_sample *sample);
static struct note *find_note(struct recording *recording, const char *key);
static errmsg flush(struct recording *recording);
static bool seal(struct recording *recording);
static void seal_mappings(struct recording *recording);
static bool seal_section(struct recording *recording, unsigned type);
static void seal_notes(struct recording *recording);
static void seal_losses(struct recording *recording);
static void begin_epoch(struct recording *recording);
static void abandon(struct recording *recording);
static void keep_threads(struct wire_buffer *out);

struct recording *recording_new(const struct recording_head *head)
{
	struct recording *recording = heap_zalloc(sizeof(*recording));

	if (!recording)
		return NULL;
	recording->epoch = 1;
	recording->tables.sections = recording->sections;
	recording->last_ns = head->start_monotonic_ns;
	if (!begin_store(&recording->store, head)) {
		heap_free(recording);
		return NULL;
	}
	return recording;
}

/* False: no memory, and nothing to be released. */
static bool begin_store(struct recording_store *store, const struct recording_head *head)
{
	*store = (struct recording_store){ .fd = -1, .reopen = head->reopen };
	store->path = heap_strdup(head->path);
	if (head->other_path)
		store->other_path = heap_strdup(head->other_path);
	if (!store->path || !recording_block_head(&store->head, head)) {
		recording_store_release(store);
		return false;
	}
	recording_store_begin(store);
	return true;
}

void recording_free(struct recording *recording)
{
	if (!recording)
		return;
	recording_store_release(&recording->store);
	recording_tables_release(&recording->tables);
	for (unsigned i = 0; i < RECORDING_BLOCK_END; i++)
		wire_release(&recording->sections[i]);
	release_notes(recording);
	wire_release(&recording->out);
	heap_free(recording);
}

static void release_notes(struct recording *recording)
{
	for (size_t i = 0; i < recording->note_count; i++) {
		heap_free(recording->notes[i].key);
		heap_free(recording->notes[i].value);
	}
	heap_free(recording->notes);
	recording->notes = NULL;
	recording->note_count = recording->note_capacity = 0;
}

uint32_t recording_put_function(struct recording *recording,
				const struct recording_function *function)
{
	return recording_tables_put_function(&recording->tables, function);
}

uint32_t recording_put_frame(struct recording *recording, uint32_t function, uint32_t line)
{
	return recording_tables_put_frame(&recording->tables, function, line);
}

uint32_t recording_put_place(struct recording *recording, uint32_t function, uint32_t mapping,
			     uint64_t address)
{
	if (mapping == 0 || mapping > recording->mapping_count)
		return 0;
	return recording_tables_put_place(&recording->tables, function, mapping, address);
}

uint32_t recording_put_node(struct recording *recording, uint32_t parent, uint32_t frame)
{
	return recording_tables_put_node(&recording->tables, parent, frame);
}

uint32_t recording_epoch(const struct recording *recording)
{
	return recording->epoch;
}

void recording_put_sample(struct recording *recording, const struct recording_sample *sample)
{
	recording->samples++;
	if (sample->node > recording->tables.nodes.count || sample->thread == 0 ||
	    sample->metric >= METRIC_ROWS || sample->duration > RECORDING_DURATION_MAX) {
		recording->samples_lost++;
		return;
	}
	encode_sample(recording, sample);
	recording->samples_waiting++;
	recording->last_ns = sample->time_ns;
	if (recording->sections[RECORDING_BLOCK_SAMPLES].size >= SAMPLES_BYTES) {
		errmsg error = flush(recording);

		if (error && !recording->error)
			recording->error = error;
	}
	if (recording_tables_bytes(&recording->tables) >= TABLES_BYTES) {
		if (!seal(recording))
			abandon(recording);
		else
			begin_epoch(recording);
	}
}

void recording_put_thread(struct recording *recording, const struct recording_thread *thread)
{
	struct wire_buffer *section = &recording->sections[RECORDING_BLOCK_THREADS];

	if (section->size >= KEPT_BYTES)
		wire_clear(section);
	wire_put_varint(section, thread->id);
	wire_put_varint(section, thread->tid);
	recording_block_text(section, thread->name);
}

/* Numbers are places in the file: what has one must come there, and what cannot gets none. */
uint32_t recording_put_mapping(struct recording *recording, const struct recording_mapping *mapping)
{
	struct wire_buffer *section = &recording->sections[RECORDING_BLOCK_MAPPINGS];
	size_t size_bytes = section->size;

	if (size_bytes >= KEPT_BYTES)
		return 0;
	wire_put_varint(section, mapping->start);
	wire_put_varint(section, mapping->end);
	wire_put_varint(section, mapping->offset);
	recording_block_text(section, mapping->file);
	recording_block_text(section, mapping->build_id);
	if (section->failed) {
		section->size = size_bytes;
		section->failed = false;
		return 0;
	}
	return ++recording->mapping_count;
}

void recording_put_note(struct recording *recording, const char *key, const char *value)
{
	struct note *note = find_note(recording, key);
	char *copy;

	if (!note || (note->value && strcmp(note->value, value) == 0))
		return;
	copy = heap_strdup(value);
	if (!copy)
		return;
	heap_free(note->value);
	note->value = copy;
	note->is_new = true;
}

void recording_put_losses(struct recording *recording, const uint64_t losses[LOSS_COUNT])
{
	if (memcmp(recording->losses, losses, sizeof(recording->losses)) == 0)
		return;
	memcpy(recording->losses, losses, sizeof(recording->losses));
	recording->losses_new = true;
}

errmsg recording_flush(struct recording *recording, uint64_t time_ns, uint64_t *lost)
{
	errmsg error;

	if (time_ns > recording->last_ns)
		recording->last_ns = time_ns;
	error = flush(recording);
	if (!error)
		error = recording->error;
	recording->error = NULL;
	*lost = recording->samples_lost;
	recording->samples_lost = 0;
	return error;
}

void recording_detach(struct recording *recording)
{
	recording->store.fd = -1;
}

bool recording_renew(struct recording *recording, const struct recording_head *head)
{
	struct recording_store store;

	if (!begin_store(&store, head))
		return false;
	recording_store_release(&recording->store);
	recording->store = store;
	for (unsigned i = 0; i < RECORDING_BLOCK_END; i++)
		wire_clear(&recording->sections[i]);
	wire_clear(&recording->out);
	recording->mappings_sealed = 0;
	recording->mapping_count = 0;
	release_notes(recording);
	memset(recording->losses, 0, sizeof(recording->losses));
	recording->losses_new = false;
	recording->samples_lost += recording->samples_waiting;
	recording->samples_waiting = 0;
	recording->last_ns = head->start_monotonic_ns;
	begin_epoch(recording);
	/* A file begins with one. */
	recording->epoch_owed = false;
	return true;
}

bool recording_created(const struct recording *recording)
{
	return recording->store.created;
}

uint64_t recording_bytes(const struct recording *recording)
{
	return recording->store.good_bytes;
}

const char *recording_path(const struct recording *recording)
{
	return recording->store.path;
}

uint64_t recording_samples(const struct recording *recording)
{
	return recording->samples;
}

static void encode_sample(struct recording *recording, const struct recording_sample *sample)
{
	struct wire_buffer *section = &recording->sections[RECORDING_BLOCK_SAMPLES];
	struct recording_sample *last = &recording->last;
	uint8_t bytes[1 + 6 * WIRE_VARINT_BYTES];
	size_t n = 1;

	if (section->size == 0)
		*last = (struct recording_sample){ 0 };
	bytes[0] = 0;
	if (sample->thread != last->thread) {
		bytes[0] |= RECORDING_SAMPLE_THREAD;
		n += wire_varint_write(bytes + n, sample->thread);
	}
	if (sample->metric != last->metric) {
		bytes[0] |= RECORDING_SAMPLE_METRIC;
		n += wire_varint_write(bytes + n, sample->metric);
	}
	n += wire_varint_write(bytes + n, sample->node);
	n += wire_varint_write(bytes + n, wire_zigzag(sample->time_ns - last->time_ns));
	n += wire_varint_write(bytes + n, sample->value);
	if (sample->duration != 0) {
		bytes[0] |= RECORDING_SAMPLE_DURATION;
		n += wire_varint_write(bytes + n, sample->duration);
	}
	wire_put(section, bytes, n);
	*last = *sample;
}

/* The note of this key, made if there is none; NULL: no memory. */
static struct note *find_note(struct recording *recording, const char *key)
{
	void *notes = recording->notes;
	char *copy;

	for (size_t i = 0; i < recording->note_count; i++)
		if (strcmp(recording->notes[i].key, key) == 0)
			return &recording->notes[i];
	if (!heap_grow(&notes, &recording->note_capacity, recording->note_count + 1,
		       sizeof(*recording->notes)))
		return NULL;
	recording->notes = notes;
	copy = heap_strdup(key);
	if (!copy)
		return NULL;
	recording->notes[recording->note_count] = (struct note){ .key = copy };
	return &recording->notes[recording->note_count++];
}

static errmsg flush(struct recording *recording)
{
	errmsg error = "no memory";

	if (!recording->store.created && recording->samples_waiting == 0)
		return NULL;
	seal_notes(recording);
	seal_losses(recording);
	wire_put_varint(&recording->sections[RECORDING_BLOCK_FLUSH], recording->last_ns);
	if (seal(recording))
		error = recording_store_append(&recording->store, &recording->out);
	if (error) {
		abandon(recording);
		return error;
	}
	wire_clear(&recording->out);
	wire_clear(&recording->sections[RECORDING_BLOCK_MAPPINGS]);
	recording->mappings_sealed = 0;
	recording->samples_waiting = 0;
	return NULL;
}

/* Make whole blocks of the open sections; false: memory was short somewhere, nothing can be trusted. */
static bool seal(struct recording *recording)
{
	/* What is referred to comes first; and what explains samples before them. */
	static const uint8_t order[] = {
		RECORDING_BLOCK_STRINGS, RECORDING_BLOCK_FUNCTIONS, RECORDING_BLOCK_FRAMES,
		RECORDING_BLOCK_PLACES,	 RECORDING_BLOCK_NODES,	    RECORDING_BLOCK_THREADS,
		RECORDING_BLOCK_NOTES,	 RECORDING_BLOCK_LOSSES,    RECORDING_BLOCK_SAMPLES,
		RECORDING_BLOCK_FLUSH,
	};
	bool failed = false;

	if (recording->epoch_owed)
		recording_block_put(&recording->out, RECORDING_BLOCK_EPOCH,
				    &recording->sections[RECORDING_BLOCK_EPOCH]);
	recording->epoch_owed = false;
	seal_mappings(recording);
	for (size_t i = 0; i < PROF_COUNT(order); i++)
		failed |= !seal_section(recording, order[i]);
	return !failed && !recording->out.failed;
}

/* The rows since the last time. */
static void seal_mappings(struct recording *recording)
{
	const struct wire_buffer *section = &recording->sections[RECORDING_BLOCK_MAPPINGS];
	struct wire_buffer rows = {
		.bytes = section->bytes + recording->mappings_sealed,
		.size = section->size - recording->mappings_sealed,
	};

	if (rows.size == 0)
		return;
	recording_block_put(&recording->out, RECORDING_BLOCK_MAPPINGS, &rows);
	recording->mappings_sealed = section->size;
}

static bool seal_section(struct recording *recording, unsigned type)
{
	struct wire_buffer *section = &recording->sections[type];
	bool is_good = !section->failed;

	if (section->size > 0 && is_good)
		recording_block_put(&recording->out, type, section);
	wire_clear(section);
	return is_good;
}

static void seal_notes(struct recording *recording)
{
	struct wire_buffer *section = &recording->sections[RECORDING_BLOCK_NOTES];

	for (size_t i = 0; i < recording->note_count; i++) {
		struct note *note = &recording->notes[i];

		if (!note->is_new)
			continue;
		recording_block_text(section, note->key);
		recording_block_text(section, note->value);
		note->is_new = false;
	}
}

static void seal_losses(struct recording *recording)
{
	static const struct {
		const char *name, *help;
	} rows[] = {
#define LOSS(name, help) { #name, help },
#include "losses.def"
#undef LOSS
	};
	struct wire_buffer *section = &recording->sections[RECORDING_BLOCK_LOSSES];

	if (!recording->losses_new)
		return;
	for (unsigned i = 0; i < LOSS_COUNT; i++) {
		recording_block_text(section, rows[i].name);
		recording_block_text(section, rows[i].help);
		wire_put_varint(section, recording->losses[i]);
	}
	recording->losses_new = false;
}

static void begin_epoch(struct recording *recording)
{
	recording_tables_clear(&recording->tables);
	recording->epoch++;
	recording->epoch_owed = true;
}

/* What waits cannot be written: samples and the tables that they need go, the rest is kept. */
static void abandon(struct recording *recording)
{
	recording->samples_lost += recording->samples_waiting;
	recording->samples_waiting = 0;
	keep_threads(&recording->out);
	recording->mappings_sealed = 0;
	for (size_t i = 0; i < recording->note_count; i++)
		recording->notes[i].is_new = recording->notes[i].value != NULL;
	recording->losses_new = true;
	begin_epoch(recording);
}

/* Leave only their blocks: they are said once and stay true, as mappings do, which wait where they were put. */
static void keep_threads(struct wire_buffer *out)
{
	size_t at = 0, kept = 0;

	while (!out->failed && at < out->size) {
		const uint8_t *block = out->bytes + at;
		struct wire_cursor length = wire_cursor(block + RECORDING_CHECKSUM_BYTES, 4);
		size_t size_bytes = RECORDING_BLOCK_BYTES + (size_t)wire_get_fixed32(&length);
		uint8_t type = block[RECORDING_BLOCK_BYTES - 1];

		if (type == RECORDING_BLOCK_THREADS) {
			memmove(out->bytes + kept, block, size_bytes);
			kept += size_bytes;
		}
		at += size_bytes;
	}
	wire_clear(out);
	if (kept <= KEPT_BYTES)
		out->size = kept;
}
