/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>

#include "config/fields.h"

int fields_write(cJSON *object, const struct fields *t, const void *base)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct field *f = &t->field[i];
		int r = f->type->write(object, f, (const char *)base + f->offset);

		if (r < 0)
			return r;
	}
	return 0;
}

char *config_to_json(const struct config *c)
{
	_cleanup_json_ cJSON *json = cJSON_CreateObject();

	if (!json || fields_write(json, &config_fields, c) < 0)
		return NULL;
	return cJSON_PrintUnformatted(json);
}
