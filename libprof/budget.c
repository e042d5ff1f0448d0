/*
 * budget.c - the cost of a stretch of time, and what follows from it.
 */
#include "budget.h"

#include "running.h"

#define PPM 1000000
#define PERCENT_HUNDREDTHS 10000
#define STRETCH_NS UINT64_C(500000000) /* of the program's time: shorter ones say little */
#define SAYS_AFTER_NS \
	UINT64_C(10000000000) /* of the program's time: a start costs more than what follows */
#define SLEEPING 10 /* a program that uses less than one part in so many of the time */
#define SMOOTHING 4 /* stretches */
#define FACTOR_LEAST (1.0 / 64)

/* Since the session began. */
struct budget_cost {
	uint64_t own_ns;
	uint64_t kept_ns; /* of that: events, and exports, that no lower rate would spare */
	uint64_t program_ns; /* CPU time of the process, or what stands for it */
};

/* What a recording says of it; since the session began. */
struct budget_noted {
	uint64_t own_ns, kernel_ns, used_ns;
};

static struct {
	uint64_t start_ns, start_cpu_ns;
	struct budget_cost before; /* at the begin of the stretch */
	struct budget_noted last, earlier; /* earlier: in recordings that are complete */
	struct budget_rate rate;
	double least; /* factor so far, in this recording */
	bool has_said;
} budget PROF_TOGETHER;

static void note_all(collector_note *note);
static void note_number(collector_note *note, const char *key, uint64_t number);
static void follow(const struct budget_cost *now);
static void say(const struct budget_cost *now, errmsg why);

void budget_begin(void)
{
	budget.start_ns = os_monotonic_ns();
	budget.start_cpu_ns = os_process_cpu_ns();
	budget.before = (struct budget_cost){ 0 };
	budget.last = budget.earlier = (struct budget_noted){ 0 };
	budget.rate = (struct budget_rate){ 0, 0 };
	budget.least = 1;
	budget.has_said = false;
}

void budget_flush(uint64_t time_ns, const struct budget_own *own, collector_note *note)
{
	uint64_t used_ns = os_process_cpu_ns() - budget.start_cpu_ns;
	uint64_t least_ns = (time_ns - budget.start_ns) / SLEEPING;
	struct budget_cost now = { .program_ns = used_ns > least_ns ? used_ns : least_ns };
	struct threads_sums sums;

	threads_sum(&sums);
	now.own_ns = sums.own_ns + own->kernel_ns + own->thread_ns;
	now.kept_ns = running_kept_cost_ns() + own->export_ns;
	if (now.program_ns >= budget.before.program_ns + STRETCH_NS)
		follow(&now);
	budget.last = (struct budget_noted){ now.own_ns, own->kernel_ns, used_ns };
	note_all(note);
}

void budget_renew(void)
{
	budget.earlier = budget.last;
	budget.least = budget.rate.factor > 0 ? budget.rate.factor : 1;
}

static void note_all(collector_note *note)
{
	uint64_t used_ns = budget.last.used_ns - budget.earlier.used_ns;
	uint64_t own_ns = budget.last.own_ns - budget.earlier.own_ns;
	uint64_t share = own_ns * PERCENT_HUNDREDTHS / (used_ns | 1);
	char text[32];

	note_number(note, "own.kernel_ns", budget.last.kernel_ns - budget.earlier.kernel_ns);
	log_format(text, sizeof(text), "%llu.%02llu%%", (unsigned long long)share / 100,
		   (unsigned long long)share % 100);
	note("own.share_of_cpu", text);
	note_number(note, "process.cpu_ns", used_ns);
	note_number(note, "budget.least_rate_ppm", (uint64_t)(budget.least * PPM));
}

static void note_number(collector_note *note, const char *key, uint64_t number)
{
	char text[32];

	log_format(text, sizeof(text), "%llu", (unsigned long long)number);
	note(key, text);
}

/* Rates as the stretch that ends now says. */
static void follow(const struct budget_cost *now)
{
	double budget_ns = (double)(now->program_ns - budget.before.program_ns) *
			   (double)option_number(OPTION_BUDGET) / PPM;
	uint64_t spent_ns = now->own_ns - budget.before.own_ns;
	uint64_t kept_ns = now->kept_ns - budget.before.kept_ns;
	/* Whoever wants all calls does not want fewer samples for it. */
	uint64_t ours_ns = spent_ns > kept_ns ? spent_ns - kept_ns : 0;
	double factor = budget_next(&budget.rate, (double)ours_ns / budget_ns);
	bool is_followed = running_rate(factor);

	if (is_followed && factor < budget.least)
		budget.least = factor;
	budget.before = *now;
	if (!is_followed)
		say(now, option_value(OPTION_BUDGET)->given ?
				 "the rate that was set is kept" :
				 "a rate that was set is lowered only if the budget is set, too");
	else if (factor <= FACTOR_LEAST)
		say(now, "rates can go no lower");
}

/*
 * Cost at full rates: what does not depend on rates looks larger in it the lower they are, and so they go down
 * until the sum fits.
 */
double budget_next(struct budget_rate *rate, double spent)
{
	double factor = rate->factor > 0 ? rate->factor : 1;

	rate->cost += (spent / factor - rate->cost) / SMOOTHING;
	rate->factor = rate->cost > 1 ? 1 / rate->cost : 1;
	if (rate->factor < FACTOR_LEAST)
		rate->factor = FACTOR_LEAST;
	return rate->factor;
}

/* Once: nothing goes down any more, and still it is more. */
static void say(const struct budget_cost *now, errmsg why)
{
	uint64_t share = now->own_ns * PERCENT_HUNDREDTHS / (now->program_ns | 1);
	char allowed[32];

	if (budget.has_said || now->program_ns < SAYS_AFTER_NS ||
	    (double)now->own_ns * PPM <=
		    (double)now->program_ns * (double)option_number(OPTION_BUDGET))
		return;
	budget.has_said = true;
	option_print(OPTION_BUDGET, option_value(OPTION_BUDGET), allowed, sizeof(allowed));
	log_line("our own cost is %llu.%02llu%% of the program's CPU time, more than "
		 "MONPROF_BUDGET=%s: %s",
		 (unsigned long long)share / 100, (unsigned long long)share % 100, allowed, why);
}
