/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules that gateways show each other: a list of each kind, sent in parts numbered by their first record. Parts of
 * two lists may mix, as a pass sends a newer list during a whole copy: a part that does not continue a list is ignored,
 * as the newer list was sent whole.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "copies/copying_private.h"

static const unsigned types[N_RULE_KINDS] = { [RULE_MAPPING] = WIRE_RULES, [RULE_PORTMAP] = WIRE_PORTMAPS };

static uint32_t records_at_once(enum rule_kind kind)
{
	return WIRE_AT_ONCE(sizeof(struct wire_part), rule_size(kind));
}

void copied_rules_sync(struct copying *c)
{
	struct rules now;

	if (!c->rules_stale)
		return;
	if (rules_here(c->m, c->portmaps, &now)) {
		log_error("replication: no memory to compare mappings with those of peers");
		return;
	}
	c->rules_stale = false;
	if (c->rules_generation && rules_equal(&c->rules, &now)) {
		rules_free(&now);
		return;
	}
	rules_free(&c->rules);
	c->rules = now;
	c->rules_generation++;
	c->digest = rules_digest(&c->rules);
}

int copied_rules_tell(const struct copying *c, struct rules_cursor *at, struct draft *o, copying_emit emit, void *arg)
{
	while (at->kind < N_RULE_KINDS) {
		const struct rule_list *l = &c->rules.list[at->kind];
		uint32_t n = l->n - at->first, most = records_at_once(at->kind);
		struct wire_part *part;
		int r;

		n = n < most ? n : most;
		o->type = types[at->kind];
		o->length = 0;
		part = draft_take(o, sizeof(*part));
		*part = (struct wire_part){ .first = htobe32(at->first), .total = htobe32(l->n) };
		if (n)
			memcpy(draft_take(o, n * rule_size(at->kind)), l->record + at->first * rule_size(at->kind),
			       n * rule_size(at->kind));
		r = draft_flush(o, emit, arg);
		o->length = 0;
		if (r)
			return r;
		at->first += n;
		if (at->first == l->n)
			*at = (struct rules_cursor){ .kind = at->kind + 1 };
	}
	return 0;
}

/* Takes in records of a list. 0, -EPROTO, -ENOMEM. */
static int take_part(struct coming_rules *coming, enum rule_kind kind, const struct wire_part *part, uint32_t n)
{
	uint32_t first = be32toh(part->first), total = be32toh(part->total);
	size_t size = rule_size(kind);

	if (total > rules_max(kind) || first > total || n > total - first || (!n && first != total))
		return -EPROTO;
	if (!first) {
		uint8_t *record = realloc(coming->list.record, (total ? total : 1) * size);

		if (!record)
			return -ENOMEM;
		coming->list = (struct rule_list){ record, 0 };
		coming->total = total;
	}
	if (first != coming->list.n || total != coming->total)
		return 0;
	if (n)
		memcpy(coming->list.record + first * size, part + 1, n * size);
	coming->list.n += n;
	return 0;
}

int copied_rules_apply(struct copying *c, unsigned peer, unsigned type, const void *payload, size_t length)
{
	enum rule_kind kind = type == WIRE_RULES ? RULE_MAPPING : RULE_PORTMAP;
	struct copying_peer *p = &c->peer[peer];
	struct coming_rules *coming = &p->coming[kind];
	int r;

	if (length < sizeof(struct wire_part) || (length - sizeof(struct wire_part)) % rule_size(kind))
		return -EPROTO;
	r = take_part(coming, kind, payload, (uint32_t)((length - sizeof(struct wire_part)) / rule_size(kind)));
	if (r || coming->list.n != coming->total || !coming->list.record)
		return r;
	rule_list_sort(&coming->list, kind);
	free(p->rules.list[kind].record);
	p->rules.list[kind] = coming->list;
	*coming = (struct coming_rules){ 0 };
	p->rules_shown |= 1U << kind;
	/* A rule that one gateway has may be missing at another. */
	for (unsigned i = 1; i <= COPYING_PEERS; i++)
		c->peer[i].compared_generation = 0;
	return 0;
}

