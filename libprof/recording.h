/*
 * recording.h - the log on disk: all that is written while samples are taken.
 *
 *   header | block | block | ...        block = type, length, checksum, payload
 *
 * Append-only.  Every block is complete in itself or is cut off by the reader with all that follows it,
 * so a recording is good up to its last flush, whatever killed its writer.  Tables (strings, functions,
 * frames, stack nodes, threads) are sent before the samples that use them; their ids are dense and
 * start at 1.  When the writer's tables reach their bound, an epoch block starts all ids anew, so
 * a program that runs for a year stays flat.  Format: monprof-recording(5).
 *
 * The writer gathers blocks in memory and appends them at recording_flush(), and by itself when a quarter
 * of a megabyte of samples is waiting.  A flush that fails writes nothing half: what was written is cut
 * off again, the samples in it are counted as lost, and a new epoch begins.
 *
 * Ids change only in recording_put_sample and recording_flush: compare recording_epoch after them.
 */
#ifndef RECORDING_H
#define RECORDING_H

#include "intern.h"
#include "prof.h"

#include <sys/types.h>

#define RECORDING_SUFFIX ".monprof"
#define RECORDING_DEPTH_MAX 16384 /* nodes of one stack */
#define RECORDING_DURATION_MAX 63 /* classes of a sample's duration */

enum recording_function_kind {
	RECORDING_PYTHON,
	RECORDING_MARKER, /* "[thread exit]" and its like */
	RECORDING_NATIVE,
};

/* What a function is; strings need not end with NUL. */
struct recording_function {
	const char *module, *name, *file; /* name is the qualified name; "" for none; UTF-8 */
	size_t module_bytes, name_bytes, file_bytes;
	uint32_t first_line;
	enum recording_function_kind kind;
};

/* Id of what belongs to the process and to none of its threads. */
#define RECORDING_THREAD_PROCESS UINT32_MAX

struct recording_thread {
	uint32_t id; /* serial number within the session, from 1 */
	uint64_t tid;
	const char *name; /* may be sent again when it becomes known */
};

/* One mapped executable piece of the process. */
struct recording_mapping {
	uint64_t start, end, offset;
	const char *file;
	const char *build_id; /* hex, "" for none */
};

struct recording_sample {
	uint32_t thread; /* id */
	uint32_t metric; /* row number in METRIC order, from 0 */
	uint32_t node; /* stack, 0: empty */
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	uint64_t value;
	/* 0: none; k: each of the `value` counted calls took at least 2^(k-1) and under 2^k ns */
	uint32_t duration;
};

/* What recording_create needs to know. */
struct recording_head {
	const char *path; /* absolute; created with O_EXCL at the first flush that has a sample */
	const char *other_path; /* instead, if that is taken by then; NULL: that is an error */
	uint64_t session; /* id, random */
	uint64_t start_realtime_ns, start_monotonic_ns;
	pid_t pid, parent_pid;
	const char *program; /* executable, absolute */
	const char *python; /* "3.13.1" */
	bool reopen; /* no descriptor table of our own: open, append, close at each flush */
};

struct recording;

/* Begin a recording in memory; writes settings and metric rows into it. NULL: no memory. drainer, tool */
struct recording *recording_new(const struct recording_head *head);
/* Flush nothing, free all; the file stays. drainer, tool */
void recording_free(struct recording *recording);

/* Put into the tables; ids hold within the current epoch (recording_epoch changes when they do not).
   0: no memory, an id that is not of this epoch, or deeper than RECORDING_DEPTH_MAX. drainer */
uint32_t recording_put_function(struct recording *recording,
				const struct recording_function *function);
uint32_t recording_put_frame(struct recording *recording, uint32_t function, uint32_t line);
/* A frame of the function, which is native, at an address of the process, in a mapping of this file; a return address
   is to be put less 1. drainer */
uint32_t recording_put_place(struct recording *recording, uint32_t function, uint32_t mapping,
			     uint64_t address);
uint32_t recording_put_node(struct recording *recording, uint32_t parent, uint32_t frame);
uint32_t recording_epoch(const struct recording *recording);

/* Append facts. A sample whose node is not of this epoch is lost and counted. Samples of one window of
   observation have its time and are put one after the other, thread by thread. drainer */
