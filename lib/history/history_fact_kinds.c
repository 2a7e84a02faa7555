/* SPDX-License-Identifier: BSD-2-Clause */
/* What is particular to each kind of fact. */
#include "history/history_facts.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <detnat/growth.h>

#include "base/base.h"
#include "base/json_text.h"
#include "base/timestamp.h"
#include "proto/words.h"

static uint64_t portmap_hash(const void *interval)
{
	const struct portmap_interval *v = interval;

	return HASH_OF((uint64_t)v->out.addr << 32 | (uint64_t)v->out.port << 8 | v->proto);
}

static bool portmap_meets(const void *pa, const void *pb)
{
	const struct portmap_interval *a = pa, *b = pb;

	return a->proto == b->proto && endpoint_equal(a->out, b->out);
}

static bool portmap_same(const void *pa, const void *pb)
{
	const struct portmap_interval *a = pa, *b = pb;

	return endpoint_equal(a->in, b->in) && history_same_tenant(a->tenant, b->tenant);
}

static bool portmap_part(const void *fact, uint32_t i, void *ret)
{
	const struct history_portmap *m = fact;
	struct portmap_interval *v = ret;

	if (i > (uint32_t)m->in.last - m->in.first)
		return false;
	*v = (struct portmap_interval){ .in = { m->in.addr, (uint16_t)(m->in.first + i) },
					.out = { m->out.addr, (uint16_t)(m->out.first + i) },
					.proto = m->proto,
					.from = m->from };
	memcpy(v->tenant, m->tenant, sizeof(v->tenant));
	return true;
}

struct history_portmap history_portmap_of_port(const struct portmap_interval *v)
{
	struct history_portmap m = { .in = { v->in.addr, v->in.port, v->in.port },
				     .out = { v->out.addr, v->out.port, v->out.port },
				     .proto = v->proto,
				     .from = v->from };

	memcpy(m.tenant, v->tenant, sizeof(m.tenant));
	return m;
}

static void portmap_fact(const void *interval, void *ret)
{
	*(struct history_portmap *)ret = history_portmap_of_port(interval);
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

bool history_drain_same(const struct history_drain *a, const struct history_drain *b)
{
	return prefix_equal(a->in, b->in) && prefix_equal(a->out, b->out) && prefix_equal(a->of, b->of);
}

bool history_drain_whole(const struct history_drain *d)
{
	return prefix_equal(d->of, d->in);
}

static uint64_t drain_hash(const void *interval)
{
	const struct history_drain *d = &((const struct drain_interval *)interval)->drain;

	return HASH_OF((uint64_t)d->in.base << 32 | d->in.last, (uint64_t)d->out.base << 32 | d->out.last,
		       (uint64_t)d->of.base << 32 | d->of.last);
}

static bool drain_same(const void *pa, const void *pb)
{
	const struct drain_interval *a = pa, *b = pb;

	return history_drain_same(&a->drain, &b->drain);
}

static bool drain_covers(const void *pa, const void *pb)
{
	const struct history_drain *a = &((const struct drain_interval *)pa)->drain,
				   *b = &((const struct drain_interval *)pb)->drain;

	return prefix_equal(a->in, b->in) && prefix_equal(a->out, b->out) && prefix_within(b->of, a->of);
}

static bool drain_within(const void *interval, struct prefix in, struct prefix out)
{
	const struct drain_interval *v = interval;

	return prefix_equal(v->drain.in, in) && prefix_equal(v->drain.out, out);
}

static bool drain_part(const void *fact, uint32_t i, void *ret)
{
	*(struct drain_interval *)ret = (struct drain_interval){ .drain = *(const struct history_drain *)fact };
	return !i;
}

static void drain_fact(const void *interval, void *ret)
{
	*(struct history_drain *)ret = ((const struct drain_interval *)interval)->drain;
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

bool history_grant_same(const struct history_grant *a, const struct history_grant *b)
{
	return a->in == b->in && a->out == b->out && a->port_lo == b->port_lo && a->ports == b->ports;
}

bool history_grant_fits(const struct geometry *geo, const struct history_grant *g)
{
	int number;

	if (!geo->ports_per_host || !mapping_has_inside(geo, g->in) ||
	    mapping_out_addr(geo, mapping_subscriber(geo, g->in)) != g->out)
		return false;
	number = growth_block_of(geo, g->ports, g->port_lo);
	return number >= 0 && growth_port_lo(geo, g->ports, (uint32_t)number) == g->port_lo;
}

static uint64_t grant_hash(const void *interval)
{
	const struct grant_interval *v = interval;

	return HASH_OF((uint64_t)v->grant.out << 16 | v->grant.port_lo);
}

static bool grant_meets(const void *pa, const void *pb)
{
	const struct grant_interval *a = pa, *b = pb;

	return a->grant.out == b->grant.out && a->grant.port_lo == b->grant.port_lo;
}

static bool grant_same(const void *pa, const void *pb)
{
	const struct grant_interval *a = pa, *b = pb;

	return history_grant_same(&a->grant, &b->grant);
}

static bool grant_within(const void *interval, struct prefix in, struct prefix out)
{
	const struct grant_interval *v = interval;

	return prefix_holds(in, v->grant.in) && prefix_holds(out, v->grant.out);
}

static bool grant_part(const void *fact, uint32_t i, void *ret)
{
	*(struct grant_interval *)ret = (struct grant_interval){ .grant = *(const struct history_grant *)fact };
	return !i;
}

static void grant_fact(const void *interval, void *ret)
{
	*(struct history_grant *)ret = ((const struct grant_interval *)interval)->grant;
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

	if (!in || !out || !from || addr_parse(in, &ret->in) || addr_parse(out, &ret->out) ||
	    time_parse(from, &ret->from) || !read_port(json, "port_lo", &ret->port_lo) ||
	    !read_port(json, "port_hi", &last) || last < ret->port_lo)
		return false;
	ret->ports = (uint16_t)(last - ret->port_lo + 1);
	return true;
}

const struct fact_row fact_rows[FACT_KINDS] = {
	[FACT_PORTMAP] = { .size = sizeof(struct portmap_interval),
			   .fact_size = sizeof(struct history_portmap),
			   .from = offsetof(struct history_portmap, from),
			   .list = "portmaps",
			   .hash = portmap_hash,
			   .meets = portmap_meets,
			   .same = portmap_same,
			   .part = portmap_part,
			   .fact = portmap_fact,
			   .sort = portmap_sort,
			   .write = portmap_write,
			   .read = portmap_read },
	[FACT_DRAIN] = { .size = sizeof(struct drain_interval),
			 .fact_size = sizeof(struct history_drain),
			 .from = offsetof(struct history_drain, from),
			 .list = "drains",
			 .ordered = true,
			 .mapped = true,
			 .hash = drain_hash,
			 .meets = drain_same,
			 .same = drain_same,
			 .covers = drain_covers,
			 .within = drain_within,
			 .part = drain_part,
			 .fact = drain_fact,
			 .write = drain_write,
			 .read = drain_read },
	[FACT_GRANT] = { .size = sizeof(struct grant_interval),
			 .fact_size = sizeof(struct history_grant),
			 .from = offsetof(struct history_grant, from),
			 .list = "grants",
			 .mapped = true,
			 .hash = grant_hash,
			 .meets = grant_meets,
			 .same = grant_same,
			 .within = grant_within,
			 .part = grant_part,
			 .fact = grant_fact,
			 .sort = grant_sort,
			 .write = grant_write,
			 .read = grant_read },
};
