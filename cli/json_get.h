/* SPDX-License-Identifier: BSD-2-Clause */
/* Access to members of a JSON object, with defaults for absent ones. */
#ifndef DETNATCTL_JSON_GET_H
#define DETNATCTL_JSON_GET_H

#include <cjson/cJSON.h>

#include "base/json_text.h"

static inline const cJSON *json_get(const cJSON *object, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* The subscriber that an answer names: an IPv4 address, or an IPv6 prefix, or the host of one that it names. */
static inline const char *json_inside(const cJSON *object, const char *otherwise)
{
	return json_text(object, "in_addr", json_text(object, "in_prefix", otherwise));
}

/* Returns 0 if the member is absent or not a number. */
static inline double json_number(const cJSON *object, const char *key)
{
	const cJSON *number = json_get(object, key);

	return cJSON_IsNumber(number) ? number->valuedouble : 0;
}

#endif
