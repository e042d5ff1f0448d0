/*
 * test_callee.c - which function a call calls, and what it is called.
 */
#include "callee_stage.h"

#include "os.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static bool pages_refused;
static void (*at_map)(void);

void *__real_os_pages_map(size_t size_bytes);
void *__wrap_os_pages_map(size_t size_bytes);
void *__wrap_os_pages_map(size_t size_bytes)
{
	if (at_map)
		at_map();
	return pages_refused ? NULL : __real_os_pages_map(size_bytes);
}

TestSuite(callee, .init = set_up);

/* ---- which one ---- */

Test(callee, python_functions_are_none_of_cs)
{
	struct object function = { 1, &function_type };
	struct method bound = { { 1, &bound_type }, &function };
	struct method twice = { { 1, &bound_type }, &bound };

	cr_assert_null(callee_start());
	cr_expect_eq(key_of(&function), 0);
	cr_expect_eq(key_of(&bound), 0);
	cr_expect_eq(key_of(&twice), 0);
}

Test(callee, a_method_is_the_same_bound_and_not)
{
	struct object thing = { 1, &class_type }, other = { 1, &sub_type };
	struct function bound = function_of(table, &thing, NULL);
	struct function below = function_of(table, &other, NULL);
	struct descr descr = { { 1, &descr_type }, &class_type, NULL, NULL, table };
	struct method method = { { 1, &bound_type }, &descr };

	object_type.methods = NULL;
	cr_assert_not_null(callee_start(), "its methods have gone");
	object_type.methods = table;
	cr_assert_null(callee_start());
	cr_expect_neq(key_of(&bound), 0);
	cr_expect_eq(key_of(&bound), key_of(&below));
	cr_expect_eq(key_of(&bound), key_of(&descr));
	cr_expect_eq(key_of(&bound), key_of(&method));
	cr_expect_str_eq(name_of(&below), "pkg.mod|Thing.__dir__", "the type that defines it");
	cr_expect_eq(find(&descr), find(&bound));
}

Test(callee, names_as_a_programmer_writes_them)
{
	struct object thing = { 1, &sub_type };
	struct function function = function_of(&plain, NULL, "builtins");
	struct function class_method = function_of(&table[1], &sub_type, NULL);
	struct function static_method = function_of(&table[2], &class_type, "builtins");

	cr_assert_null(callee_start());
	cr_expect_str_eq(name_of(&function), "builtins|sorted");
	cr_expect_str_eq(name_of(&class_method), "pkg.mod|Thing.from");
	cr_expect_str_eq(name_of(&static_method), "pkg.mod|Thing.static");
	cr_expect_str_eq(name_of(&dict_type), "|dict");
	cr_expect_str_eq(name_of(&class_type), "pkg.mod|Thing");
	cr_expect_str_eq(name_of(&sub_type), "__main__|f.<locals>.Sub");
	cr_expect_str_eq(name_of(&thing), "__main__|f.<locals>.Sub.__call__");
	cr_expect_str_eq(name_of(&dict_new), "|dict.__new__");
	cr_expect_str_eq(name_of(&object_new), "|object.__new__");
	cr_expect_str_eq(name_of(&repr_bound), "|NoneType.__repr__");
	cr_expect_eq(key_of(&repr_bound), key_of(&repr_descr));
	sub_type.attributes[0] = (struct object *)&(
		struct descr){ { 1, &slot_type }, &class_type, NULL, NULL, &repr };
	sub_type.module = text_of("__other__");
	cr_expect_str_eq(name_of(&thing), "pkg.mod|Thing.__call__", "inherited from a type of C's");
}

Test(callee, an_object_with_a_call_of_pythons_is_none_of_cs)
{
	struct object thing = { 1, &sub_type }, function = { 1, &function_type };

	cr_assert_null(callee_start());
	cr_expect_neq(key_of(&thing), 0);
	sub_type.attributes[0] = &function;
	cr_expect_eq(key_of(&thing), 0);
}

static uintptr_t code_of(const void *object)
{
	struct callee callee;

	cr_assert(callee_name(find(object), &callee));
	return callee.function;
}

/* Where machine code begins: of what is called as a function, and as an object. */
Test(callee, functions_methods_and_objects_have_code)
{
	pyapi_call *code = (pyapi_call *)(uintptr_t)0x1110;
	pyapi_call *of_method = (pyapi_call *)(uintptr_t)0x2220;
	struct py_method_def method = { "in_c", code, 0, NULL };
	struct py_method_def methods[] = { { "method", of_method, 0, NULL } };
	struct object thing = { 1, &class_type }, below = { 1, &sub_type };
	struct function function = function_of(&method, NULL, "pkg");
	struct function bound = function_of(methods, &thing, NULL);
	struct descr descr = { { 1, &descr_type }, &class_type, NULL, NULL, methods };
	struct method twice = { { 1, &bound_type }, &descr };

	cr_assert_null(callee_start());
	class_type.call = 0x3330;
	sub_type.call = 0x4440;
	cr_expect_eq(code_of(&function), (uintptr_t)code);
	cr_expect_eq(code_of(&bound), (uintptr_t)of_method);
	cr_expect_eq(code_of(&descr), (uintptr_t)of_method);
	cr_expect_eq(code_of(&twice), (uintptr_t)of_method);
	cr_expect_eq(code_of(&thing), 0x3330);
	cr_expect_eq(code_of(&below), 0x4440);
	/* None that would be known from outside: what a type's constructor and its slots are. */
	cr_expect_eq(code_of(&class_type), 0);
	cr_expect_eq(code_of(&dict_new), 0);
	cr_expect_eq(code_of(&repr_bound), 0);
}

