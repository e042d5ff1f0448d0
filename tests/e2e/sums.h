/*
 * sums.h - a property of every recording that a test's program leaves: whatever the format, the same sums.
 */
#ifndef SUMS_H
#define SUMS_H

#include "run.h"

/* Export each recording in the directory that can be exported, in all formats, and compare the sum of each
   measurement's first metric as the format itself has it. */
void sums_check(struct run *run);

#endif
