/*
 * calls_write.c - from what a window saw to the recording: each thread's tree, weighted, with the window's time.
 *
 *   window over --> what it cost, how long it was --> its weight --> trees --> nodes, counts, durations, time
 *
 * In the drainer, while the window is over and before the next: nobody else touches the trees.
 */
#include "calls.h"

#define COST_SHARE_MOST 20 /* all but a twentieth of a window */

static void window_write(const struct collector_writer *writer);
static uint64_t window_cost_ticks(uint64_t end_ticks);
static double events_slowness(void);
static double window_cpu_ns(uint64_t cost_ticks, uint64_t quiet);
static double signed_ns(uint64_t later_ns, uint64_t earlier_ns);
static double window_seen_ns(uint64_t cost_ticks, uint64_t quiet);
static uint64_t quiet_windows(void);
static void window_count(void);
static void trees_drop(void);
static void tree_write(struct calltree *tree, const struct collector_writer *writer);
static void nodes_write(const struct calltree *tree, const struct collector_writer *writer);
static void node_write(const struct calltree *tree, uint32_t node,
		       const struct collector_writer *writer);
static void sample_write(struct recording_sample *sample, uint64_t value,
			 const struct collector_writer *writer);

void calls_write(const struct collector_writer *writer)
{
	uint32_t state = atomic_load_explicit(&calls.state, memory_order_acquire);
	bool is_last = atomic_load(&calls.is_stopped);

	if (calls.mode == CALLS_WINDOWS &&
	    (state == CALLS_OVER || (is_last && state == CALLS_OPEN))) {
		if (atomic_load(&calls.begun_cpu_ns))
			window_write(writer);
		else
			trees_drop();
		atomic_store_explicit(&calls.state, CALLS_NONE, memory_order_release);
	}
	for (uint32_t i = 0; calls.mode == CALLS_ALWAYS && i < atomic_load(&calls.tree_count);
	     i++) {
		uint32_t used =
			atomic_load_explicit(&calls_tree_at(i)->state, memory_order_acquire);

		if (used == CALLS_TREE_FULL || (is_last && used == CALLS_TREE_USED))
			tree_write(calls_tree_at(i), writer);
	}
	if (is_last)
		atomic_store(&calls.state, CALLS_NONE);
}

static void window_write(const struct collector_writer *writer)
{
	struct recording_sample size = {
		.thread = RECORDING_THREAD_PROCESS,
		.metric = METRIC_calls_calls,
	};
	uint64_t cost_ticks, end_ticks, quiet = 0;
	double cpu_ns;

	if (atomic_load(&calls.state) == CALLS_OPEN) {
		/* At the end of the process what was seen is all that there was. */
		calls.closed_ticks = ticks_now();
		calls.closed_cpu_ns = calls_cpu_ns();
		calls.slowness = calls_plan.slowness;
	}
	end_ticks = calls.closed_ticks < calls.end_ticks ? calls.closed_ticks : calls.end_ticks;
	cost_ticks = window_cost_ticks(end_ticks);
	calls_plan.weight = calls_plan.rarity;
	if (calls.is_cut)
		calls_plan.weight *= (double)calls.planned_ticks /
				     (double)(end_ticks - calls.begun_ticks - cost_ticks + 1);
	window_count();
	calls_plan.cost_ns += ticks_to_ns(cost_ticks);
	calls_plan.last_end_ns = calls.begun_ns + ticks_to_ns(end_ticks - calls.begun_ticks);
	if (calls.closed_ticks > calls.end_ticks)
		quiet = quiet_windows();
	cpu_ns = calls_plan.weight * window_cpu_ns(cost_ticks, quiet);
	calls_plan.observed_cpu_ns += cpu_ns;
	calls_plan.doubted_ns += calls_plan.weight * (double)ticks_to_ns(cost_ticks);
	/* How much the window saw: readers need it for the error. */
	size.time_ns = calls.begun_ns;
	size.value = (uint64_t)cpu_ns;
	writer->sample(&size);
	for (uint32_t i = 0; i < atomic_load(&calls.tree_count); i++) {
		struct calltree *tree = calls_tree_at(i);

		if (atomic_load_explicit(&tree->state, memory_order_acquire) != CALLS_TREE_USED)
			continue;
		if (tree->last_ticks < end_ticks)
			calltree_pass(tree, end_ticks, 0);
		if (tree == calls.closer)
			calltree_pass(tree, tree->last_ticks + quiet * calls.planned_ticks, 0);
		tree_write(tree, writer);
	}
	calls_next(calls_plan.last_end_ns);
}

