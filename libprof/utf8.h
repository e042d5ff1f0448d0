/*
 * utf8.h - bytes of unknown origin made fit for every viewer.
 *
 * CPython's names and paths may hold lone surrogates (PEP 383), code objects anything at all; protobuf,
 * JSON and terminals want valid UTF-8 (RFC 3629) without NUL.
 */
#ifndef UTF8_H
#define UTF8_H

#include "wire.h"

/* Bytes of the valid character at the start, 0 if it is none (NUL, overlong, surrogate, cut). any */
size_t utf8_character(const char *bytes, size_t size_bytes);
/* Append with U+FFFD in place of each NUL, surrogate and byte that is not UTF-8. drainer, tool */
void utf8_put(struct wire_buffer *buffer, const char *bytes, size_t size_bytes);

#endif
