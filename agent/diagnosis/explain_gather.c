/* SPDX-License-Identifier: BSD-2-Clause */
#include "diagnosis/explain.h"

#include <errno.h>
#include <netinet/in.h>

#include "links/devices.h"
#include "sessions/sessions.h"
#include "tables/grant_table.h"
#include "tables/mapping_drains.h"
#include "tables/portmap_table.h"

struct explain_gather {
	struct explanation e;
	struct mapping mapping; /* at the beginning */
	struct mappings *m;
	struct session_walk *walk; /* of the subscriber; NULL: none, or ended */
	struct pool_walk *pool;	   /* of the subscribers of an outside address; NULL: none, or ended */
};

/* A port in no block may belong to a portmap. */
static int find_by_portmap(struct explain_gather *g)
{
	struct explanation *e = &g->e;
	const struct portmaps *p = e->context->portmaps;
	const struct portmap *m = p ? portmaps_by_out(p, IPPROTO_TCP, e->asked) : NULL;

	if (p && !m)
		m = portmaps_by_out(p, IPPROTO_UDP, e->asked);
	if (!m)
		return 0;
	e->subscriber = true;
	e->in_addr = m->in.addr;
	return 0;
}

/* A port of the shared range may be granted. */
static bool find_by_grant(struct explain_gather *g)
{
	struct explanation *e = &g->e;
	const struct grants *grants = e->context->grants;
	const struct grant *i = grants ? grants_owner(grants, e->asked.addr, e->asked.port) : NULL;

	if (!i)
		return false;
	e->subscriber = true;
	e->in_addr = i->in_addr;
	return true;
}

static int find_outside(struct explain_gather *g, const struct geometry *geo)
{
	struct explanation *e = &g->e;
	uint32_t first, stride, n;
	int64_t subscriber;

	if (!e->with_port) {
		n = mapping_sharers(geo, e->asked.addr, &first, &stride);
		if (!n)
			return 0;
		e->pool_first = geo->in_base + first;
		e->pool_last = e->pool_first + (n - 1) * stride;
		e->pool_stride = stride;
		return pool_walk_new(g->m, mappings_find_outside(g->m, e->asked.addr), e->pool_first, e->pool_last,
				     stride, &g->pool);
	}
	subscriber = mapping_owner(geo, e->asked.addr, e->asked.port);
	if (subscriber < 0 && find_by_grant(g))
		return 0;
	if (subscriber < 0)
		return find_by_portmap(g);
	e->in_addr = geo->in_base + (uint32_t)subscriber;
	e->kept = !mappings_serves(g->m, mappings_find_outside(g->m, e->asked.addr), e->in_addr);
	e->subscriber = !e->kept;
	return 0;
}

static int find(struct explain_gather *g)
{
	struct explanation *e = &g->e;
	int inside = mappings_find_inside(g->m, e->tenant, e->asked.addr), number, r;

	number = inside >= 0 ? inside : mappings_find_outside(g->m, e->asked.addr);
	if (number < 0)
		return 0;
	g->mapping = *mappings_get(g->m, number);
	e->tenant = g->mapping.tenant;
	e->mapping = &g->mapping;
	e->side = inside >= 0 ? EXPLAIN_INSIDE : EXPLAIN_OUTSIDE;
	if (e->side == EXPLAIN_INSIDE) {
		e->subscriber = g->mapping.geo.out_plen != PLEN_NONE;
		e->in_addr = e->asked.addr;
	} else {
		r = find_outside(g, &g->mapping.geo);
		if (r)
			return r;
	}
	if (!e->subscriber)
		return 0;
	e->block = mapping_block(&g->mapping.geo, e->in_addr);
	e->profile.out_addr = e->block.out_addr;
	e->profile.port_lo = e->block.port_lo;
	e->profile.ports_per_host = g->mapping.geo.ports_per_host;
	e->profile.port = e->asked.port;
	e->profile.host = e->host;
	e->profile.match_in = e->with_port && e->side == EXPLAIN_INSIDE;
	e->profile.match_out = e->with_port && e->side == EXPLAIN_OUTSIDE;
	return g->mapping.geo.flags & MAPPING_OPEN ? 0 : session_walk_new_subscriber(g->m, explain_place(e), &g->walk);
}

int explain_gather_new(const struct parts *a, uint8_t tenant, struct endpoint asked, const struct address6 *host,
		       bool with_port, struct explain_gather **ret)
{
	struct explain_gather *g = calloc(1, sizeof(*g));
	int r;

	if (!g)
		return -ENOMEM;
	g->m = a->mappings;
	g->e.context = a;
	g->e.tenant = tenant;
	g->e.asked = asked;
	if (host)
		g->e.host = *host;
	g->e.with_port = with_port;
	g->e.record.quota_refusal = g->e.record.ports_refusal = -1;
	r = find(g);
	if (r) {
		explain_gather_free(g);
		return r;
	}
	*ret = g;
	return 0;
}

void explain_gather_free(struct explain_gather *g)
{
	if (!g)
		return;
	session_walk_free(g->walk);
	pool_walk_free(g->pool);
	explain_profile_free(&g->e.profile);
	free(g);
}

static int add_session(const struct session *s, void *arg)
{
	return explain_profile_add(arg, s);
}

