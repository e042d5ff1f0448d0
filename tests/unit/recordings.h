/*
 * recordings.h - what the tests of recording, profile, exporters and the command share: a scratch
 * directory, random numbers that are the same each time, recordings by the writer and by hand.
 */
#ifndef RECORDINGS_H
#define RECORDINGS_H

#include <criterion/criterion.h>

#include "heap.h"
#include "profile.h"
#include "recording.h"
#include "recording_format.h"
#include "wire.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define UNUSED __attribute__((unused))
#define START_NS 5000000000u
#define SESSION 0x1122334455667788u

struct bytes {
	uint8_t *bytes;
	size_t size;
};

/* Memory that a test may forget; what is reachable is no leak to the sanitizer. */
static UNUSED void *keep(void *block)
{
	static void **blocks;
	static size_t count;

	cr_assert_not_null(block);
	blocks = realloc(blocks, (count + 1) * sizeof(*blocks));
	cr_assert_not_null(blocks);
	blocks[count++] = block;
	return block;
}

/* A new empty directory, gone with the process's test only if the test empties it. */
static UNUSED const char *scratch(void)
{
	static char directory[256];

	if (directory[0] == '\0') {
		const char *base = getenv("TMPDIR");

		snprintf(directory, sizeof(directory), "%s/monprof-test-XXXXXX",
			 base && *base ? base : "/tmp");
		cr_assert_not_null(mkdtemp(directory));
	}
	return directory;
}

static UNUSED char *in_scratch(const char *name)
{
	char *path = NULL;

	cr_assert_gt(asprintf(&path, "%s/%s", scratch(), name), 0);
	return keep(path);
}

static UNUSED void remove_scratch(void)
{
	char command[512];

	snprintf(command, sizeof(command), "rm -rf '%s'", scratch());
	cr_assert_eq(system(command), 0);
}

static UNUSED struct bytes slurp(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct bytes all = { NULL, 0 };
	struct stat status;

	cr_assert_not_null(file, "%s", path);
	cr_assert_eq(fstat(fileno(file), &status), 0);
	all.bytes = keep(malloc((size_t)status.st_size + 1));
	all.size = fread(all.bytes, 1, (size_t)status.st_size, file);
	all.bytes[all.size] = '\0';
	fclose(file);
	return all;
}

static UNUSED void spill(const char *path, const void *bytes, size_t size)
{
	FILE *file = fopen(path, "wb");

	cr_assert_not_null(file);
	cr_assert_eq(fwrite(bytes, 1, size, file), size);
	fclose(file);
}

/* xorshift64*: the same numbers in each run. */
static UNUSED uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1du;
}

static UNUSED struct recording_head make_head(const char *path)
{
	return (struct recording_head){
		.path = path,
		.session = SESSION,
		.start_realtime_ns = 1700000000000000000u,
		.start_monotonic_ns = START_NS,
		.pid = 4242,
		.parent_pid = 4241,
		.program = "/usr/bin/python3",
		.python = "3.13.1",
	};
}

static UNUSED uint32_t put_function(struct recording *recording, const char *module,
				    const char *name, const char *file, uint32_t line)
{
	struct recording_function function = {
		module,	      name,	    file, strlen(module),
		strlen(name), strlen(file), line, RECORDING_PYTHON,
	};

	return recording_put_function(recording, &function);
}

/* A frame of native code at a place. */
static UNUSED uint32_t put_native(struct recording *recording, const char *name, const char *file,
				  uint32_t mapping, uint64_t address)
{
	struct recording_function function = {
		"", name, file, 0, strlen(name), strlen(file), 0, RECORDING_NATIVE,
	};

	return recording_put_place(recording, recording_put_function(recording, &function), mapping,
				   address);
}

