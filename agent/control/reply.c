// SPDX-License-Identifier: BSD-2-Clause
#include "control/reply.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

/* Octets of the UTF-8 character at s, 0 where there is none. */
static unsigned utf8_length(const unsigned char *s)
{
	unsigned n = *s < 0x80		       ? 1
		     : *s >= 0xc2 && *s < 0xe0 ? 2
		     : (*s & 0xf0) == 0xe0     ? 3
		     : *s >= 0xf0 && *s < 0xf5 ? 4
					       : 0;

	for (unsigned i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* Texts quote what clients sent, perhaps cut in the middle of a character; JSON is UTF-8. */
static cJSON *add_text(cJSON *object, const char *name, const char *text)
{
	_cleanup_free_ char *clean = strdup(text);

	for (char *p = clean; p && *p;) {
		unsigned n = utf8_length((const unsigned char *)p);

		if (!n)
			*p = '?';
		p += n ? n : 1;
	}
	return clean ? cJSON_AddStringToObject(object, name, clean) : NULL;
}

static void add_line(struct evbuffer *out, cJSON *object)
{
	_cleanup_free_ char *text = object ? cJSON_PrintUnformatted(object) : NULL;

	if (text)
		evbuffer_add_printf(out, "%s\n", text);
	else
		evbuffer_add_printf(out, "{\"ok\":false,\"status\":1,\"error\":\"the agent is out of memory\"}\n");
	cJSON_Delete(object);
}

void reply_result(struct evbuffer *out, cJSON *result)
{
	cJSON *object = result ? cJSON_CreateObject() : NULL;

	if (object && (!cJSON_AddTrueToObject(object, "ok") || !cJSON_AddItemToObject(object, "result", result))) {
		cJSON_Delete(object);
		object = NULL;
	}
	add_line(out, object);
}

void reply_error(struct evbuffer *out, int status, unsigned request, const char *text)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddFalseToObject(object, "ok");
	cJSON_AddNumberToObject(object, "status", status);
	if (request)
		cJSON_AddNumberToObject(object, "request", request);
	add_text(object, "error", text);
	add_line(out, object);
}

void reply_end(struct evbuffer *out, const char *text)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddBoolToObject(object, "end", !text);
	if (text)
		add_text(object, "error", text);
	add_line(out, object);
}
