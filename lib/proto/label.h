/* SPDX-License-Identifier: BSD-2-Clause */
/* Names and comments that operators give to mappings. */
#ifndef DETNAT_LABEL_H
#define DETNAT_LABEL_H

#include <stdbool.h>

/* With the NUL. */
#define LABEL_TEXT   64U
#define COMMENT_TEXT 257U

#define LABEL_EXPECTED "a name of 1 to 63 of A-Z, a-z, 0-9, \".\", \"_\" and, not first, \"-\""

/*
 * Returns whether a text can be a name: [A-Za-z0-9._][A-Za-z0-9._-]{0,62}, but not of digits and dots as an address is.
 * A prefix cannot be a name, as it has a slash, nor can an option, as it begins with a hyphen.
 */
bool label_valid(const char *text);

/* Returns whether a text can be a comment: UTF-8 of at most 256 octets without control characters. */
bool comment_valid(const char *text);

#endif
