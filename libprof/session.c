/*
 * session.c - start, stop, exec: the order of things.
 *
 *   event (audit hook) -> start: options, Python's layout and API, signal, threads, collectors, drainer
 *   atexit callback    -> ending: the audit hook is linked again for the last events
 *   main's Clear, _exit, ELF destructor -> end: whoever is first stops the ticks and awaits the drainer
 *   fork               -> session_fork.c
 *
 * What is asked of Python from outside (the drainer, fork's parent side) goes through one pending call
 * and a set of bits that says what for.
 */
#include "session_state.h"

#include "audit.h"
#include "budget.h"
#include "dump.h"
#include "interpreters.h"
#include "monitoring.h"
#include "native.h"
#include "place.h"
#include "place_files.h"
#include "python.h"
#include "record_native.h"
#include "registry.h"
#include "running.h"
#include "symbol.h"
#include "thread_stack.h"
#include "tick_cost.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define QUIET_NS UINT64_C(500000000)
#define VERSION_3_13 0x030d0000u
/* Whose thread makes a pending call, Include/internal/pycore_ceval.h. */
#define QUEUE_OF_ALL 0
#define QUEUE_OF_MAIN 1

struct session session PROF_TOGETHER;

static bool tick(const siginfo_t *info, void *context);
static struct signals_thread *signals_self(void);
static int event(const char *name, struct py_object *arguments, void *data);
static bool starts_here(const char *name, struct py_object *arguments);
static void start(void);
static errmsg start_measuring(void);
static errmsg start_collectors(void);
static uint32_t ring_bytes(void);
static void begin_main(void);
static void adopt_main(void);
static void ending(void);
static bool end_begins(void);
static void end(uint64_t timeout_ns, bool may_start);
static void stop_taking(void);
static bool queue(int (*call)(void *unused), int flags);
static int pending(void *unused);
static int again(void *unused);
static int burst(void *unused);
static void thread_ending(struct thread *thread);
static void last_words(struct thread *thread);
static void drainer_parked(void);
static void drainer_pass(uint64_t time_ns);
static void drainer_flush(uint64_t time_ns, collector_note *note);
static void drainer_renew(uint64_t time_ns);
static bool drainer_alone(void);

const struct signals_hooks session_signals = { tick, signals_self, session_ours };

/* ---- the way in ---- */

void session_listen(void *python)
{
	errmsg error = NULL;
	bool wanted = options_load();

	if (wanted)
		error = pyapi_load(python);
	if (wanted && !error)
		error = audit_add(event);
	if (error)
		log_line("%s", error);
	if (error || !wanted)
		atomic_store(&session.state, OFF);
}

static int event(const char *name, struct py_object *arguments, void *data)
{
	uint32_t state = atomic_load(&session.state);

	(void)data;
	if (strcmp(name, "cpython._PySys_ClearAuditHooks") == 0)
		audit_unlink(); /* CPython would free the entry with the wrong allocator */
	else if (state == NONE && starts_here(name, arguments))
		start();
	else if (state == ENDING && session_ours() &&
		 strcmp(name, "cpython.PyInterpreterState_Clear") == 0)
		interpreters_leave();
	else if (state != RUNNING || !session_ours())
		return 0;
	else if (strcmp(name, "cpython.PyInterpreterState_Clear") != 0)
		interpreters_meet();
	else if (!interpreters_forget())
		end(option_number(OPTION_EXIT_WAIT), true);
	return 0;
}

/*
 * python's own main raises cpython.run_* when all is set up. An embedding program does not: there the
 * first code that is executed, or module imported, from C alone (no Python frame below) is the start,
 * but not the import of site, which belongs to the initialisation.
 */
static bool starts_here(const char *name, struct py_object *arguments)
{
	struct py_object *module;
	const char *text;

	if (strncmp(name, "cpython.run_", strlen("cpython.run_")) == 0)
		return true;
	if (strcmp(name, "exec") != 0 && strcmp(name, "import") != 0)
		return false;
	if (!py.Py_IsInitialized() || py.PyEval_GetFrame())
		return false;
	if (name[0] == 'e')
		return true;
	module = py.PyTuple_GetItem(arguments, 0);
	text = module ? py.PyUnicode_AsUTF8(module) : NULL;
	return text && strcmp(text, "site") != 0;
}