/* The number of the mapping, which may be retired; a replacement with the same prefixes counts as the same. */
static int number_of(const struct explain_gather *g)
{
	const struct geometry *geo = &g->mapping.geo;
	struct prefix in = geometry_in(geo), out = geometry_out(geo);
	int number = mappings_find(g->m, in, out);

	return number < 0 ? mappings_find_retired(g->m, in, out) : number;
}

static bool still_there(const struct explain_gather *g)
{
	return !g->e.mapping || number_of(g) >= 0;
}

/* An external address for the lookup of the route: one of a session, or any. */
static uint32_t external_address(const struct explanation *e)
{
	if (e->profile.n_match)
		return e->profile.match[0].ext_addr;
	return e->busiest.sessions ? e->busiest.ext.addr : address_beyond();
}

/* Whether XDP finds a next hop and its MAC address in the copy of the routes; otherwise the kernel decides. */
static bool is_copied(const struct explanation *e, uint32_t addr)
{
	const struct route_copy *copy = devices_routes(e->context->devices);
	struct route_copy_summary s;

	route_copy_summary(copy, &s);
	return s.in_force && route_copy_hop(copy, addr)->flags & (FIB_FAST_OUT | FIB_FAST_IN | FIB_TC_OUT | FIB_TC_IN);
}

/*
 * Reads the way to a host of an IPv6 subscriber: the one that was asked for, else one that has a session, else, as if
 * it were one, the first that the prefix has.
 */
static int read_way_in6(struct explanation *e)
{
	struct address6 host = e->host;
	struct prefixes6 p;

	if (!host.lo)
		host = e->profile.n_match ? e->profile.match[0].host : e->profile.last;
	if (!host.lo && virtual6_prefixes((struct prefix){ e->in_addr, 32, 0 }, &p))
		host = (struct address6){ .hi = p.hi, .lo = 1 };
	return host.lo ? kernel_way_read6(&host, &e->way_in) : 0;
}

/*
 * Reads the way of packets from outside to the subscriber: by the VRF of its tenant; else the first that a route leads
 * to from where an outside interface is, a VRF or none.
 */
static int read_way_in(struct explanation *e)
{
	const struct device *device = e->context->datapath->device;
	uint32_t way = e->tenant ? e->context->datapath->way[e->tenant] : WAY_MAIN, asked = MAX_IFINDEX;
	int r = 0;

	if (virtual6_is(e->in_addr))
		return read_way_in6(e);
	if (way == WAY_NONE)
		e->way_in = (struct kernel_way){ .addr = e->in_addr, .error = -ENODEV };
	if (way != WAY_MAIN)
		return way == WAY_NONE ? 0 : kernel_way_read(e->in_addr, way, &e->way_in);
	for (uint32_t i = 1; !r && i < MAX_IFINDEX; i++) {
		if (!(device[i].roles & DEVICE_OUTSIDE) || device[i].flags & DEVICE_VRF || device[i].vrf == asked)
			continue;
		asked = device[i].vrf;
		r = kernel_way_read(e->in_addr, asked, &e->way_in);
		if (!r && !e->way_in.error)
			return 0;
	}
	return asked == MAX_IFINDEX ? kernel_way_read(e->in_addr, 0, &e->way_in) : r;
}

static int read_ways(struct explanation *e)
{
	uint32_t external;
	int r;

	if (!e->mapping) /* the route shows whether it is the gateway's own address */
		return kernel_way_read(e->asked.addr, 0, &e->way_out);
	if (!e->subscriber)
		return 0;
	external = external_address(e);
	e->copied_in = is_copied(e, e->in_addr);
	e->copied_out = is_copied(e, external);
	r = read_way_in(e);
	if (r)
		return r;
	if (virtual6_is(e->in_addr))
		return kernel_way_read(external, 0, &e->way_out);
	return kernel_way_read_from(external, e->in_addr, e->way_in.error || e->way_in.local ? 0 : e->way_in.ifindex,
				    &e->way_out);
}

int explain_gather_step(struct explain_gather *g, unsigned budget_us)
{
	struct explanation *e = &g->e;
	int r;

	if (g->walk) {
		r = session_walk_step(g->walk, budget_us, add_session, &e->profile);
		if (r)
			return r;
		session_walk_free(take_pointer(g->walk));
		e->busiest = explain_profile_busiest(&e->profile);
	}
	if (g->pool) {
		if (pool_walk_step(g->pool, budget_us, &e->pool))
			return 1;
		pool_walk_free(take_pointer(g->pool));
	}
	if (!still_there(g))
		return -ENOENT;
	e->number = e->mapping ? number_of(g) : -1;
	r = e->subscriber && !(g->mapping.geo.flags & MAPPING_OPEN)
		    ? subscriber_record_read(g->m, e->number, e->in_addr, &e->record)
		    : 0;
	return r ? r : read_ways(e);
}

const char *explain_asked_addr(const struct explanation *e, char text[static INSIDE_TEXT])
{
	return e->host.lo ? address6_text(&e->host, text) : inside_text(e->asked.addr, text);
}

const char *explain_asked(const struct explanation *e, char text[static PLACE_TEXT])
{
	char addr[INSIDE_TEXT];

	snprintf(text, PLACE_TEXT, e->host.lo ? "[%s]:%u" : "%s:%u", explain_asked_addr(e, addr), e->asked.port);
	return text;
}

const struct explanation *explain_gather_result(const struct explain_gather *g)
{
	return &g->e;
}
