/* SPDX-License-Identifier: BSD-2-Clause */
/* The texts of a JSON object. */
#ifndef DETNAT_JSON_TEXT_H
#define DETNAT_JSON_TEXT_H

#include <cjson/cJSON.h>

/* Returns `absent` if the member is absent or not a string. */
static inline const char *json_text(const cJSON *object, const char *key, const char *absent)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

	return text ? text : absent;
}

#endif
