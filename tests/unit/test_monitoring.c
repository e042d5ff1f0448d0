#include "monitoring_stage.h"

static bool reads_fail;

bool __real_os_read(void *to, uintptr_t from, size_t n);
bool __wrap_os_read(void *to, uintptr_t from, size_t n);
bool __wrap_os_read(void *to, uintptr_t from, size_t n)
{
	return !reads_fail && __real_os_read(to, from, n);
}

static struct py_interpreter other_interpreter;

static void program_frees(long id)
{
	drop_reference(model_free(id));
}

static void program_registers(long id, long bits)
{
	struct py_object event = { .type = &int_type, .number = bits };

	drop_reference(model_register(id, &event, &their_callback));
}

/* What an event of CPython's number would do now. */
static void fire(long id, long bits)
{
	struct py_object *callback = current->callbacks[id][bit_of(bits)];

	if (current->events[id] & bits && callback && callback->call)
		callback->call(callback, NULL, 0, NULL);
}

static struct py_object *tool_callback(long id, long bits)
{
	return current->callbacks[id][bit_of(bits)];
}

static bool has_nothing_of_ours(long id)
{
	for (unsigned bit = 0; bit < BITS; bit++) {
		if (current->callbacks[id][bit] && current->callbacks[id][bit]->call)
			return false;
	}
	return true;
}

TestSuite(monitoring, .init = set_up);

/* ---- claimed, set, released ---- */

Test(monitoring, the_first_wanted_id_is_claimed)
{
	cr_assert_null(monitoring_disable());
	cr_assert_null(monitoring_claim(&tool));
	cr_assert_eq(atomic_load(&tool.id), 2);
	cr_assert_str_eq(holder(2), "monprof");
	cr_assert_eq(current->events[2], 0);
	cr_assert_eq(monitoring_disable(), &disable);
	cr_assert_eq(tool.interpreter, current);
	cr_assert(monitoring_holds(&tool));
	for (unsigned bit = 0; bit < BITS; bit++)
		cr_assert_eq(current->callbacks[2][bit] != NULL,
			     bit == 17 || bit == 12 || bit == 13, "bit %u", bit);
}

Test(monitoring, ids_that_others_have_are_passed_by)
{
	current->names[2] = &their_name;
	cr_assert_null(monitoring_claim(&tool));
	cr_assert_eq(atomic_load(&tool.id), 4);
	cr_assert_eq(current->names[2], &their_name);
	cr_assert_null(monitoring_claim(&second));
	cr_assert_eq(atomic_load(&second.id), 3);
}

Test(monitoring, no_id_no_claim)
{
	long before;

	cr_assert_null(monitoring_claim(&tool));
	monitoring_release(&tool);
	for (unsigned id = 2; id < 5; id++)
		current->names[id] = &their_name;
	before = alive;
	cr_assert_str_eq(monitoring_claim(&tool), "no tool id of sys.monitoring is free");
	cr_assert_eq(atomic_load(&tool.id), -1);
	cr_assert_eq(alive, before);
	cr_assert_null(raised);
	cr_assert_not(monitoring_set(&tool, BOTH));
	cr_assert_not(monitoring_holds(&tool));
}

Test(monitoring, without_a_type_nothing_is_left)
{
	type_is_missing = true;
	cr_assert_str_eq(monitoring_claim(&tool), "sys.monitoring is not as it should be");
	cr_assert_eq(alive, 0);
	cr_assert_null(raised);
	cr_assert_null(current->attribute);
	type_is_missing = false;
	cr_assert_null(monitoring_claim(&tool));
}

Test(monitoring, sets_of_events_are_in_the_numbers_of_this_python)
{
	monitoring_claim(&tool);
	cr_assert(monitoring_set(&tool, BOTH | 1u << MONITORING_C_RETURN));
	cr_assert_eq(current->events[2], START | CALL, "C_RETURN comes with CALL");
	fire(2, START);
	fire(2, CALL);
	fire(2, CALL);
	cr_assert_eq(seen[MONITORING_PY_START], 1);
	cr_assert_eq(seen[MONITORING_CALL], 2);
	cr_assert(monitoring_set(&tool, 1u << MONITORING_PY_YIELD));
	cr_assert_eq(current->events[2], 1);
	cr_assert(monitoring_set(&tool, 0));
	cr_assert_eq(current->events[2], 0);
}

Test(monitoring, toggling_keeps_no_references)
{
	long before;

	monitoring_claim(&tool);
	for (uint32_t set = 0; set < 64; set++)
		cr_assert(monitoring_set(&tool, set));
	before = alive;
	for (uint32_t set = 0; set < 64; set++)
		cr_assert(monitoring_set(&tool, set));
	cr_assert_eq(alive, before);
}

