/*
 * test_session_fork.c - forks, the children they make, and what steps aside for a moment.
 */
#include "budget.h"
#include "collector.h"
#include "drain.h"
#include "drain_door.h"
#include "os.h"
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
uint64_t __wrap_place_wait_ns(uint64_t most_ns);
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

TestSuite(session_fork, .init = set_up);

Test(session_fork, after_a_fork_python_starts_the_drainer)
{
	start();
	session_step_aside();
	cr_expect_str_eq(done(), "drain_park");
	session_come_back();
	cr_expect_str_eq(done(), "", "not here: Python is about to count threads");
	cr_expect(run_pending());
	cr_expect_str_eq(done(), "drain_start");
	cr_expect_not(run_pending());
}

Test(session_fork, of_those_that_fork_together_the_last_asks)
{
	start();
	session_step_aside();
	session_step_aside();
	session_come_back();
	cr_expect_not(run_pending(), "another is in the middle of it");
	session_come_back();
	cr_expect(run_pending());
	cr_expect_str_eq(done(), "drain_park drain_park drain_start");
}

Test(session_fork, in_the_middle_of_anothers_fork_it_stays_parked)
{
	start();
	session_step_aside();
	session_come_back();
	session_step_aside();
	cr_expect(run_pending());
	cr_expect_str_eq(done(), "drain_park drain_park");
	session_come_back();
	cr_expect(run_pending(), "asked again");
	cr_expect_str_eq(done(), "drain_start");
}

Test(session_fork, while_the_forking_call_goes_on_it_is_put_off)
{
	start();
	session_step_aside();
	session_come_back();
	stage.is_forking = true;
	cr_expect(run_pending());
	cr_expect(run_pending());
	cr_expect_str_eq(done(), "drain_park");
	stage.is_forking = false;
	cr_expect(run_pending());
	cr_expect_str_eq(done(), "drain_start");
}

Test(session_fork, a_fork_at_the_end_starts_nobody)
{
	start();
	session_step_aside();
	stage.in_drain_end = session_come_back;
	session_finish();
	cr_expect_not(run_pending());
	cr_expect_str_eq(done(), "drain_park stop close quiet drain_end(10,start) symbol_close");
}

Test(session_fork, a_vforked_child_is_nobodys)
{
	start();
	stage.pid = 77;
	cr_expect_not(session_ours());
	cr_expect(session_known());
	session_step_aside();
	session_come_back();
	session_exit();
	session_finish();
	stage.ending();
	stage.thread_ending(thread_self());
	session_exec_failed();
	cr_expect_not(run_pending());
	cr_expect_str_eq(done(), "");
	session_exec_begin();
	cr_expect_str_eq(done(), "exec_begin", "dispositions are its own");
	stage.pid = 0;
	session_finish();
	cr_expect_neq(strlen(done()), 0, "the parent's goes on");
}

Test(session_fork, a_child_has_a_session_of_its_own)
{
	start();
	cr_assert_not_null(thread_adopt(1));
	session_step_aside();
	done();
	stage.pid = 77;
	record_gate.finalizing_tid = 5;
	stage.forked();
	cr_expect_str_eq(done(), "signals_stop", "in C, it is as it would be without us");
	stage.child();
	cr_expect_str_eq(done(), "interpreters symbol_reset drain_after_fork after_fork begin "
				 "drain_begin(waits)");
	cr_expect(session_ours());
	cr_expect_eq(record_gate.finalizing_tid, 0);
	cr_expect_eq(thread_next(NULL), thread_self());
	cr_expect_null(thread_next(thread_self()), "the other threads stayed behind");
	session_step_aside();
	session_come_back();
	cr_expect(run_pending(), "the parent's fork does not count");
	cr_expect_str_eq(done(), "drain_park drain_start");
}

Test(session_fork, a_child_has_no_thread_before_it_has_gone_on)
{
	start();
	stage.place = (struct frames_place){ 1000, 10 };
	stage.child();
	done();
	for (unsigned i = 0; i < 3; i++)
		cr_expect(run_pending(), "asked again");
	cr_expect_str_eq(done(), "");
	stage.place.instruction = 12;
	cr_expect(run_pending());
	cr_expect_str_eq(done(), "drain_start");
	cr_expect_not(run_pending());
}

