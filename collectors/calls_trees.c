/*
 * calls_trees.c - whose each tree is.
 *
 *   FREE --(a thread takes it)--> USED --(it changes to another, or ends)--> FULL --(drainer)--> FREE
 *                                  +--------(the window is over: drainer)------------------------^
 *
 * A tree is of one thread in one interpreter, and in one window of that (observed always: from one flush to the
 * next), which its owner says; 0 while it is nobody's, so that nobody who looks for an interpreter's trees
 * takes one that has just been taken for another.
 */
#include "calls.h"

#define NODES_MOST \
	(CALLTREE_NODES - CALLTREE_DEPTH / 2 - 2) /* one event makes no more than the rest */

static void tree_gone(const struct thread *thread, struct calltree *tree);
static void tree_end(struct calltree *tree, uint64_t owner);
static struct calltree *tree_change(struct calls_interpreter *here, struct calls_thread *own,
				    const struct thread *thread);
static void tree_put(struct calls_interpreter *here, struct calltree *tree,
		     const struct thread *thread);

bool calls_tree_add(void)
{
	uint32_t at = atomic_load(&calls.tree_count);
	struct calltree *tree = at < CALLS_TREES_MAX ? os_pages_map(sizeof(*tree)) : NULL;
	bool is_put = false;

	if (!tree)
		return false;
	atomic_store_explicit(&tree->state, CALLS_TREE_FREE, memory_order_relaxed);
	/* Whoever finds a slot taken that is not counted yet counts it. */
	while (!is_put && (at = atomic_load(&calls.tree_count)) < CALLS_TREES_MAX) {
		struct calltree *none = NULL;

		is_put = atomic_compare_exchange_strong(&calls.trees[at], &none, tree);
		atomic_compare_exchange_strong(&calls.tree_count, &at, at + 1);
	}
	if (!is_put)
		os_pages_unmap(tree, sizeof(*tree));
	return is_put;
}

struct calltree *calls_tree_get(void)
{
	uint32_t count = atomic_load_explicit(&calls.tree_count, memory_order_acquire);

	for (uint32_t i = 0; i < count; i++) {
		struct calltree *tree = atomic_load_explicit(&calls.trees[i], memory_order_acquire);
		uint32_t is_free = CALLS_TREE_FREE;

		if (tree && atomic_compare_exchange_strong_explicit(
				    &tree->state, &is_free, CALLS_TREE_USED, memory_order_acquire,
				    memory_order_relaxed))
			return tree;
	}
	return NULL;
}

void calls_tree_give(struct calltree *tree)
{
	calltree_clear(tree);
	atomic_store_explicit(&tree->owner, 0, memory_order_relaxed);
	atomic_store_explicit(&tree->state, CALLS_TREE_FREE, memory_order_release);
}

void calls_tree_leave(struct calls_thread *own, const struct thread *thread,
		      const struct calltree *next)
{
	struct calltree *last = own->tree;
	unsigned at = CALLS_TREES_LEFT - 1;

	for (unsigned i = CALLS_TREES_LEFT; i-- > 0;) {
		/* One of long ago may be what has just been taken. */
		if (own->left[i] && (own->left[i] == next || !calls_is_still(own->left[i], thread)))
			own->left[i] = NULL;
		at = own->left[i] ? at : i;
	}
	if (!last || last == next || !calls_is_still(last, thread))
		return;
	/* In windows, the window's end takes it. */
	if (own->left[at] && calls.mode == CALLS_ALWAYS)
		tree_end(own->left[at], atomic_load(&own->left[at]->owner));
	own->left[at] = last;
}

bool calls_is_still(const struct calltree *tree, const struct thread *thread)
{
	uint64_t owner = atomic_load_explicit(&tree->owner, memory_order_relaxed);
	uint32_t window =
		atomic_load_explicit(&calls_interpreter_of(owner)->window, memory_order_relaxed);

	return calls_is_thread(owner, thread) &&
	       (calls.mode == CALLS_ALWAYS || (uint32_t)owner == window);
}

/* Observed always: no thread is in them any more, nor comes back. */
void calls_trees_end(struct calls_interpreter *here)
{
	for (uint32_t i = 0; i < atomic_load(&calls.tree_count); i++) {
		struct calltree *tree = calls_tree_at(i);

		uint64_t owner = atomic_load(&tree->owner);

		if (calls_is_used_in(tree, here))
			tree_end(tree, owner);
	}
}

/* Observed always, a thread that has ended has left its trees behind. In windows, the window's end takes them. */
void calls_thread_gone(struct thread *thread)
{
	struct calls_thread *own = thread_own(thread, COLLECTOR_calls);

	tree_gone(thread, own->tree);
	for (unsigned i = 0; i < CALLS_TREES_LEFT; i++)
		tree_gone(thread, own->left[i]);
	*own = (struct calls_thread){ 0 };
}

static void tree_gone(const struct thread *thread, struct calltree *tree)
{
	uint64_t owner = tree ? atomic_load(&tree->owner) : 0;

	if (owner && calls.mode == CALLS_ALWAYS && calls_is_thread(owner, thread))
		tree_end(tree, owner);
}

/* Nobody goes on in it. Its interpreter may end while its thread, elsewhere, gives it up: one of them does it. */
static void tree_end(struct calltree *tree, uint64_t owner)
{
	uint32_t is_used = CALLS_TREE_USED;

	/* Pairs with the drainer's look at it, which at the end of the process may have written it meanwhile. */
	if (atomic_compare_exchange_strong(&tree->owner, &owner, 0))
		atomic_compare_exchange_strong(&tree->state, &is_used, CALLS_TREE_FULL);
}

/* ---- a thread's in a window ---- */

