/* SPDX-License-Identifier: BSD-2-Clause */
/* What is particular to each kind of fact. */
#include "history/history_facts.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <detnat/growth.h>

#include "base/base.h"
#include "base/json_text.h"
#include "history/history_blocks.h"
#include "history/history_grant_days.h"
#include "base/timestamp.h"
#include "proto/words.h"

/* Whether an index of a file has a prefix, a range or none there. */
static bool prefix_valid(struct prefix p)
{
	if (prefix_is_range(p))
		return p.last > p.base;
	return prefix_is_none(p) || (p.plen <= 32 && !(p.base & ~prefix_mask(p.plen)));
}

static uint64_t mapping_hash(const void *fact)
{
	const struct history_mapping *m = fact;

	return HASH_OF((uint64_t)m->in.base << 32 | m->in.last, (uint64_t)m->out.base << 32 | m->out.last,
		       (uint64_t)m->in.plen << 8 | m->out.plen);
}

static bool mapping_same(const void *pa, const void *pb)
{
	const struct history_mapping *a = pa, *b = pb;

	return prefix_equal(a->in, b->in) && prefix_equal(a->out, b->out) && a->open == b->open &&
	       plan_blocks_same(&a->blocks, &b->blocks) && history_same_tenant(a->tenant, b->tenant);
}

/* A record without a tenant's name may be of any. */
static bool mapping_exact(const void *pa, const void *pb)
{
	const struct history_mapping *a = pa, *b = pb;

	return !strcmp(a->tenant, b->tenant);
}

static bool mapping_valid(const void *fact)
{
	const struct history_mapping *m = fact;

	return prefix_valid(m->in) && !prefix_is_none(m->in) && prefix_valid(m->out) &&
	       memchr(m->name, '\0', sizeof(m->name)) && memchr(m->tenant, '\0', sizeof(m->tenant));
}

static void mapping_write(FILE *out, const void *fact)
{
	const struct history_mapping *m = fact;
	char in[ADDR_TEXT], out_text[ADDR_TEXT], from[TIME_TEXT];

	fprintf(out, "\"in\":\"%s\",", prefix_text(m->in, in));
	if (prefix_is_none(m->out))
		fputs("\"out\":null,", out);
	else
		fprintf(out, "\"out\":\"%s\",", prefix_text(m->out, out_text));
	/* No character of a name needs escaping. */
	if (*m->name)
		fprintf(out, "\"name\":\"%s\",", m->name);
	if (*m->tenant)
		fprintf(out, "\"tenant\":\"%s\",", m->tenant);
	fprintf(out, "\"from\":\"%s\"", time_format(m->from, from));
	if (m->open)
		fputs(",\"inbound\":\"open\"", out);
}

static bool mapping_read(const cJSON *json, void *fact)
{
	struct history_mapping *ret = fact;
	const char *in = json_text(json, "in", NULL), *out = json_text(json, "out", NULL),
		   *inbound = json_text(json, "inbound", NULL);
	const char *name = json_text(json, "name", NULL);
	struct geometry g;

	snprintf(ret->name, sizeof(ret->name), "%s", name && label_valid(name) ? name : "");
	history_tenant_read(json, ret->tenant);
	if (!in || range_parse(in, &ret->in) || !json_time(json, "from", &ret->from))
		return false;
	ret->open = inbound && !strcmp(inbound, "open");
	if (cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(json, "out"))) {
		ret->out = PREFIX_NONE;
		return !inbound;
	}
	if (!out || range_parse(out, &ret->out) || !history_blocks_read(json, ret->in, ret->out, &g))
		return false;
	ret->blocks = plan_blocks_of(&g);
	return (!inbound || (ret->open && g.ratio == 1));
}

static uint64_t portmap_hash(const void *fact)
{
	const struct history_portmap *m = fact;

	return HASH_OF((uint64_t)m->out.addr << 32 | (uint64_t)m->out.first << 8 | m->proto);
}

