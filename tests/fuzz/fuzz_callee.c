/*
 * fuzz_callee.c - names of what is called, from objects whose every text is the input's: a function and its module, a
 * type of C's, an object that says its name; strings of every kind, and of none.
 */
#include "callee_object.h"
#include "frames.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES 64 /* before a str's characters */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

struct input {
	const uint8_t *at, *end;
};

/* A type as far as it is looked at: its head, its name, its flags. */
struct type {
	uint64_t words[64];
};

static struct type text_type, module_type, function_type, class_type;

static void set_up(void);
static uint8_t take(struct input *input);
static char *take_string(struct input *input);
static struct py_object *take_str(struct input *input);
static void check(const struct callee_object *object);
static void check_text(const struct callee_text *text);
static void need(bool truth);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	struct input input = { bytes, bytes + size_bytes };
	struct callee_object object = { 0 };

	set_up();
	struct py_object *module = take_str(&input), *named = take_str(&input);
	char *string = take_string(&input);
	struct py_method_def method = { string, NULL, 0, NULL };
	uint64_t function[8] = { 1, (uintptr_t)&function_type, (uintptr_t)&method, 0,
				 (uintptr_t)module };

	object.kind = CALLEE_FUNCTION;
	object.object = (struct py_object *)function;
	object.type = (struct py_object *)&function_type;
	object.method = &method;
	check(&object);
	need(callee_key(object.object, NULL) != 0);
	memcpy((char *)&class_type + callee_layout.head_bytes + CALLEE_TYPE_NAME, &string,
	       sizeof(string));
	object.type = (struct py_object *)&class_type;
	for (enum callee_kind kind = CALLEE_METHOD; kind <= CALLEE_CLASS; kind++) {
		object.kind = kind;
		object.slot = string;
		check(&object);
	}
	object.kind = CALLEE_NAMED;
	object.module = module;
	object.name = named;
	check(&object);
	free(module);
	free(named);
	free(string);
	return 0;
}

static void set_up(void)
{
	static const struct frames_layout layout = {
		.object_type = 8,
		.unicode_state = 32,
		.unicode_length = 16,
		.unicode_ascii_data = 40,
		.unicode_compact_data = 56,
	};

	frames_layout_set(&layout);
	callee_layout.head_bytes = 16;
	callee_layout.type = 8;
	callee_layout.is_proven = true;
	py.PyUnicode_Type = (struct py_object *)&text_type;
	py.PyModule_Type = (struct py_object *)&module_type;
	py.PyCFunction_Type = (struct py_object *)&function_type;
}

static uint8_t take(struct input *input)
{
	return input->at < input->end ? *input->at++ : 0;
}

static char *take_string(struct input *input)
{
	size_t n = strnlen((const char *)input->at, (size_t)(input->end - input->at));
	char *string = malloc(n + 1);

	memcpy(string, input->at, n);
	string[n] = '\0';
	input->at += n;
	return string;
}

/* A str of the kind that the first byte says, with as many characters as the next two and the input have. */
static struct py_object *take_str(struct input *input)
{
	uint8_t state = take(input);
	size_t kind = state & 7, length = take(input) | (size_t)take(input) << 8;
	size_t left = (size_t)(input->end - input->at);
	size_t size_bytes = length * (kind ? kind : 1);

	if (state & 16)
		size_bytes = length;
	if (size_bytes > left) {
		size_bytes = left;
		length = state & 16 || !kind ? left : left / kind;
	}
	uint64_t words[TEXT_BYTES / sizeof(uint64_t)] = { 1, (uintptr_t)&text_type, length };
	size_t data = state & 16 ? 40 : 56;
	char *object = malloc(TEXT_BYTES + size_bytes);
	uint32_t bits = state | 8u;

	memcpy(object, words, TEXT_BYTES);
	memcpy(object + 32, &bits, sizeof(bits));
	memcpy(object + data, input->at, size_bytes);
	input->at += size_bytes;
	return (struct py_object *)object;
}

static void check(const struct callee_object *object)
{
	struct callee_text *module = calloc(1, sizeof(*module)), *name = calloc(1, sizeof(*name));

	callee_describe(object, module, name);
	check_text(module);
	check_text(name);
	free(module);
	free(name);
}

/* Whole characters, none of them a NUL. */
static void check_text(const struct callee_text *text)
{
	size_t n;

	need(text->used <= CALLEE_TEXT_BYTES);
	for (size_t at = 0; at < text->used; at += n) {
		n = utf8_character(text->bytes + at, text->used - at);
		need(n > 0);
	}
}

static void need(bool truth)
{
	if (!truth)
		abort();
}
