/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/port_pairs.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "config/fields.h"

static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };

static size_t ports_of(const struct config_portmap *m)
{
	return m->in.last - m->in.first + 1U;
}

size_t portmap_pairs(const struct config_portmap *m)
{
	return ports_of(m) * (m->protos == PORTMAP_OF_BOTH ? 2 : 1);
}

static bool has_proto(const struct config_portmap *m, unsigned i)
{
	return m->protos & 1U << i;
}

/* The planned outside port of an inside endpoint: the one that its first session would get. */
static struct endpoint plan_endpoint(const struct geometry *g, struct endpoint in)
{
	return (struct endpoint){ mapping_forward(g, in.addr).out_addr,
				  (uint16_t)mapping_planned_port(g, in.addr, in.port) };
}

/* 0, or -1 if the inside address is in no mapping. */
static int geometry_of(const struct config *c, const struct config_portmap *p, struct geometry *ret)
{
	const struct config_mapping *m = config_mapping_of_portmap(c, p);

	return m ? config_mapping_geometry(m, ret) : -1;
}

static uint8_t place_of(const struct config *c, const struct config_tenant *t)
{
	return t ? (uint8_t)(t - c->tenants + 1) : 0;
}

uint8_t port_pair_place(const struct config *c, uint8_t tenant)
{
	return place_of(c, config_tenant(c, tenant));
}

uint8_t port_pair_tenant(const struct config *c, const struct port_pair *p)
{
	return p->tenant ? c->tenants[p->tenant - 1].id : 0;
}

static struct port_pair pair_of(const struct config_portmap *m, const struct geometry *g, uint8_t proto, size_t port)
{
	struct port_pair pair = { .in = { m->in.addr, (uint16_t)(m->in.first + port) }, .proto = proto };

	pair.out = m->out.addr ? (struct endpoint){ m->out.addr, (uint16_t)(m->out.first + port) }
			       : plan_endpoint(g, pair.in);
	return pair;
}

struct endpoint config_portmap_out(const struct config *c, const struct config_portmap *m, size_t port)
{
	struct geometry g;

	if (!m->out.addr && geometry_of(c, m, &g))
		return (struct endpoint){ 0 };
	return pair_of(m, &g, 0, port).out;
}

static uint64_t out_key(const struct port_pair *p)
{
	return (uint64_t)p->proto << 48 | (uint64_t)p->out.addr << 16 | p->out.port;
}

static uint64_t in_key(const struct port_pair *p)
{
	return (uint64_t)p->tenant << 56 | (uint64_t)p->proto << 48 | (uint64_t)p->in.addr << 16 | p->in.port;
}

/* Among equal pairs, those of earlier portmaps come first. */
static int compare(uint64_t a, uint64_t b, const struct port_pair *x, const struct port_pair *y)
{
	return a != b ? (a < b ? -1 : 1) : x->number < y->number ? -1 : x->number > y->number;
}

static int by_out(const void *a, const void *b)
{
	return compare(out_key(a), out_key(b), a, b);
}

static int by_in(const void *a, const void *b)
{
	return compare(in_key(a), in_key(b), a, b);
}

/* Files and copies mostly have them in order. */
static void sort(struct port_pair *list, size_t n, int (*order)(const void *a, const void *b))
{
	for (size_t i = 1; i < n; i++) {
		if (order(&list[i - 1], &list[i]) > 0) {
			qsort(list, n, sizeof(*list), order);
			return;
		}
	}
}