/* What the events cost in a window that ended there, and opening it. */
static uint64_t window_cost_ticks(uint64_t end_ticks)
{
	uint64_t taken_ticks =
		calls.end_ticks - calls.begun_ticks - calls.planned_ticks - calls.opening_ticks;
	uint64_t cost_ticks =
		(uint64_t)((double)taken_ticks * events_slowness()) + calls.opening_ticks;
	/* Measured at another moment, it could be more than all there was. */
	uint64_t most_ticks =
		(end_ticks - calls.begun_ticks) / COST_SHARE_MOST * (COST_SHARE_MOST - 1);

	return cost_ticks < most_ticks ? cost_ticks : most_ticks;
}

/* How much more events cost in the window that has been than it was taken to last; from now on they are taken
   to cost that. */
static double events_slowness(void)
{
	double now = calls.slowness, taken = calls_plan.slowness;

	calls_plan.slowness = now;
	for (unsigned of = 0; of < CALLTREE_EVENTS; of++)
		calls.cost_ticks[of] = (uint64_t)((double)calls.cost_start_ticks[of] * now);
	return now / taken;
}

/*
 * CPU time that the program used in the window, and in those that would have followed before it was closed.
 * Where our own thread competes with the program for a processor, a window tends to begin when the program
 * has just lost it; so counts are scaled by the share of CPU time that windows saw, not of elapsed time.
 */
static double window_cpu_ns(uint64_t cost_ticks, uint64_t quiet)
{
	double planned_ns = (double)ticks_to_ns(calls.planned_ticks);
	double spent_ns = (double)ticks_to_ns(calls.closed_ticks - calls.begun_ticks) -
			  (double)ticks_to_ns(cost_ticks);
	double cpu_ns = signed_ns(calls.closed_cpu_ns, calls.begun_cpu_ns) -
			(double)ticks_to_ns(cost_ticks + calls.closing_ticks);
	double first_ns = planned_ns;

	if (calls_plan.end_seen_ticks && calls_plan.end_seen_ticks < calls.closed_ticks)
		return window_seen_ns(cost_ticks, quiet);
	if (cpu_ns < 0)
		return 0;
	if (spent_ns <= planned_ns * (double)(quiet + 1))
		return cpu_ns;
	/* Evenly, if nobody was seen to run in it. A program that was and then called nothing has lost its
	   processor, or sleeps, and used what it used before the end; or is in C calls, and used all there was, on
	   all its processors. */
	if (calls.opening_ticks && cpu_ns <= spent_ns) {
		double before_ns = signed_ns(calls.opened_cpu_ns, calls.begun_cpu_ns);
		double after_ns = cpu_ns > before_ns ? cpu_ns - before_ns : 0;
		double left_ns =
			planned_ns - (double)ticks_to_ns(calls.opened_ticks - calls.begun_ticks);

		first_ns = before_ns + (after_ns < left_ns ? after_ns : left_ns);
	} else {
		first_ns *= cpu_ns / spent_ns;
	}
	if (cpu_ns < first_ns)
		first_ns = cpu_ns;
	return first_ns +
	       (cpu_ns - first_ns) * planned_ns * (double)quiet / (spent_ns - planned_ns);
}

/* Whoever began the window has been kept from reading the clock until its end: it says nothing. */
static void trees_drop(void)
{
	for (uint32_t i = 0; i < atomic_load(&calls.tree_count); i++) {
		if (atomic_load(&calls_tree_at(i)->state) == CALLS_TREE_USED) {
			calltree_clear(calls_tree_at(i));
			atomic_store(&calls_tree_at(i)->state, CALLS_TREE_FREE);
		}
	}
	calls_next(os_monotonic_ns());
}

/* Two readings by different threads may stand a little against their order. */
static double signed_ns(uint64_t later_ns, uint64_t earlier_ns)
{
	return (double)(int64_t)(later_ns - earlier_ns);
}

