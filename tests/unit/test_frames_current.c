/*
 * test_frames_current.c - the word with the calling thread's state is found where it is thread-local, and what is
 * read there is each thread's own.
 */
#include "frames_glance.h"

#include <criterion/criterion.h>
#include <pthread.h>

/* As CPython's: the word that is meant, between others, one of which has the same in it as a rule. */
static _Thread_local struct words {
	void *before, *other, *current, *after;
} words;
static void *elsewhere;

static struct state {
	uintptr_t frame;
} states[2];

static struct py_thread_state *get(void)
{
	return *(void *volatile *)&words.current;
}

static struct py_thread_state *get_elsewhere(void)
{
	return *(void *volatile *)&elsewhere;
}

static void set_up(void)
{
	static const struct frames_layout layout = { 0 };

	frames_layout_set(&layout);
	states[0].frame = 1000;
	states[1].frame = 2000;
	words = (struct words){ NULL, &states[0], &states[0], NULL };
	elsewhere = &states[0];
	py._PyThreadState_GetCurrent = get;
}

TestSuite(frames_current, .init = set_up);

static void *other_thread(void *found)
{
	words = (struct words){ NULL, &states[0], &states[1], NULL };
	*(uintptr_t *)found = frames_innermost();
	return NULL;
}

#ifdef __x86_64__
Test(frames_current, each_threads_own)
{
	uintptr_t found = 0;
	pthread_t thread;

	frames_current_find();
	cr_assert_neq(frames_current.distance, 0);
	cr_expect_eq(words.current, &states[0], "as it was");
	cr_expect_eq(frames_innermost(), 1000);
	words.other = &states[1];
	cr_expect_eq(frames_innermost(), 1000, "the word that is meant");
	cr_assert_eq(pthread_create(&thread, NULL, other_thread, &found), 0);
	pthread_join(thread, NULL);
	cr_expect_eq(found, 2000);
}
#endif

Test(frames_current, not_known_where_no_word_is_it)
{
	frames_current_find();
	py._PyThreadState_GetCurrent = get_elsewhere;
	frames_current_find();
	cr_expect_eq(frames_current.distance, 0);
	words.current = NULL;
	py._PyThreadState_GetCurrent = get;
	frames_current_find();
	cr_expect_eq(frames_current.distance, 0, "no state to find it by");
}
