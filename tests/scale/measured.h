/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNAT_SCALE_MEASURED_H
#define DETNAT_SCALE_MEASURED_H

#include <stdio.h>

#include "options.h"

/* Prints what was measured with two gateways in namespaces beside what is computed for them. */
void compare_with_measurement(const struct options *options, FILE *out);

#endif
