/*
 * calls.c - how often every function is called, by whom, and for how long: sys.monitoring's call events
 * (PEP 669), on for short windows at random moments, or always; calls_period.c says what is done with one event
 * in so many.
 *
 *   time ---[   ]-----------[   ]---------[   ]---------------------[   ]--->
 *           window          window         exponentially spaced
 *
 * A window begins when the drainer asks for it, not when a thread that runs Python switches the events on a
 * moment later: in between no thread passed a call.  It ends when its length is over, not at the event that
 * finds that out.  So long C calls and idle time count as observed, and a window in which nothing ran is a
 * window without events.  Where it ends is set before it begins; only a flood of events cuts it short, and its
 * counts are then multiplied by planned over actual length.
 *
 * Totals are sums over windows times a factor that the recording gets: for calls the CPU time that the program
 * used in all over what it used in windows (scale.calls.calls), for time all time over the planned length of
 * windows (scale.calls.time).  What events themselves cost is taken off on both sides.
 */
#include "calls.h"

#define NS_PER_S UINT64_C(1000000000)
#define PPM 1000000
#define TREES_SPARE 4
#define TREES_SPARE_ALWAYS 16 /* in which a thread goes on when its tree is full */
#define CHECK_NS NS_PER_S /* observed always: is the tool id still ours? */
#define PASS_MOST_NS (16 * CALLS_PASS_NS)
#define TREES_WANTED_MOST 64
#define LOOK_NS 200000 /* that a look at the CPU clock takes at most */
#define LATE_NS \
	UINT64_C(20000000) /* a window that nobody has closed by then is closed by a pending call */
/* CPython 3.13+ allows 16.7 million changes of events in an interpreter's life; two a window. */
#define WINDOWS_PER_S_MOST 100

struct calls_plan calls_plan PROF_TOGETHER;

static errmsg calls_start(void);
static void calls_drainer_begin(bool own_descriptors);
static void calls_drainer_end(void);
static void calls_thread_begin(struct thread *thread);
static void calls_pass(uint64_t time_ns);
static uint64_t calls_due_ns(void);
static uint64_t calls_holds_ns(void);
static bool calls_wants_burst(unsigned interpreter);
static void calls_burst_asked(unsigned interpreter);
static uint64_t calls_cost_ns(void);
static bool calls_rate(double factor);
static uint64_t calls_remainder(enum metric metric, uint64_t own_ns);
static void calls_stop(void);
static void calls_leave(void);
static void calls_after_fork(void);

const struct collector_hooks calls_collector = {
	.start = calls_start,
	.drainer_begin = calls_drainer_begin,
	.drainer_end = calls_drainer_end,
	.thread_begin = calls_thread_begin,
	.thread_gone = calls_thread_gone,
	.pass = calls_pass,
	.write = calls_write,
	.due_ns = calls_due_ns,
	.holds_ns = calls_holds_ns,
	.interpreter_begin = calls_interpreter_begin,
	.interpreter_end = calls_interpreter_end,
	.wants_burst = calls_wants_burst,
	.burst_asked = calls_burst_asked,
	.burst = calls_burst,
	.flush = calls_flush,
	.renew = calls_renew,
	.cost_ns = calls_cost_ns,
	.rate = calls_rate,
	.remainder = calls_remainder,
	.stop = calls_stop,
	.leave = calls_leave,
	.after_fork = calls_after_fork,
};

static enum calls_mode wanted_mode(uint64_t kinds);
static uint32_t wanted_events(uint64_t kinds);
static bool trees_begin(void);
static void plan_begin(void);
static void window_ask(uint64_t time_ns);
static void interpreter_ask(struct calls_interpreter *one, uint64_t time_ns);
static bool has_tool(const struct calls_interpreter *one);
static bool is_free(const struct calls_interpreter *one);
static void window_watch(void);
static bool is_passed_by(void);
static uint64_t window_end_ticks(const struct calls_interpreter *one);
static bool is_lost(const struct calls_interpreter *one);
static void trees_stock(void);

/* ---- start ---- */