static void start(void)
{
	errmsg error;

	atomic_store(&session.state, STARTING);
	error = start_measuring();
	if (!error)
		error = session_begin();
	if (error) {
		log_line("%s", error);
		atomic_store(&session.state, OFF);
	}
	audit_unlink();
}

static errmsg start_measuring(void)
{
	uint32_t depth = (uint32_t)option_number(OPTION_DEPTH);
	errmsg error = frames_start();

	if (!error)
		error = frames_check();
	if (!error)
		error = interpreters_meet();
	if (error)
		return error;
	record_limit(depth);
	error = native_start();
	if (error)
		log_line("%s", error);
	error = threads_start(ring_bytes(), thread_ending);
	if (!error)
		error = signals_start((int)option_number(OPTION_SIGNAL), &session_signals);
	if (!error)
		begin_main();
	if (!error)
		error = python_register(ending, session_fork_child);
	if (!error)
		error = start_collectors();
	return error;
}

static errmsg start_collectors(void)
{
	static const struct interpreters_hooks hooks = { running_interpreter_begin,
							 running_interpreter_end };
	uint32_t mask = 0;

	for (unsigned row = 0; row < COLLECTOR_COUNT; row++) {
		const struct collector *collector = &registry_collectors[row];
		errmsg error;

		if (!(option_number(OPTION_COLLECT) >> row & 1))
			continue;
		error = collector->hooks->start ? collector->hooks->start() : NULL;
		if (error)
			log_line("%s: %s", collector->name, error);
		else
			mask |= 1u << row;
	}
	running_select(mask);
	interpreters_tell(&hooks);
	return mask ? NULL : "nothing is measured (MONPROF_COLLECT)";
}

static uint32_t ring_bytes(void)
{
	return place_ring_bytes(record_bytes((uint32_t)option_number(OPTION_DEPTH)),
				record_native_most());
}

/* The session proper, of this process: in the first one, and again in each child that goes on. */
errmsg session_begin(void)
{
	struct drain_settings drainer = {
		.flush_ns = place_flush_ns(),
		.waits = session.is_fresh,
		.ring_bytes = ring_bytes(),
		.hooks = {
			.begin = running_drainer_begin,
			.end = running_drainer_end,
			.parked = drainer_parked,
			.pass = drainer_pass,
			.write = running_write,
			.due_ns = running_due_ns,
			.holds_ns = running_holds_ns,
			.flush = drainer_flush,
			.adopted = running_thread_begin,
			.gone = running_thread_gone,
			.alone = drainer_alone,
			.remainder = running_remainder,
			.is_full = place_is_full,
			.next = place_next,
			.close = place_close,
			.renew = drainer_renew,
			.finish = place_files_export,
			.is_asked = dump_take,
			.dump = place_dump,
		},
	};
	errmsg error = place_begin(&drainer.head);

	if (error)
		return error;
	budget_begin();
	drainer.mappings = place_mappings(&drainer.mapping_count);
	if (!session.is_forking_watched)
		python_read_path(place_cwd());
	error = session_fork_watch();
	if (error)
		return error;
	os_memory_claim();
	atomic_store(&session.pid, os_getpid());
	atomic_store(&session.state, RUNNING);
	adopt_main();
	error = drain_begin(&drainer);
	if (error) {
		running_stop();
		last_words(thread_self());
		threads_close();
	}
	return error;
}

/* In the table, so that collectors find their own in it; nothing is sampled yet. */
static void begin_main(void)
{
	struct thread *thread = thread_self() ? NULL : thread_reserve();

	if (thread)
		thread_begin(thread);
}

static void adopt_main(void)
{
	struct thread *thread = thread_self();

	if (!thread)
		return;
	if (os_gettid() == os_getpid()) {
		log_format(thread->python_name, sizeof(thread->python_name), "MainThread");
		atomic_store(&thread->python_name_known, true);
		thread_stack_begin_main(thread);
	}
	signals_thread_begin(&thread->signals, signals_blocked());
	running_thread_begin(thread);
	tick_cost_measure();
}

/* ---- the way out ---- */

/*
 * Python's atexit callback, the last of them. From here on 3.12 frees the thread states of daemon threads
 * while those may still run C code: only this thread's stack may be walked.
 */
