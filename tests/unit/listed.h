/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whole results against recorded ones. A file has cases: "## NAME", the input, "-->", and what comes of it. Read from
 * the top directory. With DETNAT_RECORD=1 the file is written anew: read the difference before it is committed.
 */
#ifndef DETNAT_TEST_LISTED_H
#define DETNAT_TEST_LISTED_H

#include <stdio.h>

/* Prints what comes of an input of `size` octets. */
typedef void (*listed_print)(FILE *out, const char *name, const char *text, size_t size);

/* Fails with the first line that differs, case by case. */
void listed_expect(const char *path, listed_print print);

#endif
