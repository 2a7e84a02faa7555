/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/part.h"

#include <errno.h>
#include <string.h>

#include "base/address_ranges.h"
#include "base/array_grow.h"
#include "base/search.h"
#include "config/near.h"
#include "config/port_pairs.h"
#include "config/portmap_share.h"

/* With more elements than this, all of them are looked at. */
#define MOST 64U

/* Octets between members count, too: false for equal ones costs time alone, as the whole is looked at then. */
static bool same_octets(const void *a, const void *b, size_t size)
{
	return !size || a == b || !memcmp(a, b, size);
}

static bool same_list(const void *a, size_t n_a, const void *b, size_t n_b, size_t size)
{
	return n_a == n_b && same_octets(a, b, n_a * size);
}

/*
 * Members from one up to another, which same_otherwise() compares by what they point to, or which say nothing of the
 * configuration; in their order.
 */
#define APART(first, behind)                                                    \
	{                                                                       \
		offsetof(struct config, first), offsetof(struct config, behind) \
	}
static const struct {
	size_t from, end;
} apart[] = {
	APART(interfaces, n_interfaces),
	APART(tenants, n_tenants),
	APART(mappings, n_bypass),
	APART(draining, sessions_per_user),
	APART(control_socket, control_socket_line),
};

/* Whether all but the mappings and portmaps is the same. */
static bool same_otherwise(const struct config *a, const struct config *b)
{
	const char *x = (const char *)a, *y = (const char *)b;
	size_t at = 0;

	for (size_t i = 0; i < ARRAY_SIZE(apart); i++) {
		if (!same_octets(x + at, y + at, apart[i].from - at))
			return false;
		at = apart[i].end;
	}
	return same_octets(x + at, y + at, sizeof(*a) - at) &&
	       same_list(a->interfaces, a->n_interfaces, b->interfaces, b->n_interfaces, sizeof(*a->interfaces)) &&
	       same_list(a->tenants, a->n_tenants, b->tenants, b->n_tenants, sizeof(*a->tenants)) &&
	       same_list(a->bypass, a->n_bypass, b->bypass, b->n_bypass, sizeof(*a->bypass)) &&
	       !strcmp(a->control_socket, b->control_socket) && !strcmp(a->pin_path, b->pin_path) &&
	       !strcmp(a->state_dir, b->state_dir);
}

static bool same_mapping(const struct config_mapping *a, const struct config_mapping *b)
{
	struct config_mapping x;

	if (!a->lists != !b->lists || (a->lists && strcmp(a->lists, b->lists) != 0))
		return false;
	memcpy(&x, a, sizeof(x));
	x.lists = b->lists;
	return same_octets(&x, b, sizeof(x));
}

static bool same_element(const struct config *a, size_t i, const struct config *b, size_t k, bool portmaps)
{
	return portmaps ? same_octets(&a->portmaps[i], &b->portmaps[k], sizeof(*a->portmaps))
			: same_mapping(&a->mappings[i], &b->mappings[k]);
}

/* So many elements are compared at once; those with texts of their own, one by one. */
#define CHUNK 32U

static bool same_chunk(const struct config *a, size_t i, const struct config *b, size_t k, bool portmaps)
{
	return portmaps ? same_octets(&a->portmaps[i], &b->portmaps[k], CHUNK * sizeof(*a->portmaps))
			: same_octets(&a->mappings[i], &b->mappings[k], CHUNK * sizeof(*a->mappings));
}

static struct config_window find_window(const struct config *a, const struct config *b, bool portmaps)
{
	struct config_window w = { .before_end = portmaps ? a->n_portmaps : a->n_mappings,
				   .after_end = portmaps ? b->n_portmaps : b->n_mappings };

	if (portmaps && a->portmaps == b->portmaps && w.before_end == w.after_end)
		w.from = w.before_end;
	while (w.from + CHUNK <= w.before_end && w.from + CHUNK <= w.after_end &&
	       same_chunk(a, w.from, b, w.from, portmaps))
		w.from += CHUNK;
	while (w.from < w.before_end && w.from < w.after_end && same_element(a, w.from, b, w.from, portmaps))
		w.from++;
	while (w.before_end >= w.from + CHUNK && w.after_end >= w.from + CHUNK &&
	       same_chunk(a, w.before_end - CHUNK, b, w.after_end - CHUNK, portmaps)) {
		w.before_end -= CHUNK;
		w.after_end -= CHUNK;
	}
	while (w.before_end > w.from && w.after_end > w.from &&
	       same_element(a, w.before_end - 1, b, w.after_end - 1, portmaps)) {
		w.before_end--;
		w.after_end--;
	}
	return w;
}

