/*
 * test_sites.c - the collector `sites`: what a CALL event leaves behind and when it is the last one, with an
 * interpreter, clocks and callees that are made up.
 */
#include "collector.h"

#include "site.h"

#include <criterion/criterion.h>
#include <string.h>

#define CODE 0x7000u
#define INSTRUCTION 0x7100u
#define TELLS 16

extern const struct collector_hooks sites_collector;

static struct monitoring *tool;
static errmsg claim_fails, callees_fail;
static bool set_fails, id_is_gone, no_frame;
static uint32_t events_on = 77;
static unsigned sets, looks, releases, lines;
static uint64_t now_ns, cpu_ns, key = 5, event_ns;
static uint32_t id = 3;
static uintptr_t at_code = CODE;
static uint64_t objects[4]; /* None, DISABLE, code's stand-in is an address */
static char state[32], events[32], lost[32];
static const char *line;
static bool switches_events; /* what is called */

errmsg __wrap_monitoring_claim(struct monitoring *claimed);
errmsg __wrap_monitoring_claim(struct monitoring *claimed)
{
	tool = claimed;
	return claim_fails;
}

bool __wrap_monitoring_set(struct monitoring *set, uint32_t wanted);
bool __wrap_monitoring_set(struct monitoring *set, uint32_t wanted)
{
	cr_assert_eq(set, tool);
	events_on = wanted;
	sets++;
	return !set_fails;
}

bool __wrap_monitoring_holds(struct monitoring *held);
bool __wrap_monitoring_holds(struct monitoring *held)
{
	cr_assert_eq(held, tool);
	looks++;
	return !id_is_gone;
}

void __wrap_monitoring_release(struct monitoring *released);
void __wrap_monitoring_release(struct monitoring *released)
{
	cr_assert_eq(released, tool);
	releases++;
}

bool __wrap_monitoring_call_begins(struct py_object *callable);
bool __wrap_monitoring_call_begins(struct py_object *callable)
{
	(void)callable;
	return switches_events;
}

struct py_object *__wrap_monitoring_disable(void);
struct py_object *__wrap_monitoring_disable(void)
{
	return (struct py_object *)&objects[1];
}

errmsg __wrap_callee_start(void);
errmsg __wrap_callee_start(void)
{
	return callees_fail;
}

uint64_t __wrap_callee_key(struct py_object *callable, struct py_object *self);
uint64_t __wrap_callee_key(struct py_object *callable, struct py_object *self)
{
	cr_assert_eq(callable, (struct py_object *)&objects[2]);
	cr_assert_eq(self, (struct py_object *)&objects[3]);
	return key;
}

uint32_t __wrap_callee_find(uint64_t found, struct py_object *callable, struct py_object *self);
uint32_t __wrap_callee_find(uint64_t found, struct py_object *callable, struct py_object *self)
{
	(void)callable, (void)self;
	cr_assert_eq(found, key);
	return id;
}

bool __wrap_frames_top(struct frames_link *link);
bool __wrap_frames_top(struct frames_link *link)
{
	link->code = at_code;
	link->instruction = INSTRUCTION;
	return !no_frame;
}

uint64_t __wrap_os_monotonic_ns(void);
uint64_t __wrap_os_monotonic_ns(void)
{
	return now_ns += event_ns;
}

uint64_t __wrap_os_process_cpu_ns(void);
uint64_t __wrap_os_process_cpu_ns(void)
{
	return cpu_ns;
}

void __wrap_log_line(const char *format, ...);
void __wrap_log_line(const char *format, ...)
{
	line = format;
	lines++;
}

static void take_note(const char *name, const char *value)
{
	static const struct {
		const char *name;
		char *text;
	} notes[] = { { "sites.state", state },
		      { "sites.events", events },
		      { "sites.lost", lost } };

	for (size_t i = 0; i < PROF_COUNT(notes); i++) {
		if (strcmp(name, notes[i].name) == 0)
			memcpy(notes[i].text, value, strlen(value) + 1);
	}
}

static void set_up(void)
{
	py._Py_NoneStruct = (struct py_object *)&objects[0];
	cr_assert_null(sites_collector.start());
}

TestSuite(sites, .init = set_up);

/* The event; true: the site is switched off. */
static bool call(void)
{
	struct py_object *const arguments[] = {
		(struct py_object *)(uintptr_t)CODE,
		NULL,
		(struct py_object *)&objects[2],
		(struct py_object *)&objects[3],
	};
	struct py_object *result = tool->calls[MONITORING_CALL](NULL, arguments, 4, NULL);

	cr_assert(result == (struct py_object *)&objects[0] ||
		  result == (struct py_object *)&objects[1]);
	return result == (struct py_object *)&objects[1];
}

Test(sites, wants_calls_alone_and_no_id_of_a_debugger_or_profiler)
{
	cr_assert_eq(events_on, 1u << MONITORING_CALL);
	cr_assert_eq(memcmp(tool->wanted, (signed char[]){ 4, 3, 5, -1 }, 4), 0);
	for (unsigned i = 0; i < MONITORING_EVENTS; i++)
		cr_assert_eq(tool->calls[i] != NULL,
			     i == MONITORING_CALL || i == MONITORING_C_RETURN);
}

Test(sites, what_cannot_be_had_is_said)
{
	claim_fails = "none is free";
	cr_assert_str_eq(sites_collector.start(), "none is free");
	claim_fails = NULL;
	set_fails = true;
	cr_assert_not_null(sites_collector.start());
	set_fails = false;
	sets = 0;
	callees_fail = "not known";
	cr_assert_str_eq(sites_collector.start(), "not known");
	cr_assert_eq(sets, 0);
}