static bool portmap_meets(const void *pa, const void *pb)
{
	const struct history_portmap *a = pa, *b = pb;

	return a->proto == b->proto && a->out.addr == b->out.addr && a->out.first == b->out.first;
}

static bool portmap_same(const void *pa, const void *pb)
{
	const struct history_portmap *a = pa, *b = pb;

	return a->in.addr == b->in.addr && a->in.first == b->in.first && history_same_tenant(a->tenant, b->tenant);
}

static bool portmap_part(const void *fact, uint32_t i, void *ret)
{
	struct history_portmap *m = ret;

	*m = *(const struct history_portmap *)fact;
	if (i > (uint32_t)m->in.last - m->in.first)
		return false;
	m->in.first = m->in.last = (uint16_t)(m->in.first + i);
	m->out.first = m->out.last = (uint16_t)(m->out.first + i);
	return true;
}

static bool portmap_valid(const void *fact)
{
	const struct history_portmap *m = fact;

	return memchr(m->tenant, '\0', sizeof(m->tenant));
}

static int by_outside(const void *a, const void *b)
{
	const struct history_portmap *x = a, *y = b;

	if (x->proto != y->proto)
		return x->proto < y->proto ? -1 : 1;
	if (x->out.addr != y->out.addr)
		return x->out.addr < y->out.addr ? -1 : 1;
	return x->out.first < y->out.first ? -1 : x->out.first > y->out.first;
}

size_t history_portmaps_merge(struct history_portmap *list, size_t n)
{
	size_t merged = 0;

	if (n)
		qsort(list, n, sizeof(*list), by_outside);
	for (size_t i = 0; i < n; i++) {
		struct history_portmap *last = merged ? &list[merged - 1] : NULL;
		const struct history_portmap *m = &list[i];

		if (last && last->proto == m->proto && last->from == m->from && last->out.addr == m->out.addr &&
		    last->in.addr == m->in.addr && !strcmp(last->tenant, m->tenant) &&
		    last->out.last + 1 == m->out.first && last->in.last + 1 == m->in.first) {
			last->out.last = m->out.last;
			last->in.last = m->in.last;
		} else {
			list[merged++] = *m;
		}
	}
	return merged;
}

static size_t portmap_sort(void *facts, size_t n)
{
	return history_portmaps_merge(facts, n);
}

static void portmap_write(FILE *out, const void *fact)
{
	const struct history_portmap *m = fact;
	char in[SPAN_TEXT], out_text[SPAN_TEXT], from[TIME_TEXT];

	fprintf(out, "\"proto\":\"%s\",\"in\":\"%s\",\"out\":\"%s\",\"from\":\"%s\"", word_text(proto_words, m->proto),
		span_format(m->in, in), span_format(m->out, out_text), time_format(m->from, from));
	history_tenant_write(out, m->tenant);
}

static bool portmap_read(const cJSON *json, void *fact)
{
	struct history_portmap *ret = fact;
	const char *proto = json_text(json, "proto", NULL), *in = json_text(json, "in", NULL),
		   *out = json_text(json, "out", NULL);
	const char *from = json_text(json, "from", NULL);
	uint32_t number;

	if (!proto || !in || !out || !from || word_number(proto_words, proto, &number) || number == IPPROTO_ICMP ||
	    span_parse(in, &ret->in) || span_parse(out, &ret->out) || time_parse(from, &ret->from) ||
	    ret->in.last - ret->in.first != ret->out.last - ret->out.first)
		return false;
	ret->proto = (uint8_t)number;
	history_tenant_read(json, ret->tenant);
	return true;
}

bool history_drain_whole(const struct history_drain *d)
{
	return prefix_equal(d->of, d->in);
}

static uint64_t drain_hash(const void *fact)
{
	const struct history_drain *d = fact;

	return HASH_OF((uint64_t)d->in.base << 32 | d->in.last, (uint64_t)d->out.base << 32 | d->out.last,
		       (uint64_t)d->of.base << 32 | d->of.last);
}

