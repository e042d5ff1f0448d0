/*
 * calls_interpreters.c - the interpreters in which calls are observed: each has a tool, and its part of a
 * window, which a pending call opens there.
 *
 *   begins ---> claim ---> [ burst: opens, or closes, its part of a window ]* ---> ends
 *
 * All of it runs in the interpreter, under its GIL; others may do the same at the same time.
 */
#include "calls.h"

#define THREADS_LOOKED_AT 32

struct calls calls;

static void tool_lost(struct monitoring *tool);

errmsg calls_claim(struct calls_interpreter *here)
{
	errmsg error;

	here->tool = (struct monitoring){
		.name = "monprof",
		.wanted = { 2, 4, 3, 5, -1, -1 }, /* PROFILER_ID first */
		.lost = tool_lost,
	};
	if (calls.mode == CALLS_PERIOD)
		calls_period_set(&here->tool);
	else
		calls_events_set(&here->tool);
	calls_shut(here);
	error = monitoring_claim(&here->tool);
	if (error)
		return error;
	if (!here->probe)
		here->probe = os_pages_map(sizeof(*here->probe));
	atomic_store(&here->is_lost, false);
	atomic_store(&here->is_known, true);
	return NULL;
}

static void tool_lost(struct monitoring *tool)
{
	atomic_store(&((struct calls_interpreter *)tool)->is_lost, true);
}

void calls_observe(struct calls_interpreter *here)
{
	uint32_t number = atomic_fetch_add(&calls.number, 1) + 1;

	for (unsigned of = 0; of < CALLTREE_EVENTS; of++)
		here->cost_ticks[of] = calls.cost_ticks[of];
	here->begun_ns = os_monotonic_ns();
	atomic_store(&here->begun_ticks, ticks_now());
	here->events_left = CALLS_NEVER;
	atomic_store(&here->end_ticks, CALLS_NEVER);
	atomic_store(&here->window, calls_window_number(number, here));
	atomic_store(&here->state, CALLS_OPEN);
	calls_open(here);
	if (!monitoring_set(&here->tool, calls.events))
		atomic_store(&here->is_lost, true);
}

void calls_interpreter_begin(unsigned interpreter)
{
	struct calls_interpreter *here = &calls.interpreters[interpreter];
	errmsg error;

	/* One call in so many is counted under one GIL: the main interpreter's. */
	if (calls.mode == CALLS_OFF || calls.mode == CALLS_PERIOD || atomic_load(&calls.is_stopped))
		return;
	calls_shut(here);
	atomic_store(&calls.has_others, true);
	error = calls_claim(here);
	if (!error && calls.mode == CALLS_ALWAYS)
		calls_observe(here);
	if (error && !atomic_exchange(&calls.has_refused, true))
		log_line("calls: in a sub-interpreter they are not counted: %s", error);
}

/* Its events stay on: its callbacks are nobody's any more. What was seen is the drainer's. */
void calls_interpreter_end(unsigned interpreter)
{
	struct calls_interpreter *here = &calls.interpreters[interpreter];
	uint32_t asked = CALLS_ASKED;

	/* Pairs with the drainer, which asks and then looks at it. */
	if (!atomic_exchange(&here->is_known, false))
		return;
	if (atomic_load(&here->is_lost))
		atomic_store(&calls.has_lost, true);
	monitoring_forget();
	if (calls.mode == CALLS_ALWAYS) {
		calls_shut(here);
		atomic_store(&here->state, CALLS_NONE);
		calls_trees_end(here);
	} else if (!atomic_compare_exchange_strong(&here->state, &asked, CALLS_NONE) &&
		   asked == CALLS_OPEN) {
		calls_window_end(here, ticks_now());
	}
}

/* ---- windows ---- */

