/* SPDX-License-Identifier: BSD-2-Clause */
/* What was computed and simulated, for people. */
#ifndef DETNAT_SCALE_REPORT_H
#define DETNAT_SCALE_REPORT_H

#include <stdio.h>

#include "failures.h"

void report_machines(const struct options *options, const struct model *model, FILE *out);
void report_ecmp(const struct options *options, const struct model *model, FILE *out);
void report_failures(const struct options *options, const struct model *model, const struct tally *tally, FILE *out);

#endif
