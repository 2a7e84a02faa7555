/* SPDX-License-Identifier: BSD-2-Clause */
/* Objects and values read from JSON by the tables of config/fields.c. */
#include <errno.h>
#include <string.h>

#include "config/fields.h"

/* Characters of a wrong value that a message quotes. */
#define VALUE_SHOWN 40

/* A value as messages quote it: shortened, and without control characters. */
static void describe(const cJSON *json, char *text, size_t size)
{
	if (cJSON_IsString(json)) {
		snprintf(text, size, "\"%.*s%s\"", VALUE_SHOWN, json->valuestring,
			 strlen(json->valuestring) > VALUE_SHOWN ? "..." : "");
		for (char *c = text; *c; c++)
			if (*c < ' ' || *c == 0x7f)
				*c = '?';
	} else if (cJSON_IsNumber(json)) {
		snprintf(text, size, "%.15g", json->valuedouble);
	} else {
		snprintf(text, size, "%s",
			 cJSON_IsBool(json)	? (cJSON_IsTrue(json) ? "true" : "false")
			 : cJSON_IsNull(json)	? "null"
			 : cJSON_IsObject(json) ? "an object"
						: "a list");
	}
}

int field_read(struct reader *r, const cJSON *json, const struct field *f, void *base)
{
	int ret = f->type->read(r, json, f, (char *)base + f->offset);

	if (ret == -ENOMEM)
		return reader_no_memory(r);
	if (ret == -EINVAL && f->type->expected) {
		char expected[128], found[64];

		f->type->expected(f, expected, sizeof(expected));
		describe(json, found, sizeof(found));
		return reader_refuse(r, json, "must be %s, not %s", expected, found);
	}
	return ret == -EBADMSG ? -EINVAL : ret;
}

static const struct field *find_field(const struct fields *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->field[i].name, name) == 0)
			return &t->field[i];
	return NULL;
}

int fields_read(struct reader *r, const cJSON *json, const struct fields *t, void *base)
{
	uint64_t seen = 0;
	const cJSON *value;

	if (!cJSON_IsObject(json))
		return reader_refuse(r, json, "must be an object");

	cJSON_ArrayForEach (value, json) {
		const struct field *f = find_field(t, value->string);
		size_t before = json_path_add_key(&r->path, value->string, strlen(value->string));
		int ret;

		if (!f)
			return reader_refuse(r, value, "unknown key");
		if (seen & 1ULL << (f - t->field))
			return reader_refuse(r, value, "this key stands here twice");
		seen |= 1ULL << (f - t->field);
		ret = field_read(r, value, f, base);
		if (ret < 0)
			return ret;
		json_path_cut(&r->path, before);
	}

	for (size_t i = 0; i < t->n; i++) {
		if (t->field[i].required && !(seen & 1ULL << i)) {
			json_path_add_key(&r->path, t->field[i].name, strlen(t->field[i].name));
			return reader_refuse(r, json, "this key is missing");
		}
	}
	return 0;
}
