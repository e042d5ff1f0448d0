/*
 * test_session.c - the order of things: what is started, stopped and asked for, and when.
 */
#include "budget.h"
#include "collector.h"
#include "drain.h"
#include "place.h"
#include "pyapi.h"
#include "registry.h"
#include "session.h"

bool __wrap_options_load(void);
uint64_t __wrap_option_number(enum option_id id);
errmsg __wrap_pyapi_load(void *handle);
uint32_t __wrap_pyapi_version(void);
errmsg __wrap_audit_add(pyapi_audit_hook *hook);
void __wrap_audit_link(void);
void __wrap_audit_unlink(void);
errmsg __wrap_python_register(void (*atexit)(void), void (*child)(void));
void __wrap_python_read_path(const char *cwd);
void __wrap_python_name_threads(void);
errmsg __wrap_frames_start(void);
errmsg __wrap_frames_check(void);
void __wrap_frames_place_take(struct frames_place *place);
bool __wrap_frames_place_within(const struct frames_place *place);
void __wrap_monitoring_look(void);
errmsg __wrap_interpreters_meet(void);
bool __wrap_interpreters_forget(void);
void __wrap_interpreters_after_fork(void);
bool __wrap_interpreters_several(void);
errmsg __wrap_signals_start(int signo, const struct signals_hooks *hooks);
void __wrap_signals_stop(void);
void __wrap_signals_after_fork(void);
void __wrap_signals_thread_begin(struct signals_thread *self, bool blocked);
bool __wrap_signals_blocked(void);
bool __wrap_signals_check(void);
int __wrap_signals_number(void);
void __wrap_signals_exec_begin(void);
void __wrap_signals_exec_failed(void);
void __wrap_symbol_close(void);
bool __wrap_symbol_reset(void);
errmsg __wrap_place_begin(struct recording_head *head);
const struct recording_mapping *__wrap_place_mappings(unsigned *count);
const char *__wrap_place_cwd(void);
const char *__wrap_place_recording(void);
uint32_t __wrap_place_ring_bytes(uint32_t record_bytes, uint32_t native_bytes);
bool __wrap_place_is_full(uint64_t time_ns, uint64_t recording_bytes);
errmsg __wrap_place_next(bool is_used, struct recording_head *head);
void __wrap_place_close(const char *path);
void __wrap_place_dump(drain_breathe *breathe);
uint64_t __wrap_place_flush_ns(void);
uint64_t __wrap_place_wait_ns(uint64_t most_ns);
void __wrap_place_files_export(drain_breathe *breathe);
void __wrap_budget_renew(void);
void __wrap_budget_begin(void);
void __wrap_budget_flush(uint64_t time_ns, const struct budget_own *own, collector_note *note);
void __wrap_log_line(const char *format, ...) PROF_PRINTF(1, 2);
pid_t __wrap_os_getpid(void);
int __wrap_os_tgkill(pid_t tid, int signo);
int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
errmsg __wrap_threads_start(uint32_t ring_bytes, void (*ending)(struct thread *thread));
void __wrap_threads_close(void);
bool __wrap_threads_quiet(uint64_t timeout_ns);
errmsg __wrap_drain_begin(const struct drain_settings *settings);
errmsg __wrap_drain_start(void);
bool __wrap_drain_park(uint64_t timeout_ns);
bool __wrap_drain_flush(uint64_t timeout_ns);
bool __wrap_drain_end(uint64_t timeout_ns, bool may_start);
bool __wrap_drain_after_fork(void);
bool __wrap_drain_forget(void);

#include "session_stage.h"

TestSuite(session, .init = set_up);

/* ---- the way in ---- */

Test(session, one_that_is_not_wanted_does_not_listen)
{
	stage.is_off = true;
	session_listen(NULL);
	cr_expect_null(stage.event);
	cr_expect_not(session_known());
	cr_expect_eq(stage.lines, 0);
}

Test(session, a_python_that_is_refused_is_one_line)
{
	stage.pyapi_error = "too old";
	session_listen(NULL);
	cr_expect_null(stage.event);
	cr_expect_eq(stage.lines, 1);
	cr_expect_str_eq(stage.line, "too old");
}

Test(session, the_first_run_event_starts_it_once)
{
	session_listen(NULL);
	cr_expect_str_eq(done(), "add");
	raise_event("open");
	cr_expect_not(session_ours());
	raise_event("cpython.run_module");
	cr_expect(session_ours());
	cr_expect_str_eq(done(), "meet atfork begin drain_begin unlink");
	raise_event("cpython.run_module");
	cr_expect_str_eq(done(), "meet", "the interpreter of each event");
}

