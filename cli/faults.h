/* SPDX-License-Identifier: BSD-2-Clause */
/* What a check of a directory has found: an array of JSON, of objects of file, line and text. */
#ifndef DETNATCTL_FAULTS_H
#define DETNATCTL_FAULTS_H

#include <cjson/cJSON.h>
#include <stdarg.h>

#include "command.h"

/* Adds what was found in a file; line 0: it is of no single line. */
void fault_add(cJSON *faults, const char *file, uint64_t line, const char *text);
void fault_addv(cJSON *faults, const char *file, uint64_t line, const char *format, va_list ap);

/* Prints each as a line of text. prefix: of the names of the files. */
void faults_print(struct writer *w, const char *prefix, const cJSON *faults);

#endif
