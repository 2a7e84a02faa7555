/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of tenants in records of the mapping history. */
#ifndef DETNAT_HISTORY_TENANT_H
#define DETNAT_HISTORY_TENANT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "proto/label.h"

/* Whether two names may be of one tenant: an empty one is of any, as records before there were tenants have none. */
static inline bool history_same_tenant(const char *a, const char *b)
{
	return !*a || !*b || !strcmp(a, b);
}

/* Writes ,"tenant":"..." unless it is ""; no character of a name needs escaping. */
static inline void history_tenant_write(FILE *out, const char *tenant)
{
	if (*tenant)
		fprintf(out, ",\"tenant\":\"%s\"", tenant);
}

/* The name in a record; "": none, or no valid one. */
static inline void history_tenant_read(const cJSON *json, char ret[static LABEL_TEXT])
{
	const char *tenant = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "tenant"));

	snprintf(ret, LABEL_TEXT, "%s", tenant && label_valid(tenant) ? tenant : "");
}

#endif
