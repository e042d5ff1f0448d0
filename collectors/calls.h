/*
 * calls.h - what the parts of the collector `calls` share: calls.c, which plans windows, calls_gaps.c, when they
 * are, calls_interpreters.c, where they take place, calls_events.c, which sees what happens in them,
 * calls_trees.c, where that is kept, calls_cost.c, which knows what it costs, calls_write.c, which writes it
 * down, calls_notes.c, which says what it stands for, and calls_sites.c, which tells call sites how they divide their
 * time; calls_period.c, which does without windows.
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
#define CALLS_INTERPRETERS RECORD_INTERPRETERS
#define CALLS_MAIN RECORD_FIRST /* the others come and go */
#define CALLS_PASS_NS \
	UINT64_C(5000000) /* observed always, where trees are full: until they are written */
#define CALLS_SHUT 1 /* no window's number, and not what a thread has that knows none, which is 0 */
#define CALLS_MET 1024

/* What it takes CPython to instrument a code object, or to undo that. */
struct calls_walk {
	double code_ticks, unit_ticks; /* each, and each of its code units */
};

/*
 * One interpreter, and its part of the window. Interpreters with a GIL each run their callbacks at the same
 * time, so what callbacks write is of one interpreter, and its GIL keeps them apart.
 */
struct calls_interpreter {
	struct monitoring tool; /* first: a callback finds the rest by it */
	struct calltree *probe; /* for nothing else; stays with the place */
	_Atomic bool is_known; /* it is there and has its tool; set and cleared in it */
	_Atomic bool is_lost; /* the tool id went */

	/* the drainer's, until it asks; observed always, the interpreter's own from its first event on */
	_Atomic uint32_t window; /* calls_window_number; trees of another one are done with */
	_Atomic uint64_t begun_ns;
	_Atomic uint64_t begun_ticks; /* 0: not yet */
	uint64_t planned_ticks;
	double slowness_taken; /* of the machine, in these costs */

	/* the window; these words belong to whom its state says, state is their release */
	uint64_t closed_ticks, closed_cpu_ns; /* when it was noticed that it is over */
	uint64_t opening_ticks; /* what switching the events on took, waiting for a processor included ... */
	uint64_t opening_cpu_ns; /* ... and in CPU time ... */
	uint64_t burst_cpu_ns; /* ... since the window had begun, in the burst */
	uint64_t opened_ticks, opened_cpu_ns; /* when they were */
	uint64_t reading_cpu_ns,
		closing_cpu_ns; /* that of reading the clock, and of all there was to do then */
	double slowness; /* of the machine, at its end */
	struct calltree *closer; /* whose thread ran nothing from the end to closed_ticks */
	uint64_t carried_ticks; /* what events cost in windows that it was in before, as this part goes on */
	uint64_t making_ticks; /* what our own first meetings took since the switch ... */
	uint64_t walked_ticks; /* ... and CPython's */
	uint64_t met[CALLS_MET]; /* code objects, with the switch */
	bool is_cut;

	/* what each event looks at, in one cache line */
	_Alignas(PROF_CACHE_LINE) _Atomic uint64_t
		end_ticks; /* later with each event, by what that costs; the drainer looks */
	uint64_t events_left; /* until it is cut short */
	uint64_t cost_ticks[CALLTREE_EVENTS]; /* of one event; as planned */
	_Atomic uint32_t open; /* `window` while events count, as calls_open says; else CALLS_SHUT */
	_Atomic uint32_t state; /* enum calls_window; the window's */
	uint32_t switches; /* so far; the window's */
};

struct calls {
	/* the drainer's: of the tree that is written the recording's nodes, the same for its leaf-most part, how deep it
	   is */
	uint32_t ids[CALLTREE_NODES], leaf_ids[CALLTREE_NODES];
	uint16_t depths[CALLTREE_NODES];

	/* the trees, never unmapped; whoever moves FREE to USED has it */
	_Atomic(struct calltree *) trees[CALLS_TREES_MAX];
	_Atomic uint32_t tree_count;

