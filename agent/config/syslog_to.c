/* SPDX-License-Identifier: BSD-2-Clause */
/* The value of syslog.to: the local socket, or a collector. */
#include <errno.h>
#include <string.h>

#include "config/fields.h"

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
