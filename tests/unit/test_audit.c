/*
 * test_audit.c - the list of hooks as CPython keeps it, in a _PyRuntime made by hand.
 */
#include "audit.h"
#include "heap.h"
#include "os.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define WORDS 8192
#define HEAD 1000 /* word of the runtime that is the list's head */

struct entry {
	struct entry *next;
	pyapi_audit_hook *hook;
	void *data;
};

static uintptr_t runtime[WORDS];
static struct entry entries[8];
static struct entry **head = (struct entry **)(void *)&runtime[HEAD];
static unsigned added;
static bool is_refused;
static void (*at_add)(void);

static int ours(const char *event, struct py_object *arguments, void *data)
{
	(void)event, (void)arguments, (void)data;
	return 0;
}

static int theirs(const char *event, struct py_object *arguments, void *data)
{
	(void)event, (void)arguments, (void)data;
	return 1;
}

/* As add_sys_audit_hook does: to the end of the list. */
static int add_hook(pyapi_audit_hook *hook, void *data)
{
	struct entry **link = head;

	if (is_refused)
		return -1;
	while (*link)
		link = &(*link)->next;
	entries[added] = (struct entry){ NULL, hook, data };
	*link = &entries[added++];
	if (at_add)
		at_add();
	return 0;
}

static void set_up(void)
{
	py.PySys_AddAuditHook = add_hook;
	py._PyRuntime = (void *)runtime;
}

TestSuite(audit, .init = set_up);

/* The list as text: o ours, t theirs. */
static const char *list(void)
{
	static char text[16];
	size_t bytes = 0;

	for (struct entry *entry = *head; entry && bytes < sizeof(text) - 1; entry = entry->next)
		text[bytes++] = entry->hook == ours ? 'o' : 't';
	text[bytes] = '\0';
	return text;
}

Test(audit, the_only_hook_is_taken_out_and_put_in)
{
	cr_assert_null(audit_add(ours));
	cr_assert_str_eq(list(), "o");
	for (unsigned i = 0; i < 3; i++) {
		audit_unlink();
		audit_unlink();
		cr_assert_str_eq(list(), "");
		audit_link();
		audit_link();
		cr_assert_str_eq(list(), "o");
	}
	cr_assert_eq(*head, &entries[0]);
}

Test(audit, hooks_of_before_stay)
{
	add_hook(theirs, NULL);
	add_hook(theirs, NULL);
	cr_assert_null(audit_add(ours));
	cr_assert_str_eq(list(), "tto");
	audit_unlink();
	cr_assert_str_eq(list(), "tt");
	audit_link();
	cr_assert_str_eq(list(), "ott");
	audit_unlink();
	cr_assert_str_eq(list(), "tt");
}

Test(audit, hooks_that_come_later_stay)
{
	add_hook(theirs, NULL);
	cr_assert_null(audit_add(ours));
	add_hook(theirs, NULL);
	audit_unlink();
	cr_assert_str_eq(list(), "tt");
	add_hook(theirs, NULL);
	audit_link();
	cr_assert_str_eq(list(), "ottt");
}

Test(audit, an_entry_that_somebody_took_out_is_not_looked_for_twice)
{
	cr_assert_null(audit_add(ours));
	*head = NULL;
	audit_unlink();
	audit_link();
	cr_assert_str_eq(list(), "o");
}

Test(audit, a_refusal_is_said)
{
	is_refused = true;
	cr_assert_not_null(audit_add(ours));
	audit_unlink();
	audit_link();
	cr_assert_str_eq(list(), "");
}

/* The same function, added by somebody else with other data, is not our entry. */
Test(audit, another_with_our_function_is_not_ours)
{
	add_hook(ours, NULL);
	cr_assert_null(audit_add(ours));
	audit_unlink();
	cr_assert_str_eq(list(), "o");
	cr_assert_eq(*head, &entries[0]);
}

static struct entry ring_of_two[2];

static void change_other_words(void)
{
	runtime[3] = 0x1001; /* no pointer */
	runtime[4] = 4096; /* not mapped */
	runtime[5] = UINTPTR_MAX - 7;
	runtime[6] = (uintptr_t)&ring_of_two[0];
	ring_of_two[0].next = &ring_of_two[1];
	ring_of_two[1].next = &ring_of_two[0];
}

Test(audit, other_words_that_change_do_not_mislead)
{
	at_add = change_other_words;
	cr_assert_null(audit_add(ours));
	audit_unlink();
	cr_assert_str_eq(list(), "");
	cr_assert_eq(runtime[6], (uintptr_t)&ring_of_two[0]);
}

Test(audit, words_full_of_anything_do_not_mislead)
{
	for (unsigned i = 0; i < WORDS; i++)
		runtime[i] = i % 3 ? 0x7070707070707070u + i : (uintptr_t)&ring_of_two[i % 2];
	ring_of_two[0].next = &ring_of_two[1];
	ring_of_two[1].next = &ring_of_two[0];
	*head = NULL;
	add_hook(theirs, NULL);
	cr_assert_null(audit_add(ours));
	audit_unlink();
	cr_assert_str_eq(list(), "t");
}

Test(audit, a_head_that_is_not_found_leaves_the_entry_linked)
{
	static struct entry *elsewhere;

	head = &elsewhere;
	cr_assert_null(audit_add(ours));
	audit_unlink();
	cr_assert_str_eq(list(), "o");
	audit_link();
	cr_assert_str_eq(list(), "o");
}

Test(audit, a_runtime_that_cannot_be_read_leaves_the_entry_linked)
{
	static struct entry *elsewhere;
	size_t page = 4096;
	char *pages =
		mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(pages, MAP_FAILED);
	cr_assert_eq(mprotect(pages + page, page, PROT_NONE), 0);
	head = &elsewhere;
	py._PyRuntime = (void *)pages;
	cr_assert_null(audit_add(ours));
	audit_unlink();
	cr_assert_str_eq(list(), "o");
}