static errmsg calls_start(void)
{
	struct calls_interpreter *main = &calls.interpreters[CALLS_MAIN];
	uint64_t kinds = option_number(OPTION_CALLS_EVENTS);
	enum calls_mode mode = wanted_mode(kinds);
	errmsg error;

	if (mode == CALLS_OFF)
		return NULL;
	calls_shut(main);
	calls_plan.wanted_ppm = mode == CALLS_WINDOWS ? option_number(OPTION_CALLS_RATE) : PPM;
	calls_plan.window_ns = option_number(OPTION_CALLS_WINDOW);
	ticks_start();
	error = callee_start();
	if (error)
		log_line("%s", error);
	/* Before costs are measured: telling is one of them. */
	calls.has_sites = !error && option_number(OPTION_COLLECT) >> COLLECTOR_sites & 1;
	calls.mode = mode;
	error = calls_claim(main);
	if (error) {
		calls.mode = CALLS_OFF;
		return error;
	}
	calls.events = wanted_events(kinds);
	if (mode != CALLS_PERIOD && !trees_begin())
		return "no memory";
	calls_events_calibrate(main);
	ticks_measure();
	if (calls.has_sites && kinds & 2 && mode != CALLS_PERIOD)
		site_mix_start(calls.mode == CALLS_ALWAYS);
	plan_begin();
	return NULL;
}

static enum calls_mode wanted_mode(uint64_t kinds)
{
	uint64_t period = option_number(OPTION_CALLS_PERIOD);
	uint64_t rate_ppm = option_number(OPTION_CALLS_RATE);

	if (period && option_value(OPTION_CALLS_RATE)->given)
		log_line("calls: MONPROF_CALLS_PERIOD is set, so MONPROF_CALLS_RATE says nothing");
	if (kinds == 0 || (period == 0 && rate_ppm == 0))
		return CALLS_OFF;
	if (period > 1)
		return CALLS_PERIOD;
	return period == 1 || rate_ppm >= PPM ? CALLS_ALWAYS : CALLS_WINDOWS;
}

static uint32_t wanted_events(uint64_t kinds)
{
	const uint32_t begins = 1u << MONITORING_PY_START | 1u << MONITORING_PY_RESUME |
				1u << MONITORING_PY_THROW;
	const uint32_t ends = 1u << MONITORING_PY_RETURN | 1u << MONITORING_PY_YIELD |
			      1u << MONITORING_PY_UNWIND;
	/* CALL brings C_RETURN and C_RAISE with it. */
	return (kinds & 1 ? begins | (calls.mode == CALLS_PERIOD ? 0 : ends) : 0) |
	       (kinds & 2 ? 1u << MONITORING_CALL : 0);
}

static bool trees_begin(void)
{
	/* For windows our thread has more of them before the first one. */
	uint32_t wanted = calls.mode == CALLS_ALWAYS ? TREES_SPARE_ALWAYS : 1;

	while (wanted && calls_tree_add())
		wanted--;
	return atomic_load(&calls.tree_count) > 0;
}

/* From here on, in this process. */
static void plan_begin(void)
{
	calls_plan.random = os_random() | 1;
	calls_plan.start_ns = calls_plan.last_end_ns = os_monotonic_ns();
	calls_plan.planned_ns = calls_plan.paused_ns = 0;
	calls_plan.cost_ns = calls_plan.switching_ns = 0;
	calls_plan.windows = calls_plan.lost = 0;
	calls_plan.is_asked = calls_plan.is_closed = false;
	calls_plan.planned_weight_ns = 0;
	for (unsigned of = 0; of < CALLTREE_EVENTS; of++)
		calls_plan.events[of] = 0;
	atomic_store(&calls.missed, 0);
	calls_plan.observed_cpu_ns = calls_plan.doubted_ns = 0;
	calls_plan.slowness = 1;
	calls_plan.weight = 1;
	calls_plan.pass_ns = CALLS_PASS_NS;
	calls_plan.rate_ppm = calls_plan.wanted_ppm;
	/* Longer windows where there would be too many of them. */
	if (calls_plan.rate_ppm * NS_PER_S / PPM / calls_plan.window_ns > WINDOWS_PER_S_MOST)
		calls_plan.window_ns = calls_plan.rate_ppm * NS_PER_S / PPM / WINDOWS_PER_S_MOST;
	calls_next(calls_plan.start_ns);
	if (calls.mode == CALLS_PERIOD)
		calls_period_begin(option_number(OPTION_CALLS_PERIOD));
	calls_renew(calls_plan.start_ns);
	if (calls.mode != CALLS_WINDOWS)
		calls_observe(&calls.interpreters[CALLS_MAIN]);
}

