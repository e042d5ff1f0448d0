/*
 * ticks.h - the cheapest clock there is, for what happens many million times a second.
 *
 * x86-64: the time stamp counter, where the processor says that its rate never changes; else
 * CLOCK_MONOTONIC, and a tick is a nanosecond.  Between processors it may step back a little: users take
 * a negative difference for none.
 */
#ifndef TICKS_H
#define TICKS_H

#include "os.h"
#include "prof.h"

#define TICKS_SHIFT 24

struct ticks {
	bool has_counter;
	uint64_t ns_per_tick; /* times 2^TICKS_SHIFT */
};
extern struct ticks ticks_clock;

/* Choose the clock. setup */
void ticks_start(void);
/* How fast it has been since then, or in a third of a millisecond if that is longer: until now a number of ticks
   is no time. setup */
void ticks_measure(void);

/* Only differences mean something. any */
static inline uint64_t ticks_now(void)
{
#ifdef __x86_64__
	if (__builtin_expect(ticks_clock.has_counter, 1))
		return __builtin_ia32_rdtsc();
#endif
	return os_monotonic_ns();
}

/* any */
static inline uint64_t ticks_to_ns(uint64_t count)
{
	return (uint64_t)((unsigned __int128)count * ticks_clock.ns_per_tick >> TICKS_SHIFT);
}

/* any */
static inline uint64_t ticks_from_ns(uint64_t ns)
{
	return (uint64_t)(((unsigned __int128)ns << TICKS_SHIFT) / ticks_clock.ns_per_tick);
}

#endif
