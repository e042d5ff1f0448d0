/*
 * recording_read.c - bytes in, facts out; any bytes are survived.
 *
 *   source  the bytes, a window of them at a time (recording_source.c)
 *   block   looked at only when it is whole and its checksum is right
 *   row     given to its hook only when every number in it is in its bounds
 *
 * The first block that is not so ends the reading.  Tables keep what checks and strings need:
 * counts, depths, where a string is.  No length from the file is allocated before as many bytes have
 * been seen.
 */
#include "recording.h"

#include "file.h"
#include "heap.h"
#include "recording_block.h"
#include "recording_format.h"
#include "recording_source.h"
#include "watch.h"
#include "wire.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_BYTES ((size_t)16 << 10)
#define KNOWN_THREADS 64
#define METRICS_MAX 256

struct piece {
	struct piece *next;
	char bytes[];
};

struct text {
	const char *bytes;
	size_t size_bytes;
};

struct reader {
	const struct recording_hooks *hooks;
	void *self;
	struct recording_source source;
	uint64_t block_end;
	uint32_t seed; /* of the next block's checksum */
	bool is_flushed; /* the last block said so */
	bool is_stopped; /* by a step */
	size_t step_left; /* bytes of the block that are left when the next step is due */
	uint32_t version;
	uint32_t metric_count, mapping_count;
	struct intern threads; /* ids that have been announced */
	uint32_t known[KNOWN_THREADS]; /* some of them, each where its remainder says; 0: none */
	bool no_memory;

	/* the current epoch */
	struct piece *pieces; /* copies of string blocks */
	struct text *strings; /* by id - 1 */
	size_t string_capacity, depth_capacity;
	uint16_t *depths; /* of nodes, by id - 1 */
	uint32_t string_count, function_count, frame_count, node_count;
};

static errmsg read_all(struct reader *reader, uint64_t *good_bytes);
static errmsg read_header(struct reader *reader);
static const uint8_t *next_block(struct reader *reader, uint64_t at, uint32_t *length);
static bool read_block(struct reader *reader, uint8_t type, struct wire_cursor *cursor);
static void begin_steps(struct reader *reader, size_t left_bytes);
static inline bool has_more(struct reader *reader, const struct wire_cursor *cursor);
static bool step(struct reader *reader, size_t left_bytes);
static void read_head(struct reader *reader, struct wire_cursor *cursor);
static void read_settings(struct reader *reader, struct wire_cursor *cursor);
static void read_metrics(struct reader *reader, struct wire_cursor *cursor);
static void read_epoch(struct reader *reader, struct wire_cursor *cursor);
static void read_strings(struct reader *reader, struct wire_cursor *cursor);
static void read_functions(struct reader *reader, struct wire_cursor *cursor);
static void read_frames(struct reader *reader, struct wire_cursor *cursor);
static void read_places(struct reader *reader, struct wire_cursor *cursor);
static void read_nodes(struct reader *reader, struct wire_cursor *cursor);
static bool keep_depth(struct reader *reader, uint32_t parent);
static void read_threads(struct reader *reader, struct wire_cursor *cursor);
static void read_mappings(struct reader *reader, struct wire_cursor *cursor);
static void read_samples(struct reader *reader, struct wire_cursor *cursor);
static void know_thread(struct reader *reader, struct wire_cursor *cursor, uint32_t id);
static void read_notes(struct reader *reader, struct wire_cursor *cursor);
static void read_losses(struct reader *reader, struct wire_cursor *cursor);
static void read_flush(struct reader *reader, struct wire_cursor *cursor);
static struct text get_text(struct wire_cursor *cursor);
static struct text get_string(struct reader *reader, struct wire_cursor *cursor);
static void fail_memory(struct reader *reader, struct wire_cursor *cursor);
static void release(struct reader *reader);

errmsg recording_read(const void *bytes, size_t size_bytes, const struct recording_hooks *hooks,
		      void *self, size_t *good_bytes)
{
	struct reader reader = {
		.hooks = hooks,
		.self = self,
		.source = { .fd = -1,
			    .size = size_bytes,
			    .window = bytes,
			    .window_bytes = size_bytes },
	};
	uint64_t good = 0;
	errmsg error = read_all(&reader, &good);

	*good_bytes = (size_t)good;
	return error;
}