Test(session, an_embedded_python_starts_it_with_code_of_its_own)
{
	session_listen(NULL);
	stage.is_python_ready = false;
	raise_event("exec");
	stage.is_python_ready = stage.has_frame = true;
	raise_event("exec");
	stage.module = "app";
	raise_event("import");
	stage.has_frame = false;
	stage.module = "site";
	raise_event("import");
	stage.module = NULL;
	raise_event("import");
	cr_expect_not(session_ours());
	stage.module = "app";
	raise_event("import");
	cr_expect(session_ours());
}

Test(session, one_that_cannot_start_is_off_and_one_line)
{
	stage.frames_error = "no layout";
	session_listen(NULL);
	raise_event("cpython.run_command");
	raise_event("cpython.run_command");
	cr_expect_str_eq(done(), "add unlink");
	cr_expect_eq(stage.lines, 1);
	cr_expect_str_eq(stage.line, "no layout");
	cr_expect_not(session_known());
}

Test(session, without_a_drainer_nothing_is_taken)
{
	stage.drain_error = "no thread";
	session_listen(NULL);
	raise_event("cpython.run_command");
	cr_expect_str_eq(done(), "add meet atfork begin drain_begin stop end close unlink");
	cr_expect_eq(stage.lines, 1);
	cr_expect_not(session_known());
	session_finish();
	cr_expect_str_eq(done(), "");
}

/* ---- the way out ---- */

Test(session, it_ends_once)
{
	start();
	session_finish();
	cr_expect_str_eq(done(), "stop close quiet drain_end(10,start) symbol_close");
	session_finish();
	session_exit();
	raise_event("cpython.PyInterpreterState_Clear");
	cr_expect_str_eq(done(), "");
	cr_expect_not(session_known());
	cr_expect_eq(stage.lines, 0);
}

Test(session, an_exit_starts_nobody_and_waits_less)
{
	start();
	session_exit();
	cr_expect_str_eq(done(), "stop close quiet drain_end(2) symbol_close");
}

Test(session, an_exit_waits_no_longer_than_it_may)
{
	start();
	stage.has_no_patience = true;
	session_exit();
	cr_expect_str_eq(done(), "stop close quiet drain_end(0) symbol_close");
}

/* After it the process is gone, whatever the first one waits for. */
static void second_exit(void)
{
	session_exit();
	cr_expect_eq(stage.lines, 1, "it says that it waits no longer");
}

Test(session, who_comes_second_only_waits)
{
	start();
	stage.drain_end_fails = true;
	stage.in_drain_end = second_exit;
	session_finish();
	cr_expect_str_eq(done(), "stop close quiet drain_end(10,start) drain_end(2) symbol_close");
	cr_expect_eq(stage.lines, 1, "one of them says it");
	cr_expect_not_null(strstr(stage.line, "the recording"), "%s", stage.line);
}

Test(session, mains_clear_is_the_end_and_no_others)
{
	start();
	stage.is_main_alive = true;
	raise_event("cpython.PyInterpreterState_Clear");
	cr_expect_str_eq(done(), "forget");
	cr_expect(session_ours());
	stage.is_main_alive = false;
	raise_event("cpython.PyInterpreterState_Clear");
	cr_expect_str_eq(done(), "forget stop close quiet drain_end(10,start) symbol_close");
}

Test(session, the_last_hook_is_never_given_to_python_to_free)
{
	start();
	raise_event("cpython._PySys_ClearAuditHooks");
	cr_expect_str_eq(done(), "unlink");
	session_finish();
	done();
	raise_event("cpython._PySys_ClearAuditHooks");
	cr_expect_str_eq(done(), "unlink", "after the end too");
}

Test(session, who_is_alone_ends_it_without_waiting_for_itself)
{
	start();
	cr_expect(stage.drainer.alone());
	cr_expect_str_eq(done(), "stop close quiet");
	cr_expect_not(stage.drainer.alone());
	session_finish();
	cr_expect_str_eq(done(), "");
}

static void find_oneself_alone(void)
{
	cr_expect_not(stage.drainer.alone());
}

Test(session, nobody_is_alone_once_the_end_has_begun)
{
	start();
	stage.in_drain_end = find_oneself_alone;
	session_finish();
	cr_expect_str_eq(done(), "stop close quiet drain_end(10,start) symbol_close");
}

Test(session, the_last_thread_ends_it)
{
	struct thread *thread;

	start();
	thread = thread_self();
	stage.thread_ending(thread);
	cr_expect_str_eq(done(), "end");
	cr_expect(session_ours());
	thread->is_last = true;
	stage.thread_ending(thread);
	cr_expect_str_eq(done(), "end stop close quiet drain_end(10,start) symbol_close");
}

