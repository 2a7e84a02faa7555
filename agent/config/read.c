/* SPDX-License-Identifier: BSD-2-Clause */
/* From JSON to a configuration, by the tables of config/fields.c. */
#include <errno.h>
#include <string.h>

#include "config/fields.h"

/* Characters of a wrong value that a message quotes, and of the end of a file's name. */
#define VALUE_SHOWN 40
#define NAME_SHOWN  200U

int config_refuse(struct error *err, int r, const char *name, unsigned line, const char *path, const char *format, ...)
{
	size_t length = name ? strlen(name) : 0;
	char text[256], number[16] = "";
	const char *cut = "";
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (name && line)
		snprintf(number, sizeof(number), ":%u", line);
	if (length > NAME_SHOWN) {
		name += length - NAME_SHOWN;
		cut = "...";
	}
	return error_set(err, r, "%s%s%s%s%s%s%s", cut, name ? name : "", number, name ? ": " : "", path,
			 *path ? ": " : "", text);
}

int reader_refuse(struct reader *r, const cJSON *json, const char *format, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	return config_refuse(r->err, -EINVAL, r->name, json_line(json), r->path.text, "%s", text);
}

int reader_no_memory(struct reader *r)
{
	return config_refuse(r->err, -ENOMEM, r->name, 0, "", "no memory to read it");
}

/* A value as a message shows it: short, and without what a terminal would act on. */
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
	uint32_t seen = 0;
	const cJSON *value;

	if (!cJSON_IsObject(json))
		return reader_refuse(r, json, "must be an object");

	cJSON_ArrayForEach (value, json) {
		const struct field *f = find_field(t, value->string);
		size_t before = json_path_add_key(&r->path, value->string, strlen(value->string));
		int ret;

		if (!f)
			return reader_refuse(r, value, "unknown key");
		if (seen & 1U << (f - t->field))
			return reader_refuse(r, value, "this key stands here twice");
		seen |= 1U << (f - t->field);
		ret = field_read(r, value, f, base);
		if (ret < 0)
			return ret;
		json_path_cut(&r->path, before);
	}

	for (size_t i = 0; i < t->n; i++) {
		if (t->field[i].required && !(seen & 1U << i)) {
			json_path_add_key(&r->path, t->field[i].name, strlen(t->field[i].name));
			return reader_refuse(r, json, "this key is missing");
		}
	}
	return 0;
}

/* The line of a key of the document, or 0. */
static unsigned line_of(const cJSON *json, const char *key)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, key);

	return value ? json_line(value) : 0;
}

int config_parse(const char *text, size_t size, const char *name, struct config **ret, struct error *err)
{
	_cleanup_config_ struct config *c = config_new();
	_cleanup_json_ cJSON *json = NULL;
	struct reader reader = { .name = name, .config = c, .err = err };
	struct json_fault fault;
	int r;

	if (!c)
		return reader_no_memory(&reader);
	r = json_read(text, size, &json, &fault);
	if (r == -ENOMEM)
		return reader_no_memory(&reader);
	if (r < 0)
		return config_refuse(err, r, name, fault.line, fault.path.text, "%s", fault.text);

	r = fields_read(&reader, json, &config_fields, c);
	if (r < 0)
		return r;
	c->overflow_line = line_of(json, "overflow_sessions");
	c->control_socket_line = line_of(json, "control_socket");
	c->pin_path_line = line_of(json, "pin_path");
	c->state_dir_line = line_of(json, "state_dir");
	r = config_validate(c, name, err);
	if (r < 0)
		return r;
	*ret = take_pointer(c);
	return 0;
}
