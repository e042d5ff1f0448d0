/*
 * preload.h - what the interposed calls share.
 */
#ifndef PRELOAD_H
#define PRELOAD_H

#include "prof.h"

/* seccomp(2) is about to be called, with these arguments. any */
void preload_before_seccomp(unsigned operation, unsigned flags, uintptr_t program);

#endif