static bool drain_same(const void *pa, const void *pb)
{
	const struct history_drain *a = pa, *b = pb;

	return prefix_equal(a->in, b->in) && prefix_equal(a->out, b->out) && prefix_equal(a->of, b->of);
}

static bool drain_covers(const void *pa, const void *pb)
{
	const struct history_drain *a = pa, *b = pb;

	return prefix_equal(a->in, b->in) && prefix_equal(a->out, b->out) && prefix_within(b->of, a->of);
}

static bool drain_within(const void *fact, const struct history_mapping *m)
{
	const struct history_drain *d = fact;

	return prefix_equal(d->in, m->in) && prefix_equal(d->out, m->out);
}

static bool drain_valid(const void *fact)
{
	const struct history_drain *d = fact;

	return prefix_valid(d->in) && prefix_valid(d->out) && prefix_valid(d->of);
}

static void drain_write(FILE *out, const void *fact)
{
	const struct history_drain *d = fact;
	char in[ADDR_TEXT], pool[ADDR_TEXT], of[ADDR_TEXT], from[TIME_TEXT];

	fprintf(out, "\"in\":\"%s\",\"out\":\"%s\",\"of\":\"%s\",\"from\":\"%s\"", prefix_text(d->in, in),
		prefix_text(d->out, pool), prefix_text(d->of, of), time_format(d->from, from));
}

static bool drain_read(const cJSON *json, void *fact)
{
	struct history_drain *ret = fact;
	const char *in = json_text(json, "in", NULL), *out = json_text(json, "out", NULL),
		   *of = json_text(json, "of", NULL);
	const char *from = json_text(json, "from", NULL);

	return in && out && of && from && !range_parse(in, &ret->in) && !range_parse(out, &ret->out) &&
	       !range_parse(of, &ret->of) && !time_parse(from, &ret->from) && prefix_within(ret->of, ret->in);
}

bool history_grant_fits(const struct geometry *geo, const struct history_grant *g)
{
	int number;

	if (history_grant_unknown(g) || !geo->ports_per_host || !mapping_has_inside(geo, g->in) ||
	    mapping_out_addr(geo, mapping_subscriber(geo, g->in)) != g->out)
		return false;
	number = growth_block_of(geo, g->ports, g->port_lo);
	return number >= 0 && growth_port_lo(geo, g->ports, (uint32_t)number) == g->port_lo;
}

static uint64_t grant_hash(const void *fact)
{
	const struct history_grant *g = fact;

	return history_grant_unknown(g) ? HASH_OF((uint64_t)g->day << 32 | g->at)
					: HASH_OF((uint64_t)g->out << 16 | g->port_lo);
}

static bool grant_meets(const void *pa, const void *pb)
{
	const struct history_grant *a = pa, *b = pb;

	if (history_grant_unknown(a) || history_grant_unknown(b))
		return a->ports == b->ports && a->day == b->day && a->at == b->at;
	return a->out == b->out && a->port_lo == b->port_lo;
}

static bool grant_same(const void *pa, const void *pb)
{
	const struct history_grant *a = pa, *b = pb;

	return a->in == b->in && a->ports == b->ports && grant_meets(a, b);
}

static bool grant_within(const void *fact, const struct history_mapping *m)
{
	const struct history_grant *g = fact;

	return (history_grant_unknown(g) || prefix_holds(m->in, g->in)) && prefix_holds(m->out, g->out);
}

static int by_block(const void *a, const void *b)
{
	const struct history_grant *x = a, *y = b;

	if (x->out != y->out)
		return x->out < y->out ? -1 : 1;
	return (x->port_lo > y->port_lo) - (x->port_lo < y->port_lo);
}

static size_t grant_sort(void *facts, size_t n)
{
	qsort(facts, n, sizeof(struct history_grant), by_block);
	return n;
}