void recording_put_sample(struct recording *recording, const struct recording_sample *sample);
void recording_put_thread(struct recording *recording, const struct recording_thread *thread);
/* Its number, from 1, which holds as long as the file, whatever becomes of epochs; 0: no memory. drainer */
uint32_t recording_put_mapping(struct recording *recording,
			       const struct recording_mapping *mapping);
/* A setting or a remark: the last value of a key holds. "cpu.achieved_hz", "own.handler_ns", ... drainer */
void recording_put_note(struct recording *recording, const char *key, const char *value);
/* Losses so far, whole counts by reason; the last holds. drainer */
void recording_put_losses(struct recording *recording, const uint64_t losses[LOSS_COUNT]);

/*
 * Append everything gathered to the file. NULL, or what went wrong (the caller logs it once);
 * *lost gets the number of samples since the last call that could not be kept. Nothing is created before there is a
 * sample. drainer
 */
errmsg recording_flush(struct recording *recording, uint64_t time_ns, uint64_t *lost);
/* The descriptor is gone (the drainer that owned it ended, or a forked parent's): the next flush opens
   the path again, without O_CREAT, and goes on only if it is the same file of the same session. drainer */
void recording_detach(struct recording *recording);
/* Go on in another file with what follows; what waits has been flushed. The old file is closed and stays, ids and
   mappings' numbers begin anew, threads, mappings, notes and losses are to be said again. False: no memory, nothing
   has changed. drainer */
bool recording_renew(struct recording *recording, const struct recording_head *head);
/* True once a file exists. any */
bool recording_created(const struct recording *recording);
/* How large it is. any */
uint64_t recording_bytes(const struct recording *recording);
const char *recording_path(const struct recording *recording);
/* Samples put since the start. any */
uint64_t recording_samples(const struct recording *recording);

/*
 * Reading. Any bytes are survived; what cannot be understood ends the reading there and sets *cut.
 * Each hook gets facts in file order and may be NULL; ids have been checked to be defined in the current
 * epoch; a thread that samples name and nobody announced is announced without tid and name.  Strings end
 * with NUL and live until the hook returns.
 */
struct recording_summary {
	uint32_t version;
	uint64_t session;
	uint64_t start_realtime_ns, start_monotonic_ns;
	uint64_t pid, parent_pid;
	const char *program, *python, *writer; /* writer: "libmonprof 0.1.0" */
};
struct recording_metric {
	const char *collector, *name, *unit, *count_name;
};
struct recording_hooks {
	void (*head)(void *self, const struct recording_summary *summary);
	void (*setting)(void *self, const char *name, const char *value, const char *preset);
	void (*metric)(void *self, uint32_t metric, const struct recording_metric *row);
	void (*epoch)(void *self);
	void (*function)(void *self, uint32_t id, const struct recording_function *function);
	void (*frame)(void *self, uint32_t id, uint32_t function, uint32_t line);
	/* The frame is at this address, in a mapping by its number; before a node has it. */
	void (*place)(void *self, uint32_t frame, uint32_t mapping, uint64_t address);
	void (*node)(void *self, uint32_t id, uint32_t parent, uint32_t frame);
	void (*thread)(void *self, const struct recording_thread *thread);
	/* Numbered from 1 in the order in which they come, in all epochs. */
	void (*mapping)(void *self, const struct recording_mapping *mapping);
	void (*sample)(void *self, const struct recording_sample *sample);
	void (*note)(void *self, const char *key, const char *value);
	void (*loss)(void *self, const char *reason, const char *help, uint64_t count);
	void (*flushed)(void *self, uint64_t time_ns);
	/* So much of the bytes is read: at each block's end, and in long ones. False: read no more (WATCH_STOPPED). */
	bool (*step)(void *self, uint64_t done_bytes, uint64_t all_bytes);
};
/* Read memory; NULL, or why nothing could be read at all. *good_bytes is where the good part ends.
   drainer, tool */
errmsg recording_read(const void *bytes, size_t size_bytes, const struct recording_hooks *hooks,
		      void *self, size_t *good_bytes);
/* The same from a file, a window at a time, so that a long recording costs little memory. *is_cut: it ends
   in a torn tail. drainer, tool */
errmsg recording_read_file(const char *path, const struct recording_hooks *hooks, void *self,
			   bool *is_cut);

#endif
