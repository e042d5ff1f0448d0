/*
 * session_stage.h - everything that session.c gives orders to, but for the table of threads: each writes
 * down that it was called.
 *
 * A test file declares the __wrap_ functions, so that they are linked, and then includes this.
 */
#ifndef SESSION_STAGE_H
#define SESSION_STAGE_H

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define EXIT_WAIT_NS UINT64_C(10000000000)
#define RING_BYTES 16384
#define PY_3_12 0x030c01f0u
#define PY_3_15 0x030f00f0u
#define UNUSED __attribute__((unused))

static struct {
	char did[512]; /* in order, each with a blank behind it */
	char line[256];
	unsigned lines;
	pid_t pid; /* 0: the true one */
	uint32_t version;
	bool is_torn, has_rested;
	bool is_off, no_children, is_python_ready, has_frame, is_main_alive;
	bool queue_is_full, is_forking, has_others, signal_is_lost, is_in_other;
	struct frames_place place; /* where Python stands */
	const char *module; /* being imported */
	errmsg pyapi_error, frames_error, drain_error, start_error;
	pyapi_audit_hook *event;
	void (*ending)(void), (*child)(void), (*forked)(void);
	void (*thread_ending)(struct thread *thread);
	int (*pending)(void *unused);
	int (*main_pending)(void *unused); /* in the main thread's queue */
	unsigned pending_calls; /* that wait in the other one */
	struct drain_hooks drainer;
	void (*in_drain_end)(void);
	bool drain_end_fails;
	bool has_no_patience; /* MONPROF_EXIT_WAIT=0s */
} stage;

static void did(const char *format, ...) PROF_PRINTF(1, 2);

static void did(const char *format, ...)
{
	size_t used = strlen(stage.did);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(stage.did + used, sizeof(stage.did) - used, format, arguments);
	va_end(arguments);
	used = strlen(stage.did);
	snprintf(stage.did + used, sizeof(stage.did) - used, " ");
}

/* What was done since it was last asked. */
static UNUSED const char *done(void)
{
	static char text[sizeof(stage.did)];
	size_t length = strlen(stage.did);

	memcpy(text, stage.did, sizeof(text));
	if (length)
		text[length - 1] = '\0';
	stage.did[0] = '\0';
	return text;
}

/* ---- options, Python ---- */

bool __wrap_options_load(void)
{
	return !stage.is_off;
}

uint64_t __wrap_option_number(enum option_id id)
{
	switch (id) {
	case OPTION_COLLECT:
		return 1u << COLLECTOR_cpu;
	case OPTION_DEPTH:
		return 10;
	case OPTION_CHILDREN:
		return !stage.no_children;
	case OPTION_EXIT_WAIT:
		return EXIT_WAIT_NS;
	default:
		return 0;
	}
}

errmsg __wrap_pyapi_load(void *handle)
{
	(void)handle;
	return stage.pyapi_error;
}

uint32_t __wrap_pyapi_version(void)
{
	return stage.version;
}

errmsg __wrap_audit_add(pyapi_audit_hook *hook)
{
	stage.event = hook;
	did("add");
	return NULL;
}

void __wrap_audit_link(void)
{
	did("link");
}

void __wrap_audit_unlink(void)
{
	did("unlink");
}

errmsg __wrap_python_register(void (*atexit)(void), void (*child)(void))
{
	stage.ending = atexit;
	stage.child = child;
	return NULL;
}

void __wrap_python_read_path(const char *cwd)
{
	(void)cwd;
}

void __wrap_python_name_threads(void)
{
	did("names");
}

errmsg __wrap_frames_start(void)
{
	return stage.frames_error;
}

errmsg __wrap_frames_check(void)
{
	return NULL;
}

void __wrap_frames_place_take(struct frames_place *place)
{
	*place = stage.place;
}

bool __wrap_frames_place_within(const struct frames_place *place)
{
	(void)place;
	return stage.is_forking;
}

void __wrap_monitoring_look(void)
{
	did("look");
}

errmsg __wrap_interpreters_meet(void)
{
	did("meet");
	return NULL;
}

bool __wrap_interpreters_forget(void)
{
	did("forget");
	return stage.is_main_alive;
}