/* Parts of a mapping are one element of the list. */
static void widen(const struct config *a, const struct config *b, struct config_window *w)
{
	while (w->from && ((w->from < a->n_mappings && a->mappings[w->from].part) ||
			   (w->from < b->n_mappings && b->mappings[w->from].part)))
		w->from--;
	while (w->before_end < a->n_mappings && (a->mappings[w->before_end].part || b->mappings[w->after_end].part)) {
		w->before_end++;
		w->after_end++;
	}
}

static void touch(struct config_part *p, struct prefix in)
{
	p->touched[p->n_touched++] = address_range_of(in);
}

static int find_touched(const struct config *a, const struct config *b, struct config_part *p)
{
	const struct config_window *m = &p->mappings, *q = &p->portmaps;

	p->touched = calloc(4 * MOST + 1, sizeof(*p->touched));
	if (!p->touched)
		return -ENOMEM;
	for (size_t i = m->from; i < m->before_end; i++)
		touch(p, a->mappings[i].in);
	for (size_t i = m->from; i < m->after_end; i++)
		touch(p, b->mappings[i].in);
	for (size_t i = q->from; i < q->before_end; i++)
		touch(p, (struct prefix){ a->portmaps[i].in.addr, 32, 0 });
	for (size_t i = q->from; i < q->after_end; i++)
		touch(p, (struct prefix){ b->portmaps[i].in.addr, 32, 0 });
	p->n_touched = address_ranges_merge(p->touched, p->n_touched);
	return 0;
}

bool config_part_touches(const struct config_part *p, uint32_t first, uint32_t last)
{
	size_t i = count_while(k, p->n_touched, p->touched[k].last < first);

	return i < p->n_touched && p->touched[i].first <= last;
}

/* Numbers of elements. */
struct numbers {
	size_t *of;
	size_t n, room;
};

/* Elements of `before` that the part has, beside those that changed. */
struct taken {
	const struct config *config;
	const struct config_part *part;
	struct numbers mappings;
	struct numbers portmaps;
	bool failed; /* out of memory */
};

static void note(struct taken *t, struct numbers *list, size_t number)
{
	if (array_grow(&list->of, list->n, &list->room, sizeof(*list->of)))
		t->failed = true;
	else
		list->of[list->n++] = number;
}

static void take(struct taken *t, const struct config_mapping *m)
{
	size_t first = (size_t)(config_first_part(t->config, m) - t->config->mappings), n = config_parts(t->config, m);

	for (size_t i = 0; i < n; i++)
		note(t, &t->mappings, first + i);
}

static void take_near(struct taken *t, struct prefix p)
{
	const struct config_mapping *m;

	for (enum near_side side = NEAR_IN; side <= NEAR_OUT; side++)
		for (struct near n = near_begin(t->config, side, p); (m = near_next(&n));)
			take(t, m);
}

static void take_named(struct taken *t, const char *name)
{
	struct near_named n = near_named_begin(t->config, name);
	const struct config_mapping *m;

	while (*name && (m = near_named_next(&n)))
		take(t, m);
}

/* What a mapping, before or after the change, can collide with. */
static void take_around(struct taken *t, const struct config_mapping *m)
{
	take_near(t, m->in);
	take_near(t, m->out);
	take_named(t, m->name);
	for (uint32_t i = 0; i < m->n_spare; i++)
		take_near(t, m->spare[i]);
}