	/* written at start */
	enum calls_mode mode;
	uint32_t events; /* wanted, bits of enum monitoring_event */
	bool has_sites; /* the collector `sites` wants to know, too */
	_Atomic pid_t drainer; /* our thread, 0: there is none */
	_Atomic uint64_t drainer_earlier_ns; /* CPU time of those that were parked */
	uint64_t cost_start_ticks[CALLTREE_EVENTS]; /* of one event, when it was measured */
	uint64_t probe_start_ticks; /* what a probe of the machine took then */
	const struct thread *calibrating; /* what it calls is ours, and never named */
	struct calls_walk walk; /* then, too */

	/* the drainer's: costs as they are now, as the machine is slower or faster */
	uint64_t cost_ticks[CALLTREE_EVENTS];

	_Atomic uint32_t number; /* of windows */
	/* the window that was asked for last, for those that have not closed the one before; its number comes last */
	_Atomic uint32_t asked;
	_Atomic uint64_t asked_ticks, asked_ns;
	_Atomic uint64_t
		begun_cpu_ns; /* the program's CPU clock when the window began; 0: not yet */
	_Atomic uint64_t missed; /* events that could not be kept */
	_Atomic bool is_stopped;
	_Atomic bool has_others; /* interpreters, ever */
	_Atomic bool has_lost; /* one that has ended, its tool id */
	_Atomic bool has_refused; /* and said so: an interpreter without a tool */

	struct calls_interpreter
		interpreters[CALLS_INTERPRETERS]; /* the first beside what is above */
};
extern struct calls calls;

/* What a recording says of calls is what has come of the plan since this. The drainer's. */
struct calls_before {
	uint64_t end_ns; /* of the last window; CLOCK_MONOTONIC */
	uint64_t cpu_ns; /* calls_cpu_ns */
	uint64_t planned_ns, cost_ns, paused_ns, windows, events, lost, records;
	double observed_cpu_ns, doubted_ns, planned_weight_ns;
};

/* What is planned, and what has come of it. The drainer's, once the session runs. */
struct calls_plan {
	uint64_t window_ns, wanted_ppm; /* of the plan */
	uint64_t rate_ppm; /* as the budget allows */
	uint64_t start_ns;
	uint64_t next_ns, last_end_ns; /* CLOCK_MONOTONIC */
	uint64_t planned_ns; /* of all windows so far */
	uint64_t cost_ns; /* CPU time of the events in them: not the program's */
	uint64_t switching_ns; /* CPU time of opening and closing windows: part of it */
	uint64_t paused_ns; /* in which it stood still for them */
	uint64_t windows, changes;
	uint64_t events[CALLTREE_EVENTS], lost;
	uint64_t random;
	double slowness; /* of events, as they are taken to cost */
	double observed_cpu_ns; /* that the program used in windows */
	double doubted_ns; /* what events cost in them, as far as that is known */
	struct calls_before before;
	double rarity,
		next_rarity; /* of this window and the next: how many of the plan's it stands for */
	double planned_weight_ns; /* of all windows so far, each as many times as it stands for others */
	double weight; /* of what is written: what its counts stand for */
	double carried; /* what rounding has left */
	uint64_t end_seen_ticks, end_cpu_ns; /* of the window, when nobody had closed it by then */
	bool is_asked; /* a window is under way: `number` */
	bool is_closed; /* the first of its parts is over: it is known when the next one begins */
	uint64_t quiet; /* windows that would have followed before it was closed */
	uint32_t number;
	uint64_t begun_ns; /* CLOCK_MONOTONIC */
	uint64_t windows_at[CALLS_INTERPRETERS]; /* `windows`, of the last one that it was asked for */
	uint64_t pass_ns; /* observed always: until the next pass */
	bool is_to_check, has_said, has_said_other;
};
extern struct calls_plan calls_plan;

/* What the collector keeps in each thread: written by the thread itself, and by the drainer after its end. A thread
   may go from one interpreter to another and back, and has a tree in each. */
#define CALLS_TREES_LEFT 6
struct calls_thread {
	struct calltree *tree; /* where it was last */
	uint32_t window; /* that this tree is known to be of: an event there need not look at more; 0: it must */
	struct calltree *left[CALLS_TREES_LEFT]; /* elsewhere; the last one gives way */
};
_Static_assert(sizeof(struct calls_thread) <= THREAD_OWN_BYTES, "thread_own has no room");

/* ---- calls_events.c ---- */

/* The callbacks, by row. any */
void calls_events_set(struct monitoring *tool);
/* The stack as it was before the event that is under way, or before the pending call: where a tree begins.
   callback */
