/*
 * place_files.c - a queue of recordings, and one attempt at a time to make files of one.
 */
#include "place_files.h"

#include "dump.h"
#include "heap.h"
#include "log.h"
#include "options.h"
#include "registry.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GROWTH_OF_POINTS 12 /* formats that have each sample, as text; until it is known */

struct complete {
	struct complete *later;
	unsigned sequence;
	uint64_t session;
	const char *base;
	char path[]; /* and the base behind it */
};

/* A file that this attempt has written. */
struct written {
	struct written *earlier;
	char path[];
};

struct attempt {
	drain_breathe *breathe;
	const char *recording;
	uint64_t session;
	uint64_t mask; /* of formats */
	output_report *report;
	unsigned failed; /* files */
	uint64_t recording_bytes, made_bytes; /* 0: not known */
	bool is_stopped;
	struct written *written;
};

static struct {
	struct complete *oldest;
	unsigned dumps;
	double growth; /* of what is made of a recording, over its size: the most so far */
	bool is_growth_known; /* not only guessed */
	bool shows_summary; /* stderr is a terminal */
} files PROF_TOGETHER;

static void forget(struct complete *complete);
static bool export(const struct complete *complete, drain_breathe *breathe);
static void finish(const struct complete *complete, struct attempt *attempt);
static errmsg make(struct attempt *attempt, const char *base);
static void learn_growth(const struct attempt *attempt);
static bool step(void *self, const char *path, uint64_t done_bytes, uint64_t all_bytes);
static void report_export(void *self, const char *path, errmsg error);
static void report_dump(void *self, const char *path, errmsg error);
static void keep_in_mind(struct attempt *attempt, const char *path);
static void settle(struct attempt *attempt, unsigned sequence);

void place_files_begin(bool shows_summary)
{
	while (files.oldest)
		forget(files.oldest);
	files.dumps = 0;
	files.shows_summary = shows_summary;
	files.growth = output_needs_points(registry_exporters, option_number(OPTION_EXPORT)) ?
			       GROWTH_OF_POINTS :
			       1;
	files.is_growth_known = false;
	disk_begin(option_number(OPTION_DISK));
}

void place_files_add(const struct place_names *names, const char *path)
{
	size_t path_bytes = strlen(path) + 1, base_bytes = strlen(names->base) + 1;
	struct complete *complete = heap_alloc(sizeof(*complete) + path_bytes + base_bytes);
	struct complete **last = &files.oldest;

	disk_add(path, names->sequence);
	if (!complete) {
		log_line("no memory: the recording stays, monprof export finishes the job: %s",
			 path);
		return;
	}
	complete->later = NULL;
	complete->sequence = names->sequence;
	complete->session = names->session;
	complete->base = complete->path + path_bytes;
	memcpy(complete->path, path, path_bytes);
	memcpy(complete->path + path_bytes, names->base, base_bytes);
	while (*last)
		last = &(*last)->later;
	*last = complete;
}

void place_files_export(drain_breathe *breathe)
{
	while (files.oldest && export(files.oldest, breathe))
		forget(files.oldest);
}

/* The oldest. */
static void forget(struct complete *complete)
{
	files.oldest = complete->later;
	heap_free(complete);
}

static bool export(const struct complete *complete, drain_breathe *breathe)
{
	struct attempt attempt = {
		.breathe = breathe,
		.recording = complete->path,
		.session = complete->session,
		.mask = option_number(OPTION_EXPORT),
		.report = report_export,
	};
	struct stat status;
	errmsg error;

	if (stat(complete->path, &status) == 0)
		attempt.recording_bytes = (uint64_t)status.st_size;
	disk_make_room((uint64_t)((double)attempt.recording_bytes * files.growth));
	/* Now, or earlier, it was the oldest file itself. */
	if (option_number(OPTION_DISK) && access(complete->path, F_OK) != 0 && errno == ENOENT)
		return true;
	error = make(&attempt, complete->base);
	if (!attempt.is_stopped && error)
		log_line("%s: %s", complete->path, error);
	else if (!attempt.is_stopped)
		finish(complete, &attempt);
	settle(&attempt, complete->sequence);
	heap_trim();
	return !attempt.is_stopped;
}

