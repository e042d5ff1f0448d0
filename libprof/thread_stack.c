/*
 * thread_stack.c - where each thread's C stack lies.
 *
 * glibc puts its struct pthread, which pthread_self() is the address of, and below it the thread's static TLS at
 * the upper end of the block that holds the stack (nptl/allocatestack.c), a stack of the program's own included:
 * all between a stack pointer in that block and pthread_self() is mapped.  Of the block's lower end a
 * margin is left out, since how much of it lies above pthread_self() is not known.
 *
 * The main thread's stack ends where the kernel left off, __libc_stack_end, and grows downwards: what
 * /proc/self/maps says of it is true until it says more.  Until it has been looked at, it is what exec has made it:
 * 128 KiB and what the program's arguments take (linux, fs/exec.c, setup_arg_pages), if the limit permits that.
 */
#include "thread_stack.h"

#include "os.h"

#include <sys/resource.h>

#define MARGIN_BYTES ((size_t)16 << 10)
#define MAIN_BYTES ((size_t)64 << 10) /* surely there */
#define MAIN_LIMIT_BYTES (4 * MAIN_BYTES)
#define LOOK_NS UINT64_C(10000000)
#define LOOK_AGAIN_NS UINT64_C(1000000000) /* after one in vain */

extern void *__libc_stack_end __attribute__((weak));

static struct {
	_Atomic bool is_asked;
	uint64_t next_ns; /* the drainer's */
} looks;

static void look_at(void *unused, const struct os_map *map);
static bool is_stack_of(struct thread *thread, const struct os_map *map);

void thread_stack_reserve(struct thread *thread, const pthread_attr_t *attributes)
{
	pthread_attr_t preset;
	size_t size_bytes = 0, guard_bytes = 0;

	if (!attributes && pthread_getattr_default_np(&preset) == 0) {
		pthread_attr_getstacksize(&preset, &size_bytes);
		pthread_attr_getguardsize(&preset, &guard_bytes);
		pthread_attr_destroy(&preset);
	} else if (attributes) {
		pthread_attr_getstacksize(attributes, &size_bytes);
		pthread_attr_getguardsize(attributes, &guard_bytes);
	}
	guard_bytes += MARGIN_BYTES;
	thread->stack_bytes = size_bytes > guard_bytes ? size_bytes - guard_bytes : 0;
}

void thread_stack_begin(struct thread *thread)
{
	uintptr_t end = (uintptr_t)pthread_self();

	atomic_store_explicit(&thread->stack_begin, end - thread->stack_bytes,
			      memory_order_relaxed);
	atomic_store_explicit(&thread->stack_end, end, memory_order_release);
}

void thread_stack_begin_main(struct thread *thread)
{
	uintptr_t end = &__libc_stack_end ? (uintptr_t)__libc_stack_end : 0;
	struct rlimit limit;

	if (!end || atomic_load(&thread->stack_end) || getrlimit(RLIMIT_STACK, &limit) != 0 ||
	    limit.rlim_cur < MAIN_LIMIT_BYTES)
		return;
	atomic_store_explicit(&thread->stack_begin, end - MAIN_BYTES, memory_order_relaxed);
	atomic_store_explicit(&thread->stack_end, end, memory_order_release);
}

bool thread_stack_holds(struct thread *thread, uintptr_t pointer, uintptr_t *end)
{
	/* Pairs with is_stack_of, which writes it last. */
	*end = atomic_load_explicit(&thread->stack_end, memory_order_acquire);
	if (pointer < *end &&
	    pointer >= atomic_load_explicit(&thread->stack_begin, memory_order_relaxed))
		return true;
	atomic_store_explicit(&thread->stack_self, os_thread_pointer(), memory_order_relaxed);
	atomic_store_explicit(&thread->stack_asked, pointer, memory_order_release);
	atomic_store_explicit(&looks.is_asked, true, memory_order_release);
	return false;
}

uintptr_t thread_stack_below(const struct thread *thread, uintptr_t pointer, size_t size_bytes)
{
	uintptr_t begin = atomic_load_explicit(&thread->stack_begin, memory_order_relaxed);

	return pointer - begin < size_bytes ? begin : pointer - size_bytes;
}

void thread_stack_look(void)
{
	uint64_t now = os_monotonic_ns();

	if (now < looks.next_ns || !atomic_exchange(&looks.is_asked, false))
		return;
	os_maps_each(look_at, NULL);
	looks.next_ns = now + LOOK_NS;
	for (struct thread *thread = thread_next(NULL); thread; thread = thread_next(thread)) {
		/* On another stack, it may stay there for long. */
		if (atomic_exchange(&thread->stack_asked, 0))
			looks.next_ns = now + LOOK_AGAIN_NS;
	}
}

static void look_at(void *unused, const struct os_map *map)
{
	(void)unused;
	for (struct thread *thread = thread_next(NULL); thread; thread = thread_next(thread)) {
		uintptr_t pointer =
			atomic_load_explicit(&thread->stack_asked, memory_order_acquire);

		if (map->start <= pointer && pointer < map->end && is_stack_of(thread, map))
			atomic_store(&thread->stack_asked, 0);
	}
}

/* False: threads are not born with it. */
static bool is_stack_of(struct thread *thread, const struct os_map *map)
{
	uintptr_t end = atomic_load_explicit(&thread->stack_self, memory_order_relaxed);
	uintptr_t main_end = &__libc_stack_end ? (uintptr_t)__libc_stack_end : 0;

	if (map->start <= main_end && main_end < map->end)
		end = main_end;
	if (end <= atomic_load(&thread->stack_asked) || end >= map->end)
		return false;
	atomic_store_explicit(&thread->stack_begin, map->start, memory_order_relaxed);
	atomic_store_explicit(&thread->stack_end, end, memory_order_release);
	return true;
}