/* What was observed and not yet written is the parent's. */
static void calls_after_fork(void)
{
	struct calls_interpreter *main = &calls.interpreters[CALLS_MAIN];
	uint32_t count = atomic_load(&calls.tree_count);

	if (calls.mode == CALLS_OFF)
		return;
	monitoring_after_fork();
	if (main->tool.events)
		monitoring_set(&main->tool, 0);
	for (unsigned i = 0; i < calls_interpreters_used(); i++) {
		if (i != CALLS_MAIN)
			atomic_store(&calls.interpreters[i].is_known, false);
		calls_shut(&calls.interpreters[i]);
		atomic_store(&calls.interpreters[i].state, CALLS_NONE);
	}
	atomic_store(&calls.is_stopped, false);
	atomic_store(&calls.has_lost, false);
	atomic_store(&calls.drainer, 0);
	atomic_store(&calls.drainer_earlier_ns, 0);
	for (uint32_t i = 0; i < count; i++) {
		if (atomic_load(&calls_tree_at(i)->state) != CALLS_TREE_FREE)
			calls_tree_give(calls_tree_at(i));
	}
	plan_begin();
}

static void calls_thread_begin(struct thread *thread)
{
	struct calls_thread *own = thread_own(thread, COLLECTOR_calls);

	*own = (struct calls_thread){ 0 };
}

/* ---- windows, in the drainer ---- */

static void calls_drainer_begin(bool own_descriptors)
{
	(void)own_descriptors;
	atomic_store(&calls.drainer, os_gettid());
}

static void calls_drainer_end(void)
{
	atomic_store(&calls.drainer, 0);
	atomic_fetch_add(&calls.drainer_earlier_ns, os_thread_cpu_ns());
}

static void calls_pass(uint64_t time_ns)
{
	if (calls.mode != CALLS_OFF)
		calls_losses_say();
	if (calls.mode == CALLS_OFF || atomic_load(&calls.is_stopped))
		return;
	if (calls.mode != CALLS_PERIOD)
		trees_stock();
	/* A pass costs what thousands of events do: where nothing was to be written, the next comes later. */
	if (calls_plan.pass_ns < PASS_MOST_NS)
		calls_plan.pass_ns *= 2;
	calls_plan.is_to_check = calls.mode != CALLS_WINDOWS && time_ns >= calls_plan.next_ns;
	if (calls_plan.is_to_check)
		calls_plan.next_ns = time_ns + CHECK_NS;
	if (calls.mode != CALLS_WINDOWS)
		return;
	if (calls_plan.is_asked)
		window_watch();
	else if (time_ns >= calls_plan.next_ns)
		window_ask(time_ns);
}

/* Once each; of those that have ended, too. */
void calls_losses_say(void)
{
	bool is_other = atomic_load(&calls.has_lost);

	for (unsigned i = 0; i < calls_interpreters_used(); i++)
		is_other |= i != CALLS_MAIN && is_lost(&calls.interpreters[i]);
	if (!calls_plan.has_said && is_lost(&calls.interpreters[CALLS_MAIN])) {
		calls_plan.has_said = true;
		log_line("calls: the program took sys.monitoring's tool id: "
			 "calls are no longer counted");
	}
	if (!calls_plan.has_said_other && is_other) {
		calls_plan.has_said_other = true;
		log_line("calls: the program took sys.monitoring's tool id in a sub-interpreter: "
			 "calls are no longer counted there");
	}
}

static bool is_lost(const struct calls_interpreter *one)
{
	return atomic_load(&one->is_known) && atomic_load(&one->is_lost);
}

static void window_ask(uint64_t time_ns)
{
	bool is_asked = false;

	calls_plan.number = atomic_fetch_add(&calls.number, 1) + 1;
	calls_plan.begun_ns = time_ns;
	calls_plan.rarity = calls_plan.next_rarity;
	calls_plan.end_seen_ticks = 0;
	atomic_store(&calls.begun_cpu_ns, 0);
	for (unsigned i = 0; i < calls_interpreters_used(); i++) {
		if (!is_free(&calls.interpreters[i]))
			continue;
		interpreter_ask(&calls.interpreters[i], time_ns);
		is_asked = true;
	}
	/* Others may still be in an earlier one. */
	atomic_store(&calls.asked_ns, time_ns);
	atomic_store(&calls.asked_ticks, ticks_now());
	atomic_store_explicit(&calls.asked, calls_plan.number, memory_order_release);
	calls_plan.is_asked = is_asked;
	calls_plan.is_closed = false;
	calls_plan.changes += is_asked ? 2 : 0;
}

/* It may be asked for a window: nothing of an earlier one is still going on there. */
static bool is_free(const struct calls_interpreter *one)
{
	return has_tool(one) &&
	       atomic_load_explicit(&one->state, memory_order_acquire) == CALLS_NONE;
}

static bool has_tool(const struct calls_interpreter *one)
{
	return atomic_load(&one->is_known) && !atomic_load(&one->is_lost);
}