static void grant_write(FILE *out, const void *fact)
{
	const struct history_grant *g = fact;
	char in[ADDR_TEXT], address[ADDR_TEXT], from[TIME_TEXT];

	if (g->day) {
		history_grant_place_write(out, g);
		return;
	}
	fprintf(out, "\"in\":\"%s\",\"out\":\"%s\",\"port_lo\":%u,\"port_hi\":%u,\"from\":\"%s\"",
		addr_format(g->in, in), addr_format(g->out, address), g->port_lo, g->port_lo + g->ports - 1U,
		time_format(g->from, from));
}

static bool read_port(const cJSON *json, const char *key, uint16_t *ret)
{
	const cJSON *number = cJSON_GetObjectItemCaseSensitive(json, key);

	if (!cJSON_IsNumber(number) || !(number->valuedouble >= 1 && number->valuedouble <= UINT16_MAX))
		return false;
	*ret = (uint16_t)number->valuedouble;
	return *ret == number->valuedouble;
}

static bool grant_read(const cJSON *json, void *fact)
{
	struct history_grant *ret = fact;
	const char *in = json_text(json, "in", NULL), *out = json_text(json, "out", NULL),
		   *from = json_text(json, "from", NULL);
	uint16_t last;

	if (cJSON_HasObjectItem(json, "day"))
		return history_grant_place_read(json, ret);
	if (!in || !out || !from || addr_parse(in, &ret->in) || addr_parse(out, &ret->out) ||
	    time_parse(from, &ret->from) || !read_port(json, "port_lo", &ret->port_lo) ||
	    !read_port(json, "port_hi", &last) || last < ret->port_lo)
		return false;
	ret->ports = (uint16_t)(last - ret->port_lo + 1);
	return true;
}

const struct fact_row fact_rows[FACT_KINDS] = {
	[FACT_MAPPING] = { .name = "mapping",
			   .size = sizeof(struct history_mapping),
			   .from = offsetof(struct history_mapping, from),
			   .begins = EVENT_ADD,
			   .ends = EVENT_DEL,
			   .list = "mappings",
			   .listed = true,
			   .complete = true,
			   .strict = true,
			   .hash = mapping_hash,
			   .meets = mapping_same,
			   .same = mapping_same,
			   .exact = mapping_exact,
			   .valid = mapping_valid,
			   .write = mapping_write,
			   .read = mapping_read },
	[FACT_PORTMAP] = { .name = "portmap",
			   .size = sizeof(struct history_portmap),
			   .from = offsetof(struct history_portmap, from),
			   .begins = EVENT_PORTMAP,
			   .ends = EVENT_PORTMAP,
			   .list = "portmaps",
			   .hash = portmap_hash,
			   .meets = portmap_meets,
			   .same = portmap_same,
			   .part = portmap_part,
			   .sort = portmap_sort,
			   .valid = portmap_valid,
			   .write = portmap_write,
			   .read = portmap_read },
	[FACT_DRAIN] = { .name = "drain",
			 .size = sizeof(struct history_drain),
			 .from = offsetof(struct history_drain, from),
			 .begins = EVENT_RETIRE,
			 .ends = EVENT_DRAINED,
			 .list = "drains",
			 .ordered = true,
			 .hash = drain_hash,
			 .meets = drain_same,
			 .same = drain_same,
			 .covers = drain_covers,
			 .within = drain_within,
			 .valid = drain_valid,
			 .write = drain_write,
			 .read = drain_read },
	[FACT_GRANT] = { .name = "grant",
			 .size = sizeof(struct history_grant),
			 .from = offsetof(struct history_grant, from),
			 .begins = EVENT_GRANT,
			 .ends = EVENT_GRANT,
			 .list = "grants",
			 .apart = true,
			 .complete = true,
			 .hash = grant_hash,
			 .meets = grant_meets,
			 .same = grant_same,
			 .within = grant_within,
			 .sort = grant_sort,
			 .write = grant_write,
			 .read = grant_read },
};
