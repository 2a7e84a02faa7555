/* SPDX-License-Identifier: BSD-2-Clause */
/* Names, paths, endpoints and comments of the configuration: read from JSON, checked, written back. */
#include <errno.h>
#include <string.h>

#include "config/fields.h"

static void interface_expected(const struct field *f, char *text, size_t size)
{
	snprintf(text, size, "the name of an interface, 1 to %zu characters", f->size - 1);
}

static int interface_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	if (!cJSON_IsString(json) || !interface_name_valid(json->valuestring))
		return -EINVAL;
	snprintf(value, f->size, "%s", json->valuestring);
	return 0;
}

static bool interface_valid(const struct field *f, const void *value)
{
	return interface_name_valid(value);
}

static int interface_write(cJSON *object, const struct field *f, const void *value)
{
	return json_add(object, f->name, cJSON_CreateString(value));
}

const struct field_type field_interface = { interface_expected, interface_read, interface_valid, interface_write };

static void vrf_expected(const struct field *f, char *text, size_t size)
{
	snprintf(text, size, "the name of a VRF, 1 to %zu characters", f->size - 1);
}

static bool vrf_valid(const struct field *f, const void *value)
{
	const char *name = value;

	return !*name || interface_name_valid(name);
}

static int vrf_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	int ret = interface_read(r, json, f, value);

	return ret ? ret : strchr(value, '*') ? -EINVAL : 0;
}

static int vrf_write(cJSON *object, const struct field *f, const void *value)
{
	return *(const char *)value ? interface_write(object, f, value) : 0;
}

const struct field_type field_vrf = { vrf_expected, vrf_read, vrf_valid, vrf_write };

static void path_expected(const struct field *f, char *text, size_t size)
{
	snprintf(text, size, "an absolute path of at most %u octets", f->max);
}

static bool path_ok(const struct field *f, const char *path)
{
	return path && path[0] == '/' && strlen(path) <= f->max;
}

static int path_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	char *copy;

	if (!cJSON_IsString(json) || !path_ok(f, json->valuestring))
		return -EINVAL;
	copy = strdup(json->valuestring);
	if (!copy)
		return -ENOMEM;
	free(*(char **)value);
	*(char **)value = copy;
	return 0;
}

static bool path_valid(const struct field *f, const void *value)
{
	return path_ok(f, *(char *const *)value);
}

static int path_write(cJSON *object, const struct field *f, const void *value)
{
	return json_add(object, f->name, cJSON_CreateString(*(char *const *)value));
}

const struct field_type field_path = { path_expected, path_read, path_valid, path_write };

/* Texts kept in the structure itself; "" means "not given". */

static int text_read(const cJSON *json, const struct field *f, void *value, bool (*valid)(const char *text))
{
	if (!cJSON_IsString(json) || !valid(json->valuestring))
		return -EINVAL;
	memcpy(value, json->valuestring, strlen(json->valuestring) + 1);
	return 0;
}

static int text_write(cJSON *object, const struct field *f, const void *value)
{
	return *(const char *)value ? json_add(object, f->name, cJSON_CreateString(value)) : 0;
}

static void label_expected(const struct field *f, char *text, size_t size)
{
	snprintf(text, size, "%s", LABEL_EXPECTED);
}

static bool label_ok(const struct field *f, const void *value)
{
	return !*(const char *)value || label_valid(value);
}

static int label_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	return text_read(json, f, value, label_valid);
}

const struct field_type field_label = { label_expected, label_read, label_ok, text_write };

static void span_expected(const struct field *f, char *text, size_t size)
{
	snprintf(text, size, "an address and a port such as 10.0.0.2:443, or ports such as 10.0.0.2:8000-8009, not 0");
}

static int span_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	if (cJSON_IsString(json) && *json->valuestring == '[') {
		reader_refuse(r, json, "is an address of IPv6, whose subscribers cannot have portmaps");
		return -EBADMSG;
	}
	return cJSON_IsString(json) ? span_parse(json->valuestring, value) : -EINVAL;
}

static int span_write(cJSON *object, const struct field *f, const void *value)
{
	const struct port_span *span = value;
	char text[SPAN_TEXT];

	return span->addr ? json_add(object, f->name, cJSON_CreateString(span_format(*span, text))) : 0;
}

const struct field_type field_span = { span_expected, span_read, NULL, span_write };

static void comment_expected(const struct field *f, char *text, size_t size)
{
	snprintf(text, size, "a text of at most %u octets without control characters", COMMENT_TEXT - 1);
}

static bool comment_ok(const struct field *f, const void *value)
{
	return comment_valid(value);
}

static int comment_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	return text_read(json, f, value, comment_valid);
}

const struct field_type field_comment = { comment_expected, comment_read, comment_ok, text_write };

/* Paths kept in the structure itself; "" means "not given". */

static void optional_path_expected(const struct field *f, char *text, size_t size)
{
	snprintf(text, size, "an absolute path of at most %zu octets", f->size - 1);
}

static int optional_path_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	if (!cJSON_IsString(json) || *json->valuestring != '/' || strlen(json->valuestring) >= f->size)
		return -EINVAL;
	strcpy(value, json->valuestring);
	return 0;
}

const struct field_type field_optional_path = { optional_path_expected, optional_path_read, NULL, text_write };

static void key_file_expected(const struct field *f, char *text, size_t size)
{
	snprintf(text, size, "an absolute path of at most %zu octets, or null", f->size - 1);
}

static int key_file_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	if (!cJSON_IsNull(json))
		return optional_path_read(r, json, f, value);
	*(char *)value = '\0';
	return 0;
}

static int key_file_write(cJSON *object, const struct field *f, const void *value)
{
	const char *path = value;

	return json_add(object, f->name, *path ? cJSON_CreateString(path) : cJSON_CreateNull());
}

const struct field_type field_key_file = { key_file_expected, key_file_read, NULL, key_file_write };
