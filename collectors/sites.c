/*
 * sites.c - which C function is at the leaf: sys.monitoring's CALL event (PEP 669), which each call site of
 * the program raises for its first few calls and then never again.
 *
 *   CALL ---> callee.h: who is called ---> site.h: from where ---> DISABLE, once that is known
 *
 * A site that is switched off runs as if it had never been watched, so names cost nothing once they are
 * learnt; a stack walk looks them up.  The first few calls, not the first alone: a site with several callees
 * is to be known as one.  A Python callee has frames of its own.  Only code of the main interpreter tells.
 */
#include "collector.h"

#define DISPATCH_NS 60 /* CPython's part of one event, and a call that is not specialised yet */
#define EVENT_MOST_NS 20000 /* what took longer has waited for a processor meanwhile */
/* Somebody switches events on again and again (restart_events), or makes ever new code: no more names when that
   costs more than this share of the program's CPU time. */
#define OWN_SHARE 20
#define OWN_LEAST_NS UINT64_C(200000000)
#define LOOK_NS UINT64_C(1000000000) /* is the tool id still ours? */

static errmsg sites_start(void);
static void sites_pass(uint64_t time_ns);
static bool sites_wants_burst(unsigned interpreter);
static bool is_too_dear(void);
static void sites_burst(unsigned interpreter);
static void sites_flush(uint64_t time_ns, collector_note *note);
static uint64_t sites_cost_ns(void);
static void sites_stop(void);
static void sites_after_fork(void);
static void sites_leave(void);

const struct collector_hooks sites_collector = {
	.start = sites_start,
	.pass = sites_pass,
	.wants_burst = sites_wants_burst,
	.burst = sites_burst,
	.flush = sites_flush,
	.cost_ns = sites_cost_ns,
	.stop = sites_stop,
	.after_fork = sites_after_fork,
	.leave = sites_leave,
};

static struct {
	struct monitoring tool;
	_Atomic uint64_t events, own_ns; /* since the process began */
	_Atomic bool is_stopped;
	_Atomic bool is_lost; /* the tool id went */
	_Atomic bool is_dear; /* it has cost too much */
	_Atomic bool is_to_look; /* after the tool id */
	uint64_t next_look_ns; /* the drainer's */
	bool has_said; /* that it is lost */
} sites PROF_TOGETHER;

static struct py_object *on_call(struct py_object *self, struct py_object *const *arguments,
				 size_t count, struct py_object *names);
static struct py_object *on_c_return(struct py_object *self, struct py_object *const *arguments,
				     size_t count, struct py_object *names);
static bool tell(struct py_object *code, struct py_object *callable, struct py_object *first);
static void tool_lost(struct monitoring *tool);

static errmsg sites_start(void)
{
	errmsg error = callee_start();

	/* All of C's functions would have one name. */
	if (error)
		return error;
	sites.tool = (struct monitoring){
		.name = "monprof sites",
		.wanted = { 4, 3, 5, -1 },
		.calls = { [MONITORING_CALL] = on_call, [MONITORING_C_RETURN] = on_c_return },
		.lost = tool_lost,
	};
	error = monitoring_claim(&sites.tool);
	if (!error && !monitoring_set(&sites.tool, 1u << MONITORING_CALL))
		error = "CPython refuses events of sys.monitoring";
	return error;
}

static void tool_lost(struct monitoring *tool)
{
	(void)tool;
	atomic_store(&sites.is_lost, true);
}

static struct py_object *on_call(struct py_object *self, struct py_object *const *arguments,
				 size_t count, struct py_object *names)
{
	uint64_t begun_ns, own_ns;
	bool is_enough, is_needed;

	(void)self, (void)names;
	if (atomic_load_explicit(&sites.is_stopped, memory_order_relaxed) ||
	    !monitoring_has(count, 4))
		return monitoring_disable();
	begun_ns = os_monotonic_ns();
	is_needed = monitoring_call_begins(arguments[2]);
	is_enough = tell(arguments[0], arguments[2], arguments[3]) && !is_needed;
	atomic_fetch_add_explicit(&sites.events, 1, memory_order_relaxed);
	own_ns = os_monotonic_ns() - begun_ns;
	if (own_ns > EVENT_MOST_NS)
		own_ns = EVENT_MOST_NS;
	atomic_fetch_add_explicit(&sites.own_ns, own_ns + DISPATCH_NS, memory_order_relaxed);
	return is_enough ? monitoring_disable() : py._Py_NoneStruct;
}

static struct py_object *on_c_return(struct py_object *self, struct py_object *const *arguments,
				     size_t count, struct py_object *names)
{
	(void)self, (void)arguments, (void)count, (void)names;
	return monitoring_call_ends();
}

/* True: the site has told enough. */
static bool tell(struct py_object *code, struct py_object *callable, struct py_object *first)
{
	uint64_t key = callee_key(callable, first);
	struct frames_link at;

	/* Some extensions raise events of their own for code objects without a frame. */
	if (!key || !frames_top(&at) || at.code != (uintptr_t)code)
		return true;
	return site_add(at.code, at.instruction, callee_find(key, callable, first));
}

/* What is learnt stays. */
static void sites_pass(uint64_t time_ns)
{
	if (time_ns >= sites.next_look_ns) {
		sites.next_look_ns = time_ns + LOOK_NS;
		atomic_store(&sites.is_to_look, true);
	}
	if (atomic_load(&sites.is_lost) && !sites.has_said) {
		log_line("sites: the program took sys.monitoring's tool id: "
			 "no more C functions get their names");
		sites.has_said = true;
	}
}

static bool sites_wants_burst(unsigned interpreter)
{
	return interpreter == RECORD_FIRST && !atomic_load(&sites.is_lost) &&
	       !atomic_load(&sites.is_dear) && (atomic_load(&sites.is_to_look) || is_too_dear());
}

static bool is_too_dear(void)
{
	uint64_t own_ns = sites_cost_ns();

	return own_ns > OWN_LEAST_NS && own_ns > os_process_cpu_ns() / OWN_SHARE;
}

static void sites_burst(unsigned interpreter)
{
	if (!sites_wants_burst(interpreter))
		return;
	if (atomic_exchange(&sites.is_to_look, false) && !monitoring_holds(&sites.tool))
		atomic_store(&sites.is_lost, true);
	if (atomic_load(&sites.is_lost) || !is_too_dear())
		return;
	if (monitoring_set(&sites.tool, 0))
		atomic_store(&sites.is_dear, true);
	else
		atomic_store(&sites.is_lost, true);
}

static void sites_flush(uint64_t time_ns, collector_note *note)
{
	char text[24];

	(void)time_ns;
	note("sites.state", atomic_load(&sites.is_lost) ? "lost its tool id" :
			    atomic_load(&sites.is_dear) ? "off: it cost too much" :
							  "on");
	log_format(text, sizeof(text), "%llu", (unsigned long long)atomic_load(&sites.events));
	note("sites.events", text);
	log_format(text, sizeof(text), "%llu", (unsigned long long)site_lost());
	note("sites.lost", text);
}

static uint64_t sites_cost_ns(void)
{
	return atomic_load(&sites.own_ns);
}

static void sites_stop(void)
{
	atomic_store(&sites.is_stopped, true);
}

/* Sites that told the parent tell no more: the child goes on with what is known. */
static void sites_after_fork(void)
{
	atomic_store(&sites.is_stopped, false);
	site_after_fork();
	monitoring_after_fork();
	atomic_store(&sites.events, 0);
	atomic_store(&sites.own_ns, 0);
}

static void sites_leave(void)
{
	sites_stop();
	monitoring_release(&sites.tool);
}
