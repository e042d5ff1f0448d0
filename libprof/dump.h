/*
 * dump.h - somebody asks for the profile as it is now: `monprof dump`.
 *
 *   the command                                        the drainer, once a second
 *   creates RECORDING.dump: the formats,   ------->    dump_take: removes the name, keeps the file
 *   and an end of line
 *   reads the file, of which it has        <-------    dump_say, ..., dump_end: writes the answer into it
 *   a descriptor, until it has an end
 *
 * No signal, no port, and nothing is left behind by either's death.  A file that neither the process's user nor root
 * has made is no request, nor is one that does not end with its line yet.
 */
#ifndef DUMP_H
#define DUMP_H

#include "prof.h"

#define DUMP_SUFFIX ".dump"
#define DUMP_REQUEST_BYTES 256
/* How lines of the answer begin; its last one is one of the other two. */
#define DUMP_WROTE "wrote "
#define DUMP_FAILED "failed "
#define DUMP_DONE "done\n"
#define DUMP_AGAIN "again\n" /* it was interrupted */

/* Take a request for this recording; false: there is none. drainer */
bool dump_take(const char *recording);
/* Beside which it was. drainer */
const char *dump_recording(void);
/* The formats that it asks for, as MONPROF_EXPORT has them: the process's own where it names none. drainer */
uint64_t dump_formats(void);
/* log_format's conversions. drainer */
void dump_say(const char *format, ...) PROF_PRINTF(1, 2);
/* The answer is complete. drainer */
void dump_end(bool is_interrupted);

#endif
