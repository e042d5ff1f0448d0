#include "interpreters.h"
#include "pyapi.h"
#include "record.h"
#include "symbol.h"

#include <criterion/criterion.h>
#include <pthread.h>

static uint64_t interpreters[RECORD_INTERPRETERS + 2];
static _Thread_local unsigned current;
static unsigned head;
static bool has_thread_state;
static errmsg refusal;
static unsigned watched, unwatched;

errmsg __wrap_symbol_watch(void);
errmsg __wrap_symbol_watch(void)
{
	if (!refusal)
		watched++;
	return refusal;
}

void __wrap_symbol_unwatch(void);
void __wrap_symbol_unwatch(void)
{
	unwatched++;
}

static struct py_interpreter *number(unsigned i)
{
	return (struct py_interpreter *)&interpreters[i];
}

static struct py_thread_state *get_thread_state(void)
{
	return has_thread_state ? (struct py_thread_state *)&has_thread_state : NULL;
}

static struct py_interpreter *get_current(void)
{
	return number(current);
}

static struct py_interpreter *get_main(void)
{
	return number(0);
}

static struct py_interpreter *get_head(void)
{
	return number(head);
}

static _Atomic bool is_deleted[RECORD_INTERPRETERS + 2], is_full;
static _Atomic unsigned queued, queued_in_deleted;

static int add_pending(struct py_interpreter *interpreter, int (*call)(void *), void *argument,
		       int only_main)
{
	cr_assert_null(argument);
	cr_assert_eq(only_main, 0);
	cr_assert_not_null(call);
	queued_in_deleted += is_deleted[(uint64_t *)interpreter - interpreters];
	if (is_full)
		return -1;
	queued++;
	return 0;
}

static void set_up(void)
{
	py._PyEval_AddPendingCall = add_pending;
	py._PyThreadState_GetCurrent = get_thread_state;
	py.PyInterpreterState_Get = get_current;
	py.PyInterpreterState_Main = get_main;
	py.PyInterpreterState_Head = get_head;
	has_thread_state = true;
}

TestSuite(interpreters, .init = set_up);

/* In how many places of the gate it stands. */
static unsigned in_gate(unsigned i)
{
	unsigned found = 0;

	for (unsigned place = 0; place < RECORD_INTERPRETERS; place++)
		found += atomic_load(&record_gate.interpreters[place]) == (uintptr_t)number(i);
	return found;
}

Test(interpreters, each_is_set_up_once)
{
	cr_assert_null(interpreters_meet());
	cr_assert_null(interpreters_meet());
	cr_assert_eq(in_gate(0), 1);
	cr_assert_eq(watched, 1);
	current = 1;
	cr_assert_null(interpreters_meet());
	cr_assert_eq(in_gate(0), 1);
	cr_assert_eq(in_gate(1), 1);
	cr_assert_eq(watched, 2);
}

Test(interpreters, without_a_thread_state_nothing_is_asked)
{
	has_thread_state = false;
	py.PyInterpreterState_Get = NULL;
	cr_assert_null(interpreters_meet());
	cr_assert_eq(watched, 0);
}

Test(interpreters, one_that_cannot_be_watched_stays_out)
{
	refusal = "no";
	cr_assert_eq(interpreters_meet(), refusal);
	cr_assert_eq(in_gate(0), 0);
	refusal = NULL;
	cr_assert_null(interpreters_meet());
	cr_assert_eq(in_gate(0), 1);
}

Test(interpreters, one_that_ends_leaves_its_place)
{
	cr_assert_null(interpreters_meet());
	current = 1;
	cr_assert_null(interpreters_meet());
	cr_assert(interpreters_forget());
	cr_assert_eq(in_gate(1), 0);
	cr_assert_eq(in_gate(0), 1);
	cr_assert_eq(unwatched, 1);
	cr_assert_null(interpreters_meet());
	cr_assert_eq(in_gate(1), 1);
	cr_assert_eq(watched, 3);
}

Test(interpreters, one_that_was_never_met_has_no_watcher_to_lose)
{
	current = 1;
	cr_assert(interpreters_forget());
	cr_assert_eq(unwatched, 0);
}

Test(interpreters, the_main_one_stays)
{
	cr_assert_null(interpreters_meet());
	cr_assert_not(interpreters_forget());
	cr_assert_eq(in_gate(0), 1);
	cr_assert_eq(unwatched, 0);
}

Test(interpreters, too_many_are_said)
{
	for (current = 0; current < RECORD_INTERPRETERS; current++)
		cr_assert_null(interpreters_meet());
	cr_assert_not_null(interpreters_meet());
	cr_assert_eq(in_gate(current), 0);
	for (current = 0; current < RECORD_INTERPRETERS; current++)
		cr_assert_eq(in_gate(current), 1);
	current = 1;
	cr_assert(interpreters_forget());
	current = RECORD_INTERPRETERS;
	cr_assert_null(interpreters_meet());
	cr_assert_eq(in_gate(current), 1);
}

