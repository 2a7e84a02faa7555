/* SPDX-License-Identifier: BSD-2-Clause */
/* What `request` says in JSON of a question beyond its answer. */
#ifndef DETNATCTL_REQUEST_FIELDS_H
#define DETNATCTL_REQUEST_FIELDS_H

#include <stdio.h>

#include "complaints/complaint.h"

/*
 * Prints members of an object, each with a comma before it: the protocol, the places of address, port and time, and
 * what else may be meant, as far as the text says.
 */
void request_fields(FILE *out, const struct complaint *c);

/* An object for what was not read. The caller frees it; NULL: out of memory. */
char *request_notice(const struct complaint_notice *n);

#endif
