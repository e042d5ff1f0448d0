/*
 * profile.c - the fold, from outside: begin, add, finish, look up.
 *
 *   profile_new --(profile_add_*)--> maker (profile_take.c) --profile_finish--> sorted, scaled, read-only
 *
 * The maker holds all that only adding needs, and goes at the end.
 */
#include "profile.h"

#include "estimate.h"
#include "heap.h"
#include "log.h"
#include "profile_take.h"
#include "sort.h"

#include <string.h>

#define NOTE_KEY_BYTES 128

static errmsg sort_and_scale(struct profile *profile);
static errmsg sort_samples(struct profile *profile);
static errmsg added(struct profile *profile, errmsg error, bool is_cut);
static errmsg sum_losses(struct profile *profile);
static void sum_loss(struct profile *profile, struct intern *reasons,
		     const struct process_loss *loss);
static errmsg scale_samples(struct profile *profile);
static void free_maker(struct profile_maker *maker);

static const char no_memory[] = "no memory";

struct profile *profile_new(void)
{
	struct profile *profile = heap_zalloc(sizeof(*profile));

	if (!profile)
		return NULL;
	profile->maker = heap_zalloc(sizeof(*profile->maker));
	if (!profile->maker) {
		heap_free(profile);
		return NULL;
	}
	profile->maker->profile = profile;
	return profile;
}

void profile_free(struct profile *profile)
{
	if (!profile)
		return;
	free_maker(profile->maker);
	intern_release(&profile->strings);
	heap_free(profile->functions);
	heap_free(profile->frames);
	heap_free(profile->nodes);
	heap_free(profile->processes);
	heap_free(profile->threads);
	heap_free(profile->mappings);
	heap_free(profile->metrics);
	heap_free(profile->samples);
	heap_free(profile->points);
	heap_free(profile->errors);
	heap_free(profile->notes);
	heap_free(profile->losses);
	heap_free(profile);
}

void profile_keep_points(struct profile *profile)
{
	profile->maker->keeps_points = true;
}

void profile_watch(struct profile *profile, struct watch watch)
{
	profile->watch = watch;
}

errmsg profile_add_file(struct profile *profile, const char *path)
{
	return profile_add_through(profile, path, &profile_take_hooks, profile->maker);
}

errmsg profile_add_through(struct profile *profile, const char *path,
			   const struct recording_hooks *hooks, void *self)
{
	bool is_cut = false;
	errmsg error;

	profile->maker->path = path;
	error = recording_read_file(path, hooks, self, &is_cut);
	profile->maker->path = NULL;
	return added(profile, error, is_cut);
}

errmsg profile_add_bytes(struct profile *profile, const void *bytes, size_t size_bytes)
{
	size_t good_bytes = 0;
	errmsg error =
		recording_read(bytes, size_bytes, &profile_take_hooks, profile->maker, &good_bytes);

	return added(profile, error, good_bytes < size_bytes);
}

errmsg profile_finish(struct profile *profile)
{
	struct profile_maker *maker = profile->maker;
	errmsg error = maker->error ? maker->error : sum_losses(profile);

	if (!error)
		error = sort_and_scale(profile);
	free_maker(maker);
	profile->maker = NULL;
	return error;
}

const char *profile_string(const struct profile *profile, uint32_t id)
{
	const char *text = intern_get(&profile->strings, id, NULL);

	return text ? text : "";
}

const char *profile_note_value(const struct profile *profile, uint32_t process, const char *key)
{
	for (size_t i = 0; i < profile->note_count; i++) {
		const struct profile_note *note = &profile->notes[i];

		if (note->process == process &&
		    strcmp(profile_string(profile, note->key), key) == 0)
			return profile_string(profile, note->value);
	}
	return "";
}

const char *profile_collector_note(const struct profile *profile, uint32_t process,
				   const char *what, uint32_t collector)
{
	char key[NOTE_KEY_BYTES];

	log_format(key, sizeof(key), "%s.%s", what, profile_string(profile, collector));
	return profile_note_value(profile, process, key);
}

uint64_t profile_period(const struct profile *profile, uint32_t measurement)
{
	const char *digit = profile_collector_note(profile, 0, "period", measurement);
	uint64_t period = 0;

	for (; *digit >= '0' && *digit <= '9' && period < INT64_MAX / 10 - 9; digit++)
		period = period * 10 + (uint64_t)(*digit - '0');
	return period;
}

static errmsg added(struct profile *profile, errmsg error, bool is_cut)
{
	profile_take_end(profile->maker);
	if (error)
		return error;
	profile->cut |= is_cut;
	return profile->maker->error;
}

static errmsg sum_losses(struct profile *profile)
{
	const struct profile_maker *maker = profile->maker;
	struct intern reasons = { 0 };
	bool failed;

	profile->losses = heap_zalloc((maker->loss_count + 1) * sizeof(*profile->losses));
	for (size_t i = 0; profile->losses && i < maker->loss_count; i++)
		if (maker->losses[i].count > 0)
			sum_loss(profile, &reasons, &maker->losses[i]);
	failed = !profile->losses || reasons.count < profile->loss_count;
	intern_release(&reasons);
	return failed ? no_memory : NULL;
}

