// SPDX-License-Identifier: BSD-2-Clause
/* XML: ACNS, whose Source elements are records, and others of which an element is one record. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "complaints/complaint_private.h"

/* Instructions and comments before an element. */
#define PROLOGUE 8U

struct xml {
	struct reading *x;
	uint32_t all, scope;
	const char *end;
};

/* The name of a tag without its namespace: its octets. */
static size_t name_of(const char *at, const char *end, const char **ret)
{
	const char *p = at;

	*ret = at;
	for (; p < end && (isalnum((unsigned char)*p) || strchr("_-:.", *p)); p++)
		if (*p == ':')
			*ret = p + 1;
	return (size_t)(p - *ret);
}

static bool is_name(const char *at, size_t n, const char *name)
{
	return n == strlen(name) && !strncasecmp(at, name, n);
}

/* The text between two tags is a value, whose key is the tag, or the attribute Name of it. */
static void text_of(struct xml *m, const char *tag, const char *tag_end, const char *at, const char *end)
{
	const char *name;
	size_t n = name_of(tag, tag_end, &name);
	const char *attribute = memmem(tag, (size_t)(tag_end - tag), "Name=", 5);
	const char *key = attribute ? attribute + 5 : name, *key_end = attribute ? tag_end : name + n;

	complaint_value(m->x, m->scope, key, key_end, at, end);
	at = memmem(tag, (size_t)(tag_end - tag), "SystemTime=", 11);
	if (at)
		complaint_value(m->x, m->scope, key, key_end, at, tag_end);
}

/* The end of an element whose name is known, and which has one; NULL: there is none. */
static const char *root_end(struct reading *x, const char *at, const char *end)
{
	static const char *const roots[] = { "Infringement", "Event", "Source", "Events" };
	const char *name;
	unsigned before = 0;

	for (size_t n; (at = memchr(at, '<', (size_t)(end - at))); at++) {
		char close[32];
		const char *stop;

		if (at + 1 < end && strchr("?!", at[1]) && before++ < PROLOGUE)
			continue;
		n = name_of(at + 1, end, &name);
		for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
			if (!is_name(name, n, roots[i]))
				continue;
			snprintf(close, sizeof(close), "/%.*s%s>", (int)(name - at - 1), at + 1, roots[i]);
			stop = name - at - 1 < 12 && complaint_may_look(x) ? strcasestr(at, close) : NULL;
			if (!stop || stop >= end)
				x->broken = end;
			if (!stop)
				x->in_vain += (size_t)(x->text + x->size - at);
			return stop && stop < end ? stop + strlen(close) : NULL;
		}
		return NULL;
	}
	return NULL;
}

const char *complaint_xml(struct reading *x, uint32_t scope, const char *at, const char *end)
{
	struct xml m = { .x = x };
	const char *name;

	if (*at != '<')
		return NULL;
	m.end = root_end(x, at, end);
	if (!m.end)
		return NULL;
	m.all = m.scope = scope_add(x, scope);
	x->first_item = x->n_items;
	x->served = false;
	x->scopes[m.all].closed = true;
	while ((at = memchr(at, '<', (size_t)(m.end - at)))) {
		const char *close = memchr(at, '>', (size_t)(m.end - at)), *next;
		size_t n;

		if (!close)
			break;
		n = name_of(at + 1 + (at[1] == '/'), close, &name);
		if (is_name(name, n, "Source") || is_name(name, n, "Content") || is_name(name, n, "Case") ||
		    is_name(name, n, "Notes"))
			m.scope = at[1] == '/' ? m.all : scope_add(x, m.all);
		/* A source is a record; the others say what was found, and when the notice was written. */
		x->scopes[m.scope].closed |= m.scope != m.all && !x->error;
		next = memchr(close, '<', (size_t)(m.end - close));
		if (at[1] != '/')
			text_of(&m, at + 1, close, close + 1, next ? next : m.end);
		at = close;
	}
	return m.end;
}
