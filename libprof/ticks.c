/*
 * ticks.c - which clock, and how fast it runs.
 */
#include "ticks.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif

#define MEASURE_NS UINT64_C(300000)
#define CPUID_POWER \
	0x80000007 /* Advanced power management; bit 8 of edx: the counter's rate is constant */
#define CPUID_POWER_INVARIANT (1u << 8)

struct ticks ticks_clock = { .ns_per_tick = UINT64_C(1) << TICKS_SHIFT };

#ifdef __x86_64__
static struct {
	uint64_t ns, ticks; /* 0: it has been measured, or is not */
} begun;

static bool counter_is_sure(void);
#endif

void ticks_start(void)
{
#ifdef __x86_64__
	if (ticks_clock.has_counter || !counter_is_sure())
		return;
	begun.ns = os_monotonic_ns();
	begun.ticks = __builtin_ia32_rdtsc();
	ticks_clock.has_counter = true;
#endif
}

void ticks_measure(void)
{
#ifdef __x86_64__
	uint64_t now_ns;

	if (!begun.ticks)
		return;
	do
		now_ns = os_monotonic_ns();
	while (now_ns - begun.ns < MEASURE_NS);
	ticks_clock.ns_per_tick =
		((now_ns - begun.ns) << TICKS_SHIFT) / (__builtin_ia32_rdtsc() - begun.ticks);
	begun.ticks = 0;
#endif
}

#ifdef __x86_64__
/* Of one rate, whatever the processor's speed, and running in every sleep state. */
static bool counter_is_sure(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(CPUID_POWER, &a, &b, &c, &d) && d & CPUID_POWER_INVARIANT;
}
#endif