static void sum_loss(struct profile *profile, struct intern *reasons,
		     const struct process_loss *loss)
{
	uint32_t id = intern_put(reasons, &loss->reason, sizeof(loss->reason), NULL);
	struct profile_loss *sum = &profile->losses[id ? id - 1 : profile->loss_count];

	profile->loss_count = id ? reasons->count : profile->loss_count + 1;
	sum->reason = loss->reason;
	sum->help = loss->help;
	sum->count = loss->count > INT64_MAX - sum->count ? INT64_MAX : sum->count + loss->count;
}

static errmsg sort_and_scale(struct profile *profile)
{
	size_t bytes = profile->sample_count * sizeof(*profile->samples);
	struct profile_sample *taken = NULL;
	errmsg error = NULL;

	if (profile->point_count) {
		taken = heap_alloc(bytes + 1);
		if (!taken)
			return no_memory;
		memcpy(taken, profile->samples, bytes);
	}
	error = sort_samples(profile);
	if (!error && !sort_items(profile->errors, profile->error_count, sizeof(*profile->errors),
				  profile_compare_errors))
		error = no_memory;
	if (!error)
		error = scale_samples(profile);
	if (!error && profile->point_count)
		error = profile_finish_points(profile, taken);
	heap_free(taken);
	return error;
}

/* As profile_compare_samples has it. */
static errmsg sort_samples(struct profile *profile)
{
	const struct {
		size_t offset, limit;
	} numbers[] = {
		{ offsetof(struct profile_sample, duration), RECORDING_DURATION_MAX + 1 },
		{ offsetof(struct profile_sample, node), profile->node_count + 1 },
		{ offsetof(struct profile_sample, thread), profile->thread_count },
		{ offsetof(struct profile_sample, metric), profile->metric_count },
	};
	struct sort sort = {
		.items = (char *)profile->samples,
		.spare = heap_alloc((profile->sample_count + 1) * sizeof(*profile->samples)),
		.count = profile->sample_count,
		.item_bytes = sizeof(*profile->samples),
		.watch = profile->watch,
	};
	errmsg error = sort.spare ? NULL : no_memory;

	for (size_t i = 0; i < PROF_COUNT(numbers) && !error; i++)
		error = sort_by(&sort, numbers[i].offset, numbers[i].limit);
	heap_free(sort.spare);
	profile->samples = (struct profile_sample *)(void *)sort.items;
	profile->maker->sample_capacity = profile->sample_count;
	return error;
}

/* Samples are sorted: those of one metric and process follow each other. */
static errmsg scale_samples(struct profile *profile)
{
	uint32_t metric = UINT32_MAX, process = 0;
	double scale = 1;

	for (size_t i = 0; i < profile->sample_count && profile_step(profile, i); i++) {
		struct profile_sample *sample = &profile->samples[i];
		uint32_t of = profile->threads[sample->thread].process;

		if (sample->metric != metric || of != process)
			scale = profile_scale(profile, of, sample->metric);
		metric = sample->metric;
		process = of;
		sample->value = estimate_whole(sample->value, scale);
	}
	return profile->maker->error;
}

double profile_scale(const struct profile *profile, uint32_t process, uint32_t metric)
{
	char key[NOTE_KEY_BYTES];

	log_format(key, sizeof(key), "scale.%s.%s",
		   profile_string(profile, profile->metrics[metric].collector),
		   profile_string(profile, profile->metrics[metric].name));
	return estimate_scale(profile_note_value(profile, process, key));
}

/* Threads are numbered process by process, so this is also the order of processes. */
int profile_compare_samples(const void *a, const void *b)
{
	const struct profile_sample *left = a, *right = b;

	if (left->metric != right->metric)
		return left->metric < right->metric ? -1 : 1;
	if (left->thread != right->thread)
		return left->thread < right->thread ? -1 : 1;
	if (left->node != right->node)
		return left->node < right->node ? -1 : 1;
	if (left->duration != right->duration)
		return left->duration < right->duration ? -1 : 1;
	return 0;
}

int profile_compare_errors(const void *a, const void *b)
{
	const struct profile_error *left = a, *right = b;

	if (left->metric != right->metric)
		return left->metric < right->metric ? -1 : 1;
	if (left->function != right->function)
		return left->function < right->function ? -1 : 1;
	if (left->process != right->process)
		return left->process < right->process ? -1 : 1;
	return 0;
}

static void free_maker(struct profile_maker *maker)
{
	if (!maker)
		return;
	intern_release(&maker->functions);
	intern_release(&maker->places);
	pairs_release(&maker->frames);
	pairs_release(&maker->nodes);
	intern_release(&maker->threads);
	intern_release(&maker->notes);
	intern_release(&maker->loss_keys);
	wire_release(&maker->text);
	heap_free(maker->function_map.ids);
	heap_free(maker->frame_map.ids);
	heap_free(maker->node_map.rows);
	heap_free(maker->metric_map.ids);
	profile_release_observed(maker);
	heap_free(maker->losses);
	heap_free(maker->slots);
	heap_free(maker);
}