errmsg recording_read_file(const char *path, const struct recording_hooks *hooks, void *self,
			   bool *is_cut)
{
	struct reader reader = { .hooks = hooks, .self = self };
	uint64_t good = 0;
	struct stat status;
	errmsg error;
	int fd = file_open(path, O_RDONLY | O_NONBLOCK);

	*is_cut = false;
	if (fd < 0)
		return file_error(-fd);
	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
		close(fd);
		return "not a regular file";
	}
	reader.source.fd = fd;
	reader.source.size = (uint64_t)status.st_size;
	error = read_all(&reader, &good);
	*is_cut = good < reader.source.size || !reader.is_flushed;
	close(fd);
	return error;
}

static errmsg read_all(struct reader *reader, uint64_t *good_bytes)
{
	errmsg error = read_header(reader);
	uint64_t at = RECORDING_HEADER_BYTES;
	const uint8_t *block;
	uint32_t length;

	while (!error && (block = next_block(reader, at, &length))) {
		uint8_t type = block[RECORDING_BLOCK_BYTES - 1];
		struct wire_cursor cursor = wire_cursor(block + RECORDING_BLOCK_BYTES, length);

		/* The head comes first, and once. */
		if ((at == RECORDING_HEADER_BYTES) != (type == RECORDING_BLOCK_HEAD))
			break;
		reader->block_end = at + RECORDING_BLOCK_BYTES + (uint64_t)length;
		if (!read_block(reader, type, &cursor))
			break;
		at = reader->block_end;
		reader->is_flushed = type == RECORDING_BLOCK_FLUSH;
	}
	if (reader->no_memory || reader->source.no_memory)
		error = "no memory";
	if (!error && reader->is_stopped)
		error = WATCH_STOPPED;
	if (!error && at == RECORDING_HEADER_BYTES)
		error = "the head of the recording is damaged";
	*good_bytes = error ? 0 : at;
	release(reader);
	return error;
}

static errmsg read_header(struct reader *reader)
{
	const uint8_t *header = recording_source_get(&reader->source, 0, RECORDING_HEADER_BYTES);
	struct wire_cursor cursor;

	if (!header || memcmp(header, RECORDING_MAGIC, RECORDING_MAGIC_BYTES) != 0)
		return "not a recording of libmonprof";
	cursor = wire_cursor(header + RECORDING_MAGIC_BYTES, 4);
	reader->version = wire_get_fixed32(&cursor);
	if (reader->version >> 16 > RECORDING_VERSION_MAJOR)
		return "written by a newer libmonprof, whose format this one cannot read";
	if (reader->version >> 16 == 0)
		return "not a recording of libmonprof";
	reader->seed = recording_block_seed(reader->version);
	return NULL;
}

/* The block at this place if all of it is there, whole, and follows the one before; NULL otherwise. */
static const uint8_t *next_block(struct reader *reader, uint64_t at, uint32_t *length)
{
	const uint8_t *block = recording_source_get(&reader->source, at, RECORDING_BLOCK_BYTES);
	struct wire_cursor cursor;
	uint32_t checksum;

	if (!block)
		return NULL;
	cursor = wire_cursor(block, RECORDING_BLOCK_BYTES);
	checksum = wire_get_fixed32(&cursor);
	*length = wire_get_fixed32(&cursor);
	block = recording_source_get(&reader->source, at,
				     RECORDING_BLOCK_BYTES + (uint64_t)*length);
	if (!block || recording_block_checksum(block, *length, reader->seed) != checksum)
		return NULL;
	if (reader->version >> 16 >= RECORDING_CHAINED_MAJOR)
		reader->seed = checksum;
	return block;
}

