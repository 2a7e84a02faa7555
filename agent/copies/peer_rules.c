/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/fnv.h"
#include "copies/copying_private.h"
#include "tables/mapping_drains.h"
#include "tables/portmap_table.h"

static const struct {
	size_t size;
	size_t key;
	uint32_t max;
} kinds[N_RULE_KINDS] = {
	[RULE_MAPPING] = { sizeof(struct wire_rule), offsetof(struct wire_rule, layout), MAX_MAPPINGS },
	[RULE_PORTMAP] = { sizeof(struct wire_portmap), offsetof(struct wire_portmap, in_addr), MAX_PORTMAPS },
};

static const struct {
	const char *name;
	bool matters; /* in a takeover */
	bool shown;   /* its values mean something to a reader */
} fields[N_RULE_FIELDS] = {
#define X(constant, name, matters, shown) [constant] = { name, matters, shown },
	RULE_FIELDS(X)
#undef X
};

size_t rule_size(enum rule_kind kind)
{
	return kinds[kind].size;
}

uint32_t rules_max(enum rule_kind kind)
{
	return kinds[kind].max;
}

void rules_free(struct rules *r)
{
	for (unsigned k = 0; k < N_RULE_KINDS; k++)
		free(r->list[k].record);
	*r = (struct rules){ 0 };
}

static uint32_t timeouts_digest(const struct mapping *m, uint32_t hz)
{
	uint64_t digest = 0;

	for (unsigned t = 0; t < N_TIMEOUTS; t++)
		digest = digest_add(digest, seconds_of_ticks(m->timeout_ticks[t], hz));
	return (uint32_t)digest;
}

/* 0: none. */
static uint32_t limits_digest(const struct mapping *m)
{
	const struct limit_layout *l = &m->limit;
	uint64_t digest = 0;

	if (!m->limited)
		return 0;
	for (unsigned i = 0; i < N_LIMITS; i++)
		digest = digest_add(digest, l->sessions[i]);
	digest = digest_add(digest, l->rate);
	return (uint32_t)digest_add(digest, l->burst) | 1U;
}

/* The ends of ranges that are no prefixes, which a record has no room for; 0 of prefixes. */
static uint16_t ranges_digest(const struct geometry *g)
{
	if (g->in_plen != PLEN_RANGE && g->out_plen != PLEN_RANGE)
		return 0;
	return (uint16_t)(1 + digest_add(g->last_subscriber, g->last_out) % UINT16_MAX);
}

uint32_t tenant_digest(const struct mappings *m, uint8_t tenant)
{
	const char *name = mappings_tenant_name(m, tenant);

	return *name ? fnv1a_32(FNV1A_BEGIN32, name, strlen(name)) | 1U : 0;
}

static void fill_mapping(struct wire_rule *w, const struct mappings *all, const struct mapping *m, bool drains)
{
	const struct geometry *g = &m->geo;
	const uint32_t hz = mappings_datapath(all)->hz, tenant = tenant_digest(all, m->tenant);
	const uint32_t value[N_RULE_FIELDS] = {
		[RULE_INBOUND] = g->flags & MAPPING_OPEN,
		[RULE_PORTS] = g->ports_per_host,
		[RULE_SLOTS] = m->first_bucket == NO_BUCKETS ? 0 : BUCKET_SLOTS << m->bucket_shift,
		[RULE_EIM] = m->bindings.mapping,
		[RULE_EIF] = m->bindings.filtering,
		[RULE_DRAINS] = drains,
		[RULE_QUOTA] = m->sessions_per_user,
		[RULE_SHARE] = m->bindings.inbound,
		[RULE_TIMEOUTS] = timeouts_digest(m, hz),
		[RULE_GROWTH] = (uint32_t)m->growth.block << 16 | m->growth.max_blocks,
		[RULE_LIMITS] = limits_digest(m),
		[RULE_TENANT] = tenant,
	};

	*w = (struct wire_rule){ .in_base = htobe32(g->in_base),
				 .out_base = htobe32(g->out_plen == PLEN_NONE ? tenant : g->out_base),
				 .in_plen = g->in_plen,
				 .out_plen = g->out_plen,
				 .layout = htobe16((uint16_t)(mapping_layout(g) ^ ranges_digest(g))) };
	for (unsigned f = 0; f < N_RULE_FIELDS; f++)
		w->field[f] = htobe32(value[f]);
}

static int read_mappings(const struct mappings *m, struct rule_list *ret)
{
	struct wire_rule *w = calloc(MAX_MAPPINGS, sizeof(*w));
	uint32_t n = 0;

	if (!w)
		return -ENOMEM;
	for (int i = mappings_next(m, 0); i >= 0 && n < MAX_MAPPINGS; i = mappings_next(m, i + 1))
		fill_mapping(&w[n++], m, mappings_get(m, i), false);
	for (int i = mappings_next_retired(m, 0); i >= 0 && n < MAX_MAPPINGS; i = mappings_next_retired(m, i + 1))
		fill_mapping(&w[n++], m, mappings_get(m, i), true);
	*ret = (struct rule_list){ (uint8_t *)w, n };
	return 0;
}

