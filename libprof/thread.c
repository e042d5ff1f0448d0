/*
 * thread.c - the table of profiled threads.
 *
 *   slots[0..high)  ->  struct thread + its ring, one mapping each, kept for the slot's next thread
 *
 * A slot changes hands by its state alone: whoever moves FREE to BORN owns it, the thread itself (or,
 * for one found from outside, the drainer) makes it LIVE and DEAD, the drainer makes it FREE again when
 * the ring is empty.  Pointers to a struct thread stay good for the life of the process.
 */
#include "thread.h"

#include "os.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>

#define COOKIE_MAGIC UINT64_C(0x4d50)
#define COOKIE_MAGIC_SHIFT 48
#define COOKIE_GENERATION_SHIFT 16
#define QUIET_STEP_NS 20000
#define SPACE_BYTES \
	((size_t)160 << 20) /* four times what all that measures takes of the address space */
#define PREEMPTED_NS 250000 /* longer than any walk */

static struct {
	_Atomic(struct thread *) slots[THREADS_MAX];
	_Atomic uint32_t high; /* slots that were ever used */
	_Atomic uint32_t free_count; /* a hint: when 0, looking for a FREE slot is in vain */
	_Atomic uint32_t next_serial;
	_Atomic uint32_t living; /* reserved, and not ended yet */
	_Atomic bool closed;
	bool has_key;
	pthread_key_t key;
	uint32_t ring_bytes;
	void (*ending)(struct thread *thread);
	_Atomic uint64_t losses[LOSS_COUNT]; /* of no thread, and of threads that are gone */
	_Atomic uint64_t own_ns, entries, callbacks; /* of threads that are gone */
} threads;

_Thread_local struct thread *thread_current __attribute__((tls_model("initial-exec")));

static struct thread *slot_reuse(void);
static struct thread *slot_add(void);
static void slot_clean(struct thread *thread);
static void slot_free(struct thread *thread);
static void thread_end(void *self_pointer);

errmsg threads_start(uint32_t ring_bytes, void (*ending)(struct thread *thread))
{
	if (!os_pages_left(SPACE_BYTES))
		return "RLIMIT_AS or RLIMIT_DATA leaves less than 160 MB: not profiled";
	threads.ring_bytes = ring_bytes;
	threads.ending = ending;
	if (!threads.has_key && pthread_key_create(&threads.key, thread_end) != 0)
		return "no thread-specific key is left: threads cannot be followed";
	threads.has_key = true;
	return NULL;
}

struct thread *thread_reserve(void)
{
	struct thread *thread = slot_reuse();

	if (!thread)
		thread = slot_add();
	if (!thread) {
		thread_lose(NULL, LOSS_threads);
		return NULL;
	}
	slot_clean(thread);
	atomic_fetch_add(&threads.living, 1);
	return thread;
}

void thread_cancel(struct thread *thread)
{
	atomic_fetch_sub(&threads.living, 1);
	slot_free(thread);
}

void thread_begin(struct thread *thread)
{
	pid_t tid = os_gettid();

	/* A thread that took long to be born may have been found from outside meanwhile, and ticked. */
	for (struct thread *other = thread_next(NULL); other; other = thread_next(other)) {
		if ((atomic_load(&other->foreign) || other == thread_current) &&
		    atomic_load(&other->tid) == tid)
			thread_lost(other);
	}
	atomic_store_explicit(&thread->tid, tid, memory_order_relaxed);
	thread_current = thread;
	pthread_setspecific(threads.key, thread);
	/* Pairs with thread_next: the drainer sees a whole thread. */
	atomic_store_explicit(&thread->state, THREAD_LIVE, memory_order_release);
}

struct thread *thread_adopt(pid_t tid)
{
	struct thread *thread = thread_reserve();

	if (!thread)
		return NULL;
	atomic_store_explicit(&thread->tid, tid, memory_order_relaxed);
	atomic_store_explicit(&thread->foreign, true, memory_order_relaxed);
	atomic_store_explicit(&thread->state, THREAD_LIVE, memory_order_release);
	return thread;
}

/* The destructor of our key: the last that a thread does with us. */
static void thread_end(void *self_pointer)
{
	struct thread *thread = self_pointer;

	if (thread_current != thread)
		return;
	/* After the end system calls may be punished (seccomp), and nobody reads the name. */
	if (!atomic_load(&threads.closed))
		prctl(PR_GET_NAME, thread->name);
	/* Of threads that end at the same time, one finds itself the last. */
	thread->is_last = atomic_fetch_sub(&threads.living, 1) == 1;
	threads.ending(thread);
	thread_current = NULL;
	/* Pairs with thread_next: what the thread wrote last is in its ring. */
	atomic_store_explicit(&thread->state, THREAD_DEAD, memory_order_release);
}

