/*
 * calltree.h - what one thread called while it was observed: a tree of calling contexts, and a cursor in
 * it that follows the thread's stack.
 *
 *   steps   [ main | load | json.loads | (C) scan_once ]      the cursor: open calls, outermost first
 *              |       |        |             |
 *   nodes    root -> main -> load -> json.loads -> scan_once   counts, own time, durations
 *
 * The owner is one thread, in callbacks; it never takes the cursor's word for where it is: each step knows
 * its frame, and a step that is not on the thread's real stack is dropped, unfinished.  Time that an event
 * itself costs is taken off as it passes (`clock` stands still meanwhile).  When the observation is
 * over, the drainer reads the tree in place.
 *
 * All memory is one mapping, bounded; what does not fit goes to the node LOST and is counted.
 */
#ifndef CALLTREE_H
#define CALLTREE_H

#include "prof.h"
#include "ticks.h"

#include <stdatomic.h>

#define CALLTREE_NODES 8192
#define CALLTREE_BUCKETS 16384
#define CALLTREE_DEPTH 4096
#define CALLTREE_DURATIONS \
	44 /* classes: class k is at least 2^(k-1) ns and under 2^k; the last one all longer */

enum calltree_node_id { CALLTREE_LOST, CALLTREE_ROOT, CALLTREE_FIRST };
enum calltree_kind { CALLTREE_PYTHON, CALLTREE_C };
/* What costs the same: a begin or end of a call of a Python function, of C's, of a generator's step. */
enum calltree_event { CALLTREE_OF_PYTHON, CALLTREE_OF_C, CALLTREE_OF_GENERATOR, CALLTREE_EVENTS };
enum calltree_end { CALLTREE_RETURN, CALLTREE_UNWIND, CALLTREE_YIELD, CALLTREE_ENDS };

struct calltree_node {
	uint64_t key; /* code object, or a C callee's key */
	uint32_t id; /* the code's version, or the callee's id */
	uint32_t parent, chained;
	uint32_t last; /* the child that was looked for last; 0: none */
	uint32_t kind; /* enum calltree_kind */
	uint64_t made_ns; /* CLOCK_MONOTONIC: its code lived then */
	uint64_t self_ticks;
	uint64_t calls;
	uint64_t ends[CALLTREE_ENDS];
	uint32_t durations[CALLTREE_DURATIONS]; /* of calls that began and ended under observation */
};

struct calltree_step {
	uintptr_t frame; /* of a C call: its caller's */
	uint64_t begun_clock;
	uint64_t key; /* its node's, or what the owner puts there for a C call: calltree_c_key */
	uint32_t node;
	bool is_c;
	uint32_t site; /* of a C call: what the owner knows of where it comes from; 0 at first */
	bool is_begun; /* under observation */
	uint64_t begun_ticks; /* where there is: its node's own time then */
};

struct calltree {
	struct calltree_node
		nodes[CALLTREE_NODES]; /* first: in whole cache lines, as the mapping is */
	uint32_t buckets[CALLTREE_BUCKETS];
	struct calltree_step steps[CALLTREE_DEPTH];

	/* the cursor; one cache line */
	uint64_t last_ticks, clock;
	uint32_t depth, node_count;
	uint64_t events[CALLTREE_EVENTS];
	uint64_t lost;

	/* the collector's */
	uint64_t end_ticks; /* of the window */
	_Atomic uint64_t owner;
	_Atomic uint32_t state;
	uint32_t thread; /* serial */
	uint64_t begun_ns; /* CLOCK_MONOTONIC */
	uint64_t looked_ticks, looked_cpu_ns; /* at the thread's CPU clock */
};
_Static_assert(offsetof(struct calltree, last_ticks) % PROF_CACHE_LINE == 0,
	       "the cursor is in two cache lines");

/* What an event of a call does does not call anything. */
#define CALLTREE_INLINE static inline __attribute__((always_inline))

/* Empty, and the time is now. Fresh pages must have been cleared by nobody but the kernel. callback,
   drainer */
void calltree_begin(struct calltree *tree, uint64_t now_ticks);
/* Everything back to zero, at the price of what was used. drainer */
void calltree_clear(struct calltree *tree);
/* The innermost open call; NULL if there is none. any */
static inline struct calltree_step *calltree_top(struct calltree *tree)
{
	return tree->depth ? &tree->steps[tree->depth - 1] : NULL;
}

static inline uint32_t calltree_top_node(const struct calltree *tree)
{
	return tree->depth ? tree->steps[tree->depth - 1].node : (uint32_t)CALLTREE_ROOT;
}

/* Time passes up to now, less `cost_ticks`, for the node that is on top. callback, drainer */
CALLTREE_INLINE void calltree_pass_in(struct calltree *tree, uint32_t node, uint64_t now_ticks,
				      uint64_t cost_ticks)
{
	int64_t spent = (int64_t)(now_ticks - tree->last_ticks) - (int64_t)cost_ticks;

	tree->last_ticks = now_ticks;
	if (spent <= 0)
		return;
	tree->clock += (uint64_t)spent;
	tree->nodes[node].self_ticks += (uint64_t)spent;
}