/* The same, where our thread has read the clock at the window's end, or a little after it. */
static double window_seen_ns(uint64_t cost_ticks, uint64_t quiet)
{
	double planned_ns = (double)ticks_to_ns(calls.planned_ticks);
	double cost_ns = (double)ticks_to_ns(cost_ticks);
	double length_ns =
		(double)ticks_to_ns(calls_plan.end_seen_ticks - calls.begun_ticks) - cost_ns;
	double cpu_ns = signed_ns(calls_plan.end_cpu_ns, calls.begun_cpu_ns) - cost_ns;
	double later_ns = signed_ns(calls.closed_cpu_ns, calls_plan.end_cpu_ns);
	double last_ns = (double)ticks_to_ns(calls.closed_ticks - calls_plan.end_seen_ticks);

	if (cpu_ns < 0)
		cpu_ns = 0;
	if (length_ns > planned_ns)
		cpu_ns *= planned_ns / length_ns;
	if (later_ns < 0 || last_ns < planned_ns)
		return cpu_ns;
	return cpu_ns + later_ns * planned_ns * (double)quiet / last_ns;
}

static void window_count(void)
{
	calls_plan.windows++;
	calls_plan.planned_ns += calls_plan.window_ns;
	calls_plan.planned_weight_ns += (double)calls_plan.window_ns * calls_plan.rarity;
}

/* From the end of the window to the moment when an event showed that it was over, none came: windows that
   would have been there saw nothing but the closer where it was. */
static uint64_t quiet_windows(void)
{
	uint64_t closed_ns = calls.begun_ns + ticks_to_ns(calls.closed_ticks - calls.begun_ticks);
	uint64_t count = 0;

	for (;;) {
		uint64_t begin_ns = calls_plan.last_end_ns + calls_gap_ns();

		if (begin_ns + calls_plan.window_ns > closed_ns)
			return count;
		count++;
		window_count();
		calls_plan.last_end_ns = begin_ns + calls_plan.window_ns;
	}
}

/* And give it back. */
static void tree_write(struct calltree *tree, const struct collector_writer *writer)
{
	uint32_t epoch = writer->epoch();

	nodes_write(tree, writer);
	for (uint32_t node = CALLTREE_FIRST; node < tree->node_count; node++) {
		if (writer->epoch() != epoch) {
			epoch = writer->epoch();
			nodes_write(tree, writer);
		}
		node_write(tree, node, writer);
	}
	for (unsigned of = 0; of < CALLTREE_EVENTS; of++)
		calls_plan.events[of] += tree->events[of];
	calls_plan.lost += tree->lost;
	/* At the end of the process a callback may still be in it, if that came without the GIL. */
	if (atomic_load(&calls.is_stopped)) {
		atomic_store(&tree->state, CALLS_TREE_NONE);
		return;
	}
	calltree_clear(tree);
	atomic_store_explicit(&tree->state, CALLS_TREE_FREE, memory_order_release);
}

/* Parents come before their children. */
static void nodes_write(const struct calltree *tree, const struct collector_writer *writer)
{
	calls_plan.ids[CALLTREE_ROOT] = 0;
	for (uint32_t i = CALLTREE_FIRST; i < tree->node_count; i++) {
		const struct calltree_node *node = &tree->nodes[i];
		struct frame frame = { (uintptr_t)node->key,
				       (uintptr_t)node->key + frames_layout()->code_instructions };

		if (node->kind == CALLTREE_C)
			frame = (struct frame){ node->id, FRAME_CALLEE };
		calls_plan.ids[i] =
			writer->node(calls_plan.ids[node->parent], &frame, node->made_ns);
	}
}

static void node_write(const struct calltree *tree, uint32_t index,
		       const struct collector_writer *writer)
{
	const struct calltree_node *node = &tree->nodes[index];
	struct recording_sample sample = {
		.thread = tree->thread,
		.metric = METRIC_calls_calls,
		.node = calls_plan.ids[index],
		.time_ns = tree->begun_ns,
	};
	uint64_t rest = node->calls;

	for (uint32_t class = 0; class < CALLTREE_DURATIONS; class ++) {
		sample.duration = class;
		sample_write(&sample, node->durations[class], writer);
		rest -= node->durations[class] < rest ? node->durations[class] : rest;
	}
	sample.duration = 0;
	sample_write(&sample, rest, writer);
	sample.metric = METRIC_calls_time;
	sample_write(&sample, ticks_to_ns(node->self_ticks), writer);
}

/* Weights are no whole numbers: what is rounded off here is added there. */
static void sample_write(struct recording_sample *sample, uint64_t value,
			 const struct collector_writer *writer)
{
	double weighted = (double)value * calls_plan.weight;

	if (value == 0)
		return;
	if (calls_plan.weight != 1) {
		weighted += calls_plan.carried;
		value = (uint64_t)weighted;
		calls_plan.carried = weighted - (double)value;
	}
	sample->value = value;
	if (value)
		writer->sample(sample);
}
