// SPDX-License-Identifier: BSD-2-Clause
#include "tenants.h"

#include <string.h>

#define DEPTH_MAX 32U

bool tenant_seen(const struct tenants_seen *t, const char *name, size_t size)
{
	for (unsigned i = 0; i < t->n; i++)
		if (strlen(t->name[i]) == size && !memcmp(t->name[i], name, size))
			return true;
	return !t->n;
}

/* What is known of an object or array that has begun. */
struct open_value {
	bool object, named,
		person; /* whether a tenant was named that may be seen; whether there is an inside address */
};

struct scan {
	const struct tenants_seen *seen;
	const char *at, *end;
	const char *key; /* of the member that is read, NULL: none */
	size_t key_size;
	struct open_value open[DEPTH_MAX];
	unsigned depth;
};

/* Moves behind a string; its octets are left as they are written. False: it has no end. */
static bool take_string(struct scan *s, const char **ret, size_t *ret_size)
{
	const char *begin = ++s->at;

	while (s->at < s->end && *s->at != '"')
		s->at += *s->at == '\\' ? 2 : 1;
	if (s->at >= s->end)
		return false;
	*ret = begin;
	*ret_size = (size_t)(s->at++ - begin);
	return true;
}

static bool key_is(const struct scan *s, const char *name)
{
	return s->key && s->key_size == strlen(name) && !memcmp(s->key, name, s->key_size);
}

static bool is_key(struct scan *s)
{
	while (s->at < s->end && strchr(" \t\r\n", *s->at))
		s->at++;
	return s->at < s->end && *s->at == ':';
}

/* A key, or a value that is a string. */
static bool read_string(struct scan *s)
{
	struct open_value *o = s->depth ? &s->open[s->depth - 1] : NULL;
	const char *text;
	size_t size;

	if (!take_string(s, &text, &size))
		return false;
	if (is_key(s)) {
		s->key = text;
		s->key_size = size;
		return true;
	}
	if (o && o->object && (key_is(s, "in_addr") || key_is(s, "in_prefix")))
		o->person = true;
	if (o && o->object && key_is(s, "tenant")) {
		o->named = true;
		return tenant_seen(s->seen, text, size);
	}
	return true;
}

static bool begin(struct scan *s, bool object)
{
	bool named = s->depth && s->open[s->depth - 1].named;

	if (s->depth == DEPTH_MAX)
		return false;
	s->open[s->depth++] = (struct open_value){ .object = object, .named = named };
	s->key = NULL;
	return true;
}

static bool finish(struct scan *s)
{
	const struct open_value *o;

	if (!s->depth)
		return false;
	o = &s->open[--s->depth];
	s->key = NULL;
	return !o->person || o->named;
}

static bool step(struct scan *s)
{
	switch (*s->at) {
	case '"':
		return read_string(s);
	case '{':
	case '[':
		return begin(s, *s->at++ == '{');
	case '}':
	case ']':
		s->at++;
		return finish(s);
	case ',':
		s->key = NULL;
		/* fallthrough */
	default:
		s->at++;
		return true;
	}
}

bool tenants_permit(const struct tenants_seen *t, const char *json, size_t size)
{
	struct scan s = { .seen = t, .at = json, .end = json + size };

	while (s.at < s.end)
		if (!step(&s))
			return false;
	return !s.depth;
}