static bool read_block(struct reader *reader, uint8_t type, struct wire_cursor *cursor)
{
	static void (*const readers[RECORDING_BLOCK_END])(struct reader *, struct wire_cursor *) = {
		[RECORDING_BLOCK_HEAD] = read_head,
		[RECORDING_BLOCK_SETTINGS] = read_settings,
		[RECORDING_BLOCK_METRICS] = read_metrics,
		[RECORDING_BLOCK_EPOCH] = read_epoch,
		[RECORDING_BLOCK_STRINGS] = read_strings,
		[RECORDING_BLOCK_FUNCTIONS] = read_functions,
		[RECORDING_BLOCK_FRAMES] = read_frames,
		[RECORDING_BLOCK_PLACES] = read_places,
		[RECORDING_BLOCK_NODES] = read_nodes,
		[RECORDING_BLOCK_THREADS] = read_threads,
		[RECORDING_BLOCK_MAPPINGS] = read_mappings,
		[RECORDING_BLOCK_SAMPLES] = read_samples,
		[RECORDING_BLOCK_NOTES] = read_notes,
		[RECORDING_BLOCK_LOSSES] = read_losses,
		[RECORDING_BLOCK_FLUSH] = read_flush,
	};

	begin_steps(reader, wire_left(cursor));
	/* A later minor version may have blocks that this one does not know. */
	if (type < RECORDING_BLOCK_END && readers[type])
		readers[type](reader, cursor);
	return step(reader, 0) && !cursor->failed;
}

static void begin_steps(struct reader *reader, size_t left_bytes)
{
	reader->step_left = left_bytes > STEP_BYTES ? left_bytes - STEP_BYTES : 0;
}

/* A block of tables may be long: whoever watches does not wait for its end. */
static inline bool has_more(struct reader *reader, const struct wire_cursor *cursor)
{
	size_t left_bytes = wire_left(cursor);

	return (left_bytes >= reader->step_left || step(reader, left_bytes)) && left_bytes > 0;
}

static bool step(struct reader *reader, size_t left_bytes)
{
	begin_steps(reader, left_bytes);
	if (reader->hooks->step && !reader->is_stopped)
		reader->is_stopped = !reader->hooks->step(
			reader->self, reader->block_end - left_bytes, reader->source.size);
	return !reader->is_stopped;
}

static void read_head(struct reader *reader, struct wire_cursor *cursor)
{
	struct recording_summary summary = { .version = reader->version };

	summary.session = wire_get_varint(cursor);
	summary.pid = wire_get_varint(cursor);
	summary.parent_pid = wire_get_varint(cursor);
	summary.start_realtime_ns = wire_get_varint(cursor);
	summary.start_monotonic_ns = wire_get_varint(cursor);
	summary.program = get_text(cursor).bytes;
	summary.python = get_text(cursor).bytes;
	summary.writer = get_text(cursor).bytes;
	if (!cursor->failed && reader->hooks->head)
		reader->hooks->head(reader->self, &summary);
}

static void read_settings(struct reader *reader, struct wire_cursor *cursor)
{
	while (has_more(reader, cursor)) {
		const char *name = get_text(cursor).bytes;
		const char *value = get_text(cursor).bytes;
		const char *preset = get_text(cursor).bytes;

		if (!cursor->failed && reader->hooks->setting)
			reader->hooks->setting(reader->self, name, value, preset);
	}
}

static void read_metrics(struct reader *reader, struct wire_cursor *cursor)
{
	while (has_more(reader, cursor)) {
		struct recording_metric row;

		row.collector = get_text(cursor).bytes;
		row.name = get_text(cursor).bytes;
		row.unit = get_text(cursor).bytes;
		row.count_name = get_text(cursor).bytes;
		if (reader->metric_count == METRICS_MAX)
			wire_fail(cursor);
		if (cursor->failed)
			return;
		if (reader->hooks->metric)
			reader->hooks->metric(reader->self, reader->metric_count, &row);
		reader->metric_count++;
	}
}

static void read_epoch(struct reader *reader, struct wire_cursor *cursor)
{
	(void)cursor;
	while (reader->pieces) {
		struct piece *next = reader->pieces->next;

		heap_free(reader->pieces);
		reader->pieces = next;
	}
	reader->string_count = reader->function_count = 0;
	reader->frame_count = reader->node_count = 0;
	if (reader->hooks->epoch)
		reader->hooks->epoch(reader->self);
}

static void read_strings(struct reader *reader, struct wire_cursor *cursor)
{
	size_t size_bytes = wire_left(cursor);
	struct piece *piece = heap_alloc(sizeof(*piece) + size_bytes);

	if (!piece) {
		fail_memory(reader, cursor);
		return;
	}
	piece->next = reader->pieces;
	reader->pieces = piece;
	memcpy(piece->bytes, cursor->at, size_bytes);
	*cursor = wire_cursor(piece->bytes, size_bytes);
	while (has_more(reader, cursor)) {
		struct text text = get_text(cursor);
		void *strings = reader->strings;

		if (cursor->failed)
			return;
		if (!heap_grow(&strings, &reader->string_capacity, (size_t)reader->string_count + 1,
			       sizeof(text))) {
			fail_memory(reader, cursor);
			return;
		}
		reader->strings = strings;
		reader->strings[reader->string_count++] = text;
	}
}

