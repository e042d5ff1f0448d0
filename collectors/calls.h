/*
 * calls.h - what the parts of the collector `calls` share: calls.c, which plans windows, calls_events.c, which
 * sees what happens in them, calls_cost.c, which knows what that costs, calls_write.c, which writes it down, and
 * calls_sites.c, which tells call sites how they divide their time; calls_period.c, which does without windows.
 */
#ifndef CALLS_H
#define CALLS_H

#include "collector.h"

enum calls_mode { CALLS_OFF, CALLS_WINDOWS, CALLS_ALWAYS, CALLS_PERIOD };

/*
 *   NONE --(drainer)--> ASKED --(burst)--> OPEN --(event or burst past its end)--> OVER --(drainer)--> NONE
 *                         +--(burst, past its end: nothing ran)----------------------^
 */
enum calls_window { CALLS_NONE, CALLS_ASKED, CALLS_OPEN, CALLS_OVER };

enum calls_tree_state { CALLS_TREE_NONE, CALLS_TREE_FREE, CALLS_TREE_USED, CALLS_TREE_FULL };

#define CALLS_TREES_MAX 4096
#define CALLS_NEVER (UINT64_MAX / 2) /* ticks, events */

struct calls {
	/* written at start */
	enum calls_mode mode;
	uint32_t events; /* wanted, bits of enum monitoring_event */
	bool has_sites; /* the collector `sites` wants to know, too */
	_Atomic pid_t drainer; /* our thread, 0: there is none */
	_Atomic uint64_t drainer_earlier_ns; /* CPU time of those that were parked */
	struct monitoring tool;
	uint64_t cost_start_ticks[CALLTREE_EVENTS]; /* of one event, when it was measured */
	uint64_t probe_start_ticks; /* what a probe of the machine took then */
	uint64_t cost_ticks[CALLTREE_EVENTS]; /* now: as the machine is slower or faster */
	struct calltree *probe; /* for nothing else */

	/* the window; the words before `window` belong to whom its state says, state is their release */
	_Atomic uint64_t begun_ticks; /* 0: not yet */
	_Atomic uint64_t begun_cpu_ns; /* the program's CPU clock then; 0: not yet */
	uint64_t begun_ns, planned_ticks;
	uint64_t end_ticks; /* later with each event, by what that costs */
	uint64_t closed_ticks, closed_cpu_ns; /* when it was noticed that it is over */
	uint64_t opening_ticks; /* what switching the events on took ... */
	uint64_t opened_ticks, opened_cpu_ns; /* when they were */
	uint64_t closing_ticks; /* ... and, once it was over, reading the CPU clock */
	uint64_t events_left; /* until it is cut short */
	double slowness; /* of the machine, at its end */
	struct calltree *closer; /* whose thread ran nothing from the end to closed_ticks */
	bool is_cut;
	_Atomic uint32_t window; /* number; trees of another one are done with */
	_Atomic uint32_t state; /* enum calls_window */
	_Atomic bool is_stopped;
	_Atomic bool is_lost; /* the tool id went */
	_Atomic uint64_t missed; /* events that could not be kept */

	/* the trees, never unmapped; whoever moves FREE to USED has it */
	_Atomic(struct calltree *) trees[CALLS_TREES_MAX];
	_Atomic uint32_t tree_count;
};
extern struct calls calls;

/* What is planned, and what has come of it. The drainer's, once the session runs. */
struct calls_plan {
	uint64_t window_ns, wanted_ppm; /* of the plan */
	uint64_t rate_ppm; /* as the budget allows */
	uint64_t start_ns;
	uint64_t next_ns, last_end_ns; /* CLOCK_MONOTONIC */
	uint64_t planned_ns; /* of all windows so far */
	uint64_t cost_ns; /* of the events in them: not the program's time */
	uint64_t windows, changes;
	uint64_t events[CALLTREE_EVENTS], lost;
	uint64_t random;
	double slowness; /* of events, as they are taken to cost */
	double observed_cpu_ns; /* that the program used in windows */
	double doubted_ns; /* what events cost in them, as far as that is known */
	uint64_t start_cpu_ns;
	double rarity; /* of the next window: how many of the plan's it stands for */
	double planned_weight_ns; /* of all windows so far, each as many times as it stands for others */
	double weight; /* of the window that is written: what its counts stand for */
	double carried; /* what rounding has left */
	uint64_t end_seen_ticks, end_cpu_ns; /* of the window, when nobody had closed it by then */
	bool is_late, is_to_check, has_said;
	uint32_t ids[CALLTREE_NODES]; /* recording's nodes of the tree that is written */
};
extern struct calls_plan calls_plan;

/* What the collector keeps in each thread: written by the thread itself, and by the drainer after its end. */
struct calls_thread {
	struct calltree *tree;
};

/* The callbacks, by row. any */
void calls_events_set(struct monitoring *tool);
/* Measure what an event costs. The calling thread is ours and nothing else runs. setup */
void calls_events_calibrate(void);
/* How much more time the same work takes now than when costs were measured; about 5 us. callback, burst */
double calls_events_slowness(void);
/* Have one more tree; false: no memory. any */
bool calls_tree_add(void);
/* CPU time of the process without our own thread's. any */
uint64_t calls_cpu_ns(void);
/* The window that was asked for begins now, if it has not yet. drainer, burst */
void calls_window_stamp(void);
/* Switch the events on, or note that the window has passed; the burst began at now_ticks. burst */
void calls_window_open(uint64_t now_ticks);
/* The window is over; the events are switched off. callback, burst */
void calls_window_end(uint64_t now_ticks);

/* The C call on top has begun: does its site want to know how long it takes? callback */
void calls_site_begin(struct calltree *tree, struct py_object *code, uint64_t now_ticks);
/* And is over; ticks that saying so took. callback */
uint64_t calls_site_end(struct calltree *tree, uint64_t now_ticks);

/* The callbacks where one event in so many is recorded, by row. any */
void calls_period_set(struct monitoring *tool);
/* No event has been yet, and of `period` one is recorded from now on; 0: none. setup */
void calls_period_begin(uint64_t period);
/* How many there have been. any */
void calls_period_events(uint64_t events[CALLTREE_EVENTS]);
/* Those that no record stands for. any */
uint64_t calls_period_rest(void);
/* The collector's hook. drainer */
void calls_period_flush(collector_note *note);

/* Of 53 bits; xorshift, the state is not 0. any */
static inline uint64_t calls_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state >> 11;
}

/* From the end of a window to the next one's begin. drainer */
uint64_t calls_gap_ns(void);
/* The last window ended then: when the next begins, and what it stands for. drainer, setup */
void calls_next(uint64_t end_ns);
/* The collector's hook. drainer */
void calls_write(const struct collector_writer *writer);

static inline struct calltree *calls_tree_at(uint32_t index)
{
	return atomic_load_explicit(&calls.trees[index], memory_order_acquire);
}

#endif
