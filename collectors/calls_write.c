/*
 * calls_write.c - from what a window saw to the recording: each thread's tree, weighted, with the window's time.
 *
 *   window over --> what it cost, how long it was --> its weight --> trees --> nodes, counts, durations, time
 *
 * In the drainer, while the window is over in an interpreter and before the next: nobody else touches that
 * one's trees.
 */
#include "calls.h"

/* A switch leaves caches cold, and what that costs is not measured: about what switching itself does. In a program
   CPython's walk through code takes up to twice as long as through ours. Of what is doubted a tenth is taken. */
#define SWITCHING_DOUBT 10
#define COST_SHARE_MOST 20 /* all but a twentieth of a window */

/* The window that is written, over in every interpreter but those that were left behind. */
struct window {
	const struct calls_interpreter *clock; /* whose readings of the clocks are taken */
	uint64_t paused_ticks; /* that part's events, and opening it */
	uint64_t cost_ns; /* the same of all parts, in CPU time */
	uint64_t opening_ns, closing_ns; /* CPU time of theirs */
	uint64_t walked_ns,
		making_ns; /* of CPython and us, for what was met first: part of cost_ns */
	unsigned parts;
	uint64_t events;
	double last_event_ns; /* of the program's time since it began, before its end */
	bool is_any_cut;
};

/* What a clock showed at some time since the window began; less what events cost. */
struct reading {
	double at_ns, cpu_ns;
};

static void window_shut(void);
static void window_close(void);
static bool window_is_over(void);
static void window_write(const struct collector_writer *writer);
static void window_take(struct window *window);
static void window_take_events(struct window *window);
static bool is_better_clock(const struct calls_interpreter *one,
			    const struct calls_interpreter *than);
static uint64_t end_ticks_of(const struct calls_interpreter *one);
static uint64_t cost_ticks_of(const struct calls_interpreter *one);
static uint64_t cpu_cost_ns(const struct calls_interpreter *one);
static double weight_of(const struct calls_interpreter *one);
static void costs_follow(double slowness);
static double window_cpu_ns(const struct window *window);
static struct reading reading_of(const struct window *window, uint64_t ticks, uint64_t cpu_ns);
static double signed_ns(uint64_t later_ns, uint64_t earlier_ns);
static double cpu_since(const struct window *window, const struct reading *read, double end_ns);
static double later_cpu_ns(const struct window *window);
static uint64_t quiet_windows(const struct calls_interpreter *clock);
static void part_write(struct calls_interpreter *one, const struct collector_writer *writer);
static void window_count(void);
static void tree_write(struct calltree *tree, const struct collector_writer *writer);
static void nodes_write(const struct calltree *tree, const struct collector_writer *writer);
static uint32_t put_node(const struct calltree_node *node, uint32_t parent,
			 const struct collector_writer *writer);
static uint32_t put_cut(const struct collector_writer *writer);
static void node_write(const struct calltree *tree, uint32_t node,
		       const struct collector_writer *writer);
static void sample_write(struct recording_sample *sample, uint64_t value,
			 const struct collector_writer *writer);

void calls_write(const struct collector_writer *writer)
{
	bool is_last = atomic_load(&calls.is_stopped);

	/* No pass comes any more. */
	if (is_last)
		calls_losses_say();
	if (calls.mode == CALLS_WINDOWS && is_last)
		window_shut();
	if (calls_plan.is_asked && !calls_plan.is_closed)
		window_close();
	if (calls_plan.is_closed && window_is_over()) {
		window_write(writer);
		calls_plan.is_asked = calls_plan.is_closed = false;
	}
	for (unsigned i = 0; calls.mode == CALLS_WINDOWS && i < calls_interpreters_used(); i++) {
		struct calls_interpreter *one = &calls.interpreters[i];

		if (atomic_load_explicit(&one->state, memory_order_acquire) == CALLS_OVER &&
		    !calls_takes_part(one))
			part_write(one, writer);
	}
	for (uint32_t i = 0; calls.mode == CALLS_ALWAYS && i < atomic_load(&calls.tree_count);
	     i++) {
		uint32_t used =
			atomic_load_explicit(&calls_tree_at(i)->state, memory_order_acquire);

		if (used == CALLS_TREE_FULL || (is_last && used == CALLS_TREE_USED))
			tree_write(calls_tree_at(i), writer);
	}
	for (unsigned i = 0; is_last && i < calls_interpreters_used(); i++)
		atomic_store(&calls.interpreters[i].state, CALLS_NONE);
}

