/*
 * running.c - the collectors that run.
 */
#include "running.h"

#include "registry.h"

static struct {
	uint32_t mask; /* of rows */
	uint32_t kept; /* of those whose rate does not follow */
} running;

/* For each hook of this name that there is: */
#define EACH(hook)                                           \
	for (unsigned row = 0; row < COLLECTOR_COUNT; row++) \
		if (running.mask >> row & 1 && HOOKS(row)->hook)
#define HOOKS(row) registry_collectors[row].hooks

void running_select(uint32_t mask)
{
	running.mask = mask;
}

void running_thread_begin(struct thread *thread)
{
	EACH(thread_begin)
	HOOKS(row)->thread_begin(thread);
}

void running_thread_end(struct thread *thread)
{
	EACH(thread_end)
	HOOKS(row)->thread_end(thread);
}

void running_thread_gone(struct thread *thread)
{
	EACH(thread_gone)
	HOOKS(row)->thread_gone(thread);
}

void running_drainer_begin(bool own_descriptors)
{
	EACH(drainer_begin)
	HOOKS(row)->drainer_begin(own_descriptors);
}

void running_drainer_end(void)
{
	EACH(drainer_end)
	HOOKS(row)->drainer_end();
}

void running_pass(uint64_t time_ns)
{
	EACH(pass)
	HOOKS(row)->pass(time_ns);
}

void running_write(const struct collector_writer *writer)
{
	EACH(write)
	HOOKS(row)->write(writer);
}

void running_interpreter_begin(unsigned interpreter)
{
	EACH(interpreter_begin)
	HOOKS(row)->interpreter_begin(interpreter);
}

void running_interpreter_end(unsigned interpreter)
{
	EACH(interpreter_end)
	HOOKS(row)->interpreter_end(interpreter);
}

void running_burst_asked(unsigned interpreter)
{
	EACH(burst_asked)
	HOOKS(row)->burst_asked(interpreter);
}

void running_burst(unsigned interpreter)
{
	EACH(burst)
	HOOKS(row)->burst(interpreter);
}

void running_flush(uint64_t time_ns, collector_note *note)
{
	EACH(flush)
	HOOKS(row)->flush(time_ns, note);
}

void running_renew(uint64_t time_ns)
{
	EACH(renew)
	HOOKS(row)->renew(time_ns);
}

void running_stop(void)
{
	EACH(stop)
	HOOKS(row)->stop();
}

void running_leave(void)
{
	EACH(leave)
	HOOKS(row)->leave();
}

void running_after_fork(void)
{
	EACH(after_fork)
	HOOKS(row)->after_fork();
}

bool running_tick(const siginfo_t *info, void *context)
{
	EACH(tick)
	if (HOOKS(row)->tick(info, context))
		return true;
	return false;
}

bool running_wants_burst(unsigned interpreter)
{
	bool wanted = false;

	EACH(wants_burst)
	wanted |= HOOKS(row)->wants_burst(interpreter);
	return wanted;
}

bool running_rate(double factor)
{
	bool is_any = false;

	EACH(rate)
	{
		bool is_followed = HOOKS(row)->rate(factor);

		running.kept = is_followed ? running.kept & ~(1u << row) : running.kept | 1u << row;
		is_any |= is_followed;
	}
	return is_any;
}

uint64_t running_kept_cost_ns(void)
{
	uint64_t sum = 0;

	EACH(cost_ns)
	sum += running.kept >> row & 1 ? HOOKS(row)->cost_ns() : 0;
	return sum;
}

uint64_t running_due_ns(void)
{
	uint64_t earliest = UINT64_MAX;

	EACH(due_ns)
	{
		uint64_t time_ns = HOOKS(row)->due_ns();

		earliest = time_ns < earliest ? time_ns : earliest;
	}
	return earliest;
}

uint64_t running_holds_ns(void)
{
	uint64_t earliest = UINT64_MAX;

	EACH(holds_ns)
	{
		uint64_t time_ns = HOOKS(row)->holds_ns();

		earliest = time_ns < earliest ? time_ns : earliest;
	}
	return earliest;
}

uint64_t running_cost_ns(void)
{
	uint64_t sum = 0;

	EACH(cost_ns)
	sum += HOOKS(row)->cost_ns();
	return sum;
}

uint64_t running_remainder(enum metric metric, uint64_t own_ns)
{
	uint64_t sum = 0;

	EACH(remainder)
	sum += HOOKS(row)->remainder(metric, own_ns);
	return sum;
}