Test(callee, an_address_used_again_is_another_callee)
{
	char name[24] = "";
	struct py_method_def method = { name, NULL, 0, NULL };
	struct function function = function_of(&method, NULL, "pkg");
	char wanted[40];

	cr_assert_null(callee_start());
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "%.*sf%u", (int)(i % 10), "..........", i);
		snprintf(wanted, sizeof(wanted), "pkg|%s", name);
		cr_assert_str_eq(name_of(&function), wanted);
		snprintf(sub_type.qualname->ascii, sizeof(sub_type.qualname->ascii), "C%u", i);
		sub_type.qualname->length = strlen(sub_type.qualname->ascii);
		snprintf(wanted, sizeof(wanted), "__main__|C%u", i);
		cr_assert_str_eq(name_of(&sub_type), wanted);
	}
	cr_assert_eq(find(&function), find(&function));
}

Test(callee, what_follows_a_name_does_not_count)
{
	char memory[64];

	cr_assert_null(callee_start());
	for (size_t at = 0; at < 9; at++) {
		struct py_method_def method = { memory + at, NULL, 0, NULL };
		struct function function = function_of(&method, NULL, NULL);
		uint64_t key;

		memset(memory, 'x', sizeof(memory));
		memcpy(memory + at, "eleven byte", 12);
		key = key_of(&function);
		memset(memory, 0xff, at);
		memset(memory + at + 12, 0, sizeof(memory) - at - 12);
		cr_expect_eq(key_of(&function), key, "at %zu", at);
		memory[at + 10]++;
		cr_expect_neq(key_of(&function), key, "at %zu", at);
	}
}

/* ---- the table ---- */

Test(callee, names_are_fit_for_every_viewer_and_short)
{
	static char huge[600], wanted[600];
	struct function hostile = function_of(&(struct py_method_def){ "a\xff\xed\xb3\xbf"
								       "b",
								       NULL, 0, NULL },
					      NULL, "m");
	struct function endless =
		function_of(&(struct py_method_def){ huge, NULL, 0, NULL }, NULL, NULL);

	cr_assert_null(callee_start());
	cr_expect_str_eq(name_of(&hostile), "m|a\ufffd\ufffd\ufffd\ufffd"
					    "b");
	/* 511 bytes, then a character of two */
	memset(huge, 'n', 511);
	memcpy(huge + 511, "\u00e9\u00e9", 5);
	snprintf(wanted, sizeof(wanted), "|%.511s", huge);
	cr_expect_str_eq(name_of(&endless), wanted);
	memcpy(huge + 509, "\U0001d4ab", 5);
	snprintf(wanted, sizeof(wanted), "|%.509s", huge);
	cr_expect_str_eq(name_of(&endless), wanted, "no half of a character");
}

Test(callee, a_str_of_no_kind_has_no_name)
{
	static char ascii[512];
	struct function function = function_of(&plain, NULL, "m");

	cr_assert_null(callee_start());
	memset(ascii, 'n', sizeof(ascii) - 1);
	function.module = text_of(ascii);
	function.module->length = 600;
	/* Seven bytes a character */
	function.module->state = (7 | 8) << 2;
	cr_expect_str_eq(name_of(&function), "|sorted");
}

Test(callee, an_exception_is_kept_and_none_is_left)
{
	struct object exception;
	struct function function = function_of(&plain, NULL, "builtins");

	cr_assert_null(callee_start());
	pending = &exception;
	cr_assert_neq(find(&function), 0);
	cr_expect_eq(pending, &exception);
	pending = NULL;
	cr_assert_neq(find(&dict_type), 0);
	cr_expect_null(pending);
}

Test(callee, a_layout_that_is_not_proven_has_one_callee)
{
	struct function function = function_of(&plain, NULL, "builtins");

	fails = true;
	pending = &none;
	cr_assert_not_null(callee_start());
	cr_expect_null(pending);
	cr_expect_str_eq(name_of(&function), "|[C]");
	cr_expect_eq(code_of(&function), 0);
	cr_expect_eq(find(&dict_type), find(&function));
	fails = false;
	cr_assert_null(callee_start());
	cr_expect_str_eq(name_of(&function), "builtins|sorted");
}

