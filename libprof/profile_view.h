/*
 * profile_view.h - a finished profile with files or modules for functions.
 *
 * A frame is then a file or a module, without a line; a module keeps the file that all of its functions are in, so that
 * its origin is known. Frames that follow each other in a stack are one.  Sums of stacks that have become equal are one,
 * and points follow them.  The error of a row is at most the sum of those of its functions, and that is what it becomes:
 * windows that see one of them see the others, too, so it may not be less.
 */
#ifndef PROFILE_VIEW_H
#define PROFILE_VIEW_H

#include "profile.h"
#include "summary.h"

/* SUMMARY_FILE or SUMMARY_MODULE. NULL, or no memory: then the profile is good for profile_free only. tool */
errmsg profile_view_by(struct profile *profile, enum summary_by by);

#endif
