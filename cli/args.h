/*
 * args.h - arguments of one command: flags anywhere, the rest are operands.
 *
 * -f VALUE, -fVALUE, --format VALUE, --format=VALUE; "--" ends the flags; "-" is an operand.
 */
#ifndef ARGS_H
#define ARGS_H

#include "prof.h"

struct args_flag {
	const char *name;
	char letter; /* '\0': none */
	bool has_value;
};

struct args {
	int argc;
	char **argv;
	const struct args_flag *flags;
	size_t flag_count;
	int next;
	char *value; /* of the flag that was returned */
	char **operands; /* the front of argv, rearranged */
	size_t operand_count;
};

enum { ARGS_END = -1, ARGS_WRONG = -2 };

/* argv[0] is the command. tool */
void args_begin(struct args *args, int argc, char **argv, const struct args_flag *flags,
		size_t flag_count);
/* Index of the next flag, ARGS_END, or ARGS_WRONG after a line on stderr that names the argument. tool */
int args_next(struct args *args);
/* Index of a flag's value among `words`, "one two three"; -1 after a line on stderr. tool */
int args_word(const char *flag, const char *text, const char *words);

#endif
