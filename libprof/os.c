/*
 * os.c - Linux: one small function per thing that the kernel does for us.
 *
 * System calls are made by number: a libc wrapper could be one that we interpose ourselves, could
 * allocate, or (timer_create) could hide the kernel's id.  os_call gives the result or -errno and leaves
 * errno alone, so nothing here can be noticed by the program that we were called out of.
 */
#include "os.h"
#include "log.h"
#include "os_call.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#define OS_SECOND_NS 1000000000ull
#define OS_KERNEL_SET_BYTES 8 /* sigset_t as the kernel has it */
#define OS_SA_RESTORER 0x04000000
#define OS_SIGNAL_FRAME_MOST 4096
#define OS_PERF_FD_MOST 32768
#define OS_PAGES_SHARE 4 /* of what limits leave, one part in so many may become ours at once */

enum os_read_way { OS_READ_VM, OS_READ_FILE };

static struct {
	/* How os_read reads: process_vm_readv until the kernel refuses it as such. */
	_Atomic int read_way;
	/* A page of its own, which the kernel wipes in every copy (madvise(2), MADV_WIPEONFORK). */
	_Atomic(_Atomic uint32_t *) claim;
} os;

/* What rt_sigaction(2) takes, <asm/signal.h>. */
struct os_kernel_action {
	void (*handler)(int);
	unsigned long flags;
#ifdef __x86_64__
	void (*restorer)(void);
#endif
	uint64_t mask;
};

static uint64_t os_ns(const struct timespec *time)
{
	return (uint64_t)time->tv_sec * OS_SECOND_NS + (uint64_t)time->tv_nsec;
}

static struct timespec os_timespec(uint64_t ns)
{
	struct timespec time = {
		.tv_sec = (time_t)(ns / OS_SECOND_NS),
		.tv_nsec = (long)(ns % OS_SECOND_NS),
	};

	return time;
}

uint64_t os_thread_cpu_ns(void)
{
	struct timespec now = { 0, 0 };

	os_call(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &now);
	return os_ns(&now);
}

uint64_t os_process_cpu_ns(void)
{
	struct timespec now = { 0, 0 };

	os_call(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, &now);
	return os_ns(&now);
}

/* The CPU clock of a thread: CPUCLOCK_SCHED | CPUCLOCK_PERTHREAD, <linux/posix-timers.h>. */
static clockid_t os_cpu_clock(pid_t tid)
{
	return (clockid_t)((~(unsigned int)tid << 3) | 6);
}

bool os_thread_cpu_of(pid_t tid, uint64_t *cpu_ns)
{
	struct timespec now;

	if (os_call(SYS_clock_gettime, os_cpu_clock(tid), &now))
		return false;
	*cpu_ns = os_ns(&now);
	return true;
}

pid_t os_gettid(void)
{
	return (pid_t)os_call(SYS_gettid);
}

pid_t os_getpid(void)
{
	return (pid_t)os_call(SYS_getpid);
}

bool os_thread_exists(pid_t tid)
{
	return os_tgkill(tid, 0) == 0;
}

int os_timer_create(pid_t tid, bool monotonic, int signo, uintptr_t cookie, int *timer)
{
	clockid_t clock = monotonic ? CLOCK_MONOTONIC : os_cpu_clock(tid);
	struct sigevent event;

	memset(&event, 0, sizeof(event));
	event.sigev_notify = SIGEV_THREAD_ID;
	event.sigev_signo = signo;
	event.sigev_value.sival_ptr = (void *)cookie;
	event._sigev_un._tid = tid;
	return (int)-os_call(SYS_timer_create, clock, &event, timer);
}

int os_timer_set(int timer, uint64_t first_ns, uint64_t interval_ns)
{
	struct itimerspec spec = {
		.it_value = os_timespec(first_ns),
		.it_interval = os_timespec(interval_ns),
	};

	return (int)-os_call(SYS_timer_settime, timer, 0, &spec, NULL);
}

void os_timer_delete(int timer)
{
	os_call(SYS_timer_delete, timer);
}