struct calltree *calls_tree_observed(struct calls_interpreter *here, uint64_t now_ticks,
				     enum calltree_event of)
{
	struct thread *thread = thread_self();
	struct calls_thread *own;
	struct calltree *tree;
	uint64_t end_ticks;
	uint32_t open;

	if (!here || atomic_load_explicit(&here->state, memory_order_relaxed) != CALLS_OPEN ||
	    atomic_load_explicit(&calls.is_stopped, memory_order_relaxed))
		return NULL;
	end_ticks = atomic_load_explicit(&here->end_ticks, memory_order_relaxed);
	if (now_ticks >= end_ticks || here->events_left-- == 0) {
		if (now_ticks < end_ticks || !calls_window_follow(here, now_ticks)) {
			calls_window_end(here, now_ticks);
			return NULL;
		}
		end_ticks = atomic_load_explicit(&here->end_ticks, memory_order_relaxed);
	}
	if (!thread) {
		atomic_fetch_add_explicit(&calls.missed, 1, memory_order_relaxed);
		return NULL;
	}
	own = thread_own(thread, COLLECTOR_calls);
	/* Before the window's number: whoever makes another begin writes that first. */
	open = atomic_load_explicit(&here->open, memory_order_acquire);
	tree = own->tree;
	if (!calls_is_own(tree, here, thread) ||
	    (tree->node_count > NODES_MOST && calls.mode == CALLS_ALWAYS)) {
		tree = calls_tree_another(here, own, thread);
		end_ticks = atomic_load_explicit(&here->end_ticks, memory_order_relaxed);
	}
	if (!tree) {
		atomic_fetch_add_explicit(&calls.missed, 1, memory_order_relaxed);
		return NULL;
	}
	own->window = open > CALLS_SHUT ? open : 0;
	tree->events[of]++;
	/* The window is of the program's time, which stands still meanwhile. */
	atomic_store_explicit(&here->end_ticks, end_ticks + here->cost_ticks[of],
			      memory_order_relaxed);
	return tree;
}

bool calls_is_own(const struct calltree *tree, const struct calls_interpreter *here,
		  const struct thread *thread)
{
	uint32_t window;

	if (!tree)
		return false;
	window = atomic_load_explicit(&here->window, memory_order_relaxed);
	return atomic_load_explicit(&tree->owner, memory_order_relaxed) ==
	       calls_owner(thread, window);
}

/* The thread comes from another interpreter, or this is its first event in the window. */
struct calltree *calls_tree_another(struct calls_interpreter *here, struct calls_thread *own,
				    const struct thread *thread)
{
	own->window = 0;
	for (unsigned i = 0; i < CALLS_TREES_LEFT; i++) {
		struct calltree *tree = own->left[i];

		if (!tree || !calls_is_still(tree, thread) ||
		    calls_interpreter_of(atomic_load(&tree->owner)) != here)
			continue;
		own->left[i] = own->tree;
		own->tree = tree;
		break;
	}
	if (own->tree && calls_is_still(own->tree, thread) &&
	    calls_interpreter_of(atomic_load(&own->tree->owner)) == here)
		return calls.mode == CALLS_ALWAYS ? tree_change(here, own, thread) : own->tree;
	return calls_tree_take(here, own, thread);
}

/* Its first event in this window: until now it was where that event found it. */
struct calltree *calls_tree_take(struct calls_interpreter *here, struct calls_thread *own,
				 const struct thread *thread)
{
	uint64_t begun_cpu_ns = os_thread_cpu_ns();
	struct calltree *tree = calls_tree_get();

	/* Threads may come faster than the drainer looks. */
	while (!tree && calls_tree_add())
		tree = calls_tree_get();
	calls_tree_leave(own, thread, tree);
	own->tree = tree;
	own->window = 0;
	if (!tree)
		return NULL;
	calltree_begin(tree, atomic_load_explicit(&here->begun_ticks, memory_order_relaxed));
	tree->end_ticks = tree->last_ticks + here->planned_ticks;
	tree->begun_ns = atomic_load_explicit(&here->begun_ns, memory_order_relaxed);
	tree_put(here, tree, thread);
	calls_settle_before(tree);
	if (calls.mode == CALLS_WINDOWS)
		calls_took(here, tree, os_thread_cpu_ns() - begun_cpu_ns);
	return tree;
}

/* Observed always: what was seen so far is the drainer's, and the thread goes on in another tree. */
static struct calltree *tree_change(struct calls_interpreter *here, struct calls_thread *own,
				    const struct thread *thread)
{
	struct calltree *old = own->tree, *tree;

	if (calls_is_own(old, here, thread) && old->node_count <= NODES_MOST)
		return old;
	tree = calls_tree_get();
	while (!tree && calls_tree_add())
		tree = calls_tree_get();
	if (!tree) {
		tree_put(here, old, thread);
		return old;
	}
	tree->begun_ns = os_monotonic_ns();
	calltree_move(tree, old, tree->begun_ns);
	for (uint32_t i = CALLTREE_FIRST; i < tree->node_count; i++) {
		if (tree->nodes[i].kind == CALLTREE_PYTHON)
			calls_made((uintptr_t)tree->nodes[i].key);
	}
	tree_put(here, tree, thread);
	own->tree = tree;
	/* Pairs with the drainer's look at it. */
	atomic_store_explicit(&old->state, CALLS_TREE_FULL, memory_order_release);
	return tree;
}

static void tree_put(struct calls_interpreter *here, struct calltree *tree,
		     const struct thread *thread)
{
	uint32_t window = atomic_load_explicit(&here->window, memory_order_relaxed);

	tree->thread = thread->serial;
	atomic_store_explicit(&tree->owner, calls_owner(thread, window), memory_order_relaxed);
}
