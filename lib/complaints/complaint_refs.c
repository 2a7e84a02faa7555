// SPDX-License-Identifier: BSD-2-Clause
#include "complaints/complaint_refs.h"

#include <stdlib.h>
#include <string.h>

#include "base/array_grow.h"

/* More objects are not told apart, nor are more read in the place of others. */
#define MOST_NAMED 512U
#define MOST_READ  4096U

/* Deeper objects have no name. */
#define DEPTH 32U

#define REF_TEXT "_ref"

const char *json_skip(const char *at, const char *end)
{
	while (at < end && strchr(" \t\r\n", *at) && *at)
		at++;
	return at;
}

const char *json_string_end(const char *at, const char *end)
{
	for (at++; at < end; at++)
		if (*at == '\\')
			at++;
		else if (*at == '"')
			return at + 1;
	return NULL;
}

unsigned refs_key(const char *key, const char *end)
{
	if (end - key > 4 && !memcmp(end - 4, REF_TEXT, 4))
		return 1;
	return end - key > 5 && !memcmp(end - 5, REF_TEXT "s", 5) ? 2 : 0;
}

/* A walk over the strings of a text of JSON. */
struct names {
	struct refs *r;
	const char *open[DEPTH]; /* objects and arrays around */
	const char *keys[DEPTH]; /* of which these are the values, or NULL */
	const char *key_ends[DEPTH];
	unsigned depth;
	const char *key, *key_end; /* the member's, or NULL */
};

static bool is_text(const char *at, const char *end, const char *text)
{
	return at && (size_t)(end - at) == strlen(text) && !memcmp(at, text, strlen(text));
}

static void add(struct refs *r, const char *at, const char *name, const char *end)
{
	if (r->n == MOST_NAMED || r->failed)
		return;
	if (array_grow(&r->named, r->n, &r->room, sizeof(*r->named)))
		r->failed = true;
	else
		r->named[r->n++] = (struct named){ .at = at, .name = name, .size = (size_t)(end - name) };
}

static struct named *find(const struct refs *r, const char *name, size_t size)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->named[i].size == size && !memcmp(r->named[i].name, name, size))
			return &r->named[i];
	return NULL;
}

/* A string that is a value. */
static void take_value(struct names *s, const char *at, const char *end, bool refer)
{
	const char *open = s->depth && s->depth <= DEPTH ? s->open[s->depth - 1] : NULL;
	bool listed = open && *open == '[';
	const char *key = listed ? s->keys[s->depth - 1] : s->key,
		   *stop = listed ? s->key_ends[s->depth - 1] : s->key_end;
	struct named *n;

	if (!open || !key)
		return;
	if (!refer && !listed && is_text(key, stop, "id"))
		add(s->r, open, at, end);
	if (!refer || refs_key(key, stop) != (listed ? 2U : 1U))
		return;
	n = find(s->r, at, (size_t)(end - at));
	if (n) {
		n->referred = true;
		n->valued |= !listed;
	}
}

/* A brace or a bracket that opens. */
static void open_at(struct names *s, const char *at, bool refer)
{
	if (s->depth < DEPTH) {
		s->open[s->depth] = at;
		s->keys[s->depth] = s->key;
		s->key_ends[s->depth] = s->key_end;
		/* "objects": {"0": {…}} */
		if (!refer && *at == '{' && s->key && s->depth &&
		    is_text(s->keys[s->depth - 1], s->key_ends[s->depth - 1], "objects"))
			add(s->r, at, s->key, s->key_end);
	}
	s->depth++;
	s->key = NULL;
}

static void walk(struct refs *r, const char *at, const char *end, bool refer)
{
	struct names s = { .r = r };

	while (at < end) {
		const char *stop = at + 1, *behind;

		if (*at == '{' || *at == '[') {
			open_at(&s, at, refer);
		} else if (*at == '}' || *at == ']') {
			s.depth -= s.depth > 0;
			s.key = NULL;
		} else if (*at == '"') {
			stop = json_string_end(at, end);
			if (!stop)
				stop = end;
			behind = json_skip(stop, end);
			if (behind < end && *behind == ':')
				s.key = at + 1, s.key_end = stop - 1;
			else if (stop - at >= 2)
				take_value(&s, at + 1, stop - 1, refer);
		}
		at = stop;
	}
}

static int by_place(const void *a, const void *b)
{
	const struct named *one = a, *two = b;

	return (one->at > two->at) - (one->at < two->at);
}

void refs_survey(struct refs *r, const char *at, const char *end)
{
	*r = (struct refs){ .left = MOST_READ };
	if (!memmem(at, (size_t)(end - at), REF_TEXT, strlen(REF_TEXT)))
		return;
	walk(r, at, end, false);
	if (r->n)
		walk(r, at, end, true);
	if (r->n)
		qsort(r->named, r->n, sizeof(*r->named), by_place);
}

void refs_free(struct refs *r)
{
	free(r->named);
}

struct named *refs_find(struct refs *r, const char *name, size_t size)
{
	struct named *n = r->left ? find(r, name, size) : NULL;

	if (!n || !n->referred)
		return NULL;
	r->left--;
	return n;
}

struct named *refs_at(const struct refs *r, const char *at)
{
	struct named key = { .at = at };
	struct named *n = r->n ? bsearch(&key, r->named, r->n, sizeof(key), by_place) : NULL;

	return n && n->referred ? n : NULL;
}
