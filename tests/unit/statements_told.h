/* SPDX-License-Identifier: BSD-2-Clause */
/* Statements about 10.0.0.1 in a small language, a line each: SECOND EVENT ... as statements_told.c takes them. */
#ifndef DETNAT_TEST_STATEMENTS_TOLD_H
#define DETNAT_TEST_STATEMENTS_TOLD_H

#include "leases/statements.h"

/* "100 start alice nas/1 from=100": of 10.0.0.1, if no at= says otherwise. Not finished: tell() does that. */
void told_feed(struct statements *book, char *line);

/* All lines of a text. The caller frees what it returns. */
struct statements *statements_told(const char *lines);

#endif