Test(monitoring, what_cpython_refuses_is_said)
{
	monitoring_claim(&tool);
	monitoring_set(&tool, BOTH);
	set_refuses = true;
	cr_assert_not(monitoring_set(&tool, 0));
	cr_assert_null(raised);
	cr_assert_eq(atomic_load(&tool.id), -1);
	cr_assert(has_nothing_of_ours(2), "or events would go on for nothing");
}

Test(monitoring, events_that_nobody_switched_off_are_not_inherited)
{
	current->events[2] = 1u << UNKNOWN_EVENT;
	monitoring_claim(&tool);
	cr_assert_eq(current->events[2], 0);
}

Test(monitoring, after_a_release_nothing_is_there)
{
	cr_assert_null(monitoring_claim(&tool));
	cr_assert(monitoring_set(&tool, BOTH));
	monitoring_release(&tool);
	cr_assert_eq(atomic_load(&tool.id), -1);
	cr_assert_str_eq(holder(2), "");
	cr_assert_eq(current->events[2], 0);
	cr_assert(has_nothing_of_ours(2));
	monitoring_release(&tool);
	monitoring_forget();
	cr_assert_eq(alive, 0);
}

Test(monitoring, a_callback_knows_its_tool_until_that_lets_go)
{
	struct py_object *callback;

	cr_assert_null(monitoring_claim(&second));
	callback = tool_callback(4, CALL);
	callback->references++; /* as one that the program has got hold of */
	cr_assert_eq(monitoring_tool(callback), &second);
	monitoring_claim(&tool);
	cr_assert_eq(monitoring_tool(tool_callback(2, CALL)), &tool);
	monitoring_forget();
	cr_assert_null(monitoring_tool(callback));
	cr_assert_eq(callback->references, 2, "CPython's, the program's");
}

/* ---- the program asks for the id ---- */

static void check_move(void)
{
	monitoring_claim(&tool);
	monitoring_set(&tool, BOTH);
	asked_count = 0;
	cr_assert(program_asks(2));
	cr_assert_eq(asked_count, 2, "once by us for ours, once by the program");
	cr_assert_eq(current->names[2], &their_name);
	cr_assert_eq(current->events[2], 0);
	cr_assert(has_nothing_of_ours(2));
	cr_assert_eq(atomic_load(&tool.id), 4);
	cr_assert_str_eq(holder(4), "monprof");
	cr_assert_eq(current->events[4], START | CALL);
	fire(4, START);
	cr_assert_eq(seen[MONITORING_PY_START], 1);
	cr_assert(monitoring_holds(&tool));
	cr_assert_eq(lost_count, 0);
	cr_assert(program_asks(4));
	cr_assert_eq(atomic_load(&tool.id), 3);
}

Test(monitoring, the_program_gets_the_id_before_3_14)
{
	check_move();
}

Test(monitoring, the_program_gets_the_id)
{
	free_clears = true;
	check_move();
}

Test(monitoring, ids_that_are_not_ours_are_the_program_s_affair)
{
	monitoring_claim(&tool);
	cr_assert(program_asks(1));
	cr_assert_not(program_asks(1), "it has it already");
	cr_assert_not(program_asks(6));
	cr_assert_not(program_asks(-1));
	cr_assert_eq(atomic_load(&tool.id), 2);
}

Test(monitoring, arguments_that_the_original_refuses_move_nobody)
{
	struct py_object two = { .references = 9, .type = &int_type, .number = 2 };

	monitoring_claim(&tool);
	cr_assert_not(program_calls(&two, &their_name, 1));
	cr_assert_not(program_calls(&two, &their_name, 0));
	cr_assert_eq(indexed, 0);
	cr_assert_not(program_calls(&two, &two, 2), "a name is a str");
	cr_assert_not(program_calls(&their_name, &their_name, 2), "an id is an int");
	cr_assert_eq(indexed, 2, "__index__ is called once a call");
	cr_assert_eq(atomic_load(&tool.id), 2);
	cr_assert(monitoring_holds(&tool));
	cr_assert_eq(two.references, 9);
}

Test(monitoring, where_no_other_is_free_the_tool_is_lost)
{
	monitoring_claim(&tool);
	monitoring_set(&tool, BOTH);
	current->names[3] = current->names[4] = &their_name;
	cr_assert(program_asks(2));
	cr_assert_eq(lost_count, 1);
	cr_assert_eq(current->names[2], &their_name);
	cr_assert_eq(current->events[2], 0);
	cr_assert(has_nothing_of_ours(2));
	cr_assert_not(monitoring_set(&tool, BOTH));
	cr_assert_not(monitoring_holds(&tool));
	monitoring_forget();
	cr_assert_eq(alive, 0);
}

