/*
 * pprof_profile.h - a pprof file as a profile, so that whoever reads recordings reads it too.
 *
 * One measurement, named after the sample type that viewers show first, which is its first metric; the count
 * before that is the count of its samples, the other sample types are further metrics.  Labels become threads,
 * classes of durations and errors.  Of which module a function is does not stand there: it is told from name and file.
 */
#ifndef PPROF_PROFILE_H
#define PPROF_PROFILE_H

#include "profile.h"
#include "wire.h"

/* Comments are texts with their NUL, in order. *profile is to be freed even after an error. tool */
errmsg pprof_profile(const void *bytes, size_t size_bytes, struct profile **profile,
		     struct wire_buffer *comments);

#endif
