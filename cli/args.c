/*
 * args.c - getopt_long's rules without its `struct option`, which is the name of ours.
 */
#include "args.h"

#include "cli.h"

#include <string.h>

static int take_flag(struct args *args, char *text);
static int take_value(struct args *args, int flag, char *attached, const char *text);

void args_begin(struct args *args, int argc, char **argv, const struct args_flag *flags,
		size_t flag_count)
{
	*args = (struct args){
		.argc = argc,
		.argv = argv,
		.flags = flags,
		.flag_count = flag_count,
		.next = 1,
		.operands = argv,
	};
}

int args_next(struct args *args)
{
	while (args->next < args->argc) {
		char *text = args->argv[args->next++];

		if (strcmp(text, "--") == 0)
			break;
		if (text[0] == '-' && text[1] != '\0')
			return take_flag(args, text);
		args->operands[args->operand_count++] = text;
	}
	while (args->next < args->argc)
		args->operands[args->operand_count++] = args->argv[args->next++];
	return ARGS_END;
}

int args_word(const char *flag, const char *text, const char *words)
{
	size_t length = strlen(text);
	int index = 0;

	for (const char *word = words; *word != '\0'; index++) {
		size_t word_bytes = strcspn(word, " ");

		if (word_bytes == length && memcmp(word, text, length) == 0)
			return index;
		word += word_bytes;
		word += *word == ' ';
	}
	cli_usage("%s %s: not one of %s", flag, text, words);
	return -1;
}

static int take_flag(struct args *args, char *text)
{
	bool is_long = text[1] == '-';
	size_t name_bytes = is_long ? strcspn(text + 2, "=") : 1;
	char *attached = text + 2;

	if (is_long)
		attached = text[2 + name_bytes] == '=' ? text + 2 + name_bytes + 1 : NULL;
	else if (*attached == '\0')
		attached = NULL;
	for (size_t i = 0; i < args->flag_count; i++) {
		const struct args_flag *flag = &args->flags[i];

		if (is_long ? strlen(flag->name) == name_bytes &&
				      memcmp(flag->name, text + 2, name_bytes) == 0 :
			      flag->letter == text[1])
			return take_value(args, (int)i, attached, text);
	}
	cli_usage("unknown option '%s'", text);
	return ARGS_WRONG;
}

static int take_value(struct args *args, int flag, char *attached, const char *text)
{
	args->value = attached;
	if (!args->flags[flag].has_value && attached) {
		cli_usage("option '%s' takes no value", text);
		return ARGS_WRONG;
	}
	if (args->flags[flag].has_value && !attached) {
		if (args->next == args->argc) {
			cli_usage("option '%s' needs a value", text);
			return ARGS_WRONG;
		}
		args->value = args->argv[args->next++];
	}
	return flag;
}