static void read_functions(struct reader *reader, struct wire_cursor *cursor)
{
	while (has_more(reader, cursor)) {
		struct text module = get_string(reader, cursor);
		struct text name = get_string(reader, cursor);
		struct text file = get_string(reader, cursor);
		struct recording_function function = {
			module.bytes,
			name.bytes,
			file.bytes,
			module.size_bytes,
			name.size_bytes,
			file.size_bytes,
			wire_get_u32(cursor, UINT32_MAX),
			RECORDING_PYTHON,
		};

		function.kind =
			(enum recording_function_kind)wire_get_u32(cursor, RECORDING_NATIVE);
		if (cursor->failed)
			return;
		reader->function_count++;
		if (reader->hooks->function)
			reader->hooks->function(reader->self, reader->function_count, &function);
	}
}

static void read_frames(struct reader *reader, struct wire_cursor *cursor)
{
	while (has_more(reader, cursor)) {
		uint32_t function = wire_get_u32(cursor, reader->function_count);
		uint32_t line = wire_get_u32(cursor, UINT32_MAX);

		if (function == 0)
			wire_fail(cursor);
		if (cursor->failed)
			return;
		reader->frame_count++;
		if (reader->hooks->frame)
			reader->hooks->frame(reader->self, reader->frame_count, function, line);
	}
}

static void read_places(struct reader *reader, struct wire_cursor *cursor)
{
	while (has_more(reader, cursor)) {
		uint32_t frame = wire_get_u32(cursor, reader->frame_count);
		uint32_t mapping = wire_get_u32(cursor, reader->mapping_count);
		uint64_t address = wire_get_varint(cursor);

		if (frame == 0 || mapping == 0)
			wire_fail(cursor);
		if (cursor->failed)
			return;
		if (reader->hooks->place)
			reader->hooks->place(reader->self, frame, mapping, address);
	}
}

static void read_nodes(struct reader *reader, struct wire_cursor *cursor)
{
	while (has_more(reader, cursor)) {
		uint32_t back = wire_get_u32(cursor, reader->node_count);
		uint32_t parent = back ? reader->node_count + 1 - back : 0;
		uint32_t frame = wire_get_u32(cursor, reader->frame_count);

		if (frame == 0 || (!cursor->failed && !keep_depth(reader, parent)))
			wire_fail(cursor);
		if (cursor->failed)
			return;
		reader->node_count++;
		if (reader->hooks->node)
			reader->hooks->node(reader->self, reader->node_count, parent, frame);
	}
}

/* A hostile chain of parents must not make every later walk of it endless. */
static bool keep_depth(struct reader *reader, uint32_t parent)
{
	unsigned depth = parent ? reader->depths[parent - 1] + 1u : 1;
	void *depths = reader->depths;

	if (depth > RECORDING_DEPTH_MAX)
		return false;
	if (!heap_grow(&depths, &reader->depth_capacity, (size_t)reader->node_count + 1,
		       sizeof(*reader->depths))) {
		reader->no_memory = true;
		return false;
	}
	reader->depths = depths;
	reader->depths[reader->node_count] = (uint16_t)depth;
	return true;
}

static void read_threads(struct reader *reader, struct wire_cursor *cursor)
{
	while (has_more(reader, cursor)) {
		struct recording_thread thread = { .id = wire_get_u32(cursor, UINT32_MAX) };

		thread.tid = wire_get_varint(cursor);
		thread.name = get_text(cursor).bytes;
		if (cursor->failed)
			return;
		if (intern_put(&reader->threads, &thread.id, sizeof(thread.id), NULL) == 0) {
			fail_memory(reader, cursor);
			return;
		}
		if (reader->hooks->thread)
			reader->hooks->thread(reader->self, &thread);
	}
}

