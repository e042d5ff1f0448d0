/*
 * synthesize.c - synthesize FILE STACKS SAMPLES: a recording as the library writes it of a big program in a long run.
 *
 * 2,000 functions of 200 files, stacks of 10 to 49 frames, 8 threads in any order.  A few stacks have most samples,
 * all have some.  Stacks share what is outermost, as those of a server do, and part in their last three frames.  Numbers
 * are drawn from a fixed seed: the same arguments make the same stacks.
 */
#include "heap.h"
#include "recording.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUNCTIONS 2000
#define THREADS 8
#define FLUSHED_SAMPLES 1000000
#define START_NS UINT64_C(5000000000)

static struct {
	struct recording *recording;
	uint32_t functions[FUNCTIONS]; /* ids in this epoch; 0: none yet */
	uint64_t random;
} synthesis = { .random = UINT64_C(88172645463325252) };

static uint64_t next_random(void)
{
	synthesis.random ^= synthesis.random << 13;
	synthesis.random ^= synthesis.random >> 7;
	synthesis.random ^= synthesis.random << 17;
	return synthesis.random;
}

static uint32_t put_function(unsigned i)
{
	char module[32], name[48], file[48];
	struct recording_function function = {
		.module = module,
		.name = name,
		.file = file,
		.first_line = i + 1,
		.kind = RECORDING_PYTHON,
	};

	if (synthesis.functions[i] != 0)
		return synthesis.functions[i];
	function.module_bytes =
		(size_t)snprintf(module, sizeof(module), "pkg%u.mod%u", i % 20, i % 200);
	function.name_bytes = (size_t)snprintf(name, sizeof(name), "Class%u.method%u", i % 50, i);
	function.file_bytes =
		(size_t)snprintf(file, sizeof(file), "/srv/app/pkg%u/mod%u.py", i % 20, i % 200);
	return synthesis.functions[i] = recording_put_function(synthesis.recording, &function);
}

/* What is in a stack follows from its number alone. */
static uint32_t put_stack(uint32_t number)
{
	uint64_t mixed = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
	uint32_t node = 0;
	unsigned depth;

	mixed = (mixed ^ mixed >> 31) * UINT64_C(0xbf58476d1ce4e5b9);
	mixed ^= mixed >> 29;
	depth = 10 + (unsigned)(mixed % 40);
	for (unsigned at = 0; at < depth; at++) {
		bool is_shared = at + 3 < depth;
		unsigned i = is_shared ? at * 37 + (unsigned)(mixed >> at / 8) % 2 :
					 (unsigned)((mixed >> at % 20) % FUNCTIONS);
		uint32_t line = i + 1 + (is_shared ? 0 : (uint32_t)(mixed >> at) % 4);
		uint32_t frame =
			recording_put_frame(synthesis.recording, put_function(i % FUNCTIONS), line);

		node = recording_put_node(synthesis.recording, node, frame);
	}
	return node;
}

static const char *flush(uint64_t time_ns)
{
	uint64_t lost = 0;
	errmsg error = recording_flush(synthesis.recording, time_ns, &lost);

	return error ? error : lost ? "samples were lost" : NULL;
}

static const char *put_samples(uint32_t *nodes, uint32_t stacks, uint64_t samples)
{
	uint32_t epoch = recording_epoch(synthesis.recording);
	uint64_t time_ns = START_NS;
	const char *error = NULL;

	for (uint64_t i = 1; i <= samples && !error; i++) {
		uint64_t stack = next_random() % stacks * (next_random() % stacks) / stacks;

		time_ns += 1000000 + next_random() % 100000;
		if (recording_epoch(synthesis.recording) != epoch) {
			epoch = recording_epoch(synthesis.recording);
			memset(nodes, 0, stacks * sizeof(*nodes));
			memset(synthesis.functions, 0, sizeof(synthesis.functions));
		}
		if (nodes[stack] == 0)
			nodes[stack] = put_stack((uint32_t)stack);
		recording_put_sample(synthesis.recording,
				     &(struct recording_sample){
					     .thread = 1 + (uint32_t)(next_random() % THREADS),
					     .node = nodes[stack],
					     .time_ns = time_ns,
					     .value = 10000000 + next_random() % 1000,
				     });
		if (i % FLUSHED_SAMPLES == 0 || i == samples)
			error = flush(time_ns);
	}
	return error;
}

int main(int argc, char **argv)
{
	uint32_t stacks = argc == 4 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
	uint64_t samples = argc == 4 ? strtoull(argv[3], NULL, 10) : 0;
	uint32_t *nodes = heap_zalloc(((size_t)stacks + 1) * sizeof(*nodes));
	const char *error;

	if (stacks == 0 || samples == 0 || !nodes) {
		fprintf(stderr, "usage: synthesize FILE STACKS SAMPLES\n");
		return 2;
	}
	synthesis.recording = recording_new(&(struct recording_head){
		.path = argv[1],
		.session = 5,
		.start_realtime_ns = UINT64_C(1700000000000000000),
		.start_monotonic_ns = START_NS,
		.pid = 4242,
		.program = "/usr/bin/python3",
		.python = "3.13.1",
	});
	for (uint32_t id = 1; synthesis.recording && id <= THREADS; id++)
		recording_put_thread(synthesis.recording,
				     &(struct recording_thread){
					     id, 4241 + id, id == 1 ? "MainThread" : "worker" });
	error = synthesis.recording ? put_samples(nodes, stacks, samples) : "no memory";
	if (error)
		fprintf(stderr, "synthesize: %s: %s\n", argv[1], error);
	recording_free(synthesis.recording);
	heap_free(nodes);
	return error != NULL;
}
