// SPDX-License-Identifier: BSD-2-Clause
#include <stdarg.h>
#include <stdio.h>

#include "diagnosis/explain_private.h"

void explain_add(cJSON *list, bool drops, const char *reason, const char *advice, const char *format, ...)
{
	cJSON *json = cJSON_CreateObject();
	char text[640];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	cJSON_AddBoolToObject(json, "drops", drops);
	cJSON_AddStringToObject(json, "reason", reason);
	cJSON_AddStringToObject(json, "text", text);
	cJSON_AddStringToObject(json, "advice", advice);
	if (!cJSON_AddItemToArray(list, json))
		cJSON_Delete(json);
}
