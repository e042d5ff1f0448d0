/*
 * dump.c - a recording as lines for bench/recording.py: kind, TAB, fields.
 *
 *   note KEY VALUE | loss REASON COUNT | thread INDEX TID NAME
 *   error METRIC NAME ERROR                 NAME of a function, METRIC as collector.name
 *   sample METRIC DURATION THREAD COUNT VALUE FRAME...
 *                                           leaf first; FRAME is name, file, first line, line, by \x1f
 */
#include "profile.h"

#include <stdio.h>

static void print_frame(const struct profile *profile, uint32_t frame)
{
	const struct profile_frame *at = &profile->frames[frame - 1];
	const struct profile_function *function = &profile->functions[at->function - 1];

	printf("\t%s\x1f%s\x1f%u\x1f%u", profile_string(profile, function->full),
	       profile_string(profile, function->file), function->first_line, at->line);
}

static void print_metric(const struct profile *profile, uint32_t index)
{
	const struct profile_metric *metric = &profile->metrics[index];

	printf("%s.%s", profile_string(profile, metric->collector),
	       profile_string(profile, metric->name));
}

static void print_error(const struct profile *profile, const struct profile_error *error)
{
	const struct profile_function *function = &profile->functions[error->function - 1];

	printf("error\t");
	print_metric(profile, error->metric);
	printf("\t%s\t%.3f\n", profile_string(profile, function->full), error->error);
}

static void print_sample(const struct profile *profile, const struct profile_sample *sample)
{
	printf("sample\t");
	print_metric(profile, sample->metric);
	printf("\t%u\t%u\t%llu\t%llu", sample->duration, sample->thread,
	       (unsigned long long)sample->count, (unsigned long long)sample->value);
	for (uint32_t node = sample->node; node; node = profile->nodes[node - 1].parent)
		print_frame(profile, profile->nodes[node - 1].frame);
	putchar('\n');
}

static void print_all(const struct profile *profile)
{
	for (size_t i = 0; i < profile->note_count; i++)
		printf("note\t%s\t%s\n", profile_string(profile, profile->notes[i].key),
		       profile_string(profile, profile->notes[i].value));
	for (size_t i = 0; i < profile->loss_count; i++)
		printf("loss\t%s\t%llu\n", profile_string(profile, profile->losses[i].reason),
		       (unsigned long long)profile->losses[i].count);
	for (size_t i = 0; i < profile->thread_count; i++)
		printf("thread\t%zu\t%llu\t%s\n", i, (unsigned long long)profile->threads[i].tid,
		       profile_string(profile, profile->threads[i].name));
	for (size_t i = 0; i < profile->error_count; i++)
		print_error(profile, &profile->errors[i]);
	for (size_t i = 0; i < profile->sample_count; i++)
		print_sample(profile, &profile->samples[i]);
}

int main(int argc, char **argv)
{
	struct profile *profile = profile_new();
	errmsg error = profile ? NULL : "no memory";

	if (argc != 2)
		error = "usage: dump RECORDING";
	if (!error)
		error = profile_add_file(profile, argv[1]);
	if (!error)
		error = profile_finish(profile);
	if (error) {
		fprintf(stderr, "dump: %s\n", error);
		return 1;
	}
	print_all(profile);
	return 0;
}