Test(monitoring, two_tools_move_each_for_itself)
{
	monitoring_claim(&tool);
	monitoring_claim(&second);
	cr_assert_eq(atomic_load(&second.id), 4);
	monitoring_set(&tool, 1u << MONITORING_PY_START);
	monitoring_set(&second, 1u << MONITORING_CALL);
	cr_assert(program_asks(2));
	cr_assert_eq(atomic_load(&tool.id), 3);
	cr_assert_eq(current->events[3], START);
	cr_assert_eq(current->events[4], CALL);
	cr_assert(program_asks(4));
	cr_assert_eq(atomic_load(&second.id), -1);
	cr_assert_eq(lost_count, 1);
	cr_assert(monitoring_holds(&tool));
}

/* ---- the program helps itself ---- */

Test(monitoring, a_callback_of_the_program_s_stays)
{
	monitoring_claim(&tool);
	monitoring_set(&tool, BOTH);
	program_registers(2, START);
	cr_assert_not(monitoring_holds(&tool));
	cr_assert_eq(atomic_load(&tool.id), -1);
	cr_assert_eq(current->callbacks[2][17], &their_callback);
	cr_assert(has_nothing_of_ours(2));
	cr_assert_eq(current->events[2], START, "CALL was ours alone");
	cr_assert_str_eq(holder(2), "monprof", "or the program's next set_events would fail");
}

/* Each audit hook hears of callbacks that are registered. */
Test(monitoring, the_program_does_not_hear_us_look)
{
	monitoring_claim(&tool);
	monitoring_set(&tool, BOTH);
	registered = 0;
	cr_assert(monitoring_holds(&tool));
	monitoring_look();
	cr_assert_eq(registered, 0);
	program_registers(2, 1L << 13);
	cr_assert_not(monitoring_holds(&tool));
}

Test(monitoring, callbacks_that_are_not_found_are_asked_for)
{
	reads_fail = true;
	monitoring_claim(&tool);
	cr_assert_eq(tool.cells, 0);
	registered = 0;
	cr_assert(monitoring_holds(&tool));
	cr_assert_eq(registered, 3);
	program_registers(2, CALL);
	cr_assert_not(monitoring_holds(&tool));
}

Test(monitoring, what_only_looks_like_the_callbacks_is_not_taken_for_them)
{
	has_decoys = true;
	monitoring_claim(&tool);
	cr_assert_eq(tool.cells, (uintptr_t)current->callbacks[2]);
}

Test(monitoring, events_that_cannot_be_asked_for_are_taken_for_ours)
{
	monitoring_claim(&tool);
	get_refuses = true;
	cr_assert(monitoring_set(&tool, BOTH));
	cr_assert(monitoring_holds(&tool));
	cr_assert_eq(current->events[2], START | CALL);
	cr_assert_null(raised);
}

Test(monitoring, events_that_the_program_has_set_stay)
{
	monitoring_claim(&tool);
	monitoring_set(&tool, BOTH);
	program_registers(2, START);
	drop_reference(model_set(2, START | 1));
	cr_assert_not(monitoring_set(&tool, 0));
	cr_assert_eq(current->events[2], START | 1);
	cr_assert_eq(current->callbacks[2][17], &their_callback);
	cr_assert(has_nothing_of_ours(2));
	cr_assert_eq(atomic_load(&tool.id), -1);
	monitoring_forget();
	cr_assert_eq(alive, 0);
}

Test(monitoring, an_id_that_was_freed_in_between_is_left_clean)
{
	monitoring_claim(&tool);
	monitoring_set(&tool, BOTH);
	program_frees(2);
	cr_assert_not(monitoring_set(&tool, 0));
	cr_assert_str_eq(holder(2), "");
	cr_assert_eq(current->events[2], 0);
	cr_assert(has_nothing_of_ours(2));
}

Test(monitoring, a_look_at_all_tools_tells_those_that_are_lost)
{
	monitoring_look();
	monitoring_claim(&tool);
	monitoring_claim(&second);
	monitoring_look();
	cr_assert_eq(lost_count, 0);
	program_frees(2);
	monitoring_look();
	cr_assert_eq(lost_count, 1);
	cr_assert_eq(atomic_load(&tool.id), -1);
	cr_assert(monitoring_holds(&second));
	monitoring_look();
	cr_assert_eq(lost_count, 1);
}

static void check_freed(void)
{
	monitoring_claim(&tool);
	monitoring_set(&tool, BOTH);
	program_frees(2);
	cr_assert_not(monitoring_holds(&tool));
	cr_assert_eq(atomic_load(&tool.id), -1);
	cr_assert_str_eq(holder(2), "");
	cr_assert_eq(current->events[2], 0);
	cr_assert(has_nothing_of_ours(2));
	monitoring_forget();
	cr_assert_eq(alive, 0);
}

Test(monitoring, an_id_that_the_program_freed_is_left_clean_before_3_14)
{
	check_freed();
}