/* The same, whichever that is. callback, drainer */
CALLTREE_INLINE void calltree_pass(struct calltree *tree, uint64_t now_ticks, uint64_t cost_ticks)
{
	calltree_pass_in(tree, calltree_top_node(tree), now_ticks, cost_ticks);
}

/* So much of the time that has passed was not the program's after all. callback */
static inline void calltree_take_back(struct calltree *tree, uint64_t ticks)
{
	struct calltree_step *top = calltree_top(tree);
	struct calltree_node *node = &tree->nodes[top ? top->node : CALLTREE_ROOT];
	uint64_t most = top ? tree->clock - top->begun_clock : tree->clock;

	most = node->self_ticks < most ? node->self_ticks : most;
	ticks = ticks < most ? ticks : most;
	tree->clock -= ticks;
	node->self_ticks -= ticks;
}

/* What a call is of. */
struct calltree_callee {
	uint64_t key;
	uint32_t id;
	enum calltree_kind kind;
};

/* Of a C call's step, from any word of its owner's that is even: no code object's address. */
static inline uint64_t calltree_c_key(uint64_t word)
{
	return word | 1;
}

/* calltree_find where it is not the last one again. callback */
uint32_t calltree_search(struct calltree *tree, uint64_t key, uint32_t id);
/* The node of a callee below the top, without making one: CALLTREE_LOST if it is not there. callback */
static inline uint32_t calltree_find(struct calltree *tree, uint64_t key, uint32_t id)
{
	uint32_t last = tree->nodes[calltree_top_node(tree)].last;

	if (last && tree->nodes[last].key == key && (!id || tree->nodes[last].id == id))
		return last;
	return calltree_search(tree, key, id);
}

/* The same, made if need be; CALLTREE_LOST if the tree is full. callback */
uint32_t calltree_node(struct calltree *tree, const struct calltree_callee *callee, bool *is_new);
/* The step of a call: of this node, with the frame, key and kind of `step`; there is room for it. callback */
CALLTREE_INLINE void calltree_put(struct calltree *tree, uint32_t node, struct calltree_step step)
{
	struct calltree_step *top = &tree->steps[tree->depth++];

	top->frame = step.frame;
	top->key = step.key;
	top->begun_clock = tree->clock;
	top->node = node;
	top->is_c = step.is_c;
	top->is_begun = step.is_begun;
	top->site = 0;
}

/* A call begins: of a node that is there and is not LOST. callback */
CALLTREE_INLINE void calltree_begins(struct calltree *tree, uint32_t node,
				     struct calltree_step step)
{
	step.is_begun = true;
	tree->nodes[node].calls++;
	calltree_put(tree, node, step);
}

/* A call begins (is_begun), or is found going on. The step is on top; where the stack is too deep, the cursor is
   empty instead and must be set anew. callback */
static inline void calltree_push(struct calltree *tree, uint32_t node, uintptr_t frame,
				 bool is_begun)
{
	uint64_t key = tree->nodes[node].key;
	bool is_c = tree->nodes[node].kind == CALLTREE_C;

	if (is_begun)
		tree->nodes[node].calls++;
	if (is_begun && node == CALLTREE_LOST)
		tree->lost++;
	if (tree->depth == CALLTREE_DEPTH) {
		tree->depth = 0;
		return;
	}
	calltree_put(tree, node,
		     (struct calltree_step){ .frame = frame,
					     .key = is_c ? calltree_c_key(key) : key,
					     .is_c = is_c,
					     .is_begun = is_begun });
}

CALLTREE_INLINE uint32_t calltree_duration(uint64_t ns)
{
	uint32_t class = ns ? 64 - (uint32_t)__builtin_clzll(ns) : 1;

	return class < CALLTREE_DURATIONS ? class : CALLTREE_DURATIONS - 1;
}

/* The top call ends. callback */
CALLTREE_INLINE void calltree_pop(struct calltree *tree, enum calltree_end how)
{
	struct calltree_step *top = &tree->steps[--tree->depth];
	struct calltree_node *node = &tree->nodes[top->node];

	node->ends[how]++;
	if (top->is_begun)
		node->durations[calltree_duration(ticks_to_ns(tree->clock - top->begun_clock))]++;
}

/*
 * Drop, unfinished, what is above the innermost step of this frame (with_c: its C call, if it is in one).
 * False, and nothing dropped: there is none. callback
 */
bool calltree_seek(struct calltree *tree, uintptr_t frame, uint64_t key, bool with_c);
/* Open calls move to another, empty tree: their counts and times so far stay here. callback */
void calltree_move(struct calltree *to, struct calltree *from, uint64_t now_ns);

#endif
