/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs the commands of a file (-b FILE). All are read before the first is run. Those that edit the configuration are
 * one change, made at the place of the first: it takes effect as a whole or not at all. The others are run in order;
 * the first failure ends the batch.
 */
#ifndef DETNATCTL_BATCH_RUN_H
#define DETNATCTL_BATCH_RUN_H

#include "base/base.h"
#include "writer.h"

/*
 * Runs the file, or standard input for "-", and shows errors with the number of their line. Returns the exit status of
 * the command that failed; err is set only if the file cannot be read.
 */
int batch_run(const char *path, const char *socket, struct writer *w, struct error *err);

#endif
