/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Single lines of the chained files of a directory, as evidence has them: each with the file that it is of, and the
 * hash of the line before it there.
 *
 *   {"file":"leases-2026-01-31.jsonl","previous":"...","line":{"line":7,...,"hash":"..."}}
 */
#ifndef DETNAT_LEDGER_LINES_H
#define DETNAT_LEDGER_LINES_H

#include <stdio.h>

#include "base/ledger_files.h"

/* Receives a line. previous: the hash of the one before it. Nonzero ends the reading. */
typedef int (*ledger_lines_take)(void *arg, const char *file, const char *previous, const char *line, size_t size);

/*
 * Reads a text of such lines of files of a kind. 0, -EBADMSG with *ret_line (may be NULL) the first line that is none,
 * or what take returned.
 */
int ledger_lines_read(enum ledger_kind kind, const char *text, size_t size, ledger_lines_take take, void *arg,
		      uint64_t *ret_line);

/* Writes one. */
void ledger_line_write(FILE *out, const char *file, const char *previous, const char *line, size_t size);

#endif
