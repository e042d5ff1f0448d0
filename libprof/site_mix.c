/*
 * site_mix.c - what is known of each mix, and when that is enough.
 *
 * A window of observation shows the calls that begin in it, each with its whole length: windows lie at
 * random, so each call has the same chance.  Calls of one window belong together, so what is sure follows
 * from how windows differ (a ratio of sums over clusters; Cochran, Sampling Techniques, 1977, 6.4).
 *
 *   known well enough    the standard error of each share is at most half of the five points that readers
 *                        may rely on, over ten windows at least; each callee was seen in five, since of one
 *                        that was not nobody knows how long it takes; the ends of nearly all calls were seen
 *   always observed      there is no such error: a hundred calls will do
 *
 * Samples go whole to the callee that is furthest behind its share of all that was divided so far: sums
 * converge on the mix, also when it changes.
 */
#include "site_mix.h"

#include "os.h"

#include <limits.h>
#include <stdatomic.h>

#define MIXES 4096
#define CALL_NS 30 /* the interpreter's part of each call, on the same instruction */
#define WINDOWS_LEAST 10
#define SEEN_LEAST 5
#define ERROR_MOST 0.025
#define CALLS_LEAST 100
#define MISSED_SHARE 16 /* one in so many ends */
#define EXACT_CALLS 64 /* after so many calls, or one so long, what is known is told anew */
#define EXACT_NS 100000
#define WHOLE (SITE_IDS - 1)

struct part {
	uint64_t calls, ends;
	uint64_t window_ns; /* in this window */
	uint32_t windows; /* that it was seen in */
	double ns, squares,
		products; /* over windows: its time, that squared, times all callees' time */
};

struct mix {
	/* under the sites' lock */
	_Atomic uint64_t made_ns; /* whose it is: CLOCK_MONOTONIC */
	uint32_t next; /* free */

	/* the callbacks' */
	unsigned callees; /* 0: some are not told apart */
	uint32_t window, windows;
	uint32_t untold; /* calls */
	double squares; /* of all callees' time in a window */
	struct part parts[SITE_CALLEES];
	_Atomic uint64_t shares; /* of WHOLE, by place as in site.h; 0: not known well enough */

	/* the drainer's */
	uint64_t divided_for_ns; /* whose samples these were */
	double divided, given[SITE_CALLEES];
};

static struct {
	bool is_on, is_exact; /* written at start */
	struct mix *_Atomic mixes; /* the first stands for none */
	uint32_t used; /* from the front */
	uint32_t free; /* the first of those given back */
} state;

static struct mix *mix_at(uint32_t mix);
static void window_close(struct mix *mix);
static void tell(struct mix *mix);
static bool is_known(const struct mix *mix, double all_ns);
static bool is_sure(const struct mix *mix, const struct part *part, double all_ns);

void site_mix_start(bool is_exact)
{
	state.is_on = true;
	state.is_exact = is_exact;
}

uint32_t site_mix_take(unsigned callees)
{
	uint32_t taken = state.free;
	struct mix *mix;

	if (!state.is_on || (!taken && state.used == MIXES))
		return 0;
	if (!atomic_load_explicit(&state.mixes, memory_order_relaxed)) {
		state.used = 1;
		atomic_store_explicit(&state.mixes, os_pages_map(MIXES * sizeof(*mix)),
				      memory_order_release);
	}
	if (!atomic_load_explicit(&state.mixes, memory_order_relaxed))
		return 0;
	if (!taken)
		taken = state.used++;
	mix = mix_at(taken);
	state.free = state.free ? mix->next : 0;
	mix->callees = callees;
	mix->window = mix->windows = mix->untold = 0;
	mix->squares = 0;
	for (unsigned i = 0; i < SITE_CALLEES; i++)
		mix->parts[i] = (struct part){ 0 };
	atomic_store_explicit(&mix->shares, 0, memory_order_relaxed);
	/* Pairs with the drainer's look at whose it is. */
	atomic_store_explicit(&mix->made_ns, os_monotonic_ns(), memory_order_release);
	return taken;
}

void site_mix_widen(uint32_t at, unsigned callees)
{
	struct mix *mix = mix_at(at);

	mix->callees = callees;
	atomic_store_explicit(&mix->shares, 0, memory_order_relaxed);
}

void site_mix_drop(uint32_t at)
{
	struct mix *mix = mix_at(at);

	atomic_store_explicit(&mix->made_ns, UINT64_MAX, memory_order_relaxed);
	mix->next = state.free;
	state.free = at;
}

