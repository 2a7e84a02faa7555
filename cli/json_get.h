/* SPDX-License-Identifier: BSD-2-Clause */
/* Members of a JSON object, with what stands in for absent ones. */
#ifndef DETNATCTL_JSON_GET_H
#define DETNATCTL_JSON_GET_H

#include <cjson/cJSON.h>

static inline const cJSON *json_get(const cJSON *object, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* 0 where it is absent or not a number. */
static inline double json_number(const cJSON *object, const char *key)
{
	const cJSON *number = json_get(object, key);

	return cJSON_IsNumber(number) ? number->valuedouble : 0;
}

/* `absent` where it is absent or not a string. */
static inline const char *json_text(const cJSON *object, const char *key, const char *absent)
{
	const char *text = cJSON_GetStringValue(json_get(object, key));

	return text ? text : absent;
}

#endif