/* What becomes of the recording itself. */
static void finish(const struct complete *complete, struct attempt *attempt)
{
	if (!attempt->failed && !option_number(OPTION_KEEP) && attempt->mask) {
		disk_remove(complete->path);
		return;
	}
	if (attempt->failed)
		log_line("the recording stays, monprof export finishes the job: %s",
			 complete->path);
	else if (files.shows_summary)
		log_line("recording: %s", complete->path);
}

double place_files_growth(void)
{
	return files.growth;
}

void place_files_dump(const struct place_names *names, drain_breathe *breathe)
{
	static char base[OUTPUT_PATH_BYTES + sizeof(".dump4294967295")];
	struct attempt attempt = {
		.breathe = breathe,
		.recording = dump_recording(),
		.session = names->session,
		.mask = dump_formats(),
		.report = report_dump,
	};
	errmsg error;

	log_format(base, sizeof(base), "%s.dump%u", names->base, ++files.dumps);
	error = make(&attempt, base);
	if (error && !attempt.is_stopped)
		dump_say("%s%s: %s\n", DUMP_FAILED, attempt.recording, error);
	dump_end(attempt.is_stopped);
	files.dumps -= attempt.is_stopped;
	/* Whoever asked for them decides for how long they stay. */
	settle(&attempt, 0);
	heap_trim();
}

/* NULL, or why nothing could be made of it. */
static errmsg make(struct attempt *attempt, const char *base)
{
	struct profile *profile = profile_new();
	errmsg error = profile ? NULL : "no memory";

	if (!error && output_needs_points(registry_exporters, attempt->mask))
		profile_keep_points(profile);
	if (!error) {
		profile_watch(profile, (struct watch){ step, attempt });
		error = profile_add_file(profile, attempt->recording);
	}
	if (!error)
		error = profile_finish(profile);
	if (!error)
		attempt->failed = output_write(profile, &(struct output_files){
								.exporters = registry_exporters,
								.mask = attempt->mask,
								.base = base,
								.session = attempt->session,
								.report = attempt->report,
								.self = attempt,
							});
	profile_free(profile);
	return error;
}

static bool step(void *self, const char *path, uint64_t done_bytes, uint64_t all_bytes)
{
	struct attempt *attempt = self;

	(void)path, (void)done_bytes, (void)all_bytes;
	if (attempt->breathe && !attempt->is_stopped)
		attempt->is_stopped = !attempt->breathe();
	return !attempt->is_stopped;
}

static void report_export(void *self, const char *path, errmsg error)
{
	struct attempt *attempt = self;

	if (attempt->is_stopped && error)
		return;
	if (error)
		log_line("%s: %s", path, error);
	else
		keep_in_mind(attempt, path);
	if (!error && files.shows_summary && !attempt->is_stopped)
		log_line("wrote %s (to see it: monprof report %s)", path, path);
}

static void report_dump(void *self, const char *path, errmsg error)
{
	struct attempt *attempt = self;

	if (!error)
		keep_in_mind(attempt, path);
	if (attempt->is_stopped)
		return;
	if (error)
		dump_say("%s%s: %s\n", DUMP_FAILED, path, error);
	else
		dump_say("%s%s\n", DUMP_WROTE, path);
}

static void keep_in_mind(struct attempt *attempt, const char *path)
{
	size_t path_bytes = strlen(path) + 1;
	struct written *written = heap_alloc(sizeof(*written) + path_bytes);
	struct stat status;

	if (!written)
		return;
	written->earlier = attempt->written;
	memcpy(written->path, path, path_bytes);
	attempt->written = written;
	if (stat(path, &status) == 0)
		attempt->made_bytes += (uint64_t)status.st_size;
}

/* Those of an attempt that was stopped are removed: they come again. sequence 0: they are not counted. */
static void settle(struct attempt *attempt, unsigned sequence)
{
	while (attempt->written) {
		struct written *written = attempt->written;

		if (attempt->is_stopped)
			unlink(written->path);
		else if (sequence)
			disk_add(written->path, sequence);
		attempt->written = written->earlier;
		heap_free(written);
	}
	if (sequence && !attempt->is_stopped) {
		learn_growth(attempt);
		disk_make_room(0);
	}
}

static void learn_growth(const struct attempt *attempt)
{
	double growth = (double)attempt->made_bytes / (double)(attempt->recording_bytes | 1);

	if (!attempt->made_bytes || !attempt->recording_bytes)
		return;
	if (!files.is_growth_known || growth > files.growth)
		files.growth = growth > 1 ? growth : 1;
	files.is_growth_known = true;
}