void site_mix_call(uint32_t at, unsigned place, uint32_t window)
{
	struct mix *mix = mix_at(at);

	if (mix->window != window && !state.is_exact) {
		window_close(mix);
		tell(mix);
	}
	mix->window = window;
	mix->parts[place].calls++;
}

void site_mix_end(uint32_t at, unsigned place, uint64_t own_ns)
{
	struct mix *mix = mix_at(at);

	mix->parts[place].ends++;
	mix->parts[place].window_ns += own_ns + CALL_NS;
	if (!state.is_exact || (++mix->untold < EXACT_CALLS && own_ns < EXACT_NS))
		return;
	mix->untold = 0;
	window_close(mix);
	tell(mix);
}

unsigned site_mix_choose(uint32_t at, uint64_t time_ns, uint64_t value)
{
	struct mix *mix = mix_at(at);
	uint64_t made_ns = atomic_load_explicit(&mix->made_ns, memory_order_acquire);
	uint64_t shares = atomic_load_explicit(&mix->shares, memory_order_relaxed);
	unsigned chosen = 0;
	double most = 0;

	/* Of a site of before, whose place another one has now? */
	if (made_ns > time_ns || !shares)
		return UINT_MAX;
	if (mix->divided_for_ns != made_ns) {
		mix->divided_for_ns = made_ns;
		mix->divided = 0;
		for (unsigned i = 0; i < SITE_CALLEES; i++)
			mix->given[i] = 0;
	}
	mix->divided += (double)value;
	for (unsigned i = 0; i < SITE_CALLEES; i++, shares /= SITE_IDS) {
		double owed = (double)(shares % SITE_IDS) / WHOLE * mix->divided - mix->given[i];

		if (owed <= most)
			continue;
		most = owed;
		chosen = i;
	}
	mix->given[chosen] += (double)value;
	return chosen;
}

void site_mix_after_fork(bool is_whole)
{
	struct mix *mixes = atomic_load(&state.mixes);

	for (uint32_t i = 1; i < state.used && is_whole; i++)
		mixes[i].divided_for_ns = 0;
	if (is_whole)
		return;
	atomic_store(&state.mixes, NULL);
	state.used = state.free = 0;
}

static struct mix *mix_at(uint32_t mix)
{
	return &atomic_load_explicit(&state.mixes, memory_order_acquire)[mix];
}

static void window_close(struct mix *mix)
{
	double all_ns = 0;

	for (unsigned i = 0; i < SITE_CALLEES; i++)
		all_ns += (double)mix->parts[i].window_ns;
	mix->windows += all_ns > 0;
	mix->squares += all_ns * all_ns;
	for (unsigned i = 0; i < SITE_CALLEES; i++) {
		struct part *part = &mix->parts[i];
		double ns = (double)part->window_ns;

		part->ns += ns;
		part->squares += ns * ns;
		part->products += ns * all_ns;
		part->windows += ns > 0;
		part->window_ns = 0;
	}
}

static void tell(struct mix *mix)
{
	uint64_t shares = 0;
	double all_ns = 0;

	for (unsigned i = 0; i < SITE_CALLEES; i++)
		all_ns += mix->parts[i].ns;
	for (unsigned i = SITE_CALLEES; i-- > 0 && is_known(mix, all_ns);)
		shares = shares * SITE_IDS + (uint64_t)(mix->parts[i].ns / all_ns * WHOLE);
	atomic_store_explicit(&mix->shares, shares, memory_order_relaxed);
}

static bool is_known(const struct mix *mix, double all_ns)
{
	uint64_t ends = 0;

	for (unsigned i = 0; i < mix->callees; i++) {
		const struct part *part = &mix->parts[i];

		ends += part->ends;
		if ((part->calls - part->ends) * MISSED_SHARE > part->calls ||
		    !(state.is_exact || is_sure(mix, part, all_ns)))
			return false;
	}
	return mix->callees && all_ns > 0 &&
	       (state.is_exact ? ends >= CALLS_LEAST : mix->windows >= WINDOWS_LEAST);
}

/* Is its share, as far as windows tell? */
static bool is_sure(const struct mix *mix, const struct part *part, double all_ns)
{
	double share = part->ns / all_ns, n = mix->windows;
	double off = part->squares - 2 * share * part->products + share * share * mix->squares;

	return part->windows >= SEEN_LEAST &&
	       off * n / (n - 1) <= ERROR_MOST * ERROR_MOST * all_ns * all_ns;
}
