/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes the configuration: as JSON, and into the settings of the programs. */
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

void config_settings(const struct config *c, struct settings *settings)
{
	for (size_t i = 0; i < config_fields.n; i++) {
		const struct field *f = &config_fields.field[i];

		if (f->setting.size)
			number_store((char *)settings + f->setting.offset, f->setting.size,
				     number_load((const char *)c + f->offset, f->size));
	}
}
