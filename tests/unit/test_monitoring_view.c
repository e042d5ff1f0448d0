/*
 * test_monitoring_view.c - what the program is answered that looks at sys.monitoring and sys.setprofile.
 */
#include "monitoring_stage.h"

static struct frames_link at = { .frame = 100, .instruction = 7 };

bool __wrap_frames_top(struct frames_link *link);
bool __wrap_frames_top(struct frames_link *link)
{
	*link = at;
	return true;
}

enum other {
	FREE,
	GET_TOOL,
	REGISTER,
	GET_EVENTS,
	SET_EVENTS,
	GET_LOCAL,
	SET_LOCAL,
	ALL,
	SETPROFILE
};

static struct py_object their_function = { .references = 1 };

static struct py_object number(long value)
{
	return (struct py_object){ .references = 9, .type = &int_type, .number = value };
}

/* NULL: it has raised. */
static struct py_object *program_does(enum other what, struct py_object *one,
				      struct py_object *other, intptr_t count)
{
	struct py_object *const arguments[] = { one, other };
	struct py_object *(*call)(struct py_object *, struct py_object *const *, intptr_t);
	struct py_object *result;

	memcpy(&call, &other_methods[what]->call, sizeof(call));
	result = call(NULL, arguments, count);
	cr_assert_eq(!result, raised != NULL);
	raised = NULL;
	return result;
}

static void claim_both(void)
{
	cr_assert_null(monitoring_claim(&tool));
	cr_assert_null(monitoring_claim(&second));
	cr_assert(monitoring_set(&tool, BOTH));
	cr_assert(monitoring_set(&second, 1u << MONITORING_CALL));
}

/* As an event of sites or calls says it. */
static bool is_watched(enum other what)
{
	return monitoring_call_begins(current->others[what]);
}

TestSuite(monitoring_view, .init = set_up);

Test(monitoring_view, looks_like_the_original)
{
	claim_both();
	cr_assert_str_eq(other_methods[GET_TOOL]->name, "get_tool");
	cr_assert_str_eq(other_methods[SETPROFILE]->help, "help");
}

Test(monitoring_view, nobody_has_our_ids)
{
	struct py_object two = number(2), four = number(4), bits = number(START), *events_on;

	claim_both();
	cr_assert_eq(program_does(GET_TOOL, &two, NULL, 1), &none);
	events_on = program_does(GET_EVENTS, &four, NULL, 1);
	cr_assert_eq(events_on->number, 0);
	drop_reference(events_on);
	cr_assert_null(program_does(SET_EVENTS, &two, &bits, 2));
	cr_assert_str_eq(error_text, "tool 2 is not in use");
	cr_assert_eq(program_does(FREE, &four, NULL, 1), &none);
	cr_assert_eq(current->events[2], START | CALL);
	cr_assert(monitoring_holds(&tool) && monitoring_holds(&second));
	cr_assert_eq(two.references, 9);
}

Test(monitoring_view, who_registers_on_our_id_moves_us)
{
	struct py_object two = number(2), event = number(START);
	struct py_object *const arguments[] = { &two, &event, &their_callback };
	struct py_object *(*call)(struct py_object *, struct py_object *const *, intptr_t);

	monitoring_claim(&tool);
	monitoring_set(&tool, BOTH);
	memcpy(&call, &other_methods[REGISTER]->call, sizeof(call));
	cr_assert_eq(call(NULL, arguments, 3), &none);
	cr_assert_eq(current->callbacks[2][bit_of(START)], &their_callback);
	cr_assert_eq(atomic_load(&tool.id), 4);
	cr_assert(monitoring_holds(&tool));
}

