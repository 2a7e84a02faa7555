/* SPDX-License-Identifier: BSD-2-Clause */
/* The value of ipfix.collector: one collector, or a list of them. */
#include <errno.h>
#include <string.h>

#include "config/fields.h"

static void collectors_expected(const struct field *f, char *text, size_t size)
{
	snprintf(text, size, "an IPv4 address and a port from %u to 65535, such as \"192.0.2.10:4739\"", f->min);
}

static int collector_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	return cJSON_IsString(json) ? collector_parse(json->valuestring, value) : -EINVAL;
}

static const struct field_type field_collector = { .expected = collectors_expected, .read = collector_read };

static int list_read(struct reader *r, const cJSON *json, const struct field *f, struct config_ipfix *x)
{
	const struct field element_field = { "", &field_collector, .min = f->min };
	const cJSON *element;
	uint32_t n = 0;

	cJSON_ArrayForEach (element, json) {
		size_t before = json_path_add_index(&r->path, n);
		int ret;

		if (n == MAX_COLLECTORS)
			return reader_refuse(r, element, "more than %u collectors", MAX_COLLECTORS);
		ret = field_read(r, element, &element_field, &x->collectors[n]);
		if (ret < 0)
			return ret;
		for (uint32_t i = 0; i < n; i++)
			if (collector_same(x->collectors[i], x->collectors[n]))
				return reader_refuse(r, element, "is in this list already");
		n++;
		json_path_cut(&r->path, before);
	}
	if (!n)
		return reader_refuse(r, json, "must name a collector");
	x->n_collectors = n;
	return 0;
}

static int collectors_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	struct config_ipfix *x = value;

	if (cJSON_IsArray(json)) {
		/* The message is set already; on -EINVAL the caller would write one about a single collector. */
		int ret = list_read(r, json, f, x);

		return ret == -EINVAL ? -EBADMSG : ret;
	}
	if (collector_read(r, json, f, &x->collectors[0]) < 0)
		return -EINVAL;
	x->n_collectors = 1;
	return 0;
}

static bool collectors_valid(const struct field *f, const void *value)
{
	const struct config_ipfix *x = value;

	for (uint32_t i = 0; i < x->n_collectors; i++)
		if (x->collectors[i].at.port < f->min)
			return false;
	return x->n_collectors && x->n_collectors <= MAX_COLLECTORS;
}

static int collectors_write(cJSON *object, const struct field *f, const void *value)
{
	const struct config_ipfix *x = value;
	_cleanup_json_ cJSON *list = NULL;
	char text[COLLECTOR_TEXT];

	if (x->n_collectors == 1)
		return json_add(object, f->name, cJSON_CreateString(collector_format(x->collectors[0], text)));
	list = cJSON_CreateArray();
	for (uint32_t i = 0; list && i < x->n_collectors; i++)
		if (json_append(list, cJSON_CreateString(collector_format(x->collectors[i], text))))
			return -ENOMEM;
	return list ? json_add(object, f->name, take_pointer(list)) : -ENOMEM;
}

const struct field_type field_collectors = { collectors_expected, collectors_read, collectors_valid, collectors_write };

/* The value of syslog.to: the local socket, or a collector. */

#define LOCAL "/dev/log"

static void expected(const struct field *f, char *text, size_t size)
{
	snprintf(text, size, "\"" LOCAL "\", or an IPv4 address and a port, such as \"udp:192.0.2.9:514\"");
}

static int read_to(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	struct config_syslog *c = value;
	const char *text = cJSON_GetStringValue(json);

	if (!text)
		return -EINVAL;
	c->transport = strcmp(text, LOCAL) ? SYSLOG_UDP : SYSLOG_LOCAL;
	if (c->transport == SYSLOG_LOCAL)
		return 0;
	if (!strncmp(text, "udp:", 4))
		text += 4;
	return endpoint_parse(text, &c->to);
}

static bool is_valid(const struct field *f, const void *value)
{
	const struct config_syslog *c = value;

	return c->transport == SYSLOG_LOCAL || (c->transport == SYSLOG_UDP && c->to.addr && c->to.port >= f->min);
}

static int write_to(cJSON *object, const struct field *f, const void *value)
{
	const struct config_syslog *c = value;
	char text[ADDR_TEXT + 16], addr[ADDR_TEXT];

	if (c->transport == SYSLOG_LOCAL)
		return json_add(object, f->name, cJSON_CreateString(LOCAL));
	snprintf(text, sizeof(text), "udp:%s:%u", addr_format(c->to.addr, addr), c->to.port);
	return json_add(object, f->name, cJSON_CreateString(text));
}

const struct field_type field_syslog = { expected, read_to, is_valid, write_to };