void calls_burst(unsigned interpreter)
{
	struct calls_interpreter *here = &calls.interpreters[interpreter];
	uint32_t state = atomic_load_explicit(&here->state, memory_order_acquire);
	uint64_t now = ticks_now(), end_ticks;

	if (atomic_load(&calls.is_stopped) || calls.mode == CALLS_OFF)
		return;
	if (calls.mode != CALLS_WINDOWS) {
		if (!monitoring_holds(&here->tool))
			atomic_store(&here->is_lost, true);
		return;
	}
	if (state == CALLS_ASKED) {
		calls_window_stamp(here);
		here->burst_cpu_ns = os_thread_cpu_ns();
		here->opened_cpu_ns = calls_cpu_ns();
		end_ticks = atomic_load(&here->begun_ticks) + here->planned_ticks;
		atomic_store(&here->end_ticks, end_ticks);
		if (!monitoring_holds(&here->tool)) {
			atomic_store(&here->is_lost, true);
			calls_window_end(here, now);
			return;
		}
		if (now >= end_ticks)
			calls_window_follow(here, now);
		calls_window_open(here, now);
	} else if (state == CALLS_OPEN && now > atomic_load(&here->end_ticks) &&
		   !calls_window_follow(here, now)) {
		calls_window_end(here, now);
	}
}

void calls_window_stamp(struct calls_interpreter *one)
{
	uint64_t not_yet = 0;

	if (!atomic_compare_exchange_strong(&one->begun_ticks, &not_yet, ticks_now()) ||
	    atomic_load(&calls.begun_cpu_ns))
		return;
	/* The first one begins it for all: they are asked one right after the other. */
	not_yet = 0;
	atomic_compare_exchange_strong(&calls.begun_cpu_ns, &not_yet, calls_cpu_ns());
}

void calls_window_open(struct calls_interpreter *here, uint64_t now_ticks)
{
	struct thread *thread = thread_self();
	struct calltree *tree = NULL;
	struct frames_link at;
	uint64_t begun_ticks, end_ticks;

	calls_window_stamp(here);
	begun_ticks = atomic_load(&here->begun_ticks);
	end_ticks = begun_ticks + here->planned_ticks;
	atomic_store(&here->end_ticks, end_ticks);
	if (now_ticks >= end_ticks) {
		calls_window_end(here, now_ticks);
		return;
	}
	here->opened_ticks = now_ticks > begun_ticks ? now_ticks : begun_ticks;
	calls_switched(here);
	/* From here on callbacks count. */
	atomic_store_explicit(&here->state, CALLS_OPEN, memory_order_relaxed);
	calls_open(here);
	if (!monitoring_set(&here->tool, calls.events)) {
		atomic_store(&here->is_lost, true);
		calls_window_end(here, now_ticks);
		return;
	}
	/* A pending call runs where a function begins, before or after its event: that call came after the
	   window's begin, too. */
	if (thread && frames_top(&at) && frames_begins(&at)) {
		tree = calls_tree_take(here, thread_own(thread, COLLECTOR_calls), thread);
		if (tree)
			calltree_push(tree, calls_python_node(tree, at.code), at.frame, true);
		calls_met(here, at.code);
	}
	/* What that took is not the program's time. */
	here->opening_cpu_ns = os_thread_cpu_ns() - here->burst_cpu_ns;
	here->opening_ticks = ticks_now() - here->opened_ticks;
	here->making_ticks = 0;
	atomic_store(&here->end_ticks, end_ticks + here->opening_ticks);
	if (tree)
		tree->last_ticks = begun_ticks + here->opening_ticks;
}

/*
 * Who waits until an interpreter is busy, to begin the next window, would see it busier than it is. So windows
 * begin without it, and since it would have closed the earlier one, nothing has been called in it.
 */