Test(session, only_3_12_has_states_that_go_before_their_threads)
{
	start();
	stage.ending();
	cr_expect_str_eq(done(), "look link names");
	cr_expect_eq(record_gate.finalizing_tid, 0);
	stage.version = PY_3_12;
	stage.ending();
	cr_expect_str_eq(done(), "look link names quiet");
	cr_expect_eq(record_gate.finalizing_tid, (uint32_t)os_gettid());
	session_finish();
	done();
	stage.ending();
	cr_expect_str_eq(done(), "", "after the end");
}

/* ---- fork and exec ---- */

Test(session, a_return_without_a_leave_is_no_matter)
{
	start();
	session_come_back();
	session_step_aside();
	session_come_back();
	cr_expect(run_pending());
	cr_expect_str_eq(done(), "drain_park drain_start");
}

Test(session, where_python_cannot_be_asked_the_drainer_starts_at_once)
{
	start();
	stage.queue_is_full = true;
	session_step_aside();
	session_come_back();
	cr_expect_str_eq(done(), "drain_park drain_start");
	stage.queue_is_full = false;
	session_step_aside();
	session_come_back();
	cr_expect(run_pending(), "the next is asked again");
}

Test(session, what_waited_is_void_after_the_end)
{
	start();
	session_step_aside();
	session_come_back();
	session_finish();
	done();
	cr_expect(run_pending());
	cr_expect_str_eq(done(), "");
}

Test(session, an_exec_flushes_and_goes_on_if_it_fails)
{
	start();
	session_exec_begin();
	session_exec_failed();
	cr_expect_str_eq(done(), "drain_flush exec_begin exec_failed");
	cr_expect(session_ours());
	session_finish();
	done();
	session_exec_begin();
	session_exec_failed();
	cr_expect_str_eq(done(), "");
}

/* ---- what Python is asked for ---- */

static void note(const char *key, const char *value)
{
	(void)key, (void)value;
}

Test(session, what_is_asked_twice_is_done_once)
{
	start();
	stage.has_others = true;
	for (unsigned i = 0; i < 3; i++)
		stage.drainer.pass(1);
	cr_expect_eq(stage.pending_calls, 1);
	session_step_aside();
	session_come_back();
	done();
	cr_expect(run_pending());
	cr_expect_str_eq(done(), "drain_start link", "and all of it at the first call");
}

Test(session, once_there_are_sub_interpreters_the_events_stay)
{
	start();
	stage.drainer.pass(1);
	cr_expect_not(run_pending());
	stage.has_others = true;
	stage.drainer.pass(2);
	cr_expect(run_pending());
	cr_expect_str_eq(done(), "link");
	stage.drainer.pass(3);
	cr_expect_not(run_pending());
}

Test(session, sub_interpreters_are_asked_for_again_where_the_queue_was_full)
{
	start();
	stage.has_others = stage.queue_is_full = true;
	stage.drainer.pass(1);
	cr_expect_str_eq(done(), "", "the drainer runs already");
	stage.queue_is_full = false;
	stage.drainer.pass(2);
	cr_expect(run_pending());
	cr_expect_str_eq(done(), "link");
}

Test(session, names_are_asked_for_ever_more_rarely)
{
	static const unsigned asked_at[] = { 1, 2, 4, 8, 16, 32 };
	struct thread *thread;
	unsigned next = 0;

	start();
	stage.drainer.pass(0);
	cr_expect_not(run_pending(), "the main thread's is known");
	thread = thread_adopt(1);
	cr_assert_not_null(thread);
	for (unsigned pass = 1; pass <= 40; pass++) {
		stage.drainer.pass(pass);
		if (!run_pending())
			continue;
		cr_assert_lt(next, PROF_COUNT(asked_at));
		cr_expect_eq(pass, asked_at[next]);
		next++;
		cr_expect_str_eq(done(), "names");
	}
	cr_expect_eq(next, PROF_COUNT(asked_at));
	thread->nameless_passes = 0;
	thread->python_name_known = true;
	stage.drainer.pass(41);
	cr_expect_not(run_pending());
}

Test(session, a_signal_that_was_taken_for_good_is_one_loss)
{
	struct threads_sums sums;

	start();
	stage.drainer.flush(1, note);
	threads_sum(&sums);
	cr_expect_eq(sums.losses[LOSS_signal_taken], 0);
	stage.signal_is_lost = true;
	stage.drainer.flush(2, note);
	stage.drainer.flush(3, note);
	threads_sum(&sums);
	cr_expect_eq(sums.losses[LOSS_signal_taken], 1);
}
