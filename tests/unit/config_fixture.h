/* SPDX-License-Identifier: BSD-2-Clause */
/* Configurations of tests, from text. */
#ifndef DETNAT_CONFIG_FIXTURE_H
#define DETNAT_CONFIG_FIXTURE_H

#include <stddef.h>

#include "config/config.h"

/* The configuration of a text that is valid; FILE is its name. */
struct config *config_of(const char *text);

struct refused_row {
	const char *text;
	const char *message; /* behind the file's name, to the letter */
};

/* Each text is refused with its message, and nothing is returned. */
void expect_refused(const struct refused_row *rows, size_t n);

/* What a text says of the key stands in the document as `wanted`: without what has its default. */
void expect_document(const char *text, const char *key, const char *wanted);

/* Expects what has been written of c to be read back: returns it, to be compared; freed by the caller. */
struct config *config_read_back(const struct config *c);

#endif
