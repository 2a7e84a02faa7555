/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration as a document for people, without defaults. */
#include <errno.h>

#include <detnat/mapping.h>

#include "config/config.h"
#include "config/fields.h"

static bool is_enabled(const struct field *f, const void *base)
{
	return f->enabled < 0 || *((const bool *)base + f->enabled);
}

static int write_changed(cJSON *object, const struct fields *t, const void *base, const void *defaults);

/* An optional object is written even if all its members have their defaults. */
static int write_object(cJSON *object, const struct field *f, const void *base, const void *defaults)
{
	_cleanup_json_ cJSON *json = cJSON_CreateObject();

	if (!is_enabled(f, base))
		return 0;
	if (!json || write_changed(json, f->fields, (const char *)base + f->offset, (const char *)defaults + f->offset))
		return -ENOMEM;
	return json->child || f->enabled >= 0 ? json_add(object, f->name, take_pointer(json)) : 0;
}

/* Writes a value that the object lacks, has differently, or must have. */
static int write_value(cJSON *object, const struct field *f, const void *base, const void *defaults)
{
	_cleanup_json_ cJSON *now = cJSON_CreateObject(), *usual = cJSON_CreateObject();

	if (!now || !usual || f->type->write(now, f, (const char *)base + f->offset) ||
	    f->type->write(usual, f, (const char *)defaults + f->offset))
		return -ENOMEM;
	if (!now->child || (!f->required && f->type != &field_top_interfaces && cJSON_Compare(now, usual, true)))
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

/* Writes the configuration as JSON, and into the settings of the programs. */

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

/* Outside addresses of mappings that have drained rest before others get them. */

unsigned config_rest_left(const struct config_rest *r)
{
	uint64_t now = monotonic_us();

	return r->until_us > now ? (unsigned)((r->until_us - now + 999999) / 1000000) : 0;
}

/* Whether both are the same mapping, whose ports belong to the same subscribers. */
static bool is_same(const struct config_rest *r, const char *tenant, struct prefix in, struct prefix out,
		    const struct geometry *geo)
{
	return (!*r->tenant || !*tenant || !strcmp(r->tenant, tenant)) && prefix_equal(r->in, in) &&
	       prefix_equal(r->out, out) && mapping_layout(&r->geo) == mapping_layout(geo);
}

const struct config_rest *config_find_rest(const struct config *c, const char *tenant, struct prefix in,
					   struct prefix out, const struct geometry *geo)
{
	for (size_t i = 0; i < c->n_rests; i++) {
		const struct config_rest *r = &c->rests[i];

		if (!prefix_is_none(out) && prefixes_overlap(r->out, out) && !is_same(r, tenant, in, out, geo) &&
		    config_rest_left(r))
			return r;
	}
	return NULL;
}