void __wrap_interpreters_after_fork(void)
{
	did("interpreters");
}

bool __wrap_interpreters_several(void)
{
	return stage.has_others;
}

static int add_pending_call(struct py_interpreter *interpreter, int (*call)(void *), void *argument,
			    int flags)
{
	cr_assert_eq(interpreter, (struct py_interpreter *)&stage);
	cr_assert_null(argument);
	if (stage.queue_is_full)
		return -1;
	if (flags) {
		stage.main_pending = call;
		return 0;
	}
	stage.pending = call;
	stage.pending_calls++;
	return 0;
}

static struct py_interpreter *get_main(void)
{
	return (struct py_interpreter *)&stage;
}

static struct py_interpreter *get_current(void)
{
	return stage.is_in_other ? (struct py_interpreter *)&stage.place : get_main();
}

static int is_initialized(void)
{
	return stage.is_python_ready;
}

static struct py_object *get_frame(void)
{
	return stage.has_frame ? (struct py_object *)&stage : NULL;
}

static struct py_object *get_item(struct py_object *tuple, intptr_t index)
{
	cr_assert_eq(index, 0);
	return tuple;
}

static const char *get_text(struct py_object *object)
{
	(void)object;
	return stage.module;
}

/* ---- signals, symbols, places ---- */

errmsg __wrap_signals_start(int signo, const struct signals_hooks *hooks)
{
	(void)signo, (void)hooks;
	return NULL;
}

void __wrap_signals_stop(void)
{
	did("signals_stop");
}

void __wrap_signals_after_fork(void)
{
}

void __wrap_signals_thread_begin(struct signals_thread *self, bool blocked)
{
	(void)self, (void)blocked;
}

bool __wrap_signals_blocked(void)
{
	return false;
}

bool __wrap_signals_check(void)
{
	return !stage.signal_is_lost;
}

int __wrap_signals_number(void)
{
	return 23;
}

void __wrap_signals_exec_begin(void)
{
	did("exec_begin");
}

void __wrap_signals_exec_failed(void)
{
	did("exec_failed");
}

void __wrap_symbol_close(void)
{
	did("symbol_close");
}

bool __wrap_symbol_reset(void)
{
	did("symbol_reset");
	return !stage.is_torn;
}

errmsg __wrap_place_begin(struct recording_head *head)
{
	(void)head;
	return NULL;
}

const struct recording_mapping *__wrap_place_mappings(unsigned *count)
{
	*count = 0;
	return NULL;
}

const char *__wrap_place_cwd(void)
{
	return "/";
}

const char *__wrap_place_recording(void)
{
	return "the recording";
}

uint32_t __wrap_place_ring_bytes(uint32_t record_bytes, uint32_t native_bytes)
{
	(void)record_bytes;
	(void)native_bytes;
	return RING_BYTES;
}

bool __wrap_place_is_full(uint64_t time_ns, uint64_t recording_bytes)
{
	(void)time_ns, (void)recording_bytes;
	return false;
}

errmsg __wrap_place_next(bool is_used, struct recording_head *head)
{
	(void)is_used, (void)head;
	return NULL;
}

void __wrap_place_close(const char *path)
{
	(void)path;
}

void __wrap_place_dump(drain_breathe *breathe)
{
	(void)breathe;
}

void __wrap_place_files_export(drain_breathe *breathe)
{
	(void)breathe;
}

uint64_t __wrap_place_wait_ns(uint64_t most_ns)
{
	return stage.has_no_patience ? 0 : most_ns;
}

uint64_t __wrap_place_flush_ns(void)
{
	return 1;
}

void __wrap_budget_begin(void)
{
}

void __wrap_budget_renew(void)
{
	did("budget");
}

void __wrap_budget_flush(uint64_t time_ns, const struct budget_own *own, collector_note *note)
{
	(void)time_ns, (void)own, (void)note;
}

void __wrap_log_line(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	log_vformat(stage.line, sizeof(stage.line), format, arguments);
	va_end(arguments);
	stage.lines++;
}

/* ---- the process and its threads ---- */

pid_t __real_os_getpid(void);
pid_t __wrap_os_getpid(void)
{
	return stage.pid ? stage.pid : __real_os_getpid();
}