/* The stack of `depth` frames that `seed` stands for, put frame by frame from the root. */
static UNUSED uint32_t put_stack(struct recording *recording, uint64_t seed, unsigned depth)
{
	uint32_t node = 0;

	for (unsigned i = 0; i < depth; i++) {
		unsigned which = (unsigned)(next_random(&seed) % 40);
		char name[32], file[32];
		uint32_t function;

		snprintf(name, sizeof(name), "Class%u.method%u", which % 7, which);
		snprintf(file, sizeof(file), "/srv/app/module%u.py", which % 5);
		function = put_function(recording, which % 3 ? "app.module" : "", name, file,
					which + 1);
		node = recording_put_node(recording, node,
					  recording_put_frame(recording, function,
							      which + 1 + (unsigned)(seed % 4)));
	}
	return node;
}

/* Samples of random stacks in random threads; what they sum to. */
struct filled {
	uint64_t count, value;
};

static UNUSED struct filled fill(struct recording *recording, uint64_t seed, unsigned samples)
{
	struct filled filled = { 0 };

	for (unsigned i = 0; i < samples; i++) {
		struct recording_sample sample = {
			.thread = 1 + (uint32_t)(next_random(&seed) % 5),
			.node = put_stack(recording, next_random(&seed) % 20,
					  (unsigned)(next_random(&seed) % 12)),
			.time_ns = START_NS + i * 10000000u - next_random(&seed) % 50000000,
			.value = next_random(&seed) % 20000000,
		};

		filled.count++;
		filled.value += sample.value;
		recording_put_sample(recording, &sample);
	}
	return filled;
}

static UNUSED void put_threads(struct recording *recording)
{
	for (uint32_t id = 1; id <= 5; id++)
		recording_put_thread(recording,
				     &(struct recording_thread){ id, 4000 + id,
								 id == 1 ? "MainThread" : "" });
}

static UNUSED void flush_good(struct recording *recording, uint64_t time_ns)
{
	uint64_t lost = 99;

	cr_assert_null(recording_flush(recording, time_ns, &lost));
	cr_assert_eq(lost, 0);
}

/* By hand. */
static UNUSED void raw_begin(struct wire_buffer *to, uint32_t version)
{
	wire_put(to, RECORDING_MAGIC, RECORDING_MAGIC_BYTES);
	wire_put_u32(to, version);
}

static UNUSED void raw_block(struct wire_buffer *to, uint8_t type, struct wire_buffer *payload)
{
	size_t start = to->size, at = RECORDING_HEADER_BYTES;
	uint32_t seed, version;

	/* Of the version, then of the block before; earlier versions had none. */
	memcpy(&version, to->bytes + RECORDING_MAGIC_BYTES, sizeof(version));
	seed = version >> 16 < 3 ? 0 : version;
	while (version >> 16 >= 3 && at < start) {
		uint32_t length;

		memcpy(&seed, to->bytes + at, sizeof(seed));
		memcpy(&length, to->bytes + at + 4, sizeof(length));
		at += RECORDING_BLOCK_BYTES + length;
	}
	wire_put_u32(to, 0);
	wire_put_u32(to, (uint32_t)payload->size);
	wire_put_u8(to, type);
	wire_put(to, payload->bytes, payload->size);
	wire_write_u32(to->bytes + start, XXH32(to->bytes + start + 4, to->size - start - 4, seed));
	wire_clear(payload);
}

static UNUSED void raw_text(struct wire_buffer *to, const char *text)
{
	wire_put_varint(to, strlen(text));
	wire_put(to, text, strlen(text) + 1);
}

static UNUSED void raw_numbers(struct wire_buffer *to, size_t count, const uint64_t *numbers)
{
	for (size_t i = 0; i < count; i++)
		wire_put_varint(to, numbers[i]);
}

#define RAW(to, ...) \
	raw_numbers(to, PROF_COUNT(((uint64_t[]){ __VA_ARGS__ })), (uint64_t[]){ __VA_ARGS__ })

static UNUSED void raw_head(struct wire_buffer *to, uint64_t session)
{
	struct wire_buffer payload = { 0 };

	RAW(&payload, session, 77, 1, 1700000000000000000u, START_NS);
	raw_text(&payload, "/usr/bin/python3");
	raw_text(&payload, "3.14.0");
	raw_text(&payload, "libmonprof 0.1.0");
	raw_block(to, RECORDING_BLOCK_HEAD, &payload);
	wire_release(&payload);
}

#endif