Test(sites, a_site_tells_some_times)
{
	for (unsigned i = 1; i < TELLS; i++)
		cr_assert_not(call(), "time %u", i);
	cr_assert(call());
	cr_assert_eq(site_find(INSTRUCTION), id);
	sites_collector.flush(0, take_note);
	cr_assert_str_eq(events, "16");
	cr_assert_str_eq(lost, "0");
	cr_assert_str_eq(state, "on");
}

/* What it is to do is done at its C_RETURN. */
Test(sites, a_call_that_switches_events_is_watched_for_ever)
{
	switches_events = true;
	for (unsigned i = 0; i < 3 * TELLS; i++)
		cr_assert_not(call(), "time %u", i);
	cr_assert_eq(site_find(INSTRUCTION), id);
	switches_events = false;
	cr_assert(call());
}

Test(sites, python_is_not_asked_again)
{
	key = 0;
	cr_assert(call());
	cr_assert_eq(site_find(INSTRUCTION), 0);
}

Test(sites, code_without_a_frame_is_not_believed)
{
	at_code = CODE + 16;
	cr_assert(call());
	at_code = CODE;
	no_frame = true;
	cr_assert(call());
	cr_assert_eq(site_find(INSTRUCTION), 0);
}

Test(sites, at_the_end_nothing_is_learnt)
{
	sites_collector.stop();
	cr_assert(call());
	cr_assert_eq(site_find(INSTRUCTION), 0);
}

Test(sites, who_does_not_measure_gives_the_id_back)
{
	sites_collector.leave();
	cr_assert_eq(releases, 1);
	cr_assert(call());
	cr_assert_eq(site_find(INSTRUCTION), 0);
}

/* Each event takes 10 us, and the program 19 times as much, then 21 times. */
Test(sites, when_it_costs_too_much_it_ends)
{
	event_ns = 10000;
	cpu_ns = 19 * 3000 * event_ns;
	for (unsigned i = 0; i < 15000; i++)
		call();
	cr_assert_not(sites_collector.wants_burst(RECORD_FIRST), "0.15 s is nothing yet");
	for (unsigned i = 0; i < 15000; i++)
		call();
	cpu_ns = 21 * 30000 * event_ns;
	cr_assert_not(sites_collector.wants_burst(RECORD_FIRST));
	cpu_ns = 19 * 30000 * event_ns;
	cr_assert(sites_collector.wants_burst(RECORD_FIRST));
	cr_assert_not(sites_collector.wants_burst(RECORD_FIRST + 1), "it is not there");
	sites_collector.burst(RECORD_FIRST);
	cr_assert_eq(events_on, 0);
	cr_assert_not(sites_collector.wants_burst(RECORD_FIRST), "once");
	sites_collector.flush(0, take_note);
	cr_assert_str_eq(state, "off: it cost too much");
	cr_assert_eq(site_find(INSTRUCTION), id, "what is known stays");
	cr_assert_geq(sites_collector.cost_ns(), 30000 * event_ns);
	cr_assert_leq(sites_collector.cost_ns(), 30200 * event_ns);
}

Test(sites, waiting_for_a_processor_is_no_cost)
{
	event_ns = 50000000;
	for (unsigned i = 0; i < 100; i++)
		call();
	cr_assert_geq(sites_collector.cost_ns(), 100 * 20000);
	cr_assert_lt(sites_collector.cost_ns(), 100 * 21000);
}

Test(sites, other_collectors_bursts_are_nothing)
{
	sets = 0;
	sites_collector.burst(RECORD_FIRST);
	cr_assert_eq(sets, 0);
}

Test(sites, once_a_second_it_looks_after_its_id)
{
	const uint64_t second_ns = 1000000000;

	sites_collector.pass(5 * second_ns);
	cr_assert(sites_collector.wants_burst(RECORD_FIRST));
	sites_collector.burst(RECORD_FIRST);
	cr_assert_eq(looks, 1);
	sites_collector.pass(6 * second_ns - 1);
	cr_assert_not(sites_collector.wants_burst(RECORD_FIRST));
	sites_collector.burst(RECORD_FIRST);
	cr_assert_eq(looks, 1);
	sites_collector.pass(6 * second_ns);
	id_is_gone = true;
	sites_collector.burst(RECORD_FIRST);
	cr_assert_eq(looks, 2);
	sites_collector.pass(9 * second_ns);
	cr_assert_eq(lines, 1);
	cr_assert_not(sites_collector.wants_burst(RECORD_FIRST), "it is gone for good");
}

Test(sites, an_id_that_is_gone_when_it_costs_too_much_is_lost)
{
	event_ns = 10000;
	for (unsigned i = 0; i < 30000; i++)
		call();
	set_fails = true;
	cr_assert(sites_collector.wants_burst(RECORD_FIRST));
	sites_collector.burst(RECORD_FIRST);
	sites_collector.flush(0, take_note);
	cr_assert_str_eq(state, "lost its tool id");
}

Test(sites, a_lost_id_is_one_line)
{
	sites_collector.pass(0);
	cr_assert_eq(lines, 0);
	tool->lost(tool);
	for (unsigned i = 0; i < 3; i++)
		sites_collector.pass(0);
	cr_assert_eq(lines, 1);
	cr_assert(strstr(line, "tool id"));
	sites_collector.flush(0, take_note);
	cr_assert_str_eq(state, "lost its tool id");
}

Test(sites, a_child_counts_for_itself_and_knows_what_was_learnt)
{
	call();
	sites_collector.after_fork();
	cr_assert_eq(sites_collector.cost_ns(), 0);
	cr_assert_eq(site_find(INSTRUCTION), id);
	sites_collector.flush(0, take_note);
	cr_assert_str_eq(events, "0");
}