bool calls_window_follow(struct calls_interpreter *here, uint64_t now_ticks)
{
	uint32_t number = atomic_load_explicit(&calls.asked, memory_order_acquire);
	uint32_t missed = number - atomic_load(&here->window) / CALLS_INTERPRETERS;
	uint64_t begun_ticks = atomic_load(&calls.asked_ticks);
	uint64_t end_ticks = atomic_load(&here->end_ticks);
	struct thread *thread = thread_self();
	struct calls_thread *own = thread ? thread_own(thread, COLLECTOR_calls) : NULL;

	if (missed == 0 || calls.mode != CALLS_WINDOWS || now_ticks < begun_ticks ||
	    now_ticks >= begun_ticks + here->planned_ticks)
		return false;
	/* The thread was where it is in all that it has missed. */
	if (own && !calls_is_own(own->tree, here, thread))
		calls_tree_another(here, own, thread);
	if (own && own->tree) {
		if (own->tree->last_ticks < end_ticks)
			calltree_pass(own->tree, end_ticks, 0);
		calltree_pass(own->tree, end_ticks + (missed - 1) * here->planned_ticks, 0);
	}
	here->carried_ticks += end_ticks - atomic_load(&here->begun_ticks) - here->planned_ticks;
	here->opening_ticks = here->opening_cpu_ns = 0;
	here->events_left = option_number(OPTION_CALLS_BURST);
	atomic_store(&here->begun_ns, atomic_load(&calls.asked_ns));
	atomic_store(&here->begun_ticks, begun_ticks);
	atomic_store(&here->end_ticks, begun_ticks + here->planned_ticks);
	atomic_store(&here->window, calls_window_number(number, here));
	calls_open(here);
	return true;
}

void calls_window_end(struct calls_interpreter *here, uint64_t now_ticks)
{
	struct thread *thread = thread_self();
	struct calls_thread *own = thread ? thread_own(thread, COLLECTOR_calls) : NULL;
	bool is_open = atomic_load_explicit(&here->state, memory_order_relaxed) == CALLS_OPEN;
	/* Our thread wakes for the window's end too, and may take the processor just now: elapsed time says nothing. */
	uint64_t begun_cpu_ns = os_thread_cpu_ns(), end_ticks = atomic_load(&here->end_ticks);

	calls_shut(here);
	if (own && !calls_is_own(own->tree, here, thread)) {
		calls_tree_another(here, own, thread);
		/* Not in the window. */
		atomic_store(&here->end_ticks, end_ticks);
	}
	here->closer = own ? own->tree : NULL;
	here->is_cut = now_ticks < end_ticks;
	here->closed_ticks = now_ticks;
	here->closed_cpu_ns = calls_cpu_ns();
	here->reading_cpu_ns = os_thread_cpu_ns() - begun_cpu_ns;
	here->slowness = is_open ? calls_events_slowness(here) : 1;
	if (own)
		own->tree = NULL;
	if (is_open && !monitoring_set(&here->tool, 0))
		atomic_store(&here->is_lost, true);
	here->closing_cpu_ns = os_thread_cpu_ns() - begun_cpu_ns;
	/* Pairs with the drainer's look at it: nothing of the window is touched any more. */
	atomic_store_explicit(&here->state, CALLS_OVER, memory_order_release);
}

void calls_open(struct calls_interpreter *here)
{
	uint32_t window = atomic_load(&here->window);

	/* The short way reads that counter, and frames without a call. Numbers begin anew after a long time. */
	if (!ticks_clock.has_counter || !frames_current.distance || window <= CALLS_SHUT)
		return;
	atomic_store(&here->open, window);
	/* Pairs with calls_stop, which says so and then shuts them. */
	if (atomic_load(&calls.is_stopped))
		calls_shut(here);
}

void calls_shut(struct calls_interpreter *here)
{
	atomic_store(&here->open, CALLS_SHUT);
}

uint64_t calls_cpu_ns(void)
{
	pid_t drainer = atomic_load(&calls.drainer);
	struct thread *thread = NULL;
	uint64_t own_ns = 0;

	/* The process's clock has other running threads' time as of the last tick; looking at theirs brings it
	   up to date. */
	for (unsigned i = 0; i < THREADS_LOOKED_AT && (thread = thread_next(thread)); i++)
		os_thread_cpu_of(atomic_load(&thread->tid), &own_ns);
	own_ns = 0;
	if (drainer)
		os_thread_cpu_of(drainer, &own_ns);
	return os_process_cpu_ns() - own_ns - atomic_load(&calls.drainer_earlier_ns);
}
