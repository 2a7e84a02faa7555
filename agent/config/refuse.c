/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages that refuse a configuration: file, line and key first. */
#include <errno.h>
#include <string.h>

#include "config/fields.h"

/* Characters of a file's name that a message shows, from its end. */
#define NAME_SHOWN 200U

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