static void interpreter_ask(struct calls_interpreter *one, uint64_t time_ns)
{
	uint32_t asked = CALLS_ASKED;

	one->begun_ns = time_ns;
	one->planned_ticks = ticks_from_ns(calls_plan.window_ns);
	for (unsigned of = 0; of < CALLTREE_EVENTS; of++)
		one->cost_ticks[of] = calls.cost_ticks[of];
	one->slowness_taken = calls_plan.slowness;
	atomic_store(&one->begun_ticks, 0);
	one->opening_ticks = one->opening_cpu_ns = one->carried_ticks = 0;
	one->is_cut = false;
	one->events_left = option_number(OPTION_CALLS_BURST);
	one->closer = NULL;
	atomic_store(&one->window, calls_window_number(calls_plan.number, one));
	/* Pairs with the burst's look at it. */
	atomic_store(&one->state, CALLS_ASKED);
	/* Has it ended meanwhile, and saw nothing to do? Pairs with calls_interpreter_end. */
	if (!atomic_load(&one->is_known))
		atomic_compare_exchange_strong(&one->state, &asked, CALLS_NONE);
}

bool calls_takes_part(const struct calls_interpreter *one)
{
	return calls_plan.is_asked &&
	       atomic_load(&one->window) == calls_window_number(calls_plan.number, one) &&
	       atomic_load_explicit(&one->state, memory_order_acquire) != CALLS_NONE;
}

bool calls_is_part(const struct calls_interpreter *one)
{
	return calls_takes_part(one) &&
	       atomic_load_explicit(&one->state, memory_order_acquire) == CALLS_OVER;
}

/* As far as is known now. */
static uint64_t window_end_ticks(const struct calls_interpreter *one)
{
	return atomic_load_explicit(&one->state, memory_order_acquire) == CALLS_ASKED ?
		       atomic_load(&one->begun_ticks) + one->planned_ticks :
		       atomic_load_explicit(&one->end_ticks, memory_order_relaxed);
}

/* Nobody has closed it yet: perhaps nobody runs. What is used from now on is not the window's. */
static void window_watch(void)
{
	uint64_t now = ticks_now(), end_ticks = 0;

	for (unsigned i = 0; i < calls_interpreters_used(); i++) {
		const struct calls_interpreter *one = &calls.interpreters[i];
		uint64_t ticks = calls_takes_part(one) ? window_end_ticks(one) : 0;

		end_ticks = ticks > end_ticks ? ticks : end_ticks;
	}
	if (now >= end_ticks && !calls_plan.end_seen_ticks) {
		calls_plan.end_cpu_ns = calls_cpu_ns();
		/* If our thread has lost its processor meanwhile, nobody knows of when that is. */
		if (ticks_now() - now < ticks_from_ns(LOOK_NS))
			calls_plan.end_seen_ticks = now;
	}
	if (calls_plan.end_seen_ticks && !calls_plan.is_closed && is_passed_by())
		calls_window_drop();
}

/*
 * Nobody who was asked has answered, and an interpreter was not asked: it was still in an earlier window, or has
 * come since.  It may be the one that runs, and those that were asked wait for it; then there would be no window
 * until it has ended, and the time that it has run would be taken for quiet.
 */
static bool is_passed_by(void)
{
	bool is_any = false;

	for (unsigned i = 0; i < calls_interpreters_used(); i++) {
		const struct calls_interpreter *one = &calls.interpreters[i];
		uint32_t state = atomic_load_explicit(&one->state, memory_order_acquire);

		if (calls_is_part(one))
			return false;
		is_any |= has_tool(one) && !calls_takes_part(one) &&
			  (state == CALLS_NONE || state == CALLS_OVER);
	}
	return is_any;
}

void calls_window_drop(void)
{
	for (uint32_t i = 0; i < atomic_load(&calls.tree_count); i++) {
		struct calltree *tree = calls_tree_at(i);

		if (calls_is_used_in(tree, calls_interpreter_of(atomic_load(&tree->owner))) &&
		    calls_is_part(calls_interpreter_of(atomic_load(&tree->owner))))
			calls_tree_give(tree);
	}
	for (unsigned i = 0; i < calls_interpreters_used(); i++) {
		if (calls_takes_part(&calls.interpreters[i]))
			calls_plan.windows_at[i] = calls_plan.windows;
	}
	calls_plan.is_asked = false;
	calls_next(os_monotonic_ns());
}

