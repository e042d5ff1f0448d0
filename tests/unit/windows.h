/*
 * windows.h - a recording of a program that was observed in windows of time, by hand, so that no collector is
 * needed: metrics of `cpu` and of `calls`, a few stacks, samples as a test wants them.
 *
 *   m.main  m.main > m.f  m.main > m.g  m.main > m.f > m.f  m.main > m.g > m.f  m.main > m.f > builtins.len
 */
#ifndef WINDOWS_H
#define WINDOWS_H

#include "recordings.h"

enum windows_metric { WINDOWS_CPU, WINDOWS_CALLS, WINDOWS_TIME };
enum windows_node { NO_NODE, MAIN, MAIN_F, MAIN_G, MAIN_F_F, MAIN_G_F, MAIN_F_LEN };
enum windows_function { FUNCTION_MAIN = 1, FUNCTION_F, FUNCTION_G, FUNCTION_LEN };

struct windows_note {
	const char *key, *value;
};

static UNUSED void windows_tables(struct wire_buffer *file)
{
	static const char *const texts[] = { "m",	 "main", "/srv/service/app.py", "f", "g",
					     "builtins", "len" };
	static const char *const metrics[][4] = {
		[WINDOWS_CPU] = { "cpu", "cpu", "nanoseconds", "samples" },
		[WINDOWS_CALLS] = { "calls", "calls", "count", "" },
		[WINDOWS_TIME] = { "calls", "time", "nanoseconds", "" },
	};
	struct wire_buffer payload = { 0 };

	for (unsigned i = 0; i < PROF_COUNT(metrics); i++)
		for (unsigned j = 0; j < 4; j++)
			raw_text(&payload, metrics[i][j]);
	raw_block(file, RECORDING_BLOCK_METRICS, &payload);
	for (unsigned i = 0; i < PROF_COUNT(texts); i++)
		raw_text(&payload, texts[i]);
	raw_block(file, RECORDING_BLOCK_STRINGS, &payload);
	/* module, name, file, first line, kind */
	RAW(&payload, 1, 2, 3, 1, 0, 1, 4, 3, 10, 0, 1, 5, 3, 20, 0, 6, 7, 0, 0, 2);
	raw_block(file, RECORDING_BLOCK_FUNCTIONS, &payload);
	RAW(&payload, 1, 2, 2, 11, 3, 21, 4, 0);
	raw_block(file, RECORDING_BLOCK_FRAMES, &payload);
	/* way back, frame */
	RAW(&payload, 0, 1, 1, 2, 2, 3, 2, 2, 2, 2, 4, 4);
	raw_block(file, RECORDING_BLOCK_NODES, &payload);
	for (unsigned id = 1; id <= 2; id++) {
		RAW(&payload, id, 100 + id);
		raw_text(&payload, "");
	}
	raw_block(file, RECORDING_BLOCK_THREADS, &payload);
	wire_release(&payload);
}

/* Samples and the notes that come after them, until a NULL key. */
static UNUSED struct bytes windows_recording(uint64_t session,
					     const struct recording_sample *samples, size_t count,
					     const struct windows_note *notes)
{
	struct wire_buffer file = { 0 }, payload = { 0 };
	uint64_t last_ns = 0;

	raw_begin(&file, RECORDING_VERSION_MAJOR << 16);
	raw_head(&file, session);
	windows_tables(&file);
	for (size_t i = 0; i < count; i++) {
		const struct recording_sample *sample = &samples[i];

		RAW(&payload, 7, sample->thread, sample->metric, sample->node,
		    wire_zigzag(sample->time_ns - last_ns), sample->value, sample->duration);
		last_ns = sample->time_ns;
	}
	raw_block(&file, RECORDING_BLOCK_SAMPLES, &payload);
	for (; notes->key; notes++) {
		raw_text(&payload, notes->key);
		raw_text(&payload, notes->value);
	}
	raw_block(&file, RECORDING_BLOCK_NOTES, &payload);
	RAW(&payload, START_NS + 2000000000u);
	raw_block(&file, RECORDING_BLOCK_FLUSH, &payload);
	wire_release(&payload);
	keep(file.bytes);
	return (struct bytes){ file.bytes, file.size };
}

/*
 * Four windows, the last of them without an event, each standing for 10.5:
 *
 *          m.f               m.g   builtins.len
 *   1st    3 + 1 + 2 (2nd thread)  2     -
 *   2nd    4 + 2 under m.g   -     8
 *   3rd    -                 2     -
 */
static const struct recording_sample windows_samples[] = {
	{ 1, WINDOWS_CALLS, MAIN_F, START_NS + 1, 3, 11 },
	{ 1, WINDOWS_CALLS, MAIN_F, START_NS + 1, 1, 0 },
	{ 1, WINDOWS_TIME, MAIN_F, START_NS + 1, 6000, 0 },
	{ 1, WINDOWS_CALLS, MAIN_G, START_NS + 1, 2, 15 },
	{ 1, WINDOWS_TIME, MAIN_G, START_NS + 1, 40000, 0 },
	{ 1, WINDOWS_CPU, MAIN_F, START_NS + 7, 10000000, 0 },
	{ 2, WINDOWS_CALLS, MAIN_F, START_NS + 1, 2, 11 },
	{ 2, WINDOWS_TIME, MAIN_F, START_NS + 1, 3000, 0 },
	{ 1, WINDOWS_CALLS, MAIN_F, START_NS + 2, 4, 11 },
	{ 1, WINDOWS_CALLS, MAIN_G_F, START_NS + 2, 2, 12 },
	{ 1, WINDOWS_CALLS, MAIN_F_LEN, START_NS + 2, 8, 6 },
	{ 1, WINDOWS_TIME, MAIN_F, START_NS + 2, 5000, 0 },
	{ 1, WINDOWS_TIME, MAIN_G_F, START_NS + 2, 6000, 0 },
	{ 1, WINDOWS_TIME, MAIN_F_LEN, START_NS + 2, 400, 0 },
	{ 1, WINDOWS_CALLS, MAIN_G, START_NS + 3, 2, 15 },
	{ 1, WINDOWS_TIME, MAIN_G, START_NS + 3, 50000, 0 },
};

static const struct windows_note windows_notes[] = { { "scale.calls.calls", "10.5" },
						     { "scale.calls.time", "10.5" },
						     { "windows.calls", "4" },
						     { "period.cpu", "10000000" },
						     { NULL, NULL } };

/* The profile of one recording of these, with points. */
static UNUSED struct profile *windows_fold(const struct recording_sample *samples, size_t count,
					   const struct windows_note *notes)
{
	struct bytes all = windows_recording(1, samples, count, notes);
	struct profile *profile = profile_new();

	profile_keep_points(profile);
	cr_assert_null(profile_add_bytes(profile, all.bytes, all.size));
	cr_assert_null(profile_finish(profile));
	return profile;
}

#endif