int port_pairs_of(const struct config *c, struct port_pair **ret, size_t *ret_n)
{
	struct port_pair *list;
	size_t room = 0, n = 0;

	for (size_t i = 0; i < c->n_portmaps; i++)
		room += portmap_pairs(&c->portmaps[i]);
	list = calloc(room + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_portmaps; i++) {
		const struct config_portmap *m = &c->portmaps[i];
		const struct config_mapping *mapping = config_mapping_of_portmap(c, m);
		struct geometry g;

		if (!mapping || config_mapping_geometry(mapping, &g))
			continue;
		for (unsigned k = 0; k < ARRAY_SIZE(protos); k++) {
			for (size_t port = 0; has_proto(m, k) && port < ports_of(m); port++) {
				list[n] = pair_of(m, &g, protos[k], port);
				list[n].tenant = place_of(c, config_find_tenant(c, mapping->tenant));
				list[n++].number = (uint32_t)i;
			}
		}
	}
	sort(list, n, by_out);
	*ret = list;
	*ret_n = n;
	return 0;
}

static const struct port_pair *find(const struct port_pair *list, size_t n, const struct port_pair *wanted,
				    uint64_t (*key)(const struct port_pair *p))
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (key(&list[middle]) < key(wanted))
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && key(&list[low]) == key(wanted) ? &list[low] : NULL;
}

const struct port_pair *port_pair_find(const struct port_pair *list, size_t n, uint8_t proto, struct endpoint out)
{
	return find(list, n, &(struct port_pair){ .out = out, .proto = proto }, out_key);
}

const struct port_pair *port_pair_find_in(const struct port_pair *list, size_t n, uint8_t tenant, uint8_t proto,
					  struct endpoint in)
{
	return find(list, n, &(struct port_pair){ .in = in, .proto = proto, .tenant = tenant }, in_key);
}

void port_pairs_sort_in(struct port_pair *list, size_t n)
{
	sort(list, n, by_in);
}

const char *portmap_title(const struct config_portmap *m, char text[static LABEL_TEXT])
{
	char span[SPAN_TEXT];

	snprintf(text, LABEL_TEXT, "%s", *m->name ? m->name : span_format(m->in, span));
	return text;
}

const char *portmap_out_format(const struct config *c, const struct config_portmap *m,
			       char text[static PORTMAP_OUT_TEXT])
{
	struct endpoint first = config_portmap_out(c, m, 0);
	struct endpoint last = config_portmap_out(c, m, ports_of(m) - 1);
	char span[SPAN_TEXT];

	/* Without an outside endpoint of its own a range may have ports in any order. */
	span_format((struct port_span){ first.addr, first.port, last.port < first.port ? first.port : last.port },
		    span);
	snprintf(text, PORTMAP_OUT_TEXT, "%s %s", word_text(portmap_words, m->protos), span);
	return text;
}

struct portmap_check {
	const struct config *config;
	bool added; /* by a command */
	const char *name;
	struct error *err;
};

