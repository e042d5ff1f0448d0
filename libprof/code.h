/*
 * code.h - a code object and its strings, read raw: no GIL, no Python API, no trust.
 *
 * Every read is fault-tolerant, every size bounded.  What is read is true only while the caller
 * knows that the object cannot be freed (symbol.h says how).
 */
#ifndef CODE_H
#define CODE_H

#include "prof.h"

#define CODE_TEXT_MAX 65535 /* bytes of UTF-8 that are kept of a string */
#define CODE_LINETABLE_MAX (16u << 20)

struct code {
	uintptr_t qualname, filename, linetable; /* objects */
	uint32_t first_line; /* 0: none */
	uintptr_t instructions; /* address of the first one */
};

/* A str or bytes object: where its data are. */
struct code_data {
	uintptr_t data;
	size_t length; /* characters; cut so that as UTF-8 they stay under CODE_TEXT_MAX */
	unsigned kind; /* bytes a character: 1, 2, 4; 0: ASCII, or bytes as they are */
	size_t room_bytes; /* what code_copy needs at most */
};

/* Read the code object at `address`; false if there is none. any but signal */
bool code_read(uintptr_t address, struct code *code);
/* Read the head of a str, or of a bytes object. any but signal */
bool code_text(uintptr_t object, struct code_data *data);
bool code_bytes(uintptr_t object, struct code_data *data);
/* Copy the data into room_bytes at `to`, text as UTF-8 (a lone surrogate as its three bytes), and
   give their size; no NUL is added. False: not readable. any but signal */
bool code_copy(const struct code_data *data, char *to, size_t *size_bytes);

#endif
