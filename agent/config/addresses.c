/* SPDX-License-Identifier: BSD-2-Clause */
/* Prefixes and endpoints: read from JSON, checked, written back. */
#include <errno.h>

#include "config/fields.h"

static void prefix_expected(const struct field *f, char *text, size_t size)
{
	snprintf(text, size, "an IPv4 prefix such as \"10.0.0.0/18\"");
}

static int prefix_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	return cJSON_IsString(json) ? prefix_parse(json->valuestring, value) : -EINVAL;
}

static bool prefix_valid(const struct field *f, const void *value)
{
	const struct prefix *p = value;

	return p->plen <= 32 && !(p->base & ~prefix_mask(p->plen));
}

static int prefix_write(cJSON *object, const struct field *f, const void *value)
{
	const struct prefix *p = value;
	char text[ADDR_TEXT];

	return json_add(object, f->name, cJSON_CreateString(prefix_text(*p, text)));
}

const struct field_type field_prefix = { prefix_expected, prefix_read, prefix_valid, prefix_write };

static void endpoint_expected(const struct field *f, char *text, size_t size)
{
	snprintf(text, size, "an IPv4 address and a port from %u to 65535, such as \"192.0.2.10:4739\"", f->min);
}

static bool endpoint_valid(const struct field *f, const void *value)
{
	return ((const struct endpoint *)value)->port >= f->min;
}

static int endpoint_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	struct endpoint e;

	if (!cJSON_IsString(json) || endpoint_parse(json->valuestring, &e) < 0 || !endpoint_valid(f, &e))
		return -EINVAL;
	*(struct endpoint *)value = e;
	return 0;
}

static int endpoint_write(cJSON *object, const struct field *f, const void *value)
{
	const struct endpoint *e = value;
	char addr[ADDR_TEXT], text[2 * ADDR_TEXT];

	snprintf(text, sizeof(text), "%s:%u", addr_format(e->addr, addr), e->port);
	return json_add(object, f->name, cJSON_CreateString(text));
}

static int source_write(cJSON *object, const struct field *f, const void *value)
{
	const struct endpoint *e = value;

	return e->addr || e->port ? endpoint_write(object, f, value) : 0;
}

const struct field_type field_endpoint = { endpoint_expected, endpoint_read, endpoint_valid, endpoint_write };
const struct field_type field_source = { endpoint_expected, endpoint_read, endpoint_valid, source_write };
