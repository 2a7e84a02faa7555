/* SPDX-License-Identifier: BSD-2-Clause */
#include "change/change_plan_private.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/array_grow.h"
#include "base/base.h"
#include "base/log.h"
#include "config/port_pairs.h"

static struct portmap portmap_of_pair(const struct config *c, const struct port_pair *pair)
{
	return (struct portmap){ .in = pair->in,
				 .out = pair->out,
				 .proto = pair->proto,
				 .tenant = port_pair_tenant(c, pair),
				 .origin = PORTMAP_STATIC };
}

/* Whether a portmap of the datapath leads to the subscriber that the configuration names. */
static bool leads_there(const struct config *c, const struct port_pair *pair, const struct portmap *m)
{
	return endpoint_equal(pair->in, m->in) && tenants_meet(port_pair_tenant(c, pair), m->tenant);
}

/* Whether a lease's outside port is still in its subscriber's own block. */
static bool lease_holds(const struct config *c, const struct portmap *m)
{
	const struct config_mapping *mapping = config_mapping_of_pair(c, m->in.addr, m->out.addr, NULL);
	struct geometry g;

	return mapping && tenants_meet(config_mapping_tenant(c, mapping), m->tenant) &&
	       !config_mapping_geometry(mapping, &g) &&
	       m->out.addr == mapping_out_addr(&g, mapping_subscriber(&g, m->in.addr)) &&
	       mapping_reverse(&g, m->out.addr, m->out.port) == mapping_subscriber(&g, m->in.addr);
}

/* Whether a portmap of the datapath may stay. by_in: a list of the same pairs, sorted by inside endpoint. */
static bool may_stay(const struct config *wanted, const struct port_pair *pairs, size_t n,
		     const struct port_pair *by_in, const struct portmap *m)
{
	const struct port_pair *pair = port_pair_find(pairs, n, m->proto, m->out);

	if (m->origin == PORTMAP_STATIC)
		return pair && leads_there(wanted, pair, m);
	/* The configuration takes precedence over a lease. */
	return !pair && !port_pair_find_in(by_in, n, port_pair_place(wanted, m->tenant), m->proto, m->in) &&
	       lease_holds(wanted, m);
}

/* Portmaps of the datapath that a plan looks at; valid until the next change. */
struct looked_at {
	const struct portmap **at;
	size_t n;
	size_t room;
};

static int look_at(struct looked_at *l, const struct portmap *m)
{
	if (array_grow(&l->at, l->n, &l->room, sizeof(void *)))
		return -ENOMEM;
	l->at[l->n++] = m;
	return 0;
}

/* Whether fewer addresses are looked at than there are portmaps. */
static bool has_fewer_addresses(const struct config_part *part, size_t n_portmaps)
{
	uint64_t n = 0;

	for (size_t i = 0; i < part->n_touched; i++)
		n += (uint64_t)part->touched[i].last - part->touched[i].first + 1;
	return n < n_portmaps;
}

static int look_at_addresses(const struct change_plan *p, const struct portmaps *present, struct looked_at *ret)
{
	int r = 0;

	for (size_t i = 0; i < p->part.n_touched; i++)
		for (uint64_t in = p->part.touched[i].first; in <= p->part.touched[i].last; in++)
			for (const struct portmap *m = portmaps_of(present, in, NULL); m && !r;
			     m = portmaps_of(present, in, m))
				r = look_at(ret, m);
	return r;
}

static int look_at_all(const struct change_plan *p, const struct portmaps *present, struct looked_at *ret)
{
	int r = 0;

	for (const struct portmap *m = portmaps_next(present, NULL); m && !r; m = portmaps_next(present, m))
		if (plan_looks_at(p, (struct prefix){ m->in.addr, 32, 0 }))
			r = look_at(ret, m);
	return r;
}

static int look(const struct change_plan *p, const struct portmaps *present, struct looked_at *ret)
{
	size_t n = 0;

	for (unsigned origin = 0; origin < N_PORTMAP_ORIGINS; origin++)
		n += portmaps_count(present, origin);
	return p->part.config && has_fewer_addresses(&p->part, n) ? look_at_addresses(p, present, ret)
								  : look_at_all(p, present, ret);
}

static void looked_at_free(struct looked_at *l)
{
	free(l->at);
}