Test(callee, every_field_is_proven)
{
	static void *wrong = &plain.call; /* of no method */
	void **const fields[] = {
		(void **)&dict_type.name,
		(void **)&bound_dir.method,
		&bound_dir.self,
		(void **)&bound_dir.module,
		(void **)&dir_descr.type,
		(void **)&dir_descr.wrapped,
		(void **)&object_type.methods,
		(void **)&repr_descr.wrapped,
		(void **)&repr_descr.type,
		&repr_bound.function,
		(void **)&dict_new.method,
		&dict_new.self,
		&object_new.self,
	};

	for (size_t i = 0; i < PROF_COUNT(fields); i++) {
		void *right = *fields[i];

		*fields[i] = wrong;
		cr_assert_not_null(callee_start(), "field %zu", i);
		*fields[i] = (void *)8;
		cr_assert_not_null(callee_start(), "field %zu", i);
		*fields[i] = right;
	}
	cr_assert_null(callee_start());
}

Test(callee, no_such_id)
{
	struct callee callee;
	struct function function = function_of(&plain, NULL, "builtins");

	cr_assert_null(callee_start());
	cr_expect_not(callee_name(1, &callee));
	pages_refused = true;
	cr_expect_eq(find(&function), 0);
	pages_refused = false;
	cr_expect_eq(find(&function), 1);
	cr_expect(callee_name(1, &callee));
	cr_expect_not(callee_name(0, &callee));
	cr_expect_not(callee_name(2, &callee));
	cr_expect_not(callee_name(UINT32_MAX, &callee));
}

Test(callee, a_full_table_keeps_what_it_has)
{
	char name[24] = "first";
	struct py_method_def method = { name, NULL, 0, NULL };
	struct function function = function_of(&method, NULL, "pkg");

	cr_assert_null(callee_start());
	for (uint32_t i = 1; i <= CALLEE_MAX; i++) {
		cr_assert_eq(find(&function), i);
		snprintf(name, sizeof(name), "f%u", i);
	}
	cr_expect_eq(find(&function), 0);
	cr_expect_eq(find(&dict_type), 0);
	snprintf(name, sizeof(name), "first");
	cr_expect_eq(find(&function), 1);
	cr_expect_str_eq(name_of(&function), "pkg|first");
}

Test(callee, long_names_fill_the_table_too)
{
	static char name[600];
	struct py_method_def method = { name, NULL, 0, NULL };
	struct function function = function_of(&method, NULL, NULL);
	uint32_t rows = 0;

	cr_assert_null(callee_start());
	memset(name + 8, 'n', 500);
	do
		snprintf(name, 9, "%08u", ++rows), name[8] = 'n';
	while (find(&function));
	cr_expect_gt(rows, 8000);
	cr_expect_lt(rows, 8400);
	snprintf(name, 9, "%08u", 1);
	name[8] = 'n';
	cr_expect_eq(find(&function), 1);
}

static void meet_another(void)
{
	at_map = NULL;
	cr_assert_eq(find(&dict_type), 1, "another thread adds");
}

Test(callee, whoever_finds_another_at_it_adds_too)
{
	struct function function = function_of(&plain, NULL, "builtins");

	cr_assert_null(callee_start());
	at_map = meet_another;
	cr_assert_eq(find(&function), 2);
	cr_assert_eq(find(&dict_type), 1);
	cr_assert_eq(find(&function), 2);
}

static int child_status = -1;

static void fork_now(void)
{
	pid_t child;

	at_map = NULL;
	child = fork();
	cr_assert_geq(child, 0);
	if (child == 0) {
		_exit(find(&dict_type) ? 7 : 1);
	}
	cr_assert_eq(waitpid(child, &child_status, 0), child);
}

Test(callee, a_child_is_not_shut_out)
{
	struct function function = function_of(&plain, NULL, "builtins");

	cr_assert_null(callee_start());
	at_map = fork_now;
	cr_assert_eq(find(&function), 1);
	cr_assert(WIFEXITED(child_status));
	cr_assert_eq(WEXITSTATUS(child_status), 7);
}

#define SHARED 200
static struct py_method_def shared_methods[SHARED];
static struct function shared[SHARED];
static char shared_names[SHARED][16];

static void *add_all(void *ids)
{
	for (size_t i = 0; i < SHARED; i++) {
		uint32_t id;
		struct callee callee;

		id = find(&shared[i]);
		cr_assert_neq(id, 0, "another one that adds is in the way");
		cr_assert(callee_name(id, &callee));
		cr_assert_str_eq(callee.name, shared_names[i]);
		((uint32_t *)ids)[i] = id;
	}
	return NULL;
}

Test(callee, threads_agree)
{
	uint32_t ids[2][SHARED];
	pthread_t other;

	cr_assert_null(callee_start());
	for (size_t i = 0; i < SHARED; i++) {
		snprintf(shared_names[i], sizeof(shared_names[i]), "f%zu", i);
		shared_methods[i].name = shared_names[i];
		shared[i] = function_of(&shared_methods[i], NULL, NULL);
	}
	cr_assert_eq(pthread_create(&other, NULL, add_all, ids[1]), 0);
	add_all(ids[0]);
	cr_assert_eq(pthread_join(other, NULL), 0);
	cr_assert_arr_eq(ids[0], ids[1], sizeof(ids[0]));
}
