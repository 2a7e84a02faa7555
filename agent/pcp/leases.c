/* SPDX-License-Identifier: BSD-2-Clause */
#include "pcp/leases.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "sessions/sessions.h"

/* Limits of a slice: deleted, as each takes some system calls; and looked at. */
#define DELETED_PER_SLICE 128U
#define WALKED_PER_SLICE  32768U

_Static_assert(PCP_NONCE == PORTMAP_NONCE, "a portmap keeps the nonce of its lease");

/* The geometry of the served mapping that covers an inside address of a tenant; NULL: none. */
static const struct geometry *geometry_in_tenant(const struct pcp_leases *l, uint8_t tenant, uint32_t in_addr)
{
	int number = mappings_find_inside(l->mappings, tenant, in_addr);
	const struct geometry *g = number < 0 ? NULL : &mappings_get(l->mappings, number)->geo;

	for (size_t i = 0; g && i < l->n_served; i++)
		if (prefix_equal(l->served[i].in, geometry_in(g)) && prefix_equal(l->served[i].out, geometry_out(g)))
			return g;
	return NULL;
}

/* The same of the client's tenant. */
static const struct geometry *geometry_of(const struct pcp_leases *l, uint32_t in_addr)
{
	return geometry_in_tenant(l, l->tenant, in_addr);
}

static int table_subscriber(void *arg, uint32_t in_addr, struct port_block *ret_block)
{
	const struct geometry *g = geometry_of(arg, in_addr);

	if (!g)
		return -ENOENT;
	*ret_block = mapping_forward(g, in_addr);
	return 0;
}

static bool is_open(const struct geometry *g)
{
	return g->flags & MAPPING_OPEN;
}

static bool table_open(void *arg, uint32_t in_addr)
{
	const struct geometry *g = geometry_of(arg, in_addr);

	return g && is_open(g);
}

static int table_find(void *arg, uint8_t proto, struct endpoint in, struct pcp_lease *ret)
{
	const struct pcp_leases *l = arg;
	const struct portmap *m = portmaps_by_in(l->portmaps, l->tenant, proto, in);

	if (!m)
		return -ENOENT;
	*ret = (struct pcp_lease){
		.proto = m->proto,
		.fixed = m->origin != PORTMAP_PCP,
		.in = m->in,
		.out = m->out,
		.expires_s = m->expires_s,
		.filters = m->filters,
	};
	memcpy(ret->nonce, m->nonce, PCP_NONCE);
	return 0;
}

static bool table_taken(void *arg, uint8_t proto, struct endpoint out)
{
	const struct pcp_leases *l = arg;

	return portmaps_by_out(l->portmaps, proto, out) != NULL;
}

static void table_held(void *arg, uint8_t proto, struct endpoint in, struct held_ports *ret)
{
	const struct pcp_leases *l = arg;

	held_ports_find(l->mappings, l->tenant, in, proto, ret);
}

static unsigned table_count(void *arg, uint32_t in_addr)
{
	const struct pcp_leases *l = arg;
	unsigned n = 0;

	const uint64_t place = inside_place(l->tenant, in_addr);

	for (const struct portmap *m = portmaps_of(l->portmaps, place, NULL); m; m = portmaps_of(l->portmaps, place, m))
		n += m->origin == PORTMAP_PCP;
	return n;
}

static bool table_has_room(void *arg, unsigned count)
{
	struct pcp_leases *l = arg;
	bool yes = pcp_shares_admit(&l->shares, portmaps_count(l->portmaps, PORTMAP_PCP), count);

	l->refused += !yes;
	return yes;
}

static int table_put(void *arg, const struct pcp_lease *lease)
{
	struct pcp_leases *l = arg;
	struct portmap m = {
		.in = lease->in,
		.out = lease->out,
		.proto = lease->proto,
		.origin = PORTMAP_PCP,
		.expires_s = lease->expires_s,
		.filters = lease->filters,
	};

	memcpy(m.nonce, lease->nonce, PCP_NONCE);
	if (l->due_s > m.expires_s)
		l->due_s = m.expires_s;
	if (l->next_due_s > m.expires_s)
		l->next_due_s = m.expires_s;
	return portmaps_put(l->portmaps, &m);
}

static int table_del(void *arg, const struct pcp_lease *lease)
{
	struct pcp_leases *l = arg;

	return portmaps_end(l->portmaps, lease->proto, lease->out);
}

/* The next lease of a subscriber to delete; *ret_others: there are leases of other nonces. */
static const struct portmap *next_of_nonce(const struct pcp_leases *l, uint32_t in_addr, uint8_t proto,
					   const uint8_t nonce[static PCP_NONCE], bool *ret_others)
{
	const uint64_t place = inside_place(l->tenant, in_addr);

	for (const struct portmap *m = portmaps_of(l->portmaps, place, NULL); m;
	     m = portmaps_of(l->portmaps, place, m)) {
		if (m->origin != PORTMAP_PCP || (proto && m->proto != proto))
			continue;
		if (!memcmp(m->nonce, nonce, PCP_NONCE))
			return m;
		*ret_others = true;
	}
	return NULL;
}

