/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands from a file, a line each (-b FILE). Words are separated by blanks; within quotes, of either kind, blanks are
 * part of a word, as is any character after a backslash but within single quotes. A word that begins with # begins a
 * comment, and empty lines are skipped.
 */
#ifndef DETNATCTL_BATCH_H
#define DETNATCTL_BATCH_H

#include <stdbool.h>

#include "base/base.h"

#define BATCH_MAX_WORDS 64U

/*
 * Splits a line in place into at most BATCH_MAX_WORDS words and sets the one after the last to NULL. Returns their
 * number, 0 for a line without any, or -EINVAL with err.
 */
int batch_split(char *line, char *words[static BATCH_MAX_WORDS + 1], struct error *err);

/*
 * Takes the words of one line, which are valid during the call. Returns an exit status, with err set if a message
 * belongs to it.
 */
typedef int (*batch_command)(void *arg, unsigned line, char **words, unsigned n_words, struct error *err);

/*
 * Reads the commands of a file, or of standard input for "-", and shows errors with the number of their line. Ends with
 * the first that fails, unless force is true. Returns the exit status of the first that failed; err is set only if the
 * file cannot be read.
 */
int batch_read(const char *path, bool force, batch_command command, void *arg, struct error *err);

/* Shows the error of a line; 0: of the whole file. */
void batch_show_error(const char *path, unsigned line, const struct error *err);

#endif