/* At the end of the process what was seen is all that there was. */
static void window_shut(void)
{
	for (unsigned i = 0; i < calls_interpreters_used(); i++) {
		struct calls_interpreter *one = &calls.interpreters[i];
		uint32_t state = atomic_load_explicit(&one->state, memory_order_acquire);

		if (state == CALLS_OPEN) {
			one->closed_ticks = ticks_now();
			one->closed_cpu_ns = calls_cpu_ns();
			one->slowness = one->slowness_taken;
			atomic_store(&one->state, CALLS_OVER);
		} else if (state == CALLS_ASKED) {
			atomic_store(&one->state, CALLS_NONE);
		}
	}
}

/* The first of its parts is over, if it is: then the next window does not wait for the others. */
static void window_close(void)
{
	struct window window = { 0 };
	const struct calls_interpreter *clock;
	uint64_t length_ticks;

	window_take(&window);
	clock = window.clock;
	if (!clock)
		return;
	/* Whoever began the window has been kept from reading the clock until its end: it says nothing. */
	if (!atomic_load(&calls.begun_cpu_ns)) {
		calls_window_drop();
		return;
	}
	length_ticks = end_ticks_of(clock) - atomic_load(&clock->begun_ticks);
	if (clock->is_cut && !window_is_over())
		length_ticks = clock->planned_ticks;
	calls_plan.is_closed = true;
	window_count();
	for (unsigned i = 0; i < calls_interpreters_used(); i++) {
		if (calls_takes_part(&calls.interpreters[i]))
			calls_plan.windows_at[i] = calls_plan.windows;
	}
	calls_plan.last_end_ns = atomic_load(&clock->begun_ns) + ticks_to_ns(length_ticks);
	calls_plan.quiet = 0;
	if (clock->closed_ticks > end_ticks_of(clock) && !window.is_any_cut)
		calls_plan.quiet = quiet_windows(clock);
	calls_next(calls_plan.last_end_ns);
}

/* In all of its parts, or it is time for the next. */
static bool window_is_over(void)
{
	bool is_waited_for = false;

	for (unsigned i = 0; i < calls_interpreters_used(); i++) {
		const struct calls_interpreter *one = &calls.interpreters[i];

		is_waited_for |= calls_takes_part(one) && !calls_is_part(one);
	}
	return !is_waited_for || (calls_plan.is_closed && os_monotonic_ns() >= calls_plan.next_ns);
}

static void window_write(const struct collector_writer *writer)
{
	struct recording_sample size = {
		.thread = RECORDING_THREAD_PROCESS,
		.metric = METRIC_calls_calls,
	};
	struct window window = { 0 };
	double cpu_ns;

	window_take(&window);
	if (!window.clock)
		return;
	calls_plan.weight = weight_of(window.clock);
	costs_follow(window.clock->slowness);
	/* When the events are off, CPython walks through all that code again. */
	calls_plan.cost_ns += window.cost_ns + window.closing_ns + window.walked_ns;
	calls_plan.switching_ns +=
		window.opening_ns + window.closing_ns + 2 * window.walked_ns + window.making_ns;
	calls_plan.paused_ns += ticks_to_ns(window.paused_ticks);
	cpu_ns = calls_plan.weight * window_cpu_ns(&window);
	calls_plan.observed_cpu_ns += cpu_ns;
	calls_plan.doubted_ns += calls_plan.weight *
				 ((double)window.cost_ns +
				  SWITCHING_DOUBT * (double)(window.opening_ns + window.closing_ns +
							     window.walked_ns));
	/* How much the window saw: readers need it for the error. */
	size.time_ns = atomic_load(&window.clock->begun_ns);
	size.value = (uint64_t)cpu_ns;
	writer->sample(&size);
}

static void window_take(struct window *window)
{
	for (unsigned i = 0; i < calls_interpreters_used(); i++) {
		const struct calls_interpreter *one = &calls.interpreters[i];

		if (!calls_is_part(one))
			continue;
		window->cost_ns += cpu_cost_ns(one);
		window->opening_ns += one->opening_cpu_ns;
		window->closing_ns += one->closing_cpu_ns;
		window->walked_ns += ticks_to_ns(one->walked_ticks);
		window->making_ns += ticks_to_ns(one->making_ticks);
		window->parts++;
		window->is_any_cut |= one->is_cut;
		if (!window->clock || is_better_clock(one, window->clock))
			window->clock = one;
	}
	if (!window->clock)
		return;
	window->paused_ticks = cost_ticks_of(window->clock);
	window_take_events(window);
}

