/*
 * columns.h - how wide a text is on a terminal.
 *
 * wcwidth(3) without a locale: wide and full-width characters of East Asia take two columns, combining marks
 * none.  What would move the cursor, colour the text or turn its direction round is not printable.
 * An emoji that is joined of several counts as each of them, since terminals do not agree.
 */
#ifndef COLUMNS_H
#define COLUMNS_H

#include "prof.h"

struct columns_character {
	size_t bytes; /* at least 1 */
	unsigned columns; /* 0 to 2; of what is not printable 1, which its '?' takes */
	bool is_printable;
};

/* The first character of a text that is not empty, whatever its bytes are. any */
struct columns_character columns_next(const char *text);
/* Of a whole text. any */
unsigned columns_count(const char *text);

#endif
