/* SPDX-License-Identifier: BSD-2-Clause */
/* Members of a JSON object that are texts, times and whole numbers. */
#ifndef DETNAT_JSON_TEXT_H
#define DETNAT_JSON_TEXT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/timestamp.h"

/* Returns `absent` if the member is absent or not a string. */
static inline const char *json_text(const cJSON *object, const char *key, const char *absent)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

	return text ? text : absent;
}

/* Each returns false, with nothing written, if the member is absent or something else. */
static inline bool json_time(const cJSON *object, const char *key, int64_t *ret)
{
	const char *text = json_text(object, key, NULL);

	return text && !time_parse(text, ret);
}

static inline bool json_count(const cJSON *object, const char *key, uint64_t *ret)
{
	const cJSON *number = cJSON_GetObjectItemCaseSensitive(object, key);

	if (!cJSON_IsNumber(number) || !(number->valuedouble >= 0 && number->valuedouble <= 1e15) ||
	    number->valuedouble != (double)(uint64_t)number->valuedouble)
		return false;
	*ret = (uint64_t)number->valuedouble;
	return true;
}

static inline bool json_u16(const cJSON *object, const char *key, uint16_t *ret)
{
	uint64_t number;

	if (!json_count(object, key, &number) || number > UINT16_MAX)
		return false;
	*ret = (uint16_t)number;
	return true;
}

#endif