/* How many there were, and when the last one was, as the trees of its parts have it. */
static void window_take_events(struct window *window)
{
	uint64_t begun_ticks = atomic_load(&window->clock->begun_ticks), last_ticks = begun_ticks;

	for (uint32_t i = 0; i < atomic_load(&calls.tree_count); i++) {
		const struct calltree *tree = calls_tree_at(i);
		const struct calls_interpreter *one =
			calls_interpreter_of(atomic_load(&tree->owner));

		if (!calls_is_part(one) || !calls_is_used_in(tree, one) ||
		    (uint32_t)atomic_load(&tree->owner) != atomic_load(&one->window))
			continue;
		for (unsigned of = 0; of < CALLTREE_EVENTS; of++)
			window->events += tree->events[of];
		last_ticks = tree->last_ticks > last_ticks ? tree->last_ticks : last_ticks;
	}
	window->last_event_ns = (double)ticks_to_ns(last_ticks - begun_ticks) -
				(double)ticks_to_ns(window->paused_ticks);
	if (window->last_event_ns < 0)
		window->last_event_ns = 0;
}

/* The first that has closed it at its end: until then all parts were the window's. Where all were cut short, the
   one that saw most. */
static bool is_better_clock(const struct calls_interpreter *one,
			    const struct calls_interpreter *than)
{
	if (one->is_cut != than->is_cut)
		return than->is_cut;
	return one->is_cut ? one->closed_ticks > than->closed_ticks :
			     one->closed_ticks < than->closed_ticks;
}

static uint64_t end_ticks_of(const struct calls_interpreter *one)
{
	uint64_t end_ticks = atomic_load_explicit(&one->end_ticks, memory_order_relaxed);

	return one->closed_ticks < end_ticks ? one->closed_ticks : end_ticks;
}

/* What the events cost in a part, and opening it. */
static uint64_t cost_ticks_of(const struct calls_interpreter *one)
{
	uint64_t begun_ticks = atomic_load(&one->begun_ticks);
	uint64_t taken_ticks = atomic_load_explicit(&one->end_ticks, memory_order_relaxed) -
			       begun_ticks - one->planned_ticks - one->opening_ticks;
	/* How much more events cost than they were taken to. */
	double slowness = one->slowness / one->slowness_taken;
	uint64_t cost_ticks = (uint64_t)((double)taken_ticks * slowness) + one->opening_ticks;
	/* Measured at another moment, it could be more than all there was. */
	uint64_t most_ticks =
		(end_ticks_of(one) - begun_ticks) / COST_SHARE_MOST * (COST_SHARE_MOST - 1);

	return cost_ticks < most_ticks ? cost_ticks : most_ticks;
}

/* The same in CPU time: who opens it may wait for a processor meanwhile. */
static uint64_t cpu_cost_ns(const struct calls_interpreter *one)
{
	uint64_t cost_ticks = cost_ticks_of(one);

	if (cost_ticks > one->opening_ticks)
		return ticks_to_ns(cost_ticks - one->opening_ticks) + one->opening_cpu_ns;
	return one->opening_cpu_ns;
}

/* What a part's counts stand for. */
static double weight_of(const struct calls_interpreter *one)
{
	uint64_t seen_ticks =
		end_ticks_of(one) - atomic_load(&one->begun_ticks) - cost_ticks_of(one);

	return calls_plan.rarity *
	       (one->is_cut ? (double)one->planned_ticks / (double)(seen_ticks + 1) : 1);
}

/* From now on events are taken to cost what they did in the window that has been. */
static void costs_follow(double slowness)
{
	calls_plan.slowness = slowness;
	for (unsigned of = 0; of < CALLTREE_EVENTS; of++)
		calls.cost_ticks[of] = (uint64_t)((double)calls.cost_start_ticks[of] * slowness);
}

/*
 * CPU time that the program used in the window, and in those that would have followed before it was closed.
 * Where our own thread competes with the program for a processor, a window tends to begin when the program
 * has just lost it; so counts are scaled by the share of CPU time that windows saw, not of elapsed time.
 *
 * The clock is the process's: it has what interpreters used that ran at the same time, each under a GIL of its
 * own; those that share one took turns. Either way it was the window's as long as all parts lasted, until the
 * first one was closed, less what the events of all of them cost.
 */
