/*
 * progress.h - one line on a terminal about work that takes long: "reading app.monprof 43 %".
 *
 * On stderr, after half a second, rewritten in place and erased before anything else is printed.
 */
#ifndef PROGRESS_H
#define PROGRESS_H

#include "prof.h"
#include "watch.h"

/* Work begins: for whom it is to be told. Nobody where stderr is not a terminal that can rewrite a line. tool */
struct watch progress_begin(void);
/* Something else is about to be printed. tool */
void progress_erase(void);

#endif