/* Half of what the table may hold, so that both halves have room. */
static long os_perf_lowest(void)
{
	struct rlimit limit = { 0, 0 };

	os_call(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
	return limit.rlim_cur / 2 < OS_PERF_FD_MOST ? (long)(limit.rlim_cur / 2) : OS_PERF_FD_MOST;
}

/* The number in a signal's si_fd is the one that O_ASYNC was set through: it must be the last one. */
static long os_perf_signal(long fd, pid_t tid, int signo)
{
	struct f_owner_ex owner = { .type = F_OWNER_TID, .pid = tid };
	long error = os_call(SYS_fcntl, fd, F_SETOWN_EX, &owner);

	if (!error)
		error = os_call(SYS_fcntl, fd, F_SETSIG, signo);
	if (!error)
		error = os_call(SYS_fcntl, fd, F_SETFL, O_RDWR | O_ASYNC | O_NONBLOCK);
	return error;
}

int os_perf_open(pid_t tid, int signo, uint64_t period_ns)
{
	struct perf_event_attr attr;
	long low, high, error;

	memset(&attr, 0, sizeof(attr));
	attr.type = PERF_TYPE_SOFTWARE;
	attr.size = sizeof(attr);
	attr.config = PERF_COUNT_SW_TASK_CLOCK;
	attr.sample_period = period_ns;
	attr.wakeup_events = 1;
	attr.exclude_kernel = 1;
	attr.exclude_hv = 1;
	attr.disabled = 1;
	low = os_call(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (low < 0)
		return (int)low;
	/* A high number cannot be taken for one of the program's own when its signal arrives. */
	high = os_call(SYS_fcntl, low, F_DUPFD_CLOEXEC, os_perf_lowest());
	os_call(SYS_close, low);
	if (high < 0)
		return (int)high;
	error = os_perf_signal(high, tid, signo);
	if (error) {
		os_call(SYS_close, high);
		return (int)error;
	}
	return (int)high;
}

int os_perf_begin(int fd)
{
	return (int)-os_call(SYS_ioctl, fd, PERF_EVENT_IOC_ENABLE, 0);
}

int os_perf_period(int fd, uint64_t period_ns)
{
	return (int)-os_call(SYS_ioctl, fd, PERF_EVENT_IOC_PERIOD, &period_ns);
}

void os_perf_close(int fd)
{
	os_call(SYS_close, fd);
}

/* Where process_vm_readv is refused (a seccomp profile, a kernel without it). */
static bool os_read_file(void *to, uintptr_t from, size_t n)
{
	long fd = os_call(SYS_openat, AT_FDCWD, "/proc/self/mem", O_RDONLY | O_CLOEXEC);
	long got;

	if (fd < 0)
		return false;
	got = os_call(SYS_pread64, fd, to, n, (off_t)from);
	os_call(SYS_close, fd);
	return got >= 0 && (size_t)got == n;
}

bool os_read(void *to, uintptr_t from, size_t n)
{
	struct iovec local = { .iov_base = to, .iov_len = n };
	struct iovec remote = { .iov_base = (void *)from, .iov_len = n };
	long got;

	if (!n)
		return true;
	if (atomic_load_explicit(&os.read_way, memory_order_relaxed) == OS_READ_FILE)
		return os_read_file(to, from, n);
	got = os_call(SYS_process_vm_readv, os_getpid(), &local, 1, &remote, 1, 0ul);
	if (got == -ENOSYS || got == -EPERM) {
		atomic_store_explicit(&os.read_way, OS_READ_FILE, memory_order_relaxed);
		return os_read_file(to, from, n);
	}
	return got >= 0 && (size_t)got == n;
}

uintptr_t os_program_counter(const void *context)
{
	const ucontext_t *interrupted = context;

#if defined(__x86_64__)
	return (uintptr_t)interrupted->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
	return (uintptr_t)interrupted->uc_mcontext.pc;
#endif
}

/* The word at %fs:0 is its own address (System V ABI, AMD64, 3.4.6). */
uintptr_t os_thread_pointer(void)
{
	uintptr_t pointer = 0;

#if defined(__x86_64__)
	__asm__("mov %%fs:0, %0" : "=r"(pointer));
#endif
	return pointer;
}

uintptr_t os_stack_pointer(const void *context)
{
	const ucontext_t *interrupted = context;

#if defined(__x86_64__)
	return (uintptr_t)interrupted->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
	return (uintptr_t)interrupted->uc_mcontext.sp;
#endif
}

void os_registers_take(const void *context, struct os_registers *registers)
{
	memset(registers, 0, sizeof(*registers));
#if defined(__x86_64__)
	static const unsigned char order[16] = {
		REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP,
		REG_R8,	 REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
	};
	const ucontext_t *interrupted = context;

	for (unsigned i = 0; i < PROF_COUNT(order); i++)
		registers->general[i] = (uint64_t)interrupted->uc_mcontext.gregs[order[i]];
#endif
	registers->pc = os_program_counter(context);
}

void os_stack_copy(void *to, uintptr_t from, size_t size_bytes)
{
#if defined(__x86_64__)
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size_bytes) : : "memory");
#else
	memcpy(to, (const void *)from, size_bytes);
#endif
}