static void take_mappings(struct taken *t, const struct config *after)
{
	const struct config *c = t->config;
	const struct config_window *w = &t->part->mappings;
	const struct config_mapping *m;

	for (size_t i = w->from; i < w->before_end; i++)
		take_around(t, &c->mappings[i]);
	for (size_t i = w->from; i < w->after_end; i++)
		take_around(t, &after->mappings[i]);
	for (struct near n = near_begin(c, NEAR_SPARE, (struct prefix){ 0 }); (m = near_next(&n));)
		if (m->n_spare)
			take(t, m);
	for (uint32_t i = 0; c->pcp.enabled && i < c->pcp.n_mappings; i++)
		take_named(t, c->pcp.mappings[i]);
	for (uint32_t i = 0; c->replication.enabled && i < c->replication.n_mappings; i++)
		take_named(t, c->replication.mappings[i]);
}

static void take_portmap(struct taken *t, size_t number)
{
	const struct config_mapping *m;
	struct near n = near_begin_addr(t->config, NEAR_IN, t->config->portmaps[number].in.addr);

	note(t, &t->portmaps, number);
	while ((m = near_next(&n)))
		take(t, m);
}

/* Takes the portmaps of subscribers who share the outside address of a portmap's. */
static void take_rivals(struct taken *t, const struct config_portmap *p)
{
	const struct config *c = t->config;
	const struct config_mapping *m = config_mapping_of_portmap(c, p);
	struct portmap_look look;
	struct geometry g;
	uint32_t out;
	size_t i;

	if (!m || prefix_is_none(m->out) || config_mapping_geometry(m, &g))
		return;
	out = mapping_out_addr(&g, mapping_subscriber(&g, p->in.addr));
	look = portmap_look_begin(c, m->in.base, prefix_last(m->in));
	while (portmap_look_next(&look, &i))
		if (mapping_out_addr(&g, mapping_subscriber(&g, c->portmaps[i].in.addr)) == out)
			take_portmap(t, i);
}

static void take_portmaps(struct taken *t, const struct config *after)
{
	const struct config_window *w = &t->part->portmaps;
	size_t number;

	for (size_t i = 0; i < t->part->n_touched; i++) {
		const struct address_range *r = &t->part->touched[i];
		struct portmap_look look = portmap_look_begin(t->config, r->first, r->last);

		while (portmap_look_next(&look, &number))
			take_portmap(t, number);
	}
	for (size_t i = w->from; i < w->after_end; i++) {
		take_near(t, (struct prefix){ after->portmaps[i].in.addr, 32, 0 });
		take_rivals(t, &after->portmaps[i]);
	}
}