static int read_portmaps(const struct portmaps *p, struct rule_list *ret)
{
	size_t room = p ? portmaps_count(p, PORTMAP_STATIC) : 0;
	struct wire_portmap *w = calloc(room ? room : 1, sizeof(*w));
	uint32_t n = 0;

	if (!w)
		return -ENOMEM;
	for (const struct portmap *m = p ? portmaps_next(p, NULL) : NULL; m && n < room; m = portmaps_next(p, m))
		if (m->origin == PORTMAP_STATIC)
			w[n++] = (struct wire_portmap){ .out_addr = htobe32(m->out.addr),
							.out_port = htobe16(m->out.port),
							.proto = m->proto,
							.in_addr = htobe32(m->in.addr),
							.in_port = htobe16(m->in.port) };
	*ret = (struct rule_list){ (uint8_t *)w, n };
	return 0;
}

int rules_here(const struct mappings *m, const struct portmaps *portmaps, struct rules *ret)
{
	struct rules r = { 0 };

	if (read_mappings(m, &r.list[RULE_MAPPING]) || read_portmaps(portmaps, &r.list[RULE_PORTMAP])) {
		rules_free(&r);
		return -ENOMEM;
	}
	for (unsigned k = 0; k < N_RULE_KINDS; k++)
		rule_list_sort(&r.list[k], k);
	*ret = r;
	return 0;
}

/* Compares all octets of records of the same key count, so that equal lists are equal octets. */
static int by_mapping(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct wire_rule));
}

static int by_portmap(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct wire_portmap));
}

void rule_list_sort(struct rule_list *l, enum rule_kind kind)
{
	if (l->n)
		qsort(l->record, l->n, kinds[kind].size, kind == RULE_MAPPING ? by_mapping : by_portmap);
}

bool rules_equal(const struct rules *a, const struct rules *b)
{
	for (unsigned k = 0; k < N_RULE_KINDS; k++)
		if (a->list[k].n != b->list[k].n ||
		    (a->list[k].n && memcmp(a->list[k].record, b->list[k].record, a->list[k].n * kinds[k].size) != 0))
			return false;
	return true;
}

static const uint8_t *at(const struct rule_list *l, enum rule_kind kind, uint32_t i)
{
	return l->record + i * kinds[kind].size;
}

static bool drains(enum rule_kind kind, const uint8_t *record)
{
	return kind == RULE_MAPPING && ((const struct wire_rule *)record)->field[RULE_DRAINS];
}

uint64_t rules_digest(const struct rules *r)
{
	uint64_t digest = 0;

	for (unsigned k = 0; k < N_RULE_KINDS; k++)
		for (uint32_t i = 0; i < r->list[k].n; i++) {
			const uint8_t *record = at(&r->list[k], k, i);
			size_t n = k == RULE_MAPPING ? offsetof(struct wire_rule, field) : kinds[k].size;

			if (drains(k, record))
				continue;
			for (size_t o = 0; o < n; o++)
				digest = digest_add(digest, record[o]);
			for (unsigned f = 0; k == RULE_MAPPING && f < N_RULE_FIELDS; f++)
				if (fields[f].matters)
					digest = digest_add(digest,
							    be32toh(((const struct wire_rule *)record)->field[f]));
		}
	return digest;
}

/* Names an object in a difference. */
static void name(struct copying_rule_difference *d, enum rule_kind kind, const uint8_t *record)
{
	const struct wire_rule *m = (const struct wire_rule *)record;
	const struct wire_portmap *p = (const struct wire_portmap *)record;

	if (kind == RULE_MAPPING) {
		d->in = (struct prefix){ be32toh(m->in_base), m->in_plen };
		d->out = m->out_plen == PLEN_NONE ? PREFIX_NONE : (struct prefix){ be32toh(m->out_base), m->out_plen };
		d->tenant_digest = be32toh(m->field[RULE_TENANT]);
		return;
	}
	d->proto = p->proto;
	d->in_at = (struct endpoint){ be32toh(p->in_addr), be16toh(p->in_port) };
	d->out_at = (struct endpoint){ be32toh(p->out_addr), be16toh(p->out_port) };
}

static void note(struct copying_differences *all, enum rule_kind kind, const uint8_t *record,
		 struct copying_rule_difference d)
{
	if (d.matters)
		all->n_matter++;
	else
		all->n_noted++;
	if (all->n == COPYING_DIFFERENCES)
		return;
	name(&d, kind, record);
	all->item[all->n++] = d;
}

__attribute__((format(printf, 2, 3))) static void say(char text[static COPYING_DIFFERENCE_TEXT], const char *format,
						      ...)
{
	size_t n = strlen(text);
	va_list ap;

	if (n)
		n += (size_t)snprintf(text + n, COPYING_DIFFERENCE_TEXT - n, "; ");
	if (n >= COPYING_DIFFERENCE_TEXT)
		return;
	va_start(ap, format);
	vsnprintf(text + n, COPYING_DIFFERENCE_TEXT - n, format, ap);
	va_end(ap);
}