int __wrap_os_tgkill(pid_t tid, int signo)
{
	(void)tid, (void)signo;
	return 0;
}

int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
	cr_assert_eq(prepare, session_step_aside);
	cr_assert_eq(parent, session_come_back);
	stage.forked = child;
	did("atfork");
	return 0;
}

errmsg __real_threads_start(uint32_t ring_bytes, void (*ending)(struct thread *thread));
errmsg __wrap_threads_start(uint32_t ring_bytes, void (*ending)(struct thread *thread))
{
	stage.thread_ending = ending;
	return __real_threads_start(ring_bytes, ending);
}

void __real_threads_close(void);
void __wrap_threads_close(void)
{
	did("close");
	__real_threads_close();
}

bool __wrap_threads_quiet(uint64_t timeout_ns)
{
	(void)timeout_ns;
	did("quiet");
	return true;
}

/* ---- the drainer ---- */

errmsg __wrap_drain_begin(const struct drain_settings *settings)
{
	stage.drainer = settings->hooks;
	did("drain_begin%s", settings->waits ? "(waits)" : "");
	return stage.drain_error;
}

errmsg __wrap_drain_start(void)
{
	did("drain_start");
	return stage.start_error;
}

bool __wrap_drain_park(uint64_t timeout_ns)
{
	(void)timeout_ns;
	did("drain_park");
	return true;
}

bool __wrap_drain_flush(uint64_t timeout_ns)
{
	cr_assert_leq(timeout_ns, SESSION_EXIT_NS);
	did("drain_flush");
	return true;
}

bool __wrap_drain_end(uint64_t timeout_ns, bool may_start)
{
	void (*call)(void) = stage.in_drain_end;

	did("drain_end(%u%s)", (unsigned)(timeout_ns / 1000000000), may_start ? ",start" : "");
	stage.in_drain_end = NULL;
	if (call)
		call();
	return !stage.drain_end_fails;
}

bool __wrap_drain_after_fork(void)
{
	did("drain_after_fork");
	return !stage.is_torn;
}

bool __wrap_drain_forget(void)
{
	return stage.has_rested;
}

/* ---- one collector ---- */

static void on_begin(struct thread *thread)
{
	cr_assert_not_null(thread);
	did("begin");
}

static void on_end(struct thread *thread)
{
	cr_assert_eq(thread, thread_self());
	did("end");
}

static void on_stop(void)
{
	did("stop");
}

static void on_fork(void)
{
	did("after_fork");
}

static const struct collector_hooks collector = {
	.thread_begin = on_begin,
	.thread_end = on_end,
	.stop = on_stop,
	.after_fork = on_fork,
};
const struct collector registry_collectors[COLLECTOR_COUNT] = {
	[COLLECTOR_cpu] = { "cpu", "", &collector },
};

static UNUSED void set_up(void)
{
	py._PyEval_AddPendingCall = add_pending_call;
	py.PyInterpreterState_Main = get_main;
	py.PyInterpreterState_Get = get_current;
	py.Py_IsInitialized = is_initialized;
	py.PyEval_GetFrame = get_frame;
	py.PyTuple_GetItem = get_item;
	py.PyUnicode_AsUTF8 = get_text;
	stage.version = PY_3_15;
	stage.is_python_ready = true;
}

static UNUSED void raise_event(const char *name)
{
	cr_assert_eq(stage.event(name, (struct py_object *)&stage, NULL), 0);
}

/* A session that runs. */
static UNUSED void start(void)
{
	session_listen(NULL);
	raise_event("cpython.run_command");
	cr_assert(session_ours(), "%s", stage.line);
	stage.did[0] = '\0';
}

/* CPython runs what waits; true if anything did. */
static UNUSED bool run_pending(void)
{
	unsigned calls = stage.pending_calls;
	int (*main_call)(void *unused);

	stage.pending_calls = 0;
	for (unsigned i = 0; i < calls; i++)
		cr_assert_eq(stage.pending(NULL), 0);
	main_call = stage.main_pending;
	stage.main_pending = NULL;
	if (main_call)
		cr_assert_eq(main_call(NULL), 0);
	return calls != 0;
}

#endif