static int by_number(const void *a, const void *b)
{
	const size_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Puts numbers in order, and leaves out what is there twice, or in the window. Returns how many come before it. */
static size_t put_in_order(struct numbers *list, const struct config_window *w)
{
	size_t n = 0, before = 0;

	if (list->n)
		qsort(list->of, list->n, sizeof(*list->of), by_number);
	for (size_t i = 0; i < list->n; i++) {
		size_t number = list->of[i];

		if ((number >= w->from && number < w->before_end) || (n && list->of[n - 1] == number))
			continue;
		list->of[n++] = number;
		before += number < w->from;
	}
	list->n = n;
	return before;
}

/* The elements that were taken, with those of the window in the place of their former ones; the texts are shared. */
static int fill(struct taken *t, const struct config *after, struct config *part)
{
	const struct config *c = t->config;
	const struct config_window *m = &t->part->mappings, *q = &t->part->portmaps;
	size_t mappings_before = put_in_order(&t->mappings, m), portmaps_before = put_in_order(&t->portmaps, q);

	part->mappings = calloc(t->mappings.n + (m->after_end - m->from) + 1, sizeof(*part->mappings));
	part->portmaps = calloc(t->portmaps.n + (q->after_end - q->from) + 1, sizeof(*part->portmaps));
	if (!part->mappings || !part->portmaps)
		return -ENOMEM;
	for (size_t i = 0; i <= t->mappings.n; i++) {
		for (size_t k = m->from; i == mappings_before && k < m->after_end; k++)
			part->mappings[part->n_mappings++] = after->mappings[k];
		if (i < t->mappings.n)
			part->mappings[part->n_mappings++] = c->mappings[t->mappings.of[i]];
	}
	for (size_t i = 0; i <= t->portmaps.n; i++) {
		for (size_t k = q->from; i == portmaps_before && k < q->after_end; k++)
			part->portmaps[part->n_portmaps++] = after->portmaps[k];
		if (i < t->portmaps.n)
			part->portmaps[part->n_portmaps++] = c->portmaps[t->portmaps.of[i]];
	}
	return 0;
}

static void part_free(struct config **c)
{
	for (size_t i = 0; *c && (*c)->mappings && i < (*c)->n_mappings; i++)
		(*c)->mappings[i].lists = NULL;
	config_free(*c);
}

static int make_part(const struct config *before, const struct config *after, struct config_part *p)
{
	__attribute__((cleanup(part_free))) struct config *part = config_clone_keys(after);
	struct taken t = { .config = before, .part = p };
	int r;

	if (!part)
		return -ENOMEM;
	free(part->mappings);
	free(part->portmaps);
	part->mappings = NULL;
	part->portmaps = NULL;
	take_mappings(&t, after);
	take_portmaps(&t, after);
	r = t.failed ? -ENOMEM : fill(&t, after, part);
	free(t.mappings.of);
	free(t.portmaps.of);
	if (!r)
		p->config = take_pointer(part);
	return r;
}

static bool is_much(const struct config_window *w)
{
	return w->before_end - w->from > MOST || w->after_end - w->from > MOST;
}

/* The limits of both lists are those of the whole. w: what changes of the portmaps. */
static bool exceeds(const struct config *c, const struct config_window *w)
{
	size_t pairs = 0;

	for (size_t i = 0; w->after_end > w->before_end && i < c->n_portmaps; i++)
		pairs += portmap_pairs(&c->portmaps[i]);
	return c->n_mappings > CONFIG_MAX_MAPPINGS || pairs > MAX_PORTMAPS;
}

static bool has_six(const struct config *c, size_t from, size_t end)
{
	while (from < end && !config_is_ipv6(&c->mappings[from]))
		from++;
	return from < end;
}

int config_part_of(const struct config *before, const struct config *after, struct config_part *ret)
{
	struct config_part p = { 0 };
	int r;

	if (!same_otherwise(before, after))
		return 1;
	p.mappings = find_window(before, after, false);
	p.portmaps = find_window(before, after, true);
	widen(before, after, &p.mappings);
	/* What IPv6 prefixes may not overlap has other virtual addresses. */
	if (has_six(before, p.mappings.from, p.mappings.before_end) ||
	    has_six(after, p.mappings.from, p.mappings.after_end))
		return 1;
	if (is_much(&p.mappings) || is_much(&p.portmaps) || exceeds(after, &p.portmaps))
		return 1;
	r = find_touched(before, after, &p);
	if (!r)
		r = make_part(before, after, &p);
	if (r)
		config_part_free(&p);
	else
		*ret = p;
	return r;
}

void config_part_free(struct config_part *p)
{
	part_free(&p->config);
	free(p->touched);
	*p = (struct config_part){ 0 };
}

static bool has_texts(const struct config *c, size_t from, size_t end)
{
	while (from < end && !c->mappings[from].lists)
		from++;
	return from < end;
}

bool config_part_follow(struct config *before, const struct config *after, const struct config_part *p)
{
	const struct config_window *w = &p->mappings;
	size_t behind = before->n_mappings - w->before_end, room = w->after_end + behind;
	struct config_mapping *list;
	struct near_index *near;

	if (before->n_draining || before->n_rests || after->n_draining || after->n_rests ||
	    has_texts(before, w->from, w->before_end) || has_texts(after, w->from, w->after_end))
		return false;
	if (room < before->n_mappings)
		room = before->n_mappings;
	list = reallocarray(before->mappings, room + 1, sizeof(*list));
	if (!list)
		return false;
	before->mappings = list;
	near = near_index_share(after, list);
	if (!near || !config_share_portmaps(before, after)) {
		near_index_free(near);
		near_index_forget(before->near);
		return false;
	}
	near_index_free(before->near);
	before->near = near;
	memmove(list + w->after_end, list + w->before_end, behind * sizeof(*list));
	if (w->after_end > w->from)
		memcpy(list + w->from, after->mappings + w->from, (w->after_end - w->from) * sizeof(*list));
	before->n_mappings = after->n_mappings;
	return true;
}
