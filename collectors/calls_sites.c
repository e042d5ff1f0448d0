/*
 * calls_sites.c - what the collector `calls` tells call sites of what it observes: whom they call, and the CPU
 * time that each call takes, so that samples of a site with several callees can be divided.
 *
 * Time passes by ticks, which run on while a thread waits.  Where a call took long, the thread's CPU clock,
 * a system call, says how much of that was work; it is looked at as rarely as that takes.
 */
#include "calls.h"

#define LONG_NS 20000 /* a wait that matters is not shorter */

static uint64_t look(struct calls_interpreter *here, struct calltree *tree);

void calls_site_begin(struct calls_interpreter *here, struct calltree *tree, struct py_object *code,
		      uint64_t now_ticks)
{
	struct calltree_step *top = calltree_top(tree);
	const struct calltree_node *node = &tree->nodes[top->node];

	top->site = site_call((uintptr_t)code, frames_instruction(top->frame), node->id,
			      (uint32_t)atomic_load_explicit(&tree->owner, memory_order_relaxed));
	if (!top->site)
		return;
	top->begun_ticks = node->self_ticks;
	if (ticks_to_ns(now_ticks - tree->looked_ticks) >= LONG_NS)
		tree->last_ticks += look(here, tree);
}

uint64_t calls_site_end(struct calls_interpreter *here, struct calltree *tree, uint64_t now_ticks)
{
	struct calltree_step *top = calltree_top(tree);
	uint64_t own = tree->nodes[top->node].self_ticks - top->begun_ticks, own_ns, taken = 0;
	int64_t last =
		(int64_t)(now_ticks - tree->last_ticks) - (int64_t)here->cost_ticks[CALLTREE_OF_C];
	uint64_t looked_ticks = tree->looked_ticks, looked_cpu_ns = tree->looked_cpu_ns;

	/* Another window, or another call of the frame: its end was not seen. */
	if (atomic_load_explicit(&here->state, memory_order_relaxed) != CALLS_OPEN ||
	    frames_glance().frame != top->frame)
		return 0;
	own_ns = ticks_to_ns(last > 0 ? own + (uint64_t)last : own);
	if (own_ns >= LONG_NS) {
		uint64_t passed_ns = ticks_to_ns(now_ticks - looked_ticks), cpu_ns;

		taken = look(here, tree);
		cpu_ns = tree->looked_cpu_ns - looked_cpu_ns;
		if (cpu_ns < passed_ns)
			own_ns = (uint64_t)((double)own_ns * (double)cpu_ns / (double)passed_ns);
	}
	site_end(top->site, own_ns);
	top->site = 0;
	return taken;
}

/* At the thread's CPU clock; ticks that it took, which are not the program's. */
static uint64_t look(struct calls_interpreter *here, struct calltree *tree)
{
	uint64_t begun = ticks_now(), taken;

	tree->looked_cpu_ns = os_thread_cpu_ns();
	tree->looked_ticks = ticks_now();
	taken = tree->looked_ticks - begun;
	/* Its GIL is held: nobody else moves it. */
	atomic_store_explicit(&here->end_ticks,
			      atomic_load_explicit(&here->end_ticks, memory_order_relaxed) + taken,
			      memory_order_relaxed);
	return taken;
}
