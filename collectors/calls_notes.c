/*
 * calls_notes.c - what a recording says of the calls in it: how many windows there were, and what a call that was
 * seen in one stands for.
 *
 * The plan's sums go on for as long as the session does. Each recording is told how they have changed since it
 * began: `before`, its begin.
 */
#include "calls.h"

#define PPM 1000000
#define COST_DOUBT \
	0.1 /* of what an event costs: in a program's caches it is more or less than in ours */
#define BUSY_SHARE 0.1 /* of elapsed time, at work */

static void note_windows(collector_note *note, uint64_t elapsed_ns, uint64_t planned_ns);
static void note_scales(collector_note *note, double elapsed_ns);
static void note_scale(collector_note *note, const char *key, double scale);
static void note_number(collector_note *note, const char *key, uint64_t number);
static uint64_t events_sum(void);
static uint64_t lost_sum(void);
static void flushed(void);

void calls_renew(uint64_t time_ns)
{
	calls_plan.before = (struct calls_before){
		.end_ns = calls.mode == CALLS_ALWAYS ? time_ns : calls_plan.last_end_ns,
		.cpu_ns = calls_cpu_ns(),
		.planned_ns = calls_plan.planned_ns,
		.cost_ns = calls_plan.cost_ns,
		.paused_ns = calls_plan.paused_ns,
		.windows = calls_plan.windows,
		.events = events_sum(),
		.lost = lost_sum(),
		.records = calls_period_records(),
		.observed_cpu_ns = calls_plan.observed_cpu_ns,
		.doubted_ns = calls_plan.doubted_ns,
		.planned_weight_ns = calls_plan.planned_weight_ns,
	};
}

void calls_flush(uint64_t time_ns, collector_note *note)
{
	const struct calls_before *before = &calls_plan.before;
	uint64_t records = calls_period_records() - before->records, elapsed_ns;

	if (calls.mode == CALLS_OFF)
		return;
	if (calls.mode == CALLS_PERIOD) {
		note_number(note, "period.calls", option_number(OPTION_CALLS_PERIOD));
		note_number(note, "calls.achieved_period",
			    records ? (events_sum() - before->events) / records : 0);
		/* For the error of totals each is a window of its own. */
		note_number(note, "windows.calls", records);
	} else if (calls.mode == CALLS_ALWAYS) {
		flushed();
		elapsed_ns = time_ns - before->end_ns;
		note_windows(note, elapsed_ns, elapsed_ns);
	} else {
		elapsed_ns = calls_plan.last_end_ns - before->end_ns -
			     (calls_plan.paused_ns - before->paused_ns);
		if (calls_plan.windows > before->windows)
			note_scales(note, (double)elapsed_ns);
		note_windows(note, elapsed_ns, calls_plan.planned_ns - before->planned_ns);
	}
	note_number(note, "calls.events", events_sum() - before->events);
	note_number(note, "calls.lost", lost_sum() - before->lost);
}

static void note_windows(collector_note *note, uint64_t elapsed_ns, uint64_t planned_ns)
{
	note_number(note, "windows.calls", calls_plan.windows - calls_plan.before.windows);
	note_number(note, "calls.observed_ppm", planned_ns / 1000 * PPM / (elapsed_ns / 1000 | 1));
}

/*
 * What counts stand for: by CPU time, but for a program that sleeps nearly all the time, in whose windows our own
 * part is larger than what we want to know, by elapsed time.
 */
static void note_scales(collector_note *note, double elapsed_ns)
{
	const struct calls_before *before = &calls_plan.before;
	double by_time = elapsed_ns / (calls_plan.planned_weight_ns - before->planned_weight_ns);
	double used_ns = (double)calls_cpu_ns() - (double)before->cpu_ns -
			 (double)(calls_plan.cost_ns - before->cost_ns);
	double seen_ns = calls_plan.observed_cpu_ns - before->observed_cpu_ns;
	bool is_busy = used_ns > elapsed_ns * BUSY_SHARE && seen_ns > 0;
	double doubt = COST_DOUBT * (calls_plan.doubted_ns - before->doubted_ns);

	note_scale(note, "scale.calls.time", by_time);
	note_scale(note, "scale.calls.calls", is_busy ? used_ns / seen_ns : by_time);
	note("sizes.calls", is_busy ? "cpu" : "even");
	if (is_busy && doubt / seen_ns * PPM >= 1)
		note_scale(note, "doubt.calls", doubt / seen_ns);
}

static void note_scale(collector_note *note, const char *key, double scale)
{
	char text[48];

	log_format(text, sizeof(text), "%llu.%06llu", (unsigned long long)scale,
		   (unsigned long long)(scale * PPM) % PPM);
	note(key, text);
}

static void note_number(collector_note *note, const char *key, uint64_t number)
{
	char text[24];

	log_format(text, sizeof(text), "%llu", (unsigned long long)number);
	note(key, text);
}

static uint64_t events_sum(void)
{
	uint64_t sum = 0;

	if (calls.mode == CALLS_PERIOD)
		calls_period_events(calls_plan.events);
	for (unsigned of = 0; of < CALLTREE_EVENTS; of++)
		sum += calls_plan.events[of];
	return sum;
}

static uint64_t lost_sum(void)
{
	return calls_plan.lost + atomic_load(&calls.missed);
}

/* Threads go on in a fresh tree at their next event. */
static void flushed(void)
{
	uint32_t number = atomic_fetch_add(&calls.number, 1) + 1;

	for (unsigned i = 0; i < calls_interpreters_used(); i++) {
		struct calls_interpreter *one = &calls.interpreters[i];

		atomic_store(&one->window, calls_window_number(number, one));
		if (atomic_load(&one->state) == CALLS_OPEN)
			calls_open(one);
	}
}
