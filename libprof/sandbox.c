/*
 * sandbox.c - a seccomp filter, run ahead of time for each system call that we make.
 *
 * A filter is a program that looks at a call's number, the architecture and the arguments, and jumps forwards only.
 * For one number it is passed through once, from its beginning to its end, with all that the accumulator may hold
 * at each instruction: the number, the architecture, or something that we do not know.  A jump on what is not known
 * goes both ways.  What may be returned in the end is compared with what we can bear.
 */
#include "sandbox.h"

#include "os.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

/* What the accumulator may hold. */
enum { IS_NUMBER = 1, IS_ARCHITECTURE = 2, IS_UNKNOWN = 4 };

struct filter {
	const struct sock_filter *code;
	uint8_t *holds; /* before each instruction; 0: it is not reached */
	uint32_t count;
};

/* Where these fail a handler does not come back, our thread never ends or waits without waiting, and we know neither
   whose process this is nor who lives in it. */
static const uint16_t needed[] = { SYS_rt_sigreturn, SYS_futex,	 SYS_exit,
				   SYS_getpid,	     SYS_gettid, SYS_tgkill };

static const uint16_t wanted[] = {
	SYS_clock_gettime,
	SYS_clone,
	SYS_clone3,
	SYS_close,
	SYS_close_range,
	SYS_faccessat,
	SYS_fcntl,
	SYS_fstat,
	SYS_ftruncate,
	SYS_getdents64,
	SYS_getpid,
	SYS_getppid,
	SYS_getrandom,
	SYS_gettid,
	SYS_ioctl,
	SYS_linkat,
	SYS_madvise,
	SYS_mmap,
	SYS_mprotect,
	SYS_munmap,
	SYS_newfstatat,
	SYS_openat,
	SYS_perf_event_open,
	SYS_pidfd_getfd,
	SYS_pidfd_open,
	SYS_ppoll,
	SYS_prctl,
	SYS_pread64,
	SYS_prlimit64,
	SYS_pwrite64,
	SYS_process_vm_readv,
	SYS_read,
	SYS_readlinkat,
	SYS_renameat2,
	SYS_rseq,
	SYS_rt_sigaction,
	SYS_rt_sigpending,
	SYS_rt_sigprocmask,
	SYS_rt_sigtimedwait,
	SYS_rt_tgsigqueueinfo,
	SYS_sched_getaffinity,
	SYS_sched_yield,
	SYS_set_robust_list,
	SYS_tgkill,
	SYS_timer_create,
	SYS_timer_delete,
	SYS_timer_settime,
	SYS_unlinkat,
	SYS_write,
#ifdef __x86_64__
	SYS_access,
	SYS_link,
	SYS_readlink,
	SYS_stat,
	SYS_unlink,
#endif
};

static bool bears(struct filter *filter, uint16_t number, bool must_work);
static bool is_bearable(const struct sock_filter *code, bool must_work);
static void pass(struct filter *filter, uint32_t at, uint16_t number);
static uint8_t loaded(const struct sock_filter *code, uint8_t held);
static void jump(struct filter *filter, uint32_t at, uint16_t number);
static bool is_true(const struct sock_filter *code, uint32_t value);
static void reach(struct filter *filter, uint64_t at, uint8_t held);

bool sandbox_bears(uintptr_t program)
{
	struct sock_fprog given;
	struct filter filter;
	size_t code_bytes;
	bool is_borne;
	void *pages;

	if (!os_read(&given, program, sizeof(given)) || given.len == 0 || given.len > BPF_MAXINSNS)
		return true;
	filter.count = given.len;
	code_bytes = filter.count * sizeof(struct sock_filter);
	pages = os_pages_map(code_bytes + filter.count);
	if (!pages)
		return false;
	filter.code = pages;
	filter.holds = (uint8_t *)pages + code_bytes;
	is_borne = os_read(pages, (uintptr_t)given.filter, code_bytes);
	for (unsigned i = 0; i < PROF_COUNT(needed) && is_borne; i++)
		is_borne = bears(&filter, needed[i], true);
	for (unsigned i = 0; i < PROF_COUNT(wanted) && is_borne; i++)
		is_borne = bears(&filter, wanted[i], false);
	os_pages_unmap(pages, code_bytes + filter.count);
	return is_borne;
}

static bool bears(struct filter *filter, uint16_t number, bool must_work)
{
	for (uint32_t i = 0; i < filter->count; i++)
		filter->holds[i] = 0;
	filter->holds[0] = IS_UNKNOWN;
	for (uint32_t at = 0; at < filter->count; at++) {
		if (!filter->holds[at])
			continue;
		if (BPF_CLASS(filter->code[at].code) != BPF_RET)
			pass(filter, at, number);
		else if (!is_bearable(&filter->code[at], must_work))
			return false;
	}
	return true;
}

static bool is_bearable(const struct sock_filter *code, bool must_work)
{
	uint32_t action = code->k & SECCOMP_RET_ACTION_FULL;

	if (BPF_RVAL(code->code) != BPF_K)
		return false; /* what it returns is not known */
	return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG ||
	       (action == SECCOMP_RET_ERRNO && !must_work);
}

/* On to what comes after this instruction. */
static void pass(struct filter *filter, uint32_t at, uint16_t number)
{
	const struct sock_filter *code = &filter->code[at];

	if (BPF_CLASS(code->code) != BPF_JMP)
		reach(filter, at + 1, loaded(code, filter->holds[at]));
	else if (BPF_OP(code->code) == BPF_JA)
		reach(filter, (uint64_t)at + 1 + code->k, filter->holds[at]);
	else
		jump(filter, at, number);
}

static uint8_t loaded(const struct sock_filter *code, uint8_t held)
{
	switch (BPF_CLASS(code->code)) {
	case BPF_LD:
		if (BPF_MODE(code->code) != BPF_ABS)
			return IS_UNKNOWN;
		if (code->k == offsetof(struct seccomp_data, nr))
			return IS_NUMBER;
		return code->k == offsetof(struct seccomp_data, arch) ? IS_ARCHITECTURE :
									IS_UNKNOWN;
	case BPF_ST:
	case BPF_STX:
	case BPF_LDX:
		return held;
	default:
		return IS_UNKNOWN;
	}
}

static void jump(struct filter *filter, uint32_t at, uint16_t number)
{
	const struct sock_filter *code = &filter->code[at];
	uint8_t held = filter->holds[at];
	bool is_known = BPF_SRC(code->code) == BPF_K;

	for (unsigned kind = IS_NUMBER; kind <= IS_UNKNOWN; kind <<= 1) {
		bool goes = is_true(code, kind == IS_NUMBER ? number : ARCHITECTURE);
		bool is_either = kind == IS_UNKNOWN || !is_known;

		if (!(held & kind))
			continue;
		if (goes || is_either)
			reach(filter, (uint64_t)at + 1 + code->jt, (uint8_t)kind);
		if (!goes || is_either)
			reach(filter, (uint64_t)at + 1 + code->jf, (uint8_t)kind);
	}
}

static bool is_true(const struct sock_filter *code, uint32_t value)
{
	switch (BPF_OP(code->code)) {
	case BPF_JEQ:
		return value == code->k;
	case BPF_JGT:
		return value > code->k;
	case BPF_JGE:
		return value >= code->k;
	default:
		return value & code->k;
	}
}

static void reach(struct filter *filter, uint64_t at, uint8_t held)
{
	if (at < filter->count)
		filter->holds[at] |= held;
}
