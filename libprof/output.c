/*
 * output.c - names, and one file for each measurement and format.
 *
 *   output_expand   pattern -> base            /dir/monprof.1234
 *   output_write    base    -> each file       /dir/monprof.1234[.session[-n]].cpu.pb.gz
 *
 * Measurements come out of recordings, which may be anybody's: in a file name only plain characters of
 * them are kept.
 */
#include "output.h"

#include "heap.h"
#include "log.h"
#include "options.h"

#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define NAME_TRIES 99
#define VALUE_BYTES 256 /* all that is put behind the base */
#define MEASUREMENT_BYTES 64
#define NS_PER_S 1000000000

/* A path under construction. */
struct path {
	char *bytes;
	size_t length, capacity; /* capacity counts the NUL */
	bool too_long;
};

struct job {
	const struct profile *profile, *compared;
	uint32_t measurement;
	const char *base;
	uint64_t session;
	char *path;
	size_t room;
};

static void expand_one(struct path *path, const struct output_names *names, const char *from);
static void put_program(struct path *path, const char *program);
static void put(struct path *path, const char *bytes, size_t size_bytes);
static bool has_samples(const struct profile *profile, uint32_t measurement);
static errmsg write_named(const struct job *job, const struct exporter *exporter);
static void make_name(const struct job *job, const struct exporter *exporter, unsigned try);
static bool is_plain(char c);

errmsg output_expand(const struct output_names *names, char *path, size_t size_bytes)
{
	struct path made = { .bytes = path, .capacity = size_bytes };
	const char *at = names->pattern;

	if (*at != '/') {
		put(&made, names->directory, strlen(names->directory));
		put(&made, "/", 1);
	}
	while (*at != '\0') {
		size_t plain = strcspn(at, "%");

		put(&made, at, plain);
		at += plain;
		if (at[0] == '%' && at[1] != '\0') {
			expand_one(&made, names, at);
			at += 2;
		} else if (at[0] == '%') {
			put(&made, at++, 1);
		}
	}
	if (made.too_long)
		return "the name of the output is too long";
	if (made.length == 0 || path[made.length - 1] == '/')
		return "the name of the output is a directory";
	return NULL;
}

bool output_counts(const char *pattern)
{
	const char *percent = strchr(pattern, '%');

	while (percent && percent[1] && percent[1] != 'n')
		percent = strchr(percent + 2, '%');
	return percent && percent[1] == 'n';
}

uint32_t output_measurement(const struct profile *profile, uint32_t previous)
{
	bool passed = previous == 0;

	for (size_t i = 0; i < profile->metric_count; i++) {
		uint32_t measurement = profile->metrics[i].collector;
		size_t first = 0;

		while (profile->metrics[first].collector != measurement)
			first++;
		if (first != i)
			continue;
		if (passed && has_samples(profile, measurement))
			return measurement;
		passed |= measurement == previous;
	}
	return 0;
}

uint32_t output_find(const struct profile *profile, const char *measurement)
{
	uint32_t found = output_measurement(profile, 0);

	while (found != 0 && strcmp(profile_string(profile, found), measurement) != 0)
		found = output_measurement(profile, found);
	return found;
}

errmsg output_write_file(const struct profile *profile, const struct profile *base,
			 const struct exporter *exporter, uint32_t measurement, const char *path)
{
	struct exporter_settings settings = { .lines = option_number(OPTION_LINES) != 0 };
	struct sink *sink = sink_open(path, exporter->hooks->gzip);

	if (!sink)
		return "no memory";
	if (base && exporter->hooks->compares &&
	    output_find(base, profile_string(profile, measurement)) != 0)
		settings.base = base;
	sink_watch(sink, profile->watch);
	exporter->hooks->write(profile, measurement, &settings, sink);
	return sink_close(sink);
}

bool output_needs_points(const struct exporter *exporters, uint64_t mask)
{
	bool is_needed = false;

	for (unsigned row = 0; mask >> row; row++)
		is_needed |= (mask >> row & 1) && exporters[row].hooks->points;
	return is_needed;
}