/* A tree for every thread that may want one, before it does. */
static void trees_stock(void)
{
	uint32_t wanted = calls.mode == CALLS_ALWAYS ? TREES_SPARE_ALWAYS : TREES_SPARE;
	uint32_t count = atomic_load(&calls.tree_count);
	struct thread *thread = NULL;

	/* In a short window few threads get the GIL. */
	while ((calls.mode == CALLS_ALWAYS || wanted < TREES_WANTED_MOST) &&
	       (thread = thread_next(thread)))
		wanted++;
	for (uint32_t i = 0; i < count; i++)
		wanted -= wanted && atomic_load(&calls_tree_at(i)->state) == CALLS_TREE_FREE;
	while (wanted-- && calls_tree_add())
		;
}

static uint64_t calls_due_ns(void)
{
	bool is_any = false;
	uint64_t now_ns, due_ns;

	if (calls.mode == CALLS_OFF || atomic_load(&calls.is_stopped))
		return UINT64_MAX;
	for (unsigned i = 0; i < calls_interpreters_used(); i++)
		is_any |= calls.mode != CALLS_WINDOWS ? has_tool(&calls.interpreters[i]) :
							is_free(&calls.interpreters[i]);
	if (!is_any && !calls_plan.is_asked)
		return UINT64_MAX;
	now_ns = os_monotonic_ns();
	if (calls.mode == CALLS_ALWAYS)
		return now_ns + calls_plan.pass_ns;
	if (!calls_plan.is_asked || calls_plan.is_closed)
		return calls_plan.next_ns;
	/* To see its end, later where events made it longer; to close it, if nobody does; and then, ever more rarely,
	   to see who runs that was not asked. */
	due_ns = calls_plan.begun_ns + calls_plan.window_ns;
	if (calls_plan.end_seen_ticks)
		due_ns += LATE_NS;
	else if (due_ns <= now_ns)
		due_ns = now_ns + calls_plan.window_ns / 4;
	return due_ns > now_ns ? due_ns : now_ns + (now_ns - calls_plan.begun_ns);
}

/* The window begins with the request, not with the answer: in between nobody passes a call. */
static void calls_burst_asked(unsigned interpreter)
{
	struct calls_interpreter *one = &calls.interpreters[interpreter];

	if (calls_takes_part(one))
		calls_window_stamp(one);
}

static bool calls_wants_burst(unsigned interpreter)
{
	const struct calls_interpreter *one = &calls.interpreters[interpreter];
	uint32_t state = atomic_load(&one->state);

	if (calls.mode != CALLS_WINDOWS)
		return calls_plan.is_to_check && has_tool(one);
	return state == CALLS_ASKED ||
	       (state == CALLS_OPEN &&
		ticks_now() > window_end_ticks(one) + ticks_from_ns(LATE_NS));
}

static uint64_t calls_holds_ns(void)
{
	uint64_t oldest_ns = UINT64_MAX;

	for (uint32_t i = 0; i < atomic_load(&calls.tree_count); i++) {
		const struct calltree *tree = calls_tree_at(i);

		if (atomic_load_explicit(&tree->state, memory_order_acquire) > CALLS_TREE_FREE &&
		    tree->begun_ns < oldest_ns)
			oldest_ns = tree->begun_ns;
	}
	return oldest_ns;
}

/* ---- cost, stop ---- */

static uint64_t calls_cost_ns(void)
{
	uint64_t ticks = 0;

	if (calls.mode == CALLS_PERIOD)
		calls_period_events(calls_plan.events);
	for (unsigned of = 0; of < CALLTREE_EVENTS; of++)
		ticks += calls_plan.events[of] * calls.cost_ticks[of];
	return ticks_to_ns(ticks) + calls_plan.switching_ns;
}

/* Each window stands for more time than at the full rate. Always is exact, and stays so. */
static bool calls_rate(double factor)
{
	if (calls.mode != CALLS_WINDOWS || collector_keeps(OPTION_CALLS_RATE))
		return false;
	calls_plan.rate_ppm = (uint64_t)((double)calls_plan.wanted_ppm * factor) | 1;
	return true;
}

static uint64_t calls_remainder(enum metric metric, uint64_t own_ns)
{
	(void)own_ns;
	return calls.mode == CALLS_PERIOD && metric == METRIC_calls_calls ? calls_period_rest() : 0;
}

static void calls_stop(void)
{
	atomic_store(&calls.is_stopped, true);
	for (unsigned i = 0; i < calls_interpreters_used(); i++)
		calls_shut(&calls.interpreters[i]);
}

static void calls_leave(void)
{
	calls_stop();
	if (calls.mode != CALLS_OFF)
		monitoring_release(&calls.interpreters[CALLS_MAIN].tool);
}
