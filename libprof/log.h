/*
 * log.h - one line to stderr per problem: "monprof[pid]: text\n" in one write(2), no malloc, no stdio.
 *
 * Silence is the rule: a line is written only for what the user must know, the same line at most once
 * a process where the caller says log_once.  MONPROF_QUIET=yes drops all of them.
 */
#ifndef LOG_H
#define LOG_H

#include "prof.h"

#include <stdarg.h>
#include <sys/types.h>

/* Drop every line from now on. setup, tool */
void log_quiet(bool quiet);
/* Thread `tid` (our own, whose table of descriptors holds no stderr) writes through the process's table,
   proc(5) /proc/self/fd; 0: there is none. drainer */
void log_divert(pid_t tid);
/* Write one line, at most 512 bytes, printf-like (only %s %d %u %lu %llu %zu %x %c; no floats). Never
   blocks on a lock, keeps errno. any but signal */
void log_line(const char *format, ...) PROF_PRINTF(1, 2);
/* Write the first line of that thread which found no descriptor left to reach stderr by (RLIMIT_NOFILE).
   any but signal */
void log_kept(void);
/* Bounded formatter behind it: always ends with NUL, returns the length written. any */
size_t log_format(char *buffer, size_t size_bytes, const char *format, ...) PROF_PRINTF(3, 4);
size_t log_vformat(char *buffer, size_t size_bytes, const char *format, va_list arguments)
	PROF_PRINTF(3, 0);

#endif