void thread_lost(struct thread *thread)
{
	uint32_t live = THREAD_LIVE;

	if (atomic_compare_exchange_strong(&thread->state, &live, THREAD_DEAD))
		atomic_fetch_sub(&threads.living, 1);
}

void thread_recycle(struct thread *thread)
{
	for (unsigned i = 0; i < LOSS_COUNT; i++)
		atomic_fetch_add(&threads.losses[i], atomic_load(&thread->losses[i]));
	atomic_fetch_add(&threads.own_ns, atomic_load(&thread->own_ns));
	atomic_fetch_add(&threads.entries, atomic_load(&thread->entries));
	atomic_fetch_add(&threads.callbacks, atomic_load(&thread->callbacks));
	slot_free(thread);
}

struct thread *thread_next(const struct thread *thread)
{
	uint32_t high = atomic_load_explicit(&threads.high, memory_order_acquire);

	for (uint32_t i = thread ? thread->slot + 1 : 0; i < high && i < THREADS_MAX; i++) {
		struct thread *next = atomic_load_explicit(&threads.slots[i], memory_order_acquire);
		uint32_t state;

		if (!next)
			continue;
		state = atomic_load_explicit(&next->state, memory_order_acquire);
		if (state == THREAD_LIVE || state == THREAD_DEAD)
			return next;
	}
	return NULL;
}

void threads_after_fork(void)
{
	uint32_t high = atomic_load(&threads.high);

	atomic_store(&threads.next_serial, 0);
	atomic_store(&threads.closed, false);
	for (uint32_t i = 0; i < high && i < THREADS_MAX; i++) {
		struct thread *thread = atomic_load(&threads.slots[i]);

		if (thread && thread != thread_current &&
		    atomic_load(&thread->state) != THREAD_FREE)
			slot_free(thread);
	}
	for (unsigned i = 0; i < LOSS_COUNT; i++)
		atomic_store(&threads.losses[i], 0);
	atomic_store(&threads.own_ns, 0);
	atomic_store(&threads.entries, 0);
	atomic_store(&threads.callbacks, 0);
	atomic_store(&threads.living, thread_current ? 1 : 0);
	if (thread_current) {
		struct signals_thread signals = thread_current->signals;
		uintptr_t stack_begin = atomic_load(&thread_current->stack_begin);
		uintptr_t stack_end = atomic_load(&thread_current->stack_end);

		atomic_fetch_add(&thread_current->generation, 1);
		slot_clean(thread_current);
		thread_current->signals = signals;
		atomic_store(&thread_current->stack_begin, stack_begin);
		atomic_store(&thread_current->stack_end, stack_end);
		atomic_store(&thread_current->tid, os_gettid());
	}
}

uintptr_t thread_cookie(const struct thread *thread)
{
	uint64_t generation = atomic_load_explicit(&thread->generation, memory_order_relaxed);

	return COOKIE_MAGIC << COOKIE_MAGIC_SHIFT | generation << COOKIE_GENERATION_SHIFT |
	       thread->slot;
}

bool thread_cookie_ours(uintptr_t cookie)
{
	return cookie >> COOKIE_MAGIC_SHIFT == COOKIE_MAGIC;
}

struct thread *thread_enter(void)
{
	struct thread *thread = thread_current;
	int saved = errno;

	/* A handler of ours blocks every signal, so this is only met from callbacks. */
	if (!thread || atomic_exchange(&thread->inside, 1))
		return NULL;
	/* Dekker with threads_close and threads_quiet: either we see closed, or they see inside. */
	if (atomic_load(&threads.closed)) {
		atomic_store_explicit(&thread->inside, 0, memory_order_release);
		return NULL;
	}
	thread->saved_errno = saved;
	thread->entered_ns = os_monotonic_ns();
	return thread;
}

struct thread *thread_enter_tick(uintptr_t cookie)
{
	uint32_t slot = cookie & 0xffff;
	struct thread *thread;

	if (slot >= THREADS_MAX)
		return NULL;
	thread = atomic_load_explicit(&threads.slots[slot], memory_order_acquire);
	if (!thread || thread_cookie(thread) != cookie)
		return NULL;
	if (!thread_current && atomic_load(&thread->foreign) &&
	    atomic_load(&thread->tid) == os_gettid()) {
		thread_current = thread;
		atomic_store(&thread->foreign, false);
	}
	return thread_current == thread ? thread_enter() : NULL;
}

