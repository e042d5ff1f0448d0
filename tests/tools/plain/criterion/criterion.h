/*
 * criterion.h - as much of Criterion as the unit tests use, for SAN=thread and SAN=valgrind: Criterion itself cannot
 * start under the thread sanitizer, whose shadow memory covers the addresses that it wants, and begins its tests'
 * processes in a way that valgrind does not bear.
 *
 * Each test runs in a forked child of its own, one after the other; what is printed is what Criterion
 * prints, as far as tests/run reads it.
 */
#ifndef PLAIN_CRITERION_H
#define PLAIN_CRITERION_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLAIN_SKIPPED 42
#define PLAIN_SECONDS 600

struct plain_test {
	const char *suite, *name; /* name NULL: what holds for the whole suite */
	void (*run)(void), (*init)(void), (*fini)(void);
	double timeout; /* seconds; 0: PLAIN_SECONDS */
	struct plain_test *next;
};

static struct {
	struct plain_test *tests;
	bool failed; /* in the child */
} plain_state;

static void plain_exit(int status)
{
	exit(status);
}

#define Test(suite_, name_, ...)                                                              \
	static void suite_##_##name_##_impl(void);                                            \
	static struct plain_test suite_##_##name_##_test = {                                  \
		.suite = #suite_, .name = #name_, .run = suite_##_##name_##_impl, __VA_ARGS__ \
	};                                                                                    \
	__attribute__((constructor)) static void suite_##_##name_##_register(void)            \
	{                                                                                     \
		suite_##_##name_##_test.next = plain_state.tests;                             \
		plain_state.tests = &suite_##_##name_##_test;                                 \
	}                                                                                     \
	static void suite_##_##name_##_impl(void)

#define TestSuite(suite_, ...)                                                       \
	static struct plain_test suite_##_suite = { .suite = #suite_, __VA_ARGS__ }; \
	__attribute__((constructor)) static void suite_##_suite_register(void)       \
	{                                                                            \
		suite_##_suite.next = plain_state.tests;                             \
		plain_state.tests = &suite_##_suite;                                 \
	}                                                                            \
	_Static_assert(true, "")

#define PLAIN_CHECK(is_fatal, holds, text, ...)                                 \
	do {                                                                    \
		if (!(holds)) {                                                 \
			printf("%s:%d: not so: %s ", __FILE__, __LINE__, text); \
			printf(" " __VA_ARGS__);                                \
			putchar('\n');                                          \
			plain_state.failed = true;                              \
			if (is_fatal)                                           \
				plain_exit(1);                                  \
		}                                                               \
	} while (0)

#define cr_assert(a, ...) PLAIN_CHECK(true, (a), #a, __VA_ARGS__)
#define cr_assert_not(a, ...) PLAIN_CHECK(true, !(a), "not " #a, __VA_ARGS__)
#define cr_assert_null(a, ...) PLAIN_CHECK(true, (a) == NULL, #a " is NULL", __VA_ARGS__)
#define cr_assert_not_null(a, ...) PLAIN_CHECK(true, (a) != NULL, #a " is not NULL", __VA_ARGS__)
#define cr_assert_eq(a, b, ...) PLAIN_CHECK(true, (a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...) PLAIN_CHECK(true, (a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...) PLAIN_CHECK(true, (a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...) PLAIN_CHECK(true, (a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...) PLAIN_CHECK(true, (a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...) PLAIN_CHECK(true, (a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_assert_float_eq(a, b, most, ...)                                                \
	PLAIN_CHECK(true, (a) - (b) <= (most) && (b) - (a) <= (most), #a " is nearly " #b, \
		    __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) PLAIN_CHECK(true, strcmp(a, b) == 0, #a " is " #b, __VA_ARGS__)
#define cr_assert_arr_eq(a, b, n, ...) \
	PLAIN_CHECK(true, memcmp(a, b, n) == 0, #a " is " #b, __VA_ARGS__)
#define cr_expect(a, ...) PLAIN_CHECK(false, (a), #a, __VA_ARGS__)
#define cr_expect_not(a, ...) PLAIN_CHECK(false, !(a), "not " #a, __VA_ARGS__)
#define cr_expect_null(a, ...) PLAIN_CHECK(false, (a) == NULL, #a " is NULL", __VA_ARGS__)
#define cr_expect_not_null(a, ...) PLAIN_CHECK(false, (a) != NULL, #a " is not NULL", __VA_ARGS__)
#define cr_expect_eq(a, b, ...) PLAIN_CHECK(false, (a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...) PLAIN_CHECK(false, (a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...) PLAIN_CHECK(false, (a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_expect_leq(a, b, ...) PLAIN_CHECK(false, (a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_expect_gt(a, b, ...) PLAIN_CHECK(false, (a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_expect_geq(a, b, ...) PLAIN_CHECK(false, (a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_expect_float_eq(a, b, most, ...)                                                 \
	PLAIN_CHECK(false, (a) - (b) <= (most) && (b) - (a) <= (most), #a " is nearly " #b, \
		    __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...) PLAIN_CHECK(false, strcmp(a, b) == 0, #a " is " #b, __VA_ARGS__)
#define cr_log_info(...)             \
	do {                         \
		printf(__VA_ARGS__); \
		putchar('\n');       \
	} while (0)
#define cr_skip_test(...)                      \
	do {                                   \
		printf("[SKIP] " __VA_ARGS__); \
		putchar('\n');                 \
		plain_exit(PLAIN_SKIPPED);     \
	} while (0)

static const struct plain_test *plain_suite(const char *suite)
{
	static const struct plain_test none;

	for (const struct plain_test *test = plain_state.tests; test; test = test->next) {
		if (!test->name && strcmp(test->suite, suite) == 0)
			return test;
	}
	return &none;
}

static void plain_child(const struct plain_test *test)
{
	const struct plain_test *suite = plain_suite(test->suite);
	double timeout = test->timeout > 0 ? test->timeout : suite->timeout;
	void (*init)(void) = test->init ? test->init : suite->init;
	void (*fini)(void) = test->fini ? test->fini : suite->fini;

	alarm(timeout > 0 ? (unsigned)timeout + 1 : PLAIN_SECONDS);
	if (init)
		init();
	test->run();
	if (fini)
		fini();
	plain_exit(plain_state.failed);
}

static int plain_status(const struct plain_test *test)
{
	int status = 0;
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child == 0)
		plain_child(test);
	if (child < 0 || waitpid(child, &status, 0) != child)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(void)
{
	unsigned tested = 0, passing = 0, crashing = 0;

	/* A test that does not end is to be named by what came before it. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (const struct plain_test *test = plain_state.tests; test; test = test->next) {
		int status;

		if (!test->name)
			continue;
		status = plain_status(test);
		tested += status != PLAIN_SKIPPED;
		passing += status == 0;
		crashing += status > 128;
		printf("[%s] %s::%s\n",
		       status == 0	       ? "PASS" :
		       status == PLAIN_SKIPPED ? "SKIP" :
						 "FAIL",
		       test->suite, test->name);
	}
	printf("[====] Synthesis: Tested: %u | Passing: %u | Failing: %u | Crashing: %u\n", tested,
	       passing, tested - passing - crashing, crashing);
	return passing != tested;
}

#endif