Test(session_fork, a_child_in_a_function_of_its_own_has_gone_on)
{
	start();
	stage.place = (struct frames_place){ 1000, 10 };
	stage.child();
	cr_expect(run_pending());
	done();
	stage.place = (struct frames_place){ 2000, 10 };
	cr_expect(run_pending());
	cr_expect_str_eq(done(), "drain_start");
}

Test(session_fork, hooks_of_others_are_not_where_a_child_begins)
{
	start();
	stage.child();
	done();
	stage.is_forking = true;
	stage.place = (struct frames_place){ 3000, 10 };
	cr_expect(run_pending());
	stage.place.instruction = 12;
	cr_expect(run_pending());
	stage.is_forking = false;
	stage.place = (struct frames_place){ 1000, 10 };
	cr_expect(run_pending());
	cr_expect_str_eq(done(), "");
	stage.place.instruction = 12;
	cr_expect(run_pending());
	cr_expect_str_eq(done(), "drain_start");
}

Test(session_fork, where_calls_cannot_be_asked_for_a_child_has_its_thread_at_once)
{
	start();
	stage.place = (struct frames_place){ 1000, 10 };
	stage.child();
	done();
	stage.queue_is_full = true;
	cr_expect(run_pending());
	cr_expect_str_eq(done(), "drain_start");
}

Test(session_fork, a_child_that_is_no_python_function_has_its_thread_at_once)
{
	start();
	stage.child();
	done();
	cr_expect(run_pending());
	cr_expect_str_eq(done(), "drain_start");
}

Test(session_fork, a_child_of_a_sub_interpreter_waits_for_nobody)
{
	start();
	stage.is_in_other = true;
	stage.child();
	cr_expect_null(strstr(stage.did, "waits"), "main's queue may wait for long");
	cr_expect_not(run_pending());
}

/* CPython does not end before its queue is empty. */
static unsigned run_all_pending(void)
{
	unsigned calls = 0;

	while (calls <= 2000000 && run_pending())
		calls++;
	return calls;
}

Test(session_fork, a_child_that_stays_where_it_is_has_its_thread_in_the_end)
{
	start();
	stage.place = (struct frames_place){ 1000, 10 };
	stage.child();
	done();
	cr_expect_leq(run_all_pending(), 2000);
	cr_expect_str_eq(done(), "drain_start");
}

Test(session_fork, a_child_that_goes_on_in_a_hook_has_its_thread_in_the_end)
{
	start();
	stage.is_forking = true;
	stage.child();
	done();
	cr_expect_leq(run_all_pending(), 2000);
	cr_expect_str_eq(done(), "drain_start");
}

Test(session_fork, a_parent_that_goes_on_in_a_hook_has_it_with_its_next_fork)
{
	unsigned calls;

	start();
	session_step_aside();
	session_come_back();
	done();
	stage.is_forking = true;
	calls = run_all_pending();
	cr_expect_geq(calls, 1000000, "CPython is about to count threads");
	cr_expect_leq(calls, 2000000);
	cr_expect_str_eq(done(), "");
	stage.is_forking = false;
	cr_expect_not(run_pending());
	session_step_aside();
	session_come_back();
	cr_expect(run_pending());
	cr_expect_str_eq(done(), "drain_park drain_start");
}

/* Ends where its thread has not begun: in a handler none may be started. */
static void end_fresh(uint64_t cpu_ns)
{
	start();
	stage.place = (struct frames_place){ 1000, 10 };
	stage.child();
	atomic_store(&drain_door.state, DRAIN_PARKED);
	stage.drain_end_fails = true;
	while (os_thread_cpu_ns() < cpu_ns)
		;
	session_exit();
}

Test(session_fork, a_child_that_ends_at_once_says_nothing)
{
	end_fresh(0);
	cr_expect_eq(stage.lines, 0);
}

Test(session_fork, a_child_that_ends_in_its_first_call_after_long_says_so)
{
	end_fresh(200000000);
	cr_expect_eq(stage.lines, 1);
}