void calls_settle_before(struct calltree *tree);
/* The node of a Python function below the top. callback */
uint32_t calls_python_node(struct calltree *tree, uintptr_t code);
/* It has a node now: from here on its death is heard of. callback */
void calls_made(uintptr_t code);

/* ---- calls_interpreters.c ---- */

/* Claim the tool of the calling thread's interpreter; no event is on. NULL, or why not. setup, callback */
errmsg calls_claim(struct calls_interpreter *here);
/* Everything that happens here is observed from now on. setup, callback */
void calls_observe(struct calls_interpreter *here);
/* The collector's hooks. callback, setup, burst */
void calls_interpreter_begin(unsigned interpreter);
void calls_interpreter_end(unsigned interpreter);
void calls_burst(unsigned interpreter);
/* The window that was asked for begins now, if it has not yet. drainer, burst */
void calls_window_stamp(struct calls_interpreter *one);
/* Switch the events on, or note that the window has passed; the burst began at now_ticks. burst */
void calls_window_open(struct calls_interpreter *here, uint64_t now_ticks);
/* Its part is over, nothing was called since, and another window is under way: it takes part in that. False: it
   does not. callback, burst */
bool calls_window_follow(struct calls_interpreter *here, uint64_t now_ticks);
/* The window is over here; the events are switched off. callback, burst */
void calls_window_end(struct calls_interpreter *here, uint64_t now_ticks);
/* Its events count, in its window, from now on; or no more. any */
void calls_open(struct calls_interpreter *here);
void calls_shut(struct calls_interpreter *here);
/* CPU time of the process without our own thread's. any */
uint64_t calls_cpu_ns(void);

/* ---- calls_trees.c ---- */

/* Have one more tree; false: no memory. any */
bool calls_tree_add(void);
/* A free one, which is the caller's from now on; NULL: there is none. callback */
struct calltree *calls_tree_get(void);
/* And give it back, empty. setup, drainer */
void calls_tree_give(struct calltree *tree);
/* The thread leaves its tree for another (NULL: none was to be had); where it comes back to it, it goes on in it.
   callback */
void calls_tree_leave(struct calls_thread *own, const struct thread *thread,
		      const struct calltree *next);
/* The calling thread's in this window, for an event of this kind now, which it counts; NULL: it is not observed.
   callback */
struct calltree *calls_tree_observed(struct calls_interpreter *here, uint64_t now_ticks,
				     enum calltree_event of);
/* Is it the thread's in this window? callback */
bool calls_is_own(const struct calltree *tree, const struct calls_interpreter *here,
		  const struct thread *thread);
/* Another than that which it was in last: one of before, or a new one. callback, burst */
struct calltree *calls_tree_another(struct calls_interpreter *here, struct calls_thread *own,
				    const struct thread *thread);
struct calltree *calls_tree_take(struct calls_interpreter *here, struct calls_thread *own,
				 const struct thread *thread);
/* Does it go on in it, when it comes back to that interpreter? callback */
bool calls_is_still(const struct calltree *tree, const struct thread *thread);
/* Observed always, and this interpreter ends: what was seen in it is the drainer's. setup */
void calls_trees_end(struct calls_interpreter *here);
/* The collector's hook. drainer */
void calls_thread_gone(struct thread *thread);

/* ---- calls_cost.c ---- */

/* Measure what an event costs, here. The calling thread is ours and nothing else runs. setup */
void calls_events_calibrate(struct calls_interpreter *here);
/* How much more time the same work takes now than when costs were measured; about 5 us. callback, burst */
double calls_events_slowness(struct calls_interpreter *here);

/* ---- calls_switch.c ---- */

/* Measure what it takes CPython to instrument code, here, with the functions `small` and `large`. No event is on, nor
   is a window. setup */
void calls_switch_calibrate(struct calls_interpreter *here, struct py_object *globals);
/* From how long it takes with code of so many units. any */
struct calls_walk calls_walk_fit(uint64_t small_ticks, uint64_t small_units, uint64_t large_ticks,
				 uint64_t large_units);
/* The events have just been switched on. burst */
void calls_switched(struct calls_interpreter *here);
/* The code was running at the switch: CPython has instrumented it there. callback, burst */
void calls_met(struct calls_interpreter *here, uintptr_t code);
/* The node of code that is called there for the first time, as far as that is known. What finding out took, and
   CPython's part if it is the first call since the switch, is taken off. callback */
