/*
 * os_call.h - system calls by number, past libc.
 */
#ifndef OS_CALL_H
#define OS_CALL_H

/* The kernel's answer: a result, or -errno; errno itself is left alone. Arguments as for syscall(2), which other
   preloaded libraries replace. any */
long os_call(long number, ...) __attribute__((visibility("hidden")));

#endif
