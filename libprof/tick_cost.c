/*
 * tick_cost.c - a few signals, and the thread's CPU clock before and after them.
 */
#include "tick_cost.h"

#include "os.h"
#include "signals.h"
#include "thread.h"

#define SIGNALS 8

static struct {
	struct thread *measuring; /* its own signals are not the program's for a moment */
	uint64_t cost_ns;
} tick_cost;

void tick_cost_measure(void)
{
	uint64_t begun_ns;

	if (tick_cost.cost_ns)
		return;
	tick_cost.measuring = thread_self();
	begun_ns = os_thread_cpu_ns();
	for (unsigned i = 0; i < SIGNALS; i++)
		os_tgkill(os_gettid(), signals_number());
	tick_cost.cost_ns = (os_thread_cpu_ns() - begun_ns) / SIGNALS;
	tick_cost.measuring = NULL;
}

bool tick_cost_is_own(const siginfo_t *info)
{
	/* Only its own thread ever finds itself there. */
	return info->si_code == SI_TKILL && thread_self() && tick_cost.measuring == thread_self();
}

uint64_t tick_cost_ns(void)
{
	return tick_cost.cost_ns;
}
