/* SPDX-License-Identifier: BSD-2-Clause */
/* What each kind of fact is, and what follows from its members. */
#include "history/history_facts.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/json_text.h"
#include "base/timestamp.h"
#include "proto/words.h"

void history_blocks_write(FILE *out, const struct plan_blocks *b)
{
	fprintf(out,
		",\"order\":\"%s\",\"first_port\":%u,\"sharing_ratio\":%u,\"block_pitch\":%u,\"ports_per_host\":%u",
		b->netmap ? "netmap" : "sequential", b->first_port, b->ratio, b->pitch, b->ports_per_host);
}

bool history_blocks_read(const cJSON *json, struct prefix in, struct prefix out, struct geometry *ret)
{
	const char *order = json_text(json, "order", NULL);
	struct plan_blocks b = { .netmap = order && !strcmp(order, "netmap") };

	if (order && ((!b.netmap && strcmp(order, "sequential") != 0) || !json_u16(json, "first_port", &b.first_port) ||
		      !json_u16(json, "sharing_ratio", &b.ratio) || !json_u16(json, "block_pitch", &b.pitch) ||
		      !json_u16(json, "ports_per_host", &b.ports_per_host) || !b.ratio))
		return false;
	return !plan_blocks_geometry(in, out, &b, ret);
}