/* AT_MINSIGSTKSZ, getauxval(3), is younger than the registers that made 2 KiB too few. */
size_t os_signal_frame_bytes(void)
{
	unsigned long known = getauxval(AT_MINSIGSTKSZ);

	return known ? known : OS_SIGNAL_FRAME_MOST;
}

bool os_was_interrupted(const void *context)
{
	const ucontext_t *interrupted = context;

#if defined(__x86_64__)
	return interrupted->uc_mcontext.gregs[REG_RAX] == -EINTR;
#elif defined(__aarch64__)
	return (int64_t)interrupted->uc_mcontext.regs[0] == -EINTR;
#endif
}

void os_futex_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
	struct timespec timeout = os_timespec(timeout_ns);

	os_call(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected,
		timeout_ns == UINT64_MAX ? NULL : &timeout, NULL, 0);
}

void os_yield(void)
{
	os_call(SYS_sched_yield);
}

void os_futex_wake(const _Atomic uint32_t *word)
{
	os_call(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

long os_write(int fd, const void *bytes, size_t size_bytes)
{
	const uint64_t pipe_bit = 1ull << (SIGPIPE - 1);
	const struct timespec at_once = { 0, 0 };
	struct pollfd room = { .fd = fd, .events = POLLOUT };
	uint64_t pending = 0, old = 0;
	long written;

	/* A pipe that nobody empties would stop us for ever, and the program with us. */
	if (os_call(SYS_ppoll, &room, 1, &at_once, NULL, OS_KERNEL_SET_BYTES) == 0)
		return -EAGAIN;
	os_call(SYS_rt_sigpending, &pending, OS_KERNEL_SET_BYTES);
	os_sigmask(SIG_BLOCK, &pipe_bit, &old);
	written = os_call(SYS_write, fd, bytes, size_bytes);
	/* One that was pending before is the program's; ours is taken back. */
	if (written == -EPIPE && !(pending & pipe_bit))
		os_call(SYS_rt_sigtimedwait, &pipe_bit, NULL, &at_once, OS_KERNEL_SET_BYTES);
	os_sigmask(SIG_SETMASK, &old, NULL);
	return written;
}

/* A duplicate of a descriptor of the main thread's table, or -errno. */
static long os_program_fd(int fd)
{
	long process = os_call(SYS_pidfd_open, os_getpid(), 0);
	long copy = process;
	char path[64];

	if (process >= 0) {
		copy = os_call(SYS_pidfd_getfd, process, fd, 0);
		os_call(SYS_close, process);
	}
	if (copy >= 0 || copy == -EBADF)
		return copy;
	/* Kernels before 5.6, some containers. A file opened anew begins at 0, hence O_APPEND. */
	log_format(path, sizeof(path), "/proc/self/fd/%d", fd);
	return os_call(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_NOCTTY | O_CLOEXEC);
}

long os_write_program(int fd, const void *bytes, size_t size_bytes)
{
	long copy = os_program_fd(fd);
	long written;

	if (copy < 0)
		return copy;
	written = os_write((int)copy, bytes, size_bytes);
	os_call(SYS_close, copy);
	return written;
}

int os_tgkill(pid_t tid, int signo)
{
	return (int)-os_call(SYS_tgkill, os_getpid(), tid, signo);
}

int os_tgqueue(pid_t tid, int signo, const siginfo_t *info)
{
	return (int)-os_call(SYS_rt_tgsigqueueinfo, os_getpid(), tid, signo, info);
}

int os_sigmask(int how, const uint64_t *set, uint64_t *old)
{
	return (int)-os_call(SYS_rt_sigprocmask, how, set, old, OS_KERNEL_SET_BYTES);
}

#ifdef __x86_64__
/*
 * The kernel returns from a handler to here. Unwinders know a signal frame by these very bytes, and look
 * one byte before them for a function's description: hence the nop (as in glibc).
 */
void os_restorer(void) __attribute__((visibility("hidden")));
__asm__(".text\n"
	".p2align 4\n"
	"nop\n"
	".hidden os_restorer\n"
	".globl os_restorer\n"
	".type os_restorer, @function\n"
	"os_restorer:\n"
	"	mov $15, %rax\n" /* rt_sigreturn */
	"	syscall\n"
	".size os_restorer, . - os_restorer\n");
#endif

int os_sigaction(int signo, const struct sigaction *act, struct sigaction *old)
{
	struct os_kernel_action set, was;
	long error;

	memset(&was, 0, sizeof(was));
	if (act) {
		set.handler = act->sa_handler;
		set.flags = (unsigned int)act->sa_flags;
		memcpy(&set.mask, &act->sa_mask, sizeof(set.mask));
#ifdef __x86_64__
		set.restorer = set.flags & OS_SA_RESTORER ? act->sa_restorer : os_restorer;
		set.flags |= OS_SA_RESTORER;
#endif
	}
	error = os_call(SYS_rt_sigaction, signo, act ? &set : NULL, old ? &was : NULL,
			OS_KERNEL_SET_BYTES);
	if (error || !old)
		return (int)-error;
	memset(old, 0, sizeof(*old));
	old->sa_handler = was.handler;
	old->sa_flags = (int)was.flags;
	memcpy(&old->sa_mask, &was.mask, sizeof(was.mask));
#ifdef __x86_64__
	old->sa_restorer = was.restorer;
#endif
	return 0;
}

/* What is left under a limit is asked for by taking it for a moment. */
bool os_pages_left(size_t size_bytes)
{
	struct rlimit address = { RLIM_INFINITY, 0 }, data = address;
	long pages;

	os_call(SYS_prlimit64, 0, RLIMIT_AS, NULL, &address);
	os_call(SYS_prlimit64, 0, RLIMIT_DATA, NULL, &data);
	if (address.rlim_cur == RLIM_INFINITY && data.rlim_cur == RLIM_INFINITY)
		return true;
	pages = os_call(SYS_mmap, NULL, size_bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0L);
	if (pages < 0 && pages > -4096)
		return false;
	os_call(SYS_munmap, pages, size_bytes);
	return true;
}

void *os_pages_map(size_t size_bytes)
{
	long pages;

	if (!os_pages_left(OS_PAGES_SHARE * size_bytes))
		return NULL;
	pages = os_call(SYS_mmap, NULL, size_bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);

	return pages < 0 && pages > -4096 ? NULL : (void *)pages;
}

void os_pages_unmap(void *pages, size_t size_bytes)
{
	if (pages)
		os_call(SYS_munmap, pages, size_bytes);
}

void os_memory_claim(void)
{
	const size_t page_bytes = 4096;
	_Atomic uint32_t *claim = atomic_load(&os.claim);

	if (!claim) {
		claim = os_pages_map(page_bytes);
		if (!claim || os_call(SYS_madvise, claim, page_bytes, MADV_WIPEONFORK) != 0) {
			os_pages_unmap((void *)claim, page_bytes);
			return;
		}
		atomic_store(&os.claim, claim);
	}
	atomic_store(claim, 1);
}

bool os_memory_is_copy(void)
{
	_Atomic uint32_t *claim = atomic_load_explicit(&os.claim, memory_order_relaxed);

	return claim && !atomic_load_explicit(claim, memory_order_relaxed);
}

bool os_descriptors_own(void)
{
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
	const unsigned int unshare = 1u << 1; /* CLOSE_RANGE_UNSHARE, <linux/close_range.h> */

	return os_call(SYS_close_range, 0u, ~0u, unshare) == 0;
}

uint64_t os_random(void)
{
	const unsigned int nonblock = 1; /* GRND_NONBLOCK, <linux/random.h> */
	uint64_t number;

	if (os_call(SYS_getrandom, &number, sizeof(number), nonblock) == sizeof(number))
		return number;
	/* Before the kernel's pool is ready: the finalizer of splitmix64 over the clocks. */
	number = os_monotonic_ns() ^ os_realtime_ns() << 20 ^ (uint64_t)os_gettid() << 40;
	number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9ull;
	number = (number ^ number >> 27) * 0x94d049bb133111ebull;
	return number ^ number >> 31;
}

const char *os_env(const char *name)
{
	return secure_getenv(name);
}
