/* SPDX-License-Identifier: BSD-2-Clause */
/* Texts from outside: checks for UTF-8, and for characters that are safe to show on a terminal. */
#ifndef DETNAT_TEXT_H
#define DETNAT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reads the first character of a text of `left` octets, at least one. Returns its octets, or 0 if it is no UTF-8
 * (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
 */
unsigned utf8_read(const char *text, size_t left, uint32_t *ret);

/* Returns whether a text is UTF-8 without control characters, C1 and line separators included. */
bool text_printable(const char *text);

#endif
