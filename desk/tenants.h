/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether an answer of detnatctl is about subscribers of some tenants alone. Pure. */
#ifndef DETNAT_DESK_TENANTS_H
#define DETNAT_DESK_TENANTS_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/label.h"

#define TENANTS_MAX 16U

/* Whose subscribers may be seen; n 0: anybody's. */
struct tenants_seen {
	char name[TENANTS_MAX][LABEL_TEXT];
	unsigned n;
};

bool tenant_seen(const struct tenants_seen *t, const char *name, size_t size);

/*
 * Reads JSON of any length, in one pass. True if each object with an inside address says, itself or by one around it,
 * that it is of one of the tenants, and none says that it is of another. What is no JSON is false.
 */
bool tenants_permit(const struct tenants_seen *t, const char *json, size_t size);

#endif
