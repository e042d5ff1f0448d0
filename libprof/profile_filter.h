/*
 * profile_filter.h - a part of a recording in place of all of it: what is left out was never in the profile.
 *
 *   recording -> the filter's hooks -> those of the fold (profile_take.c)
 *
 * Sums, points and errors are of what is left. A sample that stands for a window of observation stays one of as
 * many windows, those without anything that is left being empty: that is the error of a part of a whole. Notes,
 * losses and scales are of the whole recording, and a note "filter" says so.  The library has no use for it: nothing
 * there refers to this file.
 */
#ifndef PROFILE_FILTER_H
#define PROFILE_FILTER_H

#include "profile.h"

/* What a function says about the stacks that it is in, or, its origin, about those that it is innermost of. */
enum profile_mark {
	PROFILE_FOCUSED = 1,
	PROFILE_IGNORED = 2,
	PROFILE_IN_LIBRARY = 4,
	PROFILE_OF_ORIGIN = 8,
};

struct profile_filter {
	uint64_t from_ns,
		to_ns; /* since a recording's start: from the first on, before the second */
	/* What is kept; NULL: all. Names are as they were recorded, "" for none. */
	bool (*process)(void *self, uint64_t pid);
	bool (*thread)(void *self, uint64_t tid, const char *name);
	/* Marks of a function; a stack with an ignored one is left out. */
	unsigned (*function)(void *self, const struct profile *profile,
			     const struct profile_function *function);
	unsigned needed; /* stacks without all of these marks are left out, too */
	void *self; /* theirs */
	const char *note; /* what is kept, in words */
};

/* Fold in a part of a recording; NULL, or what is wrong with it. A process that is left out leaves nothing, not even
   its losses. tool */
errmsg profile_add_filtered(struct profile *profile, const char *path,
			    const struct profile_filter *filter);

#endif