/* The mapping here of which a peer's record has the beginnings alone, or NULL. */
static const struct geometry *begins_alike(const struct copying *c, const struct copying_rule_difference *d)
{
	for (int i = mappings_next(c->m, 0); i >= 0; i = mappings_next(c->m, i + 1)) {
		const struct mapping *m = mappings_get(c->m, i);

		if (prefix_begins_alike(geometry_in(&m->geo), d->in) &&
		    prefix_begins_alike(geometry_out(&m->geo), d->out) &&
		    tenant_digest(c->m, m->tenant) == d->tenant_digest)
			return &m->geo;
	}
	return NULL;
}

/* The number here of a difference's tenant; 0: none, or it is not here. */
static uint8_t tenant_of(const struct copying *c, const struct copying_rule_difference *d)
{
	int number = d->portmap ? mappings_find_outside(c->m, d->out_at.addr) : -1;

	if (d->portmap)
		return number < 0 ? 0 : mappings_get(c->m, number)->tenant;
	for (unsigned i = 1; d->tenant_digest && i <= UINT8_MAX; i++)
		if (tenant_digest(c->m, (uint8_t)i) == d->tenant_digest)
			return (uint8_t)i;
	return 0;
}

/* Records say neither where ranges end nor the names of tenants: of those that are here, it is known. */
static void name_what_is_here(const struct copying *c, struct copying_differences *all)
{
	for (uint32_t i = 0; i < all->n; i++) {
		struct copying_rule_difference *d = &all->item[i];
		const struct geometry *g = NULL;

		snprintf(d->tenant, sizeof(d->tenant), "%s", mappings_tenant_name(c->m, tenant_of(c, d)));
		if (!d->portmap && (prefix_is_range(d->in) || prefix_is_range(d->out)))
			g = begins_alike(c, d);
		if (g) {
			d->in = geometry_in(g);
			d->out = geometry_out(g);
		}
	}
}

static void compare(struct copying *c, unsigned peer)
{
	struct copying_peer *p = &c->peer[peer];
	const struct rules *others[COPYING_PEERS];
	unsigned n = 0;

	for (unsigned i = 1; i <= COPYING_PEERS; i++)
		if (i != peer && c->peers >> i & 1)
			others[n++] = &c->peer[i].rules;
	rules_compare(&c->rules, &p->rules, c->limits.spread ? others : NULL, n, p->differences);
	name_what_is_here(c, p->differences);
	p->compared_generation = c->rules_generation;
}

const struct copying_differences *copying_differences(struct copying *c, unsigned peer)
{
	static const struct copying_differences none;
	struct copying_peer *p = &c->peer[peer];

	copied_mappings_sync(c);
	copied_rules_sync(c);
	/* Nothing can be said before all rules are shown. */
	if (p->rules_shown != (1U << N_RULE_KINDS) - 1)
		return &none;
	if (!p->differences)
		p->differences = calloc(1, sizeof(*p->differences));
	if (!p->differences)
		return &none;
	if (p->compared_generation != c->rules_generation)
		compare(c, peer);
	return p->differences;
}

void copied_rules_free(struct copying *c)
{
	rules_free(&c->rules);
	for (unsigned p = 1; p <= COPYING_PEERS; p++) {
		rules_free(&c->peer[p].rules);
		free(c->peer[p].differences);
		for (unsigned k = 0; k < N_RULE_KINDS; k++)
			free(c->peer[p].coming[k].list.record);
	}
}

uint64_t copied_rules_memory(const struct copying *c)
{
	uint64_t sum = 0;

	for (unsigned k = 0; k < N_RULE_KINDS; k++) {
		sum += c->rules.list[k].n * rule_size(k);
		for (unsigned p = 1; p <= COPYING_PEERS; p++)
			sum += (c->peer[p].rules.list[k].n + c->peer[p].coming[k].total) * rule_size(k);
	}
	return sum;
}