/* Two mappings of the same prefixes. */
static void compare_mappings(struct copying_differences *all, const uint8_t *here, const uint8_t *there)
{
	const struct wire_rule *h = (const struct wire_rule *)here, *t = (const struct wire_rule *)there;
	struct copying_rule_difference d = { .why = COPYING_DIFFERS };
	bool retired = drains(RULE_MAPPING, here) || drains(RULE_MAPPING, there);

	if (h->layout != t->layout) {
		d.matters |= !retired;
		say(d.text, "subscribers_per_address, first_port, block_pitch, order, or the end of a range");
	}
	for (unsigned f = 0; f < N_RULE_FIELDS; f++) {
		if (h->field[f] == t->field[f])
			continue;
		d.matters |= fields[f].matters && !retired;
		if (fields[f].shown)
			say(d.text, "%s %u here, %u there", fields[f].name, be32toh(h->field[f]), be32toh(t->field[f]));
		else
			say(d.text, "%s", fields[f].name);
	}
	if (*d.text)
		note(all, RULE_MAPPING, here, d);
}

static void compare_portmaps(struct copying_differences *all, const uint8_t *here, const uint8_t *there)
{
	const struct wire_portmap *t = (const struct wire_portmap *)there;
	struct copying_rule_difference d = { .portmap = true, .why = COPYING_DIFFERS, .matters = true };
	char addr[ADDR_TEXT];

	if (!memcmp(here, there, sizeof(*t)))
		return;
	say(d.text, "it leads to %s:%u there", addr_format(be32toh(t->in_addr), addr), be16toh(t->in_port));
	note(all, RULE_PORTMAP, here, d);
}

/* Rules of further gateways, see rules_compare(). */
struct elsewhere {
	const struct rules *const *rules; /* NULL: each gateway has all */
	unsigned n;
};

/* Whether a record missing on one side may be missing. */
static bool is_spread(const struct elsewhere *e, enum rule_kind kind, const uint8_t *record, bool lacking_here)
{
	bool found = lacking_here;

	for (unsigned i = 0; e->rules && i < e->n && !found; i++) {
		const struct rule_list *l = &e->rules[i]->list[kind];

		for (uint32_t k = 0; k < l->n && !found; k++)
			found = !memcmp(at(l, kind, k), record, kinds[kind].key);
	}
	return e->rules && found;
}

static void compare_lists(const struct rule_list *here, const struct rule_list *there, enum rule_kind kind,
			  const struct elsewhere *e, struct copying_differences *all)
{
	uint32_t h = 0, t = 0;

	while (h < here->n || t < there->n) {
		int order = h == here->n    ? 1
			    : t == there->n ? -1
					    : memcmp(at(here, kind, h), at(there, kind, t), kinds[kind].key);
		const uint8_t *record = order > 0 ? at(there, kind, t) : at(here, kind, h);
		bool spread = order && is_spread(e, kind, record, order > 0);
		const struct copying_rule_difference lacks = { .portmap = kind == RULE_PORTMAP,
							       .why = order > 0 ? COPYING_LACKING_HERE
										: COPYING_LACKING_THERE,
							       .matters = !drains(kind, record) && !spread };

		all->n_spread += spread;
		if (order)
			note(all, kind, record, lacks);
		else if (kind == RULE_MAPPING)
			compare_mappings(all, record, at(there, kind, t));
		else
			compare_portmaps(all, record, at(there, kind, t));
		h += order <= 0;
		t += order >= 0;
	}
}

void rules_compare(const struct rules *here, const struct rules *there, const struct rules *const *others,
		   unsigned n_others, struct copying_differences *ret)
{
	const struct elsewhere e = { others, n_others };

	*ret = (struct copying_differences){ 0 };
	for (unsigned k = 0; k < N_RULE_KINDS; k++)
		compare_lists(&here->list[k], &there->list[k], k, &e, ret);
}

uint64_t digest_add(uint64_t digest, uint64_t value)
{
	/* Murmur's finaliser, a bijection. */
	digest = (digest ^ value) + 0x9e3779b97f4a7c15ULL;
	digest = (digest ^ digest >> 33) * 0xff51afd7ed558ccdULL;
	digest = (digest ^ digest >> 33) * 0xc4ceb9fe1a85ec53ULL;
	return digest ^ digest >> 33;
}

uint64_t mapping_digest(const struct mappings *m, const struct mapping *record)
{
	uint32_t tenant = tenant_digest(m, record->tenant);
	const struct geometry *g = &record->geo;
	uint64_t digest = digest_add(0, (uint64_t)g->in_base << 32 | g->out_base);

	digest = digest_add(digest, (uint64_t)g->in_plen << 8 | g->out_plen);
	if (g->in_plen == PLEN_RANGE || g->out_plen == PLEN_RANGE)
		digest = digest_add(digest, (uint64_t)g->last_subscriber << 32 | g->last_out);
	digest = digest_add(digest, g->ports_per_host);
	if (mapping_layout(g))
		digest = digest_add(digest, mapping_layout(g));
	if (tenant)
		digest = digest_add(digest, tenant);
	digest = digest_add(digest, record->bucket_shift);
	return digest_add(digest, (uint64_t)record->bindings.mapping << 8 | record->bindings.filtering);
}