static void ending(void)
{
	if (!session_ours() || atomic_load(&session.state) != RUNNING)
		return;
	monitoring_look();
	audit_link();
	python_name_threads();
	if (pyapi_version() < VERSION_3_13) {
		atomic_store(&record_gate.finalizing_tid, (uint32_t)os_gettid());
		threads_quiet(QUIET_NS);
	}
}

void session_exit(void)
{
	if (session_ours())
		end(place_wait_ns(SESSION_EXIT_NS), false);
}

void session_finish(void)
{
	if (session_ours())
		end(option_number(OPTION_EXIT_WAIT), true);
}

bool session_leave(void)
{
	if (!session_ours())
		return false;
	end(option_number(OPTION_EXIT_WAIT), true);
	signals_stop();
	return true;
}

/* One end only; who comes second waits for the first. */
static bool end_begins(void)
{
	uint32_t running = RUNNING;

	return atomic_compare_exchange_strong(&session.state, &running, ENDING);
}

void session_give_up(void)
{
	if (!end_begins())
		return;
	stop_taking();
	symbol_close();
	session.is_given_up = true;
	atomic_store(&session.state, OVER);
	session_tell_lost();
}

static void end(uint64_t timeout_ns, bool may_start)
{
	bool is_first = end_begins();

	if (!is_first && atomic_load(&session.state) != ENDING)
		return;
	if (is_first)
		stop_taking();
	if (!(is_first && drain_forget()) && !drain_end(timeout_ns, may_start) &&
	    !atomic_exchange(&session.is_late_told, true))
		session_fork_tell_late();
	log_kept();
	if (is_first) {
		symbol_close();
		atomic_store(&session.state, OVER);
	}
}

static void stop_taking(void)
{
	running_stop();
	threads_close();
	threads_quiet(QUIET_NS);
}

/* ---- exec ---- */

bool session_ours(void)
{
	return session_known() && atomic_load(&session.pid) == os_getpid();
}

bool session_known(void)
{
	uint32_t state = atomic_load(&session.state);

	return state == RUNNING || state == ENDING || state == SILENT;
}

void session_exec_begin(void)
{
	if (!session_known())
		return;
	if (session_ours() && atomic_load(&session.state) == RUNNING)
		drain_flush(SESSION_EXIT_NS);
	/* In a vfork child too: dispositions are its own, and what is ignored is inherited. */
	signals_exec_begin();
}

void session_exec_failed(void)
{
	if (session_ours() && atomic_load(&session.state) == RUNNING)
		signals_exec_failed();
}

/* ---- what Python is asked for from outside ---- */

void session_ask(uint32_t what)
{
	uint32_t before = atomic_fetch_or(&session.pending, what);

	if (before & what || queue(pending, QUEUE_OF_ALL))
		return;
	/* The queue is full. Names and sub-interpreters are asked for again; the drainer must run. */
	atomic_fetch_and(&session.pending, ~what);
	if (what & PENDING_DRAINER)
		session_start_again();
}

static bool queue(int (*call)(void *unused), int flags)
{
	return py._PyEval_AddPendingCall(py.PyInterpreterState_Main(), call, NULL, flags) == 0;
}

static int pending(void *unused)
{
	uint32_t what;

	(void)unused;
	if ((session_fork_is_fresh() || session_fork_goes_on()) && queue(again, QUEUE_OF_MAIN))
		return 0;
	if (!session_ours() || atomic_load(&session.state) != RUNNING)
		return 0;
	what = atomic_exchange(&session.pending, 0);
	/* CPython counts threads when its after-fork hooks are done, and hooks in Python let us run before. */
	if (what & PENDING_DRAINER && session_fork_is_under_way()) {
		what &= ~(uint32_t)PENDING_DRAINER;
		if (session_fork_looks_again())
			session_ask(PENDING_DRAINER);
	}
	/* In the middle of another thread's fork it stays parked: that thread asks again. */
	if (what & PENDING_DRAINER && !atomic_load(&session.forking))
		session_start_again();
	if (what & PENDING_AUDIT) {
		session.hears_events = true;
		audit_link();
	}
	if (what & PENDING_NAMES)
		python_name_threads();
	return 0;
}

/*
 * A call that asks for itself is made a hundred times before Python goes on. What waits for the main thread alone
 * comes after all other calls: asked for from here, it is not made before the next time.
 */
static int again(void *unused)
{
	if (queue(pending, QUEUE_OF_ALL))
		return 0;
	session.is_fresh = false;
	return pending(unused);
}