static double window_cpu_ns(const struct window *window)
{
	const struct calls_interpreter *clock = window->clock;
	double planned_ns = (double)ticks_to_ns(clock->planned_ticks);
	struct reading closed = reading_of(window, clock->closed_ticks, clock->closed_cpu_ns);
	struct reading first;
	double within_ns, later_ns;

	closed.cpu_ns -= (double)clock->reading_cpu_ns;
	first = closed;
	if (calls_plan.end_seen_ticks && calls_plan.end_seen_ticks < clock->closed_ticks)
		first = reading_of(window, calls_plan.end_seen_ticks, calls_plan.end_cpu_ns);
	if (first.cpu_ns < 0)
		return 0;
	if (closed.at_ns <= planned_ns)
		return first.cpu_ns + later_cpu_ns(window);
	within_ns = first.cpu_ns - cpu_since(window, &first, planned_ns);
	later_ns = closed.cpu_ns > within_ns ? closed.cpu_ns - within_ns : 0;
	return within_ns + later_cpu_ns(window) +
	       later_ns * planned_ns * (double)calls_plan.quiet / (closed.at_ns - planned_ns);
}

/* The program's time from the window's begin to then, and the CPU time in it. */
static struct reading reading_of(const struct window *window, uint64_t ticks, uint64_t cpu_ns)
{
	const struct calls_interpreter *clock = window->clock;
	uint64_t begun_cpu_ns = atomic_load(&calls.begun_cpu_ns);

	/* Whoever began it may have lost its processor before it came to reading the clock. */
	if (clock->opening_ticks && signed_ns(clock->opened_cpu_ns, begun_cpu_ns) < 0)
		begun_cpu_ns = clock->opened_cpu_ns;
	return (struct reading){
		(double)ticks_to_ns(ticks - atomic_load(&clock->begun_ticks)) -
			(double)ticks_to_ns(window->paused_ticks),
		signed_ns(cpu_ns, begun_cpu_ns) - (double)window->cost_ns,
	};
}

/* Two readings by different threads may stand a little against their order. */
static double signed_ns(uint64_t later_ns, uint64_t earlier_ns)
{
	return (double)(int64_t)(later_ns - earlier_ns);
}

/*
 * How much of the CPU time that the clock showed, some time after the window's end, was used since that end.
 *
 *   begun      event  event     end          read
 *     |----------+------+--------|-------------|
 *                       \------- last ---------/
 *
 * All up to the last event was the window's.  What was used since then was used evenly, as far as is known: how
 * much that is follows from the calls' pace, one of events + 1 equal pieces; but it is all that the clock did
 * not stand still for.  A program that calls often and lost its processor has used next to nothing since;
 * one that is in a long C call has worked all along, on as many processors as before.
 */
static double cpu_since(const struct window *window, const struct reading *read, double end_ns)
{
	double last_ns = read->at_ns - window->last_event_ns;
	double speed = read->cpu_ns > read->at_ns ? read->cpu_ns / read->at_ns : 1;
	double still_ns = read->at_ns > read->cpu_ns ? read->at_ns - read->cpu_ns : 0;
	double used_ns = read->cpu_ns / (double)(window->events + 1);

	if (read->at_ns <= end_ns || last_ns <= 0)
		return 0;
	if (used_ns < speed * last_ns - still_ns)
		used_ns = speed * last_ns - still_ns;
	if (used_ns > speed * last_ns)
		used_ns = speed * last_ns;
	if (used_ns > read->cpu_ns)
		used_ns = read->cpu_ns;
	return last_ns > read->at_ns - end_ns ? used_ns * (read->at_ns - end_ns) / last_ns :
						used_ns;
}

/* A part with more events than the first one lasts longer, by what they cost. What is used meanwhile is shared
   by all parts, and one share of it is the window's. */
static double later_cpu_ns(const struct window *window)
{
	uint64_t first_ticks = window->clock->closed_ticks;
	double sum_ns = 0;

	for (unsigned i = 0; i < calls_interpreters_used() && window->parts > 1; i++) {
		const struct calls_interpreter *one = &calls.interpreters[i];
		double used_ns;

		if (!calls_is_part(one) || end_ticks_of(one) <= first_ticks)
			continue;
		used_ns = signed_ns(one->closed_cpu_ns, window->clock->closed_cpu_ns);
		sum_ns += used_ns / window->parts * (double)(end_ticks_of(one) - first_ticks) /
			  (double)(one->closed_ticks - first_ticks);
	}
	return sum_ns;
}

static void window_count(void)
{
	calls_plan.windows++;
	calls_plan.planned_ns += calls_plan.window_ns;
	calls_plan.planned_weight_ns += (double)calls_plan.window_ns * calls_plan.rarity;
}

/* From the end of the window to the moment when an event showed that it was over, none came: windows that
   would have been there saw nothing but the closers where they were. */
