/*
 * os.h - Linux, and only here: clocks, thread ids, timers, perf events, futexes, fault-tolerant reads.
 *
 * Thin and stateless (but for os_read's probe).  Everything is one system call or a vdso call, made
 * directly: no libc wrapper that allocates or that we interpose.  Unit tests replace clocks and reads
 * at link time (ld --wrap).
 */
#ifndef OS_H
#define OS_H

#include "prof.h"

#include <signal.h>
#include <sys/types.h>
#include <time.h>

/* CLOCK_MONOTONIC in ns, from the vdso. any */
uint64_t os_monotonic_ns(void);
/* Wall clock, ns since the epoch, from the vdso. any */
uint64_t os_realtime_ns(void);
/* CPU time of the calling thread in ns: the one system call of a handler. any */
uint64_t os_thread_cpu_ns(void);
/* CPU time of the whole process in ns. any */
uint64_t os_process_cpu_ns(void);
/* CPU time in ns of the thread `tid` of this process; false when there is no such thread. any */
bool os_thread_cpu_of(pid_t tid, uint64_t *cpu_ns);

/* Kernel ids of the calling thread and process; never cached. any */
pid_t os_gettid(void);
pid_t os_getpid(void);
/* True while the kernel knows thread `tid` of this process. any */
bool os_thread_exists(pid_t tid);

/* Make a timer on thread `tid`'s CPU clock (or on CLOCK_MONOTONIC, which runs while the thread sleeps too
   and cuts its system calls short) that sends `signo` with `cookie` to that thread; disarmed.
   Kernel timer ids, not libc's. 0 or errno. birth, drainer */
int os_timer_create(pid_t tid, bool monotonic, int signo, uintptr_t cookie, int *timer);
/* First expiry after first_ns, then each interval_ns; first 0 disarms. 0 or errno. birth, drainer */
int os_timer_set(int timer, uint64_t first_ns, uint64_t interval_ns);
/* any */
void os_timer_delete(int timer);

/* Open a perf task clock (user mode only) on thread `tid`, sending `signo` to it every period_ns.
   It counts from os_perf_begin on. Returns a descriptor (a high number), or -errno. drainer */
int os_perf_open(pid_t tid, int signo, uint64_t period_ns);
/* 0 or errno. drainer */
int os_perf_begin(int fd);
/* drainer */
int os_perf_period(int fd, uint64_t period_ns);
/* drainer */
void os_perf_close(int fd);

/* Copy n bytes from address `from` of this process; false if any of them is not readable, never a
   fault. errno is kept. any but signal */
bool os_read(void *to, uintptr_t from, size_t n);

/* The interrupted program counter of a handler's third argument (ucontext_t). signal */
uintptr_t os_program_counter(const void *context);

/* What pthread_self(3) gives: where the calling thread's own data begin, behind its stack; 0: not known. signal */
uintptr_t os_thread_pointer(void);
/* And the interrupted stack pointer. signal */
uintptr_t os_stack_pointer(const void *context);
/* All registers that a stack can be unwound with, in DWARF's order (System V ABI, AMD64, figure 3.36): rax rdx rcx
   rbx rsi rdi rbp rsp r8 ... r15. */
struct os_registers {
	uint64_t pc;
	uint64_t general[16];
};
/* signal */
void os_registers_take(const void *context, struct os_registers *registers);
/* Copy memory of the own stack, past what sanitizers put in the place of memcpy. signal */
void os_stack_copy(void *to, uintptr_t from, size_t size_bytes);

/* The most that the kernel puts on a signal's stack before the handler runs. any */
size_t os_signal_frame_bytes(void);
/* Did the signal end a system call, which returns EINTR to the program then? The same argument. signal */
bool os_was_interrupted(const void *context);

/* Sleep until *word != expected, a wake, or timeout_ns (relative; UINT64_MAX: for ever). any */
void os_futex_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns);
/* Let another thread have the processor, if one waits for it. any */
void os_yield(void);
/* Wake every waiter on *word. any */
void os_futex_wake(const _Atomic uint32_t *word);

/* write(2), but a pipe that nobody reads raises no SIGPIPE, and one that is full is not waited for. Bytes written, or -errno. any but signal */
long os_write(int fd, const void *bytes, size_t size_bytes);
/* The same to a descriptor of the program's main thread, for a thread with a table of its own. any but
   signal */
long os_write_program(int fd, const void *bytes, size_t size_bytes);

/* The kernel's tick in ns: how often CPU-clock timers fire at most. setup, drainer */
uint64_t os_tick_ns(void);
/* Call each(self, tid) for every thread of this process; false when /proc cannot be read, or counts as
   another pid namespace does. drainer */
bool os_tasks_each(void (*each)(void *self, pid_t tid), void *self);
/* The kernel's name of a thread; false when there is none. drainer */
bool os_task_name(pid_t tid, char *name, size_t size_bytes);

/* Has this listed thread ended? The main thread stays listed until the process ends. drainer */
bool os_task_is_zombie(pid_t tid);
/* One of the mappings of this process, as the kernel lists them. */
struct os_map {
	uint64_t start, end, offset;
	uint64_t device, inode; /* as stat(2) has them; 0 where there is no file */
	bool is_executable;
	const char *name; /* a path, with " (deleted)" behind it; "[vdso]" and the like; "" */
};

typedef void os_map_each(void *self, const struct os_map *map);
/* Call each(self, map) for every mapping, by address; what changes meanwhile may be seen before, after or twice, the
   second time with more of it. False when they cannot be read. drainer */
bool os_maps_each(os_map_each *each, void *self);
/* Send `signo` to one thread of this process. 0 or errno. any */
int os_tgkill(pid_t tid, int signo);
/* The same with this very siginfo, whatever its si_code (rt_tgsigqueueinfo(2)). 0 or errno. any */
int os_tgqueue(pid_t tid, int signo, const siginfo_t *info);

/* Every signal but the two that libc keeps for itself (32 cancels threads, 33 changes the ids of all threads,
   nptl(7)): whoever blocks those hangs the program's next setuid. */
#define OS_SIGNALS_ALL (~(UINT64_C(3) << 31))
/* Read and replace the calling thread's kernel signal mask, past our own interposition. set may be
   NULL. Kernel sets of 64 bits, bit signo-1. any */
int os_sigmask(int how, const uint64_t *set, uint64_t *old);
/* Read and replace the kernel's disposition of signo, past our own interposition; 0 or errno. any */
int os_sigaction(int signo, const struct sigaction *act, struct sigaction *old);

/* Do the limits of address space and data (RLIMIT_AS, RLIMIT_DATA) leave so much? any */
bool os_pages_left(size_t size_bytes);
/* Anonymous private pages; NULL when they cannot be had, or would be more than a quarter of what limits leave. any */
void *os_pages_map(size_t size_bytes);
void os_pages_unmap(void *pages, size_t size_bytes);

/* From here on this memory is of this process. setup */
void os_memory_claim(void);
/* Is it a copy that a fork, or a clone(2) past libc, has made of that of another process, of which only the calling
   thread is left? False also where the kernel does not know (before 4.14). any */
bool os_memory_is_copy(void);

/* Own table of descriptors, empty; false where the kernel refuses. drainer */
bool os_descriptors_own(void);

/* A random number, good enough for jitter and session ids (getrandom, else clocks). any */
uint64_t os_random(void);

/* The value of a variable of the environment, NULL in a set-user-id program too. any */
const char *os_env(const char *name);

#endif
