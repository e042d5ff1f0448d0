/*
 * text.h - reading and showing the small texts of settings: switches, quantities, signals' names.
 *
 * Pure functions of their arguments: no malloc, no stdio, no locale, ASCII only.
 */
#ifndef TEXT_H
#define TEXT_H

#include "prof.h"

#define TEXT_SHOWN_BYTES 64

/* Digits, a point, digits: whole + fraction / scale; scale is a power of ten, at most 10^6. */
struct text_quantity {
	uint64_t whole, fraction, scale;
};

/* Are both the same but for case? any */
bool text_same(const char *a, const char *b);
/* The same for their first `bytes` bytes, or up to where both end. any */
bool text_same_bytes(const char *a, const char *b, size_t bytes);
/* Edits (insert, delete, replace, swap neighbours) from a to b but for case; of long texts the first
   40 bytes count. any */
unsigned text_distance(const char *a, const char *b);
/* A foreign text as a message may show it: at most `bytes` of it, what cannot be printed as '?', cut with
   "..."; into buffer of TEXT_SHOWN_BYTES, which is returned. any */
const char *text_shown(const char *text, size_t bytes, char *buffer);

/* yes no on off 1 0 true false; false: none of them. any */
bool text_switch(const char *text, bool *on);
/* What follows the number; NULL: there is none, or it is too big. Decimals past the sixth are
   dropped. any */
const char *text_quantity(const char *text, struct text_quantity *quantity);
/* quantity times factor, at most 10^13; false: more than 64 bits. any */
bool text_times(const struct text_quantity *quantity, uint64_t factor, uint64_t *value);

/* A signal's name with or without SIG, RTMIN+n, RTMAX-n, or its number (signal(7)). any */
bool text_signal(const char *text, uint64_t *signo);
/* Not to be taken for ticks: the kernel does more with it than call a handler (faults, stops, children), or
   it is libc's own. any */
bool text_signal_refused(uint64_t signo);
/* Its name as text_signal reads it; returns the length. any */
size_t text_signal_print(uint64_t signo, char *buffer, size_t size_bytes);

#endif
