/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Leases of PCP as the receiver takes them from a peer. Nothing that is read is trusted: a peer can at most tell acts
 * on leases that a subscriber could have.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/clock.h"
#include "copies/copying_private.h"
#include "copies/lease_stamps.h"

/* What is known of an ended lease is kept no longer. */
#define LONGEST_ENDED_S 604800U

/* An act on a lease, as a peer has told it. */
struct act {
	struct portmap lease;
	uint64_t stamp;
	bool ends;
};

/* Reads a record. False: it can be none. */
static bool read_act(const struct wire_lease *w, unsigned peer, uint64_t now_s, struct act *ret)
{
	uint32_t left = be32toh(w->left_s);
	struct act a = {
		.lease = {
			.in = { be32toh(w->in_addr), be16toh(w->in_port) },
			.out = { be32toh(w->out_addr), be16toh(w->out_port) },
			.proto = w->proto,
			.origin = PORTMAP_PCP,
			.peer = (uint8_t)peer,
		},
		.stamp = be64toh(w->stamp),
		.ends = be16toh(w->flags) & WIRE_LEASE_ENDED,
	};
	struct portmap_filters *f = &a.lease.filters;

	if (a.ends && left > LONGEST_ENDED_S)
		left = LONGEST_ENDED_S;
	a.lease.expires_s = now_s + left;
	memcpy(a.lease.nonce, w->nonce, sizeof(a.lease.nonce));
	f->n = w->filters;
	for (uint32_t i = 0; i < w->filters && i < WIRE_FILTERS; i++)
		f->filter[i] = (struct portmap_filter){ .addr = be32toh(w->filter[i].addr),
							.port = be16toh(w->filter[i].port),
							.plen = w->filter[i].plen };
	*ret = a;
	return left && a.stamp <= LEASE_STAMP_MAX && (!f->n || portmap_filters_valid(f));
}

/* Whether a subscriber of a mapping that is exchanged with a peer can have the lease. */
static bool can_have(const struct copying *c, unsigned peer, const struct portmap *m)
{
	int number = mappings_find_inside(c->m, m->in.addr);
	struct port_block block;

	if (number < 0 || !c->mapping[number].used || !c->peer[peer].exchanged[number] || !m->in.port ||
	    (m->proto != IPPROTO_TCP && m->proto != IPPROTO_UDP))
		return false;
	block = mapping_forward(&mappings_get(c->m, number)->geo, m->in.addr);
	return m->out.addr == block.out_addr && m->out.port >= block.port_lo && m->out.port <= block.port_hi;
}

/* Whether the act is later than the last that is known here of a portmap in its way; NULL: there is none. */
static bool is_later(struct copying *c, const struct act *a, const struct portmap *m)
{
	const struct known_lease *k;

	if (!m)
		return true;
	if (m->origin != PORTMAP_PCP)
		return false;
	k = lease_set_find(&c->leases, m->proto, m->out);
	return !k || k->stamp < a->stamp;
}

/* Another lease of the inside endpoint gives way to a later one, at all gateways alike. */
static void displace(struct copying *c, const struct act *a, const struct portmap *m)
{
	struct known_lease *k = lease_set_find(&c->leases, m->proto, m->out);

	if (k)
		known_lease_end(c, k, a->stamp);
	portmaps_del(c->portmaps, m->proto, m->out);
}

static void end(struct copying *c, const struct act *a, const struct portmap *here)
{
	struct known_lease *k = lease_set_add(&c->leases, a->lease.proto, a->lease.out);

	if (k) {
		k->in = a->lease.in;
		k->until_s = a->lease.expires_s;
		known_lease_end(c, k, a->stamp);
	}
	if (here)
		portmaps_del(c->portmaps, a->lease.proto, a->lease.out);
}

static void put(struct copying *c, const struct act *a, const struct portmap *here, struct copying_counts *add)
{
	const struct portmap *other = portmaps_by_in(c->portmaps, a->lease.proto, a->lease.in);
	struct known_lease *k;

	if (!is_later(c, a, other == here ? NULL : other)) {
		add->existing++;
		return;
	}
	if (other && other != here)
		displace(c, a, other);
	/* Another one may have been moved in its place. */
	here = portmaps_by_out(c->portmaps, a->lease.proto, a->lease.out);
	if (here && !endpoint_equal(here->in, a->lease.in))
		portmaps_del(c->portmaps, a->lease.proto, a->lease.out);
	if (portmaps_put(c->portmaps, &a->lease)) {
		add->refused++;
		return;
	}
	k = lease_set_add(&c->leases, a->lease.proto, a->lease.out);
	if (!k)
		return;
	lease_set_live(&c->leases, k, &a->lease, a->stamp);
	known_lease_keep(c, k);
}

static void apply(struct copying *c, unsigned peer, const struct act *a, struct copying_counts *add)
{
	const struct portmap *here = portmaps_by_out(c->portmaps, a->lease.proto, a->lease.out);
	const struct known_lease *k = lease_set_find(&c->leases, a->lease.proto, a->lease.out);
	/* A change of the configuration may have removed the portmap meanwhile. */
	bool lacks = !here && !a->ends;

	if (!can_have(c, peer, &a->lease)) {
		add->refused++;
		return;
	}
	if (k && (k->stamp > a->stamp || (k->stamp == a->stamp && (k->ended || !lacks))))
		return;
	if (here && here->origin != PORTMAP_PCP)
		add->existing++;
	else if (a->ends)
		end(c, a, here);
	else
		put(c, a, here, add);
}

int copied_leases_apply(struct copying *c, unsigned peer, const void *payload, size_t length,
			struct copying_counts *add)
{
	const struct wire_lease *w = payload;
	uint64_t now_s = boottime_s();

	if (length % sizeof(*w))
		return -EPROTO;
	for (size_t i = 0; c->portmaps && i < length / sizeof(*w); i++) {
		struct act a;

		if (read_act(&w[i], peer, now_s, &a))
			apply(c, peer, &a, add);
		else
			add->refused++;
	}
	return 0;
}