uint32_t calls_entered(struct calls_interpreter *here, struct calltree *tree, uintptr_t code);
/* What has happened since is our own work, and not the program's time: by the clock, or CPU time. callback */
void calls_worked(struct calls_interpreter *here, struct calltree *tree, uint64_t begun_ticks);
void calls_took(struct calls_interpreter *here, struct calltree *tree, uint64_t cpu_ns);

/* ---- calls_gaps.c ---- */

/* From the end of a window to the next one's begin. drainer */
uint64_t calls_gap_ns(void);
/* The last window ended then: when the next begins, and what it stands for. drainer, setup */
void calls_next(uint64_t end_ns);

/* ---- calls.c ---- */

/* Was it asked for the window that is under way, and has not been written since? drainer */
bool calls_takes_part(const struct calls_interpreter *one);
/* And has closed its part. drainer */
bool calls_is_part(const struct calls_interpreter *one);
/* The window that is under way says nothing: it is as if it had not been. drainer */
void calls_window_drop(void);
/* Where the program took the tool id. drainer */
void calls_losses_say(void);

/* ---- calls_sites.c ---- */

/* The C call on top has begun: does its site want to know how long it takes? callback */
void calls_site_begin(struct calls_interpreter *here, struct calltree *tree, struct py_object *code,
		      uint64_t now_ticks);
/* And is over; ticks that saying so took. callback */
uint64_t calls_site_end(struct calls_interpreter *here, struct calltree *tree, uint64_t now_ticks);

/* ---- calls_period.c ---- */

/* The callbacks where one event in so many is recorded, by row. any */
void calls_period_set(struct monitoring *tool);
/* No event has been yet, and of `period` one is recorded from now on; 0: none. setup */
void calls_period_begin(uint64_t period);
/* How many there have been. any */
void calls_period_events(uint64_t events[CALLTREE_EVENTS]);
/* Those that no record stands for. any */
uint64_t calls_period_rest(void);
/* And those that were recorded. any */
uint64_t calls_period_records(void);

/* Of 53 bits; xorshift, the state is not 0. any */
static inline uint64_t calls_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state >> 11;
}

/* ---- calls_notes.c ---- */

/* The collector's hooks. drainer; renew: setup, too */
void calls_flush(uint64_t time_ns, collector_note *note);
void calls_renew(uint64_t time_ns);

/* ---- calls_write.c ---- */

/* The collector's hook. drainer */
void calls_write(const struct collector_writer *writer);

static inline struct calltree *calls_tree_at(uint32_t index)
{
	return atomic_load_explicit(&calls.trees[index], memory_order_acquire);
}

/* Places of interpreters that ever were: the others are not even looked at, which costs nothing after a fork. */
static inline unsigned calls_interpreters_used(void)
{
	return atomic_load(&calls.has_others) ? CALLS_INTERPRETERS : CALLS_MAIN + 1;
}

static inline uint32_t calls_index(const struct calls_interpreter *one)
{
	return (uint32_t)(one - calls.interpreters);
}

/* The number of a window in one interpreter, unlike that in any other. */
static inline uint32_t calls_window_number(uint32_t number, const struct calls_interpreter *one)
{
	return number * CALLS_INTERPRETERS + calls_index(one);
}

/* Whose tree it is: a thread's, in one window of one interpreter; in one word, since a tree of an earlier window
   may be another thread's by now, under another GIL. */
static inline uint64_t calls_owner(const struct thread *thread, uint32_t window)
{
	return (uint64_t)thread->serial << 32 | window;
}

/* The interpreter of a tree's owner. */
static inline struct calls_interpreter *calls_interpreter_of(uint64_t owner)
{
	return &calls.interpreters[owner % CALLS_INTERPRETERS];
}

/* A thread has it, for what it does there. */
static inline bool calls_is_used_in(const struct calltree *tree,
				    const struct calls_interpreter *one)
{
	uint64_t owner = atomic_load_explicit(&tree->owner, memory_order_acquire);

	return atomic_load_explicit(&tree->state, memory_order_acquire) == CALLS_TREE_USED &&
	       owner && calls_interpreter_of(owner) == one;
}

static inline bool calls_is_thread(uint64_t owner, const struct thread *thread)
{
	return owner >> 32 == thread->serial;
}

#endif