static uint64_t quiet_windows(const struct calls_interpreter *clock)
{
	uint64_t closed_ns = atomic_load(&clock->begun_ns) +
			     ticks_to_ns(clock->closed_ticks - atomic_load(&clock->begun_ticks));
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

/* An interpreter's trees: of its part of the window, and of those before that it had not closed. Its closer was
   where it was in all windows since, too: in quiet ones, and in those that it has missed. */
static void part_write(struct calls_interpreter *one, const struct collector_writer *writer)
{
	uint64_t end_ticks = end_ticks_of(one);
	uint64_t missed = calls_plan.windows - calls_plan.windows_at[calls_index(one)];
	double weight = weight_of(one);

	calls_plan.cost_ns += ticks_to_ns(one->carried_ticks);
	for (uint32_t i = 0; i < atomic_load(&calls.tree_count); i++) {
		struct calltree *tree = calls_tree_at(i);
		bool is_earlier = (uint32_t)atomic_load(&tree->owner) != atomic_load(&one->window);
		uint64_t until_ticks = is_earlier ? tree->end_ticks : end_ticks;

		if (!calls_is_used_in(tree, one))
			continue;
		if (tree->last_ticks < until_ticks)
			calltree_pass(tree, until_ticks, 0);
		if (tree == one->closer)
			calltree_pass(tree, tree->last_ticks + missed * one->planned_ticks, 0);
		calls_plan.weight = is_earlier ? 1 : weight;
		tree_write(tree, writer);
	}
	atomic_store_explicit(&one->state, CALLS_NONE, memory_order_release);
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
	calls_plan.pass_ns = CALLS_PASS_NS;
	/* At the end of the process a callback may still be in it, if that came without the GIL. Nobody's, so that its
	   thread's end, heard of later, does not have it written again. */
	if (atomic_load(&calls.is_stopped)) {
		atomic_store(&tree->owner, 0);
		atomic_store(&tree->state, CALLS_TREE_NONE);
		return;
	}
	calls_tree_give(tree);
}

/*
 * Parents come before their children. Paths grow to MONPROF_DEPTH frames; from there on their leaf-most half,
 * below [cut], goes on in their place, which has been put beside them for that: readers walk each to its end, and
 * a recursion of thousands of calls would have as many of thousands of frames.
 *
 *   1 ... half ... 2 half                                   a node that is no deeper than the last has one path,
 *           [cut] half+1 ... 2 half ... 3 half              a deeper one that on which it is, and that which its
 *                            [cut] 2 half+1 ... 3 half ...  descendants will be on
 */
static void nodes_write(const struct calltree *tree, const struct collector_writer *writer)
{
	uint32_t most = (uint32_t)option_number(OPTION_DEPTH), half = most > 1 ? most / 2 : 1;

	calls.ids[CALLTREE_ROOT] = calls.leaf_ids[CALLTREE_ROOT] = 0;
	calls.depths[CALLTREE_ROOT] = 0;
	for (uint32_t i = CALLTREE_FIRST; i < tree->node_count; i++) {
		uint32_t parent = tree->nodes[i].parent, depth = calls.depths[parent];
		bool is_next = depth % half == 0;

		calls.depths[i] = (uint16_t)(depth + 1);
		calls.ids[i] = put_node(&tree->nodes[i],
					is_next ? calls.leaf_ids[parent] : calls.ids[parent],
					writer);
		calls.leaf_ids[i] =
			depth < half ? calls.ids[i] :
				       put_node(&tree->nodes[i],
						is_next ? put_cut(writer) : calls.leaf_ids[parent],
						writer);
	}
}

static uint32_t put_node(const struct calltree_node *node, uint32_t parent,
			 const struct collector_writer *writer)
{
	struct frame frame = { (uintptr_t)node->key,
			       (uintptr_t)node->key + frames_layout()->code_instructions };

	if (node->kind == CALLTREE_C)
		frame = (struct frame){ node->id, FRAME_CALLEE };
	return writer->node(parent, &frame, node->made_ns);
}

static uint32_t put_cut(const struct collector_writer *writer)
{
	const struct frame cut = { FRAME_CUT, 0 };

	return writer->node(0, &cut, 0);
}

static void node_write(const struct calltree *tree, uint32_t index,
		       const struct collector_writer *writer)
{
	const struct calltree_node *node = &tree->nodes[index];
	struct recording_sample sample = {
		.thread = tree->thread,
		.metric = METRIC_calls_calls,
		.node = calls.ids[index],
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
