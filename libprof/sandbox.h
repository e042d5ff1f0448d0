/*
 * sandbox.h - would a seccomp filter, seccomp(2), punish what this library does?
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include "prof.h"

/* What a program hands to prctl(PR_SET_SECCOMP) or to seccomp(2): a struct sock_fprog at this address.  True: each
   system call of ours is allowed or refused with an error, and those that must not fail are allowed, whatever
   their arguments. Also of what the kernel will not take. any but signal */
bool sandbox_bears(uintptr_t program);

#endif
