/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration as a document for people, without defaults. */
#include <errno.h>

#include "config/fields.h"

static bool is_enabled(const struct field *f, const void *base)
{
	return f->enabled < 0 || *((const bool *)base + f->enabled);
}

static int write_changed(cJSON *object, const struct fields *t, const void *base, const void *defaults);

/* An object that can be absent is written even if all in it has its default. */
static int write_object(cJSON *object, const struct field *f, const void *base, const void *defaults)
{
	_cleanup_json_ cJSON *json = cJSON_CreateObject();

	if (!is_enabled(f, base))
		return 0;
	if (!json || write_changed(json, f->fields, (const char *)base + f->offset, (const char *)defaults + f->offset))
		return -ENOMEM;
	return json->child || f->enabled >= 0 ? json_add(object, f->name, take_pointer(json)) : 0;
}

/* Writes the value that the object lacks or has differently, or that has to be there. */
static int write_value(cJSON *object, const struct field *f, const void *base, const void *defaults)
{
	_cleanup_json_ cJSON *now = cJSON_CreateObject(), *usual = cJSON_CreateObject();

	if (!now || !usual || f->type->write(now, f, (const char *)base + f->offset) ||
	    f->type->write(usual, f, (const char *)defaults + f->offset))
		return -ENOMEM;
	if (!now->child || (!f->required && cJSON_Compare(now, usual, true)))
		return 0;
	return json_add(object, f->name, cJSON_DetachItemViaPointer(now, now->child));
}

static int write_changed(cJSON *object, const struct fields *t, const void *base, const void *defaults)
{
	int r = 0;

	for (size_t i = 0; i < t->n && !r; i++) {
		const struct field *f = &t->field[i];

		r = f->type == &field_object ? write_object(object, f, base, defaults)
					     : write_value(object, f, base, defaults);
	}
	return r;
}

cJSON *config_document(const struct config *c, bool all)
{
	_cleanup_config_ struct config *defaults = config_new();
	_cleanup_json_ cJSON *json = cJSON_CreateObject();
	int r;

	if (!defaults || !json)
		return NULL;
	r = all ? fields_write(json, &config_fields, c) : write_changed(json, &config_fields, c, defaults);
	return r ? NULL : take_pointer(json);
}