static bool read_blocks(const cJSON *json, void *fact)
{
	struct history_mapping *m = fact;
	bool inbound = json_text(json, "inbound", NULL);
	struct geometry g;

	virtual6_prefixes(m->in, &m->six);
	if (prefix_is_none(m->out))
		return !inbound;
	if (!history_blocks_read(json, m->in, m->out, &g))
		return false;
	m->blocks = plan_blocks_of(&g);
	return !inbound || (m->open && g.ratio == 1);
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

/* Ports that began at different times stay apart. */
static bool portmap_join(void *fact, const void *next)
{
	struct history_portmap *a = fact;
	const struct history_portmap *b = next;

	if (a->proto != b->proto || a->from != b->from || a->out.addr != b->out.addr || a->in.addr != b->in.addr ||
	    strcmp(a->tenant, b->tenant) != 0 || a->out.last + 1 != b->out.first || a->in.last + 1 != b->in.first)
		return false;
	a->out.last = b->out.last;
	a->in.last = b->in.last;
	return true;
}

static bool has_as_many_ports(const cJSON *json, void *fact)
{
	const struct history_portmap *m = fact;

	return m->in.last - m->in.first == m->out.last - m->out.first;
}

bool history_drain_whole(const struct history_drain *d)
{
	return prefix_equal(d->of, d->in);
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

static bool drains_its_own(const cJSON *json, void *fact)
{
	const struct history_drain *d = fact;

	return prefix_within(d->of, d->in);
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

static bool grant_within(const void *fact, const struct history_mapping *m)
{
	const struct history_grant *g = fact;

	return (history_grant_unknown(g) || prefix_holds(m->in, g->in)) && prefix_holds(m->out, g->out);
}

/* Types of members in a record. */
enum type {
	RANGE,
	RANGE_OR_NONE,
	ADDRESS,
	SPAN,
	PROTO,
	TIME,
	LABEL,	   /* left out if it is "" */
	INBOUND,   /* "open", or left out */
	PORT,	   /* not 0 */
	LAST_PORT, /* of ports whose number is here, and the first before it */
};

#define AT(of, member) offsetof(struct history_##of, member)
#define NUMBER(of, member)                                                    \
	{                                                                     \
		AT(of, member), sizeof(((struct history_##of *)NULL)->member) \
	}
#define PREFIX(of, member) NUMBER(of, member.base), NUMBER(of, member.last), NUMBER(of, member.plen)

_Static_assert(AT(grant, ports) == AT(grant, port_lo) + sizeof(uint16_t), "see LAST_PORT");

const struct fact_row fact_rows[FACT_KINDS] = {
	[FACT_MAPPING] = { .name = "mapping",
			   .size = sizeof(struct history_mapping),
			   .from = AT(mapping, from),
			   .begins = EVENT_ADD,
			   .ends = EVENT_DEL,
			   .list = "mappings",
			   .listed = true,
			   .complete = true,
			   .strict = true,
			   .place = { PREFIX(mapping, in), PREFIX(mapping, out), NUMBER(mapping, open),
				      NUMBER(mapping, blocks.ratio), NUMBER(mapping, blocks.first_port),
				      NUMBER(mapping, blocks.pitch), NUMBER(mapping, blocks.ports_per_host),
				      NUMBER(mapping, blocks.netmap) },
			   .tenant = AT(mapping, tenant),
			   .by_tenant = true,
			   .key = { { "in", RANGE, AT(mapping, in) },
				    { "out", RANGE_OR_NONE, AT(mapping, out) },
				    { "name", LABEL, AT(mapping, name) },
				    { "tenant", LABEL, AT(mapping, tenant) },
				    { "from", TIME, AT(mapping, from) },
				    { "inbound", INBOUND, AT(mapping, open) } },
			   .check = read_blocks },
	[FACT_PORTMAP] = { .name = "portmap",
			   .size = sizeof(struct history_portmap),
			   .from = AT(portmap, from),
			   .begins = EVENT_PORTMAP,
			   .ends = EVENT_PORTMAP,
			   .list = "portmaps",
			   .sorted = true,
			   .place = { NUMBER(portmap, proto), NUMBER(portmap, out.addr), NUMBER(portmap, out.first) },
			   .same = { NUMBER(portmap, in.addr), NUMBER(portmap, in.first) },
			   .tenant = AT(portmap, tenant),
			   .key = { { "proto", PROTO, AT(portmap, proto) },
				    { "in", SPAN, AT(portmap, in) },
				    { "out", SPAN, AT(portmap, out) },
				    { "from", TIME, AT(portmap, from) },
				    { "tenant", LABEL, AT(portmap, tenant) } },
			   .part = portmap_part,
			   .join = portmap_join,
			   .check = has_as_many_ports },
	[FACT_DRAIN] = { .name = "drain",
			 .size = sizeof(struct history_drain),
			 .from = AT(drain, from),
			 .begins = EVENT_RETIRE,
			 .ends = EVENT_DRAINED,
			 .list = "drains",
			 .ordered = true,
			 .place = { PREFIX(drain, in), PREFIX(drain, out), PREFIX(drain, of) },
			 .key = { { "in", RANGE, AT(drain, in) },
				  { "out", RANGE, AT(drain, out) },
				  { "of", RANGE, AT(drain, of) },
				  { "from", TIME, AT(drain, from) } },
			 .covers = drain_covers,
			 .within = drain_within,
			 .check = drains_its_own },
	[FACT_GRANT] = { .name = "grant",
			 .size = sizeof(struct history_grant),
			 .from = AT(grant, from),
			 .begins = EVENT_GRANT,
			 .ends = EVENT_GRANT,
			 .list = "grants",
			 .apart = true,
			 .complete = true,
			 .sorted = true,
			 .place = { NUMBER(grant, out), NUMBER(grant, port_lo) },
			 .same = { NUMBER(grant, in), NUMBER(grant, ports) },
			 .key = { { "in", ADDRESS, AT(grant, in) },
				  { "out", ADDRESS, AT(grant, out) },
				  { "port_lo", PORT, AT(grant, port_lo) },
				  { "port_hi", LAST_PORT, AT(grant, ports) },
				  { "from", TIME, AT(grant, from) } },
			 .hash = grant_hash,
			 .meets = grant_meets,
			 .within = grant_within },
	FURTHER_ROWS
};

/* ---- Comparing */

static uint32_t number_of(const void *fact, struct fact_number n)
{
	const void *at = (const char *)fact + n.at;

	if (n.size == 1)
		return *(const uint8_t *)at;
	return n.size == 2 ? *(const uint16_t *)at : *(const uint32_t *)at;
}

static int order(const struct fact_number *n, const void *a, const void *b)
{
	uint32_t x = 0, y = 0;

	for (; n->size && x == y; n++) {
		x = number_of(a, *n);
		y = number_of(b, *n);
	}
	return (x > y) - (x < y);
}

uint64_t history_fact_hash(enum fact_kind kind, const void *fact)
{
	uint64_t hash = 0;

	if (fact_rows[kind].hash)
		return fact_rows[kind].hash(fact);
	for (const struct fact_number *n = fact_rows[kind].place; n->size; n++)
		hash = HASH_OF(hash, number_of(fact, *n));
	return hash;
}

int history_facts_order(enum fact_kind kind, const void *a, const void *b)
{
	return order(fact_rows[kind].place, a, b);
}

static const char *tenant_of(enum fact_kind kind, const void *fact)
{
	return fact_rows[kind].tenant ? (const char *)fact + fact_rows[kind].tenant : "";
}

static bool same_tenant(enum fact_kind kind, const void *a, const void *b)
{
	return history_same_tenant(tenant_of(kind, a), tenant_of(kind, b));
}

bool history_facts_meet(enum fact_kind kind, const void *a, const void *b)
{
	if (fact_rows[kind].meets)
		return fact_rows[kind].meets(a, b);
	return !order(fact_rows[kind].place, a, b) && (!fact_rows[kind].by_tenant || same_tenant(kind, a, b));
}

bool history_facts_same(enum fact_kind kind, const void *a, const void *b)
{
	return history_facts_meet(kind, a, b) && !order(fact_rows[kind].same, a, b) && same_tenant(kind, a, b);
}

bool history_facts_exact(enum fact_kind kind, const void *a, const void *b)
{
	return !strcmp(tenant_of(kind, a), tenant_of(kind, b));
}

static int by_place(const void *a, const void *b, void *place)
{
	return order(place, a, b);
}

size_t history_facts_sort(enum fact_kind kind, void *list, size_t n)
{
	const struct fact_row *row = &fact_rows[kind];
	char *fact = list, *last = NULL;

	if (n && row->sorted)
		qsort_r(list, n, row->size, by_place, (void *)(uintptr_t)row->place);
	for (; n && row->join; n--, fact += row->size) {
		if (last && row->join(last, fact))
			continue;
		last = last ? last + row->size : list;
		memmove(last, fact, row->size);
	}
	return !row->join ? n : last ? (size_t)(last - (char *)list) / row->size + 1 : 0;
}

/* ---- Records */

/* A grant that is in the file of a day. */
static void write_place(FILE *out, const struct history_grant *g)
{
	char day[TIME_TEXT], from[TIME_TEXT], address[ADDR_TEXT];

	fprintf(out, "\"day\":\"%.10s\",\"grant\":%u,\"out\":\"%s\",\"from\":\"%s\"",
		time_format((int64_t)g->day * DAY_S, day), g->at, addr_format(g->out, address),
		time_format(g->from, from));
}

static bool read_place(const cJSON *json, struct history_grant *ret)
{
	uint64_t at;
	int64_t day;

	if (time_parse(json_text(json, "day", ""), &day) || day % DAY_S || day <= 0 || day / DAY_S > UINT32_MAX ||
	    addr_parse(json_text(json, "out", ""), &ret->out) || !json_count(json, "grant", &at) || !at ||
	    at > UINT32_MAX || !json_time(json, "from", &ret->from))
		return false;
	ret->day = (uint32_t)(day / DAY_S);
	ret->at = (uint32_t)at;
	return true;
}

/* Whether an index of a file has a prefix, a range or none there. */
static bool prefix_valid(struct prefix p)
{
	if (prefix_is_range(p))
		return p.last > p.base;
	return prefix_is_none(p) || (p.plen <= 32 && !(p.base & ~prefix_mask(p.plen)));
}

bool history_fact_valid(enum fact_kind kind, const void *fact)
{
	bool valid = true;

	for (const struct fact_key *k = fact_rows[kind].key; k->name && valid; k++) {
		const void *at = (const char *)fact + k->at;

		if (k->type == LABEL)
			valid = memchr(at, '\0', LABEL_TEXT);
		else if (k->type == RANGE || k->type == RANGE_OR_NONE)
			valid = prefix_valid(*(const struct prefix *)at) &&
				(k->type == RANGE_OR_NONE || !prefix_is_none(*(const struct prefix *)at));
	}
	return valid;
}

/* The text of a member; "": it has none. No character of one needs escaping. */
static const char *text_of(const struct fact_key *k, const void *at, char ret[static INSIDE_TEXT])
{
	const uint16_t *port = at;

	switch ((enum type)k->type) {
	case RANGE_OR_NONE:
		if (prefix_is_none(*(const struct prefix *)at))
			return "";
		return prefix_text(*(const struct prefix *)at, ret);
	case RANGE:
		return inside_prefix_text(*(const struct prefix *)at, ret);
	case ADDRESS:
		return addr_format(*(const uint32_t *)at, ret);
	case SPAN:
		return span_format(*(const struct port_span *)at, ret);
	case PROTO:
		return word_text(proto_words, *(const uint8_t *)at);
	case TIME:
		return time_format(*(const int64_t *)at, ret);
	case LABEL:
		return at;
	case INBOUND:
		return *(const bool *)at ? "open" : "";
	case PORT:
		snprintf(ret, SPAN_TEXT, "%u", *port);
		return ret;
	default:
		snprintf(ret, SPAN_TEXT, "%u", port[-1] + *port - 1U);
		return ret;
	}
}

const char *history_fact_text(enum fact_kind kind, const void *fact, const char *key, char ret[static INSIDE_TEXT])
{
	const struct fact_key *k = fact_rows[kind].key;

	while (k->name && strcmp(k->name, key) != 0)
		k++;
	return k->name ? text_of(k, (const char *)fact + k->at, ret) : "";
}

/* The rest of an inside prefix of IPv6: the length of its subscribers', and the first one's virtual address. */
static void write_virtual(FILE *out, struct prefix in)
{
	struct prefixes6 six;
	char first[ADDR_TEXT];

	if (virtual6_prefixes(in, &six))
		fprintf(out, ",\"subscriber_plen\":%u,\"virtual\":\"%s\"", six.plen, addr_format(in.base, first));
}

void history_fact_write(FILE *out, enum fact_kind kind, const void *fact)
{
	char room[INSIDE_TEXT];

	if (kind == FACT_GRANT && ((const struct history_grant *)fact)->day) {
		write_place(out, fact);
		return;
	}
	for (const struct fact_key *k = fact_rows[kind].key; k->name; k++) {
		const char *text = text_of(k, (const char *)fact + k->at, room);
		const char *comma = k == fact_rows[kind].key ? "" : ",";
		const char *quote = k->type == PORT || k->type == LAST_PORT ? "" : "\"";

		if (*text)
			fprintf(out, "%s\"%s\":%s%s%s", comma, k->name, quote, text, quote);
		else if (k->type == RANGE_OR_NONE)
			fprintf(out, "%s\"%s\":null", comma, k->name);
		if (k->type == RANGE)
			write_virtual(out, *(const struct prefix *)(const void *)((const char *)fact + k->at));
	}
}

static bool read_proto(const char *text, uint8_t *ret)
{
	uint32_t number;

	if (!text || word_number(proto_words, text, &number) || number == IPPROTO_ICMP)
		return false;
	*ret = (uint8_t)number;
	return true;
}

/* What is no name is none. */
static bool read_label(const char *text, char ret[static LABEL_TEXT])
{
	snprintf(ret, LABEL_TEXT, "%s", text && label_valid(text) ? text : "");
	return true;
}

static bool read_last_port(const cJSON *json, const char *name, uint16_t *ports)
{
	uint16_t last;

	if (!json_u16(json, name, &last) || last < ports[-1])
		return false;
	*ports = (uint16_t)(last - ports[-1] + 1);
	return true;
}

/*
 * An inside range; of IPv6, its virtual addresses. Those of the record mean other prefixes where this process has read
 * another history, or began with a configuration: then they are others here.
 */
static bool read_range(const cJSON *json, const char *text, struct prefix *ret)
{
	struct prefixes6 six;
	uint32_t first;
	uint16_t plen;

	if (!text || !strchr(text, ':'))
		return text && !range_parse(text, ret);
	if (!json_u16(json, "subscriber_plen", &plen) || prefixes6_parse(text, plen, &six) ||
	    addr_parse(json_text(json, "virtual", ""), &first) || !virtual6_is(first))
		return false;
	if (!virtual6_claim(&six, first)) {
		*ret = prefix_of(first, first + six.last);
		return true;
	}
	if (virtual6_place(&six, ret))
		return false;
	virtual6_keep(ret->base);
	return true;
}

static bool read_member(const cJSON *json, const struct fact_key *k, void *at)
{
	const char *text = json_text(json, k->name, NULL);

	switch ((enum type)k->type) {
	case RANGE_OR_NONE:
		if (cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(json, k->name)))
			return *(struct prefix *)at = PREFIX_NONE, true;
		return text && !range_parse(text, at);
	case RANGE:
		return read_range(json, text, at);
	case ADDRESS:
		return text && !addr_parse(text, at);
	case SPAN:
		return text && !span_parse(text, at);
	case PROTO:
		return read_proto(text, at);
	case TIME:
		return text && !time_parse(text, at);
	case LABEL:
		return read_label(text, at);
	case INBOUND:
		return *(bool *)at = text && !strcmp(text, "open"), true;
	case PORT:
		return json_u16(json, k->name, at) && *(uint16_t *)at;
	default:
		return read_last_port(json, k->name, at);
	}
}

bool history_fact_read(const cJSON *json, enum fact_kind kind, void *ret)
{
	if (kind == FACT_GRANT && cJSON_HasObjectItem(json, "day"))
		return read_place(json, ret);
	for (const struct fact_key *k = fact_rows[kind].key; k->name; k++)
		if (!read_member(json, k, (char *)ret + k->at))
			return false;
	return !fact_rows[kind].check || fact_rows[kind].check(json, ret);
}