Test(monitoring_view, other_ids_are_the_originals_affair)
{
	struct py_object one = number(1), bits = number(START), *events_on;

	claim_both();
	cr_assert_null(program_does(SET_EVENTS, &one, &bits, 2), "nobody has it");
	cr_assert(program_asks(1));
	cr_assert_eq(program_does(GET_TOOL, &one, NULL, 1), &their_name);
	cr_assert_eq(program_does(SET_EVENTS, &one, &bits, 2), &none);
	events_on = program_does(GET_EVENTS, &one, NULL, 1);
	cr_assert_eq(events_on->number, START);
	drop_reference(events_on);
	cr_assert_eq(program_does(FREE, &one, NULL, 1), &none);
	cr_assert_str_eq(holder(1), "");
}

Test(monitoring_view, a_watched_call_is_made_at_its_end)
{
	claim_both();
	cr_assert_not(monitoring_call_begins(&their_function));
	cr_assert(is_watched(SETPROFILE));
	cr_assert_eq(program_does(SETPROFILE, &their_function, NULL, 1), &none);
	cr_assert_null(current->profile);
	cr_assert_eq(monitoring_call_ends(), &none);
	cr_assert_eq(current->profile, &their_function);
	cr_assert_eq(their_function.references, 1);
	cr_assert_eq(monitoring_call_ends(), &none, "once");
}

Test(monitoring_view, a_call_that_nobody_watches_is_made_at_once)
{
	claim_both();
	program_does(SETPROFILE, &their_function, NULL, 1);
	cr_assert_eq(current->profile, &their_function);
}

/* map(sys.setprofile, ...): what ends there is map. */
Test(monitoring_view, a_call_from_elsewhere_is_made_at_once)
{
	claim_both();
	cr_assert(is_watched(SETPROFILE));
	at.instruction++;
	program_does(SETPROFILE, &their_function, NULL, 1);
	cr_assert_eq(current->profile, &their_function);
}

/* They hear of its end without us, too, or do not hear of it any more. */
Test(monitoring_view, who_has_calls_already_gets_them_at_once)
{
	struct py_object another = { .references = 1 };

	claim_both();
	current->profile = &their_function;
	cr_assert(is_watched(SETPROFILE));
	program_does(SETPROFILE, &another, NULL, 1);
	cr_assert_eq(current->profile, &another);
	cr_assert(is_watched(SETPROFILE));
	program_does(SETPROFILE, &none, NULL, 1);
	cr_assert_null(current->profile);
}

Test(monitoring_view, events_of_calls_are_set_at_the_end)
{
	struct py_object one = number(1), start = number(START), calls = number(START | CALL);

	claim_both();
	program_asks(1);
	cr_assert(is_watched(SET_EVENTS));
	program_does(SET_EVENTS, &one, &start, 2);
	cr_assert_eq(current->events[1], START);
	cr_assert(is_watched(SET_EVENTS));
	program_does(SET_EVENTS, &one, &calls, 2);
	cr_assert_eq(current->events[1], START);
	cr_assert_eq(monitoring_call_ends(), &none);
	cr_assert_eq(current->events[1], START | CALL);
	cr_assert(is_watched(SET_EVENTS));
	program_does(SET_EVENTS, &one, &start, 2);
	cr_assert_eq(current->events[1], START);
	cr_assert_eq(one.references, 9);
}

Test(monitoring_view, what_it_raises_is_the_calls)
{
	claim_both();
	cr_assert(is_watched(SETPROFILE));
	program_does(SETPROFILE, &their_function, NULL, 1);
	set_refuses = true;
	cr_assert_null(monitoring_call_ends());
	cr_assert_eq(raised, &pending);
	cr_assert_eq(their_function.references, 1);
}

/* What a program has kept of ours goes on as if it were the original. */
Test(monitoring_view, after_the_end_the_original_is_called)
{
	struct py_object one = number(1);

	claim_both();
	monitoring_forget();
	cr_assert_eq(program_does(SETPROFILE, &their_function, NULL, 1), &none);
	cr_assert_eq(current->profile, &their_function);
	cr_assert_eq(program_does(FREE, &one, NULL, 1), &none);
	cr_assert_not(is_watched(SETPROFILE));
}
