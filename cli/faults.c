// SPDX-License-Identifier: BSD-2-Clause
#include "faults.h"

#include "json_get.h"

void fault_add(cJSON *faults, const char *file, uint64_t line, const char *text)
{
	cJSON *item = cJSON_CreateObject();

	cJSON_AddStringToObject(item, "file", file);
	if (line)
		cJSON_AddNumberToObject(item, "line", (double)line);
	else
		cJSON_AddNullToObject(item, "line");
	cJSON_AddStringToObject(item, "text", text);
	cJSON_AddItemToArray(faults, item);
}

void fault_addv(cJSON *faults, const char *file, uint64_t line, const char *format, va_list ap)
{
	char text[512];

	vsnprintf(text, sizeof(text), format, ap);
	fault_add(faults, file, line, text);
}

void faults_print(struct writer *w, const char *prefix, const cJSON *faults)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, faults)
		if (cJSON_IsNumber(json_get(item, "line")))
			writer_line(w, "%s%s: line %.0f %s", prefix, json_text(item, "file", ""),
				    json_number(item, "line"), json_text(item, "text", ""));
		else
			writer_line(w, "%s%s %s", prefix, json_text(item, "file", ""), json_text(item, "text", ""));
}