int portmap_changes_find(const struct change_plan *p, const struct portmaps *present, struct portmap_changes *ret)
{
	const struct config *wanted = plan_part(p);
	_cleanup_free_ struct port_pair *pairs = NULL, *by_in = NULL;
	__attribute__((cleanup(looked_at_free))) struct looked_at looked_at = { 0 };
	struct portmap_changes c = { 0 };
	size_t n = 0;

	if (look(p, present, &looked_at) || port_pairs_of(wanted, &pairs, &n))
		return -ENOMEM;
	by_in = calloc(n + 1, sizeof(*by_in));
	c.del = calloc(looked_at.n + 1, sizeof(*c.del));
	c.add = calloc(n + 1, sizeof(*c.add));
	if (!by_in || !c.del || !c.add) {
		portmap_changes_free(&c);
		return -ENOMEM;
	}
	memcpy(by_in, pairs, n * sizeof(*by_in));
	port_pairs_sort_in(by_in, n);
	for (size_t i = 0; i < looked_at.n; i++)
		if (!may_stay(wanted, pairs, n, by_in, looked_at.at[i]))
			c.del[c.n_del++] = *looked_at.at[i];
	for (size_t i = 0; i < n; i++) {
		const struct portmap *m = portmaps_by_out(present, pairs[i].proto, pairs[i].out);

		if (!m || m->origin != PORTMAP_STATIC || !leads_there(wanted, &pairs[i], m))
			c.add[c.n_add++] = portmap_of_pair(wanted, &pairs[i]);
	}
	*ret = c;
	return 0;
}

void portmap_changes_free(struct portmap_changes *c)
{
	free(c->del);
	free(c->add);
	*c = (struct portmap_changes){ 0 };
}

void portmap_changes_remove(const struct portmap_changes *c, struct portmaps *p)
{
	for (size_t i = 0; i < c->n_del; i++)
		portmaps_del(p, c->del[i].proto, c->del[i].out);
}

static void remove_added(const struct portmap_changes *c, struct portmaps *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		portmaps_del(p, c->add[i].proto, c->add[i].out);
}

int portmap_changes_add(const struct portmap_changes *c, struct portmaps *p, struct error *err)
{
	for (size_t i = 0; i < c->n_add; i++) {
		const struct portmap *m = &c->add[i];
		int r = portmaps_put(p, m);
		char out[ADDR_TEXT];

		if (!r)
			continue;
		remove_added(c, p, i);
		return error_set(err, r, "the portmap of %s:%u cannot be made: %s", addr_format(m->out.addr, out),
				 m->out.port, strerror(-r));
	}
	return 0;
}

static void put_back(const struct portmap_changes *c, struct portmaps *p)
{
	for (size_t i = 0; i < c->n_del; i++)
		if (portmaps_put(p, &c->del[i]))
			log_error("a portmap cannot be put back; `detnatctl check --repair` tries again");
}

int portmap_changes_make(const struct portmap_changes *c, struct portmaps *p, struct error *err)
{
	int r;

	portmap_changes_remove(c, p);
	r = portmap_changes_add(c, p, err);
	if (r)
		put_back(c, p);
	return r;
}

void portmap_changes_undo(const struct portmap_changes *c, struct portmaps *p)
{
	remove_added(c, p, c->n_add);
	put_back(c, p);
}

size_t portmap_changes_leases(const struct portmap_changes *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_del; i++)
		n += c->del[i].origin == PORTMAP_PCP;
	return n;
}

/* Whether the datapath has all ports of a portmap. */
static bool is_present(const struct config *c, const struct config_portmap *m, const struct portmaps *present)
{
	for (size_t port = 0; port <= (size_t)m->in.last - m->in.first; port++) {
		struct endpoint out = config_portmap_out(c, m, port);

		if (m->protos & PORTMAP_OF_TCP && !portmaps_by_out(present, IPPROTO_TCP, out))
			return false;
		if (m->protos & PORTMAP_OF_UDP && !portmaps_by_out(present, IPPROTO_UDP, out))
			return false;
	}
	return true;
}

void portmap_changes_settle(struct config *c, const struct portmaps *present)
{
	size_t n = 0;

	if (config_own_portmaps(c))
		return;
	for (size_t i = 0; i < c->n_portmaps; i++)
		if (is_present(c, &c->portmaps[i], present))
			c->portmaps[n++] = c->portmaps[i];
	c->n_portmaps = n;
}