static unsigned begun[4], ended[4], begun_count, ended_count;

static void on_begun(unsigned place)
{
	cr_assert_eq(atomic_load(&record_gate.interpreters[place]), (uintptr_t)number(current));
	begun[begun_count++] = place;
}

static void on_ended(unsigned place)
{
	cr_assert_eq(atomic_load(&record_gate.interpreters[place]), (uintptr_t)number(current),
		     "nobody else has its place yet");
	ended[ended_count++] = place;
}

Test(interpreters, whoever_is_told_hears_of_each_that_comes_and_goes)
{
	static const struct interpreters_hooks hooks = { on_begun, on_ended };

	cr_assert_null(interpreters_meet());
	interpreters_tell(&hooks);
	cr_assert_null(interpreters_meet());
	cr_assert_eq(begun_count, 0, "it was there before");
	for (current = 1; current <= 2; current++)
		cr_assert_null(interpreters_meet());
	current = 1;
	cr_assert(interpreters_forget());
	cr_assert(interpreters_forget());
	cr_assert_eq(ended_count, 1, "once");
	cr_assert_eq(ended[0], begun[0]);
	current = 3;
	cr_assert_null(interpreters_meet());
	cr_assert_eq(begun_count, 3);
	cr_assert_eq(begun[2], begun[0], "its place is used again");
	current = 0;
	cr_assert_not(interpreters_forget());
	cr_assert_eq(ended_count, 1);
}

static int on_call(void *unused)
{
	(void)unused;
	return 0;
}

Test(interpreters, each_is_asked_once_until_it_answers)
{
	cr_assert_not(interpreters_ask(0, on_call), "nobody is there");
	cr_assert_null(interpreters_meet());
	cr_assert(interpreters_ask(0, on_call));
	cr_assert(interpreters_ask(0, on_call));
	cr_assert_eq(queued, 1);
	cr_assert_eq(interpreters_answer(), 0);
	cr_assert(interpreters_ask(0, on_call));
	cr_assert_eq(queued, 2);
	current = 1;
	cr_assert_eq(interpreters_answer(), RECORD_INTERPRETERS);
	cr_assert_null(interpreters_meet());
	cr_assert(interpreters_ask(1, on_call));
	cr_assert_eq(queued, 3);
}

Test(interpreters, where_the_queue_is_full_it_is_asked_again)
{
	cr_assert_null(interpreters_meet());
	is_full = true;
	cr_assert_not(interpreters_ask(0, on_call));
	is_full = false;
	cr_assert(interpreters_ask(0, on_call));
	cr_assert_eq(queued, 1);
}

Test(interpreters, one_that_is_left_is_not_asked)
{
	current = 1;
	cr_assert_null(interpreters_meet());
	cr_assert(interpreters_ask(0, on_call));
	interpreters_leave();
	cr_assert_eq(unwatched, 0);
	cr_assert_not(interpreters_ask(0, on_call));
	current = 2;
	cr_assert_null(interpreters_meet());
	cr_assert(interpreters_ask(0, on_call), "what the one before was asked is no matter");
	cr_assert_eq(queued, 2);
	current = 0;
	cr_assert_null(interpreters_meet());
	interpreters_leave();
	cr_assert(interpreters_ask(1, on_call), "the main one stays");
}

static _Atomic bool is_over;

static void *ask_all_the_time(void *unused)
{
	while (!is_over)
		interpreters_ask(0, on_call);
	return unused;
}

Test(interpreters, one_that_has_ended_is_never_asked)
{
	pthread_t asking;

	cr_assert_eq(pthread_create(&asking, NULL, ask_all_the_time, NULL), 0);
	for (unsigned round = 0; round < 20000; round++) {
		current = 1 + round % 2;
		is_deleted[current] = false;
		cr_assert_null(interpreters_meet());
		interpreters_answer();
		cr_assert(interpreters_forget());
		is_deleted[current] = true;
	}
	is_over = true;
	cr_assert_eq(pthread_join(asking, NULL), 0);
	cr_assert_eq(queued_in_deleted, 0);
}

Test(interpreters, several_are_seen_at_the_head_of_the_list)
{
	cr_assert_not(interpreters_several());
	head = 1;
	cr_assert(interpreters_several());
}

Test(interpreters, in_a_child_only_the_main_one_is_left)
{
	for (current = 3; current > 0; current--)
		cr_assert_null(interpreters_meet());
	cr_assert_null(interpreters_meet());
	interpreters_after_fork();
	for (current = 1; current <= 3; current++)
		cr_expect_eq(in_gate(current), 0);
	cr_expect_eq(in_gate(0), 1);
	cr_expect_eq(unwatched, 0, "the watchers went with their interpreters");
	watched = 0;
	current = 0;
	cr_assert_null(interpreters_meet());
	cr_expect_eq(watched, 0, "it is known");
	current = 2;
	cr_assert_null(interpreters_meet());
	cr_expect_eq(watched, 1, "a new one at an old one's address");
	cr_expect_eq(in_gate(2), 1);
}
