/*
 * drain_door.c - asking, and waiting within a bound for what comes of it.
 */
#include "drain_door.h"

#include "drain.h"
#include "os.h"

#define ASK_AGAIN_NS UINT64_C(10000000)
#define GONE_STEP_NS 20000
/* Before we sleep: a thread that has little to do, or has said its last, is through sooner than we would wake. */
#define LOOKS 128

struct drain_door drain_door PROF_TOGETHER;

static bool await_state(enum drain_state wanted, uint64_t timeout_ns);
static bool await_gone(uint64_t end_ns);

bool drain_park(uint64_t timeout_ns)
{
	uint64_t now = os_monotonic_ns(), end_ns = now + timeout_ns;
	uint32_t state = atomic_load(&drain_door.state);

	if (state == DRAIN_IDLE || state >= DRAIN_PARKED)
		return true;
	do {
		drain_ask(DRAIN_PARK);
		if (await_state(DRAIN_PARKED, drain_least(end_ns - now, ASK_AGAIN_NS)))
			return await_gone(end_ns);
		/* Somebody else may have started it, and taken back what had been asked before. */
		now = os_monotonic_ns();
	} while (now < end_ns);
	atomic_fetch_and(&drain_door.asked, ~(uint32_t)DRAIN_PARK);
	return false;
}

bool drain_flush(uint64_t timeout_ns)
{
	uint64_t end = os_monotonic_ns() + timeout_ns;
	uint32_t before = atomic_load(&drain_door.answered);

	if (atomic_load(&drain_door.state) == DRAIN_RESTING && drain_is_empty())
		return true;
	drain_ask(DRAIN_FLUSH);
	while (atomic_load(&drain_door.answered) == before) {
		uint32_t state = atomic_load(&drain_door.state);
		uint64_t now = os_monotonic_ns();

		if (state == DRAIN_PARKED || state == DRAIN_DONE || state == DRAIN_IDLE)
			return true;
		if (now >= end)
			return false;
		os_futex_wait(&drain_door.answered, before, end - now);
	}
	return true;
}

bool drain_finish(uint64_t timeout_ns)
{
	uint64_t end_ns = os_monotonic_ns() + timeout_ns;
	uint32_t state = atomic_load(&drain_door.state);

	if (state == DRAIN_DONE || state == DRAIN_IDLE)
		return true;
	drain_ask(DRAIN_FINISH);
	return await_state(DRAIN_PARKED, timeout_ns) &&
	       atomic_load(&drain_door.state) == DRAIN_DONE && await_gone(end_ns);
}

bool drain_end(uint64_t timeout_ns, bool may_start)
{
	uint64_t end_ns = os_monotonic_ns() + timeout_ns;

	/* A fork in another thread may park it once more. */
	for (;;) {
		uint64_t now = os_monotonic_ns();

		if (drain_finish(now < end_ns ? end_ns - now : 0))
			return true;
		if (!may_start || !drain_is_parked() || now >= end_ns || drain_start())
			return false;
	}
}

bool drain_forget(void)
{
	uint32_t state = atomic_load(&drain_door.state);

	return (state == DRAIN_RESTING || state == DRAIN_PARKED) && drain_is_empty() &&
	       atomic_compare_exchange_strong(&drain_door.state, &state, DRAIN_DONE);
}

bool drain_is_parked(void)
{
	return atomic_load(&drain_door.state) == DRAIN_PARKED;
}

pid_t drain_tid(void)
{
	return atomic_load(&drain_door.tid);
}

void drain_ask(uint32_t bits)
{
	atomic_fetch_or(&drain_door.asked, bits);
	os_futex_wake(&drain_door.asked);
}

/* States only grow while someone waits. */
static bool await_state(enum drain_state wanted, uint64_t timeout_ns)
{
	uint64_t end = os_monotonic_ns() + timeout_ns;
	uint32_t state;

	for (unsigned looks = 0; looks < LOOKS && atomic_load(&drain_door.state) < wanted; looks++)
		os_yield();
	while ((state = atomic_load(&drain_door.state)) < wanted) {
		uint64_t now = os_monotonic_ns();

		if (now >= end)
			return false;
		os_futex_wait(&drain_door.state, state, end - now);
	}
	return true;
}

/* Those who count threads (CPython at fork, libc for the last one) count one that is exiting, too. */
static bool await_gone(uint64_t end_ns)
{
	static const _Atomic uint32_t never;
	pid_t tid = atomic_load(&drain_door.tid);

	for (unsigned looks = 0; tid && os_thread_exists(tid); looks++) {
		if (os_monotonic_ns() >= end_ns)
			return false;
		if (looks < LOOKS)
			os_yield();
		else
			os_futex_wait(&never, 0, GONE_STEP_NS);
	}
	return true;
}