/* In the interpreter that was asked. */
static int burst(void *unused)
{
	unsigned interpreter = interpreters_answer();

	(void)unused;
	if (interpreter < RECORD_INTERPRETERS && session_ours() &&
	    atomic_load(&session.state) == RUNNING)
		running_burst(interpreter);
	return 0;
}

/* ---- threads ---- */

struct thread *session_thread_reserve(const pthread_attr_t *attributes, void *(*routine)(void *),
				      const void *argument)
{
	struct thread *thread;

	if (!session_ours() || atomic_load(&session.state) != RUNNING)
		return NULL;
	session_look_for_room();
	thread = thread_reserve();
	if (!thread)
		return NULL;
	thread->start_blocked = signals_inherited(attributes);
	if (record_native_wanted())
		thread_stack_reserve(thread, attributes);
	python_tell_start(thread, (uintptr_t)routine, argument);
	return thread;
}

void session_thread_begin(struct thread *thread)
{
	thread_begin(thread);
	if (thread->stack_bytes)
		thread_stack_begin(thread);
	signals_thread_begin(&thread->signals, thread->start_blocked);
	running_thread_begin(thread);
}

/* Called by a thread that returns or exits. */
static void thread_ending(struct thread *thread)
{
	if (!session_ours())
		return;
	session_look_for_room();
	last_words(thread);
	/* A process ends when its last thread returns, pthread_exit(3); ours would keep it alive. */
	if (thread->is_last)
		end(option_number(OPTION_EXIT_WAIT), true);
}

static void last_words(struct thread *thread)
{
	if (!thread || !thread_enter())
		return;
	running_thread_end(thread);
	thread_leave(thread);
}

static struct signals_thread *signals_self(void)
{
	struct thread *thread = thread_self();

	return thread ? &thread->signals : NULL;
}

static bool tick(const siginfo_t *info, void *context)
{
	return tick_cost_is_own(info) || running_tick(info, context);
}

/* ---- in the drainer ---- */

/* Too late for the fork that wanted it? Pairs with session_come_back. */
static void drainer_parked(void)
{
	if (!atomic_load(&session.forking) && atomic_load(&session.state) == RUNNING)
		session_ask(PENDING_DRAINER);
}

static void drainer_pass(uint64_t time_ns)
{
	bool wanted = false;

	running_pass(time_ns);
	for (unsigned i = 0; i < RECORD_INTERPRETERS; i++) {
		if (running_wants_burst(i) && atomic_load(&session.state) == RUNNING &&
		    interpreters_ask(i, burst))
			running_burst_asked(i);
	}
	/* What they run before the hook is linked is not known. */
	if (!session.hears_events && interpreters_several() &&
	    atomic_load(&session.state) == RUNNING)
		session_ask(PENDING_AUDIT);
	/* Python names a thread some time after its birth, or never: we ask ever more rarely. */
	for (struct thread *thread = thread_next(NULL); thread; thread = thread_next(thread)) {
		uint32_t passes = ++thread->nameless_passes;

		wanted |= !(passes & (passes - 1)) && !atomic_load(&thread->python_name_known);
	}
	if (wanted && atomic_load(&session.state) == RUNNING)
		session_ask(PENDING_NAMES);
}

static void drainer_flush(uint64_t time_ns, collector_note *note)
{
	static bool signal_given_up;
	struct threads_sums sums;

	running_flush(time_ns, note);
	threads_sum(&sums);
	budget_flush(time_ns,
		     &(struct budget_own){
			     .kernel_ns = (sums.entries - sums.callbacks) * tick_cost_ns() +
					  running_cost_ns(),
			     .thread_ns = drain_cpu_ns(),
			     .export_ns = drain_export_ns(),
		     },
		     note);
	if (atomic_load(&session.state) != RUNNING)
		return;
	if (!signal_given_up && !signals_check()) {
		signal_given_up = true;
		thread_lose(NULL, LOSS_signal_taken);
	}
}

static void drainer_renew(uint64_t time_ns)
{
	running_renew(time_ns);
	budget_renew();
}

/* The last thread was one that we had not met (thrd_create, clone): its end is the process's. */
static bool drainer_alone(void)
{
	if (!end_begins())
		return false;
	stop_taking();
	atomic_store(&session.state, OVER);
	return true;
}