unsigned output_write(const struct profile *profile, const struct output_files *files)
{
	struct job job = {
		.profile = profile,
		.compared = files->compared,
		.base = files->base,
		.session = files->session,
	};
	unsigned failed = 0;

	job.room = strlen(files->base) + VALUE_BYTES;
	job.path = heap_alloc(job.room);
	if (!job.path) {
		files->report(files->self, files->base, "no memory");
		return 1;
	}
	while ((job.measurement = output_measurement(profile, job.measurement)) != 0) {
		for (unsigned row = 0; files->exporters[row].name; row++) {
			errmsg error;

			if (!(files->mask >> row & 1))
				continue;
			error = write_named(&job, &files->exporters[row]);
			files->report(files->self, job.path, error);
			failed += error != NULL;
		}
	}
	heap_free(job.path);
	return failed;
}

static void expand_one(struct path *path, const struct output_names *names, const char *from)
{
	struct utsname system;
	char value[32] = "";

	switch (from[1]) {
	case 'p':
		log_format(value, sizeof(value), "%llu", (unsigned long long)names->pid);
		break;
	case 't':
		log_format(value, sizeof(value), "%llu",
			   (unsigned long long)(names->start_realtime_ns / NS_PER_S));
		break;
	case 'n':
		log_format(value, sizeof(value), "%u", names->sequence);
		break;
	case 'h':
		put(path, system.nodename, uname(&system) == 0 ? strlen(system.nodename) : 0);
		return;
	case 'e':
		put_program(path, names->program);
		return;
	case '%':
		put(path, "%", 1);
		return;
	default:
		put(path, from, 2);
		return;
	}
	put(path, value, strlen(value));
}

static void put_program(struct path *path, const char *program)
{
	const char *slash = strrchr(program, '/');

	program = slash ? slash + 1 : program;
	put(path, program, strlen(program));
}

static void put(struct path *path, const char *bytes, size_t size_bytes)
{
	if (size_bytes >= path->capacity - path->length) {
		path->too_long = true;
		size_bytes = path->capacity - path->length - 1;
	}
	memcpy(path->bytes + path->length, bytes, size_bytes);
	path->length += size_bytes;
	path->bytes[path->length] = '\0';
}

static bool has_samples(const struct profile *profile, uint32_t measurement)
{
	for (size_t i = 0; i < profile->sample_count; i++)
		if (profile->metrics[profile->samples[i].metric].collector == measurement)
			return true;
	return false;
}

/* Write under the first name that is free. */
static errmsg write_named(const struct job *job, const struct exporter *exporter)
{
	errmsg error = SINK_TAKEN;

	for (unsigned try = 0; error == SINK_TAKEN && try <= NAME_TRIES; try++) {
		make_name(job, exporter, try);
		/* Asking first spares the work; the sink asks again when it takes the name. */
		if (access(job->path, F_OK) != 0)
			error = output_write_file(job->profile, job->compared, exporter,
						  job->measurement, job->path);
	}
	return error;
}

static void make_name(const struct job *job, const struct exporter *exporter, unsigned try)
{
	const char *measurement = profile_string(job->profile, job->measurement);
	struct path path = { .bytes = job->path, .capacity = job->room };
	char session[32] = "";

	if (try == 1)
		log_format(session, sizeof(session), ".%08x", (uint32_t)job->session);
	else if (try > 1)
		log_format(session, sizeof(session), ".%08x-%u", (uint32_t)job->session, try);
	put(&path, job->base, strlen(job->base));
	put(&path, session, strlen(session));
	put(&path, ".", 1);
	for (size_t i = 0; measurement[i] != '\0' && i < MEASUREMENT_BYTES; i++)
		put(&path, is_plain(measurement[i]) ? &measurement[i] : "_", 1);
	put(&path, exporter->suffix, strlen(exporter->suffix));
}

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}