static void read_mappings(struct reader *reader, struct wire_cursor *cursor)
{
	while (has_more(reader, cursor)) {
		struct recording_mapping mapping;

		mapping.start = wire_get_varint(cursor);
		mapping.end = wire_get_varint(cursor);
		mapping.offset = wire_get_varint(cursor);
		mapping.file = get_text(cursor).bytes;
		mapping.build_id = get_text(cursor).bytes;
		if (cursor->failed)
			return;
		reader->mapping_count++;
		if (reader->hooks->mapping)
			reader->hooks->mapping(reader->self, &mapping);
	}
}

static void read_samples(struct reader *reader, struct wire_cursor *cursor)
{
	struct recording_sample sample = { 0 };

	while (has_more(reader, cursor)) {
		uint8_t flags = wire_get_u8(cursor);

		if (flags & RECORDING_SAMPLE_THREAD) {
			sample.thread = wire_get_u32(cursor, UINT32_MAX);
			know_thread(reader, cursor, sample.thread);
		}
		if (flags & RECORDING_SAMPLE_METRIC)
			sample.metric = wire_get_u32(cursor, UINT32_MAX);
		sample.node = wire_get_u32(cursor, reader->node_count);
		sample.time_ns += wire_unzigzag(wire_get_varint(cursor));
		sample.value = wire_get_varint(cursor);
		sample.duration = flags & RECORDING_SAMPLE_DURATION ?
					  wire_get_u32(cursor, RECORDING_DURATION_MAX) :
					  0;
		if (flags > RECORDING_SAMPLE_FLAGS || sample.thread == 0 ||
		    sample.metric >= reader->metric_count)
			wire_fail(cursor);
		if (cursor->failed)
			return;
		if (reader->hooks->sample)
			reader->hooks->sample(reader->self, &sample);
	}
}

static void know_thread(struct reader *reader, struct wire_cursor *cursor, uint32_t id)
{
	struct recording_thread thread = { .id = id, .name = "" };

	if (cursor->failed || id == 0 || reader->known[id % KNOWN_THREADS] == id)
		return;
	reader->known[id % KNOWN_THREADS] = id;
	if (intern_find(&reader->threads, &id, sizeof(id)) != 0)
		return;
	if (intern_put(&reader->threads, &id, sizeof(id), NULL) == 0)
		fail_memory(reader, cursor);
	else if (reader->hooks->thread)
		reader->hooks->thread(reader->self, &thread);
}

static void read_notes(struct reader *reader, struct wire_cursor *cursor)
{
	while (has_more(reader, cursor)) {
		const char *key = get_text(cursor).bytes;
		const char *value = get_text(cursor).bytes;

		if (!cursor->failed && reader->hooks->note)
			reader->hooks->note(reader->self, key, value);
	}
}

static void read_losses(struct reader *reader, struct wire_cursor *cursor)
{
	while (has_more(reader, cursor)) {
		const char *reason = get_text(cursor).bytes;
		const char *help = get_text(cursor).bytes;
		uint64_t count = wire_get_varint(cursor);

		if (!cursor->failed && reader->hooks->loss)
			reader->hooks->loss(reader->self, reason, help, count);
	}
}

static void read_flush(struct reader *reader, struct wire_cursor *cursor)
{
	uint64_t time_ns = wire_get_varint(cursor);

	if (!cursor->failed && reader->hooks->flushed)
		reader->hooks->flushed(reader->self, time_ns);
}

/* A text in place; "" once the cursor has failed. */
static struct text get_text(struct wire_cursor *cursor)
{
	uint64_t size_bytes = wire_get_varint(cursor);
	const char *bytes = wire_get(cursor, size_bytes);

	if (wire_get_u8(cursor) != 0)
		wire_fail(cursor);
	return cursor->failed ? (struct text){ "", 0 } : (struct text){ bytes, (size_t)size_bytes };
}

static struct text get_string(struct reader *reader, struct wire_cursor *cursor)
{
	uint32_t id = wire_get_u32(cursor, reader->string_count);

	return id == 0 ? (struct text){ "", 0 } : reader->strings[id - 1];
}

static void fail_memory(struct reader *reader, struct wire_cursor *cursor)
{
	reader->no_memory = true;
	wire_fail(cursor);
}

static void release(struct reader *reader)
{
	struct piece *next;

	for (struct piece *piece = reader->pieces; piece; piece = next) {
		next = piece->next;
		heap_free(piece);
	}
	intern_release(&reader->threads);
	heap_free(reader->strings);
	heap_free(reader->depths);
	recording_source_release(&reader->source);
}