static int table_del_all(void *arg, uint32_t in_addr, uint8_t proto, const uint8_t nonce[static PCP_NONCE])
{
	struct pcp_leases *l = arg;
	const struct portmap *m;
	bool others = false;
	int n = 0;

	while ((m = next_of_nonce(l, in_addr, proto, nonce, &others))) {
		int r = portmaps_end(l->portmaps, m->proto, m->out);

		if (r)
			return r;
		n++;
	}
	return n || !others ? n : -EPERM;
}

static int table_session(void *arg, uint8_t proto, struct endpoint in, struct endpoint ext, struct endpoint *ret_out,
			 uint32_t *ret_left_s)
{
	const struct pcp_leases *l = arg;
	struct session s;
	int r = sessions_refresh(l->mappings, l->tenant, in, ext, proto, &s);

	if (r)
		return r;
	*ret_out = (struct endpoint){ s.out_addr, s.out_port };
	*ret_left_s = s.expires;
	return 0;
}

const struct pcp_table pcp_lease_table = {
	.subscriber = table_subscriber,
	.open = table_open,
	.find = table_find,
	.taken = table_taken,
	.held = table_held,
	.count = table_count,
	.has_room = table_has_room,
	.put = table_put,
	.del = table_del,
	.del_all = table_del_all,
	.session = table_session,
};

int pcp_leases_configure(struct pcp_leases *l, const struct config *c)
{
	struct pcp_served *served = calloc(c->n_mappings + 1, sizeof(*served));
	size_t n = 0, room = portmaps_lease_room(l->portmaps);
	uint32_t limit = config_pcp_leases(c);

	if (!served)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_mappings; i++)
		if (config_pcp_serves(c, &c->mappings[i]))
			served[n++] = (struct pcp_served){ c->mappings[i].in, c->mappings[i].out };
	free(l->served);
	l->served = served;
	l->n_served = n;
	l->shares = pcp_shares_of(limit < room ? limit : (uint32_t)room, config_pcp_subscribers(c),
				  c->pcp.max_per_subscriber);
	return 0;
}

void pcp_leases_free(struct pcp_leases *l)
{
	free(take_pointer(l->served));
}

static bool fits(const struct pcp_leases *l, const struct portmap *m)
{
	int outside = mappings_find_outside(l->mappings, m->out.addr);
	const struct geometry *g =
		outside < 0 ? NULL : geometry_in_tenant(l, mappings_get(l->mappings, outside)->tenant, m->in.addr);
	struct port_block block;

	if (!g || is_open(g))
		return false;
	block = mapping_forward(g, m->in.addr);
	return m->out.addr == block.out_addr && m->out.port >= block.port_lo && m->out.port <= block.port_hi;
}

unsigned pcp_leases_trim(struct pcp_leases *l)
{
	const struct portmap *m;
	uint32_t place = 0;
	unsigned total = 0;

	l->due_s = 0;
	while (portmaps_count(l->portmaps, PORTMAP_PCP) && (m = portmaps_walk(l->portmaps, &place, UINT32_MAX))) {
		if (m->origin != PORTMAP_PCP || fits(l, m))
			continue;
		total += !portmaps_del(l->portmaps, m->proto, m->out);
	}
	return total;
}

/* Deletes the ended leases among a part of all portmaps. */
static void expire_some(struct pcp_leases *l, uint64_t now_s)
{
	const uint32_t end = l->place + WALKED_PER_SLICE;
	const struct portmap *m;
	unsigned n = 0;

	while (n < DELETED_PER_SLICE && (m = portmaps_walk(l->portmaps, &l->place, end))) {
		if (m->origin != PORTMAP_PCP)
			continue;
		if (m->expires_s <= now_s)
			n += !portmaps_del(l->portmaps, m->proto, m->out);
		else if (m->expires_s < l->next_due_s)
			l->next_due_s = m->expires_s;
	}
}

bool pcp_leases_expire(struct pcp_leases *l, uint64_t now_s)
{
	if (!l->place) {
		if (l->due_s > now_s || !portmaps_count(l->portmaps, PORTMAP_PCP))
			return false;
		l->next_due_s = UINT64_MAX;
	}
	expire_some(l, now_s);
	if (l->place)
		return true;
	l->due_s = l->next_due_s;
	return l->due_s <= now_s;
}

struct pcp_shares pcp_shares_of(uint32_t limit, uint64_t subscribers, uint32_t max_per_subscriber)
{
	struct pcp_shares s = { .limit = limit, .assured = max_per_subscriber };

	if (subscribers * max_per_subscriber > limit) {
		s.assured = (uint32_t)(limit / 2 / subscribers);
		if (!s.assured)
			s.assured = subscribers <= limit;
	}
	/* Leases beyond the assured ones are granted only up to here, so there are never more than this. */
	s.common = limit - (uint32_t)(s.assured * subscribers);
	return s;
}

bool pcp_shares_admit(const struct pcp_shares *s, size_t total, uint32_t own)
{
	return total < (own < s->assured ? s->limit : s->common);
}