static int __attribute__((format(printf, 4, 5)))
refuse(const struct portmap_check *v, size_t number, const char *key, const char *format, ...)
{
	const struct config_portmap *m = &v->config->portmaps[number];
	unsigned line = !strcmp(key, "out") && m->out_line ? m->out_line : m->in_line;
	char path[48], text[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	snprintf(path, sizeof(path), "portmaps[%zu].%s", number, key);
	return config_refuse(v->err, -EINVAL, v->name, line, v->name ? path : "", "%s", text);
}

/* Ports of no block from 1024 on, without the gaps of a pitch, are granted where blocks grow. */
static bool is_shared(const struct portmap_check *v, size_t number, const struct geometry *g, uint32_t port)
{
	const struct config_portmap *p = &v->config->portmaps[number];
	const struct config_mapping *m = config_mapping_of_portmap(v->config, p);

	return m->growth.given && port >= GROWTH_FIRST_PORT && (port < g->first_port || port >= growth_above(g));
}

/* The outside ports must be in the subscriber's own block, or in no block. */
static int check_out(const struct portmap_check *v, size_t number, const struct geometry *g)
{
	const struct config_portmap *m = &v->config->portmaps[number];
	uint32_t own = mapping_subscriber(g, m->in.addr);
	struct port_block block = mapping_block(g, m->in.addr);
	const char *tenant = config_mapping_of_portmap(v->config, m)->tenant, *of = *tenant ? " of " : "";
	char in[ADDR_TEXT], out[ADDR_TEXT], other[ADDR_TEXT], title[LABEL_TEXT];

	if (!m->out.addr)
		return 0;
	if (v->added && m->out.last - m->out.first != m->in.last - m->in.first)
		return refuse(v, number, "out", "OUT has %u port%s, and IN has %u", m->out.last - m->out.first + 1U,
			      m->out.last == m->out.first ? "" : "s", m->in.last - m->in.first + 1U);
	if (m->out.last - m->out.first != m->in.last - m->in.first)
		return refuse(v, number, "out", "has %u ports, but `in` has %u", m->out.last - m->out.first + 1U,
			      m->in.last - m->in.first + 1U);
	addr_format(m->in.addr, in);
	addr_format(m->out.addr, out);
	if (v->added && m->out.addr != mapping_out_addr(g, own))
		return refuse(v, number, "out", "%s%s%s leaves through %s, not %s: name a port of %s, or omit OUT", in,
			      of, tenant, addr_format(mapping_out_addr(g, own), other), out, other);
	if (m->out.addr != mapping_out_addr(g, own))
		return refuse(v, number, "out",
			      "%s%s%s leaves through %s, not %s: portmap %s must have %s outside, or be deleted first",
			      in, of, tenant, addr_format(mapping_out_addr(g, own), other), out,
			      portmap_title(m, title), other);
	for (uint32_t port = m->out.first; port <= m->out.last; port++) {
		__s64 owner = mapping_reverse(g, m->out.addr, port);

		if (owner >= 0 && (uint32_t)owner != own)
			return refuse(v, number, "out",
				      "port %u of %s is in the block of %s: take one of %u to %u, or below %u", port,
				      out, addr_format(g->in_base + (uint32_t)owner, other), block.port_lo,
				      block.port_hi, g->first_port);
		if (is_shared(v, number, g, port))
			return refuse(v, number, "out",
				      "port %u of %s is of the shared range, from which `growth` of the mapping grants "
				      "blocks: take one of %u to %u, or below %u",
				      port, out, block.port_lo, block.port_hi, GROWTH_FIRST_PORT);
		if (mapping_port_kind(g, m->out.addr, port) == MAPPING_PORT_GAP)
			return refuse(v, number, "out",
				      "port %u of %s is between two blocks, which block_pitch keeps apart: take one of "
				      "%u to %u, or below %u",
				      port, out, block.port_lo, block.port_hi, g->first_port);
	}
	return 0;
}

/* Refuses an unknown tenant, and an inside address of several where nothing says which: a command gets -ENOTUNIQ. */
static int check_tenant(const struct portmap_check *v, size_t number)
{
	const struct config_portmap *m = &v->config->portmaps[number];
	const struct config_mapping *two[2] = { NULL, NULL };
	char in[ADDR_TEXT];

	if (*m->tenant)
		return config_find_tenant(v->config, m->tenant)
			       ? 0
			       : refuse(v, number, "tenant", "there is no tenant %s: `tenants` lists them", m->tenant);
	if (v->config->n_tenants)
		config_mapping_of_pair(v->config, m->in.addr, m->out.addr, two);
	if (!two[0])
		return 0;
	refuse(v, number, "in", "%s is an address of %s and of %s: %s says which", addr_format(m->in.addr, in),
	       two[0]->tenant, two[1]->tenant, v->added ? "--tenant NAME" : "`tenant`");
	return v->added ? -ENOTUNIQ : -EINVAL;
}

/* Refuses a portmap of an inside address that takes none. mapping: of the address; NULL: none. */
static int refuse_inside(const struct portmap_check *v, size_t number, const struct config_mapping *mapping)
{
	const struct config_portmap *m = &v->config->portmaps[number];
	char in[ADDR_TEXT], title[LABEL_TEXT], of[LABEL_TEXT + 4] = "";
	const char *why;

	addr_format(m->in.addr, in);
	portmap_title(m, title);
	if (*m->tenant)
		snprintf(of, sizeof(of), " of %s", m->tenant);
	if (!mapping && v->added)
		return refuse(v, number, "in",
			      "%s is not an inside address of any mapping%s; `detnatctl mapping list` shows them", in,
			      of);
	if (!mapping)
		return refuse(v, number, "in",
			      "%s is not an inside address of any mapping%s: portmap %s must name a subscriber, or be "
			      "deleted first",
			      in, of, title);
	if (prefix_is_none(mapping->out) || mapping->inbound == INBOUND_OPEN) {
		why = prefix_is_none(mapping->out) ? "not translated" : "in a mapping with `inbound` open";
		return refuse(v, number, "in", "all ports of %s are reachable already, as it is %s%s%s%s", in, why,
			      v->added ? "" : ": portmap ", v->added ? "" : title, v->added ? "" : " must be deleted");
	}
	return refuse(v, number, "in", "%s has no ports for a portmap", in);
}

static int check_one(const struct portmap_check *v, size_t number)
{
	const struct config_mapping *mapping = config_mapping_of_portmap(v->config, &v->config->portmaps[number]);
	struct geometry g;
	int r = check_tenant(v, number);

	if (r)
		return r;
	if (!mapping || prefix_is_none(mapping->out) || mapping->inbound == INBOUND_OPEN ||
	    config_mapping_geometry(mapping, &g))
		return refuse_inside(v, number, mapping);
	return check_out(v, number, &g);
}

int portmap_validate_added(const struct config *c, struct error *err)
{
	return check_one(&(struct portmap_check){ .config = c, .added = true, .err = err }, c->n_portmaps - 1);
}

/* Refuses an endpoint that two portmaps have. */
static int check_duplicates(const struct portmap_check *v, const struct port_pair *list, size_t n, bool out)
{
	for (size_t i = 1; i < n; i++) {
		const struct port_pair *a = &list[i - 1], *b = &list[i];
		struct endpoint e = out ? b->out : b->in;
		char addr[ADDR_TEXT], title[LABEL_TEXT];

		if (out ? out_key(a) != out_key(b) : in_key(a) != in_key(b))
			continue;
		return refuse(v, b->number, out ? "out" : "in", "%s %s:%u is taken by another portmap, %s",
			      b->proto == IPPROTO_TCP ? "tcp" : "udp", addr_format(e.addr, addr), e.port,
			      portmap_title(&v->config->portmaps[a->number], title));
	}
	return 0;
}

/* Refuses the portmap that exceeds the maximum number of ports. */
static int check_number(const struct portmap_check *v)
{
	size_t n = 0;

	for (size_t i = 0; i < v->config->n_portmaps; i++) {
		const struct config_portmap *m = &v->config->portmaps[i];

		n += portmap_pairs(m);
		if (n > MAX_PORTMAPS)
			return refuse(v, i, "in",
				      "more than %u portmaps: each port of a range counts, and each protocol",
				      MAX_PORTMAPS);
	}
	return 0;
}

int portmaps_validate(const struct config *c, const char *name, struct error *err)
{
	const struct portmap_check v = { .config = c, .name = name, .err = err };
	_cleanup_free_ struct port_pair *list = NULL;
	size_t n = 0;
	int r = check_number(&v);

	for (size_t i = 0; !r && i < c->n_portmaps; i++)
		r = check_one(&v, i);
	if (!r && port_pairs_of(c, &list, &n))
		r = config_refuse(err, -ENOMEM, name, 0, "", "out of memory");
	if (r)
		return r;
	r = check_duplicates(&v, list, n, true);
	if (r)
		return r;
	port_pairs_sort_in(list, n);
	return check_duplicates(&v, list, n, false);
}