Test(session_fork, a_child_forgets_what_its_parent_asked)
{
	start();
	session_step_aside();
	session_come_back();
	stage.pending_calls = 0; /* CPython's queue is not inherited */
	stage.is_in_other = true; /* nothing is asked by the beginning */
	stage.child();
	session_step_aside();
	session_come_back();
	cr_expect(run_pending());
}

Test(session_fork, a_child_in_a_namespace_of_its_own_may_have_its_parents_number)
{
	start();
	session_step_aside();
	done();
	stage.forked();
	cr_expect_not(session_ours());
	session_exit();
	session_finish();
	cr_expect_str_eq(done(), "signals_stop");
	stage.forked();
	cr_expect_str_eq(done(), "", "its own children have nothing of ours");
	stage.child();
	cr_expect(session_ours());
}

Test(session_fork, a_child_of_a_process_caught_in_the_middle_of_something_is_not_profiled)
{
	start();
	session_step_aside();
	done();
	stage.forked();
	stage.is_torn = true;
	stage.child();
	cr_expect_str_eq(done(), "signals_stop interpreters symbol_reset drain_after_fork "
				 "after_fork signals_stop");
	cr_expect_not(session_known());
	cr_expect_eq(stage.lines, 1);
}

Test(session_fork, a_parked_drainer_that_came_too_late_is_started_again)
{
	start();
	session_step_aside();
	stage.drainer.parked();
	cr_expect_not(run_pending(), "it is wanted parked");
	session_come_back();
	cr_expect(run_pending());
	stage.drainer.parked();
	cr_expect(run_pending());
}

Test(session_fork, one_that_can_have_no_thread_any_more_is_over_and_its_children_are_not)
{
	start();
	session_save();
	session_step_aside();
	session_come_back();
	stage.start_error = "no thread";
	cr_expect(run_pending());
	cr_expect_str_eq(done(),
			 "drain_flush drain_park drain_start stop close quiet symbol_close");
	cr_expect_eq(stage.lines, 1);
	session_finish();
	cr_expect_str_eq(done(), "", "it has been said");
	stage.forked();
	stage.start_error = NULL;
	stage.child();
	cr_expect(session_ours());
	cr_expect_eq(stage.lines, 1);
}

Test(session_fork, one_that_has_no_room_for_its_thread_tries_again_when_others_come_and_go)
{
	start();
	session_step_aside();
	session_come_back();
	stage.start_error = DRAIN_NO_ROOM;
	cr_expect(run_pending());
	cr_expect_str_eq(done(), "drain_park drain_start");
	cr_expect_not(run_pending(), "not by itself");
	stage.thread_ending(thread_self());
	cr_expect(run_pending());
	cr_expect_str_eq(done(), "end drain_start");
	stage.start_error = NULL;
	cr_assert_not_null(session_thread_reserve(NULL, NULL, NULL));
	cr_expect(run_pending());
	cr_expect_str_eq(done(), "drain_start");
	stage.thread_ending(thread_self());
	cr_expect_not(run_pending(), "it runs");
	cr_expect_eq(stage.lines, 0);
}

Test(session_fork, an_end_without_anything_to_tell_waits_for_nobody)
{
	start();
	stage.has_rested = true;
	session_exit();
	cr_expect_str_eq(done(), "stop close quiet symbol_close");
}

Test(session_fork, a_child_that_is_not_wanted_is_silent)
{
	stage.no_children = true;
	start();
	stage.pid = 77;
	stage.child();
	cr_expect_str_eq(done(), "signals_stop");
	cr_expect(session_known(), "its execs hand on what is ignored");
	cr_expect_not(session_ours());
	stage.child();
	cr_expect_str_eq(done(), "", "nor are its children");
}

Test(session_fork, a_child_without_a_drainer_is_off)
{
	start();
	done();
	stage.drain_error = "no thread";
	stage.child();
	cr_expect_not_null(strstr(done(), "drain_begin(waits) stop end close signals_stop"));
	cr_expect_not(session_known());
}

Test(session_fork, a_child_of_one_that_is_over_has_none)
{
	start();
	session_finish();
	done();
	stage.child();
	cr_expect_str_eq(done(), "");
}
