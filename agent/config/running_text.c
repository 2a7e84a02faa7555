/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/running_text.h"

#include <errno.h>
#include <string.h>

#include "base/array_grow.h"

static int list_append(struct text_list *l, uint32_t at)
{
	if (array_grow(&l->at, l->n, &l->room, sizeof(*l->at)))
		return -ENOMEM;
	l->at[l->n++] = at;
	return 0;
}

/* The end of a string, its closing quote. */
static const char *string_end(const char *at)
{
	for (at++; *at != '"'; at++)
		at += *at == '\\';
	return at;
}

/* Notes the elements of a list that begins at `[`; returns its `]`, or NULL if memory is short. */
static const char *find_elements(const char *json, const char *at, struct text_list *ret)
{
	unsigned depth = 0;

	ret->open = (uint32_t)(at - json);
	for (;; at++) {
		if (*at == '"')
			at = string_end(at);
		else if (*at == '{' && depth == 1 && list_append(ret, (uint32_t)(at - json)))
			return NULL;
		if (*at == '{' || *at == '[')
			depth++;
		else if ((*at == '}' || *at == ']') && !--depth)
			break;
	}
	ret->close = (uint32_t)(at - json);
	return at;
}

static bool is_key(const char *at, const char *key)
{
	return !strncmp(at + 1, key, strlen(key)) && !strncmp(at + 1 + strlen(key), "\":[", 3);
}

/* Finds both lists among the keys of a text without blanks. 0 or -ENOMEM. */
static int find_lists(struct running_text *t)
{
	unsigned depth = 0;

	for (const char *at = t->json; at && *at; at++) {
		struct text_list *list = NULL;

		if (*at == '"' && depth == 1)
			list = is_key(at, "mappings") ? &t->mappings : is_key(at, "portmaps") ? &t->portmaps : NULL;
		if (*at == '"')
			at = string_end(at);
		depth += *at == '{' || *at == '[';
		depth -= *at == '}' || *at == ']';
		if (!list)
			continue;
		at = find_elements(t->json, at + 2, list);
		if (!at)
			return -ENOMEM;
	}
	return 0;
}

static int write_whole(const struct config *c, struct running_text *ret)
{
	ret->json = config_to_json(c);
	if (!ret->json)
		return -ENOMEM;
	ret->length = strlen(ret->json);
	return find_lists(ret);
}

/* Elements of a list: which of them another text has in their place. */
struct exchange {
	const struct running_text *before, *changed;
	const struct text_list *list, *by;
	size_t from, end; /* of the former elements */
};

static void add_text(struct running_text *t, const char *text, size_t n)
{
	memcpy(t->json + t->length, text, n);
	t->length += n;
}

/* Appends elements from..end of a list, behind those that the new list has already. */
static void add_elements(struct running_text *t, struct text_list *to, const struct running_text *source,
			 const struct text_list *list, size_t from, size_t end)
{
	uint32_t first, last;

	if (from == end)
		return;
	if (to->n)
		t->json[t->length++] = ',';
	first = list->at[from];
	last = end < list->n ? list->at[end] - 1 : list->close;
	for (size_t i = from; i < end; i++)
		to->at[to->n++] = list->at[i] - first + (uint32_t)t->length;
	add_text(t, source->json + first, last - first);
}

static void add_list(struct running_text *t, struct text_list *to, const struct exchange *x)
{
	to->open = (uint32_t)t->length;
	t->json[t->length++] = '[';
	add_elements(t, to, x->before, x->list, 0, x->from);
	add_elements(t, to, x->changed, x->by, 0, x->by->n);
	add_elements(t, to, x->before, x->list, x->end, x->list->n);
	to->close = (uint32_t)t->length;
	t->json[t->length++] = ']';
}

static int make_room(struct text_list *to, const struct exchange *x)
{
	to->at = calloc(x->list->n + x->by->n + 1, sizeof(*to->at));
	return to->at ? 0 : -ENOMEM;
}

/* The elements of a list before an element of the array: parts of a mapping are one. */
static size_t element_of(const struct config *c, size_t mapping)
{
	size_t n = 0;

	for (size_t i = 0; i < mapping; i++)
		n += !c->mappings[i].part;
	return n;
}

/* A text of what has changed alone. 0, -ENOMEM, or 1 if it has not both lists. */
static int write_changed(const struct config *c, const struct config_part *part, struct running_text *ret)
{
	const struct config_window *m = &part->mappings, *p = &part->portmaps;
	_cleanup_free_ struct config *own = malloc(sizeof(*own));
	int r;

	if (!own)
		return -ENOMEM;
	memcpy(own, part->config, sizeof(*own));
	own->mappings = c->mappings + m->from;
	own->n_mappings = m->after_end - m->from;
	own->portmaps = c->portmaps + p->from;
	own->n_portmaps = p->after_end - p->from;
	own->near = NULL;
	r = write_whole(own, ret);
	return r || (ret->mappings.open && ret->portmaps.open) ? r : 1;
}

static int write_exchanged(const struct config *c, const struct running_text *before, const struct config_part *part,
			   const struct running_text *changed, struct running_text *ret)
{
	const struct config_window *m = &part->mappings, *p = &part->portmaps;
	size_t kept = element_of(c, m->from), behind = element_of(c, c->n_mappings) - element_of(c, m->after_end);
	struct exchange mappings = {
		before, changed, &before->mappings, &changed->mappings, kept, before->mappings.n - behind
	};
	struct exchange portmaps = { before, changed, &before->portmaps, &changed->portmaps, p->from, p->before_end };
	bool first = before->mappings.open < before->portmaps.open;
	const struct text_list *lists[2] = { first ? mappings.list : portmaps.list,
					     first ? portmaps.list : mappings.list };

	ret->json = malloc(before->length + changed->length + 3);
	if (!ret->json || make_room(&ret->mappings, &mappings) || make_room(&ret->portmaps, &portmaps))
		return -ENOMEM;
	add_text(ret, before->json, lists[0]->open);
	add_list(ret, first ? &ret->mappings : &ret->portmaps, first ? &mappings : &portmaps);
	add_text(ret, before->json + lists[0]->close + 1, lists[1]->open - lists[0]->close - 1);
	add_list(ret, first ? &ret->portmaps : &ret->mappings, first ? &portmaps : &mappings);
	add_text(ret, before->json + lists[1]->close + 1, before->length - lists[1]->close - 1);
	ret->json[ret->length] = '\0';
	return 0;
}

int running_text_of(const struct config *c, const struct running_text *before, const struct config_part *part,
		    struct running_text *ret)
{
	__attribute__((cleanup(running_text_free))) struct running_text changed = { 0 }, text = { 0 };
	int r = 1;

	if (part->config && before->mappings.open && before->portmaps.open)
		r = write_changed(c, part, &changed);
	if (!r)
		r = write_exchanged(c, before, part, &changed, &text);
	else if (r > 0)
		r = write_whole(c, &text);
	if (r)
		return r;
	*ret = text;
	text = (struct running_text){ 0 };
	return 0;
}

void running_text_free(struct running_text *t)
{
	free(t->json);
	free(t->mappings.at);
	free(t->portmaps.at);
	*t = (struct running_text){ 0 };
}