void thread_leave(struct thread *thread)
{
	uint64_t spent = os_monotonic_ns() - thread->entered_ns;

	/* The clock runs on while others have the CPU: such a span counts as the mean of the rest. */
	if (spent > PREEMPTED_NS)
		spent = thread->entries ? thread->own_ns / thread->entries : 0;
	/* One writer: a plain add, made visible as a whole to the drainer. */
	atomic_store_explicit(&thread->own_ns, thread->own_ns + spent, memory_order_relaxed);
	atomic_store_explicit(&thread->entries, thread->entries + 1, memory_order_relaxed);
	errno = thread->saved_errno;
	/* Pairs with threads_quiet. */
	atomic_store_explicit(&thread->inside, 0, memory_order_release);
}

void thread_leave_callback(struct thread *thread)
{
	thread_leave(thread);
	/* Pairs with threads_sum: there are never more of them than entries. */
	atomic_store_explicit(&thread->callbacks, thread->callbacks + 1, memory_order_release);
}

void thread_lose(struct thread *thread, enum loss reason)
{
	_Atomic uint64_t *losses = thread ? thread->losses : threads.losses;

	atomic_fetch_add_explicit(&losses[reason], 1, memory_order_relaxed);
}

void threads_close(void)
{
	atomic_store(&threads.closed, true);
}

bool threads_quiet(uint64_t timeout_ns)
{
	static const _Atomic uint32_t never;
	uint64_t end = os_monotonic_ns() + timeout_ns;

	for (struct thread *thread = thread_next(NULL); thread; thread = thread_next(thread)) {
		while (thread != thread_current && atomic_load(&thread->inside)) {
			if (os_monotonic_ns() >= end)
				return false;
			os_futex_wait(&never, 0, QUIET_STEP_NS);
		}
	}
	return true;
}

void threads_sum(struct threads_sums *sums)
{
	for (unsigned i = 0; i < LOSS_COUNT; i++)
		sums->losses[i] = atomic_load(&threads.losses[i]);
	sums->own_ns = atomic_load(&threads.own_ns);
	sums->entries = atomic_load(&threads.entries);
	sums->callbacks = atomic_load(&threads.callbacks);
	for (struct thread *thread = thread_next(NULL); thread; thread = thread_next(thread)) {
		for (unsigned i = 0; i < LOSS_COUNT; i++)
			sums->losses[i] += atomic_load(&thread->losses[i]);
		sums->own_ns += atomic_load(&thread->own_ns);
		sums->callbacks += atomic_load(&thread->callbacks);
		sums->entries += atomic_load(&thread->entries);
	}
}

static struct thread *slot_reuse(void)
{
	uint32_t high = atomic_load(&threads.high);

	if (!atomic_load(&threads.free_count))
		return NULL;
	for (uint32_t i = 0; i < high && i < THREADS_MAX; i++) {
		struct thread *thread = atomic_load(&threads.slots[i]);
		uint32_t expected = THREAD_FREE;

		if (thread &&
		    atomic_compare_exchange_strong(&thread->state, &expected, THREAD_BORN)) {
			atomic_fetch_sub(&threads.free_count, 1);
			return thread;
		}
	}
	return NULL;
}

static struct thread *slot_add(void)
{
	size_t size = (sizeof(struct thread) + PROF_CACHE_LINE - 1) &
		      ~(size_t)(PROF_CACHE_LINE - 1);
	struct thread *thread;
	uint32_t slot;

	if (atomic_load(&threads.high) >= THREADS_MAX)
		return NULL;
	thread = os_pages_map(size + threads.ring_bytes);
	if (!thread)
		return NULL;
	slot = atomic_fetch_add(&threads.high, 1);
	if (slot >= THREADS_MAX) {
		atomic_fetch_sub(&threads.high, 1);
		os_pages_unmap(thread, size + threads.ring_bytes);
		return NULL;
	}
	thread->slot = slot;
	ring_init(&thread->ring, (char *)thread + size, threads.ring_bytes);
	atomic_store(&thread->state, THREAD_BORN);
	atomic_store_explicit(&threads.slots[slot], thread, memory_order_release);
	return thread;
}

/* All that the last thread of the slot left behind goes; slot, generation and state stay. */
static void slot_clean(struct thread *thread)
{
	unsigned char *ring = thread->ring.data;

	thread->serial = atomic_fetch_add(&threads.next_serial, 1) + 1;
	memset(&thread->foreign, 0, sizeof(*thread) - offsetof(struct thread, foreign));
	ring_init(&thread->ring, ring, threads.ring_bytes);
}

static void slot_free(struct thread *thread)
{
	atomic_fetch_add(&thread->generation, 1);
	atomic_store_explicit(&thread->state, THREAD_FREE, memory_order_release);
	atomic_fetch_add(&threads.free_count, 1);
}
