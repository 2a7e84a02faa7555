/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists of a fixed size at most, kept in the structure itself. */
#include <errno.h>
#include <string.h>

#include "config/fields.h"

int elements_read(struct reader *r, const cJSON *json, void *array, element_read read, uint32_t max,
		  const char *of_what, uint32_t *ret_n)
{
	const cJSON *element;
	uint32_t n = 0;

	if (!cJSON_IsArray(json) || !json->child)
		return reader_refuse(r, json, "must be a list of %s", of_what);
	cJSON_ArrayForEach (element, json) {
		size_t before = json_path_add_index(&r->path, n);
		int ret;

		if (n == max)
			return reader_refuse(r, element, "more than %u %s", max, of_what);
		ret = read(r, element, array, n);
		if (ret < 0)
			return ret;
		n++;
		json_path_cut(&r->path, before);
	}
	*ret_n = n;
	return 0;
}

int element_repeated(struct reader *r, const cJSON *json)
{
	return reader_refuse(r, json, "stands in this list already");
}

int element_mapping_read(struct reader *r, const cJSON *json, void *array, uint32_t n)
{
	char(*names)[LABEL_TEXT] = array;

	if (!cJSON_IsString(json) || !label_valid(json->valuestring))
		return reader_refuse(r, json, "must be the name of a mapping");
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(names[i], json->valuestring))
			return element_repeated(r, json);
	snprintf(names[n], LABEL_TEXT, "%s", json->valuestring);
	return 0;
}

cJSON *element_mappings_write(const char (*names)[LABEL_TEXT], uint32_t n)
{
	_cleanup_json_ cJSON *list = cJSON_CreateArray();

	for (uint32_t i = 0; list && i < n; i++)
		if (json_append(list, cJSON_CreateString(names[i])))
			return NULL;
	return take_pointer(list);
}
