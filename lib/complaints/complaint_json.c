// SPDX-License-Identifier: BSD-2-Clause
/*
 * JSON, object by object. It is walked in the text, without a copy: an object in an array is a record of its own. One
 * that others refer to by its name is read where they do.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "complaints/complaint_private.h"
#include "complaints/complaint_refs.h"

/* Deeper values are passed over. */
#define DEPTH	  32U
#define PATH_TEXT 200U

/* A larger object is not read in another place. */
#define MOST_REFERRED 4096

struct json {
	struct reading *x;
	const char *end;
	char path[PATH_TEXT]; /* names of the members around, with KEY_PART between */
	size_t size;
	struct refs refs;
};

/* The end of an object or array whose brackets match; NULL: it has none. */
static const char *json_end(const char *at, const char *end)
{
	size_t depth = 0;

	for (; at < end; at++) {
		if (*at == '"') {
			at = json_string_end(at, end);
			if (!at)
				return NULL;
			at--;
		} else if (*at == '{' || *at == '[') {
			depth++;
		} else if ((*at == '}' || *at == ']') && !--depth) {
			return at + 1;
		}
	}
	return NULL;
}

static void value_text(struct json *j, uint32_t scope, const char *at, const char *end)
{
	complaint_value(j->x, scope, j->path, j->path + j->size, at, end);
}

static const char *value(struct json *j, uint32_t scope, const char *at, unsigned depth);

static const char *members(struct json *j, uint32_t scope, const char *at, unsigned depth)
{
	size_t before = j->size;

	for (at = json_skip(at + 1, j->end); at < j->end && *at == '"';) {
		const char *name = at + 1, *stop = json_string_end(at, j->end);
		size_t n;

		if (!stop)
			return NULL;
		n = (size_t)(stop - 1 - name);
		if (before + n + 2 < PATH_TEXT) {
			j->path[before] = KEY_PART;
			memcpy(j->path + before + 1, name, n);
			j->size = before + 1 + n;
		}
		at = json_skip(stop, j->end);
		if (at >= j->end || *at != ':')
			return NULL;
		at = value(j, scope, json_skip(at + 1, j->end), depth + 1);
		j->size = before;
		if (!at)
			return NULL;
		at = json_skip(at, j->end);
		if (at < j->end && *at == ',')
			at = json_skip(at + 1, j->end);
	}
	return at < j->end && *at == '}' ? at + 1 : NULL;
}

/* An object that names a service has its port, if a word does not say that it is the source's. */
static void note_service(struct json *j, const char *at)
{
	const char *end = *at == '{' ? json_end(at, j->end) : NULL;

	j->x->served = end && memmem(at, (size_t)(end - at), "\"service\"", 9);
}

/* If one record of an array has a time of its own, none borrows that of what is around. */
static void close_records(struct reading *x, uint32_t scope, size_t first_item)
{
	bool any = false;

	for (size_t i = first_item; i < x->n_items; i++)
		any |= x->items[i].kind == ITEM_TIME;
	for (size_t i = scope + 1; i < x->n_scopes && any; i++)
		x->scopes[i].closed |= x->scopes[i].parent == scope;
}

static const char *elements(struct json *j, uint32_t scope, const char *at, unsigned depth)
{
	size_t first = j->x->n_items;

	scope = scope_add(j->x, scope);
	for (at = json_skip(at + 1, j->end); at < j->end && *at != ']';) {
		j->x->first_item = j->x->n_items;
		note_service(j, at);
		at = value(j, scope, at, depth + 1);
		if (!at)
			return NULL;
		at = json_skip(at, j->end);
		if (at < j->end && *at == ',')
			at = json_skip(at + 1, j->end);
	}
	close_records(j->x, scope, first);
	return at < j->end ? at + 1 : NULL;
}

/* The object that a string refers to: one of a list is not read there if it is the value of another. */
static struct named *referred(struct json *j, const char *at, const char *end)
{
	unsigned kind = j->refs.n ? refs_key(j->path, j->path + j->size) : 0;
	struct named *n = kind ? refs_find(&j->refs, at, (size_t)(end - at)) : NULL;

	return n && !(kind == 2 && n->valued) ? n : NULL;
}

static const char *value(struct json *j, uint32_t scope, const char *at, unsigned depth)
{
	const char *stop;
	struct named *named;

	if (at >= j->end || j->x->error)
		return NULL;
	if (*at == '"') {
		stop = json_string_end(at, j->end);
		named = stop ? referred(j, at + 1, stop - 1) : NULL;
		if (named && depth < DEPTH) {
			named->read = true;
			members(j, scope_add(j->x, scope), named->at, depth + 1);
		} else if (stop) {
			value_text(j, scope, at + 1, stop - 1);
		}
		return stop;
	}
	if (*at == '{' && refs_at(&j->refs, at))
		return json_end(at, j->end);
	if ((*at == '{' || *at == '[') && depth > DEPTH) {
		complaint_tell(j->x, at, NOTICE_NESTED, "JSON within more than %u objects was not read", DEPTH);
		return json_end(at, j->end);
	}
	if (*at == '{')
		return members(j, scope_add(j->x, scope), at, depth);
	if (*at == '[')
		return elements(j, scope, at, depth);
	for (stop = at; stop < j->end && !strchr(",]} \t\r\n", *stop);)
		stop++;
	if (stop == at)
		return NULL;
	value_text(j, scope, at, stop);
	return stop;
}

/* Finds what objects refer to; a large one is read at its own place, and no more. */
static void survey(struct json *j, const char *at)
{
	refs_survey(&j->refs, at, j->end);
	for (size_t i = 0; i < j->refs.n; i++) {
		struct named *n = &j->refs.named[i];

		n->referred =
			n->referred && json_end(n->at, j->end - n->at > MOST_REFERRED ? n->at + MOST_REFERRED : j->end);
	}
	if (j->refs.failed)
		j->x->error = -ENOMEM;
}

/* Objects that refer to each other are referred to from nowhere else. */
static void read_circles(struct json *j, uint32_t scope)
{
	for (size_t i = 0; i < j->refs.n && !j->x->error; i++) {
		struct named *n = &j->refs.named[i];

		if (!n->referred || n->read)
			continue;
		n->read = true;
		members(j, scope_add(j->x, scope), n->at, 1);
	}
}

const char *complaint_json(struct reading *x, uint32_t scope, const char *at, const char *end)
{
	struct json j = { .x = x };
	const char *first = json_skip(at + 1, end);
	uint32_t own;

	/* "[2026-…" and "{TCP}" are none. */
	if (first >= end || !(*at == '{' ? *first == '"' : (*first == '{' || *first == '[')))
		return NULL;
	if (!complaint_may_look(x))
		return NULL;
	j.end = json_end(at, end);
	if (!j.end) {
		x->broken = end;
		x->in_vain += (size_t)(end - at);
		complaint_tell(x, at, NOTICE_DAMAGED, "JSON that has no end was read as text");
		return NULL;
	}
	own = scope_add(x, scope);
	x->first_item = x->n_items;
	note_service(&j, at);
	x->xarf = memmem(at, (size_t)(j.end - at), "\"xarf_version\"", 14) != NULL;
	x->scopes[own].closed = true;
	survey(&j, at);
	if (!value(&j, own, at, 0))
		complaint_tell(x, at, NOTICE_DAMAGED, "JSON is damaged, and was read up to there");
	read_circles(&j, own);
	refs_free(&j.refs);
	return j.end;
}