Test(monitoring, an_id_that_the_program_freed_is_left_clean)
{
	free_clears = true;
	check_freed();
}

Test(monitoring, an_id_that_went_to_another_keeps_its_events)
{
	monitoring_claim(&tool);
	monitoring_set(&tool, BOTH);
	program_frees(2);
	drop_reference(model_use(2, &their_name));
	drop_reference(model_set(2, START));
	cr_assert_not(monitoring_holds(&tool));
	cr_assert_eq(current->names[2], &their_name);
	cr_assert_eq(current->events[2], START);
	cr_assert(has_nothing_of_ours(2));
}

Test(monitoring, an_id_that_went_to_another_is_not_given_away_again)
{
	monitoring_claim(&tool);
	program_frees(2);
	drop_reference(model_use(2, &their_name));
	cr_assert_not(program_asks(2));
	cr_assert_eq(current->names[2], &their_name);
	cr_assert_eq(atomic_load(&tool.id), 4, "but we have noticed");
	cr_assert(monitoring_holds(&tool));
}

Test(monitoring, who_frees_our_id_and_asks_for_it_moves_us)
{
	monitoring_claim(&tool);
	monitoring_set(&tool, BOTH);
	program_frees(2);
	cr_assert(program_asks(2));
	cr_assert_eq(atomic_load(&tool.id), 4);
	cr_assert_eq(current->events[2], 0);
	cr_assert(has_nothing_of_ours(2));
	cr_assert_eq(current->events[4], START | CALL);
	cr_assert(monitoring_holds(&tool));
}

Test(monitoring, an_audit_hook_that_refuses_is_no_answer)
{
	monitoring_claim(&tool);
	monitoring_set(&tool, BOTH);
	audit_refuses = true;
	cr_assert(monitoring_holds(&tool));
	cr_assert_null(raised);
	monitoring_release(&tool);
	cr_assert_eq(current->events[2], 0);
	cr_assert_str_eq(holder(2), "");
	cr_assert_not_null(monitoring_claim(&tool));
	cr_assert_str_eq(holder(2), "");
	cr_assert_null(raised);
}

/* ---- exceptions, interpreters ---- */

Test(monitoring, a_pending_exception_is_kept)
{
	static struct py_object theirs;

	raised = &theirs;
	cr_assert_null(monitoring_claim(&tool));
	cr_assert(monitoring_set(&tool, BOTH));
	cr_assert(monitoring_holds(&tool));
	set_refuses = true;
	cr_assert_not(monitoring_set(&tool, 0));
	monitoring_release(&tool);
	monitoring_forget();
	cr_assert_eq(raised, &theirs);
}

Test(monitoring, interpreters_have_tools_of_their_own)
{
	monitoring_claim(&tool);
	current = &other_interpreter;
	cr_assert_null(monitoring_claim(&second));
	cr_assert_eq(atomic_load(&second.id), 4);
	cr_assert(program_asks(4));
	cr_assert_eq(atomic_load(&second.id), 3);
	cr_assert_eq(atomic_load(&tool.id), 2);
	monitoring_forget();
	cr_assert_eq(atomic_load(&second.id), -1);
	cr_assert_eq(atomic_load(&tool.id), 2);
	current = &main_interpreter;
	cr_assert(monitoring_holds(&tool));
}

Test(monitoring, the_end_of_an_interpreter_leaves_no_reference)
{
	monitoring_claim(&tool);
	monitoring_claim(&second);
	monitoring_set(&tool, BOTH);
	cr_assert_str_eq(current->attribute->text, "wrapper");
	monitoring_forget();
	cr_assert_eq(alive, 0);
	cr_assert_str_eq(current->attribute->text, "use_tool_id", "the original is back");
	cr_assert_not(program_asks(2), "whoever kept ours");
	cr_assert_null(monitoring_claim(&second), "an address that is used again");
}

Test(monitoring, what_others_put_over_ours_stays)
{
	static struct py_object theirs = { .references = 2, .text = "theirs" };

	monitoring_claim(&tool);
	let_go(current->attribute);
	current->attribute = &theirs;
	monitoring_forget();
	cr_assert_eq(current->attribute, &theirs);
}

Test(monitoring, in_a_forked_child_main_s_tool_goes_on)
{
	current = &other_interpreter;
	monitoring_claim(&second);
	current = &main_interpreter;
	monitoring_claim(&tool);
	monitoring_after_fork();
	cr_assert_eq(atomic_load(&second.id), -1);
	cr_assert(monitoring_holds(&tool));
	memset(&other_interpreter, 0, sizeof(other_interpreter));
	current = &other_interpreter;
	make_tool(&second, 2);
	cr_assert_null(monitoring_claim(&second), "a new interpreter at the old address");
	cr_assert_eq(atomic_load(&second.id), 2);
}
